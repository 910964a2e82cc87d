"""Do strong labels beat diffuse ones, and these weak ones?  (Hershey et al.: d' from 1.13 to 1.39.)

The six rows of their Table 1, and two more.  Soundscapes of a corpus's recordings, so that their events are
known; of the weak labels 30 to 50 % are missing.  The events of some soundscapes are the strong set, a fifth
of which is held out to pick each network's epoch and mu.  Networks are trained from scratch on the strong set
alone with each kind of labels, on all soundscapes with weak ones, and on from there.  Measured are whole
soundscapes and frames of 0.96 s, made of recordings that nothing was trained on.  Each seed draws its own
soundscapes and weights.

    python benchmarks/reproduce/strong.py /path/to/corpus
"""

from experiment import start
from report import differences, with_interval
from rows import reproduce
from soundscapes import CLASSES, MAKING, MISSING, NETWORK, soundscapes

from acdref import checkpoint
from acdref.nets.mobilenet import MobileNetV2
from acdref.recipes.strong import StrongOptions, strong

DATA = {"train": 200, "test": 80}
SETTING = {
    "strong_set": 0.3,
    "held_out": 0.2,
    "epochs": 12,
    "part_epochs": 16,
    "lr": 3e-3,
    "tune_epochs": 5,
    "tune_lr": 1e-3,
    "mu_diffuse": (0.2, 0.7),
    "mu_strong": (0.2, 0.8),
    "control": True,
    "shares": (0.3,),
    "batch": 8,
}
NAMES = {
    "weak-part": "weak, strong set alone",
    "diffuse-part": "diffuse, strong set alone",
    "strong-part": "strong, strong set alone",
    "weak-all": "weak, all",
    "plus-weak": "+ weak",
    "plus-diffuse": "+ diffuse",
    "plus-strong-0.3": "+ strong, 30 %",
    "plus-strong": "+ strong",
}
BASELINE = NAMES["weak-all"]
COLUMNS = {"weak eval d'": ("weak", "d_prime"), "weak eval lwlrap": ("weak", "lwlrap")}
COLUMNS |= {"strong eval d'": ("strong", "d_prime"), "strong eval lwlrap": ("strong", "lwlrap")}
GAIN = "strong eval d'"


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
        chosen = {key: stages[name][key] for key in ("strong_set", "mu", "epoch")}
        yield {"condition": condition, "seed": seed} | values | chosen


def table(rows):
    """Markdown: a line for each kind of labels."""
    gain = f"gain in {GAIN} over {BASELINE}"
    titles = ["labels", *COLUMNS, gain, "mu", "runs"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for condition in NAMES.values():
        own = [row for row in rows if row["condition"] == condition]
        cells = [condition, *(with_interval([row[column] for row in own]) for column in COLUMNS)]
        gains = differences(rows, condition, BASELINE, GAIN)
        cells.append("" if condition == BASELINE else with_interval(gains, "+"))
        cells += [", ".join(f"{row['mu']:g}" for row in own), str(len(own))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    reproduce(__doc__, "strong", SETTING | {"data": DATA | MAKING, "missing": MISSING}, one_run, table)


if __name__ == "__main__":
    start(main)
