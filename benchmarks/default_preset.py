"""What `acdref train` without options makes of a small corpus, and how long it takes.

    python benchmarks/default_preset.py CORPUS [--work DIR] [--fold 4] [--json FILE]

trains with the default preset on all folds of CORPUS (a manifest with folds, or its folder) but two: the one
that is measured on, and 5, which the corpus of the shipped weights keeps aside.  Nothing is validated on, so
the last weights count.  What was stopped is continued by the same command.

Wall and processor time are those of the training, start and compilation of the kernels included; on a busy
machine the second says more.  They are added up over the processes that it took, in times.json of the run,
every half minute.  Of a process that was killed, the processor time of its worker is missing, and what it
computed after its last checkpoint counts twice.
"""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

from machine import describe
from report import RESULTS, Table

from acdref import checkpoint
from acdref.data import open_dataset
from acdref.evaluate import evaluate
from acdref.files import write_text
from acdref.train import Observer, Options, train

COLUMNS = {
    "class": "{name}",
    "positives": "{positives}",
    "prior": "{prior:.3f}",
    "AP": "{ap:.3f}",
    "wall min": "{wall_minutes:.0f}",
    "processor min": "{processor_minutes:.0f}",
}


class Clock(Observer):
    """Prints a line an epoch, and keeps the times of all processes in a file."""

    def __init__(self, path):
        self.path, self.started, self.written = path, time.perf_counter(), 0.0
        self.before = json.loads(path.read_text()) if path.exists() else []

    def write(self):
        """What this process has taken so far, behind what those before it have."""
        self.written = time.perf_counter()
        processor = sum(os.times()[:4])  # of this process and, once they have ended, its workers
        times = [*self.before, {"wall": self.written - self.started, "processor": processor}]
        write_text(self.path, json.dumps(times) + "\n")
        return times

    def log(self, text):
        print(text, flush=True)

    def step(self, epoch, step, loss, rate):
        if time.perf_counter() - self.written > 30:
            self.write()

    def epoch(self, row):
        minutes = (time.perf_counter() - self.started) / 60
        self.log(f"epoch {row['epoch']}: loss {row['loss']:.4f}, {minutes:.1f} minutes")


def trained(options, out):
    """The weights that a run leaves, and its wall and processor time in minutes; done once."""
    out.mkdir(parents=True, exist_ok=True)
    done, clock = out / "done.json", Clock(out / "times.json")
    if not done.exists():
        train(options, out / "run", resume=True, observer=clock)
        times = clock.write()
        write_text(done, json.dumps([sum(t[of] for t in times) / 60 for of in ("wall", "processor")]))
    return checkpoint.load_weights(out / "run" / "best.npz"), json.loads(done.read_text())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--work", type=Path, default=Path("default_preset"), help="the run [%(default)s]")
    parser.add_argument("--fold", default="4", help="to measure on [%(default)s]")
    parser.add_argument("--json", type=Path, default=RESULTS / "default_preset.json")
    given = parser.parse_args()
    manifest = given.corpus / "manifest.csv" if given.corpus.is_dir() else given.corpus
    recordings = open_dataset(manifest)
    folds = sorted(set(recordings.fold) - {given.fold, "5"})
    options = Options(str(manifest), classes=recordings.classes, fold=",".join(folds))
    (net, meta), (wall, processor) = trained(options, given.work)
    found = evaluate(net, open_dataset(manifest, None, meta["classes"]).where(fold=given.fold))
    settings = dataclasses.asdict(options) | {"manifest": Path(manifest).name}
    machine = describe("acdref", "numpy", "numba")
    table = Table(COLUMNS, machine, options=settings, fold=given.fold, accuracy=found.mean_accuracy)
    for name, *row in zip(found.classes, found.positives.tolist(), found.priors, found.ap, strict=True):
        table.add(name=name, **dict(zip(("positives", "prior", "ap"), row, strict=True)))
    times = {"wall_minutes": wall, "processor_minutes": processor}
    table.add(name="mean", positives=found.clips, prior=found.mean_prior, ap=found.mean_ap, **times)
    table.write(given.json)


if __name__ == "__main__":
    main()
