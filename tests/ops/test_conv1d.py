"""1-D convolution: PyTorch's, and NumPy's own correlation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import BACKENDS, assert_close, gradient_error, normal, relative_error, seeds

from acdref.ops.conv1d import conv1d, conv1d_backward

both = pytest.mark.parametrize("backend", BACKENDS)


@both
def test_is_numpys_correlation(backend, rng):
    x, weight = normal(rng, 1, 50, 1), normal(rng, 17, 1, 1)
    y = conv1d(x, weight, stride=3, backend=backend)
    expected = np.correlate(x.ravel(), weight.ravel(), "valid")[::3]
    assert relative_error(y.ravel(), expected) <= 1e-13


@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 0, 1), (3, 0, 1), (2, 3, 2)])
def test_as_pytorch(backend, dtype, tolerance, stride, padding, groups, rng):
    torch = pytest.importorskip("torch")
    x, bias = normal(rng, 3, 40, 4, dtype=dtype), normal(rng, 6, dtype=dtype)
    weight = normal(rng, 7, 4 // groups, 6, dtype=dtype)
    tensors = [
        torch.tensor(a.copy(), requires_grad=True)
        for a in (x.transpose(0, 2, 1), weight.transpose(2, 1, 0), bias)
    ]
    expected = torch.nn.functional.conv1d(*tensors, stride=stride, padding=padding, groups=groups)
    y = conv1d(x, weight, bias, stride, padding, groups, backend=backend)
    assert y.dtype == dtype
    assert relative_error(y, expected.detach().numpy().transpose(0, 2, 1)) <= tolerance
    dy = normal(rng, *y.shape, dtype=dtype)
    expected.backward(torch.tensor(dy.transpose(0, 2, 1).copy()))
    dx, dweight, dbias = (tensor.grad.numpy() for tensor in tensors)
    gradients = conv1d_backward(dy, x, weight, stride, padding, groups, backend=backend)
    assert_close(gradients, (dx.transpose(0, 2, 1), dweight.transpose(2, 1, 0), dbias), tolerance)


@both
@given(seed=seeds, size=st.integers(1, 5), stride=st.integers(1, 4), padding=st.integers(0, 3))
@settings(max_examples=15)
def test_directional_derivative(backend, seed, size, stride, padding):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda *a: conv1d(*a, stride, padding, backend=backend),
        lambda dy, x, weight, bias: conv1d_backward(dy, x, weight, stride, padding, backend=backend),
        (normal(rng, 2, 12, 3), normal(rng, size, 3, 4), normal(rng, 4)),
        rng,
    )
    assert error <= 1e-6
