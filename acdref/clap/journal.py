"""A journal of rows, so that a job that was stopped goes on where it was.

A text file: a JSON line with the job's key, then one JSON line for each row.  A row is there once its line is
complete; what a kill or a power cut left of the last one is cut off.
"""

import json
import os

from acdref.errors import FileError


class Journal:
    """The journal of a job, as a context; opened at the row after the last.

    Parameters
    ----------
    path : str or path-like
    key : dict
        What decides about the rows: those of a job with another key are not mixed with this job's.

    Attributes
    ----------
    rows : list of dict
        What was there, in the order in which it was written.

    Raises
    ------
    FileError
        If the file cannot be written, or is the journal of a job with another key.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(f"{folder}/j", {"a": 1}) as journal:
    ...         journal.add({"x": 0.1})
    ...     with Journal(f"{folder}/j", {"a": 1}) as journal:
    ...         print(journal.rows)
    [{'x': 0.1}]
    """

    def __init__(self, path, key):
        self.path = os.fspath(path)
        self.rows = []
        try:
            self._file = open(self.path, "a+b")  # noqa: SIM115 (the journal is the context)
            self._resume(json.loads(json.dumps(key)))
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None

    def _resume(self, key):
        self._file.seek(0)
        good, first = 0, None
        for line in self._file:
            try:
                content = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                content = None
            if not isinstance(content, dict):
                break
            good += len(line)
            if first is None:
                first = content
            else:
                self.rows.append(content)
        if first is not None and first != key:
            self._file.close()
            differing = sorted(name for name in {*first, *key} if first.get(name) != key.get(name))
            cause = f"the journal of a job with another {', '.join(differing)}"
            raise FileError(self.path, f"{cause}: delete it, or name another --out")
        self._file.truncate(good)
        if first is None:
            self.add(key)

    def add(self, row):
        """Write a row; numbers come back bit-equal."""
        try:
            self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None

    def remove(self):
        """Delete the file, when its rows are elsewhere."""
        self._file.close()
        os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
