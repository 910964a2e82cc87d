"""Overlapping max-pooling and global means: PyTorch, derivatives, agreement of the backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import (
    BACKENDS,
    DTYPES,
    assert_close,
    assert_threads_do_not_matter,
    from_torch,
    gradient_error,
    needs_numba,
    normal,
    relative_error,
    seeds,
    to_torch,
)

from acdref.ops.pooling import max_pool, max_pool_backward
from acdref.ops.pooling2d import (
    global_mean,
    global_mean_backward,
    max_pool2d,
    max_pool2d_backward,
    mean_bins,
    mean_bins_backward,
)

both = pytest.mark.parametrize("backend", BACKENDS)
GEOMETRIES = {
    "resnet": ((3, 3), (2, 2), (1, 1)),
    "side by side": ((2, 2), (2, 2), (0, 0)),
    "overlapping": ((3, 2), (1, 1), (0, 1)),
    "gaps": ((1, 2), (3, 3), (0, 0)),
}
geometries = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)


def distinct(rng, *shape):
    """Numbers whose order no small step changes."""
    return rng.permutation(np.arange(np.prod(shape))).reshape(shape) / 10.0


@both
@geometries
@pytest.mark.parametrize("dtype", DTYPES)
def test_as_pytorch(backend, geometry, dtype, rng):
    torch = pytest.importorskip("torch")
    x = normal(rng, 2, 9, 8, 5, dtype=dtype)
    x[0, 3:6, 2:5] = 1.5  # equal neighbours
    tensor = to_torch(x)
    expected = torch.nn.functional.max_pool2d(tensor, *geometry)
    y, chosen = max_pool2d(x, *geometry, backend=backend)
    np.testing.assert_array_equal(y, from_torch(expected))
    dy = normal(rng, *y.shape, dtype=dtype)
    expected.backward(to_torch(dy, grad=False))
    dx = max_pool2d_backward(dy, chosen, *geometry, x.shape, backend=backend)
    assert relative_error(dx, from_torch(tensor.grad)) <= 1e-6


@both
@geometries
def test_directional_derivative(backend, geometry, rng):
    def backward(dy, x):
        _, chosen = max_pool2d(x, *geometry, backend=backend)
        return (max_pool2d_backward(dy, chosen, *geometry, x.shape, backend=backend),)

    error = gradient_error(
        lambda x: max_pool2d(x, *geometry, backend=backend)[0], backward, (distinct(rng, 2, 7, 6, 3),), rng
    )
    assert error <= 1e-6


@needs_numba
@geometries
@given(seed=seeds, n=st.integers(1, 3), t=st.integers(3, 9), f=st.integers(3, 9))
@settings(max_examples=10)
def test_backends_and_threads_agree(geometry, seed, n, t, f):
    rng = np.random.default_rng(seed)
    x = rng.choice([-np.inf, -1, 0, 1, np.nan], (n, t, f, 4))

    def results(backend):
        y, chosen = max_pool2d(x, *geometry, backend=backend)
        return y, chosen, max_pool2d_backward(y, chosen, *geometry, x.shape, backend=backend)

    with np.errstate(invalid="ignore"):
        expected = results("numpy")
        for a, b in zip(results("numba"), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        assert_threads_do_not_matter(lambda: results("numba"))


def test_windows_side_by_side_are_the_simple_pool(rng):
    x = normal(rng, 2, 7, 9, 3)
    y, chosen = max_pool2d(x, (2, 3), (2, 3))
    simple, simply = max_pool(x, (2, 3))
    np.testing.assert_array_equal(y, simple)
    np.testing.assert_array_equal(chosen, simply)
    dy = normal(rng, *y.shape)
    np.testing.assert_array_equal(
        max_pool2d_backward(dy, chosen, (2, 3), (2, 3), (0, 0), x.shape),
        max_pool_backward(dy, chosen, (2, 3), x.shape),
    )


@both
@given(seed=seeds, n=st.integers(1, 3), t=st.integers(1, 9), f=st.integers(1, 5))
@settings(max_examples=10)
def test_means(backend, seed, n, t, f):
    rng = np.random.default_rng(seed)
    x = normal(rng, n, t, f, 6)
    assert_close(global_mean(x, backend=backend), x.mean((1, 2)), 1e-13)
    assert_close(mean_bins(x, backend=backend), x.mean(2), 1e-13)
    dy, dframes = normal(rng, n, 6), normal(rng, n, t, 6)
    spread = np.broadcast_to(dy[:, None, None] / (t * f), x.shape)
    assert_close(global_mean_backward(dy, x.shape, backend=backend), spread, 1e-13)
    spread = np.broadcast_to(dframes[:, :, None] / f, x.shape)
    assert_close(mean_bins_backward(dframes, f, backend=backend), spread, 1e-13)
