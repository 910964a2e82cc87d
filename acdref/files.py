"""Files that are there whole or not at all, written under another name and then renamed; files that ship."""

import contextlib
import csv
import hashlib
import io
import math
import os
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

from acdref.errors import FileError, naming

Place = str | os.PathLike[str]
"""Of a file or folder."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], error: type[FileError] = FileError) -> Iterator[Path]:
    """Context in which a file is written that takes the place of `path` when the block ends.

    Parameters
    ----------
    path : str or path-like
    error : type, optional
        Subclass of FileError, for what the system refuses.

    Yields
    ------
    Path
        Where to write: ``.NAME.PID.tmp`` in the same folder.  If the block fails, that file vanishes and the
        old one stays.

    Raises
    ------
    FileError
        In place of any OSError in the block or at its end.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/x.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     print(os.listdir(folder))
    ['x.txt']
    """
    folder, name = os.path.split(path)
    temporary = Path(folder, f".{name}.{os.getpid()}.tmp")
    try:
        with naming(path, error):
            yield temporary
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def refuse_inputs(output: Place | None, *inputs: Place | None) -> None:
    """Refuse to write where something is read from, before any work; None stands for none.

    Raises
    ------
    FileError
        If the output is one of the inputs, by whatever name or link.

    Examples
    --------
    >>> refuse_inputs("scores.csv", "scores.csv")
    Traceback (most recent call last):
    acdref.errors.FileError: scores.csv: is an input, and would be replaced; name another output
    """
    if output is None:
        return
    for given in inputs:
        with contextlib.suppress(OSError, ValueError):
            if given is not None and (output == given or os.path.samefile(output, given)):
                raise FileError(output, "is an input, and would be replaced; name another output")


def write_text(path: str | os.PathLike[str], text: str, error: type[FileError] = FileError) -> None:
    """Write a text in UTF-8, line ends as they are; arguments and errors as :func:`replacing`."""
    with replacing(path, error) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_table(path: str | os.PathLike, columns: Iterable, rows: Iterable, delimiter: str = ",") -> None:
    """Write a CSV file: the names of the columns, and rows; errors as :func:`replacing`."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([columns, *rows])
    write_text(path, text.getvalue())


def json_number(value: float) -> float | None:
    """A number that JSON can hold: None for NaN and infinities."""
    return value if math.isfinite(value) else None


def sha256(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file's contents, in hexadecimal digits; FileError if it cannot be read."""
    with naming(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resource(folder: str, name: str) -> Path:
    """Path of a shipped file.

    Parameters
    ----------
    folder : {"weights", "fixtures"}
    name : str
        File name inside the folder.

    Returns
    -------
    pathlib.Path
        ``acdref/<folder>`` when installed, the folder beside the package in a checkout that is not.
    """
    try:
        return Path(str(resources.files(f"acdref.{folder}"))) / name
    except ModuleNotFoundError:
        return Path(__file__).resolve().parent.parent / folder / name
