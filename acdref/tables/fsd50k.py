"""FSD50K as Braun & Gamper evaluate on it: its clips by super-class, long enough, so many of each.

The layout is that of the published archives::

    FSD50K.ground_truth/dev.csv, eval.csv    fname,labels,mids[,split], labels with all their ancestors
    FSD50K.dev_audio/, FSD50K.eval_audio/    FNAME.wav
"""

import os
from collections.abc import Callable
from os import PathLike

import numpy as np

from acdref.audio import decode as audio
from acdref.errors import AcdrefError, AudioError, ManifestError
from acdref.labels import SuperClasses, evaluation_set
from acdref.tables.label_files import LabelFile, fsd50k_name, label_matrix, refusing_repeats
from acdref.tables.manifest import Manifest

PARTS = {"val": ("dev", 200, 8.0), "test": ("eval", 140, 5.0)}
"""Of each part its file, the clips of a class, and the shortest clip in seconds."""


def fsd50k_set(
    directory: str | PathLike,
    superclasses: SuperClasses,
    part: str = "test",
    seed: int = 0,
    on_failure: Callable[[AudioError], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Draw the clips to validate or to test on.

    Parameters
    ----------
    directory : str or path-like
        With the folders that the head of this module names.
    superclasses : SuperClasses
        Of AudioSet's display names, such as ``SuperClasses.from_csv("audio_content_ontology.csv")``.
    part : {"val", "test"}
    seed : int
        The same draws the same clips, whatever is evaluated.
    on_failure : callable, optional
        Called with the AudioError of each recording that has a class and cannot be opened; it is not drawn.
    progress : callable, optional
        Called with (done, count) while the recordings' lengths are read.

    Returns
    -------
    Manifest
        The super-classes are its classes; its root is `directory`.

    Raises
    ------
    AcdrefError
        If the ground truth cannot be read, there is no folder of recordings, or no clip can be drawn.
    ValueError
        For another part.

    Notes
    -----
    Braun & Gamper, section 4.2.  Validation: `dev`, which is train and val merged, clips of at least 8 s, 200
    of each class; test: `eval`, at least 5 s, 140.  How they are drawn is our choice, see
    :func:`acdref.labels.evaluation_set`.  A label belongs to the super-class in whose column its display name
    stands; FSD50K's own names are made of these, and name a label's ancestors too.
    """
    if part not in PARTS:
        raise ValueError(f"part = {part!r}: choose one of {', '.join(map(repr, PARTS))}")
    name, quota, shortest = PARTS[part]
    directory = os.path.abspath(directory)
    source, folder = os.path.join(directory, "FSD50K.ground_truth", f"{name}.csv"), f"FSD50K.{name}_audio"
    file = LabelFile(source, "fsd50k")
    clips = list(refusing_repeats(file, source, "fsd50k"))
    if not os.path.isdir(os.path.join(directory, folder)):
        raise AcdrefError(f"{os.path.join(directory, folder)}: no such folder")
    paths = [os.path.join(folder, f"{clip.id}.wav") for clip in clips]
    y = _mapped(clips, file.names, superclasses)
    seconds = np.zeros(len(clips))
    active = np.flatnonzero((y == 1).any(axis=1))
    for done, i in enumerate(active, start=1):
        try:
            seconds[i] = _seconds(os.path.join(directory, paths[i]))
        except AudioError as error:
            if on_failure is not None:
                on_failure(error)
        if progress is not None:
            progress(done, len(active))
    drawn = evaluation_set(y, seconds, np.random.default_rng(seed), quota, shortest)
    if not len(drawn):
        cause = f"no clip of {shortest:g} s and more has one of {', '.join(superclasses.names)}"
        raise ManifestError(source, cause)
    return Manifest(source, directory, tuple(paths), y, superclasses.names).select(drawn)


def _seconds(path):
    """How long a recording is: by its header, or where that does not tell, by decoding."""
    frames, rate = audio.header(path) or (len(audio.load(path)), 16000)
    return frames / rate


def _mapped(clips, names, superclasses):
    """Labels of the super-classes, (N, C)."""
    own = list(dict.fromkeys(names.values()))
    place = {name: c for c, name in enumerate(own)}
    y, _ = label_matrix(clips, {mid: place[name] for mid, name in names.items()}, len(own))
    spelled = SuperClasses({name: map(fsd50k_name, labels) for name, labels in superclasses.members.items()})
    return spelled.map(y, own, unknown="ignore")  # (N, labels) -> (N, C)
