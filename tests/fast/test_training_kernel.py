"""Each kernel of a training step's forward pass against the plain operations that it fuses."""

import numpy as np
import pytest
from fused_support import TOLERANCE, Shape, active, blocks, empty, frame, table
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import assert_close, relative_error
from plain_support import conv, depthwise

from acdref.ops.kernel import available, compile_function
from acdref.ops.layout import LANES, packed, padded, whole
from acdref.ops.pooling import max_pool
from acdref.ops.softmax import softmax_channels, softmax_positions

if not available():
    pytest.skip("needs numba", allow_module_level=True)

from acdref.fast import training_kernel as kernels


class Moments:
    """The last argument of kernels that sum up moments."""

    def __init__(self, channels):
        self.pivot, self.sums = empty(channels), np.zeros(2 * channels)
        self.group = self.pivot, empty(2 * channels), self.sums

    def check(self, z):
        """That they are the moments of z (..., C)."""
        z = z.reshape(-1, z.shape[-1])
        d = z - self.pivot
        scales = np.abs(z).sum(0), np.square(z).sum(0)
        assert_close(tuple(np.split(self.sums, 2)), (d.sum(0), (d * d).sum(0)), TOLERANCE, scales)


@given(blocks, st.integers(1, 3))
@settings(max_examples=20)
def test_stem_rows(drawn, inputs):
    shape = Shape(drawn)
    rows, bins, channels = shape.rows, shape.bins, whole(shape.channels)
    x, weight = shape.normal(rows + 2, bins, inputs), shape.normal(3, 3, inputs, channels)
    bias, start = shape.normal(channels), shape.rng.integers(rows)
    features = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    z, moments = np.zeros((rows, bins, channels)), Moments(channels)
    kernels.stem_rows(
        features[start:], (packed(weight.reshape(-1, channels)), bias), z[start:], moments.group
    )  # fmt: skip
    assert not z[:start].any()
    assert_close(z[start:], conv(x[None], weight, bias)[0, start:], TOLERANCE)
    moments.check(z[start:])


@given(blocks, st.integers(0, 3))
@settings(max_examples=20)
def test_activate_rows(drawn, pad):
    """What lies beside the rows is left alone."""
    shape = Shape(drawn)
    rows, bins, channels = shape.rows, shape.bins, whole(shape.channels)
    z, norm = shape.normal(rows, bins, channels), table(shape.rng, channels)
    y = np.full((rows, bins + 2 * pad, channels), 7.0)
    expected = y.copy()
    expected[:, pad : pad + bins] = active(z, norm)
    kernels.activate_rows(z, norm, y)
    assert_close(y, expected, TOLERANCE)


@compile_function
def activate_positions(z, norm, y, y_bin, positions):
    kernels.activate_positions(z, 0, norm, y, 0, y_bin, positions)


@given(blocks, st.integers(0, 20))
@settings(max_examples=20)
def test_activate_positions_of_any_distance(drawn, gap):
    """What lies between them is left alone."""
    shape = Shape(drawn)
    positions, channels = shape.rows * shape.bins, whole(shape.channels)
    z, norm = shape.normal(positions, channels), table(shape.rng, channels)
    y = np.full((positions, channels + gap), 7.0)
    activate_positions(z.reshape(-1), norm, y.reshape(-1), channels + gap, positions)
    assert_close(y[:, :channels], active(z, norm), TOLERANCE)
    assert (y[:, channels:] == 7).all()


@given(blocks)
@settings(max_examples=30)
def test_depthwise_and_pointwise_moments(drawn):
    shape = Shape(drawn)
    rows, bins, dilation, group = shape.rows, shape.bins, shape.dilation, shape.group
    inputs, channels = whole(shape.inputs), whole(shape.channels)
    x = shape.normal(rows + 2 * dilation, bins, shape.inputs)
    weight, bias = shape.depthwise()
    window = frame(x, dilation), dilation, (padded(weight).reshape(-1), padded(bias), np.ones(inputs))
    inner = frame(depthwise(x[None], weight, bias, dilation)[0], 0)
    moments = Moments(inputs)
    size = group * bins, inputs
    kernels.depthwise_moments(window, empty(*size), moments.group)
    moments.check(inner)

    norm, weight, bias = table(shape.rng, inputs), shape.normal(inputs, channels), shape.normal(channels)
    z, moments = empty(rows, bins, channels), Moments(channels)
    kernels.pointwise_moments(
        window, norm, empty(*size), empty(*size), (packed(weight), bias), z, moments.group
    )  # fmt: skip
    assert_close(z, active(inner, norm) @ weight + bias, TOLERANCE)
    moments.check(z)


@given(blocks, st.booleans())
@settings(max_examples=40)
def test_pooled_rows(drawn, nan):
    """The first among equals is chosen, and a NaN before any number."""
    shape = Shape(drawn)
    rows, bins, channels, pool = shape.rows, shape.bins, whole(shape.channels), shape.pool
    z, norm = np.round(shape.normal(rows * pool[0], bins, channels)), table(shape.rng, channels)
    if nan:
        for _ in range(3):
            z[shape.rng.integers(len(z)), shape.rng.integers(bins), shape.rng.integers(channels)] = np.nan
    expected, expected_chosen = max_pool(active(z, norm)[None], pool)
    y = np.zeros(frame(expected[0], 1).shape)
    chosen, start = np.zeros(expected_chosen[0].shape, np.uint8), shape.rng.integers(rows)
    kernels.pooled_rows(z[start * pool[0] :], norm, y[start:], chosen[start:], pool)
    np.testing.assert_allclose(y[start:], frame(expected[0], 1)[start:], atol=TOLERANCE)
    np.testing.assert_array_equal(chosen[start:], expected_chosen[0, start:])
    assert not y[:start].any()
    assert not chosen[:start].any()


@given(blocks, st.integers(1, 20))
@settings(max_examples=30)
def test_active_moments(drawn, tile):
    shape = Shape(drawn)
    channels, positions = whole(shape.channels), shape.rows * shape.bins
    z, norm = shape.normal(positions, channels), table(shape.rng, channels)
    x = active(z, norm)
    parts = [x[i : i + tile].reshape(-1) for i in range(0, positions, tile)]
    moments, scratch = empty(len(parts), 2), empty(tile, channels)
    kernels.active_moments(z, norm, scratch, moments)
    means = np.array([part.mean() for part in parts])
    squares = np.array([np.square(part - part.mean()).sum() for part in parts])
    assert_close((moments[:, 0], moments[:, 1]), (means, squares), TOLERANCE, (np.abs(x).max(), squares))


@given(blocks, st.sampled_from([16, 32]), st.sampled_from([0, LANES]))
@settings(max_examples=30)
def test_summarise_active(drawn, width, gap):
    """The summary, and what is kept of the keys: divided by what they lack, it is the softmax."""
    shape = Shape(drawn)
    rows, bins, channels = shape.rows, shape.bins, whole(shape.channels)
    z, norm, key = (
        shape.normal(rows, bins, channels),
        table(shape.rng, channels),
        shape.normal(channels, width),
    )
    best, total, summary = np.full(width, -np.inf), np.zeros(width), np.zeros((width, channels))
    keys, before = empty(rows, bins, width + gap), empty(rows, width)
    kernels.summarise_active(
        z, norm, empty(shape.group, bins, channels), (packed(key), np.zeros(width)), keys, before,
        (best, total, empty(width)), summary,
    )  # fmt: skip
    x = active(z, norm).reshape(-1, channels)
    weights = softmax_positions((x @ key)[None])[0]
    assert relative_error(summary / total[:, None], weights.T @ x) <= TOLERANCE
    kept = keys[..., :width] * (np.exp(before - best) / total)[:, None]
    assert_close(kept.reshape(-1, width), weights, TOLERANCE)
    assert (keys[..., :width] <= 1).all()


@given(blocks, st.sampled_from([16, 32]), st.sampled_from([0, LANES]))
@settings(max_examples=30)
def test_attended_rows(drawn, width, gap):
    shape = Shape(drawn)
    rows, bins, channels, pool = shape.rows, shape.bins, whole(shape.channels), shape.pool
    z, norm = shape.normal(rows * pool[0], bins, channels), table(shape.rng, channels)
    query, bias, answer = shape.normal(channels, width), shape.normal(width), shape.normal(width, channels)
    x = active(z, norm)
    expected, expected_chosen = max_pool((x + softmax_channels(x @ query + bias) @ answer)[None], pool)
    y, chosen = np.zeros(frame(expected[0], 1).shape), np.full(expected[0].shape, 255, np.uint8)
    plain = np.zeros_like(norm)
    plain[0] = plain[2] = 1
    height = shape.group * pool[0]
    queries = empty(len(z), bins, width + gap)
    kernels.attended_rows(
        z, norm, empty(height, bins, channels), (packed(query), bias), queries, packed(answer),
        empty(height, bins, channels), plain, y, chosen, pool,
    )  # fmt: skip
    assert_close(queries[..., :width], softmax_channels(x @ query + bias), TOLERANCE)
    assert_close(y, frame(expected[0], 1), TOLERANCE)
    np.testing.assert_array_equal(chosen, expected_chosen[0])
