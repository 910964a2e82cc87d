"""Loops over the positions of one vector of channels, that kernels of inference and of training share.

`channels` is the distance from position to position, `c0` the first of the 16 channels (TAPS, for the
convolution) at hand.
"""

from acdref.ops.layout import LANES
from acdref.ops.vectors import TAPS, vector_code


def by_fours(emit, bins, reach, channels, write):
    """Write ``write(f, count)`` for all bins f, f + d, ... of a depthwise convolution; reach = d * channels.

    Bins that lie d apart see the same columns: four of them go through together, and load each once.  With
    nine weights, four are as many as 16 registers hold.
    """
    builder = emit.builder
    dilation = builder.udiv(reach, channels)
    together = builder.mul(dilation, dilation.type(4))
    groups = builder.udiv(bins, together)
    done = builder.mul(groups, together)
    with emit.loop(groups) as group, emit.loop(dilation) as f:
        write(emit.at(f, (group, together)), 4)
    with emit.loop(builder.sub(bins, done)) as f:
        write(builder.add(done, f), 1)


@vector_code(lanes=TAPS)
def taps(emit, x, x0, x_row, reach, weight, w0, bias, slope, c0, y, y0, channels, bins):
    """y[f] = prelu(bias + sum_ij x[i, f + j d] weight[i, j]) for TAPS channels; reach = d * channels."""
    weights = [[emit.load(weight, emit.at(w0, (channels, 3 * i + j))) for j in range(3)] for i in range(3)]
    bias, slope = emit.load(bias, c0), emit.load(slope, c0)

    def outputs(f, count):
        totals = [bias] * count
        for i in range(3):
            row = emit.place(x, emit.at(x0, (x_row, i), (f, channels)))
            for column in range(count + 2):
                v = emit.load(row, emit.at(reach.type(0), (reach, column)))
                for k in range(max(0, column - 2), min(column + 1, count)):
                    totals[k] = emit.fma(v, weights[i][column - k], totals[k])
        place = emit.place(y, emit.at(y0, (f, channels)))
        for k, total in enumerate(totals):
            emit.store(emit.prelu(total, slope), place, emit.at(reach.type(0), (reach, k)))

    by_fours(emit, bins, reach, channels, outputs)


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
def pack_panel(emit, x, x0, x_row, rows, y, y0):
    """Put 16 columns of `rows` rows one after the other."""
    with emit.loop(rows) as i:
        emit.store(emit.load(x, emit.at(x0, (i, x_row))), y, emit.at(y0, (i, LANES)))


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
def column_softmax(emit, x, x0, x_row, rows, best, total, scale, c0):
    """x = exp(x - best) for 16 columns of `rows` rows; best, the largest, and `total` run from call to call.

    When the largest number rises, `scale` says by what the sums so far have to be multiplied.  `best` may
    miss a NaN; `total` does not.
    """
    builder = emit.builder
    before = emit.load(best, c0)
    now = emit.total(before)
    with emit.loop(rows) as i:
        emit.set(now, emit.larger(emit.value(now), emit.load(x, emit.at(x0, (i, x_row)))))
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
