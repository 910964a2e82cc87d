"""ACDnet's fast road through fused kernels: nothing but each block's pooled map is written to memory.

Blocks with attention also write the map that attention reads twice: for its summary and for the queries (see
:mod:`acdref.fast.attention`).

Tasks are cut by shape, so that results do not depend on the number of threads.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.fast import inference_kernel as kernels
from acdref.fast.attention import CompiledAttention, statistics
from acdref.fast.layers import arranged, matrix
from acdref.fast.tasks import STEP, for_each, framed, scratch
from acdref.nets.layers import Conv
from acdref.ops.activation import sigmoid
from acdref.ops.layout import LANES, packed, padded, whole
from acdref.ops.pointwise import pointwise
from acdref.ops.threads import cuts

# Pooled rows of a task of the first block: few, so that the stem's rows for them stay in the cache.
_STEM_ROWS = 16
# Tasks of a block's map at most, and of those that weigh its keys, where each has a summary of its own; and
# numbers of the map for which a task is worth its while.
_TASKS, _SUMMARIES, _WORTH = 24, 8, 2**15


def predict_proba(net: Any, x: NDArray) -> NDArray:
    """Probabilities (N, classes) of features (N, T, F, 2), by a network with linear attention.

    One clip is shared among the threads; of several, each thread takes whole clips.  A thread keeps its
    scratch memory, 22 MB for 10 s of sound, for its next call.
    """
    layers = _layers(net)
    return sigmoid(np.stack(for_each(lambda clip: _logits(net, layers, clip), [(clip,) for clip in x])))


def _layers(net):
    """Each convolution's (weight, bias, slope) as the kernels want them, normalisation folded in."""
    return {
        layer.name: (*arranged(layer.name, *layer.folded(net)), padded(layer.slope(net)))
        for layer in net.layers
        if isinstance(layer, Conv)
    }


def _logits(net, layers, x):
    config, params = net.config, net.params
    source, most = _stem(layers["stem.conv"], x, config.blocks[0]), _STEM_ROWS
    rows, bins = len(x) - 2, config.bins
    pads = *(block.dilation for block in config.blocks[1:]), 0
    for number, (block, pad) in enumerate(zip(config.blocks, pads, strict=True), 1):
        name, channels = f"block{number}", whole(block.channels)
        rows -= 2 * block.dilation
        convolutions = layers[f"{name}.depthwise"], layers[f"{name}.pointwise"]
        y = framed(name, rows // block.pool[0], bins // block.pool[1], pad, channels, x.dtype)
        if block.attention:
            z = scratch("map", (rows, bins, channels), x.dtype)
            moments = _mapped(block, convolutions, source, z, most)
            _attend(_attention(params, f"{name}.attention", z, moments), z, block.pool, y)
        else:
            _pooled(block, convolutions, source, bins, y, most)
        source, most = (lambda start, stop, y=y: y[start:stop]), None
        rows, bins = rows // block.pool[0], bins // block.pool[1]
    mean = y.mean(0)[:, : config.blocks[-1].channels]  # (F', C)
    flat = np.ascontiguousarray(mean.T).reshape(1, -1)  # (1, C F')
    return pointwise(flat, matrix(params["dense.weight"]), params["dense.bias"])[0]


def _stem(layer, x, block):
    """Source of the stem's rows, computed when they are asked for."""
    rows, bins, inputs = x.shape
    features = framed("features", rows, bins, 1, inputs, x.dtype)
    features[:, 1:-1] = x  # (T, F + 2, 2)
    pad, channels = block.dilation, len(layer[1])
    most = _STEM_ROWS * (1 if block.attention else block.pool[0]) + 2 * pad

    def source(start, stop):
        y = framed("stem", most, bins, pad, channels, x.dtype)[: stop - start]
        kernels.conv_rows(features[start : stop + 2], layer, y)
        return y

    return source


def _pooled(block, convolutions, source, bins, y, most):
    """A block without attention, from its input's source to its pooled map."""
    pool, strip, channels = block.pool, _strip(bins, block.pool), y.shape[2]

    def task(start, stop):
        x = source(start * pool[0], stop * pool[0] + 2 * block.dilation)
        inner = scratch("inner", (strip, x.shape[2]), y.dtype)
        outer = scratch("outer", (pool[0] * strip, channels), y.dtype)
        kernels.pooled_rows(x, block.dilation, convolutions, inner, outer, y[start:stop], pool)

    _by_rows(task, len(y), pool[0] * bins * channels, most)


def _mapped(block, convolutions, source, z, most):
    """Make a block's map z, up to its attention; per row, its mean and sum of squares about it."""
    strip, moments = _strip(z.shape[1]), np.empty((len(z), 2), z.dtype)

    def task(start, stop):
        x = source(start, stop + 2 * block.dilation)
        inner = scratch("inner", (strip, x.shape[2]), z.dtype)
        kernels.mapped_rows(x, block.dilation, convolutions, inner, z[start:stop], moments[start:stop])

    _by_rows(task, len(z), z[0].size, most)
    return moments


def _attention(params, name, z, moments):
    share = len(params[f"{name}.norm.gamma"]) / z.shape[2]
    mean_and_inverse = statistics(moments, np.full(len(moments), z[0].size), share)
    return CompiledAttention(params, name, mean_and_inverse, lambda key: _summary(z, key))


def _summary(z, key):
    """``softmax_positions(z key)^T z``, (width, channels)."""
    channels, width = key.shape
    flat, dtype = z.reshape(-1), z.dtype
    pieces = cuts(z.size // channels, max(1, min(_SUMMARIES, z.size // _WORTH)))
    summary = scratch("summary", (len(pieces), width, channels), dtype)
    layer = packed(key), np.zeros(width, dtype)

    def task(start, stop, summary):
        keys = scratch("keys", (STEP, width + LANES), dtype)
        rows = scratch("packed", (STEP * channels,), dtype)
        largest, total, scale = np.full(width, -np.inf, dtype), np.zeros(width, dtype), np.empty(width, dtype)
        summary[:] = 0
        kernels.summarise(
            flat[start * channels : stop * channels], stop - start, layer, keys, rows,
            (largest, total, scale), summary,
        )  # fmt: skip
        return largest, total

    found = for_each(task, [(*piece, own) for piece, own in zip(pieces, summary, strict=True)])
    largest, total = np.array(found).swapaxes(0, 1)  # (pieces, width) each
    scale = np.exp(largest - largest.max(0))
    return np.einsum("iwc,iw->wc", summary, scale / (total * scale).sum(0))


def _attend(attention, z, pool, y):
    """Fill y with the pooled map of z plus its attention."""
    _, bins, channels = z.shape
    query, answer = attention.query_layer, packed(attention.answer)
    ones, strip = np.ones(channels, z.dtype), _strip(bins, pool)

    def task(start, stop):
        queries = scratch("queries", (strip, len(query[1])), z.dtype)
        outer = scratch("outer", (pool[0] * strip, channels), z.dtype)
        rows = z[start * pool[0] : stop * pool[0]]
        kernels.attended_rows(rows, query, answer, queries, outer, ones, y[start:stop], pool)

    _by_rows(task, len(y), pool[0] * bins * channels)


def _strip(bins, pool=(1, 1)):
    """How many bins of a row, whole windows of them, go through a block together."""
    return min(bins, max(STEP // pool[0] // pool[1], 1) * pool[1])


def _by_rows(task, rows, size, most=None):
    """Run ``task(start, stop)`` over rows that stand for `size` numbers each, `most` rows at a time."""
    count = -(-rows // most) if most else max(1, min(_TASKS, rows * size // _WORTH))
    for_each(task, cuts(rows, count))
