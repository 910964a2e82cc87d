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
"""

from acdref.fast.vector_loops import (
    column_softmax,
    flat,
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
def conv_row(x, t, weight, bias, y, y0):
    """Row t of a full 3x3 convolution of x, a map with one empty bin on both sides, to y from y0 on.

    The weight is packed, 3 groups of 3 * inputs.
    """
    _, bins, inputs = x.shape
    row, channels = bins * inputs, len(bias)
    panels(
        (flat(x), t * row, inputs, 1), weight, (bias, 0, 0), (y, y0, channels),
        (bins - 2, 3 * inputs, channels), 3, row, 0,
    )  # fmt: skip


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
def _separable_rows(x, x0, dilation, depthwise, inner, pointwise, y, y0, y_row, bins, rows):
    """`rows` rows of depthwise 3x3 convolution, PReLU (into `inner`) and pointwise convolution."""
    _, x_bins, inputs = x.shape
    weight, bias, _ = pointwise
    row, channels = x_bins * inputs, len(bias)
    for t in range(rows):
        for c in range(0, inputs, TAPS):
            taps(x, x0 + t * row + c, row * dilation, dilation, depthwise, c, inner, c, inputs, bins)
        panel_product(
            (flat(inner), 0, inputs, 1), weight, (bias, 0, 0), (y, y0 + t * y_row, channels),
            (bins, inputs, channels),
        )  # fmt: skip


@compile_function(part=True)
def _pool_row(x, size, pool, slope, y, y0, channels, bins):
    """One row of the largest prelu(x) of each window; `size` is the length of a row of x."""
    for c in range(0, channels, LANES):
        largest(x, c, size, pool, slope, c, y, y0 + c, channels, bins // pool[1])


@compile_function
def pooled_rows(x, dilation, depthwise, pointwise, inner, outer, y, pool):
    """Rows of a block's pooled map y, from the rows of x that their windows see.

    As many bins as `inner` has go through together, a multiple of the pool's width: so few that they stay in
    the nearest cache.
    """
    (_, x_bins, inputs), (rows, y_bins, channels) = x.shape, y.shape
    bins, strip = x_bins - 2 * dilation, len(inner)
    height, width = pool
    pad = (y_bins - bins // width) // 2
    for t in range(rows):
        for f in range(0, bins, strip):
            count = min(strip, bins - f)
            _separable_rows(
                x, (t * height * x_bins + f) * inputs, dilation, depthwise, inner, pointwise,
                flat(outer), 0, count * channels, count, height,
            )  # fmt: skip
            y0 = (t * y_bins + pad + f // width) * channels
            _pool_row(outer, count * channels, pool, pointwise[2], y, y0, channels, count)


@compile_function(part=True)
def mean_and_squares(x, x0, size, moments, i):
    """moments[i] = mean of `size` numbers of x, and sum of squares about it."""
    moments_about_first(x, x0, size, moments, 2 * i)
    total = moments[i, 0]
    moments[i, 0] = x[x0] + total / size
    moments[i, 1] -= total * total / size


@compile_function
def mapped_rows(x, dilation, depthwise, pointwise, inner, y, moments):
    """Rows of a block up to its attention; moments[t] gets a row's mean, and sum of squares about it."""
    (_, x_bins, inputs), (rows, bins, channels) = x.shape, y.shape
    size, strip = bins * channels, len(inner)
    for t in range(rows):
        for f in range(0, bins, strip):
            count, start = min(strip, bins - f), (t * bins + f) * channels
            _separable_rows(
                x, (t * x_bins + f) * inputs, dilation, depthwise, inner, pointwise,
                flat(y), start, size, count, 1,
            )  # fmt: skip
            for c in range(0, channels, LANES):
                prelu(y, start + c, pointwise[2], c, channels, count)
        mean_and_squares(flat(y), t * size, size, moments, t)


@compile_function
def summarise(x, positions, key, keys, packed, running, summary):
    """Add sum_p exp(k_p - best) x_p to `summary` (width, channels), and the weights to `total`.

    k = x key, kept in `keys` (positions, width + 16) as many at a time as it has; ``running = (best, total,
    scale)``: best, the largest k, and total run from call to call like the summary, beginning with -inf, 0
    and 0.
    """
    (width, channels), (tile, stride) = summary.shape, keys.shape
    scale, sums = running[2], (flat(summary), 0, channels)
    weight, bias = key
    for first in range(0, positions, tile):
        count, start = min(tile, positions - first), first * channels
        panels(
            (x, start, channels, 1), weight, (bias, 0, 0), (flat(keys), 0, stride),
            (count, channels, width), 1, 0, count * channels,
        )  # fmt: skip
        for c in range(0, width, LANES):
            column_softmax(keys, c, stride, count, running, c)
        for i in range(width):
            if scale[i] != 1:
                for c in range(channels):
                    summary[i, c] *= scale[i]
        pack_rows(x, start, count, channels, packed)
        panel_product((flat(keys), 0, 1, stride), packed, sums, sums, (width, count, channels))


@compile_function
def attended_rows(x, query, answer, queries, outer, ones, y, pool):
    """Pooled rows of x + softmax(x query + bias) answer, as many as y has; `ones` are the pool's slopes."""
    (_, bins, channels), (rows, y_bins, _), (strip, width) = x.shape, y.shape, queries.shape
    weight, bias = query
    height, pool_width = pool
    pad = (y_bins - bins // pool_width) // 2
    for t in range(rows):
        for f in range(0, bins, strip):
            count = min(strip, bins - f)
            for i in range(height):
                start = ((t * height + i) * bins + f) * channels
                panels(
                    (flat(x), start, channels, 1), weight, (bias, 0, 0), (flat(queries), 0, width),
                    (count, channels, width), 1, 0, count * channels,
                )  # fmt: skip
                for p in range(count):
                    softmax(queries, p * width, width)
                panel_product(
                    (flat(queries), 0, width, 1), answer, (flat(x), start, channels),
                    (flat(outer), i * count * channels, channels), (count, width, channels),
                )  # fmt: skip
            y0 = (t * y_bins + pad + f // pool_width) * channels
            _pool_row(outer, count * channels, pool, ones, y, y0, channels, count)
