"""Layers from which networks are put together.

A layer is configuration: it owns no arrays.  Each has

``arrays(draw)``
    its fresh parameters and running statistics, two dicts;
``forward(net, x, train)``
    its output, and what its backward pass needs (None unless training);
``backward(net, dy, tape, grads)``
    the gradient of its input; those of its parameters go into `grads`;
``rows(shape)``
    its rows of the layer table for an input of `shape` (channels, frames, bins), and its output's shape,

where `net` is a :class:`~acdref.nets.network.Network`: parameters, statistics, backend, random generator.
"""

from dataclasses import dataclass

import numpy as np

from acdref.nets.table import Layer
from acdref.ops import rectifiers
from acdref.ops.conv2d import conv2d, conv2d_input_gradient, conv2d_weight_gradient
from acdref.ops.dropout import dropout, dropout_backward
from acdref.ops.elementwise import add
from acdref.ops.mean_sigmoid import mean_sigmoid_logit, mean_sigmoid_logit_backward
from acdref.ops.norm import batch_norm, batch_norm_backward, batch_norm_inference
from acdref.ops.pointwise import pointwise, pointwise_backward
from acdref.ops.pooling import max_pool, max_pool_backward
from acdref.ops.pooling2d import (
    global_mean,
    global_mean_backward,
    max_pool2d,
    max_pool2d_backward,
    mean_bins,
    mean_bins_backward,
)
from acdref.ops.taps import output_size

# forward, and backward from the output
ACTIVATIONS = {
    "relu": (rectifiers.relu, rectifiers.relu_backward),
    "relu6": (rectifiers.relu6, rectifiers.relu6_backward),
    "elu": (rectifiers.elu, rectifiers.elu_backward),
}


class Draw:
    """Fresh parameters, drawn in the order in which they are asked for."""

    def __init__(self, seed, dtype):
        self._rng, self._dtype = np.random.default_rng(seed), np.dtype(dtype)

    def normal(self, shape, fan_in):
        """He's N(0, 2 / fan_in), for weights with a rectifier behind them."""
        return (self._rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(self._dtype)

    def uniform(self, shape, fan_in):
        """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for biases and dense layers."""
        bound = 1 / np.sqrt(fan_in)
        return self._rng.uniform(-bound, bound, shape).astype(self._dtype)

    def constant(self, value, size):
        """A vector of one number."""
        return np.full(size, value, self._dtype)


@dataclass(frozen=True)
class Conv:
    """Convolution, batch normalisation, activation.

    Attributes
    ----------
    name : str
        Parameters are ``name.weight``, perhaps ``name.bias``, and ``name_norm.gamma`` and ``.beta``.
    inputs, outputs : int
        Channels.
    size : (int, int)
        Of the kernel, in time and frequency; so are stride and padding.
    activation : str or None
        One of :data:`ACTIVATIONS`.
    gamma : float
        Scale of the normalisation at the start.
    first : bool
        The input is the network's own: nobody needs its gradient, and the backward pass returns None.
    """

    name: str
    inputs: int
    outputs: int
    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    bias: bool = False
    activation: str | None = "relu"
    gamma: float = 1.0
    first: bool = False

    @property
    def _weight_shape(self):
        return (*self.size, self.inputs // self.groups, self.outputs)

    @property
    def _geometry(self):
        return self.stride, self.padding, self.groups

    def arrays(self, draw):
        shape, norm = self._weight_shape, f"{self.name}_norm"
        fan_in = int(np.prod(shape[:3]))
        params = {f"{self.name}.weight": draw.normal(shape, fan_in)}
        if self.bias:
            params[f"{self.name}.bias"] = draw.uniform(self.outputs, fan_in)
        params[f"{norm}.gamma"] = draw.constant(self.gamma, self.outputs)
        params[f"{norm}.beta"] = draw.constant(0, self.outputs)
        state = {
            f"{norm}.mean": draw.constant(0, self.outputs),
            f"{norm}.var": draw.constant(1, self.outputs),
        }
        return params, state

    def forward(self, net, x, train):
        params, state, norm = net.params, net.state, f"{self.name}_norm"
        bias = params[f"{self.name}.bias"] if self.bias else None
        z = conv2d(x, params[f"{self.name}.weight"], bias, *self._geometry, backend=net.backend)
        scale = params[f"{norm}.gamma"], params[f"{norm}.beta"]
        running = state[f"{norm}.mean"], state[f"{norm}.var"]
        if train:
            y, statistics, running = batch_norm(z, *scale, *running, backend=net.backend)
            state[f"{norm}.mean"], state[f"{norm}.var"] = running
        else:
            y = batch_norm_inference(z, *scale, *running, backend=net.backend)
        y = _activate(self.activation, y, net.backend)
        return y, ((x, z, statistics, y if self.activation else None) if train else None)

    def backward(self, net, dy, tape, grads):
        x, z, statistics, y = tape
        params, name, backend = net.params, self.name, net.backend
        dy = _activate_backward(self.activation, dy, y, backend)
        dz, grads[f"{name}_norm.gamma"], grads[f"{name}_norm.beta"] = batch_norm_backward(
            dy, z, params[f"{name}_norm.gamma"], statistics, backend=backend
        )
        grads[f"{name}.weight"], dbias = conv2d_weight_gradient(
            dz, x, self.size, *self._geometry, backend=backend
        )
        if self.bias:
            grads[f"{name}.bias"] = dbias
        if self.first:
            return None
        return conv2d_input_gradient(dz, params[f"{name}.weight"], x.shape, *self._geometry, backend=backend)

    def rows(self, shape):
        weights = int(np.prod(self._weight_shape))
        shape = (self.outputs, *_sizes(shape, self.size, self.stride, self.padding))
        kind = ("depthwise" if self.groups == self.inputs > 1 else "conv") + f" {self.size[0]}x{self.size[1]}"
        parameters = weights + (3 if self.bias else 2) * self.outputs
        return [Layer(self.name, kind, shape, parameters, weights * shape[1] * shape[2])], shape


@dataclass(frozen=True)
class MaxPool:
    """Max-pooling; without a stride the windows lie side by side."""

    name: str
    window: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] = (0, 0)

    def arrays(self, draw):
        return {}, {}

    def forward(self, net, x, train):
        if self.stride is None:
            y, chosen = max_pool(x, self.window, backend=net.backend)
        else:
            y, chosen = max_pool2d(x, self.window, self.stride, self.padding, backend=net.backend)
        return y, ((chosen, x.shape) if train else None)

    def backward(self, net, dy, tape, grads):
        chosen, shape = tape
        if self.stride is None:
            return max_pool_backward(dy, chosen, self.window, shape, backend=net.backend)
        return max_pool2d_backward(
            dy, chosen, self.window, self.stride, self.padding, shape, backend=net.backend
        )

    def rows(self, shape):
        sizes = _sizes(shape, self.window, self.stride or self.window, self.padding)
        shape = (shape[0], *sizes)
        return [Layer(self.name, f"max-pool {self.window[0]}x{self.window[1]}", shape, 0, 0)], shape


@dataclass(frozen=True)
class Dropout:
    """Dropout while training, driven by the network's random generator."""

    rate: float

    def arrays(self, draw):
        return {}, {}

    def forward(self, net, x, train):
        return dropout(x, self.rate, net.rng, backend=net.backend) if train else (x, None)

    def backward(self, net, dy, tape, grads):
        return dropout_backward(dy, tape, self.rate, backend=net.backend)

    def rows(self, shape):
        return [], shape


@dataclass(frozen=True)
class Residual:
    """``activation(body(x) + shortcut(x))``: the body ends without activation, no shortcut stands for x."""

    body: tuple
    shortcut: tuple = ()
    activation: str | None = None

    def arrays(self, draw):
        return arrays((*self.body, *self.shortcut), draw)

    def forward(self, net, x, train):
        y, body = forward(self.body, net, x, train)
        around, shortcut = forward(self.shortcut, net, x, train)
        y = _activate(self.activation, add(y, around, backend=net.backend), net.backend)
        return y, ((body, shortcut, y) if train else None)

    def backward(self, net, dy, tape, grads):
        body, shortcut, y = tape
        dy = _activate_backward(self.activation, dy, y, net.backend)
        dx = backward(self.body, net, dy, body, grads)
        return add(dx, backward(self.shortcut, net, dy, shortcut, grads), backend=net.backend)

    def rows(self, shape):
        around, _ = rows(self.shortcut, shape)
        found, shape = rows(self.body, shape)
        return found + around, shape


@dataclass(frozen=True)
class GlobalMean:
    """Mean over time and frequency: (N, T, F, C) -> (N, C)."""

    def arrays(self, draw):
        return {}, {}

    def forward(self, net, x, train):
        return global_mean(x, backend=net.backend), (x.shape if train else None)

    def backward(self, net, dy, tape, grads):
        return global_mean_backward(dy, tape, backend=net.backend)

    def rows(self, shape):
        shape = (shape[0], 1, 1)
        return [Layer("mean", "global mean", shape, 0, 0)], shape


@dataclass(frozen=True)
class MeanBins:
    """Mean over frequency: (N, T, F, C) -> (N, T, C)."""

    def arrays(self, draw):
        return {}, {}

    def forward(self, net, x, train):
        return mean_bins(x, backend=net.backend), (x.shape[2] if train else None)

    def backward(self, net, dy, tape, grads):
        return mean_bins_backward(dy, tape, backend=net.backend)

    def rows(self, shape):
        shape = (shape[0], shape[1], 1)
        return [Layer("mean", "mean over bins", shape, 0, 0)], shape


@dataclass(frozen=True)
class Dense:
    """Affine map of the last axis, (..., inputs) -> (..., outputs)."""

    name: str
    inputs: int
    outputs: int

    def arrays(self, draw):
        weight = draw.uniform((self.inputs, self.outputs), self.inputs)
        bias = draw.uniform(self.outputs, self.inputs)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": bias}, {}

    def forward(self, net, x, train):
        weight, bias = net.params[f"{self.name}.weight"], net.params[f"{self.name}.bias"]
        return pointwise(x, weight, bias, backend=net.backend), (x if train else None)

    def backward(self, net, dy, tape, grads):
        dx, grads[f"{self.name}.weight"], grads[f"{self.name}.bias"] = pointwise_backward(
            dy, tape, net.params[f"{self.name}.weight"], backend=net.backend
        )
        return dx

    def rows(self, shape):
        weights, shape = self.inputs * self.outputs, (self.outputs, *shape[1:])
        return [
            Layer(self.name, "dense", shape, weights + self.outputs, weights * shape[1] * shape[2])
        ], shape


@dataclass(frozen=True)
class MeanSigmoid:
    """Logits of frames to the logit of their mean probability: (N, T, C) -> (N, C)."""

    def arrays(self, draw):
        return {}, {}

    def forward(self, net, x, train):
        return mean_sigmoid_logit(x), (x if train else None)

    def backward(self, net, dy, tape, grads):
        return mean_sigmoid_logit_backward(dy, tape)

    def rows(self, shape):
        shape = (shape[0], 1, 1)
        return [Layer("clip", "mean of sigmoids", shape, 0, 0)], shape


def arrays(layers, draw):
    """Parameters and running statistics of several layers."""
    params, state = {}, {}
    for layer in layers:
        more = layer.arrays(draw)
        params |= more[0]
        state |= more[1]
    return params, state


def forward(layers, net, x, train):
    """One layer after the other: the last output, and a list of tapes (None unless training)."""
    tapes = []
    for layer in layers:
        x, tape = layer.forward(net, x, train)
        tapes.append(tape)
    return x, (tapes if train else None)


def backward(layers, net, dy, tapes, grads):
    """From the last layer to the first; `tapes` is emptied, so that memory is freed on the way."""
    for layer in reversed(layers):
        dy = layer.backward(net, dy, tapes.pop(), grads)
    return dy


def rows(layers, shape):
    """Rows of the layer table, and the last output's shape."""
    found = []
    for layer in layers:
        more, shape = layer.rows(shape)
        found += more
    return found, shape


def _activate(activation, x, backend):
    return x if activation is None else ACTIVATIONS[activation][0](x, backend=backend)


def _activate_backward(activation, dy, y, backend):
    return dy if activation is None else ACTIVATIONS[activation][1](dy, y, backend=backend)


def _sizes(shape, window, stride, padding):
    """Frames and bins behind a window; ValueError where it does not fit."""
    sizes = [output_size(*axis) for axis in zip(shape[1:], window, stride, padding, strict=True)]
    if min(sizes) < 1:
        raise ValueError(f"a window of {window} does not fit {shape[1]} frames and {shape[2]} bins")
    return sizes
