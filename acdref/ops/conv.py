"""3x3 convolutions, valid in time and same in frequency: the full one (the stem) and the dilated depthwise.

Output row t is made of input rows t, t + d, t + 2d; output bin f of input bins f - d, f, f + d, where bins
outside the map count as zero.  T shrinks by 2d, F stays.
"""

import functools

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel
from acdref.ops.pointwise import pointwise, pointwise_input_gradient, pointwise_weight_gradient

# A clip's rows are cut into at most this many pieces, each with partial sums of its own.
_PIECES = 8


def conv(x, weight, bias, *, backend="numpy"):
    """Full 3x3 convolution.

    Parameters
    ----------
    x : (N, T, F, C_in) array, T >= 3
    weight : (3, 3, C_in, C_out) array, indexed [time, frequency, in, out]
    bias : (C_out,) array
    backend : {"numpy", "numba"}

    Returns
    -------
    (N, T - 2, F, C_out) array.

    Notes
    -----
    A 1x1 convolution over the nine neighbours laid side by side: C_in is 2 in the stem, so they are few.
    """
    return pointwise(neighbours(x, backend=backend), _as_matrix(weight), bias, backend=backend)


def conv_backward(dy, x, weight, *, backend="numpy"):
    """Gradients (dx, dweight, dbias) of :func:`conv`."""
    dcolumns = pointwise_input_gradient(dy, _as_matrix(weight), backend=backend)
    return neighbours_backward(dcolumns, backend=backend), *conv_weight_gradient(dy, x, backend=backend)


def conv_weight_gradient(dy, x, *, backend="numpy"):
    """Gradients (dweight, dbias) of :func:`conv`: all that a first layer needs."""
    dweight, dbias = pointwise_weight_gradient(dy, neighbours(x, backend=backend), backend=backend)
    return dweight.reshape(3, 3, x.shape[-1], dy.shape[-1]), dbias


def _as_matrix(weight):
    return weight.reshape(-1, weight.shape[-1])


def neighbours(x, *, backend="numpy"):
    """3x3 neighbourhood of each position: (N, T, F, C) -> (N, T - 2, F, 9 C), ordered [time, bin, C]."""
    n, t, f, c = x.shape
    if backend == "numba":
        y = np.empty((n, t - 2, f, 9 * c), x.dtype)
        _by_rows(lambda i, a, b: _neighbours_rows(x[i], y[i], a, b), n, t - 2)
        return y
    y = np.zeros((n, t - 2, f, 3, 3, c), x.dtype)
    for i in range(3):
        for j, (to, of) in enumerate(_overlaps(f, 1)):
            y[:, :, to, i, j] = x[:, i : i + t - 2, of]
    return y.reshape(n, t - 2, f, 9 * c)


def neighbours_backward(dy, *, backend="numpy"):
    """Gradient dx of :func:`neighbours`: each position collects from the places that it was copied to."""
    n, t, f, c9 = dy.shape
    dx = np.zeros((n, t + 2, f, c9 // 9), dy.dtype)
    if backend == "numba":
        _by_rows(lambda i, a, b: _neighbours_backward_rows(dy[i], dx[i], a, b), n, t + 2)
        return dx
    parts = dy.reshape(n, t, f, 3, 3, c9 // 9)
    for i in range(3):
        for j, (to, of) in enumerate(_overlaps(f, 1)):
            dx[:, i : i + t, of] += parts[:, :, to, i, j]
    return dx


def depthwise(x, weight, bias, dilation=1, *, backend="numpy"):
    """Dilated depthwise 3x3 convolution: each channel by itself.

    Parameters
    ----------
    x : (N, T, F, C) array, T >= 2 dilation + 1
    weight : (3, 3, C) array, indexed [time, frequency, channel]
    bias : (C,) array
    dilation : int
        The same in time and in frequency.
    backend : {"numpy", "numba"}

    Returns
    -------
    (N, T - 2 dilation, F, C) array.
    """
    n, t, f, c = x.shape
    rows = t - 2 * dilation
    y = np.empty((n, rows, f, c), x.dtype)
    if backend == "numba":
        kernels = _depthwise_kernels()

        def task(i, start, stop):
            kernels.forward_rows(
                x[i].reshape(-1), weight.reshape(-1), bias, dilation, y[i].reshape(-1), f, c, start, stop
            )

        _by_rows(task, n, rows)
        return y
    y[...] = bias
    weight = np.repeat(weight[:, :, None], f, axis=2)  # rows as long as x's: NumPy multiplies row by row
    for i in range(3):
        for j, (to, of) in enumerate(_overlaps(f, dilation)):
            y[:, :, to] += x[:, i * dilation : i * dilation + rows, of] * weight[i, j, of]
    return y


def depthwise_backward(dy, x, weight, dilation=1, *, backend="numpy"):
    """Gradients (dx, dweight, dbias) of :func:`depthwise`."""
    _, t, f, _ = x.shape
    rows = t - 2 * dilation
    if backend == "numba":
        return _depthwise_backward(dy, x, weight, dilation)
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    for i in range(3):
        for j, (to, of) in enumerate(_overlaps(f, dilation)):
            past = slice(i * dilation, i * dilation + rows)
            dx[:, past, of] += dy[:, :, to] * weight[i, j]
            dweight[i, j] = (dy[:, :, to] * x[:, past, of]).sum((0, 1, 2))
    return dx, dweight, dy.sum((0, 1, 2))


def _depthwise_backward(dy, x, weight, dilation):
    kernels = _depthwise_kernels()
    n, t, f, c = x.shape
    rows = dy.shape[1]
    dx = np.empty_like(x)
    flipped = weight[:, ::-1].reshape(-1)

    def input_gradient(i, start, stop):
        kernels.input_gradient_rows(
            dy[i].reshape(-1), flipped, dilation, dx[i].reshape(-1), rows, f, c, start, stop
        )

    _by_rows(input_gradient, n, t)
    pieces = threads.cuts(rows, _PIECES)
    dweight = np.zeros((n * len(pieces), 9 * c), x.dtype)
    dbias = np.zeros((n * len(pieces), c), x.dtype)

    def weight_gradient(k):
        i, piece = divmod(k, len(pieces))
        kernels.weight_gradient_rows(
            dy[i].reshape(-1), x[i].reshape(-1), dilation, dweight[k], dbias[k], f, c, *pieces[piece]
        )

    threads.run(weight_gradient, len(dweight))
    return dx, dweight.sum(0).reshape(weight.shape), dbias.sum(0)


@functools.cache
def _depthwise_kernels():
    from acdref.ops import depthwise_kernel

    return depthwise_kernel


@functools.cache
def _overlaps(f, dilation):
    """For the taps -d, 0, +d in frequency: (output bins, input bins) that exist on both sides."""
    d = min(dilation, f)
    return (
        (slice(d, f), slice(0, f - d)),
        (slice(0, f), slice(0, f)),
        (slice(0, f - d), slice(d, f)),
    )


def _by_rows(task, clips, rows):
    """Run ``task(clip, first_row, last_row)`` over all clips, each cut into a few pieces of rows."""
    pieces = threads.cuts(rows, _PIECES)
    threads.run(lambda k: task(k // len(pieces), *pieces[k % len(pieces)]), clips * len(pieces))


@kernel
def _neighbours_rows(x, y, start, stop):
    bins, channels = x.shape[1], x.shape[2]
    for t in range(start, stop):
        for f in range(bins):
            out = y[t, f]
            for i in range(3):
                for j in range(3):
                    first = (i * 3 + j) * channels
                    g = f + j - 1
                    if g < 0 or g >= bins:
                        for c in range(channels):
                            out[first + c] = 0
                    else:
                        for c in range(channels):
                            out[first + c] = x[t + i, g, c]


@kernel
def _neighbours_backward_rows(dy, dx, start, stop):
    rows, bins, channels = dy.shape[0], dx.shape[1], dx.shape[2]
    for t in range(start, stop):
        for i in range(3):
            if 0 <= t - i < rows:
                for f in range(bins):
                    for j in range(3):
                        g = f - j + 1
                        if 0 <= g < bins:
                            first = (i * 3 + j) * channels
                            for c in range(channels):
                                dx[t, f, c] += dy[t - i, g, first + c]
