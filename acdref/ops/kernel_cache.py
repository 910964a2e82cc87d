"""Compiled kernels on the disk: Numba's cache, with a check sum in front of each file.

Numba unpickles what it finds and runs it as machine code: a damaged file is anything from a strange message
to a crash.  Here a file that is not what was written counts as absent: its kernel is compiled and written.
"""

import hashlib
import inspect
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core import caching
from numba.core.runtime import rtsys

from acdref.errors import FileError
from acdref.files import BusyError, replacing

Say = Callable[[str], object]
_SUM = 32  # bytes


class KernelCache(caching.FunctionCache):
    """The cache of one function.

    Parameters
    ----------
    function : callable
    folder : Path
    say : callable
        Told of files that are damaged or cannot be written.
    """

    def __init__(self, function: Callable, folder: Path, say: Say):
        self._say = say
        self._name, self._py_func = repr(function), function
        self._impl = _Results(function, folder)
        locator = self._impl.locator
        self._cache_path = locator.get_cache_path()
        base, stamp = self._impl.filename_base, locator.get_source_stamp()
        self._cache_file = _Files(self._cache_path, base, stamp)
        self._cache_file.say = say
        self.enable()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """A kernel from the disk, or None.

        Numba would first learn to compile everything that it can, which imports SciPy's linear algebra and a
        parser of C, and takes longer than all kernels.  What only loads does without; compiling sees to it.
        """
        rtsys.initialize(target_context)  # what kernels call when they are handed arrays
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    def _load_overload(self, sig, target_context):
        try:
            return super()._load_overload(sig, target_context)
        except Exception as error:  # of whatever kind: what was written by another Numba, say
            self._say(f"{self._cache_path}: {type(error).__name__}: its kernels are compiled anew")
            return None


class _Results(caching.CompileResultCacheImpl):
    """What of a kernel is kept, and where; whatever NUMBA_CACHE_DIR and the like say."""

    def __init__(self, function, folder):
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Place(function, folder)
        name = f"{Path(inspect.getfile(function)).stem}.{function.__qualname__}"
        self._filename_base = self.get_filename_base(name, getattr(sys, "abiflags", ""))


class _Place(caching.UserProvidedCacheLocator):
    def __init__(self, function, folder):
        self._py_file = inspect.getfile(function)
        self._lineno = function.__code__.co_firstlineno
        self._cache_path = os.path.join(folder, self.get_suitable_cache_subpath(self._py_file))

    def ensure_cache_path(self):
        """The folder is made when there is something to write."""


class _Files(caching.IndexDataCacheFile):
    """The files of one function: an index, and the kernel for each signature."""

    say: Say

    def save(self, key: Any, data: Any) -> None:
        """Keep a kernel.  Its file is named by its key: Numba's numbers may be given twice at a time."""
        name = (
            self._index_name.removesuffix("nbi")
            + f"{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"
        )
        self._write(name, data)
        self._write(self._index_name, (self._version, self._source_stamp, self._load_index() | {key: name}))

    def load(self, key: Any) -> Any:
        """A kernel; None if there is none."""
        name = self._load_index().get(key)
        return None if name is None else self._read(name)

    def _load_index(self):
        version, stamp, names = self._read(self._index_name) or (None, None, None)
        return names if (version, stamp) == (self._version, self._source_stamp) else {}

    def _read(self, name):
        path = self._data_path(name)
        try:
            with open(path, "rb") as file:
                found, content = file.read(_SUM), file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.say(f"{path}: {error.strerror}: its kernel is compiled anew")
            return None
        if found != _sum(name, content):
            self.say(f"{path}: damaged: its kernel is compiled anew")
            return None
        return pickle.loads(content)

    def _write(self, name, value):
        path, content = self._data_path(name), self._dump(value)
        try:
            os.makedirs(self._cache_path, 0o700, exist_ok=True)
            with replacing(path, durable=False) as temporary:
                temporary.write_bytes(_sum(name, content) + content)
        except BusyError:
            pass
        except (FileError, OSError) as error:
            cause = error.cause if isinstance(error, FileError) else error.strerror
            self.say(f"{self._cache_path}: {cause}: compiled kernels are not kept")


def _sum(name, content):
    return hashlib.blake2b(name.encode() + b"\0" + content, digest_size=_SUM).digest()
