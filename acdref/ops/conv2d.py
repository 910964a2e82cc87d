"""General 2-D convolution: any kernel, stride, zero padding and number of groups.

Output row t is made of input rows ``t stride - padding + i``, i < kernel, and bins likewise; rows and bins
outside the map count as zero.  ACDnet's 3x3 convolutions have forms of their own (:mod:`acdref.ops.conv`).
"""

import numpy as np

from acdref.matmul import matmul
from acdref.ops import threads
from acdref.ops.depthwise2d import depthwise2d, depthwise2d_input_gradient, depthwise2d_weight_gradient
from acdref.ops.kernel import kernel
from acdref.ops.pointwise import pointwise, pointwise_input_gradient, pointwise_weight_gradient
from acdref.ops.taps import cropped, output_sizes, padded, tap

# Numbers in a tile of neighbourhoods; positions in it at least, since each product packs the weights anew;
# pieces with partial sums of their own.  All are fixed: sums do not depend on the number of threads.
_TILE = 2**20
_LEAST = 256
_PIECES = 8


def conv2d(x, weight, bias=None, stride=(1, 1), padding=(0, 0), groups=1, *, backend="numpy"):
    """2-D convolution.

    Parameters
    ----------
    x : (N, T, F, C_in) array
    weight : (kt, kf, C_in / groups, C_out) array
        Indexed [time, frequency, in, out]; group g makes the g-th part of the outputs of the g-th part of the
        inputs.
    bias : (C_out,) array, optional
    stride, padding : (int, int)
        In time and frequency; padding with zeros on both sides.
    groups : int
        A divisor of C_in and C_out.
    backend : {"numpy", "numba"}

    Returns
    -------
    (N, (T + 2 padding - kt) // stride + 1, ..., C_out) array

    Notes
    -----
    NumPy adds one product for each tap of the kernel.  Numba lays the neighbourhoods of a few thousand
    positions side by side and multiplies these with the whole kernel: one long product instead of many short
    ones.

    Examples
    --------
    >>> conv2d(np.ones((1, 5, 5, 1)), np.ones((3, 3, 1, 1)), stride=(2, 2), padding=(1, 1))[0, ..., 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    if groups == 1:
        y = (_conv_taps if backend == "numpy" else _conv_tiles)(x, weight, stride, padding)
    elif groups == x.shape[-1] == weight.shape[-1]:
        y = depthwise2d(x, weight[:, :, 0], stride, padding, backend=backend)
    else:
        parts = zip(_split(x, groups), _split(weight, groups), strict=True)
        y = np.concatenate([conv2d(*part, None, stride, padding, backend=backend) for part in parts], -1)
    if bias is not None:
        y += bias
    return y


def conv2d_backward(dy, x, weight, stride=(1, 1), padding=(0, 0), groups=1, *, backend="numpy"):
    """Gradients (dx, dweight, dbias) of :func:`conv2d`."""
    geometry = stride, padding, groups
    dx = conv2d_input_gradient(dy, weight, x.shape, *geometry, backend=backend)
    return dx, *conv2d_weight_gradient(dy, x, weight.shape[:2], *geometry, backend=backend)


def conv2d_input_gradient(dy, weight, shape, stride=(1, 1), padding=(0, 0), groups=1, *, backend="numpy"):
    """Gradient dx, of `shape` (N, T, F, C_in), of :func:`conv2d`."""
    if groups == 1:
        return (_input_gradient_taps if backend == "numpy" else _input_gradient_tiles)(
            dy, weight, shape, stride, padding
        )
    if groups == shape[-1] == weight.shape[-1]:
        return depthwise2d_input_gradient(dy, weight[:, :, 0], shape, stride, padding, backend=backend)
    shape = (*shape[:3], shape[3] // groups)
    parts = zip(_split(dy, groups), _split(weight, groups), strict=True)
    return np.concatenate(
        [conv2d_input_gradient(*part, shape, stride, padding, backend=backend) for part in parts], -1
    )


def conv2d_weight_gradient(dy, x, size, stride=(1, 1), padding=(0, 0), groups=1, *, backend="numpy"):
    """Gradients (dweight, dbias) of :func:`conv2d` with a kernel of `size` (kt, kf)."""
    if groups == 1:
        return (_weight_gradient_taps if backend == "numpy" else _weight_gradient_tiles)(
            dy, x, size, stride, padding
        )
    if groups == x.shape[-1] == dy.shape[-1]:
        dweight, dbias = depthwise2d_weight_gradient(dy, x, size, stride, padding, backend=backend)
        return dweight[:, :, None], dbias
    parts = zip(_split(dy, groups), _split(x, groups), strict=True)
    gradients = [conv2d_weight_gradient(*part, size, stride, padding, backend=backend) for part in parts]
    return tuple(np.concatenate(gradient, -1) for gradient in zip(*gradients, strict=True))


def _output_shape(shape, weight_shape, stride, padding):
    return (shape[0], *output_sizes(shape, weight_shape[:2], stride, padding), weight_shape[3])


def _split(a, groups):
    """Equal parts of the last axis."""
    return [np.ascontiguousarray(part) for part in np.split(a, groups, axis=-1)]


# NumPy: tap by tap.


def _conv_taps(x, weight, stride, padding):
    y = np.zeros(_output_shape(x.shape, weight.shape, stride, padding), x.dtype)
    x = padded(x, padding)
    for i, j in np.ndindex(weight.shape[:2]):
        y += matmul(x[tap(i, j, y.shape[1:3], stride)], weight[i, j])
    return y


def _input_gradient_taps(dy, weight, shape, stride, padding):
    dx = padded(np.zeros(shape, dy.dtype), padding)
    for i, j in np.ndindex(weight.shape[:2]):
        dx[tap(i, j, dy.shape[1:3], stride)] += matmul(dy, weight[i, j].T)
    return cropped(dx, padding)


def _weight_gradient_taps(dy, x, size, stride, padding):
    dweight = np.empty((*size, x.shape[-1], dy.shape[-1]), x.dtype)
    x = padded(x, padding)
    flat = dy.reshape(-1, dy.shape[-1])
    for i, j in np.ndindex(*size):
        seen = x[tap(i, j, dy.shape[1:3], stride)].reshape(-1, x.shape[-1])
        dweight[i, j] = matmul(seen.T, flat)
    return dweight, flat.sum(0)


# Numba: a tile of output rows at a time, as a matrix of their neighbourhoods.


def _conv_tiles(x, weight, stride, padding):
    matrix, zeros = _as_matrix(weight), np.zeros(weight.shape[-1], x.dtype)
    if _is_pointwise(weight.shape, stride, padding):
        return pointwise(x, matrix, zeros, backend="numba")
    y = np.empty(_output_shape(x.shape, weight.shape, stride, padding), x.dtype)
    rows, bins = y.shape[1:3]
    flat = y.reshape(-1, y.shape[-1])
    tiles = _tiles(len(x) * rows, bins, len(matrix))

    def task(k):
        start, stop = tiles[k]
        seen = _neighbourhoods(x, weight.shape[:2], stride, padding, rows, bins, start, stop)
        flat[start * bins : stop * bins] = pointwise(seen, matrix, zeros, backend="numba")

    threads.run(task, len(tiles))
    return y


def _input_gradient_tiles(dy, weight, shape, stride, padding):
    matrix = _as_matrix(weight)
    if _is_pointwise(weight.shape, stride, padding):
        return pointwise_input_gradient(dy, matrix, backend="numba")
    matrix, zeros = np.ascontiguousarray(matrix.T), np.zeros(len(matrix), dy.dtype)
    dx = np.zeros(shape, dy.dtype)
    n, rows, bins = dy.shape[:3]
    flat = dy.reshape(-1, dy.shape[-1])
    # Whole clips: the neighbourhoods of neighbouring rows overlap, and must not be added at the same time.
    clips = threads.cuts(n, max(1, n * rows * bins // _LEAST))

    def task(k):
        first, last = clips[k]
        for start, stop in _tiles((last - first) * rows, bins, len(zeros)):
            start, stop = start + first * rows, stop + first * rows
            dseen = pointwise(flat[start * bins : stop * bins], matrix, zeros, backend="numba")
            _scatter(dseen, dx, *weight.shape[:2], *stride, *padding, rows, bins, start, stop)

    threads.run(task, len(clips))
    return dx


def _weight_gradient_tiles(dy, x, size, stride, padding):
    shape = (*size, x.shape[-1], dy.shape[-1])
    if _is_pointwise(shape, stride, padding):
        dweight, dbias = pointwise_weight_gradient(dy, x, backend="numba")
        return dweight.reshape(shape), dbias
    n, rows, bins = dy.shape[:3]
    flat = dy.reshape(-1, dy.shape[-1])
    depth = size[0] * size[1] * x.shape[-1]
    tiles = _tiles(n * rows, bins, depth)
    pieces = threads.cuts(len(tiles), _PIECES)
    dweight = np.zeros((len(pieces), depth, dy.shape[-1]), x.dtype)
    dbias = np.zeros((len(pieces), dy.shape[-1]), x.dtype)

    def task(k):
        for start, stop in tiles[slice(*pieces[k])]:
            seen = _neighbourhoods(x, size, stride, padding, rows, bins, start, stop)
            part = pointwise_weight_gradient(flat[start * bins : stop * bins], seen, backend="numba")
            dweight[k] += part[0]
            dbias[k] += part[1]

    threads.run(task, len(pieces))
    return dweight.sum(0).reshape(shape), dbias.sum(0)


def _as_matrix(weight):
    return weight.reshape(-1, weight.shape[-1])


def _is_pointwise(weight_shape, stride, padding):
    return tuple(weight_shape[:2]) == (1, 1) and tuple(stride) == (1, 1) and tuple(padding) == (0, 0)


def _tiles(rows, bins, depth):
    """Cut range(rows), each of so many positions with neighbourhoods of `depth` numbers, into tiles."""
    return threads.cuts(rows, max(1, rows * bins // max(_LEAST, _TILE // depth)))


def _neighbourhoods(x, size, stride, padding, rows, bins, start, stop):
    """A matrix with a row for each position of output rows [start, stop), counted over all clips."""
    seen = np.empty(((stop - start) * bins, size[0] * size[1] * x.shape[-1]), x.dtype)
    _gather(x, seen, *size, *stride, *padding, rows, bins, start, stop)
    return seen


@kernel
def _gather(x, seen, kt, kf, st, sf, pt, pf, rows, bins, start, stop):
    _, frames, width, channels = x.shape
    for row in range(start, stop):
        clip, t0 = row // rows, (row % rows) * st - pt
        for f in range(bins):
            out, f0 = seen[(row - start) * bins + f], f * sf - pf
            for i in range(kt):
                for j in range(kf):
                    first = (i * kf + j) * channels
                    t, g = t0 + i, f0 + j
                    if 0 <= t < frames and 0 <= g < width:
                        for c in range(channels):
                            out[first + c] = x[clip, t, g, c]
                    else:
                        for c in range(channels):
                            out[first + c] = 0


@kernel
def _scatter(dseen, dx, kt, kf, st, sf, pt, pf, rows, bins, start, stop):
    _, frames, width, channels = dx.shape
    for row in range(start, stop):
        clip, t0 = row // rows, (row % rows) * st - pt
        for f in range(bins):
            of, f0 = dseen[(row - start) * bins + f], f * sf - pf
            for i in range(kt):
                for j in range(kf):
                    first = (i * kf + j) * channels
                    t, g = t0 + i, f0 + j
                    if 0 <= t < frames and 0 <= g < width:
                        for c in range(channels):
                            dx[clip, t, g, c] += of[first + c]
