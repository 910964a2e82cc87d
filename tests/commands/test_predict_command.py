"""`acdref predict` as its user meets it."""

import csv
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner
from predict_support import (
    CLASSES,
    ROOT,
    noise,
    program,
    write,
    write_damaged,
    write_tiny_weights,
    write_truncated,
)

from acdref.checkpoint import load_weights, save_weights
from acdref.commands._network import given_paths
from acdref.commands.predict import command
from acdref.errors import AcdrefError
from acdref.ops.threads import get_threads, set_threads

posix = pytest.mark.skipif(os.name != "posix", reason="signals and names of POSIX")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.npz")


@pytest.fixture
def predict(weights, monkeypatch):
    """Run the command in this process, with tiny weights; it leaves nothing behind for other tests."""
    monkeypatch.setattr("acdref.commands._network.one_blas_thread", lambda: None)

    def run(*arguments, stdin=b""):
        arguments = ["--weights", weights, *map(str, arguments)]
        return CliRunner().invoke(command, arguments, input=stdin)

    yield run
    set_threads(None)


@pytest.fixture
def clip(tmp_path):
    return write(tmp_path / "clip.wav", noise(12))


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_in_a_pipe(predict, clip):
    result = predict(clip)
    assert (result.exit_code, result.stderr) == (0, "")
    first, last = rows(result.stdout)
    assert (first["schema"], first["path"]) == ("acdref.predict/1", clip)
    assert [(row["start"], row["end"]) for row in (first, last)] == [("0.0", "10.0"), ("10.0", "12.0")]
    assert all(0 < float(row[name]) < 1 for row in (first, last) for name in CLASSES)


def test_jsonl(predict, clip):
    lines = predict(clip, "--format", "jsonl").stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        row = json.loads(line)
        assert list(row) == ["schema", "path", "start", "end", "scores"]
        assert tuple(row["scores"]) == CLASSES


def test_window_hop_threshold_top(predict, clip):
    lines = predict(clip, "--format", "jsonl", "--window", 4, "--hop", 2, "--top", 1).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert [(row["start"], row["end"]) for row in found] == [(t, t + 4.0) for t in (0, 2, 4, 6, 8)]
    assert all(len(row["scores"]) == 1 for row in found)
    (line,) = predict(clip, "--format", "jsonl", "--window", 12, "--threshold", 1).stdout.splitlines()
    assert json.loads(line)["scores"] == {}


def test_a_click_gets_no_tag_unless_asked_for(tmp_path):
    """However low a threshold weights have: the table says why; programs get every score."""
    net, meta = load_weights(write_tiny_weights(tmp_path / "tiny.npz"), "numpy")
    net.params["dense.bias"][1] = 3.0
    save_weights(tmp_path / "sure.npz", net, meta["classes"], thresholds=[0.1] * 3)
    t = np.arange(1344) / 16000
    path = write(tmp_path / "click.wav", 0.5 * np.exp(-300 * t) * noise(0.084, 1))
    say = partial(program, "predict", "--backend", "numpy", "--weights", tmp_path / "sure.npz", path)
    _, out, _ = say("--format", "table")
    assert out.splitlines()[-1].split(maxsplit=2)[2] == "-  (0.084 s are too short to know a sound by)"
    assert CLASSES[1] in say("--format", "table", "--threshold", "0.5")[1]
    assert float(next(csv.DictReader(io.StringIO(say("--format", "csv")[1])))[CLASSES[1]]) > 0.5


def test_table_shows_half_and_above_unless_told(predict, clip):
    assert "(scores from 0.5)" in predict(clip, "--format", "table").stdout
    assert "(scores from 0.3)" in predict(clip, "--format", "table", "--threshold", 0.3).stdout
    text = predict(clip, "--format", "table", "--top", 3).stdout
    assert "scores from" not in text
    assert all(name in text for name in CLASSES)


def test_one_bad_recording(predict, clip, tmp_path):
    (tmp_path / "bad.wav").write_text("not audio")
    result = predict(tmp_path / "bad.wav", clip)
    assert result.exit_code == 3
    bad, *good = rows(result.stdout)
    assert (bad["path"], bad["error"]) == (str(tmp_path / "bad.wav"), "text, not audio")
    assert len(good) == 2 and all(row["error"] == "" for row in good)
    assert result.stderr.splitlines() == [
        f"acdref: {tmp_path / 'bad.wav'}: text, not audio",
        "acdref: 1 of 2 failed",
    ]


def test_recordings_are_counted_not_rows(predict, clip, tmp_path):
    late, none = write_damaged(tmp_path / "late.wav", 12), str(tmp_path / "none.wav")
    result = predict(clip, clip, late, none, none)
    assert result.exit_code == 3
    assert len(rows(result.stdout)) == 2 + 2 + 2 + 2  # late.wav: a window, then the damage
    assert result.stderr.endswith("acdref: 3 of 5 failed\n")


def test_truncated_recording_is_used_and_noted(predict, tmp_path):
    path = write_truncated(tmp_path / "cut.wav", 13, 11.5)
    result = predict(path, "--format", "jsonl")
    assert result.exit_code == 0
    first, last = map(json.loads, result.stdout.splitlines())
    assert "note" not in first
    assert (last["end"], last["note"]) == (11.5, "ends early: 11.50 s decoded of 13.00 s")


@pytest.mark.parametrize("name", ["missing.wav", "empty", "text.wav"])
def test_nothing_scored(predict, tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.wav").write_text("not audio")
    result = predict(tmp_path / name)
    assert result.exit_code == 1
    assert len(rows(result.stdout)) == 1
    assert result.stderr.startswith(f"acdref: {tmp_path / name}: ") and result.stderr.count("\n") == 1


def test_whatever_the_number_of_threads(weights, tmp_path):
    """The same bytes on stdout and stderr: bad recordings in their places, the notes of each with it."""
    for i, seconds in enumerate((21, 3, 0.1, 12, 10, 1)):
        write(tmp_path / "a" / f"{i}.wav", noise(seconds, seed=i))
    (tmp_path / "a" / "1b.wav").write_text("not audio")
    write_damaged(tmp_path / "a" / "2b.wav", 12)
    write_truncated(tmp_path / "a" / "3b.wav")
    (tmp_path / "a" / "z.txt").touch()
    (tmp_path / "b").mkdir()
    paths = tmp_path / "a", tmp_path / "none.wav", tmp_path / "b", tmp_path / "a" / "1.wav"
    for arguments in (paths, (tmp_path / "a", "--scores", tmp_path / "s.csv")):
        found = []
        for threads in 1, 2, 5:
            command = ("predict", "--weights", weights, "--backend", "numpy", "--threads", threads)
            found.append(program(*command, *arguments))
            if arguments is not paths:
                found[-1] += ((tmp_path / "s.csv").read_bytes(),)
        assert found[0] == found[1] == found[2]
        assert found[0][0] == 3 and found[0][2].count("\n") > 3


def test_list_on_stdin(predict, clip, tmp_path):
    other = write(tmp_path / "sub" / "other.wav", noise(1))
    result = predict("-", stdin=f"{clip}\n\n{tmp_path / 'sub'}\r\n".encode())
    assert [row["path"] for row in rows(result.stdout)] == [clip, clip, other]


def test_empty_list(weights):
    code, out, err = program("predict", "--weights", weights, "-")
    assert (code, err) == (1, "acdref: no recordings were given\n")
    assert len(out.splitlines()) == 1  # the header


def test_out_that_is_an_input(clip, tmp_path, weights):
    sound = shutil.copy(clip, tmp_path / "a.wav")
    before = sound.read_bytes()
    other = shutil.copy(clip, tmp_path / "b.wav")
    (tmp_path / "m.csv").write_text("path,classes\na.wav,\n")
    for arguments, cause in (
        ((sound, "--out", sound), "is an input"),
        ((other, "--out", sound), "is a recording"),
        ((tmp_path / "m.csv", "--scores", tmp_path / "m.csv"), "is an input"),
        ((sound, "--out", weights), "is an input"),
    ):
        code, stdout, err = program("predict", "--weights", weights, *arguments)
        assert (code, stdout) == (1, "")
        assert f"{arguments[2]}: {cause}, and would be replaced" in err and err.count("\n") == 1
    assert sound.read_bytes() == before and (tmp_path / "m.csv").read_text().startswith("path")


@posix
@pytest.mark.parametrize("form", ["csv", "jsonl", "table"])
def test_name_that_is_not_utf8(weights, clip, tmp_path, form):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    os.rename(clip, name)
    code, out, err = program("predict", "--weights", weights, "--format", form, "-", stdin=os.fsencode(name))
    assert (code, err) == (0, "")
    if form == "csv":
        assert {row["path"] for row in rows(out)} == {name}
    elif form == "jsonl":
        assert {json.loads(line)["path"] for line in out.splitlines()} == {name}
    else:
        assert r"caf\udce9.wav" in out


def test_results_stream(weights, clip):
    """A row is there while the list on stdin is still open."""
    arguments = [
        sys.executable,
        "-m",
        "acdref.cli",
        "predict",
        "--weights",
        weights,
        "--format",
        "jsonl",
        "-",
    ]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        watchdog = threading.Timer(60, process.kill)  # without a row, the line below would wait for ever
        watchdog.start()
        for _ in range(2):
            process.stdin.write(clip.encode() + b"\n")
            process.stdin.flush()
            ends = [json.loads(process.stdout.readline())["end"] for _ in range(2)]
            assert ends == [10.0, 12.0]
        process.stdin.close()
        assert process.wait() == 0
        watchdog.cancel()


@posix
@pytest.mark.parametrize("form", ["csv", "jsonl", "table"])
def test_reader_that_stops_reading(weights, clip, form):
    arguments = [sys.executable, "-m", "acdref.cli", "predict", "--weights", weights, "--format", form]
    with subprocess.Popen(
        [*arguments, *[clip] * 4], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.csv", "schema,"), ("a.JSONL", "{"), ("a.table", " "), ("a.txt", " "), ("a", "schema,")],
)
def test_out_has_the_format_of_its_name(predict, clip, tmp_path, name, start):
    result = predict(clip, "--out", tmp_path / "results" / name)
    assert result.exit_code == 1  # no such folder
    (tmp_path / "results").mkdir()
    result = predict(clip, "--out", tmp_path / "results" / name)
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "results" / name).read_text().startswith(start)
    assert os.listdir(tmp_path / "results") == [name]


def test_out_is_what_stdout_would_be(predict, clip, tmp_path):
    bad = str(tmp_path / "none.wav")
    result = predict(clip, bad, "--out", tmp_path / "a.csv")
    assert result.exit_code == 3
    assert (tmp_path / "a.csv").read_text() == predict(clip, bad).stdout


def test_out_behind_a_link(predict, clip, tmp_path):
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "old.csv")
    predict(clip, "--out", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "old.csv").read_text().startswith("schema,")


def test_out_that_is_no_file(weights, clip, tmp_path):
    (tmp_path / "a.csv").mkdir()
    for name, cause in (("a.csv", "a directory"), ("x/y.csv", "its folder does not exist")):
        for flag in ("--out", "--scores"):
            code, stdout, err = program("predict", "--weights", weights, clip, flag, tmp_path / name)
            assert (code, stdout, err) == (1, "", f"acdref: {tmp_path / name}: {cause}\n")


def test_endings_that_name_no_format(predict, clip, tmp_path):
    for name, flag, words in (
        (
            "a.json",
            "--out",
            "its ending names no format; there are .csv, .jsonl, .parquet, .table, .tsv, .txt; or name",
        ),
        ("a.csv.gz", "--out", "its ending names no format"),
        ("a.txt", "--scores", "its ending names no format; there are .npz, .csv"),
        ("a", "--scores", "its ending names no format"),
    ):
        result = predict(clip, flag, tmp_path / name)
        assert result.exit_code == 2 and f"{flag} {tmp_path / name}: {words}" in result.output
    assert predict(clip, "--out", tmp_path / "a.json", "--format", "jsonl").exit_code == 0
    assert (tmp_path / "a.json").read_text().startswith("{")


@posix
def test_out_may_be_a_stream(weights, clip, tmp_path):
    arguments = ("predict", "--weights", weights, clip, "--out")
    expected = program(*arguments[:-1])[1]
    for out in ("-", "/dev/stdout", "/dev/fd/1"):
        assert program(*arguments, out) == (0, expected, "")
    assert program(*arguments, os.devnull) == (0, "", "")
    assert program(*arguments, "/dev/stderr") == (0, "", expected)
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen(["cat", tmp_path / "fifo"], stdout=subprocess.PIPE, text=True) as reader:
        assert program(*arguments, tmp_path / "fifo") == (0, "", "")
        assert reader.stdout.read() == expected
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone, open(tmp_path / "log", "w") as file:
        gone.wait()
        command = [sys.executable, "-m", "acdref.cli", *arguments, f"/dev/fd/{gone.stdin.fileno()}"]
        done = subprocess.run(command, cwd=ROOT, pass_fds=[gone.stdin.fileno()], stderr=file)
    assert done.returncode == 1  # only that of stdout may leave before the end
    assert (tmp_path / "log").read_text().endswith("Broken pipe\n")


@posix
def test_interrupted_leaves_the_old_file(weights, clip, tmp_path):
    (tmp_path / "results").mkdir()
    out = tmp_path / "results" / "a.csv"
    out.write_text("old")
    arguments = [sys.executable, "-m", "acdref.cli", "predict", "--weights", weights, "--out", out, "-"]
    # A shell starts background jobs with SIGINT ignored, and children inherit that: undone here.
    with subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        process.stdin.write(f"{clip}\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not any(p.stat().st_size > 200 for p in out.parent.iterdir()):  # the rows of the clip
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read().endswith("acdref: interrupted\n")
    assert os.listdir(out.parent) == ["a.csv"]
    assert out.read_text() == "old"


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), (b"not weights", "not a weights file")]
)
def test_bad_weights_are_one_line(clip, tmp_path, content, words):
    path = tmp_path / "w.npz"
    if content is not None:
        path.write_bytes(content)
    code, out, err = program("predict", "--weights", path, clip)
    assert (code, out) == (1, "")
    assert err.startswith(f"acdref: {path}: ") and words in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("x", "--window", "0"),
        ("x", "--window", "nan"),
        ("x", "--window", "inf"),
        ("x", "--hop", "0"),
        ("x", "--hop", "nan"),
        ("x", "--threshold", "1.5"),
        ("x", "--threshold", "nan"),
        ("x", "--top", "0"),
        ("x", "--threads", "0"),
        ("x", "--format", "xml"),
        ("x", "--backend", "torch"),
    ],
)
def test_wrong_usage(predict, arguments):
    assert predict(*arguments).exit_code == 2


def test_wrong_number_of_threads_in_the_environment(weights, clip):
    code, out, err = program("predict", "--weights", weights, clip, ACDREF_NUM_THREADS="many")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "ACDREF_NUM_THREADS" in err


def test_threads(predict, clip):
    predict(clip, "--threads", 7)
    assert get_threads() == 7
    predict(clip)
    assert get_threads() != 7


def test_named_backend_repeats_bit_equal(predict, clip):
    first = predict(clip, "--backend", "numpy").stdout
    assert predict(clip, "--backend", "numpy").stdout == first


def test_backends_agree(predict, clip):
    pytest.importorskip("numba")
    a, b = (rows(predict(clip, "--backend", name, "--threads", 1).stdout) for name in ("numpy", "numba"))
    for x, y in zip(a, b, strict=True):
        assert [float(x[name]) for name in CLASSES] == pytest.approx(
            [float(y[name]) for name in CLASSES], abs=2e-6
        )


def test_help_has_examples_and_exit_codes():
    text = CliRunner().invoke(command, ["--help"]).output
    assert "Examples:" in text and "Exit codes:" in text and "acdref.predict/1" in text


def test_scores_of_a_manifest_are_what_relabel_reads(tmp_path):
    weights = write_tiny_weights(tmp_path / "w.npz")
    for name in ("a", "b"):
        write(tmp_path / "sounds" / f"{name}.wav", noise(2))
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,classes\nb.wav,hum\ngone.wav,dog\na.wav,\n")
    scores = tmp_path / "s.npz"
    arguments = ("--weights", weights, "--root", tmp_path / "sounds", "--scores", scores)
    code, out, err = program("predict", *arguments, manifest)
    assert (code, out) == (3, f"{scores}: scores of 2 of 3 recordings\n")
    assert "gone.wav: no such file" in err
    code, out, err = program(
        "relabel", manifest, "--scores", scores, "--correct", "--out", tmp_path / "o.csv"
    )
    assert (code, err) == (0, f"acdref: {scores}: scores that are of no class, and say nothing: rain\n")
    assert out.splitlines()[-1].startswith("3 clips")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--root", "x", "a.wav"), "--root goes with --scores"),
        (("--scores", "s.npz", "a", "b"), "--scores takes one PATH"),
        (("--scores", "s.npz", "--top", "2", "a"), "--top does not go with --scores"),
        (("--scores", "s.npz", "--format", "csv", "a"), "--format does not go with --scores"),
        (("--scores", "s.npz", "--threshold", "0", "a"), "--threshold does not go with --scores"),
        (("--scores", "s.npz", "--null", "a"), "--null does not go with --scores"),
    ],
)
def test_wrong_usage_of_scores(arguments, words):
    code, out, err = program("predict", *arguments)
    assert (code, out) == (2, "") and words in err


class Slow(io.BytesIO):
    """A pipe that gives one byte at a time."""

    def read1(self, n=-1):
        return super().read1(1)


@pytest.fixture(params=[io.BytesIO, Slow])
def listed(request, monkeypatch):
    """The paths on stdin."""

    def read(content, null=False):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(request.param(content)))
        return list(itertools.chain(*given_paths(["x", "-"], null)))[1:]

    return read


def test_names_on_stdin_keep_their_blanks(listed):
    assert listed(b" a .wav \r\n\n\tb\n") == [" a .wav ", "\tb"]


def test_names_that_end_with_nul(listed):
    assert listed(b"a\nb.wav\0 c\r\0\0d", null=True) == ["a\nb.wav", " c\r", "d"]


def test_a_byte_order_mark_is_no_part_of_a_name(listed):
    assert listed(b"\xef\xbb\xbfa.wav\nb.wav\n") == ["a.wav", "b.wav"]
    assert listed(b"\xef\xbb\xbfa.wav\0", null=True) == ["a.wav"]
    assert listed(b"\xef\xbb") == [os.fsdecode(b"\xef\xbb")]
    assert listed(b"\xef\n") == [os.fsdecode(b"\xef")]
    assert listed(b"") == []


@pytest.mark.parametrize(
    ("content", "null", "cause"),
    [
        (b"a.wav\0b.wav\0", False, "with --null"),
        (b"RIFF\x24\0\0\0WAVEfmt ", False, "binary data"),
        (b"RIFF\x24\1\0\0WAVEfmt \x10", True, "binary data"),
        ("a.wav\n".encode("utf-16"), False, "UTF-16"),
        ("a.wav\n".encode("utf-16-be"), False, "binary data"),
        (b"a\x01b\n/\n", False, "binary data"),
        (b"\x80" * 70000, False, "binary data"),
        (b"/\n", False, "the root folder"),
        (b"//\r\n", False, "the root folder"),
        (b"/..\0", True, "the root folder"),
    ],
)
def test_what_is_no_list_of_paths(listed, content, null, cause):
    with pytest.raises(AcdrefError, match=cause) as caught:
        listed(content, null)
    assert str(caught.value).startswith("stdin ") and "\n" not in str(caught.value)


def test_a_list_without_a_pause_is_one(monkeypatch, tmp_path):
    """Whoever shares work out does not wait for it wherever a read ends, but does where the list does."""
    names = [f"recordings/{i:06}.wav" for i in range(20_000)]
    (tmp_path / "list").write_text("\n".join(names))
    with open(tmp_path / "list") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert [list(some) for some in given_paths(["-"])] == [names]
    end, begin = os.pipe()
    with os.fdopen(end) as stdin, os.fdopen(begin, "w") as writer:
        monkeypatch.setattr(sys, "stdin", stdin)
        writer.write("a.wav\nb.wav\n")
        writer.flush()
        lists = given_paths(["-"])
        assert list(next(lists)) == ["a.wav", "b.wav"]
        writer.write("c.wav\n")
        writer.close()
        assert [path for some in lists for path in some] == ["c.wav"]


def test_null_without_a_list(predict, clip):
    result = predict("--null", clip)
    assert result.exit_code == 2 and "--null goes with" in result.output


def test_lists_that_end_with_nul(predict, clip):
    result = predict("-0", "-", stdin=clip.encode() + b"\0")
    assert result.exit_code == 0 and {row["path"] for row in rows(result.stdout)} == {clip}


def test_sound_on_stdin_is_refused(weights, clip):
    with open(clip, "rb") as file:
        code, out, err = program("predict", "--weights", weights, "-", stdin=file.read())
    assert code == 1 and len(out.splitlines()) == 1 and err.count("\n") == 1
    assert err.startswith("acdref: stdin holds binary data, no list of paths")
