"""Train the shipped weights on real recordings.

    python weights/train_weights.py DATA --runs DIR
    python weights/train_weights.py DATA --runs DIR --width 0.5 --name acdnet-small

DATA/all.csv lists recordings with their classes, sources, licences and folds.  Fold 4 is never trained on:
the figures of the weights, and their thresholds, are from it.  Four stages, each an `acdref train` run that
is continued when the script is started again:

1. long: from random weights, sequences of 2 and 4 s, mixtures of one or two recordings, each repeated where
   it is shorter: most of the recordings are, and a step then costs a third of one on 10 s.
2. wide: begins with these; sequences of 2 to 10 s, filled in several ways, of any level, and some without
   anything to tag.
3. even: the same with fewer recordings of one repository, and more often without high frequencies, because
   the second stage had taken the recorder of most cats for the cat.
4. single: of the same, one recording in a sequence, repeated and not mixed, as it is when a recording is
   tagged; with high frequencies oftener again.

The last weights are calibrated on fold 4, and written to weights/NAME.npz; weights/sources.csv has the
sources of all recordings, with their licences.

    python weights/train_weights.py DATA --runs DIR --name wide --width 2 --widen acdnet --stages single
    python weights/train_weights.py DATA --runs DIR --name small-1 --width 0.5 --held-out 1 --share 0.6

Weights of another width or name, with some of the stages, a share of their epochs, or another fold held out,
do not ship: they stay in DIR/NAME.  The first of the stages begins from random weights, or with --widen,
since a step of a wide network is dear, with what narrower weights have learnt.  Several folds, each held out
once, measure the recipe (benchmarks/four_trainings.py).
"""

import argparse
import csv
import json
import random
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from acdref import calibrate, checkpoint
from acdref.augment import AUGMENTATIONS
from acdref.data import open_dataset
from acdref.files import make_folder, write_table, write_text
from acdref.nets import ACDNet
from acdref.train import Observer, Options, train

HELD_OUT = "4"
SHIPPED = {"acdnet": 1.0, "acdnet-small": 0.5}  # widths
UNNAMED = "mtr:"
"""Sources of a game's trains, short loops that nobody says who recorded: the last two stages are without
them, and nothing is measured on them."""
LONG = Options(
    manifest="",
    val_fold=HELD_OUT,
    keep="last",
    epochs=24,
    epoch_size=4000,
    batch=8,
    lr=3e-3,
    schedule="cosine",
    weight_decay=0.05,
    average=0.998,
    seconds=(2.1, 4.0),
    fill="repeat",
    empty=0.02,
    augment=replace(AUGMENTATIONS["light"], level=(-60.0, -8.0)),
    seed=21,
)
WIDE = replace(
    LONG,
    epochs=18,
    lr=2e-3,
    seconds=(2.1, 4.0, 10.0),
    fill="mixed",
    empty=0.05,
    augment=replace(AUGMENTATIONS["light"], level=(-80.0, -5.0)),
    seed=22,
)
EVEN = replace(
    WIDE,
    epochs=10,
    lr=1.5e-3,
    augment=replace(WIDE.augment, low_pass=0.5),
    seed=23,
)
SINGLE = replace(
    EVEN,
    mix_max=1,
    fill="repeat",
    augment=replace(EVEN.augment, low_pass=0.2),
    seed=24,
)
STAGES = {
    "long": (LONG, 60, True),
    "wide": (WIDE, 60, True),
    "even": (EVEN, 20, False),
    "single": (SINGLE, 20, False),
}
"""Options; from how many recordings of a repository and class on no more of that class are needed (two fifths
of the urban ones are from the same street microphones, nearly nine tenths of the cats from one study); and
whether unnamed sources count."""
RECIPE = "recipe.json"
"""In the folder of a run: what it was made with."""
HERE = Path(__file__).resolve().parent


def read_rows(data):
    """Rows of all.csv."""
    with open(data / "all.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chosen(rows, fold, most, unnamed):
    """All named of the fold that is held out; of the others each that has a class of which fewer than `most`
    from its repository are taken."""
    had, taken = Counter(), set()
    for i in random.Random(0).sample(range(len(rows)), len(rows)):
        row = rows[i]
        held_out = row["fold"] == fold
        if row["source_id"].startswith(UNNAMED) and (held_out or not unnamed):
            continue
        kinds = [(name, row["source_repo"]) for name in row["classes"].split(";")]
        if held_out:
            taken.add(i)
        elif any(had[kind] < most for kind in kinds):
            taken.add(i)
            had.update(kinds)
    return [rows[i] for i in sorted(taken)]


def sources(rows):
    """Of each source of the recordings of any stage: where it is from, its licence, and what it serves."""
    rows = {row["path"]: row for _, *which in STAGES.values() for row in chosen(rows, HELD_OUT, *which)}
    names = ("source_id", "source_repo", "licence", "attribution")
    uses = {True: "thresholds", False: "training"}
    count = Counter((*(row[name] for name in names), uses[row["fold"] == HELD_OUT]) for row in rows.values())
    return [*names, "use", "recordings"], [(*source, n) for source, n in count.items()]


def widened(net, times, seed=0):
    """An ACDnet of `times` (int) the channels with the same probabilities (Net2Net: Chen et al. 2016).

    Every channel is there several times.  What reads it divides its old weight among these by chance, so that
    they learn different things from the first step on.
    """
    wide = ACDNet(net.config.scaled(times), backend=net.backend)
    rng = np.random.default_rng(seed)
    for name, own in net.params.items():
        new = wide.params[name]
        new[...] = np.tile(own, [n // m for n, m in zip(new.shape, own.shape, strict=True)])
        if own.ndim in (2, 4) and new.shape[-2] > own.shape[-2]:  # (..., in, out)
            share = rng.dirichlet(np.full(times, 4.0), (*own.shape[:-1], new.shape[-1]))
            new *= np.moveaxis(share, -1, -3).reshape(new.shape)  # (..., times in, out)
    for name, own in net.state.items():
        wide.state[name][...] = np.tile(own, times)
    return wide


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


def asked():
    """The arguments, what of them makes the weights, and the recordings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with all.csv and its recordings")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--name", default="acdnet", help="of the weights [%(default)s]")
    parser.add_argument("--width", type=float, default=1.0, help="of the network [%(default)s]")
    parser.add_argument("--widen", metavar="WEIGHTS", help="begin with these, WIDTH times as wide")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=[*STAGES], help="[all]")
    parser.add_argument("--held-out", default=HELD_OUT, metavar="FOLD", help="[%(default)s]")
    parser.add_argument("--share", type=float, default=1.0, help="of the epochs, at most 1 [%(default)s]")
    given = parser.parse_args()
    recipe = {name: getattr(given, name) for name in ("width", "widen", "held_out", "share")}
    recipe["stages"] = [name for name in STAGES if name in given.stages]
    whole = {"widen": None, "held_out": HELD_OUT, "share": 1.0, "stages": [*STAGES]}
    width = SHIPPED.get(given.name)
    if width and recipe != whole | {"width": width}:
        parser.error(f"{given.name} is whole and has --width {width:g}: choose another --name")
    if given.widen and (given.width not in (2, 3, 4) or given.held_out != HELD_OUT):
        parser.error(f"--widen needs a --width of 2, 3 or 4, and fold {HELD_OUT} held out")
    rows = read_rows(given.data)
    if given.held_out not in {row["fold"] for row in rows} or not 0 < given.share <= 1:
        parser.error("--held-out is a fold of all.csv, and --share above 0 and at most 1")
    recorded = given.runs / given.name / RECIPE
    if recorded.exists() and json.loads(recorded.read_text()) != recipe:
        parser.error(f"{recorded.parent} is of another recipe: choose another --name")
    return given, recipe, rows


def main():
    started = time.monotonic()
    given, recipe, rows = asked()
    runs, ships = given.runs / given.name, given.name in SHIPPED
    make_folder(runs)
    write_text(runs / RECIPE, json.dumps(recipe) + "\n")
    begin = {"width": given.width}
    if given.widen:
        net, meta = checkpoint.load_weights(given.widen)
        begin = {"init": str(runs / "widened.npz")}
        checkpoint.save_weights(begin["init"], widened(net, round(given.width)), meta["classes"])
    for name in recipe["stages"]:
        options, *which = STAGES[name]
        run, manifest = runs / name, runs / f"{name}.csv"
        taken = chosen(rows, given.held_out, *which)
        write_table(manifest, list(rows[0]), [list(row.values()) for row in taken])
        epochs = max(1, round(options.epochs * given.share))
        if epochs_done(run) < epochs:
            own = {"manifest": str(manifest), "root": str(given.data), "val_fold": given.held_out}
            train(replace(options, epochs=epochs, **own, **begin), run, resume=True, observer=Printer())
        begin = {"init": str(run / "best.npz")}
    net, meta = checkpoint.load_weights(begin["init"])
    held_out = open_dataset(manifest, given.data, meta["classes"]).where(fold=given.held_out)
    folder = HERE if ships else runs
    calibrate.save(calibrate.calibrate(net, held_out), begin["init"], folder / f"{given.name}.npz")
    if ships:
        write_table(HERE / "sources.csv", *sources(rows))
    minutes = (time.monotonic() - started) / 60
    print(f"wrote {folder / given.name}.npz after {minutes:.0f} minutes", file=sys.stderr)


if __name__ == "__main__":
    main()
