"""Whole blocks of a network a few rows at a time, so that what lies between two maps never leaves the cache.

For inference only: normalisation is folded into the weights.  Channels are padded with zeros to whole
vectors, and each row that a 3x3 window will see has empty bins on both sides; so no kernel here has edges or
rests to think of.

What belongs together travels together, here and in the kernels of training:

* A map is a contiguous array (rows, bins, channels): some rows of a clip, with the empty bins that it has.
  Scratch is an array too, whose length says how many positions go through a product together.  The steps
  inside take ``flat(array)`` and an offset.
* A layer is (weight, bias) or (weight, bias, slope): its weights, flat for depthwise convolutions and packed
  for matrices, and PReLU's slopes behind it.
* A matrix of a product is as :mod:`acdref.ops.microkernel` has it: (array, first, row), and A's depth.
* `pool` is the (rows, bins) of a window.
* `tasks` are two counters, of pieces that were taken and that are done, and how many even pieces the rows
  are cut into.  Each thread calls a kernel once, and takes pieces until there are no more: Python would take
  as long for each as some of them.
* A block's `source` is (features, framed, stem, x): the map x, of which are made the rows that a task wants;
  or features, if there are any, from which the stem makes these rows, in x, with their frame in `framed`.
"""

import numpy as np

from acdref.fast.vector_loops import (
    column_softmax,
    flat,
    increase,
    largest,
    moments_about_first,
    prelu,
    softmax,
    taps,
)
from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.microkernel import pack_rows, panel_product, panels
from acdref.ops.vectors import TAPS


@compile_function(part=True)
def next_piece(tasks, rows):
    """(start, stop) of rows that nobody has taken yet; both are `rows` when there are no more."""
    counter, count = tasks
    i = min(increase(counter, 0), count)
    return rows * i // count, rows * min(i + 1, count) // count


@compile_function(part=True)
def conv_row(x, t, weight, bias, y, y0):
    """Row t of a full 3x3 convolution of x, a map with one empty bin on both sides, to y from y0 on.

    The weight is packed, 3 groups of 3 * inputs.
    """
    _, bins, inputs = x.shape
    row, channels = bins * inputs, len(bias)
    shape = bins - 2, 3 * inputs, channels
    panels((flat(x), t * row, inputs, 1), weight, (bias, 0, 0), (y, y0, channels), shape, 3, row, 0)


@compile_function
def conv_rows(x, layer, y):
    """Rows of a full 3x3 convolution and PReLU, as many as y has, whose bins have empty ones beside them."""
    weight, bias, slope = layer
    bins, (rows, y_bins, channels) = x.shape[1] - 2, y.shape
    for t in range(rows):
        y0 = (t * y_bins + (y_bins - bins) // 2) * channels
        conv_row(x, t, weight, bias, flat(y), y0)
        for c in range(0, channels, LANES):
            prelu(y, y0 + c, slope, c, channels, bins)


@compile_function(part=True)
def _input_rows(source, start, stop):
    """Rows [start, stop) of a block's input."""
    features, framed, stem, x = source
    if len(features) == 0:
        return x[start:stop]
    _, bins, inputs = features.shape
    inner, line, size = flat(framed), flat(features), bins * inputs
    for t in range(stop - start + 2):
        for i in range(size):
            inner[t * (bins + 2) * inputs + inputs + i] = line[(start + t) * size + i]
    conv_rows(framed, stem, x[: stop - start])
    return x[: stop - start]


@compile_function(part=True)
def depthwise_row(x, x0, dilation, layer, y, y0, bins):
    """`bins` bins of a depthwise 3x3 convolution and PReLU; x0 is the first number that their window sees."""
    _, x_bins, channels = x.shape
    for c in range(0, channels, TAPS):
        taps(x, x0 + c, x_bins * channels * dilation, dilation, layer, c, y, y0 + c, channels, bins)


@compile_function(part=True)
def project(x, x0, x_row, layer, y, y0, y_row, positions, ahead):
    """y = x weight + bias for positions that are `x_row` and `y_row` apart; `ahead` as for a tile."""
    weight, bias = layer[0], layer[1]
    shape = positions, len(weight) // len(bias), len(bias)
    panels((x, x0, x_row, 1), weight, (bias, 0, 0), (y, y0, y_row), shape, 1, 0, ahead)


@compile_function(part=True)
def add_product(x, x0, x_row, packed, total, positions):
    """Add x^T y to `total` (width, channels), where y is packed and positions of x are `x_row` apart."""
    (width, channels), sums = total.shape, (flat(total), 0, total.shape[1])
    panel_product((x, x0, 1, x_row), packed, sums, sums, (width, positions, channels))


@compile_function(part=True)
def _separable_rows(x, x0, dilation, layers, inner, y, y0, y_row, bins, rows):
    """`rows` rows of depthwise 3x3 convolution, PReLU (into `inner`) and pointwise convolution."""
    _, x_bins, inputs = x.shape
    depthwise, pointwise = layers
    channels = len(pointwise[1])
    for t in range(rows):
        depthwise_row(x, x0 + t * x_bins * inputs, dilation, depthwise, flat(inner), 0, bins)
        project(flat(inner), 0, inputs, pointwise, y, y0 + t * y_row, channels, bins, 0)


@compile_function(part=True)
def _pool_strip(x, pool, slope, y, t, f, count, bins):
    """Row t of y for `count` of its `bins` bins, from f on: the largest prelu(x) of each window of x."""
    (_, y_bins, channels), width = y.shape, pool[1]
    y0 = (t * y_bins + (y_bins - bins // width) // 2 + f // width) * channels
    for c in range(0, channels, LANES):
        largest(x, c, count * channels, pool, slope, c, y, y0 + c, channels, count // width)


@compile_function
def pooled_rows(tasks, source, dilation, layers, y, pool, inner, outer):
    """A block's pooled map y.

    `layers` are the depthwise and the pointwise one.  As many bins as `inner` has go through together, a
    multiple of the pool's width: so few that they stay in the nearest cache.
    """
    height, strip = pool[0], len(inner)
    start, stop = next_piece(tasks, len(y))
    while start < stop:
        x = _input_rows(source, start * height, stop * height + 2 * dilation)
        _, x_bins, inputs = x.shape
        bins = x_bins - 2 * dilation
        for t in range(stop - start):
            for f in range(0, bins, strip):
                count, x0 = min(strip, bins - f), (t * height * x_bins + f) * inputs
                row = count * y.shape[2]
                _separable_rows(x, x0, dilation, layers, inner, flat(outer), 0, row, count, height)
                _pool_strip(outer, pool, layers[1][2], y, start + t, f, count, bins)
        increase(tasks[0], 1)
        start, stop = next_piece(tasks, len(y))


@compile_function(part=True)
def mean_and_squares(x, x0, size, moments, i):
    """moments[i] = mean of `size` numbers of x, and sum of squares about it."""
    moments_about_first(x, x0, size, moments, 2 * i)
    total = moments[i, 0]
    moments[i, 0] = x[x0] + total / size
    moments[i, 1] -= total * total / size


@compile_function
def mapped_rows(tasks, source, dilation, layers, y, moments, inner):
    """A block's map y up to its attention; moments[t] gets a row's mean, and sum of squares about it."""
    rows, bins, channels = y.shape
    size, strip = bins * channels, len(inner)
    start, stop = next_piece(tasks, rows)
    while start < stop:
        x = _input_rows(source, start, stop + 2 * dilation)
        _, x_bins, inputs = x.shape
        for t in range(stop - start):
            for f in range(0, bins, strip):
                count, y0 = min(strip, bins - f), ((start + t) * bins + f) * channels
                x0 = (t * x_bins + f) * inputs
                _separable_rows(x, x0, dilation, layers, inner, flat(y), y0, size, count, 1)
                for c in range(0, channels, LANES):
                    prelu(y, y0 + c, layers[1][2], c, channels, count)
            mean_and_squares(flat(y), (start + t) * size, size, moments, start + t)
        increase(tasks[0], 1)
        start, stop = next_piece(tasks, rows)


@compile_function(part=True)
def add_weighted(keys, k0, row, packed, scale, summary, positions):
    """Multiply `summary` by the scale of :func:`column_softmax`, and add k^T x to it, where x is packed."""
    width, channels = summary.shape
    for i in range(width):
        if scale[i] != 1:
            for c in range(channels):
                summary[i, c] *= scale[i]
    add_product(keys, k0, row, packed, summary, positions)


@compile_function(part=True)
def summarise(x, positions, key, keys, packed, running, summary):
    """Add sum_p exp(k_p - best) x_p to `summary` (width, channels), and the weights to `total`.

    k = x key, kept in `keys` (positions, width + 16) as many at a time as it has; ``running = (best, total,
    scale)``: best, the largest k, and total run from call to call like the summary, beginning with -inf, 0
    and 0.
    """
    (width, channels), (tile, stride) = summary.shape, keys.shape
    for first in range(0, positions, tile):
        count, start = min(tile, positions - first), first * channels
        project(x, start, channels, key, flat(keys), 0, stride, count, count * channels)
        for c in range(0, width, LANES):
            column_softmax(keys, c, stride, count, running, c)
        pack_rows(x, start, count, channels, packed)
        add_weighted(flat(keys), 0, stride, packed, running[2], summary, count)


@compile_function
def summaries(tasks, x, key, largest, total, summary, keys, packed, scale):
    """:func:`summarise` of each piece of x (positions, channels), with a row of each result for each."""
    positions, channels = x.shape
    start, stop = next_piece(tasks, positions)
    while start < stop:
        i = (start * tasks[1] + positions - 1) // positions
        largest[i], total[i], summary[i] = -np.inf, 0, 0
        own = flat(x)[start * channels : stop * channels]
        summarise(own, stop - start, key, keys, packed, (largest[i], total[i], scale), summary[i])
        increase(tasks[0], 1)
        start, stop = next_piece(tasks, positions)


@compile_function
def answer_of(summary, share, mean, inverse, layer, normal, answer):
    """The packed answer ``((sum_i share_i summary_i) - mean) inverse weight + bias`` (width, channels)."""
    pieces, width, channels = summary.shape
    for p in range(width):
        for c in range(channels):
            normal[p, c] = 0
        for i in range(pieces):
            for c in range(channels):
                normal[p, c] += share[i, p] * summary[i, p, c]
        for c in range(channels):
            normal[p, c] = (normal[p, c] - mean) * inverse
    rows = flat(summary)  # which are not needed any more
    project(flat(normal), 0, channels, layer, rows, 0, channels, width, 0)
    pack_rows(rows, 0, width, channels, answer)


@compile_function(part=True)
def query_rows(x, x0, query, queries, positions, ahead):
    """queries = softmax(x query + bias); positions may be further apart than a query is wide."""
    row, width = queries.shape[1], len(query[1])
    project(x, x0, len(query[0]) // width, query, flat(queries), 0, row, positions, ahead)
    for p in range(positions):
        softmax(queries, p * row, width)


@compile_function(part=True)
def attend(x, x0, query, answer, queries, y, y0, positions, ahead):
    """y = x + softmax(x query + bias) answer."""
    query_rows(x, x0, query, queries, positions, ahead)
    width = queries.shape[1]
    channels = len(answer) // width
    shape = positions, width, channels
    panel_product((flat(queries), 0, width, 1), answer, (x, x0, channels), (y, y0, channels), shape)


@compile_function
def attended_rows(tasks, x, query, answer, y, pool, queries, outer, ones):
    """The pooled map y of x + softmax(x query + bias) answer; `ones` are the pool's slopes."""
    (_, bins, channels), height, strip = x.shape, pool[0], len(queries)
    start, stop = next_piece(tasks, len(y))
    while start < stop:
        for t in range(start, stop):
            for f in range(0, bins, strip):
                count = min(strip, bins - f)
                size = count * channels
                for i in range(height):
                    x0 = ((t * height + i) * bins + f) * channels
                    attend(flat(x), x0, query, answer, queries, flat(outer), i * size, count, size)
                _pool_strip(outer, pool, ones, y, t, f, count, bins)
        increase(tasks[0], 1)
        start, stop = next_piece(tasks, len(y))
