"""Table 2 of Braun & Gamper in the small: eight ways to correct or mask labels by the network's own scores.

    python benchmarks/reproduce/table2.py CORPUS [--seeds 0,1,2,3,4] [--sequences 1600] [--network acdnet]

Takes the corpus's labels as the truth and injects errors into those of the recordings to train on: of each
class, 30 to 50 % of the labels are missing, and 5 % of their number are set wrongly elsewhere.  Trains on
these (row 1), scores the training recordings with that network, changes the labels by each rule, and trains
anew.  Precision and recall are of the repair of the injected errors, with and without what is merely masked.
The last row, without errors, is what a perfect repair would reach.
"""

import functools

import numpy as np
from experiment import Experiment, arguments, start
from report import finish, with_interval

from acdref.labels import correct_labels, mean_threshold_correct, percentile_correct, percentile_mask
from acdref.labels.noise import inject_noise, repair_counts

RAW, CLEAN = "raw labels", "without errors"
RULES = {
    "percentile masking": percentile_mask,
    "percentile correction": percentile_correct,
    "mean threshold": mean_threshold_correct,
    "correct FN": functools.partial(correct_labels, mask=False),
    "correct FN and FP": functools.partial(correct_labels, fp=True, mask=False),
    "correct and mask FN": correct_labels,
    "correct and mask FN and FP": functools.partial(correct_labels, fp=True),
}
MISSING, FALSE = (0.3, 0.5), 0.05


def _ratio(numerator, denominator):
    """Column: mean over runs of a ratio of sums of counts; runs in which it is undefined do not count."""

    def column(rows):
        ratios = []
        for row in rows:
            below = sum(row.get(name, 0) for name in denominator)
            if below:
                ratios.append(sum(row.get(name, 0) for name in numerator) / below)
        return with_interval(ratios)

    return column


COLUMNS = {
    "repair: precision": _ratio(["repaired"], ["repaired", "harmed"]),
    "recall": _ratio(["repaired"], ["errors"]),
    "with masks: precision": _ratio(["repaired", "masked"], ["repaired", "masked", "harmed", "lost"]),
    "with masks: recall": _ratio(["repaired", "masked"], ["errors"]),
}


def main():
    parser = arguments(__doc__)
    parser.add_argument(
        "--rules", nargs="+", choices=list(RULES), default=list(RULES), metavar="NAME", help="[all]"
    )
    given = parser.parse_args()
    rules = {name: rule for name, rule in RULES.items() if name in given.rules}
    experiment = Experiment("table2", given)
    truth = experiment.corpus.train.labels
    for seed in experiment.seeds:
        noisy = inject_noise(truth, np.random.default_rng(seed), MISSING, FALSE)
        experiment.measure(RAW, seed, noisy, repair_counts(truth, noisy, noisy))
        experiment.measure(CLEAN, seed)
        if all(experiment.finished(condition, seed) for condition in rules):
            continue
        scores = experiment.training_scores(seed, noisy)
        for condition, rule in rules.items():
            labels = rule(noisy, scores)
            experiment.measure(condition, seed, labels, repair_counts(truth, noisy, labels))
    finish(experiment, [RAW, *rules, CLEAN], RAW, "Correction and masking (Table 2)", COLUMNS)


if __name__ == "__main__":
    start(main)
