"""The forward pass of a training step between two maps that have to be kept, a few rows at a time.

The conventions of :mod:`acdref.fast.inference_kernel` hold: flat arrays and offsets, channels padded to whole
vectors, empty bins beside the rows that a 3x3 window sees.  `norm` is a table of what normalisation and PReLU
know of each channel (see :mod:`acdref.ops.layout`).
"""

from acdref.fast.inference_kernel import summarise
from acdref.fast.training_vectors import activate, largest_of, sums_about
from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.microkernel import panel_product, panels
from acdref.ops.vector_loops import moments_about_first, softmax, taps
from acdref.ops.vectors import TAPS


@compile_function
def _moment_rows(z, z0, channels, positions, first, pivot, row, sums):
    """Add a group's sums about `pivot` to sums, (2, channels) in float64; `row` is scratch.

    The pivot is the first position of the `first` group.
    """
    if first:
        for c in range(channels):  # not as slices: the message of their error takes seconds to compile
            pivot[c] = z[z0 + c]
    for c in range(0, channels, LANES):
        sums_about(z, z0 + c, channels, positions, pivot, c, row)
    for c in range(2 * channels):
        sums[c] += row[c]


@compile_function
def stem_rows(x, x_row, weight, bias, z, inputs, channels, bins, start, stop, pivot, row, sums):
    """Rows [start, stop) of the stem's convolution, and their moments; x has an empty bin on both sides."""
    for t in range(start, stop):
        z0 = t * bins * channels
        panels(
            x, t * x_row, inputs, 1, x_row, 0, weight, bias, 0, 0,
            z, z0, channels, bins, 3 * inputs, 3, channels,
        )  # fmt: skip
        _moment_rows(z, z0, channels, bins, t == start, pivot, row, sums)


@compile_function
def activate_rows(z, z0, norm, y, y0, y_row, y_bin, channels, bins, rows):
    """y = prelu(scale z + shift) for rows of z that lie together, to rows and bins of any distance."""
    for t in range(rows):
        for c in range(0, channels, LANES):
            activate(
                z, z0 + t * bins * channels + c, norm, c, channels, y, y0 + t * y_row + c, y_bin, bins
            )  # fmt: skip


@compile_function
def depthwise_rows(x, x0, x_row, dilation, weight, bias, ones, z, channels, bins, rows):
    """Rows of z, a depthwise 3x3 convolution of rows of x, `x_row` apart, of which the first is at x0."""
    for t in range(rows):
        for c in range(0, channels, TAPS):
            taps(
                x, x0 + t * x_row + c, x_row * dilation, dilation * channels, weight, c, bias, ones, c,
                z, t * bins * channels + c, channels, bins,
            )  # fmt: skip


@compile_function
def depthwise_moments(
    x, x0, x_row, dilation, weight, bias, ones, inner, channels, bins, rows, group, pivot, row, sums
):
    """Moments of `rows` rows of a depthwise convolution, of which nothing is kept."""
    for first in range(0, rows, group):
        count = min(group, rows - first)
        depthwise_rows(
            x, x0 + first * x_row, x_row, dilation, weight, bias, ones, inner, channels, bins, count
        )
        _moment_rows(inner, 0, channels, count * bins, first == 0, pivot, row, sums)


@compile_function
def pointwise_moments(
    x, x0, x_row, dilation, depthwise, bias, ones, norm, inner, active, weight, bias2, z, z0,
    inputs, channels, bins, rows, group, pivot, row, sums,
):  # fmt: skip
    """Rows of z: depthwise convolution, normalisation, PReLU, pointwise convolution; and z's moments."""
    for first in range(0, rows, group):
        count = min(group, rows - first)
        start = z0 + first * bins * channels
        depthwise_rows(
            x, x0 + first * x_row, x_row, dilation, depthwise, bias, ones, inner, inputs, bins, count
        )
        activate_rows(inner, 0, norm, active, 0, 0, inputs, inputs, count * bins, 1)
        panel_product(
            active, 0, inputs, 1, weight, bias2, 0, 0, z, start, channels, count * bins, inputs, channels
        )  # fmt: skip
        _moment_rows(z, start, channels, count * bins, first == 0, pivot, row, sums)


@compile_function
def _pool_rows(z, z0, norm, y, y0, y_row, chosen, i0, i_row, pool, width, channels, bins, rows):
    size = bins * channels
    for t in range(rows):
        for c in range(0, channels, LANES):
            largest_of(
                z, z0 + t * pool * size + c, size, pool, width, norm, c, channels,
                y, y0 + t * y_row + c, chosen, i0 + t * i_row + c, bins // width,
            )  # fmt: skip


@compile_function
def pooled_rows(z, z0, norm, y, y0, y_row, chosen, i0, pool, width, channels, bins, rows):
    """`rows` rows of y, the largest prelu(scale z + shift) of each window, and which these are."""
    i_row = bins // width * channels
    _pool_rows(z, z0, norm, y, y0, y_row, chosen, i0, i_row, pool, width, channels, bins, rows)


@compile_function
def active_moments(z, z0, norm, active, channels, positions, group, pair, moments):
    """moments[i] = mean, and sum of squares about it, of the i-th group of prelu(scale z + shift)."""
    for i in range(len(moments)):
        first = i * group
        count = min(group, positions - first)
        activate_rows(z, z0 + first * channels, norm, active, 0, 0, channels, channels, count, 1)
        size = count * channels
        moments_about_first(active, 0, size, pair)
        moments[i, 0] = active[0] + pair[0] / size
        moments[i, 1] = pair[1] - pair[0] * pair[0] / size


@compile_function
def summarise_active(
    z, z0, norm, active, key, nothing, keys, packed, channels, width, positions, tile,
    best, total, scale, summary,
):  # fmt: skip
    """:func:`acdref.fast.inference_kernel.summarise` of prelu(scale z + shift)."""
    for first in range(0, positions, tile):
        count = min(tile, positions - first)
        activate_rows(z, z0 + first * channels, norm, active, 0, 0, channels, channels, count, 1)
        summarise(
            active, 0, key, nothing, keys, packed, channels, width, count, tile, best, total, scale, summary
        )  # fmt: skip


@compile_function
def query_rows(active, query, bias, queries, row, channels, width, positions):
    """queries = softmax(active query + bias) over `width` values; positions are `row` apart."""
    panel_product(active, 0, channels, 1, query, bias, 0, 0, queries, 0, row, positions, channels, width)
    for p in range(positions):
        softmax(queries, p * row, width)


@compile_function
def attended_rows(
    z, z0, norm, active, query, bias, queries, answer, outer, plain, y, y0, y_row, chosen, i0,
    pool, pool_width, channels, width, bins, rows, group,
):  # fmt: skip
    """`rows` pooled rows of x + softmax(x query + bias) answer for x = prelu(scale z + shift)."""
    size = bins * channels
    i_row = bins // pool_width * channels
    for first in range(0, rows, group):
        count = min(group, rows - first)
        start, positions = z0 + first * pool * size, count * pool * bins
        activate_rows(z, start, norm, active, 0, 0, channels, channels, positions, 1)
        query_rows(active, query, bias, queries, width, channels, width, positions)
        panel_product(
            queries, 0, width, 1, answer, active, 0, channels, outer, 0, channels, positions, width, channels
        )
        _pool_rows(
            outer, 0, plain, y, y0 + first * y_row, y_row, chosen, i0 + first * i_row, i_row,
            pool, pool_width, channels, bins, count,
        )  # fmt: skip
