"""Are an annotator's labels of short windows better than those of long ones, and these than weak labels?

Dinkel et al. say so, the shorter the better.  Soundscapes of a corpus's recordings, of whose weak labels 30
to 50 % are missing; an annotator is trained on these, students on a part of them, with the annotator's
probabilities of windows of 10, 5 and 2 s or with the weak labels.  Measured are whole soundscapes, made of
recordings that nothing was trained on.  All networks of a seed have the same weights to begin with, students
as many steps and as much sound in each.  The annotator and the student of windows of 2 s are then trained on
with another set, recordings of four other classes, one class each.  Each seed draws its own soundscapes and
weights.

    python benchmarks/reproduce/pseudo_strong.py /path/to/corpus
"""

import os
from pathlib import Path

import numpy as np
from experiment import start
from report import differences, with_interval
from rows import reproduce
from soundscapes import CLASSES, MAKING, MISSING, soundscapes

from acdref import checkpoint
from acdref.data import open_dataset
from acdref.files import write_text
from acdref.nets.mobilenet import InvertedStage, MobileNetConfig, MobileNetV2
from acdref.recipes.pseudo_strong import PseudoStrongOptions, pseudo_strong

DATA = {"train": 160, "test": 60}
EASY = {"lengths": (1.0, 5.0), "snr": (10.0, 30.0)}
"""Longer and louder events than elsewhere: an annotator that has learned nothing teaches nothing."""

NETWORK = MobileNetConfig(
    classes=len(CLASSES),
    stem=8,
    stages=(InvertedStage(1, 16, 1, 2), InvertedStage(3, 24, 1, 2), InvertedStage(3, 32, 1, 2)),
    last=64,
    dropout=0.0,
)
"""MobileNetV2 with three blocks and a score for each 0.16 s: 10,526 parameters."""

PART = 4
"""Each fourth of the soundscapes to train on is a student's, the others are the annotator's alone."""

OTHERS = ("music", "machinery", "nature", "urban")
OTHER_RECORDINGS = 25
"""Of each class, to train on, and at most as many to measure on."""

SETTING = {
    "windows": (10.0, 5.0, 2.0),
    "annotator_epochs": 8,
    "epochs": 8,
    "lr": 5e-3,
    "batch": 20.0,
    "level": 3.0,
    "transfer_epochs": 8,
}
NAMES = {
    "annotator": "the annotator",
    "weak": "weak, 10 s",
    "psl-10s": "annotator's, 10 s",
    "psl-5s": "annotator's, 5 s",
    "psl-2s": "annotator's, 2 s",
    "weak-2s": "weak, 2 s",
    "mixed-2s": "both, 2 s",
}
TRANSFERS = {
    "transfer-annotator": "transfer of the annotator",
    "transfer-psl": "transfer of annotator's, 2 s",
}
BASELINE = NAMES["weak"]
GIVEN = "the manifest's"
COLUMNS = {"mAP": "mAP", "d'": "d_prime", "lwlrap": "lwlrap"}
MOVED = {"mAP": "mAP", "MAP@3": "MAP@3", "lwlrap": "lwlrap"}


def parts(manifest):
    """The students' manifest with what is measured on, and that of the annotator's further soundscapes."""
    with open(manifest, encoding="utf-8") as file:
        header, *lines = file.read().splitlines()
    training = [line for line in lines if line.endswith(",train")]
    few = training[::PART]
    names = {"few.csv": [*few, *(line for line in lines if line.endswith(",val"))]}
    names["more.csv"] = [line for line in training if line not in few]
    for name, chosen in names.items():
        write_text(manifest.with_name(name), "\n".join([header, *chosen]) + "\n")
    return [str(manifest.with_name(name)) for name in names]


def other_set(given, path):
    """The manifest of the set to transfer to, with folds: some recordings of the corpus, one class each."""
    corpus = Path(given.corpus)
    recordings = open_dataset(corpus / "manifest.csv" if corpus.is_dir() else corpus)
    lines = ["path,classes,fold"]
    for name in OTHERS:
        alone = (recordings.labels.sum(axis=1) == 1) & (
            recordings.labels[:, recordings.classes.index(name)] == 1
        )
        held = np.array([fold == given.fold for fold in recordings.fold])
        for part in (alone & ~held, alone & held):
            for i in np.flatnonzero(part)[:OTHER_RECORDINGS]:
                lines.append(f"{os.path.abspath(recordings.file(i))},{name},{recordings.fold[i]}")
    write_text(path, "\n".join(lines) + "\n")
    return str(path)


def one_run(given, seed, folder):
    """Rows of one seed: a row a network, and one of the labels that the manifest has."""
    manifest, _ = soundscapes(given, folder / "sounds", DATA, seed, **EASY)
    few, more = parts(manifest)
    checkpoint.save_weights(folder / "initial.npz", MobileNetV2(NETWORK, seed), CLASSES)
    options = PseudoStrongOptions(
        few,
        classes=CLASSES,
        more=more,
        init=str(folder / "initial.npz"),
        transfer=other_set(given, folder / "other.csv"),
        transfer_val_fold=given.fold,
        seed=seed,
        **SETTING,
    )
    stages = pseudo_strong(options, folder / "recipe")
    counts = stages["counts"]
    for name, condition in (NAMES | TRANSFERS).items():
        row = {"condition": condition, "seed": seed}
        columns = MOVED if name in TRANSFERS else COLUMNS
        row |= {column: stages[name].get(key) for column, key in columns.items()}
        window = name.removeprefix("psl-").removesuffix("s")
        if window in counts:
            row |= {"without label": counts[window]["none"], "labels a window": counts[window]["labels"]}
            row |= _shares(counts[window])
        yield row
    yield {"condition": GIVEN, "seed": seed} | _shares(counts["given"])


def _shares(count):
    """Columns: shares of recordings by the number of their labels."""
    return {f"{number} labels": share for number, share in count["clips"].items()}


def table(rows):
    """Markdown: kinds of labels, numbers of labels, and the transfer."""
    titles = ["labels", *COLUMNS, f"gain in mAP over {BASELINE}", "windows without label", "runs"]
    lines = _head(titles)
    for condition in NAMES.values():
        own = [row for row in rows if row["condition"] == condition]
        none = [row["without label"] for row in own if "without label" in row]
        gains = differences(rows, condition, BASELINE, "mAP")
        cells = [condition, *(with_interval([row[column] for row in own]) for column in COLUMNS)]
        cells += ["" if condition == BASELINE else with_interval(gains, "+")]
        cells += [with_interval(none) if none else "", str(len(own))]
        lines.append(_line(cells))
    counted = [row for row in rows if "0 labels" in row]
    numbers = [column for column in counted[0] if column.endswith(" labels")] if counted else []
    lines += ["", *_head(["soundscapes with", *numbers])]
    for condition in dict.fromkeys(row["condition"] for row in counted):
        own = [row for row in counted if row["condition"] == condition]
        lines.append(_line([condition, *(with_interval([row[number] for row in own]) for number in numbers)]))
    lines += ["", *_head(["transfer", *MOVED])]
    for condition in TRANSFERS.values():
        own = [row for row in rows if row["condition"] == condition]
        lines.append(_line([condition, *(with_interval([row[column] for row in own]) for column in MOVED)]))
    gains = (differences(rows, *reversed(TRANSFERS.values()), column) for column in MOVED)
    lines.append(_line(["improvement", *(with_interval(gain, "+") for gain in gains)]))
    return "\n".join(lines)


def _head(titles):
    return [_line(titles), "|---" * len(titles) + "|"]


def _line(cells):
    return f"| {' | '.join(cells)} |"


def main():
    about = {"data": DATA | MAKING | EASY, "part": PART, "missing": MISSING, "others": OTHER_RECORDINGS}
    reproduce(__doc__, "pseudo_strong", SETTING | about, one_run, table)


if __name__ == "__main__":
    start(main)
