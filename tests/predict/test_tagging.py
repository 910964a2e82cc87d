"""Predictions for files and folders: what is found, what comes out for good and bad recordings, memory."""

import os
import tracemalloc

import numpy as np
import pytest
from predict_support import Loudness, noise, write, write_damaged, write_truncated

from acdref.predict.scoring import score_recording
from acdref.predict.tagging import Failure, Window, predict, recordings


def test_windows_are_those_of_the_recording(tmp_path):
    path = write(tmp_path / "a.wav", noise(21))
    results = list(predict(Loudness(), [path], 8.0, 5.0))
    expected = list(score_recording(Loudness(), path, 8.0, 5.0))
    assert [(r.path, r.start, r.end, r.note) for r in results] == [(path, *e[:2], None) for e in expected]
    np.testing.assert_array_equal([r.scores for r in results], [e.probabilities for e in expected])


def test_a_bad_recording_costs_one_failure(tmp_path):
    good = write(tmp_path / "good.wav", noise(1))
    (tmp_path / "text.wav").write_text("not audio")
    results = list(predict(Loudness(), [str(tmp_path / "text.wav"), good, str(tmp_path / "none.wav"), good]))
    assert [type(r) for r in results] == [Failure, Window, Failure, Window]
    assert results[0] == Failure(str(tmp_path / "text.wav"), "text, not audio")
    assert results[2] == Failure(str(tmp_path / "none.wav"), "no such file")


def test_windows_before_damage_are_kept(tmp_path):
    path = write_damaged(tmp_path / "late.wav", good=21)
    *windows, failure = predict(Loudness(), [path])
    assert [(w.start, w.end) for w in windows] == [(0, 10), (10, 20)]
    assert failure.path == path and failure.error.startswith("a sample of nan at 21.0")


def test_truncated_recording_is_noted_in_its_last_window(tmp_path):
    path = write_truncated(tmp_path / "cut.wav", 13, 11.5)
    first, last = predict(Loudness(), [path])
    assert first.note is None
    assert last.end == 11.5
    assert last.note == "ends early: 11.50 s decoded of 13.00 s"


def test_several_notes_on_a_recording_are_one(tmp_path):
    path = write_truncated(tmp_path / "cut.wav", 0.3, 0.2)
    (window,) = predict(Loudness(), [path])
    assert window.note.startswith("ends early: 0.20 s decoded of 0.30 s; 0.200 s are too short")


def test_recordings_of_a_folder_in_order(tmp_path):
    for name in ("b.wav", "A.FLAC", "sub/c.ogg", "sub/deep/d.mp3", "notes.txt", ".hidden.wav", ".git/e.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [os.path.relpath(path, tmp_path) for path in recordings([str(tmp_path)])]
    assert found == ["A.FLAC", "b.wav", "sub/c.ogg", "sub/deep/d.mp3"]


def test_subfolders_in_order(tmp_path):
    for name in "hcfadgbe":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.wav").touch()
    assert [os.path.relpath(path, tmp_path)[0] for path in recordings([str(tmp_path)])] == list("abcdefgh")


def test_files_given_by_name_need_no_suffix(tmp_path):
    (tmp_path / "notes.txt").touch()
    given = [str(tmp_path / "notes.txt"), "missing", str(tmp_path / "notes.txt")]
    assert list(recordings(given)) == given


def test_folder_without_recordings(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    said = []
    (failure,) = recordings([str(tmp_path)], said.append)
    assert failure.path == str(tmp_path) and failure.error.startswith("no recordings in this folder")
    assert said == ["passed over 1 file (no recordings by their names): 1 .txt"]


def test_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    """Its own failure beside the recordings of the others (a mock, since root may list everything)."""
    for name in ("a", "b"):
        write(tmp_path / name / "x.wav", noise(0.1))
    scandir = os.scandir

    def denying(path):
        if os.path.basename(path) == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denying)
    assert list(recordings([str(tmp_path)])) == [
        str(tmp_path / "b" / "x.wav"),
        Failure(str(tmp_path / "a"), "permission denied"),
    ]
    assert list(recordings([str(tmp_path / "a")])) == [Failure(str(tmp_path / "a"), "permission denied")]


def test_results_come_before_the_next_path_is_asked_for(tmp_path):
    path = write(tmp_path / "a.wav", noise(1))
    asked = []

    def given():
        for number in range(3):
            asked.append(number)
            yield path

    results = predict(Loudness(), given())
    next(results)
    assert asked == [0]
    next(results)
    assert asked == [0, 1]


def test_memory_is_bounded_by_the_window(tmp_path):
    path = write(tmp_path / "long.wav", noise(10 * 60))  # 37 MiB as float32
    tracemalloc.start()
    try:
        assert sum(1 for _ in predict(Loudness(), [path])) == 60
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 15 * 2**20


def test_window_without_a_sample(tmp_path):
    path = write(tmp_path / "a.wav", noise(1))
    with pytest.raises(ValueError, match="holds no sample"):
        list(predict(Loudness(), [path], window=0))
