"""A training step of ACDnet through fused kernels.

Kept between the passes are the pointwise convolutions' outputs, the pooled maps and which of each window was
chosen.  All else is made again when it is needed: the stem's output as a whole, the rest a few rows at a
time.  Batch normalisation needs sums over the whole batch before the next step can begin; between two such
sums, everything is one kernel.

Tasks are some rows of one clip, cut by shape; their sums are added in a fixed order, in float64.  So results
are bit-equal for any number of threads, and of processes that share the batch (:mod:`acdref.ops.batch`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.fast import gradient_kernel, training_kernel
from acdref.fast.layers import arranged, matrix, store
from acdref.fast.norm import moments_of, normalisation, normalisation_backward
from acdref.fast.tasks import ROWS, for_each, framed, pieces, rows_together, scratch, summed
from acdref.fast.training_attention import TrainedAttention
from acdref.ops.layout import LANES, packed, padded
from acdref.ops.pointwise import pointwise, pointwise_backward


def forward(net: Any, x: NDArray) -> tuple[NDArray, list]:
    """Logits of a batch (N, T, F, 2), and the tape for :func:`backward`; moves the running statistics."""
    blocks = net.config.blocks
    pads = [block.dilation for block in blocks] + [0]
    tape: list = [_Stem(net, x, pads[0])]
    for number, (block, pad) in enumerate(zip(blocks, pads[1:], strict=True), 1):
        tape.append(_Block(net, f"block{number}", block, tape[-1], pad))
    y = tape[-1].y  # (N, T', F', channels and what fills their last vector)
    mean = y.mean(1)[..., : blocks[-1].channels].swapaxes(1, 2)  # (N, channels, F')
    flat = np.ascontiguousarray(mean).reshape(len(x), -1)  # (N, channels F')
    tape.append((flat, y.shape))
    dense = matrix(net.params["dense.weight"]), net.params["dense.bias"]
    return pointwise(flat[:, None], *dense)[:, 0], tape  # (N, classes)


def backward(net: Any, tape: list, dlogits: NDArray) -> dict[str, NDArray]:
    """Gradients, a dict with the keys of ``net.params``; the tape is emptied on the way."""
    grads: dict[str, NDArray] = {}
    flat, shape = tape.pop()
    dlogits = dlogits.astype(net.dtype, copy=False)[:, None]  # (N, 1, classes)
    weight = matrix(net.params["dense.weight"])
    dflat, dweight, dbias = pointwise_backward(dlogits, flat[:, None], weight, batch=net.batch)
    store(net.params, grads, "dense", weight=dweight, bias=dbias)
    dmean = dflat.reshape(shape[0], -1, shape[2]).swapaxes(1, 2) / shape[1]  # (N, F', channels)
    dy = np.repeat(padded(dmean)[:, None], shape[1], axis=1)  # (N, T', F', channels)
    while tape:
        dy = tape.pop().backward(dy, grads)
    return {name: grads[name] for name in net.params}


class _Part:
    """What the stem and a block share: parameters as kernels want them.

    Either is the source of the next one's rows: `clips` maps of `rows` x `bins` x `channels`, of which
    ``window(clip, start, stop)`` gives rows with empty bins on both sides.  From ``release()`` to
    ``restore()``, nobody asks for rows.
    """

    def __init__(self, net, pad):
        self.net, self.dtype, self.pad = net, net.dtype, pad

    def release(self):
        """Forget what can soon be made again."""

    def restore(self):
        """Make what was forgotten."""

    def _layer(self, name):
        return arranged(name, self.net.params[f"{name}.weight"], self.net.params[f"{name}.bias"])

    def _scratch(self, name, *shape):
        return scratch(name, shape, self.dtype)

    def _summed(self, *arguments):
        """:func:`acdref.fast.tasks.summed` over the batch."""
        return summed(*arguments, batch=self.net.batch)

    def _reduced(self, sums):
        """Scratch beside the sums of a normalisation's backward pass."""
        return self._scratch("partial", len(sums)), sums


class _Stem(_Part):
    """The first convolution: rows of its output z are normalised and activated when asked for."""

    def __init__(self, net, x, pad):
        super().__init__(net, pad)
        self.clips, frames, self.bins, self.inputs = x.shape
        self.rows = frames - 2
        self.x = np.zeros((self.clips, frames, self.bins + 2, self.inputs), x.dtype)  # (N, T, F + 2, 2)
        self.x[:, :, 1:-1] = x
        self.layer = self._layer("stem.conv")
        self.channels = len(self.layer[1])
        self.shape = self.clips, self.rows, self.bins, self.channels
        self.z = np.empty(self.shape, self.dtype)
        self.norm = normalisation(net, "stem.conv", self._rows, *self.shape[:3])

    def _rows(self, clip, start, stop, moments):
        x, z = self.x[clip, start : stop + 2], self.z[clip, start:stop]
        training_kernel.stem_rows(x, self.layer, z, moments)

    def release(self):
        """Forget z: the least work of all large maps."""
        self.z = None

    def restore(self):
        self.z = np.empty(self.shape, self.dtype)

        def task(*piece):
            self._rows(*piece, moments_of(self.channels, self.dtype))  # which are known

        for_each(task, pieces(self.clips, self.rows))

    def window(self, clip, start, stop):
        y = framed("activated", ROWS + 4 * self.pad, self.bins, self.pad, self.channels, self.dtype)
        y = y[: stop - start]
        training_kernel.activate_rows(self.z[clip, start:stop], self.norm, y)
        return y

    def backward(self, dy, grads):
        """Store the gradients of its parameters; features have none."""
        channels = self.channels

        def reductions(clip, start, stop, sums):
            z, d = self.z[clip, start:stop], dy[clip, start:stop]
            gradient_kernel.norm_reductions(z, self.norm, d, self._reduced(sums))

        (sums,) = self._summed(reductions, self.clips, self.rows, ((3 * channels,), np.float64))
        count = self.net.batch.clips(self.clips) * self.rows * self.bins
        normalisation_backward(self.net, "stem.conv", self.norm, sums, count, grads)

        def task(clip, start, stop, dweight, dbias):
            gradient_kernel.stem_gradient(
                self.x[clip, start : stop + 2], self.z[clip, start:stop], self.norm, dy[clip, start:stop],
                self._scratch("dz", self.bins, channels), dweight, dbias,
            )  # fmt: skip

        parts = ((3, 3 * self.inputs, channels), self.dtype), ((channels,), self.dtype)
        dweight, dbias = self._summed(task, self.clips, self.rows, *parts)
        store(self.net.params, grads, "stem.conv", weight=dweight, bias=dbias)


class _Block(_Part):
    """Depthwise, pointwise, attention and pool; keeps the pointwise output z and the pooled map y."""

    def __init__(self, net, name, block, source, pad):
        super().__init__(net, pad)
        self.name, self.block, self.source = name, block, source
        shape = source.clips, source.rows - 2 * block.dilation, source.bins
        self.clips, self.height, self.width = shape
        self.rows, self.bins = self.height // block.pool[0], self.width // block.pool[1]
        self.count = net.batch.clips(self.clips) * self.height * self.width
        self.positions = rows_together(self.width) * self.width
        weight, bias = self._layer(f"{name}.depthwise")
        self.depthwise, self.pointwise = (weight, bias, np.ones_like(bias)), self._layer(f"{name}.pointwise")
        self.channels = len(self.pointwise[1])
        self.norm1 = normalisation(net, f"{name}.depthwise", self._depthwise_moments, *shape)
        self.z = np.empty((*shape, self.channels), self.dtype)
        self.norm2 = normalisation(net, f"{name}.pointwise", self._pointwise_moments, *shape)
        self.attention = None
        if block.attention:
            parts = [(net.params, f"{name}.attention", z, self.norm2, block.pool) for z in self.z]
            self.attention = for_each(TrainedAttention, parts)
        self.y = np.empty((self.clips, self.rows, self.bins + 2 * pad, self.channels), self.dtype)
        self.y[:, :, :pad] = self.y[:, :, self.bins + pad :] = 0
        self.chosen = np.empty((self.clips, self.rows, self.bins, self.channels), np.uint8)
        for_each(self._pool, pieces(self.clips, self.rows))
        source.release()

    def window(self, clip, start, stop):
        return self.y[clip, start:stop]

    # Forward

    def _window(self, clip, start, stop):
        """What kernels need to make rows [start, stop) of the depthwise convolution."""
        dilation = self.block.dilation
        return self.source.window(clip, start, stop + 2 * dilation), dilation, self.depthwise

    def _inner(self):
        return self._scratch("inner", self.positions, self.source.channels)

    def _depthwise_moments(self, clip, start, stop, moments):
        training_kernel.depthwise_moments(self._window(clip, start, stop), self._inner(), moments)

    def _pointwise_moments(self, clip, start, stop, moments):
        window, inner, z = self._window(clip, start, stop), self._inner(), self.z[clip, start:stop]
        active = self._scratch("active", self.positions, self.source.channels)
        training_kernel.pointwise_moments(window, self.norm1, inner, active, self.pointwise, z, moments)

    def _pool(self, clip, start, stop):
        pool, target = self.block.pool, (self.y[clip, start:stop], self.chosen[clip, start:stop])
        if self.attention is not None:
            self.attention[clip].pooled_rows(start, stop, *target)
        else:
            z = self.z[clip, start * pool[0] : stop * pool[0]]
            training_kernel.pooled_rows(z, self.norm2, *target, pool)

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

    def _behind(self, dy, clip):
        """What makes the gradient behind the block's normalisation, in the calling thread."""
        if self.attention is not None:
            return self.attention[clip].behind(dy[clip], self.chosen[clip])
        z, no_attention = self.z[clip], np.zeros_like(self.norm2)
        return z, self.norm2, (no_attention, z), (dy[clip], self.chosen[clip], self.block.pool)

    def _attention_backward(self, dy, grads):
        parts = for_each(TrainedAttention.backward, list(zip(self.attention, dy, self.chosen, strict=True)))
        totals = self.net.batch.total(
            *(np.array([part[key] for part in parts], np.float64) for key in parts[0])
        )
        found = dict(zip(parts[0], totals, strict=True))
        store(self.net.params, grads, f"{self.name}.attention", **found)

    def _pool_backward(self, dy, grads):
        def task(clip, start, stop, sums):
            gradient_kernel.pool_reductions(self._behind(dy, clip), self._reduced(sums), start, stop)

        (sums,) = self._summed(task, self.clips, self.height, ((3 * self.channels,), np.float64))
        normalisation_backward(self.net, f"{self.name}.pointwise", self.norm2, sums, self.count, grads)

    def _pointwise_backward(self, dy, grads):
        inputs, channels, positions = self.source.channels, self.channels, self.positions
        weight = padded(matrix(self.net.params[f"{self.name}.pointwise.weight"]), (0, 1))
        back = packed(weight.T), np.zeros(inputs, self.dtype)
        dinner = np.empty((self.clips, self.height, self.width, inputs), self.dtype)

        def task(clip, start, stop, dweight, dbias, sums):
            memory = (
                self._inner(), self._scratch("stretched", positions, inputs + LANES),
                self._scratch("dz", positions, channels),
            )  # fmt: skip
            gradient_kernel.pointwise_gradient(
                self._window(clip, start, stop), self.norm1, back, self._behind(dy, clip), memory,
                dweight, dbias, dinner[clip], self._reduced(sums), start, stop,
            )  # fmt: skip

        parts = ((inputs, channels), self.dtype), ((channels,), self.dtype), ((3 * inputs,), np.float64)
        dweight, dbias, sums = self._summed(task, self.clips, self.height, *parts)
        store(self.net.params, grads, f"{self.name}.pointwise", weight=dweight, bias=dbias)
        normalisation_backward(self.net, f"{self.name}.depthwise", self.norm1, sums, self.count, grads)
        return dinner

    def _depthwise_backward(self, dinner, grads):
        inputs, dilation = self.source.channels, self.block.dilation
        weight, bias, ones = self.depthwise
        flipped = weight.reshape(9, inputs)[::-1].reshape(-1), np.zeros_like(bias), ones
        dx = np.empty((self.clips, self.source.rows, self.width, inputs), self.dtype)

        def task(clip, start, stop, dweight, dbias):
            window = self._window(clip, max(start - 2 * dilation, 0), min(stop, self.height))
            dz = framed(f"{self.name}.dz", ROWS + 2 * dilation, self.width, dilation, inputs, self.dtype)
            memory = self._inner(), dz, self._scratch("partial", inputs)
            gradient_kernel.depthwise_gradient(
                window, flipped, self.norm1, memory, dinner[clip], dx[clip, start:stop], dweight, dbias, start
            )

        parts = ((9, inputs), self.dtype), ((inputs,), self.dtype)
        dweight, dbias = self._summed(task, self.clips, self.source.rows, *parts)
        store(self.net.params, grads, f"{self.name}.depthwise", weight=dweight, bias=dbias)
        return dx
