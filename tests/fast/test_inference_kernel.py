"""Each kernel of inference against the plain operations that it fuses."""

import numpy as np
import pytest
from fused_support import TOLERANCE, Shape, blocks, empty, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import assert_close, relative_error
from plain_support import conv, depthwise

from acdref.ops.activation import prelu
from acdref.ops.kernel import available
from acdref.ops.layout import LANES, packed, padded, whole
from acdref.ops.pooling import max_pool
from acdref.ops.softmax import softmax_channels, softmax_positions

if not available():
    pytest.skip("needs numba", allow_module_level=True)

from acdref.fast import inference_kernel as kernels


def separable(shape, x, layers):
    """Depthwise convolution and pointwise convolution, a PReLU behind each."""
    weight, bias, slope, weight2, bias2, slope2 = layers
    y = prelu(depthwise(x[None], weight, bias, shape.dilation)[0], slope)
    return prelu(y @ weight2 + bias2, slope2)


def random_layers(shape):
    inputs, channels = shape.inputs, shape.channels
    slopes = shape.normal(inputs), shape.normal(channels)
    return (*shape.depthwise(), slopes[0], shape.normal(inputs, channels), shape.normal(channels), slopes[1])


def for_kernel(layers):
    weight, bias, slope, weight2, bias2, slope2 = layers
    weight2 = packed(padded(weight2, (0, 1)))
    return (padded(weight).reshape(-1), padded(bias), padded(slope)), (weight2, padded(bias2), padded(slope2))


@given(blocks, st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=30)
def test_conv_rows(drawn, inputs, pad):
    shape = Shape(drawn)
    rows, bins, channels = shape.rows, shape.bins, shape.channels
    x = shape.normal(rows + 2, bins, inputs)
    weight, bias, slope = shape.normal(3, 3, inputs, channels), shape.normal(channels), shape.normal(channels)
    start = shape.rng.integers(rows)
    y = np.zeros((rows - start, bins + 2 * pad, whole(channels)))
    features = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    kernels.conv_rows(
        features[start:], (packed(padded(weight.reshape(-1, channels))), padded(bias), padded(slope)), y
    )  # fmt: skip
    expected = prelu(conv(x[None], weight, bias), slope)[0, start:]
    assert_close(y, frame(expected, pad), TOLERANCE)


def tasks(count, done=0):
    """Counters of so many pieces, of which some are done."""
    return np.array([done, done]), count


def map_source(x):
    nothing = np.empty((0, 1, 1))
    return nothing, nothing, (nothing.reshape(-1),) * 3, x


def stem_source(shape, rows, pad):
    """The stem's own map of `rows` rows, and the source that makes at most so many of them."""
    bins, channels = shape.bins, shape.inputs
    x, slope = shape.normal(rows + 2, bins, 2), shape.normal(channels)
    weight, bias = shape.normal(3, 3, 2, channels), shape.normal(channels)
    stem = packed(padded(weight.reshape(-1, channels))), padded(bias), padded(slope)
    framed = np.zeros((rows + 2, bins + 2, 2)), np.zeros((rows, bins + 2 * pad, whole(channels)))
    return prelu(conv(x[None], weight, bias), slope)[0], (x, framed[0], stem, framed[1])


@given(blocks, st.integers(1, 20), st.booleans())
@settings(max_examples=60)
def test_pooled_rows(drawn, strip, stem):
    """A pooled map, but for pieces that somebody else has taken; its empty bins are left alone."""
    shape = Shape(drawn)
    rows, bins, channels, inputs = shape.rows, shape.bins, whole(shape.channels), whole(shape.inputs)
    pool, dilation = shape.pool, shape.dilation
    height, strip = rows * pool[0] + 2 * dilation, min(bins, strip * pool[1])
    if stem:
        x, source = stem_source(shape, height, dilation)
    else:
        x = shape.normal(height, bins, shape.inputs)
        source = map_source(frame(x, dilation))
    layers = random_layers(shape)
    expected = frame(max_pool(separable(shape, x, layers)[None], pool)[0][0], 1)
    count = shape.rng.integers(1, rows + 1)
    y, done = np.zeros(expected.shape), shape.rng.integers(count)
    kernels.pooled_rows(
        tasks(count, done), source, dilation, for_kernel(layers), y, pool, empty(strip, inputs),
        empty(pool[0] * strip, channels),
    )  # fmt: skip
    start = rows * done // count
    assert not y[:start].any()
    assert_close(y[start:], expected[start:], TOLERANCE)


@given(blocks, st.integers(1, 20))
@settings(max_examples=40)
def test_mapped_rows(drawn, strip):
    shape = Shape(drawn)
    rows, bins, inputs = shape.rows, shape.bins, whole(shape.inputs)
    x, layers = shape.normal(rows + 2 * shape.dilation, bins, shape.inputs), random_layers(shape)
    expected = frame(separable(shape, x, layers), 0)
    source, y, moments = frame(x, shape.dilation), empty(*expected.shape), empty(rows, 2)
    kernels.mapped_rows(
        tasks(shape.rng.integers(1, rows + 1)), map_source(source), shape.dilation, for_kernel(layers), y,
        moments, empty(min(bins, strip), inputs),
    )  # fmt: skip
    assert_close(y, expected, TOLERANCE)
    flat = expected.reshape(rows, -1)
    mean = flat.mean(1)
    squares = np.square(flat - mean[:, None]).sum(1)
    assert_close((moments[:, 0], moments[:, 1]), (mean, squares), TOLERANCE, (np.abs(flat).max(), squares))


@given(blocks, st.sampled_from([16, 32]), st.integers(1, 9), st.integers(1, 5))
@settings(max_examples=30)
def test_summaries(drawn, width, tile, count):
    """``softmax_positions(x key)^T x`` of each piece, and of all; and the answer that is made of them."""
    shape = Shape(drawn)
    channels, positions = whole(shape.channels), shape.rows * shape.bins
    count = min(count, positions)
    x, key = shape.normal(positions, channels), shape.normal(channels, width)
    largest, total, summary = empty(count, width), empty(count, width), empty(count, width, channels)
    kernels.summaries(
        tasks(count), x, (packed(key), np.zeros(width)), largest, total, summary,
        empty(tile, width + LANES), empty(tile * channels), empty(width),
    )  # fmt: skip
    pieces = np.split(x, [positions * i // count for i in range(1, count)])
    for piece, best, own, weight in zip(pieces, largest, summary, total, strict=True):
        weights = softmax_positions((piece @ key)[None])[0]
        assert_close(best, (piece @ key).max(0), TOLERANCE)
        assert relative_error(own / weight[:, None], weights.T @ piece) <= TOLERANCE
    share = np.exp(largest - largest.max(0))
    share /= (total * share).sum(0)
    weight, bias, answer = shape.normal(channels, channels), shape.normal(channels), empty(width * channels)
    kernels.answer_of(summary, share, 0.3, 1.7, (packed(weight), bias), empty(width, channels), answer)
    expected = (softmax_positions((x @ key)[None])[0].T @ x - 0.3) * 1.7 @ weight + bias
    assert relative_error(answer, packed(expected)) <= TOLERANCE


@given(blocks, st.sampled_from([16, 32]), st.integers(1, 20))
@settings(max_examples=40)
def test_attended_rows(drawn, width, strip):
    shape = Shape(drawn)
    rows, bins, channels, pool = shape.rows, shape.bins, whole(shape.channels), shape.pool
    x = shape.normal(rows * pool[0], bins, channels)
    query, bias, answer = shape.normal(channels, width), shape.normal(width), shape.normal(width, channels)
    expected = frame(max_pool((x + softmax_channels(x @ query + bias) @ answer)[None], pool)[0][0], 1)
    y, count, strip = np.zeros(expected.shape), shape.rng.integers(1, rows + 1), min(bins, strip * pool[1])
    done = shape.rng.integers(count)
    kernels.attended_rows(
        tasks(count, done), x, (packed(query), bias), packed(answer), y, pool, empty(strip, width),
        empty(pool[0] * strip, channels), np.ones(channels),
    )  # fmt: skip
    start = rows * done // count
    assert not y[:start].any()
    assert_close(y[start:], expected[start:], TOLERANCE)
