"""Lazy compilation: a Numba kernel is a plain Python function until it is first called.

Kernels release the GIL, so that :mod:`acdref.ops.threads` can run them on several cores; they never start
threads themselves, which keeps compiling short and makes them safe inside worker processes.

Floating-point flags: only ``contract`` (a*b + c may become one fused multiply-add).  Nothing may assume that
NaN or Inf do not occur, and nothing may be reordered.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import platform
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acdref.errors import AcdrefError
from acdref.files import cache_folder

FASTMATH = {"contract"}

_DISABLED = "NUMBA_DISABLE_JIT is set"

# Threads that need a kernel at the same time share one compilation.
_lock = threading.RLock()
_told: set[str] = set()


def available() -> bool:
    """Whether there is a Numba that may compile (without importing it)."""
    return not disabled() and importlib.util.find_spec("numba") is not None


def problem() -> str | None:
    """Why Numba cannot be used, or None."""
    if disabled():
        return _DISABLED
    if not available():
        return "Numba is not installed (pip install 'acdref[fast]')"
    try:
        from numba import config
    except ImportError as error:  # as when it is too old for the NumPy beside it
        return f"Numba cannot be imported ({' '.join(str(error).split())})"
    settings: Any = config  # a file may hold them
    return _DISABLED if settings.DISABLE_JIT else None


def disabled() -> bool:
    """Whether Numba is told to run kernels as plain Python, which would take for ever; said once if so."""
    try:
        if not int(os.environ.get("NUMBA_DISABLE_JIT") or 0):
            return False
    except ValueError:  # Numba does not understand it either
        return False
    _tell("disabled", f"{_DISABLED}: NumPy does the work")
    return True


def _tell(kind, text):
    """Say something on stderr, once of each kind."""
    if kind not in _told:
        _told.add(kind)
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed
            print(f"acdref: {text}", file=sys.stderr, flush=True)


def cache_directory() -> Path | None:
    """Folder of compiled kernels, or None where there can be none.

    ``$ACDREF_CACHE_DIR``, else ``$XDG_CACHE_HOME/acdref``, else ``~/.cache/acdref``; below it one folder a
    version of the kernels' source, because Numba's own check does not see a change in what a kernel calls.
    Compiled kernels are code: a folder that others can write is not used.
    """
    return _cache()[0]


@functools.cache
def _cache():
    """The folder, or None and why."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for source in sorted([*package.glob("ops/*.py"), *package.glob("fast/*.py")]):
        digest.update(source.read_bytes())
    try:
        base = cache_folder()
    except RuntimeError as error:  # no home
        return None, f"{error} (ACDREF_CACHE_DIR names another folder)"
    folder = base / f"kernels-{digest.hexdigest()[:16]}"
    try:
        for one in (base, folder):
            one.mkdir(0o700, parents=True, exist_ok=True)
            if _open_to_others(one):
                return None, f"{one}: others can write there (chmod go-w, or ACDREF_CACHE_DIR)"
    except OSError as error:
        return None, f"{folder}: {error.strerror}"
    return folder, None


def _open_to_others(folder):
    """Whether somebody else could have put something into a folder."""
    status = os.stat(folder)
    if not hasattr(os, "geteuid"):  # Windows
        return False
    return status.st_uid not in (os.geteuid(), 0) or bool(
        status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    )


def is_warm(job: str) -> bool:
    """Whether :func:`mark_warm` was called for `job` on such a machine: its kernels only need loading.

    Numba is not imported.  The mark may be wrong, after Numba's files were deleted, say: it serves to choose
    what is fast, and nothing else.
    """
    mark = _mark(job)
    return mark is not None and mark.exists()


def mark_warm(job: str) -> None:
    """Remember beside the compiled kernels that all those of `job` are there."""
    mark = _mark(job)
    if mark is not None:
        with contextlib.suppress(OSError):
            mark.touch()


def _mark(job):
    """An empty file, named by what Numba's own cache depends on too: versions, processor, and that chosen."""
    from importlib.metadata import PackageNotFoundError, version

    folder = cache_directory()
    if folder is None:
        return None
    try:
        versions = platform.python_version(), version("numba")
    except PackageNotFoundError:
        return None
    chosen = [os.environ.get(f"NUMBA_{name}", "") for name in ("CPU_NAME", "CPU_FEATURES", "ENABLE_AVX")]
    digest = hashlib.sha256(" ".join((*versions, *chosen, _processor())).encode())
    return folder / f"{job}-{digest.hexdigest()[:16]}.warm"


def _processor():
    """Name and abilities of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    # Beside what changes from moment to moment, such as the clock rate.
    return "\n".join(
        line for line in lines if line.startswith(("model name", "flags", "CPU part", "Features"))
    )


def compile_function(function: Callable | None = None, *, part: bool = False) -> Callable:
    """Compile `function` in nopython mode, cached in :func:`cache_directory` where that is possible.

    A `part` is called by kernels only: the code that takes Python's arguments is left out.

    Raises
    ------
    AcdrefError
        If Numba is told to compile nothing.
    """
    import numba

    if function is None:
        return functools.partial(compile_function, part=part)
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        raise AcdrefError(f"{_DISABLED}: there are no compiled kernels")
    options: dict[str, Any] = {"nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
    options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": part}
    compiled = numba.njit(**options)(function)
    folder, cause = _cache()
    if folder is None:
        _tell("folder", f"{cause}: kernels are compiled, and not kept")
    else:
        from acdref.ops.kernel_cache import KernelCache

        compiled._cache = KernelCache(function, folder, functools.partial(_tell, "cache"))
    return _for_any_number(compiled)


def _for_any_number(compiled):
    """A dispatcher that other kernels may call with 0 or 1 written out.

    Numba would compile what they call once more for each combination of such literals.
    """
    from numba.core.types import unliteral

    resolve = compiled.get_call_template
    compiled.get_call_template = lambda kinds, named: resolve([unliteral(kind) for kind in kinds], named)
    return compiled


def kernel(function: Callable) -> Callable:
    """Decorator: compile `function` at its first call.  ``.function`` stays the plain Python form."""
    compiled = None

    @functools.wraps(function)
    def call(*args):
        nonlocal compiled
        if compiled is None:
            with _lock:
                compiled = compiled or compile_function(function)
        return compiled(*args)

    call.function = function  # type: ignore[attr-defined]
    return call
