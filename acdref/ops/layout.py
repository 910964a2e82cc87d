"""How vector kernels want their arrays; without Numba, for those that prepare them."""

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
