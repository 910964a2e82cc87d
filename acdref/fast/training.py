"""A training step of ACDnet through fused kernels.

Kept between the passes are the pointwise convolutions' outputs, the pooled maps and which of each window was
chosen.  All else is made again when it is needed: the stem's output as a whole, the rest a few rows at a
time.  Batch normalisation needs sums over the whole batch before the next step can begin; between two such
sums, everything is one kernel.

Tasks are some rows of one clip, cut by shape; their sums are added in a fixed order, in float64.  So results
are bit-equal for any number of threads.
"""

import functools

import numpy as np

from acdref.fast.norm import normalisation, normalisation_backward
from acdref.fast.scratch import framed, scratch
from acdref.fast.tasks import ROWS, each, rows_together, summed
from acdref.fast.training_attention import TrainedAttention
from acdref.ops import threads
from acdref.ops.layout import LANES, packed, padded
from acdref.ops.pointwise import pointwise, pointwise_backward


def forward(net, x):
    """Logits of a batch (N, T, F, 2), and the tape for :func:`backward`; moves the running statistics."""
    blocks = net.config.blocks
    pads = [block.dilation for block in blocks] + [0]
    tape = [_Stem(net, x, pads[0])]
    for number, (block, pad) in enumerate(zip(blocks, pads[1:], strict=True), 1):
        tape.append(_Block(net, f"block{number}", block, tape[-1], pad))
    y = tape[-1].y  # (N, T', F', channels and what fills their last vector)
    mean = y.mean(1)[..., : blocks[-1].channels].swapaxes(1, 2)
    flat = np.ascontiguousarray(mean).reshape(len(x), -1)  # (N, channels F')
    tape.append((flat, y.shape))
    return pointwise(flat, net.params["dense.weight"], net.params["dense.bias"]), tape


def backward(net, tape, dlogits):
    """Gradients, a dict with the keys of ``net.params``; the tape is emptied on the way."""
    grads = {}
    flat, shape = tape.pop()
    dflat, grads["dense.weight"], grads["dense.bias"] = pointwise_backward(
        dlogits.astype(net.dtype, copy=False), flat, net.params["dense.weight"]
    )
    dmean = dflat.reshape(shape[0], -1, shape[2]).swapaxes(1, 2) / shape[1]  # (N, F', channels)
    dy = np.ascontiguousarray(np.broadcast_to(padded(dmean)[:, None], shape))
    while tape:
        dy = tape.pop().backward(dy, grads)
    return {name: grads[name] for name in net.params}


class _Part:
    """What the stem and a block share: parameters as kernels want them.

    Either is the source of the next one's rows: `clips` maps of `rows` x `bins` x `channels`, of which
    ``window(clip, start, stop)`` gives rows with empty bins on both sides, as (flat array, offset of row
    `start`, length of a row).  From ``release()`` to ``restore()``, nobody asks for rows.
    """

    def __init__(self, net, name, dtype):
        self.net, self.name, self.dtype = net, name, dtype

    def release(self):
        """Forget what can soon be made again."""

    def restore(self):
        """Make what was forgotten."""

    def _weights(self, name, axes=(-1,)):
        return padded(self.net.params[f"{name}.weight"], axes), padded(self.net.params[f"{name}.bias"])

    def _store(self, name, dweight, dbias, grads):
        for key, value in (("weight", dweight), ("bias", dbias)):
            shape = self.net.params[f"{name}.{key}"].shape
            grads[f"{name}.{key}"] = value[tuple(map(slice, shape))].astype(self.dtype)


class _Stem(_Part):
    """The first convolution: rows of its output z are normalised and activated when asked for."""

    def __init__(self, net, x, pad):
        super().__init__(net, "stem.conv", x.dtype)
        self.clips, frames, self.bins, inputs = x.shape
        self.rows, self.pad = frames - 2, pad
        self.x = np.zeros((self.clips, frames, self.bins + 2, inputs), x.dtype)
        self.x[:, :, 1:-1] = x
        weight, self.bias = self._weights("stem.conv")
        self.channels = len(self.bias)
        self.weight = packed(weight.reshape(-1, self.channels))
        self.z = self._empty()
        self.norm = normalisation(net, self.name, self._rows, self.clips, self.rows, self.bins, self.dtype)

    def _empty(self):
        return np.empty((self.clips, self.rows, self.bins, self.channels), self.dtype)

    def _rows(self, clip, start, stop, *moments):
        _forward().stem_rows(
            self.x[clip].reshape(-1), self.x[0, 0].size, self.weight, self.bias, self.z[clip].reshape(-1),
            self.x.shape[3], self.channels, self.bins, start, stop, *moments,
        )  # fmt: skip

    def release(self):
        """Forget z: the least work of all large maps."""
        self.z = None

    def restore(self):
        self.z = self._empty()

        def task(clip, start, stop):
            pivot, partial = (np.empty(size, self.dtype) for size in (self.channels, 2 * self.channels))
            self._rows(clip, start, stop, pivot, partial, np.zeros(2 * self.channels))  # which are known

        each(task, self.clips, self.rows)

    def window(self, clip, start, stop):
        y = framed("activated", ROWS + 4 * self.pad, self.bins, self.pad, self.channels, self.dtype)
        _forward().activate_rows(
            self.z[clip].reshape(-1), start * self.z[0, 0].size, self.norm,
            y.reshape(-1), self.pad * self.channels, y[0].size, self.channels, self.channels, self.bins,
            stop - start,
        )  # fmt: skip
        return y.reshape(-1), 0, y[0].size

    def backward(self, dy, grads):
        """Store the gradients of its parameters; features have none."""
        channels, inputs = self.channels, self.x.shape[3]

        def reductions(clip, start, stop, sums):
            _backward().norm_reductions(
                self.z[clip].reshape(-1), self.norm, dy[clip].reshape(-1),
                scratch("partial", 3 * channels, self.dtype), sums, channels, self.bins, start, stop,
            )  # fmt: skip

        (sums,) = summed(reductions, self.clips, self.rows, (3 * channels, np.float64))
        normalisation_backward(self.net, self.name, self.norm, sums, dy.size // channels, grads)

        def task(clip, start, stop, dweight, dbias):
            _backward().stem_gradient(
                self.x[clip].reshape(-1), self.x[0, 0].size, self.z[clip].reshape(-1), self.norm,
                dy[clip].reshape(-1), scratch("dz", self.bins * channels, self.dtype),
                scratch("packed", self.bins * channels, self.dtype),
                dweight, dbias, inputs, channels, self.bins, start, stop,
            )  # fmt: skip

        parts = (9 * inputs * channels, self.dtype), (channels, self.dtype)
        dweight, dbias = summed(task, self.clips, self.rows, *parts)
        self._store(self.name, dweight.reshape(3, 3, inputs, channels), dbias, grads)


class _Block(_Part):
    """Depthwise, pointwise, attention and pool; keeps the pointwise output z and the pooled map y."""

    def __init__(self, net, name, block, source, pad):
        super().__init__(net, name, source.dtype)
        self.block, self.source, self.pad = block, source, pad
        self.clips, self.height, self.width = source.clips, source.rows - 2 * block.dilation, source.bins
        self.rows, self.bins = self.height // block.pool[0], self.width // block.pool[1]
        self.group = rows_together(self.width)
        weight, bias = self._weights(f"{name}.depthwise")
        self.depthwise = weight.reshape(-1), bias, np.ones_like(bias)
        self.norm1 = self._depthwise_norm()
        self.z, self.norm2 = self._pointwise()
        self.channels = self.z.shape[3]
        self.attention = self._attention() if block.attention else None
        self.y, self.chosen = self._pool()
        source.release()

    def window(self, clip, start, stop):
        row = self.y[0, 0].size
        return self.y[clip].reshape(-1), start * row, row

    # Forward

    def _window(self, clip, start, stop):
        """What kernels need to make rows [start, stop) of the depthwise convolution."""
        dilation = self.block.dilation
        return *self.source.window(clip, start, stop + 2 * dilation), dilation, *self.depthwise

    def _inner(self):
        return scratch("inner", self.group * self.width * self.source.channels, self.dtype)

    def _depthwise_norm(self):
        def task(clip, start, stop, *moments):
            _forward().depthwise_moments(
                *self._window(clip, start, stop), self._inner(), self.source.channels, self.width,
                stop - start, self.group, *moments,
            )  # fmt: skip

        return self._normalisation("depthwise", task)

    def _pointwise(self):
        inputs = self.source.channels
        weight, bias = self._weights(f"{self.name}.pointwise", (0, 1))
        weight, channels = packed(weight), len(bias)
        z = np.empty((self.clips, self.height, self.width, channels), self.dtype)

        def task(clip, start, stop, *moments):
            _forward().pointwise_moments(
                *self._window(clip, start, stop), self.norm1, self._inner(),
                scratch("active", self.group * self.width * inputs, self.dtype), weight, bias,
                z[clip].reshape(-1), start * z[0, 0].size, inputs, channels, self.width,
                stop - start, self.group, *moments,
            )  # fmt: skip

        return z, self._normalisation("pointwise", task)

    def _normalisation(self, layer, task):
        shape = self.clips, self.height, self.width
        return normalisation(self.net, f"{self.name}.{layer}", task, *shape, self.dtype)

    def _attention(self):
        """Of each clip."""

        def of(z):
            return TrainedAttention(self.net.params, f"{self.name}.attention", z, self.norm2, self.block.pool)

        return _for_each(of, self.z)

    def _pool(self):
        pad, pool = self.pad, self.block.pool
        y = np.empty((self.clips, self.rows, self.bins + 2 * pad, self.channels), self.dtype)
        y[:, :, :pad] = 0
        y[:, :, self.bins + pad :] = 0
        chosen = np.empty((self.clips, self.rows, self.bins, self.channels), np.uint8)

        def task(clip, start, stop):
            target = (
                y[clip].reshape(-1), start * y[0, 0].size + pad * self.channels, y[0, 0].size,
                chosen[clip].reshape(-1), start * chosen[0, 0].size,
            )  # fmt: skip
            if self.attention is not None:
                self.attention[clip].pooled_rows(start, stop, *target)
                return
            _forward().pooled_rows(
                self.z[clip].reshape(-1), start * pool[0] * self.z[0, 0].size, self.norm2, *target,
                *pool, self.channels, self.width, stop - start,
            )  # fmt: skip

        each(task, self.clips, self.rows)
        return y, chosen

    # Backward

    def backward(self, dy, grads):
        """Gradient of the block's input; those of its parameters are stored."""
        self.y = None  # the next block's input, and that is done
        if self.attention is not None:
            self._attention_backward(dy, grads)
        self._pool_backward(dy, grads)
        self.source.restore()
        dinner = self._pointwise_backward(dy, grads)
        self.z = self.chosen = self.attention = None
        return self._depthwise_backward(dinner, grads)

    def _unpool(self, dy, clip):
        """What tells kernels of the pool's gradient."""
        return dy[clip].reshape(-1), dy[0, 0].size, self.chosen[clip].reshape(-1), *self.block.pool, self.rows

    def _behind(self, dy, clip):
        """What kernels need to make the gradient behind the block's normalisation, in the calling thread."""
        size = self.group * self.width * self.channels
        active, d = (scratch(name, size, self.dtype) for name in ("active", "d"))
        group_norm, dx = self.norm2, d  # which nobody will read
        if self.attention is not None:
            group_norm, dx = self.attention[clip].group_norm, self.attention[clip].dx
        return (
            self.z[clip].reshape(-1), self.norm2, group_norm, active, dx, self.attention is not None,
            *self._unpool(dy, clip), d,
        )  # fmt: skip

    def _attention_backward(self, dy, grads):
        def of(clip):
            return self.attention[clip].backward(self._unpool(dy, clip))

        parts = _for_each(of, range(self.clips))
        for key in parts[0]:
            total = np.sum([part[key] for part in parts], axis=0)
            grads[f"{self.name}.attention.{key}"] = total.astype(self.dtype)

    def _pool_backward(self, dy, grads):
        channels = self.channels

        def task(clip, start, stop, sums):
            _backward().pool_reductions(
                *self._behind(dy, clip), scratch("partial", 3 * channels, self.dtype), sums,
                channels, self.width, start, stop, self.group,
            )  # fmt: skip

        (sums,) = summed(task, self.clips, self.height, (3 * channels, np.float64))
        self._normalisation_backward("pointwise", self.norm2, sums, grads)

    def _pointwise_backward(self, dy, grads):
        inputs, channels, positions = self.source.channels, self.channels, self.group * self.width
        weight, _ = self._weights(f"{self.name}.pointwise", (0, 1))
        back, nothing = packed(weight.T), np.zeros(inputs, self.dtype)
        dinner = np.empty((self.clips, self.height, self.width, inputs), self.dtype)

        def task(clip, start, stop, dweight, dbias, sums):
            _backward().pointwise_gradient(
                *self._window(clip, start, stop), self.norm1, self._inner(),
                scratch("stretched", positions * (inputs + LANES), self.dtype), back, nothing,
                *self._behind(dy, clip), scratch("dz", positions * channels, self.dtype),
                scratch("packed", positions * channels, self.dtype), dweight, dbias, dinner[clip].reshape(-1),
                scratch("partial", 3 * inputs, self.dtype), sums,
                inputs, channels, self.width, start, stop, self.group,
            )  # fmt: skip

        parts = (inputs * channels, self.dtype), (channels, self.dtype), (3 * inputs, np.float64)
        dweight, dbias, sums = summed(task, self.clips, self.height, *parts)
        self._store(f"{self.name}.pointwise", dweight.reshape(inputs, channels), dbias, grads)
        self._normalisation_backward("depthwise", self.norm1, sums, grads)
        return dinner

    def _depthwise_backward(self, dinner, grads):
        inputs, dilation = self.source.channels, self.block.dilation
        weight, bias, ones = self.depthwise
        flipped = weight.reshape(9, inputs)[::-1].reshape(-1)
        nothing = np.zeros(inputs, self.dtype)
        dx = np.empty((self.clips, self.source.rows, self.width, inputs), self.dtype)

        def task(clip, start, stop, dweight, dbias):
            lowest = start - 2 * dilation
            first = max(lowest, 0)
            x, x0, x_row = self.source.window(clip, first, min(stop, self.height) + 2 * dilation)
            dz = framed(f"{self.name}.dz", ROWS + 2 * dilation, self.width, dilation, inputs, self.dtype)
            _backward().depthwise_gradient(
                x, x0 - (first - lowest) * x_row, x_row, dilation, weight, flipped, bias, ones, nothing,
                self.norm1, self._inner(), dinner[clip].reshape(-1), dz.reshape(-1),
                dx[clip].reshape(-1), start * self.width * inputs, dweight, dbias,
                inputs, self.width, self.height, start, stop,
            )  # fmt: skip

        parts = (9 * inputs, self.dtype), (inputs, self.dtype)
        dweight, dbias = summed(task, self.clips, self.source.rows, *parts)
        self._store(f"{self.name}.depthwise", dweight.reshape(3, 3, inputs), dbias, grads)
        return dx

    def _normalisation_backward(self, layer, norm, sums, grads):
        count = self.clips * self.height * self.width
        normalisation_backward(self.net, f"{self.name}.{layer}", norm, sums, count, grads)


def _for_each(function, values):
    """``[function(value) for value in values]``, by several threads."""
    results = [None] * len(values)

    def task(i):
        results[i] = function(values[i])

    threads.run(task, len(values))
    return results


@functools.cache
def _forward():
    from acdref.fast import training_kernel

    return training_kernel


@functools.cache
def _backward():
    from acdref.fast import gradient_kernel

    return gradient_kernel
