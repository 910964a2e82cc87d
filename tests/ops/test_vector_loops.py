"""Loops over one vector of channels against NumPy: strides, NaN, pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops_support import seeds

from acdref.ops.kernel import available, compile_function

if not available():
    pytest.skip("needs numba", allow_module_level=True)

from acdref.ops import vector_loops as loops
from acdref.ops.layout import LANES
from acdref.ops.vectors import TAPS


@compile_function
def largest(x, x_row, rows, width, slope, y, channels, bins):
    for c in range(0, channels, 16):
        loops.largest(x, c, x_row, rows, channels, width, slope, c, y, c, channels, bins)


@compile_function
def moments(x, x0, size, out):
    loops.moments_about_first(x, x0, size, out)


@compile_function
def softmax(x, x0, size):
    loops.softmax(x, x0, size)


@compile_function
def column_softmax(x, x0, row, rows, best, total, scale, c0):
    loops.column_softmax(x, x0, row, rows, best, total, scale, c0)


@compile_function
def taps(x, x_row, reach, weight, bias, slope, y, channels, bins):
    for c in range(0, channels, TAPS):
        loops.taps(x, c, x_row, reach, weight, c, bias, slope, c, y, c, channels, bins)


@compile_function
def pack_panel(x, x0, x_row, rows, y, y0):
    loops.pack_panel(x, x0, x_row, rows, y, y0)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("bins", [1, 3, 4, 7, 8, 9, 26])
def test_taps_of_any_number_of_bins(bins, dilation, rng):
    """By fours that lie a dilation apart, and what is left one by one; nothing is written beyond."""
    x = rng.standard_normal((3, bins + 2 * dilation, 32))
    weight, bias, slope = rng.standard_normal((3, 3, 32)), rng.standard_normal(32), rng.standard_normal(32)
    y = np.full((bins + 1, 32), np.nan)
    taps(x.reshape(-1), x[0].size, dilation * 32, weight.reshape(-1), bias, slope, y.reshape(-1), 32, bins)
    z = bias + sum(
        x[i, j * dilation : j * dilation + bins] * weight[i, j] for i in range(3) for j in range(3)
    )
    np.testing.assert_allclose(y[:bins], np.where(z > 0, z, slope * z), rtol=1e-12, atol=1e-12)
    assert np.isnan(y[bins]).all()


def test_pack_panel():
    x = np.arange(100.0)
    y = np.zeros(50)
    pack_panel(x, 3, 30, 3, y, 1)
    np.testing.assert_array_equal(y[1:49].reshape(3, LANES), x[3:93].reshape(3, 30)[:, :LANES])
    assert y[0] == y[49] == 0


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
    out = np.empty(2, np.float32)
    moments(x, 3, 20 * LANES, out)
    d = x[3:].astype(np.float64) - x[3]
    np.testing.assert_allclose(out, [d.sum(), (d * d).sum()], rtol=1e-5, atol=1e-4)


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
