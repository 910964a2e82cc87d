"""PReLU and sigmoid: definitions, PyTorch, directional derivatives, agreement of the backends."""

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
    gradient_error,
    needs_numba,
    normal,
    off_zero,
    seeds,
)

from acdref.ops.activation import prelu, prelu_backward, sigmoid, sigmoid_backward

shapes = st.tuples(batches, st.integers(1, 5), st.integers(1, 5), channels)
needs_both = pytest.mark.parametrize("backend", BACKENDS)


@needs_both
def test_prelu_of_either_sign_of_slope(backend):
    x = np.array([[-2.0, -2.0, -2.0], [3.0, 3.0, 3.0], [0.0, 0.0, -0.0]])
    slope = np.array([0.25, -0.5, 0.0])
    np.testing.assert_array_equal(prelu(x, slope, backend=backend), [[-0.5, 1, 0], [3, 3, 3], [0, 0, 0]])


@needs_both
def test_prelu_gradient_at_zero_is_the_slope(backend):
    dx, dslope = prelu_backward(np.ones((1, 2)), np.zeros((1, 2)), np.array([0.25, -3.0]), backend=backend)
    np.testing.assert_array_equal(dx, [[0.25, -3]])
    np.testing.assert_array_equal(dslope, [0, 0])


@needs_both
def test_sigmoid_never_overflows(backend):
    x = np.array([-np.inf, -1e300, -800, 0, 800, 1e300, np.inf])
    with np.errstate(all="raise", under="ignore"):
        y = sigmoid(x, backend=backend)
    np.testing.assert_array_equal(y, [0, 0, 0, 0.5, 1, 1, 1])


@needs_both
@given(seed=seeds)
@settings(max_examples=10)
def test_sigmoid_is_symmetric(backend, seed):
    x = 20 * normal(np.random.default_rng(seed), 50)
    np.testing.assert_allclose(sigmoid(-x, backend=backend), 1 - sigmoid(x, backend=backend), atol=1e-15)


@needs_both
@given(seed=seeds, shape=shapes)
@settings(max_examples=10)
def test_prelu_directional_derivative(backend, seed, shape):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda x, slope: prelu(x, slope, backend=backend),
        lambda dy, x, slope: prelu_backward(dy, x, slope, backend=backend),
        (off_zero(normal(rng, *shape)), normal(rng, shape[-1])),
        rng,
    )
    assert error <= 1e-6


@needs_both
@given(seed=seeds, n=batches, c=channels)
@settings(max_examples=10)
def test_sigmoid_directional_derivative(backend, seed, n, c):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda x: sigmoid(x, backend=backend),
        lambda dy, x: (sigmoid_backward(dy, sigmoid(x, backend=backend), backend=backend),),
        (normal(rng, n, c),),
        rng,
    )
    assert error <= 1e-6


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, shape=shapes)
@settings(max_examples=30)
def test_backends_agree(dtype, seed, shape):
    rng = np.random.default_rng(seed)
    x, dy = normal(rng, *shape, dtype=dtype), normal(rng, *shape, dtype=dtype)
    slope = normal(rng, shape[-1], dtype=dtype)
    y = sigmoid(x)

    def results(backend):
        dx, dslope = prelu_backward(dy, x, slope, backend=backend)
        return (
            prelu(x, slope, backend=backend),
            dx,
            sigmoid(x, backend=backend),
            sigmoid_backward(dy, y, backend=backend),
            dslope,
        )

    terms = np.abs(np.where(x > 0, 0, dy * x)).sum((0, 1, 2))
    assert_close(results("numba"), results("numpy"), AGREEMENT[dtype], (*results("numpy")[:-1], terms))


@needs_both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_as_pytorch(dtype, tolerance, backend, rng):
    torch = pytest.importorskip("torch")
    x, dy, slope = (
        normal(rng, 60, 20, dtype=dtype),
        normal(rng, 60, 20, dtype=dtype),
        normal(rng, 20, dtype=dtype),
    )
    x[0] = 0
    tx, tslope = torch.tensor(x, requires_grad=True), torch.tensor(slope, requires_grad=True)
    ty = torch.nn.functional.prelu(tx, tslope)
    ty.backward(torch.tensor(dy))
    assert_close(prelu(x, slope, backend=backend), ty.detach().numpy(), tolerance)
    expected = tx.grad.numpy(), tslope.grad.numpy()
    assert_close(prelu_backward(dy, x, slope, backend=backend), expected, tolerance)
    tx.grad = None
    ty = torch.sigmoid(tx)
    ty.backward(torch.tensor(dy))
    y = sigmoid(x, backend=backend)
    assert_close(y, ty.detach().numpy(), tolerance)
    assert_close(sigmoid_backward(dy, y, backend=backend), tx.grad.numpy(), tolerance)


@needs_both
def test_bad_values_pass_through(backend):
    x = np.array([[np.nan, np.inf, -np.inf, -np.inf]])
    slope = np.array([0.25, 0.25, 0.25, -1.0])
    np.testing.assert_array_equal(prelu(x, slope, backend=backend), [[np.nan, np.inf, -np.inf, np.inf]])
    np.testing.assert_array_equal(sigmoid(x, backend=backend), [[np.nan, 1, 0, 0]])
    dx, dslope = prelu_backward(np.full((1, 4), np.nan), x, slope, backend=backend)
    assert np.isnan(dx).all()
    np.testing.assert_array_equal(np.isnan(dslope), [True, False, True, True])


@needs_numba
def test_threads_do_not_matter(rng):
    x, dy = (normal(rng, 3, 700, 20, dtype=np.float32) for _ in range(2))
    slope = normal(rng, 20, dtype=np.float32)
    assert_threads_do_not_matter(
        lambda: (prelu(x, slope, backend="numba"), prelu_backward(dy, x, slope, backend="numba"))
    )
