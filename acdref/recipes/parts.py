"""What several recipes have: the given data and what depends on it; training, scoring, relabelling."""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref import checkpoint, train
from acdref.files import replacing, sha256, weights_file, write_text
from acdref.fit import Job, Observer, Say, Stopped, by_steps, fit, reports
from acdref.losses import bce
from acdref.nets.network import Network
from acdref.ops.activation import sigmoid
from acdref.ops.softmax import softmax_channels
from acdref.optim import cosine
from acdref.options.training import TrainOptions
from acdref.predict.score_set import network_key, score_set
from acdref.recipes.stages import Stage
from acdref.relabel.job import relabel
from acdref.relabel.steps import Steps
from acdref.remote import join
from acdref.tables.manifest import Manifest, open_dataset, open_recordings, read_manifest, write_manifest

TRAIN, VAL, SCORES, BEST = "train.csv", "val.csv", "scores.npz", "best.npz"
_NAMED = ("manifest", "root", "classes", "fold", "val_fold", "val")
_BY_CONTENT = ("manifest", "fold", "val_fold", "val")  # what matters of them is which recordings they name


def key_of(
    options: Any, root: str, *recordings: Manifest | None, without: tuple = (), files: tuple = ()
) -> dict:
    """All that a recipe's result depends on, as JSON can hold it.

    Parameters
    ----------
    options : dataclass
    root : str
    *recordings : Manifest or None
        All recordings; the first one's classes count.
    without, files : tuple of str
        Options that do not count, or count as recordings; and files that count by their content, as ``init``
        does if there is one.

    Returns
    -------
    dict
    """
    key = dataclasses.asdict(options)
    for name in (*_BY_CONTENT, *without):
        key.pop(name, None)
    for name in {"init", *files} & key.keys():
        key[name] = key[name] and sha256(weights_file(key[name]))
    classes = next(manifest.classes for manifest in recordings if manifest is not None)
    return key | {"root": root, "classes": classes, "recordings": train.fingerprint(*recordings)}


def learn(
    net: Network,
    lesson: Any,
    folder: Path,
    observer: Observer,
    *,
    epochs: int,
    lr: float,
    seed: int,
    validate: Callable[[Network], dict] | None = None,
    keep: str = "last",
    patience: int | None = None,
) -> dict:
    """Train a network in place, or continue to; the rate falls as half a cosine.

    Parameters
    ----------
    net : network
        Gets the weights that count.
    lesson : object
        Its ``batch(epoch, step)`` gives features and labels 0, 1 or NaN; an epoch has ``steps`` of them.
    folder : Path
        Of the stage.
    observer : Observer
    epochs, lr, seed : int, float, int
    validate, keep, patience
        As in :class:`acdref.fit.Job`.

    Returns
    -------
    dict
        The epoch whose weights count: its number, ``loss`` and measures of validation.
    """

    def rate(epoch, step):
        return lr * cosine(epoch, epochs)

    best = None if keep == "last" else folder / BEST
    batches = by_steps(lesson.batch, lesson.steps)
    how: dict[str, Any] = {"validate": validate, "keep": keep, "patience": patience, "best": best}
    job = Job(epochs, lesson.steps, batches, bce, rate, seed=seed, **how)
    rows = fit(net, job, folder / "last.npz", observer)
    return rows[-1 if best is None else checkpoint.load(best)[1]["epoch"] - 1]


def probabilities(net: Network, x: NDArray, size: int) -> NDArray:
    """Probabilities (N, C) of short sounds, of which so many go through the network together.

    ``net.predict_proba`` takes them one at a time: for short ones up to ten times the work.
    """
    batches = (x[start : start + size] for start in range(0, len(x), size))
    logits = np.concatenate([net.forward(batch)[0] for batch in batches])
    return softmax_channels(logits) if net.output == "softmax" else sigmoid(logits)  # (N, C)


def save_array(path: Path, array: ArrayLike) -> None:
    """Write an array as an .npy file, which is there whole or not at all."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array)


@dataclasses.dataclass(frozen=True)
class Data:
    """The recordings of a recipe, and how to train on them.

    Attributes
    ----------
    train : Manifest
    val : Manifest or None
    options : acdref.train.Options
        Paths, classes and folds in it are settled by the manifests.
    """

    train: Manifest
    val: Manifest | None
    options: TrainOptions

    @classmethod
    def of(cls, options: TrainOptions, say: Say = None) -> "Data":
        """The recordings that training with these options would use."""
        return cls(*train.datasets(options, say), options)

    @classmethod
    def named_by(cls, options: Any, say: Say = None) -> "Data":
        """The recordings that a recipe's options name in the words of :class:`acdref.train.Options`."""
        return cls.of(TrainOptions(**{name: getattr(options, name) for name in _NAMED}), say)

    @classmethod
    def of_unlabelled(cls, options: TrainOptions, classes: Sequence[str], say: Say = None) -> "Data":
        """The recordings of a folder or manifest, with nothing known of these classes."""
        recordings = open_recordings(options.manifest, options.root, say)
        nothing = np.full((len(recordings), len(classes)), np.nan)
        recordings = dataclasses.replace(recordings, labels=nothing, classes=tuple(classes))
        val = None
        if options.val is not None:  # measurable or refused now, not after hours of teaching
            val = train.measurable(open_dataset(options.val, options.root, classes))
        return cls(recordings, val, options)

    @property
    def root(self) -> str:
        """What the paths of the manifests are relative to, wherever the recipe is continued from."""
        return os.path.abspath(self.train.root)

    def key(self) -> dict:
        """All that training depends on, as JSON can hold it."""
        return key_of(
            self.options, self.root, self.train, self.val, without=(*train.FREE_OPTIONS, "preset_name")
        )

    def given(self) -> Stage:
        """Stage: copies of the manifests, so that all that follows starts from the same."""

        def work(folder, before, observer):
            write_manifest(self.train, folder / TRAIN)
            if self.val is not None:
                write_manifest(self._val_under_root(), folder / VAL)
            labelled = not np.isnan(self.train.labels).all()
            for note in train.notes(self.options, self.train, self.val) if labelled else ():
                observer.log(note)
            return {"recordings": len(self.train), "validation": len(self.val or ())}

        return Stage("given", work, (TRAIN,) if self.val is None else (TRAIN, VAL))

    def _val_under_root(self):
        """The recordings to validate on, with paths relative to the root of the others."""
        root = os.path.abspath(self.val.root)
        if root == self.root:
            return self.val
        return dataclasses.replace(self.val, paths=tuple(join(root, p) for p in self.val.paths))

    def training(self, name: str, labels: str = "given") -> Stage:
        """Stage: a network trained on the labels that a stage has left."""

        def work(folder, before, observer):
            manifest = os.path.abspath(before[labels] / TRAIN)
            val = None if self.val is None else os.path.abspath(before["given"] / VAL)
            settled = {"root": self.root, "classes": self.train.classes, "fold": None, "val_fold": None}
            options = dataclasses.replace(self.options, manifest=manifest, val=val, **settled)
            if train.train(options, folder, resume=True, observer=observer) is None:
                raise Stopped
            _, meta = checkpoint.load(folder / BEST)
            return {"epochs": options.epochs, "best_epoch": meta["epoch"], "val_mAP": meta["val_mAP"]}

        return Stage(name, work, (BEST,))

    def scoring(self, name: str, teacher: str) -> Stage:
        """Stage: scores of all recordings to train on, by a network."""

        def work(folder, before, observer):
            net, _ = checkpoint.load_weights(before[teacher] / BEST)
            recordings = read_manifest(before["given"] / TRAIN, self.root, self.train.classes)
            classes, out, key = self.train.classes, folder / SCORES, network_key(net)
            scored = score_set(net, recordings, classes, out, key, **reports(observer))
            return {"recordings": len(recordings), "scored": scored}

        return Stage(name, work, (SCORES,))

    def relabelling(self, name: str, scores: str, rules: dict, labels: str = "given") -> Stage:
        """Stage: the labels of another after some rules, which scores decide."""

        def work(folder, before, observer):
            files = before[labels] / TRAIN, folder / TRAIN, Steps(**rules), before[scores] / SCORES
            report = relabel(*files, format="manifest", classes=self.train.classes).as_dict()
            write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
            return report

        return Stage(name, work, (TRAIN,))
