"""Where results go, several ways in one pass: text, Parquet, and folders with a file for each recording.

What makes events is imported where there are any: tags are told without waiting for it.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, TextIO

from acdref.errors import AcdrefError, FileError
from acdref.files import refuse_inputs, replacing, settle
from acdref.predict import formats
from acdref.predict.tagging import End
from acdref.remote import StoreError, is_address, join, listing, real

if TYPE_CHECKING:
    from acdref.predict.events import Timeline

Write = Callable[[Any], object]

_LONGEST = 200  # bytes of a file's name, without its ending
_GROUP = 10_000  # rows of a Parquet file in memory
_PART = 1_000_000  # of a file, where there are several


def passed(results: Iterable[Any], write: Write) -> Iterator[Any]:
    """Results as they come, each once it has been written; an End is nothing to write."""
    for result in results:
        if not isinstance(result, End):
            write(result)
        yield result


def window_text(
    form: str,
    stream: TextIO,
    classes: Sequence[str],
    threshold: formats.Threshold = None,
    top: int | None = None,
) -> Write:
    """A writer of windows in one of :data:`acdref.predict.formats.FORMATS`; the head is written at once."""
    head, text = formats.FORMATS[form](classes, threshold, top)
    stream.write(head)
    return lambda result: _flushed(stream, text(result))


def event_text(form: str, stream: TextIO, classes: Sequence[str]) -> Write:
    """A writer of timelines in one of :data:`acdref.predict.event_files.EVENT_FILES`, all in one file."""
    from acdref.predict.event_files import EVENT_FILES

    stream.write(EVENT_FILES[form].head)
    return lambda timeline: _flushed(stream, EVENT_FILES[form].text(timeline, classes))


def _flushed(stream, text):
    stream.write(text)
    stream.flush()


class Names:
    """Names for recordings, without endings, that differ.

    Notes
    -----
    ``a/dog.wav`` gives ``dog``.  A later ``b/dog.wav`` gives ``b_dog``: as much of its path as no other
    recording has taken.  What two names differ in must be more than capitals, since some file systems do not
    tell these apart.

    Examples
    --------
    >>> names = Names()
    >>> [names.of(path) for path in ("a/dog.wav", "b/dog.wav", "a/dog.flac", "a/dog.wav")]
    ['dog', 'b_dog', 'a_dog', 'dog']
    """

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}  # name without capitals -> recording

    def of(self, path: str) -> str:
        """The name for a recording; the same for the same one."""
        for name in _names(path):
            if self._taken.setdefault(name.casefold(), path) == path:
                return name
        raise AssertionError


class LabelFolder:
    """A folder with a file of events for each recording, known by the recording's name, see :class:`Names`.

    Parameters
    ----------
    folder : str or path-like
        There already.
    form : str
        A format of :data:`acdref.predict.event_files.EVENT_FILES`.
    classes : sequence of str

    Examples
    --------
    >>> labels = LabelFolder("labels", "audacity", ["dog"])
    >>> [labels.name(path) for path in ("a/dog.wav", "b/dog.wav")]
    ['dog.txt', 'b_dog.txt']
    """

    def __init__(self, folder: str | PathLike, form: str, classes: Sequence[str]) -> None:
        from acdref.predict.event_files import EVENT_FILES

        self.folder, self.form, self.classes = folder, EVENT_FILES[form], classes
        self._names = Names()
        self._written: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            settle(self.folder, self._written)

    def name(self, path: str) -> str:
        """The name of the file for a recording; the same for the same one."""
        return self._names.of(path) + self.form.suffix

    def write(self, timeline: "Timeline") -> None:
        """Write a recording's file; none for one that could not be used at all.

        Raises
        ------
        FileError
            If it cannot be written, or is the recording itself.
        """
        if not timeline.seconds:
            return
        name = self.name(timeline.path)
        place = join(self.folder, name)
        refuse_inputs(place, timeline.path)
        text = self.form.head + self.form.text(timeline, self.classes)
        with replacing(place, durable=False) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
        self._written.add(name)


def _names(path):
    """Names for a recording, the shortest first."""
    *folders, name = os.path.normpath(path).split(os.sep)
    stem = os.path.splitext(name)[0]
    names = [stem]
    for folder in reversed(folders):
        names.append(f"{folder}_{names[-1]}")
    names.append(f"{names[-1]}{os.path.splitext(name)[1]}")
    for each in names:
        yield _short(each)
    number = 2
    while True:
        yield f"{_short(stem)}-{number}"
        number += 1


def _short(name):
    return os.fsdecode(os.fsencode(name)[-_LONGEST:])


class ParquetRows:
    """A Parquet file that is written row by row, in memory bounded by a group of rows.

    Parameters
    ----------
    path : str or path-like
    columns : dict of str to str
        What stands in each: "string" or "float64".
    schema : str
        Name and version, in the file's metadata under ``schema``.

    Raises
    ------
    AcdrefError
        If pyarrow is not installed.
    """

    def __init__(self, path: str | PathLike, columns: dict[str, str], schema: str) -> None:
        self._arrow = check_parquet()
        fields = [(name, getattr(self._arrow, kind)()) for name, kind in columns.items()]
        self._schema = self._arrow.schema(fields, metadata={"schema": schema})
        self._file = self._arrow.parquet.ParquetWriter(os.fspath(path), self._schema)
        self._rows: list[Sequence[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, *_):
        if kind is None and self._rows:
            self._group()
        self._file.close()

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows: a value for each column, None for none."""
        self._rows += rows
        if len(self._rows) >= _GROUP:
            self._group()

    def _group(self):
        arrays = [
            self._arrow.array([utf8(value) for value in column], field.type)
            for column, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
        ]
        self._file.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


class ParquetParts:
    """A folder of Parquet files, ``part-00000.parquet`` and so on, each of which appears when it is whole.

    Parameters
    ----------
    folder : str or path-like
        There already.
    columns, schema
        As of :class:`ParquetRows`.
    most : int
        Rows of a file, but for what one call of :meth:`write` adds.

    Notes
    -----
    An empty file ``_SUCCESS``, which readers of such folders pass over, appears when all is done.
    """

    def __init__(
        self, folder: str | PathLike, columns: dict[str, str], schema: str, most: int = _PART
    ) -> None:
        self._folder, self._about, self._most = real(folder), (columns, schema), most
        self._parts, self._count = 0, most
        self._part = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error):
        self._part.__exit__(*error)
        if error[0] is None:
            with replacing(join(self._folder, "_SUCCESS")) as temporary:
                temporary.touch()

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows: a value for each column, None for none."""
        rows = list(rows)
        if self._count >= self._most:
            self._part.close()
            place = join(self._folder, f"part-{self._parts:05}.parquet")
            temporary = self._part.enter_context(replacing(place))
            self._file = self._part.enter_context(ParquetRows(temporary, *self._about))
            self._parts, self._count = self._parts + 1, 0
        self._file.write(rows)
        self._count += len(rows)


def refuse_parts(folder: str | PathLike) -> None:
    """Refuse a folder that has parts, which readers would take for those of this run: FileError."""
    names = []
    with contextlib.suppress(FileNotFoundError, StoreError):  # there is none yet
        names = listing(os.fspath(folder))[1] if is_address(folder) else os.listdir(folder)
    for name in sorted(names):
        if re.fullmatch(r"part-\d{5,}\.parquet|_SUCCESS", name):
            raise FileError(join(folder, name), "of another run; delete its files, or name another folder")


def _parquet(path, columns, schema):
    """A file, or parts in a folder, which a name means by a slash at its end."""
    return (ParquetParts if os.fspath(path).endswith(("/", os.sep)) else ParquetRows)(path, columns, schema)


def check_parquet() -> Any:
    """The module pyarrow; refuses Parquet, before any work, where that is not installed: AcdrefError."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise AcdrefError("Parquet needs the package pyarrow (pip install 'acdref[parquet]')") from None
    return pyarrow


def utf8(value: Any) -> Any:
    """Names that are not UTF-8 with escapes."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


@contextlib.contextmanager
def window_parquet(
    path: str | PathLike,
    classes: Sequence[str],
    threshold: formats.Threshold = None,
    top: int | None = None,
) -> Iterator[Write]:
    """Context with a writer of windows in Parquet: the columns of the CSV file."""
    names = formats.columns(classes)
    kinds = dict.fromkeys(names, "string") | dict.fromkeys(("start", "end", *classes), "float64")
    with _parquet(path, kinds, formats.SCHEMA) as file:

        def write(result):
            row = formats.row(result, classes, threshold, top)
            file.write([[row.get(name) for name in names]])

        yield write


@contextlib.contextmanager
def event_parquet(path: str | PathLike, classes: Sequence[str]) -> Iterator[Write]:
    """Context with a writer of timelines in Parquet: the columns of the CSV file."""
    from acdref.predict.event_files import COLUMNS, SCHEMA, event_rows

    texts = ("path", "label", "note", "error", "schema")
    columns = {name: "string" if name in texts else "float64" for name in COLUMNS}
    with _parquet(path, columns, SCHEMA) as file:
        yield lambda timeline: file.write(event_rows(timeline, classes))
