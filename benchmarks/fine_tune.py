"""What it brings to begin with the shipped weights: few recordings of classes of your own, in minutes.

    python benchmarks/fine_tune.py EXTRA [--recordings 20] [--epochs 4] [--json FILE]

takes four classes of EXTRA (a folder with manifest.csv), gives them names that the shipped weights do not
know, and trains on so many recordings of each from folds 1 to 3: from the shipped weights (--init acdnet,
whose last layer is drawn anew), and from scratch with as many steps.  mAP is that of the last weights on the
recordings of the same classes in fold 4, which neither training has heard; the intervals are by source.

It is an easy case: the weights know such kinds of sounds, and the recordings of folds 1 to 3, though not by
these names.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table

from acdref.checkpoint import load_weights
from acdref.data import open_dataset
from acdref.metrics import bootstrap_interval, mean_average_precision
from acdref.options.training import TrainOptions
from acdref.predict.scoring import score_manifest
from acdref.tables.manifest import write_manifest
from acdref.train import train

NAMES = {"alarm": "warning", "machinery": "engine", "music": "tune", "voice": "people"}
STARTS = {"shipped weights": {"init": "acdnet", "lr": 1e-3}, "scratch": {}}
COLUMNS = {
    "from": "{start}",
    "mAP": "{mAP:.3f}",
    "95 % interval": "{low:.3f} to {high:.3f}",
    "seconds": "{seconds:.0f}",
}


def renamed(folder):
    """The recordings of exactly one of the four classes, under the new names; and each one's source."""
    manifest = open_dataset(folder / "manifest.csv")
    labels = manifest.labels[:, [manifest.classes.index(name) for name in NAMES]]
    paths = tuple(str(Path(manifest.file(i)).resolve()) for i in range(len(manifest)))
    own = replace(manifest, paths=paths, labels=labels, classes=tuple(NAMES.values()))
    alone = (manifest.labels.sum(axis=1) == 1) & labels.any(axis=1)
    return own.select(np.flatnonzero(alone))


def few(manifest, count):
    """So many recordings of each class, drawn at random."""
    rng = np.random.default_rng(0)
    return manifest.select(
        np.concatenate([rng.permutation(np.flatnonzero(own))[:count] for own in manifest.labels.T])
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("extra", type=Path)
    parser.add_argument("--recordings", type=int, default=20, help="of each class [%(default)s]")
    parser.add_argument("--epochs", type=int, default=4, help="of 200 sequences [%(default)s]")
    parser.add_argument("--json", type=Path, default=RESULTS / "fine_tune.json")
    given = parser.parse_args()
    own = renamed(given.extra)
    taught, held_out = few(own.without(fold="4"), given.recordings), own.where(fold="4")
    sizes = {"recordings": len(taught), "held_out": len(held_out), "epochs": given.epochs}
    table = Table(COLUMNS, describe("acdref", "numpy", "numba", "soundfile"), **sizes)
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(taught, f"{folder}/own.csv")
        usual = TrainOptions(
            f"{folder}/own.csv", classes=own.classes, epochs=given.epochs, epoch_size=200, workers=0
        )
        for start, options in STARTS.items():
            began = time.monotonic()
            train(replace(usual, **options), f"{folder}/{start}")
            seconds = time.monotonic() - began
            net, _ = load_weights(f"{folder}/{start}/best.npz")
            y, p = held_out.labels, score_manifest(net, held_out)
            low, high = bootstrap_interval(mean_average_precision, y, p, held_out.sources)
            found = {"mAP": mean_average_precision(y, p), "low": low, "high": high, "seconds": seconds}
            table.add(start=start, **found)
    table.write(given.json)


if __name__ == "__main__":
    main()
