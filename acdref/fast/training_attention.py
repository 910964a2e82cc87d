"""Attention of the fused training step, forward and backward, over one clip's map."""

import functools

import numpy as np

from acdref.fast.attention import Attention, statistics
from acdref.fast.norm import identity
from acdref.fast.scratch import scratch
from acdref.fast.tasks import STEP, rows_together, summed
from acdref.ops.layout import INVERSE, LANES, MEAN, SLOPE, TABLE_ROWS, A, B, C, packed, padded
from acdref.ops.pointwise import pointwise_backward


class TrainedAttention(Attention):
    """Attention that keeps what its backward pass needs, none of it as large as the map.

    Parameters
    ----------
    params : dict
    name : str
    z : (T, F, C) array
        The map before its normalisation and PReLU, which are made again whenever the map is read.
    norm : (8, C) table
    pool : (int, int)
        Behind attention.

    Notes
    -----
    Going backward, the sum that the softmax over positions subtracts is known from the summary, so that keys
    need no pass of their own.
    """

    def __init__(self, params, name, z, norm, pool):
        self.z, self.norm, self.pool = z, norm, pool
        self.positions = z.shape[0] * z.shape[1]
        share = len(params[f"{name}.norm.gamma"]) / z.shape[2]
        super().__init__(params, name, self._statistics(share), self._summarise, z.dtype)

    def _statistics(self, share):
        channels, dtype = self.z.shape[2], self.z.dtype
        starts = np.arange(0, self.positions, STEP)
        moments = np.empty((len(starts), 2), dtype)
        _forward().active_moments(
            self.z.reshape(-1), 0, self.norm, scratch("active", STEP * channels, dtype), channels,
            self.positions, STEP, np.empty(2, dtype), moments,
        )  # fmt: skip
        return statistics(moments, np.diff(starts, append=self.positions) * channels, share)

    def _summarise(self, key):
        channels, width = key.shape
        dtype = self.z.dtype
        self.largest, total = np.full(width, -np.inf, dtype), np.zeros(width, dtype)
        summary = np.zeros((width, channels), dtype)
        _forward().summarise_active(
            self.z.reshape(-1), 0, self.norm, scratch("active", STEP * channels, dtype), packed(key),
            np.zeros(width, dtype), scratch("keys", STEP * (width + LANES), dtype),
            scratch("packed", STEP * channels, dtype), channels, width, self.positions, STEP,
            self.largest, total, np.empty(width, dtype), summary.reshape(-1),
        )  # fmt: skip
        self.key_scale = 1 / total
        return summary / total[:, None]

    def pooled_rows(self, start, stop, *target):
        """Rows [start, stop) of the pooled map with its attention, and what was chosen, to `target`."""
        dtype, (_, bins, channels), width = self.z.dtype, self.z.shape, len(self.query_bias)
        group = rows_together(bins * self.pool[0])
        size = group * self.pool[0] * bins
        _forward().attended_rows(
            self.z.reshape(-1), start * self.pool[0] * bins * channels, self.norm,
            scratch("active", size * channels, dtype), packed(self.query), self.query_bias,
            scratch("queries", size * width, dtype), packed(self.answer),
            scratch("outer", size * channels, dtype), identity(channels, dtype), *target,
            *self.pool, channels, width, bins, stop - start, group,
        )  # fmt: skip

    def backward(self, unpool):
        """Gradients of the parameters, by their names.

        ``unpool`` are the arguments that tell kernels of the pool's gradient.  That of the normalised map
        stays in `dx`; the table `group_norm` tells how to make the map's own of it.
        """
        grads = {}
        danswer = self._danswer(unpool)
        dcontext, grads["out.weight"], grads["out.bias"] = pointwise_backward(
            danswer, self.context, self.weight["out"]
        )
        dnormal, grads["value.weight"], grads["value.bias"] = pointwise_backward(
            dcontext, self.normal, self.weight["value"]
        )
        dweights, dbiases, sums = self._dnormalised(unpool, dnormal)
        for part, dweight, dbias in zip(("query", "key"), dweights, dbiases, strict=True):
            dweight, dbias = dweight[: self.width, : self.channels], dbias[: self.width]
            grads[f"{part}.weight"] = dweight.T * self.scale[:, None] + self.shift[:, None] * dbias
            grads[f"{part}.bias"] = dbias
        dgamma, dbeta = sums[:2, : self.channels]
        grads["norm.gamma"], grads["norm.beta"] = dgamma, dbeta
        # As in acdref.ops.norm.group_norm_backward.
        count = self.positions * self.channels
        b = -self.inverse * self.inverse * (self.gamma * dgamma).sum() / count
        self.group_norm[A, : self.channels] = self.gamma * self.inverse
        self.group_norm[B] = b
        self.group_norm[C] = -self.inverse * (self.gamma * dbeta).sum() / count - b * self.mean
        return grads

    def _danswer(self, unpool):
        dtype, (rows, bins, channels), width = self.z.dtype, self.z.shape, len(self.query_bias)
        group = rows_together(bins)
        size = group * bins
        query = packed(self.query)

        def task(_, start, stop, danswer):
            _backward().answer_gradient(
                self.z.reshape(-1), self.norm, scratch("active", size * channels, dtype),
                query, self.query_bias,
                scratch("queries", size * (width + LANES), dtype), *unpool,
                scratch("d", size * channels, dtype), scratch("packed", size * channels, dtype), danswer,
                channels, width, bins, start, stop, group,
            )  # fmt: skip

        (danswer,) = summed(task, 1, rows, (width * channels, dtype))
        return danswer.reshape(width, channels)[: self.width, : self.channels].astype(dtype)

    def _dnormalised(self, unpool, dnormal):
        """Gradients of the query and key projections, and sums for that of normalisation; makes `dx`."""
        dtype, (rows, bins, channels), width = self.z.dtype, self.z.shape, len(self.query_bias)
        group = rows_together(bins)
        size = group * bins
        dsummary = padded(dnormal * self.scale, (0, 1))
        projections = packed(np.concatenate([self.query, dsummary.T, self.key], axis=1))
        back = self.weight["query"].T, self.weight["key"].T, dnormal
        back = packed(np.concatenate([padded(part, (0, 1)) for part in back]))
        biases = np.zeros(4 * width + channels, dtype)
        biases[:width] = self.query_bias
        answers = packed(self.answer.T)
        key_mean = (dsummary * self.summary).sum(1)
        self.dx = np.empty(self.z.size, dtype)
        self.group_norm = np.zeros((TABLE_ROWS, channels), dtype)
        for row, value in ((SLOPE, 1), (MEAN, self.mean), (INVERSE, self.inverse)):
            self.group_norm[row] = value

        def task(_, start, stop, dweights, dbiases, sums):
            _backward().attention_gradient(
                self.z.reshape(-1), self.norm, scratch("active", size * channels, dtype), projections, biases,
                scratch("projected", size * (3 * width + LANES), dtype), self.largest, self.key_scale,
                *unpool, scratch("d", size * channels, dtype), answers,
                scratch("queries", size * width, dtype), key_mean, back,
                scratch("packed", size * channels, dtype), dweights, dbiases, self.group_norm, self.dx,
                scratch("partial", 3 * channels, dtype), sums, channels, width, bins, start, stop, group,
            )  # fmt: skip

        parts = (2 * width * channels, dtype), (2 * width, dtype), (3 * channels, np.float64)
        dweights, dbiases, sums = summed(task, 1, rows, *parts)
        return dweights.reshape(2, width, channels), dbiases.reshape(2, width), sums.reshape(3, channels)


@functools.cache
def _forward():
    from acdref.fast import training_kernel

    return training_kernel


@functools.cache
def _backward():
    from acdref.fast import gradient_kernel

    return gradient_kernel
