"""ACDnet's fast road through fused kernels: nothing but each block's pooled map is written to memory.

Blocks with attention also write the map that attention reads twice: for the keys' summary and for the
queries.  The algebra there is exact:

* A softmax over positions does not change when a number is added to all keys of a channel; so the key bias
  drops out, and all of group normalisation but its scale.
* Its weights sum to one; so the inputs are weighed first and projected to values once, as a summary:
  ``k^T (y W_v + b_v) = (k^T y) W_v + b_v``; and normalisation is applied to the summary only.
* The queries sum to one too; so the summary takes the output projection, with its bias, before the queries
  read it: ``(q context) W_o + b_o = q (context W_o + b_o)``.

Tasks are cut by shape, so that results do not depend on the number of threads.
"""

import functools
import threading

import numpy as np

from acdref.nets.inference import fold
from acdref.ops import threads
from acdref.ops.activation import sigmoid
from acdref.ops.norm import EPS
from acdref.ops.pointwise import pointwise

# Pooled rows of a task; of the first block few, so that the stem's rows for them stay in the cache.
_STEM_ROWS, _ROWS = 16, 12
# Positions that go through a matrix product together, where rows are short; and of a task that weighs keys.
_STEP, _POSITIONS = 96, 4800

_memory = threading.local()


def predict_proba(net, x):
    """Probabilities (N, classes) of features (N, T, F, 2), by a network with linear attention.

    One clip is shared among the threads; of several, each thread takes whole clips.  A thread keeps its
    scratch memory, 22 MB for 10 s of sound, for its next call.
    """
    layers = _layers(net)
    logits = np.empty((len(x), net.config.classes), net.dtype)

    def clip(i):
        logits[i] = _logits(net, layers, x[i])

    threads.run(clip, len(x))
    return sigmoid(logits)


def _layers(net):
    """Each convolution's (weight, bias, slope) as the kernels want them.

    Normalisation is folded in, channels are padded with zeros to whole vectors, matrices are packed.
    """
    layers = {}
    for name, (weight, bias) in fold(net).items():
        slope = padded(net.params[f"{name}_prelu.slope"])
        if name == "stem.conv":
            weight = packed(padded(weight.reshape(-1, weight.shape[-1])))
        elif name.endswith("depthwise"):
            weight = padded(weight).reshape(-1)
        else:
            weight = packed(padded(weight, (0, 1)))
        layers[name] = weight, padded(bias), slope
    return layers


def _logits(net, layers, x):
    config, params = net.config, net.params
    source = _stem(layers["stem.conv"], x, config.blocks[0])
    rows, bins, channels = len(x) - 2, config.bins, up(config.stem)
    dilations = [block.dilation for block in config.blocks[1:]]
    for number, (block, pad) in enumerate(zip(config.blocks, (*dilations, 0), strict=True), 1):
        name = f"block{number}"
        rows -= 2 * block.dilation
        shape = rows // block.pool[0], bins // block.pool[1] + 2 * pad, up(block.channels)
        y = framed(name, shape, x.dtype)
        if block.attention:
            z, moments = _mapped(layers, name, block, source, (rows, bins, channels), x.dtype)
            _attend(
                _attention(params, f"{name}.attention", z, moments, block.channels), z, block.pool, y, pad
            )
        else:
            _pooled(layers, name, block, source, (bins, channels), y, pad)
        source = _map(y)
        rows, bins, channels = shape[0], bins // block.pool[1], shape[2]
    mean = y.mean(0)[:, : config.blocks[-1].channels]  # (F', C)
    flat = np.ascontiguousarray(mean.T).reshape(1, -1)
    return pointwise(flat, params["dense.weight"], params["dense.bias"])[0]


def _stem(layer, x, block):
    """Source of the stem's rows, computed when they are asked for."""
    weight, bias, slope = layer
    rows, bins, inputs = x.shape
    padded = framed("features", (rows, bins + 2, inputs), x.dtype)
    padded[:, 1:-1] = x
    pad = block.dilation
    row = (bins + 2 * pad) * len(bias)
    most = _STEM_ROWS * (1 if block.attention else block.pool[0]) + 2 * pad

    def source(start, stop):
        y = framed("stem", (most, row), x.dtype).reshape(-1)
        _kernels().conv_rows(
            padded.reshape(-1), (bins + 2) * inputs, weight, bias, slope,
            y, row, pad, inputs, len(bias), bins, start, stop,
        )  # fmt: skip
        return y, 0, row

    source.task_rows = _STEM_ROWS
    return source


def _map(y):
    """Source of the rows of a map with empty bins: (flat array, offset of row `start`, length of a row)."""
    row = y[0].size

    def source(start, stop):
        return y.reshape(-1), start * row, row

    source.task_rows = _ROWS
    return source


def _pooled(layers, name, block, source, shape, y, pad):
    """A block without attention, from its input's source to its pooled map."""
    bins, inputs = shape
    channels, pool, strip = y.shape[2], block.pool, _strip(bins, block.pool)
    depthwise, pointwise_ = layers[f"{name}.depthwise"], layers[f"{name}.pointwise"]

    def task(start, stop):
        x, x0, x_row = source(start * pool[0], stop * pool[0] + 2 * block.dilation)
        inner = scratch("inner", strip * inputs, y.dtype)
        outer = scratch("outer", pool[0] * strip * channels, y.dtype)
        _kernels().pooled_rows(
            x, x0, x_row, block.dilation, *depthwise, inner, *pointwise_, outer,
            y.reshape(-1), start * y[0].size + pad * channels, y[0].size, *pool,
            inputs, channels, bins, stop - start, strip,
        )  # fmt: skip

    _by_rows(task, len(y), source.task_rows)


def _mapped(layers, name, block, source, shape, dtype):
    """A block up to its attention: the map z, and per row its mean and sum of squares about it."""
    rows, bins, inputs = shape
    channels, strip = up(block.channels), _strip(bins)
    z = scratch("map", rows * bins * channels, dtype)[: rows * bins * channels].reshape(rows, bins, channels)
    moments = np.empty((rows, 2), dtype)
    depthwise, pointwise_ = layers[f"{name}.depthwise"], layers[f"{name}.pointwise"]

    def task(start, stop):
        x, x0, x_row = source(start, stop + 2 * block.dilation)
        inner = scratch("inner", strip * inputs, dtype)
        _kernels().mapped_rows(
            x, x0, x_row, block.dilation, *depthwise, inner, *pointwise_,
            z.reshape(-1), start * z[0].size, inputs, channels, bins, stop - start, strip, moments[start:stop],
        )  # fmt: skip

    _by_rows(task, rows, source.task_rows)
    return z, moments


def _attention(params, name, z, moments, channels):
    """What the queries need: (query weight, query bias, answer), the answer being context W_o + b_o."""
    mean, inverse = statistics(moments, np.full(len(moments), z[0].size), channels / z.shape[2])
    gamma, beta = params[f"{name}.norm.gamma"], params[f"{name}.norm.beta"]
    scale = (gamma * inverse).astype(z.dtype)
    shift = (beta - mean * inverse * gamma).astype(z.dtype)
    weight = {part: params[f"{name}.{part}.weight"] for part in ("query", "key", "value", "out")}
    bias = {part: params[f"{name}.{part}.bias"] for part in weight}
    width = weight["key"].shape[1]
    summary = _summary(z, padded(weight["key"] * scale[:, None], (0, 1)))[:width, :channels]
    context = pointwise(summary * scale + shift, weight["value"], bias["value"])
    answer = pointwise(context, weight["out"], bias["out"])  # (width, channels)
    query_bias = padded(bias["query"] + shift @ weight["query"])
    query_bias[width:] = np.finfo(z.dtype).min  # channels that only fill a vector get no weight
    return padded(weight["query"] * scale[:, None], (0, 1)), query_bias, padded(answer, (0, 1))


def statistics(moments, size, share):
    """Mean and inverse deviation of a map from the mean of each part and the sum of squares about it.

    `size` are the parts' numbers of elements, of which the `share` is of the map: the others are zeros.
    """
    means, squares = moments.astype(np.float64).T
    total = size.sum()
    mean = (size * means).sum() / total
    # About the mean of the map's own elements, not that of all.
    squares = (squares + size * np.square(means - mean)).sum() + total * mean * mean * (1 - 1 / share)
    return mean / share, 1 / np.sqrt(squares / (total * share) + EPS)


def _summary(z, key):
    """``softmax_positions(z key)^T z``, (width, channels)."""
    kernels = _kernels()
    channels, width = key.shape
    positions = z.size // channels
    pieces = [(i, min(i + _POSITIONS, positions)) for i in range(0, positions, _POSITIONS)]
    largest = np.full((len(pieces), width), -np.inf, z.dtype)
    total = np.zeros((len(pieces), width), z.dtype)
    summary = np.zeros((len(pieces), width, channels), z.dtype)
    packed_key, nothing = packed(key), np.zeros(width, z.dtype)

    def task(i):
        start, stop = pieces[i]
        keys = scratch("keys", _STEP * (width + kernels.LANES), z.dtype)
        packed = scratch("packed", _STEP * channels, z.dtype)
        kernels.summarise(
            z.reshape(-1), start * channels, packed_key, nothing, keys, packed, channels, width,
            stop - start, _STEP, largest[i], total[i], np.empty(width, z.dtype), summary[i].reshape(-1),
        )  # fmt: skip

    threads.run(task, len(pieces))
    scale = np.exp(largest - largest.max(0))
    return (summary * scale[..., None]).sum(0) / (total * scale).sum(0)[:, None]


def _attend(attention, z, pool, y, pad):
    """Fill y with the pooled map of z plus its attention."""
    query, bias, answer = attention
    query, answer, width = packed(query), packed(answer), len(bias)
    rows, bins, channels = z.shape
    ones, strip = np.ones(channels, z.dtype), _strip(bins, pool)

    def task(start, stop):
        queries = scratch("queries", strip * width, z.dtype)
        outer = scratch("outer", pool[0] * strip * channels, z.dtype)
        _kernels().attended_rows(
            z.reshape(-1), start * pool[0] * z[0].size, query, bias, queries, answer, outer, ones,
            y.reshape(-1), start * y[0].size + pad * channels, y[0].size, *pool,
            channels, width, bins, stop - start, strip,
        )  # fmt: skip

    _by_rows(task, len(y), _ROWS)


def _strip(bins, pool=(1, 1)):
    """How many bins of a row, whole windows of them, go through a block together."""
    return min(bins, max(_STEP // pool[0] // pool[1], 1) * pool[1])


def rows_together(positions):
    """How many rows of so many positions go through a matrix product together."""
    return max(1, _STEP // positions)


def _by_rows(task, rows, size):
    """Run ``task(start, stop)`` over `rows`, `size` at a time."""
    threads.run(lambda i: task(i * size, min((i + 1) * size, rows)), -(-rows // size))


def scratch(name, size, dtype):
    """At least `size` numbers of this thread's, flat, with whatever their last user left."""
    array = getattr(_memory, name, None)
    if array is None or array.size < size or array.dtype != dtype:
        array = np.empty(size, dtype)
        setattr(_memory, name, array)
    return array


def framed(name, shape, dtype):
    """A map of this thread's whose empty bins are zero, provided that nobody writes there."""
    array = getattr(_memory, name, None)
    if array is None or array.shape != shape or array.dtype != dtype:
        array = np.zeros(shape, dtype)
        setattr(_memory, name, array)
    return array


def up(channels):
    lanes = _kernels().LANES
    return -(-channels // lanes) * lanes


def padded(a, axes=(-1,)):
    """`a` with zeros appended along some axes, up to whole vectors."""
    widths = [(0, 0)] * a.ndim
    for axis in axes:
        widths[axis] = (0, up(a.shape[axis]) - a.shape[axis])
    return np.pad(a, widths) if any(after for _, after in widths) else np.ascontiguousarray(a)


def packed(matrix):
    from acdref.ops.microkernel import pack

    return pack(matrix)


@functools.cache
def _kernels():
    from acdref.ops import fused_kernel

    return fused_kernel
