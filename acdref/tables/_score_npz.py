"""Scores in npz files, a few rows in memory at a time; see :mod:`acdref.tables.scores`."""

import itertools
import zipfile
import zlib

import numpy as np

from acdref.errors import FileError

_CHUNK = 256  # rows


def holds(path, name):
    """Whether a file has an array of this name."""
    with _Archive(path) as archive:
        return f"{name}.npy" in archive.namelist()


def read_classes(path):
    """Names of the classes, after a look at the headers of all arrays."""
    with _Archive(path) as archive:
        classes = _Array(path, archive, ("classes",))
        names = tuple(itertools.chain.from_iterable(classes.chunks()))
        scores, ids = _Array(path, archive, ("scores",)), _Array(path, archive, ("ids", "paths"))
        if classes.dtype.kind != "U" or ids.dtype.kind != "U" or scores.dtype.kind != "f":
            raise FileError(path, "classes and ids must be text (not objects), scores floating point")
        if len(scores.shape) != 2 or scores.shape != (*ids.shape, len(names)):
            raise FileError(path, f"scores {scores.shape} for {ids.shape} ids and {len(names)} classes")
    return tuple(map(str, names))


def read_rows(path):
    """(where, id, scores (C,) float64) of each row."""
    with _Archive(path) as archive:
        ids, scores = _Array(path, archive, ("ids", "paths")), _Array(path, archive, ("scores",))
        number = 0
        for names, values in zip(ids.chunks(), scores.chunks(), strict=True):
            for id, row in zip(names.tolist(), values.astype(np.float64), strict=True):
                number += 1
                yield f"row {number}", id, row


def write(path, ids, classes, rows):
    """Write a file; `rows` are (C,) float64, one for each of `ids`, taken as they come."""
    with zipfile.ZipFile(path, "w") as archive:
        _write_array(archive, "ids", np.array(ids, dtype=np.str_))
        _write_array(archive, "classes", np.array(classes, dtype=np.str_))
        header = {"descr": "<f8", "fortran_order": False, "shape": (len(ids), len(classes))}
        with archive.open("scores.npy", "w", force_zip64=True) as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for row in rows:
                stream.write(np.asarray(row, "<f8").tobytes())


def _write_array(archive, name, array):
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, array, allow_pickle=False)


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
