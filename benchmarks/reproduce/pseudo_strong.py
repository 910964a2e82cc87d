"""Are an annotator's labels of short windows better than those of long ones, and these than weak labels?

Dinkel et al. say so, the shorter the better.  Soundscapes of a corpus's recordings, of whose weak labels 30
to 50 % are missing; an annotator is trained on these, students on a part of them, with the annotator's
probabilities of windows of 10, 5 and 2 s or with the weak labels.  Measured are whole soundscapes, made of
recordings that nothing was trained on.  All networks of a seed have the same weights to begin with, students
as many steps and as much sound in each.  Each seed draws its own soundscapes and weights.

    python benchmarks/reproduce/pseudo_strong.py /path/to/corpus
"""

from experiment import start
from report import differences, with_interval
from rows import reproduce
from soundscapes import CLASSES, MAKING, MISSING, soundscapes

from acdref import checkpoint
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

SETTING = {
    "windows": (10.0, 5.0, 2.0),
    "annotator_epochs": 8,
    "epochs": 8,
    "lr": 5e-3,
    "batch": 20.0,
    "level": 3.0,
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
BASELINE = NAMES["weak"]
COLUMNS = {"mAP": "mAP", "d'": "d_prime", "lwlrap": "lwlrap"}


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


def one_run(given, seed, folder):
    """Rows of one seed: a row a network."""
    manifest, _ = soundscapes(given, folder / "sounds", DATA, seed, **EASY)
    few, more = parts(manifest)
    checkpoint.save_weights(folder / "initial.npz", MobileNetV2(NETWORK, seed), CLASSES)
    options = PseudoStrongOptions(
        few, classes=CLASSES, more=more, init=str(folder / "initial.npz"), seed=seed, **SETTING
    )
    stages = pseudo_strong(options, folder / "recipe")
    for name, condition in NAMES.items():
        row = {"condition": condition, "seed": seed}
        row |= {column: stages[name][key] for column, key in COLUMNS.items()}
        window = condition.removeprefix("annotator's, ").removesuffix(" s")
        if window in stages["counts"]:
            row["without label"] = stages["counts"][window]["none"]
            row["labels a window"] = stages["counts"][window]["labels"]
        yield row


def table(rows):
    """Markdown: a line for each kind of labels."""
    titles = ["labels", *COLUMNS, f"gain in mAP over {BASELINE}", "windows without label", "runs"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for condition in NAMES.values():
        own = [row for row in rows if row["condition"] == condition]
        none = [row["without label"] for row in own if "without label" in row]
        gains = differences(rows, condition, BASELINE, "mAP")
        cells = [condition, *(with_interval([row[column] for row in own]) for column in COLUMNS)]
        cells += ["" if condition == BASELINE else with_interval(gains, "+")]
        cells += [with_interval(none) if none else "", str(len(own))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    setting = SETTING | {"data": DATA | MAKING | EASY, "part": PART, "missing": MISSING}
    reproduce(__doc__, "pseudo_strong", setting, one_run, table)


if __name__ == "__main__":
    start(main)
