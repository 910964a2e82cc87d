"""The backward pass of a training step, a few rows at a time.

Conventions are those of :mod:`acdref.fast.training_kernel`.  What is not kept is made again: each kernel
begins with the forward pass of its rows.  These groups are added:

* ``pooled = (dy, chosen, pool)``: the gradient of a block's pooled map, and which element of its window each
  maximum was, both of a whole clip; then z is a whole clip too, of which rows [start, stop) are asked for.
* ``attention = (group_norm, dx)``: the gradient dx of the normalised input of attention between the map and
  its pool, and the table that makes the map's own of it: zeros if there is no attention.
* ``behind = (z, norm, attention, pooled)`` makes the gradient behind the map's normalisation.
* ``reduced = (partial, sums)``: scratch, and sums for normalisation's backward pass, 3 channels in float64.
"""

from acdref.fast import vector_loops as loops
from acdref.fast.inference_kernel import add_product, depthwise_row, project
from acdref.fast.training_kernel import activate_panels, activate_positions, depthwise_rows, project_panels
from acdref.fast.vector_loops import flat
from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.vectors import TAPS


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
def _norm_gradients(z, z0, d, d0, norm, dz, dz0, apart, positions, sums):
    """dz in front of a normalisation and PReLU, from d behind them; its sums are added to `sums`.

    ``apart = (of positions, of vectors of channels)`` in dz.
    """
    bin, panel = apart
    channels = norm.shape[1]
    for c in range(0, channels, LANES):
        target = dz, dz0 + c // LANES * panel, bin
        loops.norm_gradient(z, z0 + c, d, d0 + c, norm, c, channels, positions, target, sums)


@compile_function(part=True)
def _places(pooled, t, j, bins):
    """(f, y0, place, count): in row t, bin f and those in the same place of all `count` windows.

    y0 is the first of these in dy.  j counts the places of a row, then its bins in no window, one by one: all
    have a `place` that nobody chose, and so have rows in no window.
    """
    dy, _, (height, width) = pooled
    rows, across, channels = dy.shape
    y0 = min(t // height, rows - 1) * across * channels
    if j >= width:
        return across * width + j - width, y0, -1, 1
    return j, y0, t % height * width + j if t < rows * height else -1, across


@compile_function(part=True)
def _places_of_a_row(pooled, bins):
    """How many j :func:`_places` knows."""
    across, width = pooled[0].shape[1], pooled[2][1]
    return width + bins - across * width


@compile_function(part=True)
def _unpooled(pooled, d, bins, start, stop):
    """Rows [start, stop) of the pool's gradient, `bins` long, to d as panels."""
    dy, chosen, (_, width) = pooled
    channels, positions = dy.shape[2], (stop - start) * bins
    for t in range(start, stop):
        for j in range(_places_of_a_row(pooled, bins)):
            f, y0, place, count = _places(pooled, t, j, bins)
            d0 = ((t - start) * bins + f) * LANES
            for c in range(0, channels, LANES):
                windows = dy, chosen, y0 + c, place, width, count
                loops.unpool(windows, channels, d, d0 + c * positions, LANES)


@compile_function
def answer_gradient(queries, pooled, answers, d, dqueries, danswer, start, stop):
    """Add queries^T d to danswer (width, channels); the queries' own gradient takes their place.

    `answers` is the layer that takes d, in which there is room for some rows in panels, to `dqueries`.
    """
    (_, bins, row), width = queries.shape, dqueries.shape[1]
    group = len(dqueries) // bins
    for first in range(start, stop, group):
        count, q0 = min(group, stop - first), first * bins * row
        positions = count * bins
        _unpooled(pooled, d, bins, first, first + count)
        add_product(flat(queries), q0, row, flat(d), danswer, positions)
        project_panels(d, answers, flat(dqueries), 0, width, positions)
        for p in range(positions):
            loops.softmax_gradient(queries, q0 + p * row, dqueries, p * width, width)


@compile_function
def attention_gradient(behind, kept, layers, keys, scratch, dweight, dbias, reduced, start, stop):
    """Gradient dx of attention's normalised input, and those of its weights.

    * ``kept = (dqueries, keys, before)``: what :func:`answer_gradient` left, and what
      :func:`acdref.fast.training_kernel.summarise_active` did.
    * ``layers = (dsummary, back)``: `dsummary` takes x to the gradient of the keys' weights; `back` is
      [query^T; key^T; dsummary], which takes [dquery | dkey | key weights] to dx.
    * ``keys = (largest, scale, mean)``: what makes weights of keys, and what their gradient subtracts.
    * ``scratch = (active, projected)``.

    dweight, (2 width, channels), and dbias, (2 width), are added to, and so is `reduced`, for the backward
    pass of attention's own normalisation.
    """
    z, norm, (group_norm, dx), _ = behind
    dqueries, kept_keys, before = kept
    dsummary, back = layers
    active, projected = scratch
    (_, bins, channels), row, kept_row, width = z.shape, projected.shape[1], kept_keys.shape[2], len(keys[0])
    partial, sums = reduced
    group = len(projected) // bins
    for first in range(start, stop, group):
        count, start0 = min(group, stop - first), first * bins
        positions, z0 = count * bins, start0 * channels
        activate_panels(flat(z), z0, norm, active, positions)
        project_panels(active, dsummary, flat(projected), width, row, positions)
        for c in range(0, width, LANES):
            loops.move_column(
                dqueries, start0 * kept_row + c, kept_row, projected, c, row, positions, c, dbias
            )
            for t in range(count):
                k0, d0 = (start0 + t * bins) * kept_row + c, t * bins * row + width + c
                kept_column = kept_keys, k0, kept_row, before, (first + t) * width + c
                target = projected, d0, d0 + width, row
                loops.key_gradient(kept_column, keys, c, target, bins, dbias, width + c)
        project(flat(projected), 0, row, back, flat(dx), z0, channels, positions, 0)
        add_product(flat(projected), 0, row, flat(active), dweight, positions)
        partial[:] = 0
        for c in range(0, channels, LANES):
            x0 = c * positions
            loops.add_group_reductions(
                active, x0, LANES, dx, z0 + c, group_norm, c, channels, positions, partial
            )
        for c in range(2 * channels):
            sums[c] += partial[c]


@compile_function
def pool_reductions(behind, reduced, start, stop):
    """Sums of normalisation's backward pass behind a block's attention and pool."""
    z, norm, attention, pooled = behind
    (_, bins, channels), (dy, chosen, (_, width)), (partial, sums) = z.shape, pooled, reduced
    for t in range(start, stop):
        partial[:] = 0
        for j in range(_places_of_a_row(pooled, bins)):
            f, y0, place, count = _places(pooled, t, j, bins)
            z0 = (t * bins + f) * channels
            for c in range(0, channels, LANES):
                windows = dy, chosen, y0 + c, place, width, count
                loops.add_reductions_behind(windows, z, z0 + c, norm, attention, c, channels, partial)
        for c in range(3 * channels):
            sums[c] += partial[c]


@compile_function(part=True)
def _gradients_behind(behind, dz, start, stop, sums):
    """Rows [start, stop) of the gradient of z, to dz as panels; its sums are added to `sums`."""
    z, norm, attention, pooled = behind
    (_, bins, channels), (dy, chosen, (_, width)) = z.shape, pooled
    positions = (stop - start) * bins
    for t in range(start, stop):
        for j in range(_places_of_a_row(pooled, bins)):
            f, y0, place, count = _places(pooled, t, j, bins)
            z0, d0 = (t * bins + f) * channels, ((t - start) * bins + f) * LANES
            for c in range(0, channels, LANES):
                windows, target = (dy, chosen, y0 + c, place, width, count), (dz, d0 + c * positions, LANES)
                loops.norm_gradient_behind(windows, z, z0 + c, norm, attention, c, channels, target, sums)


@compile_function
def pointwise_gradient(window, norm1, back, behind, scratch, dweight, dbias, dinner, reduced, start, stop):
    """Gradient `dinner` in front of a block's pointwise convolution, and those of its parameters.

    The window begins with the first row that row `start` of the depthwise convolution sees; norm1 is behind
    that; `back` is the pointwise layer, transposed and without a bias.  ``scratch = (inner, active, dz)``,
    where positions of `active` are further apart than channels are many, and dz has room for panels.  dweight
    and dbias are added to, and so is `reduced`, for the backward pass of norm1.
    """
    inner, active, dz = scratch
    (_, bins, _), (inputs, stride) = behind[0].shape, (norm1.shape[1], active.shape[1])
    group = len(inner) // bins
    for first in range(start, stop, group):
        count, before = min(group, stop - first), first * bins * inputs
        positions = count * bins
        _gradients_behind(behind, dz, first, first + count, dbias)
        depthwise_rows(window, first - start, count, inner)
        activate_positions(flat(inner), 0, norm1, flat(active), 0, stride, positions)
        add_product(flat(active), 0, stride, flat(dz), dweight, positions)
        project_panels(dz, back, flat(dinner), before, inputs, positions)
        _add_reduced(flat(inner), 0, flat(dinner), before, norm1, positions, reduced)


@compile_function
def depthwise_gradient(window, flipped, norm, scratch, dinner, dx, dweight, dbias, start):
    """Gradient dx, from row `start` on, of a depthwise convolution behind which is `norm`.

    dx row t needs rows t - 2 dilation to t of dz, which are made in scratch with empty bins; the window
    begins with the first row that the first of them sees.  `flipped` is the layer that takes dz to dx.  Rows
    of dz from `start` on are counted in dweight and dbias.  ``scratch = (inner, dz, uncounted)``.
    """
    x, dilation, _ = window
    inner, dz, uncounted = scratch
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
        bias, apart = dbias if t >= start else uncounted, (inputs, LANES)
        _norm_gradients(flat(inner), 0, flat(dinner), t * size, norm, flat(dz), d0, apart, bins, bias)
        if t >= start:
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
def stem_gradient(x, z, norm, dy, dz, dweight, dbias):
    """Add the share of some rows to the gradients of weight, (3, 3 inputs, channels), and bias.

    There is room for a row of panels in dz.
    """
    (rows, bins, channels), (_, x_bins, inputs) = z.shape, x.shape
    size, apart = bins * channels, (LANES, bins * LANES)
    for t in range(rows):
        _norm_gradients(flat(z), t * size, flat(dy), t * size, norm, flat(dz), 0, apart, bins, dbias)
        for i in range(3):
            add_product(flat(x), (t + i) * x_bins * inputs, inputs, flat(dz), dweight[i], bins)
