"""Self-correction from end to end: what the stages leave, and that no way of stopping it changes that."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes_support import Killed, dying_at, tiny
from train_support import Recorder

from acdref import checkpoint
from acdref.errors import AcdrefError
from acdref.fit import Stopped
from acdref.labels import correct_labels
from acdref.recipes.self_correct import self_correct
from acdref.tables.manifest import read_manifest
from acdref.tables.scores import ScoreFile
from acdref.train import train

RULES = {"correct": {"T": 0.45, "fp": True}}
RESULTS = (
    "2-teacher/best.npz",
    "3-scores/scores.npz",
    "4-labels/train.csv",
    "4-labels/report.json",
    "5-student/best.npz",
    "5-student/metrics.csv",
)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def finished(training, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipes") / "whole"
    observer = Recorder()
    return out, self_correct(training, out, RULES, observer), observer.lines


def contents(out):
    return {name: (Path(out) / name).read_bytes() for name in RESULTS}


def test_stages_are_done_in_their_order(finished):
    out, summaries, lines = finished
    assert list(summaries) == ["given", "teacher", "scores", "labels", "student"]
    assert [line for line in lines if line[1:3] == "/5"] == [
        f"{n}/5 {name}" for n, name in enumerate(summaries, start=1)
    ]
    assert summaries["given"] == {"recordings": 4, "validation": 4}
    assert summaries["scores"] == {"recordings": 4, "scored": 4}
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == [
        f"{n}-{name}" for n, name in enumerate(summaries, start=1)
    ]
    assert not list(out.rglob("*.tmp")) and not list(out.rglob("*.part"))


def test_the_student_learns_the_corrected_labels(finished):
    out, summaries, _ = finished
    classes = ["noise", "tone"]
    given, corrected = (
        read_manifest(out / folder / "train.csv", classes=classes).labels
        for folder in ("1-given", "4-labels")
    )
    scores = np.array([scores for _, _, scores in ScoreFile(out / "3-scores/scores.npz").rows()])
    np.testing.assert_array_equal(corrected, correct_labels(given, scores, **RULES["correct"]))
    assert not np.array_equal(corrected, given, equal_nan=True)
    config = json.loads((out / "5-student/config.json").read_text())
    assert config["manifest"] == os.path.abspath(out / "4-labels/train.csv")
    assert config["val"] == os.path.abspath(out / "1-given/val.csv")
    changed = {name: summaries["labels"]["total"][name] for name in ("added", "removed", "masked")}
    assert changed["masked"] == (np.isnan(corrected) & ~np.isnan(given)).sum()
    assert changed["removed"] == ((given == 1) & (corrected == 0)).sum()


def test_the_teacher_is_what_train_makes(finished, training, tmp_path):
    train(training, tmp_path / "run")
    ours, _ = checkpoint.load(finished[0] / "2-teacher/best.npz")
    theirs, _ = checkpoint.load(tmp_path / "run/best.npz")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_every_file_it_ends_the_same(finished, training, tmp_path, monkeypatch, late):
    """A chain of processes, each of which dies at the first to seventh file that it replaces."""
    monkeypatch.setattr("acdref.fit.CHECKPOINT_SECONDS", 0)
    out = tmp_path / "out"
    deaths = 0
    while deaths < 100:
        try:
            with dying_at(monkeypatch, 1 + deaths % 7, late):
                self_correct(training, out, RULES)
            break
        except Killed:
            deaths += 1
    assert deaths >= 8
    assert contents(out) == contents(finished[0])


def test_killed_processes_end_the_same(finished, training, tmp_path):
    out = tmp_path / "out"
    script = (
        "import os, signal, sys\n"
        "sys.modules['numba'] = None  # as in this process\n"
        "from acdref.augment import Augmentation\n"
        "from acdref.recipes.self_correct import self_correct\n"
        "from acdref.train import Options\n"
        "replace, left = os.replace, int(sys.argv[1])\n"
        "def killing(*paths):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    replace(*paths)\n"
        "os.replace = killing\n"
        f"self_correct(Options(**{vars(training)!r}), {str(out)!r}, {RULES!r})\n"
    )
    for count in (6, 5, 8, 1000):
        done = subprocess.run([sys.executable, "-c", script, str(count)], capture_output=True, text=True)
        assert done.returncode == (0 if count == 1000 else -signal.SIGKILL), done.stderr
    assert contents(out) == contents(finished[0])


@pytest.mark.parametrize("steps", [1, 4, 6, 9])
def test_a_stopped_recipe_continues(finished, training, tmp_path, steps):
    out = tmp_path / "out"
    with pytest.raises(Stopped):
        self_correct(training, out, RULES, Recorder(steps))
    assert self_correct(training, out, RULES) == finished[1]
    assert contents(out) == contents(finished[0])


def test_a_finished_recipe_is_left_alone(finished, training):
    out, summaries, _ = finished
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    observer = Recorder()
    assert self_correct(replace(training, workers=1), out, RULES, observer) == summaries
    assert all("finished before" in line for line in observer.lines)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("change", "rules", "words"),
    [
        ({"lr": 1e-4}, RULES, "lr: 0.001, now 0.0001"),
        ({}, {"correct": {"T": 0.1}}, r"rules\.correct\.T: 0.45, now 0.1"),
        ({"val_fold": "1"}, RULES, "recordings: "),
    ],
)
def test_other_options_are_refused(finished, training, change, rules, words):
    with pytest.raises(AcdrefError, match=f"was begun with other options .*{words}"):
        self_correct(replace(training, **change), finished[0], rules)


def test_changed_labels_are_refused(tmp_path):
    training = tiny(tmp_path)
    out = tmp_path / "out"
    with pytest.raises(Stopped):
        self_correct(training, out, RULES, Recorder(1))
    path = tmp_path / "manifest.csv"
    path.write_text(path.read_text().replace("0.wav,noise", "0.wav,tone"))
    with pytest.raises(AcdrefError, match="recordings: "):
        self_correct(training, out, RULES)


def test_a_broken_recording_costs_its_scores_only(tmp_path):
    training = tiny(tmp_path)
    (tmp_path / "2.wav").write_bytes(b"")
    observer = Recorder()
    summaries = self_correct(replace(training, epochs=1), tmp_path / "out", RULES, observer)
    assert summaries["scores"] == {"recordings": 4, "scored": 3}
    assert any("2.wav: an empty file" in line for line in observer.lines)
