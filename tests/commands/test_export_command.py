"""`acdref export` as its user meets it."""

import numpy as np
import pytest
from click.testing import CliRunner
from predict_support import CLASSES, program, write_tiny_weights

from acdref.checkpoint import save_weights
from acdref.commands.export import command
from acdref.nets.registry import build

pytest.importorskip("onnx")


def test_model_runs(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    weights = write_tiny_weights(tmp_path / "tiny.npz")
    for options, name, shape, form in (
        ((), "features", (2, 130, 257, 2), "no"),
        (("--front-end",), "waveform", (2, 16_000), "stft"),
        (("--front-end-as", "stft"), "waveform", (2, 16_000), "stft"),
        (("--front-end", "--front-end-as", "conv"), "waveform", (2, 16_000), "conv"),
    ):
        path = tmp_path / f"{name}.onnx"
        code, out, err = program("export", "--onnx", path, "--weights", weights, *options)
        assert (code, err) == (0, "")
        assert out.startswith(f"{path}: {name}") and "onnxruntime agrees" in out
        session = onnxruntime.InferenceSession(path)
        (probabilities,) = session.run(["probabilities"], {name: np.zeros(shape, np.float32)})
        assert probabilities.shape == (2, len(CLASSES))
        about = session.get_modelmeta().custom_metadata_map
        assert (about["front_end_in_model"], about["licence"]) == (form, "not stated")


def test_licence_of_the_shipped_weights(tmp_path):
    import onnx

    by_name = ("--weights", "acdnet-small"), "MIT"
    for options, licence in (((), "MIT"), by_name, (("--licence", "CC BY 4.0"), "CC BY 4.0")):
        path = str(tmp_path / "net.onnx")
        assert CliRunner().invoke(command, ["--onnx", path, *options]).exit_code == 0
        assert {one.key: one.value for one in onnx.load(path).metadata_props}["licence"] == licence


def test_forms_of_the_front_end_are_those_of_the_exporter():
    from acdref.nets.onnx import FORMS

    (form,) = (one for one in command.params if one.name == "form")
    assert tuple(form.type.choices) == FORMS


def test_precisions_are_those_of_the_exporter(tmp_path):
    from acdref.nets.onnx import TOLERANCES

    (precision,) = (one for one in command.params if one.name == "precision")
    assert tuple(precision.type.choices) == tuple(TOLERANCES)
    sizes = []
    for name in TOLERANCES:
        path = tmp_path / f"{name}.onnx"
        code, out, err = program("export", "--onnx", path, "--precision", name)
        assert (code, err) == (0, "") and "onnxruntime agrees" in out
        sizes.append(path.stat().st_size)
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("name", ["vgg-gap", "conv1d", "resnet50", "mobilenetv2"])
def test_other_networks(tmp_path, name):
    weights, path = tmp_path / "weights.npz", tmp_path / "net.onnx"
    save_weights(weights, build(name, len(CLASSES), width=0.1), CLASSES)
    code, out, err = program("export", "--onnx", path, "--weights", weights)
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: {'waveforms' if name == 'conv1d' else 'features'} to tags")
    path.unlink()
    code, out, err = program("export", "--onnx", path, "--weights", weights, "--front-end")
    if name == "conv1d":
        assert (code, err) == (0, "")
        return
    assert (code, out) == (1, "")
    assert err.startswith(f"acdref: the front end of {name}") and err.count("\n") == 1
    assert not path.exists()


def test_shipped_weights(tmp_path):
    result = CliRunner().invoke(command, ["--onnx", str(tmp_path / "acdnet.onnx")])
    assert (result.exit_code, result.stderr) == (0, "")
    assert (tmp_path / "acdnet.onnx").stat().st_size < 1.5e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--onnx", "no/such/folder/a.onnx"), "no/such/folder/a.onnx: its folder does not exist"),
        (("--onnx", "."), "."),
        (("--onnx", "a.onnx", "--weights", "missing.npz"), "missing.npz: No such file or directory"),
    ],
)
def test_one_line_about_what_is_wrong(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = program("export", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"acdref: {message}") and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_must_be_named():
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 2 and "--onnx" in result.stderr


def test_help_has_examples_and_exit_codes():
    text = CliRunner().invoke(command, ["--help"]).output
    assert "Examples:" in text and "Exit codes:" in text
