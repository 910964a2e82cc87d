"""Train the shipped weights on real recordings.

    python weights/train_weights.py DATA --runs DIR [--init WEIGHTS]

DATA/corpus/manifest.csv lists recordings with their folds, and DATA/all.csv these and the ones of DATA/extra,
which come from other kinds of sources.  Four stages, each an `acdref train` run that is continued when the
script is started again:

1. select: folds 1 to 3 of the corpus.
2. longer: begins with its best weights, on the same folds, at the same rate again.  Its best weights are the
   ones whose figures on fold 4 of the corpus are stated, because they have never seen it.
3. final: begins with these, on all four folds.
4. wider: begins with these, on the corpus and folds 1 to 3 of extra.  Its last weights are shipped; fold 4 of
   extra, which they have never seen, is what their figures and their thresholds are from.

--init begins with the fourth stage, from weights that the third has left: those that were shipped before.
The first three train on sequences of 4 s, each one recording, repeated where it is shorter: most of the
recordings are, and a step then costs two fifths of one on 10 s.  The fourth has sequences of 2 to 10 s,
filled in several ways, of any level, and some without anything to tag.

The result is written to weights/acdnet.npz.
"""

import argparse
import csv
import random
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from acdref import calibrate, checkpoint
from acdref.augment import AUGMENTATIONS
from acdref.data import open_dataset
from acdref.files import make_folder, write_table
from acdref.train import Observer, Options, train

SELECT = Options(
    manifest="",
    val_fold="4",
    epochs=14,
    epoch_size=2000,
    batch=8,
    lr=3e-3,
    schedule="cosine",
    weight_decay=0.05,
    average=0.998,
    seconds=4.0,
    fill="repeat",
    augment="light",
    seed=11,
)
LONGER = replace(SELECT, epochs=10, epoch_size=4000, seed=13)
FINAL = replace(LONGER, val_fold=None, epochs=5, lr=2e-3, seed=12)
WIDER = replace(
    FINAL,
    val_fold="4",
    keep="last",
    epochs=12,
    epoch_size=2000,
    seconds=(2.1, 4.0, 10.0),
    fill="mixed",
    empty=0.05,
    augment=replace(AUGMENTATIONS["light"], level=(-80.0, -5.0)),
    seed=14,
)


HELD_OUT = "4"
"""Fold of extra that the shipped weights have never seen."""
MOST = 30
"""Recordings of a class that one repository contributes to the fourth stage: half of the urban ones are
from the same street microphones, and four fifths of the cats were recorded in one study."""
HERE = Path(__file__).resolve().parent


def rows_of(data):
    """Rows of all.csv, those of the corpus in a fold of their own: the fourth stage trains on all of it."""
    with open(data / "all.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row | {"fold": "0"} if row["path"].startswith("corpus/") else row for row in rows]


def chosen(rows):
    """All that are held out; of the others at most so many a class and repository."""
    had, taken = Counter(), set()
    for i in random.Random(0).sample(range(len(rows)), len(rows)):
        row = rows[i]
        if row["fold"] == HELD_OUT:
            taken.add(i)
            continue
        kinds = [(name, row["source_repo"]) for name in row["classes"].split(";")]
        if any(had[kind] < MOST for kind in kinds):
            taken.add(i)
            had.update(kinds)
    return [rows[i] for i in sorted(taken)]


def sources(rows):
    """Of each source of the recordings that are trained on: where it is from, and its licence."""
    names = ("source_id", "source_repo", "licence", "attribution")
    count = Counter(tuple(row[name] for name in names) for row in rows if row["fold"] != HELD_OUT)
    return [*names, "recordings"], [(*source, n) for source, n in count.items()]


class Printer(Observer):
    """Prints a line every hundred steps and every epoch."""

    def log(self, text):
        print(text, flush=True)

    def step(self, epoch, step, loss, rate):
        if step % 100 == 0:
            self.log(f"epoch {epoch + 1}  step {step}  loss {loss:.4f}  {rate:.1f} sequences/s")

    def epoch(self, row):
        self.log("  ".join(f"{name} {value:.4g}" for name, value in row.items()))


def epochs_done(run):
    """Rows of a run's metrics.csv, below its header."""
    metrics = run / "metrics.csv"
    return len(metrics.read_text().splitlines()) - 1 if metrics.exists() else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with all.csv, corpus/ and extra/")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--init", help="weights that the third stage has left, to begin with the fourth")
    given = parser.parse_args()
    started = time.monotonic()
    make_folder(given.runs)
    rows = rows_of(given.data)
    wider = given.runs / "wider.csv"
    own = chosen(rows)
    write_table(wider, list(own[0]), [list(row.values()) for row in own])
    corpus = {"manifest": str(given.data / "corpus" / "manifest.csv")}
    stages = (
        []
        if given.init
        else [("select", SELECT, corpus), ("longer", LONGER, corpus), ("final", FINAL, corpus)]
    )
    stages.append(("wider", WIDER, {"manifest": str(wider), "root": str(given.data)}))
    init = given.init
    for name, options, data in stages:
        run = given.runs / name
        if epochs_done(run) < options.epochs:
            train(replace(options, init=init, **data), run, resume=True, observer=Printer())
        init = str(run / "best.npz")
    net, meta = checkpoint.load_weights(init)
    held_out = open_dataset(wider, given.data, meta["classes"]).where(fold=HELD_OUT)
    calibrate.save(calibrate.calibrate(net, held_out), init, HERE / "acdnet.npz")
    write_table(HERE / "sources.csv", *sources(rows))
    print(f"wrote weights and sources after {(time.monotonic() - started) / 60:.0f} minutes", file=sys.stderr)


if __name__ == "__main__":
    main()
