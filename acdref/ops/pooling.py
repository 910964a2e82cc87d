"""Max-pooling over small windows, and the mean over time."""

import functools

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel

_PIECES = 8


def max_pool(x, window, *, backend="numpy"):
    """Maximum over non-overlapping windows; rows and bins that fill no window are dropped.

    Parameters
    ----------
    x : (N, T, F, C) array
    window : (int, int)
        In time and frequency; (2, 2) and (1, 2) in ACDnet.
    backend : {"numpy", "numba"}

    Returns
    -------
    y : (N, T // window[0], F // window[1], C) array
    chosen : uint8 array of y's shape
        Which element of its window, in row-major order, each maximum is: the first among equals, and a NaN
        before any number.
    """
    n, t, f, c = x.shape
    pt, pf = window
    rows, bins = t // pt, f // pf
    if backend == "numba":
        y = np.empty((n, rows, bins, c), x.dtype)
        chosen = np.empty(y.shape, np.uint8)
        pieces = threads.cuts(rows, _PIECES)

        def task(k):
            i, piece = divmod(k, len(pieces))
            _max_pool_rows(x[i], pt, pf, y[i], chosen[i], *pieces[piece])

        threads.run(task, n * len(pieces))
        return y, chosen
    y = x[:, : rows * pt : pt, : bins * pf : pf].copy()
    chosen = np.zeros(y.shape, np.uint8)
    for k in range(1, pt * pf):
        other = x[:, k // pf : rows * pt : pt, k % pf : bins * pf : pf]
        larger = (other > y) | (np.isnan(other) & ~np.isnan(y))
        np.copyto(y, other, where=larger)
        np.copyto(chosen, np.uint8(k), where=larger)
    return y, chosen


def largest(x, window, *, backend="numpy"):
    """The maxima of :func:`max_pool` alone: all that inference needs, and ten times as fast in NumPy."""
    if backend == "numba":
        return max_pool(x, window, backend=backend)[0]
    _, t, f, _ = x.shape
    pt, pf = window
    last_row, last_bin = t // pt * pt, f // pf * pf
    elements = [x[:, i:last_row:pt, j:last_bin:pf] for i in range(pt) for j in range(pf)]
    return functools.reduce(np.maximum, elements)


def max_pool_backward(dy, chosen, window, shape, *, backend="numpy"):
    """Gradient dx, of `shape` (N, T, F, C), of :func:`max_pool`: dy where the maximum was, 0 elsewhere."""
    n, t = shape[:2]
    pt, pf = window
    rows, bins = dy.shape[1:3]
    if backend == "numba":
        dx = np.empty(shape, dy.dtype)
        pieces = threads.cuts(t, _PIECES)

        def task(k):
            i, piece = divmod(k, len(pieces))
            _max_pool_backward_rows(dy[i], chosen[i], pt, pf, dx[i], *pieces[piece])

        threads.run(task, n * len(pieces))
        return dx
    dx = np.zeros(shape, dy.dtype)
    for k in range(pt * pf):
        dx[:, k // pf : rows * pt : pt, k % pf : bins * pf : pf] = np.where(chosen == k, dy, 0)
    return dx


def mean_time(x, *, backend="numpy"):
    """Mean over time: (N, T, F, C) -> (N, F, C)."""
    if backend == "numpy":
        return x.mean(1)
    y = np.zeros((len(x), *x.shape[2:]), x.dtype)
    for clip, out in zip(x, y, strict=True):
        _mean_rows(clip.reshape(len(clip), -1), out.reshape(-1))
    return y


def mean_time_backward(dy, frames, *, backend="numpy"):
    """Gradient dx (N, frames, F, C) of :func:`mean_time`: dy / frames at every frame."""
    if backend == "numpy":
        return np.repeat(dy[:, None] / frames, frames, axis=1)
    dx = np.empty((len(dy), frames, *dy.shape[1:]), dy.dtype)
    for drow, out in zip(dy, dx, strict=True):
        _spread_rows(drow.reshape(-1), out.reshape(frames, -1))
    return dx


@kernel
def _max_pool_rows(x, pt, pf, y, chosen, start, stop):
    for t in range(start, stop):
        for f in range(y.shape[1]):
            out, index = y[t, f], chosen[t, f]
            first = x[t * pt, f * pf]
            for c in range(x.shape[2]):
                out[c] = first[c]
                index[c] = 0
            for k in range(1, pt * pf):
                other, place = x[t * pt + k // pf, f * pf + k % pf], np.uint8(k)
                for c in range(x.shape[2]):
                    # Without a branch (`or`, a load under a condition), so that it becomes vectors.
                    best, v, before = out[c], other[c], index[c]
                    larger = (v > best) | ((v != v) & (best == best))
                    out[c] = v if larger else best
                    index[c] = place if larger else before


@kernel
def _max_pool_backward_rows(dy, chosen, pt, pf, dx, start, stop):
    rows, bins, channels = dy.shape
    for t in range(start, stop):
        for f in range(dx.shape[1]):
            out = dx[t, f]
            if t >= rows * pt or f >= bins * pf:
                for c in range(channels):
                    out[c] = 0
            else:
                k = (t % pt) * pf + f % pf
                drow, index = dy[t // pt, f // pf], chosen[t // pt, f // pf]
                for c in range(channels):
                    out[c] = drow[c] if index[c] == k else 0


@kernel
def _mean_rows(x, y):
    for t in range(x.shape[0]):
        for i in range(x.shape[1]):
            y[i] += x[t, i]
    for i in range(x.shape[1]):
        y[i] /= x.shape[0]


@kernel
def _spread_rows(dy, dx):
    for t in range(dx.shape[0]):
        for i in range(dx.shape[1]):
            dx[t, i] = dy[i] / dx.shape[0]
