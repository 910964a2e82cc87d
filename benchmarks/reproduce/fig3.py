"""Fig. 3 of Braun & Gamper in the small: training on the labels of a zero-shot teacher, and correcting them.

    python benchmarks/reproduce/fig3.py CORPUS [--bundle DIR] [--seeds 0,1,2,3,4] [--network acdnet]

With --bundle, the teacher is a CLAP model (see `acdref teach`).  Without, it is a stand-in with made-up
errors: it hears a class with a d' between 1 and 3, drawn class by class, and prefers some
classes to others::

    cosine(clip, class)  =  0.05 (d'(class) truth + bias(class) + noise),   bias ~ N(0, 0.5),  noise ~ N(0, 1)

Its labels are those of the paper's rule: softmax over the classes with the scale 30, above 0.2.  The network
sees no other ones.  Precision and recall are those of the labels that it was trained on.
"""

import numpy as np
from experiment import Experiment, arguments, start
from report import finish, with_interval

from acdref.labels import clap_labels, clap_probabilities, correct_labels

SEPARATION, BIAS, SPREAD, SCALE = (1.0, 3.0), 0.5, 0.05, 30.0
THRESHOLD = 0.2

ITSELF, GIVEN = "zero-shot teacher itself", "corpus's labels"
RAW = "its labels"
RULES = {"its labels, FN corrected, masked": False, "its labels, FN and FP corrected, masked": True}


def stand_in(truth, seed):
    """Cosines (N, C) of a scorer with the errors above."""
    rng = np.random.default_rng(seed)
    separation = rng.uniform(*SEPARATION, truth.shape[1])
    bias = rng.normal(0, BIAS, truth.shape[1])
    return SPREAD * (separation * truth + bias + rng.standard_normal(truth.shape))


def by_bundle(directory, experiment):
    """Cosines of the recordings to train and to measure on by a CLAP model, and its scale."""
    from acdref.clap.prompts import DEFAULTS, Prompts
    from acdref.clap.teach import teach
    from acdref.clap.teacher import ClapTeacher

    teacher = ClapTeacher.open(directory)
    corpus = experiment.corpus
    prompts = Prompts.of({name: DEFAULTS.get(name, name) for name in corpus.train.classes})
    folder = experiment.work / "clap"
    folder.mkdir(parents=True, exist_ok=True)
    cosines = [
        teach(teacher, recordings, prompts, folder / name).cosines
        for name, recordings in {"train.npz": corpus.train, "test.npz": corpus.test}.items()
    ]
    return *cosines, teacher.scale


def quality_of(labels, truth):
    """Precision and recall of the known labels."""
    right = ((labels == 1) & (truth == 1)).sum()
    return {
        "precision": float(right / max((labels == 1).sum(), 1)),
        "recall": float(right / max(((truth == 1) & ~np.isnan(labels)).sum(), 1)),
    }


def _mean(name):
    return lambda rows: with_interval([row[name] for row in rows if name in row])


def main():
    parser = arguments(__doc__)
    parser.add_argument("--bundle", help="directory of a CLAP model [a stand-in]")
    given = parser.parse_args()
    experiment = Experiment("fig3" if given.bundle is None else "fig3-clap", given)
    train, test = experiment.corpus.train.labels, experiment.corpus.test.labels
    if given.bundle is not None:
        to_train, to_test, scale = by_bundle(given.bundle, experiment)
    for seed in experiment.seeds:
        if given.bundle is None:
            cosines, scale = stand_in(np.concatenate([train, test]), seed), SCALE
            to_train, to_test = cosines[: len(train)], cosines[len(train) :]
        labels = clap_labels(to_train, scale, THRESHOLD)
        if not experiment.finished(ITSELF, seed):
            row = {"condition": ITSELF, "seed": seed, "setting": str(experiment.setting)}
            experiment.add(row | experiment.quality(clap_probabilities(to_test, scale)))
        experiment.measure(GIVEN, seed)
        experiment.measure(RAW, seed, labels, quality_of(labels, train))
        for condition, fp in RULES.items():
            if not experiment.finished(condition, seed):
                corrected = correct_labels(labels, experiment.training_scores(seed, labels), fp=fp)
                experiment.measure(condition, seed, corrected, quality_of(corrected, train))
    columns = {"labels: precision": _mean("precision"), "recall": _mean("recall")}
    finish(experiment, [ITSELF, RAW, *RULES, GIVEN], RAW, "Labels of a zero-shot teacher (Fig. 3)", columns)


if __name__ == "__main__":
    start(main)
