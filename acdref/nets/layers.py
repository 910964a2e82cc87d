"""Layers from which networks are put together, and how a sequence of them is run.

A layer is configuration: it owns no arrays.  Its parameters and running statistics are the network's, under
names that begin with the layer's.  Maps are channels-last: (N, T, F, C).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acdref.ops import activation as activations
from acdref.ops.attention import ATTENTION, attended
from acdref.ops.conv2d import Geometry, conv2d, conv2d_input_gradient, conv2d_weight_gradient
from acdref.ops.norm import (
    batch_norm,
    batch_norm_affine,
    batch_norm_backward,
    group_norm,
    group_norm_backward,
    normalised,
)
from acdref.ops.pointwise import pointwise, pointwise_backward
from acdref.ops.pooling import largest, max_pool, max_pool_backward, mean, mean_backward

if TYPE_CHECKING:
    from acdref.nets.network import Network

Pair = tuple[int, int]  # in time and in frequency
Shape = tuple[int, int, int]  # of a clip's map: channels, frames, bins
Arrays = dict[str, NDArray]

# forward, and backward from the output
ACTIVATIONS = {
    "relu": (activations.relu, activations.relu_backward),
    "relu6": (activations.relu6, activations.relu6_backward),
    "elu": (activations.elu, activations.elu_backward),
}

_STRIP = 2**17
"""Numbers of a map that pass through some layers together."""


class Row(NamedTuple):
    """A row of the layer table.

    Attributes
    ----------
    name : str
        The beginning of its parameters' names where it has any.
    kind : str
    shape : (int, int, int)
        Of the output of one clip: channels, frames, bins (in memory, maps are channels-last).
    parameters : int
        Those of the normalisation and PReLU behind a convolution included.
    macs : int
        Multiply-adds for one clip.  What counts is a convention, and reports that do not name theirs cannot
        be compared.  Here: each weight of a convolution or dense layer once for each output position, zero
        padding included; attention's matrix products; no biases, normalisation, activations, softmax,
        pooling and means.
    """

    name: str
    kind: str
    shape: Shape
    parameters: int = 0
    macs: int = 0


class Draw:
    """Fresh parameters, drawn in the order in which they are asked for."""

    def __init__(self, seed: int, dtype: Any):
        self._rng, self._dtype = np.random.default_rng(seed), np.dtype(dtype)

    def normal(self, shape: int | Sequence[int], fan_in: int) -> NDArray:
        """He's N(0, 2 / fan_in), for weights with a rectifier behind them."""
        return (self._rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(self._dtype)

    def uniform(self, shape: int | Sequence[int], fan_in: int) -> NDArray:
        """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for biases, dense layers, and all of ACDnet."""
        bound = 1 / np.sqrt(fan_in)
        return self._rng.uniform(-bound, bound, shape).astype(self._dtype)

    def constant(self, value: float, size: int) -> NDArray:
        """A vector of one number."""
        return np.full(size, value, self._dtype)


class Outline(Draw):
    """Parameters of the right shapes that take no memory and cannot be changed."""

    def __init__(self) -> None:
        self._zero = np.zeros(())

    def normal(self, shape: int | Sequence[int], fan_in: int) -> NDArray:
        """Zeros."""
        return np.broadcast_to(self._zero, shape)  # (*shape)

    uniform = normal

    def constant(self, value: float, size: int) -> NDArray:
        """Zeros."""
        return np.broadcast_to(self._zero, size)  # (size,)


class Layer:
    """What every layer has.

    Attributes
    ----------
    span : (int, int) or None
        Each row of the output sees so many rows of the input, beginning so many behind those of the row
        before.  None if it may also see others: all, or the padding of both ends.
    reads_input : bool
        Whether :meth:`backward` wants the input again.
    remade : bool
        Whether the output need not be kept while training, because :meth:`again` makes it once more.
    """

    span: Pair | None = None
    reads_input = False
    remade = False

    def arrays(self, draw: Draw) -> tuple[Arrays, Arrays]:
        """Fresh parameters and running statistics."""
        return {}, {}

    def forward(self, net: Network, x: NDArray, train: bool) -> tuple[NDArray, Any]:
        """The output, and the tape: what the backward pass needs beside the input (None unless training)."""
        raise NotImplementedError

    def inference(self, net: Network) -> Callable[[NDArray], NDArray]:
        """:meth:`forward` at inference as a function of x alone; what parameters decide is computed once."""
        return lambda x: self.forward(net, x, False)[0]

    def again(self, net: Network, tape: Any) -> NDArray:
        """The output, from the tape."""
        raise NotImplementedError

    def backward(
        self, net: Network, dy: NDArray, x: NDArray | None, tape: Any, grads: Arrays
    ) -> NDArray | None:
        """The gradient of the input; those of the parameters go into `grads`."""
        raise NotImplementedError

    def rows(self, shape: Shape) -> tuple[list[Row], Shape]:
        """Rows of the layer table for an input of `shape`, and the output's shape."""
        return [], shape


@dataclass(frozen=True)
class Conv(Layer):
    """Convolution, batch normalisation, activation.

    At inference the normalisation is folded into the convolution.  With PReLU, which is one pass with the
    normalisation, the output is made again in the backward pass rather than kept.

    Attributes
    ----------
    name : str
        Parameters are ``name.weight``, perhaps ``name.bias``, ``name_norm.gamma`` and ``.beta``, perhaps
        ``name_prelu.slope``.
    inputs, outputs : int
        Channels.
    size : (int, int)
        Of the kernel, in time and frequency; so are stride, padding and dilation.
    depthwise : bool
        Each channel by itself.
    activation : str or None
        "prelu", or one of :data:`ACTIVATIONS`.
    gamma : float
        Scale of the normalisation at the start.
    drawn : {"normal", "uniform"}
        How weights are drawn: a method of :class:`Draw`.
    stored : tuple of int, optional
        Shape of the weight as a parameter, if not (*size, inputs, outputs), or (*size, 1, channels).
    first : bool
        The input is the network's own: nobody needs its gradient, and the backward pass returns None.
    norm_last : bool
        The activation comes before the normalisation, which then is not folded; not with PReLU.
    """

    name: str
    inputs: int
    outputs: int
    size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    depthwise: bool = False
    bias: bool = False
    activation: str | None = "relu"
    gamma: float = 1.0
    drawn: str = "normal"
    stored: tuple[int, ...] | None = None
    first: bool = False
    norm_last: bool = False

    reads_input = True

    @property
    def span(self):
        return None if self.padding[0] else (self.dilation[0] * (self.size[0] - 1) + 1, self.stride[0])

    @property
    def remade(self):
        return self.activation == "prelu"

    @property
    def geometry(self) -> Geometry:
        """Stride, padding and dilation."""
        return Geometry(self.stride, self.padding, self.dilation)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(kt, kf, in, out), of :meth:`weight`."""
        return (*self.size, 1 if self.depthwise else self.inputs, self.outputs)

    def weight(self, net: Network) -> NDArray:
        """The weight, (kt, kf, in, out)."""
        return net.params[f"{self.name}.weight"].reshape(self.weight_shape)  # (kt, kf, in, out)

    def folded(self, net: Network) -> tuple[NDArray, NDArray]:
        """Weight, as :meth:`weight`, and bias with the normalisation by running statistics folded in."""
        scale, shift = self.affine(net)
        bias = self.bias_of(net)
        return self.weight(net) * scale, shift if bias is None else bias * scale + shift

    def affine(self, net: Network) -> tuple[NDArray, NDArray]:
        """Scale and shift, (outputs,), that the normalisation by running statistics amounts to."""
        return batch_norm_affine(*self._scale(net), *self._running(net))

    def bias_of(self, net: Network) -> NDArray | None:
        """The convolution's own bias, if it has one."""
        return net.params.get(f"{self.name}.bias")

    def slope(self, net: Network) -> NDArray | None:
        """PReLU's, if it has one."""
        return net.params.get(f"{self.name}_prelu.slope")

    def _scale(self, net):
        return tuple(net.params[f"{self.name}_norm.{key}"] for key in ("gamma", "beta"))

    def _running(self, net):
        return tuple(net.state[f"{self.name}_norm.{key}"] for key in ("mean", "var"))

    def arrays(self, draw):
        name, channels, fan_in = self.name, self.outputs, int(np.prod(self.weight_shape[:3]))
        params = {f"{name}.weight": getattr(draw, self.drawn)(self.stored or self.weight_shape, fan_in)}
        if self.bias:
            params[f"{name}.bias"] = draw.uniform(channels, fan_in)
        params[f"{name}_norm.gamma"] = draw.constant(self.gamma, channels)
        params[f"{name}_norm.beta"] = draw.constant(0, channels)
        if self.activation == "prelu":
            params[f"{name}_prelu.slope"] = draw.constant(0.25, channels)
        state = {
            f"{name}_norm.mean": draw.constant(0, channels),
            f"{name}_norm.var": draw.constant(1, channels),
        }
        return params, state

    def _convolved(self, net, x, weight, bias):
        how = {"depthwise": self.depthwise, "backend": net.backend}
        return conv2d(x, weight, bias, self.geometry, **how)  # (N, T', F', outputs)

    def inference(self, net):
        if self.norm_last:
            weight, own, (scale, shift) = self.weight(net), self.bias_of(net), self.affine(net)
            return lambda x: (
                _activate(self.activation, self._convolved(net, x, weight, own), net.backend) * scale + shift
            )
        (weight, bias), slope = self.folded(net), self.slope(net)

        def layer(x):
            y = self._convolved(net, x, weight, bias)
            if slope is not None:
                return activations.prelu(y, slope, backend=net.backend)
            return _activate(self.activation, y, net.backend)

        return layer

    def forward(self, net, x, train):
        if not train:
            return self.inference(net)(x), None
        backend, slope = net.backend, self.slope(net)
        z = self._convolved(net, x, self.weight(net), self.bias_of(net))
        if self.norm_last:
            z = _activate(self.activation, z, backend)
        how = {"backend": backend, "batch": net.batch}
        y, statistics, running = batch_norm(z, *self._scale(net), *self._running(net), slope, **how)
        net.state[f"{self.name}_norm.mean"], net.state[f"{self.name}_norm.var"] = running
        if self.norm_last:
            return y, (z, statistics, z)
        y = _activate(self.activation, y, backend)
        return y, (z, statistics, y if self.activation in ACTIVATIONS else None)

    def again(self, net, tape):
        z, statistics, _ = tape
        return normalised(z, *self._scale(net), statistics, self.slope(net), backend=net.backend)

    def backward(self, net, dy, x, tape, grads):
        z, statistics, y = tape
        name, backend, slope = self.name, net.backend, self.slope(net)
        if not self.norm_last:
            dy = _activate_backward(self.activation, dy, y, backend)
        dz, grads[f"{name}_norm.gamma"], grads[f"{name}_norm.beta"], dslope = batch_norm_backward(
            dy, z, *self._scale(net), statistics, slope, backend=backend, batch=net.batch
        )
        if self.norm_last:
            dz = _activate_backward(self.activation, dz, z, backend)
        if slope is not None:
            grads[f"{name}_prelu.slope"] = dslope
        how = {"depthwise": self.depthwise, "backend": backend}
        dweight, dbias = conv2d_weight_gradient(dz, x, self.size, self.geometry, batch=net.batch, **how)
        grads[f"{name}.weight"] = dweight.reshape(net.params[f"{name}.weight"].shape)  # (as stored)
        if self.bias:
            grads[f"{name}.bias"] = dbias
        if self.first:
            return None
        return conv2d_input_gradient(dz, self.weight(net), x.shape, self.geometry, **how)

    def rows(self, shape):
        weights = int(np.prod(self.weight_shape))
        shape = (self.outputs, *_sizes(shape, self.size, self.geometry))
        vectors = 2 + self.bias + (self.activation == "prelu")
        kind = f"{'depthwise' if self.depthwise else 'conv'} {self.size[0]}x{self.size[1]}"
        if max(self.dilation) > 1:
            kind += f", dilation {self.dilation[0]}"
        row = Row(self.name, kind, shape, weights + vectors * self.outputs, weights * shape[1] * shape[2])
        return [row], shape


@dataclass(frozen=True)
class Hidden(Conv):
    """Affine map of vectors, (N, inputs) -> (N, outputs), batch normalisation, activation.

    A convolution of maps with one position; `stored` should be (inputs, outputs), as of :class:`Dense`.
    """

    size: Pair = (1, 1)
    bias: bool = True
    activation: str | None = "elu"

    span = None

    def plain(self, net: Network, x: NDArray) -> NDArray:
        """The affine map alone, (N, outputs)."""
        return pointwise(x, self.weight(net)[0, 0], net.params[f"{self.name}.bias"], backend=net.backend)

    def inference(self, net):
        layer = super().inference(net)
        return lambda x: layer(x[:, None, None])[:, 0, 0]  # (N, outputs)

    def forward(self, net, x, train):
        if not train:
            return self.inference(net)(x), None
        y, tape = super().forward(net, x[:, None, None], True)
        return y[:, 0, 0], tape  # (N, outputs)

    def backward(self, net, dy, x, tape, grads):
        dx = super().backward(net, dy[:, None, None], x[:, None, None], tape, grads)
        return dx if dx is None else dx[:, 0, 0]  # (N, inputs)

    def rows(self, shape):
        found, shape = super().rows(shape)
        return [found[0]._replace(kind="dense")], shape


@dataclass(frozen=True)
class Attention(Layer):
    """``x + attention(GroupNorm(x))`` over a clip's positions, time and frequency.

    Attributes
    ----------
    name : str
        Parameters are ``name.norm.gamma`` and ``.beta``, and ``.weight`` and ``.bias`` of ``name.query``,
        ``.key``, ``.value`` and ``.out``.
    channels : int
    width : int
        Of queries, keys and values.
    kind : str
        A key of :data:`acdref.ops.attention.ATTENTION`.
    """

    name: str
    channels: int
    width: int
    kind: str = "linear"

    reads_input = True

    @property
    def shapes(self) -> dict[str, Pair]:
        """(in, out) of the four projections."""
        channels, width = self.channels, self.width
        query = 1 if self.kind == "separable" else width
        return {
            "query": (channels, query),
            "key": (channels, width),
            "value": (channels, width),
            "out": (width, channels),
        }

    @property
    def products(self) -> int:
        """Multiply-adds of attention's products for each position."""
        # Keys times values, and queries times their sum.
        return 2 * self.width * self.shapes["query"][1]

    def arrays(self, draw):
        params = {
            f"{self.name}.norm.gamma": draw.constant(1, self.channels),
            f"{self.name}.norm.beta": draw.constant(0, self.channels),
        }
        for part, (inputs, outputs) in self.shapes.items():
            params[f"{self.name}.{part}.weight"] = draw.uniform((inputs, outputs), inputs)
            params[f"{self.name}.{part}.bias"] = draw.uniform(outputs, inputs)
        return params, {}

    def _normalised(self, net, x):
        """GroupNorm of a map as positions, (N, T F, C), and its statistics."""
        y, statistics = group_norm(x, *self._scale(net), backend=net.backend)
        return y.reshape(len(x), -1, self.channels), statistics  # (N, T F, C)

    def inference(self, net):
        if self.kind != "linear" or net.backend != "numpy":
            return super().inference(net)
        return lambda x: attended(x, *self._scale(net), self._projections(net))

    def _scale(self, net):
        return tuple(net.params[f"{self.name}.norm.{key}"] for key in ("gamma", "beta"))

    def _projections(self, net):
        keys = [f"{part}.{key}" for part in self.shapes for key in ("weight", "bias")]
        return {key: net.params[f"{self.name}.{key}"] for key in keys}

    def forward(self, net, x, train):
        y, statistics = self._normalised(net, x)  # (N, T F, C)
        y, tape = ATTENTION[self.kind][0](y, self._projections(net), backend=net.backend)
        y = y.reshape(x.shape)  # (N, T, F, C)
        y += x
        return y, ((statistics, tape) if train else None)

    def backward(self, net, dy, x, tape, grads):
        statistics, inner = tape
        how = {"backend": net.backend, "batch": net.batch}
        y, _ = self._normalised(net, x)  # made again: cheaper than keeping it
        dflat, parts = ATTENTION[self.kind][1](
            dy.reshape(y.shape), y, self._projections(net), inner, **how
        )  # (N, T F, C)
        grads.update({f"{self.name}.{key}": g for key, g in parts.items()})
        name = f"{self.name}.norm"
        dx, grads[f"{name}.gamma"], grads[f"{name}.beta"] = group_norm_backward(
            dflat.reshape(x.shape), x, net.params[f"{name}.gamma"], statistics, **how
        )  # (N, T, F, C), (C,), (C,)
        dx += dy
        return dx

    def rows(self, shape):
        weights = sum(inputs * outputs for inputs, outputs in self.shapes.values())
        biases = sum(outputs for _, outputs in self.shapes.values())
        macs = shape[1] * shape[2] * (weights + self.products)
        kind = f"{self.kind} attention"
        return [Row(self.name, kind, shape, 2 * self.channels + weights + biases, macs)], shape


@dataclass(frozen=True)
class MaxPool(Layer):
    """Max-pooling; without a stride the windows lie side by side."""

    name: str
    window: Pair
    stride: Pair | None = None
    padding: Pair = (0, 0)

    @property
    def span(self):
        return None if self.padding[0] else (self.window[0], (self.stride or self.window)[0])

    @property
    def _geometry(self):
        return self.stride, self.padding

    def forward(self, net, x, train):
        if not train:
            return largest(x, self.window, *self._geometry, backend=net.backend), None
        y, chosen = max_pool(x, self.window, *self._geometry, backend=net.backend)  # (N, T', F', C)
        return y, (chosen, x.shape)

    def backward(self, net, dy, x, tape, grads):
        chosen, shape = tape
        return max_pool_backward(dy, chosen, self.window, shape, *self._geometry, backend=net.backend)

    def rows(self, shape):
        shape = (shape[0], *_sizes(shape, self.window, Geometry(self.stride or self.window, self.padding)))
        return [Row(self.name, f"max-pool {self.window[0]}x{self.window[1]}", shape)], shape


@dataclass(frozen=True)
class Dropout(Layer):
    """Dropout while training, driven by the network's random generator."""

    rate: float

    span = (1, 1)

    def forward(self, net, x, train):
        if not train:
            return x, None
        return activations.dropout(x, self.rate, net.rng, backend=net.backend, batch=net.batch)

    def backward(self, net, dy, x, tape, grads):
        return activations.dropout_backward(dy, tape, self.rate, backend=net.backend)


@dataclass(frozen=True)
class Residual(Layer):
    """``activation(body(x) + shortcut(x))``: the body ends without activation, no shortcut stands for x."""

    body: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()
    activation: str | None = None

    def arrays(self, draw):
        return arrays((*self.body, *self.shortcut), draw)

    def forward(self, net, x, train):
        y, body = forward(self.body, net, x, train)
        around, shortcut = forward(self.shortcut, net, x, train)
        y += around
        y = _activate(self.activation, y, net.backend)
        return y, ((body, shortcut, y) if train else None)

    def backward(self, net, dy, x, tape, grads):
        body, shortcut, y = tape
        dy = _activate_backward(self.activation, dy, y, net.backend)
        dx = backward(self.body, net, dy, body, grads)
        dx += backward(self.shortcut, net, dy, shortcut, grads)
        return dx

    def rows(self, shape):
        around, _ = rows(self.shortcut, shape)
        found, shape = rows(self.body, shape)
        return found + around, shape


@dataclass(frozen=True)
class Mean(Layer):
    """Mean over time (axis 1), frequency (axis 2), or both: (N, T, F, C) without these axes."""

    axes: tuple[int, ...] = (1, 2)

    def forward(self, net, x, train):
        return mean(x, self.axes), (x.shape if train else None)

    def backward(self, net, dy, x, tape, grads):
        return mean_backward(dy, tape, self.axes)  # (N, T, F, C)

    def rows(self, shape):
        kind = {(1,): "mean over time", (2,): "mean over bins", (1, 2): "global mean"}[self.axes]
        shape = tuple(1 if axis in self.axes else size for axis, size in enumerate(shape))
        return [Row("mean", kind, shape)], shape


@dataclass(frozen=True)
class Flatten(Layer):
    """Maps without time as vectors, channel by channel, as ACDnet's paper writes its maps (C, F)."""

    def forward(self, net, x, train):
        y = np.ascontiguousarray(x.swapaxes(1, 2)).reshape(len(x), -1)  # (N, F, C) -> (N, C F)
        return y, (x.shape if train else None)

    def backward(self, net, dy, x, tape, grads):
        n, bins, channels = tape
        return np.ascontiguousarray(dy.reshape(n, channels, bins).swapaxes(1, 2))  # (N, F, C)

    def rows(self, shape):
        return [], (shape[0] * shape[2], 1, 1)


@dataclass(frozen=True)
class Dense(Layer):
    """Affine map of the last axis, (..., inputs) -> (..., outputs)."""

    name: str
    inputs: int
    outputs: int

    reads_input = True

    def arrays(self, draw):
        weight = draw.uniform((self.inputs, self.outputs), self.inputs)
        bias = draw.uniform(self.outputs, self.inputs)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": bias}, {}

    def forward(self, net, x, train):
        weight, bias = net.params[f"{self.name}.weight"], net.params[f"{self.name}.bias"]
        rows = x.reshape(len(x), -1, self.inputs)  # (N, positions, inputs)
        y = pointwise(rows, weight, bias, backend=net.backend)
        return y.reshape(*x.shape[:-1], self.outputs), None  # (..., outputs)

    def backward(self, net, dy, x, tape, grads):
        rows, drows = (a.reshape(len(a), -1, a.shape[-1]) for a in (x, dy))  # (N, positions, C)
        dx, grads[f"{self.name}.weight"], grads[f"{self.name}.bias"] = pointwise_backward(
            drows, rows, net.params[f"{self.name}.weight"], backend=net.backend, batch=net.batch
        )
        return dx.reshape(x.shape)  # (..., inputs)

    def rows(self, shape):
        weights, shape = self.inputs * self.outputs, (self.outputs, *shape[1:])
        macs = weights * shape[1] * shape[2]
        return [Row(self.name, "dense", shape, weights + self.outputs, macs)], shape


@dataclass(frozen=True)
class MeanSigmoid(Layer):
    """Logits of frames to the logit of their mean probability: (N, T, C) -> (N, C)."""

    reads_input = True

    def forward(self, net, x, train):
        return activations.mean_sigmoid_logit(x), None

    def backward(self, net, dy, x, tape, grads):
        return activations.mean_sigmoid_logit_backward(dy, x)

    def rows(self, shape):
        shape = (shape[0], 1, 1)
        return [Row("clip", "mean of sigmoids", shape)], shape


def arrays(layers: Sequence[Layer], draw: Draw) -> tuple[Arrays, Arrays]:
    """Parameters and running statistics of several layers."""
    params: Arrays = {}
    state: Arrays = {}
    for layer in layers:
        more = layer.arrays(draw)
        params |= more[0]
        state |= more[1]
    return params, state


def forward(layers: Sequence[Layer], net: Network, x: NDArray, train: bool) -> tuple[NDArray, list | None]:
    """One layer after the other.

    Returns
    -------
    y : array
        The last output.
    tapes : list or None
        For each layer, its input (where it has to be kept) and its tape; None unless training.
    """
    if not train:
        if (plan := net.compiled("plan")) is not None:
            return plan.run(layers, net, x), None
        for group in _groups(layers):
            # Of a single layer, kernels cut the work themselves, and NumPy pools as fast in one go.
            worth = len(group) > 1 or (net.backend == "numpy" and isinstance(group[0], Conv))
            x = _by_strips(group, net, x) if worth and group[0].span else group[0].inference(net)(x)
        return x, None
    tapes, remade = [], False
    for layer in layers:
        y, tape = layer.forward(net, x, True)
        tapes.append((x if layer.reads_input and not remade else None, tape))
        x, remade = y, layer.remade
    return x, tapes


def backward(
    layers: Sequence[Layer], net: Network, dy: NDArray, tapes: list, grads: Arrays
) -> NDArray | None:
    """From the last layer to the first; `tapes` is emptied, so that memory is freed on the way."""
    dx: Any = dy
    for i in reversed(range(len(layers))):
        x, tape = tapes.pop()
        if x is None and layers[i].reads_input:
            x = layers[i - 1].again(net, tapes[-1][1])
        dx = layers[i].backward(net, dx, x, tape, grads)
    return dx


def rows(layers: Sequence[Layer], shape: Shape) -> tuple[list[Row], Shape]:
    """Rows of the layer table, and the last output's shape."""
    found = []
    for layer in layers:
        more, shape = layer.rows(shape)
        found += more
    return found, shape


def _groups(layers):
    """Layers that some rows can go through together: none but the first of a group sees a row twice."""
    groups = []
    for layer in layers:
        if groups and groups[-1][-1].span and layer.span and layer.span[0] <= layer.span[1]:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def _by_strips(group, net, x):
    """A group's output, some rows at a time, so that what lies between its layers stays in the cache."""
    window, stride = 1, 1  # of the group as a whole
    for layer in group:
        window += (layer.span[0] - 1) * stride
        stride *= layer.span[1]
    count = (x.shape[1] - window) // stride + 1
    step = max(1, _STRIP // (stride * x[:, 0].size))
    steps, whole = [layer.inference(net) for layer in group], None
    for first in range(0, count, step):
        last = min(first + step, count) - 1
        y = np.ascontiguousarray(x[:, stride * first : stride * last + window])
        for layer in steps:
            y = layer(y)
        if whole is None:
            whole = np.empty((len(y), count, *y.shape[2:]), y.dtype)  # (N, T', F', C')
        whole[:, first : last + 1] = y
    return whole


def _activate(activation, x, backend):
    return x if activation in (None, "prelu") else ACTIVATIONS[activation][0](x, backend=backend)


def _activate_backward(activation, dy, y, backend):
    return dy if activation in (None, "prelu") else ACTIVATIONS[activation][1](dy, y, backend=backend)


def _sizes(shape, window, geometry):
    """Frames and bins behind a window; ValueError where it does not fit."""
    sizes = geometry.sizes((1, *shape[1:]), window)
    if min(sizes) < 1:
        raise ValueError(f"a window of {window} does not fit {shape[1]} frames and {shape[2]} bins")
    return sizes
