"""Max-pooling and means: naive loops, PyTorch, derivatives, ties, bad values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import (
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

from acdref.ops.pooling import largest, max_pool, max_pool_backward, mean, mean_backward

WINDOWS = [(2, 2), (1, 2), (3, 1)]
windows = pytest.mark.parametrize("window", WINDOWS)
both = pytest.mark.parametrize("backend", BACKENDS)
sizes = st.integers(3, 9)
axes = pytest.mark.parametrize("axes", [(1,), (2,), (1, 2)])
# window, stride, padding
GEOMETRIES = {
    "resnet": ((3, 3), (2, 2), (1, 1)),
    "side by side": ((2, 2), (2, 2), (0, 0)),
    "overlapping": ((3, 2), (1, 1), (0, 1)),
    "gaps": ((1, 2), (3, 3), (0, 0)),
}
geometries = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)


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


@axes
@given(seed=seeds, n=batches, t=sizes, f=sizes, c=channels)
@settings(max_examples=10)
def test_mean_directional_derivative(axes, seed, n, t, f, c):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda x: mean(x, axes),
        lambda dy, x: (mean_backward(dy, x.shape, axes),),
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

    assert_close(results("numba"), results("numpy"), 0)


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


@axes
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-15), (np.float32, 1e-6)])
def test_mean_as_float64(axes, dtype, tolerance, rng):
    x = normal(rng, 3, 62, 2, 32, dtype=dtype)
    y = mean(x, axes)
    assert y.dtype == dtype
    assert relative_error(y, x.astype(np.float64).mean(axes)) <= tolerance
    dx = mean_backward(y, x.shape, axes)
    assert dx.shape == x.shape and dx.dtype == dtype
    assert dx.flags.writeable and dx.flags.c_contiguous
    count = x.size / y.size
    spread = np.broadcast_to(np.expand_dims(y.astype(np.float64), axes) / count, x.shape)
    assert relative_error(dx, spread) <= tolerance


def test_mean_of_bad_values(rng):
    x = normal(rng, 2, 5, 3, 4)
    x[0, 2, 1, 3], x[1, 0, 0, 0] = np.nan, np.inf
    y = mean(x, (1,))
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
        )
    )


def distinct(rng, *shape):
    """Numbers whose order no small step changes."""
    return rng.permutation(np.arange(np.prod(shape))).reshape(shape) / 10.0


@both
@geometries
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_geometry_as_pytorch(backend, geometry, dtype, rng):
    torch = pytest.importorskip("torch")
    x = normal(rng, 2, 9, 8, 5, dtype=dtype)
    x[0, 3:6, 2:5] = 1.5  # equal neighbours
    tensor = to_torch(x)
    expected = torch.nn.functional.max_pool2d(tensor, *geometry)
    y, chosen = max_pool(x, *geometry, backend=backend)
    np.testing.assert_array_equal(y, from_torch(expected))
    np.testing.assert_array_equal(largest(x, *geometry, backend=backend), y)
    dy = normal(rng, *y.shape, dtype=dtype)
    expected.backward(to_torch(dy, grad=False))
    dx = max_pool_backward(dy, chosen, geometry[0], x.shape, *geometry[1:], backend=backend)
    assert relative_error(dx, from_torch(tensor.grad)) <= 1e-6


@both
@geometries
def test_any_geometry_directional_derivative(backend, geometry, rng):
    def backward(dy, x):
        _, chosen = max_pool(x, *geometry, backend=backend)
        return (max_pool_backward(dy, chosen, geometry[0], x.shape, *geometry[1:], backend=backend),)

    error = gradient_error(
        lambda x: max_pool(x, *geometry, backend=backend)[0], backward, (distinct(rng, 2, 7, 6, 3),), rng
    )
    assert error <= 1e-6


@needs_numba
@geometries
@given(seed=seeds, n=st.integers(1, 3), t=st.integers(3, 9), f=st.integers(3, 9))
@settings(max_examples=10)
def test_any_geometry_backends_and_threads_agree(geometry, seed, n, t, f):
    rng = np.random.default_rng(seed)
    x = rng.choice([-np.inf, -1, 0, 1, np.nan], (n, t, f, 4))

    def results(backend):
        y, chosen = max_pool(x, *geometry, backend=backend)
        return y, chosen, max_pool_backward(y, chosen, geometry[0], x.shape, *geometry[1:], backend=backend)

    with np.errstate(invalid="ignore"):
        expected = results("numpy")
        for a, b in zip(results("numba"), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        assert_threads_do_not_matter(lambda: results("numba"))


def test_windows_side_by_side_need_no_stride(rng):
    x = normal(rng, 2, 7, 9, 3)
    y, chosen = max_pool(x, (2, 3), (2, 3))
    simple, simply = max_pool(x, (2, 3))
    np.testing.assert_array_equal(y, simple)
    np.testing.assert_array_equal(chosen, simply)
    dy = normal(rng, *y.shape)
    np.testing.assert_array_equal(
        max_pool_backward(dy, chosen, (2, 3), x.shape, (2, 3)),
        max_pool_backward(dy, chosen, (2, 3), x.shape),
    )
