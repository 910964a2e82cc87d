"""2-D convolution, full or depthwise: any kernel, stride, zero padding and dilation.

Output row t is made of input rows ``t stride - padding + i dilation``, i < kernel, and bins likewise; rows
and bins outside the map count as zero.  A 1-D convolution is that of maps with a single bin.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from acdref.matmul import matmul
from acdref.ops import threads
from acdref.ops.batch import WHOLE, Batch, by_clip, each
from acdref.ops.kernel import kernel
from acdref.ops.pointwise import pointwise, pointwise_input_gradient, pointwise_weight_gradients

Pair = tuple[int, int]  # in time and in frequency

# NumPy: neighbourhoods of at most so many numbers are laid side by side.
_FEW = 64
# Numba: numbers in a tile of neighbourhoods; positions in it at least, since each product packs the weights
# anew; pieces, for partial sums those of a clip.  All are fixed: sums do not depend on the number of threads.
_TILE = 2**20
_LEAST = 256
_PIECES = 8
_SUMS = 2
_VECTOR = 512  # numbers of a row that go through a depthwise convolution together


class Geometry(NamedTuple):
    """How a window moves over a map: in time and in frequency each.

    Attributes
    ----------
    stride, padding, dilation : (int, int)
        Rows (bins) from place to place, beyond each end of the map, and from tap to tap.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def sizes(self, shape: Sequence[int], window: Pair) -> Pair:
        """Places of a window on a map (N, T, F, C), in time and frequency; below 1 where it does not fit.

        Examples
        --------
        >>> Geometry(stride=(2, 1), padding=(0, 1)).sizes((1, 9, 9, 1), (3, 3))
        (4, 9)
        """
        rows, bins = (
            (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
            for size, taps, stride, padding, dilation in zip(shape[1:3], window, *self, strict=True)
        )
        return rows, bins

    def taps(self, shape: Sequence[int], window: Pair) -> Iterable[tuple[Pair, tuple, tuple]]:
        """What each tap of a window, at all its places, sees of a map (N, T, F, C).

        Returns
        -------
        iterable, for each tap, of
        (i, j) : (int, int)
            The tap.
        to : index
            Of those places, in a map of them, where the tap lies on the map.
        of : index
            Of what it sees there.

        Examples
        --------
        >>> x, y = np.arange(5.0).reshape(1, 1, 5, 1), np.zeros((1, 1, 5, 1))
        >>> for tap, to, of in Geometry(padding=(0, 1)).taps(x.shape, (1, 3)):
        ...     y[to] += x[of]  # the sum of three neighbours
        >>> y.ravel()
        array([1., 3., 6., 9., 7.])
        """
        return _taps(self, *shape[1:3], tuple(window))

    @property
    def flat(self) -> tuple[int, ...]:
        """The six numbers, as kernels take them."""
        return *self.stride, *self.padding, *self.dilation


STEP = Geometry()
"""One row and bin from place to place, no padding, no dilation."""


@lru_cache(256)  # a map goes through in strips of one shape
def _taps(geometry, frames, bins, window):
    sizes = geometry.sizes((1, frames, bins), window)
    axes = zip((frames, bins), sizes, window, *geometry, strict=True)
    along_rows, along_bins = ([_overlap(tap, *axis) for tap in range(axis[2])] for axis in axes)
    return [
        ((i, j), (slice(None), rows_to, bins_to), (slice(None), rows_of, bins_of))
        for i, (rows_to, rows_of) in enumerate(along_rows)
        for j, (bins_to, bins_of) in enumerate(along_bins)
    ]


def _overlap(tap, size, places, window, stride, padding, dilation):
    """Along an axis: the places at which a tap lies on the map, and what it sees there."""
    first = tap * dilation - padding  # seen at place 0
    start = max(0, -(first // stride))
    stop = max(start, min(places, (size - 1 - first) // stride + 1))
    return slice(start, stop), slice(first + start * stride, max(0, first + stop * stride), stride)


def conv2d(
    x: NDArray,
    weight: NDArray,
    bias: NDArray | None = None,
    geometry: Geometry = STEP,
    *,
    depthwise: bool = False,
    backend: str = "numpy",
) -> NDArray:
    """2-D convolution.

    Parameters
    ----------
    x : (N, T, F, C_in) array
    weight : (kt, kf, C_in, C_out) array, or (kt, kf, 1, C) if depthwise
        Indexed [time, frequency, in, out].
    bias : (C_out,) array, optional
    geometry : Geometry
        Stride, padding (with zeros on both sides) and dilation.
    depthwise : bool
        Each channel by itself.
    backend : {"numpy", "numba"}

    Returns
    -------
    (N, (T + 2 padding - dilation (kt - 1) - 1) // stride + 1, ..., C_out) array

    Notes
    -----
    NumPy adds one product for each tap of the kernel, or lays the neighbourhoods of all positions side by
    side where these are small.  Numba lays those of a few thousand positions side by side and multiplies them
    with the whole kernel: one long product instead of many short ones.

    Examples
    --------
    >>> geometry = Geometry(stride=(2, 2), padding=(1, 1))
    >>> conv2d(np.ones((1, 5, 5, 1)), np.ones((3, 3, 1, 1)), geometry=geometry)[0, ..., 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    bias = np.zeros(weight.shape[-1], x.dtype) if bias is None else bias
    if not depthwise and _is_pointwise(weight.shape, geometry):
        return pointwise(x, _as_matrix(weight), bias, backend=backend)
    if depthwise:
        run, weight = _depthwise if backend == "numpy" else _depthwise_numba, weight[:, :, 0]
    else:
        run = _conv if backend == "numpy" else _conv_numba
    if backend == "numpy":
        return by_clip(lambda clip: run(clip, weight, bias, geometry), x)
    return run(x, weight, bias, geometry)


def conv2d_input_gradient(
    dy: NDArray,
    weight: NDArray,
    shape: Sequence[int],
    geometry: Geometry = STEP,
    *,
    depthwise: bool = False,
    backend: str = "numpy",
) -> NDArray:
    """Gradient dx, of `shape` (N, T, F, C_in), of :func:`conv2d`."""
    if not depthwise and _is_pointwise(weight.shape, geometry):
        return pointwise_input_gradient(dy, _as_matrix(weight), backend=backend)
    if depthwise:
        back = _depthwise_input_gradient if backend == "numpy" else _depthwise_input_gradient_numba
        weight = weight[:, :, 0]
    else:
        back = _input_gradient if backend == "numpy" else _input_gradient_numba
    if backend == "numpy":
        return by_clip(lambda clip: back(clip, weight, (1, *shape[1:]), geometry), dy)
    return back(dy, weight, shape, geometry)


def conv2d_weight_gradient(
    dy: NDArray,
    x: NDArray,
    size: Pair,
    geometry: Geometry = STEP,
    *,
    depthwise: bool = False,
    backend: str = "numpy",
    batch: Batch = WHOLE,
) -> tuple[NDArray, NDArray]:
    """Gradients (dweight, dbias) of :func:`conv2d` with a kernel of `size` (kt, kf)."""
    shape = (*size, 1 if depthwise else x.shape[-1], dy.shape[-1])
    if not depthwise and _is_pointwise(shape, geometry):
        parts = pointwise_weight_gradients(dy, x, backend=backend)
    elif backend == "numpy":
        back = _depthwise_weight_gradient if depthwise else _weight_gradient
        found = each(lambda dy, x: back(dy, x, size, geometry), dy, x)
        parts = map(np.stack, zip(*found, strict=True))
    else:
        back = _depthwise_weight_gradients_numba if depthwise else _weight_gradients_numba
        parts = back(dy, x, size, geometry)
    dweight, dbias = batch.total(*parts)
    return dweight.reshape(shape), dbias  # (kt, kf, C_in, C_out), (C_out,)


def _as_matrix(weight):
    return weight.reshape(-1, weight.shape[-1])  # (kt kf C_in, C_out)


def _is_pointwise(weight_shape, geometry):
    return tuple(weight_shape[:2]) == (1, 1) and geometry[:2] == ((1, 1), (0, 0))


# NumPy: tap by tap.


def _conv(x, weight, bias, geometry):
    window = weight.shape[:2]
    if weight[..., 0].size <= _FEW:
        return pointwise(_neighbours(x, window, geometry), _as_matrix(weight), bias)
    y = np.empty((len(x), *geometry.sizes(x.shape, window), len(bias)), x.dtype)  # (N, T', F', C_out)
    y[...] = bias
    for tap, to, of in geometry.taps(x.shape, window):
        y[to] += matmul(x[of], weight[tap])
    return y


def _neighbours(x, window, geometry):
    """What all taps see of each place, side by side, ordered [time, bin, C]."""
    sizes = geometry.sizes(x.shape, window)
    # All channels of a place as one thing: NumPy's loops are as long as the last axis.
    whole = np.dtype((np.void, x.shape[-1] * x.itemsize))
    seen = np.zeros((len(x), *sizes, *window), whole)  # (N, T', F', kt, kf)
    places = np.ascontiguousarray(x).view(whole)[..., 0]  # (N, T, F)
    for tap, to, of in geometry.taps(x.shape, window):
        seen[(*to, *tap)] = places[of]
    return seen.view(x.dtype).reshape(len(x), *sizes, -1)  # (N, T', F', kt kf C)


def _input_gradient(dy, weight, shape, geometry):
    dx = np.zeros(shape, dy.dtype)
    for tap, to, of in geometry.taps(shape, weight.shape[:2]):
        dx[of] += matmul(dy[to], weight[tap].T)
    return dx


def _weight_gradient(dy, x, size, geometry):
    if size[0] * size[1] * x.shape[-1] <= _FEW:
        dweight, dbias = pointwise_weight_gradients(dy, _neighbours(x, size, geometry))
        return dweight[0], dbias[0]
    dweight = np.empty((*size, x.shape[-1], dy.shape[-1]), x.dtype)
    for tap, to, of in geometry.taps(x.shape, size):
        seen, d = (a.reshape(-1, a.shape[-1]) for a in (x[of], dy[to]))  # (N T' F', C)
        dweight[tap] = matmul(seen.T, d)
    return dweight, dy.sum((0, 1, 2))


def _depthwise(x, weight, bias, geometry):
    (st, sf), (pt, pf), (dt, df) = geometry
    (n, frames, width, channels), window = x.shape, weight.shape[:2]
    rows, bins = geometry.sizes(x.shape, window)
    around = np.zeros((n, frames + 2 * pt, width + 2 * pf, channels), x.dtype)
    around[:, pt : pt + frames, pf : pf + width] = x
    clip, frame, bin_, channel = around.strides
    line = (1, bins * channels) if sf == 1 else (bins, channels)  # NumPy's loops are as long as the last axis
    strides = clip, frame * st, frame * dt, bin_ * df, bin_ * sf, channel
    seen = as_strided(around, (n, rows, *window, *line), strides)  # (N, T', kt, kf, F', C)
    wide = np.repeat(weight[:, :, None], bins, axis=2).reshape(*window, *line)  # (kt, kf, F', C)
    y = np.einsum("ntijfc,ijfc->ntfc", seen, wide)  # each row stays in the cache until it is whole
    y += np.tile(bias, bins).reshape(line)  # (F', C)
    return y.reshape(n, rows, bins, channels)  # (N, T', F', C)


def _depthwise_input_gradient(dy, weight, shape, geometry):
    dx = np.zeros(shape, dy.dtype)
    for tap, to, of in geometry.taps(shape, weight.shape[:2]):
        dx[of] += dy[to] * weight[tap]
    return dx


def _depthwise_weight_gradient(dy, x, size, geometry):
    dweight = np.empty((*size, x.shape[-1]), x.dtype)
    for tap, to, of in geometry.taps(x.shape, size):
        dweight[tap] = (dy[to] * x[of]).sum((0, 1, 2))
    return dweight, dy.sum((0, 1, 2))


# Numba, full: a tile of output rows at a time, as a matrix of their neighbourhoods.


def _conv_numba(x, weight, bias, geometry):
    matrix, window = _as_matrix(weight), weight.shape[:2]
    y = np.empty((len(x), *geometry.sizes(x.shape, window), len(bias)), x.dtype)  # (N, T', F', C_out)
    n, rows, bins, outputs = y.shape
    flat = y.reshape(-1, outputs)  # (N T' F', C_out)
    tiles = _tiles(n * rows, bins, len(matrix))

    def task(k):
        start, stop = tiles[k]
        seen = _neighbours_numba(x, window, geometry, rows, bins, start, stop)
        flat[start * bins : stop * bins] = pointwise(seen, matrix, bias, backend="numba")

    threads.run(task, len(tiles))
    return y


def _input_gradient_numba(dy, weight, shape, geometry):
    matrix = np.ascontiguousarray(_as_matrix(weight).T)  # (C_out, kt kf C_in)
    depth = matrix.shape[1]
    zeros, window = np.zeros(depth, dy.dtype), weight.shape[:2]
    dx = np.zeros(shape, dy.dtype)
    n, rows, bins = dy.shape[:3]
    flat = dy.reshape(-1, dy.shape[-1])  # (N T' F', C_out)
    # Whole clips: the neighbourhoods of neighbouring rows overlap, and must not be added at the same time.
    clips = threads.cuts(n, max(1, n * rows * bins // _LEAST))

    def task(k):
        first, last = clips[k]
        for start, stop in _tiles((last - first) * rows, bins, depth):
            start, stop = start + first * rows, stop + first * rows
            dseen = pointwise(flat[start * bins : stop * bins], matrix, zeros, backend="numba")
            _scatter(dseen, dx, window, geometry.flat, (rows, bins), start, stop)

    threads.run(task, len(clips))
    return dx


def _weight_gradients_numba(dy, x, size, geometry):
    n, rows, bins, outputs = dy.shape
    flat = dy.reshape(-1, outputs)  # (N T' F', C_out)
    depth = size[0] * size[1] * x.shape[-1]
    tiles = _tiles(rows, bins, depth)  # of a clip
    pieces = threads.cuts(len(tiles), _SUMS)
    dweight = np.zeros((n, len(pieces), depth, outputs), x.dtype)
    dbias = np.zeros((n, len(pieces), outputs), x.dtype)

    def task(k):
        clip, piece = divmod(k, len(pieces))
        for start, stop in tiles[slice(*pieces[piece])]:
            start, stop = start + clip * rows, stop + clip * rows
            seen = _neighbours_numba(x, size, geometry, rows, bins, start, stop)
            part = pointwise_weight_gradients(
                flat[None, start * bins : stop * bins], seen[None], backend="numba"
            )
            dweight[clip, piece] += part[0][0]
            dbias[clip, piece] += part[1][0]

    threads.run(task, n * len(pieces))
    return dweight.sum(1), dbias.sum(1)


def _tiles(rows, bins, depth):
    """Cut range(rows), each of so many positions with neighbourhoods of `depth` numbers, into tiles."""
    return threads.cuts(rows, max(1, rows * bins // max(_LEAST, _TILE // depth)))


def _neighbours_numba(x, window, geometry, rows, bins, start, stop):
    """A matrix with a row for each position of output rows [start, stop), counted over all clips."""
    seen = np.empty(((stop - start) * bins, window[0] * window[1] * x.shape[-1]), x.dtype)
    _gather(x, seen, window, geometry.flat, (rows, bins), start, stop)
    return seen


@kernel
def _gather(x, seen, window, geometry, places, start, stop):
    _, frames, width, channels = x.shape
    (kt, kf), (st, sf, pt, pf, dt, df), (rows, bins) = window, geometry, places
    for row in range(start, stop):
        clip, t0 = row // rows, (row % rows) * st - pt
        for f in range(bins):
            out, f0 = seen[(row - start) * bins + f], f * sf - pf
            for i in range(kt):
                for j in range(kf):
                    first = (i * kf + j) * channels
                    t, g = t0 + i * dt, f0 + j * df
                    if 0 <= t < frames and 0 <= g < width:
                        for c in range(channels):
                            out[first + c] = x[clip, t, g, c]
                    else:
                        for c in range(channels):
                            out[first + c] = 0


@kernel
def _scatter(dseen, dx, window, geometry, places, start, stop):
    _, frames, width, channels = dx.shape
    (kt, kf), (st, sf, pt, pf, dt, df), (rows, bins) = window, geometry, places
    for row in range(start, stop):
        clip, t0 = row // rows, (row % rows) * st - pt
        for f in range(bins):
            of, f0 = dseen[(row - start) * bins + f], f * sf - pf
            for i in range(kt):
                for j in range(kf):
                    first = (i * kf + j) * channels
                    t, g = t0 + i * dt, f0 + j * df
                    if 0 <= t < frames and 0 <= g < width:
                        for c in range(channels):
                            dx[clip, t, g, c] += of[first + c]


# Numba, depthwise: some rows of a clip at a time, and of each row some bins with all their channels as one
# long vector.  Channels alone may be as few as 16, too few for a compiled loop over them to pay.


def _depthwise_numba(x, weight, bias, geometry):
    n, frames, width, channels = x.shape
    y = np.empty((n, *geometry.sizes(x.shape, weight.shape[:2]), channels), x.dtype)  # (N, T', F', C)
    y[...] = bias
    rows, bins = y.shape[1:3]
    block = _block(bins, channels, geometry)
    wide = np.repeat(weight[:, :, None], block, axis=2).reshape(*weight.shape[:2], -1)  # (kt, kf, block C)
    flat_x, flat_y = x.reshape(n, frames, -1), y.reshape(n, rows, -1)  # (N, T, F C)

    def task(i, start, stop):
        row = channels, width, bins, block
        _depthwise_rows(flat_x[i], wide, flat_y[i], row, geometry.flat, start, stop)

    threads.by_rows(task, n, rows, _PIECES)
    return y


def _depthwise_input_gradient_numba(dy, weight, shape, geometry):
    """The convolution of dy, with zeros where a stride left places out, with the kernel turned round."""
    _, (pt, pf), (dt, df) = geometry
    (kt, kf), dense = weight.shape[:2], geometry._replace(stride=(1, 1))
    d = np.zeros(
        (shape[0], *dense.sizes(shape, (kt, kf)), shape[3]), dy.dtype
    )  # (N, T' st, F' sf, C) at most
    d[:, :: geometry.stride[0], :: geometry.stride[1]] = dy
    around = dense._replace(padding=(dt * (kt - 1) - pt, df * (kf - 1) - pf))
    return _depthwise_numba(d, weight[::-1, ::-1], np.zeros(shape[3], dy.dtype), around)


def _depthwise_weight_gradients_numba(dy, x, size, geometry):
    n, rows, bins, channels = dy.shape
    block, pieces = _block(bins, channels, geometry), threads.cuts(rows, _PIECES)
    dwide = np.zeros((n * len(pieces), *size, block * channels), x.dtype)
    dbias = np.zeros((len(dwide), block * channels), x.dtype)
    flat_dy, flat_x = (a.reshape(*a.shape[:2], -1) for a in (dy, x))  # (N, T, F C)

    def task(k):
        i, piece = divmod(k, len(pieces))
        row = channels, x.shape[2], bins, block
        _depthwise_weight_gradient_rows(
            flat_dy[i], flat_x[i], dwide[k], dbias[k], row, geometry.flat, *pieces[piece]
        )

    threads.run(task, len(dwide))
    dwide = dwide.reshape(n, -1, *size, block, channels).sum(1)  # (N, kt, kf, block, C)
    dbias = dbias.reshape(n, -1, block, channels).sum(1)  # (N, block, C)
    return dwide.sum(3), dbias.sum(1)  # (N, kt, kf, C), (N, C)


def _block(bins, channels, geometry):
    """How many bins are one vector: of bins that a stride sets apart, each is its own."""
    return max(1, min(bins, _VECTOR // channels)) if geometry.stride[1] == 1 else 1


@kernel
def _depthwise_rows(x, wide, y, row, geometry, start, stop):
    (channels, width, bins, block), (st, sf, pt, pf, dt, df) = row, geometry
    kt, kf = wide.shape[:2]
    for t in range(start, stop):
        for f in range(0, bins, block):
            for i in range(kt):
                r = t * st - pt + i * dt
                if 0 <= r < x.shape[0]:
                    for j in range(kf):
                        g = f * sf - pf + j * df
                        first, last = max(0, -g), min(block, bins - f, width - g)  # of the block, on the map
                        count = (last - first) * channels
                        if count > 0:
                            out = y[t, (f + first) * channels :]
                            seen, w = x[r, (g + first) * channels :], wide[i, j, first * channels :]
                            for k in range(count):
                                out[k] += seen[k] * w[k]


@kernel
def _depthwise_weight_gradient_rows(dy, x, dwide, dbias, row, geometry, start, stop):
    (channels, width, bins, block), (st, sf, pt, pf, dt, df) = row, geometry
    kt, kf = dwide.shape[:2]
    for t in range(start, stop):
        for f in range(0, bins, block):
            d = dy[t, f * channels :]
            for k in range(min(block, bins - f) * channels):
                dbias[k] += d[k]
            for i in range(kt):
                r = t * st - pt + i * dt
                if 0 <= r < x.shape[0]:
                    for j in range(kf):
                        g = f * sf - pf + j * df
                        first, last = max(0, -g), min(block, bins - f, width - g)
                        count = (last - first) * channels
                        if count > 0:
                            d = dy[t, (f + first) * channels :]
                            seen, out = x[r, (g + first) * channels :], dwide[i, j, first * channels :]
                            for k in range(count):
                                out[k] += d[k] * seen[k]
