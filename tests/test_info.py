"""The facts that `acdref info` shows."""

import json

import numpy as np
import pytest
from predict_support import CLASSES, TINY, write_tiny_weights

from acdref import __version__, info
from acdref.errors import AcdrefError, CheckpointError
from acdref.nets import ACDNet
from acdref.ops import kernel


@pytest.fixture
def nothing_shipped(monkeypatch, tmp_path):
    monkeypatch.setattr(info, "weights_file", lambda named=None: named or str(tmp_path / "acdnet.npz"))


def test_default_network_where_no_weights_are_shipped(nothing_shipped):
    facts = info.collect()
    assert facts["weights"] is None
    assert facts["parameters"] == 248_539
    assert facts["macs"] == 1_397_031_968
    assert facts["macs"] == sum(facts["macs_of"].values()) == sum(layer["macs"] for layer in facts["layers"])
    assert facts["macs_convention"] == ACDNet.macs_convention
    assert [layer["name"] for layer in facts["layers"]] == [row.name for row in ACDNet().layer_table(624)]


def test_shipped_weights_are_the_default(monkeypatch, tmp_path):
    path = write_tiny_weights(tmp_path / "acdnet.npz")
    monkeypatch.setattr(info, "weights_file", lambda named=None: named or str(tmp_path / "acdnet.npz"))
    assert info.collect()["weights"]["path"] == path


def test_weights(tmp_path):
    path = write_tiny_weights(tmp_path / "tiny.npz")
    facts = info.collect(path)
    assert facts["weights"]["path"] == path
    assert facts["weights"]["classes"] == list(CLASSES)
    assert facts["weights"]["meta"]["note"] == "of a test"
    assert facts["parameters"] == sum(a.size for a in ACDNet(TINY).params.values())
    assert facts["macs"] == ACDNet(TINY).count_macs(624)["total"]


def test_bad_weights(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        info.collect(tmp_path / "missing.npz")


def test_is_plain_json(nothing_shipped):
    facts = info.collect()
    found = json.loads(json.dumps(facts, allow_nan=False))
    assert found["schema"] == "acdref.info/1"
    assert found["version"] == __version__
    assert found["system"]["numpy"] == np.__version__


def test_backend_with_numba(nothing_shipped, monkeypatch):
    pytest.importorskip("numba")
    found = info.collect()["backend"]
    assert found["name"] == "numba"
    assert found["simd"]["tile"][1] == 16
    assert found["cache"] == str(kernel.cache_directory())
    monkeypatch.setattr(kernel, "is_warm", lambda job: job == "inference-linear")
    assert info.collect()["backend"]["compiled"] is True
    monkeypatch.setattr(kernel, "is_warm", lambda job: False)
    assert info.collect()["backend"]["compiled"] is False


def test_backend_without_numba(nothing_shipped, monkeypatch):
    monkeypatch.setattr(kernel, "available", lambda: False)
    found = info.collect()["backend"]
    assert found["name"] == "numpy" and "not installed" in found["reason"]
    assert found["threads"] == 1
    assert "simd" not in found


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("acdnet", 248_539), ("vgg-gap", 14_855_570), ("conv1d", 1_810_575), ("mobilenetv2", 2_898_383)],
)
def test_any_network_by_name(name, parameters):
    facts = info.collect(net=name)
    assert (facts["network"], facts["weights"], facts["parameters"]) == (name, None, parameters)
    assert facts["macs"] == sum(facts["macs_of"].values()) == sum(layer["macs"] for layer in facts["layers"])
    small = info.collect(net=name, width=0.25)
    assert small["parameters"] < parameters / 3


def test_networks_that_cannot_be(tmp_path):
    with pytest.raises(AcdrefError, match="no network 'vgg'"):
        info.collect(net="vgg")
    with pytest.raises(AcdrefError, match="either weights or a network"):
        info.collect(write_tiny_weights(tmp_path / "tiny.npz"), net="acdnet")
