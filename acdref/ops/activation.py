"""Activations: parametric ReLU and sigmoid."""

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel

_PIECES = 64


def prelu(x, slope, *, backend="numpy"):
    """Parametric ReLU: ``x`` where x > 0, ``slope x`` elsewhere.

    Parameters
    ----------
    x : (..., C) array
    slope : (C,) array, of any sign
    backend : {"numpy", "numba"}
    """
    if backend == "numpy":
        return np.maximum(x, 0) + slope * np.minimum(x, 0)  # three times as fast as a choice
    y = np.empty_like(x)
    flat, out = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
    pieces = threads.cuts(len(flat), _PIECES)
    threads.run(lambda i: _prelu_rows(flat, slope, out, *pieces[i]), len(pieces))
    return y


def prelu_backward(dy, x, slope, *, backend="numpy"):
    """Gradients (dx, dslope) of :func:`prelu`; at x = 0 the slope's side counts, as in PyTorch."""
    channels = x.shape[-1]
    if backend == "numpy":
        dslope = np.where(x > 0, 0, dy * x).reshape(-1, channels).sum(0)
        return np.where(x > 0, dy, slope * dy), dslope
    dx = np.empty_like(x)
    flat_dy, flat, out = (a.reshape(-1, channels) for a in (dy, x, dx))
    pieces = threads.cuts(len(flat), _PIECES)
    dslope = np.zeros((len(pieces), channels))
    scratch = np.zeros((len(pieces), channels), x.dtype)

    def task(i):
        _prelu_backward_rows(flat_dy, flat, slope, out, scratch[i], dslope[i], *pieces[i])

    threads.run(task, len(pieces))
    return dx, dslope.sum(0).astype(x.dtype)


def sigmoid(x, *, backend="numpy"):
    """Logistic function ``1 / (1 + exp(-x))``, without overflow for any finite x."""
    if backend == "numpy":
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1, small) / (1 + small)
    y = np.empty_like(x)
    _sigmoid_flat(x.reshape(-1), y.reshape(-1))
    return y


def sigmoid_backward(dy, y, *, backend="numpy"):
    """Gradient dx of :func:`sigmoid` from its output y: ``dy y (1 - y)``."""
    if backend == "numpy":
        return dy * y * (1 - y)
    dx = np.empty_like(y)
    _sigmoid_backward_flat(dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


@kernel
def _prelu_rows(x, slope, y, start, stop):
    for p in range(start, stop):
        row, out = x[p], y[p]
        for c in range(x.shape[1]):
            v = row[c]
            out[c] = v if v > 0 else slope[c] * v


@kernel
def _prelu_backward_rows(dy, x, slope, dx, scratch, dslope, start, stop):
    channels = x.shape[1]
    for run in range(start, stop, 128):
        for c in range(channels):
            scratch[c] = 0
        for p in range(run, min(run + 128, stop)):
            row, drow, out = x[p], dy[p], dx[p]
            for c in range(channels):
                v, d = row[c], drow[c]
                out[c] = d if v > 0 else slope[c] * d
                scratch[c] += 0 if v > 0 else d * v
        for c in range(channels):
            dslope[c] += scratch[c]


@kernel
def _sigmoid_flat(x, y):
    for i in range(x.size):
        v = x[i]
        small = np.exp(-abs(v))
        y[i] = 1 / (1 + small) if v >= 0 else small / (1 + small)


@kernel
def _sigmoid_backward_flat(dy, y, dx):
    for i in range(y.size):
        dx[i] = dy[i] * y[i] * (1 - y[i])
