"""Attention of the fused training step, forward and backward, over one clip's map."""

import numpy as np
from numpy.typing import NDArray

from acdref.fast import gradient_kernel, training_kernel
from acdref.fast.attention import CompiledAttention, statistics
from acdref.fast.norm import INVERSE, MEAN, SLOPE, TABLE_ROWS, A, B, C, identity
from acdref.fast.tasks import STEP, rows_together, scratch, summed
from acdref.ops.layout import LANES, packed, padded
from acdref.ops.pointwise import pointwise_backward


class TrainedAttention(CompiledAttention):
    """Attention that keeps what its backward pass needs: the weights of queries and keys above all.

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

    def __init__(
        self, params: dict[str, NDArray], name: str, z: NDArray, norm: NDArray, pool: tuple[int, int]
    ):
        self.z, self.norm, self.pool = z, norm, pool
        self.flat = z.reshape(-1, z.shape[2])  # (T F, C)
        share = len(params[f"{name}.norm.gamma"]) / z.shape[2]
        super().__init__(params, name, self._statistics(share), self._summarise)

    def _scratch(self, name, *shape):
        return scratch(name, shape, self.z.dtype)

    def _statistics(self, share):
        positions, channels = self.flat.shape
        starts = np.arange(0, positions, STEP)
        moments = np.empty((len(starts), 2), self.z.dtype)
        active = self._scratch("active", STEP, channels)
        training_kernel.active_moments(self.flat, self.norm, active, moments)
        return statistics(moments, np.diff(starts, append=positions) * channels, share)

    def _rows(self, rows=1):
        """Scratch for as many rows of the map as go through a product together."""
        _, bins, channels = self.z.shape
        return self._scratch("active", rows_together(bins * rows) * rows, bins, channels)

    def _kept(self, width):
        """Room for `width` numbers of each position, and more where columns would fall on few cache sets."""
        row = width + LANES * (width % 64 == 0)
        return np.empty((*self.z.shape[:2], row), self.z.dtype)  # (T, F, row)

    def _summarise(self, key):
        channels, width = key.shape
        dtype = self.z.dtype
        self.largest, total = np.full(width, -np.inf, dtype), np.zeros(width, dtype)
        summary = np.zeros((width, channels), dtype)
        self.keys, self.before = self._kept(width), np.empty((len(self.z), width), dtype)
        training_kernel.summarise_active(
            self.z, self.norm, self._rows(), (packed(key), np.zeros(width, dtype)), self.keys, self.before,
            (self.largest, total, np.empty(width, dtype)), summary,
        )  # fmt: skip
        self.key_scale = 1 / total
        self.queries = self._kept(width)
        self.queries[len(self.z) // self.pool[0] * self.pool[0] :] = 0  # rows that no window sees
        return summary / total[:, None]

    def pooled_rows(self, start: int, stop: int, y: NDArray, chosen: NDArray) -> None:
        """Fill y and `chosen`, rows [start, stop) of the pooled map with its attention and its choices."""
        channels, height = self.z.shape[2], self.pool[0]
        active = self._rows(height)
        rows = slice(start * height, stop * height)
        training_kernel.attended_rows(
            self.z[rows], self.norm, active, self.query_layer, self.queries[rows], packed(self.answer),
            self._scratch("outer", *active.shape), identity(channels, self.z.dtype), y, chosen, self.pool,
        )  # fmt: skip

    def behind(self, dy: NDArray, chosen: NDArray) -> tuple:
        """What makes the gradient behind the map's normalisation (:mod:`acdref.fast.gradient_kernel`)."""
        return self.z, self.norm, (self.group_norm, self.dx), (dy, chosen, self.pool)

    def backward(self, dy: NDArray, chosen: NDArray) -> dict[str, NDArray]:
        """Gradients of the parameters, by their names, from that of the pooled map and what was chosen.

        That of the normalised map stays in `dx`; the table `group_norm` makes the map's own of it.
        """
        self.dx = np.empty_like(self.z)
        self.group_norm = np.zeros((TABLE_ROWS, self.z.shape[2]), self.z.dtype)
        for row, value in ((SLOPE, 1), (MEAN, self.mean), (INVERSE, self.inverse)):
            self.group_norm[row] = value
        grads = {}
        d = self._danswer(dy, chosen)
        for part, x in (("out", self.context), ("value", self.normal)):
            back = pointwise_backward(d[None], x[None], self.weight[part])
            d, grads[f"{part}.weight"], grads[f"{part}.bias"] = back[0][0], *back[1:]
        dweights, dbiases, sums = self._dnormalised(dy, chosen, d)
        for part, dweight, dbias in zip(("query", "key"), dweights, dbiases, strict=True):
            dweight, dbias = dweight[: self.width, : self.channels], dbias[: self.width]
            grads[f"{part}.weight"] = dweight.T * self.scale[:, None] + self.shift[:, None] * dbias
            grads[f"{part}.bias"] = dbias
        dgamma, dbeta = sums[:, : self.channels]
        grads["norm.gamma"], grads["norm.beta"] = dgamma, dbeta
        # As in acdref.ops.norm.group_norm_backward.
        count = len(self.flat) * self.channels
        b = -self.inverse * self.inverse * (self.gamma * dgamma).sum() / count
        self.group_norm[A, : self.channels] = self.gamma * self.inverse
        self.group_norm[B] = b
        self.group_norm[C] = -self.inverse * (self.gamma * dbeta).sum() / count - b * self.mean
        return grads

    def _danswer(self, dy, chosen):
        """Gradient of the answer; the queries' takes their place."""
        dtype, (rows, _, channels), width = self.z.dtype, self.z.shape, len(self.query_bias)
        answers, pooled = (packed(self.answer.T), np.zeros(width, dtype)), (dy, chosen, self.pool)

        def task(_, start, stop, danswer):
            d = self._rows()
            dqueries = self._scratch("queries", d.size // channels, width)
            gradient_kernel.answer_gradient(self.queries, pooled, answers, d, dqueries, danswer, start, stop)

        (danswer,) = summed(task, 1, rows, ((width, channels), dtype))
        return danswer[: self.width, : self.channels].astype(dtype)

    def _dnormalised(self, dy, chosen, dnormal):
        """Gradients of the query and key projections, and sums for that of normalisation; makes `dx`."""
        dtype, (rows, _, channels), width = self.z.dtype, self.z.shape, len(self.query_bias)
        dsummary = padded(dnormal * self.scale, (0, 1))
        back = self.weight["query"].T, self.weight["key"].T, dnormal
        back = packed(np.concatenate([padded(part, (0, 1)) for part in back]))
        layers = (packed(dsummary.T), np.zeros(width, dtype)), (back, np.zeros(channels, dtype))
        kept = self.queries, self.keys, self.before
        keys = self.largest, self.key_scale, (dsummary * self.summary).sum(1)

        def task(_, start, stop, dweights, dbiases, sums):
            active = self._rows()
            memory = active, self._scratch("projected", active.size // channels, 3 * width + LANES)
            reduced = self._scratch("partial", 2 * channels), sums
            gradient_kernel.attention_gradient(
                self.behind(dy, chosen), kept, layers, keys, memory, dweights, dbiases, reduced, start, stop
            )

        parts = ((2 * width, channels), dtype), ((2 * width,), dtype), ((2 * channels,), np.float64)
        dweights, dbiases, sums = summed(task, 1, rows, *parts)
        self.queries = self.keys = None  # and what was kept of them
        return dweights.reshape(2, width, channels), dbiases.reshape(2, width), sums.reshape(2, channels)
