"""ACDnet's fast road through fused kernels: nothing but each block's pooled map is written to memory.

Blocks with attention also write the map that attention reads twice: for its summary and for the queries (see
:mod:`acdref.fast.attention`).

Tasks are cut by shape, so that results do not depend on the number of threads.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.fast import inference_kernel as kernels
from acdref.fast.attention import FrozenAttention, statistics
from acdref.fast.kept import kept
from acdref.fast.layers import arranged, matrix
from acdref.fast.tasks import STEP, Crew, for_each, framed, scratch
from acdref.nets.layers import Attention, Conv
from acdref.ops.activation import sigmoid
from acdref.ops.layout import LANES, padded, whole
from acdref.ops.pointwise import pointwise

# Pooled rows of a task of the first block: few, so that the stem's rows for them stay in the cache.
_STEM_ROWS = 16
# Tasks of a block's map at most, and of those that weigh its keys, where each has a summary of its own; and
# numbers of the map for which a task is worth its while.
_TASKS, _SUMMARIES, _WORTH = 48, 8, 2**15


def predict_proba(net: Any, x: NDArray) -> NDArray:
    """Probabilities (N, classes) of features (N, T, F, 2), by a network with linear attention.

    One clip is shared among the threads; of several, each thread takes whole clips.  A thread keeps its
    scratch memory, 22 MB for 10 s of sound, for its next call.
    """
    layers = kept(net, net.layers, _layers)

    def logits(clip):
        with Crew() as crew:
            return _logits(net, layers, clip, crew.share)

    return sigmoid(np.stack(for_each(logits, [(clip,) for clip in x])))


def _layers(layers, net):
    """Each convolution's (weight, bias, slope) as the kernels want them, and each attention's, by name."""
    return {
        layer.name: (*arranged(layer.name, *layer.folded(net)), padded(layer.slope(net)))
        if isinstance(layer, Conv)
        else FrozenAttention(net.params, layer.name)
        for layer in layers
        if isinstance(layer, Conv | Attention)
    }


def _logits(net, layers, x, share):
    config, params = net.config, net.params
    most = _STEM_ROWS
    source, rows, bins = _stem(layers["stem.conv"], x, config.blocks[0], most), len(x) - 2, config.bins
    pads = *(block.dilation for block in config.blocks[1:]), 0
    for number, (block, pad) in enumerate(zip(config.blocks, pads, strict=True), 1):
        name, channels = f"block{number}", whole(block.channels)
        rows -= 2 * block.dilation
        convolutions = layers[f"{name}.depthwise"], layers[f"{name}.pointwise"]
        y = framed(name, rows // block.pool[0], bins // block.pool[1], pad, channels, x.dtype)
        if block.attention:
            z = scratch("map", (rows, bins, channels), x.dtype)
            moments = _mapped(share, block, convolutions, source, z, most)
            _attend(share, layers[f"{name}.attention"], moments, z, block.pool, y)
        else:
            _pooled(share, block, convolutions, source, bins, y, most)
        source, most = _map_source(y), None
        rows, bins = rows // block.pool[0], bins // block.pool[1]
    mean = y.mean(0)[:, : config.blocks[-1].channels]  # (F', C)
    flat = np.ascontiguousarray(mean.T).reshape(1, -1)  # (1, C F')
    return pointwise(flat, matrix(params["dense.weight"]), params["dense.bias"])[0]


def _stem(layer, x, block, most):
    """Source of the stem's rows, as many as `most` rows of the first block want."""
    _, bins, inputs = x.shape
    pad, channels = block.dilation, len(layer[1])
    rows = most * (1 if block.attention else block.pool[0]) + 2 * pad

    def source():
        features = framed("features", rows + 2, bins, 1, inputs, x.dtype)
        return x, features, layer, framed("stem", rows, bins, pad, channels, x.dtype)

    return source


def _map_source(x):
    """Source of the rows of a map that is there."""
    nothing = np.empty((0, 1, 1), x.dtype)
    no_layer = (nothing.reshape(-1),) * 3
    return lambda: (nothing, nothing, no_layer, x)


def _pooled(share, block, convolutions, source, bins, y, most):
    """A block without attention, from its input's source to its pooled map."""
    pool, strip, channels = block.pool, _strip(bins, block.pool), y.shape[2]

    def arguments():
        inner = scratch("inner", (strip, len(convolutions[0][1])), y.dtype)
        outer = scratch("outer", (pool[0] * strip, channels), y.dtype)
        return source(), block.dilation, convolutions, y, pool, inner, outer

    share(kernels.pooled_rows, _pieces(len(y), pool[0] * bins * channels, most), arguments)


def _mapped(share, block, convolutions, source, z, most):
    """Make a block's map z, up to its attention; per row, its mean and sum of squares about it."""
    strip, moments = _strip(z.shape[1]), np.empty((len(z), 2), z.dtype)

    def arguments():
        inner = scratch("inner", (strip, len(convolutions[0][1])), z.dtype)
        return source(), block.dilation, convolutions, z, moments, inner

    share(kernels.mapped_rows, _pieces(len(z), z[0].size, most), arguments)
    return moments


def _attend(share, attention, moments, z, pool, y):
    """Fill y with the pooled map of z plus its attention."""
    _, bins, channels = z.shape
    map_statistics = statistics(moments, np.full(len(z), z[0].size), attention.channels / channels)
    query, answer = attention.query_layer(map_statistics), _answer(share, attention, map_statistics, z)
    ones, strip = np.ones(channels, z.dtype), _strip(bins, pool)

    def arguments():
        queries = scratch("queries", (strip, len(query[1])), z.dtype)
        outer = scratch("outer", (pool[0] * strip, channels), z.dtype)
        return z, query, answer, y, pool, queries, outer, ones

    share(kernels.attended_rows, _pieces(len(y), pool[0] * bins * channels), arguments)


def _answer(share, attention, map_statistics, z):
    """What the softmax of the queries is multiplied by, packed, from ``softmax_positions(z key)^T z``."""
    key, dtype, x = attention.key_layer(map_statistics), z.dtype, z.reshape(-1, z.shape[2])
    (positions, channels), width = x.shape, len(key[1])
    count = max(1, min(_SUMMARIES, z.size // _WORTH, positions))
    summary = scratch("summary", (count, width, channels), dtype)
    largest, total = np.empty((2, count, width), dtype)

    def arguments():
        keys = scratch("keys", (STEP, width + LANES), dtype)
        rows, scale = scratch("packed", (STEP * channels,), dtype), scratch("scale", (width,), dtype)
        return x, key, largest, total, summary, keys, rows, scale

    share(kernels.summaries, count, arguments)
    part = np.exp(largest - largest.max(0))
    part /= (total * part).sum(0)
    normal, answer = (scratch(name, (width * channels,), dtype) for name in ("normal", "answer"))
    numbers = map(dtype.type, map_statistics)
    kernels.answer_of(summary, part, *numbers, attention.answer_layer, normal.reshape(width, -1), answer)
    return answer


def _strip(bins, pool=(1, 1)):
    """How many bins of a row, whole windows of them, go through a block together."""
    return min(bins, max(STEP // pool[0] // pool[1], 1) * pool[1])


def _pieces(rows, size, most=None):
    """Into how many pieces rows of `size` numbers are cut; into those of `most` rows if that is given."""
    return -(-rows // most) if most else max(1, min(_TASKS, rows, rows * size // _WORTH))
