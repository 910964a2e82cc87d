"""Files that are there whole or not at all, written under another name and then renamed; files that ship."""

import contextlib
import csv
import hashlib
import io
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

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


def refuse_pipes(path: Place, error: type[FileError] = FileError) -> None:
    """Refuse what is neither file nor folder, where a file is read more than once or from its end.

    To open a FIFO is to wait for its writer, and what it gave once is gone.

    Parameters
    ----------
    path : str or path-like
    error : type, optional
        Subclass of FileError.

    Raises
    ------
    FileError
        For a FIFO, a device or a socket; or if there is no such file.

    Examples
    --------
    >>> refuse_pipes(os.devnull)
    Traceback (most recent call last):
    acdref.errors.FileError: /dev/null: not a regular file
    """
    with naming(path, error):
        mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise error(path, "not a regular file")


def parse_json(text: str | bytes) -> Any:
    """JSON that somebody else has written.

    Parameters
    ----------
    text : str or bytes

    Raises
    ------
    ValueError
        For what is no JSON, brackets that are nested by the thousand, and a name that an object has twice,
        of which one value would be lost.

    Notes
    -----
    Whole numbers that no 64-bit integer holds become floating point, up to infinity.

    Examples
    --------
    >>> parse_json('{"a": [1, 1000000000000000000000]}')
    {'a': [1, 1e+21]}
    """
    try:
        return _JSON.decode(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("brackets are nested too deeply") from None


def read_json(path: Place, error: type[FileError] = FileError) -> Any:
    """Content of a JSON file that somebody else has written, see :func:`parse_json`.

    Parameters
    ----------
    path : str or path-like
    error : type, optional
        Subclass of FileError.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    refuse_pipes(path, error)
    try:
        with naming(path, error), open(path, "rb") as file:
            return parse_json(file.read())
    except ValueError as caught:
        raise error(path, f"is not JSON: {caught}") from None


def _object(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the name {twice!r} twice")
    return found


_JSON = json.JSONDecoder(
    parse_int=lambda digits: int(digits) if len(digits) < 19 else float(digits), object_pairs_hook=_object
)


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
