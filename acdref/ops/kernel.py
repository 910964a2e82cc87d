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
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

FASTMATH = {"contract"}

# Threads that need a kernel at the same time share one compilation, and Numba's folder is global.
_lock = threading.RLock()


def available() -> bool:
    """Whether Numba is installed (without importing it)."""
    return importlib.util.find_spec("numba") is not None


def problem() -> str | None:
    """Why Numba cannot be used, or None."""
    if not available():
        return "Numba is not installed (pip install 'acdref[fast]')"
    try:
        import numba  # noqa: F401
    except ImportError as error:  # as when it is too old for the NumPy beside it
        return f"Numba cannot be imported ({' '.join(str(error).split())})"
    return None


@functools.cache
def cache_directory() -> Path | None:
    """Folder of compiled kernels, or None where none can be written.

    ``$ACDREF_CACHE_DIR``, else ``$XDG_CACHE_HOME/acdref``, else ``~/.cache/acdref``; below it one folder a
    version of the kernels' source, because Numba's own check does not see a change in what a kernel calls.
    """
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for source in sorted([*package.glob("ops/*.py"), *package.glob("fast/*.py")]):
        digest.update(source.read_bytes())
    base = os.environ.get("ACDREF_CACHE_DIR")
    if not base:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "acdref"
    folder = Path(base) / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):
        return None


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
    """An empty file, named by what Numba's own cache depends on too: versions and processor."""
    from importlib.metadata import PackageNotFoundError, version

    folder = cache_directory()
    if folder is None:
        return None
    try:
        versions = platform.python_version(), version("numba")
    except PackageNotFoundError:
        return None
    digest = hashlib.sha256(" ".join((*versions, _processor())).encode())
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
    """
    import numba

    if function is None:
        return functools.partial(compile_function, part=part)
    folder = cache_directory()
    options: dict[str, Any] = {"nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
    options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": part}
    if folder is None:
        return _for_any_number(numba.njit(**options)(function))
    # Numba reads the folder when it decorates: set for that moment only, not for the user's own kernels.
    config: Any = numba.config
    with _lock:
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            return _for_any_number(numba.njit(cache=True, **options)(function))
        finally:
            config.CACHE_DIR = before


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
