"""Explicit negatives: classes that annotators marked absent from a clip, in a file beside the event list.

TSV with a header and two columns, clip and label, one row for each class that is absent.  The rows of a clip
stand together, the clips in the order of the event list, which may have further ones between.
"""

import csv
import itertools

from acdref.errors import FileError


class AbsentLabels:
    """A file of explicit negatives.

    Parameters
    ----------
    path : str or path-like

    Attributes
    ----------
    path : str
    labels : dict of str to int
        The labels in it, and the line of each one's first row.

    Raises
    ------
    FileError
        If it cannot be read or a row has not two fields; the cause names the line.

    Examples
    --------
    >>> import os, tempfile
    >>> from acdref.tables.label_files import Clip
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "absent.tsv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("filename\\tlabel\\nb\\tDog\\nb\\tCat\\n")
    ...     absent = AbsentLabels(path)
    ...     with absent.beside() as take:
    ...         print([take(Clip(line, id, [])) for line, id in enumerate("abc", start=2)])
    [[], ['Dog', 'Cat'], []]
    """

    def __init__(self, path):
        self.path = str(path)
        self.labels = {}
        for line, _, label in self._rows():
            self.labels.setdefault(label, line)

    def beside(self):
        """Context of a callable that takes the clips of the event list in turn and returns their labels.

        At the end of the context FileError, if there is a clip that did not come.
        """
        return _Beside(self)

    def _rows(self):
        """(line, clip, label) of each row."""
        line = 1
        try:
            with open(self.path, encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
                if next(reader, None) is None:
                    raise FileError(self.path, "is empty: a header is expected, such as filename, label")
                for line, fields in enumerate(reader, start=2):
                    fields = [field.strip() for field in fields]
                    if len(fields) != 2 or not all(fields):
                        raise FileError(self.path, f"line {line}: expected a clip and a label")
                    yield line, *fields
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None
        except UnicodeDecodeError:
            raise FileError(self.path, f"line {line + 1} or after: is not UTF-8") from None


class _Beside:
    def __init__(self, file):
        self.path = file.path
        self._clips = itertools.groupby(file._rows(), key=lambda row: row[1])
        self._read()

    def _read(self):
        """Hold the next clip that has absent classes, or None."""
        self._next = next(((id, list(rows)) for id, rows in self._clips), None)

    def __enter__(self):
        return self._take

    def _take(self, clip):
        if self._next is None or self._next[0] != clip.id:
            return []
        labels = [label for _, _, label in self._next[1]]
        self._read()
        return labels

    def __exit__(self, kind, *_):
        if kind is None and self._next is not None:
            id, ((line, *_), *_) = self._next
            cause = "is no clip of the events after the clips before it; rows must be in their order"
            raise FileError(self.path, f"line {line}: {id!r} {cause}")
