"""Activations, dropout, means of sigmoids: definitions, PyTorch, derivatives, agreement of the backends."""

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
    relative_error,
    seeds,
)

from acdref.losses import bce, bce_probabilities
from acdref.ops.activation import (
    dropout,
    dropout_backward,
    elu,
    elu_backward,
    mean_sigmoid_logit,
    mean_sigmoid_logit_backward,
    prelu,
    prelu_backward,
    relu,
    relu6,
    relu6_backward,
    relu_backward,
    sigmoid,
)

shapes = st.tuples(batches, st.integers(1, 5), st.integers(1, 5), channels)
both = pytest.mark.parametrize("backend", BACKENDS)


@both
def test_prelu_of_either_sign_of_slope(backend):
    x = np.array([[-2.0, -2.0, -2.0], [3.0, 3.0, 3.0], [0.0, 0.0, -0.0]])
    slope = np.array([0.25, -0.5, 0.0])
    np.testing.assert_array_equal(prelu(x, slope, backend=backend), [[-0.5, 1, 0], [3, 3, 3], [0, 0, 0]])


@both
def test_prelu_of_a_map_with_slopes_above_1(backend):
    x = np.array([[-2.0, -2.0, -2.0], [3.0, 3.0, 3.0]]).reshape(1, 1, 2, 3)
    slope = np.array([0.25, 1.5, 1.0])
    expected = np.array([[-0.5, -3, -2], [3, 3, 3]]).reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(prelu(x, slope, backend=backend), expected)


def test_prelu_gradient_at_zero_is_the_slope():
    dx, dslope = prelu_backward(np.ones((1, 2)), np.zeros((1, 2)), np.array([0.25, -3.0]))
    np.testing.assert_array_equal(dx, [[0.25, -3]])
    np.testing.assert_array_equal(dslope, [0, 0])


def test_sigmoid_never_overflows():
    x = np.array([-np.inf, -1e300, -800, 0, 800, 1e300, np.inf])
    with np.errstate(all="raise", under="ignore"):
        y = sigmoid(x)
    np.testing.assert_array_equal(y, [0, 0, 0, 0.5, 1, 1, 1])


@given(seed=seeds)
@settings(max_examples=10)
def test_sigmoid_is_symmetric(seed):
    x = 20 * normal(np.random.default_rng(seed), 50)
    np.testing.assert_allclose(sigmoid(-x), 1 - sigmoid(x), atol=1e-15)


@both
@given(seed=seeds, shape=shapes)
@settings(max_examples=10)
def test_prelu_directional_derivative(backend, seed, shape):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda x, slope: prelu(x, slope, backend=backend),
        lambda dy, x, slope: prelu_backward(dy, x, slope),
        (off_zero(normal(rng, *shape)), normal(rng, shape[-1])),
        rng,
    )
    assert error <= 1e-6


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, shape=shapes)
@settings(max_examples=30)
def test_prelu_backends_agree(dtype, seed, shape):
    rng = np.random.default_rng(seed)
    x, slope = normal(rng, *shape, dtype=dtype), normal(rng, shape[-1], dtype=dtype)
    assert_close(prelu(x, slope, backend="numba"), prelu(x, slope), AGREEMENT[dtype])


@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_prelu_and_sigmoid_as_pytorch(dtype, tolerance, backend, rng):
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
    assert_close(prelu_backward(dy, x, slope), expected, tolerance)
    ty = torch.sigmoid(tx)
    assert_close(sigmoid(x), ty.detach().numpy(), tolerance)


@both
def test_bad_values_pass_through_prelu_and_sigmoid(backend):
    x = np.array([[np.nan, np.inf, -np.inf, -np.inf]])
    slope = np.array([0.25, 0.25, 0.25, -1.0])
    np.testing.assert_array_equal(prelu(x, slope, backend=backend), [[np.nan, np.inf, -np.inf, np.inf]])
    np.testing.assert_array_equal(sigmoid(x), [[np.nan, 1, 0, 0]])
    dx, dslope = prelu_backward(np.full((1, 4), np.nan), x, slope)
    assert np.isnan(dx).all()
    np.testing.assert_array_equal(np.isnan(dslope), [True, False, True, True])


@needs_numba
def test_threads_do_not_matter(rng):
    x, slope = normal(rng, 3, 700, 20, dtype=np.float32), normal(rng, 20, dtype=np.float32)
    assert_threads_do_not_matter(lambda: prelu(x, slope, backend="numba"))


PAIRS = {"relu": (relu, relu_backward), "relu6": (relu6, relu6_backward), "elu": (elu, elu_backward)}
each = pytest.mark.parametrize("name", PAIRS)


def corners(rng, dtype):
    """All kinds of numbers, the corners at 0 and 6 among them."""
    return np.concatenate([normal(rng, 500) * 4, [0, 6, -0.0, 1e-30, -1e-30, 80, -80]]).astype(dtype)


@each
@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-6)])
def test_rectifiers_as_pytorch(name, backend, dtype, tolerance, rng):
    torch = pytest.importorskip("torch")
    forward, backward = PAIRS[name]
    x = corners(rng, dtype)
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
def test_rectifiers_directional_derivative(name, backend, seed):
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
def test_rectifiers_backends_and_threads_agree(name, dtype, rng):
    forward, backward = PAIRS[name]
    x, dy = corners(rng, dtype), normal(rng, 507, dtype=dtype)
    y = forward(x)
    np.testing.assert_array_equal(forward(x, backend="numba"), y)
    assert relative_error(backward(dy, y, backend="numba"), backward(dy, y)) <= np.finfo(dtype).eps
    assert_threads_do_not_matter(lambda: (forward(x, backend="numba"), backward(dy, y, backend="numba")))


@each
@both
def test_rectifiers_of_nan_and_infinity(name, backend):
    y = PAIRS[name][0](np.array([np.nan, np.inf, -np.inf]), backend=backend)
    np.testing.assert_array_equal(y, [np.nan, 6 if name == "relu6" else np.inf, -1 if name == "elu" else 0])


@both
def test_elu_keeps_small_numbers(backend):
    """exp(x) - 1 by subtraction would lose all but a digit of them."""
    x = np.array([-1e-12, -1e-9])
    np.testing.assert_allclose(elu(x, backend=backend), x, rtol=1e-8)


@both
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, rate=st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.9]))
@settings(max_examples=10)
def test_dropout_zeros_and_scale(backend, dtype, seed, rate):
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
def test_dropout_backends_and_threads_agree(dtype, rng):
    x = normal(rng, 33, 7, dtype=dtype)

    def results(backend):
        y, kept = dropout(x, 0.3, np.random.default_rng(5), backend=backend)
        return y, kept, dropout_backward(x, kept, 0.3, backend=backend)

    for a, b in zip(results("numba"), results("numpy"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_threads_do_not_matter(lambda: results("numba"))


def test_the_generator_decides_what_is_dropped(rng):
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
def test_rates_of_dropout(rate, rng):
    with pytest.raises(ValueError, match="rate of dropout"):
        dropout(np.ones(3), rate, rng)


@given(seed=seeds, t=st.integers(1, 7), scale=st.sampled_from([0.1, 1, 5]))
@settings(max_examples=20)
def test_the_sigmoid_of_the_logit_is_the_mean(seed, t, scale):
    z = normal(np.random.default_rng(seed), 3, t, 4) * scale
    p = (1 / (1 + np.exp(-z))).mean(1)
    np.testing.assert_allclose(1 / (1 + np.exp(-mean_sigmoid_logit(z))), p, rtol=1e-12)
    if t == 1:
        np.testing.assert_allclose(mean_sigmoid_logit(z), z[:, 0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_mean_sigmoid_as_pytorch(dtype, tolerance, rng):
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
def test_mean_sigmoid_directional_derivative(seed, t):
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
