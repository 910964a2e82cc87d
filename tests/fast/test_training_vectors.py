"""Loops of a training step in float32, where masks and choices are of another width than in float64.

What they compute in float64 is tested through the kernels that are made of them.
"""

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

from acdref.fast import training_vectors as loops
from acdref.ops.layout import LANES


@compile_function
def largest_of(z, z_row, rows, width, norm, y, chosen, bins):
    loops.largest_of(z, 0, z_row, rows, width, norm, 0, 16, y, 0, chosen, 0, bins)


@compile_function
def unpool(dy, chosen, place, d, d_bin, bins):
    loops.unpool(dy, 0, chosen, 0, place, d, 0, d_bin, 16, bins)


@compile_function
def softmax_gradient(q, d, size):
    loops.softmax_gradient(q, 0, d, 0, size)


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
    largest_of(z.reshape(-1), z[0].size, rows, width, norm, y.reshape(-1), chosen.reshape(-1), bins)
    expected, expected_chosen = max_pool(active(z, norm)[None], (rows, width))
    np.testing.assert_allclose(y, expected[0, 0], atol=1e-6)
    np.testing.assert_array_equal(chosen, expected_chosen[0, 0])

    dy, d = rng.standard_normal(y.shape).astype(np.float32), np.ones(z.shape, np.float32)
    for place in range(rows * width):
        i, j = divmod(place, width)
        unpool(dy.reshape(-1), chosen.reshape(-1), place, d[i, j:].reshape(-1), width * LANES, bins)
    dx = max_pool_backward(dy[None, None], chosen[None, None], (rows, width), (1, *z.shape))[0]
    np.testing.assert_array_equal(d, 1 + dx)


def test_softmax_gradient(rng):
    q, d = rng.uniform(0, 1, 48).astype(np.float32), rng.standard_normal(48).astype(np.float32)
    expected = softmax_channels_backward(d.astype(np.float64), q.astype(np.float64))
    softmax_gradient(q, d, 48)
    np.testing.assert_allclose(q, expected, atol=1e-5)
