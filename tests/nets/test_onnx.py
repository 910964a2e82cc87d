"""The ONNX model, run by onnxruntime, against the network that it was made of."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref import checkpoint
from acdref.errors import AcdrefError
from acdref.features.compressed import features
from acdref.files import resource
from acdref.nets import ACDNET_2024, ACDNet, ACDNetConfig, Block
from acdref.nets import onnx as export
from acdref.nets.registry import build

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-5
KINDS = ("linear", "separable")
kinds = pytest.mark.parametrize("kind", KINDS)
SMALL = ACDNetConfig(classes=3, stem=4, bins=17, blocks=(Block(6, 2, (2, 2)), Block(5, 1, (1, 2), 3)))


def network(config=ACDNET_2024, kind="linear", seed=1, dtype=np.float64):
    """A network with normalisation, statistics and slopes (of both signs, and above 1) of some training, and
    attention that matters: with fresh weights it gives all positions about the same, and little of it."""
    rng = np.random.default_rng(seed)
    net = ACDNet(replace(config, attention=kind), seed, dtype, "numpy")
    ranges = {
        "gamma": (0.5, 1.5),
        "beta": (-0.5, 0.5),
        "slope": (-0.8, 1.3),
        "mean": (-0.5, 0.5),
        "var": (0.5, 2),
    }
    for arrays in (net.params, net.state):
        for name, a in arrays.items():
            if name.rpartition(".")[2] in ranges:
                arrays[name] = rng.uniform(*ranges[name.rpartition(".")[2]], a.shape).astype(dtype)
    for name, a in net.params.items():
        if name.endswith(("query.weight", "key.weight")):
            a *= 4
        elif name.endswith(("value.weight", "out.weight")) and "attention" in name:
            a *= 10
    return net


def names(net):
    return [f"class {i}" for i in range(net.config.classes)]


def run(model, **inputs):
    """Logits and probabilities of a model (ModelProto)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(["logits", "probabilities"], inputs)


def assert_close(found, expected):
    """Within the tolerance of the largest logit."""
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() <= TOLERANCE * max(1, np.abs(expected).max())


@pytest.fixture(scope="module")
def shipped():
    net, meta = checkpoint.load_weights(resource("weights", "acdnet.npz"), backend="numpy")
    return net, meta["classes"]


@kinds
def test_any_number_of_clips_of_any_length(kind):
    net = network(SMALL, kind)
    model = export.onnx_model(net, names(net))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    rng = np.random.default_rng(2)
    least = net.config.min_frames
    for clips, frames in ((1, least), (1, least + 1), (5, least + 2), (33, 40), (2, 301)):
        x = rng.standard_normal((clips, frames, 17, 2), np.float32)
        logits, probabilities = session.run(["logits", "probabilities"], {"features": x})
        expected, _ = net.forward(x)
        assert_close(logits, expected)
        assert np.abs(probabilities - 1 / (1 + np.exp(-expected))).max() <= TOLERANCE


@kinds
def test_full_network(kind):
    net = network(kind=kind)
    x = np.random.default_rng(3).standard_normal((2, 145, 257, 2), np.float32)
    assert_close(run(export.onnx_model(net, names(net)), features=x)[0], net.forward(x)[0])


@settings(max_examples=15)
@given(
    st.lists(
        st.builds(
            Block,
            st.integers(1, 9),
            st.integers(1, 3),
            st.tuples(st.integers(1, 3), st.integers(1, 2)),
            st.sampled_from([0, 0, 1, 4]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 5),
    st.sampled_from(KINDS),
    st.integers(0, 5),
    st.integers(0, 99),
)
def test_any_table(blocks, stem, kind, extra, seed):
    net = network(ACDNetConfig(classes=2, stem=stem, bins=19, blocks=tuple(blocks)), kind, seed)
    shape = (2, net.config.min_frames + extra, 19, 2)
    x = np.random.default_rng(seed).standard_normal(shape, np.float32)
    assert_close(run(export.onnx_model(net, names(net)), features=x)[0], net.forward(x)[0])


def test_shipped_weights_from_waveforms(shipped):
    """Noise, tones (whose other bins are nearly empty), and silence, of lengths with and without a rest."""
    net, classes = shipped
    model = export.onnx_model(net, classes, front_end=True)
    t = np.arange(50_000) / 16_000
    sounds = np.stack(
        [
            0.1 * np.random.default_rng(4).standard_normal(t.size),
            0.5 * np.sin(2 * np.pi * 1000 * t) + 1e-4 * np.sin(2 * np.pi * 3000 * t),
            np.zeros(t.size),
        ]
    ).astype(np.float32)
    shortest = int(export.metadata(net, classes)["min_samples"])
    for clips, samples in ((3, shortest), (1, shortest + 255), (2, 50_000)):
        audio = sounds[:clips, :samples]
        expected, _ = net.forward(features(audio))
        assert_close(run(model, waveform=audio)[0], expected)


def test_too_short_is_refused_by_the_runtime(shipped):
    net, classes = shipped
    model = export.onnx_model(net, classes)
    x = np.zeros((1, net.config.min_frames - 1, 257, 2), np.float32)
    with pytest.raises(Exception, match="Conv"):
        run(model, features=x)


def test_metadata(shipped):
    net, classes = shipped
    session = onnxruntime.InferenceSession(export.onnx_model(net, classes).SerializeToString())
    found = session.get_modelmeta().custom_metadata_map
    assert json.loads(found["classes"]) == list(classes)
    assert (found["sample_rate"], found["frame"], found["hop"]) == ("16000", "512", "256")
    assert float(found["exponent"]) == 0.3
    frames, samples = int(found["min_frames"]), int(found["min_samples"])
    assert frames == net.config.min_frames
    assert features(np.zeros(samples)).shape[0] == frames == features(np.zeros(samples - 1)).shape[0] + 1
    (tensor,) = session.get_inputs()
    assert (tensor.name, tensor.shape) == ("features", ["clips", "frames", 257, 2])


def test_same_network_same_bytes(tmp_path):
    net = network(SMALL)
    for name in ("a.onnx", "b.onnx"):
        assert export.export_onnx(tmp_path / name, net, names(net)) <= TOLERANCE
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    onnx.checker.check_model(str(tmp_path / "a.onnx"), full_check=True)


def test_the_networks_arrays_stay():
    net = network(SMALL, dtype=np.float32)
    before = {name: a.copy() for name, a in (net.params | net.state).items()}
    export.onnx_model(net, names(net))
    for name, a in (net.params | net.state).items():
        np.testing.assert_array_equal(a, before[name])


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_verification_sees_a_difference(value):
    net = network(SMALL)
    model = export.onnx_model(net, names(net)).SerializeToString()
    assert export.verify(model, net) <= TOLERANCE
    net.params["block2.attention.key.weight"][0] += value * np.array([1, -1, 0])
    with pytest.raises(AcdrefError, match="logits are off by"):
        export.verify(model, net)


def test_what_does_not_agree_is_not_written(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_text("old")
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(AcdrefError, match="off by"):
        export.export_onnx(path, network(SMALL), "abc")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_that_are_no_model():
    with pytest.raises(AcdrefError, match="onnxruntime cannot run the model"):
        export.verify(b"nothing", network(SMALL))


def test_without_onnxruntime(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export.export_onnx(tmp_path / "net.onnx", network(SMALL), "abc") is None
    assert (tmp_path / "net.onnx").exists()


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(AcdrefError, match=r"pip install 'acdref\[onnx\]'"):
        export.export_onnx(tmp_path / "net.onnx", network(SMALL), "abc")
    assert not list(tmp_path.iterdir())


def test_wrong_number_of_classes():
    with pytest.raises(AcdrefError, match="2 class names for a network with 3 outputs"):
        export.onnx_model(network(SMALL), "ab")


def test_other_networks_are_refused():
    with pytest.raises(AcdrefError, match="only ACDnet can be exported"):
        export.onnx_model(build("vgg-gap", classes=2, width=0.1, backend="numpy"), "ab")


def test_front_end_makes_257_bins():
    with pytest.raises(AcdrefError, match="the front end makes 257 bins, the network takes 17"):
        export.onnx_model(network(SMALL), "abc", front_end=True)
