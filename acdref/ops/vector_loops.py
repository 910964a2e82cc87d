"""Loops over the positions of one vector of channels, that kernels of inference and of training share.

`channels` is the distance from position to position, `c0` the first of the 16 channels (TAPS, for the
convolution) at hand.
"""

from llvmlite import ir

from acdref.ops.layout import LANES
from acdref.ops.vectors import TAPS, vector_code

_CACHE_LINE = 64  # bytes


@vector_code(lanes=TAPS)
def taps(emit, x, x0, x_row, reach, weight, w0, bias, slope, c0, y, y0, channels, bins):
    """y[f] = prelu(bias + sum_ij x[i, f + j d] weight[i, j]) for TAPS channels; reach = d * channels."""
    window = [
        (emit.at(x0, (x_row, i), (reach, j)), emit.load(weight, emit.at(w0, (channels, 3 * i + j))))
        for i in range(3)
        for j in range(3)
    ]
    bias, slope = emit.load(bias, c0), emit.load(slope, c0)
    with emit.loop(bins) as f:
        total = bias
        for start, weight in window:
            total = emit.fma(emit.load(x, emit.at(start, (f, channels))), weight, total)
        emit.store(emit.prelu(total, slope), y, emit.at(y0, (f, channels)))


@vector_code
def prelu(emit, x, x0, slope, c0, channels, bins):
    """x = prelu(x), in place."""
    slope = emit.load(slope, c0)
    with emit.loop(bins) as f:
        place = emit.at(x0, (f, channels))
        emit.store(emit.prelu(emit.load(x, place), slope), x, place)


@vector_code
def largest(emit, x, x0, x_row, rows, x_bin, width, slope, c0, y, y0, channels, bins):
    """y[f] = the largest prelu(x) of each window of `rows` x `width`, of `bins` windows."""
    slope = emit.load(slope, c0)
    with emit.loop(bins) as f:
        window = emit.at(x0, (f, emit.builder.mul(x_bin, width)))
        best = emit.total(emit.prelu(emit.load(x, window), slope))
        with emit.loop(rows) as i, emit.loop(width) as j:
            v = emit.prelu(emit.load(x, emit.at(window, (i, x_row), (j, x_bin))), slope)
            emit.set(best, emit.maximum(emit.value(best), v))
        emit.store(emit.value(best), y, emit.at(y0, (f, channels)))


@vector_code
def moments_about_first(emit, x, x0, size, out):
    """out[0], out[1] = sum(x - x[x0]), sum (x - x[x0])^2 over `size` numbers, a multiple of 16."""
    builder = emit.builder
    pivot = emit.spread(x, x0)
    sums = first, second = emit.total(emit.constant(0)), emit.total(emit.constant(0))
    with emit.loop(builder.udiv(size, size.type(LANES))) as i:
        v = builder.fsub(emit.load(x, emit.at(x0, (i, LANES))), pivot)
        emit.add(v, first)
        emit.multiply_add(v, v, second)
    for index, total in enumerate(sums):
        value = emit.across(builder.fadd, emit.value(total))
        builder.store(value, builder.gep(out, [size.type(index)], source_etype=emit.element))


@vector_code
def softmax(emit, x, x0, size):
    """Softmax of `size` numbers, a multiple of 16, in place."""
    builder = emit.builder
    count = builder.udiv(size, size.type(LANES))
    best = emit.total(emit.load(x, x0))
    with emit.loop(count) as i:
        emit.set(best, emit.maximum(emit.value(best), emit.load(x, emit.at(x0, (i, LANES)))))
    best = emit.splat(emit.across(emit.maximum, emit.value(best)))
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
def column_softmax(emit, x, x0, x_row, rows, best, total, scale, c0):
    """x = exp(x - best) for 16 columns of `rows` rows; best, the largest, and `total` run from call to call.

    When the largest number rises, `scale` says by what the sums so far have to be multiplied.
    """
    builder = emit.builder
    before = emit.load(best, c0)
    now = emit.total(before)
    with emit.loop(rows) as i:
        emit.set(now, emit.maximum(emit.value(now), emit.load(x, emit.at(x0, (i, x_row)))))
    now = emit.value(now)
    factor = emit.exp(builder.fsub(before, now))
    sums = emit.total(builder.fmul(emit.load(total, c0), factor))
    with emit.loop(rows) as i:
        place = emit.at(x0, (i, x_row))
        v = emit.exp(builder.fsub(emit.load(x, place), now))
        emit.store(v, x, place)
        emit.add(v, sums)
    emit.store(now, best, c0)
    emit.store(emit.value(sums), total, c0)
    emit.store(factor, scale, c0)


@vector_code
def prefetch(emit, x, x0, size):
    """Ask for `size` numbers, that will be read soon; they may lie beyond the array's end."""
    _ask(emit, x, x0, size, write=0)


@vector_code
def prefetch_to_write(emit, x, x0, size):
    """Ask for the place of `size` numbers, that will be written soon."""
    _ask(emit, x, x0, size, write=1)


def _ask(emit, x, x0, size, write):
    builder, number, byte = emit.builder, ir.IntType(32), ir.IntType(8)
    function = builder.module.declare_intrinsic(
        "llvm.prefetch",
        [byte.as_pointer()],
        ir.FunctionType(ir.VoidType(), [byte.as_pointer(), *[number] * 3]),
    )
    kind = number(write), number(3), number(1)  # to all levels of the cache, that of data
    step = _CACHE_LINE // emit.alignment
    start = builder.bitcast(builder.gep(x, [x0], source_etype=emit.element), byte.as_pointer())
    with emit.loop(builder.udiv(builder.add(size, size.type(step - 1)), size.type(step))) as i:
        offset = builder.mul(i, i.type(_CACHE_LINE))
        builder.call(function, [builder.gep(start, [offset], source_etype=byte), *kind])
