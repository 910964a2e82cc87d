"""Scores of a teacher as files, read row by row beside the label file that they belong to.

=====  ===================================================================================================
npz    arrays ``ids`` (or ``paths``), (N,) text; ``classes``, (C,) text; ``scores``, (N, C) in [0, 1] or NaN
csv    a column ``path`` (or ``id``, ``fname``) and one column per class; what `acdref predict` writes: of a
       recording with several windows the mean counts, of one with an error, or an empty cell, there is none
=====  ===================================================================================================

Rows are in the order of the clips; rows of further clips may stand between them.
"""

import csv
import itertools
import zipfile
import zlib

import numpy as np

from acdref.errors import FileError

_CHUNK = 256
_IDS = ("path", "id", "fname")
_NOT_CLASSES = {"schema", "start", "end", "note", "error"}


class ScoreFile:
    """A file of scores.

    Parameters
    ----------
    path : str or path-like

    Attributes
    ----------
    path : str
    classes : tuple of str

    Raises
    ------
    FileError
        If it cannot be read, has no such arrays or columns, or names a class twice; while its rows are read,
        for a score outside [0, 1] or a damaged row.
    """

    def __init__(self, path):
        self.path = str(path)
        try:
            with open(path, "rb") as file:
                self.is_npz = file.read(2) == b"PK"
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None
        self.classes = _npz_classes(self.path) if self.is_npz else _csv_header(self.path)[2]
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise FileError(self.path, "names no class, or one twice")

    def rows(self):
        """(where, id, scores) of each row: where as words, scores (C,) float64."""
        rows = _npz_rows(self) if self.is_npz else _csv_rows(self)
        for where, id, scores in rows:
            bad = ~((scores >= 0) & (scores <= 1) | np.isnan(scores))
            if bad.any():
                c = int(bad.argmax())
                cause = f"{where}: the score {scores[c]:g} of {self.classes[c]!r} is outside [0, 1]"
                raise FileError(self.path, cause)
            yield where, id, scores

    def beside(self):
        """A callable from lists of clips (in the order of their file, call by call) to scores (n, C).

        It raises FileError for a clip that has no row after those already taken.
        """
        rows = self.rows()

        def take(clips):
            scores = np.empty((len(clips), len(self.classes)))
            for i, clip in enumerate(clips):
                scores[i] = find(clip)
            return scores

        def find(clip):
            for _, id, scores in rows:
                if id == clip.id:
                    return scores
            cause = f"has no row for {clip.id!r} (line {clip.line} of the labels) after the clips before it"
            raise FileError(self.path, f"{cause}; rows must be in the order of the clips")

        return take


def _npz_classes(path):
    with _Archive(path) as archive:
        classes = _Array(path, archive, ("classes",))
        names = tuple(itertools.chain.from_iterable(classes.chunks()))
        scores, ids = _Array(path, archive, ("scores",)), _Array(path, archive, ("ids", "paths"))
        if classes.dtype.kind != "U" or ids.dtype.kind != "U" or scores.dtype.kind != "f":
            raise FileError(path, "classes and ids must be text (not objects), scores floating point")
        if len(scores.shape) != 2 or scores.shape != (*ids.shape, len(names)):
            raise FileError(path, f"scores {scores.shape} for {ids.shape} ids and {len(names)} classes")
    return tuple(map(str, names))


def _npz_rows(file):
    with _Archive(file.path) as archive:
        ids, scores = _Array(file.path, archive, ("ids", "paths")), _Array(file.path, archive, ("scores",))
        number = 0
        for names, values in zip(ids.chunks(), scores.chunks(), strict=True):
            for id, row in zip(names.tolist(), values.astype(np.float64), strict=True):
                number += 1
                yield f"row {number}", id, row


class _Archive:
    """The zip archive; whatever is wrong with it or with the arrays in it is a FileError."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        try:
            self.archive = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise FileError(self.path, f"damaged npz file: {error}") from None
        return self.archive

    def __exit__(self, kind, error, _):
        self.archive.close()
        if kind is not None and issubclass(kind, (OSError, EOFError, zipfile.BadZipFile, zlib.error)):
            raise FileError(self.path, f"damaged npz file: {error}") from None


class _Array:
    """An array in an npz file, of which a few rows at a time are read."""

    def __init__(self, path, archive, names):
        self.path, self.archive = path, archive
        entries = [f"{name}.npy" for name in names if f"{name}.npy" in archive.namelist()]
        if len(entries) != 1:
            raise FileError(path, f"has no array {' or '.join(names)}")
        self.entry = entries[0]
        with archive.open(self.entry) as stream:
            self.shape, fortran, self.dtype = self._header(stream)
        if fortran and len(self.shape) > 1:
            raise FileError(path, f"{names[0]} is in Fortran order: save numpy.ascontiguousarray of it")

    def chunks(self):
        with self.archive.open(self.entry) as stream:
            self._header(stream)
            row = self.dtype.itemsize * int(np.prod(self.shape[1:]))
            for start in range(0, self.shape[0], _CHUNK):
                n = min(_CHUNK, self.shape[0] - start)
                data = stream.read(n * row)
                if len(data) < n * row:
                    raise FileError(self.path, f"{self.entry} ends early")
                yield np.frombuffer(data, self.dtype).reshape(n, *self.shape[1:])

    def _header(self, stream):
        try:
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read[version](stream)
        except (ValueError, KeyError) as error:
            raise FileError(self.path, f"{self.entry} is no array: {error}") from None
        if dtype.hasobject:
            raise FileError(self.path, f"{self.entry} holds Python objects, which are not read")
        return shape, fortran, dtype


def _csv_header(path):
    """Columns; position of the id; classes; position of each class."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            columns = next(csv.reader(file, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileError(path, f"line 1: {error}") from None
    ids = [i for i, name in enumerate(columns) if name in _IDS]
    if not ids:
        raise FileError(path, f"line 1: no column {', '.join(_IDS)}")
    at = [i for i, name in enumerate(columns) if i != ids[0] and name not in _NOT_CLASSES]
    return columns, ids[0], tuple(columns[i] for i in at), at


def _csv_rows(file):
    for (_, id), rows in itertools.groupby(_csv_lines(file), key=lambda row: row[:2]):
        _, _, lines, seconds, scores = zip(*rows, strict=True)
        yield f"line {lines[0]}", id, scores[0] if len(scores) == 1 else _mean(scores, seconds)


def _mean(scores, seconds):
    """Mean over windows, weighted by their duration where it is known."""
    scores = np.array(scores)
    weights = np.array(seconds) if all(duration > 0 for duration in seconds) else np.ones(len(scores))
    return np.clip(weights @ scores / weights.sum(), scores.min(axis=0), scores.max(axis=0))


def _csv_lines(file):
    """(number of the recording, id, line, duration, scores) of each window; NaN for no duration."""
    columns, at_id, _, at = _csv_header(file.path)
    span = [columns.index(name) for name in ("start", "end")] if {"start", "end"} <= set(columns) else None
    line = recording = 0
    previous = None
    with open(file.path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            next(reader)
            line = reader.line_num
            for fields in reader:
                if len(fields) != len(columns):
                    raise ValueError(f"{len(fields)} fields instead of {len(columns)}")
                recording += fields[at_id] != previous
                previous = fields[at_id]
                start, end = (float(fields[i] or "nan") for i in span) if span else (np.nan, np.nan)
                scores = np.array([float(fields[i] or "nan") for i in at])
                yield recording, previous, line + 1, end - start, scores
                line = reader.line_num
        except (csv.Error, UnicodeDecodeError, ValueError) as error:
            raise FileError(file.path, f"line {line + 1}: {error}") from None
