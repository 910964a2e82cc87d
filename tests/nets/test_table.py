"""The layer table: every row of the specification, and agreement with the network that is built from it."""

import dataclasses

import numpy as np
import pytest

from acdref.nets import ACDNET_2024, ACDNet, ACDNetConfig, Block
from acdref.nets.table import MACS_CONVENTION, count_macs, layer_table

# The specification's table for 10 s: last layer of the row, its output (C, T, F), the row's parameters.
SPECIFIED = {
    "features": ("features", (2, 624, 257), 0),
    "stem": ("stem.conv", (16, 622, 257), 352),
    "block1": ("block1.pool", (32, 309, 128), 848),
    "block2": ("block2.pool", (64, 153, 64), 11_200),
    "block3": ("block3.pool", (128, 74, 32), 9_536),
    "block4": ("block4.pool", (256, 72, 16), 167_680),
    "block5": ("block5.pool", (128, 68, 8), 36_608),
    "block6": ("block6.pool", (64, 66, 4), 18_592),
    "block7": ("block7.pool", (32, 62, 2), 3_008),
    "dense": ("dense", (11, 1, 1), 715),
}
SMALL = ACDNetConfig(
    classes=3, stem=4, bins=20, blocks=(Block(6, 2, (2, 2)), Block(5, 1, (1, 2), 3), Block(4, 1, (2, 3), 2))
)


@pytest.mark.parametrize("row", SPECIFIED)
def test_row_of_the_specification(row):
    last, shape, parameters = SPECIFIED[row]
    layers = [layer for layer in layer_table() if layer.name.split(".")[0] == row]
    assert layers[-1].name == last
    assert layers[-1].shape == shape
    assert sum(layer.parameters for layer in layers) == parameters


def test_parameters_of_the_paper():
    assert sum(layer.parameters for layer in layer_table()) == 248_539


def test_macs_of_the_specification():
    macs = count_macs()
    assert round(macs["convolutions"] / 1e9, 3) == 1.076
    assert round(macs["attention"] / 1e9, 3) == 0.157
    assert round(macs["stft"] / 1e9, 3) == 0.164
    assert macs["stft"] == 514 * 512 * 624
    assert round(macs["total"] / 1e9, 3) == 1.397
    assert macs["total"] == macs["convolutions"] + macs["attention"] + macs["stft"]
    assert macs["total"] == sum(layer.macs for layer in layer_table())
    assert "direct DFT" in MACS_CONVENTION


@pytest.mark.parametrize("attention", ["linear", "separable"])
@pytest.mark.parametrize("config", [ACDNET_2024, SMALL], ids=["default", "small"])
def test_parameters_are_those_of_the_network(config, attention):
    config = dataclasses.replace(config, attention=attention)
    counted = dict.fromkeys((layer.name for layer in layer_table(config)), 0)
    for name, a in ACDNet(config).params.items():
        # "block2.attention.query.weight" and "block1.depthwise_norm.gamma" belong to their layer's row.
        layer = max((row for row in counted if name.startswith(row)), key=len)
        counted[layer] += a.size
    assert counted == {layer.name: layer.parameters for layer in layer_table(config)}


@pytest.mark.parametrize("attention", ["linear", "separable"])
def test_macs_counted_one_by_one(attention):
    """From the arrays of a network: a product for each weight and each position that it serves."""
    config = dataclasses.replace(SMALL, attention=attention)
    rows = {layer.name: layer for layer in layer_table(config, frames=30)}
    macs = dict.fromkeys(rows, 0)
    macs["features"] = 30 * 2 * 20 * 38  # frames, (cosine, sine), bins, samples of a window
    for name, a in ACDNet(config).params.items():
        if name.endswith(".weight"):
            layer = max((row for row in rows if name.startswith(row)), key=len)
            macs[layer] += a.size * np.prod(rows[layer].shape[1:])
    for number, block in enumerate(config.blocks, 1):
        if block.attention:
            positions = np.prod(rows[f"block{number}.attention"].shape[1:])
            rank = 1 if attention == "separable" else block.attention
            macs[f"block{number}.attention"] += 2 * positions * block.attention * rank
    assert macs == {name: layer.macs for name, layer in rows.items()}


def test_shortest_input():
    frames = ACDNET_2024.min_frames
    assert layer_table(frames=frames)[-3].shape == (32, 1, 2)
    with pytest.raises(ValueError, match=f"{frames - 1} frames are too few: the network needs {frames}"):
        layer_table(frames=frames - 1)
    with pytest.raises(ValueError, match="too few"):
        count_macs(frames=frames - 1)
