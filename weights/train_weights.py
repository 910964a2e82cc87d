"""Train the shipped weights on the corpus of real recordings.

    python weights/train_weights.py --corpus DIR --runs DIR

DIR/manifest.csv lists the recordings with their folds.  Three stages, each an `acdref train` run that is
continued when the script is started again:

1. select: folds 1 to 3.
2. longer: begins with its best weights, on the same folds, at the same rate again.  Its best weights are the
   ones whose figures on fold 4 are stated, because they have never seen it.
3. final: begins with these, on all four folds.  Its weights are shipped.

All train on sequences of 4 s, each one recording, repeated where it is shorter: most of the recordings are,
and a step then costs two fifths of one on 10 s.

The result is written to weights/acdnet.npz.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from acdref import checkpoint
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

STAGES = (("select", SELECT), ("longer", LONGER), ("final", FINAL))


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
    parser.add_argument("--corpus", type=Path, required=True, help="folder with manifest.csv and recordings")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    arguments = parser.parse_args()
    manifest = str(arguments.corpus / "manifest.csv")
    started = time.monotonic()
    init = None
    for name, options in STAGES:
        run = arguments.runs / name
        if epochs_done(run) < options.epochs:
            train(replace(options, manifest=manifest, init=init), run, resume=True, observer=Printer())
        init = str(run / "best.npz")
    net, meta = checkpoint.load_weights(init)
    target = Path(__file__).parent / "acdnet.npz"
    checkpoint.save_weights(target, net, meta["classes"])
    print(f"wrote {target} after {(time.monotonic() - started) / 60:.0f} minutes", file=sys.stderr)


if __name__ == "__main__":
    main()
