"""Softmax over channels (each position by itself) and over positions (each clip and channel by itself).

In NumPy for both backends: its exponential is vectorised, that of a kernel is not.
"""

import numpy as np
from numpy.typing import NDArray


def softmax_channels(x: NDArray) -> NDArray:
    """``exp(x_c) / sum_c exp(x_c)`` over the last axis of (..., C)."""
    y = np.exp(x - x.max(-1, keepdims=True))
    return y / y.sum(-1, keepdims=True)


def softmax_channels_backward(dy: NDArray, y: NDArray) -> NDArray:
    """Gradient dx of :func:`softmax_channels` from its output: ``y (dy - sum_c dy y)``."""
    return y * (dy - (dy * y).sum(-1, keepdims=True))


def softmax_positions(x: NDArray) -> NDArray:
    """``exp(x_p) / sum_p exp(x_p)`` over the positions of (N, P, C)."""
    y = np.exp(x - x.max(1, keepdims=True))
    # NumPy adds along an outer axis one by one: over many positions that needs float64.
    return y / y.sum(1, keepdims=True, dtype=np.float64).astype(x.dtype)


def softmax_positions_backward(dy: NDArray, y: NDArray) -> NDArray:
    """Gradient dx of :func:`softmax_positions` from its output: ``y (dy - sum_p dy y)``."""
    return y * (dy - (dy * y).sum(1, keepdims=True, dtype=np.float64).astype(y.dtype))
