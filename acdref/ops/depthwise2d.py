"""Depthwise 2-D convolution with stride and zero padding: each channel by itself."""

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel
from acdref.ops.taps import cropped, output_sizes, padded, tap

# A clip's rows are cut into at most this many pieces, each with partial sums of its own.
_PIECES = 8


def depthwise2d(x, weight, stride=(1, 1), padding=(0, 0), *, backend="numpy"):
    """Depthwise convolution: :func:`acdref.ops.conv2d.conv2d` with as many groups as channels.

    Parameters
    ----------
    x : (N, T, F, C) array
    weight : (kt, kf, C) array
    stride, padding : (int, int)
        In time and frequency.
    backend : {"numpy", "numba"}

    Returns
    -------
    (N, (T + 2 padding - kt) // stride + 1, ..., C) array
    """
    sizes = output_sizes(x.shape, weight.shape[:2], stride, padding)
    y = np.zeros((len(x), *sizes, x.shape[-1]), x.dtype)
    if backend == "numba":

        def task(i, start, stop):
            _forward_rows(x[i], weight, y[i], *stride, *padding, start, stop)

        _by_rows(task, *y.shape[:2])
        return y
    x = padded(x, padding)
    for i, j in np.ndindex(weight.shape[:2]):
        y += x[tap(i, j, sizes, stride)] * weight[i, j]
    return y


def depthwise2d_input_gradient(dy, weight, shape, stride=(1, 1), padding=(0, 0), *, backend="numpy"):
    """Gradient dx, of `shape` (N, T, F, C), of :func:`depthwise2d`."""
    dx = np.zeros(shape, dy.dtype)
    if backend == "numba":

        def task(i, start, stop):
            _input_gradient_rows(dy[i], weight, dx[i], *stride, *padding, start, stop)

        _by_rows(task, *shape[:2])
        return dx
    dx = padded(dx, padding)
    for i, j in np.ndindex(weight.shape[:2]):
        dx[tap(i, j, dy.shape[1:3], stride)] += dy * weight[i, j]
    return cropped(dx, padding)


def depthwise2d_weight_gradient(dy, x, size, stride=(1, 1), padding=(0, 0), *, backend="numpy"):
    """Gradients (dweight, dbias) of :func:`depthwise2d` with a kernel of `size` (kt, kf)."""
    channels = x.shape[-1]
    if backend == "numba":
        pieces = threads.cuts(dy.shape[1], _PIECES)
        dweight = np.zeros((len(x) * len(pieces), *size, channels), x.dtype)
        dbias = np.zeros((len(dweight), channels), x.dtype)

        def task(k):
            i, piece = divmod(k, len(pieces))
            _weight_gradient_rows(dy[i], x[i], dweight[k], dbias[k], *stride, *padding, *pieces[piece])

        threads.run(task, len(dweight))
        return dweight.sum(0), dbias.sum(0)
    dweight = np.zeros((*size, channels), x.dtype)
    x = padded(x, padding)
    for i, j in np.ndindex(*size):
        dweight[i, j] = (dy * x[tap(i, j, dy.shape[1:3], stride)]).sum((0, 1, 2))
    return dweight, dy.sum((0, 1, 2))


def _by_rows(task, clips, rows):
    """Run ``task(clip, first_row, last_row)`` over all clips, each cut into a few pieces of rows."""
    pieces = threads.cuts(rows, _PIECES)
    threads.run(lambda k: task(k // len(pieces), *pieces[k % len(pieces)]), clips * len(pieces))


@kernel
def _forward_rows(x, weight, y, st, sf, pt, pf, start, stop):
    (frames, width, channels), (kt, kf) = x.shape, weight.shape[:2]
    for t in range(start, stop):
        for f in range(y.shape[1]):
            out = y[t, f]
            for i in range(kt):
                r = t * st - pt + i
                if 0 <= r < frames:
                    for j in range(kf):
                        g = f * sf - pf + j
                        if 0 <= g < width:
                            seen, w = x[r, g], weight[i, j]
                            for c in range(channels):
                                out[c] += seen[c] * w[c]


@kernel
def _input_gradient_rows(dy, weight, dx, st, sf, pt, pf, start, stop):
    (rows, bins, channels), (kt, kf) = dy.shape, weight.shape[:2]
    for t in range(start, stop):
        for f in range(dx.shape[1]):
            out = dx[t, f]
            for i in range(kt):
                r = t + pt - i
                if r >= 0 and r % st == 0 and r // st < rows:
                    for j in range(kf):
                        g = f + pf - j
                        if g >= 0 and g % sf == 0 and g // sf < bins:
                            d, w = dy[r // st, g // sf], weight[i, j]
                            for c in range(channels):
                                out[c] += d[c] * w[c]


@kernel
def _weight_gradient_rows(dy, x, dweight, dbias, st, sf, pt, pf, start, stop):
    (frames, width, channels), (kt, kf) = x.shape, dweight.shape[:2]
    for t in range(start, stop):
        for f in range(dy.shape[1]):
            d = dy[t, f]
            for c in range(channels):
                dbias[c] += d[c]
            for i in range(kt):
                r = t * st - pt + i
                if 0 <= r < frames:
                    for j in range(kf):
                        g = f * sf - pf + j
                        if 0 <= g < width:
                            seen, out = x[r, g], dweight[i, j]
                            for c in range(channels):
                                out[c] += d[c] * seen[c]
