"""The backward pass of a training step, a few rows at a time.

Conventions are those of :mod:`acdref.fast.training_kernel`.  What is not kept is made again: each kernel
begins with the forward pass of its rows.  These groups are added:

* ``pooled = (dy, chosen, pool)``: the gradient of a block's pooled map, and which element of its window each
  maximum was, both of a whole clip; then z is a whole clip too, of which rows [start, stop) are asked for.
* ``attention = (attended, group_norm, dx, active)``: whether there is attention between the map and its pool;
  if so, the gradient dx of its normalised input, the table that makes the map's own of it, and scratch.
* ``behind = (z, norm, attention, pooled, d)`` makes `d`, the gradient behind the map's normalisation.
* ``reduced = (partial, sums)``: scratch, and sums for normalisation's backward pass, 3 channels in float64.
"""

from acdref.fast import vector_loops as loops
from acdref.fast.inference_kernel import add_product, depthwise_row, project, query_rows
from acdref.fast.training_kernel import activate_positions, depthwise_rows
from acdref.fast.vector_loops import flat
from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.microkernel import pack_rows
from acdref.ops.vectors import TAPS


@compile_function(part=True)
def _add_columns(x, x0, row, positions, sums):
    for c in range(0, len(sums), LANES):
        loops.add_column(x, x0 + c, row, positions, sums, c)


@compile_function(part=True)
def _add_reduced(z, z0, d, d0, norm, positions, reduced):
    """Add the sums of `add_reductions` to `reduced`."""
    partial, sums = reduced
    channels = norm.shape[1]
    partial[:] = 0
    for c in range(0, channels, LANES):
        loops.add_reductions(z, z0 + c, d, d0 + c, norm, c, channels, positions, partial)
    for c in range(3 * channels):
        sums[c] += partial[c]


@compile_function(part=True)
def _norm_gradients(z, z0, d, d0, norm, dz, dz0, positions):
    """dz in front of a normalisation and PReLU, from d behind them."""
    channels = norm.shape[1]
    for c in range(0, channels, LANES):
        loops.norm_gradient(z, z0 + c, d, d0 + c, norm, c, channels, positions, dz, dz0 + c)


@compile_function(part=True)
def _unpooled(pooled, d, bins, start, stop, clear):
    """Rows [start, stop) of the pool's gradient, `bins` long, to the head of d or added there."""
    dy, chosen, (height, width) = pooled
    rows, across, channels = dy.shape
    size = bins * channels
    if clear:
        d[: (stop - start) * size] = 0
    for t in range(start, min(stop, rows * height)):
        y0 = t // height * across * channels
        for j in range(width):
            place, d0 = t % height * width + j, (t - start) * size + j * channels
            for c in range(0, channels, LANES):
                loops.unpool(dy, chosen, y0 + c, place, d, d0 + c, width * channels, channels, across)


@compile_function(part=True)
def _behind_pool(behind, start, stop):
    """Rows [start, stop) of d, to its head."""
    z, norm, (attended, group_norm, dx, active), pooled, d = behind
    _, bins, channels = z.shape
    z0, positions = start * bins * channels, (stop - start) * bins
    if attended:
        activate_positions(flat(z), z0, norm, flat(active), 0, channels, positions)
        _norm_gradients(flat(active), 0, flat(dx), z0, group_norm, flat(d), 0, positions)
    _unpooled(pooled, flat(d), bins, start, stop, not attended)


@compile_function
def answer_gradient(behind, query, queries, packed, danswer, start, stop):
    """Add queries^T d to danswer (width, channels)."""
    z, norm, (_, _, _, active), pooled, d = behind
    _, bins, channels = z.shape
    group = len(d) // bins
    for first in range(start, stop, group):
        count = min(group, stop - first)
        positions = count * bins
        activate_positions(flat(z), first * bins * channels, norm, flat(active), 0, channels, positions)
        query_rows(flat(active), 0, query, queries, positions, 0)
        _unpooled(pooled, flat(d), bins, first, first + count, True)
        pack_rows(flat(d), 0, positions, channels, packed)
        add_product(flat(queries), 0, queries.shape[1], packed, danswer, positions)


@compile_function
def attention_gradient(behind, layers, keys, scratch, dweight, dbias, reduced, start, stop):
    """Gradient dx of attention's normalised input, and those of its weights.

    * ``layers = (projections, answers, back)``: `projections` is [query | dsummary^T | key], so that one
      product gives the queries, the gradient of the keys' weights and the keys; `answers` is the answer,
      transposed; `back` is [query^T; key^T; dsummary], which takes [dquery | dkey | key weights] to dx.
    * ``keys = (best, scale, mean)``: what makes weights of keys, and what their gradient subtracts.
    * ``scratch = (projected, dqueries, packed)``.

    dweight, (2 width, channels), and dbias, (2 width), are added to, and so is `reduced`, for the backward
    pass of attention's own normalisation.
    """
    z, norm, (_, group_norm, dx, active), pooled, d = behind
    projections, answers, back = layers
    best, scale, mean = keys
    projected, dqueries, packed = scratch
    (_, bins, channels), row, width = z.shape, projected.shape[1], dqueries.shape[1]
    group = len(d) // bins
    for first in range(start, stop, group):
        count, z0 = min(group, stop - first), first * bins * channels
        positions = count * bins
        activate_positions(flat(z), z0, norm, flat(active), 0, channels, positions)
        project(flat(active), 0, channels, projections, flat(projected), 0, row, positions, 0)
        _unpooled(pooled, flat(d), bins, first, first + count, True)
        project(flat(d), 0, channels, answers, flat(dqueries), 0, width, positions, 0)
        for c in range(0, width, LANES):
            loops.key_weights(projected, 2 * width + c, row, positions, best, scale, c)
            loops.key_gradient(projected, 2 * width + c, projected, width + c, row, positions, mean, c)
        for p in range(positions):
            loops.softmax(projected, p * row, width)
            loops.softmax_gradient(projected, p * row, dqueries, p * width, width)
        _add_columns(flat(projected), 0, row, positions, dbias)
        project(flat(projected), 0, row, back, flat(dx), z0, channels, positions, 0)
        pack_rows(flat(active), 0, positions, channels, packed)
        add_product(flat(projected), 0, row, packed, dweight, positions)
        _add_reduced(flat(active), 0, flat(dx), z0, group_norm, positions, reduced)


@compile_function
def pool_reductions(behind, reduced, start, stop):
    """Sums of normalisation's backward pass behind a block's attention and pool."""
    z, norm, _, _, d = behind
    _, bins, channels = z.shape
    group = len(d) // bins
    for first in range(start, stop, group):
        count = min(group, stop - first)
        _behind_pool(behind, first, first + count)
        _add_reduced(flat(z), first * bins * channels, flat(d), 0, norm, count * bins, reduced)


@compile_function
def pointwise_gradient(window, norm1, back, behind, scratch, dweight, dbias, dinner, reduced, start, stop):
    """Gradient `dinner` in front of a block's pointwise convolution, and those of its parameters.

    The window begins with the first row that row `start` of the depthwise convolution sees; norm1 is behind
    that; `back` is the pointwise layer, transposed and without a bias.  ``scratch = (inner, active, dz,
    packed)``, where positions of `active` are further apart than channels are many.  dweight and dbias are
    added to, and so is `reduced`, for the backward pass of norm1.
    """
    z, norm, _, _, d = behind
    inner, active, dz, packed = scratch
    (_, bins, channels), (inputs, stride) = z.shape, (norm1.shape[1], active.shape[1])
    group = len(d) // bins
    for first in range(start, stop, group):
        count, before = min(group, stop - first), first * bins * inputs
        positions = count * bins
        _behind_pool(behind, first, first + count)
        _norm_gradients(flat(z), first * bins * channels, flat(d), 0, norm, flat(dz), 0, positions)
        _add_columns(flat(dz), 0, channels, positions, dbias)
        depthwise_rows(window, first - start, count, inner)
        activate_positions(flat(inner), 0, norm1, flat(active), 0, stride, positions)
        pack_rows(flat(dz), 0, positions, channels, packed)
        add_product(flat(active), 0, stride, packed, dweight, positions)
        project(flat(dz), 0, channels, back, flat(dinner), before, inputs, positions, 0)
        _add_reduced(flat(inner), 0, flat(dinner), before, norm1, positions, reduced)


@compile_function
def depthwise_gradient(window, flipped, norm, inner, dinner, dz, dx, dweight, dbias, start):
    """Gradient dx, from row `start` on, of a depthwise convolution behind which is `norm`.

    dx row t needs rows t - 2 dilation to t of dz, which are made in scratch with empty bins; the window
    begins with the first row that the first of them sees.  `flipped` is the layer that takes dz to dx.  Rows
    of dz from `start` on are counted in dweight and dbias.
    """
    x, dilation, _ = window
    rows, bins, inputs = dinner.shape
    size, frame, x_row = bins * inputs, dz.shape[1] * inputs, x.shape[1] * inputs
    lowest = start - 2 * dilation
    for t in range(lowest, start + len(dx)):
        d0 = (t - lowest) * frame + dilation * inputs
        if t < 0 or t >= rows:
            flat(dz)[d0 : d0 + size] = 0
            continue
        first = t - max(lowest, 0)
        depthwise_rows(window, first, 1, inner)
        _norm_gradients(flat(inner), 0, flat(dinner), t * size, norm, flat(dz), d0, bins)
        if t >= start:
            _add_columns(flat(dz), d0, inputs, bins, dbias)
            for c in range(0, inputs, TAPS):
                x0, reach = first * x_row + c, x_row * dilation
                loops.taps_gradient(dz, d0 + c, x, x0, reach, dilation, c, inputs, bins, dweight)
    for t in range(len(dx)):
        depthwise_row(dz, t * frame, dilation, flipped, flat(dx), t * size, bins)


@compile_function
def norm_reductions(z, norm, dy, reduced):
    """Sums of normalisation's backward pass over some rows."""
    rows, bins, channels = z.shape
    for t in range(rows):
        _add_reduced(flat(z), t * bins * channels, flat(dy), t * bins * channels, norm, bins, reduced)


@compile_function
def stem_gradient(x, z, norm, dy, dz, packed, dweight, dbias):
    """Add the share of some rows to the gradients of weight, (3, 3 inputs, channels), and bias."""
    (rows, bins, channels), (_, x_bins, inputs) = z.shape, x.shape
    size = bins * channels
    for t in range(rows):
        _norm_gradients(flat(z), t * size, flat(dy), t * size, norm, flat(dz), 0, bins)
        _add_columns(flat(dz), 0, channels, bins, dbias)
        pack_rows(flat(dz), 0, bins, channels, packed)
        for i in range(3):
            add_product(flat(x), (t + i) * x_bins * inputs, inputs, packed, dweight[i], bins)
