"""A training step of ACDnet through fused kernels.

Kept between the passes are the stem's and the pointwise convolutions' outputs, the pooled maps and which of
each window was chosen: all else is made again, a few rows at a time, when it is needed.  Batch normalisation
needs sums over the whole batch before the next step can begin; between two such sums, everything is one kernel.

Attention's algebra is that of :mod:`acdref.nets.fused`; going backward, the sum that a softmax over positions
subtracts is known from its summary, so that keys need no pass of their own.

Tasks are some rows of one clip, cut by shape; their sums are added in a fixed order, in float64.  So results are
bit-equal for any number of threads.
"""

import functools

import numpy as np

from acdref.nets.fused import framed, packed, padded, rows_together, scratch, statistics, up
from acdref.ops import threads
from acdref.ops.norm import EPS, MOMENTUM, batch_norm_coefficients
from acdref.ops.pointwise import pointwise, pointwise_backward

_ROWS, _STEP = 32, 96  # rows of a task; positions that attention's summary takes together
_SCALE, _SHIFT, _SLOPE, _MEAN, _INVERSE, _A, _B, _C = range(8)


def forward(net, x):
    """Logits of a batch (N, T, F, 2), and the tape for :func:`backward`; moves the running statistics."""
    step = _Step(net, x.dtype)
    config = net.config
    n, frames, bins, inputs = x.shape
    features = np.zeros((n, frames, bins + 2, inputs), x.dtype)
    features[:, :, 1:-1] = x
    z, norm = step.stem(features, bins)
    tape = [(features, z, norm)]
    source = _Activated(z, norm, config.blocks[0].dilation)
    dilations = [block.dilation for block in config.blocks[1:]]
    for number, (block, pad) in enumerate(zip(config.blocks, (*dilations, 0), strict=True), 1):
        y, kept = step.block(f"block{number}", block, source, pad)
        tape.append((source, *kept))
        source = _Map(y, pad)
    mean = y.mean(1)[..., : config.blocks[-1].channels].swapaxes(1, 2)  # (N, C, F')
    flat = np.ascontiguousarray(mean).reshape(n, -1)
    logits = pointwise(flat, net.params["dense.weight"], net.params["dense.bias"])
    return logits, [*tape, (flat, y.shape)]


def backward(net, tape, dlogits):
    """Gradients, a dict with the keys of ``net.params``; the tape is emptied on the way."""
    step = _Step(net, net.dtype)
    grads = step.grads
    flat, shape = tape.pop()
    dflat, grads["dense.weight"], grads["dense.bias"] = pointwise_backward(
        dlogits.astype(net.dtype, copy=False), flat, net.params["dense.weight"]
    )
    dmean = dflat.reshape(shape[0], -1, shape[2]).swapaxes(1, 2) / shape[1]  # (N, F', C)
    dy = np.ascontiguousarray(np.broadcast_to(padded(dmean)[:, None], shape))
    for number, block in reversed(list(enumerate(net.config.blocks, 1))):
        dy = step.block_backward(f"block{number}", block, dy, tape.pop())
    step.stem_backward(dy, *tape.pop())
    return {name: grads[name] for name in net.params}


class _Map:
    """Rows of a stored map (N, T, F + 2 pad, C) with empty bins."""

    def __init__(self, y, pad):
        self.y = y
        self.clips, self.rows, self.bins, self.channels = *y.shape[:2], y.shape[2] - 2 * pad, y.shape[3]

    def __call__(self, clip, start, stop):
        """(flat array, offset of row `start`, length of a row)."""
        row = self.y[0, 0].size
        return self.y[clip].reshape(-1), start * row, row


class _Activated:
    """Rows of a map (N, T, F, C) that is normalised, activated and framed when its rows are asked for."""

    def __init__(self, z, norm, pad):
        self.z, self.norm, self.pad = z, norm, pad
        self.clips, self.rows, self.bins, self.channels = z.shape

    def __call__(self, clip, start, stop):
        row = (self.bins + 2 * self.pad) * self.channels
        y = framed("activated", (_ROWS + 4 * self.pad, row), self.z.dtype).reshape(-1)
        _kernels().activate_rows(
            self.z[clip].reshape(-1), start * self.bins * self.channels, self.norm,
            y, self.pad * self.channels, row, self.channels, self.channels, self.bins, stop - start,
        )  # fmt: skip
        return y, 0, row


class _Step:
    """The passes of one training step."""

    def __init__(self, net, dtype):
        self.net, self.dtype, self.grads = net, dtype, {}

    # Forward

    def stem(self, features, bins):
        n, frames, _, inputs = features.shape
        weight, bias = self._layer("stem.conv")
        channels = len(bias)
        z = np.empty((n, frames - 2, bins, channels), self.dtype)
        matrix = packed(weight.reshape(-1, channels))

        def task(clip, start, stop, moments):
            _kernels().stem_rows(
                features[clip].reshape(-1), (bins + 2) * inputs, matrix, bias, z[clip].reshape(-1),
                inputs, channels, bins, start, stop, *moments,
            )  # fmt: skip

        return z, self._normalised("stem.conv", task, n, frames - 2, bins)

    def block(self, name, block, source, pad):
        kernels = _kernels()
        n, bins, inputs = source.clips, source.bins, source.channels
        rows = source.rows - 2 * block.dilation
        weight, bias = self._layer(f"{name}.depthwise")
        depthwise = weight.reshape(-1), bias, np.ones(inputs, self.dtype)
        group = rows_together(bins)

        def window(clip, start, stop):
            return *source(clip, start, stop + 2 * block.dilation), block.dilation, *depthwise

        def depthwise_task(clip, start, stop, moments):
            inner = scratch("inner", group * bins * inputs, self.dtype)
            kernels.depthwise_moments(
                *window(clip, start, stop), inner, inputs, bins, stop - start, group, *moments
            )

        norm1 = self._normalised(f"{name}.depthwise", depthwise_task, n, rows, bins)
        weight, bias = self._layer(f"{name}.pointwise", (0, 1))
        channels, matrix = len(bias), packed(weight)
        z = np.empty((n, rows, bins, channels), self.dtype)

        def pointwise_task(clip, start, stop, moments):
            inner = scratch("inner", group * bins * inputs, self.dtype)
            active = scratch("active", group * bins * inputs, self.dtype)
            kernels.pointwise_moments(
                *window(clip, start, stop), norm1, inner, active, matrix, bias,
                z[clip].reshape(-1), start * bins * channels, inputs, channels, bins, stop - start, group,
                *moments,
            )  # fmt: skip

        norm2 = self._normalised(f"{name}.pointwise", pointwise_task, n, rows, bins)
        shape = n, rows // block.pool[0], bins // block.pool[1] + 2 * pad, channels
        y = np.empty(shape, self.dtype)
        y[:, :, :pad] = 0
        y[:, :, shape[2] - pad :] = 0
        chosen = np.empty((n, shape[1], bins // block.pool[1], channels), np.uint8)
        attention = None
        if block.attention:
            attention = [None] * n
            threads.run(lambda i: attention.__setitem__(i, self._attention(name, block, z[i], norm2)), n)

        def pool_task(clip, start, stop):
            place = start * y[0, 0].size + pad * channels, y[0, 0].size
            index = chosen[clip].reshape(-1), start * chosen[0, 0].size
            if attention is None:
                kernels.pooled_rows(
                    z[clip].reshape(-1), start * block.pool[0] * bins * channels, norm2,
                    y[clip].reshape(-1), *place, *index, *block.pool, channels, bins, stop - start,
                )  # fmt: skip
            else:
                attention[clip].pooled_rows(start, stop, y[clip].reshape(-1), place, index)

        _each(pool_task, n, shape[1])
        return y, (norm1, z, norm2, chosen, attention)

    def _attention(self, name, block, z, norm):
        return Attention(self.net.params, f"{name}.attention", z, norm, block)

    # Backward

    def block_backward(self, name, block, dy, tape):
        kernels = _kernels()
        source, norm1, z, norm2, chosen, attention = tape
        n, rows, bins, channels = z.shape
        inputs, group = source.channels, rows_together(bins)

        def behind(i):
            return _behind(
                z[i], norm2, None if attention is None else attention[i], dy[i], chosen[i], block.pool, group
            )

        if attention is not None:
            parts = [None] * n
            threads.run(lambda i: parts.__setitem__(i, attention[i].backward(dy[i], chosen[i])), n)
            for key in parts[0]:
                total = np.sum([part[key] for part in parts], axis=0)
                self.grads[f"{name}.attention.{key}"] = total.astype(self.dtype)

        def reductions(clip, start, stop, sums):
            kernels.pool_reductions(
                *behind(clip), scratch("partial", 3 * channels, self.dtype), sums, channels, bins, start, stop, group
            )

        self._coefficients(f"{name}.pointwise", norm2, _summed(reductions, n, rows, 3 * channels), n * rows * bins)

        depthwise_weight, depthwise_bias = self._layer(f"{name}.depthwise")
        ones = np.ones(inputs, self.dtype)
        depthwise = depthwise_weight.reshape(-1), depthwise_bias, ones
        weight, _ = self._layer(f"{name}.pointwise", (0, 1))
        back, nothing = packed(np.ascontiguousarray(weight.T)), np.zeros(max(inputs, channels), self.dtype)
        dinner = np.empty((n, rows, bins, inputs), self.dtype)
        stride = inputs + kernels.LANES

        def pointwise_task(clip, start, stop, sums):
            dweight, dbias = np.zeros(inputs * channels, self.dtype), np.zeros(channels, self.dtype)
            norm_sums = np.zeros(3 * inputs)
            kernels.pointwise_gradient(
                *source(clip, start, stop + 2 * block.dilation), block.dilation, *depthwise, norm1,
                scratch("inner", group * bins * inputs, self.dtype),
                scratch("active1", group * bins * stride, self.dtype), back, nothing,
                *behind(clip), scratch("dz", group * bins * channels, self.dtype),
                scratch("packed", group * bins * channels, self.dtype),
                dweight, dbias, dinner[clip].reshape(-1), scratch("partial", 3 * inputs, self.dtype), norm_sums,
                inputs, channels, bins, start, stop, group,
            )  # fmt: skip
            sums[:] = np.concatenate([norm_sums, dbias, dweight])

        sums = _summed(pointwise_task, n, rows, 3 * inputs + channels + inputs * channels)
        norm_sums, dbias, dweight = np.split(sums, (3 * inputs, 3 * inputs + channels))
        self._store(f"{name}.pointwise", dweight.reshape(inputs, channels), dbias)
        self._coefficients(f"{name}.depthwise", norm1, norm_sums, n * rows * bins)

        flipped = np.ascontiguousarray(depthwise_weight.reshape(3, 3, -1)[::-1, ::-1]).reshape(-1)
        dx = np.empty((n, source.rows, bins, inputs), self.dtype)
        frame = (bins + 2 * block.dilation) * inputs

        def depthwise_task(clip, start, stop, sums):
            lowest = start - 2 * block.dilation
            first = max(lowest, 0)
            x, x0, x_row = source(clip, first, min(stop, rows) + 2 * block.dilation)
            dweight, dbias = np.zeros(9 * inputs, self.dtype), np.zeros(inputs, self.dtype)
            kernels.depthwise_gradient(
                x, x0 - (first - lowest) * x_row, x_row, block.dilation, depthwise[0], flipped, *depthwise[1:],
                nothing, norm1, scratch("inner", bins * inputs, self.dtype), dinner[clip].reshape(-1),
                framed(f"{name}.dz", (_ROWS + 2 * block.dilation, frame), self.dtype).reshape(-1),
                dx[clip].reshape(-1), start * bins * inputs, dweight, dbias, inputs, bins, rows, start, stop,
            )  # fmt: skip
            sums[:] = np.concatenate([dbias, dweight])

        dbias, dweight = np.split(_summed(depthwise_task, n, source.rows, 10 * inputs), (inputs,))
        self._store(f"{name}.depthwise", dweight.reshape(3, 3, inputs), dbias)
        return dx

    def stem_backward(self, dy, features, z, norm):
        kernels = _kernels()
        n, rows, bins, channels = z.shape
        inputs = features.shape[3]

        def reductions(clip, start, stop, sums):
            partial = scratch("partial", 3 * channels, self.dtype)
            kernels.norm_reductions(
                z[clip].reshape(-1), norm, dy[clip].reshape(-1), partial, sums, channels, bins, start, stop
            )

        self._coefficients("stem.conv", norm, _summed(reductions, n, rows, 3 * channels), n * rows * bins)

        def task(clip, start, stop, sums):
            dweight, dbias = np.zeros(9 * inputs * channels, self.dtype), np.zeros(channels, self.dtype)
            kernels.stem_gradient(
                features[clip].reshape(-1), (bins + 2) * inputs, z[clip].reshape(-1), norm, dy[clip].reshape(-1),
                scratch("dz", bins * channels, self.dtype), scratch("packed", bins * channels, self.dtype),
                dweight, dbias, inputs, channels, bins, start, stop,
            )  # fmt: skip
            sums[:] = np.concatenate([dbias, dweight])

        dbias, dweight = np.split(_summed(task, n, rows, (9 * inputs + 1) * channels), (channels,))
        self._store("stem.conv", dweight.reshape(3, 3, inputs, channels), dbias)

    # Parameters and normalisation

    def _layer(self, name, axes=(-1,)):
        return padded(self.net.params[f"{name}.weight"], axes), padded(self.net.params[f"{name}.bias"])

    def _store(self, name, dweight, dbias):
        for key, value in (("weight", dweight), ("bias", dbias)):
            shape = self.net.params[f"{name}.{key}"].shape
            self.grads[f"{name}.{key}"] = value[tuple(map(slice, shape))].astype(self.dtype)

    def _normalised(self, name, task, n, rows, bins):
        """Run tasks that sum a map's moments; its normalisation as a table.  Moves the running statistics."""
        params, state = self.net.params, self.net.state
        gamma = padded(params[f"{name}_norm.gamma"])
        channels = len(gamma)
        pieces = _pieces(n, rows)
        pivots = np.empty((len(pieces), channels), self.dtype)
        sums = np.zeros((len(pieces), 2 * channels))

        def piece(i):
            task(*pieces[i], (pivots[i], scratch("partial", 2 * channels, self.dtype), sums[i]))

        threads.run(piece, len(pieces))
        counts = np.array([(stop - start) * bins for _, start, stop in pieces], np.float64)[:, None]
        total = counts.sum()
        offsets = sums[:, :channels] / counts
        means = pivots + offsets
        mean = (counts * means).sum(0) / total
        squares = sums[:, channels:] - counts * offsets**2 + counts * (means - mean) ** 2
        var = np.maximum(squares.sum(0) / total, 0)
        inverse = 1 / np.sqrt(var + EPS)
        table = np.zeros((8, channels), self.dtype)
        table[_SCALE] = gamma * inverse
        table[_SHIFT] = padded(params[f"{name}_norm.beta"]) - mean * gamma * inverse
        table[_SLOPE] = padded(params[f"{name}_prelu.slope"])
        table[_MEAN], table[_INVERSE] = mean, inverse
        for key, value in (("mean", mean), ("var", var * (total / max(total - 1, 1)))):
            old = state[f"{name}_norm.{key}"]
            state[f"{name}_norm.{key}"] = (old + MOMENTUM * (value[: len(old)] - old)).astype(self.dtype)
        return table.reshape(-1)

    def _coefficients(self, name, norm, sums, count):
        """Store the gradients of a normalisation and PReLU, and complete its table with them."""
        table = norm.reshape(8, -1)
        gamma = self.net.params[f"{name}_norm.gamma"]
        dgamma, dbeta, dslope = sums.reshape(3, -1)
        statistics = table[_MEAN].astype(np.float64), table[_INVERSE].astype(np.float64)
        table[_A], table[_B], table[_C] = batch_norm_coefficients(dgamma, dbeta, padded(gamma), statistics, count)
        for key, value in (("norm.gamma", dgamma), ("norm.beta", dbeta), ("prelu.slope", dslope)):
            self.grads[f"{name}_{key}"] = value[: len(gamma)].astype(self.dtype)


class Attention:
    """Attention over one clip's map, forward and backward.

    Parameters
    ----------
    params : dict
    name : str
    z : (T, F, C) array
        The map before normalisation and PReLU, which `norm` describes.
    norm : table
    block : Block
    """

    def __init__(self, params, name, z, norm, block):
        self.z, self.norm, self.block = z, norm, block
        rows, bins, channels = z.shape
        self.group = rows_together(bins * block.pool[0])
        self.positions = rows * bins
        self.weight = {part: params[f"{name}.{part}.weight"] for part in ("query", "key", "value", "out")}
        bias = {part: params[f"{name}.{part}.bias"] for part in self.weight}
        self.gamma, beta = params[f"{name}.norm.gamma"], params[f"{name}.norm.beta"]
        self.width = up(block.attention)
        mean, inverse = self._moments()
        self.mean, self.inverse = mean, inverse
        self.scale = (self.gamma * inverse).astype(z.dtype)
        self.shift = (beta - mean * inverse * self.gamma).astype(z.dtype)
        self.key = padded(self.weight["key"] * self.scale[:, None], (0, 1))
        self.query = padded(self.weight["query"] * self.scale[:, None], (0, 1))
        self.query_bias = padded(bias["query"] + self.shift @ self.weight["query"])
        self.query_bias[block.attention :] = np.finfo(z.dtype).min
        self.summary, self.largest, self.key_scale = self._summary()
        self.normal = self.summary[: block.attention, : len(self.gamma)] * self.scale + self.shift
        self.context = pointwise(self.normal, self.weight["value"], bias["value"])
        self.answer = pointwise(self.context, self.weight["out"], bias["out"])

    def _moments(self):
        channels, size = self.z.shape[2], _STEP
        moments = np.empty((-(-self.positions // size), 2), self.z.dtype)
        _kernels().active_moments(
            self.z.reshape(-1), 0, self.norm, scratch("active", size * channels, self.z.dtype), channels,
            self.positions, size, np.empty(2, self.z.dtype), moments,
        )  # fmt: skip
        counts = np.diff(np.append(np.arange(0, self.positions, size), self.positions))
        return statistics(moments, counts * channels, len(self.gamma) / channels)

    def _summary(self):
        dtype, channels, width = self.z.dtype, self.z.shape[2], self.width
        largest, total = np.full(width, -np.inf, dtype), np.zeros(width, dtype)
        summary = np.zeros((width, channels), dtype)
        kernels = _kernels()
        kernels.summarise_active(
            self.z.reshape(-1), 0, self.norm, scratch("active", _STEP * channels, dtype), packed(self.key),
            np.zeros(width, dtype), scratch("keys", _STEP * (width + kernels.LANES), dtype),
            scratch("packed", _STEP * channels, dtype), channels, width, self.positions, _STEP,
            largest, total, np.empty(width, dtype), summary.reshape(-1),
        )  # fmt: skip
        return summary / total[:, None], largest, 1 / total

    def pooled_rows(self, start, stop, y, place, index):
        """Rows [start, stop) of the pooled map with its attention, and which elements were chosen."""
        dtype, (_, bins, channels), width = self.z.dtype, self.z.shape, self.width
        size = self.group * self.block.pool[0] * bins
        _kernels().attended_rows(
            self.z.reshape(-1), start * self.block.pool[0] * bins * channels, self.norm,
            scratch("active", size * channels, dtype), packed(self.query), self.query_bias,
            scratch("queries", size * width, dtype), packed(padded(self.answer, (0, 1))),
            scratch("outer", size * channels, dtype), _plain(channels, dtype), y, *place, *index,
            *self.block.pool, channels, width, bins, stop - start, self.group,
        )  # fmt: skip

    def backward(self, dy, chosen):
        """Gradients of the parameters, by their names; keeps that of the normalised map for :meth:`behind`."""
        real, channels = len(self.gamma), self.z.shape[2]
        grads = {}
        danswer = self._danswer(dy, chosen)[: self.block.attention, :real]
        dcontext, grads["out.weight"], grads["out.bias"] = pointwise_backward(
            danswer, self.context, self.weight["out"]
        )
        dnormal, grads["value.weight"], grads["value.bias"] = pointwise_backward(
            dcontext, self.normal, self.weight["value"]
        )
        dweight, dbias, sums = self._dnormalised(dy, chosen, dnormal)
        for row, part in enumerate(("query", "key")):
            rows = slice(row * self.width, row * self.width + self.block.attention)
            grads[f"{part}.bias"] = dbias[rows]
            grads[f"{part}.weight"] = (
                dweight[rows, :real].T * self.scale[:, None] + self.shift[:, None] * dbias[rows]
            )
        dgamma, dbeta = sums[0, :real], sums[1, :real]
        grads["norm.gamma"], grads["norm.beta"] = dgamma, dbeta
        count = self.positions * real
        table = self.group_norm.reshape(8, channels)
        b = -self.inverse * self.inverse * (self.gamma * dgamma).sum() / count
        table[_A, :real] = self.gamma * self.inverse
        table[_B] = b
        table[_C] = -self.inverse * (self.gamma * dbeta).sum() / count - b * self.mean
        return grads

    def _danswer(self, dy, chosen):
        dtype, (rows, bins, channels), width = self.z.dtype, self.z.shape, self.width
        group = rows_together(bins)
        size = group * bins
        query = packed(self.query)
        stride = width + _kernels().LANES

        def task(_, start, stop, danswer):
            part = np.zeros(width * channels, dtype)
            _kernels().answer_gradient(
                self.z.reshape(-1), self.norm, scratch("active", size * channels, dtype), query, self.query_bias,
                scratch("queries", size * stride, dtype), *_pool(dy, chosen, self.block.pool),
                scratch("d", size * channels, dtype), scratch("packed", size * channels, dtype), part,
                channels, width, bins, start, stop, group,
            )  # fmt: skip
            danswer[:] = part

        return _summed(task, 1, rows, width * channels).reshape(width, channels).astype(dtype)

    def _dnormalised(self, dy, chosen, dnormal):
        """Leave the gradient of the normalised map in ``dx``; sums for the projections and normalisation."""
        dtype, (rows, bins, channels), width = self.z.dtype, self.z.shape, self.width
        group = rows_together(bins)
        size = group * bins
        dsummary = padded(dnormal * self.scale, (0, 1))
        projections = packed(np.concatenate([self.query, dsummary.T, self.key], axis=1))
        back = [self.weight["query"].T, self.weight["key"].T, dnormal]
        back = packed(np.concatenate([padded(np.ascontiguousarray(part), (0, 1)) for part in back]))
        biases = np.zeros(4 * width + channels, dtype)
        biases[:width] = self.query_bias
        answers = packed(np.ascontiguousarray(padded(self.answer, (0, 1)).T))
        key_mean = (dsummary * self.summary).sum(1)
        self.dx = np.empty(self.z.size, dtype)
        self.group_norm = np.zeros((8, channels), dtype)
        self.group_norm[_SLOPE], self.group_norm[_MEAN], self.group_norm[_INVERSE] = 1, self.mean, self.inverse
        self.group_norm = self.group_norm.reshape(-1)

        def task(_, start, stop, sums):
            dweight, dbias = np.zeros(2 * width * channels, dtype), np.zeros(2 * width, dtype)
            norm_sums = np.zeros(3 * channels)
            _kernels().attention_gradient(
                self.z.reshape(-1), self.norm, scratch("active", size * channels, dtype), projections, biases,
                scratch("projected", size * (3 * width + _kernels().LANES), dtype), self.largest, self.key_scale,
                *_pool(dy, chosen, self.block.pool), scratch("d", size * channels, dtype), answers,
                scratch("queries", size * width, dtype), key_mean, back,
                scratch("packed", size * channels, dtype), dweight, dbias, self.group_norm, self.dx,
                scratch("partial", 3 * channels, dtype), norm_sums, channels, width, bins, start, stop, group,
            )  # fmt: skip
            sums[:] = np.concatenate([norm_sums, dbias, dweight])

        sums = _summed(task, 1, rows, 3 * channels + 2 * width * (channels + 1))
        norm_sums, dbias, dweight = np.split(sums, np.cumsum([3 * channels, 2 * width]))
        return dweight.reshape(2 * width, channels), dbias, norm_sums.reshape(3, channels)


def _behind(z, norm, attention, dy, chosen, pool, group):
    """What kernels need to make the gradient behind a block's normalisation again, in the calling thread."""
    _, bins, channels = z.shape
    scratch_size = group * bins * channels
    active, d = (scratch(name, scratch_size, z.dtype) for name in ("active", "d"))
    group_norm, dx = (norm, d) if attention is None else (attention.group_norm, attention.dx)
    return (
        z.reshape(-1), norm, group_norm, active, dx, attention is not None, *_pool(dy, chosen, pool), d
    )  # fmt: skip


def _pool(dy, chosen, pool):
    return dy.reshape(-1), dy[0].size, chosen.reshape(-1), *pool, len(dy)


@functools.cache
def _plain(channels, dtype):
    """The table of a normalisation and PReLU that do nothing."""
    table = np.zeros((8, channels), dtype)
    table[_SCALE] = table[_SLOPE] = 1
    return table.reshape(-1)


def _pieces(clips, rows):
    return [(clip, start, min(start + _ROWS, rows)) for clip in range(clips) for start in range(0, rows, _ROWS)]


def _each(task, clips, rows):
    """Run ``task(clip, start, stop)`` over some rows of a clip at a time."""
    pieces = _pieces(clips, rows)
    threads.run(lambda i: task(*pieces[i]), len(pieces))


def _summed(task, clips, rows, size):
    """The sum, in float64 and in order, of what ``task(clip, start, stop, sums)`` leaves in `sums`."""
    pieces = _pieces(clips, rows)
    sums = np.zeros((len(pieces), size))
    threads.run(lambda i: task(*pieces[i], sums[i]), len(pieces))
    return sums.sum(0)


@functools.cache
def _kernels():
    from acdref.ops import training_kernel

    return training_kernel
