"""The fast road to probabilities: batch normalisation folded into the convolutions, nothing kept."""

import functools

import numpy as np

from acdref.ops.activation import prelu, sigmoid
from acdref.ops.conv import conv, depthwise
from acdref.ops.elementwise import add
from acdref.ops.norm import batch_norm_affine
from acdref.ops.pointwise import pointwise
from acdref.ops.pooling import largest, mean_time

_STRIP = 2**17
"""Numbers of a map that pass through the layers together."""


def predict_proba(net, x):
    """Probabilities (N, classes) of features (N, T, F, 2) that :class:`~acdref.nets.ACDNet` has checked.

    Clips go through one at a time, so that memory does not grow with the batch.
    """
    if net.backend == "numba" and net.config.attention == "linear":
        from acdref.fast import inference as fused

        return fused.predict_proba(net, x)
    folded = fold(net)
    return np.concatenate([_probabilities(net, folded, clip[None]) for clip in x])


def fold(net):
    """Weights and biases of all convolutions with batch normalisation folded in, as a dict by layer name."""
    folded = {}
    for name in net.state:
        if name.endswith("_norm.mean"):
            layer = name.removesuffix("_norm.mean")
            scale, shift = batch_norm_affine(
                net.params[f"{layer}_norm.gamma"],
                net.params[f"{layer}_norm.beta"],
                net.state[f"{layer}_norm.mean"],
                net.state[f"{layer}_norm.var"],
            )
            # The output channel is the last axis of every weight.
            folded[layer] = net.params[f"{layer}.weight"] * scale, net.params[f"{layer}.bias"] * scale + shift
    return folded


def _stem(net, folded, x):
    x = conv(x, *folded["stem.conv"], backend=net.backend)
    return prelu(x, net.params["stem.conv_prelu.slope"], backend=net.backend)


def _convolutions(net, folded, name, block, x):
    params, backend = net.params, net.backend
    x = depthwise(x, *folded[f"{name}.depthwise"], block.dilation, backend=backend)
    x = prelu(x, params[f"{name}.depthwise_prelu.slope"], backend=backend)
    x = pointwise(x, *folded[f"{name}.pointwise"], backend=backend)
    return prelu(x, params[f"{name}.pointwise_prelu.slope"], backend=backend)


def _pooled(net, folded, name, block, x):
    return largest(_convolutions(net, folded, name, block, x), block.pool, backend=net.backend)


def _by_strips(layers, x, reach, pool=1):
    """``layers(x)``, some rows at a time, so that what lies between the layers stays in the cache.

    Each row of the result needs `pool` rows of x, and `reach` more behind the last of them.
    """
    rows = (x.shape[1] - reach) // pool
    step = max(1, _STRIP // (pool * x[0, 0].size))
    strips = [layers(x[:, pool * a : pool * min(a + step, rows) + reach]) for a in range(0, rows, step)]
    return np.concatenate(strips, axis=1)


def _probabilities(net, folded, x):
    backend, params = net.backend, net.params
    x = _by_strips(functools.partial(_stem, net, folded), x, 2)
    for number, block in enumerate(net.config.blocks, 1):
        name, reach = f"block{number}", 2 * block.dilation
        if block.attention:
            x = _by_strips(functools.partial(_convolutions, net, folded, name, block), x, reach)
            add(x, net._attention(x, f"{name}.attention")[0], backend=backend)
            x = largest(x, block.pool, backend=backend)
        else:
            x = _by_strips(functools.partial(_pooled, net, folded, name, block), x, reach, block.pool[0])
    x = mean_time(x, backend=backend).swapaxes(1, 2)
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    return sigmoid(
        pointwise(flat, params["dense.weight"], params["dense.bias"], backend=backend), backend=backend
    )
