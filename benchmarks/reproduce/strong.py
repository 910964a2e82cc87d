"""Do strong labels beat diffuse ones, and these weak ones?  (Hershey et al.: d' from 1.13 to 1.39.)

Soundscapes of a corpus's recordings, so that their events are known; of the weak labels 30 to 50 % are
missing.  A network is trained on weak labels, then on from there with each kind of labels, and with parts of
the strong ones.  Measured are frames of 0.96 s and whole soundscapes, made of recordings that nothing was
trained on.  Each seed draws its own soundscapes and weights.

    python benchmarks/reproduce/strong.py /path/to/corpus
"""

from experiment import start
from report import differences, with_interval
from rows import reproduce
from soundscapes import CLASSES, MAKING, MISSING, NETWORK, soundscapes

from acdref import checkpoint
from acdref.nets.mobilenet import MobileNetV2
from acdref.recipes.strong import StrongOptions, strong

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


def one_run(given, seed, folder):
    """Rows of one seed: a row a network."""
    manifest, events = soundscapes(given, folder / "sounds", DATA, seed)
    checkpoint.save_weights(folder / "initial.npz", MobileNetV2(NETWORK, seed), CLASSES)
    options = StrongOptions(
        str(manifest),
        events=str(events),
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
    reproduce(__doc__, "strong", SETTING | {"data": DATA | MAKING, "missing": MISSING}, one_run, table)


if __name__ == "__main__":
    start(main)
