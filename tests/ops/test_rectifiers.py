"""ReLU, ReLU6, ELU: PyTorch, directional derivatives, agreement of the backends, laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from ops_support import (
    BACKENDS,
    DTYPES,
    assert_threads_do_not_matter,
    gradient_error,
    needs_numba,
    normal,
    relative_error,
    seeds,
)

from acdref.ops.rectifiers import elu, elu_backward, relu, relu6, relu6_backward, relu_backward

PAIRS = {"relu": (relu, relu_backward), "relu6": (relu6, relu6_backward), "elu": (elu, elu_backward)}
both = pytest.mark.parametrize("backend", BACKENDS)
each = pytest.mark.parametrize("name", PAIRS)


def values(rng, dtype):
    """All kinds of numbers, the corners at 0 and 6 among them."""
    return np.concatenate([normal(rng, 500) * 4, [0, 6, -0.0, 1e-30, -1e-30, 80, -80]]).astype(dtype)


@each
@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-6)])
def test_as_pytorch(name, backend, dtype, tolerance, rng):
    torch = pytest.importorskip("torch")
    forward, backward = PAIRS[name]
    x = values(rng, dtype)
    tensor = torch.tensor(x, requires_grad=True)
    expected = getattr(torch.nn.functional, name)(tensor)
    y = forward(x, backend=backend)
    assert y.dtype == dtype
    assert relative_error(y, expected.detach().numpy()) <= tolerance
    dy = normal(rng, *x.shape, dtype=dtype)
    expected.backward(torch.tensor(dy))
    dx = backward(dy, y, backend=backend)
    assert dx.dtype == dtype
    assert relative_error(dx, tensor.grad.numpy()) <= tolerance


@each
@both
@given(seed=seeds)
@settings(max_examples=10)
def test_directional_derivative(name, backend, seed):
    rng = np.random.default_rng(seed)
    forward, backward = PAIRS[name]
    x = normal(rng, 3, 4, 5) * 4
    for corner in (0, 6):
        x = np.where(np.abs(x - corner) < 0.05, corner + 0.1, x)
    error = gradient_error(
        lambda x: forward(x, backend=backend),
        lambda dy, x: (backward(dy, forward(x, backend=backend), backend=backend),),
        (x,),
        rng,
    )
    assert error <= 1e-6


@needs_numba
@each
@pytest.mark.parametrize("dtype", DTYPES)
def test_backends_and_threads_agree(name, dtype, rng):
    forward, backward = PAIRS[name]
    x, dy = values(rng, dtype), normal(rng, 507, dtype=dtype)
    y = forward(x)
    np.testing.assert_array_equal(forward(x, backend="numba"), y)
    assert relative_error(backward(dy, y, backend="numba"), backward(dy, y)) <= np.finfo(dtype).eps
    assert_threads_do_not_matter(lambda: (forward(x, backend="numba"), backward(dy, y, backend="numba")))


@each
@both
def test_nan_and_infinity(name, backend):
    y = PAIRS[name][0](np.array([np.nan, np.inf, -np.inf]), backend=backend)
    np.testing.assert_array_equal(y, [np.nan, 6 if name == "relu6" else np.inf, -1 if name == "elu" else 0])


@both
def test_elu_keeps_small_numbers(backend):
    """exp(x) - 1 by subtraction would lose all but a digit of them."""
    x = np.array([-1e-12, -1e-9])
    np.testing.assert_allclose(elu(x, backend=backend), x, rtol=1e-8)
