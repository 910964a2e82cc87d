"""Do bases with expanded parents (PEL) and masked children (PE-CML) transfer better than original labels?

Grzywalski & Botteldooren say so of AudioSet.  Here one or two kinds of synthetic sounds are to be heard in
each clip; a rater, simulated by the paper's figures, adds a label's parent in 52 % of the cases and knows the
parent only in 40 %.  Base networks are trained on all classes but those of animals, and transferred to these,
by a perceptron on what they extract and by fine-tuning.  Measured is the mAP on what is truly to be heard, of
the target's classes, on recordings of their own.  Each seed draws its own sounds, raters and weights.  The
target set is labelled in all three ways too, and a network is trained from scratch on each, as in Table IV.

    python benchmarks/reproduce/relabel_transfer.py
"""

import csv
import json

import numpy as np
from experiment import start
from report import by_seed, with_interval
from rows import reproduce

from acdref import checkpoint, metrics
from acdref.data import open_dataset
from acdref.labels import Ontology
from acdref.nets.mobilenet import InvertedStage, MobileNetConfig, MobileNetV2
from acdref.recipes.made_up import ontology_sounds
from acdref.recipes.relabel_transfer import LABELLINGS, SCORES, RelabelTransferOptions, relabel_transfer

NETWORK = MobileNetConfig(
    classes=1,
    stem=8,
    stages=(InvertedStage(1, 16, 1, 2), InvertedStage(3, 24, 1, 2), InvertedStage(3, 32, 1, 2)),
    last=64,
    dropout=0.0,
)
"""MobileNetV2 with three blocks, 10,201 parameters with one class, in place of the 1-D network."""
DATA = {"count": 300, "seconds": 2.0, "parts": {"train": 0.5, "val": 0.1, "test": 0.4}}
SETTING = {
    "target": ("animal",),
    "seconds": 2.0,
    "epochs": 12,
    "tune_epochs": 8,
    "extract_epochs": 40,
    "lr": 5e-3,
    "tune_lr": 3e-3,
    "decay": 0.9,
    "hidden": 256,
}


def one_run(given, seed, folder):
    """Rows of one seed: each labelling of the base, way of transfer, and labelling of the target."""
    manifest, ontology = ontology_sounds(folder / "sounds", seed=seed, **DATA)
    recordings = open_dataset(manifest)
    checkpoint.save_weights(folder / "initial.npz", MobileNetV2(NETWORK, seed), ["none"])
    options = RelabelTransferOptions(
        str(manifest), ontology=str(ontology), init=str(folder / "initial.npz"), seed=seed, **SETTING
    )
    stages = relabel_transfer(options, folder / "recipe")
    truth = true_labels(manifest, Ontology.from_json(ontology), recordings.classes)
    rows = json.loads((folder / "recipe" / "3-animal-sets" / "sets.json").read_text())["target"]["test"]
    *_, last = (folder / "recipe").glob("*-tuned-*/best.npz")
    columns = [recordings.classes.index(name) for name in checkpoint.load(last)[1]["classes"]]
    y = truth[np.ix_(rows, columns)]
    for number, (name, found) in enumerate(stages.items(), 1):
        if found.get("way", "base") != "base":
            p = np.load(folder / "recipe" / f"{number}-{name}" / SCORES)
            yield {
                "condition": condition(found["way"], found["base"] or "none", found["labels"]),
                "seed": seed,
                "mAP": metrics.mean_average_precision(y, p),
                "mAP by raters": found["mAP"],
            }


def condition(way, base, labels):
    """A row's name."""
    return f"{way}, base {base}, target {labels}"


def true_labels(manifest, ontology, classes):
    """All that is to be heard, parents included, (N, C)."""
    with open(manifest, encoding="utf-8", newline="") as file:
        kinds = [row["truth"].split(";") for row in csv.DictReader(file)]
    complete = ontology.parent_expand(ontology.encode(kinds).to_dense())
    return complete[:, ontology.columns(classes)]


def table(rows):
    """Markdown, after Table IV: base and way by the labelling of the target set; gains are over base ol."""
    lines = [
        "| | " + " | ".join(LABELLINGS) + " | mean of these | gain over base ol | runs |",
        "|---" * 7 + "|",
    ]
    for way, bases in (("extracted", LABELLINGS), ("scratch", ("none",)), ("tuned", LABELLINGS)):
        for base in bases:
            cells = [
                [row["mAP"] for row in rows if row["condition"] == condition(way, base, labels)]
                for labels in LABELLINGS
            ]
            means = _means(rows, way, base)
            over = _means(rows, way, "ol") if way != "scratch" else _means(rows, "tuned", "ol")
            gain = [means[seed] - over[seed] for seed in means]
            words = "from scratch" if way == "scratch" else f"{way}, base {base}"
            texts = [*map(with_interval, cells), with_interval(list(means.values()))]
            texts += ["" if base == "ol" else with_interval(gain, "+"), str(len(means))]
            lines.append(f"| {words} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def _means(rows, way, base):
    """Seed -> mean over the labellings of the target set."""
    each = [by_seed(rows, condition(way, base, labels), "mAP") for labels in LABELLINGS]
    return {seed: sum(values[seed] for values in each) / len(each) for seed in each[0]}


def main():
    reproduce(__doc__, "relabel_transfer", SETTING | {"data": DATA}, one_run, table, corpus=False)


if __name__ == "__main__":
    start(main)
