"""Memory of large arrays: where it begins, and that it is used again instead of asked for anew."""

import ctypes
import math
import sys

import numpy as np
from numpy.typing import DTypeLike, NDArray

_CACHE_LINE = 64  # bytes
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's mallopt(3)


def keep_freed_memory() -> None:
    """Ask the C library to keep the memory of freed arrays for the next ones.

    A training step frees and allocates gigabytes.  By default glibc returns each large block to the system,
    which has to clear it page by page when it is next asked for: a fifth of the time of a step.  Does nothing
    where the C library is another.  The setting holds for the whole process; acdref makes it when it trains.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
    """``np.empty(shape, dtype)`` that begins at a cache line.

    NumPy begins anywhere; then every other vector of 32 bytes lies across two lines, and takes two reads.

    Examples
    --------
    >>> aligned((3, 5), np.float32).ctypes.data % 64
    0
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)
