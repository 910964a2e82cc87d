"""Batch normalisation followed by PReLU in one pass: what stands after every convolution of ACDnet.

The same numbers as :mod:`acdref.ops.norm` and :mod:`acdref.ops.activation` one after the other, with half the
memory traffic; and the normalised map need not be kept, because the backward pass makes it again.
"""

import numpy as np

from acdref.ops.activation import prelu, prelu_backward
from acdref.ops.kernel import kernel
from acdref.ops.norm import (
    batch_norm_backward,
    batch_norm_coefficients,
    batch_norm_statistics,
    over_pieces,
    partial_sums,
)


def norm_prelu(x, scale, shift, slope, *, backend="numpy"):
    """``prelu(scale x + shift, slope)`` per channel.

    Parameters
    ----------
    x : (..., C) array
    scale, shift, slope : (C,) arrays
        scale and shift from :func:`norm_prelu_train` or :func:`acdref.ops.norm.batch_norm_affine`.
    backend : {"numpy", "numba"}
    """
    if backend == "numpy":
        return prelu(x * scale + shift, slope)
    y = np.empty_like(x)
    over_pieces(_norm_prelu_rows, x, (scale, shift, slope), y)
    return y


def norm_prelu_train(x, gamma, beta, slope, running_mean, running_var, *, backend="numpy"):
    """Batch normalisation with the batch's statistics, then PReLU.

    Returns
    -------
    y : (N, T, F, C) array
    statistics : (mean, inverse_deviation)
        For :func:`norm_prelu_backward`.
    affine : (scale, shift)
        With which :func:`norm_prelu` makes y again.
    running : (running_mean, running_var)
    """
    statistics, running = batch_norm_statistics(x, running_mean, running_var, backend=backend)
    mean, inverse = statistics
    scale = gamma * inverse
    affine = (scale, beta - mean * scale)
    return norm_prelu(x, *affine, slope, backend=backend), statistics, affine, running


def norm_prelu_backward(dy, x, gamma, slope, statistics, affine, *, backend="numpy"):
    """Gradients (dx, dgamma, dbeta, dslope) of :func:`norm_prelu_train`."""
    scale, shift = affine
    if backend == "numpy":
        dnorm, dslope = prelu_backward(dy, x * scale + shift, slope)
        return *batch_norm_backward(dnorm, x, gamma, statistics), dslope
    flat, flat_dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, x.shape[-1])
    sums = partial_sums(_reduction_rows, flat, (flat, flat_dy, scale, shift, slope, *statistics), 3)
    dgamma, dbeta, dslope = sums.astype(x.dtype)
    a, b, c = (
        v.astype(x.dtype) for v in batch_norm_coefficients(dgamma, dbeta, gamma, statistics, len(flat))
    )
    dx = np.empty_like(x)
    over_pieces(_gradient_rows, x, (flat_dy, scale, shift, slope, a, b, c), dx)
    return dx, dgamma, dbeta, dslope


@kernel
def _norm_prelu_rows(x, scale, shift, slope, y, start, stop):
    for p in range(start, stop):
        row, out = x[p], y[p]
        for c in range(x.shape[1]):
            v = row[c] * scale[c] + shift[c]
            out[c] = v if v > 0 else slope[c] * v


@kernel
def _reduction_rows(x, dy, scale, shift, slope, mean, inverse, scratch, sums, start, stop):
    channels = x.shape[1]
    dgamma, dbeta, dslope = scratch[0], scratch[1], scratch[2]
    for run in range(start, stop, 128):
        for c in range(channels):
            dgamma[c] = 0
            dbeta[c] = 0
            dslope[c] = 0
        for p in range(run, min(run + 128, stop)):
            row, drow = x[p], dy[p]
            for c in range(channels):
                v, d = row[c] * scale[c] + shift[c], drow[c]
                # Made before they are chosen from: without branches, 16 channels become vectors too.
                sloped, share = slope[c] * d, d * v
                d_norm = d if v > 0 else sloped
                dgamma[c] += d_norm * ((row[c] - mean[c]) * inverse[c])
                dbeta[c] += d_norm
                dslope[c] += 0 if v > 0 else share
        for i in range(3):
            for c in range(channels):
                sums[i, c] += scratch[i, c]


@kernel
def _gradient_rows(x, dy, scale, shift, slope, a, b, c, dx, start, stop):
    for p in range(start, stop):
        row, drow, out = x[p], dy[p], dx[p]
        for i in range(x.shape[1]):
            v, d = row[i] * scale[i] + shift[i], drow[i]
            d_norm = d if v > 0 else slope[i] * d
            out[i] = d_norm * a[i] + row[i] * b[i] + c[i]
