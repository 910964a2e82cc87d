"""Training: from a manifest to weights, so that a killed run continues to the very same result.

A run is a folder::

    config.json    every option, as resolved
    metrics.csv    one row an epoch
    curves.html    the same to look at, see :mod:`acdref.report.curves`
    best.npz       weights with the highest validation mAP so far (or what the options say)
    last.npz       all that is needed to continue, written every few minutes and after every epoch

Every file is written to a temporary name and renamed.  What a run computes depends on its options and the
recordings alone; `last.npz` says how far it has come, and everything after that is computed again.
"""

import bisect
import contextlib
import dataclasses
import hashlib
import itertools
import json
from pathlib import Path

import numpy as np

from acdref import __version__, checkpoint, metrics
from acdref.augment import AUGMENTATIONS, Augmentation
from acdref.data import Clips, Loader, Manifest, Sequences, open_dataset
from acdref.data.loader import end_if_starting
from acdref.errors import AcdrefError, CheckpointError, ManifestError
from acdref.features.front_ends import front_end
from acdref.files import claimed, json_sha256, place, read_json, write_text
from acdref.fit import Job, Observer, Run, Say, Stopped, initial, reports
from acdref.losses import bce, bce_probabilities
from acdref.nets import registry
from acdref.ops.memory import keep_freed_memory
from acdref.optim import Plateau, cosine
from acdref.options.training import TrainOptions
from acdref.predict.scoring import score_manifest
from acdref.ranks import Ranks
from acdref.remote import is_address, spool
from acdref.report.curves import Drawing
from acdref.tables.history import CONFIG, LENGTHENED, METRICS
from acdref.tables.manifest import of_the_same_classes
from acdref.tables.rows import names_text

LAST, BEST = "last.npz", "best.npz"
WARMUP = 0.05  # share of the steps in which the cosine schedule rises

# Options that do not change what a step computes, and may differ when a run continues.
FREE_OPTIONS = ("workers",)

Options = TrainOptions


def train(
    options: Options,
    out: str | Path,
    resume: bool = False,
    observer: Observer | None = None,
    lengthen: int | None = None,
    ranks: Ranks | None = None,
) -> dict | None:
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
    lengthen : int, optional
        Continue a finished run up to so many epochs in all, with a cosine schedule that begins again where it
        had ended; everything else goes on.
    ranks : Ranks, optional
        The processes among which each batch is shared, all of which call this alike.

    Returns
    -------
    dict or None
        The last row of metrics.csv; None if the observer stopped the run.

    Raises
    ------
    AcdrefError
        For input that makes training impossible, a folder that holds another run or in which one is at work,
        a run whose manifest or options have changed since, or one to lengthen that is not finished.

    Notes
    -----
    With workers (`options.workers`), a script must call this below ``if __name__ == "__main__":``, see
    :class:`acdref.data.Loader`.
    """
    end_if_starting()
    keep_freed_memory()
    first = ranks is None or ranks.rank == 0
    with claimed(out) if first else contextlib.nullcontext():
        return _train(options, place(out), resume, observer or Observer(), lengthen, ranks)


def _train(options, out, resume, observer, lengthen, ranks):
    begun, stored = (out / CONFIG).exists(), dataclasses.asdict(options)
    ends = [options.epochs]
    if begun:
        options, stored = _stored_options(options, out, resume)
        ends = _ends(options, stored, out, lengthen)
    elif not options.manifest or lengthen is not None:
        raise AcdrefError(f"{out}: holds no run to continue")
    continues = resume and (out / LAST).exists()
    say = None if continues else observer.log
    manifest, val = datasets(options, say)
    for note in () if begun else notes(options, manifest, val):
        observer.log(note)
    net = _network(options, manifest.classes, say)
    if ranks is not None:
        net.batch = ranks.share(options.batch)
    with _loader(options, manifest, net, observer) as loader:
        job = _job(options, out, loader, val, net, ends)
        job = dataclasses.replace(job, options=_digest(stored), measured=Drawing(out, observer.log))
        run = Run(net, job, out / LAST, observer)
        if continues:
            run.restore(out / LAST)
        if ranks is not None:
            ranks.agree(_facts(run))
        if not begun:  # only now: options that make no run leave the folder as it was
            if net.batch.rank == 0:
                _claim_folder(options, out)
            if options.schedule == "plateau" and (val is None or options.epochs <= options.patience + 2):
                observer.log("the rate stays: to halve it takes validation, and epochs beyond --patience")
        if continues:
            if lengthen is not None:
                _lengthen(options, out, stored, ends, run)
            if run.epoch == ends[-1]:
                observer.log("this run is complete")
                return run.rows[-1]
            observer.log(f"continuing at epoch {run.epoch + 1}, step {run.step + 1} of {options.steps}")
        try:
            run.work()
        except Stopped:
            return None
    return run.rows[-1]


def _stored_options(options, out, resume):
    """The options of the run in a folder, but for `FREE_OPTIONS`; and all of them as they are stored."""
    if not resume:
        raise AcdrefError(f"{out}: holds a run already; continue it with --resume, or choose another folder")
    config = out / CONFIG
    try:
        read = read_json(config, CheckpointError)
        stored = {name: value for name, value in read.items() if name != LENGTHENED}
        if "preset_name" not in stored:  # a run from before there were presets, and other defaults
            stored = {"preset_name": None, "seconds": 10.0} | stored
        stored["classes"] = stored["classes"] and tuple(stored["classes"])
        if "augment" not in stored:  # a run from before there was more than these three
            given = {name: stored.pop(name) for name in ("low_pass", "equaliser", "speed")}
            stored["augment"] = dataclasses.asdict(AUGMENTATIONS["light"]) | given
        stored["augment"] = Augmentation(**stored["augment"])
        free = {name: getattr(options, name) for name in FREE_OPTIONS}
        return TrainOptions(**(stored | free)), read
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(config, f"cannot be read: {error}") from None


def _ends(options, stored, out, lengthen):
    """The epochs after which the run has ended, or will: the first, and each to which it was lengthened."""
    later = stored.get(LENGTHENED, [])
    whole = isinstance(later, list) and all(type(end) is int for end in later)
    ends = [options.epochs, *later] if whole else []
    if not whole or sorted(set(ends)) != ends:
        raise CheckpointError(out / CONFIG, f"cannot be read: {LENGTHENED} must be rising numbers of epochs")
    if lengthen is None:
        return ends
    if not (out / LAST).exists():
        raise AcdrefError(f"{out}: its run has not finished; continue it without other --epochs first")
    if lengthen <= ends[-1]:
        raise AcdrefError(f"{out}: its run goes to epoch {ends[-1]} already; --epochs must be more")
    return [*ends, lengthen]


def _lengthen(options, out, stored, ends, run):
    """Write down that a finished run goes on."""
    if run.epoch < ends[-2]:
        cause = f"its run has done {run.epoch} of {ends[-2]} epochs; continue it without other --epochs first"
        raise AcdrefError(f"{out}: {cause}")
    if run.net.batch.rank == 0:
        write_text(out / CONFIG, json.dumps(stored | {LENGTHENED: ends[1:]}, indent=2) + "\n")
    again = "; the cosine of the rate begins again" if options.schedule == "cosine" else ""
    run.observer.log(f"lengthened from {ends[-2]} to {ends[-1]} epochs{again}")


def _facts(run):
    """What all processes of a run must have alike, by what they have otherwise if they do not."""
    net, job = run.net, run.job
    digest = hashlib.sha256()
    for array in checkpoint.network_arrays(net).values():
        digest.update(np.ascontiguousarray(array))
    return {
        "version of acdref": __version__,
        "backend": net.backend,
        "set of options": [job.options, job.epochs],
        "set of recordings or labels": job.fingerprint,
        "step to begin with": [run.epoch, run.step],
        "set of weights": digest.hexdigest(),
    }


def _digest(stored):
    """sha256 of the options as config.json has them, but for `FREE_OPTIONS` and how far it was lengthened."""
    free = (*FREE_OPTIONS, LENGTHENED)
    counting = {name: value for name, value in stored.items() if name not in free}
    return json_sha256(counting)


def _claim_folder(options, out):
    """Write the options of a new run."""
    write_text(out / CONFIG, json.dumps(dataclasses.asdict(options), indent=2) + "\n")


def datasets(options: Options, say: Say = None) -> tuple[Manifest, Manifest | None]:
    """The manifests to train and to validate on; the second is None without validation.

    `say` is called with one line of text about what a folder holds besides recordings.

    Raises
    ------
    AcdrefError
        If there are none, or their labels can neither teach nor measure anything.
    """
    manifest, val = _chosen(options, say)
    if np.isnan(manifest.labels).all():
        raise ManifestError(manifest.source, "all labels are unknown, so there is nothing to learn")
    return manifest, None if val is None else measurable(val)


def notes(options: Options, manifest: Manifest, val: Manifest | None) -> list[str]:
    """Lines about classes that look wrong, and stop nothing."""
    taught = (manifest.labels == 1).any(axis=0)
    tested = np.zeros_like(taught) if val is None else (val.labels == 1).any(axis=0)
    only, never = (
        names_text(itertools.compress(manifest.classes, chosen), ", ")
        for chosen in (tested & ~taught, ~(tested | taught))
    )
    lines = []
    if only:
        lines.append(f"{manifest.source}: classes that only validation has, which nothing teaches: {only}")
    if never and options.classes is None:
        lines.append(f"the 11 super-classes are learnt (see --classes); these have no recording: {never}")
    return lines


def measurable(val: Manifest) -> Manifest:
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


def _chosen(options, say):
    manifest, val = open_dataset(options.manifest, options.root, options.classes, say), None
    if options.val is not None:
        val = open_dataset(options.val, options.root, options.classes, say)
        if options.classes is None:
            manifest, val = of_the_same_classes(manifest, val)
    elif options.val_fold is not None:
        val = manifest.where(fold=options.val_fold)
        manifest = manifest.without(fold=options.val_fold)
    elif options.fold is None and {"train", "val"} <= set(manifest.split or ()):
        return manifest.where(split="train"), manifest.where(split="val")
    return manifest.where(fold=options.fold), val  # all of them without a fold


def fingerprint(*manifests: Manifest | None) -> str:
    """sha256 over paths, classes and labels: what a resumed run must find unchanged."""
    digest = hashlib.sha256()
    for manifest in manifests:
        if manifest is not None:
            digest.update(json.dumps([manifest.paths, manifest.classes]).encode())
            digest.update(manifest.labels.tobytes())
    return digest.hexdigest()


def _network(options, classes, say):
    """The network to start from."""
    net = initial(options, classes, options.seed, say=say)
    name = registry.name_of(net)
    if options.init is not None and options.net not in (None, name):
        raise AcdrefError(f"{options.init}: weights of {name}, not of {options.net}")
    if options.init is not None and options.width != 1:
        raise AcdrefError(f"{options.init}: these weights have a width already")
    front, seconds = front_end(net), min(options.seconds)
    if front.steps(round(seconds * front.rate)) < registry.min_frames(net):
        raise AcdrefError(f"sequences of {seconds:g} s are too short for {name}: try a higher --seconds")
    return net


def _loader(options, manifest, net, observer):
    """What makes the sequences that the network sees."""
    front = front_end(net)
    if is_address(manifest.file(0)):
        spool()  # the workers' too
    names = ("seed", "mix_max", "mixing", "seconds", "fill", "empty", "sampling", "augment")
    chosen = {name: getattr(options, name) for name in names}
    sequences = Sequences(manifest, **chosen, group=options.batch, clips=Clips(sr=front.rate))
    left_out = reports(observer)["on_failure"]
    own = net.batch.own(options.batch)
    return Loader(sequences, options.batch, options.workers, front.window, left_out, own)


def _job(options, out, loader, val, net, ends=None):
    """What the options mean for the loop, whose schedule begins again after each of the `ends`."""
    plateau, steps, ends = Plateau(options.patience), options.steps, ends or [options.epochs]

    def rate(epoch, step):
        if options.schedule == "plateau":
            return options.lr * plateau.scale
        part = bisect.bisect_right(ends, epoch)
        begin = 0 if part == 0 else ends[part - 1]
        total = (ends[part] - begin) * steps
        return options.lr * cosine((epoch - begin) * steps + step, total, round(WARMUP * total))

    def validate(candidate):
        some = range(len(val))[net.batch.own(len(val))]  # which this process hears
        p = net.batch.gather(score_manifest(candidate, val.select(some), loader.on_failure), len(val))
        y = np.where(np.isnan(p), np.nan, val.labels)
        ap = metrics.average_precision(y, p)
        accuracy = metrics.mean_over_classes(metrics.accuracy(y, p))
        row = {"val_mAP": metrics.mean_over_classes(ap), "val_accuracy": accuracy}
        if options.keep == "loss":
            row["val_loss"], _ = bce_probabilities(y, np.clip(p, 0, 1))  # of a mean: rounded, it may exceed 1
        return row | {f"AP {name}": value for name, value in zip(val.classes, ap, strict=True)}

    manifest = loader.sequences.manifest
    return Job(
        epochs=ends[-1],
        steps=steps,
        batches=lambda epoch, step: loader.batches(epoch, steps, step),
        loss=bce,
        rate=rate,
        weight_decay=options.weight_decay,
        average=options.average,
        plateau=plateau,
        validate=None if val is None else validate,
        keep="last" if val is None else options.keep or "mAP",
        best=out / BEST,
        metrics=out / METRICS,
        meta=checkpoint.network_meta(net, manifest.classes),
        fingerprint=fingerprint(manifest, val),
        seed=options.seed,
        size=options.batch,
    )
