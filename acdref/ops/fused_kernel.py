"""Whole blocks of a network a few rows at a time, so that what lies between two maps never leaves the cache.

For inference only: normalisation is folded into the weights.  Maps are flat arrays of rows of bins of
channels.  Channels are padded with zeros to whole vectors, and each row that a 3x3 window will see has empty
bins on both sides; so no kernel here has edges or rests to think of.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from acdref.ops.kernel import compile_function
from acdref.ops.microkernel import pack_rows, panel_product, panels
from acdref.ops.vectors import LANES, TAPS, Emitter


@intrinsic
def _taps(typingctx, x, x0, x_row, reach, weight, w0, bias, slope, c0, y, y0, channels, bins):
    """y[f] = prelu(bias + sum_ij x[i, f + j d] weight[i, j]) for TAPS channels; reach = d * channels."""
    n = types.intp
    signature = types.void(x, n, n, n, weight, n, bias, slope, n, y, n, n, n)

    def codegen(context, builder, signature, args):
        x, x0, x_row, reach, weight, w0, bias, slope, c0, y, y0, channels, bins = args
        emit = Emitter(context, builder, signature.args[0].dtype, TAPS)
        x, weight, bias, slope, y = (emit.data(signature.args[i], args[i]) for i in (0, 4, 6, 7, 9))
        taps = []
        for i in range(3):
            row = builder.add(x0, builder.mul(x_row, ir.Constant(x_row.type, i)))
            for j in range(3):
                start = builder.add(row, builder.mul(reach, ir.Constant(reach.type, j)))
                place = builder.add(w0, builder.mul(channels, ir.Constant(channels.type, 3 * i + j)))
                taps.append((start, emit.load(weight, place)))
        bias, slope = emit.load(bias, c0), emit.load(slope, c0)
        with cgutils.for_range(builder, bins) as loop:
            along = builder.mul(loop.index, channels)
            total = bias
            for start, tap in taps:
                total = emit.fma(emit.load(x, builder.add(start, along)), tap, total)
            emit.store(emit.prelu(total, slope), y, builder.add(y0, along))
        return context.get_dummy_value()

    return signature, codegen


def _prefetcher(write):
    """The intrinsic ``prefetch(x, x0, size)``: ask for `size` numbers before they are needed."""

    @intrinsic
    def prefetch(typingctx, x, x0, size):
        n = types.intp
        signature = types.void(x, n, n)

        def codegen(context, builder, signature, args):
            x, x0, size = args
            emit = Emitter(context, builder, signature.args[0].dtype)
            x = builder.bitcast(emit.data(signature.args[0], x), ir.IntType(8).as_pointer())
            kinds = [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3]
            function = builder.module.declare_intrinsic(
                "llvm.prefetch", [kinds[0]], ir.FunctionType(ir.VoidType(), kinds)
            )
            wanted = [ir.Constant(ir.IntType(32), number) for number in (write, 3, 1)]
            bytes_each = size.type(emit.alignment)
            start, stop = (builder.mul(v, bytes_each) for v in (x0, builder.add(x0, size)))
            with cgutils.for_range_slice(builder, start, stop, size.type(64)) as (place, _):
                builder.call(function, [builder.gep(x, [place], source_etype=ir.IntType(8)), *wanted])
            return context.get_dummy_value()

        return signature, codegen

    return prefetch


_prefetch = _prefetcher(write=0)
_prefetch_to_write = _prefetcher(write=1)


@intrinsic
def _prelu(typingctx, x, x0, slope, c0, channels, bins):
    """x = prelu(x) for 16 channels of `bins` bins, in place."""
    n = types.intp
    signature = types.void(x, n, slope, n, n, n)

    def codegen(context, builder, signature, args):
        x, x0, slope, c0, channels, bins = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        x, slope = (emit.data(signature.args[i], args[i]) for i in (0, 2))
        slope = emit.load(slope, c0)
        with cgutils.for_range(builder, bins) as loop:
            place = builder.add(x0, builder.mul(loop.index, channels))
            emit.store(emit.prelu(emit.load(x, place), slope), x, place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _largest(typingctx, x, x0, x_row, rows, x_bin, width, slope, c0, y, y0, channels, bins):
    """y[f] = the largest prelu(x) of each window of `rows` x `width`, for 16 channels of `bins` windows."""
    n = types.intp
    signature = types.void(x, n, n, n, n, n, slope, n, y, n, n, n)

    def codegen(context, builder, signature, args):
        x, x0, x_row, rows, x_bin, width, slope, c0, y, y0, channels, bins = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        x, slope, y = (emit.data(signature.args[i], args[i]) for i in (0, 6, 8))
        slope = emit.load(slope, c0)
        with cgutils.for_range(builder, bins) as loop:
            window = builder.add(x0, builder.mul(loop.index, builder.mul(x_bin, width)))
            best = emit.total(emit.prelu(emit.load(x, window), slope))
            with cgutils.for_range(builder, rows) as i:
                row = builder.add(window, builder.mul(i.index, x_row))
                with cgutils.for_range(builder, width) as j:
                    place = builder.add(row, builder.mul(j.index, x_bin))
                    v = emit.prelu(emit.load(x, place), slope)
                    builder.store(emit.maximum(emit.value(best), v), best)
            emit.store(emit.value(best), y, builder.add(y0, builder.mul(loop.index, channels)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _moments(typingctx, x, x0, size, out):
    """out[0], out[1] = sum(x - x[x0]), sum (x - x[x0])^2 over `size` numbers, a multiple of 16."""
    n = types.intp
    signature = types.void(x, n, n, out)

    def codegen(context, builder, signature, args):
        x, x0, size, out = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        x, out = emit.data(signature.args[0], x), emit.data(signature.args[3], out)
        pivot = emit.spread(x, x0)
        first, second = emit.total(emit.constant(0)), emit.total(emit.constant(0))
        with cgutils.for_range(builder, builder.udiv(size, ir.Constant(size.type, LANES))) as loop:
            place = builder.add(x0, builder.mul(loop.index, ir.Constant(size.type, LANES)))
            v = builder.fsub(emit.load(x, place), pivot)
            builder.store(builder.fadd(emit.value(first), v), first)
            emit.multiply_add(v, v, second)
        for index, total in enumerate((first, second)):
            value = emit.across(builder.fadd, emit.value(total))
            builder.store(value, builder.gep(out, [ir.Constant(size.type, index)], source_etype=emit.element))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _softmax(typingctx, x, x0, size):
    """Softmax of `size` numbers, a multiple of 16, in place."""
    n = types.intp
    signature = types.void(x, n, n)

    def codegen(context, builder, signature, args):
        kind, x0, size = signature.args[0], args[1], args[2]
        emit = Emitter(context, builder, kind.dtype)
        x = emit.data(kind, args[0])
        lanes = ir.Constant(size.type, LANES)
        count = builder.udiv(size, lanes)
        largest = emit.total(emit.load(x, x0))
        with cgutils.for_range(builder, count) as loop:
            v = emit.load(x, builder.add(x0, builder.mul(loop.index, lanes)))
            builder.store(emit.maximum(emit.value(largest), v), largest)
        largest = emit.splat(emit.across(emit.maximum, emit.value(largest)))
        total = emit.total(emit.constant(0))
        with cgutils.for_range(builder, count) as loop:
            place = builder.add(x0, builder.mul(loop.index, lanes))
            v = emit.exp(builder.fsub(emit.load(x, place), largest))
            emit.store(v, x, place)
            builder.store(builder.fadd(emit.value(total), v), total)
        scale = builder.fdiv(emit.constant(1), emit.splat(emit.across(builder.fadd, emit.value(total))))
        with cgutils.for_range(builder, count) as loop:
            place = builder.add(x0, builder.mul(loop.index, lanes))
            emit.store(builder.fmul(emit.load(x, place), scale), x, place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _column_softmax(typingctx, x, x0, x_row, rows, largest, total, scale, c0):
    """x = exp(x - largest) for 16 columns of `rows` rows, where `largest` and `total` run from call to call.

    When the largest number rises, `scale` says by what the sums so far have to be multiplied.
    """
    n = types.intp
    signature = types.void(x, n, n, n, largest, total, scale, n)

    def codegen(context, builder, signature, args):
        x, x0, x_row, rows, largest, total, scale, c0 = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        x, largest, total, scale = (emit.data(signature.args[i], args[i]) for i in (0, 4, 5, 6))
        before = emit.load(largest, c0)
        best = emit.total(before)
        with cgutils.for_range(builder, rows) as loop:
            v = emit.load(x, builder.add(x0, builder.mul(loop.index, x_row)))
            builder.store(emit.maximum(emit.value(best), v), best)
        now = emit.value(best)
        factor = emit.exp(builder.fsub(before, now))
        sums = emit.total(builder.fmul(emit.load(total, c0), factor))
        with cgutils.for_range(builder, rows) as loop:
            place = builder.add(x0, builder.mul(loop.index, x_row))
            v = emit.exp(builder.fsub(emit.load(x, place), now))
            emit.store(v, x, place)
            builder.store(builder.fadd(emit.value(sums), v), sums)
        emit.store(now, largest, c0)
        emit.store(emit.value(sums), total, c0)
        emit.store(factor, scale, c0)
        return context.get_dummy_value()

    return signature, codegen


@compile_function
def conv_rows(x, x_row, weight, bias, slope, y, y_row, pad, inputs, channels, bins, start, stop):
    """Rows [start, stop) of a full 3x3 convolution and PReLU, written from the head of y on.

    x has one empty bin on both sides of each row, y gets `pad`; weight is packed, 3 groups of 3 * inputs.
    """
    for t in range(start, stop):
        y0 = (t - start) * y_row + pad * channels
        panels(
            x, t * x_row, inputs, 1, x_row, weight, bias, 0, 0,
            y, y0, channels, bins, 3 * inputs, 3, channels,
        )  # fmt: skip
        for c in range(0, channels, LANES):
            _prelu(y, y0 + c, slope, c, channels, bins)


@compile_function
def _separable_rows(
    x, x0, x_row, dilation, depthwise, bias, slope, inner, weight, bias2, y, y0, y_row,
    inputs, channels, bins, rows,
):  # fmt: skip
    """`rows` rows of depthwise 3x3 convolution, PReLU (into `inner`) and pointwise convolution."""
    for t in range(rows):
        for c in range(0, inputs, TAPS):
            _taps(
                x, x0 + t * x_row + c, x_row * dilation, dilation * inputs, depthwise, c, bias, slope, c,
                inner, c, inputs, bins,
            )  # fmt: skip
        panel_product(inner, 0, inputs, 1, weight, bias2, 0, 0, y, y0 + t * y_row, channels, bins, inputs, channels)


@compile_function
def _pool_row(x, size, pool, width, slope, y, y0, channels, bins):
    """One row of the largest prelu(x) of each window; `size` is the length of a row of x."""
    for c in range(0, channels, LANES):
        _largest(x, c, size, pool, channels, width, slope, c, y, y0 + c, channels, bins // width)


@compile_function
def pooled_rows(
    x, x0, x_row, dilation, depthwise, bias, slope, inner, weight, bias2, slope2, outer,
    y, y0, y_row, pool, width, inputs, channels, bins, rows, strip,
):  # fmt: skip
    """`rows` pooled rows of a block; x0 and y0 are the first window's and the first output's.

    `strip` bins go through together, a multiple of the pool's width: so few that they stay in the nearest cache.
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
    """`rows` rows of a block up to its attention; moments[t] gets a row's mean and sum of squares about it."""
    size = bins * channels
    pair = np.empty(2, x.dtype)
    for t in range(rows):
        row = y0 + t * size
        for f in range(0, bins, strip):
            count, start = min(strip, bins - f), row + f * channels
            _prefetch_to_write(y, start + count * channels, count * channels)
            _separable_rows(
                x, x0 + t * x_row + f * inputs, x_row, dilation, depthwise, bias, slope, inner,
                weight, bias2, y, start, size, inputs, channels, count, 1,
            )  # fmt: skip
            for c in range(0, channels, LANES):
                _prelu(y, start + c, slope2, c, channels, count)
        _moments(y, row, size, pair)
        moments[t, 0] = y[row] + pair[0] / size
        moments[t, 1] = pair[1] - pair[0] * pair[0] / size


@compile_function
def summarise(
    x, x0, key, nothing, keys, packed, channels, width, positions, tile, largest, total, scale, summary
):
    """Add to `summary` (width x channels) sum_p exp(k_p - largest) x_p over positions, and to `total` the weights.

    k = x key, kept in `keys` (tile x (width + 16)); `largest`, `total` and `summary` run from call to call, beginning with -inf, 0 and 0.
    """
    stride = width + LANES  # a power of two would put a column's numbers into few places of the cache
    for first in range(0, positions, tile):
        count = min(tile, positions - first)
        start = x0 + first * channels
        _prefetch(x, start + count * channels, min(tile, positions - first - count) * channels)
        panel_product(x, start, channels, 1, key, nothing, 0, 0, keys, 0, stride, count, channels, width)
        for c in range(0, width, LANES):
            _column_softmax(keys, c, stride, count, largest, total, scale, c)
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
                _prefetch(x, start + count * channels, count * channels)
                panel_product(x, start, channels, 1, query, bias, 0, 0, queries, 0, width, count, channels, width)
                for p in range(count):
                    _softmax(queries, p * width, width)
                panel_product(
                    queries, 0, width, 1, answer, x, start, channels,
                    outer, i * count * channels, channels, count, width, channels,
                )  # fmt: skip
            _pool_row(
                outer, count * channels, pool, pool_width, slope,
                y, y0 + t * y_row + f // pool_width * channels, channels, count,
            )  # fmt: skip
