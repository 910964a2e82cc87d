"""The ONNX model, run by onnxruntime, against the network that it was made of."""

import contextlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from further_support import SMALL as OTHERS
from further_support import each, small
from hypothesis import given, settings
from hypothesis import strategies as st
from predict_support import TINY

import acdref
from acdref import checkpoint
from acdref.errors import AcdrefError
from acdref.features.compressed import features
from acdref.features.front_ends import FRONT_ENDS
from acdref.files import resource
from acdref.nets import ACDNET_2024, ACDNet, ACDNetConfig, Block, layers
from acdref.nets import onnx as export
from acdref.nets.registry import name_of
from acdref.nets.vgg import VGGGap
from acdref.predict.scoring import score_samples

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-5
KINDS = ("linear", "separable")
kinds = pytest.mark.parametrize("kind", KINDS)
forms = pytest.mark.parametrize("form", export.FORMS)
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


def assert_same_outputs(net, *batches):
    """Logits and probabilities of batches, as the network itself has them."""
    model = export.onnx_model(net, names(net))
    name, _ = export.input_of(net)
    for x in batches:
        logits, probabilities = run(model, **{name: x})
        expected, _ = net.forward(x)
        assert_close(logits, expected)
        assert np.abs(probabilities - net.predict_proba(x)).max() <= TOLERANCE


@pytest.fixture(scope="module")
def shipped():
    net, meta = checkpoint.load_weights(resource("weights", "acdnet.npz"), backend="numpy")
    return net, meta["classes"]


@kinds
def test_any_number_of_clips_of_any_length(kind):
    net = network(SMALL, kind)
    rng = np.random.default_rng(2)
    least = net.min_frames
    sizes = ((1, least), (1, least + 1), (5, least + 2), (33, 40), (2, 301))
    assert_same_outputs(net, *(rng.standard_normal((*size, 17, 2), np.float32) for size in sizes))


@each
def test_other_networks(name):
    """Clips of the shortest length and of others; parameters in both precisions."""
    rng = np.random.default_rng(2)
    for dtype in (np.float64, np.float32):
        net = small(name, dtype, "numpy")
        sizes = ((1, net.min_frames), (3, net.min_frames + 1), (2, OTHERS[name][2][0] + 55))
        shape = OTHERS[name][2][1:]
        assert_same_outputs(net, *(rng.standard_normal((*size, *shape), np.float32) for size in sizes))


def test_softmax():
    net = small("vgg-gap", output="softmax")
    x = np.random.default_rng(2).standard_normal((4, 30, 18), np.float32)
    assert_same_outputs(net, x)
    probabilities = run(export.onnx_model(net, names(net)), features=x)[1]
    assert np.abs(probabilities.sum(1) - 1).max() < 1e-6


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2"])
@pytest.mark.parametrize("scale", [10, 300, 5000])
def test_scores_of_frames_may_be_certain(name, scale):
    """Means of sigmoids that are 0 or 1 to float32: their logits are finite, and the network's."""
    net = small(name, backend="numpy")
    net.params["dense.weight"] *= scale
    x = np.random.default_rng(5).standard_normal((3, *OTHERS[name][2]), np.float32)
    assert_same_outputs(net, x)


@each
@pytest.mark.parametrize("value", [0, -100])
def test_silence(name, value):
    net = small(name, backend="numpy")
    assert_same_outputs(net, np.full((2, *OTHERS[name][2]), value, np.float32))


@pytest.mark.parametrize(
    "several",
    [
        (
            layers.Conv("a", 1, 6, (3, 5), (2, 1), (0, 2), bias=True, activation="elu"),
            layers.Conv("b", 6, 6, (3, 2), (1, 2), (2, 0), (2, 1), depthwise=True, activation="prelu"),
            layers.Conv("c", 6, 4, (5, 3), (1, 2), (2, 0), (1, 2), activation="relu6"),
        ),
        (
            layers.Conv("a", 1, 3, (2, 3)),
            layers.MaxPool("pool", (3, 2), (2, 1), (1, 0)),
            layers.MaxPool("pool", (1, 3)),
            layers.Residual(
                (layers.Conv("b", 3, 4, (1, 3), (1, 2), (0, 1), activation=None),),
                (layers.Conv("c", 3, 4, (1, 1), (1, 2), activation=None),),
                "elu",
            ),
        ),
    ],
)
def test_time_and_frequency_are_told_apart(several):
    class Table(VGGGap):
        @staticmethod
        def build(config):
            return (*several, layers.Mean())

    net = Table(replace(VGGGap.default, classes=4, bins=18), 3, np.float64, "numpy")
    rng = np.random.default_rng(3)
    for name, a in net.state.items():
        net.state[name] = rng.uniform(0.5, 2, a.shape)
    assert_same_outputs(net, rng.standard_normal((2, 23, 18), np.float32))


def test_every_kind_of_layer_has_an_exporter():
    direct = set(layers.Layer.__subclasses__())
    assert direct | {kind for one in direct for kind in one.__subclasses__()} == set(export.EXPORTERS)


@kinds
def test_full_network(kind):
    net = network(kind=kind)
    x = np.random.default_rng(3).standard_normal((2, 145, 257, 2), np.float32)
    assert_same_outputs(net, x)


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
    shape = (2, net.min_frames + extra, 19, 2)
    assert_same_outputs(net, np.random.default_rng(seed).standard_normal(shape, np.float32))


RATE, WINDOW = 16_000, 160_000
SECONDS = np.arange(WINDOW) / RATE
SOUNDS = {
    "noise": 0.1 * np.random.default_rng(4).standard_normal(WINDOW),
    "tone and overtone": 0.5 * np.sin(2 * np.pi * 1000 * SECONDS) + 1e-4 * np.sin(2 * np.pi * 3000 * SECONDS),
    "silence": np.zeros(WINDOW),
    "noise of a bit": np.random.default_rng(5).integers(-1, 2, WINDOW) / 32768,
    "chirp, with silence": np.sin(SECONDS**3) * (SECONDS % 1 < 0.4),
}
CLOSE = {
    "stft": dict.fromkeys(SOUNDS, 1e-5),
    "conv": dict.fromkeys(SOUNDS, 2e-5) | {"tone and overtone": 0.02, "chirp, with silence": 0.004},
}
"""Differences of probabilities: pure tones leave most bins to the rounding of float32 (see docs/onnx.md)."""


@pytest.fixture(scope="module")
def waveform_models(shipped):
    """Models of the shipped weights that take waveforms, by form."""
    return {form: export.onnx_model(*shipped, form) for form in export.FORMS}


@forms
@pytest.mark.parametrize("name", SOUNDS)
def test_shipped_weights_from_waveforms(shipped, waveform_models, form, name):
    """A window, less than one, and more than one, with an offset and without."""
    net, _ = shipped
    sound = SOUNDS[name].astype(np.float32)
    for x in (sound, sound[:33_333] + np.float32(0.1), np.resize(sound, 170_001)):
        found = run(waveform_models[form], waveform=x[None])[1][0]
        assert np.abs(found - score_samples(net, x)).max() <= CLOSE[form][name]


@forms
def test_offset_and_repetition_change_nothing(waveform_models, form):
    """Of silence nothing is left, whatever its level."""
    model = waveform_models[form]
    x = SOUNDS["noise"][:20_000].astype(np.float32)
    expected = run(model, waveform=np.resize(x, WINDOW)[None])[0]
    assert np.abs(run(model, waveform=x[None] + np.float32(0.1))[0] - expected).max() < 1e-3
    silence = run(model, waveform=np.zeros((1, WINDOW), np.float32))[0]
    for level in (0.1, -0.01, 1 / 3):
        for samples in (1, 30_001):
            np.testing.assert_array_equal(
                run(model, waveform=np.full((1, samples), level, np.float32))[0], silence
            )


@forms
def test_clips_of_a_batch_keep_to_themselves(waveform_models, form):
    x = np.stack([SOUNDS[name][:50_000] for name in ("noise", "noise of a bit")]).astype(np.float32)
    x[1] += 0.1
    together = run(waveform_models[form], waveform=x)[1]
    for i in range(2):
        assert np.abs(run(waveform_models[form], waveform=x[i : i + 1])[1][0] - together[i]).max() < 1e-5


@forms
def test_no_samples_are_an_error_or_no_number(waveform_models, form):
    """And never a division by zero, which would end the process."""
    found = np.nan
    with contextlib.suppress(Exception):
        found = run(waveform_models[form], waveform=np.zeros((1, 0), np.float32))[1]
    assert not np.isfinite(found).any()


def exported(name, form):
    """A small network, its model, and a sound with an offset and what predict says of it."""
    net = ACDNet(TINY, 1, np.float32, "numpy") if name == "acdnet" else small(name, np.float32, "numpy")
    x = (0.1 + 0.1 * np.random.default_rng(6).standard_normal(12_345)).astype(np.float32)
    return export.onnx_model(net, names(net), form), x, score_samples(net, x)


waveform_networks = pytest.mark.parametrize("name", ["acdnet", "conv1d"])


@forms
@waveform_networks
def test_onnxs_own_reference(form, name):
    """It holds models to the letter of the standard: scalars where that wants scalars."""
    from onnx.reference import ReferenceEvaluator

    model, x, expected = exported(name, form)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    (found,) = ReferenceEvaluator(model).run(["probabilities"], {"waveform": x[None]})
    assert np.abs(found[0] - expected).max() <= TOLERANCE


@waveform_networks
def test_openvino(tmp_path, name):
    """It has no STFT of sounds of any length; a pip install openvino away."""
    openvino = pytest.importorskip("openvino")
    model, x, expected = exported(name, "conv")
    onnx.save(model, tmp_path / "net.onnx")
    found = openvino.Core().compile_model(tmp_path / "net.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert np.abs(found({"waveform": x[None]})["probabilities"][0] - expected).max() <= TOLERANCE


def test_too_short_is_refused_by_the_runtime(shipped):
    net, classes = shipped
    model = export.onnx_model(net, classes)
    x = np.zeros((1, net.min_frames - 1, 257, 2), np.float32)
    with pytest.raises(Exception, match="Conv"):
        run(model, features=x)


def test_metadata(shipped):
    net, classes = shipped
    session = onnxruntime.InferenceSession(export.onnx_model(net, classes).SerializeToString())
    found = session.get_modelmeta().custom_metadata_map
    assert json.loads(found["classes"]) == list(classes)
    assert (found["sample_rate"], found["frame"], found["hop"]) == ("16000", "512", "256")
    assert float(found["exponent"]) == 0.3
    assert (found["network"], found["front_end"], found["output"]) == ("acdnet", "compressed-stft", "sigmoid")
    frames, samples = int(found["min_frames"]), int(found["min_samples"])
    assert frames == net.min_frames
    assert features(np.zeros(samples)).shape[0] == frames == features(np.zeros(samples - 1)).shape[0] + 1
    (tensor,) = session.get_inputs()
    assert (tensor.name, tensor.shape) == ("features", ["clips", "frames", 257, 2])


@pytest.mark.parametrize("form", [False, *export.FORMS])
def test_metadata_say_what_is_done_with_a_recording(form):
    classes = ["Bee, wasp, etc.", '"quoted"', "Gew\u00e4sser"]
    model = export.onnx_model(ACDNet(TINY), classes, form, "CC0-1.0")
    about = onnxruntime.InferenceSession(model.SerializeToString()).get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == classes
    assert (about["schema"], about["acdref_version"], about["licence"]) == (
        "acdref.onnx/1",
        acdref.__version__,
        "CC0-1.0",
    )
    assert (about["window_seconds"], about["window_samples"]) == ("10", "160000")
    assert (about["mean"], about["shorter"]) == ("taken away from each window", "repeated up to a window")
    assert "weighted by duration" in about["longer"]
    assert about["front_end_in_model"] == (form or "no")
    assert about["prepared_by"] == ("model" if form else "caller")
    assert about["min_samples"] == (
        "1" if form else str(FRONT_ENDS["compressed-stft"].fewest(ACDNet(TINY).min_frames))
    )
    expected = (
        "waveform (clips, samples), float32; mono, in [-1, 1]" if form else "features (clips, frames, 257, 2)"
    )
    assert about["input"].startswith(expected) and about["input"].endswith("16000 Hz")
    assert about["outputs"].startswith("logits and probabilities")
    assert export.metadata(ACDNet(TINY), classes)["licence"] == "not stated"


@each
def test_metadata_of_other_networks(name):
    net = small(name)
    session = onnxruntime.InferenceSession(export.onnx_model(net, "abc").SerializeToString())
    found = session.get_modelmeta().custom_metadata_map
    front = FRONT_ENDS[found["front_end"]]
    assert (found["network"], found["front_end"], found["output"]) == (name_of(net), net.front_end, "sigmoid")
    assert (int(found["sample_rate"]), int(found["hop"])) == (front.rate, front.hop)
    assert int(found["min_frames"]) == net.min_frames
    assert front.steps(int(found["min_samples"])) >= net.min_frames
    assert not {"frame", "exponent"} & set(found)
    (tensor,) = session.get_inputs()
    assert (tensor.name, tuple(tensor.shape)) == export.input_of(net)
    assert tensor.name == ("waveform" if name_of(net) == "conv1d" else "features")


def as_kept(a, precision, outputs):
    """A weight as a model keeps it: rounded to float16, or to 255 steps for each output."""
    if precision == "float16":
        return a.astype(np.float16).astype(np.float32)
    axes = tuple(i for i in range(a.ndim) if i != outputs)
    step = np.abs(a).max(axis=axes, keepdims=True).astype(np.float32) / np.float32(127)
    return (np.round(a / step) * step).astype(np.float32)


@pytest.mark.parametrize("precision", ["float16", "int8"])
@pytest.mark.parametrize("name", ["acdnet", *OTHERS])
def test_precisions_round_the_weights_and_nothing_else(name, precision):
    """The model is that of float32 with its weights rounded: they are all that differs."""
    net = network(SMALL, dtype=np.float32) if name == "acdnet" else small(name, np.float32, "numpy")
    plain, kept = export.onnx_model(net, names(net)), export.onnx_model(net, names(net), precision=precision)
    for node in plain.graph.node:
        for i, own in enumerate(node.input):
            if node.op_type in ("Conv", "Gemm", "MatMul") and i == 1 and own.startswith("constant"):
                tensor = next(t for t in plain.graph.initializer if t.name == own)
                a = onnx.numpy_helper.to_array(tensor)
                rounded = as_kept(a, precision, 0 if node.op_type == "Conv" else 1)
                assert (rounded != a).any()
                tensor.CopyFrom(onnx.numpy_helper.from_array(rounded, own))
    tensor_input, shape = export.input_of(net)
    steps = (2, net.min_frames + 3, *shape[2:]) if len(shape) > 2 else (2, net.min_frames + 3)
    x = {tensor_input: np.random.default_rng(1).standard_normal(steps, np.float32)}
    assert_close(run(kept, **x)[0], run(plain, **x)[0])
    assert len(kept.SerializeToString()) < len(plain.SerializeToString()) + 60 * len(kept.graph.node)


def test_precisions_of_the_shipped_network(shipped, tmp_path):
    """Half, and a quarter of the size, but for the nodes; as close as is stated; and said in the metadata."""
    sizes, differences = {}, {}
    for precision in export.TOLERANCES:
        path = tmp_path / precision
        differences[precision] = export.export_onnx(path, *shipped, precision=precision)
        sizes[precision] = path.stat().st_size
        found = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        assert found["precision"] == precision
    assert sizes["float16"] < 0.55 * sizes["float32"] and sizes["int8"] < 0.32 * sizes["float32"]
    assert differences["float32"] < differences["float16"] < 2e-3 and differences["int8"] < 0.03


def test_a_row_of_zeros_and_a_weight_that_is_too_large():
    net = network(SMALL, dtype=np.float32)
    weight = net.params["dense.weight"]
    weight[:, 0] = 0
    logits, _ = run(
        export.onnx_model(net, names(net), precision="int8"), features=np.ones((1, 40, 17, 2), np.float32)
    )
    np.testing.assert_allclose(logits[0, 0], net.params["dense.bias"][0], rtol=1e-6)
    weight[0, 1] = 1e5
    with pytest.raises(AcdrefError, match="too large for float16"):
        export.onnx_model(net, names(net), precision="float16")


def test_there_is_no_other_precision():
    with pytest.raises(AcdrefError, match="float32, float16, int8, not as int4"):
        export.onnx_model(network(SMALL), "abc", precision="int4")


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
    monkeypatch.setitem(export.TOLERANCES, "float32", -1.0)
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


@pytest.mark.parametrize("name", ["vgg-gap", "resnet50", "mobilenetv2"])
def test_front_ends_that_are_in_no_model(name):
    net = small(name)
    with pytest.raises(AcdrefError, match=f"the front end of {name_of(net)} cannot be part of the model"):
        export.onnx_model(net, "abc", front_end=True)


def test_forms_of_a_front_end():
    with pytest.raises(AcdrefError, match="as stft or conv, not as fft"):
        export.onnx_model(ACDNet(TINY), "abc", "fft")
    models = [export.onnx_model(ACDNet(TINY), "abc", form).SerializeToString() for form in (True, "stft")]
    assert models[0] == models[1]


def test_front_end_makes_257_bins():
    with pytest.raises(AcdrefError, match="the front end makes 257 bins, the network takes 17"):
        export.onnx_model(network(SMALL), "abc", front_end=True)
