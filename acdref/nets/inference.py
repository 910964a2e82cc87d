"""The fast road to probabilities: batch normalisation folded into the convolutions, nothing kept."""

import numpy as np

from acdref.ops.activation import prelu, sigmoid
from acdref.ops.conv import conv, depthwise
from acdref.ops.elementwise import add
from acdref.ops.norm import batch_norm_affine
from acdref.ops.pointwise import pointwise
from acdref.ops.pooling import max_pool, mean_time


def predict_proba(net, x):
    """Probabilities (N, classes) of features (N, T, F, 2) that :class:`~acdref.nets.ACDNet` has checked.

    Clips go through one at a time, so that memory does not grow with the batch.
    """
    if net.backend == "numba" and net.config.attention == "linear":
        from acdref.nets import fused

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


def _probabilities(net, folded, x):
    backend, params = net.backend, net.params
    x = prelu(
        conv(x, *folded["stem.conv"], backend=backend), params["stem.conv_prelu.slope"], backend=backend
    )
    for number, block in enumerate(net.config.blocks, 1):
        name = f"block{number}"
        x = depthwise(x, *folded[f"{name}.depthwise"], block.dilation, backend=backend)
        x = prelu(x, params[f"{name}.depthwise_prelu.slope"], backend=backend)
        x = pointwise(x, *folded[f"{name}.pointwise"], backend=backend)
        x = prelu(x, params[f"{name}.pointwise_prelu.slope"], backend=backend)
        if block.attention:
            add(x, net._attention(x, f"{name}.attention")[0], backend=backend)
        x, _ = max_pool(x, block.pool, backend=backend)
    x = mean_time(x, backend=backend).swapaxes(1, 2)
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    return sigmoid(
        pointwise(flat, params["dense.weight"], params["dense.bias"], backend=backend), backend=backend
    )
