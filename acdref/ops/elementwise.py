"""Sums of maps."""

from acdref.ops import threads
from acdref.ops.kernel import kernel

_PIECES = 64


def add(x, y, *, backend="numpy"):
    """``x += y`` in place, for C-contiguous arrays of one shape and dtype; returns x."""
    if backend == "numpy":
        x += y
        return x
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    pieces = threads.cuts(flat_x.size, _PIECES)
    threads.run(lambda i: _add_flat(flat_x, flat_y, *pieces[i]), len(pieces))
    return x


@kernel
def _add_flat(x, y, start, stop):
    for i in range(start, stop):
        x[i] += y[i]
