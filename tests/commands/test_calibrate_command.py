"""`acdref calibrate` as its user meets it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from predict_support import CLASSES, noise, program, write, write_tiny_weights

from acdref.checkpoint import load_weights, save_weights
from acdref.commands.calibrate import command
from acdref.nets import registry


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Fourteen recordings in two folds, half of them with hum; two with a dog."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = ["path,classes,fold"]
    for i in range(14):
        write(folder / f"{i}.wav", noise(0.3, 0.01 * (i + 1), seed=i))
        rows.append(f"{i}.wav,{'hum' if i % 2 else 'dog' if i < 3 else ''},{1 + (i > 11)}")
    (folder / "m.csv").write_text("\n".join(rows) + "\n")
    write_tiny_weights(folder / "tiny.npz")
    return folder


@pytest.fixture
def run(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("acdref.commands._network.one_blas_thread", lambda: None)

    def run(*arguments, out="out.npz", weights="tiny.npz"):
        given = [corpus / "m.csv", "--weights", corpus / weights, "--out", tmp_path / out, *arguments]
        return CliRunner().invoke(command, list(map(str, given)))

    return run


def test_weights_with_thresholds(run, tmp_path, corpus):
    result = run("--fold", "1", "--window", "5")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["class", "positives", "threshold", "scale", "shift"]
    assert lines[1].split()[:2] == ["hum", "6"] and lines[2].split() == [
        "dog",
        "2",
        "0.500",
        "1.000",
        "0.000",
    ]
    assert lines[4].startswith("calibration error: ") and lines[5].startswith("mean F1: ")
    assert lines[6] == f"{tmp_path / 'out.npz'}: fitted to 12 recordings"
    told = "acdref: stay as they are, since fewer than 5 recordings have them, or have them not: dog, rain\n"
    assert result.stderr == told
    _, meta = load_weights(tmp_path / "out.npz")
    assert f"{meta['thresholds'][0]:.3f}" == lines[1].split()[2]
    assert meta["thresholds"][1:] == [0.5, 0.5]


def test_json(run, tmp_path, corpus):
    found = json.loads(run("--json").stdout)
    assert found["schema"] == "acdref.calibrate/1"
    assert found["positives"] == {"hum": 7, "dog": 2, "rain": 0} and found["recordings"] == 14
    assert found["fitted"] == {"hum": True, "dog": False, "rain": False}
    assert set(found["before"]) == set(found["after"]) == {"error", "f1"}
    assert (found["weights"], found["out"]) == (str(corpus / "tiny.npz"), str(tmp_path / "out.npz"))
    _, meta = load_weights(tmp_path / "out.npz")
    assert list(found["thresholds"].values()) == meta["thresholds"]


def test_what_was_calibrated_counts_in_evaluate(run, tmp_path, corpus):
    found = json.loads(run("--json").stdout)
    code, out, _ = program("evaluate", corpus / "m.csv", "--weights", tmp_path / "out.npz", "--json")
    measured = json.loads(out)
    assert code == 0 and measured["thresholds"] == found["thresholds"]
    assert measured["means"]["f1"] == pytest.approx(found["after"]["f1"])


def test_networks_of_another_end_get_thresholds_alone(run, corpus, tmp_path):
    save_weights(corpus / "other.npz", registry.build("mobilenetv2", 3, 0.25, backend="numpy"), CLASSES)
    result = run("--json", weights="other.npz")
    assert "acdref: thresholds only: this network's last layer is no dense one" in result.stderr
    assert set(json.loads(result.stdout)["scale"].values()) == {1.0}
    (old, _), (new, _) = (load_weights(path) for path in (corpus / "other.npz", tmp_path / "out.npz"))
    assert all(np.array_equal(new.params[name], a) for name, a in old.params.items())


def test_refusals_and_partial_success(corpus, tmp_path):
    weights = ("--weights", corpus / "tiny.npz")
    code, out, err = program("calibrate", corpus / "m.csv", *weights, "--out", corpus / "tiny.npz")
    assert (code, out) == (1, "") and "is an input, and would be replaced" in err
    code, _, err = program("calibrate", corpus / "m.csv", *weights, "--out", tmp_path / "out.csv")
    assert code == 2 and "its ending names no format" in err
    (corpus / "bad.csv").write_text((corpus / "m.csv").read_text() + "none.wav,hum,1\n")
    code, out, err = program("calibrate", corpus / "bad.csv", *weights, "--out", tmp_path / "out.npz")
    assert code == 3 and "fitted to 14 recordings" in out and "left out: " in err
    (corpus / "none.csv").write_text("path,classes\nnone.wav,hum\n")
    code, out, err = program("calibrate", corpus / "none.csv", *weights, "--out", tmp_path / "no.npz")
    assert (code, out) == (1, "") and "none of its 1 recordings" in err
    assert not (tmp_path / "no.npz").exists()


def test_help_warns_of_recordings_trained_on():
    text = CliRunner().invoke(command, ["--help"]).output
    assert "MUST NOT HAVE BEEN TRAINED ON" in text and "Exit codes:" in text
