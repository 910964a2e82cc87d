"""Dropout: what is kept, what it becomes, and that the generator alone decides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import BACKENDS, DTYPES, assert_threads_do_not_matter, needs_numba, normal, seeds

from acdref.ops.dropout import dropout, dropout_backward

both = pytest.mark.parametrize("backend", BACKENDS)


@both
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, rate=st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.9]))
@settings(max_examples=10)
def test_zeros_and_scale(backend, dtype, seed, rate):
    rng = np.random.default_rng(seed)
    x = normal(rng, 40, 50, dtype=dtype)
    y, kept = dropout(x, rate, rng, backend=backend)
    assert y.dtype == dtype and kept.dtype == bool
    np.testing.assert_allclose(y, np.where(kept, x / (1 - rate), 0), rtol=1e-6)
    # Six standard deviations of a binomial distribution.
    assert abs(kept.mean() - (1 - rate)) <= 6 * (rate * (1 - rate) / kept.size) ** 0.5
    dy = normal(rng, 40, 50, dtype=dtype)
    dx = dropout_backward(dy, kept, rate, backend=backend)
    # The map is linear and its own transpose.
    np.testing.assert_allclose((dx * x).sum(), (dy * y).sum(), rtol=1e-5, atol=1e-2 * (dtype == np.float32))


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
def test_backends_and_threads_agree(dtype, rng):
    x = normal(rng, 33, 7, dtype=dtype)

    def results(backend):
        y, kept = dropout(x, 0.3, np.random.default_rng(5), backend=backend)
        return y, kept, dropout_backward(x, kept, 0.3, backend=backend)

    for a, b in zip(results("numba"), results("numpy"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_threads_do_not_matter(lambda: results("numba"))


def test_the_generator_decides(rng):
    x = np.ones(1000)
    first, again, other = (dropout(x, 0.5, np.random.default_rng(seed))[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() == pytest.approx(0.5, abs=0.1)
    one, next_ = dropout(x, 0.5, rng)[1], dropout(x, 0.5, rng)[1]
    assert (one != next_).any()


@both
def test_what_is_dropped_may_be_bad(backend):
    """A NaN that is dropped is gone."""
    y, kept = dropout(np.full(100, np.nan), 0.5, np.random.default_rng(0), backend=backend)
    np.testing.assert_array_equal(np.isnan(y), kept)


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan])
def test_rates(rate, rng):
    with pytest.raises(ValueError, match="rate of dropout"):
        dropout(np.ones(3), rate, rng)
