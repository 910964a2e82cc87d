"""Rows of the depthwise convolution with explicit vectors: 16 channels of a row of bins at a time.

Channels-last maps have as few as 16 channels, too few for a compiled loop over channels to pay: setting it up
costs more than the loop.  Here the loop runs over bins instead, and the weights stay in registers.
"""

from numba.core import cgutils, types
from numba.extending import intrinsic

from acdref.ops.kernel import compile_function
from acdref.ops.vectors import LANES, Emitter

_BINS = 16  # that pass through all vectors of channels together: more would not stay in the nearest cache


@intrinsic
def _taps(typingctx, x, x0, reach, w, w0, y, y0, channels, bins):
    """y[f] += sum_j x[f + (j - 1) d] w[j], for 16 channels of `bins` bins; reach = d * channels elements."""
    n = types.intp
    signature = types.void(x, n, n, w, n, y, n, n, n)

    def codegen(context, builder, signature, args):
        x, x0, reach, w, w0, y, y0, channels, bins = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        x, w, y = (emit.data(signature.args[i], args[i]) for i in (0, 3, 5))
        w1 = builder.add(w0, channels)
        weights = [emit.load(w, start) for start in (w0, w1, builder.add(w1, channels))]
        starts = [builder.sub(x0, reach), x0, builder.add(x0, reach)]
        with cgutils.for_range(builder, bins) as loop:
            along = builder.mul(loop.index, channels)
            total = emit.total(emit.load(y, builder.add(y0, along)))
            for start, weight in zip(starts, weights, strict=True):
                emit.multiply_add(emit.load(x, builder.add(start, along)), weight, total)
            emit.store(emit.value(total), y, builder.add(y0, along))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _taps_gradient(typingctx, dy, y0, x, x0, reach, dw, w0, channels, bins):
    """dw[j] += sum_f dy[f] x[f + (j - 1) d], for 16 channels of `bins` bins."""
    n = types.intp
    signature = types.void(dy, n, x, n, n, dw, n, n, n)

    def codegen(context, builder, signature, args):
        dy, y0, x, x0, reach, dw, w0, channels, bins = args
        emit = Emitter(context, builder, signature.args[0].dtype)
        dy, x, dw = (emit.data(signature.args[i], args[i]) for i in (0, 2, 5))
        w1 = builder.add(w0, channels)
        places = [w0, w1, builder.add(w1, channels)]
        totals = [emit.total(emit.load(dw, place)) for place in places]
        starts = [builder.sub(x0, reach), x0, builder.add(x0, reach)]
        with cgutils.for_range(builder, bins) as loop:
            along = builder.mul(loop.index, channels)
            d = emit.load(dy, builder.add(y0, along))
            for start, total in zip(starts, totals, strict=True):
                emit.multiply_add(d, emit.load(x, builder.add(start, along)), total)
        for place, total in zip(places, totals, strict=True):
            emit.store(emit.value(total), dw, place)
        return context.get_dummy_value()

    return signature, codegen


@compile_function
def add_taps(x, x0, weight, w0, dilation, y, y0, channels, bins):
    """Add one row of x, seen through three taps of weights, to one row of y (flat arrays and offsets)."""
    inner = max(bins - 2 * dilation, 0)
    vectors = channels // LANES * LANES if inner else 0
    for f in range(0, inner, _BINS):
        count = min(_BINS, inner - f)
        for c in range(0, vectors, LANES):
            skipped = (dilation + f) * channels + c
            _taps(x, x0 + skipped, dilation * channels, weight, w0 + c, y, y0 + skipped, channels, count)
    for f in range(bins):
        first = vectors if dilation <= f < bins - dilation else 0
        if first < channels:
            for j in range(3):
                g = f + (j - 1) * dilation
                if 0 <= g < bins:
                    out, source = y[y0 + f * channels :], x[x0 + g * channels :]
                    factor = weight[w0 + j * channels :]
                    for c in range(first, channels):
                        out[c] += source[c] * factor[c]


@compile_function
def add_taps_gradient(dy, y0, x, x0, dilation, dweight, w0, channels, bins):
    """Add one row's share of the gradient of three taps of weights (flat arrays and offsets)."""
    inner = max(bins - 2 * dilation, 0)
    vectors = channels // LANES * LANES if inner else 0
    for f in range(0, inner, _BINS):
        count = min(_BINS, inner - f)
        for c in range(0, vectors, LANES):
            skipped = (dilation + f) * channels + c
            _taps_gradient(
                dy, y0 + skipped, x, x0 + skipped, dilation * channels, dweight, w0 + c, channels, count
            )  # fmt: skip
    for f in range(bins):
        first = vectors if dilation <= f < bins - dilation else 0
        if first < channels:
            for j in range(3):
                g = f + (j - 1) * dilation
                if 0 <= g < bins:
                    total, source = dweight[w0 + j * channels :], x[x0 + g * channels :]
                    d = dy[y0 + f * channels :]
                    for c in range(first, channels):
                        total[c] += d[c] * source[c]


@compile_function
def forward_rows(x, weight, bias, dilation, y, bins, channels, start, stop):
    """Rows [start, stop) of the depthwise convolution's output; all arrays flat."""
    row = bins * channels
    for t in range(start, stop):
        for first in range(t * row, (t + 1) * row, channels):
            out = y[first : first + channels]  # counting from 0 leaves no index to check for its sign
            for c in range(channels):
                out[c] = bias[c]
        for i in range(3):
            add_taps(
                x, (t + i * dilation) * row, weight, 3 * i * channels, dilation, y, t * row, channels, bins
            )


@compile_function
def input_gradient_rows(dy, flipped, dilation, dx, rows, bins, channels, start, stop):
    """Rows [start, stop) of dx from `rows` rows of dy; `flipped` is the weight turned round in frequency."""
    row = bins * channels
    for t in range(start, stop):
        dx[t * row : (t + 1) * row] = 0
        for i in range(3):
            s = t - i * dilation
            if 0 <= s < rows:
                add_taps(dy, s * row, flipped, 3 * i * channels, dilation, dx, t * row, channels, bins)


@compile_function
def weight_gradient_rows(dy, x, dilation, dweight, dbias, bins, channels, start, stop):
    """Add the share of dy's rows [start, stop) to the gradients of weight and bias."""
    row = bins * channels
    for t in range(start, stop):
        for first in range(t * row, (t + 1) * row, channels):
            d = dy[first : first + channels]
            for c in range(channels):
                dbias[c] += d[c]
        for i in range(3):
            add_taps_gradient(
                dy, t * row, x, (t + i * dilation) * row, dilation, dweight, 3 * i * channels, channels, bins
            )  # fmt: skip
