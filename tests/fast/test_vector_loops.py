"""Loops over one vector of channels against NumPy: strides, NaN, pieces.

Those of a training step in float32, where masks and choices are of another width than in float64; what they
compute in float64 is tested through the kernels that are made of them.
"""

import threading

import numpy as np
import pytest
from fused_support import active, table
from hypothesis import given
from hypothesis import strategies as st
from ops_support import seeds

from acdref.ops.kernel import available, compile_function
from acdref.ops.pooling import max_pool, max_pool_backward
from acdref.ops.softmax import softmax_channels_backward

if not available():
    pytest.skip("needs numba", allow_module_level=True)

from acdref.fast import vector_loops as loops
from acdref.ops.layout import LANES
from acdref.ops.vectors import TAPS


@compile_function
def largest(x, x_row, rows, width, slope, y, channels, bins):
    for c in range(0, channels, 16):
        loops.largest(x, c, x_row, (rows, width), slope, c, y, c, channels, bins)


@compile_function
def claims(counter, y):
    for i in range(len(y)):
        y[i] = loops.increase(counter, 1)


@compile_function
def moments(x, x0, size, out):
    loops.moments_about_first(x, x0, size, out, 1)


@compile_function
def softmax(x, x0, size):
    loops.softmax(x, x0, size)


@compile_function
def column_softmax(x, x0, row, rows, best, total, scale, c0):
    loops.column_softmax(x, x0, row, rows, (best, total, scale), c0)


@compile_function
def taps(x, x_row, dilation, layer, y, channels, bins):
    for c in range(0, channels, TAPS):
        loops.taps(x, c, x_row, dilation, layer, c, y, c, channels, bins)


@compile_function
def largest_of(z, z_row, pool, norm, y, chosen, bins):
    loops.largest_of(z, 0, z_row, pool, norm, 0, 16, (y, 0, chosen, 0), bins)


@compile_function
def unpool(dy, chosen, place, width, d, bins):
    loops.unpool((dy, chosen, 0, place, width, bins), LANES, d, 0, LANES)


@compile_function
def softmax_gradient(q, d, size):
    loops.softmax_gradient(q, 0, d, 0, size)


@compile_function
def flat(x):
    return loops.flat(x)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4), (0, 3), (2, 0, 4)])
def test_flat(shape, rng):
    """The same memory, which lives as long as the view does."""
    x = rng.standard_normal(shape)
    y = flat(x)
    np.testing.assert_array_equal(y, x.reshape(-1))
    assert y.size == 0 or np.shares_memory(x, y)
    copy = x.reshape(-1).copy()
    del x
    np.testing.assert_array_equal(y, copy)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("bins", [1, 3, 4, 7, 8, 9, 26])
def test_taps_of_any_number_of_bins(bins, dilation, rng):
    """By fours that lie a dilation apart, and what is left one by one; nothing is written beyond."""
    x = rng.standard_normal((3, bins + 2 * dilation, 32))
    weight, bias, slope = rng.standard_normal((3, 3, 32)), rng.standard_normal(32), rng.standard_normal(32)
    y = np.full((bins + 1, 32), np.nan)
    taps(x, x[0].size, dilation, (weight.reshape(-1), bias, slope), y, 32, bins)
    z = bias + sum(
        x[i, j * dilation : j * dilation + bins] * weight[i, j] for i in range(3) for j in range(3)
    )
    np.testing.assert_allclose(y[:bins], np.where(z > 0, z, slope * z), rtol=1e-12, atol=1e-12)
    assert np.isnan(y[bins]).all()


@given(
    seed=seeds, rows=st.integers(1, 3), width=st.integers(1, 3), bins=st.integers(1, 4),
    vectors=st.integers(1, 2), nan=st.booleans(),
)  # fmt: skip
def test_largest_of_windows(seed, rows, width, bins, vectors, nan):
    """PReLU of any slope before the maximum; bins that fill no window are not read."""
    rng = np.random.default_rng(seed)
    channels, wide = vectors * LANES, bins * width + 1
    x = rng.standard_normal((rows, wide, channels)).astype(np.float32)
    slope = rng.normal(0, 1, channels).astype(np.float32)
    if nan:
        x[rng.integers(rows), rng.integers(wide), rng.integers(channels)] = np.nan
    y = np.empty((bins, channels), np.float32)
    largest(x.reshape(-1), x[0].size, rows, width, slope, y.reshape(-1), channels, bins)
    active = np.where(x > 0, x, slope * x)[:, :-1].reshape(rows, bins, width, channels)
    np.testing.assert_array_equal(y, active.max((0, 2)))


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_moments_do_not_cancel(offset, rng):
    x = (rng.standard_normal(3 + 20 * LANES) + offset).astype(np.float32)
    out = np.empty(3, np.float32)
    moments(x, 3, 20 * LANES, out)
    d = x[3:].astype(np.float64) - x[3]
    np.testing.assert_allclose(out[1:], [d.sum(), (d * d).sum()], rtol=1e-5, atol=1e-4)


@given(seed=seeds, size=st.sampled_from([16, 48]), spread=st.sampled_from([0, 1, 100, 1e30]))
def test_softmax(seed, size, spread):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(size + 5) * spread).astype(np.float32)
    e = np.exp((x[5:] - x[5:].max()).astype(np.float64))
    before = x[:5].copy()
    softmax(x, 5, size)
    np.testing.assert_allclose(x[5:], e / e.sum(), rtol=1e-6, atol=1e-37)
    np.testing.assert_array_equal(x[:5], before)


@pytest.mark.parametrize("place", [0, 15, 16, 31])
def test_softmax_of_nan(place):
    x = np.zeros(32, np.float32)
    x[place] = np.nan
    softmax(x, 0, 32)
    assert np.isnan(x).all()


@given(seed=seeds, cuts=st.lists(st.integers(1, 6), min_size=1, max_size=4), nan=st.booleans())
def test_column_softmax_runs_from_call_to_call(seed, cuts, nan):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 5, (sum(cuts), LANES)).astype(np.float32)
    if nan:
        x[rng.integers(len(x)), 3] = np.nan
    best, total, scale = (
        np.full(LANES, -np.inf, np.float32),
        np.zeros(LANES, np.float32),
        np.empty(LANES, np.float32),
    )
    weighed, start = np.zeros(LANES), 0
    values = rng.standard_normal(x.shape)
    for count in cuts:
        part = np.concatenate([x[start : start + count], np.full((count, 5), 7, np.float32)], axis=1)
        column_softmax(part.reshape(-1), 0, LANES + 5, count, best, total, scale, 0)
        assert (part[:, LANES:] == 7).all()
        weighed = weighed * scale + (part[:, :LANES] * values[start : start + count]).sum(0)
        start += count
    exact = np.exp((x - x.max(0)).astype(np.float64))
    number = ~np.isnan(x).any(0)
    np.testing.assert_array_equal(best[number], x.max(0)[number])
    np.testing.assert_allclose(total, exact.sum(0), rtol=1e-6)
    np.testing.assert_allclose(weighed / total, (exact * values).sum(0) / exact.sum(0), rtol=1e-5, atol=1e-6)


@given(
    seed=seeds, rows=st.integers(1, 3), width=st.integers(1, 4), bins=st.integers(1, 4),
    nans=st.integers(0, 9),
)  # fmt: skip
def test_choice_and_its_gradient(seed, rows, width, bins, nans):
    """Among equals the first, and a NaN before any number; dy goes to what was chosen."""
    rng = np.random.default_rng(seed)
    z, norm = np.round(rng.standard_normal((rows, bins * width, LANES))), table(rng, LANES).astype(np.float32)
    z.reshape(-1)[rng.integers(0, z.size, nans)] = np.nan
    z = z.astype(np.float32)
    y, chosen = np.empty((bins, LANES), np.float32), np.empty((bins, LANES), np.uint8)
    largest_of(z, z[0].size, (rows, width), norm, y, chosen, bins)
    expected, expected_chosen = max_pool(active(z, norm)[None], (rows, width))
    np.testing.assert_allclose(y, expected[0, 0], atol=1e-6)
    np.testing.assert_array_equal(chosen, expected_chosen[0, 0])

    dy, d = rng.standard_normal(y.shape).astype(np.float32), np.ones(z.shape, np.float32)
    for place in range(rows * width):
        i, j = divmod(place, width)
        unpool(dy.reshape(-1), chosen.reshape(-1), place, width, d[i, j:].reshape(-1), bins)
    dx = max_pool_backward(dy[None, None], chosen[None, None], (rows, width), (1, *z.shape))[0]
    np.testing.assert_array_equal(d, dx)


def test_softmax_gradient(rng):
    q, d = rng.uniform(0, 1, 48).astype(np.float32), rng.standard_normal(48).astype(np.float32)
    expected = softmax_channels_backward(d.astype(np.float64), q.astype(np.float64))
    softmax_gradient(q, d, 48)
    np.testing.assert_allclose(q, expected, atol=1e-5)


def test_no_number_is_claimed_twice():
    counter, found = np.zeros(2, np.int64), np.zeros((4, 50_000), np.int64)
    callers = [threading.Thread(target=claims, args=(counter, own)) for own in found]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    np.testing.assert_array_equal(np.sort(found, axis=None), np.arange(found.size))
    assert counter.tolist() == [0, found.size]
    assert loops.reached(counter[1:], found.size, 1)
    assert not loops.reached(counter[1:], found.size + 1, 9)
