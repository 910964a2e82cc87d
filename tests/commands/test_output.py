"""What may be an output: by its ending, what it replaces, and what stands in its place."""

import os

import click
import numpy as np
import pytest
import soundfile
from predict_support import noise, program, write

from acdref.commands._output import check_folder, check_output, is_stream, opened
from acdref.errors import FileError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("path,classes\n")
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.mark.parametrize("path", [None, "new.csv", "sub/new.CSV", "old.csv", "noending"])
def test_good_outputs(folder, path):
    (folder / "old.csv").write_text("old")
    check_output(path, "in.csv", None, "-", endings=(".csv", ""))


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("in.csv", "is an input"),
        ("sub/../in.csv", "is an input"),
        ("link.csv", "is an input"),
        ("sub", "a directory"),
        ("gone/x.csv", "its folder does not exist"),
        ("in.csv/x.csv", "its folder does not exist"),
        ("-", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("sound", "is a recording"),
        ("video", "is a recording"),
        ("damaged.MP3", "is a recording"),
    ],
)
def test_refused(folder, path, cause):
    (folder / "link.csv").symlink_to("in.csv")
    soundfile.write("sound", np.zeros(100), 8000, format="WAV")
    (folder / "video").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    (folder / "damaged.MP3").write_bytes(bytes(100))
    before = {name: (folder / name).read_bytes() for name in ("in.csv", "sound", "video", "damaged.MP3")}
    with pytest.raises(FileError, match=cause) as caught:
        check_output(path, "in.csv", None, endings=())
    assert caught.value.path == path
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_unknown_endings(folder):
    with pytest.raises(click.UsageError) as caught:
        check_output("x.xml", flag="--to", endings=(".csv", ".npz", ""), or_else="; or else")
    assert caught.value.message == "--to x.xml: its ending names no format; there are .csv, .npz; or else"
    with pytest.raises(click.UsageError, match=r"--out x: its ending names no format; there are \.csv$"):
        check_output("x", endings=(".csv",))
    check_output("x.xml")


def test_streams(folder):
    os.mkfifo("fifo.xml")
    for path in ("-", "/dev/stdout", "/dev/null", "/dev/fd/7", "fifo.xml"):
        assert is_stream(path)
        check_output(path, endings=(".csv",), stream=True)
    for path in ("in.csv", "sub", "gone", "a\0b"):
        assert not is_stream(path)


def test_a_descriptor_is_written_through(folder):
    with open("x.txt", "w+") as file:
        file.write("before ")
        file.flush()
        with opened(f"/dev/fd/{file.fileno()}") as stream:
            stream.write("after\udce9")
        file.write("!")  # it is open still
    assert (folder / "x.txt").read_bytes() == b"before after\xe9!"


def test_a_stream_that_is_full_is_named():
    if os.path.exists("/dev/full"):
        with pytest.raises(FileError, match="/dev/full: No space left"), opened("/dev/full") as stream:
            stream.write("x")


def test_folders(folder):
    check_folder(None)
    check_folder("new/deep", "in.csv", "sub")
    check_folder("sub", "in.csv", written="in.csv")
    for path, given, cause in (
        ("in.csv", None, "in.csv: not a folder"),
        ("sub", "sub/../sub", "sub: is an input"),
        (".", "in.csv", r"in.csv: is an input, and would be replaced"),
    ):
        with pytest.raises(FileError, match=cause):
            check_folder(path, given, written=r"in\.csv|x")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("train m.csv --out m.csv", 1, "m.csv: not a folder"),
        ("train run/metrics.csv --out run", 1, "run/metrics.csv: is an input"),
        ("train sounds --out sounds", 1, "sounds: is an input"),
        ("augment --listen run run/1-00-original.wav", 1, "run/1-00-original.wav: is an input"),
        ("augment --listen m.csv", 1, "m.csv: not a folder"),
        ("synth m.csv", 1, "m.csv: not a folder"),
        ("demo --keep m.csv", 1, "m.csv: not a folder"),
        ("conform export m.csv", 1, "m.csv: not a folder"),
        ("recipe self-correct m.csv --out m.csv", 1, "m.csv: not a folder"),
        ("recipe self-correct sounds --out sounds", 1, "sounds: is an input"),
        ("relabel m.csv --correct --scores s.csv --out s.csv", 1, "s.csv: is an input"),
        ("relabel m.csv --out gone/o.csv", 1, "gone/o.csv: its folder does not exist"),
        ("relabel m.csv --out o.npz", 2, "--out o.npz: its ending names no format"),
        ("relabel m.csv --out run/1-00-original.wav", 1, "is a recording"),
        ("teach bundle sounds --out s.csv", 2, "--out s.csv: its ending names no format; there are .npz"),
        ("teach bundle sounds --out s.npz --labels l.jsonl", 2, "--labels l.jsonl: its ending"),
        ("export --onnx sounds", 1, "sounds: a directory"),
        ("export --onnx gone/x.onnx", 1, "gone/x.onnx: its folder does not exist"),
        ("evaluate --fsd50k f --class-map m.csv --manifest-out m.csv", 1, "m.csv: is an input"),
    ],
)
def test_every_command_looks_first(folder, arguments, code, words):
    (folder / "m.csv").write_text("path,classes\na.wav,dog\n")
    (folder / "s.csv").write_text("path,dog\na.wav,0.5\n")
    write(folder / "run" / "1-00-original.wav", noise(0.1))
    (folder / "run" / "metrics.csv").write_text("path,classes\na.wav,dog\n")
    write(folder / "sounds" / "dog" / "a.wav", noise(0.1))
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    words_of = (word.replace("sounds", "sounds/").replace("run", "run/") for word in arguments.split())
    paths = [os.path.normpath(folder / word) if {*word} & {*"./"} else word for word in words_of]
    found, out, err = program(*paths)
    assert (found, out) == (code, "") and words in err.replace(f"{folder}/", "")
    assert len(err.splitlines()) <= 1 or code == 2
    assert before == sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
