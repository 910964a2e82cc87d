"""Tables in text files, separated by commas or tabs: the one reader of all formats, and what writes rows.

Text is UTF-8, with or without a byte order mark; lines end in LF, CR LF or CR.  A row whose fields are all
blank says nothing, wherever it stands: before the header, too.  A row counts under the line in which it
begins.  Between commas fields may be quoted, and then hold commas and line ends; between tabs they are text.
"""

import csv
import io
import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import BinaryIO

from acdref.errors import FileError, naming
from acdref.files import patient
from acdref.remote import here

COMMAS: dict = {}
COMMAS_AND_BLANKS = {"skipinitialspace": True}
TABS = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}


class Rows:
    """A table that is open for reading, in a ``with`` statement, once from its beginning to its end.

    Parameters
    ----------
    path : str or path-like
    dialect : dict, optional
        :data:`COMMAS`, :data:`COMMAS_AND_BLANKS` or :data:`TABS`: arguments of ``csv.reader``.  None: tabs if
        there is one in the first row, else commas.
    error : type
        Subclass of FileError, for whatever is wrong with the file.
    stream : binary file, optional
        Open already, such as stdin; `path` is only its name then.
    errors : str
        What becomes of bytes that are not UTF-8, as of `open`: "strict", or "surrogateescape" where names of
        files may have them.

    Attributes
    ----------
    path : str
    dialect : dict
        Once a row has been read.
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

    def __init__(
        self,
        path: str | PathLike,
        dialect: dict | None = COMMAS,
        error: type[FileError] = FileError,
        stream: BinaryIO | None = None,
        errors: str = "strict",
    ):
        self.path, self.line = str(path), 0
        self._stream, self._how = stream, {"encoding": "utf-8-sig", "newline": "", "errors": errors}
        self.names: list[str] = []
        self.dialect, self._error = dialect, error
        self._before = 0  # lines that the CSV reader has not seen
        self._width: int | None = None

    def __enter__(self):
        with naming(self.path, self._error):
            if self._stream is not None:
                self._file = io.TextIOWrapper(self._stream, **self._how)
            else:
                self._file = open(here(self.path), opener=patient, **self._how)
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

    def header(self, known: Iterable[str] = ()) -> list[str]:
        """The names of the columns, without outer blanks; FileError if there is no row.

        Called again, it gives them again.  One of the `known` names is given as that is spelled, whatever
        letters are large in the file and whether a blank stands for its ``_``, unless the file has both.
        """
        if self.names:
            return self.names
        for _, fields in self._rows:
            self.names = [unquoted(name.strip()) if self.dialect is TABS else name.strip() for name in fields]
            if any("\0" in name for name in self.names):
                raise self.bad("has zero bytes: is it UTF-16? save it as UTF-8")
            own = {name.lower(): name for name in known if name not in self.names}
            self.names = [own.get(name.lower().replace(" ", "_"), name) for name in self.names]
            return self.names
        raise self._error(self.path, "is empty")

    def first(self) -> list[str]:
        """The fields of the next row, which comes once more; empty if there is none."""
        for row in self._rows:
            self._rows = itertools.chain([row], self._rows)
            return row[1]
        return []

    def column(self, name: str, needed: bool = True) -> int | None:
        """Position of a column, or None; FileError if there are several, or none and it is needed."""
        count = self.names.count(name)
        if count > 1:
            raise self._error(self.path, f"has the column {name!r} {count} times")
        if needed and not count:
            raise self._error(self.path, f"has no column {name!r} ({self.found()})")
        return self.names.index(name) if count else None

    def found(self) -> str:
        """In words, what the columns are."""
        names = _one_line(", ".join(self.names))
        names = f"its columns: {names if len(names) <= 250 else names[:250] + '...'}"
        return f"{names}: semicolons between columns must be commas" if _EXCEL.fullmatch(names) else names

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
        if self.dialect is None:
            self.dialect = self._likely()
        reader = csv.reader(self.lines, strict=True, **self.dialect)
        last = self._before
        try:
            for fields in reader:
                self.line, last = last + 1, self._before + reader.line_num
                if any(map(str.strip, fields)):
                    if self._width is not None and len(fields) != self._width:
                        raise self.bad(f"{len(fields)} fields instead of {self._width}")
                    yield self.line, fields
        except csv.Error as error:
            self.line, now = last + 1, self._before + reader.line_num  # where the row begins: its quote, too
            over = f" in line {now}" if now > self.line else ""
            unclosed = over or "end of data" in str(error)
            quote = ": a quote that opens in this row is not closed" if unclosed else ""
            raise self.bad(f"{error}{over}{quote}") from None

    def _likely(self):
        """The dialect of the first row."""
        seen = []
        for line in self.lines:
            seen.append(line)
            if line.strip(", \t\r\n"):
                break
        self.lines = itertools.chain(seen, self.lines)
        return TABS if seen and "\t" in seen[-1] else COMMAS

    def _text(self):
        try:
            with naming(self.path, self._error):
                yield from self._file
        except UnicodeDecodeError:
            raise self._no_text() from None

    def _no_text(self):
        """The error that names the first byte that is no UTF-8: text is decoded in blocks, which hide it."""
        start = 0
        path = here(self.path)
        if not os.path.isfile(path):  # a pipe is read once
            return self._error(self.path, "is not UTF-8")
        with open(path, "rb") as file:
            for self.line, line in enumerate(file, start=1):
                try:
                    line.decode()
                except UnicodeDecodeError as error:
                    kinds = (what for head, what in _HEADS.items() if not start and line.startswith(head))
                    other = next(kinds, "Latin-1, perhaps")
                    return self.bad(
                        f"is not UTF-8 (byte {start + error.start}), but {other}: save it as UTF-8"
                    )
                start += len(line)
        return self._error(self.path, "is not UTF-8")


_HEADS = {
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip", b"PK": "zip or Excel's",
}  # fmt: skip
_EXCEL = re.compile(r"its columns: [^,;]+(;[^,;]*)+")


def tidy(name: str) -> str:
    """The name of a class as it is compared: without outer blanks, in Unicode's normal form NFC.

    In which form an accented letter arrives depends on the keyboard and the file system, and nobody sees it.

    Examples
    --------
    >>> len("ho\u0308her "), len(tidy("ho\u0308her "))
    (7, 5)
    """
    return unicodedata.normalize("NFC", name.strip())


def is_text(name: str) -> bool:
    """Whether a file of text can hold a name: it has no zero byte, and no half of a letter, as JSON may.

    Examples
    --------
    >>> is_text("dog"), is_text("d\\0g"), is_text("\\ud83d")
    (True, False, False)
    """
    return not re.search("[\0\ud800-\udfff]", name)


def names_in(text: str, separator: str) -> list[str]:
    """Names between separators, each :func:`tidy`; one that holds the separator stands in quotes.

    Parameters
    ----------
    text : str
        Of a field, or from the command line.  In quotes, a quote is doubled.
    separator : str
        One character.

    Raises
    ------
    ValueError
        If a name begins with a quote that is not closed at its end.

    Examples
    --------
    >>> names_in('"Bee, wasp, etc.", Dog', ",")
    ['Bee, wasp, etc.', 'Dog']
    """
    if '"' not in text:
        return [tidy(name) for name in text.split(separator)]
    one = re.compile(rf'\s*(?:"((?:[^"]|"")*)"\s*|([^{separator}]*))({separator}|\Z)')
    names, start, end = [], 0, separator
    while end:
        found = one.match(text, start)
        assert found is not None  # plain text that ends at a separator, or at the end, there always is
        quoted, plain, end = found.groups()
        if quoted is None and plain.startswith('"'):
            raise ValueError(f"{plain.strip()!r} begins with a quote that is not closed at its end")
        names.append(tidy(plain if quoted is None else quoted.replace('""', '"')))
        start = found.end()
    return names


def unquoted(text: str) -> str:
    """Text between tabs without the quotes that some programs put around it.

    Examples
    --------
    >>> unquoted('"Dog, barking"'), unquoted('"a" and b')
    ('Dog, barking', '"a" and b')
    """
    whole = len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1].replace('""', "")
    return text[1:-1].replace('""', '"') if whole else text


def names_text(names: Iterable[str], separator: str) -> str:
    """The text that :func:`names_in` reads as these names, which have no outer blanks.

    Examples
    --------
    >>> names_text(["a; b", "c"], ";")
    '"a; b";c'
    """

    def quoted(name):
        if separator in name or name.startswith('"'):
            return '"' + name.replace('"', '""') + '"'
        return name

    return separator.join(map(quoted, names))


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
