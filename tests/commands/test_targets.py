"""What --out may be: formats by name or by ending, and what is refused before any work."""

import os
import sys

import click
import numpy as np
import pytest

from acdref.commands._targets import FOLDERS, FORMS, ROWS, Target, check_targets, opened_targets, targets_of
from acdref.errors import AcdrefError, FileError
from acdref.predict.event_files import EVENT_FILES
from acdref.predict.events import Timeline
from acdref.predict.formats import FORMATS
from acdref.predict.tagging import Window


def test_formats_are_what_there_is():
    assert {"parquet", *FORMATS} == set(ROWS)
    assert {"parquet", *EVENT_FILES} == set(FORMS)
    assert {name: form.suffix for name, form in EVENT_FILES.items() if form.folder} == FOLDERS


@pytest.mark.parametrize(
    ("out", "target"),
    [
        ("a.csv", Target("csv", "a.csv", False)),
        ("A.JSONL", Target("jsonl", "A.JSONL", False)),
        ("a.parquet", Target("parquet", "a.parquet", False)),
        ("a.tsv", Target("dcase", "a.tsv", True)),
        ("a", Target("csv", "a", False)),
        ("audacity:a", Target("audacity", "a", True)),
        ("raven:a/b:c", Target("raven", "a/b:c", True)),
        ("table:-", Target("table", None, False)),
        ("jsonl:/dev/stdout", Target("jsonl", None, False)),
        ("-", Target("csv", None, False)),
        ("/dev/null", Target("csv", "/dev/null", False)),
        ("other:a.csv", Target("csv", "other:a.csv", False)),
        ("./csv:a", Target("csv", "./csv:a", False)),
        ("a.json", Target(None, "a.json", False)),
    ],
)
def test_one(out, target):
    assert targets_of([out], None, False) == [target]
    assert targets_of([out], None, True) == [target._replace(events=True)]


def test_none_is_stdout():
    assert targets_of([], None, False) == [Target("csv", None, False)]
    assert targets_of([], "jsonl", True) == [Target("jsonl", None, True)]


def test_format_is_stronger_than_the_ending():
    assert targets_of(["a.csv"], "jsonl", False) == [Target("jsonl", "a.csv", False)]


@pytest.mark.parametrize(
    ("outs", "form", "words"),
    [
        (["a.csv", "b.csv"], "csv", "--format goes with one --out"),
        (["a.csv", "jsonl:a.csv"], None, "a.csv is given twice"),
        (["-", "table:/dev/stdout"], None, "- is given twice"),
        (["audacity:a", "audacity:a"], None, "a is given twice"),
        ([], "audacity", "--out audacity:FOLDER"),
        (["scores:-"], None, "--out scores:FOLDER"),
        (["parquet:/dev/stdout"], None, "--out parquet:FILE"),
    ],
)
def test_refused(outs, form, words):
    with pytest.raises(click.UsageError, match=words):
        targets_of(outs, form, True)


def test_one_folder_for_two_formats():
    assert len(targets_of(["audacity:a", "raven:a"], None, False)) == 2


@pytest.mark.parametrize(
    ("out", "error", "words"),
    [
        ("x.json", click.UsageError, "names no format"),
        ("audacity:labels.txt", click.UsageError, "name a folder, not a file"),
        ("audacity:in", FileError, "is an input"),
        ("audacity:a.csv", FileError, "not a folder"),
        ("csv:in", FileError, "a directory"),
        ("csv:in.wav", FileError, "is an input"),
    ],
)
def test_refused_before_any_work(tmp_path, monkeypatch, out, error, words):
    monkeypatch.chdir(tmp_path)
    os.mkdir("in")
    for name in ("a.csv", "in.wav"):
        (tmp_path / name).touch()
    with pytest.raises(error, match=words):
        check_targets(targets_of([out], None, False), "in", "in.wav")


def test_parquet_without_pyarrow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(AcdrefError, match="needs the package pyarrow"):
        check_targets(targets_of([f"{tmp_path}/a.parquet"], None, False))


def test_parquet_in_parts(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    targets = targets_of([f"parquet:{tmp_path}/w/", f"parquet:{tmp_path}/w.parquet"], None, False)
    targets += targets_of([f"parquet:{tmp_path}/e/"], None, True)
    check_targets(targets, "in.wav")
    with opened_targets(targets, ["dog"], None, None, None) as (windows, events):
        assert (len(windows), len(events)) == (2, 1)
        for write in windows:
            write(Window("a.wav", 0.0, 10.0, [0.5], None))
        events[0](Timeline("a.wav", np.zeros(0), np.zeros((0, 0)), error="no such file"))
    assert parquet.read_table(tmp_path / "w") == parquet.read_table(tmp_path / "w.parquet")
    assert parquet.read_table(tmp_path / "e").column("error").to_pylist() == ["no such file"]
    with pytest.raises(FileError, match=r"w/_SUCCESS: of another run"):
        check_targets(targets, "in.wav")


def test_an_empty_folder_goes_again(tmp_path):
    targets = targets_of([f"audacity:{tmp_path}/a/b", f"raven:{tmp_path}/a/b"], None, False)
    with opened_targets(targets, ["dog"], None, None, None) as (windows, events):
        assert (tmp_path / "a" / "b").is_dir() and (len(windows), len(events)) == (0, 2)
    assert not (tmp_path / "a").exists()
