"""Rows of hours of work as they come: a stopped or killed job continues from them.

The file has lines: first the schema and the key of the job, as JSON, then a row for each recording::

    NUMBER LENGTH SUM {"name": ..., "stamp": ..., "scores": [...]}

with the length of the JSON text in bytes and a check sum of the job's key, the number and the text.  Whatever
happens to the file, a row that is read is one that was written there, by such a job.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from acdref import remote
from acdref.errors import naming
from acdref.files import open_alone, replacing, set_aside

SCHEMA = "acdref.journal/2"
SYNC_SECONDS = 5  # of work that a power cut may cost: what is older is on the disk
_ROW = re.compile(rb"(\d{1,18}) (\d{1,18}) ([0-9a-f]{16}) ")


class Journal:
    """Scores of recordings as they come, in a file that survives the process.

    Parameters
    ----------
    path : str
    key : dict
        A file with another key is kept under another name, and this one begun anew.
    say : callable, optional
        Called with one line of text if there is a file already.

    Raises
    ------
    BusyError
        If another run is writing the file.
    FileError
        If the file cannot be written.
    """

    def __init__(self, path: str, key: dict, say: Callable[[str], object] | None = None):
        self.path = path
        self._key = hashlib.sha256(json.dumps(key).encode())
        self._head = json.dumps({"schema": SCHEMA, "key": self._key.hexdigest()}).encode() + b"\n"
        self._say = say or (lambda text: None)
        self._stamps: dict[str, list | None] = {}
        # Of a row's text, and its length: what is in memory does not grow with the classes.
        self._places: dict[str, tuple[int, int]] = {}
        self._rows = 0  # in the file
        self._synced, self._unsynced = time.monotonic(), False

    def __enter__(self):
        with naming(self.path):
            self._file = open_alone(self.path)
            try:
                self._begin()
            except BaseException:
                self._file.close()
                raise
        return self

    def __exit__(self, *_):
        if self._unsynced:
            with contextlib.suppress(OSError):
                os.fsync(self._file.fileno())
        self._file.close()

    def has(self, name: str, stamp: list | None) -> bool:
        """Whether there are scores of this recording as it is now."""
        return name in self._places and self._stamps[name] == stamp

    def add(self, name: str, stamp: list | None, scores: Iterable[float]) -> None:
        """Write the scores of a recording."""
        entry = {"name": name, "stamp": stamp, "scores": [float(score) for score in scores]}
        text = json.dumps(entry).encode()
        with naming(self.path):
            place = self._append(self._frame(text), text)
            self._unsynced = time.monotonic() - self._synced <= SYNC_SECONDS
            if not self._unsynced:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        self._places[name], self._stamps[name] = (place, len(text)), stamp

    def forget(self, name: str) -> None:
        """Have no scores of this recording."""
        self._places.pop(name, None)

    def get(self, name: str, default: NDArray | None) -> NDArray | None:
        """The scores of a recording, (C,)."""
        if name not in self._places:
            return default
        return np.array(json.loads(self._text(name))["scores"])

    def remove(self) -> None:
        """Delete the file, whose work is done."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _begin(self):
        """Find what is there, and mend it."""
        head, damaged = self._read()
        if head != self._head and not self._places:
            if not self._head.startswith(head):
                self._file.close()
                aside = os.path.basename(set_aside(self.path))
                cause = "of other weights or options, or of another acdref"
                self._say(f"{self.path}: {cause}; kept as {aside}, starting anew")
                self._file = open_alone(self.path)
            self._file.truncate(0)
            self._append(self._head)
        elif damaged:
            self._say(f"{self.path}: damaged; what is not whole in it is made again")
            self._rewrite()
        if self._places:
            self._say(f"continuing after {len(self._places)} recordings")

    def _read(self):
        """Find the rows; returns the first line, and whether anything differs from what was written."""
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as stream:
            head = stream.readline()
            damaged = head != self._head
            place = 0 if damaged else len(head)  # a row may be glued to what is no first line
            stream.seek(place)
            for line in stream:
                damaged |= not self._take(line, place)
                place += len(line)
        return head, damaged

    def _take(self, line, place):
        """Take the rows in a line that is at a place of the file; returns whether it is the next row."""
        start, whole = 0, False
        while found := _ROW.search(line, start):
            text = line[found.end() : found.end() + int(found[2])]
            start = found.start() + 1
            if found[3] == self._sum(int(found[1]), text):
                entry = json.loads(text)
                self._stamps[entry["name"]] = entry["stamp"]
                self._places[entry["name"]] = place + found.end(), len(text)
                start = found.end() + len(text)
                whole = line == self._frame(text) + text + b"\n"
        return whole

    def _rewrite(self):
        """A file of the rows that are there."""
        before, self._rows = self._file, 0
        with replacing(self.path) as temporary, open(temporary, "wb", buffering=0) as self._file:
            self._append(self._head)
            for name, (place, length) in self._places.items():
                before.seek(place)
                text = before.read(length)
                self._places[name] = self._append(self._frame(text), text), length
        before.close()
        self._file = open_alone(self.path)

    def _frame(self, text):
        """What stands before the text of the next row."""
        number, self._rows = self._rows, self._rows + 1
        return b"%d %d %s " % (number, len(text), self._sum(number, text))

    def _sum(self, number, text):
        digest = hashlib.blake2b(b"%d %d " % (number, len(text)), digest_size=8, key=self._key.digest())
        digest.update(text)
        return digest.hexdigest().encode()

    def _append(self, start, text=None):
        """Write a line, which begins with `start`; returns the place of the text behind that."""
        place = self._file.seek(0, os.SEEK_END) + len(start)
        left = start if text is None else start + text + b"\n"
        while left:
            left = left[self._file.write(left) :]
        return place

    def _text(self, name):
        place, length = self._places[name]
        self._file.seek(place)
        return self._file.read(length)


def stamp(file: str | PathLike) -> list | None:
    """Size and time of a file, or size and version of an address; None if there is none."""
    try:
        if remote.is_address(file):
            return remote.stamp(os.fspath(file))
        status = os.stat(file)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
