"""What `acdref predict` needs and loads, and how it behaves on a terminal."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from predict_support import ROOT, noise, program, write, write_tiny_weights

from acdref.commands._network import one_blas_thread

# Runs the command line with some modules missing; the last line of stderr names what was loaded from outside
# the standard library.
HARNESS = """
import sys
before = set(sys.modules)
missing, sys.argv[1:] = sys.argv[1].split(","), sys.argv[2:]
sys.modules.update(dict.fromkeys(missing))
from acdref.cli import main
try:
    main()
finally:
    loaded = {name for name, module in sys.modules.items() if module is not None} - before
    tops = {name.partition(".")[0] for name in loaded if not name.startswith("_cython_")}
    print(*sorted(tops - set(sys.stdlib_module_names)), file=sys.stderr)
"""
CLICK, NUMPY = {"click"}, {"numpy", "cython_runtime"}
SOUNDFILE = {"soundfile", "_soundfile", "_soundfile_data", "cffi", "_cffi_backend", "typing_extensions"}
NEEDED = {"acdref"} | CLICK | NUMPY | SOUNDFILE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write(folder / "mono.wav", noise(10))
    write(folder / "stereo.wav", noise(20, rate=44100).reshape(-1, 2), 44100)
    write_tiny_weights(folder / ".tiny.npz")
    return folder


def harness(missing, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", HARNESS, missing, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    )
    *stderr, loaded = done.stderr.splitlines()
    return done.returncode, done.stdout, stderr, set(loaded.split())


def test_needs_only_numpy_soundfile_and_click(folder):
    missing = "numba,llvmlite,scipy,sklearn,pandas,librosa,onnxruntime,torch,matplotlib,cffi_backend"
    code, out, stderr, loaded = harness(missing, "predict", "--weights", folder / ".tiny.npz", folder)
    assert (code, stderr) == (0, [])
    assert [line.split(",")[1:4] for line in out.splitlines()[1:]] == [
        [str(folder / name), "0.0", "10.0"] for name in ("mono.wav", "stereo.wav")
    ]
    assert loaded <= NEEDED


def test_numba_is_not_touched_for_a_short_job(folder, tmp_path):
    """Not even looked for: the first call on a fresh machine must not wait for a compiler."""
    code, _, _, loaded = harness(
        "none", "predict", "--weights", folder / ".tiny.npz", folder, ACDREF_CACHE_DIR=str(tmp_path / "cache")
    )
    assert code == 0
    assert loaded <= NEEDED
    assert not (tmp_path / "cache").exists()


def test_numba_by_name_where_it_is_missing(folder):
    arguments = ("predict", "--weights", folder / ".tiny.npz", "--backend", "numba", folder)
    code, out, stderr, _ = harness("numba", *arguments)
    assert (code, out) == (1, "")
    assert len(stderr) == 1 and "pip install 'acdref[fast]'" in stderr[0]


@pytest.mark.parametrize("name", ["predict", "evaluate", "info"])
def test_help_needs_no_numpy(name):
    code, out, stderr, loaded = harness("numpy,soundfile,numba", name, "--help")
    assert (code, stderr) == (0, [])
    assert "Exit codes:" in out
    assert loaded <= {"acdref", "click"}


def test_help_of_all_commands_needs_no_numpy():
    code, _, _, loaded = harness("numpy,soundfile,numba", "--help")
    assert code == 0
    assert loaded <= {"acdref", "click"}


def test_one_blas_thread_unless_the_user_wants_more(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")  # so that its absence is restored afterwards
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    one_blas_thread()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_blas_threads_are_set_before_numpy_reads_them():
    code = """
import sys
from acdref.commands import _network
_network.one_blas_thread = lambda: sys.exit(9 if "numpy" in sys.modules else 7)
_network.open_network(None, "auto", None, None)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 7


@pytest.fixture
def terminal(folder):
    """Run a command with stdout and stderr on a pseudo-terminal; what it shows."""
    pty = pytest.importorskip("pty")

    def run(*arguments, columns=60, **streams):
        ours, theirs = pty.openpty()
        streams = {"stdout": theirs, "stderr": theirs} | streams
        process = subprocess.Popen(
            [sys.executable, "-m", "acdref.cli", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=os.environ | {"COLUMNS": str(columns)},
            **streams,
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the end, on Linux
                break
            if not part:
                break
            shown += part
        os.close(ours)
        return process.wait(), shown.decode().replace("\r\n", "\n")

    return run


def test_table_on_a_terminal(terminal, folder):
    code, shown = terminal("predict", "--weights", folder / ".tiny.npz", folder)
    assert code == 0
    lines = [line.rpartition("\033[K")[2] for line in shown.split("\n")]
    heads = "start end tags (scores from 0.5), below 0.3 s (from 0.99), acdref.predict/1"
    assert lines[0].split() == heads.split()
    assert lines[1] == str(folder / "mono.wav")
    assert lines[2].split()[:2] == ["0:00.0", "0:10.0"]


def test_error_is_shown_once_on_a_terminal(terminal, folder):
    code, shown = terminal("predict", "--weights", folder / ".tiny.npz", "missing.wav")
    assert code == 1
    assert shown.count("no such file") == 1


def test_progress_on_a_terminal_only(terminal, folder):
    code, shown = terminal(
        "predict", "--weights", folder / ".tiny.npz", folder, folder, stdout=subprocess.DEVNULL
    )
    assert code == 0
    assert "\r\033[Krecording 1 of 4  " in shown and "\n" not in shown
    assert shown.endswith("\r\033[K")
    # Cut to the width of the terminal, so that it stays one line.
    assert max(len(part) for part in shown.split("\r\033[K")) == 59
    code, _, err = program("predict", "--weights", folder / ".tiny.npz", folder)
    assert (code, err) == (0, "")


def test_how_far_the_work_is_on_a_terminal(terminal, folder):
    arguments = ("predict", "--weights", folder / ".tiny.npz", folder, folder)
    _, shown = terminal(*arguments, stdout=subprocess.DEVNULL, columns=200)
    seen = (
        r"recording [1-4] of 4(  \d:\d\d:\d\d left)?  [\d.]+ x real time  0:00:\d\d of sound  "
        r"(mono|stereo)\.wav  \d+ s"
    )
    lines = list(filter(None, shown.split("\r\033[K")))
    assert all(re.fullmatch(seen, line) for line in lines)
    assert " left" in lines[-1]
    # A set, whose recordings are counted anyway.
    _, shown = terminal(*arguments[:3], folder, "--scores", folder / ".s.csv", columns=200)
    assert re.search(r"2 of 2 recordings  0:00:00 left  [\d.]+ x real time  0:00:20 of sound\r", shown)


@pytest.mark.parametrize("where", ["terminal", "pipe"])
def test_quiet_and_verbose(terminal, folder, tmp_path, where):
    (tmp_path / "bad.wav").write_text("not audio")
    write(tmp_path / "short.wav", noise(0.1))

    def said(*flags):
        paths = ("predict", "--weights", folder / ".tiny.npz", *flags, tmp_path)
        if where == "pipe":
            return program(*paths)[2]
        return terminal(*paths, stdout=subprocess.DEVNULL, columns=200)[1]

    errors = [f"acdref: {tmp_path / 'bad.wav'}: text, not audio", "acdref: 1 of 2 failed"]
    assert said("-q").splitlines() == errors
    lines = [line.rpartition("\033[K")[2] for line in said("-v").split("\n")]
    backend, bad, note, failed, passed, *rest = lines
    assert backend.startswith(f"acdref: {folder / '.tiny.npz'}: backend auto, ")
    assert [bad, failed] == errors and not any(rest)
    assert note == f"acdref: {tmp_path / 'short.wav'}: 0.100 s are too short to know a sound by"
    assert re.fullmatch(r"acdref: 0:00:\d\d passed  [\d.]+ s of processor time  .* of sound", passed)
    code, _, err = program("predict", "-q", "-v", tmp_path)
    assert code == 2 and "--quiet or --verbose" in err


def test_what_a_folder_holds_besides_recordings_is_one_line(folder, tmp_path):
    shutil.copy(folder / "mono.wav", tmp_path / "dog.wav")
    shutil.copy(folder / "mono.wav", tmp_path / "cat.bak")
    line = (
        "acdref: passed over 1 file (no recordings by their names): 1 .bak; "
        f"like recordings inside, and read if given by name: {tmp_path / 'cat.bak'}\n"
    )
    weights = ("--weights", folder / ".tiny.npz")
    code, _, err = program("predict", *weights, tmp_path)
    assert (code, err) == (0, line)
    code, _, err = program("predict", *weights, tmp_path, "--scores", tmp_path / ".s.npz")
    assert (code, err) == (0, line.replace("acdref: ", f"acdref: {tmp_path}: "))


def test_what_a_decoder_prints_does_not_reach_stdout(tmp_path):
    soundfile.write(
        tmp_path / "a.sds", np.sin(np.arange(8000) * 0.2) / 2, 16000, format="SDS", subtype="PCM_16"
    )
    content = bytearray((tmp_path / "a.sds").read_bytes())
    content[21 + 3 * 127] = 0x41  # the mark of the fourth packet: libsndfile prints "Error A : 41", from C
    (tmp_path / "a.sds").write_bytes(content)
    weights = write_tiny_weights(tmp_path / "tiny.npz")
    code, stdout, err = program("predict", "--weights", weights, "--format", "jsonl", tmp_path / "a.sds")
    assert code == 0 and json.loads(stdout)["end"] == 0.5
    if hasattr(os, "memfd_create"):
        assert err.startswith(f"acdref: {tmp_path / 'a.sds'}: its decoder complains: Error A : ")
    assert err.count("\n") <= 1


def test_what_a_decoder_prints_is_said_of_its_recording(tmp_path):
    """Though others were decoded ahead of its results."""
    for name in "abcd":
        soundfile.write(
            tmp_path / f"{name}.sds",
            np.sin(np.arange(400000) * 0.2) / 2,
            16000,
            format="SDS",
            subtype="PCM_16",
        )
    content = bytearray((tmp_path / "c.sds").read_bytes())
    content[21 + 3 * 127] = 0x41
    (tmp_path / "c.sds").write_bytes(content)
    (tmp_path / "b.sds").write_text("not audio")
    weights = write_tiny_weights(tmp_path / ".tiny.npz")
    code, _, err = program("predict", "--weights", weights, "--threads", 3, *sorted(tmp_path.glob("*.sds")))
    assert code == 3
    about = [line.partition(".sds: ")[0][-1] for line in err.splitlines()[:-1]]
    assert about == (["b", "c"] if hasattr(os, "memfd_create") else ["b"])


def test_a_dead_stderr_does_not_end_the_work(tmp_path):
    weights = write_tiny_weights(tmp_path / "tiny.npz")
    soundfile.write(tmp_path / "z.wav", np.sin(np.arange(16000)) / 2, 16000)
    for i in range(3):
        (tmp_path / f"{i}.wav").write_text("no sound")
    command = [
        sys.executable,
        "-m",
        "acdref.cli",
        "predict",
        "--weights",
        weights,
        "--format",
        "csv",
        tmp_path,
    ]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=writer, cwd=ROOT, text=True)
    os.close(writer)
    assert done.returncode == 3
    assert [line.count("text, not audio") for line in done.stdout.splitlines()] == [0, 1, 1, 1, 0]
