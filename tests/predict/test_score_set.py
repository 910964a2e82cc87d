"""Sets of recordings: one row each, the same file however often the job was stopped."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from predict_support import CLASSES, Loudness, noise, write, write_damaged, write_tiny_weights

from acdref.errors import FileError
from acdref.files import BusyError
from acdref.nets import ACDNet
from acdref.predict.score_set import network_key, score_set
from acdref.predict.scoring import mean_over_windows, score_recording
from acdref.tables.manifest import open_recordings
from acdref.tables.scores import ScoreFile


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(["b/x.wav", "a.wav", "c.wav"]):
        write(tmp_path / "sounds" / name, noise(12 + i, level=0.02 * (i + 1), seed=i))
    return tmp_path / "sounds"


class Stopped(Exception):
    pass


def score(folder, out, net=None, key=None, stop=None, **options):
    """Score a folder; returns (number with scores, number of windows scored, what was said)."""
    net, said = net or Loudness(), []

    def progress(done, count):
        if done == stop:
            raise Stopped

    try:
        scored = score_set(
            net,
            open_recordings(folder),
            CLASSES,
            out,
            key or {},
            progress=progress,
            say=said.append,
            **options,
        )
    except Stopped:
        scored = None
    return scored, len(net.frames), said


def rows(path):
    return {id: scores for _, id, scores in ScoreFile(path).rows()}


@pytest.mark.parametrize("name", ["s.npz", "s.csv"])
def test_one_row_each(folder, tmp_path, name):
    assert score(folder, tmp_path / name) == (3, 6, [])
    found = rows(tmp_path / name)
    assert list(found) == ["a.wav", "b/x.wav", "c.wav"]
    expected = mean_over_windows(score_recording(Loudness(), folder / "b/x.wav"))
    np.testing.assert_array_equal(found["b/x.wav"], expected)
    assert sorted(os.listdir(tmp_path)) == [name, "sounds"]


@pytest.mark.parametrize("torn", [b"", b'{"name": "c.wav", "sta', b"\xff\n", b'{"name": "c.wav"}\n'])
def test_a_stopped_job_continues(folder, tmp_path, torn):
    score(folder, tmp_path / "whole.npz")
    out = tmp_path / "s.npz"
    assert score(folder, out, stop=2)[:2] == (None, 4)
    assert not out.exists()
    with open(f"{out}.part", "ab") as journal:
        journal.write(torn)
    scored, windows, said = score(folder, out)
    assert (scored, windows, said[-1]) == (3, 2, "continuing after 2 recordings")
    assert len(said) == 1 + (torn != b"") and all("s.npz.part: damaged" in text for text in said[:-1])
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_killed_process_continues(folder, tmp_path):
    weights = write_tiny_weights(tmp_path / "w.npz")
    arguments = ["predict", "--weights", weights, "--backend", "numpy", str(folder), "--scores"]
    script = (
        "import os, signal, acdref.cli, acdref.tables.journal as module\n"
        "add = module.Journal.add\n"
        "def killed(*arguments): add(*arguments); os.kill(os.getpid(), signal.SIGKILL)\n"
        "module.Journal.add = killed\n"
        "acdref.cli.main()\n"
    )
    out = tmp_path / "s.npz"
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script, *arguments, out], capture_output=True)
        assert done.returncode == -signal.SIGKILL
    for path in (out, tmp_path / "whole.npz"):
        subprocess.run([sys.executable, "-m", "acdref.cli", *arguments, path], check=True)
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()


@pytest.mark.parametrize("change", [{"key": {"weights": "other"}}, {"hop": 5.0}, {"version": "0"}])
def test_other_options_begin_anew(folder, tmp_path, monkeypatch, change):
    score(folder, tmp_path / "s.npz", stop=2)
    if "version" in change:
        monkeypatch.setattr("acdref.predict.score_set.__version__", change.pop("version"))
    scored, windows, said = score(folder, tmp_path / "s.npz", **change)
    assert scored == 3 and windows >= 6
    assert "of other weights or options" in said[0] and "kept as s.npz.part.1" in said[0]
    assert sorted(os.listdir(tmp_path)) == ["s.npz", "s.npz.part.1", "sounds"]


def test_the_second_run_is_refused(folder, tmp_path):
    def progress(done, count):
        with pytest.raises(BusyError, match=r"s\.npz\.part: another run is writing it"):
            score(folder, tmp_path / "s.npz")

    recordings = open_recordings(folder)
    assert score_set(Loudness(), recordings, CLASSES, tmp_path / "s.npz", {}, progress=progress) == 3


def test_whichever_byte_of_the_journal_changes_the_scores_do_not(folder, tmp_path):
    score(folder, tmp_path / "whole.npz")
    whole, out, part = (tmp_path / "whole.npz").read_bytes(), tmp_path / "s.npz", tmp_path / "s.npz.part"
    score(folder, out, stop=3)
    journal = part.read_bytes()
    for place in range(0, len(journal), len(journal) // 50):
        part.write_bytes(journal[:place] + bytes([journal[place] ^ 1]) + journal[place + 1 :])
        _, windows, said = score(folder, out)
        assert windows <= 3 and "damaged" in said[0]  # of six: one recording at most
        assert out.read_bytes() == whole


def test_a_changed_recording_is_scored_again(folder, tmp_path):
    score(folder, tmp_path / "s.npz", stop=2)
    write(folder / "a.wav", noise(5, level=0.02))
    assert score(folder, tmp_path / "s.npz")[1] == 1 + 2
    expected = mean_over_windows(score_recording(Loudness(), folder / "a.wav"))
    np.testing.assert_array_equal(rows(tmp_path / "s.npz")["a.wav"], expected)


def test_a_failed_recording_has_no_scores_and_is_tried_again(folder, tmp_path):
    write_damaged(folder / "b/x.wav")
    failures = []
    scored, _, _ = score(folder, tmp_path / "s.npz", on_failure=failures.append)
    assert scored == 2
    assert [os.path.basename(error.path) for error in failures] == ["x.wav"]
    assert np.isnan(rows(tmp_path / "s.npz")["b/x.wav"]).all()
    score(folder, tmp_path / "s.npz", stop=3)
    write(folder / "b/x.wav", noise(9, level=0.02))
    assert score(folder, tmp_path / "s.npz")[:2] == (3, 1)


def test_what_is_wrong_with_a_recording_is_said(folder, tmp_path):
    write(folder / "short.wav", noise(0.1))
    *_, said = score(folder, tmp_path / "s.npz")
    assert said == ["short.wav: 0.100 s are too short to know a sound by"]


def test_a_recording_that_fails_now_loses_the_scores_it_had(folder, tmp_path):
    score(folder, tmp_path / "s.npz", stop=3)
    (folder / "a.wav").write_bytes(b"")
    assert score(folder, tmp_path / "s.npz")[0] == 2
    assert np.isnan(rows(tmp_path / "s.npz")["a.wav"]).all()


def test_what_cannot_be_written_is_named_before_the_work(folder, tmp_path):
    net = Loudness()
    for out in (tmp_path / "s.txt", tmp_path / "none/s.npz"):
        with pytest.raises(FileError, match=out.name):
            score(folder, out, net)
    assert net.frames == []


def test_the_key_of_a_network_is_its_weights_and_backend():
    keys = [network_key(ACDNet(seed=seed, backend="numpy")) for seed in (0, 0, 1)]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0]["backend"] == "numpy"
