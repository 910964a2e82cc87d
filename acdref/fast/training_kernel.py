"""The forward pass of a training step between two maps that have to be kept, a few rows at a time.

The conventions of :mod:`acdref.fast.inference_kernel` hold, and these groups are added:

* `norm` is a table of what normalisation and PReLU know of each channel (see :mod:`acdref.fast.norm`).
* ``window = (x, dilation, layer)`` is what rows of a depthwise convolution are made from: the rows of a map
  that they see, and the layer, whose slopes are ones.
* Panels are positions of a map as [channels / 16][positions][16], which both of its products read: packed
  where positions are the depth, and in groups of 16 where channels are.
* ``moments = (pivot, row, sums)``: a pivot for each channel, scratch for one row of sums, and the sums about
  the pivot, (2, channels) in float64.
"""

from acdref.fast.inference_kernel import add_weighted, conv_row, depthwise_row, mean_and_squares, project
from acdref.fast.vector_loops import activate, column_softmax, flat, largest_of, softmax, sums_about
from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.microkernel import panel_product, panels


@compile_function(part=True)
def _add_moments(z, z0, positions, first, moments):
    """Add a group's sums about the pivot, which is the first position of the `first` group."""
    pivot, row, sums = moments
    channels = len(pivot)
    if first:
        for c in range(channels):  # not as slices: the message of their error takes seconds to compile
            pivot[c] = z[z0 + c]
    for c in range(0, channels, LANES):
        sums_about(z, z0 + c, channels, positions, pivot, c, row)
    for c in range(2 * channels):
        sums[c] += row[c]


@compile_function
def stem_rows(x, layer, z, moments):
    """Rows of the stem's convolution z, and their moments; x has an empty bin on both sides."""
    weight, bias = layer
    rows, bins, channels = z.shape
    for t in range(rows):
        conv_row(x, t, weight, bias, flat(z), t * bins * channels)
        _add_moments(flat(z), t * bins * channels, bins, t == 0, moments)


@compile_function(part=True)
def activate_positions(z, z0, norm, y, y0, y_bin, positions):
    """y = prelu(scale z + shift) for positions that are `y_bin` apart in y."""
    channels = norm.shape[1]
    for c in range(0, channels, LANES):
        activate(z, z0 + c, norm, c, channels, y, y0 + c, y_bin, positions)


@compile_function(part=True)
def activate_panels(z, z0, norm, y, positions):
    """y = prelu(scale z + shift) as panels."""
    channels = norm.shape[1]
    for c in range(0, channels, LANES):
        activate(z, z0 + c, norm, c, channels, flat(y), c * positions, LANES, positions)


@compile_function(part=True)
def project_panels(x, layer, y, y0, y_row, positions):
    """y = x weight + bias for x in panels."""
    weight, bias = layer
    groups = len(weight) // len(bias) // LANES
    shape = positions, LANES, len(bias)
    panels((flat(x), 0, LANES, 1), weight, (bias, 0, 0), (y, y0, y_row), shape, groups, positions * LANES, 0)


@compile_function
def activate_rows(z, norm, y):
    """y = prelu(scale z + shift) for rows of z, to as many rows of y, whose bins have others beside them."""
    (rows, bins, channels), y_bins = z.shape, y.shape[1]
    for t in range(rows):
        y0 = (t * y_bins + (y_bins - bins) // 2) * channels
        activate_positions(flat(z), t * bins * channels, norm, flat(y), y0, channels, bins)


@compile_function(part=True)
def depthwise_rows(window, first, rows, z):
    """`rows` rows of a depthwise 3x3 convolution, from the window's row `first` on, to the head of z."""
    x, dilation, layer = window
    _, x_bins, channels = x.shape
    row, bins = x_bins * channels, x_bins - 2 * dilation
    for t in range(rows):
        depthwise_row(x, (first + t) * row, dilation, layer, flat(z), t * bins * channels, bins)


@compile_function
def depthwise_moments(window, inner, moments):
    """Moments of a depthwise convolution, of which nothing is kept; `inner` holds some rows of it."""
    x, dilation, _ = window
    rows, bins = len(x) - 2 * dilation, x.shape[1] - 2 * dilation
    group = len(inner) // bins
    for first in range(0, rows, group):
        count = min(group, rows - first)
        depthwise_rows(window, first, count, inner)
        _add_moments(flat(inner), 0, count * bins, first == 0, moments)


@compile_function
def pointwise_moments(window, norm, inner, active, layer, z, moments):
    """Rows of z: depthwise convolution, normalisation, PReLU, pointwise convolution; and z's moments."""
    (rows, bins, channels), inputs = z.shape, norm.shape[1]
    group = len(inner) // bins
    for first in range(0, rows, group):
        count, start = min(group, rows - first), first * bins * channels
        depthwise_rows(window, first, count, inner)
        activate_positions(flat(inner), 0, norm, flat(active), 0, inputs, count * bins)
        project(flat(active), 0, inputs, layer, flat(z), start, channels, count * bins, 0)
        _add_moments(flat(z), start, count * bins, first == 0, moments)


@compile_function
def pooled_rows(z, norm, y, chosen, pool):
    """Rows of y, the largest prelu(scale z + shift) of each window, and which these are."""
    y_bins, (rows, bins, channels) = y.shape[1], chosen.shape
    size, pad = z.shape[1] * channels, (y_bins - bins) // 2
    for t in range(rows):
        for c in range(0, channels, LANES):
            target = y, (t * y_bins + pad) * channels + c, chosen, t * bins * channels + c
            largest_of(z, t * pool[0] * size + c, size, pool, norm, c, channels, target, bins)


@compile_function
def active_moments(z, norm, active, moments):
    """moments[i] = mean, and sum of squares about it, of the i-th group of prelu(scale z + shift).

    z is (positions, channels); a group is as long as `active`.
    """
    positions, channels = z.shape
    group = len(active)
    for i in range(len(moments)):
        count = min(group, positions - i * group)
        activate_positions(flat(z), i * group * channels, norm, flat(active), 0, channels, count)
        mean_and_squares(flat(active), 0, count * channels, moments, i)


@compile_function
def summarise_active(z, norm, active, key, keys, before, running, summary):
    """:func:`acdref.fast.inference_kernel.summarise` of prelu(scale z + shift), z (rows, bins, channels).

    Kept in `keys` (rows, bins, width or more) is exp(key - before), and `before` (rows, width) is the largest
    key until then.  As many rows go through together as `active` has.
    """
    (rows, bins, channels), row, width = z.shape, keys.shape[2], len(running[0])
    group = len(active)
    for first in range(0, rows, group):
        count, start = min(group, rows - first), first * bins
        positions, k0 = count * bins, start * row
        activate_panels(flat(z), start * channels, norm, active, positions)
        project_panels(active, key, flat(keys), k0, row, positions)
        for c in range(0, width, LANES):
            column_softmax(keys, k0 + c, row, positions, running, c)
        for t in range(first, first + count):
            for c in range(width):
                before[t, c] = running[0][c]
        add_weighted(flat(keys), k0, row, flat(active), running[2], summary, positions)


@compile_function
def attended_rows(z, norm, active, query, queries, answer, outer, plain, y, chosen, pool):
    """Pooled rows of x + softmax(x query + bias) answer for x = prelu(scale z + shift); `plain` is a table.

    The softmax is kept in `queries` (rows, bins, width or more).  As many rows of z go through together as
    `outer` has, whole windows of them.
    """
    (_, bins, channels), rows, height = z.shape, len(y), pool[0]
    row, width, group = queries.shape[2], len(query[1]), len(outer) // height
    for first in range(0, rows, group):
        count = min(group, rows - first)
        start, positions = first * height * bins, count * height * bins
        q0, shape = start * row, (positions, width, channels)
        activate_positions(flat(z), start * channels, norm, flat(active), 0, channels, positions)
        project(flat(active), 0, channels, query, flat(queries), q0, row, positions, 0)
        for p in range(positions):
            softmax(queries, q0 + p * row, width)
        x = flat(active), 0, channels
        panel_product((flat(queries), q0, row, 1), answer, x, (flat(outer), 0, channels), shape)
        pooled_rows(outer, plain, y[first : first + count], chosen[first : first + count], pool)
