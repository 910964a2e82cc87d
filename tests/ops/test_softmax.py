"""Softmax over channels and over positions: definitions, PyTorch, derivatives, huge logits, bad values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import (
    DTYPES,
    assert_close,
    batches,
    channels,
    gradient_error,
    normal,
    seeds,
)

from acdref.ops.softmax import (
    softmax_channels,
    softmax_channels_backward,
    softmax_positions,
    softmax_positions_backward,
)

# op, its backward pass, the axis that sums to one
OPS = {
    "channels": (softmax_channels, softmax_channels_backward, 2),
    "positions": (softmax_positions, softmax_positions_backward, 1),
}
every_op = pytest.mark.parametrize("op", OPS)
shapes = st.tuples(batches, st.sampled_from([1, 2, 5, 15, 16, 17, 40]), channels)


@every_op
def test_definition(op, rng):
    forward, _, axis = OPS[op]
    x = normal(rng, 2, 7, 5)
    y = forward(x)
    np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(axis, keepdims=True), rtol=1e-13)


def test_channels_for_any_number_of_axes(rng):
    x = normal(rng, 2, 3, 4, 5)
    y = softmax_channels(x)
    np.testing.assert_array_equal(y.reshape(6, 4, 5), softmax_channels(x.reshape(6, 4, 5)))


@every_op
@given(seed=seeds, shape=shapes)
@settings(max_examples=15)
def test_laws(op, seed, shape):
    """Positive, sums to one, blind to a common offset."""
    forward, _, axis = OPS[op]
    x = 3 * normal(np.random.default_rng(seed), *shape)
    y = forward(x)
    assert (y > 0).all()
    np.testing.assert_allclose(y.sum(axis), 1, rtol=1e-13)
    np.testing.assert_allclose(forward(x + 100), y, rtol=1e-11)


@every_op
@given(seed=seeds, shape=shapes)
@settings(max_examples=15)
def test_directional_derivative(op, seed, shape):
    forward, backward, axis = OPS[op]
    if shape[axis] == 1:
        return  # constant: tested below
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda x: forward(x),
        lambda dy, x: (backward(dy, forward(x)),),
        (normal(rng, *shape),),
        rng,
    )
    assert error <= 1e-6


@every_op
def test_one_element_is_one_whatever_it_is(op):
    forward, backward, axis = OPS[op]
    x = np.swapaxes(np.array([[[-50.0], [0.0], [1000.0]]]), 1, 3 - axis)
    y = forward(x)
    np.testing.assert_array_equal(y, np.ones_like(x))
    np.testing.assert_array_equal(backward(x, y), np.zeros_like(x))


@every_op
@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_logits(op, dtype):
    forward, _, axis = OPS[op]
    x = np.array([[[1e30, -1e30, 0], [1e30, 1e30, 0], [-1e30, -1e30, 1000]]], dtype)
    if axis == 1:
        x = x.swapaxes(1, 2).copy()
    with np.errstate(over="raise", invalid="raise"):
        y = forward(x)
    expected = np.array([[[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]]], dtype)
    np.testing.assert_array_equal(y, expected.swapaxes(1, 2) if axis == 1 else expected)


@every_op
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")  # inf - inf, in NumPy
def test_bad_values_spoil_what_they_are_summed_with(op, bad, rng):
    forward, backward, axis = OPS[op]
    x = normal(rng, 2, 20, 6)
    x[1, 13, 2] = bad
    y = forward(x)
    spoilt = np.zeros(x.shape, bool)
    spoilt[(1, 13) if axis == 2 else (1, slice(None), 2)] = True
    # exp(number - inf) is 0 and 0 / NaN is NaN: the whole sum is lost, as in PyTorch.
    np.testing.assert_array_equal(np.isnan(y), spoilt)
    np.testing.assert_array_equal(np.isnan(backward(np.ones_like(y), y)), spoilt)


@every_op
def test_minus_infinity_excludes(op, rng):
    forward, _, axis = OPS[op]
    x = normal(rng, 2, 20, 6)
    index = (1, 13, 2)
    x[index] = -np.inf
    y = forward(x)
    assert y[index] == 0
    np.testing.assert_allclose(y.sum(axis), 1, rtol=1e-13)


@every_op
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_as_pytorch(op, dtype, tolerance, rng):
    torch = pytest.importorskip("torch")
    forward, backward, axis = OPS[op]
    x, dy = normal(rng, 3, 50, 20, dtype=dtype), normal(rng, 3, 50, 20, dtype=dtype)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.softmax(tx, axis)
    ty.backward(torch.tensor(dy))
    y = forward(x)
    assert_close(y, ty.detach().numpy(), tolerance)
    assert_close(backward(dy, y), tx.grad.numpy(), tolerance)
