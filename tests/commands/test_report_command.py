"""`acdref report` as its user meets it."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from predict_support import noise, program, write, write_damaged, write_tiny_weights
from report_support import parts, rows

from acdref.checkpoint import load_weights
from acdref.commands.report import command
from acdref.predict.events import timelines
from acdref.predict.tagging import predict
from acdref.report.job import floors


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.npz")


@pytest.fixture
def run(weights, monkeypatch):
    monkeypatch.setattr("acdref.commands._network.one_blas_thread", lambda: None)

    def run(*arguments, **more):
        options = ["--weights", weights, "--backend", "numpy"]
        return CliRunner().invoke(command, list(map(str, [*arguments, *options])), **more)

    return run


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "in" / "a.wav", noise(5))
    write(tmp_path / "in" / "b" / "20240514_063000.wav", noise(0.7, seed=1))
    return tmp_path / "in"


@pytest.mark.parametrize("out", ["page.html", "page"])
def test_the_page_has_the_scores_and_begins_with_the_rules(run, folder, tmp_path, weights, out):
    page = tmp_path / out if out == "page.html" else tmp_path / out / "index.html"
    rules = ("--event-gap", 3, "--event-hold", 0.8, "--class-threshold", "dog=0.25", "--threshold", 0.4)
    result = run(folder, "--out", tmp_path / out, *rules)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{page}\n", "")
    meta = parts(page)["meta"]
    assert meta["rules"] == {"hold": 0.8, "median": 0.0, "gap": 3.0, "least": 0.0}
    assert meta["thresholds"] == [4000, 2500, 4000] and weights in meta["made"]
    net, _ = load_weights(weights, backend="numpy")
    expected = list(timelines(predict(net, [str(folder)], 2.0, 1.0, ends=True), 0.0))
    found = rows(page)
    assert [row["path"] for row in found] == [timeline.path for timeline in expected]
    for row, timeline in zip(found, expected, strict=True):
        np.testing.assert_array_equal(row["cells"], floors(timeline.cells).T)
    assert [row["at"] for row in found] == [None, 1715668200.0]


def test_classes_in_their_order(run, folder, tmp_path):
    run(folder, "--out", tmp_path / "all.html")
    assert run(folder, "--out", tmp_path / "p.html", "--classes", "rain,hum").exit_code == 0
    assert parts(tmp_path / "p.html")["meta"]["classes"] == ["rain", "hum"]
    for every, some in zip(rows(tmp_path / "all.html"), rows(tmp_path / "p.html"), strict=True):
        np.testing.assert_array_equal(some["cells"], every["cells"][[2, 0]])


def test_a_bad_file_is_a_row_and_the_others_are_done(run, folder, tmp_path):
    (folder / "b.wav").write_text("junk")
    damaged = write_damaged(tmp_path / "d.wav", good=4.0)
    result = run(folder, damaged, tmp_path / "none.wav", "--out", tmp_path / "p.html")
    assert (result.exit_code, result.stdout) == (3, f"{tmp_path / 'p.html'}\n")
    found = {os.path.basename(row["path"]): row for row in rows(tmp_path / "p.html")}
    assert found["b.wav"]["error"] == "text, not audio" and found["none.wav"]["error"] == "no such file"
    damaged = found["d.wav"]
    assert damaged["error"] == "a sample of nan at 4.000 s"
    assert damaged["count"] and damaged["picture"] >= 0
    assert found["a.wav"]["error"] is None
    assert "3 of 5 failed" in result.stderr and "none.wav: no such file" in result.stderr


def test_nothing_usable_is_no_page(run, tmp_path):
    result = run(tmp_path / "none.wav", "--out", tmp_path / "p.html")
    assert str(result.exception) == "none of 1 recordings can be used"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "cause"),
    [
        ("in/a.wav/p.html", "its folder does not exist"),
        ("in", "is an input, and would be replaced"),
        ("in/a.wav", "not a folder"),
        ("page.html", "a directory"),
        ("home", "is no report, and would be replaced"),
    ],
)
def test_outputs_that_are_refused(run, folder, tmp_path, out, cause):
    (tmp_path / "page.html").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "index.html").write_text("my home")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = run(folder, "--out", tmp_path / out)
    assert cause in str(result.exception)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_recording_called_like_a_page_is_no_output(run, folder, tmp_path):
    page = shutil.copy(folder / "a.wav", tmp_path / "sound.html")
    assert "is an input" in str(run(page, "--out", page).exception)
    assert "is a recording" in str(run(folder, "--out", page).exception)


def test_windows_must_leave_no_gap(run, folder, tmp_path):
    result = run(folder, "--out", tmp_path / "p.html", "--window", 1, "--hop", 2)
    assert result.exit_code == 2 and "longer than --window" in result.stderr


def test_sound_is_in_the_page_or_beside_it(run, folder, tmp_path):
    run(folder, "--out", tmp_path / "in.html")
    assert [type(row["sound"]) for row in rows(tmp_path / "in.html")] == [int, int]
    result = run(folder, "--out", tmp_path / "page", "--embed", 0)
    assert [row["sound"] for row in rows(tmp_path / "page" / "index.html")] == [
        "../in/a.wav", "../in/b/20240514_063000.wav"
    ]  # fmt: skip
    assert "2 of 2 recordings are not in the page" in result.stderr


def test_the_program(folder, tmp_path, weights):
    """Paths on stdin; stdout has the page's path and nothing else."""
    listed = "\n".join(map(str, Path(folder).rglob("*.wav"))).encode()
    code, out, err = program("report", "--out", tmp_path / "p.html", "--weights", weights, "-", stdin=listed)
    assert (code, out, err) == (0, f"{tmp_path / 'p.html'}\n", "")
    assert len(rows(tmp_path / "p.html")) == 2
