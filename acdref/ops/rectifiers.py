"""Rectifiers without parameters: ReLU, ReLU6 and ELU.

Their gradients are taken from the output, which the next layer keeps anyway.
"""

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel

_PIECES = 64


def relu(x, *, backend="numpy"):
    """``max(x, 0)``; NaN stays NaN."""
    if backend == "numpy":
        return np.maximum(x, 0)
    return _fill(_relu_flat, x)


def relu_backward(dy, y, *, backend="numpy"):
    """Gradient dx of :func:`relu` from its output y: dy where y > 0, and 0 elsewhere."""
    if backend == "numpy":
        return np.where(y > 0, dy, 0)
    return _fill(_relu_backward_flat, dy, y)


def relu6(x, *, backend="numpy"):
    """``min(max(x, 0), 6)``; NaN stays NaN."""
    if backend == "numpy":
        return np.clip(x, 0, 6)
    return _fill(_relu6_flat, x)


def relu6_backward(dy, y, *, backend="numpy"):
    """Gradient dx of :func:`relu6` from its output y: dy where 0 < y < 6, and 0 elsewhere."""
    if backend == "numpy":
        return np.where((y > 0) & (y < 6), dy, 0)
    return _fill(_relu6_backward_flat, dy, y)


def elu(x, *, backend="numpy"):
    """Exponential linear unit: ``x`` where x > 0, ``exp(x) - 1`` elsewhere."""
    if backend == "numpy":
        return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
    # NumPy's exponential is vectorised, that of a kernel is not.
    y = np.minimum(x, 0)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    pieces = threads.cuts(flat_x.size, _PIECES)

    def task(i):
        part = slice(*pieces[i])
        np.expm1(flat_y[part], out=flat_y[part])
        _elu_flat(flat_x, flat_y, *pieces[i])

    threads.run(task, len(pieces))
    return y


def elu_backward(dy, y, *, backend="numpy"):
    """Gradient dx of :func:`elu` from its output y: dy where y > 0, ``dy (y + 1)`` elsewhere."""
    if backend == "numpy":
        return np.where(y > 0, dy, dy * (y + 1))
    return _fill(_elu_backward_flat, dy, y)


def _fill(flat_kernel, *arguments):
    """An array like the first of `arguments`, filled piece by piece."""
    out = np.empty_like(arguments[0])
    flat = [a.reshape(-1) for a in (*arguments, out)]
    pieces = threads.cuts(out.size, _PIECES)
    threads.run(lambda i: flat_kernel(*flat, *pieces[i]), len(pieces))
    return out


@kernel
def _relu_flat(x, y, start, stop):
    for i in range(start, stop):
        v = x[i]
        y[i] = 0 if v < 0 else v


@kernel
def _relu_backward_flat(dy, y, dx, start, stop):
    for i in range(start, stop):
        dx[i] = dy[i] if y[i] > 0 else 0


@kernel
def _relu6_flat(x, y, start, stop):
    for i in range(start, stop):
        v = x[i]
        v = 0 if v < 0 else v
        y[i] = 6 if v > 6 else v


@kernel
def _relu6_backward_flat(dy, y, dx, start, stop):
    for i in range(start, stop):
        dx[i] = dy[i] if 0 < y[i] < 6 else 0


@kernel
def _elu_flat(x, y, start, stop):
    for i in range(start, stop):
        v = x[i]
        y[i] = v if v > 0 else y[i]


@kernel
def _elu_backward_flat(dy, y, dx, start, stop):
    for i in range(start, stop):
        d, v = dy[i], y[i]
        dx[i] = d if v > 0 else d * (v + 1)
