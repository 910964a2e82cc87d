"""Dropout: random zeros while training."""

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel

_PIECES = 64


def dropout(x, rate, rng, *, backend="numpy"):
    """Set elements to 0 with probability `rate`; the others grow, so that the mean stays.

    Parameters
    ----------
    x : array
    rate : float
        In [0, 1).
    rng : numpy.random.Generator
        Its state alone decides which elements: the same for both backends and any number of threads.
    backend : {"numpy", "numba"}

    Returns
    -------
    y : array of x's shape
        ``x / (1 - rate)`` where kept.
    kept : bool array of x's shape
        What :func:`dropout_backward` needs.

    Raises
    ------
    ValueError
        For a rate outside [0, 1).

    Examples
    --------
    >>> y, kept = dropout(np.ones(6), 0.5, np.random.default_rng(1))
    >>> y
    array([0., 2., 2., 2., 0., 0.])
    """
    if not 0 <= rate < 1:
        raise ValueError(f"the rate of dropout must be within [0, 1), not {rate}")
    kept = rng.random(x.shape, np.float32) >= np.float32(rate)
    return _scaled(x, kept, rate, backend), kept


def dropout_backward(dy, kept, rate, *, backend="numpy"):
    """Gradient dx of :func:`dropout`: ``dy / (1 - rate)`` where kept, and 0 elsewhere."""
    return _scaled(dy, kept, rate, backend)


def _scaled(x, kept, rate, backend):
    scale = x.dtype.type(1 / (1 - rate))
    if backend == "numpy":
        return np.where(kept, x * scale, 0)
    y = np.empty_like(x)
    flat_x, flat_kept, flat_y = (a.reshape(-1) for a in (x, kept, y))
    pieces = threads.cuts(x.size, _PIECES)
    threads.run(lambda i: _scaled_flat(flat_x, flat_kept, scale, flat_y, *pieces[i]), len(pieces))
    return y


@kernel
def _scaled_flat(x, kept, scale, y, start, stop):
    for i in range(start, stop):
        y[i] = x[i] * scale if kept[i] else 0
