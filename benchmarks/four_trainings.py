"""How good a recipe of weights is on sources that it has not met: several trainings, each with another fold
held out, and every recording scored by the one that has not heard it.

    python benchmarks/four_trainings.py MANIFEST [--root DIR] --without 'mtr:*' --weights A --weights B ...

The weights are those of `weights/train_weights.py`, whose recipe lies beside them and says which fold was
held out; those that ship have fold 4 held out.  The JSON file has the recipe of each.

Scores are pooled as the networks were trained, without scale and shift.  By class, average precision of all
recordings; of each collection, the first folder of the paths; and of the first part of extra, those with an
x in their number, with its interval by source (the chance of a training is not in it).  F1, of all, is with
scale, shift and thresholds that were fitted to the other folds, and at the thresholds that are best for
these scores in hindsight.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from machine import describe
from model_card import FOLD, as_rows, chooses_recordings, counts, crossed, held_out, precisions, undone
from report import RESULTS, Table

from acdref import metrics
from acdref.calibrate import fold
from acdref.checkpoint import load_weights
from acdref.files import sha256, weights_file
from acdref.predict.scoring import mean_over_windows, score_manifest
from acdref.tables.manifest import ACD_CLASSES

FIRST = "_x"
"""In the file names of the first part of extra, and of no others."""
COLUMNS = {
    "class": "{name}",
    "positives": "{positives}",
    "AP": "{ap:.3f}",
    "AP, corpus": "{ap_corpus:.3f}",
    "AP, extra": "{ap_extra:.3f}",
    "positives, x": "{positives_x}",
    "sources, x": "{sources_x}",
    "AP, x": "{ap_x:.3f}",
    "95 % interval": "{low:.2f} to {high:.2f}",
    "F1, other folds": "{f1_crossed:.3f}",
    "F1, in hindsight": "{f1_best:.3f}",
}


def recipe_of(file):
    """What weights were made with; of those that ship the fold alone."""
    beside = Path(file).parent / "recipe.json"
    return json.loads(beside.read_text()) if beside.exists() else {"held_out": FOLD}


def scored(manifest, weights):
    """Of each recording its windows, scored by the network that its fold was held out from, as trained."""
    windows = [None] * len(manifest)
    for held, file in weights.items():
        net, meta = load_weights(file)
        if tuple(meta["classes"]) != manifest.classes:
            sys.exit(f"{file} has other classes")
        if "calibration" in meta:
            fold(net, *undone(meta["calibration"]))
        own = [i for i, other in enumerate(manifest.fold) if other == held]
        found = {}
        part = manifest.select(own)
        score_manifest(net, part, lambda error: sys.exit(str(error)), on_windows=found.__setitem__)
        for k, i in enumerate(own):
            windows[i] = found[k]
    return windows


def measured(manifest, windows):
    """Rows: one a class, and one of all."""
    y = manifest.labels
    p = np.array([mean_over_windows(own) for own in windows])
    scores, tags = crossed(manifest, windows, manifest.fold)
    first = [i for i, path in enumerate(manifest.paths) if FIRST in Path(path).name]
    x = manifest.select(first)
    quality = precisions(manifest, p) | {
        "ap_x": metrics.average_precision(x.labels, p[first]),
        "f1_crossed": metrics.f_score(y, tags),
        "f1_best": metrics.f_score(y, scores, metrics.best_thresholds(y, scores, repeats=0)),
    }
    of_x = {f"{name}_x": count for name, count in counts(x).items()}
    return as_rows(x, p[first], counts(manifest) | of_x, quality)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chooses_recordings(parser, fold=False)
    parser.add_argument("--weights", action="append", required=True, help="file or name, twice or more")
    parser.add_argument("--json", type=Path, default=RESULTS / "four_trainings.json")
    given = parser.parse_args()
    files = [weights_file(name) for name in given.weights]
    weights = {recipe_of(file)["held_out"]: file for file in files}
    if len(weights) < max(2, len(files)):
        parser.error("two weights or more, each with another fold held out")
    given.fold = ",".join(weights)
    manifest = held_out(given, ACD_CLASSES)
    made = {held: recipe_of(file) | {"sha256": sha256(file)} for held, file in weights.items()}
    table = Table(
        COLUMNS,
        describe("acdref", "numpy", "numba"),
        without=given.without,
        weights=made,
        recordings=len(manifest),
    )
    for row in measured(manifest, scored(manifest, weights)):
        table.add(**row)
    table.write(given.json)


if __name__ == "__main__":
    main()
