"""Train the shipped weights on the corpus of real recordings.

    python weights/train_weights.py --corpus DIR --runs DIR

DIR/manifest.csv lists the recordings with their folds.  Four stages, each an `acdref train` run that begins
with the best weights of the one before, and is continued when the script is started again:

1. sequences: the paper's sequences, several recordings one after another; folds 1 to 3.
2. repeat: one recording at a time, repeated up to 10 s, which is how recordings are scored; folds 1 to 3.
3. select: the same with smaller batches, so with more steps; folds 1 to 3.  Its best weights are the ones
   whose figures on fold 4 are stated, because they have never seen it.
4. final: the same, all four folds.  These weights are shipped.

The first two stages end before their schedules do: validation had shown that more of the same was not worth
the time.

The result is written to weights/acdnet.npz.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from acdref import checkpoint
from acdref.augment import AUGMENTATIONS
from acdref.train import Observer, Options, train

SEQUENCES = Options(
    manifest="",
    val_fold="4",
    epochs=10,
    epoch_size=1600,
    batch=8,
    lr=2e-3,
    schedule="cosine",
    weight_decay=0.05,
    average=0.998,
    augment=replace(AUGMENTATIONS["light"], low_pass=0.3, equaliser=4.0, speed=0.15),
    seed=1,
)
REPEAT = replace(SEQUENCES, fill="repeat", epochs=5, lr=1.5e-3, average=0.995, seed=2)
SELECT = replace(REPEAT, batch=4, epochs=3, lr=2e-3, average=0.998, seed=3)
FINAL = replace(SELECT, val_fold=None, epochs=5, seed=4)

# name, options, after how many epochs to go on to the next
STAGES = (("sequences", SEQUENCES, 9), ("repeat", REPEAT, 2), ("select", SELECT, 3), ("final", FINAL, 5))


class Printer(Observer):
    """Prints a line every hundred steps and every epoch; stops after some epochs."""

    def __init__(self, epochs):
        self.epochs = epochs
        self.done = 0

    def log(self, text):
        print(text, flush=True)

    def step(self, epoch, step, loss, rate):
        if step % 100 == 0:
            self.log(f"epoch {epoch + 1}  step {step}  loss {loss:.4f}  {rate:.1f} sequences/s")

    def should_stop(self):
        return self.done >= self.epochs

    def epoch(self, row):
        self.done = row["epoch"]
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
    for name, options, epochs in STAGES:
        run = arguments.runs / name
        if epochs_done(run) < epochs:
            train(replace(options, manifest=manifest, init=init), run, resume=True, observer=Printer(epochs))
        init = str(run / "best.npz")
    net, meta = checkpoint.load_weights(init)
    target = Path(__file__).parent / "acdnet.npz"
    checkpoint.save_weights(target, net, meta["classes"])
    print(f"wrote {target} after {(time.monotonic() - started) / 60:.0f} minutes", file=sys.stderr)


if __name__ == "__main__":
    main()
