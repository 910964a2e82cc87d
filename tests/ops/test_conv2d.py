"""General 2-D convolution: naive loops, PyTorch, directional derivatives, agreement of the backends."""

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
    from_torch,
    gradient_error,
    needs_numba,
    normal,
    relative_error,
    seeds,
    to_torch,
)

from acdref.ops import conv2d as module
from acdref.ops.conv2d import conv2d, conv2d_backward, conv2d_input_gradient, conv2d_weight_gradient

# kernel, stride, padding, groups, channels in and out: what the networks use, and what they do not.
GEOMETRIES = {
    "vgg first": ((5, 5), (2, 2), (2, 2), 1, 1, 6),
    "same": ((3, 3), (1, 1), (1, 1), 1, 4, 6),
    "valid": ((3, 3), (1, 1), (0, 0), 1, 4, 6),
    "resnet stem": ((7, 7), (1, 1), (3, 3), 1, 1, 5),
    "pointwise": ((1, 1), (1, 1), (0, 0), 1, 5, 7),
    "pointwise, strided": ((1, 1), (2, 2), (0, 0), 1, 5, 7),
    "depthwise": ((3, 3), (2, 2), (1, 1), 6, 6, 6),
    "depthwise, larger": ((2, 5), (1, 3), (2, 1), 3, 3, 3),
    "two groups": ((3, 2), (2, 1), (1, 0), 2, 4, 6),
    "a group for each input": ((3, 3), (1, 1), (1, 1), 4, 4, 8),
    "one bin": ((9, 1), (3, 1), (0, 0), 1, 4, 6),
    "gaps": ((1, 2), (3, 4), (0, 1), 1, 2, 3),
}
both = pytest.mark.parametrize("backend", BACKENDS)
geometries = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)


@st.composite
def any_geometry(draw):
    size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    return size, stride, padding, groups, *channels


def arguments(rng, geometry, n=2, t=11, f=9, dtype=np.float64):
    size, _, _, groups, c_in, c_out = geometry
    return (
        normal(rng, n, t, f, c_in, dtype=dtype),
        normal(rng, *size, c_in // groups, c_out, dtype=dtype),
        normal(rng, c_out, dtype=dtype),
    )


def naive(x, weight, bias, stride, padding, groups):
    """The definition, one product at a time."""
    n, t, f, _ = x.shape
    kt, kf, depth, c_out = weight.shape
    shape = ((t + 2 * padding[0] - kt) // stride[0] + 1, (f + 2 * padding[1] - kf) // stride[1] + 1)
    y = np.empty((n, *shape, c_out))
    for clip, row, bin_, out in np.ndindex(y.shape):
        total = bias[out]
        group = out // (c_out // groups)
        for i, j, c in np.ndindex(kt, kf, depth):
            r, g = row * stride[0] - padding[0] + i, bin_ * stride[1] - padding[1] + j
            if 0 <= r < t and 0 <= g < f:
                total += x[clip, r, g, group * depth + c] * weight[i, j, c, out]
        y[clip, row, bin_, out] = total
    return y


@both
@geometries
def test_is_its_definition(backend, geometry, rng):
    x, weight, bias = arguments(rng, geometry, t=10, f=7)
    y = conv2d(x, weight, bias, *geometry[1:4], backend=backend)
    assert relative_error(y, naive(x, weight, bias, *geometry[1:4])) <= 1e-13
    without = conv2d(x, weight, None, *geometry[1:4], backend=backend)
    assert relative_error(without + bias, y) <= 1e-13


@both
@geometries
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_as_pytorch(backend, geometry, dtype, tolerance, rng):
    torch = pytest.importorskip("torch")
    _, stride, padding, groups, _, _ = geometry
    x, weight, bias = arguments(rng, geometry, dtype=dtype)
    y = conv2d(x, weight, bias, stride, padding, groups, backend=backend)
    tensors = to_torch(x), torch.tensor(weight.transpose(3, 2, 0, 1).copy()), torch.tensor(bias)
    for tensor in tensors:
        tensor.requires_grad_()
    expected = torch.nn.functional.conv2d(*tensors, stride=stride, padding=padding, groups=groups)
    assert y.dtype == dtype
    assert relative_error(y, from_torch(expected)) <= tolerance
    dy = normal(rng, *y.shape, dtype=dtype)
    expected.backward(to_torch(dy, grad=False))
    dx, dweight, dbias = (tensor.grad for tensor in tensors)
    gradients = conv2d_backward(dy, x, weight, stride, padding, groups, backend=backend)
    assert_close(gradients, (from_torch(dx), dweight.numpy().transpose(2, 3, 1, 0), dbias.numpy()), tolerance)


@both
@given(seed=seeds, geometry=any_geometry(), extra=st.tuples(st.integers(0, 5), st.integers(0, 5)))
@settings(max_examples=25)
def test_directional_derivative(backend, seed, geometry, extra):
    rng = np.random.default_rng(seed)
    size, *rest = geometry[:4]
    error = gradient_error(
        lambda *a: conv2d(*a, *rest, backend=backend),
        lambda dy, x, weight, bias: conv2d_backward(dy, x, weight, *rest, backend=backend),
        arguments(rng, geometry, t=size[0] + extra[0], f=size[1] + extra[1]),
        rng,
    )
    assert error <= 1e-6


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, n=st.integers(1, 9), geometry=any_geometry(), t=st.integers(4, 12), f=st.integers(4, 9))
@settings(max_examples=25)
def test_backends_agree(dtype, seed, n, geometry, t, f):
    rng = np.random.default_rng(seed)
    rest = geometry[1:4]
    x, weight, bias = arguments(rng, geometry, n, t, f, dtype)
    dy = normal(rng, *conv2d(x, weight, bias, *rest).shape, dtype=dtype)

    def results(backend, x, weight, bias, dy):
        return (
            conv2d(x, weight, bias, *rest, backend=backend),
            conv2d_input_gradient(dy, weight, x.shape, *rest, backend=backend),
            conv2d_weight_gradient(dy, x, weight.shape[:2], *rest, backend=backend),
        )

    given = x, weight, bias, dy
    magnitudes = results("numpy", *map(np.abs, given))
    assert_close(results("numba", *given), results("numpy", *given), SUM_AGREEMENT[dtype], magnitudes)


@needs_numba
@geometries
def test_tiles_do_not_matter(geometry, rng, monkeypatch):
    """One tile for all, or many small ones, which share the sums of the weight gradient."""
    x, weight, bias = arguments(rng, geometry, 3, 17, 14)
    dy = normal(rng, *conv2d(x, weight, bias, *geometry[1:4]).shape)

    def results():
        return (
            conv2d(x, weight, bias, *geometry[1:4], backend="numba"),
            conv2d_backward(dy, x, weight, *geometry[1:4], backend="numba"),
        )

    whole = results()
    monkeypatch.setattr(module, "_TILE", 200)
    monkeypatch.setattr(module, "_LEAST", 5)
    assert_close(results(), whole, 1e-13)


@needs_numba
@geometries
@pytest.mark.parametrize("tile", [module._TILE, 2000])
def test_threads_do_not_matter(geometry, tile, rng, monkeypatch):
    monkeypatch.setattr(module, "_TILE", tile)
    x, weight, bias = arguments(rng, geometry, 5, 40, 33, np.float32)
    dy = normal(rng, *conv2d(x, weight, bias, *geometry[1:4]).shape, dtype=np.float32)
    assert_threads_do_not_matter(
        lambda: (
            conv2d(x, weight, bias, *geometry[1:4], backend="numba"),
            conv2d_backward(dy, x, weight, *geometry[1:4], backend="numba"),
        )
    )


@both
@geometries
def test_arguments_stay_as_they_are(backend, geometry, rng):
    given = arguments(rng, geometry)
    dy = normal(rng, *conv2d(*given, *geometry[1:4]).shape)
    copies = [a.copy() for a in (*given, dy)]
    conv2d(*given, *geometry[1:4], backend=backend)
    conv2d_backward(dy, *given[:2], *geometry[1:4], backend=backend)
    for a, b in zip((*given, dy), copies, strict=True):
        np.testing.assert_array_equal(a, b)


@both
def test_a_bad_value_reaches_its_neighbours_and_no_others(backend, rng):
    x, weight, bias = arguments(rng, GEOMETRIES["same"], 2, 6, 6)
    x[0, 2, 0, 1] = np.nan
    y = conv2d(x, weight, bias, padding=(1, 1), backend=backend)
    touched = np.zeros(y.shape, bool)
    touched[0, 1:4, :2] = True
    np.testing.assert_array_equal(np.isnan(y), touched)
