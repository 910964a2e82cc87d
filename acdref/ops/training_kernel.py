"""What a training step does between two maps that have to be kept, a few rows at a time.

The conventions of :mod:`acdref.ops.fused_kernel` hold: flat arrays and offsets, channels padded to whole
vectors, empty bins beside the rows that a 3x3 window sees.  What normalisation and PReLU know of a channel is
one column of a table `norm`, (8, channels): scale, shift, slope, mean, inverse deviation, and the a, b, c of the
gradient ``dz = a dn + b z + c`` (see :func:`acdref.ops.norm.batch_norm_coefficients`).
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from acdref.ops.fused_kernel import _moments, _softmax, _taps, summarise
from acdref.ops.kernel import compile_function
from acdref.ops.microkernel import pack_rows, panel_product, panels
from acdref.ops.vectors import LANES, TAPS, Emitter

SCALE, SHIFT, SLOPE, MEAN, INVERSE, A, B, C = range(8)


class _Norm:
    """Reads one vector of channels from a `norm` table."""

    def __init__(self, emit, norm, channel, channels):
        self.emit, self.norm, self.channel, self.channels = emit, norm, channel, channels

    def __getitem__(self, row):
        builder = self.emit.builder
        along = builder.mul(self.channels, ir.Constant(self.channels.type, row))
        return self.emit.load(self.norm, builder.add(self.channel, along))


@intrinsic
def _activate(typingctx, z, z0, norm, channel, channels, y, y0, y_bin, bins):
    """y = prelu(scale z + shift), 16 channels of `bins` bins; bins of y are `y_bin` apart."""
    n = types.intp
    signature = types.void(z, n, norm, n, n, y, n, n, n)

    def codegen(context, builder, signature, args):
        z, z0, norm, channel, channels, y, y0, y_bin, bins = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        z, norm, y = (emit.data(signature.args[i], args[i]) for i in (0, 2, 5))
        table = _Norm(emit, norm, channel, channels)
        scale, shift, slope = table[SCALE], table[SHIFT], table[SLOPE]
        with cgutils.for_range(builder, bins) as loop:
            v = emit.load(z, builder.add(z0, builder.mul(loop.index, channels)))
            v = emit.prelu(emit.fma(v, scale, shift), slope)
            emit.store(v, y, builder.add(y0, builder.mul(loop.index, y_bin)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _sums(typingctx, z, z0, channels, positions, pivot, channel, sums):
    """sums[0], sums[1] = sum(z - pivot), sum (z - pivot)^2 over positions, for 16 channels."""
    n = types.intp
    signature = types.void(z, n, n, n, pivot, n, sums)

    def codegen(context, builder, signature, args):
        z, z0, channels, positions, pivot, channel, sums = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        z, pivot, sums = (emit.data(signature.args[i], args[i]) for i in (0, 4, 6))
        pivot = emit.load(pivot, channel)
        first, second = emit.total(emit.constant(0)), emit.total(emit.constant(0))
        with cgutils.for_range(builder, positions) as loop:
            v = builder.fsub(emit.load(z, builder.add(z0, builder.mul(loop.index, channels))), pivot)
            builder.store(builder.fadd(emit.value(first), v), first)
            emit.multiply_add(v, v, second)
        emit.store(emit.value(first), sums, channel)
        emit.store(emit.value(second), sums, builder.add(channels, channel))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _add_column(typingctx, x, x0, row, positions, sums, channel):
    """sums += sum of x over positions that are `row` apart, for 16 channels."""
    n = types.intp
    signature = types.void(x, n, n, n, sums, n)

    def codegen(context, builder, signature, args):
        x, x0, row, positions, sums, channel = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        x, sums = emit.data(signature.args[0], x), emit.data(signature.args[4], sums)
        total = emit.total(emit.load(sums, channel))
        with cgutils.for_range(builder, positions) as loop:
            v = emit.load(x, builder.add(x0, builder.mul(loop.index, row)))
            builder.store(builder.fadd(emit.value(total), v), total)
        emit.store(emit.value(total), sums, channel)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _largest_of(typingctx, z, z0, z_row, rows, width, norm, channel, channels, y, y0, chosen, i0, bins):
    """y = the largest prelu(scale z + shift) of each window, `chosen` its place; for 16 channels."""
    n = types.intp
    signature = types.void(z, n, n, n, n, norm, n, n, y, n, chosen, n, n)

    def codegen(context, builder, signature, args):
        z, z0, z_row, rows, width, norm, channel, channels, y, y0, chosen, i0, bins = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        z, norm, y = (emit.data(signature.args[i], args[i]) for i in (0, 5, 8))
        chosen = context.make_array(signature.args[10])(context, builder, chosen).data
        table = _Norm(emit, norm, channel, channels)
        scale, shift, slope = table[SCALE], table[SHIFT], table[SLOPE]
        places = ir.VectorType(ir.IntType(8), LANES)
        index = cgutils.alloca_once(builder, emit.integers)
        nothing = ir.Constant(emit.integers, [0] * LANES)
        with cgutils.for_range(builder, bins) as loop:
            window = builder.add(z0, builder.mul(loop.index, builder.mul(channels, width)))
            best = emit.total(emit.constant(0))
            emit.builder.store(nothing, index)
            with cgutils.for_range(builder, rows) as i, cgutils.for_range(builder, width) as j:
                place = builder.add(window, builder.mul(i.index, z_row))
                v = emit.load(z, builder.add(place, builder.mul(j.index, channels)))
                v = emit.prelu(emit.fma(v, scale, shift), slope)
                k = builder.add(builder.mul(i.index, width), j.index)
                first = emit.splat_integer(builder.sext(builder.icmp_signed("==", k, k.type(0)), emit.integers.element))
                before = emit.value(best)
                larger = emit.mask(builder.fcmp_ordered(">", v, before))
                new = emit.mask(builder.fcmp_unordered("uno", v, v))
                new = builder.and_(new, emit.mask(builder.fcmp_ordered("ord", before, before)))
                replaced = builder.or_(first, builder.or_(larger, new))
                builder.store(emit.choose(replaced, v, before), best)
                number = emit.splat_integer(builder.trunc(k, emit.integers.element) if emit.single else k)
                kept = builder.and_(builder.not_(replaced), builder.load(index))
                builder.store(builder.or_(kept, builder.and_(replaced, number)), index)
            along = builder.mul(loop.index, channels)
            emit.store(emit.value(best), y, builder.add(y0, along))
            target = builder.gep(chosen, [builder.add(i0, along)], source_etype=ir.IntType(8))
            target = builder.bitcast(target, places.as_pointer())
            builder.store(builder.trunc(builder.load(index), places), target).align = 1
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _unpool(typingctx, dy, y0, chosen, i0, place, d, d0, d_bin, channels, bins):
    """d += dy where its window's chosen place is `place`; for 16 channels of `bins` windows."""
    n = types.intp
    signature = types.void(dy, n, chosen, n, n, d, n, n, n, n)

    def codegen(context, builder, signature, args):
        dy, y0, chosen, i0, place, d, d0, d_bin, channels, bins = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        dy, d = emit.data(signature.args[0], dy), emit.data(signature.args[5], d)
        chosen = context.make_array(signature.args[2])(context, builder, chosen).data
        places = ir.VectorType(ir.IntType(8), LANES)
        wanted = emit.splat_integer(builder.trunc(place, emit.integers.element) if emit.single else place)
        with cgutils.for_range(builder, bins) as loop:
            along = builder.mul(loop.index, channels)
            source = builder.gep(chosen, [builder.add(i0, along)], source_etype=ir.IntType(8))
            index = builder.load(builder.bitcast(source, places.as_pointer()), typ=places)
            index.align = 1
            same = emit.mask(builder.icmp_signed("==", builder.zext(index, emit.integers), wanted))
            v = emit.choose(same, emit.load(dy, builder.add(y0, along)), emit.constant(0))
            target = builder.add(d0, builder.mul(loop.index, d_bin))
            emit.store(builder.fadd(emit.load(d, target), v), d, target)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _reduce(typingctx, z, z0, d, d0, norm, channel, channels, positions, sums):
    """Add sum(dn xhat), sum(dn), sum(d v where v <= 0) to sums[0..2], for 16 channels.

    v = scale z + shift, dn = d prelu'(v), xhat = (z - mean) inverse.
    """
    n = types.intp
    signature = types.void(z, n, d, n, norm, n, n, n, sums)

    def codegen(context, builder, signature, args):
        z, z0, d, d0, norm, channel, channels, positions, sums = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        z, d, norm, sums = (emit.data(signature.args[i], args[i]) for i in (0, 2, 4, 8))
        table = _Norm(emit, norm, channel, channels)
        scale, shift, slope, mean, inverse = (table[row] for row in (SCALE, SHIFT, SLOPE, MEAN, INVERSE))
        places = [builder.add(channel, builder.mul(channels, channels.type(i))) for i in range(3)]
        totals = [emit.total(emit.load(sums, place)) for place in places]
        with cgutils.for_range(builder, positions) as loop:
            along = builder.mul(loop.index, channels)
            v, g = emit.load(z, builder.add(z0, along)), emit.load(d, builder.add(d0, along))
            u = emit.fma(v, scale, shift)
            positive = emit.mask(builder.fcmp_ordered(">", u, emit.constant(0)))
            dn = builder.fmul(g, emit.choose(positive, emit.constant(1), slope))
            xhat = builder.fmul(builder.fsub(v, mean), inverse)
            emit.multiply_add(dn, xhat, totals[0])
            builder.store(builder.fadd(emit.value(totals[1]), dn), totals[1])
            emit.multiply_add(g, emit.choose(positive, emit.constant(0), u), totals[2])
        for place, total in zip(places, totals, strict=True):
            emit.store(emit.value(total), sums, place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _gradient(typingctx, z, z0, d, d0, norm, channel, channels, positions, dz, dz0):
    """dz = a dn + b z + c, with dn as in `_reduce`; for 16 channels."""
    n = types.intp
    signature = types.void(z, n, d, n, norm, n, n, n, dz, n)

    def codegen(context, builder, signature, args):
        z, z0, d, d0, norm, channel, channels, positions, dz, dz0 = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        z, d, norm, dz = (emit.data(signature.args[i], args[i]) for i in (0, 2, 4, 8))
        table = _Norm(emit, norm, channel, channels)
        scale, shift, slope, a, b, c = (table[row] for row in (SCALE, SHIFT, SLOPE, A, B, C))
        negative = builder.fmul(a, slope)
        with cgutils.for_range(builder, positions) as loop:
            along = builder.mul(loop.index, channels)
            v, g = emit.load(z, builder.add(z0, along)), emit.load(d, builder.add(d0, along))
            positive = emit.mask(builder.fcmp_ordered(">", emit.fma(v, scale, shift), emit.constant(0)))
            rest = emit.fma(v, b, c)
            emit.store(emit.fma(g, emit.choose(positive, a, negative), rest), dz, builder.add(dz0, along))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _taps_gradient(typingctx, dz, dz0, x, x0, x_row, reach, channel, channels, bins, dweight):
    """dweight[i, j] += sum_f dz[f] x[i, f + j d] for TAPS channels; reach = d * channels."""
    n = types.intp
    signature = types.void(dz, n, x, n, n, n, n, n, n, dweight)

    def codegen(context, builder, signature, args):
        dz, dz0, x, x0, x_row, reach, channel, channels, bins, dweight = args
        emit = Emitter(context, builder, signature.args[0].dtype, TAPS)
        dz, x, dweight = (emit.data(signature.args[i], args[i]) for i in (0, 2, 9))
        taps = []
        for i in range(3):
            row = builder.add(x0, builder.mul(x_row, x_row.type(i)))
            for j in range(3):
                start = builder.add(row, builder.mul(reach, reach.type(j)))
                place = builder.add(channel, builder.mul(channels, channels.type(3 * i + j)))
                taps.append((start, place, emit.total(emit.load(dweight, place))))
        with cgutils.for_range(builder, bins) as loop:
            along = builder.mul(loop.index, channels)
            d = emit.load(dz, builder.add(dz0, along))
            for start, _, total in taps:
                emit.multiply_add(d, emit.load(x, builder.add(start, along)), total)
        for _, place, total in taps:
            emit.store(emit.value(total), dweight, place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _softmax_gradient(typingctx, q, q0, d, d0, size):
    """q = q (d - sum(d q)) over `size` numbers, a multiple of 16: the gradient takes the softmax's place."""
    n = types.intp
    signature = types.void(q, n, d, n, n)

    def codegen(context, builder, signature, args):
        q, q0, d, d0, size = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        q, d = emit.data(signature.args[0], q), emit.data(signature.args[2], d)
        lanes = size.type(LANES)
        count = builder.udiv(size, lanes)
        total = emit.total(emit.constant(0))
        with cgutils.for_range(builder, count) as loop:
            along = builder.mul(loop.index, lanes)
            emit.multiply_add(
                emit.load(q, builder.add(q0, along)), emit.load(d, builder.add(d0, along)), total
            )
        total = emit.splat(emit.across(builder.fadd, emit.value(total)))
        with cgutils.for_range(builder, count) as loop:
            along = builder.mul(loop.index, lanes)
            place = builder.add(q0, along)
            rest = builder.fsub(emit.load(d, builder.add(d0, along)), total)
            emit.store(builder.fmul(emit.load(q, place), rest), q, place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _key_weights(typingctx, k, k0, row, positions, largest, scale, channel):
    """k = exp(k - largest) scale, for 16 channels of positions that are `row` apart."""
    n = types.intp
    signature = types.void(k, n, n, n, largest, scale, n)

    def codegen(context, builder, signature, args):
        k, k0, row, positions, largest, scale, channel = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        k, largest, scale = (emit.data(signature.args[i], args[i]) for i in (0, 4, 5))
        largest, scale = emit.load(largest, channel), emit.load(scale, channel)
        with cgutils.for_range(builder, positions) as loop:
            place = builder.add(k0, builder.mul(loop.index, row))
            v = emit.exp(builder.fsub(emit.load(k, place), largest))
            emit.store(builder.fmul(v, scale), k, place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _key_gradient(typingctx, k, k0, d, d0, row, positions, mean, channel):
    """d = k (d - mean), for 16 channels of positions that are `row` apart, in place."""
    n = types.intp
    signature = types.void(k, n, d, n, n, n, mean, n)

    def codegen(context, builder, signature, args):
        k, k0, d, d0, row, positions, mean, channel = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        k, d, mean = (emit.data(signature.args[i], args[i]) for i in (0, 2, 6))
        mean = emit.load(mean, channel)
        with cgutils.for_range(builder, positions) as loop:
            along = builder.mul(loop.index, row)
            place = builder.add(d0, along)
            rest = builder.fsub(emit.load(d, place), mean)
            emit.store(builder.fmul(emit.load(k, builder.add(k0, along)), rest), d, place)
        return context.get_dummy_value()

    return signature, codegen


@compile_function
def _add_columns(x, x0, row, positions, channels, sums):
    for c in range(0, channels, LANES):
        _add_column(x, x0 + c, row, positions, sums, c)


@compile_function
def _moment_rows(z, z0, channels, positions, pivot, row, sums):
    """Add a group's sums about `pivot` to sums, (2, channels) in float64; `row` is scratch."""
    for c in range(0, channels, LANES):
        _sums(z, z0 + c, channels, positions, pivot, c, row)
    for c in range(2 * channels):
        sums[c] += row[c]


@compile_function
def stem_rows(x, x_row, weight, bias, z, inputs, channels, bins, start, stop, pivot, row, sums):
    """Rows [start, stop) of the stem's convolution, and their moments; x has an empty bin on both sides."""
    for t in range(start, stop):
        z0 = t * bins * channels
        panels(
            x, t * x_row, inputs, 1, x_row, weight, bias, 0, 0,
            z, z0, channels, bins, 3 * inputs, 3, channels,
        )  # fmt: skip
        if t == start:
            pivot[:channels] = z[z0 : z0 + channels]
        _moment_rows(z, z0, channels, bins, pivot, row, sums)


@compile_function
def activate_rows(z, z0, norm, y, y0, y_row, y_bin, channels, bins, rows):
    """y = prelu(scale z + shift) for rows of z that lie together, to rows and bins of any distance."""
    for t in range(rows):
        for c in range(0, channels, LANES):
            _activate(
                z, z0 + t * bins * channels + c, norm, c, channels, y, y0 + t * y_row + c, y_bin, bins
            )  # fmt: skip


@compile_function
def _depthwise_rows(x, x0, x_row, dilation, weight, bias, ones, z, channels, bins, rows):
    for t in range(rows):
        for c in range(0, channels, TAPS):
            _taps(
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
        _depthwise_rows(
            x, x0 + first * x_row, x_row, dilation, weight, bias, ones, inner, channels, bins, count
        )
        if first == 0:
            pivot[:channels] = inner[:channels]
        _moment_rows(inner, 0, channels, count * bins, pivot, row, sums)


@compile_function
def pointwise_moments(
    x, x0, x_row, dilation, depthwise, bias, ones, norm, inner, active, weight, bias2, z, z0,
    inputs, channels, bins, rows, group, pivot, row, sums,
):  # fmt: skip
    """`rows` rows of z: depthwise convolution, normalisation, PReLU, pointwise convolution; and z's moments."""
    for first in range(0, rows, group):
        count = min(group, rows - first)
        start = z0 + first * bins * channels
        _depthwise_rows(
            x, x0 + first * x_row, x_row, dilation, depthwise, bias, ones, inner, inputs, bins, count
        )
        activate_rows(inner, 0, norm, active, 0, 0, inputs, inputs, count * bins, 1)
        panel_product(active, 0, inputs, 1, weight, bias2, 0, 0, z, start, channels, count * bins, inputs, channels)
        if first == 0:
            pivot[:channels] = z[start : start + channels]
        _moment_rows(z, start, channels, count * bins, pivot, row, sums)


@compile_function
def _pool_rows(z, z0, norm, y, y0, y_row, chosen, i0, i_row, pool, width, channels, bins, rows):
    size = bins * channels
    for t in range(rows):
        for c in range(0, channels, LANES):
            _largest_of(
                z, z0 + t * pool * size + c, size, pool, width, norm, c, channels,
                y, y0 + t * y_row + c, chosen, i0 + t * i_row + c, bins // width,
            )  # fmt: skip


@compile_function
def pooled_rows(z, z0, norm, y, y0, y_row, chosen, i0, pool, width, channels, bins, rows):
    """`rows` rows of y, the largest prelu(scale z + shift) of each window, and which these are."""
    _pool_rows(z, z0, norm, y, y0, y_row, chosen, i0, bins // width * channels, pool, width, channels, bins, rows)


@compile_function
def active_moments(z, z0, norm, active, channels, positions, group, pair, moments):
    """moments[i] = mean, and sum of squares about it, of the i-th group of prelu(scale z + shift)."""
    for i in range(len(moments)):
        first = i * group
        count = min(group, positions - first)
        activate_rows(z, z0 + first * channels, norm, active, 0, 0, channels, channels, count, 1)
        size = count * channels
        _moments(active, 0, size, pair)
        moments[i, 0] = active[0] + pair[0] / size
        moments[i, 1] = pair[1] - pair[0] * pair[0] / size


@compile_function
def summarise_active(
    z, z0, norm, active, key, nothing, keys, packed, channels, width, positions, tile,
    largest, total, scale, summary,
):  # fmt: skip
    """:func:`acdref.ops.fused_kernel.summarise` of prelu(scale z + shift)."""
    for first in range(0, positions, tile):
        count = min(tile, positions - first)
        activate_rows(z, z0 + first * channels, norm, active, 0, 0, channels, channels, count, 1)
        summarise(
            active, 0, key, nothing, keys, packed, channels, width, count, tile, largest, total, scale, summary
        )


@compile_function
def _add_reduced(z, z0, d, d0, norm, channels, positions, partial, sums):
    """Add the sums of `_reduce` to sums, (3, channels) in float64; `partial` is scratch."""
    partial[: 3 * channels] = 0
    for c in range(0, channels, LANES):
        _reduce(z, z0 + c, d, d0 + c, norm, c, channels, positions, partial)
    for c in range(3 * channels):
        sums[c] += partial[c]


@compile_function
def _queries(active, query, bias, queries, row, channels, width, positions):
    panel_product(active, 0, channels, 1, query, bias, 0, 0, queries, 0, row, positions, channels, width)
    for p in range(positions):
        _softmax(queries, p * row, width)


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
        _queries(active, query, bias, queries, width, channels, width, positions)
        panel_product(
            queries, 0, width, 1, answer, active, 0, channels, outer, 0, channels, positions, width, channels
        )
        _pool_rows(
            outer, 0, plain, y, y0 + first * y_row, y_row, chosen, i0 + first * i_row, i_row,
            pool, pool_width, channels, bins, count,
        )  # fmt: skip


@compile_function
def _unpooled(dy, y_row, chosen, pool, width, pooled, d, channels, bins, start, stop, clear):
    """Rows [start, stop) of the pool's gradient, to the head of d, or added to it; `pooled` rows exist of dy."""
    size = bins * channels
    if clear:
        d[: (stop - start) * size] = 0
    across = bins // width
    for t in range(start, min(stop, pooled * pool)):
        for j in range(width):
            for c in range(0, channels, LANES):
                _unpool(
                    dy, t // pool * y_row + c, chosen, t // pool * across * channels + c, t % pool * width + j,
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
        _queries(active, query, bias, queries, row, channels, width, positions)
        _unpooled(dy, y_row, chosen, pool, pool_width, pooled, d, channels, bins, first, first + count, True)
        pack_rows(d, 0, positions, channels, packed)
        panel_product(
            queries, 0, 1, row, packed, danswer, 0, channels,
            danswer, 0, channels, width, positions, channels,
        )  # fmt: skip


@compile_function
def attention_gradient(
    z, norm, active, projections, biases, projected, largest, scale, dy, y_row, chosen, pool, pool_width, pooled,
    d, answers, dqueries, key_mean, back, packed, dweight, dbias, group_norm, dx, partial, sums,
    channels, width, bins, start, stop, group,
):  # fmt: skip
    """Gradient dx of attention's normalised input, over rows [start, stop) of a clip; and its weights'.

    `projections` is [query | dsummary^T | key], so that one product gives the queries, the gradient of the keys'
    weights and the keys; `back` is [query^T; key^T; dsummary], which takes [dquery | dkey | key weights] to dx.
    dweight, (2 width, channels), and dbias, (2 width), are added to, and so are `sums`, for the backward pass of
    the normalisation by `group_norm`.
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
            _key_weights(projected, 2 * width + c, row, positions, largest, scale, c)
            _key_gradient(projected, 2 * width + c, projected, width + c, row, positions, key_mean, c)
        for p in range(positions):
            _softmax(projected, p * row, width)
            _softmax_gradient(projected, p * row, dqueries, p * width, width)
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

    With attention (`attended`), d is what its backward pass left in `dx`, normalised by `group_norm`, plus the
    pool's gradient.
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
            _gradient(active, c, dx, start * size + c, group_norm, c, channels, positions, d, c)
    _unpooled(dy, y_row, chosen, pool, width, pooled, d, channels, bins, start, stop, not attended)


@compile_function
def pointwise_gradient(
    x, x0, x_row, dilation, depthwise, bias, ones, norm1, inner, active, back, nothing,
    z, norm, group_norm, active2, dx, attended, dy, y_row, chosen, pool, width, pooled, d, dz, packed,
    dweight, dbias, dinner, partial, sums, inputs, channels, bins, start, stop, group,
):  # fmt: skip
    """Gradient `dinner` in front of a block's pointwise convolution, over rows [start, stop) of a clip.

    x0 is the first row that row `start` of the depthwise convolution sees.  dweight and dbias are added to, and
    so are `sums`, for the backward pass of the normalisation before.
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
            _gradient(z, first * size + c, d, c, norm, c, channels, positions, dz, c)
        _add_columns(dz, 0, channels, positions, channels, dbias)
        _depthwise_rows(
            x, x0 + (first - start) * x_row, x_row, dilation, depthwise, bias, ones, inner, inputs, bins, count
        )
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

    dx row t needs rows t - 2 dilation to t of dz, which are made in scratch with empty bins; x0 is the first row
    that row start - 2 dilation sees.  Rows of dz from `start` on are counted in dweight and dbias.
    """
    size, frame = bins * inputs, (bins + 2 * dilation) * inputs
    lowest = start - 2 * dilation
    for t in range(lowest, stop):
        d0 = (t - lowest) * frame + dilation * inputs
        if t < 0 or t >= rows:
            dz[d0 : d0 + size] = 0
            continue
        source = x0 + (t - lowest) * x_row
        _depthwise_rows(x, source, x_row, dilation, depthwise, bias, ones, inner, inputs, bins, 1)
        for c in range(0, inputs, LANES):
            _gradient(inner, c, dinner, t * size + c, norm, c, inputs, bins, dz, d0 + c)
        if t >= start:
            _add_columns(dz, d0, inputs, bins, inputs, dbias)
            for c in range(0, inputs, TAPS):
                _taps_gradient(
                    dz, d0 + c, x, source + c, x_row * dilation, dilation * inputs, c, inputs, bins, dweight
                )  # fmt: skip
    for t in range(start, stop):
        for c in range(0, inputs, TAPS):
            _taps(
                dz, (t - start) * frame + c, frame * dilation, dilation * inputs, flipped, c, nothing, ones, c,
                dx, dx0 + (t - start) * size + c, inputs, bins,
            )  # fmt: skip


@compile_function
def norm_reductions(z, norm, d, partial, sums, channels, bins, start, stop):
    """Sums of normalisation's backward pass over rows [start, stop) of a clip."""
    for t in range(start, stop):
        at = t * bins * channels
        _add_reduced(z, at, d, at, norm, channels, bins, partial, sums)


@compile_function
def stem_gradient(x, x_row, z, norm, d, dz, packed, dweight, dbias, inputs, channels, bins, start, stop):
    """Add the share of rows [start, stop) to the gradients of the stem's weight (9 inputs, channels) and bias."""
    size = bins * channels
    for t in range(start, stop):
        for c in range(0, channels, LANES):
            _gradient(z, t * size + c, d, t * size + c, norm, c, channels, bins, dz, c)
        _add_columns(dz, 0, channels, bins, channels, dbias)
        pack_rows(dz, 0, bins, channels, packed)
        for i in range(3):
            first = 3 * i * inputs * channels
            panel_product(
                x, (t + i) * x_row, 1, inputs, packed, dweight, first, channels,
                dweight, first, channels, 3 * inputs, bins, channels,
            )  # fmt: skip
