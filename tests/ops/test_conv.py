"""3x3 convolutions: naive loops, PyTorch, directional derivatives, agreement of the backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import (
    BACKENDS,
    DTYPES,
    SUM_AGREEMENT,
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

from acdref.ops.conv import (
    conv,
    conv_backward,
    conv_weight_gradient,
    depthwise,
    depthwise_backward,
    neighbours,
    neighbours_backward,
)


def naive_conv(x, weight, bias):
    """The definition, one product at a time."""
    n, t, f, c_in = x.shape
    y = np.empty((n, t - 2, f, weight.shape[-1]))
    for at in np.ndindex(y.shape):
        clip, row, bin_, out = at
        y[at] = bias[out]
        for i, j, c in np.ndindex(3, 3, c_in):
            if 0 <= bin_ + j - 1 < f:
                y[at] += x[clip, row + i, bin_ + j - 1, c] * weight[i, j, c, out]
    return y


def naive_depthwise(x, weight, bias, dilation):
    n, t, f, c = x.shape
    y = np.empty((n, t - 2 * dilation, f, c))
    for at in np.ndindex(y.shape):
        clip, row, bin_, channel = at
        y[at] = bias[channel]
        for i, j in np.ndindex(3, 3):
            g = bin_ + (j - 1) * dilation
            if 0 <= g < f:
                y[at] += x[clip, row + i * dilation, g, channel] * weight[i, j, channel]
    return y


def full_arguments(rng, n=2, t=6, f=5, c_in=2, c_out=4, dtype=np.float64):
    return (
        normal(rng, n, t, f, c_in, dtype=dtype),
        normal(rng, 3, 3, c_in, c_out, dtype=dtype),
        normal(rng, c_out, dtype=dtype),
    )


def depthwise_arguments(rng, n=2, t=8, f=5, c=3, dtype=np.float64):
    return (
        normal(rng, n, t, f, c, dtype=dtype),
        normal(rng, 3, 3, c, dtype=dtype),
        normal(rng, c, dtype=dtype),
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(2, 6, 5, 2, 4), (1, 3, 1, 1, 1), (1, 4, 2, 3, 17)])
def test_conv_is_its_definition(backend, shape, rng):
    arguments = full_arguments(rng, *shape)
    y = conv(*arguments, backend=backend)
    assert y.shape == (shape[0], shape[1] - 2, shape[2], shape[4])
    assert relative_error(y, naive_conv(*arguments)) <= 1e-13


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("bins", [1, 2, 3, 4, 5, 7])
def test_depthwise_is_its_definition(backend, dilation, bins, rng):
    arguments = depthwise_arguments(
        rng, t=2 * dilation + 2, f=bins, c=18
    )  # a vector of channels and two more
    y = depthwise(*arguments, dilation, backend=backend)
    assert y.shape == (2, 2, bins, 18)
    assert relative_error(y, naive_depthwise(*arguments, dilation)) <= 1e-13


@pytest.mark.parametrize("backend", BACKENDS)
def test_neighbours_are_ordered_time_bin_channel(backend):
    x = np.arange(3 * 2 * 2, dtype=np.float64).reshape(1, 3, 2, 2)
    y = neighbours(x, backend=backend)
    assert y.shape == (1, 1, 2, 18)
    np.testing.assert_array_equal(y[0, 0, 0], [0, 0, 0, 1, 2, 3, 0, 0, 4, 5, 6, 7, 0, 0, 8, 9, 10, 11])
    np.testing.assert_array_equal(y[0, 0, 1], [0, 1, 2, 3, 0, 0, 4, 5, 6, 7, 0, 0, 8, 9, 10, 11, 0, 0])


@pytest.mark.parametrize("backend", BACKENDS)
@given(seed=seeds, t=st.integers(3, 7), f=st.integers(1, 6))
@settings(max_examples=10)
def test_conv_directional_derivative(backend, seed, t, f):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda *a: conv(*a, backend=backend),
        lambda dy, x, weight, bias: conv_backward(dy, x, weight, backend=backend),
        full_arguments(rng, t=t, f=f),
        rng,
    )
    assert error <= 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
@given(seed=seeds, dilation=st.integers(1, 3), extra=st.integers(1, 4), f=st.integers(1, 8))
@settings(max_examples=15)
def test_depthwise_directional_derivative(backend, seed, dilation, extra, f):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda *a: depthwise(*a, dilation, backend=backend),
        lambda dy, x, weight, bias: depthwise_backward(dy, x, weight, dilation, backend=backend),
        depthwise_arguments(rng, t=2 * dilation + extra, f=f),
        rng,
    )
    assert error <= 1e-6


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, n=batches, t=st.integers(3, 9), f=st.integers(1, 9), c_out=channels)
@settings(max_examples=20)
def test_conv_backends_agree(dtype, seed, n, t, f, c_out):
    rng = np.random.default_rng(seed)
    arguments = *full_arguments(rng, n, t, f, 2, c_out, dtype), normal(rng, n, t - 2, f, c_out, dtype=dtype)

    def results(backend, x, weight, bias, dy):
        return (
            conv(x, weight, bias, backend=backend),
            conv_backward(dy, x, weight, backend=backend),
            conv_weight_gradient(dy, x, backend=backend),
            neighbours(x, backend=backend),
            neighbours_backward(neighbours(x, backend=backend), backend=backend),
        )

    magnitudes = results("numpy", *map(np.abs, arguments))
    assert_close(results("numba", *arguments), results("numpy", *arguments), SUM_AGREEMENT[dtype], magnitudes)


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    seed=seeds,
    n=batches,
    dilation=st.integers(1, 3),
    extra=st.integers(1, 9),
    f=st.integers(1, 9),
    c=channels,
)
@settings(max_examples=30)
def test_depthwise_backends_agree(dtype, seed, n, dilation, extra, f, c):
    rng = np.random.default_rng(seed)
    x, weight, bias = depthwise_arguments(rng, n, 2 * dilation + extra, f, c, dtype)
    arguments = x, weight, bias, normal(rng, n, extra, f, c, dtype=dtype)

    def results(backend, x, weight, bias, dy):
        return (
            depthwise(x, weight, bias, dilation, backend=backend),
            depthwise_backward(dy, x, weight, dilation, backend=backend),
        )

    magnitudes = results("numpy", *map(np.abs, arguments))
    assert_close(results("numba", *arguments), results("numpy", *arguments), SUM_AGREEMENT[dtype], magnitudes)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
@pytest.mark.parametrize("op", ["conv", "depthwise 1", "depthwise 2", "depthwise wide"])
def test_as_pytorch(op, dtype, tolerance, backend, rng):
    torch = pytest.importorskip("torch")
    if op == "conv":
        x, weight, bias = full_arguments(rng, 3, 9, 11, 2, 16, dtype)
        filters, groups, dilation = weight.transpose(3, 2, 0, 1), 1, 1
        y = conv(x, weight, bias, backend=backend)
    else:
        dilation = 1 if op == "depthwise 1" else 2
        x, weight, bias = depthwise_arguments(rng, 3, 9, 1 if op == "depthwise wide" else 11, 20, dtype)
        filters, groups = weight.transpose(2, 0, 1)[:, None], 20
        y = depthwise(x, weight, bias, dilation, backend=backend)
    tx, tweight, tbias = to_torch(x), torch.tensor(filters.copy(), requires_grad=True), torch.tensor(bias)
    tbias.requires_grad_()
    ty = torch.nn.functional.conv2d(
        tx, tweight, tbias, padding=(0, dilation), dilation=dilation, groups=groups
    )
    assert y.dtype == dtype
    assert relative_error(y, from_torch(ty)) <= tolerance
    dy = normal(rng, *y.shape, dtype=dtype)
    ty.backward(to_torch(dy, grad=False))
    if op == "conv":
        gradients = conv_backward(dy, x, weight, backend=backend)
        dfilters = tweight.grad.numpy().transpose(2, 3, 1, 0)
    else:
        gradients = depthwise_backward(dy, x, weight, dilation, backend=backend)
        dfilters = tweight.grad.numpy()[:, 0].transpose(1, 2, 0)
    assert_close(gradients, (from_torch(tx.grad), dfilters, tbias.grad.numpy()), tolerance)


@needs_numba
def test_threads_do_not_matter(rng):
    full, each = (
        full_arguments(rng, 3, 21, 9, 2, 20, np.float32),
        depthwise_arguments(rng, 3, 21, 9, 20, np.float32),
    )
    dfull, deach = normal(rng, 3, 19, 9, 20, dtype=np.float32), normal(rng, 3, 17, 9, 20, dtype=np.float32)
    assert_threads_do_not_matter(
        lambda: (
            conv(*full, backend="numba"),
            conv_backward(dfull, *full[:2], backend="numba"),
            depthwise(*each, 2, backend="numba"),
            depthwise_backward(deach, *each[:2], 2, backend="numba"),
        )
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_reach_their_neighbours_and_no_others(backend, bad, rng):
    x, weight, bias = depthwise_arguments(rng, 1, 9, 9, 3)
    x[0, 4, 4, 1] = bad
    y = depthwise(x, weight, bias, 2, backend=backend)
    touched = np.zeros(y.shape, bool)
    touched[0, [[0], [2], [4]], [2, 4, 6], 1] = True
    np.testing.assert_array_equal(~np.isfinite(y), touched)
    x, weight, bias = full_arguments(rng, 1, 6, 6, 2, 5)
    x[0, 2, 0, 1] = bad
    y = conv(x, weight, bias, backend=backend)
    touched = np.zeros(y.shape, bool)
    touched[0, :3, :2] = True
    np.testing.assert_array_equal(~np.isfinite(y), touched)
