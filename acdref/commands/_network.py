"""What the commands that score recordings share: options, the network."""

import os
import sys
from collections.abc import Iterable, Iterator

import click

from acdref.commands._options import option, weights_option

_backend = option(
    "--backend",
    ["auto", "numpy", "numba"],
    "auto: NumPy at first, Numba (where installed) once the job is long enough to repay loading or "
    "compiling it. They agree to about 1e-5; name one for bit-equal repeats.",
    default="auto",
)
_threads = option(
    "--threads", click.IntRange(min=1), "Threads of Numba  [default: all cores]; NumPy uses one."
)


def network_options(command):
    """Decorator: the options that :func:`open_network` takes."""
    return weights_option(_backend(_threads(command)))


def open_network(weights, backend, threads, say=None, repeatable=False):
    """Load the network; returns it with the backend's policy, and the class names.

    A `repeatable` job is done with one backend from beginning to end, though it be stopped in between.
    """
    one_blas_thread()
    from acdref.checkpoint import load_weights
    from acdref.ops.threads import get_threads, set_threads
    from acdref.predict.backend import Adaptive, describe

    set_threads(threads)
    get_threads()  # complains about its environment variable now rather than in the middle
    net, meta = load_weights(weights_path(weights), backend="numpy")
    if repeatable and backend == "auto":
        backend, _ = describe(net.config)
    return Adaptive(net, backend, say), meta["classes"]


def weights_path(weights):
    """The file that --weights means."""
    from acdref.files import resource

    return weights or str(resource("weights", "acdnet.npz"))


def one_blas_thread():
    """Let NumPy's matrix products use one thread, unless the user's environment says something else.

    These products are too small to gain from more, and BLAS threads wait by spinning: on a machine with other
    work they made scoring five to ten times as slow.  Works until NumPy is imported.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(name, "1")


def given_paths(paths: Iterable[str]) -> Iterator[str]:
    """The paths of the command line, those on stdin in place of "-", as they come."""
    for path in paths:
        if path == "-":
            # Bytes: a name in a file system need not be UTF-8.
            lines = (line.rstrip(b"\r\n") for line in sys.stdin.buffer)
            yield from (os.fsdecode(line) for line in lines if line)
        else:
            yield path
