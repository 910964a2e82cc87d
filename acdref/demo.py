"""A first impression: recordings that ship are tagged and shown, and the network learns from made-up sound.

The two have nothing to do with each other: no network learns from the recordings, here or elsewhere.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from acdref import checkpoint, metrics
from acdref.augment import AUGMENTATIONS
from acdref.files import resource, weights_file
from acdref.ops.kernel import problem
from acdref.options.labels import EVENT_WINDOW
from acdref.predict.events import timelines
from acdref.predict.scoring import score_manifest, tag_thresholds
from acdref.predict.tagger import Tagger, Tags
from acdref.predict.tagging import predict
from acdref.report import Recording, write_report
from acdref.synth import write_dataset
from acdref.tables.manifest import Manifest, read_manifest
from acdref.train import Observer, Options, train

SCENES = 240
OPTIONS = Options(
    manifest="",
    epochs=1,  # so that the scenes that measure choose no weights
    epoch_size=400,
    lr=2e-3,
    average=0.98,
    mix_max=1,
    seconds=(4.0,),  # of a scene
    augment=replace(AUGMENTATIONS["light"], low_pass=0.1, equaliser=2.0, speed=0.0),
    workers=0,
)
WITHOUT_NUMBA = 2, 4
"""By how much scenes and sequences are fewer then, so that it takes no longer."""


class TaggedRecording(NamedTuple):
    """A recording that ships, the classes that it has by its source, and what a network has heard in it."""

    path: str
    file: str
    classes: tuple[str, ...]
    found: Tags

    @property
    def surest(self) -> tuple[str, float]:
        """The class with the highest score, and the score."""
        return max(self.found.scores.items(), key=lambda item: item[1])

    @property
    def right(self) -> bool:
        """Whether it has that class."""
        return self.surest[0] in self.classes


def recordings() -> Manifest:
    """The recordings that ship, with their classes; their sources and licences stand in the same file."""
    return read_manifest(resource("fixtures", "demo") / "manifest.csv")


def tagged(tagger: Tagger) -> Iterator[TaggedRecording]:
    """Tag the recordings that ship, one after the other."""
    manifest = recordings()
    for i, (path, labels) in enumerate(zip(manifest.paths, manifest.labels, strict=True)):
        classes = tuple(name for name, label in zip(manifest.classes, labels, strict=True) if label == 1)
        yield TaggedRecording(path, manifest.file(i), classes, tagger.tag(manifest.file(i)))


def write_page(out: str | PathLike, tagger: Tagger, found: Sequence[TaggedRecording]) -> str:
    """Write the page of `acdref report` on recordings, beside whose events it says what they have.

    Parameters
    ----------
    out : str or path-like
        As of :func:`acdref.report.write_report`.
    tagger : Tagger
    found : sequence of TaggedRecording

    Returns
    -------
    str
        Path of the page.
    """
    thresholds, hop = tag_thresholds(tagger.thresholds), EVENT_WINDOW / 2
    results = predict(tagger.net, [each.file for each in found], EVENT_WINDOW, hop, ends=True)
    shown = (
        Recording(
            timeline._replace(path=each.path),
            each.file,
            [int(name in each.classes) for name in tagger.classes],
            [each.found.scores[name] for name in tagger.classes],
        )
        for each, timeline in zip(found, timelines(results, thresholds), strict=True)
    )
    made = f"The weights that ship; windows of {EVENT_WINDOW:g} s, {hop:g} s apart. CC0 1.0 recordings; "
    made += f"their sources: {recordings().source}"
    usual = thresholds(math.inf).tolist()
    return write_report(out, shown, tagger.classes, usual, title="What is heard: a demonstration", made=made)


def sizes() -> tuple[int, Options, str]:
    """How many scenes to make and how to train on them, and why that is less than it might be, or nothing."""
    why, (scenes, sequences) = problem(), WITHOUT_NUMBA
    if why is None:
        return SCENES, OPTIONS, ""
    fewer = replace(OPTIONS, epoch_size=OPTIONS.epoch_size // sequences)
    return SCENES // scenes, fewer, f"{why}: 1/{scenes} of the scenes, 1/{sequences} of the training"


def fine_tune(
    folder: str | PathLike[str],
    observer: Observer | None = None,
    seed: int = 0,
    scenes: int = SCENES,
    options: Options = OPTIONS,
) -> dict[str, Any] | None:
    """Train the shipped weights on synthetic scenes; the same seed gives the same result.

    Parameters
    ----------
    folder : str or path-like
        Gets ``scenes/`` (sound and manifest) and ``run/`` (the training run).
    observer : Observer, optional
        Told about scenes and training.
    seed, scenes, options
        Of the generator and the training.

    Returns
    -------
    dict or None
        None if the observer stopped the training.  ``before`` and ``after`` (AP by class on the scenes that
        were held out), ``mAP`` (before, after), ``prior`` (what chance reaches), ``scenes`` (trained on, held
        out), ``sequences``.
    """
    folder, observer = Path(folder), observer or Observer()
    seconds = options.seconds[0]
    observer.log(f"making {scenes} scenes of {seconds:g} s")
    write_dataset(folder / "scenes", scenes, seed, seconds, progress=observer.progress)
    manifest = read_manifest(folder / "scenes" / "manifest.csv")
    held_out = manifest.where(split="val")
    observer.log(f"tagging {len(held_out)} of them with the weights that ship")
    net, _ = checkpoint.load_weights(weights_file())
    scores = score_manifest(net, held_out, progress=observer.progress)
    before = metrics.average_precision(held_out.labels, scores)
    observer.log(f"training on the other {len(manifest) - len(held_out)}")
    options = replace(options, manifest=manifest.source, seed=seed, init=str(weights_file()))
    row = train(options, folder / "run", observer=observer)
    if row is None:
        return None
    after = np.array([row[f"AP {name}"] for name in held_out.classes])
    return {
        "before": dict(zip(held_out.classes, before.tolist(), strict=True)),
        "after": dict(zip(held_out.classes, after.tolist(), strict=True)),
        "mAP": (metrics.mean_over_classes(before), metrics.mean_over_classes(after)),
        "prior": float(held_out.labels.mean()),
        "scenes": (len(manifest) - len(held_out), len(held_out)),
        "sequences": options.steps * options.batch,
    }
