"""How vector kernels, and NumPy's own loops, want their arrays; without Numba."""

import numpy as np
from numpy.typing import NDArray

from acdref.ops.memory import aligned

LANES = 16
"""Numbers in a vector; channels are padded with zeros to a multiple of it."""


def whole(channels: int) -> int:
    """`channels`, rounded up to whole vectors.

    Examples
    --------
    >>> whole(17)
    32
    """
    return -(-channels // LANES) * LANES


def padded(a: NDArray, axes: tuple[int, ...] = (-1,)) -> NDArray:
    """`a` with zeros appended along some axes, up to whole vectors; C-contiguous.

    Examples
    --------
    >>> padded(np.ones((3, 20))).shape, padded(np.ones((3, 20)), (0, 1)).shape
    ((3, 32), (16, 32))
    """
    widths = [(0, 0)] * a.ndim
    for axis in axes:
        widths[axis] = 0, whole(a.shape[axis]) - a.shape[axis]
    return np.pad(a, widths) if any(after for _, after in widths) else np.ascontiguousarray(a)


def along_bins(x: NDArray, *vectors: NDArray) -> tuple[NDArray, ...]:
    """A map (N, T, F, C) as (N, T, F C), and vectors (C,) repeated for each bin, (F C,), for NumPy.

    Its loops are as long as the last axis, too short where that is channels.  What is no map stays as it is.

    Examples
    --------
    >>> rows, wide = along_bins(np.ones((1, 1, 2, 2)), np.array([1, 2]))
    >>> rows * wide
    array([[[1., 2., 1., 2.]]])
    """
    if x.ndim != 4:
        return x, *vectors
    wide = (np.tile(vector, x.shape[2]) for vector in vectors)  # (F C,) each
    return x.reshape(*x.shape[:2], x.shape[2] * x.shape[3]), *wide  # (N, T, F C)


def packed(matrix: NDArray) -> NDArray:
    """(K, M) matrix as flat panels of 16 columns, [column panel][k][16], the last panel filled with zeros.

    Examples
    --------
    >>> packed(np.arange(34).reshape(2, 17))[14:18]
    array([14, 15, 17, 18])
    """
    panels = padded(matrix).reshape(len(matrix), -1, LANES).swapaxes(0, 1)
    result = aligned(panels.shape, matrix.dtype)
    result[:] = panels
    return result.reshape(-1)
