"""ACDnet's fast road through fused kernels: nothing but each block's pooled map is written to memory.

Blocks with attention also write the map that attention reads twice: for its summary and for the queries (see
:mod:`acdref.fast.attention`).

Tasks are cut by shape, so that results do not depend on the number of threads.
"""

import functools
import math

import numpy as np

from acdref.fast.attention import Attention, statistics
from acdref.fast.scratch import framed, scratch
from acdref.nets.layers import Conv
from acdref.ops import threads
from acdref.ops.activation import sigmoid
from acdref.ops.layout import LANES, packed, padded, whole
from acdref.ops.pointwise import pointwise

# Pooled rows of a task of the first block: few, so that the stem's rows for them stay in the cache.
_STEM_ROWS = 16
# Positions that go through a matrix product together, where rows are short.
_STEP = 96
# Tasks of a block's map at most, and of those that weigh its keys, where each has a summary of its own; and
# numbers of the map for which a task is worth its while.
_TASKS, _SUMMARIES, _WORTH = 24, 8, 2**15


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
    for layer in net.layers:
        if isinstance(layer, Conv):
            weight, bias = layer.folded(net)
            slope = padded(layer.slope(net))
            matrix = weight.reshape(-1, layer.outputs)
            if layer.depthwise:
                weight = padded(matrix).reshape(-1)
            elif layer.first:
                weight = packed(padded(matrix))
            else:
                weight = packed(padded(matrix, (0, 1)))
            layers[layer.name] = weight, padded(bias), slope
    return layers


def _logits(net, layers, x):
    config, params = net.config, net.params
    source = _stem(layers["stem.conv"], x, config.blocks[0])
    rows, bins, channels = len(x) - 2, config.bins, whole(config.stem)
    dilations = [block.dilation for block in config.blocks[1:]]
    for number, (block, pad) in enumerate(zip(config.blocks, (*dilations, 0), strict=True), 1):
        name = f"block{number}"
        rows -= 2 * block.dilation
        shape = rows // block.pool[0], bins // block.pool[1], whole(block.channels)
        y = framed(name, *shape[:2], pad, shape[2], x.dtype)
        if block.attention:
            z, moments = _mapped(layers, name, block, source, (rows, bins, channels), x.dtype)
            _attend(_attention(params, f"{name}.attention", z, moments), z, block.pool, y, pad)
        else:
            _pooled(layers, name, block, source, (bins, channels), y, pad)
        source = _map(y)
        rows, bins, channels = shape
    mean = y.mean(0)[:, : config.blocks[-1].channels]  # (F', C)
    flat = np.ascontiguousarray(mean.T).reshape(1, -1)
    return pointwise(flat, params["dense.weight"], params["dense.bias"])[0]


def _stem(layer, x, block):
    """Source of the stem's rows, computed when they are asked for."""
    weight, bias, slope = layer
    rows, bins, inputs = x.shape
    features = framed("features", rows, bins, 1, inputs, x.dtype)
    features[:, 1:-1] = x
    pad, channels = block.dilation, len(bias)
    most = _STEM_ROWS * (1 if block.attention else block.pool[0]) + 2 * pad

    def source(start, stop):
        y = framed("stem", most, bins, pad, channels, x.dtype)
        _kernels().conv_rows(
            features.reshape(-1), features[0].size, weight, bias, slope,
            y.reshape(-1), y[0].size, pad, inputs, channels, bins, start, stop,
        )  # fmt: skip
        return y.reshape(-1), 0, y[0].size

    source.most_rows = _STEM_ROWS
    return source


def _map(y):
    """Source of the rows of a map with empty bins: (flat array, offset of row `start`, length of a row)."""
    row = y[0].size

    def source(start, stop):
        return y.reshape(-1), start * row, row

    source.most_rows = None
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

    _by_rows(task, len(y), pool[0] * bins * channels, source.most_rows)


def _mapped(layers, name, block, source, shape, dtype):
    """A block up to its attention: the map z, and per row its mean and sum of squares about it."""
    rows, bins, inputs = shape
    channels, strip = whole(block.channels), _strip(bins)
    z = scratch("map", rows * bins * channels, dtype).reshape(rows, bins, channels)
    moments = np.empty((rows, 2), dtype)
    depthwise, pointwise_ = layers[f"{name}.depthwise"], layers[f"{name}.pointwise"]

    def task(start, stop):
        x, x0, x_row = source(start, stop + 2 * block.dilation)
        inner = scratch("inner", strip * inputs, dtype)
        _kernels().mapped_rows(
            x, x0, x_row, block.dilation, *depthwise, inner, *pointwise_,
            z.reshape(-1), start * z[0].size, inputs, channels, bins, stop - start, strip,
            moments[start:stop],
        )  # fmt: skip

    _by_rows(task, rows, bins * channels, source.most_rows)
    return z, moments


def _attention(params, name, z, moments):
    share = len(params[f"{name}.norm.gamma"]) / z.shape[2]
    mean_and_inverse = statistics(moments, np.full(len(moments), z[0].size), share)
    return Attention(params, name, mean_and_inverse, lambda key: _summary(z, key), z.dtype)


def _summary(z, key):
    """``softmax_positions(z key)^T z``, (width, channels)."""
    channels, width = key.shape
    positions = z.size // channels
    pieces = threads.cuts(positions, max(1, min(_SUMMARIES, z.size // _WORTH)))
    largest = np.full((len(pieces), width), -np.inf, z.dtype)
    total = np.zeros((len(pieces), width), z.dtype)
    shape = len(pieces), width, channels
    summary = scratch("summary", math.prod(shape), z.dtype).reshape(shape)
    key, nothing = packed(key), np.zeros(width, z.dtype)

    def task(i):
        start, stop = pieces[i]
        keys = scratch("keys", _STEP * (width + LANES), z.dtype)
        rows = scratch("packed", _STEP * channels, z.dtype)
        summary[i] = 0
        _kernels().summarise(
            z.reshape(-1), start * channels, key, nothing, keys, rows, channels, width,
            stop - start, _STEP, largest[i], total[i], np.empty(width, z.dtype), summary[i].reshape(-1),
        )  # fmt: skip

    threads.run(task, len(pieces))
    scale = np.exp(largest - largest.max(0))
    return np.einsum("iwc,iw->wc", summary, scale / (total * scale).sum(0))


def _attend(attention, z, pool, y, pad):
    """Fill y with the pooled map of z plus its attention."""
    query, bias, answer = packed(attention.query), attention.query_bias, packed(attention.answer)
    width = len(bias)
    _, bins, channels = z.shape
    ones, strip = np.ones(channels, z.dtype), _strip(bins, pool)

    def task(start, stop):
        queries = scratch("queries", strip * width, z.dtype)
        outer = scratch("outer", pool[0] * strip * channels, z.dtype)
        _kernels().attended_rows(
            z.reshape(-1), start * pool[0] * z[0].size, query, bias, queries, answer, outer, ones,
            y.reshape(-1), start * y[0].size + pad * channels, y[0].size, *pool,
            channels, width, bins, stop - start, strip,
        )  # fmt: skip

    _by_rows(task, len(y), pool[0] * bins * channels)


def _strip(bins, pool=(1, 1)):
    """How many bins of a row, whole windows of them, go through a block together."""
    return min(bins, max(_STEP // pool[0] // pool[1], 1) * pool[1])


def _by_rows(task, rows, size, most=None):
    """Run ``task(start, stop)`` over rows that stand for `size` numbers each, `most` rows at a time."""
    count = -(-rows // most) if most else max(1, min(_TASKS, rows * size // _WORTH))
    pieces = threads.cuts(rows, count)
    threads.run(lambda i: task(*pieces[i]), len(pieces))


@functools.cache
def _kernels():
    from acdref.fast import inference_kernel as fused_kernel

    return fused_kernel
