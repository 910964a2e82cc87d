"""`acdref recipe` as its user meets it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from predict_support import ROOT, program, write_tiny_weights
from train_support import write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    write_tiny_weights(folder / "tiny.npz")
    return folder


def arguments(corpus, out, epochs=1):
    training = f"--epochs {epochs} --epoch-size 4 --batch 2 --seconds 2.2 --workers 0 --lr 1e-3".split()
    files = [corpus / "manifest.csv", "--out", out, "--init", corpus / "tiny.npz"]
    return ["recipe", "self-correct", *map(str, files), "--val-fold", "2", *training, "--threshold-t", "0.45"]


def test_self_correct(corpus, tmp_path):
    code, out, err = program(*arguments(corpus, tmp_path / "r"), "--fp")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["class", "before", "after"]
    assert lines[-3].startswith("teacher: epoch 1 of 1, validation mAP ")
    assert lines[-2].startswith("student: epoch 1 of 1, validation mAP ")
    assert os.path.exists(lines[-1])
    code, out, err = program(*arguments(corpus, tmp_path / "r"), "--fp", "--json")
    found = json.loads(out)
    assert (code, found["schema"], found["recipe"]) == (0, "acdref.recipe/1", "self-correct")
    assert found["weights"] == lines[-1]
    assert found["stages"]["labels"]["schema"] == "acdref.relabel/1"
    assert err.count("finished before") == 5
    code, out, err = program(*arguments(corpus, tmp_path / "r"))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "rules.correct.fp: True, now False" in err


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_interrupted_and_continued_it_ends_the_same(corpus, tmp_path):
    out = tmp_path / "r"
    command = [sys.executable, "-m", "acdref.cli", *arguments(corpus, out, epochs=5)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (out / "2-teacher" / "last.npz").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in errors and "Traceback" not in errors
    weights = []
    for folder in (out, tmp_path / "whole"):
        code, printed, err = program(*arguments(corpus, folder, epochs=5))
        assert code == 0, err
        with open(printed.splitlines()[-1], "rb") as file:
            weights.append(file.read())
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("--fp does not go with --correction percentile-mask", ("--correction", "percentile-mask", "--fp")),
        ("--q does not go with --correction correct", ("--q", "0.1")),
    ],
)
def test_wrong_usage(tmp_path, words, given):
    code, out, err = program("recipe", "self-correct", "m.csv", "--out", tmp_path / "r", *given)
    assert (code, out) == (2, "") and words in err


def test_failures_are_one_line(tmp_path):
    for given in (["self-correct", tmp_path / "none.csv"], ["unlabelled", tmp_path / "none", tmp_path]):
        code, out, err = program("recipe", *given, "--out", tmp_path / "r")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith("acdref: ") and str(tmp_path / "none") in err


def test_unlabelled_recordings_have_no_folds(tmp_path):
    code, _, err = program("recipe", "unlabelled", "b", "r", "--out", tmp_path / "r", "--val-fold", "1")
    assert code == 2 and "--val-fold goes with labelled recordings" in err


def test_unlabelled(corpus, tmp_path):
    pytest.importorskip("onnxruntime")
    training = ["--epochs", "1", "--epoch-size", "4", "--batch", "2", "--seconds", "2.2", "--workers", "0"]
    (tmp_path / "prompts.txt").write_text("noise = noise\ntone = a tone\n")
    # A copy: the teacher writes its prompts beside the graphs.
    bundle = shutil.copytree(ROOT / "fixtures" / "clap_hf", tmp_path / "clap")
    files = ["--out", tmp_path / "r", "--prompts", tmp_path / "prompts.txt", "--init", corpus / "tiny.npz"]
    code, out, err = program("recipe", "unlabelled", bundle, corpus, *files, *training)
    assert code == 0, err
    assert out.splitlines()[-2] == "student: epoch 1 of 1"
    assert os.path.exists(out.splitlines()[-1])
