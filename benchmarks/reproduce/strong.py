"""Do strong labels beat diffuse ones, and these weak ones?  (Hershey et al.: d' from 1.13 to 1.39.)

Soundscapes of a corpus's recordings, so that their events are known; of the weak labels 30 to 50 % are
missing.  A network is trained on weak labels, then on from there with each kind of labels, and with parts of
the strong ones.  Measured are frames of 0.96 s and whole soundscapes, made of recordings that nothing was
trained on.  Each seed draws its own soundscapes and weights.

    python benchmarks/reproduce/strong.py /path/to/corpus
"""

import argparse
import json
import time
from pathlib import Path

from experiment import seeds, start
from report import differences, with_interval
from rows import Rows
from soundscapes import CLASSES, MAKING, MISSING, network, soundscapes

from acdref import checkpoint
from acdref.files import write_text
from acdref.recipes.strong import Options, strong

DATA = {"train": 250, "test": 80}
SETTING = {
    "epochs": 16,
    "lr": 3e-3,
    "tune_epochs": 6,
    "tune_lr": 1e-3,
    "batch": 8,
    "shares": (0.1, 0.3),
}
NAMES = {
    "weak": "weak, before training on",
    "tuned-weak": "weak",
    "tuned-diffuse": "diffuse",
    "strong-0.1": "strong, 10 %",
    "strong-0.3": "strong, 30 %",
    "tuned-strong": "strong",
}
BASELINE = NAMES["tuned-weak"]
COLUMNS = {"frames d'": ("frames", "d_prime"), "frames lwlrap": ("frames", "lwlrap")}
COLUMNS |= {"clips d'": ("clips", "d_prime"), "clips lwlrap": ("clips", "lwlrap")}


def one_run(corpus, seed, fold, folder):
    """Rows of one seed: a row a network."""
    manifest, events = soundscapes(corpus, folder / "sounds", DATA["train"], DATA["test"], seed, fold)
    checkpoint.save_weights(folder / "initial.npz", network(seed), CLASSES)
    options = Options(
        str(manifest),
        str(events),
        classes=CLASSES,
        init=str(folder / "initial.npz"),
        seed=seed,
        **SETTING,
    )
    stages = strong(options, folder / "recipe")
    for name, condition in NAMES.items():
        values = {column: stages[name][place][key] for column, (place, key) in COLUMNS.items()}
        yield {"condition": condition, "seed": seed, "strong set": stages[name]["strong_set"]} | values


def table(rows):
    """Markdown: a line for each kind of labels."""
    gain = f"gain in {next(iter(COLUMNS))} over {BASELINE}"
    lines = [f"| labels | {' | '.join(COLUMNS)} | {gain} | runs |", "|---" * (len(COLUMNS) + 3) + "|"]
    for condition in NAMES.values():
        own = [row for row in rows if row["condition"] == condition]
        cells = [condition, *(with_interval([row[column] for row in own]) for column in COLUMNS)]
        gains = differences(rows, condition, BASELINE, next(iter(COLUMNS)))
        cells += ["" if condition == BASELINE else with_interval(gains, "+"), str(len(own))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", help="manifest with folds, or its folder")
    parser.add_argument("--work", default="reproduce", help="folder of soundscapes and runs [%(default)s]")
    parser.add_argument(
        "--results", default=Path(__file__).parent / "results", help="folder of CSV and table"
    )
    parser.add_argument("--seeds", type=seeds, default=(0, 1, 2), metavar="A,B,...", help="[0,1,2]")
    parser.add_argument("--fold", default="4", help="whose recordings to measure on [%(default)s]")
    given = parser.parse_args()
    setting = SETTING | {"data": DATA | MAKING, "missing": MISSING, "fold": given.fold}
    rows = Rows(Path(given.results) / "strong.csv", json.dumps(setting))
    for seed in given.seeds:
        if not rows.has(seed=seed):
            worked = time.process_time()
            found = list(one_run(given.corpus, seed, given.fold, Path(given.work) / "strong" / str(seed)))
            rows.add(found, processor_seconds=time.process_time() - worked)
    print(f"\n{table(rows.rows)}")
    write_text(rows.path.with_suffix(".md"), table(rows.rows) + "\n")


if __name__ == "__main__":
    start(main)
