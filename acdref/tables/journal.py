"""Rows of hours of work as they come: a stopped or killed job continues from them.

The file is one JSON object a line: first the schema and the key of the job, then a row for each recording.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from acdref.errors import naming

SCHEMA = "acdref.journal/1"


class Journal:
    """Scores of recordings as they come, in a file that survives the process.

    Parameters
    ----------
    path : str
    key : dict
        A file with another key is begun anew.
    say : callable, optional
        Called with one line of text if there is a file already.

    Raises
    ------
    FileError
        If the file cannot be written.
    """

    def __init__(self, path: str, key: dict, say: Callable[[str], None] | None = None):
        self.path = path
        head = {"schema": SCHEMA, "key": hashlib.sha256(json.dumps(key).encode()).hexdigest()}
        self._head = json.dumps(head).encode() + b"\n"
        self._say = say or (lambda text: None)
        self._stamps: dict[str, list | None] = {}
        self._places: dict[str, int] = {}  # in the file: what is in memory does not grow with the classes

    def __enter__(self):
        with naming(self.path):
            self._file = open(self.path, "a+b")
            self._read()
        return self

    def __exit__(self, *_):
        self._file.close()

    def has(self, name: str, stamp: list | None) -> bool:
        """Whether there are scores of this recording as it is now."""
        return name in self._places and self._stamps[name] == stamp

    def add(self, name: str, stamp: list | None, scores: Iterable[float]) -> None:
        """Write the scores of a recording."""
        entry = {"name": name, "stamp": stamp, "scores": [float(score) for score in scores]}
        with naming(self.path):
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            self._places[name], self._stamps[name] = place, stamp

    def forget(self, name: str) -> None:
        """Have no scores of this recording."""
        self._places.pop(name, None)

    def get(self, name: str, default: NDArray | None) -> NDArray | None:
        """The scores of a recording, (C,)."""
        if name not in self._places:
            return default
        self._file.seek(self._places[name])
        return np.array(json.loads(self._file.readline())["scores"])

    def remove(self) -> None:
        """Delete the file, whose work is done."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _read(self):
        """Find what is there, cut off what a killed process left unfinished."""
        self._file.seek(0)
        head = self._file.readline()
        if head and head != self._head:
            self._say(f"{self.path}: of other weights or options; starting anew")
        if head != self._head:
            self._file.truncate(0)
            self._file.write(self._head)
            self._file.flush()
            return
        end = len(head)
        for line in self._file:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
                self._stamps[entry["name"]] = entry["stamp"]
                self._places[entry["name"]] = end
            except (ValueError, TypeError, KeyError):
                break
            end += len(line)
        self._file.truncate(end)
        if self._places:
            self._say(f"continuing after {len(self._places)} recordings")


def stamp(file: str | PathLike) -> list[int] | None:
    """Size and time of a file; None if there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
