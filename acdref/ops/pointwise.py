"""Pointwise (1x1) convolution, which is also the dense layer: a matrix product over the last axis."""

import functools

import numpy as np
from numpy.typing import NDArray

from acdref.matmul import matmul
from acdref.ops import threads
from acdref.ops.batch import WHOLE, Batch, by_clip, each
from acdref.ops.layout import along_bins, packed, whole

# Positions per task and per packed piece of dy: fixed, so that sums do not depend on the number of threads.
_TASK = 4096
_PIECE = 256


def pointwise(x: NDArray, weight: NDArray, bias: NDArray, *, backend: str = "numpy") -> NDArray:
    """1x1 convolution ``y[..., o] = sum_i x[..., i] weight[i, o] + bias[o]``.

    Parameters
    ----------
    x : (..., C_in) array
    weight : (C_in, C_out) array
    bias : (C_out,) array
    backend : {"numpy", "numba"}

    Returns
    -------
    (..., C_out) array of x's dtype.
    """
    if backend == "numpy":
        y = _matmul(x, weight)
        rows, bias = along_bins(y, bias)
        rows += bias  # y's own memory
        return y
    return _product(x, weight, bias)


def pointwise_backward(
    dy: NDArray, x: NDArray, weight: NDArray, *, backend: str = "numpy", batch: Batch = WHOLE
) -> tuple[NDArray, NDArray, NDArray]:
    """Gradients (dx, dweight, dbias) of :func:`pointwise`."""
    dx = pointwise_input_gradient(dy, weight, backend=backend)
    return dx, *pointwise_weight_gradient(dy, x, backend=backend, batch=batch)


def pointwise_input_gradient(
    dy: NDArray, weight: NDArray, dx: NDArray | None = None, *, backend: str = "numpy"
) -> NDArray:
    """Gradient dx of :func:`pointwise`: ``dy weight^T``, added to `dx` in place if that is given."""
    if backend == "numpy":
        if dx is None:
            return _matmul(dy, weight.T)
        dx += _matmul(dy, weight.T)
        return dx
    if dx is None:
        return _product(dy, np.ascontiguousarray(weight.T), np.zeros(weight.shape[0], dy.dtype))
    return _product(dy, np.ascontiguousarray(weight.T), dx)


def pointwise_weight_gradient(
    dy: NDArray, x: NDArray, *, backend: str = "numpy", batch: Batch = WHOLE
) -> tuple[NDArray, NDArray]:
    """Gradients (dweight, dbias) of :func:`pointwise`, summed over the batch: ``x^T dy`` and ``sum dy``."""
    dweight, dbias = batch.total(*pointwise_weight_gradients(dy, x, backend=backend))
    return dweight, dbias


def pointwise_weight_gradients(dy: NDArray, x: NDArray, *, backend: str = "numpy") -> tuple[NDArray, NDArray]:
    """Gradients (dweight, dbias) of each clip, the first axis: (N, C_in, C_out) and (N, C_out)."""
    x, dy = (a.reshape(len(a), -1, a.shape[-1]) for a in (x, dy))  # (N, positions, C)
    if backend == "numpy":
        dweight = np.stack(each(lambda x, dy: matmul(x[0].T, dy[0]), x, dy))  # (N, C_in, C_out)
        return dweight, dy.sum(1)
    return _weight_gradients(x, dy)


def _matmul(a, b):
    """The product of matmul; of maps, clip by clip."""
    return matmul(a, b) if a.ndim < 3 else by_clip(lambda clip: matmul(clip, b), a)


@functools.cache
def _microkernel():
    from acdref.ops import microkernel

    return microkernel


def _product(x, weight, start):
    """x weight + start, where start is a row of biases, or a whole map that the result is written over."""
    depth, columns = weight.shape
    micro = _microkernel()
    weight = packed(weight)
    flat = x.reshape(-1)
    rows = flat.size // depth
    y = np.empty((*x.shape[:-1], columns), x.dtype) if start.ndim == 1 else start
    out, start_row = y.reshape(-1), 0 if start.ndim == 1 else columns
    start = start.reshape(-1)

    def task(i):
        first = i * _TASK
        micro.product(
            (flat, first * depth, depth, 1), weight, (start, first * start_row, start_row),
            (out, first * columns, columns), (min(_TASK, rows - first), depth, columns),
        )  # fmt: skip

    threads.run(task, -(-rows // _TASK))
    return y


def _weight_gradients(x, dy):
    """x^T dy and sum dy of each clip, from partial sums over pieces fixed by the shape, added in order."""
    micro = _microkernel()
    (clips, rows, depth), columns = x.shape, dy.shape[-1]
    flat_x, flat_dy = x.reshape(-1), dy.reshape(-1)
    tasks = -(-rows // _TASK)  # of a clip
    dweight = np.zeros((clips, tasks, depth, columns), x.dtype)
    dbias = np.zeros((clips, tasks, columns), x.dtype)

    def task(k):
        scratch = np.empty(whole(columns) * _PIECE, x.dtype)
        clip, i = divmod(k, tasks)
        first, stop = clip * rows + i * _TASK, clip * rows + min((i + 1) * _TASK, rows)
        micro.weight_gradient(
            flat_x, flat_dy, first, stop, (depth, columns), _PIECE, scratch,
            dweight[clip, i].reshape(-1), dbias[clip, i],
        )  # fmt: skip

    threads.run(task, clips * tasks)
    return (dweight[:, 0], dbias[:, 0]) if tasks == 1 else (dweight.sum(1), dbias.sum(1))
