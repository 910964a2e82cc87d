"""Does accuracy rise over rounds of self-verification?  (Dorfer & Widmer: 93.87 to 96.01 %.)

The ten classes of ESC-10 as they are in a corpus with folds: 40 % of the recordings verified, 30 % of the
others with a wrong label.  Measured is a fold that nothing was trained on, in each round, and how many of the
accepted labels were right.  "verified only" accepts nothing: the same rounds, trained on with the verified
recordings.

    python benchmarks/reproduce/self_verify.py /path/to/corpus
"""

import argparse
import csv
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
from experiment import seeds, start
from report import with_interval
from rows import Rows

from acdref import checkpoint
from acdref.data import open_dataset, write_manifest
from acdref.errors import AcdrefError
from acdref.files import write_text
from acdref.nets.vgg import VGGConfig, VGGGap, VGGLayer
from acdref.recipes.made_up import mislabel
from acdref.recipes.self_verify import ACCEPTED, Options, self_verify

SOURCE = "karolpiczak/ESC-10"
VERIFIED, WRONG = 0.4, 0.3
CONDITIONS = {"self-verification": {}, "verified only": {"cap": 0}}
NETWORK = (
    VGGLayer(16, size=7, stride=4, padding=3),
    VGGLayer(32, pool=(2, 2)),
    VGGLayer(48, pool=(2, 2)),
    VGGLayer(64, pool=(2, 2)),
    VGGLayer(64, size=1, padding=0, dropout=0.2),
)
"""VGG with global average pooling in small: 52,000 parameters."""
SETTING = {
    "clip": 5.0,
    "excerpt": 1.152,
    "folds": 3,
    "epochs": 24,
    "constant": 10,
    "lr": 3e-3,
    "alpha": 0.2,
    "rounds": 3,
    "tune_epochs": 6,
    "tune_constant": 2,
    "tune_lr": 1e-3,
    "batch": 16,
    "excerpts": 4,
    "threshold": 0.7,
    "cap": 10,
}


def esc10(corpus):
    """The recordings of ESC-10 with their ten classes, which the corpus names in `original_name`."""
    path = Path(corpus)
    path = path / "manifest.csv" if path.is_dir() else path
    whole = open_dataset(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        names = {
            row["path"]: row["original_name"].split("/")[0].split(" - ")[1].lower()
            for row in csv.DictReader(file)
            if row.get("source_repo") == SOURCE
        }
    if not names:
        raise AcdrefError(f"{path}: none of its recordings comes from {SOURCE}")
    part = whole.select([i for i, name in enumerate(whole.paths) if name in names])
    classes = tuple(sorted(set(names.values())))
    labels = np.array([[names[name] == c for c in classes] for name in part.paths], float)
    return dataclasses.replace(part, labels=labels, classes=classes)


def doubtful(recordings, fold, seed):
    """The recordings with verified flags and wrong labels outside the fold, and what is right."""
    rng = np.random.default_rng(seed)
    truth = recordings.labels.argmax(axis=1)
    held_out = np.array(recordings.fold) == fold
    verified = held_out.copy()
    for c in range(len(recordings.classes)):
        members = rng.permutation(np.flatnonzero((truth == c) & ~held_out))
        verified[members[: round(VERIFIED * len(members))]] = True
    given = truth.copy()
    given[~verified] = mislabel(truth[~verified], len(recordings.classes), WRONG, rng)
    labels = np.eye(len(recordings.classes))[given]
    return dataclasses.replace(recordings, labels=labels, verified=tuple(verified.tolist()))


def one_run(recordings, condition, seed, fold, folder):
    """Rows of one run: a row a round."""
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(doubtful(recordings, fold, seed), folder / "manifest.csv")
    config = VGGConfig(classes=len(recordings.classes), layers=NETWORK)
    checkpoint.save_weights(folder / "initial.npz", VGGGap(config, seed), recordings.classes)
    options = Options(
        str(folder / "manifest.csv"),
        root=recordings.root,
        classes=recordings.classes,
        val_fold=fold,
        init=str(folder / "initial.npz"),
        seed=seed,
        **(SETTING | CONDITIONS[condition]),
    )
    stages = self_verify(options, folder / "recipe")
    truth = dict(zip(recordings.paths, recordings.labels.argmax(axis=1), strict=True))
    rounds = [name for name in stages if name == "initial" or name.startswith("round-")]
    for number, name in enumerate(rounds):
        stage = stages[name]
        row = {
            "condition": condition,
            "seed": seed,
            "round": number,
            "best": name == stages["ensemble"]["best"],
        }
        row |= {"accuracy": stage["test"]["accuracy"], "MAP@3": stage["test"]["MAP@3"]}
        row |= {"val_loss": stage["val_loss"], "accepted": 0, "right": 0}
        if number:
            (path,) = (folder / "recipe").glob(f"*-{name}/{ACCEPTED}")
            with open(path, encoding="utf-8", newline="") as file:
                accepted = [(a["path"], recordings.classes.index(a["class"])) for a in csv.DictReader(file)]
            row["accepted"] = len(accepted)
            row["right"] = sum(truth[p] == c for p, c in accepted)
        yield row


def table(rows):
    """Markdown: a line for each round of each condition."""
    lines = ["| condition | round | accuracy | change | accepted | of these right | runs |", "|---" * 7 + "|"]
    for condition in CONDITIONS:
        for number in range(SETTING["rounds"] + 1):
            own = [r for r in rows if (r["condition"], r["round"]) == (condition, number)]
            if not own:
                continue
            first = {r["seed"]: r["accuracy"] for r in rows if (r["condition"], r["round"]) == (condition, 0)}
            change = with_interval([r["accuracy"] - first[r["seed"]] for r in own], "+") if number else ""
            accepted = sum(r["accepted"] for r in own)
            right = f"{sum(r['right'] for r in own) / accepted:.3f}" if accepted else "–"
            cells = [condition, str(number), with_interval([r["accuracy"] for r in own]), change]
            cells += [f"{accepted / len(own):.1f}", right, str(len(own))]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", help="manifest with folds, or its folder")
    parser.add_argument("--work", default="reproduce", help="folder of runs [%(default)s]")
    parser.add_argument(
        "--results", default=Path(__file__).parent / "results", help="folder of CSV and table"
    )
    parser.add_argument("--seeds", type=seeds, default=(0, 1, 2), metavar="A,B,...", help="[0,1,2]")
    parser.add_argument("--fold", default="4", help="to measure on [%(default)s]")
    given = parser.parse_args()
    setting = json.dumps(SETTING | {"fold": given.fold})
    rows = Rows(Path(given.results) / "self_verify.csv", setting)
    recordings = esc10(given.corpus)
    for condition in CONDITIONS:
        for seed in given.seeds:
            if not rows.has(condition=condition, seed=seed):
                worked = time.process_time()
                folder = Path(given.work) / "self_verify" / f"{condition.replace(' ', '-')}-{seed}"
                found = list(one_run(recordings, condition, seed, given.fold, folder))
                rows.add(found, processor_seconds=time.process_time() - worked)
    print(f"\n{table(rows.rows)}")
    write_text(rows.path.with_suffix(".md"), table(rows.rows) + "\n")


if __name__ == "__main__":
    start(main)
