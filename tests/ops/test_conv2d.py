"""2-D convolution: naive loops, PyTorch, directional derivatives, agreement of the backends."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
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
from acdref.ops.conv2d import Geometry, conv2d, conv2d_input_gradient, conv2d_weight_gradient

# kernel, (stride, padding, dilation), depthwise, channels in and out: what the networks use, and what not.
CASES = {
    "vgg first": ((5, 5), Geometry((2, 2), (2, 2)), False, 1, 6),
    "same": ((3, 3), Geometry(padding=(1, 1)), False, 8, 6),
    "valid": ((3, 3), Geometry(), False, 4, 6),
    "acdnet stem": ((3, 3), Geometry(padding=(0, 1)), False, 2, 17),
    "resnet stem": ((7, 7), Geometry(padding=(3, 3)), False, 1, 5),
    "pointwise": ((1, 1), Geometry(), False, 5, 7),
    "pointwise, strided": ((1, 1), Geometry((2, 2)), False, 5, 7),
    "pointwise, padded": ((1, 1), Geometry(padding=(1, 2)), False, 5, 7),
    "one bin": ((9, 1), Geometry((3, 1)), False, 8, 6),
    "gaps": ((1, 2), Geometry((3, 4), (0, 1)), False, 2, 3),
    "dilated": ((3, 2), Geometry((2, 1), (1, 3), (2, 3)), False, 12, 6),
    "depthwise": ((3, 3), Geometry(padding=(0, 1)), True, 18, 18),
    "depthwise, dilated": ((3, 3), Geometry(padding=(0, 2), dilation=(2, 2)), True, 20, 20),
    "depthwise, strided": ((3, 3), Geometry((2, 2), (1, 1)), True, 6, 6),
    "depthwise, larger": ((2, 5), Geometry((1, 3), (2, 1)), True, 3, 3),
    "depthwise, one channel": ((3, 3), Geometry(padding=(1, 1)), True, 1, 1),
}
both = pytest.mark.parametrize("backend", BACKENDS)
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@st.composite
def any_case(draw):
    size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    depthwise = draw(st.booleans())
    inputs = draw(st.sampled_from([1, 2, 3, 8]))
    outputs = inputs if depthwise else draw(st.integers(1, 4))
    return size, Geometry(stride, padding, dilation), depthwise, inputs, outputs


def arguments(rng, case, n=2, t=12, f=9, dtype=np.float64):
    size, _, depthwise, inputs, outputs = case
    return (
        normal(rng, n, t, f, inputs, dtype=dtype),
        normal(rng, *size, 1 if depthwise else inputs, outputs, dtype=dtype),
        normal(rng, outputs, dtype=dtype),
    )


def forward(case, x, weight, bias, backend="numpy"):
    return conv2d(x, weight, bias, case[1], depthwise=case[2], backend=backend)


def backward(case, dy, x, weight, backend="numpy"):
    how = {"geometry": case[1], "depthwise": case[2], "backend": backend}
    dx = conv2d_input_gradient(dy, weight, x.shape, **how)
    return dx, *conv2d_weight_gradient(dy, x, weight.shape[:2], **how)


def naive(case, x, weight, bias):
    """The definition, one product at a time."""
    (kt, kf), (stride, padding, dilation), depthwise, _, _ = case
    n, t, f, _ = x.shape
    depth, outputs = weight.shape[2:]
    shape = (
        (t + 2 * padding[0] - dilation[0] * (kt - 1) - 1) // stride[0] + 1,
        (f + 2 * padding[1] - dilation[1] * (kf - 1) - 1) // stride[1] + 1,
    )
    y = np.empty((n, *shape, outputs))
    for clip, row, bin_, out in np.ndindex(y.shape):
        total = bias[out]
        for i, j, c in np.ndindex(kt, kf, depth):
            r = row * stride[0] - padding[0] + i * dilation[0]
            g = bin_ * stride[1] - padding[1] + j * dilation[1]
            if 0 <= r < t and 0 <= g < f:
                total += x[clip, r, g, out if depthwise else c] * weight[i, j, c, out]
        y[clip, row, bin_, out] = total
    return y


@both
@cases
def test_is_its_definition(backend, case, rng):
    x, weight, bias = arguments(rng, case, t=10, f=7)
    y = forward(case, x, weight, bias, backend)
    assert relative_error(y, naive(case, x, weight, bias)) <= 1e-13
    without = forward(case, x, weight, None, backend)
    assert relative_error(without + bias, y) <= 1e-13


@both
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("bins", [1, 2, 3, 4, 5, 7])
def test_maps_narrower_than_the_window(backend, depthwise, dilation, bins, rng):
    geometry = Geometry(padding=(0, dilation), dilation=(dilation, dilation))
    case = (3, 3), geometry, depthwise, 18, 18  # a vector of channels and two more
    given = arguments(rng, case, t=2 * dilation + 2, f=bins)
    y = forward(case, *given, backend)
    assert y.shape == (2, 2, bins, 18)
    assert relative_error(y, naive(case, *given)) <= 1e-13


@both
def test_long_rows_are_cut_into_blocks(backend, rng, monkeypatch):
    """Of bins that pass through a depthwise convolution together; the last is shorter."""
    monkeypatch.setattr(module, "_VECTOR", 8)
    case = (3, 3), Geometry(padding=(1, 4), dilation=(1, 2)), True, 2, 2
    x, weight, bias = arguments(rng, case, f=11)
    y = forward(case, x, weight, bias, backend)
    assert relative_error(y, naive(case, x, weight, bias)) <= 1e-13
    dy = normal(rng, *y.shape)
    assert_close(backward(case, dy, x, weight, backend), backward(case, dy, x, weight), 1e-13)


def test_neighbours_are_ordered_time_bin_channel():
    x = np.arange(3 * 2 * 2, dtype=np.float64).reshape(1, 3, 2, 2)
    y = module._neighbours(x, (3, 3), Geometry(padding=(0, 1)))
    assert y.shape == (1, 1, 2, 18)
    np.testing.assert_array_equal(y[0, 0, 0], [0, 0, 0, 1, 2, 3, 0, 0, 4, 5, 6, 7, 0, 0, 8, 9, 10, 11])
    np.testing.assert_array_equal(y[0, 0, 1], [0, 1, 2, 3, 0, 0, 4, 5, 6, 7, 0, 0, 8, 9, 10, 11, 0, 0])


@both
def test_one_bin_is_numpys_correlation(backend, rng):
    x, weight = normal(rng, 1, 50, 1, 1), normal(rng, 17, 1, 1, 1)
    y = conv2d(x, weight, geometry=Geometry((3, 1)), backend=backend)
    expected = np.correlate(x.ravel(), weight.ravel(), "valid")[::3]
    assert relative_error(y.ravel(), expected) <= 1e-13


@both
@cases
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_as_pytorch(backend, case, dtype, tolerance, rng):
    torch = pytest.importorskip("torch")
    _, (stride, padding, dilation), depthwise, inputs, _ = case
    x, weight, bias = arguments(rng, case, 3, dtype=dtype)
    y = forward(case, x, weight, bias, backend)
    tensors = to_torch(x), torch.tensor(weight.transpose(3, 2, 0, 1).copy()), torch.tensor(bias)
    for tensor in tensors:
        tensor.requires_grad_()
    expected = torch.nn.functional.conv2d(
        *tensors, stride=stride, padding=padding, dilation=dilation, groups=inputs if depthwise else 1
    )
    assert y.dtype == dtype
    assert relative_error(y, from_torch(expected)) <= tolerance
    dy = normal(rng, *y.shape, dtype=dtype)
    expected.backward(to_torch(dy, grad=False))
    dx, dweight, dbias = (tensor.grad for tensor in tensors)
    references = from_torch(dx), dweight.numpy().transpose(2, 3, 1, 0), dbias.numpy()
    assert_close(backward(case, dy, x, weight, backend), references, tolerance)


@both
@given(seed=seeds, case=any_case(), extra=st.tuples(st.integers(0, 5), st.integers(0, 5)))
@settings(max_examples=40)
def test_directional_derivative(backend, seed, case, extra):
    rng = np.random.default_rng(seed)
    (kt, kf), (_, _, (dt, df)) = case[:2]
    error = gradient_error(
        lambda *a: forward(case, *a, backend),
        lambda dy, x, weight, bias: backward(case, dy, x, weight, backend),
        arguments(rng, case, t=dt * (kt - 1) + 1 + extra[0], f=df * (kf - 1) + 1 + extra[1]),
        rng,
    )
    assert error <= 1e-6


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    seed=seeds, n=st.integers(1, 9), case=any_case(), t=st.integers(4, 12), f=st.integers(4, 9),
    channels=st.sampled_from([None, 16, 33]),
)  # fmt: skip
@settings(max_examples=40)
def test_backends_agree(dtype, seed, n, case, t, f, channels):
    rng = np.random.default_rng(seed)
    if channels and case[2]:
        case = *case[:3], channels, channels
    x, weight, bias = arguments(rng, case, n, t, f, dtype)
    assume(min(case[1].sizes(x.shape, case[0])) > 0)
    dy = normal(rng, *forward(case, x, weight, bias).shape, dtype=dtype)

    def results(backend, x, weight, bias, dy):
        return forward(case, x, weight, bias, backend), backward(case, dy, x, weight, backend)

    given = x, weight, bias, dy
    magnitudes = results("numpy", *map(np.abs, given))
    assert_close(results("numba", *given), results("numpy", *given), SUM_AGREEMENT[dtype], magnitudes)


@both
@given(
    seed=seeds,
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    channels=st.sampled_from([1, 3, 16, 19]),
)
@settings(max_examples=20)
def test_each_channel_is_a_convolution_of_its_own(backend, seed, size, stride, padding, channels):
    rng = np.random.default_rng(seed)
    x, weight = normal(rng, 2, 7, 6, channels), normal(rng, *size, 1, channels)
    case = size, Geometry(stride, padding), True
    y = forward(case, x, weight, None, backend)
    dy = normal(rng, *y.shape)
    parts, gradients = [], []
    for c in range(channels):
        one = np.s_[..., c : c + 1]
        single = size, case[1], False
        parts.append(forward(single, x[one].copy(), weight[one], None))
        gradients.append(backward(single, dy[one].copy(), x[one].copy(), weight[one]))
    expected = np.concatenate(parts, -1), *(np.concatenate(g, -1) for g in zip(*gradients, strict=True))
    assert_close((y, *backward(case, dy, x, weight, backend)), expected, 1e-12)


@pytest.mark.parametrize("few", [0, 10**6])
@cases
def test_neighbourhoods_and_taps_agree(few, case, rng, monkeypatch):
    """NumPy's two ways: one product with all neighbourhoods side by side, and a product for each tap."""
    x, weight, bias = arguments(rng, case)
    y = forward(case, x, weight, bias)
    dy = normal(rng, *y.shape)
    expected = y, backward(case, dy, x, weight)
    monkeypatch.setattr(module, "_FEW", few)
    assert_close((forward(case, x, weight, bias), backward(case, dy, x, weight)), expected, 1e-13)


@needs_numba
@cases
def test_tiles_do_not_matter(case, rng, monkeypatch):
    """One tile for all, or many small ones, which share the sums of the weight gradient."""
    x, weight, bias = arguments(rng, case, 3, 17, 14)
    dy = normal(rng, *forward(case, x, weight, bias).shape)

    def results():
        return forward(case, x, weight, bias, "numba"), backward(case, dy, x, weight, "numba")

    whole = results()
    monkeypatch.setattr(module, "_TILE", 200)
    monkeypatch.setattr(module, "_LEAST", 5)
    assert_close(results(), whole, 1e-13)


@needs_numba
@cases
@pytest.mark.parametrize("tile", [module._TILE, 2000])
def test_threads_do_not_matter(case, tile, rng, monkeypatch):
    monkeypatch.setattr(module, "_TILE", tile)
    x, weight, bias = arguments(rng, case, 5, 40, 33, np.float32)
    dy = normal(rng, *forward(case, x, weight, bias).shape, dtype=np.float32)
    assert_threads_do_not_matter(
        lambda: (forward(case, x, weight, bias, "numba"), backward(case, dy, x, weight, "numba"))
    )


@both
@cases
def test_arguments_stay_as_they_are(backend, case, rng):
    given = arguments(rng, case)
    dy = normal(rng, *forward(case, *given).shape)
    copies = [a.copy() for a in (*given, dy)]
    forward(case, *given, backend)
    backward(case, dy, *given[:2], backend)
    for a, b in zip((*given, dy), copies, strict=True):
        np.testing.assert_array_equal(a, b)


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_reach_their_neighbours_and_no_others(backend, bad, rng):
    def touched_by(case, where, t, f):
        x, weight, bias = arguments(rng, case, 2, t, f)
        x[where] = bad
        return ~np.isfinite(forward(case, x, weight, bias, backend))

    found = touched_by(CASES["same"], (0, 2, 0, 1), 6, 6)
    expected = np.zeros(found.shape, bool)
    expected[0, 1:4, :2] = True
    np.testing.assert_array_equal(found, expected)
    found = touched_by(CASES["acdnet stem"], (0, 2, 0, 1), 6, 6)
    expected = np.zeros(found.shape, bool)
    expected[0, :3, :2] = True
    np.testing.assert_array_equal(found, expected)
    found = touched_by(CASES["depthwise, dilated"], (0, 4, 4, 1), 9, 9)
    expected = np.zeros(found.shape, bool)
    expected[0, [[0], [2], [4]], [2, 4, 6], 1] = True
    np.testing.assert_array_equal(found, expected)
