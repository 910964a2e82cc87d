"""Tables in text files, separated by commas or tabs: the one reader of all formats, and what writes rows.

Text is UTF-8, with or without a byte order mark; lines end in LF, CR LF or CR.  A row whose fields are all
blank says nothing, wherever it stands: before the header, too.  A row counts under the line in which it
begins.  Between commas fields may be quoted, and then hold commas and line ends; between tabs they are text.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator
from os import PathLike

from acdref.errors import FileError, naming

COMMAS: dict = {}
COMMAS_AND_BLANKS = {"skipinitialspace": True}
TABS = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}


class Rows:
    """A table that is open for reading, in a ``with`` statement, once from its beginning to its end.

    Parameters
    ----------
    path : str or path-like
    dialect : dict
        :data:`COMMAS`, :data:`COMMAS_AND_BLANKS` or :data:`TABS`: arguments of ``csv.reader``.
    error : type
        Subclass of FileError, for whatever is wrong with the file.

    Attributes
    ----------
    path : str
    names : list of str
        The columns, once :meth:`header` has been called.
    line : int
        Where the row begins that came last.

    Raises
    ------
    FileError
        If the file cannot be opened; while it is read, for what is no such table: the cause names the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/t.csv"
    ...     with open(path, "w") as file:
    ...         _ = file.write('path,classes\\n\\n"a, b.wav",dog\\n')
    ...     with Rows(path) as rows:
    ...         rows.header(), list(rows)
    (['path', 'classes'], [(3, ['a, b.wav', 'dog'])])
    """

    def __init__(self, path: str | PathLike, dialect: dict = COMMAS, error: type[FileError] = FileError):
        self.path, self.line = str(path), 0
        self.names: list[str] = []
        self._dialect, self._error = dialect, error
        self._before = 0  # lines that the CSV reader has not seen
        self._width: int | None = None

    def __enter__(self):
        with naming(self.path, self._error):
            self._file = open(self.path, encoding="utf-8-sig", newline="")
        self.lines = self._text()
        self._rows = self._split()
        return self

    def __exit__(self, *_):
        self._file.close()

    def comments(self) -> list[str]:
        """The lines at the beginning that start with ``#``."""
        found = []
        for line in self.lines:
            if line.strip() and not line.startswith("#"):
                self.lines = itertools.chain([line], self.lines)
                break
            self._before += 1
            found += [line.rstrip("\r\n")] if line.strip() else []
        return found

    def header(self) -> list[str]:
        """The names of the columns, without outer blanks; FileError if there is no row."""
        for _, fields in self._rows:
            self.names = [name.strip() for name in fields]
            return self.names
        raise self._error(self.path, "is empty")

    def column(self, name: str, needed: bool = True) -> int | None:
        """Position of a column, or None; FileError if there are several, or none and it is needed."""
        count = self.names.count(name)
        if count > 1:
            raise self._error(self.path, f"has the column {name!r} {count} times")
        if needed and not count:
            found = f"has no column {name!r} (its columns: {', '.join(self.names)})"
            raise self._error(self.path, _one_line(found)[:300])
        return self.names.index(name) if count else None

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """(line, fields) of each row after the header, which must be as long."""
        return self.fields(len(self.names))

    def fields(self, width: int | None) -> Iterator[tuple[int, list[str]]]:
        """(line, fields) of each row; FileError for one that has not `width` fields, unless that is None."""
        self._width = width
        return self._rows

    def bad(self, cause: str, column: int | str | None = None) -> FileError:
        """The error to raise for the last row, or for its field in a column (a position, or a name)."""
        if isinstance(column, int):
            column = self.names[column] if column < len(self.names) else column + 1
        where = f"line {self.line}" if column is None else f"line {self.line}, column {column!r}"
        return self._error(self.path, _one_line(f"{where}: {cause}"))

    def _split(self):
        """(line, fields) of each row that says something."""
        reader = csv.reader(self.lines, strict=True, **self._dialect)
        last = self._before
        try:
            for fields in reader:
                self.line, last = last + 1, self._before + reader.line_num
                if any(map(str.strip, fields)):
                    if self._width is not None and len(fields) != self._width:
                        raise self.bad(f"{len(fields)} fields instead of {self._width}")
                    yield self.line, fields
        except csv.Error as error:
            self.line = self._before + reader.line_num
            raise self.bad(str(error)) from None

    def _text(self):
        try:
            with naming(self.path, self._error):
                yield from self._file
        except UnicodeDecodeError:
            raise self._no_text() from None

    def _no_text(self):
        """The error that names the first byte that is no UTF-8: text is decoded in blocks, which hide it."""
        start = 0
        with open(self.path, "rb") as file:
            for self.line, line in enumerate(file, start=1):
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    return self.bad(f"is not UTF-8 (byte {start + error.start})")
                start += len(line)
        return self._error(self.path, "is not UTF-8")


class _Echo:
    """What csv.writer writes into to return it: lines that end in LF.

    The writer quotes line ends in a field only if they are among its own, which therefore are CR LF.
    """

    @staticmethod
    def write(line):
        return line.removesuffix("\r\n") + "\n"


_WRITER = csv.writer(_Echo, lineterminator="\r\n")


def csv_line(fields: Iterable) -> str:
    """A row between commas, with its line end; fields may hold any character.

    Examples
    --------
    >>> csv_line(["a, b", 0.5, "", "c"])
    '"a, b",0.5,,c\\n'
    """
    return _WRITER.writerow(fields)


def tab_line(fields: Iterable[str]) -> str:
    """A row between tabs, with its line end; fields must not hold these."""
    return "\t".join(fields) + "\n"


def _one_line(text):
    return " ".join(text.splitlines())
