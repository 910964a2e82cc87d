"""The plain operations as the tests of compiled kernels call them: the convolutions of ACDnet's blocks."""

from acdref.ops.conv2d import Geometry, conv2d, conv2d_input_gradient, conv2d_weight_gradient


def conv(x, weight, bias):
    """The stem's: 3x3, valid in time, same in frequency."""
    return conv2d(x, weight, bias, Geometry(padding=(0, 1)))


def conv_weight_gradient(dy, x):
    return conv2d_weight_gradient(dy, x, (3, 3), Geometry(padding=(0, 1)))


def depthwise(x, weight, bias, dilation=1):
    """Of a weight (3, 3, C)."""
    return conv2d(x, weight[:, :, None], bias, _dilated(dilation), depthwise=True)


def depthwise_backward(dy, x, weight, dilation=1):
    """Gradients (dx, dweight, dbias) of :func:`depthwise`."""
    geometry = _dilated(dilation)
    dx = conv2d_input_gradient(dy, weight[:, :, None], x.shape, geometry, depthwise=True)
    dweight, dbias = conv2d_weight_gradient(dy, x, (3, 3), geometry, depthwise=True)
    return dx, dweight[:, :, 0], dbias


def _dilated(dilation):
    return Geometry(padding=(0, dilation), dilation=(dilation, dilation))
