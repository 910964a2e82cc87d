"""Loops over the positions of one vector of channels: what the kernels are made of.

`channels` is the distance from position to position wherever no other is given, and `c` the first of the 16
channels (TAPS, for the convolution) at hand; `norm` is a table (see :mod:`acdref.fast.norm`), `pool` the
(rows, bins) of a window.
"""

import math

from llvmlite import ir
from numba.core import types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from acdref.fast.norm import INVERSE, MEAN, SCALE, SHIFT, SLOPE, A, B, C
from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.vectors import TAPS, vector_code

_PLACES = ir.VectorType(ir.IntType(8), LANES)  # of a pool's choices


@intrinsic
def flat(typingctx, x):
    """A contiguous array in one dimension (the message of ``reshape``'s error takes seconds to compile)."""
    result = types.Array(x.dtype, 1, "C")

    def codegen(context, builder, signature, arguments):
        source = context.make_array(x)(context, builder, arguments[0])
        line = context.make_array(result)(context, builder)
        size, step = source.nitems, source.itemsize
        same = {"data": source.data, "meminfo": source.meminfo, "parent": source.parent}
        context.populate_array(line, shape=[size], strides=[step], itemsize=step, **same)
        return impl_ret_borrowed(context, builder, result, line._getvalue())

    return result(x), codegen


@intrinsic
def increase(typingctx, numbers, index):
    """numbers[index] as it was; now it is one more, and no other thread gets the same."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(numbers)(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]], source_etype=ir.IntType(64))
        return builder.atomic_rmw("add", place, ir.IntType(64)(1), "acq_rel")

    return types.int64(numbers, types.intp), codegen


@intrinsic
def _now(typingctx, number):
    """The first of an array of integers, which other threads may change."""

    def codegen(context, builder, signature, arguments):
        place = context.make_array(number)(context, builder, arguments[0]).data
        return builder.load_atomic(place, "acquire", 8, typ=ir.IntType(64))

    return types.int64(number), codegen


@compile_function
def reached(number, least, looks):
    """Whether a number (1,) that other threads raise is seen to be at least `least`, in so many looks."""
    while looks > 0 and _now(number) < least:
        looks -= 1
    return looks > 0


def _by_fours(emit, bins, dilation):
    """(f, count) of two loops over bins f, f + d, ... of a depthwise convolution, d the dilation.

    What the caller writes for each pair goes into that loop.  Bins that lie d apart see the same columns:
    four of them go through together, and load each once.  With nine weights, four are as many as 16
    registers hold.
    """
    builder = emit.builder
    together = builder.mul(dilation, dilation.type(4))
    groups = builder.udiv(bins, together)
    done = builder.mul(groups, together)
    with emit.loop(groups) as group, emit.loop(dilation) as f:
        yield emit.at(f, (group, together)), 4
    with emit.loop(builder.sub(bins, done)) as f:
        yield builder.add(done, f), 1


def _seen(emit, x, x0, x_row, f, channels, reach, count):
    """(v, k, place): v is what output f + k d multiplies by the weight at a place of the 3x3 window.

    Each v is loaded once; d columns are `reach` numbers.
    """
    for i in range(3):
        row = emit.place(x, emit.at(x0, (x_row, i), (f, channels)))
        for column in range(count + 2):
            v = emit.load(row, emit.at(reach.type(0), (reach, column)))
            for k in range(max(0, column - 2), min(column + 1, count)):
                yield v, k, 3 * i + column - k


@vector_code(lanes=TAPS)
def taps(emit, x, x0, x_row, dilation, layer, c, y, y0, channels, bins):
    """y[f] = prelu(bias + sum_ij x[i, f + j d] weight[i, j]) for TAPS channels; layer = weight, bias, slope.

    `x_row` is the distance of the rows that the window sees.
    """
    weight, bias, slope = layer
    weights = [emit.load(weight, emit.at(c, (channels, place))) for place in range(9)]
    bias, slope = emit.load(bias, c), emit.load(slope, c)
    reach = emit.builder.mul(dilation, channels)
    for f, count in _by_fours(emit, bins, dilation):
        totals = [bias] * count
        for v, k, place in _seen(emit, x, x0, x_row, f, channels, reach, count):
            totals[k] = emit.fma(v, weights[place], totals[k])
        place = emit.place(y, emit.at(y0, (f, channels)))
        for k, total in enumerate(totals):
            emit.store(emit.prelu(total, slope), place, emit.at(reach.type(0), (reach, k)))


@vector_code
def prelu(emit, x, x0, slope, c, channels, bins):
    """x = prelu(x), in place."""
    slope = emit.load(slope, c)
    with emit.loop(bins) as f:
        place = emit.at(x0, (f, channels))
        emit.store(emit.prelu(emit.load(x, place), slope), x, place)


@vector_code
def largest(emit, x, x0, x_row, pool, slope, c, y, y0, channels, bins):
    """y[f] = the largest prelu(x) of each of `bins` windows; those of 2 x 2 without loops."""
    builder = emit.builder
    rows, width = pool
    slope = emit.load(slope, c)

    def value(f, i, j):
        window = emit.at(x0, (f, builder.mul(channels, width)))
        return emit.prelu(emit.load(x, emit.at(window, (i, x_row), (j, channels))), slope)

    square = builder.and_(*(builder.icmp_signed("==", size, size.type(2)) for size in pool))
    with builder.if_else(square) as (two_by_two, other):
        with two_by_two, emit.loop(bins) as f:
            above, below = (emit.maximum(value(f, i, 0), value(f, i, 1)) for i in range(2))
            emit.store(emit.maximum(above, below), y, emit.at(y0, (f, channels)))
        with other, emit.loop(bins) as f:
            best = emit.total(emit.constant(-math.inf))
            with emit.loop(rows) as i, emit.loop(width) as j:
                emit.set(best, emit.maximum(emit.value(best), value(f, i, j)))
            emit.store(emit.value(best), y, emit.at(y0, (f, channels)))


def _moments(emit, x, x0, step, count, pivot):
    """sum(x - pivot), sum (x - pivot)^2 over `count` vectors that are `step` apart."""
    first, second = emit.total(emit.constant(0)), emit.total(emit.constant(0))
    with emit.loop(count) as i:
        v = emit.builder.fsub(emit.load(x, emit.at(x0, (i, step))), pivot)
        emit.add(v, first)
        emit.multiply_add(v, v, second)
    return emit.value(first), emit.value(second)


@vector_code
def moments_about_first(emit, x, x0, size, out, o0):
    """out[o0], out[o0 + 1] = sum(x - x[x0]), sum (x - x[x0])^2 over `size` numbers, a multiple of 16."""
    builder = emit.builder
    sums = _moments(emit, x, x0, LANES, builder.udiv(size, size.type(LANES)), emit.spread(x, x0))
    for index, total in enumerate(sums):
        value = emit.across(builder.fadd, total)
        builder.store(value, builder.gep(out, [emit.at(o0, (index, 1))], source_etype=emit.element))


@vector_code
def softmax(emit, x, x0, size):
    """Softmax of `size` numbers, a multiple of 16, in place; the largest may miss a NaN, the sum does not."""
    builder = emit.builder
    count = builder.udiv(size, size.type(LANES))
    best = emit.total(emit.load(x, x0))
    with emit.loop(count) as i:
        emit.set(best, emit.larger(emit.value(best), emit.load(x, emit.at(x0, (i, LANES)))))
    best = emit.splat(emit.across(emit.larger, emit.value(best)))
    total = emit.total(emit.constant(0))
    with emit.loop(count) as i:
        place = emit.at(x0, (i, LANES))
        v = emit.exp(builder.fsub(emit.load(x, place), best))
        emit.store(v, x, place)
        emit.add(v, total)
    scale = builder.fdiv(emit.constant(1), emit.splat(emit.across(builder.fadd, emit.value(total))))
    with emit.loop(count) as i:
        place = emit.at(x0, (i, LANES))
        emit.store(builder.fmul(emit.load(x, place), scale), x, place)


@vector_code
def column_softmax(emit, x, x0, x_row, rows, running, c):
    """x = exp(x - best) for 16 columns of `rows` rows; running = (best, total, scale).

    `best`, the largest, and `total` run from call to call.  When the largest number rises, `scale` says by
    what the sums so far have to be multiplied.  `best` may miss a NaN; `total` does not.
    """
    builder = emit.builder
    best, total, scale = running
    before = emit.load(best, c)
    now = emit.total(before)
    with emit.loop(rows) as i:
        emit.set(now, emit.larger(emit.value(now), emit.load(x, emit.at(x0, (i, x_row)))))
    now = emit.value(now)
    factor = emit.exp(builder.fsub(before, now))
    sums = emit.total(builder.fmul(emit.load(total, c), factor))
    with emit.loop(rows) as i:
        place = emit.at(x0, (i, x_row))
        v = emit.exp(builder.fsub(emit.load(x, place), now))
        emit.store(v, x, place)
        emit.add(v, sums)
    emit.store(now, best, c)
    emit.store(emit.value(sums), total, c)
    emit.store(factor, scale, c)


def _rows(emit, norm, c, channels, *rows):
    """One vector of each of these rows of a table."""
    return [emit.load(norm, emit.at(c, (channels, row))) for row in rows]


def _place(emit, chosen, offset):
    pointer = emit.builder.gep(chosen, [offset], source_etype=ir.IntType(8))
    return emit.builder.bitcast(pointer, _PLACES.as_pointer())


def _index(emit, number):
    """An integer, as wide as the numbers, in every lane."""
    wide = emit.integers.element
    return emit.splat(number if number.type == wide else emit.builder.trunc(number, wide))


@vector_code
def activate(emit, z, z0, norm, c, channels, y, y0, y_bin, bins):
    """y = prelu(scale z + shift); bins of y are `y_bin` apart."""
    scale, shift, slope = _rows(emit, norm, c, channels, SCALE, SHIFT, SLOPE)
    with emit.loop(bins) as i:
        v = emit.fma(emit.load(z, emit.at(z0, (i, channels))), scale, shift)
        emit.store(emit.prelu(v, slope), y, emit.at(y0, (i, y_bin)))


@vector_code
def sums_about(emit, z, z0, channels, positions, pivot, c, sums):
    """sums[0], sums[1] = sum(z - pivot), sum (z - pivot)^2 over positions."""
    first, second = _moments(emit, z, z0, channels, positions, emit.load(pivot, c))
    emit.store(first, sums, c)
    emit.store(second, sums, emit.at(c, (channels, 1)))


@vector_code
def largest_of(emit, z, z0, z_row, pool, norm, c, channels, target, bins):
    """y = the largest prelu(scale z + shift) of each window, `chosen` its place there.

    target = (y, y0, chosen, i0).  The first among equals counts, and a NaN before any number.
    """
    builder = emit.builder
    (rows, width), (y, y0, chosen, i0) = pool, target
    scale, shift, slope = _rows(emit, norm, c, channels, SCALE, SHIFT, SLOPE)
    best, place = emit.total(emit.constant(0)), emit.integer_total()
    nothing = ir.Constant(emit.integers, [0] * LANES)
    with emit.loop(bins) as window:
        # Where nothing is larger than this, the first place is right.
        emit.set(best, emit.constant(-math.inf))
        emit.set(place, nothing)
        with emit.loop(rows) as i, emit.loop(width) as j:
            v = emit.load(z, emit.at(z0, (window, builder.mul(channels, width)), (i, z_row), (j, channels)))
            v, before = emit.prelu(emit.fma(v, scale, shift), slope), emit.value(best)
            # Larger, or NaN; but behind a NaN nothing is.
            number = builder.fcmp_ordered("ord", before, before)
            replaced = builder.and_(builder.fcmp_unordered(">", v, before), number)
            emit.set(best, builder.select(replaced, v, before))
            k = _index(emit, builder.add(builder.mul(i, width), j))
            emit.set(place, builder.select(replaced, k, emit.value(place)))
        along = emit.at(y0.type(0), (window, channels))
        emit.store(emit.value(best), y, builder.add(y0, along))
        places = builder.trunc(emit.value(place), _PLACES)
        builder.store(places, _place(emit, chosen, builder.add(i0, along))).align = 1


def _unpooled(emit, windows, i, channels):
    """The gradient of position i of those that lie in one place of each window: dy where it was chosen, or 0.

    windows = (dy, chosen, y0, place, width, count), as the loops that call this have it: `count` windows of
    `width` bins, the first of which is at y0 of dy.
    """
    dy, chosen, y0, place = windows[:4]
    window = emit.at(y0, (i, channels))
    places = emit.builder.load(_place(emit, chosen, window), typ=_PLACES)
    places.align = 1
    here = emit.builder.icmp_signed("==", emit.builder.zext(places, emit.integers), _index(emit, place))
    return emit.builder.select(here, emit.load(dy, window), emit.constant(0))


@vector_code
def unpool(emit, windows, channels, d, d0, d_bin):
    """d = dy where its window's chosen place is the one at hand, 0 elsewhere; bins of d are `d_bin` apart."""
    *_, width, count = windows
    step = emit.builder.mul(width, d_bin)
    with emit.loop(count) as i:
        emit.store(_unpooled(emit, windows, i, channels), d, emit.at(d0, (i, step)))


def _behind(emit, windows, z, z0, norm, attention, c, channels):
    """(i, z, v, d) of each position in one place of each window, with v = scale z + shift and d behind it.

    attention = (group_norm, dx): d is what the pool gives, and a dx + b prelu(v) + c of that table.
    """
    *_, width, count = windows
    group_norm, dx = attention
    scale, shift, slope = _rows(emit, norm, c, channels, SCALE, SHIFT, SLOPE)
    a, b, rest = _rows(emit, group_norm, c, channels, A, B, C)
    step = emit.builder.mul(width, channels)
    with emit.loop(count) as i:
        place = emit.at(z0, (i, step))
        x = emit.load(z, place)
        v = emit.fma(x, scale, shift)
        d = emit.fma(emit.load(dx, place), a, emit.fma(emit.prelu(v, slope), b, rest))
        yield i, x, v, emit.builder.fadd(d, _unpooled(emit, windows, i, channels))


def _reductions(emit, positions, norm, c, channels, sums):
    """Add the sums of :func:`add_reductions` over what is iterated, (z, v, d)."""
    builder = emit.builder
    slope, mean, inverse = _rows(emit, norm, c, channels, SLOPE, MEAN, INVERSE)
    places = [emit.at(c, (channels, row)) for row in range(3)]
    dgamma, dbeta, dslope = totals = [emit.total(emit.load(sums, place)) for place in places]
    for x, v, g in positions:
        positive = emit.positive(v)
        dn = builder.fmul(g, builder.select(positive, emit.constant(1), slope))
        emit.multiply_add(dn, builder.fmul(builder.fsub(x, mean), inverse), dgamma)
        emit.add(dn, dbeta)
        emit.multiply_add(g, builder.select(positive, emit.constant(0), v), dslope)
    for place, total in zip(places, totals, strict=True):
        emit.store(emit.value(total), sums, place)


@vector_code
def add_reductions(emit, z, z0, d, d0, norm, c, channels, positions, sums):
    """Add sum(dn xhat), sum(dn), sum(d v where v <= 0) to sums[0..2].

    v = scale z + shift, dn = d prelu'(v), xhat = (z - mean) inverse.
    """

    def each():
        scale, shift = _rows(emit, norm, c, channels, SCALE, SHIFT)
        with emit.loop(positions) as i:
            x, g = (emit.load(a, emit.at(start, (i, channels))) for a, start in ((z, z0), (d, d0)))
            yield x, emit.fma(x, scale, shift), g

    _reductions(emit, each(), norm, c, channels, sums)


@vector_code
def add_reductions_behind(emit, windows, z, z0, norm, attention, c, channels, sums):
    """:func:`add_reductions` with d behind attention and pool, of one place of each window."""
    behind = _behind(emit, windows, z, z0, norm, attention, c, channels)
    _reductions(emit, (position[1:] for position in behind), norm, c, channels, sums)


def _norm_gradient(emit, positions, norm, c, channels, target, sums):
    """The dz of :func:`norm_gradient` from what is iterated: (number of dz's position, z, v, d)."""
    dz, dz0, apart = target
    slope, a, b, rest = _rows(emit, norm, c, channels, SLOPE, A, B, C)
    negative, total = emit.builder.fmul(a, slope), emit.total(emit.load(sums, c))
    for i, x, v, g in positions:
        share = emit.builder.select(emit.positive(v), a, negative)
        value = emit.fma(g, share, emit.fma(x, b, rest))
        emit.store(value, dz, emit.at(dz0, (i, apart)))
        emit.add(value, total)
    emit.store(emit.value(total), sums, c)


@vector_code
def norm_gradient(emit, z, z0, d, d0, norm, c, channels, positions, target, sums):
    """dz = a dn + b z + c, with dn as in :func:`add_reductions`; its sum is added to `sums`.

    target = (dz, dz0, what positions of dz are apart).
    """

    def each():
        scale, shift = _rows(emit, norm, c, channels, SCALE, SHIFT)
        with emit.loop(positions) as i:
            x, g = (emit.load(a, emit.at(start, (i, channels))) for a, start in ((z, z0), (d, d0)))
            yield i, x, emit.fma(x, scale, shift), g

    _norm_gradient(emit, each(), norm, c, channels, target, sums)


@vector_code
def norm_gradient_behind(emit, windows, z, z0, norm, attention, c, channels, target, sums):
    """:func:`norm_gradient` with d behind attention and pool, of one place of each window."""
    (dz, dz0, apart), width = target, windows[-2]
    behind = _behind(emit, windows, z, z0, norm, attention, c, channels)
    _norm_gradient(emit, behind, norm, c, channels, (dz, dz0, emit.builder.mul(width, apart)), sums)


@vector_code
def add_group_reductions(emit, x, x0, x_bin, d, d0, norm, c, channels, positions, sums):
    """Add sum(d xhat), sum(d) to sums[0..1]: :func:`add_reductions` of a normalisation without PReLU."""
    mean, inverse = _rows(emit, norm, c, channels, MEAN, INVERSE)
    places = [emit.at(c, (channels, row)) for row in range(2)]
    dgamma, dbeta = totals = [emit.total(emit.load(sums, place)) for place in places]
    with emit.loop(positions) as i:
        g = emit.load(d, emit.at(d0, (i, channels)))
        centred = emit.builder.fsub(emit.load(x, emit.at(x0, (i, x_bin))), mean)
        emit.multiply_add(g, emit.builder.fmul(centred, inverse), dgamma)
        emit.add(g, dbeta)
    for place, total in zip(places, totals, strict=True):
        emit.store(emit.value(total), sums, place)


@vector_code(lanes=TAPS)
def taps_gradient(emit, dz, dz0, x, x0, x_row, dilation, c, channels, bins, dweight):
    """dweight[i, j] += sum_f dz[f] x[i, f + j d] for TAPS channels."""
    reach = emit.builder.mul(dilation, channels)
    places = [emit.at(c, (channels, place)) for place in range(9)]
    totals = [emit.total(emit.load(dweight, place)) for place in places]
    for f, count in _by_fours(emit, bins, dilation):
        place = emit.place(dz, emit.at(dz0, (f, channels)))
        d = [emit.load(place, emit.at(reach.type(0), (reach, k))) for k in range(count)]
        for v, k, weight in _seen(emit, x, x0, x_row, f, channels, reach, count):
            emit.multiply_add(d[k], v, totals[weight])
    for place, total in zip(places, totals, strict=True):
        emit.store(emit.value(total), dweight, place)


@vector_code
def softmax_gradient(emit, q, q0, d, d0, size):
    """q = q (d - sum(d q)) over `size` numbers, a multiple of 16: the gradient takes the softmax's place."""
    builder = emit.builder
    count = builder.udiv(size, size.type(LANES))
    total = emit.total(emit.constant(0))
    with emit.loop(count) as i:
        emit.multiply_add(emit.load(q, emit.at(q0, (i, LANES))), emit.load(d, emit.at(d0, (i, LANES))), total)
    total = emit.splat(emit.across(builder.fadd, emit.value(total)))
    with emit.loop(count) as i:
        place = emit.at(q0, (i, LANES))
        rest = builder.fsub(emit.load(d, emit.at(d0, (i, LANES))), total)
        emit.store(builder.fmul(emit.load(q, place), rest), q, place)


@vector_code
def move_column(emit, x, x0, x_row, y, y0, y_row, positions, c, sums):
    """y = x for positions that are `x_row` and `y_row` apart; their sum is added to `sums`."""
    total = emit.total(emit.load(sums, c))
    with emit.loop(positions) as i:
        v = emit.load(x, emit.at(x0, (i, x_row)))
        emit.store(v, y, emit.at(y0, (i, y_row)))
        emit.add(v, total)
    emit.store(emit.value(total), sums, c)


@vector_code
def key_gradient(emit, kept, keys, c, target, positions, sums, s0):
    """From d, the gradient of weights w of keys, that of the keys, in place; w goes beside it.

    kept = (exp(key - before), k0, what its positions are apart, before, b0); keys = (largest, scale, mean),
    with w = exp(key - largest) scale, and the `mean` that the gradient subtracts; target = (d, d0, w0, what
    positions of either are apart).  The gradient's sum is added to `sums`.
    """
    builder, (kept, k0, k_row, before, b0), (d, d0, w0, row) = emit.builder, kept, target
    largest, scale, mean = (emit.load(each, c) for each in keys)
    factor = builder.fmul(emit.exp(builder.fsub(emit.load(before, b0), largest)), scale)
    total = emit.total(emit.load(sums, s0))
    with emit.loop(positions) as i:
        place = emit.at(d0, (i, row))
        w = builder.fmul(emit.load(kept, emit.at(k0, (i, k_row))), factor)
        v = builder.fmul(w, builder.fsub(emit.load(d, place), mean))
        emit.store(w, d, emit.at(w0, (i, row)))
        emit.store(v, d, place)
        emit.add(v, total)
    emit.store(emit.value(total), sums, s0)
