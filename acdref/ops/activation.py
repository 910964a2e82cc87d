"""Activations, dropout, and the mean of sigmoids.

Gradients of those without parameters are taken from the output, which the next layer keeps anyway.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from acdref.ops import threads
from acdref.ops.batch import WHOLE, Batch
from acdref.ops.kernel import kernel
from acdref.ops.layout import along_bins

_PIECE = 2**14  # numbers


def prelu(x: NDArray, slope: NDArray, *, backend: str = "numpy") -> NDArray:
    """Parametric ReLU: ``x`` where x > 0, ``slope x`` elsewhere.

    Parameters
    ----------
    x : (..., C) array
    slope : (C,) array, of any sign
    backend : {"numpy", "numba"}

    Notes
    -----
    NumPy's is NaN where x is infinite and the slope 0.
    """
    if backend == "numpy":
        rows, slope = along_bins(x, slope)
        y = rows * slope
        if (slope <= 1).all():
            np.maximum(rows, y, out=y)  # many times as fast as a choice
        else:
            y = np.where(slope <= 1, np.maximum(rows, y), np.minimum(rows, y))
        return y.reshape(x.shape)  # (N, T, F, C)
    y = np.empty_like(x)
    flat, out = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])  # (positions, C)
    threads.by_pieces(lambda start, stop: _prelu_rows(flat, slope, out, start, stop), len(flat))
    return y


def prelu_backward(dy: NDArray, x: NDArray, slope: NDArray, batch: Batch = WHOLE) -> tuple[NDArray, NDArray]:
    """Gradients (dx, dslope) of :func:`prelu`; at x = 0 the slope's side counts, as in PyTorch.

    In NumPy only: the compiled form is :func:`acdref.ops.norm.batch_norm_backward`, of both at once.
    """
    (dslope,) = batch.total(np.where(x > 0, 0, dy * x).reshape(len(x), -1, x.shape[-1]).sum(1))  # (C,)
    return np.where(x > 0, dy, slope * dy), dslope


def relu(x: NDArray, *, backend: str = "numpy") -> NDArray:
    """``max(x, 0)``; NaN stays NaN."""
    return _elementwise(lambda x: np.maximum(x, 0), x, backend=backend)


def relu_backward(dy: NDArray, y: NDArray, *, backend: str = "numpy") -> NDArray:
    """Gradient dx of :func:`relu` from its output y: dy where y > 0, and 0 elsewhere."""
    return _elementwise(lambda dy, y: np.where(y > 0, dy, 0), dy, y, backend=backend)


def relu6(x: NDArray, *, backend: str = "numpy") -> NDArray:
    """``min(max(x, 0), 6)``; NaN stays NaN."""
    return _elementwise(lambda x: np.clip(x, 0, 6), x, backend=backend)


def relu6_backward(dy: NDArray, y: NDArray, *, backend: str = "numpy") -> NDArray:
    """Gradient dx of :func:`relu6` from its output y: dy where 0 < y < 6, and 0 elsewhere."""
    return _elementwise(lambda dy, y: np.where((y > 0) & (y < 6), dy, 0), dy, y, backend=backend)


def elu(x: NDArray, *, backend: str = "numpy") -> NDArray:
    """Exponential linear unit: ``x`` where x > 0, ``exp(x) - 1`` elsewhere."""
    return _elementwise(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), x, backend=backend)


def elu_backward(dy: NDArray, y: NDArray, *, backend: str = "numpy") -> NDArray:
    """Gradient dx of :func:`elu` from its output y: dy where y > 0, ``dy (y + 1)`` elsewhere."""
    return _elementwise(lambda dy, y: np.where(y > 0, dy, dy * (y + 1)), dy, y, backend=backend)


def sigmoid(x: NDArray) -> NDArray:
    """Logistic function ``1 / (1 + exp(-x))``, without overflow for any finite x."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def dropout(
    x: NDArray, rate: float, rng: np.random.Generator, *, backend: str = "numpy", batch: Batch = WHOLE
) -> tuple[NDArray, NDArray]:
    """Set elements to 0 with probability `rate`; the others grow, so that the mean stays.

    Parameters
    ----------
    x : array
    rate : float
        In [0, 1).
    rng : numpy.random.Generator
        Its state alone decides which elements: the same for both backends and any number of threads.
    backend : {"numpy", "numba"}
    batch : Batch
        Of which x has this process's clips: all draw for all, and take what is theirs.

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
    count = batch.clips(len(x))
    kept = (rng.random((count, *x.shape[1:]), np.float32) >= np.float32(rate))[batch.own(count)]
    return dropout_backward(x, kept, rate, backend=backend), kept


def dropout_backward(dy: NDArray, kept: NDArray, rate: float, *, backend: str = "numpy") -> NDArray:
    """Gradient dx of :func:`dropout`: ``dy / (1 - rate)`` where kept, and 0 elsewhere."""
    scale = dy.dtype.type(1 / (1 - rate))
    return _elementwise(lambda dy, kept: np.where(kept, dy * scale, 0), dy, kept, backend=backend)


def mean_sigmoid_logit(z: NDArray) -> NDArray:
    """Logits of clips from the logits of their frames: the logit of the mean of their sigmoids.

    With it a network whose clip score is a mean of probabilities gives logits like any other.

    Parameters
    ----------
    z : (N, T, C) array
        Finite.

    Returns
    -------
    (N, C) array

    Notes
    -----
    ``log(p / (1 - p))`` with ``p = mean_t sigmoid(z_t)``, computed from logarithms, so that neither p nor
    1 - p can become 0.  The arrays are small, behind all pooling: all is computed in float64, and there is
    no form in Numba.

    Examples
    --------
    >>> z = mean_sigmoid_logit(np.array([[[-1000.0], [1000.0]], [[-1000.0], [-1000.0]]]))
    >>> z.tolist()
    [[0.0], [-1000.0]]
    """
    wide = z.astype(np.float64)
    parts = _log_sigmoid(wide)
    # sigmoid(-z) is exp(-z) sigmoid(z): its logarithm takes no other exponential.
    return (_log_mean(parts) - _log_mean(parts - wide)).astype(z.dtype)


def mean_sigmoid_logit_backward(dy: NDArray, z: NDArray) -> NDArray:
    """Gradient dz (N, T, C) of :func:`mean_sigmoid_logit`.

    Notes
    -----
    ``dz_t = dy s_t (1 - s_t) / (T p (1 - p))`` with s_t = sigmoid(z_t); the fraction is at most T.
    """
    wide = z.astype(np.float64)
    parts = _log_sigmoid(wide), _log_sigmoid(-wide)
    logarithm = sum(parts) - sum(map(_log_mean, parts))[:, None]
    return (dy[:, None] * np.exp(logarithm) / z.shape[1]).astype(z.dtype)  # (N, T, C)


def _log_sigmoid(z):
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def _log_mean(parts):
    """``log(mean_t exp(parts_t))``, (N, C)."""
    largest = parts.max(1, keepdims=True)  # (N, 1, C)
    return np.log(np.exp(parts - largest).mean(1)) + largest[:, 0]


def _elementwise(function: Callable, *arrays: NDArray, backend: str) -> NDArray:
    """``function(*arrays)``; for Numba by several threads, in pieces that stay in the cache.

    NumPy's loops over one array are vectors as a kernel's would be, and its exponential is the faster one.
    """
    if backend == "numpy":
        return function(*arrays)
    y = np.empty_like(arrays[0])
    *flat, out = (a.reshape(-1) for a in (*arrays, y))

    def task(start, stop):
        out[start:stop] = function(*(a[start:stop] for a in flat))

    threads.by_pieces(task, y.size, max(64, y.size // _PIECE))
    return y


@kernel
def _prelu_rows(x, slope, y, start, stop):
    for p in range(start, stop):
        row, out = x[p], y[p]
        for c in range(x.shape[1]):
            v = row[c]
            out[c] = v if v > 0 else slope[c] * v
