"""Files that are there whole or not at all, written under another name and then renamed; files that ship.

An address (:mod:`acdref.remote`) is written likewise: to a file of this machine, which is sent when it is
whole.

A lock (``flock``) is on what is being written itself, and ends with the process, however that ends: what is
left of a dead one is known by its having none.  Where there are no such locks (Windows, some file systems of
networks), nothing is refused, and temporary files have the number of their process in their names.
"""

import contextlib
import csv
import errno
import functools
import hashlib
import io
import json
import math
import os
import re
import select
import shutil
import stat
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from acdref import remote
from acdref.errors import FileError, naming

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Place = str | os.PathLike[str]
"""Of a file or folder."""


class BusyError(FileError):
    """What another run is writing."""

    def __init__(self, path: Place) -> None:
        super().__init__(path, "another run is writing it; wait for that, or name another output")


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], error: type[FileError] = FileError, durable: bool = True
) -> Iterator[Path]:
    """Context in which a file is written that takes the place of `path` when the block ends.

    Parameters
    ----------
    path : str or path-like
    error : type, optional
        Subclass of FileError, for what the system refuses.
    durable : bool
        Whether the file is on the disk, whatever happens to the machine, when the block has ended.  Of many
        files, :func:`settle` is quicker.

    Yields
    ------
    Path
        Where to write: ``.NAME.tmp`` in the same folder, that of its target if it is a link.  If the block
        fails, that file vanishes and the old one stays; if the process is killed, the next one that writes
        NAME takes it over.  Of an address, a file in the spool, which is sent when the block ends.

    Raises
    ------
    BusyError
        If another process is writing the same file.
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
    if isinstance(path, str) and remote.is_address(path):
        with _sending(path, error) as temporary:
            yield temporary
        return
    target = os.path.realpath(path)  # behind a link, the file is what shall be replaced
    folder, name = os.path.split(target)
    ours, without = Path(folder, f".{name}.tmp"), Path(folder, f".{name}.{os.getpid()}.tmp")
    temporary, lock, renamed = ours, None, False
    try:
        try:
            lock = open_alone(ours, needed=True)
            _clear(folder, name)
        except BusyError:
            raise BusyError(path) from None
        except OSError:  # no locks, or left by another user; if nothing can be written here, that shows below
            temporary = without
        with naming(path, error):
            yield temporary
            if durable:
                _sync(temporary)
            os.replace(temporary, target)
            renamed = True
            if durable:
                _sync_folder(folder)
    finally:
        if not renamed:
            with contextlib.suppress(OSError, BusyError):
                if lock is None and temporary is ours:  # busy, or interrupted before we had it
                    lock = open_alone(ours, needed=True)
                temporary.unlink()
        if lock is not None:
            lock.close()


@contextlib.contextmanager
def _sending(address, error):
    """As :func:`replacing`; what cannot be sent is kept: hours of work may be in it."""
    with naming(address, error):
        temporary = Path(remote.unfinished())
        try:
            yield temporary
            try:
                remote.send(temporary, address)
            except OSError as caught:
                kept = set_aside(temporary, beside(address, ""))
                raise error(address, f"{caught.strerror}; what was written is kept as {kept}") from None
        finally:
            temporary.unlink(missing_ok=True)


def beside(path: Place, suffix: str) -> str:
    """Where lies what goes with a file while it is made: beside it; of an address, on this machine.

    There, it is named by the digest of the address, in the cache folder (:func:`cache_folder`).
    """
    path = os.fspath(path)
    if not remote.is_address(path):
        return f"{path}{suffix}"
    name = hashlib.sha256(remote.canonical(path).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    try:
        folder = cache_folder() / "stores"
        folder.mkdir(0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # no home
        raise FileError(path, f"no cache folder: {error} (ACDREF_CACHE_DIR names another)") from None
    return str(folder / f"{name}-{os.path.basename(path)[-100:]}{suffix}")


def cache_folder() -> Path:
    """``$ACDREF_CACHE_DIR``, else ``$XDG_CACHE_HOME/acdref``, else ``~/.cache/acdref``.

    Raises
    ------
    RuntimeError
        If there is no home.
    """
    given = os.environ.get("ACDREF_CACHE_DIR")
    return Path(given or Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "acdref")


def place(path: Place) -> "Path | remote.Address":
    """What ``/``, ``.exists()`` and ``.parent`` are asked of: a Path, or an Address."""
    return remote.Address(path) if isinstance(path, str) and remote.is_address(path) else Path(path)


def open_alone(path: Place, needed: bool = False) -> io.FileIO:
    """Open a file to read and write, which is made if need be and which no other process has opened so.

    Parameters
    ----------
    path : str or path-like
    needed : bool
        Whether to fail where there are no locks.

    Returns
    -------
    io.FileIO
        Unbuffered; the file is this process's until it is closed.

    Raises
    ------
    BusyError
        If another process has it.
    OSError
        If it cannot be opened.
    """

    def opener(name, flags):
        return os.open(name, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)

    while True:
        file = open(path, "r+b", buffering=0, opener=opener)  # noqa: SIM115
        try:
            _lock(file.fileno(), path, needed)
            # Another may have renamed or deleted it just before this one got the lock.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), os.lstat(path)):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(descriptor, path, needed=False):
    """Lock an open file until it is closed; BusyError if another has locked it."""
    try:
        if fcntl is None:
            raise OSError("no locks")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(path) from None
    except OSError:  # not here
        if needed:
            raise


@contextlib.contextmanager
def claimed(folder: Place) -> Iterator[None]:
    """Context in which this run alone works in a folder.

    Parameters
    ----------
    folder : str or path-like
        Made if need be, and unmade if it is left empty.

    Raises
    ------
    BusyError
        If another run does.
    FileError
        If it is none, or cannot be made.

    Notes
    -----
    Of an address, runs on this machine are meant: stores have no locks.
    """
    folder = beside(folder, ".lock") if remote.is_address(folder) else folder
    with naming(folder):
        made = make_folder(folder)
        descriptor = None if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if descriptor is not None:
            _lock(descriptor, folder)
        yield
    finally:
        with contextlib.suppress(OSError):  # the first that is not empty
            for one in made:
                one.rmdir()
        if descriptor is not None:
            os.close(descriptor)


def make_folder(folder: Place) -> list[Path]:
    """Make a folder and those above it, as far as need be, durably.

    Returns
    -------
    list of Path
        Those that were made, from the innermost on.

    Raises
    ------
    FileError
        If it cannot be made.
    """
    folder = Path(folder)
    with naming(folder):
        made = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        _sync_folder(one.parent)
    return made


def settle(folder: Place, names: Iterable[Place]) -> None:
    """Have files that were written without `durable` on the disk; FileError if that cannot be."""
    if remote.is_address(folder):  # what was sent is there
        return
    for name in names:
        with naming(os.path.join(folder, name)):
            _sync(os.path.join(folder, name))
    _sync_folder(folder)


def set_aside(path: Place, name: Place | None = None) -> str:
    """Move a file to the first of ``NAME.1``, ``NAME.2``, ... (of its own) that is free; returns that."""
    name, number = os.fspath(path if name is None else name), 1
    while os.path.lexists(f"{name}.{number}"):
        number += 1
    return str(shutil.move(path, f"{name}.{number}"))


def _sync(path):
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder):
    """Have the names in a folder on the disk, where the file system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _clear(folder, name):
    """Delete what dead processes have left of a file, whose names have their numbers."""
    for other in _temporaries(os.path.abspath(folder)):
        found = re.fullmatch(rf"\.{re.escape(name)}\.(\d+)\.tmp", other)
        if found and not _alive(int(found[1])):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, other))


@functools.cache
def _temporaries(folder):
    """Names of the temporary files in a folder when this process came."""
    return [name for name in os.listdir(folder) if name.startswith(".") and name.endswith(".tmp")]


def _alive(process):
    """Whether there is such a process on this machine."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


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
            if given is not None and (
                remote.real(output) == remote.real(given) or os.path.samefile(output, given)
            ):
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
    if remote.is_address(path):  # a copy is read
        return
    with naming(path, error):
        mode = os.stat(remote.here(path)).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise error(path, "not a regular file")


def patient(path: str, flags: int) -> int:
    """An `opener` for files that somebody brings: of a FIFO, the writer has 5 s to come.

    Examples
    --------
    >>> with open(os.devnull, opener=patient) as file:
    ...     file.read()
    ''
    """
    if not stat.S_ISFIFO(os.stat(path).st_mode):
        return os.open(path, flags)
    fd = os.open(path, flags | os.O_NONBLOCK)
    waiting = select.poll()
    waiting.register(fd)
    if not waiting.poll(_PATIENCE):
        os.close(fd)
        raise OSError(errno.EAGAIN, "a pipe that nobody writes to")
    os.set_blocking(fd, True)
    return fd


_PATIENCE = 5000  # milliseconds


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
        with naming(path, error), open(remote.here(path), "rb") as file:
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
    with naming(path), open(remote.here(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_sha256(value: Any) -> str:
    """The sha256 of what JSON says of a value, whatever the order of its names, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


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


def weights_file(named: str | os.PathLike | None = None) -> str | os.PathLike:
    """The file that weights are meant by.

    Parameters
    ----------
    named : str or path-like, optional
        A file, or the name of shipped weights: "acdnet", which is the default too.

    Returns
    -------
    str or path-like
        `named` itself, unless it is such a name and there is no file of that name here.
    """
    if named is None:
        return str(resource("weights", "acdnet.npz"))
    if not isinstance(named, str) or os.path.basename(named) != named or os.path.isfile(named):
        return named
    shipped = resource("weights", f"{named}.npz")
    return str(shipped) if shipped.exists() else named
