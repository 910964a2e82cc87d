"""Pointwise convolution: the definition, PyTorch, directional derivatives, agreement of the backends."""

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
    gradient_error,
    needs_numba,
    normal,
    relative_error,
    seeds,
)

from acdref.ops.pointwise import (
    _PIECE,
    _TASK,
    pointwise,
    pointwise_backward,
    pointwise_input_gradient,
    pointwise_weight_gradient,
)

# Around the edges of tiles (6 or 8 rows), blocks (96), packed pieces and tasks.
ROWS = [1, 5, 6, 7, 8, 9, 95, 96, 97, _PIECE - 1, _PIECE + 1, _TASK, _TASK + 1, 2 * _TASK + 100]


def arguments(rng, shape, c_in, c_out, dtype=np.float64):
    return (
        normal(rng, *shape, c_in, dtype=dtype),
        normal(rng, c_in, c_out, dtype=dtype),
        normal(rng, c_out, dtype=dtype),
    )


def naive(x, weight, bias):
    """Every number of the output by itself."""
    y = np.empty((*x.shape[:-1], weight.shape[1]))
    for at in np.ndindex(y.shape):
        y[at] = bias[at[-1]] + sum(x[*at[:-1], i] * weight[i, at[-1]] for i in range(len(weight)))
    return y


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4)])
def test_definition_for_any_number_of_axes(backend, shape, rng):
    a = arguments(rng, shape, 5, 18)
    y = pointwise(*a, backend=backend)
    assert y.shape == (*shape, 18)
    assert relative_error(y, naive(*a)) <= 1e-13


@needs_numba
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("c_out", [3, 16, 21])
def test_edges_of_tiles_and_tasks(rows, c_out, rng):
    x, weight, bias = arguments(rng, (rows,), 4, c_out)
    dy = normal(rng, rows, c_out)
    assert_close(pointwise(x, weight, bias, backend="numba"), pointwise(x, weight, bias), 1e-13)
    assert_close(pointwise_backward(dy, x, weight, backend="numba"), pointwise_backward(dy, x, weight), 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@given(seed=seeds, rows=st.integers(1, 40), c_in=channels, c_out=channels)
@settings(max_examples=15)
def test_directional_derivative(backend, seed, rows, c_in, c_out):
    rng = np.random.default_rng(seed)
    error = gradient_error(
        lambda *a: pointwise(*a, backend=backend),
        lambda dy, x, weight, bias: pointwise_backward(dy, x, weight, backend=backend),
        arguments(rng, (rows,), c_in, c_out),
        rng,
    )
    assert error <= 1e-6


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    seed=seeds,
    n=batches,
    t=st.integers(1, 6),
    f=st.integers(1, 6),
    c_in=channels | st.just(150),
    c_out=channels,
)
@settings(max_examples=40)
def test_backends_agree(dtype, seed, n, t, f, c_in, c_out):
    rng = np.random.default_rng(seed)
    drawn = *arguments(rng, (n, t, f), c_in, c_out, dtype), normal(rng, n, t, f, c_out, dtype=dtype)

    def results(backend, x, weight, bias, dy):
        return pointwise(x, weight, bias, backend=backend), pointwise_backward(dy, x, weight, backend=backend)

    magnitudes = results("numpy", *map(np.abs, drawn))
    assert_close(results("numba", *drawn), results("numpy", *drawn), SUM_AGREEMENT[dtype], magnitudes)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_as_pytorch(dtype, tolerance, backend, rng):
    torch = pytest.importorskip("torch")
    x, weight, bias = arguments(rng, (3, 7, 5), 24, 37, dtype)
    dy = normal(rng, 3, 7, 5, 37, dtype=dtype)
    tx, tweight, tbias = (torch.tensor(a, requires_grad=True) for a in (x, weight, bias))
    ty = torch.nn.functional.linear(tx, tweight.T, tbias)
    ty.backward(torch.tensor(dy))
    assert_close(pointwise(x, weight, bias, backend=backend), ty.detach().numpy(), tolerance)
    gradients = pointwise_backward(dy, x, weight, backend=backend)
    assert_close(gradients, tuple(t.grad.numpy() for t in (tx, tweight, tbias)), tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_parts_of_the_backward_pass(backend, rng):
    x, weight, _ = arguments(rng, (50,), 9, 20)
    dy = normal(rng, 50, 20)
    dx, dweight, dbias = pointwise_backward(dy, x, weight, backend=backend)
    np.testing.assert_array_equal(pointwise_input_gradient(dy, weight, backend=backend), dx)
    parts = pointwise_weight_gradient(dy, x, backend=backend)
    np.testing.assert_array_equal(parts[0], dweight)
    np.testing.assert_array_equal(parts[1], dbias)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("c_in", [3, 16, 21])
@pytest.mark.parametrize("rows", [50, _TASK // 2 + 10])
def test_input_gradient_added_to_another(c_in, rows, backend, rng):
    x, weight, _ = arguments(rng, (2, rows), c_in, 5)
    dy = normal(rng, 2, rows, 5)
    total = x.copy()
    assert pointwise_input_gradient(dy, weight, total, backend=backend) is total
    expected = x + pointwise_input_gradient(dy, weight, backend=backend)
    np.testing.assert_allclose(total, expected, atol=1e-13)


@needs_numba
def test_threads_do_not_matter(rng):
    x, weight, bias = arguments(rng, (3 * _TASK + 17,), 5, 18, np.float32)
    dy = normal(rng, len(x), 18, dtype=np.float32)
    assert_threads_do_not_matter(
        lambda: (
            pointwise(x, weight, bias, backend="numba"),
            pointwise_backward(dy, x, weight, backend="numba"),
        )
    )


def test_blas_threads_do_not_matter(with_blas_threads):
    one, two = with_blas_threads("""if True:
        import hashlib
        import numpy as np
        from acdref.ops.pointwise import pointwise, pointwise_backward

        rng = np.random.default_rng(0)
        for rows, c_in, c_out in [(160_000, 18, 16), (5000, 128, 256)]:
            x, weight, bias, dy = (
                rng.standard_normal(shape, np.float32)
                for shape in [(rows, c_in), (c_in, c_out), c_out, (rows, c_out)]
            )
            for a in (pointwise(x, weight, bias), *pointwise_backward(dy, x, weight)):
                print(hashlib.sha256(a.tobytes()).hexdigest())
    """)
    assert one == two
    assert one.count("\n") == 8


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("c_out", [3, 16, 21])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_stay_in_their_row(backend, c_out, bad, rng):
    x, weight, bias = arguments(rng, (30,), 4, c_out)
    x[11, 2] = bad
    finite = np.isfinite(pointwise(x, weight, bias, backend=backend))
    assert not finite[11].any()
    assert np.delete(finite, 11, axis=0).all()
    dy = normal(rng, 30, c_out)
    _, dweight, dbias = pointwise_backward(dy, x, weight, backend=backend)
    assert not np.isfinite(dweight[2]).any()
    assert np.isfinite(np.delete(dweight, 2, axis=0)).all()
    assert np.isfinite(dbias).all()
