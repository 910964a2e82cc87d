"""`acdref demo` as its user meets it, with fewer scenes and a smaller network than that which ships."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from predict_support import ROOT, program, write_tiny_weights
from report_support import rows
from train_support import numpy_networks

from acdref import demo
from acdref.commands.demo import _opening, _tally, command
from acdref.demo import OPTIONS, TaggedRecording
from acdref.errors import FileError
from acdref.files import resource
from acdref.predict.tagger import Tags
from acdref.predict.tagging import Window
from acdref.tables.manifest import ACD_CLASSES

SMALL = replace(OPTIONS, epoch_size=4, batch=2, seconds=(2.1,))
NAMES = [path.name for path in resource("fixtures", "demo").glob("*.ogg")]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in a folder of its own, that of temporary files beside it."""
    weights = write_tiny_weights(tmp_path / "tiny.npz", ACD_CLASSES)
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("acdref.commands.demo.one_blas_thread", lambda: None)
    monkeypatch.setattr("acdref.files.weights_file", lambda *_: weights)
    monkeypatch.setattr(demo, "weights_file", lambda: weights)
    monkeypatch.setattr(demo, "sizes", lambda: (10, SMALL, ""))
    with numpy_networks():
        yield lambda *arguments: CliRunner().invoke(command, list(map(str, arguments)))
    assert not list((tmp_path / "temporary").iterdir())


@pytest.fixture
def quick(run, monkeypatch):
    """Likewise, with one short recording, and what training was called with in place of the training."""
    one = demo.recordings().select([1])

    def fine_tune(folder, observer, seed, *_):
        (Path(folder) / "scenes").mkdir(parents=True)
        ap = dict.fromkeys(ACD_CLASSES, math.nan)
        return {"before": ap, "after": ap, "mAP": (0.1, 0.2), "prior": seed, "scenes": (8, 2), "sequences": 4}

    monkeypatch.setattr(demo, "recordings", lambda: one)
    monkeypatch.setattr(demo, "fine_tune", fine_tune)
    return run


def test_results_on_stdout_and_the_rest_on_stderr(run):
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert {line.split()[0] for line in lines[1:9]} == {*NAMES}
    verdicts = [re.search(r" (right|wrong)  \S", line)[1] for line in lines[1:9]]
    assert lines[9].startswith(f"{verdicts.count('right')} of 8 right: ")
    assert re.fullmatch(r"tags: \d of the 9 classes that they have, and \d+ others", lines[10])
    shipped = resource("fixtures", "demo") / "manifest.csv"
    assert lines[11] == f"all CC0 1.0, by whom: {shipped}"
    assert lines[12] == f"to see and hear them, 2 s at a time: {_opening('acdref-demo/index.html')}"
    training = "training on 4 sequences from 8 others"
    assert lines[13] == f"AP on 2 synthetic scenes, before and after {training}:"
    assert [line.split()[0] for line in lines[14:-1]] == [*ACD_CLASSES]
    assert re.fullmatch(r"  mAP +[01]\.\d{3}  [01]\.\d{3}  \(chance: 0\.\d{3}\)", lines[-1])
    assert [row["path"] for row in rows(Path("acdref-demo/index.html"))] == [
        line.split()[0] for line in lines[1:9]
    ]
    told = result.stderr.splitlines()
    assert told[:3] == [
        "making 10 scenes of 2.1 s", "tagging 2 of them with the weights that ship", "training on the other 8"
    ]  # fmt: skip
    assert told[-1].startswith("epoch 1  loss ")


def test_a_folder_that_is_there_stays_as_it_is(quick):
    Path("acdref-demo").write_text("mine")
    Path("acdref-demo-2").mkdir()
    assert "acdref-demo-3/index.html" in quick().stdout
    assert Path("acdref-demo").read_text() == "mine" and not list(Path("acdref-demo-2").iterdir())


def test_the_page_may_be_a_file_and_scenes_and_run_be_kept(quick):
    result = quick("--out", "my page.html", "--keep", "kept", "--seed", 7)
    assert " 'my page.html'\n" in result.stdout
    assert result.stdout.endswith("  gunshot       -      -\n  mAP       0.100  0.200  (chance: 7.000)\n")
    assert {path.name for path in Path().iterdir()} == {"my page.html", "kept"}
    assert [path.name for path in Path("kept").iterdir()] == ["scenes"]


@pytest.mark.parametrize("name", ["scenes", "run"])
def test_scenes_and_runs_are_not_replaced(quick, name):
    Path(name).mkdir()
    result = quick("--keep", ".")
    assert isinstance(result.exception, FileError)
    assert str(result.exception) == f"./{name}: is there already; name another folder"
    assert not result.stdout and [path.name for path in Path().iterdir()] == [name]


def test_a_folder_that_cannot_be_written_is_said_before_any_work(quick, monkeypatch):
    def refuse(path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", refuse)
    result = quick()
    cause = "acdref-demo: Read-only file system; name another place with --out"
    assert (str(result.exception), result.stdout) == (cause, "")


def test_other_pages_are_not_replaced(quick):
    Path("index.html").write_text("my home")
    result = quick("--out", ".")
    assert "is no report, and would be replaced" in str(result.exception) and not result.stdout
    assert Path("index.html").read_text() == "my home"


def test_interrupted_in_training_the_page_stays(quick, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "fine_tune", interrupted)
    assert quick().exit_code == 1  # click's own; the program makes it 130
    assert [path.name for path in Path().iterdir()] == ["acdref-demo"]
    assert Path("acdref-demo/index.html").exists()


def test_what_keeps_numba_away_is_said(quick, monkeypatch):
    monkeypatch.setattr(demo, "sizes", lambda: (10, SMALL, "no Numba: less"))
    assert quick().stderr == "no Numba: less\n"
    assert quick("-q").stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_the_program_ends_at_once(tmp_path):
    """By Ctrl-C amid the table: it leaves neither a page nor temporary files, and says one line."""
    arguments = [sys.executable, "-m", "acdref.cli", "demo", "--threads", "1"]
    (tmp_path / "here").mkdir()
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path / "here",
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as of a terminal's children
    ) as process:
        assert process.stdout.readline().startswith("recording ")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "acdref: interrupted\n")
        assert time.monotonic() - began < 30
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_wrong_usage():
    assert program("demo", "--seed", "-1")[0] == 2
    code, out, err = program("demo", "--out", "gone/p.html")
    assert (code, out, err) == (1, "", "acdref: gone/p.html: its folder does not exist\n")


def test_rights_and_tags_are_counted():
    def heard(classes, dog, cat):
        tags = Tags(("dog", "cat"), (Window("", 0.0, 10.0, [dog, cat], None),), (), (0.5, 0.5))
        return TaggedRecording("a.wav", "a.wav", classes, tags)

    found = [heard(("dog",), 0.4, 0.3), heard(("dog", "cat"), 0.6, 0.7), heard(("dog",), 0.8, 0.9)]
    right, tags = _tally(found)
    assert right.startswith("2 of 3 right: ")
    assert tags == "tags: 3 of the 4 classes that they have, and 1 others"
