"""Weigh `acdref train` end to end against what the cores allow.

    python benchmarks/training_loop.py CORPUS [--rounds 3] [--seconds 8] [--workers N] [--only NAME,...]

CORPUS is a manifest, or its folder; a hundred of its recordings serve.  A configuration is a preset, or one
with other options.  Each of its rounds takes turns in one process: training goes on for so many seconds;
then, while it waits, a step is timed with all threads and with one, and so are sequences that training does
not draw, with their features, made as a worker makes them.  What was made ahead meanwhile is used up before
the next turn, and before the first one kernels are compiled and recordings decoded.

The efficiency is sequences a second x (core seconds of step + data a sequence) / cores, of the medians over
the rounds: at 100 % no core waits, ever.  Core seconds are processor time.  A step with two threads takes
more of it than with one, for they share caches and memory; the second efficiency takes the step's with one
thread, which no loop can reach.  "step alone" is how many sequences a second there would be if data cost
nothing.  Memory is the peak of the process, what the benchmark itself keeps included, and of the largest
worker so far.
"""

import argparse
import csv
import dataclasses
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table
from turns import among

from acdref import train as training
from acdref.data import open_dataset
from acdref.fit import Job, Observer, Run, by_steps
from acdref.losses import bce
from acdref.nets import registry
from acdref.ops.threads import get_threads, set_threads

RECORDINGS = 100
WARM = 10  # steps that do not count; three times as many before the first turn
COLUMNS = {
    "training": "{name}",
    "sequences/s": "{rate:.1f}",
    "step alone": "{alone:.1f}",
    "step, core ms": "{step:.1f}",
    "one thread": "{single:.1f}",
    "data, core ms": "{data:.1f}",
    "efficiency": "{efficiency:.1%}",
    "of one thread": "{strict:.1%}",
    "workers": "{workers}",
    "peak MB": "{peak:.0f}",
    "of one": "{worker:.0f}",
}
CONFIGURATIONS = {
    "cpu": ("cpu", {}),
    "cpu, 10 s": ("cpu", {"seconds": 10.0, "fill": "concatenate"}),
    "paper": ("paper", {}),
}


class Clock(Observer):
    """Processor and wall time after each step."""

    def __init__(self):
        self.times = []

    def step(self, epoch, step, loss, rate):
        self.times.append((time.process_time(), time.perf_counter()))


class Turns(Observer):
    """Lets training go on for a while, and measures, while it waits, what it consists of."""

    def __init__(self, options, rounds, seconds):
        self.options, self.rounds, self.seconds = options, rounds, seconds
        self.found = {"rate": [], "step": [], "alone": [], "single": [], "data": []}
        self.steps, self.begun = -3 * WARM, 0.0
        manifest = open_dataset(options.manifest, options.root)
        self.net = registry.build("acdnet", len(manifest.classes))
        self.loader = training._loader(dataclasses.replace(options, workers=0), manifest, self.net, self)
        for row in range(len(manifest)):
            self.loader.sequences.clips.segment(manifest.file(row), lambda n: (0, 0))

    def log(self, text):
        print(text, flush=True)

    def step(self, epoch, step, loss, rate):
        self.steps += 1
        now = time.perf_counter()
        if self.steps == 0:
            self.begun = now
        elif self.steps > 0 and now - self.begun > self.seconds:
            self.found["rate"].append(self.steps * self.options.batch / (now - self.begun))
            self.measure()
            self.steps = -WARM

    def should_stop(self):
        return len(self.found["rate"]) == self.rounds

    def measure(self):
        """Data and step by themselves, a sequence."""
        batches = self.loader.batches(1, steps=10**6, start=8 * len(self.found["rate"]))
        next(batches)
        begun = time.process_time()
        for _ in range(5):
            batch = next(batches)
        self.found["data"].append((time.process_time() - begun) / 5 / self.options.batch)
        (cores, wall), threads = self.learnt(batch), get_threads()
        self.found["step"].append(cores)
        self.found["alone"].append(1 / wall)
        set_threads(1)
        self.found["single"].append(self.learnt(batch)[0])
        set_threads(threads)

    def learnt(self, batch, steps=4):
        """Processor and wall time of the step, as training takes it, in seconds a sequence."""
        options, clock = self.options, Clock()
        job = Job(
            epochs=1,
            steps=steps,
            batches=by_steps(lambda epoch, step: batch, steps),
            loss=bce,
            rate=lambda epoch, step: options.lr,
            weight_decay=options.weight_decay,
            average=options.average,
        )
        Run(self.net, job, None, clock).work()
        return (np.array(clock.times[-1]) - clock.times[0]) / (steps - 1) / options.batch


def some(corpus, out):
    """A manifest of recordings from all over a corpus."""
    with open(corpus, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = np.linspace(0, len(rows) - 1, min(RECORDINGS, len(rows))).round().astype(int)
    with open(out, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ("path", "classes"), extrasaction="ignore")
        table.writeheader()
        table.writerows(rows[i] for i in chosen)


def measured(options, folder, rounds, seconds):
    """A row of the table."""
    turns = Turns(options, rounds, seconds)
    training.train(options, folder, observer=turns)
    row = {name: statistics.median(values) for name, values in turns.found.items()}
    share = row["rate"] / len(os.sched_getaffinity(0))
    row["efficiency"] = share * (row["step"] + row["data"])
    row["strict"] = share * (row["single"] + row["data"])
    row |= {name: 1e3 * row[name] for name in ("step", "single", "data")}
    for name, who in (("peak", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN)):
        row[name] = resource.getrusage(who).ru_maxrss / 1e3
    return row | {"workers": options.workers, "rounds": turns.found}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of training, each round [%(default)s]")
    parser.add_argument("--workers", type=int, help="in place of the preset's")
    parser.add_argument("--only", type=among(CONFIGURATIONS), default=list(CONFIGURATIONS))
    parser.add_argument("--json", type=Path, default=RESULTS / "training_loop.json")
    given = parser.parse_args()
    corpus = given.corpus / "manifest.csv" if given.corpus.is_dir() else given.corpus
    machine = describe("acdref", "numpy", "numba")
    table = Table(COLUMNS, machine, seconds=given.seconds, recordings=RECORDINGS)
    with tempfile.TemporaryDirectory() as temporary:
        manifest = Path(temporary) / "some.csv"
        some(corpus, manifest)
        for name in given.only:
            preset, changes = CONFIGURATIONS[name]
            changes = changes | {"root": str(corpus.parent.resolve()), "epoch_size": 10**6}
            changes |= {} if given.workers is None else {"workers": given.workers}
            options = training.Options.preset(preset, str(manifest), **changes)
            table.add(name=name, **measured(options, manifest.parent / name, given.rounds, given.seconds))
            table.write(given.json)


if __name__ == "__main__":
    main()
