"""What the tests of the networks share: networks with telling parameters, layer outputs, error measures."""

import dataclasses

import numpy as np
import pytest

from acdref.nets import ACDNET_2024, ACDNet, ACDNetConfig, Block
from acdref.nets.layers import Mean
from acdref.ops.kernel import available

BACKENDS = ["numpy", pytest.param("numba", marks=pytest.mark.skipif(not available(), reason="needs numba"))]
KINDS = ["linear", "separable"]
# Everything that the default table has, a hundred times cheaper.
SMALL = ACDNetConfig(
    classes=3, stem=4, bins=17, blocks=(Block(6, 2, (2, 2)), Block(5, 1, (1, 2), 3), Block(4, 2, (1, 2)))
)

# What the fused road might stumble over: rests of rows, bins and channels, attention first and last, windows
# of one element, taller than wide and large, a frame wider than the map, a single channel of a single bin.
ODD = {
    "attention-first": ACDNetConfig(
        classes=3, stem=16, bins=19,
        blocks=(Block(20, 1, (2, 2), 5), Block(16, 2, (3, 1)), Block(7, 1, (1, 2), 16)),
    ),
    "no-pools": ACDNetConfig(
        classes=2, stem=20, bins=9,
        blocks=(Block(33, 3, (1, 1)), Block(17, 1, (1, 1), 33), Block(4, 2, (2, 3))),
    ),
    "wide-frame": ACDNetConfig(
        classes=2, stem=3, bins=5, blocks=(Block(3, 20, (1, 1)), Block(3, 1, (1, 1), 2))
    ),
    "large-pool": ACDNetConfig(
        classes=2, stem=4, bins=70, blocks=(Block(3, 1, (5, 35), 2), Block(3, 1, (1, 1)))
    ),
    "one-bin": ACDNetConfig(classes=1, stem=1, bins=1, inputs=1, blocks=(Block(1, 1, (2, 1)),)),
}  # fmt: skip


def layer_outputs(net, x, train=False):
    """Every layer's output, under the names of the layer table; statistics move while training.

    The compiled training step makes no layer's output as a whole: then there are the logits alone.
    """
    if train and net._compiled("training"):
        return {"dense": net.forward(x, train=True)[0]}
    outputs, y = {}, net._checked(x)
    for layer in net.layers:
        y, _ = layer.forward(net, y, train)
        name = "mean" if isinstance(layer, Mean) else getattr(layer, "name", None)
        if name is not None:
            outputs[name] = y
    return outputs


def network(kind="linear", dtype=np.float64, backend="numpy", config=ACDNET_2024, seed=7):
    """A network whose normalisation, slopes (of both signs) and statistics are not the initial ones."""
    net = ACDNet(dataclasses.replace(config, attention=kind), seed, dtype, backend)
    rng = np.random.default_rng(seed + 1)
    for arrays in (net.params, net.state):
        for name, a in arrays.items():
            kind_of = name.rsplit(".", 1)[1]
            values = {
                "gamma": lambda size: rng.uniform(0.5, 1.5, size),
                "beta": lambda size: rng.normal(0, 0.3, size),
                "slope": lambda size: rng.uniform(-0.2, 0.6, size),
                "mean": lambda size: rng.normal(0, 0.3, size),
                "var": lambda size: rng.uniform(0.5, 2, size),
            }.get(kind_of)
            if values is not None:
                arrays[name] = values(a.size).astype(dtype)
    return net


def unruly(net, seed=1, zeros=False):
    """`net` with slopes and scales of any sign; with every other scale exactly 0 on request."""
    rng = np.random.default_rng(seed)
    for name, a in net.params.items():
        if name.endswith((".slope", ".gamma")):
            net.params[name] = rng.normal(0, 1, a.shape).astype(a.dtype)
        if zeros and name.endswith(".gamma"):
            net.params[name][::2] = 0
    return net


def batch(config=ACDNET_2024, n=2, frames=None, dtype=np.float64, seed=3):
    """Features (N, T, F, 2) and labels (N, classes) with 0, 1 and NaN."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, frames or config.min_frames, config.bins, config.inputs)).astype(dtype)
    labels = rng.choice([0, 1, np.nan], (n, config.classes))
    labels[0, 0] = 1  # one at least is known
    return x, labels


def relative_error(a, b, scale=None):
    """Largest difference over the largest value of `scale`: by default the reference `b`."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    difference = np.abs(a - b).max()
    assert not np.isnan(difference)
    return difference / np.abs(b if scale is None else scale).max()


def gradient_errors(grads, references):
    """Relative error of each gradient, measured by its layer's largest (weight and bias together).

    Some biases have the gradient 0 but for rounding: a normalisation or a softmax takes every offset away
    again.
    """
    assert set(grads) == set(references)
    largest = {}
    for name, g in references.items():
        layer = name.rsplit(".", 1)[0]
        largest[layer] = max(largest.get(layer, 0), np.abs(g).max())
    return {
        name: relative_error(grads[name], g, largest[name.rsplit(".", 1)[0]])
        for name, g in references.items()
    }
