"""What the commands that score recordings share: options, the network."""

import itertools
import os
import re
import sys
from collections.abc import Iterator, Sequence

import click

from acdref.commands._options import option, weights_option
from acdref.errors import AcdrefError
from acdref.remote import plain

_backend = option(
    "--backend",
    ["auto", "numpy", "numba"],
    "auto: NumPy at first, Numba (where installed) once the job is long enough to repay loading or "
    "compiling it. They agree to about 1e-5; name one for bit-equal repeats.",
    default="auto",
)
_threads = option(
    "--threads",
    click.IntRange(min=1),
    "Windows scored at a time, or threads that share one of them, with Numba  [default: all cores]",
)


def network_options(command):
    """Decorator: the options that :func:`open_network` takes."""
    return weights_option(_backend(_threads(command)))


def open_network(weights, backend, threads, progress, repeatable=False):
    """Load the network; returns it with the backend's policy, and the class names.

    A `repeatable` job is done with one backend from beginning to end, though it be stopped in between.
    """
    one_blas_thread()
    from acdref.checkpoint import load_weights
    from acdref.files import weights_file
    from acdref.ops.threads import get_threads, set_threads
    from acdref.predict.backend import Adaptive, describe

    set_threads(threads)
    get_threads()  # complains about its environment variable now rather than in the middle
    net, meta = load_weights(weights, backend="numpy")
    if repeatable and backend == "auto":
        backend, _ = describe(net.config)
    progress.detail(f"{weights_file(weights)}: backend {backend}, {get_threads()} threads")
    return Adaptive(net, backend, progress.aside, meta["thresholds"]), meta["classes"]


def one_blas_thread():
    """Let NumPy's matrix products use one thread, unless the user's environment says something else.

    These products are too small to gain from more, and BLAS threads wait by spinning: on a machine with other
    work they made scoring five to ten times as slow.  Works until NumPy is imported.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(name, "1")


null_option = option("--null -0", bool, "The paths on stdin end with NUL, as those of find -print0.")


def given_paths(paths: Sequence[str], null: bool = False) -> Iterator[Sequence[str]]:
    """The paths of the command line, those on stdin in place of "-", as many at a time as have come.

    Raises
    ------
    AcdrefError
        If stdin holds something else than paths, one a line or, with `null`, each with a NUL after it.
    UsageError
        If `null` goes with no "-".
    """
    if null and "-" not in paths:
        raise click.UsageError('--null goes with the path "-"')
    return _given(paths, null)


def _given(paths, null):
    for dash, some in itertools.groupby(paths, "-".__eq__):
        if not dash:
            yield tuple(some)
            continue
        for entries in _entries(sys.stdin.buffer, b"\0" if null else b"\n"):
            found = []
            for entry in entries:
                path = os.fsdecode(entry if null else entry.rstrip(b"\r"))
                if path and not path.strip("./") and os.path.realpath(path) == os.sep:
                    yield found
                    raise AcdrefError(f"stdin names the root folder ({path}): no list of recordings")
                if path:
                    found.append(plain(path))
            yield found


_LONGEST = 1 << 16  # bytes of a path
_CONTROL = re.compile(rb"[\1-\x08\x0b\x0c\x0e-\x1f]")
"""What no path in a list holds, though it could: C0 but for tabs and the ends of lines."""


def _entries(stream, separator):
    """What stands between separators, as it comes; bytes, since a name in a file system need not be UTF-8."""
    held, is_first = b"", True
    while data := stream.read1(_LONGEST):
        held += data
        if is_first and len(held) < 3 and held[0] in b"\xef\xfe\xff":
            continue  # a byte order mark, perhaps
        if is_first:
            held, is_first = held.removeprefix(b"\xef\xbb\xbf"), False
            if held[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise AcdrefError(
                    "stdin holds UTF-16: no list of paths; write it as UTF-8, without NUL bytes"
                )
        nul = b"\0" in held and separator != b"\0"
        if nul or _CONTROL.search(held) or len(max(held.split(separator), key=len)) > _LONGEST:
            hint = "; paths that end with NUL (find -print0) go with --null" * (separator != b"\0")
            cause = f"stdin holds binary data, no list of paths{hint}; a recording is given by its name"
            raise AcdrefError(cause)
        *whole, held = held.split(separator)
        yield whole
    yield held.split(separator)
