"""When classes are heard in the recordings of a manifest: event lists, read and laid out by recording."""

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acdref.errors import FileError
from acdref.tables.label_files import LabelFile, refusing_repeats
from acdref.tables.manifest import Manifest


class Events(NamedTuple):
    """The events of one recording.

    Attributes
    ----------
    times : (E, 2) float array
        Onset and offset, seconds.
    classes : (E,) int array
    """

    times: np.ndarray
    classes: np.ndarray

    def tagged(self, n_classes: int) -> NDArray:
        """Which classes have an event, (n_classes,) bool."""
        tagged = np.zeros(n_classes, dtype=bool)
        tagged[self.classes[self.times[:, 1] > self.times[:, 0]]] = True
        return tagged


def read_events(path: str | os.PathLike, *manifests: Manifest) -> list[list[Events | None]]:
    """Read an event list.

    Parameters
    ----------
    path : str or path-like
        The format ``strong`` of :mod:`acdref.tables.label_files`: TSV with a header, then recording, onset,
        offset in seconds, class.  A recording is named as in the manifest; a row with its name alone says
        that nothing is to be heard in it.
    *manifests : Manifest
        With the same classes.  Recordings that are in none of them are passed over.

    Returns
    -------
    list of list of (Events or None)
        For each manifest, by recording; None for those that are not in the file: nobody has looked for events
        in them.

    Raises
    ------
    FileError
        If it cannot be read, has a class that the manifests do not have, or none of their recordings.

    Examples
    --------
    >>> import os, tempfile
    >>> from acdref.tables.manifest import Manifest
    >>> manifest = Manifest("", "", ("a.wav", "b.wav"), np.zeros((2, 1)), ("dog",))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "events.tsv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("filename\\tonset\\toffset\\tevent_label\\nb.wav\\t0.5\\t1.25\\tdog\\n")
    ...     ((a, b),) = read_events(path, manifest)
    >>> a, b.times, b.classes
    (None, array([[0.5 , 1.25]]), array([0]))
    """
    column = {name: c for c, name in enumerate(manifests[0].classes)}
    found = {}
    for clip in refusing_repeats(LabelFile(path, "strong"), path, "strong"):
        for name in clip.present:
            if name not in column:
                cause = f"{clip.id} has the class {name!r}, the manifest has not"
                raise FileError(path, f"line {clip.line_of(name)}: {cause}")
        times = np.array([event[:2] for event in clip.details], np.float64).reshape(-1, 2)
        found[clip.id] = Events(times, np.array([column[event[2]] for event in clip.details], np.int64))
    lists = [[found.get(name) for name in manifest.paths] for manifest in manifests]
    if all(events is None for one in lists for events in one):
        raise FileError(path, f"has none of the recordings of {manifests[0].source}")
    return lists
