"""A folder of synthetic scenes with a manifest: what `acdref synth` writes."""

import io
import json
import os
import re
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.errors import FileError, naming
from acdref.files import claimed, replacing, settle, write_table, write_text
from acdref.synth.blocks import Samples
from acdref.synth.scenes import CLASSES, Event, scene, validate

MARKER = "synth.json"
Row = tuple[str, tuple[str, ...], str]  # path, classes, split
SCHEMA = "acdref.synth"
VERSION = 1
_NAME = r"(scene-\d{5,}\.flac|manifest\.csv|events\.tsv|synth\.json)"
_OURS = re.compile(rf"{_NAME}|\.{_NAME}(\.\d+)?\.tmp")  # with what a killed run left behind


def write_dataset(
    directory: str | PathLike[str],
    count: int,
    seed: int,
    seconds: float = 10.0,
    max_classes: int = 3,
    sr: int = 16000,
    val_fraction: float = 0.2,
    force: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> list[Row]:
    """Write `count` scenes as 16-bit FLAC files, with their labels.

    Scene i doesn't depend on `count`: a larger data set of the same seed begins with the smaller one.
    Every file is written under a temporary name and renamed; `manifest.csv` comes last, so a folder that
    has it is complete.

    Parameters
    ----------
    directory : str or path
        Made if need be.  It must be empty or hold a data set of this function's, which is replaced.
    count, seed : int
    seconds, max_classes, sr
        As in :func:`acdref.synth.scene`.
    val_fraction : float
        Part of the scenes, spread evenly, whose `split` is "val"; the others' is "train".
    force : bool
        Write into a folder with other files too.  They stay, unless they bear a name of the data set's.
    progress : callable or None
        Called as ``progress(done, count)`` after each scene.

    Returns
    -------
    list of (path, classes, split)
        The rows of the manifest, `classes` as a tuple.

    Raises
    ------
    ValueError
        A parameter out of its range.
    FileError
        The folder holds other files, or cannot be written.

    Notes
    -----
    ``manifest.csv``: ``path,classes,split`` (classes joined by ``;``, empty for none).  ``events.tsv``:
    ``filename  onset  offset  event_label``, the form of DCASE's strong labels, times in seconds; a scene
    without events has a row with its name alone.
    ``synth.json``: the parameters.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = write_dataset(folder, count=2, seed=0, seconds=1.0, val_fraction=0.5)
    ...     print([split for _, _, split in rows], sorted(os.listdir(folder)))
    ['train', 'val'] ['events.tsv', 'manifest.csv', 'scene-00000.flac', 'scene-00001.flac', 'synth.json']
    """
    validate(seconds, max_classes, sr)

    def make(rng):
        audio, _, events = scene(rng, seconds, max_classes, sr)
        return audio, events

    parameters = {"seconds": seconds, "max_classes": max_classes}
    return write_scenes(
        directory, make, CLASSES, count, seed, parameters, sr, val_fraction, force=force, progress=progress
    )


def write_scenes(
    directory: str | PathLike[str],
    make: Callable[[np.random.Generator], tuple[Samples, list[Event]]],
    classes: Sequence[str],
    count: int,
    seed: int,
    parameters: dict[str, Any],
    sr: int = 16000,
    val_fraction: float = 0.2,
    labels: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    force: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> list[Row]:
    """Write scenes of any making, in the form of :func:`write_dataset`.

    Parameters
    ----------
    directory, count, seed, sr, val_fraction, force, progress
        As there.
    make : callable
        From a random generator to the sound of a scene, (n,) float in [-1, 1], and its list of `Event`.
    classes : sequence of str
        Of the events.
    parameters : dict
        Of `make`, for ``synth.json``.
    labels : callable, optional
        From the true labels of the training scenes, (N, C), to those that the manifest shall have.

    Returns
    -------
    list of (path, classes, split)
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if not 0 <= val_fraction <= 1:
        raise ValueError(f"val_fraction must be 0 .. 1, got {val_fraction}")
    directory = Path(directory)
    about = {"schema": SCHEMA, "version": VERSION, "count": count, "seed": seed, **parameters}
    about |= {"sr": sr, "val_fraction": val_fraction, "classes": classes}
    names = [f"scene-{index:05d}.flac" for index in range(count)]
    splits = [_split(index, val_fraction) for index in range(count)]
    with claimed(directory), naming(directory):
        stale = _prepare(directory, force).difference(names)
        write_text(directory / MARKER, json.dumps(about, indent=1) + "\n")
        found = []
        for index, name in enumerate(names):
            audio, events = make(np.random.default_rng([seed, index]))
            _write_flac(directory / name, audio, sr)
            found.append(events)
            if progress is not None:
                progress(index + 1, count)
        settle(directory, names)
        columns = ("filename", "onset", "offset", "event_label")
        write_table(directory / "events.tsv", columns, _event_rows(names, found), "\t")
        for name in stale:
            (directory / name).unlink(missing_ok=True)
        rows = list(zip(names, _classes(found, classes, splits, labels), splits, strict=True))
        lines = ((name, ";".join(present), split) for name, present, split in rows)
        write_table(directory / "manifest.csv", ("path", "classes", "split"), lines)
    return rows


def _event_rows(names, found):
    """Events of all scenes; a scene without any has a row without times, which says that it was annotated."""
    for name, events in zip(names, found, strict=True):
        yield from ((name, f"{start:.3f}", f"{end:.3f}", label) for label, start, end in events)
        if not events:
            yield name, "", "", ""


def _classes(found, classes, splits, labels):
    """The classes of each scene, as a tuple; those of the training scenes as `labels` makes them."""
    y = np.array([[c in {event.name for event in events} for c in classes] for events in found], np.float64)
    if labels is not None:
        training = np.array(splits) == "train"
        y[training] = labels(y[training])
    return [tuple(np.array(classes)[row == 1].tolist()) for row in y]


def _prepare(directory, force):
    """Make the folder, or check that it may be written to; return what an earlier data set left in it."""
    names = set(os.listdir(directory))
    made_here = MARKER in names and _is_marker(directory / MARKER)
    ours = {name for name in names if made_here and _OURS.fullmatch(name)}
    foreign = sorted(names - ours)
    if foreign and not force:
        advice = "use another folder, or --force to write beside them"
        raise FileError(directory, f"holds other files ({foreign[0]}): {advice}")
    # Without its manifest the folder counts as incomplete until the new one is there.
    (directory / "manifest.csv").unlink(missing_ok=True)
    return ours - {MARKER, "events.tsv", "manifest.csv"}


def _is_marker(path):
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("schema") == SCHEMA
    except (ValueError, AttributeError):
        return False


def _split(index, val_fraction):
    """Every (1 / val_fraction)-th scene, so that the split of a scene doesn't depend on the count."""
    return "val" if round((index + 1) * val_fraction) > round(index * val_fraction) else "train"


def _write_flac(path, audio, sr):
    import soundfile

    encoded = io.BytesIO()  # in memory, so that a full disk is an OSError like any other
    soundfile.write(encoded, np.rint(audio * 32767).astype(np.int16), sr, format="FLAC", subtype="PCM_16")
    with replacing(path, durable=False) as temporary:
        temporary.write_bytes(encoded.getvalue())
