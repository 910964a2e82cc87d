"""Max-pooling over windows that may overlap and reach beyond the map, and global means.

For windows side by side, as most networks have, :mod:`acdref.ops.pooling` is simpler and faster.
"""

import numpy as np

from acdref.ops import threads
from acdref.ops.kernel import kernel
from acdref.ops.pooling import mean_time, mean_time_backward
from acdref.ops.taps import cropped, output_sizes, padded, tap


def max_pool2d(x, window, stride, padding=(0, 0), *, backend="numpy"):
    """Maximum over windows at any stride.

    Parameters
    ----------
    x : (N, T, F, C) array
    window, stride, padding : (int, int)
        In time and frequency.  Padding, at most half a window, never is the maximum.
    backend : {"numpy", "numba"}

    Returns
    -------
    y : (N, (T + 2 padding - window) // stride + 1, ..., C) array
    chosen : uint8 array of y's shape
        Which element of its window, in row-major order, each maximum is: the first among equals, and a NaN
        before any number.
    """
    sizes = output_sizes(x.shape, window, stride, padding)
    y = np.full((len(x), *sizes, x.shape[-1]), -np.inf, x.dtype)
    chosen = np.zeros(y.shape, np.uint8)
    if backend == "numba":
        threads.run(lambda i: _max_pool_clip(x[i], *window, *stride, *padding, y[i], chosen[i]), len(x))
        return y, chosen
    x = padded(x, padding, -np.inf)
    for k, (i, j) in enumerate(np.ndindex(*window)):
        other = x[tap(i, j, sizes, stride)]
        larger = (other > y) | (np.isnan(other) & ~np.isnan(y))
        np.copyto(y, other, where=larger)
        np.copyto(chosen, np.uint8(k), where=larger)
    return y, chosen


def max_pool2d_backward(dy, chosen, window, stride, padding, shape, *, backend="numpy"):
    """Gradient dx, of `shape` (N, T, F, C), of :func:`max_pool2d`: each dy added where its maximum was."""
    dx = np.zeros(shape, dy.dtype)
    if backend == "numba":
        kf = window[1]
        threads.run(
            lambda i: _max_pool_backward_clip(dy[i], chosen[i], kf, *stride, *padding, dx[i]), len(dx)
        )
        return dx
    dx = padded(dx, padding)
    for k, (i, j) in enumerate(np.ndindex(*window)):
        dx[tap(i, j, dy.shape[1:3], stride)] += np.where(chosen == k, dy, 0)
    return cropped(dx, padding)


def global_mean(x, *, backend="numpy"):
    """Mean over time and frequency: (N, T, F, C) -> (N, C)."""
    n, t, f, c = x.shape
    return mean_time(x.reshape(n, t * f, 1, c), backend=backend)[:, 0]


def global_mean_backward(dy, shape, *, backend="numpy"):
    """Gradient dx, of `shape` (N, T, F, C), of :func:`global_mean`."""
    _, t, f, _ = shape
    return mean_time_backward(dy[:, None], t * f, backend=backend).reshape(shape)


def mean_bins(x, *, backend="numpy"):
    """Mean over frequency: (N, T, F, C) -> (N, T, C)."""
    n, t, f, c = x.shape
    return mean_time(x.reshape(n * t, f, 1, c), backend=backend).reshape(n, t, c)


def mean_bins_backward(dy, bins, *, backend="numpy"):
    """Gradient dx (N, T, bins, C) of :func:`mean_bins`."""
    n, t, c = dy.shape
    return mean_time_backward(dy.reshape(n * t, 1, c), bins, backend=backend).reshape(n, t, bins, c)


@kernel
def _max_pool_clip(x, kt, kf, st, sf, pt, pf, y, chosen):
    (rows, bins, channels), (frames, width) = y.shape, x.shape[:2]
    for t in range(rows):
        for f in range(bins):
            out, index = y[t, f], chosen[t, f]
            for i in range(kt):
                for j in range(kf):
                    r, g, k = t * st - pt + i, f * sf - pf + j, i * kf + j
                    if 0 <= r < frames and 0 <= g < width:
                        other = x[r, g]
                        for c in range(channels):
                            best, v = out[c], other[c]
                            larger = v > best or (v != v and best == best)
                            out[c] = v if larger else best
                            index[c] = k if larger else index[c]


@kernel
def _max_pool_backward_clip(dy, chosen, kf, st, sf, pt, pf, dx):
    rows, bins, channels = dy.shape
    for t in range(rows):
        for f in range(bins):
            for c in range(channels):
                k = chosen[t, f, c]
                r, g = t * st - pt + k // kf, f * sf - pf + k % kf
                # Where the whole window is -inf, its first element may lie outside.
                if 0 <= r < dx.shape[0] and 0 <= g < dx.shape[1]:
                    dx[r, g, c] += dy[t, f, c]
