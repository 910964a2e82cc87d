"""The backward pass of a training step, a few rows at a time.

Conventions are those of :mod:`acdref.fast.training_kernel`.  What is not kept is made again: each kernel
begins with the forward pass of its rows.  `dy` is the gradient of a block's pooled map, in rows that are
`y_row` apart, and `chosen` tells which element of its window each maximum was.
"""

from acdref.fast.training_kernel import activate_rows, depthwise_rows, query_rows
from acdref.fast.training_vectors import (
    add_column,
    add_reductions,
    key_gradient,
    key_weights,
    norm_gradient,
    softmax_gradient,
    taps_gradient,
    unpool,
)
from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.microkernel import pack_rows, panel_product
from acdref.ops.vector_loops import softmax, taps
from acdref.ops.vectors import TAPS


@compile_function
def _add_columns(x, x0, row, positions, channels, sums):
    for c in range(0, channels, LANES):
        add_column(x, x0 + c, row, positions, sums, c)


@compile_function
def _add_reduced(z, z0, d, d0, norm, channels, positions, partial, sums):
    """Add the sums of `add_reductions` to sums, (3, channels) in float64; `partial` is scratch."""
    partial[: 3 * channels] = 0
    for c in range(0, channels, LANES):
        add_reductions(z, z0 + c, d, d0 + c, norm, c, channels, positions, partial)
    for c in range(3 * channels):
        sums[c] += partial[c]


@compile_function
def _unpooled(dy, y_row, chosen, pool, width, pooled, d, channels, bins, start, stop, clear):
    """Rows [start, stop) of the pool's gradient, to the head of d or added there; dy has `pooled` rows."""
    size = bins * channels
    if clear:
        d[: (stop - start) * size] = 0
    across = bins // width
    for t in range(start, min(stop, pooled * pool)):
        for j in range(width):
            for c in range(0, channels, LANES):
                unpool(
                    dy, t // pool * y_row + c, chosen, t // pool * across * channels + c,
                    t % pool * width + j,
                    d, (t - start) * size + j * channels + c, width * channels, channels, across,
                )  # fmt: skip


@compile_function
def answer_gradient(
    z, norm, active, query, bias, queries, dy, y_row, chosen, pool, pool_width, pooled, d, packed,
    danswer, channels, width, bins, start, stop, group,
):  # fmt: skip
    """Add queries^T d to danswer (width x channels), over rows [start, stop) of a clip."""
    size = bins * channels
    row = width + LANES  # a power of two would put a column's numbers into few places of the cache
    for first in range(start, stop, group):
        count = min(group, stop - first)
        positions = count * bins
        activate_rows(z, first * size, norm, active, 0, 0, channels, channels, positions, 1)
        query_rows(active, query, bias, queries, row, channels, width, positions)
        _unpooled(dy, y_row, chosen, pool, pool_width, pooled, d, channels, bins, first, first + count, True)
        pack_rows(d, 0, positions, channels, packed)
        panel_product(
            queries, 0, 1, row, packed, danswer, 0, channels,
            danswer, 0, channels, width, positions, channels,
        )  # fmt: skip


@compile_function
def attention_gradient(
    z, norm, active, projections, biases, projected, best, scale, dy, y_row, chosen, pool, pool_width,
    pooled, d, answers, dqueries, key_mean, back, packed, dweight, dbias, group_norm, dx, partial, sums,
    channels, width, bins, start, stop, group,
):  # fmt: skip
    """Gradient dx of attention's normalised input, over rows [start, stop) of a clip; and its weights'.

    `projections` is [query | dsummary^T | key], so that one product gives the queries, the gradient of the
    keys' weights and the keys; `back` is [query^T; key^T; dsummary], which takes [dquery | dkey | key
    weights] to dx.  dweight, (2 width, channels), and dbias, (2 width), are added to, and so are `sums`, for
    the backward pass of the normalisation by `group_norm`.
    """
    size, wide = bins * channels, 3 * width
    row = wide + LANES  # a power of two would put a column's numbers into few places of the cache
    for first in range(start, stop, group):
        count = min(group, stop - first)
        positions = count * bins
        activate_rows(z, first * size, norm, active, 0, 0, channels, channels, positions, 1)
        panel_product(
            active, 0, channels, 1, projections, biases, 0, 0, projected, 0, row, positions, channels, wide
        )
        _unpooled(dy, y_row, chosen, pool, pool_width, pooled, d, channels, bins, first, first + count, True)
        panel_product(
            d, 0, channels, 1, answers, biases, wide, 0,
            dqueries, 0, width, positions, channels, width,
        )  # fmt: skip
        for c in range(0, width, LANES):
            key_weights(projected, 2 * width + c, row, positions, best, scale, c)
            key_gradient(projected, 2 * width + c, projected, width + c, row, positions, key_mean, c)
        for p in range(positions):
            softmax(projected, p * row, width)
            softmax_gradient(projected, p * row, dqueries, p * width, width)
        _add_columns(projected, 0, row, positions, 2 * width, dbias)
        panel_product(
            projected, 0, row, 1, back, biases, wide + width, 0,
            dx, first * size, channels, positions, wide, channels,
        )  # fmt: skip
        pack_rows(active, 0, positions, channels, packed)
        panel_product(
            projected, 0, 1, row, packed, dweight, 0, channels,
            dweight, 0, channels, 2 * width, positions, channels,
        )  # fmt: skip
        _add_reduced(active, 0, dx, first * size, group_norm, channels, positions, partial, sums)


@compile_function
def pool_reductions(
    z, norm, group_norm, active, dx, attended, dy, y_row, chosen, pool, width, pooled, d, partial, sums,
    channels, bins, start, stop, group,
):  # fmt: skip
    """Sums of normalisation's backward pass behind a block's pool, over rows [start, stop) of a clip.

    The gradient is the pool's.  With attention (`attended`), what its backward pass left in `dx` is added,
    taken through the normalisation by `group_norm`.
    """
    size = bins * channels
    for first in range(start, stop, group):
        count = min(group, stop - first)
        _behind_pool(
            z, norm, group_norm, active, dx, attended, dy, y_row, chosen, pool, width, pooled, d,
            channels, bins, first, first + count,
        )  # fmt: skip
        _add_reduced(z, first * size, d, 0, norm, channels, count * bins, partial, sums)


@compile_function
def _behind_pool(
    z, norm, group_norm, active, dx, attended, dy, y_row, chosen, pool, width, pooled, d,
    channels, bins, start, stop,
):  # fmt: skip
    size, positions = bins * channels, (stop - start) * bins
    if attended:
        activate_rows(z, start * size, norm, active, 0, 0, channels, channels, positions, 1)
        for c in range(0, channels, LANES):
            norm_gradient(active, c, dx, start * size + c, group_norm, c, channels, positions, d, c)
    _unpooled(dy, y_row, chosen, pool, width, pooled, d, channels, bins, start, stop, not attended)


@compile_function
def pointwise_gradient(
    x, x0, x_row, dilation, depthwise, bias, ones, norm1, inner, active, back, nothing,
    z, norm, group_norm, active2, dx, attended, dy, y_row, chosen, pool, width, pooled, d, dz, packed,
    dweight, dbias, dinner, partial, sums, inputs, channels, bins, start, stop, group,
):  # fmt: skip
    """Gradient `dinner` in front of a block's pointwise convolution, over rows [start, stop) of a clip.

    x0 is the first row that row `start` of the depthwise convolution sees.  dweight and dbias are added to,
    and so are `sums`, for the backward pass of the normalisation before.
    """
    size, before = bins * channels, bins * inputs
    stride = inputs + LANES  # a power of two would put a column's numbers into few places of the cache
    for first in range(start, stop, group):
        count = min(group, stop - first)
        positions = count * bins
        _behind_pool(
            z, norm, group_norm, active2, dx, attended, dy, y_row, chosen, pool, width, pooled, d,
            channels, bins, first, first + count,
        )  # fmt: skip
        for c in range(0, channels, LANES):
            norm_gradient(z, first * size + c, d, c, norm, c, channels, positions, dz, c)
        _add_columns(dz, 0, channels, positions, channels, dbias)
        depthwise_rows(
            x, x0 + (first - start) * x_row, x_row, dilation, depthwise, bias, ones,
            inner, inputs, bins, count,
        )  # fmt: skip
        activate_rows(inner, 0, norm1, active, 0, 0, stride, inputs, positions, 1)
        pack_rows(dz, 0, positions, channels, packed)
        panel_product(
            active, 0, 1, stride, packed, dweight, 0, channels,
            dweight, 0, channels, inputs, positions, channels,
        )  # fmt: skip
        panel_product(
            dz, 0, channels, 1, back, nothing, 0, 0,
            dinner, first * before, inputs, positions, channels, inputs,
        )  # fmt: skip
        _add_reduced(inner, 0, dinner, first * before, norm1, inputs, positions, partial, sums)


@compile_function
def depthwise_gradient(
    x, x0, x_row, dilation, depthwise, flipped, bias, ones, nothing, norm, inner, dinner, dz, dx, dx0,
    dweight, dbias, inputs, bins, rows, start, stop,
):  # fmt: skip
    """Rows [start, stop) of the gradient dx of a depthwise convolution of `rows` rows behind which is `norm`.

    dx row t needs rows t - 2 dilation to t of dz, which are made in scratch with empty bins; x0 is the first
    row that row start - 2 dilation sees.  Rows of dz from `start` on are counted in dweight and dbias.
    """
    size, frame = bins * inputs, (bins + 2 * dilation) * inputs
    lowest = start - 2 * dilation
    for t in range(lowest, stop):
        d0 = (t - lowest) * frame + dilation * inputs
        if t < 0 or t >= rows:
            dz[d0 : d0 + size] = 0
            continue
        source = x0 + (t - lowest) * x_row
        depthwise_rows(x, source, x_row, dilation, depthwise, bias, ones, inner, inputs, bins, 1)
        for c in range(0, inputs, LANES):
            norm_gradient(inner, c, dinner, t * size + c, norm, c, inputs, bins, dz, d0 + c)
        if t >= start:
            _add_columns(dz, d0, inputs, bins, inputs, dbias)
            for c in range(0, inputs, TAPS):
                taps_gradient(
                    dz, d0 + c, x, source + c, x_row * dilation, dilation * inputs, c, inputs, bins, dweight
                )  # fmt: skip
    for t in range(start, stop):
        for c in range(0, inputs, TAPS):
            taps(
                dz, (t - start) * frame + c, frame * dilation, dilation * inputs, flipped, c,
                nothing, ones, c, dx, dx0 + (t - start) * size + c, inputs, bins,
            )  # fmt: skip


@compile_function
def norm_reductions(z, norm, d, partial, sums, channels, bins, start, stop):
    """Sums of normalisation's backward pass over rows [start, stop) of a clip."""
    for t in range(start, stop):
        at = t * bins * channels
        _add_reduced(z, at, d, at, norm, channels, bins, partial, sums)


@compile_function
def stem_gradient(x, x_row, z, norm, d, dz, packed, dweight, dbias, inputs, channels, bins, start, stop):
    """Add the share of rows [start, stop) to the gradients of weight, (9 inputs, channels), and bias."""
    size = bins * channels
    for t in range(start, stop):
        for c in range(0, channels, LANES):
            norm_gradient(z, t * size + c, d, t * size + c, norm, c, channels, bins, dz, c)
        _add_columns(dz, 0, channels, bins, channels, dbias)
        pack_rows(dz, 0, bins, channels, packed)
        for i in range(3):
            first = 3 * i * inputs * channels
            panel_product(
                x, (t + i) * x_row, 1, inputs, packed, dweight, first, channels,
                dweight, first, channels, 3 * inputs, bins, channels,
            )  # fmt: skip
