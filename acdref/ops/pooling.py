"""Max-pooling and means."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acdref.ops import threads
from acdref.ops.conv2d import Geometry, Pair
from acdref.ops.kernel import kernel

_PIECES = 8


def max_pool(
    x: NDArray, window: Pair, stride: Pair | None = None, padding: Pair = (0, 0), *, backend: str = "numpy"
) -> tuple[NDArray, NDArray]:
    """Maximum over windows; rows and bins that fill no window are dropped.

    Parameters
    ----------
    x : (N, T, F, C) array
    window, stride, padding : (int, int)
        In time and frequency.  Without a stride the windows lie side by side.  Padding, at most half a
        window, never is the maximum.
    backend : {"numpy", "numba"}

    Returns
    -------
    y : (N, (T + 2 padding - window) // stride + 1, ..., C) array
    chosen : uint8 array of y's shape
        Which element of its window, in row-major order, each maximum is: the first among equals, and a NaN
        before any number.
    """
    geometry = Geometry(stride or window, padding)
    y = np.full((len(x), *geometry.sizes(x.shape, window), x.shape[-1]), -np.inf, x.dtype)  # (N, T', F', C)
    chosen = np.zeros(y.shape, np.uint8)
    if backend == "numba":

        def task(i, start, stop):
            _max_pool_rows(x[i], *window, *geometry.flat[:4], y[i], chosen[i], start, stop)

        threads.by_rows(task, len(y), y.shape[1], _PIECES)
        return y, chosen
    for k, (_, to, of) in enumerate(geometry.taps(x.shape, window)):
        best, other = y[to], x[of]
        larger = (other > best) | (np.isnan(other) & ~np.isnan(best))
        np.copyto(best, other, where=larger)
        np.copyto(chosen[to], np.uint8(k), where=larger)
    return y, chosen


def largest(
    x: NDArray, window: Pair, stride: Pair | None = None, padding: Pair = (0, 0), *, backend: str = "numpy"
) -> NDArray:
    """The maxima of :func:`max_pool` alone: all that inference needs, and ten times as fast in NumPy."""
    if backend == "numba":
        return max_pool(x, window, stride, padding, backend=backend)[0]
    geometry = Geometry(stride or window, padding)
    y = np.full((len(x), *geometry.sizes(x.shape, window), x.shape[-1]), -np.inf, x.dtype)  # (N, T', F', C)
    for _, to, of in geometry.taps(x.shape, window):
        np.maximum(y[to], x[of], out=y[to])
    return y


def max_pool_backward(
    dy: NDArray,
    chosen: NDArray,
    window: Pair,
    shape: Sequence[int],
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    *,
    backend: str = "numpy",
) -> NDArray:
    """Gradient dx, of `shape` (N, T, F, C), of :func:`max_pool`: each dy added where its maximum was."""
    geometry = Geometry(stride or window, padding)
    dx = np.zeros(shape, dy.dtype)
    if backend == "numba":

        def task(i, start, stop):
            _max_pool_backward_rows(dy[i], chosen[i], *window, *geometry.flat[:4], dx[i], start, stop)

        threads.by_rows(task, len(dx), dx.shape[1], _PIECES)
        return dx
    for k, (_, to, of) in enumerate(geometry.taps(shape, window)):
        dx[of] += np.where(chosen[to] == k, dy[to], 0)
    return dx


def mean(x: NDArray, axes: tuple[int, ...]) -> NDArray:
    """Mean of a map (N, T, F, C) over time (axis 1), frequency (axis 2), or both; for both backends."""
    return x.mean(axes)


def mean_backward(dy: NDArray, shape: Sequence[int], axes: tuple[int, ...]) -> NDArray:
    """Gradient dx, of `shape` (N, T, F, C), of :func:`mean`: dy over the number of elements, at each."""
    count = int(np.prod([shape[axis] for axis in axes]))
    return np.ascontiguousarray(np.broadcast_to(np.expand_dims(dy / count, axes), shape))  # (N, T, F, C)


@kernel
def _max_pool_rows(x, kt, kf, st, sf, pt, pf, y, chosen, start, stop):
    frames, width, channels = x.shape
    for t in range(start, stop):
        for f in range(y.shape[1]):
            out, index = y[t, f], chosen[t, f]
            for k in range(kt * kf):
                r, g, place = t * st - pt + k // kf, f * sf - pf + k % kf, np.uint8(k)
                if 0 <= r < frames and 0 <= g < width:
                    other = x[r, g]
                    for c in range(channels):
                        # Without a branch (`or`, a load under a condition), so that it becomes vectors.
                        best, v, before = out[c], other[c], index[c]
                        larger = (v > best) | ((v != v) & (best == best))
                        out[c] = v if larger else best
                        index[c] = place if larger else before


@kernel
def _max_pool_backward_rows(dy, chosen, kt, kf, st, sf, pt, pf, dx, start, stop):
    rows, bins, channels = dy.shape
    for r in range(start, stop):
        for g in range(dx.shape[1]):
            out = dx[r, g]
            for i in range((r + pt) % st, kt, st):  # the taps through which some window sees row r
                t = (r + pt - i) // st
                if 0 <= t < rows:
                    for j in range((g + pf) % sf, kf, sf):
                        f, k = (g + pf - j) // sf, i * kf + j
                        if 0 <= f < bins:
                            drow, index = dy[t, f], chosen[t, f]
                            for c in range(channels):
                                out[c] += drow[c] if index[c] == k else 0
