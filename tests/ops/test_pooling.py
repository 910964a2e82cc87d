"""Max-pooling and the mean over time: naive loops, PyTorch, derivatives, ties, bad values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import (
    AGREEMENT,
    BACKENDS,
    DTYPES,
    assert_close,
    assert_threads_do_not_matter,
    batches,
    channels,
    from_torch,
    gradient_error,
    needs_numba,
    normal,
    relative_error,
    seeds,
    to_torch,
)

from acdref.ops.pooling import largest, max_pool, max_pool_backward, mean_time, mean_time_backward

WINDOWS = [(2, 2), (1, 2), (3, 1)]
windows = pytest.mark.parametrize("window", WINDOWS)
both = pytest.mark.parametrize("backend", BACKENDS)
sizes = st.integers(3, 9)


def naive_max_pool(x, window):
    """Window by window; the first largest element wins, a NaN before any number."""
    n, t, f, c = x.shape
    pt, pf = window
    y = np.empty((n, t // pt, f // pf, c), x.dtype)
    chosen = np.empty(y.shape, np.uint8)
    for at in np.ndindex(y.shape):
        i, row, bin_, channel = at
        values = x[i, row * pt : (row + 1) * pt, bin_ * pf : (bin_ + 1) * pf, channel].ravel()
        nan = np.flatnonzero(np.isnan(values))
        chosen[at] = nan[0] if len(nan) else values.argmax()
        y[at] = values[chosen[at]]
    return y, chosen


@both
@windows
@given(seed=seeds, n=batches, t=sizes, f=sizes, c=channels)
@settings(max_examples=15)
def test_max_pool_is_its_definition(backend, window, seed, n, t, f, c):
    """Few distinct values, so that ties are the rule; some NaN and infinities."""
    values = np.array([0.0, -0.0, 1, 2, -1, np.nan, np.inf, -np.inf])
    x = np.random.default_rng(seed).choice(values, (n, t, f, c))
    for result, expected in zip(max_pool(x, window, backend=backend), naive_max_pool(x, window), strict=True):
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == expected.dtype
    np.testing.assert_array_equal(largest(x, window, backend=backend), naive_max_pool(x, window)[0])


@both
def test_ties_go_to_the_first(backend):
    x = np.full((1, 2, 2, 20), 7.0)
    _, chosen = max_pool(x, (2, 2), backend=backend)
    assert (chosen == 0).all()
    dx = max_pool_backward(np.ones((1, 1, 1, 20)), chosen, (2, 2), x.shape, backend=backend)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 0], [0, 0]])


@both
def test_rest_gets_no_gradient(backend, rng):
    """Rows and bins that fill no window: not read, and their gradient is 0."""
    x = normal(rng, 2, 5, 7, 3)
    x[:, 4], x[:, :, 6] = np.nan, np.nan
    y, chosen = max_pool(x, (2, 2), backend=backend)
    assert y.shape == (2, 2, 3, 3)
    assert np.isfinite(y).all()
    dx = max_pool_backward(np.ones_like(y), chosen, (2, 2), x.shape, backend=backend)
    assert not dx[:, 4].any()
    assert not dx[:, :, 6].any()
    assert dx.sum() == y.size


@both
@windows
@given(seed=seeds, t=sizes, f=sizes, c=channels)
@settings(max_examples=10)
def test_max_pool_directional_derivative(backend, window, seed, t, f, c):
    rng = np.random.default_rng(seed)
    x = rng.permutation(2 * t * f * c).reshape(2, t, f, c) / 10  # all apart: no maximum changes hands
    error = gradient_error(
        lambda x: max_pool(x, window, backend=backend)[0],
        lambda dy, x: (
            max_pool_backward(dy, max_pool(x, window, backend=backend)[1], window, x.shape, backend=backend),
        ),
        (x,),
        rng,
    )
    assert error <= 1e-6


@both
@given(seed=seeds, n=batches, t=sizes, f=sizes, c=channels)
@settings(max_examples=10)
def test_mean_time_directional_derivative(backend, seed, n, t, f, c):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda x: mean_time(x, backend=backend),
        lambda dy, x: (mean_time_backward(dy, x.shape[1], backend=backend),),
        (normal(rng, n, t, f, c),),
        rng,
    )
    assert error <= 1e-6


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@windows
@given(seed=seeds, n=batches, t=sizes, f=sizes, c=channels)
@settings(max_examples=20)
def test_backends_agree(window, dtype, seed, n, t, f, c):
    rng = np.random.default_rng(seed)
    x = normal(rng, n, t, f, c, dtype=dtype)
    _, chosen = max_pool(x, window)
    dy = normal(rng, *chosen.shape, dtype=dtype)

    def results(backend):
        return (
            max_pool(x, window, backend=backend),
            max_pool_backward(dy, chosen, window, x.shape, backend=backend),
        )

    def means(backend):
        return mean_time(x, backend=backend), mean_time_backward(dy[:, 0], t, backend=backend)

    assert_close(results("numba"), results("numpy"), 0)
    assert_close(means("numba"), means("numpy"), AGREEMENT[dtype], (np.abs(x), dy))


@both
@windows
@pytest.mark.parametrize("dtype", DTYPES)
def test_max_pool_as_pytorch(window, dtype, backend, rng):
    torch = pytest.importorskip("torch")
    x = rng.integers(-3, 4, (3, 9, 11, 5)).astype(dtype)  # ties everywhere
    tx = to_torch(x)
    ty = torch.nn.functional.max_pool2d(tx, window)
    y, chosen = max_pool(x, window, backend=backend)
    np.testing.assert_array_equal(y, from_torch(ty))
    dy = normal(rng, *y.shape, dtype=dtype)
    ty.backward(to_torch(dy, grad=False))
    dx = max_pool_backward(dy, chosen, window, x.shape, backend=backend)
    np.testing.assert_array_equal(dx, from_torch(tx.grad))


@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-15), (np.float32, 1e-6)])
def test_mean_time_as_float64(dtype, tolerance, backend, rng):
    x = normal(rng, 3, 62, 2, 32, dtype=dtype)
    y = mean_time(x, backend=backend)
    assert y.dtype == dtype
    assert relative_error(y, x.astype(np.float64).mean(1)) <= tolerance
    dx = mean_time_backward(y, 62, backend=backend)
    assert dx.shape == x.shape
    assert relative_error(dx, np.broadcast_to(y[:, None].astype(np.float64) / 62, x.shape)) <= tolerance


@both
def test_mean_time_of_bad_values(backend, rng):
    x = normal(rng, 2, 5, 3, 4)
    x[0, 2, 1, 3], x[1, 0, 0, 0] = np.nan, np.inf
    y = mean_time(x, backend=backend)
    assert np.isnan(y[0, 1, 3])
    assert y[1, 0, 0] == np.inf
    assert np.isfinite(y).sum() == y.size - 2


@needs_numba
def test_threads_do_not_matter(rng):
    x = normal(rng, 3, 33, 12, 20, dtype=np.float32)
    y, chosen = max_pool(x, (2, 2))
    assert_threads_do_not_matter(
        lambda: (
            max_pool(x, (2, 2), backend="numba"),
            max_pool_backward(y, chosen, (2, 2), x.shape, backend="numba"),
            mean_time(x, backend="numba"),
            mean_time_backward(y[:, 0], 20, backend="numba"),
        )
    )
