"""1-D convolution over time: :mod:`acdref.ops.conv2d` of maps that have a single bin."""

from acdref.ops.conv2d import conv2d, conv2d_input_gradient, conv2d_weight_gradient


def conv1d(x, weight, bias=None, stride=1, padding=0, groups=1, *, backend="numpy"):
    """1-D convolution.

    Parameters
    ----------
    x : (N, T, C_in) array
    weight : (k, C_in / groups, C_out) array
    bias : (C_out,) array, optional
    stride, padding, groups : int
        As in :func:`acdref.ops.conv2d.conv2d`.
    backend : {"numpy", "numba"}

    Returns
    -------
    (N, (T + 2 padding - k) // stride + 1, C_out) array

    Examples
    --------
    >>> import numpy as np
    >>> conv1d(np.arange(6.0).reshape(1, 6, 1), np.ones((2, 1, 1)), stride=3).ravel()
    array([1., 7.])
    """
    geometry = (stride, 1), (padding, 0), groups
    return conv2d(x[:, :, None], weight[:, None], bias, *geometry, backend=backend)[:, :, 0]


def conv1d_backward(dy, x, weight, stride=1, padding=0, groups=1, *, backend="numpy"):
    """Gradients (dx, dweight, dbias) of :func:`conv1d`."""
    dx = conv1d_input_gradient(dy, weight, x.shape, stride, padding, groups, backend=backend)
    return dx, *conv1d_weight_gradient(dy, x, len(weight), stride, padding, groups, backend=backend)


def conv1d_input_gradient(dy, weight, shape, stride=1, padding=0, groups=1, *, backend="numpy"):
    """Gradient dx, of `shape` (N, T, C_in), of :func:`conv1d`."""
    n, t, c = shape
    geometry = (stride, 1), (padding, 0), groups
    return conv2d_input_gradient(dy[:, :, None], weight[:, None], (n, t, 1, c), *geometry, backend=backend)[
        :, :, 0
    ]


def conv1d_weight_gradient(dy, x, size, stride=1, padding=0, groups=1, *, backend="numpy"):
    """Gradients (dweight, dbias) of :func:`conv1d` with a kernel of `size` taps."""
    geometry = (stride, 1), (padding, 0), groups
    dweight, dbias = conv2d_weight_gradient(
        dy[:, :, None], x[:, :, None], (size, 1), *geometry, backend=backend
    )
    return dweight[:, 0], dbias
