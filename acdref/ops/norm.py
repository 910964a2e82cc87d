"""Batch and group normalisation."""

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel

EPS = 1e-5
MOMENTUM = 0.1
_PIECES = 64


def batch_norm(x, gamma, beta, running_mean, running_var, *, backend="numpy"):
    """Batch normalisation with the statistics of this batch (training).

    Parameters
    ----------
    x : (N, T, F, C) array
    gamma, beta, running_mean, running_var : (C,) arrays
    backend : {"numpy", "numba"}

    Returns
    -------
    y : (N, T, F, C) array
        ``gamma (x - mean) / sqrt(var + eps) + beta`` with the biased variance, eps = 1e-5.
    statistics : (mean, inverse_deviation), each (C,)
        What :func:`batch_norm_backward` needs.
    running : (running_mean, running_var), each (C,)
        Moved by a tenth of the way, the variance towards the unbiased one (PyTorch's convention).
    """
    statistics, running = batch_norm_statistics(x, running_mean, running_var, backend=backend)
    mean, inverse = statistics
    scale = gamma * inverse
    return _affine(x, scale, beta - mean * scale, backend), statistics, running


def batch_norm_statistics(x, running_mean, running_var, *, backend="numpy"):
    """The (statistics, running) part of :func:`batch_norm`'s result."""
    count = x.size // x.shape[-1]
    mean, var = _moments(x, backend)
    unbiased = var * (count / max(count - 1, 1))
    running = (
        running_mean + MOMENTUM * (mean - running_mean),
        running_var + MOMENTUM * (unbiased - running_var),
    )
    inverse = 1 / np.sqrt(var + EPS)
    return (mean, inverse), tuple(r.astype(x.dtype, copy=False) for r in running)


def batch_norm_backward(dy, x, gamma, statistics, *, backend="numpy"):
    """Gradients (dx, dgamma, dbeta) of :func:`batch_norm`, through its statistics too."""
    dgamma, dbeta = _reductions(dy, x, *statistics, backend)
    a, b, c = batch_norm_coefficients(dgamma, dbeta, gamma, statistics, x.size // x.shape[-1])
    return _affine_pair(dy, a, x, b, c, backend), dgamma, dbeta


def batch_norm_coefficients(dgamma, dbeta, gamma, statistics, count):
    """(a, b, c), each (C,), that make the gradient ``dx = a dy + b x + c``.

    It is ``gamma / s (dy - mean(dy) - xhat mean(dy xhat))`` with ``xhat = (x - mean) / s``.
    """
    mean, inverse = statistics
    a = gamma * inverse
    b = -a * inverse * dgamma / count
    return a, b, -a * dbeta / count - b * mean


def batch_norm_inference(x, gamma, beta, running_mean, running_var, *, backend="numpy"):
    """Batch normalisation with running statistics; arguments as in :func:`batch_norm`, returns y alone."""
    scale, shift = batch_norm_affine(gamma, beta, running_mean, running_var)
    return _affine(x, scale, shift, backend)


def batch_norm_inference_backward(dy, x, gamma, running_mean, running_var, *, backend="numpy"):
    """Gradients (dx, dgamma, dbeta) of :func:`batch_norm_inference` (frozen statistics)."""
    inverse = 1 / np.sqrt(running_var + EPS)
    dgamma, dbeta = _reductions(dy, x, running_mean, inverse, backend)
    return _affine(dy, gamma * inverse, np.zeros_like(gamma), backend), dgamma, dbeta


def batch_norm_affine(gamma, beta, running_mean, running_var):
    """Scale and shift, each (C,), that batch normalisation amounts to at inference: y = scale x + shift."""
    scale = gamma / np.sqrt(running_var + EPS)
    return scale, beta - running_mean * scale


def group_norm(x, gamma, beta, *, backend="numpy"):
    """Group normalisation with one group: over all positions and channels of each clip.

    Parameters
    ----------
    x : (N, T, F, C) array
    gamma, beta : (C,) arrays
    backend : {"numpy", "numba"}

    Returns
    -------
    y : (N, T, F, C) array
    statistics : (mean, inverse_deviation), each (N,)
    """
    mean, var = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    y = np.empty_like(x)

    def task(i):
        # Over channels too: the mean of the channels' variances, plus the variance of their means.
        means, variances = _moments(x[i], backend)
        mean[i] = means.mean()
        var[i] = (variances + (means - mean[i]) ** 2).mean()
        scale = gamma / np.sqrt(var[i] + EPS)
        _affine(x[i], scale, beta - mean[i] * scale, backend, y[i])

    threads.run(task, len(x))
    return y, (mean, 1 / np.sqrt(var + EPS))


def group_norm_backward(dy, x, gamma, statistics, *, backend="numpy"):
    """Gradients (dx, dgamma, dbeta) of :func:`group_norm`."""
    dx = np.empty_like(x)
    dgamma, dbeta = (np.empty((len(x), len(gamma)), x.dtype) for _ in range(2))
    ones = np.ones_like(gamma)

    def task(i):
        mean, inverse = statistics[0][i], statistics[1][i]
        dgamma[i], dbeta[i] = _reductions(dy[i], x[i], mean * ones, inverse * ones, backend)
        b = -inverse * inverse * (gamma * dgamma[i]).sum() / x[i].size
        c = -inverse * (gamma * dbeta[i]).sum() / x[i].size - b * mean
        _affine_pair(dy[i], gamma * inverse, x[i], b * ones, c * ones, backend, dx[i])

    threads.run(task, len(x))
    return dx, dgamma.sum(0), dbeta.sum(0)


def _moments(x, backend):
    """Mean and biased variance per channel, each (C,) of x's dtype; accumulated in float64."""
    flat = x.reshape(-1, x.shape[-1])
    if backend == "numpy":
        mean = flat.mean(0, dtype=np.float64).astype(x.dtype)
        return mean, np.square(flat - mean).mean(0, dtype=np.float64).astype(x.dtype)
    # Sums of x - pivot and of its square: a pivot inside the data avoids cancellation.
    pivot = flat[0].copy()
    sums = partial_sums(_moment_rows, flat, (flat, pivot), 2)
    offset = sums[0] / len(flat)
    var = np.maximum(sums[1] / len(flat) - offset**2, 0)
    return (pivot + offset).astype(x.dtype), var.astype(x.dtype)


def _reductions(dy, x, mean, inverse, backend):
    """sum(dy xhat) and sum(dy) per channel, each (C,), with xhat = (x - mean) inverse."""
    c = x.shape[-1]
    if backend == "numpy":
        xhat = (x - mean) * inverse
        return (dy * xhat).reshape(-1, c).sum(0), dy.reshape(-1, c).sum(0)
    flat = x.reshape(-1, c)
    sums = partial_sums(_reduction_rows, flat, (flat, dy.reshape(-1, c), mean, inverse), 2)
    return sums[0].astype(x.dtype), sums[1].astype(x.dtype)


def partial_sums(rows_kernel, flat, arguments, count):
    """`count` channel sums, (count, C) in float64, from pieces fixed by the shape, added in order."""
    pieces = threads.cuts(len(flat), _PIECES)
    sums = np.zeros((len(pieces), count, flat.shape[1]))
    scratch = np.zeros((len(pieces), count, flat.shape[1]), flat.dtype)
    threads.run(lambda i: rows_kernel(*arguments, scratch[i], sums[i], *pieces[i]), len(pieces))
    return sums.sum(0)


def over_pieces(rows_kernel, x, arguments, y):
    """Fill y, of x's shape, by ``rows_kernel(x, *arguments, y, start, stop)`` over pieces of positions."""
    flat, out = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
    pieces = threads.cuts(len(flat), _PIECES)
    threads.run(lambda i: rows_kernel(flat, *arguments, out, *pieces[i]), len(pieces))


def _affine(x, scale, shift, backend, y=None):
    """scale x + shift, into `y` if that is given."""
    y = np.empty_like(x) if y is None else y
    if backend == "numpy":
        y[...] = x * scale + shift
    else:
        over_pieces(_affine_rows, x, (scale.astype(x.dtype), shift.astype(x.dtype)), y)
    return y


def _affine_pair(dy, a, x, b, c, backend, dx=None):
    """a dy + b x + c, into `dx` if that is given."""
    dx = np.empty_like(x) if dx is None else dx
    if backend == "numpy":
        dx[...] = dy * a + x * b + c
    else:
        a, b, c = (v.astype(x.dtype) for v in (a, b, c))
        over_pieces(_affine_pair_rows, dy, (a, x.reshape(-1, x.shape[-1]), b, c), dx)
    return dx


@kernel
def _affine_rows(x, scale, shift, y, start, stop):
    for p in range(start, stop):
        row, out = x[p], y[p]
        for c in range(x.shape[1]):
            out[c] = row[c] * scale[c] + shift[c]


@kernel
def _affine_pair_rows(dy, a, x, b, c, y, start, stop):
    for p in range(start, stop):
        drow, row, out = dy[p], x[p], y[p]
        for i in range(x.shape[1]):
            out[i] = drow[i] * a[i] + row[i] * b[i] + c[i]


@kernel
def _moment_rows(x, pivot, scratch, sums, start, stop):
    # Short runs in the maps' own precision, then float64: exact enough and vectorised.
    channels = x.shape[1]
    first, second = scratch[0], scratch[1]
    for run in range(start, stop, 128):
        for c in range(channels):
            first[c] = 0
            second[c] = 0
        for p in range(run, min(run + 128, stop)):
            row = x[p]
            for c in range(channels):
                d = row[c] - pivot[c]
                first[c] += d
                second[c] += d * d
        for c in range(channels):
            sums[0, c] += first[c]
            sums[1, c] += second[c]


@kernel
def _reduction_rows(x, dy, mean, inverse, scratch, sums, start, stop):
    channels = x.shape[1]
    first, second = scratch[0], scratch[1]
    for run in range(start, stop, 128):
        for c in range(channels):
            first[c] = 0
            second[c] = 0
        for p in range(run, min(run + 128, stop)):
            row, drow = x[p], dy[p]
            for c in range(channels):
                d = drow[c]
                first[c] += d * ((row[c] - mean[c]) * inverse[c])
                second[c] += d
        for c in range(channels):
            sums[0, c] += first[c]
            sums[1, c] += second[c]
