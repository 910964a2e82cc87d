"""Every row of the table of what goes wrong with model files."""

import os

import numpy as np
import pytest
from clap_support import graph

from acdref.clap.graphs import Graph
from acdref.errors import TeacherError
from acdref.files import resource

pytest.importorskip("onnxruntime")

MODEL = resource("fixtures", "clap_hf") / "onnx" / "text_model.onnx"
FLOAT = {"x": (1, ["b", 3])}  # onnx element type, shape


def refused(path):
    """Why a file is refused; the error is one line and names it."""
    with pytest.raises(TeacherError) as caught:
        Graph(path)
    assert str(caught.value) == f"{path}: {caught.value.cause}"
    assert "\n" not in caught.value.cause
    return caught.value.cause


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "an empty file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a Git LFS pointer, not the model",
        ),
        (b"\n<!DOCTYPE html><html></html>", "a web page, not the model"),
        (b"<html>", "a web page"),
        (b'{"error": "not found"}', "JSON text"),
        (b"PK\x03\x04", "a zip archive"),
        (os.urandom(1000), "no ONNX model, or cut short"),
        (b"some words", "no ONNX model, or cut short"),
    ],
)
def test_what_is_no_model(tmp_path, content, cause):
    (tmp_path / "audio_model.onnx").write_bytes(content)
    assert cause in refused(tmp_path / "audio_model.onnx")


def test_a_cut_model(tmp_path):
    data = MODEL.read_bytes()
    for n in (100, len(data) // 2, len(data) - 10):
        (tmp_path / "m.onnx").write_bytes(data[:n])
        assert refused(tmp_path / "m.onnx")


def test_no_file_and_a_directory(tmp_path):
    assert refused(tmp_path / "none.onnx") == "no such file or directory"
    assert refused(tmp_path) == "a directory, not an ONNX model"


def test_too_new_an_opset(tmp_path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(MODEL)
    model.opset_import[0].version = 999
    onnx.save(model, tmp_path / "m.onnx")
    assert "made with a newer ONNX than onnxruntime" in refused(tmp_path / "m.onnx")
    model.opset_import[0].version = 17
    model.ir_version = 999
    onnx.save(model, tmp_path / "m.onnx")
    assert "made with a newer ONNX than onnxruntime" in refused(tmp_path / "m.onnx")


def test_missing_external_data(tmp_path):
    onnx = pytest.importorskip("onnx")
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save(onnx.load(MODEL), tmp_path / "m.onnx", **options)
    (tmp_path / "weights.bin").unlink()
    cause = refused(tmp_path / "m.onnx")
    assert "external data file is missing" in cause
    assert "weights.bin" in cause


def test_unknown_operator(tmp_path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(MODEL)
    model.graph.node[0].op_type = "Frobnicate"
    onnx.save(model, tmp_path / "m.onnx")
    cause = refused(tmp_path / "m.onnx")
    assert "has an operator that onnxruntime" in cause
    assert "Frobnicate" in cause


def test_inputs_outputs_and_run(tmp_path):
    pytest.importorskip("onnx")
    graph(tmp_path / "m.onnx", FLOAT)
    found = Graph(tmp_path / "m.onnx")
    assert found.inputs == {"x": ("tensor(float)", (None, 3))}
    assert found.outputs == ("audio_embeds",)
    (y,) = found.run(["audio_embeds"], {"x": np.ones((2, 3)), "not declared": np.zeros(1)})  # float64: cast
    expected = np.sin(3) * np.arange(1, 5) + np.sin(1) * np.arange(4, 0, -1)
    np.testing.assert_allclose(y, [expected] * 2, rtol=1e-6)


def test_half_precision_and_int32_are_cast(tmp_path):
    pytest.importorskip("onnx")
    for kind in (10, 6):
        graph(tmp_path / "m.onnx", {"x": (kind, ["b", 3])})
        (y,) = Graph(tmp_path / "m.onnx").run(["audio_embeds"], {"x": np.ones((1, 3), np.int64)})
        np.testing.assert_allclose(y[0, 0], np.sin(3) + 4 * np.sin(1), rtol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "declared"),
    [
        ({"y": (1, ["b", 3])}, r"y tensor\(float\) \(\?, 3\)"),
        ({"x": (8, ["b", 3])}, r"x tensor\(string\) \(\?, 3\)"),
        ({"x": (1, ["b", 4])}, r"x tensor\(float\) \(\?, 4\)"),
        ({"x": (1, ["b", 1, 3])}, r"x tensor\(float\) \(\?, 1, 3\)"),
        ({"x": (1, ["b", 3]), "more": (1, ["b"])}, r"more tensor\(float\)"),
    ],
    ids=["name", "dtype", "size", "rank", "one more"],
)
def test_other_inputs_are_named(tmp_path, inputs, declared):
    pytest.importorskip("onnx")
    if inputs.get("x", (1,))[0] == 8:  # nothing is computed of text
        from onnx import TensorProto, helper, save

        node = helper.make_node("Identity", ["x"], ["y"])
        values = [helper.make_tensor_value_info(name, TensorProto.STRING, ["b", 3]) for name in "xy"]
        model = helper.make_graph([node], "g", values[:1], values[1:])
        opset = [helper.make_opsetid("", 17)]
        save(helper.make_model(model, opset_imports=opset, ir_version=9), tmp_path / "m.onnx")
    else:
        graph(tmp_path / "m.onnx", inputs)
    with pytest.raises(
        TeacherError, match=f"declares the inputs .*{declared}.*, but acdref feeds x"
    ) as caught:
        Graph(tmp_path / "m.onnx").check({"x": ((None, 3), True)})
    assert caught.value.path == str(tmp_path / "m.onnx")


def test_inputs_that_fit(tmp_path):
    pytest.importorskip("onnx")
    graph(tmp_path / "m.onnx", FLOAT)
    Graph(tmp_path / "m.onnx").check({"x": ((None, 3), True), "mask": ((None, None), False)})


def test_outputs_by_name_or_alone(tmp_path):
    pytest.importorskip("onnx")
    graph(tmp_path / "one.onnx", FLOAT, outputs=("y",))
    assert Graph(tmp_path / "one.onnx").output("audio_embeds") == "y"
    graph(tmp_path / "two.onnx", FLOAT, outputs=("y", "audio_embeds"))
    assert Graph(tmp_path / "two.onnx").output("audio_embeds") == "audio_embeds"
    with pytest.raises(TeacherError, match=r"has no output text_embeds \(its outputs: y, audio_embeds\)"):
        Graph(tmp_path / "two.onnx").output("text_embeds")


def test_a_run_that_fails_or_is_not_finite(tmp_path):
    pytest.importorskip("onnx")
    graph(tmp_path / "m.onnx", FLOAT)
    with pytest.raises(TeacherError, match=r"does not run: .*index: 1 Got: 4 Expected: 3"):
        Graph(tmp_path / "m.onnx").run(["audio_embeds"], {"x": np.ones((1, 4))})
    with pytest.raises(TeacherError, match="gives audio_embeds with values that are not finite"):
        Graph(tmp_path / "m.onnx").run(["audio_embeds"], {"x": np.array([[1, np.nan, 1]])})


def test_embeddings_of_another_number_than_was_fed(tmp_path):
    onnx = pytest.importorskip("onnx")
    graph(tmp_path / "m.onnx", FLOAT)
    assert Graph(tmp_path / "m.onnx").embeds("audio_embeds", {"x": np.ones((2, 3))}).shape == (2, 4)
    model = onnx.load(tmp_path / "m.onnx")
    last = model.graph.node[-1]
    last.op_type, last.input[:] = "ReduceSum", ["_y", "_zeroth"]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.int64), "_zeroth"))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(TeacherError, match=r"gives audio_embeds of shape \(1, 4\), not \(2, D\)"):
        Graph(tmp_path / "m.onnx").embeds("audio_embeds", {"x": np.ones((2, 3))})
