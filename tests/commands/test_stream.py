"""`acdref predict --pcm` and `--mic` as their user meets them."""

import csv
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from predict_support import ROOT, noise, program, write, write_tiny_weights

from acdref.commands._stream import stream_of

posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.npz")


@pytest.fixture(scope="module")
def sound():
    """Integers (n, 2) at 48 kHz, 2.7 s."""
    x = np.stack([noise(2.7, seed=i, rate=48000) for i in range(2)], axis=1)
    return np.rint(x * 32767).astype("<i2")


def predict(weights, *arguments, stdin=b""):
    return program("predict", "--weights", weights, "--backend", "numpy", *arguments, stdin=stdin)


def test_the_rows_of_a_file(weights, sound, tmp_path):
    path = write(tmp_path / "x.wav", sound, 48000, subtype="PCM_16")
    window = ("--window", 1, "--hop", 0.5)
    expected = predict(weights, path, *window)[1].replace(path, "stdin")
    assert expected.count("\n") == 6
    for form, data in (("s16le:48000:2", sound.tobytes()), ("wav", (tmp_path / "x.wav").read_bytes())):
        for dash in ((), ("-",)):
            assert predict(weights, *window, "--pcm", form, *dash, stdin=data) == (0, expected, "")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg")
def test_what_ffmpeg_writes_to_a_pipe(weights, sound, tmp_path):
    path = write(tmp_path / "x.wav", sound, 48000, subtype="PCM_16")
    ffmpeg = ["ffmpeg", "-v", "error", "-i", path, "-f", "wav", "-"]
    data = subprocess.run(ffmpeg, capture_output=True, check=True).stdout
    assert b"data\xff\xff\xff\xff" in data  # its length is unknown
    expected = predict(weights, path)[1].replace(path, "stdin")
    assert predict(weights, "--pcm", "wav", stdin=data) == (0, expected, "")


@posix
def test_rows_come_while_the_sound_goes_on_and_an_interruption_is_130(weights, sound):
    arguments = ["--weights", weights, "--backend", "numpy", "--window", "1", "--pcm", "s16le:48000:2"]
    with subprocess.Popen(
        [sys.executable, "-m", "acdref.cli", "predict", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        process.stdin.write(sound[: 48000 * 2 + 4800 + 1].tobytes()[:-1])  # within a frame
        process.stdin.flush()
        shown, deadline = b"", time.monotonic() + 60
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while shown.count(b"\n") < 3 and time.monotonic() < deadline:
                if selector.select(1):
                    shown += os.read(process.stdout.fileno(), 1 << 16)
        rows = list(csv.DictReader(shown.decode().splitlines()))
        assert [(row["path"], row["end"]) for row in rows] == [("stdin", "1.0"), ("stdin", "2.0")]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == b"acdref: interrupted\n"


def test_losses_and_failures_are_said(weights, sound):
    code, out, err = predict(weights, "--pcm", "s16le:48000:2", "-q", stdin=sound.tobytes() + b"\0")
    said = "ends within a frame: 1 of its 4 bytes came, and were left out"
    assert (code, err) == (0, f"acdref: stdin: {said}\n") and said in out
    code, out, err = predict(weights, "--pcm", "wav", stdin=b"text")
    assert (code, out.count("\n")) == (1, 2)
    assert err.startswith("acdref: stdin: not a WAV")


def test_without_sounddevice(weights, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise ImportError")
    code, out, err = program("predict", "--weights", weights, "--mic", "--top", "3", PYTHONPATH=str(tmp_path))
    assert (code, out.count("\n"), err.count("\n")) == (1, 1, 1)
    assert "pip install 'acdref[mic]'" in err


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ((), "Missing argument"),
        (("--pcm",), "requires an argument"),
        (("--pcm", "s16"), "no sample format"),
        (("--pcm", "wav", "x.wav"), "without PATH"),
        (("--pcm", "wav", "-", "-"), "without PATH"),
        (("--mic", "--pcm", "wav"), "without PATH"),
        (("-", "--mic"), "without PATH"),
        (("--pcm", "wav", "--null"), "--null does not go with --pcm"),
        (("--mic", "--scores", "x.npz"), "--scores does not go with --mic"),
        (("--pcm", "wav", "--out", "x.csv"), "--pcm goes with > x.csv"),
    ],
)
def test_wrong_usage(weights, arguments, cause):
    code, out, err = predict(weights, *arguments)
    assert (code, out) == (2, "")
    assert cause in err


def test_a_terminal_is_no_source_of_sound():
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-m", "acdref.cli", "predict", "--pcm", "wav"]
    done = subprocess.run(arguments, stdin=theirs, capture_output=True, cwd=ROOT)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2 and b"a terminal" in done.stderr


def test_paths_are_paths():
    assert stream_of(("-",), None, None, ["x.csv"], null=True) is None


def test_a_stream_of_results_may_be_named():
    name, _ = stream_of((), None, "usb", [None, "/dev/stdout"], null=False)
    assert name == "usb"
