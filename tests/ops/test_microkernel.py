"""The register tile by itself: strides, offsets, every rest of rows and columns."""

import numpy as np
import pytest

from acdref.ops.kernel import available

if not available():
    pytest.skip("needs numba", allow_module_level=True)

from acdref.ops import microkernel as micro
from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES, packed, whole


@compile_function
def pack_panel(x, x0, x_row, rows, y, y0):
    micro.pack_panel(x, x0, x_row, rows, y, y0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("columns", [3, 16, 35])
@pytest.mark.parametrize("rows", [1, 5, 6, 8, 13, 97])
def test_product(rows, columns, transposed, dtype, rng):
    """C = Z + A B for A by rows or by columns, from and to the middle of larger arrays."""
    depth = 7
    a = rng.standard_normal((depth, rows) if transposed else (rows, depth)).astype(dtype)
    b = rng.standard_normal((depth, columns)).astype(dtype)
    z = rng.standard_normal((rows, columns)).astype(dtype)
    flat_a = np.concatenate([np.full(3, np.nan, dtype), a.ravel()])
    c = np.full(rows * columns + 11, 99, dtype)
    strides = (1, rows) if transposed else (depth, 1)
    target = c, 5, columns
    micro.product((flat_a, 3, *strides), packed(b), (z.ravel(), 0, columns), target, (rows, depth, columns))
    expected = z + (a.T if transposed else a) @ b
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(c[5:-6].reshape(rows, columns), expected, rtol=tolerance, atol=tolerance)
    assert (c[:5] == 99).all()
    assert (c[-6:] == 99).all()


@pytest.mark.parametrize("columns", [3, 16, 35])
@pytest.mark.parametrize("positions", [1, 7, 8, 20])
def test_weight_gradient_adds_to_what_is_there(positions, columns, rng):
    x, dy = rng.standard_normal((30, 4)), rng.standard_normal((30, columns))
    dweight, dbias = np.ones((4, columns)), np.full(columns, 2.0)
    scratch = np.empty(8 * whole(columns))
    micro.weight_gradient(
        x.ravel(), dy.ravel(), 5, 5 + positions, (4, columns), 8, scratch, dweight.reshape(-1), dbias
    )
    part = slice(5, 5 + positions)
    np.testing.assert_allclose(dweight, 1 + x[part].T @ dy[part], atol=1e-13)
    np.testing.assert_allclose(dbias, 2 + dy[part].sum(0), atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 3, 4, 6, 8, 9, 10, 17, 99])
def test_panels_of_a_depth_in_groups(rows, groups, dtype, rng):
    """A small convolution on the map itself: each group is a row of the window.

    What is left of the tiles goes by fours and one by one; 99 are more than a block.  What is asked for ahead
    may lie beyond the array.
    """
    depth, step, apart, columns = 6, 2, 7 * 100 * 2, 32
    a = rng.standard_normal(groups * apart).astype(dtype)
    b = rng.standard_normal((groups * depth, columns)).astype(dtype)
    bias = rng.standard_normal(columns).astype(dtype)
    c = np.full((rows, columns), np.nan, dtype)
    micro.panels(
        (a, 1, step, 1), packed(b), (bias, 0, 0), (c.reshape(-1), 0, columns), (rows, depth, columns),
        groups, apart, 10**6,
    )  # fmt: skip
    windows = np.lib.stride_tricks.as_strided(
        a[1:], (rows, groups, depth), (step * a.itemsize, apart * a.itemsize, a.itemsize)
    )
    expected = windows.reshape(rows, -1) @ b + bias
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(c, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("columns", [3, 16, 35])
def test_packing_rows_from_the_middle(columns, rng):
    """As :func:`packed` does; what lies beyond the last panel's columns is left alone."""
    b = rng.standard_normal((9, columns))
    out = np.zeros(4 * whole(columns))
    micro.pack_rows(b.reshape(-1), 3 * columns, 4, columns, out)
    np.testing.assert_array_equal(out, packed(b[3:7]))


def test_pack_panel():
    x = np.arange(100.0)
    y = np.zeros(50)
    pack_panel(x, 3, 30, 3, y, 1)
    np.testing.assert_array_equal(y[1:49].reshape(3, LANES), x[3:93].reshape(3, 30)[:, :LANES])
    assert y[0] == y[49] == 0
