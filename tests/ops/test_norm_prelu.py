"""BatchNorm and PReLU in one pass: the two ops one after the other, PyTorch, directional derivatives."""

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
    seeds,
    to_torch,
)

from acdref.ops.activation import prelu, prelu_backward
from acdref.ops.norm import batch_norm, batch_norm_backward
from acdref.ops.norm_prelu import norm_prelu, norm_prelu_backward, norm_prelu_train

shapes = st.tuples(batches, st.integers(1, 6), st.integers(1, 6), channels).filter(
    lambda shape: shape[0] * shape[1] * shape[2] > 3
)


def arguments(rng, shape, dtype=np.float64):
    """x, gamma, beta, slope such that no normalised value lies where PReLU has its kink."""
    c = shape[-1]
    x, gamma, slope = (
        normal(rng, *shape, dtype=dtype),
        normal(rng, c, dtype=dtype),
        normal(rng, c, dtype=dtype),
    )
    gamma += np.copysign(dtype(0.1), gamma)
    mean, deviation = x.mean((0, 1, 2)), x.std((0, 1, 2))
    zeros = np.sort(((x - mean) / deviation * gamma).reshape(-1, c), axis=0)  # where -beta must not lie
    widest = np.diff(zeros, axis=0).argmax(0)[None]
    gap = (np.take_along_axis(zeros, widest, 0) + np.take_along_axis(zeros, widest + 1, 0)) / 2
    return x, gamma, -gap[0].astype(dtype), slope


def train(x, gamma, beta, slope, backend):
    zero = np.zeros_like(gamma)
    return norm_prelu_train(x, gamma, beta, slope, zero, zero, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@given(seed=seeds, shape=shapes)
@settings(max_examples=15)
def test_directional_derivative(backend, seed, shape):
    rng = np.random.default_rng(seed)

    def backward(dy, x, gamma, beta, slope):
        _, statistics, affine, _ = train(x, gamma, beta, slope, backend)
        return norm_prelu_backward(dy, x, gamma, slope, statistics, affine, backend=backend)

    error = gradient_error(lambda *a: train(*a, backend)[0], backward, arguments(rng, shape), rng)
    assert error <= 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, shape=shapes)
@settings(max_examples=25)
def test_as_the_two_ops_in_a_row(backend, dtype, seed, shape):
    rng = np.random.default_rng(seed)
    x, gamma, beta, slope = arguments(rng, shape, dtype)
    before = normal(rng, shape[-1], dtype=dtype), rng.uniform(0.5, 2, shape[-1]).astype(dtype)
    dy = normal(rng, *shape, dtype=dtype)
    z, statistics, after = batch_norm(x, gamma, beta, *before)
    y, own_statistics, affine, own_after = norm_prelu_train(x, gamma, beta, slope, *before, backend=backend)
    expected = prelu(z, slope), statistics, after
    # A mean is a sum over x, and an output that of the scaled input and a shift: both may cancel.
    size = np.abs(gamma * statistics[1] * x).max() + np.abs(beta).max()
    sizes = size, (x, statistics[1]), (x, after[1])
    assert_close((y, own_statistics, own_after), expected, AGREEMENT[dtype], sizes)
    np.testing.assert_array_equal(norm_prelu(x, *affine, slope, backend=backend), y)

    dz, dslope = prelu_backward(dy, z, slope)
    expected = *batch_norm_backward(dz, x, gamma, statistics), dslope
    gradients = norm_prelu_backward(dy, x, gamma, slope, statistics, affine, backend=backend)
    xhat = (x - statistics[0]) * statistics[1]
    sums = (np.abs(terms).sum((0, 1, 2)) for terms in (dz * xhat, dz, dy * z))
    assert_close(gradients, expected, AGREEMENT[dtype], (gamma * statistics[1] * dz, *sums))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_as_pytorch(dtype, tolerance, backend, rng):
    torch = pytest.importorskip("torch")
    x, gamma, beta, slope = arguments(rng, (3, 7, 5, 20), dtype)
    dy = normal(rng, *x.shape, dtype=dtype)
    tx, tgamma, tbeta, tslope = (
        to_torch(x),
        *(torch.tensor(a, requires_grad=True) for a in (gamma, beta, slope)),
    )
    tz = torch.nn.functional.batch_norm(tx, None, None, tgamma, tbeta, training=True)
    ty = torch.nn.functional.prelu(tz, tslope)
    ty.backward(to_torch(dy, grad=False))
    y, statistics, affine, _ = train(x, gamma, beta, slope, backend)
    assert_close(y, from_torch(ty), tolerance)
    gradients = norm_prelu_backward(dy, x, gamma, slope, statistics, affine, backend=backend)
    expected = from_torch(tx.grad), *(t.grad.numpy() for t in (tgamma, tbeta, tslope))
    assert_close(gradients, expected, tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inference_with_slopes_of_any_sign(backend):
    x = np.array([[[[1.0, 1.0, 1.0]], [[-1.0, -1.0, -1.0]]]])
    y = norm_prelu(
        x, np.array([2.0, -2, 2]), np.array([0.5, 0.5, -2]), np.array([0.25, -1, 0]), backend=backend
    )
    np.testing.assert_array_equal(y, [[[[2.5, 1.5, 0]], [[-0.375, 2.5, 0]]]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")  # inf - inf, in NumPy
def test_bad_values_spoil_their_channel(backend, bad, rng):
    x, gamma, beta, slope = arguments(rng, (2, 4, 5, 3))
    x[1, 2, 3, 1] = bad
    y, statistics, affine, _ = train(x, gamma, beta, slope, backend)
    assert np.isnan(y[..., 1]).sum() >= 1
    assert np.isfinite(y[..., [0, 2]]).all()
    dx, *sums = norm_prelu_backward(y, x, gamma, slope, statistics, affine, backend=backend)
    assert np.isnan(dx[..., 1]).all()
    assert np.isfinite(dx[..., [0, 2]]).all()
    for total in sums:
        np.testing.assert_array_equal(np.isfinite(total), [True, False, True])


@needs_numba
def test_threads_do_not_matter(rng):
    x, gamma, beta, slope = arguments(rng, (3, 17, 11, 20), np.float32)
    dy = normal(rng, *x.shape, dtype=np.float32)

    def results():
        y, statistics, affine, after = train(x, gamma, beta, slope, "numba")
        gradients = norm_prelu_backward(dy, x, gamma, slope, statistics, affine, backend="numba")
        return y, statistics, affine, after, gradients

    assert_threads_do_not_matter(results)
