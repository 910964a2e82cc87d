"""`acdref teach` as its user meets it, and the chain teach, relabel, train."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clap_support import bare, bundle
from predict_support import program

from acdref.clap.scores import TeacherScores

pytest.importorskip("onnxruntime")

CORPUS = Path(__file__).parents[2] / "../shared/data/corpus"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teach")
    bundle(folder)
    rng = np.random.default_rng(20241121)
    (folder / "rec").mkdir()
    for i in range(4):
        soundfile.write(folder / "rec" / f"{i}.wav", rng.uniform(-0.5, 0.5, 4000 * (i + 1)), 8000)
    (folder / "p.txt").write_text("dog = a dog\nrain = rain\nrain = a shower\n")
    (folder / "m.csv").write_text("path,classes,fold\n" + "".join(f"{i}.wav,,{i}\n" for i in range(4)))
    return folder


def teach(files, *arguments, source=None):
    return program("teach", files / "hf", source or files / "rec", *arguments)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_scores_and_labels_of_a_folder(files, tmp_path):
    out, labels = tmp_path / "s.npz", tmp_path / "l.csv"
    code, printed, err = teach(files, "--out", out, "--labels", labels)
    assert (code, err) == (0, "")
    assert printed.splitlines()[0] == f"{out}: cosines of 4 of 4 recordings with 11 classes"
    assert printed.splitlines()[1].startswith(f"{labels}: ")
    assert [row["path"] for row in rows(labels)] == [f"{i}.wav" for i in range(4)]
    scores = TeacherScores.load(out)
    values = scores.values()
    for row, value in zip(rows(labels), values, strict=True):
        above = [name for name, v in zip(scores.classes, value, strict=True) if v > 0.2]
        assert row["classes"] == ";".join(above)


def test_relabel_makes_the_same_labels_from_the_scores(files, tmp_path):
    rule = ("--rule", "z", "--threshold", "0.1", "--class-threshold", "rain=-0.2")
    labels, again, out = tmp_path / "l.csv", tmp_path / "r.csv", tmp_path / "s.npz"
    arguments = (
        "--root",
        files / "rec",
        "--prompts",
        files / "p.txt",
        "--out",
        out,
        "--labels",
        labels,
        *rule,
    )
    assert teach(files, *arguments, source=files / "m.csv")[0] == 0
    code, _, err = program("relabel", files / "m.csv", "--scores", out, "--zero-shot", *rule, "--out", again)
    assert (code, err) == (0, "")
    for a, b in zip(rows(labels), rows(again), strict=True):
        assert (a["path"], a["fold"]) == (b["path"], b["fold"])
        assert set(a["classes"].split(";")) == set(b["classes"].split(";"))
    assert any(row["classes"] for row in rows(labels))
    assert not all(row["classes"] for row in rows(labels))


def test_relabel_corrects_with_the_softmax(files, tmp_path):
    words = ("--prompts", files / "p.txt", "--root", files / "rec", "--out", tmp_path / "s.npz")
    assert teach(files, *words, source=files / "m.csv")[0] == 0
    scores = TeacherScores.load(tmp_path / "s.npz")
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,classes\n" + "".join(f"{i}.wav,dog\n" for i in range(4)))
    options = (
        "--scores",
        tmp_path / "s.npz",
        "--correct",
        "--fp",
        "--threshold-t",
        "0.5",
        "--classes",
        "dog,rain",
    )
    assert program("relabel", manifest, *options, "--out", tmp_path / "o.csv")[0] == 0
    for row, (dog, rain) in zip(rows(tmp_path / "o.csv"), scores.values(), strict=True):
        assert row["classes"] == ";".join(n for n, v in (("dog", dog), ("rain", rain)) if v > 0.5)


def test_a_broken_recording_is_left_out_of_the_labels(files, tmp_path):
    (tmp_path / "rec").mkdir()
    (tmp_path / "rec" / "bad.wav").write_bytes(b"")
    soundfile.write(tmp_path / "rec" / "good.wav", np.tile([0.1, -0.1], 2000), 8000)
    labels = tmp_path / "l.csv"
    code, _, err = teach(files, "--out", tmp_path / "s.npz", "--labels", labels, source=tmp_path / "rec")
    assert code == 3
    assert err == f"acdref: {tmp_path}/rec/bad.wav: an empty file\n"
    assert [row["path"] for row in rows(labels)] == ["good.wav"]
    (tmp_path / "rec" / "good.wav").unlink()
    assert teach(files, "--out", tmp_path / "s.npz", source=tmp_path / "rec")[0] == 1


def test_single_files_and_stdin(files, tmp_path):
    first, second = str(files / "rec" / "0.wav"), str(files / "rec" / "1.wav")
    out = tmp_path / "s.npz"
    assert program("teach", files / "hf", first, second, "--out", out)[0] == 0
    assert TeacherScores.load(out).paths == (first, second)
    code, _, err = program("teach", files / "hf", first, first, "--out", out)
    assert (code, err) == (1, f"acdref: {first} is given twice\n")


def test_shards_are_joined(files, tmp_path):
    parts = [tmp_path / "1.npz", tmp_path / "2.npz"]
    for i, part in enumerate(parts, 1):
        assert teach(files, "--shard", f"{i}/2", "--out", part)[0] == 0
    joined, whole = tmp_path / "j.npz", tmp_path / "w.npz"
    assert teach(files, "--out", joined, "--reuse", parts[0], "--reuse", parts[1])[0] == 0
    assert teach(files, "--out", whole, "--workers", "3")[0] == 0
    np.testing.assert_array_equal(TeacherScores.load(joined).cosines, TeacherScores.load(whole).cosines)


def test_a_public_export_without_a_scale(files, tmp_path):
    path = bare(tmp_path)
    (path / "onnx" / "model.onnx").unlink()
    out = tmp_path / "s.npz"
    code, _, err = program("teach", path, files / "rec", "--out", out, "--labels", tmp_path / "l.csv")
    assert code == 1
    assert "does not tell the model's logit scale" in err
    assert "--logit-scale" in err
    code, _, err = program("teach", path, files / "rec", "--out", out)
    assert code == 0
    assert "name --logit-scale for a softmax" in err
    manifest = ("relabel", files / "m.csv", "--scores", out, "--zero-shot", "--out", tmp_path / "o.csv")
    code, _, err = program(*manifest)
    assert code == 1
    assert "without which a softmax of cosines means nothing" in err
    assert program(*manifest, "--logit-scale", "20")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (("--threshold", "0.3"), 2, "go with --labels"),
        (("--labels", "l.csv", "--rule", "z"), 2, "--rule z needs --threshold"),
        (("--labels", "l.csv", "--class-threshold", "dog"), 2, "not of the form CLASS=NUMBER"),
        (("--shard", "3"), 2, "not of the form I/N"),
        (("--shard", "3/2"), 1, "there is no part 3 of 2"),
        (("--template", "sound"), 1, "must have one {}"),
        (("--prompts", "none.txt"), 1, "none.txt: No such file"),
        (("--precision", "int8"), 1, "looked for audio_model_quantized.onnx"),
        (("--logit-scale", "0"), 2, "is not in the range"),
        (("--logit-scale", "nan"), 2, "nan is not a finite number"),
        (("--reuse", "none.npz"), 1, "none.npz: No such file"),
        (("--root", "x"), 1, "a root goes with a CSV manifest"),
    ],
    ids=str,
)
def test_what_goes_wrong(files, tmp_path, arguments, code, cause):
    found, out, err = teach(files, "--out", tmp_path / "s.npz", *arguments)
    assert (found, out) == (code, "")
    assert cause in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())  # nothing was begun


@pytest.mark.parametrize(
    ("labels", "more", "code", "cause"),
    [
        ("s.npz", (), 2, "--labels and --out are the same file"),
        ("no/l.csv", (), 1, "no/l.csv: its folder does not exist"),
        (".", (), 1, ": a directory"),
        ("l.csv", ("--class-threshold", "doge=1"), 1, "a threshold for 'doge', which is no class"),
    ],
)
def test_labels_that_could_not_be_made_are_refused_at_once(files, tmp_path, labels, more, code, cause):
    found, out, err = teach(files, "--out", tmp_path / "s.npz", "--labels", tmp_path / labels, *more)
    assert (found, out) == (code, "")
    assert cause in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"version https://git-lfs", "a Git LFS pointer"),
        (b"<html>", "a web page"),
        (None, "looked for audio_model.onnx"),
    ],
)
def test_a_bundle_that_is_none(files, tmp_path, content, cause):
    path = bare(tmp_path)
    model = path / "onnx" / "audio_model.onnx"
    model.unlink()
    if content is not None:
        model.write_bytes(content)
    code, _, err = program("teach", path, files / "rec", "--out", tmp_path / "s.npz")
    assert code == 1
    assert cause in err
    assert err.count("\n") == 1


@pytest.mark.skipif(not CORPUS.exists(), reason="no shared data")
def test_killed_teach_relabel_train(tmp_path):
    """The chain on recordings of the corpus: killed in the middle and continued, the same scores."""
    with open(CORPUS / "manifest.csv", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)][::40]
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,classes\n" + "".join(f"{path},\n" for path in paths))
    command = ["teach", str(bundle(tmp_path)), str(manifest), "--root", str(CORPUS), "--out"]

    assert program(*command, tmp_path / "whole.npz")[0] == 0
    journal = tmp_path / "killed.npz.part"
    process = subprocess.Popen([sys.executable, "-m", "acdref.cli", *command, str(tmp_path / "killed.npz")])
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 5):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed.npz").exists()
    assert 5 < journal.read_bytes().count(b"\n") <= len(paths)
    code, _, err = program(*command, tmp_path / "killed.npz")
    assert code == 0
    assert "continuing after" in err
    a, b = (TeacherScores.load(tmp_path / f"{name}.npz") for name in ("whole", "killed"))
    np.testing.assert_array_equal(a.cosines, b.cosines)
    assert (a.paths, a.meta) == (b.paths, b.meta)

    labels = tmp_path / "labels.csv"
    rule = ("--zero-shot", "--rule", "z", "--threshold", "0.5")
    assert program("relabel", manifest, "--scores", tmp_path / "killed.npz", *rule, "--out", labels)[0] == 0
    train = ("train", labels, "--root", CORPUS, "--out", tmp_path / "run", "--epochs", "1")
    code, _, err = program(*train, "--epoch-size", "2", "--batch", "2", "--seconds", "2.2", "--workers", "0")
    assert code == 0, err
    assert (tmp_path / "run" / "last.npz").exists()


def test_a_manifest_by_any_spelling_of_its_ending(files, tmp_path):
    manifest = tmp_path / "M.CSV"
    manifest.write_bytes((files / "m.csv").read_bytes())
    code, printed, err = teach(files, "--root", files / "rec", "--out", tmp_path / "s.npz", source=manifest)
    assert (code, err) == (0, "")
    assert "4 of 4 recordings" in printed
