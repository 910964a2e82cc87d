"""Matrix products whose bits do not depend on how many threads BLAS has."""

import numpy as np
from numpy.typing import NDArray

# OpenBLAS, the BLAS of NumPy's wheels, shares a product among its threads from so many multiplications on
# and then rounds otherwise.  Its thresholds are 2^18, and 9216 where a factor is a vector.
_MATRIX = 2**18
_VECTOR = 2**13
_EDGE = 64  # the edge of a cube of 2^18
_CUBES = 256  # whose products are in memory at a time


def matmul(a: NDArray, b: NDArray) -> NDArray:
    """Matrix product, put together from pieces that are cut by shape alone and too small to be shared.

    Parameters
    ----------
    a : (..., K) array
    b : (K, N) array

    Returns
    -------
    (..., N) array of the common dtype

    Notes
    -----
    It takes about 1.5 times as long as ``a @ b`` does on one thread.  Other libraries than OpenBLAS (MKL,
    Accelerate) have thresholds of their own.

    Examples
    --------
    >>> matmul(np.ones((1000, 300)), np.ones((300, 2)))[999]
    array([300., 300.])
    """
    flat = a.reshape(-1, a.shape[-1])
    if len(b) > max(4 * len(flat), 4 * b.shape[1], 2 * _EDGE) and min(len(flat), b.shape[1]) > 1:
        return _deep(flat, b).reshape(*a.shape[:-1], b.shape[1])
    y = np.empty((len(flat), b.shape[1]), np.result_type(a, b))
    rows, depth, columns = _piece(*flat.shape, b.shape[1])
    whole = len(flat) - len(flat) % rows
    # As a stack of matrices, over which NumPy itself loops.
    stack, out = (m[:whole].reshape(-1, rows, m.shape[1]) for m in (flat, y))
    _multiply(stack, b, out, depth, columns)
    if whole < len(flat):
        _multiply(flat[whole:], b, y[whole:], depth, columns)
    return y.reshape(*a.shape[:-1], b.shape[1])


def _deep(a, b):
    """The product of a flat and a tall matrix: the sum of a stack of cubes, over which NumPy loops."""
    whole = (len(b) - 1) // _EDGE * _EDGE  # less than all: what is left is a product of its own
    stack = a[:, :whole].reshape(len(a), -1, _EDGE).swapaxes(0, 1)  # (K / edge, M, edge)
    below = b[:whole].reshape(-1, _EDGE, b.shape[1])  # (K / edge, edge, N)
    y = matmul(a[:, whole:], b[whole:])
    for first in range(0, len(stack), _CUBES):
        some = slice(first, first + _CUBES)
        for i in range(0, len(a), _EDGE):
            for j in range(0, b.shape[1], _EDGE):
                rows, columns = slice(i, i + _EDGE), slice(j, j + _EDGE)
                y[rows, columns] += (stack[some, rows] @ below[some, :, columns]).sum(0)
    return y


def _piece(m, k, n):
    """Rows, depth and columns of a piece: a cube, stretched where the matrices are narrow."""
    most = _VECTOR if m == 1 or n == 1 else _MATRIX
    columns = min(n, _EDGE)
    rows = max(1, min(m, most // (columns * min(k, _EDGE))))  # no deeper than a cube: sums of sums round less
    return rows, most // (columns * rows), columns


def _multiply(a, b, y, depth, columns):
    """``y[...] = a @ b``, by pieces of b."""
    for j in range(0, b.shape[1], columns):
        part = slice(j, j + columns)
        np.matmul(a[..., :depth], b[:depth, part], out=y[..., part])
        for i in range(depth, len(b), depth):
            y[..., part] += a[..., i : i + depth] @ b[i : i + depth, part]
