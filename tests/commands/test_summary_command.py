"""`acdref summary` as its user meets it: from recordings to which have alarms, and when."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from predict_support import ROOT, noise, program, write, write_tiny_weights

from acdref import checkpoint


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """What predict has written of two recordings and a broken one."""
    folder = tmp_path_factory.mktemp("summary")
    weights = write_tiny_weights(folder / "tiny.npz")
    write(folder / "in" / "a.wav", noise(5))
    write(folder / "in" / "b.wav", noise(2.5, seed=1))
    (folder / "in" / "c.wav").write_text("not audio")
    out = folder / "events.csv"
    common = ("predict", "--weights", weights, "--events", "--threshold", 0.45, folder / "in")
    assert program(*common, "--out", out)[0] == 3
    return out


def test_forms(events):
    code, text, err = program("summary", events)
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(text)))
    found = json.loads(program("summary", "--format", "json", events)[1])
    assert found["recordings"] == 3 and found["failed"] == 1 and len(found["files"]) == len(rows) > 0
    assert [row["path"] for row in rows] == [row["path"] for row in found["files"]]
    table = program("summary", "--format", "table", events)[1]
    assert "3 recordings, " in table and ", 1 failed" in table and rows[0]["path"] in table


def test_a_name_that_is_not_utf8(events):
    """For programs it is the bytes that it is, for people it is escaped."""
    rows = events.read_bytes().replace(b"/a.wav", b"/a\xff.wav")
    assert b"a\xff.wav" in os.fsencode(program("summary", "--format", "csv", "-", stdin=rows)[1])
    assert "a\\udcff.wav" in program("summary", "--format", "table", "-", stdin=rows)[1]


def test_only_one_class(events):
    code, text, _ = program("summary", "--classes", "dog", "--format", "json", events)
    found = json.loads(text)
    assert code == 0 and list(found["classes"]) == ["dog"]
    assert {row["label"] for row in found["files"]} <= {"dog"}


def test_windows_at_the_thresholds_of_weights(tmp_path):
    """What predict would tag, in place of what is above 0.5."""
    weights = write_tiny_weights(tmp_path / "tiny.npz")
    net, meta = checkpoint.load_weights(weights, "numpy")
    checkpoint.save_weights(tmp_path / "own.npz", net, meta["classes"], thresholds=[0.5, 0.3, 0.7])
    rows = b"path,start,end,dog,rain\na.wav,0,10,0.4,0.6\nb.wav,0,10,0.2,0.8\n"
    read = csv.DictReader(io.StringIO(program("summary", "-", stdin=rows)[1]))
    assert [(row["path"], row["label"]) for row in read] == [("a.wav", "rain"), ("b.wav", "rain")]
    text = program("summary", "--weights", tmp_path / "own.npz", "-", stdin=rows)[1]
    found = [(row["path"], row["label"]) for row in csv.DictReader(io.StringIO(text))]
    assert meta["classes"] == ["hum", "dog", "rain"] and found == [("a.wav", "dog"), ("b.wav", "rain")]
    other = b"path,start,end,bell,rain\na.wav,0,10,0.6,0.8\n"
    code, text, err = program("summary", "--weights", tmp_path / "own.npz", "-", stdin=other)
    assert code == 0 and "a.wav,bell" in text and "a.wav,rain" in text
    assert err == f"acdref: {tmp_path / 'own.npz'} has no class 'bell': windows of it count at 0.5\n"
    events = b"path,onset,offset,label,score\na.wav,0,1,bell,0.6\n"
    assert program("summary", "--weights", tmp_path / "own.npz", "-", stdin=events)[2] == ""
    for own in (["--threshold", 0.2], ["--class-threshold", "bell=0.2"], ["--classes", "rain"]):
        assert program("summary", "--weights", tmp_path / "own.npz", *own, "-", stdin=other)[2] == ""
    code, text, err = program("summary", "--weights", tmp_path / "none.npz", "-", stdin=rows)
    assert (code, text) == (1, "") and err.count("\n") == 1 and "none.npz" in err


def test_from_a_pipe(events):
    wanted = program("summary", events)[1]
    assert program("summary", "-", stdin=events.read_bytes()) == (0, wanted, "")


def test_from_a_slow_pipe(events):
    """A recording may take longer than a reader waits for a FIFO's writer elsewhere."""
    command = [sys.executable, "-m", "acdref.cli", "summary", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        first, *rest = events.read_bytes().splitlines(keepends=True)
        process.stdin.write(first)
        process.stdin.flush()
        process.stdin.writelines(rest)
        process.stdin.close()
        assert process.stdout.read().decode() == program("summary", events)[1]


def test_threshold(events):
    assert len(program("summary", "--threshold", 1, events)[1].splitlines()) == 1
    labels = {"dog", "hum", "rain"}
    code, text, _ = program("summary", "--threshold", 1, "--class-threshold", "rain=0", events)
    assert code == 0 and {row["label"] for row in csv.DictReader(io.StringIO(text))} <= labels - {
        "dog",
        "hum",
    }


@pytest.mark.parametrize("flag", ["--class-threshold=alrm=0.3", "--classes=alrm"])
def test_a_class_that_is_not_there(events, flag):
    code, _, err = program("summary", flag, events)
    assert (code, err) == (0, f"acdref: {events}: nothing of class 'alrm' (it has dog, hum)\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [("none.csv", "none.csv: No such file or directory"), (ROOT / "setup.cfg", "setup.cfg: ")],
)
def test_what_cannot_be_read(name, words):
    code, out, err = program("summary", name)
    assert (code, out) == (1, "") and words in err and err.count("\n") == 1
