"""What each ingredient of the training recipe brings, one added to those before.

    python benchmarks/reproduce/ablation.py CORPUS [--seeds 0,1,2,3,4] [--sequences 1600] [--network acdnet]

The corpus's own labels; the correction is of these, by the network of the row before.
"""

import numpy as np
from experiment import Experiment, arguments, start
from report import finish

from acdref.augment import AUGMENTATIONS
from acdref.labels import correct_labels

FULL = {"mix_max": 2, "augment": AUGMENTATIONS["paper"]}
CONDITIONS = {
    "no mixing": {"mix_max": 1},
    "+ OR-mixing": {"mix_max": 2},
    "+ source augmentation": {"mix_max": 2, "augment": AUGMENTATIONS["source"]},
    "+ post-mix augmentation": FULL,
}
CORRECTION = "+ correction"


def main():
    experiment = Experiment("ablation", arguments(__doc__).parse_args())
    given = experiment.corpus.train.labels
    for seed in experiment.seeds:
        for condition, options in CONDITIONS.items():
            experiment.measure(condition, seed, **options)
        if not experiment.finished(CORRECTION, seed):
            labels = correct_labels(given, experiment.training_scores(seed, **FULL))
            changed = {
                "corrected": int((labels > given).sum()),
                "masked": int(np.isnan(labels).sum()),
            }
            experiment.measure(CORRECTION, seed, labels, changed, **FULL)
    finish(experiment, [*CONDITIONS, CORRECTION], "no mixing", "Ingredients of the recipe")


if __name__ == "__main__":
    start(main)
