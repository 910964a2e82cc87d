"""Batch normalisation, with and without PReLU, and group normalisation: PyTorch, derivatives, backends."""

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

from acdref.ops import norm
from acdref.ops.activation import prelu, prelu_backward

shapes = st.tuples(batches, st.integers(1, 6), st.integers(1, 6), channels).filter(
    lambda shape: shape[0] * shape[1] * shape[2] > 1
)


def arguments(rng, shape=(3, 5, 4, 6), dtype=np.float64):
    """A map, scale and shift; channels differ in mean and deviation."""
    c = shape[-1]
    x = normal(rng, *shape, dtype=dtype) * rng.uniform(0.5, 2, c).astype(dtype) + normal(rng, c, dtype=dtype)
    return x, normal(rng, c, dtype=dtype), normal(rng, c, dtype=dtype)


def running(rng, c, dtype=np.float64):
    return normal(rng, c, dtype=dtype), rng.uniform(0.5, 2, c).astype(dtype)


def batch_norm(x, gamma, beta, backend):
    zero = np.zeros_like(gamma)
    return norm.batch_norm(x, gamma, beta, zero, zero, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_norm_output_has_mean_beta_and_deviation_gamma(backend, rng):
    x, gamma, beta = arguments(rng, (4, 30, 20, 6))
    y, (mean, inverse), _ = batch_norm(x, gamma, beta, backend)
    positions = (0, 1, 2)
    np.testing.assert_allclose(mean, x.mean(positions), atol=1e-13)
    np.testing.assert_allclose(inverse, (x.var(positions) + 1e-5) ** -0.5, rtol=1e-12)
    np.testing.assert_allclose(y.mean(positions), beta, atol=1e-13)
    np.testing.assert_allclose(y.std(positions), np.abs(gamma), rtol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@given(seed=seeds, shape=shapes)
@settings(max_examples=15)
def test_batch_norm_directional_derivative(backend, seed, shape):
    rng = np.random.default_rng(seed)
    x, gamma, beta = arguments(rng, shape)

    def backward(dy, x, gamma, beta):
        _, statistics, _ = batch_norm(x, gamma, beta, backend)
        return norm.batch_norm_backward(dy, x, gamma, beta, statistics, backend=backend)[:3]

    # Two positions normalise to +-1 whatever they were: a gradient that is nearly 0 cannot be measured.
    if x.size // shape[-1] < 4:
        return
    error = gradient_error(lambda *a: batch_norm(*a, backend)[0], backward, (x, gamma, beta), rng)
    assert error <= 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
@given(seed=seeds, shape=shapes.filter(lambda shape: np.prod(shape[1:]) > 3))
@settings(max_examples=15)
def test_group_norm_directional_derivative(backend, seed, shape):
    rng = np.random.default_rng(seed)

    def backward(dy, x, gamma, beta):
        _, statistics = norm.group_norm(x, gamma, beta, backend=backend)
        return norm.group_norm_backward(dy, x, gamma, statistics, backend=backend)

    error = gradient_error(
        lambda *a: norm.group_norm(*a, backend=backend)[0], backward, arguments(rng, shape), rng
    )
    assert error <= 1e-6


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, shape=shapes)
@settings(max_examples=30)
def test_backends_agree(dtype, seed, shape):
    rng = np.random.default_rng(seed)
    x, gamma, beta = arguments(rng, shape, dtype)
    before = running(rng, shape[-1], dtype)
    dy = normal(rng, *shape, dtype=dtype)
    # The same statistics for both backward passes: a small variance would amplify their rounding.
    _, batch, _ = norm.batch_norm(x, gamma, beta, *before)
    _, group = norm.group_norm(x, gamma, beta)

    def forward(backend):
        return (
            norm.batch_norm(x, gamma, beta, *before, backend=backend),
            norm.group_norm(x, gamma, beta, backend=backend),
        )

    def backward(backend):
        return (
            norm.batch_norm_backward(dy, x, gamma, beta, batch, backend=backend)[:3],
            norm.group_norm_backward(dy, x, gamma, group, backend=backend),
        )

    def magnitudes(mean, inverse):
        terms = dy * ((x - mean) * inverse), dy
        return gamma * inverse * dy, *(np.abs(term).sum((0, 1, 2)) for term in terms)

    each_clip = tuple(a[:, None, None, None] for a in group)
    scales = [magnitudes(*statistics) for statistics in (batch, each_clip)]
    # A mean is a sum over x, and an output that of the scaled input and a shift: both may cancel.
    terms = [np.abs(gamma * inverse * x).max() + np.abs(beta).max() for _, inverse in (batch, each_clip)]
    expected = forward("numpy")
    _, (_, inverse), (_, var) = expected[0]
    sizes = (terms[0], (x, inverse), (x, var)), (terms[1], (x, expected[1][1][1]))
    assert_close(forward("numba"), expected, AGREEMENT[dtype], sizes)
    assert_close(backward("numba"), backward("numpy"), AGREEMENT[dtype], scales)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_batch_norm_as_pytorch(dtype, tolerance, backend, rng):
    torch = pytest.importorskip("torch")
    x, gamma, beta = arguments(rng, (3, 7, 5, 20), dtype)
    mean, var = running(rng, 20, dtype)
    module = torch.nn.BatchNorm2d(20, dtype=torch.float64 if dtype == np.float64 else torch.float32)
    with torch.no_grad():
        for own, ours in zip(
            (module.weight, module.bias, module.running_mean, module.running_var),
            (gamma, beta, mean, var),
            strict=True,
        ):
            own.copy_(torch.tensor(ours))
    scale, shift = norm.batch_norm_affine(gamma, beta, mean, var)
    assert_close(x * scale + shift, from_torch(module.eval()(to_torch(x))), tolerance)
    dy, tx = normal(rng, *x.shape, dtype=dtype), to_torch(x)
    ty = module.train()(tx)
    ty.backward(to_torch(dy, grad=False))
    y, statistics, after = norm.batch_norm(x, gamma, beta, mean, var, backend=backend)
    assert_close(after, (module.running_mean.numpy(), module.running_var.numpy()), tolerance)
    assert_close(y, from_torch(ty), tolerance)
    *gradients, dslope = norm.batch_norm_backward(dy, x, gamma, beta, statistics, backend=backend)
    assert dslope is None
    expected = (from_torch(tx.grad), module.weight.grad.numpy(), module.bias.grad.numpy())
    assert_close(gradients, expected, tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_group_norm_as_pytorch(dtype, tolerance, backend, rng):
    torch = pytest.importorskip("torch")
    x, gamma, beta = arguments(rng, (3, 7, 5, 20), dtype)
    tx, tgamma, tbeta = to_torch(x), *(torch.tensor(a, requires_grad=True) for a in (gamma, beta))
    ty = torch.nn.functional.group_norm(tx, 1, tgamma, tbeta)
    dy = normal(rng, *x.shape, dtype=dtype)
    ty.backward(to_torch(dy, grad=False))
    y, statistics = norm.group_norm(x, gamma, beta, backend=backend)
    assert_close(y, from_torch(ty), tolerance)
    gradients = norm.group_norm_backward(dy, x, gamma, statistics, backend=backend)
    assert_close(gradients, (from_torch(tx.grad), tgamma.grad.numpy(), tbeta.grad.numpy()), tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("first", [0.0, 30.0], ids=["typical start", "odd start"])
def test_statistics_far_from_zero(dtype, backend, first, rng):
    """Mean 1000 and deviation 1: the textbook's E[x^2] - E[x]^2 has no digit left in float32."""
    x = normal(rng, 4, 50, 10, 3, dtype=dtype) + dtype(1000)
    x[0, 0, 0] += dtype(first)
    exact = x.astype(np.float64)
    ones, zeros = np.ones(3, dtype), np.zeros(3, dtype)
    _, (mean, inverse), _ = norm.batch_norm(x, ones, zeros, zeros, ones, backend=backend)
    assert relative_error(mean, exact.mean((0, 1, 2))) <= AGREEMENT[dtype]
    assert relative_error(inverse, (exact.var((0, 1, 2)) + 1e-5) ** -0.5) <= AGREEMENT[dtype]
    _, (group_mean, group_inverse) = norm.group_norm(
        x, np.ones(3, dtype), np.zeros(3, dtype), backend=backend
    )
    assert relative_error(group_mean, exact.mean((1, 2, 3))) <= AGREEMENT[dtype]
    assert relative_error(group_inverse, (exact.var((1, 2, 3)) + 1e-5) ** -0.5) <= AGREEMENT[dtype]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_channels(dtype, backend):
    """Digital silence: the variance is 0, exactly, and the output is beta."""
    x = np.full((2, 3, 4, 2), 0.1, dtype)
    gamma, beta = np.ones(2, dtype), np.array([3, -1], dtype)
    y, (mean, inverse), (_, var) = norm.batch_norm(
        x, gamma, beta, np.zeros(2, dtype), np.zeros(2, dtype), backend=backend
    )
    np.testing.assert_allclose(mean, 0.1, rtol=1e-6)
    np.testing.assert_allclose(inverse, 1e-5**-0.5, rtol=1e-6)
    np.testing.assert_allclose(var, 0, atol=1e-15)
    np.testing.assert_allclose(y, np.broadcast_to(beta, y.shape), atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_position(backend):
    """The unbiased variance of one number does not exist; the running variance moves towards 0."""
    x = np.array([[[[5.0, -2.0]]]])
    y, _, (mean, var) = norm.batch_norm(
        x, np.ones(2), np.array([0.5, 0.25]), np.zeros(2), np.ones(2), backend=backend
    )
    np.testing.assert_allclose(y, [[[[0.5, 0.25]]]], atol=1e-12)
    np.testing.assert_allclose(mean, [0.5, -0.2])
    np.testing.assert_allclose(var, 0.9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.filterwarnings("ignore:invalid value")  # inf - inf, in NumPy
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", [(0, 0, 0, 1), (1, 2, 3, 1)])
def test_bad_values_spoil_their_channel(backend, bad, where, rng):
    x, gamma, beta = arguments(rng, (2, 4, 5, 3))
    x[where] = bad
    y, _, after = batch_norm(x, gamma, beta, backend)
    assert np.isnan(y[..., 1]).sum() >= 1
    assert np.isfinite(y[..., [0, 2]]).all()
    assert not np.isfinite(after[0][1])
    assert np.isnan(after[1][1])
    y, _ = norm.group_norm(x, gamma, beta, backend=backend)
    assert np.isnan(y[where[0]]).all()
    assert np.isfinite(y[1 - where[0]]).all()


@needs_numba
def test_threads_do_not_matter(rng):
    x, gamma, beta = arguments(rng, (3, 17, 11, 20), np.float32)
    before = running(rng, 20, np.float32)
    dy = normal(rng, *x.shape, dtype=np.float32)

    def results():
        y, batch, after = norm.batch_norm(x, gamma, beta, *before, backend="numba")
        z, group = norm.group_norm(x, gamma, beta, backend="numba")
        return (
            (y, batch, after, z, group),
            norm.batch_norm_backward(dy, x, gamma, beta, batch, backend="numba")[:3],
            norm.group_norm_backward(dy, x, gamma, group, backend="numba"),
        )

    assert_threads_do_not_matter(results)


@pytest.mark.parametrize("backend", BACKENDS)
def test_arguments_stay_as_they_are(backend, rng):
    x, gamma, beta = arguments(rng)
    before = running(rng, 6)
    copies = [a.copy() for a in (x, gamma, beta, *before)]
    _, statistics, _ = norm.batch_norm(x, gamma, beta, *before, backend=backend)
    norm.batch_norm_backward(x, x, gamma, beta, statistics, beta, backend=backend)
    _, statistics = norm.group_norm(x, gamma, beta, backend=backend)
    norm.group_norm_backward(x, x, gamma, statistics, backend=backend)
    for a, b in zip((x, gamma, beta, *before), copies, strict=True):
        np.testing.assert_array_equal(a, b)


def prelu_arguments(rng, shape, dtype=np.float64):
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
    return norm.batch_norm(x, gamma, beta, zero, zero, slope, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@given(seed=seeds, shape=shapes.filter(lambda shape: np.prod(shape[:3]) > 3))
@settings(max_examples=15)
def test_prelu_directional_derivative(backend, seed, shape):
    rng = np.random.default_rng(seed)

    def backward(dy, x, gamma, beta, slope):
        _, statistics, _ = train(x, gamma, beta, slope, backend)
        return norm.batch_norm_backward(dy, x, gamma, beta, statistics, slope, backend=backend)

    error = gradient_error(lambda *a: train(*a, backend)[0], backward, prelu_arguments(rng, shape), rng)
    assert error <= 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, shape=shapes.filter(lambda shape: np.prod(shape[:3]) > 3))
@settings(max_examples=25)
def test_prelu_as_the_two_ops_in_a_row(backend, dtype, seed, shape):
    rng = np.random.default_rng(seed)
    x, gamma, beta, slope = prelu_arguments(rng, shape, dtype)
    before = normal(rng, shape[-1], dtype=dtype), rng.uniform(0.5, 2, shape[-1]).astype(dtype)
    dy = normal(rng, *shape, dtype=dtype)
    z, statistics, after = norm.batch_norm(x, gamma, beta, *before)
    y, own_statistics, own_after = norm.batch_norm(x, gamma, beta, *before, slope, backend=backend)
    expected = prelu(z, slope), statistics, after
    # A mean is a sum over x, and an output that of the scaled input and a shift: both may cancel.
    size = np.abs(gamma * statistics[1] * x).max() + np.abs(beta).max()
    sizes = size, (x, statistics[1]), (x, after[1])
    assert_close((y, own_statistics, own_after), expected, AGREEMENT[dtype], sizes)
    again = norm.normalised(x, gamma, beta, own_statistics, slope, backend=backend)
    np.testing.assert_array_equal(again, y)

    dz, dslope = prelu_backward(dy, z, slope)
    expected = *norm.batch_norm_backward(dz, x, gamma, beta, statistics)[:3], dslope
    gradients = norm.batch_norm_backward(dy, x, gamma, beta, statistics, slope, backend=backend)
    xhat = (x - statistics[0]) * statistics[1]
    sums = (np.abs(terms).sum((0, 1, 2)) for terms in (dz * xhat, dz, dy * z))
    assert_close(gradients, expected, AGREEMENT[dtype], (gamma * statistics[1] * dz, *sums))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_prelu_as_pytorch(dtype, tolerance, backend, rng):
    torch = pytest.importorskip("torch")
    x, gamma, beta, slope = prelu_arguments(rng, (3, 7, 5, 20), dtype)
    dy = normal(rng, *x.shape, dtype=dtype)
    tx, tgamma, tbeta, tslope = (
        to_torch(x),
        *(torch.tensor(a, requires_grad=True) for a in (gamma, beta, slope)),
    )
    tz = torch.nn.functional.batch_norm(tx, None, None, tgamma, tbeta, training=True)
    ty = torch.nn.functional.prelu(tz, tslope)
    ty.backward(to_torch(dy, grad=False))
    y, statistics, _ = train(x, gamma, beta, slope, backend)
    assert_close(y, from_torch(ty), tolerance)
    gradients = norm.batch_norm_backward(dy, x, gamma, beta, statistics, slope, backend=backend)
    expected = from_torch(tx.grad), *(t.grad.numpy() for t in (tgamma, tbeta, tslope))
    assert_close(gradients, expected, tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_slopes_of_any_sign(backend):
    x = np.array([[[[1.0, 1.0, 1.0]], [[-1.0, -1.0, -1.0]]]])
    statistics = np.zeros(3), np.ones(3)
    y = norm.normalised(
        x, np.array([2.0, -2, 2]), np.array([0.5, 0.5, -2]), statistics, np.array([0.25, -1, 0]),
        backend=backend,
    )  # fmt: skip
    np.testing.assert_array_equal(y, [[[[2.5, 1.5, 0]], [[-0.375, 2.5, 0]]]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")  # inf - inf, in NumPy
def test_prelu_bad_values_spoil_their_channel(backend, bad, rng):
    x, gamma, beta, slope = prelu_arguments(rng, (2, 4, 5, 3))
    x[1, 2, 3, 1] = bad
    y, statistics, _ = train(x, gamma, beta, slope, backend)
    assert np.isnan(y[..., 1]).sum() >= 1
    assert np.isfinite(y[..., [0, 2]]).all()
    dx, *sums = norm.batch_norm_backward(y, x, gamma, beta, statistics, slope, backend=backend)
    assert np.isnan(dx[..., 1]).all()
    assert np.isfinite(dx[..., [0, 2]]).all()
    for total in sums:
        np.testing.assert_array_equal(np.isfinite(total), [True, False, True])


@needs_numba
def test_prelu_threads_do_not_matter(rng):
    x, gamma, beta, slope = prelu_arguments(rng, (3, 17, 11, 20), np.float32)
    dy = normal(rng, *x.shape, dtype=np.float32)

    def results():
        y, statistics, after = train(x, gamma, beta, slope, "numba")
        gradients = norm.batch_norm_backward(dy, x, gamma, beta, statistics, slope, backend="numba")
        return y, statistics, after, gradients

    assert_threads_do_not_matter(results)
