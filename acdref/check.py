"""What is wrong with a list of recordings, said before hours are spent on it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acdref.audio import decode
from acdref.errors import FileError
from acdref.files import sha256
from acdref.tables.manifest import Manifest

SCHEMA = "acdref.check/1"
_RATE, _SECONDS = 16000, 60  # what is decoded at a time


@dataclass(frozen=True, eq=False)
class Findings:
    """What :func:`check` has found.

    Attributes
    ----------
    manifest : Manifest
    unreadable : tuple of FileError
        One for each recording that cannot be decoded to its end.
    notes : tuple of str
        About recordings that end early, as `path: note`.
    duplicates : tuple of tuple of int
        Numbers of recordings whose files are the same, byte for byte.
    seconds : float
        Of those that could.
    """

    manifest: Manifest
    unreadable: tuple
    notes: tuple
    duplicates: tuple
    seconds: float

    @property
    def without_positives(self) -> list[str]:
        """Classes that no recording is known to have."""
        taught = (self.manifest.labels == 1).any(axis=0)
        return [name for name, found in zip(self.manifest.classes, taught, strict=True) if not found]

    @property
    def unlabelled(self) -> int:
        """Recordings with none of the classes."""
        return int((self.manifest.labels == 0).all(axis=1).sum())

    def differing(self, recordings: tuple) -> list[str]:
        """In what some recordings differ: labels, fold, split."""
        some = self.manifest.select(recordings)
        found = ["labels"] if len(np.unique(some.labels, axis=0)) > 1 else []
        return found + [name for name in ("fold", "split") if len(set(getattr(some, name) or ())) > 1]

    def as_dict(self) -> dict:
        """All of it for JSON."""
        paths = self.manifest.paths
        twins = [
            {"paths": [paths[i] for i in same], "differ_in": self.differing(same)} for same in self.duplicates
        ]
        return {
            "schema": SCHEMA,
            "recordings": len(paths),
            "seconds": self.seconds,
            "unreadable": [{"path": error.path, "error": error.cause} for error in self.unreadable],
            "notes": list(self.notes),
            "duplicates": twins,
            "without_positives": self.without_positives,
            "unlabelled": self.unlabelled,
            "positives": dict(
                zip(self.manifest.classes, (self.manifest.labels == 1).sum(axis=0).tolist(), strict=True)
            ),
        }


def check(manifest: Manifest, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Decode every recording of a manifest, and compare files and labels.

    Parameters
    ----------
    manifest : Manifest
    progress : callable, optional
        Called with (done, count) after each recording.

    Returns
    -------
    Findings
    """
    unreadable: list[FileError] = []
    told: list[str] = []
    same: dict[str, list[int]] = {}
    seconds = 0.0
    for i, path in enumerate(manifest.paths):
        notes: list[str] = []
        try:
            ends = [
                block.end for block in decode.blocks(manifest.file(i), _RATE, _SECONDS, report=notes.append)
            ]
            same.setdefault(sha256(manifest.file(i)), []).append(i)
            seconds += max(ends, default=0.0)
        except FileError as error:  # an AudioError, too
            unreadable.append(error)
        told += [f"{path}: {note}" for note in notes]
        if progress is not None:
            progress(i + 1, len(manifest))
    duplicates = tuple(tuple(numbers) for numbers in same.values() if len(numbers) > 1)
    return Findings(manifest, tuple(unreadable), tuple(told), duplicates, seconds)
