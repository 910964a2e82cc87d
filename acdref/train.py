"""Training: from a manifest to weights, so that a killed run continues to the very same result.

A run is a folder::

    config.json    every option, as resolved
    metrics.csv    one row an epoch
    best.npz       weights with the highest validation mAP so far
    last.npz       all that is needed to continue, written every few minutes and after every epoch

Every file is written to a temporary name and renamed.  What a run computes depends on its options and the
recordings alone; `last.npz` says how far it has come, and everything after that is computed again.
"""

import csv
import dataclasses
import hashlib
import io
import json
import time
from pathlib import Path

import numpy as np

from acdref import checkpoint, metrics
from acdref.augment import AUGMENTATIONS, Augmentation
from acdref.data import Clips, Loader, Sequences, open_dataset
from acdref.errors import AcdrefError, CheckpointError, ManifestError
from acdref.features.front_ends import front_end
from acdref.files import write_text
from acdref.losses import bce
from acdref.nets import registry
from acdref.ops.memory import keep_freed_memory
from acdref.optim import AdamW, Average, Plateau, cosine
from acdref.options.training import TrainOptions
from acdref.predict.scoring import score_manifest

CONFIG = "config.json"
CHECKPOINT_SECONDS = 300
WARMUP = 0.05  # share of the steps in which the cosine schedule rises

# Options that do not change what a step computes, and may differ when a run continues.
FREE_OPTIONS = ("workers",)

Options = TrainOptions


class Observer:
    """What a run tells while it works; the command line prints it.  All methods do nothing here."""

    def log(self, text):
        """One line about something that happened."""

    def start(self, epochs, steps, batch):
        """Before the first step: how much there is to do."""

    def step(self, epoch, step, loss, rate):
        """After each step: mean loss of the epoch so far, sequences per second."""

    def epoch(self, row):
        """After each epoch: the row of metrics.csv, a dict."""

    def should_stop(self):
        """True to stop after the current step, with a checkpoint."""
        return False


def train(options, out, resume=False, observer=None):
    """Train a network.

    Parameters
    ----------
    options : TrainOptions
        Ignored, but for `FREE_OPTIONS`, when a run is resumed: the run's own config.json counts.
    out : str or path-like
        The run's folder.
    resume : bool
        Continue the run in `out`; start it if it has no checkpoint yet.
    observer : Observer, optional

    Returns
    -------
    dict or None
        The last row of metrics.csv; None if the observer stopped the run.

    Raises
    ------
    AcdrefError
        For input that makes training impossible, a folder that holds another run, or a run whose manifest
        has changed since.
    """
    observer = observer or Observer()
    keep_freed_memory()
    out = Path(out)
    begun = (out / CONFIG).exists()
    if begun:
        options = _stored_options(options, out, resume)
    elif not options.manifest:
        raise AcdrefError(f"{out}: holds no run to continue")
    run = _Run(options, out, observer)
    if not begun:  # only now: options that make no run leave the folder as it was
        _claim_folder(options, out)
    if resume and (out / "last.npz").exists():
        run.restore()
        if run.epoch < options.epochs:
            observer.log(f"continuing at epoch {run.epoch + 1}, step {run.step + 1} of {options.steps}")
    return run.work()


def _stored_options(options, out, resume):
    """The options of the run in a folder, but for `FREE_OPTIONS`."""
    if not resume:
        raise AcdrefError(f"{out}: holds a run already; continue it with --resume, or choose another folder")
    config = out / CONFIG
    try:
        stored = json.loads(config.read_text())
        stored["classes"] = stored["classes"] and tuple(stored["classes"])
        if "augment" not in stored:  # a run from before there was more than these three
            given = {name: stored.pop(name) for name in ("low_pass", "equaliser", "speed")}
            stored["augment"] = dataclasses.asdict(AUGMENTATIONS["light"]) | given
        stored["augment"] = Augmentation(**stored["augment"])
        free = {name: getattr(options, name) for name in FREE_OPTIONS}
        return TrainOptions(**(stored | free))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(config, f"cannot be read: {error}") from None


def _claim_folder(options, out):
    """Write the options of a new run."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AcdrefError(f"{out}: {error.strerror or error}") from None
    write_text(out / CONFIG, json.dumps(dataclasses.asdict(options), indent=2) + "\n")


def datasets(options):
    """The manifests to train and to validate on; the second is None without validation.

    Raises
    ------
    AcdrefError
        If there are none, or their labels can neither teach nor measure anything.
    """
    manifest, val = _chosen(options)
    if np.isnan(manifest.labels).all():
        raise ManifestError(manifest.source, "all labels are unknown, so there is nothing to learn")
    return manifest, None if val is None else measurable(val)


def measurable(val):
    """The manifest to validate on, if its labels can measure anything.

    Raises
    ------
    ManifestError
        If no recording is known to have any class.
    """
    if not (val.labels == 1).any():
        cause = f"of the {len(val)} recordings to validate on, none is known to have a class"
        raise ManifestError(val.source, cause)
    return val


def _chosen(options):
    manifest = open_dataset(options.manifest, options.root, options.classes)
    if options.val is not None:
        val = open_dataset(options.val, options.root, manifest.classes)
        return (manifest if options.fold is None else manifest.where(fold=options.fold)), val
    if options.val_fold is not None:
        val = manifest.where(fold=options.val_fold)
        rest = manifest.without(fold=options.val_fold)
        return (rest if options.fold is None else rest.where(fold=options.fold)), val
    if options.fold is not None:
        return manifest.where(fold=options.fold), None
    if manifest.split is not None and {"train", "val"} <= set(manifest.split):
        return manifest.where(split="train"), manifest.where(split="val")
    return manifest, None


def fingerprint(*manifests):
    """sha256 over paths, classes and labels: what a resumed run must find unchanged."""
    digest = hashlib.sha256()
    for manifest in manifests:
        if manifest is not None:
            digest.update(json.dumps([manifest.paths, manifest.classes]).encode())
            digest.update(manifest.labels.tobytes())
    return digest.hexdigest()


class _Run:
    def __init__(self, options, out, observer):
        self.options, self.out, self.observer = options, out, observer
        self.manifest, self.val = datasets(options)
        self.fingerprint = fingerprint(self.manifest, self.val)
        self.net = self._network()
        self._check_length()
        self.sequences = self._sequences()
        self.optimiser = AdamW(self.net.params, options.lr, weight_decay=options.weight_decay)
        self.plateau = Plateau(options.patience)
        self.average = Average(self._weights(), options.average) if options.average else None
        self.epoch, self.step = 0, 0
        self.loss_sum = 0.0
        self.best = -np.inf
        self.rows = []

    def _network(self):
        options, classes = self.options, self.manifest.classes
        if options.init is not None:
            return self._initial(classes)
        name = options.net or "acdnet"
        try:
            fields = registry.SEVERAL_CLASSES.get(name, {})
            return registry.build(name, len(classes), options.width, options.seed, **fields)
        except ValueError as error:
            raise AcdrefError(str(error)) from None

    def _initial(self, classes):
        """The network of the weights to start from, with a new last layer for other classes."""
        options = self.options
        net, meta = checkpoint.load_weights(options.init)
        name = registry.name_of(net)
        if options.net not in (None, name):
            raise AcdrefError(f"{options.init}: weights of {name}, not of {options.net}")
        if options.width != 1:
            raise AcdrefError(f"{options.init}: these weights have a width already")
        if tuple(meta["classes"]) == classes:
            return net
        if not (self.out / "last.npz").exists():
            self.observer.log(f"{options.init}: other classes, so the last layer starts anew")
        return registry.with_classes(net, len(classes), options.seed)

    def _check_length(self):
        """Whether a sequence is long enough for the network."""
        front, seconds = front_end(self.net), self.options.seconds
        fewest = registry.min_frames(self.net)
        if front.steps(round(seconds * front.rate)) < fewest:
            name = registry.name_of(self.net)
            raise AcdrefError(f"sequences of {seconds:g} s are too short for {name}: try a higher --seconds")

    def _sequences(self):
        options = self.options
        return Sequences(
            self.manifest,
            options.seed,
            mix_max=options.mix_max,
            mixing=options.mixing,
            seconds=options.seconds,
            fill=options.fill,
            sampling=options.sampling,
            augment=options.augment,
            clips=Clips(sr=front_end(self.net).rate),
        )

    def _weights(self):
        return checkpoint.network_arrays(self.net)

    def work(self):
        """Run to the end; returns the last row of metrics, or None if stopped."""
        options = self.options
        if self.epoch >= options.epochs:
            self.observer.log("this run is complete")
            return self.rows[-1]
        self.observer.start(options.epochs, options.steps, options.batch)
        transform = front_end(self.net).transform
        with Loader(self.sequences, options.batch, options.workers, transform, self._report) as loader:
            while self.epoch < options.epochs:
                if not self._epoch(loader):
                    self.save()
                    return None
        return self.rows[-1]

    def _epoch(self, loader):
        """The rest of the current epoch; False if the observer stopped it."""
        options, observer = self.options, self.observer
        saved = started = time.monotonic()
        for done, (x, y) in enumerate(loader.batches(self.epoch, options.steps, self.step), 1):
            self._learn(x, y)
            now = time.monotonic()
            observer.step(
                self.epoch, self.step, self.loss_sum / self.step, done * options.batch / (now - started)
            )
            if observer.should_stop():
                return False
            if now - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = now
        self._close_epoch()
        return True

    def _learn(self, x, y):
        options = self.options
        if options.schedule == "cosine":
            total = options.epochs * options.steps
            scale = cosine(self.optimiser.steps, total, round(WARMUP * total))
        else:
            scale = self.plateau.scale
        self.optimiser.lr = options.lr * scale
        # What dropout draws from: the same wherever a run was stopped and resumed.
        self.net.rng = np.random.default_rng([options.seed, self.epoch, self.step])
        logits, tape = self.net.forward(x, train=True)
        loss, dlogits = bce(y, logits)
        if not np.isfinite(loss):
            raise AcdrefError(
                f"{self.out}: the loss is {loss} in epoch {self.epoch + 1}, step {self.step + 1}; "
                "try a lower --lr (the last checkpoint is untouched)"
            )
        self.optimiser.step(self.net.backward(tape, dlogits))
        if self.average is not None:
            self.average.update(self._weights())
        self.loss_sum += loss
        self.step += 1

    def _close_epoch(self):
        row = {"epoch": self.epoch + 1, "loss": self.loss_sum / self.step, "lr": self.optimiser.lr}
        net = self._candidate()
        score = np.nan
        if self.val is not None:
            y, p = self.val.labels, score_manifest(net, self.val, self._report)
            y = np.where(np.isnan(p), np.nan, y)
            ap = metrics.average_precision(y, p)
            score = metrics.mean_over_classes(ap)
            if np.isnan(score):
                cause = (
                    "no recording that has a class could be read, or the scores are NaN (try a lower --lr)"
                )
                raise AcdrefError(f"{self.out}: no validation mAP in epoch {self.epoch + 1}: {cause}")
            row["val_mAP"] = score
            row["val_accuracy"] = metrics.mean_over_classes(metrics.accuracy(y, p))
            row |= {f"AP {name}": value for name, value in zip(self.val.classes, ap, strict=True)}
        self.rows.append({key: float(value) if key != "epoch" else value for key, value in row.items()})
        self.plateau.update(score)
        if self.val is None or score > self.best:
            self.best = score
            checkpoint.save_weights(
                self.out / "best.npz",
                net,
                self.manifest.classes,
                epoch=self.epoch + 1,
                val_mAP=_number(score),
            )
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0
        write_text(self.out / "metrics.csv", self._metrics_text())
        self.save()
        self.observer.epoch(self.rows[-1])

    def _candidate(self):
        """The network that is validated and kept: the averaged one, if there is an average."""
        if self.average is None:
            return self.net
        net = type(self.net)(self.net.config)
        checkpoint.restore_network(self.out, net, self.average.values)
        return net

    def _metrics_text(self):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def _report(self, error):
        self.observer.log(f"left out: {error}")

    def save(self):
        """Write last.npz."""
        arrays = self._weights()
        arrays |= {f"optimiser/{name}": a for name, a in self.optimiser.arrays.items()}
        arrays |= {f"plateau/{name}": a for name, a in self.plateau.arrays.items()}
        if self.average is not None:
            arrays |= {f"average/{name}": a for name, a in self.average.arrays.items()}
        # Sums as arrays: JSON text would be exact too, but not for infinities and NaN.
        arrays["progress"] = np.array([self.epoch, self.step, self.loss_sum, self.best], np.float64)
        meta = checkpoint.network_meta(self.net, self.manifest.classes)
        # As pairs: the order of the columns is kept.
        meta |= {"rows": [[[k, _number(v)] for k, v in row.items()] for row in self.rows]}
        meta |= {"fingerprint": self.fingerprint}
        checkpoint.save(self.out / "last.npz", arrays, meta)

    def restore(self):
        """Continue from last.npz."""
        path = self.out / "last.npz"
        arrays, meta = checkpoint.load(path)
        if meta.get("fingerprint") != self.fingerprint:
            raise CheckpointError(path, "the run's recordings or labels have changed since it was started")

        def part(name):
            return {k.removeprefix(f"{name}/"): a for k, a in arrays.items() if k.startswith(f"{name}/")}

        checkpoint.restore_network(path, self.net, arrays)
        self.optimiser.load(part("optimiser"))
        self.plateau.load(part("plateau"))
        if self.average is not None:
            self.average.load(part("average"))
        epoch, step, self.loss_sum, self.best = arrays["progress"].tolist()
        self.epoch, self.step = int(epoch), int(step)
        self.rows = [{k: np.nan if v is None else v for k, v in row} for row in meta["rows"]]


def _number(value):
    """A number that JSON can hold: None for NaN."""
    return None if isinstance(value, float) and np.isnan(value) else value
