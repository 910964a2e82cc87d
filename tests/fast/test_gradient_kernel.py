"""Each kernel of a training step's backward pass against the plain operations' backward passes."""

import numpy as np
import pytest
from fused_support import TOLERANCE, Shape, active, blocks, empty, frame, table
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import assert_close, relative_error
from plain_support import conv_weight_gradient, depthwise, depthwise_backward

from acdref.fast.norm import INVERSE, MEAN, SCALE, SHIFT, SLOPE, A, B, C
from acdref.ops.activation import prelu_backward
from acdref.ops.kernel import available
from acdref.ops.layout import LANES, packed, padded, whole
from acdref.ops.pooling import max_pool_backward
from acdref.ops.softmax import (
    softmax_channels,
    softmax_channels_backward,
    softmax_positions,
    softmax_positions_backward,
)

if not available():
    pytest.skip("needs numba", allow_module_level=True)

from acdref.fast import gradient_kernel as kernels


def reductions(z, d, norm):
    """(sum(dn xhat), sum(dn), dslope), and dn, for the gradient d behind prelu(scale z + shift)."""
    dn, dslope = prelu_backward(d, z * norm[SCALE] + norm[SHIFT], norm[SLOPE])
    axes = tuple(range(z.ndim - 1))
    return np.stack([(dn * (z - norm[MEAN]) * norm[INVERSE]).sum(axes), dn.sum(axes), dslope]), dn


def norm_gradient(z, d, norm):
    return norm[A] * reductions(z, d, norm)[1] + norm[B] * z + norm[C]


class Pooled:
    """A map z of a clip, normalised and pooled; what is chosen is random, and so is the gradient."""

    def __init__(self, shape, attended=False):
        pool, channels = shape.pool, whole(shape.channels)
        # Rows and bins that fill no window too.
        self.height = shape.rows * pool[0] + shape.rng.integers(pool[0])
        self.bins, self.channels, self.pool, self.rows = shape.bins, channels, pool, shape.rows
        self.z, self.norm = shape.normal(self.height, self.bins, channels), table(shape.rng, channels)
        self.dy = shape.normal(shape.rows, self.bins // pool[1], channels)
        self.chosen = shape.rng.integers(0, pool[0] * pool[1], self.dy.shape).astype(np.uint8)
        self.d = max_pool_backward(self.dy[None], self.chosen[None], pool, (1, *self.z.shape))[0]
        self.group_norm, self.dx = np.zeros_like(self.norm), self.z
        if attended:
            self.group_norm, self.dx = table(shape.rng, channels), shape.normal(*self.z.shape)
            a, b, c = self.group_norm[[A, B, C]]
            self.d = self.d + a * self.dx + b * active(self.z, self.norm) + c
        self.pooled = self.dy, self.chosen, pool

    def behind(self):
        return self.z, self.norm, (self.group_norm, self.dx), self.pooled


def in_two(shape, rows, task):
    """Call ``task(start, stop)`` over two parts of the rows: sums run from call to call."""
    cut = int(shape.rng.integers(rows + 1))
    for start, stop in ((0, cut), (cut, rows)):
        task(start, stop)


@given(blocks)
@settings(max_examples=20)
def test_norm_reductions(drawn):
    shape = Shape(drawn)
    rows, bins, channels = shape.rows, shape.bins, whole(shape.channels)
    z, d = shape.normal(rows, bins, channels), shape.normal(rows, bins, channels)
    norm, sums = table(shape.rng, channels), np.zeros(3 * channels)

    def task(start, stop):
        kernels.norm_reductions(z[start:stop], norm, d[start:stop], (empty(3 * channels), sums))

    in_two(shape, rows, task)
    assert_close(sums.reshape(3, -1), reductions(z, d, norm)[0], TOLERANCE)


@given(blocks, st.booleans())
@settings(max_examples=40)
def test_pool_reductions(drawn, attended):
    shape = Shape(drawn)
    pooled = Pooled(shape, attended)
    channels, sums = pooled.channels, np.zeros(3 * pooled.channels)

    def task(start, stop):
        kernels.pool_reductions(pooled.behind(), (empty(3 * channels), sums), start, stop)

    in_two(shape, pooled.height, task)
    assert_close(sums.reshape(3, -1), reductions(pooled.z, pooled.d, pooled.norm)[0], TOLERANCE)


@given(blocks, st.booleans())
@settings(max_examples=40)
def test_pointwise_gradient(drawn, attended):
    shape = Shape(drawn)
    pooled = Pooled(shape, attended)
    rows, bins, dilation, group = pooled.height, shape.bins, shape.dilation, shape.group
    inputs, channels = whole(shape.inputs), pooled.channels
    x, (weight, bias) = shape.normal(rows + 2 * dilation, bins, shape.inputs), shape.depthwise()
    norm1, matrix = table(shape.rng, inputs), shape.normal(inputs, channels)
    dweight, dbias, sums = np.zeros((inputs, channels)), np.zeros(channels), np.zeros(3 * inputs)
    source, dinner, positions = frame(x, dilation), empty(rows, bins, inputs), group * bins

    def task(start, stop):
        layer = padded(weight).reshape(-1), padded(bias), np.ones(inputs)
        scratch = (
            empty(positions, inputs), empty(positions, inputs + LANES), empty(positions, channels)
        )  # fmt: skip
        kernels.pointwise_gradient(
            (source[start:], dilation, layer), norm1, (packed(matrix.T), np.zeros(inputs)),
            pooled.behind(), scratch, dweight, dbias, dinner, (empty(3 * inputs), sums), start, stop,
        )  # fmt: skip

    in_two(shape, rows, task)
    inner = frame(depthwise(x[None], weight, bias, dilation)[0], 0)
    dz = norm_gradient(pooled.z, pooled.d, pooled.norm).reshape(-1, channels)
    expected = (dz @ matrix.T).reshape(inner.shape)
    assert_close(dinner, expected, TOLERANCE)
    assert_close(dweight, active(inner, norm1).reshape(-1, inputs).T @ dz, TOLERANCE)
    assert_close(dbias, dz.sum(0), TOLERANCE, np.abs(dz).sum(0))
    assert_close(sums.reshape(3, -1), reductions(inner, expected, norm1)[0], TOLERANCE)


@given(blocks)
@settings(max_examples=40)
def test_depthwise_gradient(drawn):
    shape = Shape(drawn)
    rows, bins, dilation, inputs = shape.rows, shape.bins, shape.dilation, whole(shape.inputs)
    x, weight, bias = shape.normal(rows + 2 * dilation, bins, inputs), *map(padded, shape.depthwise())
    norm, dinner = table(shape.rng, inputs), shape.normal(rows, bins, inputs)
    source, dx = frame(x, dilation), empty(*x.shape)
    dweight, dbias = np.zeros((9, inputs)), np.zeros(inputs)
    flipped = weight[::-1, ::-1].reshape(-1), np.zeros(inputs), np.ones(inputs)

    def task(start, stop):
        dz = empty(stop - start + 2 * dilation, bins + 2 * dilation, inputs)
        dz[:, :dilation] = dz[:, dilation + bins :] = 0
        kernels.depthwise_gradient(
            (source[max(start - 2 * dilation, 0) :], dilation, (weight.reshape(-1), bias, np.ones(inputs))),
            flipped, norm, (empty(bins, inputs), dz, empty(inputs)), dinner, dx[start:stop], dweight, dbias,
            start,
        )  # fmt: skip

    in_two(shape, len(x), task)
    dz = norm_gradient(depthwise(x[None], weight, bias, dilation)[0], dinner, norm)
    expected = depthwise_backward(dz[None], x[None], weight, dilation)
    assert_close(dx, expected[0][0], TOLERANCE)
    assert_close(dweight.reshape(3, 3, inputs), expected[1], TOLERANCE)
    assert_close(dbias, expected[2], TOLERANCE, np.abs(dz).sum((0, 1)))


@given(blocks, st.integers(1, 3))
@settings(max_examples=20)
def test_stem_gradient(drawn, inputs):
    shape = Shape(drawn)
    rows, bins, channels = shape.rows, shape.bins, whole(shape.channels)
    x, z = shape.normal(rows + 2, bins, inputs), shape.normal(rows, bins, channels)
    d, norm = shape.normal(rows, bins, channels), table(shape.rng, channels)
    features = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    dweight, dbias = np.zeros((3, 3 * inputs, channels)), np.zeros(channels)

    def task(start, stop):
        kernels.stem_gradient(
            features[start : stop + 2], z[start:stop], norm, d[start:stop],
            empty(bins, channels), dweight, dbias,
        )  # fmt: skip

    in_two(shape, rows, task)
    dz = norm_gradient(z, d, norm)
    expected = conv_weight_gradient(dz[None], x[None])
    assert_close(dweight.reshape(3, 3, inputs, channels), expected[0], TOLERANCE)
    assert_close(dbias, expected[1], TOLERANCE, np.abs(dz).sum((0, 1)))


@given(blocks, st.sampled_from([16, 32]), st.sampled_from([0, LANES]))
@settings(max_examples=40)
def test_gradients_of_attention(drawn, width, gap):
    """Of ``q answer`` and of the summary ``k^T x``, with q and k the softmax of projections of x."""
    shape = Shape(drawn)
    pooled = Pooled(shape)
    bins, rows, channels, group = shape.bins, pooled.height, pooled.channels, shape.group
    x = active(pooled.z, pooled.norm)
    flat, d = x.reshape(-1, channels), pooled.d.reshape(-1, channels)
    query, key = 0.3 * shape.normal(channels, width), 0.3 * shape.normal(channels, width)
    bias, answer = shape.normal(width), shape.normal(width, channels)
    q, k = softmax_channels(flat @ query + bias), softmax_positions((flat @ key)[None])[0]
    best, before = (flat @ key).max(0), shape.normal(rows, width)
    scale = 1 / np.exp(flat @ key - best).sum(0)
    size, dq = group * bins, softmax_channels_backward(d @ answer.T, q)
    kept = [empty(rows, bins, width + gap) for _ in range(2)]
    kept[0][..., :width] = q.reshape(rows, bins, width)
    kept[1][..., :width] = np.exp((flat @ key).reshape(rows, bins, width) - before[:, None])

    danswer = np.zeros((width, channels))

    def answers(start, stop):
        kernels.answer_gradient(
            kept[0], pooled.pooled, (packed(answer.T), np.zeros(width)), empty(group, bins, channels),
            empty(size, width), danswer, start, stop,
        )  # fmt: skip

    in_two(shape, rows, answers)
    assert_close(danswer, q.T @ d, TOLERANCE)
    assert_close(kept[0][..., :width].reshape(-1, width), dq, TOLERANCE, np.abs(d) @ np.abs(answer.T))

    dsummary = shape.normal(width, channels)
    back = shape.normal(3 * width, channels)
    sums, group_norm = np.zeros(2 * channels), table(shape.rng, channels)
    pooled.group_norm, pooled.dx = group_norm, empty(rows, bins, channels)
    dx, dweights, dbiases = pooled.dx, np.zeros((2 * width, channels)), np.zeros(2 * width)
    key_mean = (dsummary * (k.T @ flat)).sum(1)
    layers = (packed(dsummary.T), np.zeros(width)), (packed(back), np.zeros(channels))

    def inputs(start, stop):
        kernels.attention_gradient(
            pooled.behind(), (*kept, before), layers, (best, scale, key_mean),
            (empty(group, bins, channels), empty(size, 3 * width + LANES)),
            dweights, dbiases, (empty(2 * channels), sums), start, stop,
        )  # fmt: skip

    in_two(shape, rows, inputs)
    dk = softmax_positions_backward((flat @ dsummary.T)[None], k[None])[0]
    three = np.concatenate([dq, dk, k], axis=1)
    expected = (three @ back).reshape(x.shape)
    assert_close(dx, expected, 1e-10)
    assert_close(dweights, three[:, : 2 * width].T @ flat, 1e-10)
    assert relative_error(dbiases, three[:, : 2 * width].sum(0), np.abs(three).sum(0)[: 2 * width]) <= 1e-10
    centred = (x - group_norm[MEAN]) * group_norm[INVERSE]
    assert_close(
        sums.reshape(2, -1), np.stack([(expected * centred).sum((0, 1)), expected.sum((0, 1))]), 1e-10
    )
