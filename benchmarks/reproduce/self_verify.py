"""Does accuracy rise over rounds of self-verification?  (Dorfer & Widmer: 93.87 to 96.01 %.)

The ten classes of ESC-10 as they are in a corpus with folds: 40 % of the recordings verified, 30 % of the
others with a wrong label.  Measured are, in each round, the mean accuracy on the verified recordings that
each network leaves out (the paper's figures), the accuracy on a fold that nothing was trained on, and how
many of the accepted labels were right.  "verified only" accepts nothing: the same rounds from the same
networks, trained on with the verified recordings.

    python benchmarks/reproduce/self_verify.py /path/to/corpus
"""

import contextlib
import csv
import dataclasses
from pathlib import Path

import numpy as np
from experiment import start
from report import with_interval
from rows import reproduce

from acdref import checkpoint
from acdref.data import open_dataset, write_manifest
from acdref.errors import AcdrefError
from acdref.fit import Observer, Stopped
from acdref.nets.mobilenet import InvertedStage, MobileNetConfig, MobileNetV2
from acdref.recipes.made_up import mislabel
from acdref.recipes.self_verify import ACCEPTED, SelfVerifyOptions, self_verify

SOURCE = "karolpiczak/ESC-10"
VERIFIED, WRONG = 0.4, 0.3
CONDITIONS = {"self-verification": {}, "verified only": {"cap": 0}}
NETWORK = MobileNetConfig(
    stem=8,
    stages=(InvertedStage(1, 16, 1, 2), InvertedStage(3, 24, 1, 2), InvertedStage(3, 32, 1, 2)),
    last=64,
    dropout=0.1,
)
"""MobileNetV2 with three blocks and a score for each 0.16 s: 10,786 parameters."""
SETTING = {
    "clip": 5.0,
    "excerpt": 1.28,
    "folds": 3,
    "epochs": 24,
    "constant": 8,
    "lr": 5e-3,
    "alpha": 0.2,
    "rounds": 3,
    "tune_epochs": 4,
    "tune_constant": 1,
    "tune_lr": 1.5e-3,
    "batch": 16,
    "excerpts": 3,
    "threshold": 0.4,
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


class _Begin(Observer):
    """Stops a recipe before its first stage."""

    def log(self, text):
        raise Stopped


def branched(options, folder, usual, base):
    """The stages of a run whose training on all labels is that of the usual run, but without rounds."""
    first = list(self_verify(dataclasses.replace(usual, rounds=0), base))
    with contextlib.suppress(Stopped):
        self_verify(options, folder, observer=_Begin())
    for number, name in enumerate(first[: first.index("initial") + 1], start=1):
        link = folder / f"{number}-{name}"
        if not link.exists():
            link.symlink_to((base / link.name).resolve())
    return self_verify(options, folder)


def one_run(given, seed, folder):
    """Rows of one seed: a row for each condition and round."""
    recordings, fold = esc10(given.corpus), given.fold
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(doubtful(recordings, fold, seed), folder / "manifest.csv")
    config = dataclasses.replace(NETWORK, classes=len(recordings.classes))
    checkpoint.save_weights(folder / "initial.npz", MobileNetV2(config, seed), recordings.classes)
    right = (recordings.classes[c] for c in recordings.labels.argmax(axis=1))
    truth = dict(zip(recordings.paths, right, strict=True))
    usual = SelfVerifyOptions(
        str(folder / "manifest.csv"),
        root=recordings.root,
        classes=recordings.classes,
        val_fold=fold,
        init=str(folder / "initial.npz"),
        seed=seed,
        **SETTING,
    )
    for condition, changed in CONDITIONS.items():
        own = folder / condition.replace(" ", "-")
        stages = branched(dataclasses.replace(usual, **changed), own, usual, folder / "initial")
        rounds = [name for name in stages if name == "initial" or name.startswith("round-")]
        for number, name in enumerate(rounds):
            row = {"condition": condition, "seed": seed, "round": number}
            row |= {"best": int(name == stages["ensemble"]["best"])}
            row |= {measure: stages[name][measure] for measure in ("val_loss", "val_accuracy")}
            row |= {measure: stages[name]["test"][measure] for measure in ("accuracy", "MAP@3")}
            accepted = accepted_in(own, name) if number else []
            yield row | {"accepted": len(accepted), "right": sum(truth[p] == c for p, c in accepted)}


def accepted_in(folder, stage):
    """Recordings and labels that counted as verified in a round."""
    (path,) = folder.glob(f"*-{stage}/{ACCEPTED}")
    with open(path, encoding="utf-8", newline="") as file:
        return [(row["path"], row["class"]) for row in csv.DictReader(file)]


def table(rows):
    """Markdown: a line for each round of each condition, and for the rounds that validation chose."""
    titles = ["condition", "round", "validation accuracy", "accuracy", "change", "over verified only"]
    titles += ["accepted", "of these right", "runs"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for condition in CONDITIONS:
        for place in [*range(SETTING["rounds"] + 1), "best"]:
            own, control = (_rows_at(rows, name, place) for name in (condition, "verified only"))
            change = with_interval(_gains(own, _rows_at(rows, condition, 0)), "+") if place else ""
            compared = place and condition != "verified only"
            beyond = with_interval(_gains(own, control), "+") if compared else ""
            accepted = sum(row["accepted"] for row in own)
            right = f"{sum(row['right'] for row in own) / accepted:.3f}" if accepted else ""
            each = f"{accepted / len(own):.1f}" if own and place else ""
            cells = [condition, str(place)]
            cells += [with_interval([row[name] for row in own]) for name in ("val_accuracy", "accuracy")]
            lines.append(f"| {' | '.join([*cells, change, beyond, each, right, str(len(own))])} |")
    return "\n".join(lines)


def _rows_at(rows, condition, place):
    """A condition's rows of a round, or of the round with the lowest validation loss ("best")."""
    own = [row for row in rows if row["condition"] == condition]
    if place == "best":
        return [row for row in own if row["best"]]
    return [row for row in own if row["round"] == place]


def _gains(rows, others):
    """Differences in accuracy, seed by seed."""
    before = {row["seed"]: row["accuracy"] for row in others}
    return [row["accuracy"] - before[row["seed"]] for row in rows if row["seed"] in before]


def main():
    reproduce(__doc__, "self_verify", SETTING, one_run, table)


if __name__ == "__main__":
    start(main)
