"""Small forms of the four further networks, with telling parameters, and batches for them."""

import dataclasses

import numpy as np
import pytest

from acdref.nets.conv1d_net import Conv1D, Conv1DConfig, Conv1DLayer
from acdref.nets.mobilenet import InvertedStage, MobileNetConfig, MobileNetV2
from acdref.nets.resnet import BottleneckStage, ResNet50, ResNetConfig
from acdref.nets.vgg import VGGConfig, VGGGap, VGGLayer

WAVES = Conv1DConfig(
    classes=3, layers=(Conv1DLayer(4, 9), Conv1DLayer(6, 5), Conv1DLayer(5, 3, 1)), dense=(7, 6)
)

# Every kind of layer that the full network has, a thousand times cheaper: (network, configuration, features)
SMALL = {
    "vgg-gap": (
        VGGGap,
        VGGConfig(
            classes=3,
            layers=(
                VGGLayer(4, size=5, stride=2, padding=2),
                VGGLayer(5, pool=(2, 2)),
                VGGLayer(6, pool=(2, 1)),
                VGGLayer(7, padding=0),
                VGGLayer(6, size=1, padding=0),
            ),
            bins=18,
            output="sigmoid",
        ),
        (24, 18),
    ),
    "conv1d": (
        Conv1D,
        WAVES,
        (90,),
    ),
    "conv1d-norm-last": (Conv1D, dataclasses.replace(WAVES, norm_last=True), (90,)),
    "resnet50": (
        ResNet50,
        ResNetConfig(
            classes=3,
            stem=5,
            stages=(BottleneckStage(2, 4, 1), BottleneckStage(1, 3), BottleneckStage(2, 5)),
            expansion=2,
            frames=16,
            bins=12,
        ),
        (2, 16, 12),
    ),
    "mobilenetv2": (
        MobileNetV2,
        MobileNetConfig(
            classes=3,
            stem=4,
            stages=(InvertedStage(1, 3, 1, 1), InvertedStage(3, 4, 2, 2), InvertedStage(2, 4, 1, 1)),
            last=9,
            dropout=0.0,
            bins=10,
        ),
        (22, 10),
    ),
}
each = pytest.mark.parametrize("name", SMALL)


def small(name, dtype=np.float64, backend="numpy", seed=7, **fields):
    """A small network whose normalisation and statistics are not the initial ones."""
    kind, config, _ = SMALL[name]
    net = kind(dataclasses.replace(config, **fields), seed, dtype, backend)
    rng = np.random.default_rng(seed + 1)
    values = {
        "gamma": lambda size: rng.uniform(0.5, 1.5, size),
        "beta": lambda size: rng.normal(0, 0.3, size),
        "mean": lambda size: rng.normal(0, 0.3, size),
        "var": lambda size: rng.uniform(0.5, 2, size),
    }
    for arrays in (net.params, net.state):
        for key, a in arrays.items():
            kind_of = key.rsplit(".", 1)[1]
            if kind_of in values:
                arrays[key] = values[kind_of](a.size).astype(dtype)
    return net


def batch(name, n=3, dtype=np.float64, seed=3):
    """Features of n clips and their labels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, *SMALL[name][2])).astype(dtype)
    labels = rng.choice([0, 1, np.nan], (n, 3))
    labels[0, 0] = 1
    return x, labels


def with_dropout(name):
    """Fields of a small network's configuration that make it drop out wherever it can."""
    config = SMALL[name][1]
    if name == "vgg-gap":
        return {"layers": tuple(dataclasses.replace(layer, dropout=0.3) for layer in config.layers)}
    return {"dropout": 0.3} if name == "mobilenetv2" else {}
