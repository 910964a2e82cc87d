"""Addresses: what lies in a store (``s3://bucket/key``, ``https://host/file``) where else a path is given.

An address is a str, like a path.  What is read is copied to this machine first, into the spool, and opened
there (:func:`here`); what is written is written on this machine, and sent as one object when it is whole
(:func:`send`), so that nobody ever finds a half one.  All of it goes through the package fsspec, which is not
needed as long as every path is one of this machine.

The spool is ``$ACDREF_SPOOL_DIR``, whose copies stay for the next run; without it, a folder of this process
and its workers in the system's folder of temporary files, deleted when the process ends (or, if it was
killed, by the next one).  It holds ``$ACDREF_SPOOL_MB`` (1000) million bytes, of which the copies that were
used least recently leave first.
"""

import atexit
import contextlib
import errno
import functools
import math
import os
import posixpath
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from acdref.errors import AcdrefError, FileError, naming

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.I)  # of two letters at least: C:\ is a drive
_SAME = {"s3a": "s3", "gcs": "gs"}
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}  # besides fsspec
_WEB = ("http", "https")
_WRITTEN = ("s3", "gs", "memory")  # where an object is seen when it is whole, and not before

_PAUSES = (1.0, 2.0, 4.0)  # seconds between tries, beside what the store's own package does
_AHEAD = 4  # recordings fetched while others are worked on
_SPOOL, _MEGABYTES = "acdref-spool-", 1000
_COPY = re.compile(r"[0-9a-f]{40}")
RECENT = 10.0
"""Seconds in which nobody expects a recording to change: it was fetched for who reads it now."""
_LEFT = 7 * 86400  # seconds after which an unfinished file in the spool is nobody's
_NEW = 60  # seconds in which a spool may not have its lock yet
_VERSIONS = (
    "ETag", "etag", "generation", "md5Hash", "LastModified", "Last-Modified", "updated", "mtime", "created",
)  # fmt: skip
"""Where stores say which version of an object it is, the surest first."""


class StoreError(OSError):
    """What a store refuses, or does not do; `errno`, `strerror` and `filename` (the address) say what."""


def scheme_of(path: object) -> str | None:
    """The scheme of an address, in small letters, one name for each kind of store; None for a path.

    Examples
    --------
    >>> scheme_of("S3://bucket/a.wav"), scheme_of("C:\\\\a.wav"), scheme_of("csv:a"), scheme_of("file:///a")
    ('s3', None, None, None)
    """
    found = _SCHEME.match(path) if isinstance(path, str) else None
    scheme = found and found[1].lower()
    return None if scheme in (None, "file") else _SAME.get(scheme, scheme)


def is_address(path: object) -> bool:
    """Whether it is an address; ``file://`` is none, but another spelling of a path, see :func:`plain`."""
    return scheme_of(path) is not None


def plain(path: str) -> str:
    """The path that ``file://...`` stands for; anything else as it is.

    Raises
    ------
    FileError
        If it names another machine.

    Examples
    --------
    >>> plain("file:///a%20b.wav"), plain("s3://a%20b"), plain("a%20b.wav")
    ('/a b.wav', 's3://a%20b', 'a%20b.wav')
    """
    if path[:7].lower() != "file://":
        return path
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(path.replace("?", "%3F").replace("#", "%23"))
    if parts.netloc not in ("", "localhost"):
        raise FileError(path, "file:// of another machine")
    return url2pathname(parts.path)


def canonical(address: str) -> str:
    """One spelling of an address, so that two that mean one object are equal.

    Examples
    --------
    >>> canonical("s3a://bucket/x.csv"), canonical("HTTP://Host/X"), canonical("memory:///x")
    ('s3://bucket/x.csv', 'http://host/X', 'memory://x')
    """
    scheme, rest = scheme_of(address), address.partition("://")[2].rstrip("/")
    if scheme == "memory":
        return f"memory://{rest.lstrip('/')}"
    host, slash, rest = rest.partition("/")
    return f"{scheme}://{host.lower() if scheme in _WEB else host}{slash}{rest}"


def join(folder: str | os.PathLike, name: str) -> str:
    """Path or address of a name, which may be a whole one, in a folder.

    Examples
    --------
    >>> join("s3://b/sounds/", "dogs/1.wav"), join("s3://b/sounds", "../1.wav"), join("/x", "s3://b/1.wav")
    ('s3://b/sounds/dogs/1.wav', 's3://b/1.wav', 's3://b/1.wav')
    """
    folder, name = os.fspath(folder), plain(name)
    if is_address(name) or os.path.isabs(name):
        return name
    if not is_address(folder):
        return os.path.join(plain(folder), name)
    scheme, _, rest = folder.partition("://")
    place = f"{rest.rstrip('/')}/{name}".removeprefix("/")
    dots = {".", ".."} & set(name.split("/"))  # which a store would take for names
    return f"{scheme}://{posixpath.normpath(place) if dots else place}"


def parent(path: str) -> str:
    """The folder that a file or an object is in.

    Examples
    --------
    >>> parent("s3://b/x/m.csv"), parent("memory://m.csv"), parent("m.csv")
    ('s3://b/x', 'memory://', '.')
    """
    if not is_address(path):
        return os.path.dirname(path) or "."
    scheme, _, rest = path.partition("://")
    return f"{scheme}://{rest.rpartition('/')[0]}"


def absolute(path: str) -> str:
    """Where a file is whatever the current folder; an address is that already."""
    return path if is_address(path) else os.path.abspath(path)


def real(path: str | os.PathLike) -> str:
    """The file behind links, or the one spelling of an address."""
    return canonical(path) if isinstance(path, str) and is_address(path) else os.path.realpath(path)


class Address(str):
    """A folder or an object in a store, with what a run asks of a path."""

    def __truediv__(self, name: str) -> "Address":
        return Address(join(self, name))

    @property
    def parent(self) -> "Address":
        """What it is in."""
        return Address(parent(self))

    def exists(self) -> bool:
        """Whether there is such an object; FileError if that cannot be known."""
        with naming(self):
            return _found(self) is not None


# Reading


def here(path: Any, age: float = 0) -> Any:
    """What to open on this machine to read a path: of an address a copy, of ``file://`` the path.

    Parameters
    ----------
    path : str or path-like
    age : float
        Seconds in which a copy that this process has looked for is as good as the object: the store is not
        asked again.

    Returns
    -------
    str or path-like

    Raises
    ------
    StoreError
        If it cannot be read; the cause is said in its `strerror`.
    AcdrefError
        If a package is missing that this takes.
    """
    if not is_address(path):
        return plain(path) if isinstance(path, str) else path
    known, when = _copies.get(path, ("", -math.inf))
    if time.monotonic() - when > age or not os.path.exists(known):
        info = _info(path)
        if info["type"] == "directory":
            raise StoreError(errno.EISDIR, "a folder of objects", path)
        known = _copied(path, info)
        if len(_copies) > 1 << 16:
            _copies.clear()
        _copies[path] = known, time.monotonic()
    with contextlib.suppress(OSError):
        os.utime(known)
    return known


_copies: dict[str, tuple[str, float]] = {}  # address -> copy, and when the store was asked


def stamp(address: str) -> list[Any]:
    """Size and version of an object, as JSON can hold them: what changes with its content."""
    info = _info(address)
    return [info.get("size") or 0, _version(info)]


def is_folder(address: str) -> bool:
    """Whether it is none but begins those of objects; False where that cannot be known."""
    if address.endswith("/"):
        return True
    with contextlib.suppress(StoreError):
        return scheme_of(address) not in _WEB and _info(address)["type"] == "directory"
    return False


def listing(folder: str) -> tuple[list[str], list[str]]:
    """Names of the folders, and of the objects, in a folder of a store, sorted.

    Raises
    ------
    StoreError
        If it cannot be listed: the web has no folders.
    """
    if scheme_of(folder) in _WEB:
        raise StoreError(errno.ENOTDIR, "the web has no folders: name recordings, or a manifest", folder)

    def listed(store, path):
        for one in store.ls(path, detail=True):
            name = one["name"].rstrip("/").rpartition("/")[2]
            if one["name"].strip("/") != path.strip("/"):  # an object that stands for the folder
                found[one["type"] != "directory" and not one["name"].endswith("/")].add(name)
        return sorted(found[0]), sorted(found[1])

    found: tuple[set[str], set[str]] = set(), set()
    return _tried(folder.rstrip("/") if folder.partition("://")[2] else folder, listed)


def ahead(recordings: Iterable[Any]) -> Iterator[Any]:
    """Pairs of a recording and its path, or None, as they come; copies of the next ones are being made.

    Nothing is asked for ahead of time after a path of this machine, or after None.
    """
    wanted: queue.SimpleQueue = queue.SimpleQueue()
    begun = False
    pending: deque = deque()
    try:
        for each in recordings:
            pending.append(each)
            remote = each is not None and is_address(each[1])
            if remote and not begun:
                begun = True
                for _ in range(_AHEAD):  # daemons: a store that hangs does not keep this process
                    threading.Thread(target=_fetch, args=(wanted,), daemon=True).start()
            if remote:
                wanted.put(each[1])
            while len(pending) > (_AHEAD if remote else 0):
                yield pending.popleft()
        yield from pending
    finally:
        with contextlib.suppress(queue.Empty):
            while True:
                wanted.get_nowait()
        for _ in range(_AHEAD if begun else 0):
            wanted.put(None)


def _fetch(wanted):
    """Have copies, unless one is large or something is wrong, which whoever reads it will be told."""
    while (address := wanted.get()) is not None:
        with contextlib.suppress(OSError, AcdrefError):
            if (_info(address).get("size") or 0) < _room() / (2 * _AHEAD):
                here(address)


def _copied(address, info):
    """The copy of an object in the spool, made if it is not there."""
    import hashlib

    size, version = info.get("size"), _version(info) or f"process {os.getpid()}"
    key = hashlib.sha256(f"{canonical(address)}\n{size}\n{version}".encode("utf-8", "surrogateescape"))
    place = os.path.join(spool(), key.hexdigest()[:40])
    with _busy(place):
        if not os.path.exists(place):
            _download(address, place, size)
    return place


def _download(address, place, size):
    temporary = unfinished()

    def get(store, path):
        store.get_file(path, temporary)
        came = os.path.getsize(temporary)
        if size is not None and came != size:
            raise StoreError(errno.EIO, f"{came} of {size} bytes came")

    try:
        _tried(address, get)
        os.replace(temporary, place)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    _make_room(place)


@contextlib.contextmanager
def _busy(place):
    """Context in which no other thread makes the same copy."""
    with _table:
        lock = _making.setdefault(place, threading.Lock())
    try:
        with lock:
            yield
    finally:
        with _table:
            _making.pop(place, None)


_table, _making = threading.Lock(), {}  # type: ignore[var-annotated]


def _version(info):
    """What changes when an object does, as text; empty if the store does not say."""
    return next((str(info[name]) for name in _VERSIONS if info.get(name)), "")


# Writing


def send(file: str | os.PathLike, address: str) -> None:
    """Write a file of this machine as one object; StoreError if that fails, and there is no half one then."""

    def put(store, path):
        store.put_file(os.fspath(file), path)
        there, size = store.info(path)["size"], os.path.getsize(file)
        if there != size:
            raise StoreError(errno.EIO, f"{there} of {size} bytes arrived")

    _copies.pop(address, None)
    _tried(address, put)


def refuse_unwritable(address: str, folder: bool = False) -> None:
    """Refuse to write an object, or into a folder, before any work.

    Raises
    ------
    FileError
        For a store that is only read, a bucket that is not there, what these credentials may not look at,
        and a folder in place of an object, or an object in place of a folder.
    """
    scheme = scheme_of(address)
    if scheme not in _WRITTEN:
        schemes = ", ".join(f"{one}://" for one in _WRITTEN)
        raise FileError(address, f"{scheme}:// is read only; results go to {schemes} or to this machine")
    bucket = address.partition("://")[2].partition("/")[0]
    with naming(address):
        found = _found(address)
        if found is None and scheme != "memory" and _found(f"{scheme}://{bucket}") is None:
            raise StoreError(errno.ENOENT, f"no such bucket: {bucket}", address)
    if found is not None and (found["type"] == "directory") != folder:
        raise FileError(address, "not a folder" if folder else "a folder of objects")


# The spool


@functools.cache
def spool() -> str:
    """The folder of copies; workers that are started afterwards share it."""
    import tempfile

    given = os.environ.get("ACDREF_SPOOL_DIR")
    with naming(given or tempfile.gettempdir()):
        if given:
            os.makedirs(given, 0o700, exist_ok=True)
            return given
        for name in os.listdir(tempfile.gettempdir()):
            if name.startswith(_SPOOL):
                _clear(os.path.join(tempfile.gettempdir(), name))
        folder = tempfile.mkdtemp(prefix=_SPOOL)
        lock = os.open(os.path.join(folder, "lock"), os.O_CREAT | os.O_RDWR)
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as long as this process lives
    os.environ["ACDREF_SPOOL_DIR"] = folder
    atexit.register(_end, folder, os.getpid())
    return folder


def _end(folder, owner):
    """Delete the spool of this process; one that it has forked leaves it."""
    if os.getpid() == owner:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _clear(folder):
    """Delete the spool of a process that is dead."""
    import shutil

    with contextlib.suppress(OSError):
        if fcntl is None or time.time() - os.stat(folder).st_mtime < _NEW:
            return
        with open(os.path.join(folder, "lock"), "rb") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def unfinished() -> str:
    """A new name in the spool, for a file that is being made."""
    import tempfile

    with naming(spool()):
        os.makedirs(spool(), 0o700, exist_ok=True)  # somebody may have tidied up
        descriptor, name = tempfile.mkstemp(suffix=".tmp", dir=spool())
        os.close(descriptor)
    return name


def _room():
    """Bytes that copies may take."""
    given = os.environ.get("ACDREF_SPOOL_MB", "") or str(_MEGABYTES)
    if not given.isdecimal():
        raise AcdrefError(f"ACDREF_SPOOL_MB={given}: not a number of megabytes")
    return int(given) * 1_000_000


_unmeasured = [float("inf")]  # bytes that came since the spool was measured


def _make_room(newest):
    """Delete copies, the least recently used first, but for the newest, until they have room."""
    room = _room()
    _unmeasured[0] += os.path.getsize(newest)
    if _unmeasured[0] < room / 10:
        return
    _unmeasured[0], copies = 0, []
    with os.scandir(spool()) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                status = entry.stat()
                if _COPY.fullmatch(entry.name):
                    copies.append((status.st_mtime, status.st_size, entry.path))
                elif entry.name.endswith(".tmp") and time.time() - status.st_mtime > _LEFT:
                    os.unlink(entry.path)
    total = sum(size for _, size, _ in copies)
    for _, size, path in sorted(copies):
        if total > room and path != newest:
            total -= size
            with contextlib.suppress(OSError):
                os.unlink(path)


# Stores


def _info(address):
    """What a store says of an object, or of a folder; StoreError."""
    return _tried(address, lambda store, path: store.info(path))


def _found(address):
    """The same, None if there is nothing."""
    try:
        return _info(address)
    except StoreError as error:
        if error.errno != errno.ENOENT:
            raise
    return None


def _store(address):
    """The store of an address as fsspec has it, and the address within."""
    scheme = scheme_of(address)
    try:
        import fsspec

        kind = fsspec.get_filesystem_class(scheme)
    except ImportError:
        package = _PACKAGES.get(scheme, "")
        named = f"fsspec{f' and {package}' * bool(package)}"
        install = f"pip install 'acdref[remote]' {package}".rstrip()
        raise AcdrefError(f"{address}: {scheme}:// needs the packages {named}: {install}") from None
    except ValueError:
        raise FileError(address, f"no store: fsspec does not know {scheme}://") from None
    more = kind._get_kwargs_from_urls(address)  # such as the host of some stores
    if scheme in _WEB:
        from aiohttp import ClientTimeout

        given = fsspec.config.conf.get(scheme, {}).get("client_kwargs", {})
        # Of one read, not of a whole recording, as is usual.
        more["client_kwargs"] = {"timeout": ClientTimeout(None, sock_connect=10, sock_read=30), **given}
    return kind(use_listings_cache=False, **more), kind._strip_protocol(address)


def _tried(address: str, do: Callable[[Any, str], Any]) -> Any:
    """What ``do(store, path)`` returns, which is tried again where it may go better; else StoreError."""
    for pause in (*_PAUSES, None):
        try:
            return do(*_store(address))
        except AcdrefError:
            raise
        except Exception as error:  # what stores raise has no common type
            code, cause, passes = _explained(error)
            if pause is None or not passes:
                tries = f" ({len(_PAUSES) + 1} tries)" if passes else ""
                raise StoreError(code, cause + tries, address) from None
        time.sleep(pause)
    raise AssertionError


def _explained(error):
    """Of what a store's package has raised: errno, the cause in words, and whether it may pass."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        return _explained(error.__cause__)  # fsspec says so of whatever the web answers
    said = getattr(error, "strerror", None) or getattr(error, "message", None) or error
    said = " ".join(str(said).split())[:200]
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    status, code = _status(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
        return error.errno, f"{spool()}: {said}", False
    if "Payload" in kinds or "IncompleteRead" in kinds:
        return errno.EIO, "the connection was cut", True
    if code == "NoSuchBucket":
        return errno.ENOENT, "no such bucket", False
    if status == 404 or (status is None and isinstance(error, FileNotFoundError)):
        return errno.ENOENT, "no such object", False
    if status in (401, 403) or isinstance(error, PermissionError):
        which = f" ({status})" if status else ""
        return errno.EACCES, f"refused{which}: {code or said}", False
    if "Credential" in kinds:
        return errno.EACCES, f"no credentials: {said}", False
    if status is not None:
        return errno.EIO, f"the store answers {status}: {code or said}", status >= 500 or status in (408, 429)
    if "Timeout" in kinds:
        return errno.ETIMEDOUT, "no answer in time", True
    if "Connect" in kinds or "ClientOSError" in kinds or "gaierror" in kinds:
        return errno.ECONNREFUSED, f"no connection: {said}", True
    return getattr(error, "errno", None) or errno.EIO, said or kinds, isinstance(error, OSError | EOFError)


def _status(error):
    """HTTP's status, and the store's own code, if an error or its cause has them."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code", "")
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status, "" if code.isdecimal() else code
        for name in ("status", "code"):
            if isinstance(getattr(error, name, None), int):
                return getattr(error, name), ""
        error = error.__cause__
    return None, ""
