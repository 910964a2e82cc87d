"""Whole blocks of a network a few rows at a time, so that what lies between two maps never leaves the cache.

For inference only: normalisation is folded into the weights.  Maps are flat arrays of rows of bins of
channels.  Channels are padded with zeros to whole vectors, and each row that a 3x3 window will see has empty
bins on both sides; so no kernel here has edges or rests to think of.
"""

import numpy as np

from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.microkernel import pack_rows, panel_product, panels
from acdref.ops.vector_loops import (
    column_softmax,
    largest,
    moments_about_first,
    prelu,
    softmax,
    taps,
)
from acdref.ops.vectors import TAPS


@compile_function
def conv_rows(x, x_row, weight, bias, slope, y, y_row, pad, inputs, channels, bins, start, stop):
    """Rows [start, stop) of a full 3x3 convolution and PReLU, written from the head of y on.

    x has one empty bin on both sides of each row, y gets `pad`; weight is packed, 3 groups of 3 * inputs.
    """
    for t in range(start, stop):
        y0 = (t - start) * y_row + pad * channels
        panels(
            x, t * x_row, inputs, 1, x_row, 0, weight, bias, 0, 0,
            y, y0, channels, bins, 3 * inputs, 3, channels,
        )  # fmt: skip
        for c in range(0, channels, LANES):
            prelu(y, y0 + c, slope, c, channels, bins)


@compile_function
def _separable_rows(
    x, x0, x_row, dilation, depthwise, bias, slope, inner, weight, bias2, y, y0, y_row,
    inputs, channels, bins, rows,
):  # fmt: skip
    """`rows` rows of depthwise 3x3 convolution, PReLU (into `inner`) and pointwise convolution."""
    for t in range(rows):
        for c in range(0, inputs, TAPS):
            taps(
                x, x0 + t * x_row + c, x_row * dilation, dilation * inputs, depthwise, c, bias, slope, c,
                inner, c, inputs, bins,
            )  # fmt: skip
        panel_product(
            inner, 0, inputs, 1, weight, bias2, 0, 0, y, y0 + t * y_row, channels, bins, inputs, channels
        )  # fmt: skip


@compile_function
def _pool_row(x, size, pool, width, slope, y, y0, channels, bins):
    """One row of the largest prelu(x) of each window; `size` is the length of a row of x."""
    for c in range(0, channels, LANES):
        largest(x, c, size, pool, channels, width, slope, c, y, y0 + c, channels, bins // width)


@compile_function
def pooled_rows(
    x, x0, x_row, dilation, depthwise, bias, slope, inner, weight, bias2, slope2, outer,
    y, y0, y_row, pool, width, inputs, channels, bins, rows, strip,
):  # fmt: skip
    """`rows` pooled rows of a block; x0 and y0 are the first window's and the first output's.

    `strip` bins go through together, a multiple of the pool's width: so few that they stay in the nearest
    cache.
    """
    for t in range(rows):
        for f in range(0, bins, strip):
            count = min(strip, bins - f)
            _separable_rows(
                x, x0 + t * pool * x_row + f * inputs, x_row, dilation, depthwise, bias, slope, inner,
                weight, bias2, outer, 0, count * channels, inputs, channels, count, pool,
            )  # fmt: skip
            _pool_row(
                outer, count * channels, pool, width, slope2,
                y, y0 + t * y_row + f // width * channels, channels, count,
            )  # fmt: skip


@compile_function
def mapped_rows(
    x, x0, x_row, dilation, depthwise, bias, slope, inner, weight, bias2, slope2,
    y, y0, inputs, channels, bins, rows, strip, moments,
):  # fmt: skip
    """Rows of a block up to its attention; moments[t] gets a row's mean, and sum of squares about it."""
    size = bins * channels
    pair = np.empty(2, x.dtype)
    for t in range(rows):
        row = y0 + t * size
        for f in range(0, bins, strip):
            count, start = min(strip, bins - f), row + f * channels
            _separable_rows(
                x, x0 + t * x_row + f * inputs, x_row, dilation, depthwise, bias, slope, inner,
                weight, bias2, y, start, size, inputs, channels, count, 1,
            )  # fmt: skip
            for c in range(0, channels, LANES):
                prelu(y, start + c, slope2, c, channels, count)
        moments_about_first(y, row, size, pair)
        moments[t, 0] = y[row] + pair[0] / size
        moments[t, 1] = pair[1] - pair[0] * pair[0] / size


@compile_function
def summarise(
    x, x0, key, nothing, keys, packed, channels, width, positions, tile, best, total, scale, summary
):
    """Add sum_p exp(k_p - best) x_p to `summary` (width x channels), and the weights to `total`.

    k = x key, kept in `keys` (tile x (width + 16)); `best`, the largest k, `total` and `summary` run from
    call to call, beginning with -inf, 0 and 0.
    """
    stride = width + LANES  # a power of two would put a column's numbers into few places of the cache
    for first in range(0, positions, tile):
        count = min(tile, positions - first)
        start = x0 + first * channels
        panels(
            x, start, channels, 1, 0, count * channels, key, nothing, 0, 0, keys, 0, stride,
            count, channels, 1, width,
        )  # fmt: skip
        for c in range(0, width, LANES):
            column_softmax(keys, c, stride, count, best, total, scale, c)
        for i in range(width):
            if scale[i] != 1:
                for c in range(channels):
                    summary[i * channels + c] *= scale[i]
        pack_rows(x, start, count, channels, packed)
        panel_product(
            keys, 0, 1, stride, packed, summary, 0, channels, summary, 0, channels, width, count, channels
        )  # fmt: skip


@compile_function
def attended_rows(
    x, x0, query, bias, queries, answer, outer, slope, y, y0, y_row, pool, pool_width, channels, width, bins,
    rows, strip,
):  # fmt: skip
    """`rows` pooled rows of x + softmax(x query + bias) answer; `slope` is all ones, for the pool."""
    for t in range(rows):
        for f in range(0, bins, strip):
            count = min(strip, bins - f)
            for i in range(pool):
                start = x0 + ((t * pool + i) * bins + f) * channels
                panels(
                    x, start, channels, 1, 0, count * channels, query, bias, 0, 0, queries, 0, width,
                    count, channels, 1, width,
                )  # fmt: skip
                for p in range(count):
                    softmax(queries, p * width, width)
                panel_product(
                    queries, 0, width, 1, answer, x, start, channels,
                    outer, i * count * channels, channels, count, width, channels,
                )  # fmt: skip
            _pool_row(
                outer, count * channels, pool, pool_width, slope,
                y, y0 + t * y_row + f // pool_width * channels, channels, count,
            )  # fmt: skip
