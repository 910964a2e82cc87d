"""Softmax over channels (each position by itself) and over positions (each clip and channel by itself).

The Numba forms leave the exponential to NumPy, whose vectorised one is several times faster than the scalar
routine that a kernel would call; the passes around it are kernels.
"""

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel

_PIECES = 16


def softmax_channels(x, *, backend="numpy"):
    """``exp(x_c) / sum_c exp(x_c)`` over the last axis of (..., C)."""
    if backend == "numpy":
        y = np.exp(x - x.max(-1, keepdims=True))
        return y / y.sum(-1, keepdims=True)
    y = np.empty_like(x)
    flat, out = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
    pieces = threads.cuts(len(flat), _PIECES)

    def task(i):
        start, stop = pieces[i]
        part = out[start:stop]
        _less_row_maximum(flat[start:stop], part)
        np.exp(part, out=part)
        _divide_by_row_sum(part)

    threads.run(task, len(pieces))
    return y


def softmax_channels_backward(dy, y, *, backend="numpy"):
    """Gradient dx of :func:`softmax_channels` from its output: ``y (dy - sum_c dy y)``."""
    if backend == "numpy":
        return y * (dy - (dy * y).sum(-1, keepdims=True))
    dx = np.empty_like(y)
    flat_dy, flat_y, out = (a.reshape(-1, y.shape[-1]) for a in (dy, y, dx))
    pieces = threads.cuts(len(flat_y), _PIECES)
    threads.run(lambda i: _softmax_channels_backward_rows(flat_dy, flat_y, out, *pieces[i]), len(pieces))
    return dx


def softmax_positions(x, *, backend="numpy"):
    """``exp(x_p) / sum_p exp(x_p)`` over the positions of (N, P, C)."""
    if backend == "numpy":
        y = np.exp(x - x.max(1, keepdims=True))
        # NumPy adds along an outer axis one by one: over many positions that needs float64.
        return y / y.sum(1, keepdims=True, dtype=np.float64).astype(x.dtype)
    n, positions, channels = x.shape
    y = np.empty_like(x)
    pieces = threads.cuts(positions, _PIECES)
    partial = np.zeros((n, len(pieces), channels), x.dtype)

    def each(step):
        threads.run(lambda k: step(*divmod(k, len(pieces))), n * len(pieces))

    def part(a, i, piece):
        return a[i, slice(*pieces[piece])]

    each(lambda i, piece: _column_maximum(part(x, i, piece), partial[i, piece]))
    largest = partial.max(1)

    def exponential(i, piece):
        out = part(y, i, piece)
        _less_row(part(x, i, piece), largest[i], out)
        np.exp(out, out=out)
        _column_sum(out, partial[i, piece])

    each(exponential)
    scale = 1 / partial.sum(1)
    each(lambda i, piece: _times_row(part(y, i, piece), scale[i]))
    return y


def softmax_positions_backward(dy, y, *, backend="numpy"):
    """Gradient dx of :func:`softmax_positions` from its output: ``y (dy - sum_p dy y)``."""
    if backend == "numpy":
        total = (dy * y).sum(1, keepdims=True, dtype=np.float64).astype(y.dtype)
        return y * (dy - total)
    n, positions, channels = y.shape
    dx = np.empty_like(y)
    pieces = threads.cuts(positions, _PIECES)
    partial = np.zeros((n, len(pieces), channels), y.dtype)

    def product(k):
        i, piece = divmod(k, len(pieces))
        _column_product_sum(dy[i], y[i], partial[i, piece], *pieces[piece])

    threads.run(product, n * len(pieces))
    total = partial.sum(1)

    def gradient(k):
        i, piece = divmod(k, len(pieces))
        _softmax_positions_backward_rows(dy[i], y[i], total[i], dx[i], *pieces[piece])

    threads.run(gradient, n * len(pieces))
    return dx


@kernel
def _less_row_maximum(x, y):
    for p in range(x.shape[0]):
        row, out = x[p], y[p]
        largest = row[0]
        for c in range(x.shape[1]):
            largest = max(largest, row[c])
        for c in range(x.shape[1]):
            out[c] = row[c] - largest


@kernel
def _divide_by_row_sum(y):
    for p in range(y.shape[0]):
        row = y[p]
        total = row[0]
        for c in range(1, y.shape[1]):
            total += row[c]
        scale = 1 / total
        for c in range(y.shape[1]):
            row[c] *= scale


@kernel
def _softmax_channels_backward_rows(dy, y, dx, start, stop):
    for p in range(start, stop):
        drow, row, out = dy[p], y[p], dx[p]
        total = drow[0] * row[0]
        for c in range(1, y.shape[1]):
            total += drow[c] * row[c]
        for c in range(y.shape[1]):
            out[c] = row[c] * (drow[c] - total)


@kernel
def _column_maximum(x, largest):
    for c in range(x.shape[1]):
        largest[c] = x[0, c]
    for p in range(1, x.shape[0]):
        row = x[p]
        for c in range(x.shape[1]):
            largest[c] = max(largest[c], row[c])


@kernel
def _less_row(x, row, y):
    for p in range(x.shape[0]):
        source, out = x[p], y[p]
        for c in range(x.shape[1]):
            out[c] = source[c] - row[c]


@kernel
def _column_sum(x, total):
    for c in range(x.shape[1]):
        total[c] = 0
    for p in range(x.shape[0]):
        row = x[p]
        for c in range(x.shape[1]):
            total[c] += row[c]


@kernel
def _times_row(x, scale):
    for p in range(x.shape[0]):
        row = x[p]
        for c in range(x.shape[1]):
            row[c] *= scale[c]


@kernel
def _column_product_sum(dy, y, total, start, stop):
    for p in range(start, stop):
        drow, row = dy[p], y[p]
        for c in range(y.shape[1]):
            total[c] += drow[c] * row[c]


@kernel
def _softmax_positions_backward_rows(dy, y, total, dx, start, stop):
    for p in range(start, stop):
        drow, row, out = dy[p], y[p], dx[p]
        for c in range(y.shape[1]):
            out[c] = row[c] * (drow[c] - total[c])
