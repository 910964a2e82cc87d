"""Do bases with expanded parents (PEL) and masked children (PE-CML) transfer better than original labels?

Grzywalski & Botteldooren say so of AudioSet.  Here one or two kinds of synthetic sounds are to be heard in
each clip; a rater, simulated by the paper's figures, adds a label's parent in 52 % of the cases and knows the
parent only in 40 %.  Base networks are trained on all classes but those of animals, and transferred to these,
by a perceptron on what they extract and by fine-tuning.  Measured is the mAP on what is truly to be heard, of
the target's classes, on recordings of their own.  Each seed draws its own sounds, raters and weights.

    python benchmarks/reproduce/relabel_transfer.py
"""

import csv
import json

import numpy as np
from experiment import start
from report import differences, with_interval
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
DATA = {"count": 800, "seconds": 2.0, "parts": {"train": 0.5, "val": 0.1, "test": 0.4}}
SETTING = {
    "target": "animal",
    "seconds": 2.0,
    "epochs": 12,
    "tune_epochs": 10,
    "extract_epochs": 50,
    "lr": 5e-3,
    "tune_lr": 3e-3,
    "decay": 0.9,
    "hidden": 64,
}
TRANSFERS = ("extracted", "tuned")


def one_run(given, seed, folder):
    """Rows of one seed: each labelling of the base, each way of transfer."""
    manifest, ontology = ontology_sounds(folder / "sounds", seed=seed, **DATA)
    recordings = open_dataset(manifest)
    checkpoint.save_weights(folder / "initial.npz", MobileNetV2(NETWORK, seed), ["none"])
    options = RelabelTransferOptions(
        str(manifest),
        ontology=str(ontology),
        base=tuple(LABELLINGS),
        init=str(folder / "initial.npz"),
        seed=seed,
        **SETTING,
    )
    stages = relabel_transfer(options, folder / "recipe")
    truth = true_labels(manifest, Ontology.from_json(ontology), recordings.classes)
    rows = json.loads((folder / "recipe" / "3-sets" / "sets.json").read_text())["target"]["test"]
    *_, last = (folder / "recipe").glob("*-tuned-*/best.npz")
    columns = [recordings.classes.index(name) for name in checkpoint.load(last)[1]["classes"]]
    y = truth[np.ix_(rows, columns)]
    for labelling in LABELLINGS:
        for transfer in TRANSFERS:
            (path,) = (folder / "recipe").glob(f"*-{transfer}-{labelling}/{SCORES}")
            yield {
                "condition": f"{labelling}, {transfer}",
                "seed": seed,
                "mAP": metrics.mean_average_precision(y, np.load(path)),
                "mAP by raters": stages[f"{transfer}-{labelling}"]["mAP"],
                "base mAP by raters": stages[f"base-{labelling}"]["mAP"],
            }


def true_labels(manifest, ontology, classes):
    """All that is to be heard, parents included, (N, C)."""
    with open(manifest, encoding="utf-8", newline="") as file:
        kinds = [row["truth"].split(";") for row in csv.DictReader(file)]
    complete = ontology.parent_expand(ontology.encode(kinds).to_dense())
    return complete[:, ontology.columns(classes)]


def table(rows):
    """Markdown: a line for each base labelling and way of transfer."""
    lines = ["| base, transfer | mAP | gain over ol | runs |", "|---" * 4 + "|"]
    for transfer in TRANSFERS:
        for labelling in LABELLINGS:
            name = f"{labelling}, {transfer}"
            own = [row["mAP"] for row in rows if row["condition"] == name]
            gain = with_interval(differences(rows, name, f"ol, {transfer}", "mAP"), "+")
            lines.append(
                f"| {name} | {with_interval(own)} | {'' if labelling == 'ol' else gain} | {len(own)} |"
            )
    return "\n".join(lines)


def main():
    reproduce(__doc__, "relabel_transfer", SETTING | {"data": DATA}, one_run, table, corpus=False)


if __name__ == "__main__":
    start(main)
