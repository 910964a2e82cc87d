"""What the commands that score recordings share: options, the network."""

import functools
import itertools
import os
import re
import select
import sys
from collections.abc import Iterable, Iterator, Sequence

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


scheduler_option = option(
    "--scheduler",
    str,
    "Have it done by the workers of a Dask scheduler, tcp://HOST:8786, or by N processes here, local:N. They "
    "open the recordings by their paths. As backend, auto then means Numba (where installed) from the start.",
    metavar="ADDRESS",
)


def open_cluster(address, progress):
    """Reach a scheduler, which is let go when the command ends."""
    from acdref.cluster import Cluster

    cluster = Cluster(address, progress.log)
    click.get_current_context().call_on_close(cluster.close)
    return cluster


def open_network(weights, backend, threads, progress, repeatable=False, scheduler=None):
    """Load the network; returns it with the backend's policy, and the class names.

    A `repeatable` job is done with one backend from beginning to end, though it be stopped in between; so is
    one that a `scheduler` has done elsewhere.
    """
    if scheduler and threads:
        raise click.UsageError("--threads does not go with --scheduler, whose workers have their own")
    one_blas_thread()
    from acdref.checkpoint import load_weights
    from acdref.files import weights_file
    from acdref.ops.threads import get_threads, set_threads
    from acdref.predict.backend import Adaptive, describe

    set_threads(threads)
    get_threads()  # complains about its environment variable now rather than in the middle
    net, meta = load_weights(weights, backend="numpy")
    if (repeatable or scheduler) and backend == "auto":
        backend, _ = describe(net.config)
    adaptive = Adaptive(net, backend, progress.aside, meta["thresholds"])
    count = get_threads()
    if scheduler:
        from acdref.predict.remote import score_far

        cluster = open_cluster(scheduler, progress)
        adaptive.far, count = functools.partial(score_far, cluster), cluster.threads
    told = progress.aside if scheduler else progress.detail
    told(f"{scheduler or weights_file(weights)}: backend {backend}, {count} threads")
    return adaptive, meta["classes"]


def one_blas_thread():
    """Let NumPy's matrix products use one thread, unless the user's environment says something else.

    These products are too small to gain from more, and BLAS threads wait by spinning: on a machine with other
    work they made scoring five to ten times as slow.  Works until NumPy is imported.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(name, "1")


null_option = option("--null -0", bool, "The paths on stdin end with NUL, as those of find -print0.")


def given_paths(paths: Sequence[str], null: bool = False) -> Iterator[Iterable[str]]:
    """The paths of the command line, those on stdin in place of "-", as many at a time as come at a stretch.

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
        lists = _lists(null)
        for first in lists:
            yield itertools.chain(first, _without_pause(lists))


def _without_pause(lists):
    """What comes on stdin as long as nobody has to wait for it."""
    while _ready(sys.stdin):
        found = next(lists, None)
        if found is None:
            return
        yield from found


def _ready(stream):
    try:
        return bool(select.select([stream], [], [], 0)[0])
    except (OSError, ValueError):  # no file of the system's
        return False


def _lists(null):
    """The paths on stdin, as many at a time as are read at once."""
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
