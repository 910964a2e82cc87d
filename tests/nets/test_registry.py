"""Networks by name: building, configurations through JSON, widths, front ends, layer tables."""

import dataclasses
import json

import numpy as np
import pytest

from acdref.features.front_ends import front_end
from acdref.nets.registry import (
    NETWORKS,
    build,
    config_from,
    default_config,
    head,
    layer_table,
    min_frames,
    name_of,
    with_classes,
)

each = pytest.mark.parametrize("name", NETWORKS)


@each
def test_sound_to_probabilities(name):
    """Ten seconds go through a small network of each kind."""
    net = build(name, classes=3, width=1 / 16, seed=1, backend="numpy")
    front = front_end(net)
    sound = 0.1 * np.random.default_rng(0).standard_normal(10 * front.rate).astype(np.float32)
    x = front.transform(sound)
    assert len(x) == front.steps(len(sound)) >= min_frames(net)
    assert front.seconds(x[None]) == pytest.approx(10, rel=0.05)
    p = net.predict_proba(x[None])
    assert p.shape == (1, 3)
    assert ((p > 0) & (p < 1)).all()


@each
def test_configurations_survive_json(name):
    config = build(name, classes=5, width=0.5).config
    again = config_from(name, json.loads(json.dumps(dataclasses.asdict(config))))
    assert again == config
    assert type(again) is type(config)


@each
def test_names(name):
    net = build(name, classes=2, width=1 / 16)
    assert name_of(net) == name
    assert net.config.classes == 2
    full = sum(row.parameters for row in layer_table(NETWORKS[name](default_config(name), backend="numpy")))
    assert sum(a.size for a in net.params.values()) < full / 8


@each
def test_the_head_is_what_depends_on_the_classes(name):
    few, many = (build(name, classes, width=1 / 16) for classes in (2, 7))
    other = [
        key for key, a in (few.params | few.state).items() if a.shape != (many.params | many.state)[key].shape
    ]
    assert head(few) == other != []


@each
def test_tables_of_ten_seconds(name):
    net = build(name, classes=3, width=1 / 16)
    rows = layer_table(net)
    assert sum(row.parameters for row in rows) == sum(a.size for a in net.params.values())
    assert rows[-1].shape == (3, 1, 1)


def test_fields():
    assert build("vgg-gap", 3, width=1 / 16, output="sigmoid", front_end="log-filterbank").output == "sigmoid"
    with pytest.raises(ValueError, match="conv1d has no output, stem"):
        build("conv1d", 3, stem=3, output="softmax")


@pytest.mark.parametrize("width", [0, -1, np.nan])
def test_widths_are_positive(width):
    with pytest.raises(ValueError, match="the width must be positive"):
        build("acdnet", 3, width)


def test_unknown_networks():
    with pytest.raises(ValueError, match="no network 'vgg': choose one of acdnet, vgg-gap, conv1d, resnet50"):
        build("vgg", 3)
    with pytest.raises(ValueError, match="unknown depth"):
        config_from("conv1d", {"classes": 3, "depth": 9})


@each
def test_other_classes_keep_all_but_the_head(name):
    net = build(name, classes=2, width=1 / 16, seed=1, backend="numpy")
    other = with_classes(net, 7, seed=2)
    assert (name_of(other), other.config.classes) == (name, 7)
    for own, given in ((other.params, net.params), (other.state, net.state)):
        for key, a in own.items():
            if key in head(net):
                assert a.shape != given[key].shape
            else:
                np.testing.assert_array_equal(a, given[key])
