"""The implementation in JavaScript, written from docs/conformance.md alone: right where it answers, and wrong
copies of it are found out."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from predict_support import program

from acdref.conform import check

FOLDER = Path(__file__).resolve().parents[2] / "conformance" / "javascript"
NODE = shutil.which("node")
WHOLE = {
    "resampling",
    "features",
    "labels",
    "metrics",
    "clap",
    "formats",
}  # sections that it answers without a package

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")


def node(*words):
    return subprocess.run([NODE, *map(str, words)], capture_output=True, text=True, timeout=300)


def verdicts(folder, cases, answers, *model):
    done = node(folder / "answers.js", cases, answers, *model)
    assert (done.returncode, done.stderr) == (0, "")
    found, strangers = check(cases, answers)
    assert strangers == []
    answered = [one for one in found if one.status != "missing"]
    assert done.stdout == f"{len(answered)} cases answered\n"
    return found


def test_modules_run_in_browsers_too():
    """Only the programs use what node alone has."""
    users = {
        path.name
        for path in FOLDER.glob("*.js")
        if re.search(r'"node:|process\.|Buffer\.|require\(|command\.js"', path.read_text(encoding="utf-8"))
    }
    assert users == {"answers.js", "command.js", "tags.js"}


def test_all_answers_are_right(cases, tmp_path):
    found = verdicts(FOLDER, cases, tmp_path / "answers")
    assert [(one.case, one.where) for one in found if one.status == "failed"] == []
    assert {one.case for one in found if one.status == "passed"} == {
        one.case for one in found if one.case.split("/")[0] in WHOLE
    }


@pytest.fixture(scope="module")
def quick(cases, tmp_path_factory):
    """Sections that are quick to answer."""
    folder = tmp_path_factory.mktemp("quick")
    for section in ("features", "labels", "metrics", "formats"):
        shutil.copytree(cases / section, folder / section)
    shutil.copy(cases / "index.json", folder)
    return folder


@pytest.mark.parametrize(
    ("file", "right", "wrong", "case", "place", "cause", "also"),
    [
        (
            "metrics.js",
            "above + positive / 2",
            "above",
            "metrics/roc_auc/small",
            "auc[",
            "ties counted 0",
            {"metrics/balance_negatives"},
        ),
        (
            "frames.js",
            "Math.min(offset - onset, length)",
            "length",
            "labels/frame_events/by_hand",
            "present[",
            "half of the event was not enough, only half of the frame",
            {"labels/frame_labels", "labels/without_frame", "formats/framed_events"},
        ),
        (
            "labels.js",
            "return labels.some(Number.isNaN) ? NaN : 0;",
            "return 0;",
            "labels/or_join/all_of_three",
            "joined[",
            "unknown labels were passed over, so that 0 with unknown is 0",
            {"labels/parent_expand", "labels/children_mask", "labels/superclasses"},
        ),
        (
            "folds.js",
            ".sort((a, b) => a - b); // runs",
            "; // runs",
            "labels/stratified_folds/first",
            "folds[",
            "the clips of a class went to the folds in turn, not in runs",
            {"labels/round_folds"},
        ),
        (
            "formats.js",
            "end - start : 1",
            "1 : 1",
            "formats/scores_csv/predicted",
            "scores[",
            "windows counted alike, whatever their length",
            {"formats/scores_jsonl"},
        ),
        (
            "fourier.js",
            "(cosine) => (1 - cosine) / 2",
            "(_, n) => (1 - Math.cos((2 * Math.PI * n) / 511)) / 2",
            "features/stft/sound",
            "spectrum[",
            "the Hann window was symmetric, not periodic",
            {"features/features"},
        ),
    ],
)
def test_a_wrong_line_is_found_out(quick, tmp_path, file, right, wrong, case, place, cause, also):
    """In the function itself and in those that use it, and nowhere else."""
    copy = tmp_path / "javascript"
    copy.mkdir()
    for path in FOLDER.glob("*.js*"):
        shutil.copy(path, copy)
    text = (copy / file).read_text(encoding="utf-8")
    assert text.count(right) == 1
    (copy / file).write_text(text.replace(right, wrong), encoding="utf-8")
    found = verdicts(copy, quick, tmp_path / "answers")
    verdict = next(one for one in found if one.case == case)
    assert (verdict.status, verdict.cause) == ("failed", cause)
    assert verdict.where.startswith(place)
    function = case.rpartition("/")[0]
    assert {one.case.rpartition("/")[0] for one in found if one.status == "failed"} == {function} | also


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """ONNX models that take features, and waveforms."""
    pytest.importorskip("onnx")
    if not (FOLDER / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("needs npm ci in conformance/javascript")
    folder = tmp_path_factory.mktemp("models")
    paths = [folder / "features.onnx", folder / "waveforms.onnx"]
    assert program("export", "--onnx", paths[0])[0] == 0
    assert program("export", "--onnx", paths[1], "--front-end")[0] == 0
    return paths


def test_the_network(cases, models, tmp_path):
    shutil.copytree(cases / "networks", tmp_path / "cases" / "networks")
    shutil.copy(cases / "index.json", tmp_path / "cases")
    found = verdicts(FOLDER, tmp_path / "cases", tmp_path / "answers", models[0])
    answered = {one.case: (one.status, one.where) for one in found if one.status != "missing"}
    assert {case: status for case, (status, _) in answered.items()} == {"networks/acdnet/shipped": "passed"}


def test_tags_agree_with_acdref(models, tmp_path):
    from acdref import checkpoint, files
    from acdref.predict.scoring import score_samples

    net, _ = checkpoint.load_weights(files.resource("weights", "acdnet.npz"), backend="numpy")
    samples = np.random.default_rng(0).normal(0.1, 0.1, 20_000).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    expected = score_samples(net, samples)
    for model in models:
        done = node(FOLDER / "tags.js", model, tmp_path / "samples.npy")
        assert (done.returncode, done.stderr) == (0, "")
        numbers, probabilities = zip(*(line.split("\t") for line in done.stdout.splitlines()), strict=True)
        assert list(map(int, numbers)) == list(range(len(expected)))
        np.testing.assert_allclose(list(map(float, probabilities)), expected, rtol=0, atol=1e-4)


def test_a_sound_without_samples(models, tmp_path):
    np.save(tmp_path / "samples.npy", np.zeros(0, np.float32))
    done = node(FOLDER / "tags.js", models[0], tmp_path / "samples.npy")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the sound has no samples\n"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda content: b"", "no .npy file of version 1.0"),
        (lambda content: content[:-1], "bytes, not"),
        (lambda content: content + b"0", "bytes, not"),
        (lambda content: content.replace(b"<f8", b"<i2"), "its numbers are none of <f4, <f8, <i8"),
        (lambda content: content.replace(b"False", b"True "), "its last axis does not run fastest"),
    ],
)
def test_damaged_cases(cases, tmp_path, change, cause):
    shutil.copytree(cases / "labels" / "or_join", tmp_path / "cases" / "labels" / "or_join")
    damaged = tmp_path / "cases" / "labels" / "or_join" / "one_clip" / "in" / "labels.npy"
    damaged.write_bytes(change(damaged.read_bytes()))
    done = node(FOLDER / "answers.js", tmp_path / "cases", tmp_path / "answers")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{damaged}: ") and cause in done.stderr and done.stderr.count("\n") == 1


def test_wrong_usage(tmp_path):
    assert node(FOLDER / "answers.js", tmp_path).stderr.startswith("usage: node answers.js CASES")
    assert "no such folder" in node(FOLDER / "answers.js", tmp_path / "none", tmp_path / "answers").stderr
