"""`acdref info` as its user meets it."""

import json

from click.testing import CliRunner
from predict_support import CLASSES, program, write_tiny_weights

from acdref import __version__
from acdref.commands.info import command
from acdref.nets import NETWORKS, ACDNet


def run(*arguments):
    result = CliRunner().invoke(command, list(map(str, arguments)))
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_json():
    facts = json.loads(run("--json"))
    assert facts["schema"] == "acdref.info/1"
    assert (facts["parameters"], facts["macs"]) == (248_539, 1_397_031_968)


def test_text():
    lines = run().splitlines()
    assert lines[0] == f"acdref {__version__}"
    assert any(line.startswith("  backend   num") for line in lines)
    for layer in ACDNet().layer_table(624):
        (line,) = [line for line in lines if line.split()[:1] == [layer.name]]
        *_, channels, frames, bins, parameters, macs = line.split()
        assert (int(channels), int(frames), int(bins)) == layer.shape
        assert int(parameters.replace(",", "")) == layer.parameters
        assert int(macs.replace(",", "")) == layer.macs
    assert any(line.startswith("248,539 parameters, 1.397 G MACs (") for line in lines)
    assert "direct DFT" in " ".join(lines)
    assert max(map(len, lines[lines.index("") :])) <= 100


def test_weights(tmp_path):
    path = write_tiny_weights(tmp_path / "tiny.npz")
    text = run("--weights", path)
    assert path in text and ", ".join(CLASSES) in text and "of a test" in text


def test_bad_weights_are_one_line(tmp_path):
    (tmp_path / "w.npz").write_text("not weights")
    code, out, err = program("info", "--weights", tmp_path / "w.npz")
    assert (code, out) == (1, "")
    assert err.startswith(f"acdref: {tmp_path / 'w.npz'}: not a weights file") and err.count("\n") == 1


def test_help_has_examples_and_exit_codes():
    text = CliRunner().invoke(command, ["--help"]).output
    assert "Examples:" in text and "Exit codes:" in text


def test_networks_by_name():
    (choice,) = [option.type for option in command.params if option.name == "net"]
    assert tuple(choice.choices) == tuple(NETWORKS)
    text = run("--net", "mobilenetv2", "--width", "0.5")
    assert "  network   mobilenetv2, without weights" in text
    assert "stage6.block3.depthwise" in text


def test_a_network_or_weights(tmp_path):
    path = write_tiny_weights(tmp_path / "tiny.npz")
    for arguments, cause in (
        (["--net", "conv1d", "--weights", path], "leave out --net"),
        (["--width", "0.5"], "--width is that of --net"),
    ):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 2
        assert cause in result.stderr
