"""Recordings and what was heard in them into a page, one after the other, in bounded memory."""

import contextlib
import datetime
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref import __version__
from acdref.errors import AcdrefError
from acdref.predict.events import Timeline
from acdref.predict.formats import printable
from acdref.remote import RECENT, here, is_address
from acdref.report import page as pages
from acdref.report.pictures import TILE, hertz, pictures

SCHEMA = "acdref.report/1"
SOUND = 20_000_000
"""Bytes of sound that a page holds; the rest stays where it is."""

ONE = 10_000
"""A score of 1 in the page."""

_FIELDS = (
    "path", "seconds", "hop", "count", "picture", "column", "tiles", "rate", "sound", "note", "error", "at",
    "labels", "scores",
)  # fmt: skip
_ROWS, _BYTES = 500, 1 << 20  # of a part of the list


class Recording(NamedTuple):
    """A recording as the page shows it.

    Attributes
    ----------
    timeline : Timeline
    file : str
        Where it is, from here.
    labels : (C,) sequence of 1, 0 and None, optional
        None: unknown.
    scores : (C,) array_like, optional
        Of the whole recording, to be compared with the labels.
    """

    timeline: Timeline
    file: str
    labels: Sequence[int | None] | None = None
    scores: ArrayLike | None = None


def write_report(
    out: str | PathLike,
    recordings: Iterable[Recording],
    classes: Sequence[str],
    thresholds: Sequence[float],
    rules: Mapping[str, float] | None = None,
    *,
    title: str = "acdref report",
    errors: bool = False,
    sound: int = SOUND,
    made: str = "",
    said: Callable[[str], object] | None = None,
) -> str:
    """Write a page on recordings.

    Parameters
    ----------
    out : str or path-like
        A file that ends in .html, or a folder, see :func:`acdref.report.page.opened_page`.
    recordings : iterable of Recording
    classes : sequence of str, (C,)
    thresholds : sequence of float, (C,)
        What the page begins with.
    rules : mapping, optional
        ``hold``, ``median``, ``gap`` and ``least`` of :func:`acdref.labels.events.detect_events`, likewise.
    title : str
    errors : bool
        Whether it lists what is wrong by the labels, the surest first, rather than recordings.
    sound : int
        Bytes of recordings that are put into the page, in their order, as long as there is room.
    made : str
        A line on how it was made.
    said : callable, optional
        Called with one line of text where there is something to say.

    Returns
    -------
    str
        Path of the page.

    Raises
    ------
    AcdrefError
        If there is no recording, or none can be used: then nothing is written.
    FileError
        If the page cannot be written.

    Notes
    -----
    Scores are kept in steps of 1/10000, those of windows rounded down, those of whole recordings up: so a
    threshold of four decimals is reached by exactly those that reach it here, and exceeded likewise.
    """
    with pages.opened_page(out) as (parts, meta):
        place = os.path.realpath(out)
        writer = _Writer(parts, os.path.dirname(place) if pages.is_file(out) else place, sound)
        for recording in recordings:
            writer.add(recording)
        writer.flush()
        if not writer.heard:
            some = f"none of {writer.number} recordings can be used"
            raise AcdrefError(some if writer.number else "no recordings were given")
        meta |= {
            "schema": SCHEMA,
            "title": printable(title),
            "classes": [printable(name) for name in classes],
            "thresholds": [_at_least(value) for value in thresholds],
            "rules": {"hold": 1.0, "median": 0.0, "gap": 0.0, "least": 0.0} | dict(rules or {}),
            "fields": _FIELDS,
            "separator": os.sep,
            "tile": TILE,
            "hertz": hertz(),
            "errors": errors,
            "made": f"Written by acdref {__version__}. {printable(made)}".rstrip(),
        }
    if writer.outside and said is not None:
        said(f"{writer.outside} of {writer.number} recordings are not in the page, but played where they are")
    if writer.unheard and said is not None:
        said(f"{writer.unheard} of {writer.number} recordings lie in a store and have no room in the page")
    return str(out) if pages.is_file(out) else os.path.join(out, "index.html")


class _Writer:
    """Fills the parts of a page."""

    def __init__(self, parts, folder, room):
        self._parts, self._folder, self._room = parts, folder, room
        self._rows: list[list] = []
        self._cells: list[bytes] = []
        self.number = self.heard = self.outside = self.unheard = 0

    def add(self, recording):
        """Take a recording."""
        found = recording.timeline
        count = len(found.cells)
        row = dict.fromkeys(_FIELDS) | {
            "path": printable(found.path),
            "seconds": round(found.seconds, 6),
            "hop": round(float(found.borders[1] - found.borders[0]), 9) if count else 1.0,
            "count": count,
            "picture": -1,
            "note": found.note and printable(found.note),
            "error": found.error and printable(found.error),
            "at": time_in_name(found.path),
            "labels": recording.labels,
            "scores": None if recording.scores is None else (-floors(-np.asarray(recording.scores))).tolist(),
        }
        self.number += 1
        if count:
            self.heard += 1
            self._look_and_listen(row, recording.file, found.seconds)
            self._cells.append(floors(found.cells).T.astype("<u2").tobytes())  # (C, K)
        self._rows.append([row[name] for name in _FIELDS])
        if len(self._rows) >= _ROWS or sum(map(len, self._cells)) >= _BYTES:
            self.flush()

    def flush(self):
        """Have all recordings in the list."""
        if self._rows:
            self._parts.list(self._rows, b"".join(self._cells))
            self._rows, self._cells = [], []

    def _look_and_listen(self, row, file, seconds):
        rate, column, drawn = pictures(file, seconds)
        numbers = [self._parts.item(picture) for picture in drawn]
        row |= {"rate": rate, "column": column, "tiles": max(0, len(numbers) - 1)}
        row["picture"] = numbers[0] if numbers else -1
        row["sound"] = self._sound(file)

    def _sound(self, file):
        """Number of the item, or where it is from the page."""
        try:
            size = os.path.getsize(here(file, RECENT))
            if size <= self._room:
                with open(here(file, RECENT), "rb") as opened:
                    number = self._parts.item(opened.read())
                self._room -= size
                return number
        except OSError:  # gone since it was scored
            return None
        if is_address(file) and not file.startswith("http"):  # no browser plays it
            self.unheard += 1
            return None
        self.outside += 1
        return address(file, self._folder)


def address(file: str, folder: str) -> str:
    """Where a file is for a page in a folder, as a URL: relative, so that both may be moved together.

    Examples
    --------
    >>> address("sounds/50%?#.wav", "page")
    '../sounds/50%25%3F%23.wav'
    """
    if is_address(file):
        return quote(file, safe="/:?&=%#+,;@~")
    try:
        path = os.path.relpath(os.path.realpath(file), os.path.realpath(folder))
    except ValueError:  # another drive
        return "file:///" + quote(os.fsencode(os.path.realpath(file).replace(os.sep, "/")), safe="/:")
    return quote(os.fsencode(path.replace(os.sep, "/")))


def floors(scores: ArrayLike) -> NDArray[np.int64]:
    """Scores as whole numbers of 1/10000, rounded down.

    Examples
    --------
    >>> floors([0.57, 0.56999, 1.0]).tolist()
    [5700, 5699, 10000]
    """
    return np.floor(np.round(np.asarray(scores, np.float64) * ONE, 6)).astype(np.int64)


def _at_least(threshold: Any) -> int:
    """The least score of the page that reaches a threshold."""
    return int(np.ceil(np.round(float(threshold) * ONE, 6)))


_TIME = re.compile(
    r"(?<!\d)((?:19[789]|20\d)\d)([-_]?)(\d\d)\2(\d\d)[T_ -]?(\d\d)([-_:.]?)(\d\d)\6(\d\d)(?!\d)"
)


def time_in_name(path: str) -> float | None:
    """The date and time in the name of a recording, as recorders write it; None if there is none.

    Returns
    -------
    float or None
        Seconds since 1970 of the recorder's clock, whatever its time zone.

    Examples
    --------
    >>> time_in_name("site1/20240514_063000.WAV") == time_in_name("SM4_2024-05-14T06-30-00Z.flac")
    True
    >>> time_in_name("20249999_063000.wav") is None
    True
    """
    for found in _TIME.finditer(os.path.basename(path)):
        digits = "".join(found.group(1, 3, 4, 5, 7, 8))
        with contextlib.suppress(ValueError):  # no such day
            when = datetime.datetime.strptime(digits, "%Y%m%d%H%M%S")
            return when.replace(tzinfo=datetime.UTC).timestamp()
    return None
