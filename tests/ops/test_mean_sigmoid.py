"""Logit of a mean of sigmoids: the definition, PyTorch, derivatives, and where the definition gives up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import gradient_error, normal, relative_error, seeds

from acdref.losses import bce, bce_probabilities
from acdref.ops.mean_sigmoid import mean_sigmoid_logit, mean_sigmoid_logit_backward


@given(seed=seeds, t=st.integers(1, 7), scale=st.sampled_from([0.1, 1, 5]))
@settings(max_examples=20)
def test_its_sigmoid_is_the_mean(seed, t, scale):
    z = normal(np.random.default_rng(seed), 3, t, 4) * scale
    p = (1 / (1 + np.exp(-z))).mean(1)
    np.testing.assert_allclose(1 / (1 + np.exp(-mean_sigmoid_logit(z))), p, rtol=1e-12)
    if t == 1:
        np.testing.assert_allclose(mean_sigmoid_logit(z), z[:, 0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_as_pytorch(dtype, tolerance, rng):
    """The cross-entropy of the mean probability, and its gradient, from logits."""
    torch = pytest.importorskip("torch")
    z = normal(rng, 3, 5, 4, dtype=dtype) * 3
    y = rng.random((3, 4))
    tensor = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.binary_cross_entropy(torch.sigmoid(tensor).mean(1), torch.tensor(y))
    expected.backward()
    loss, dlogits = bce(y, mean_sigmoid_logit(z))
    dz = mean_sigmoid_logit_backward(dlogits, z)
    assert dz.dtype == dtype
    assert abs(loss - expected.item()) <= tolerance
    assert relative_error(dz, tensor.grad.numpy()) <= tolerance
    p = (1 / (1 + np.exp(-z.astype(np.float64)))).mean(1)
    assert abs(loss - bce_probabilities(y, p)[0]) <= tolerance


@given(seed=seeds, t=st.integers(1, 6))
@settings(max_examples=15)
def test_directional_derivative(seed, t):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        mean_sigmoid_logit,
        lambda dy, z: (mean_sigmoid_logit_backward(dy, z),),
        (normal(rng, 2, t, 3) * 2,),
        rng,
    )
    assert error <= 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sure_frames(dtype):
    """Where the probabilities are 0 or 1 to the last digit, logits and gradients are still there."""
    z = np.array([[[300.0], [200.0]], [[-300.0], [-200.0]], [[300.0], [-300.0]]], dtype)
    logits = mean_sigmoid_logit(z)
    np.testing.assert_allclose(logits[:, 0], [200 + np.log(2), -200 - np.log(2), 0], rtol=1e-6, atol=1e-6)
    dz = mean_sigmoid_logit_backward(np.ones((3, 1), dtype), z)
    np.testing.assert_allclose(dz[..., 0], [[0, 1], [0, 1], [0, 0]], atol=1e-6)
