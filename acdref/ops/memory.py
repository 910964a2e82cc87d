"""Memory of large arrays, reused instead of asked for anew."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's mallopt(3)


def keep_freed_memory():
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
