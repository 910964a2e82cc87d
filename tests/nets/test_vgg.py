"""VGG with global average pooling: every printed shape and count, dropout, softmax."""

import json
from pathlib import Path

import numpy as np
import pytest
from further_support import batch, small

from acdref.nets.layers import Conv, Dropout
from acdref.nets.vgg import CLIP_FRAMES, TRAINING_FRAMES, VGGConfig, VGGGap, vgg_layers

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden" / "network_counts.json"


@pytest.mark.parametrize(
    ("filters", "trainable", "statistics"), [(64, 14_855_570, 9_554), (48, 8_362_306, 7_186)]
)
def test_counts(filters, trainable, statistics):
    net = VGGGap(VGGConfig(layers=vgg_layers(filters)))
    assert sum(a.size for a in net.params.values()) == trainable
    assert sum(a.size for a in net.state.values()) == statistics
    assert not any(name.endswith(".bias") for name in net.params)


@pytest.mark.parametrize("filters", [64, 48])
@pytest.mark.parametrize("frames", [TRAINING_FRAMES, CLIP_FRAMES])
def test_every_shape_of_the_specification(filters, frames):
    if not GOLDEN.exists():
        pytest.skip("needs golden/network_counts.json of the specification")
    expected = json.loads(GOLDEN.read_text())["dorfer_vgg"][str(filters)]["shapes"][str(frames)]
    net = VGGGap(VGGConfig(layers=vgg_layers(filters)))
    *shapes, mean = [row.shape for row in net.layer_table(frames)]
    assert [[c, f, t] for c, t, f in shapes] == expected
    assert mean == (41, 1, 1)


def test_where_dropout_is():
    """Rates behind the convolutions, as in the published code."""
    rates, conv = {}, None
    for layer in VGGGap(VGGConfig(layers=vgg_layers(4))).layers:
        if isinstance(layer, Conv):
            conv = layer.name
        if isinstance(layer, Dropout):
            rates[conv] = layer.rate
    assert rates == dict.fromkeys([f"conv{n}" for n in (2, 4, 5, 6, 7, 8, 10, 12)], 0.3) | {
        "conv13": 0.5,
        "conv14": 0.5,
    }


def test_any_length_and_softmax():
    net = VGGGap(VGGConfig(layers=vgg_layers(4)), seed=3)
    rng = np.random.default_rng(0)
    for frames in (net.min_frames, TRAINING_FRAMES, 401):
        p = net.predict_proba(rng.standard_normal((2, frames, 128)))
        assert p.shape == (2, 41)
        np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
        assert (p > 0).all()
    assert net.min_frames == 191


def test_the_generator_decides_what_is_dropped():
    net = VGGGap(VGGConfig(layers=vgg_layers(4), classes=3))
    x = np.random.default_rng(0).standard_normal((2, 191, 128))

    def logits(seed):
        net.rng = np.random.default_rng(seed)
        return net.forward(x, train=True)[0]

    np.testing.assert_array_equal(logits(1), logits(1))
    assert (logits(1) != logits(2)).any()


def test_front_end_and_output_are_configuration():
    net = small("vgg-gap", front_end="log-filterbank", output="softmax")
    assert net.front_end == "log-filterbank"
    np.testing.assert_allclose(net.predict_proba(batch("vgg-gap")[0]).sum(1), 1, rtol=1e-12)


def test_width():
    config = VGGConfig().scaled(0.75)
    assert config == VGGConfig(layers=vgg_layers(48))
    assert VGGConfig().scaled(0.01).layers[0].filters == 4
