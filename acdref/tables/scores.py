"""Scores of a teacher as files: written row by row, and read so beside the label file that they belong to.

=====  ===================================================================================================
npz    arrays ``ids`` (or ``paths``), (N,) text; ``classes``, (C,) text; ``scores``, (N, C) in [0, 1] or NaN;
       also what `acdref teach` writes, whose cosines somebody must make scores of
csv    a column ``path`` (``id``, ``fname``, ``filename``) and one per class; what `acdref predict` writes
jsonl  what `acdref predict` writes
=====  ===================================================================================================

Of a recording with several windows the mean counts, weighted by duration; a recording with an error, an empty
cell and a class that is left out have no score.  Rows are in the order of the clips; rows of further clips
may stand between them.
"""

import codecs
import collections
import itertools
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.checkpoint import Arrays
from acdref.errors import FileError, naming
from acdref.files import parse_json, refuse_pipes, replacing
from acdref.remote import here
from acdref.tables.label_files import Clip
from acdref.tables.rows import Rows, csv_line, tidy

_CHUNK = 256  # rows of an npz file in memory at a time
_IDS = ("path", "id", "fname", "filename")
NOT_CLASSES = ("schema", "start", "end", "note", "error")
"""Columns of what `acdref predict` writes that are no class."""


class ScoreFile:
    """A file of scores.

    Parameters
    ----------
    path : str or path-like
    decide : callable, optional
        From the path of a file with cosines of `acdref teach` to its classes, its paths and their scores
        (N, C).  Without it, such a file is refused.

    Attributes
    ----------
    path : str
    classes : tuple of str
    decided : bool
        Whether the file holds cosines.

    Raises
    ------
    FileError
        If it cannot be read, has no such arrays or columns, or names a class twice; while its rows are read,
        for a score outside [0, 1] or a damaged row.
    """

    def __init__(self, path: str | PathLike, decide: Callable | None = None):
        self.path = str(path)
        refuse_pipes(path)
        with naming(path), open(here(path), "rb") as file:
            first = file.read(64).removeprefix(codecs.BOM_UTF8).lstrip()[:2]
        self.decided = first == b"PK" and _holds_cosines(self.path)
        if self.decided:
            if decide is None:
                raise FileError(self.path, "holds cosines of acdref teach, not scores")
            self.classes, *rows = decide(self.path)
            self._rows = lambda: zip(map("row {}".format, itertools.count(1)), *rows, strict=False)
        else:
            read = {b"PK": _read_npz, b"{": _read_jsonl, b"[": _refuse_array}
            self.classes, self._rows = read.get(first, read.get(first[:1], _read_csv))(self.path)
        self.classes = tuple(map(tidy, self.classes))
        if not self.classes:
            raise FileError(self.path, "names no class")
        name, count = collections.Counter(self.classes).most_common(1)[0]
        if count > 1:
            raise FileError(self.path, f"names the class {name!r} {count} times")

    def rows(self) -> Iterator[tuple[str, str, NDArray]]:
        """(where, id, scores) of each row: where as words, scores (C,) float64."""
        for where, id, scores in self._rows():
            bad = ~((scores >= 0) & (scores <= 1) | np.isnan(scores))
            if bad.any():
                c = int(bad.argmax())
                cause = f"{where}: the score {scores[c]:g} of {self.classes[c]!r} is outside [0, 1]"
                raise FileError(self.path, cause)
            yield where, id, scores

    def beside(self) -> Callable[[Sequence[Clip]], NDArray]:
        """A callable from lists of clips (in the order of their file, call by call) to scores (n, C).

        It raises FileError for a clip that has no row after those already taken.
        """
        rows = self.rows()

        def find(clip):
            for _, id, scores in rows:
                if id == clip.id:
                    return scores
            cause = f"has no row for {clip.id!r} (line {clip.line} of the labels) after the clips before it"
            first = next((id for _, id, _ in self.rows()), None)
            order = f"rows must be in the order of the clips, under the same names (the first is {first!r})"
            raise FileError(self.path, f"{cause}; {order}")

        return lambda clips: np.array([find(clip) for clip in clips])


# Each reader returns the classes, and a function that begins the rows: (where, id, scores (C,) float64).


def _arrays(path):
    return Arrays(path, "damaged, or not a file of scores")


def _holds_cosines(path):
    with _arrays(path) as arrays:
        return "cosines" in arrays.names


def _read_npz(path):
    with _arrays(path) as arrays:
        ids = [name for name in ("ids", "paths") if name in arrays.names]
        if len(ids) != 1:
            raise FileError(path, f"has {'both arrays' if ids else 'no array'} ids or paths")
        classes = tuple(arrays.read("classes").ravel().tolist())
        headers = [arrays.header(name) for name in ("classes", *ids, "scores")]
    (_, count, shape), types = zip(*headers, strict=True)
    if [dtype.kind for dtype in types] != ["U", "U", "f"]:
        raise FileError(path, "classes and ids must be text (not objects), scores floating point")
    if len(shape) != 2 or shape != (*count, len(classes)):
        raise FileError(path, f"scores {shape} for {count} ids and {len(classes)} classes")

    def rows():
        with _arrays(path) as arrays:
            pieces = zip(arrays.chunks(*ids, _CHUNK), arrays.chunks("scores", _CHUNK), strict=True)
            pairs = (pair for names, scores in pieces for pair in zip(names, scores, strict=True))
            for number, (id, scores) in enumerate(pairs, start=1):
                yield f"row {number}", str(id), scores.astype(np.float64)

    return classes, rows


def _read_csv(path):
    with Rows(path, None) as rows:
        columns, dialect = rows.header(_IDS), rows.dialect
    ids = [i for i, name in enumerate(columns) if name in _IDS]
    if not ids:
        raise FileError(path, f"line {rows.line}: no column {', '.join(_IDS)} ({rows.found()})")
    at = [i for i, name in enumerate(columns) if name and name not in _IDS + NOT_CLASSES]
    span = [columns.index(name) for name in ("start", "end") if {"start", "end"} <= set(columns)]

    def number(rows, fields, column):
        try:
            return float(fields[column] or "nan")
        except ValueError:
            raise rows.bad(f"{fields[column]!r} is no number", column) from None

    def windows():
        with Rows(path, dialect) as rows:
            rows.header(_IDS)
            for line, fields in rows:
                seconds = np.diff([number(rows, fields, i) for i in span]).sum() if span else np.nan
                yield line, fields[ids[0]], seconds, np.array([number(rows, fields, i) for i in at])

    return tuple(columns[i] for i in at), lambda: _recordings(windows())


def _refuse_array(path):
    raise FileError(path, "is one JSON array: an object a line is wanted (jsonl)")


def _read_jsonl(path):
    classes = tuple(dict.fromkeys(name for _, window in _objects(path) for name in window["scores"]))

    def windows():
        for line, window in _objects(path):
            scores = np.array([window["scores"].get(name, np.nan) for name in classes], dtype=np.float64)
            yield line, window["path"], window["end"] - window["start"], scores

    return classes, lambda: _recordings(windows())


def _objects(path):
    with Rows(path) as rows:
        yield from window_objects(rows)


def window_objects(rows: Rows) -> Iterator[tuple[int, dict]]:
    """(line, object) of each line of jsonl, with all of the keys path, start, end, scores; FileError for
    what is none."""
    for text in rows.lines:
        rows.line += 1
        if text.strip():
            try:
                window = _window(text)
            except json.JSONDecodeError as error:
                cause = f"{error.msg} at character {error.pos + 1}: a whole object a line is wanted"
                raise rows.bad(cause) from None
            except ValueError as error:
                raise rows.bad(str(error)) from None
            yield rows.line, window


def _window(text):
    window = parse_json(text)
    if not isinstance(window, dict) or not isinstance(window.get("path"), str):
        raise ValueError("no object with a path")
    window = {"start": np.nan, "end": np.nan, "scores": {}} | window
    if not isinstance(window["scores"], dict):
        raise ValueError("the scores are no object from class to score")
    for value in (window["start"], window["end"], *window["scores"].values()):
        if type(value) not in (int, float):
            raise ValueError("a start, end or score is no number")
    return window


def _recordings(windows):
    """One row for the windows of a recording, which stand together."""
    for id, group in itertools.groupby(windows, key=lambda window: window[1]):
        lines, _, seconds, scores = zip(*group, strict=True)
        yield f"line {lines[0]}", id, scores[0] if len(scores) == 1 else _mean(scores, seconds)


def _mean(scores, seconds):
    """Mean over windows, weighted by their duration where it is known."""
    scores = np.array(scores)
    weights = np.array(seconds) if all(duration > 0 for duration in seconds) else np.ones(len(scores))
    return np.clip(weights @ scores / weights.sum(), scores.min(axis=0), scores.max(axis=0))


def write_scores(
    path: str | PathLike, ids: Sequence[str], classes: Sequence[str], rows: Iterable[ArrayLike]
) -> None:
    """Write a file of scores; the old one stays until the new one is complete.

    Parameters
    ----------
    path : str or path-like
        Ends in ``.npz`` or ``.csv``.
    ids : sequence of str, (N,)
        As the label file spells them, in its order.
    classes : sequence of str, (C,)
    rows : iterable of (C,) arrays
        Scores in [0, 1] or NaN, one row for each of `ids`; taken one at a time.

    Raises
    ------
    FileError
        For another ending, a class name that a CSV file cannot have, or a file that cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_scores(f"{folder}/s.npz", ["a.wav", "b.wav"], ["dog"], [[0.5], [np.nan]])
    ...     for where, id, scores in ScoreFile(f"{folder}/s.npz").rows():
    ...         print(id, scores)
    a.wav [0.5]
    b.wav [nan]
    """
    write = writer(path, classes)
    with replacing(path) as temporary:
        write(temporary, ids, classes, rows)


def writer(path: str | PathLike, classes: Sequence[str]) -> Callable:
    """The function that writes scores of these classes to a file of this name; FileError if there is none."""
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in _WRITERS:
        raise FileError(path, "scores are written to a name that ends in .npz or .csv")
    for name in classes:
        if ending == ".csv" and name in _IDS + NOT_CLASSES:
            raise FileError(path, f"csv has a column {name!r} that is no class: use a name that ends in .npz")
    return _WRITERS[ending]


def _write_npz(path, ids, classes, rows):
    header = {"descr": "<f8", "fortran_order": False, "shape": (len(ids), len(classes))}
    with zipfile.ZipFile(path, "w") as archive:
        for name, names in (("ids", ids), ("classes", classes)):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.array(names, dtype=np.str_), allow_pickle=False)
        with archive.open("scores.npy", "w", force_zip64=True) as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for row in rows:
                stream.write(np.asarray(row, "<f8").tobytes())


def _write_csv(path, ids, classes, rows):
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        stream.write(csv_line(["path", *classes]))
        for id, row in zip(ids, rows, strict=True):
            scores = ("" if np.isnan(score) else repr(float(score)) for score in row)
            stream.write(csv_line([id, *scores]))


_WRITERS = {".npz": _write_npz, ".csv": _write_csv}
