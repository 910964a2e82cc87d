"""The command line itself: what it loads, and how it ends when it cannot write."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from predict_support import ROOT, noise, program, write, write_tiny_weights

from acdref import __version__
from acdref.cli import COMMANDS, group

INSTALL = (ROOT / "docs/install.md").read_text(encoding="utf-8")


def test_help_names_every_command_and_loads_no_numpy():
    code = "import sys; from acdref.cli import group; group.get_help(group.make_context('acdref', ['info']))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit('numpy' in sys.modules or 'numba' in sys.modules)"]
    )
    assert done.returncode == 0
    status, out, _ = program("--help")
    assert status == 0
    assert all(f"\n  {name} " in out for name in COMMANDS)


def test_every_command_has_examples_and_exit_codes():
    for name in COMMANDS:
        help = group.get_command(None, name).help
        assert "Example" in help and "Exit codes" in help, name


def test_version():
    assert program("--version")[1].split()[-1] == __version__


def signals_count():
    """A shell starts background jobs with these signals ignored, and children inherit that: undone here."""
    for name in ("SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


@pytest.fixture
def working(tmp_path):
    """Starts `acdref predict --out tags.csv`, which then waits for paths; gives the process."""
    weights, started = write_tiny_weights(tmp_path / "w.npz"), []

    def start(*before):
        arguments = ["predict", "--weights", weights, "--backend", "numpy", "--out", "out/tags.csv", "-"]
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "acdref.cli", *map(str, arguments)],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=signals_count,
        )  # fmt: skip
        started.append(process)
        while not list((tmp_path / "out").glob(".tags*.tmp")) and process.poll() is None:
            time.sleep(0.02)
        return process

    (tmp_path / "out").mkdir()
    write(tmp_path / "a.wav", noise(1))
    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process, stdin=None):
    out, told = process.communicate(stdin, timeout=60)
    return process.returncode, out, told


posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and locks")


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_leaves_nothing_unfinished(working, tmp_path, name):
    (tmp_path / "out" / "tags.csv").write_text("old")
    process = working()
    for _ in range(1 if name == "SIGINT" else 2):  # `timeout` sends two
        process.send_signal(getattr(signal, name))
    assert ended(process) == (130, "", "acdref: interrupted\n")
    assert os.listdir(tmp_path / "out") == ["tags.csv"]
    assert (tmp_path / "out" / "tags.csv").read_text() == "old"


@posix
@pytest.mark.skipif(shutil.which("nohup") is None, reason="needs nohup")
def test_under_nohup_a_lost_terminal_ends_nothing(working, tmp_path):
    process = working("nohup")
    process.send_signal(signal.SIGHUP)
    code, _, told = ended(process, "a.wav\n")
    assert code == 0 and "interrupted" not in told
    assert os.listdir(tmp_path / "out") == ["tags.csv"]


@posix
def test_the_second_run_is_refused_and_a_killed_one_is_in_nobodys_way(working, tmp_path):
    first = working()
    code, out, told = ended(working(), "a.wav\n")
    assert (code, out) == (1, "")
    assert told.count("\n") == 1 and "out/tags.csv: another run is writing it" in told
    first.kill()
    first.wait()
    assert os.listdir(tmp_path / "out") == [".tags.csv.tmp"]
    assert ended(working(), "a.wav\n")[0] == 0
    assert os.listdir(tmp_path / "out") == ["tags.csv"]


def test_python_m():
    done = subprocess.run([sys.executable, "-m", "acdref", "--version"], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout.split()[-1].decode()) == (0, __version__)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("predct", "Did you mean predict?"),
        ("relable", "Did you mean relabel?"),
        ("export-onnx", "Did you mean export?"),
        ("xyzzy", "No such command 'xyzzy'.\n"),
    ],
)
def test_a_mistyped_command(typed, said):
    code, out, err = program(typed)
    assert (code, out) == (2, "")
    assert f"No such command '{typed}'." in err and said in err


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("acdref pre", ["plain,predict"]),
        ("acdref predict --hop 1 --th", ["plain,--threads", "plain,--threshold"]),
        ("acdref predict --backend nu", ["plain,numpy", "plain,numba"]),
        ("acdref predict rec", ["file,rec"]),
        ("acdref predct --th", []),
    ],
)
def test_a_shell_completes(words, completed):
    """What a shell asks that was told of `acdref` as docs/install.md says, by a variable of its name."""
    code = "import sys; sys.argv[0] = 'acdref'; from acdref.cli import main; main()"
    asked = {"_ACDREF_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | asked, text=True, capture_output=True
    )
    assert (done.stdout.split(), done.stderr) == (completed, "")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a bash from 4.4 on")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_what_to_ask(shell, tmp_path):
    """The lines of docs/install.md; that for bash is run by bash."""
    (line,) = re.findall(rf"`([^`]*_ACDREF_COMPLETE={shell}_source acdref[^`]*)` \|$", INSTALL, re.M)
    program = tmp_path / "acdref"
    code = "import sys; sys.argv[0] = 'acdref'; from acdref.cli import main; main()"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    program.chmod(0o755)
    command = line.split(" \\|")[0] if shell == "fish" else f"echo {line.removeprefix('eval ')}"
    command = f"{line}; complete -p acdref" if shell == "bash" else command
    environment = os.environ | {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(["bash", "-c", command], env=environment, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "complete -o nosort -F" if shell == "bash" else f"_ACDREF_COMPLETE={shell}_complete"
    ) in done.stdout


def test_unknown_command_is_wrong_usage():
    code, _, err = program("tag")
    assert code == 2
    assert "No such command 'tag'" in err


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
class TestStreams:
    """What a shell can do to a program's streams."""

    @pytest.fixture
    def run(self, tmp_path_factory):
        """Run `acdref predict` on a recording and a missing one, with redirections: (code, stdout)."""
        folder = tmp_path_factory.mktemp("streams")
        recording = write(folder / "a.wav", noise(1))
        weights = write_tiny_weights(folder / "w.npz")
        command = f"{sys.executable} -m acdref.cli predict --weights {weights} {recording} gone.wav"

        def run(redirections, more=""):
            script = f"{command} {more} {redirections}"
            done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=ROOT)
            assert "Traceback" not in done.stderr
            return done.returncode, len(done.stdout.splitlines())

        return run

    @pytest.mark.parametrize(
        ("redirections", "lines"),
        [
            ("<&-", 3),
            ("2>&-", 3),
            (">&-", 0),
            ("<&- >&- 2>&-", 0),
            ("2>/dev/full", 3),
            ("2>&1 >/dev/null | head -0; exit ${PIPESTATUS[0]}", 0),
        ],
    )
    def test_closed_or_dead(self, run, redirections, lines):
        assert run(redirections) == (3, lines)

    @pytest.mark.parametrize("redirections", ["<&- >&- 2>&-", "2>&-"])
    def test_no_file_gets_the_descriptor_of_a_closed_stream(self, run, redirections, tmp_path):
        out = tmp_path / "a.csv"
        assert run(redirections, f"--out {out}")[0] == 3
        starts = [line.split(",")[0] for line in out.read_text().splitlines()]
        assert starts == ["schema", "acdref.predict/1", "acdref.predict/1"]

    def test_a_reader_of_stdout_that_has_gone(self, run):
        assert run("| head -0; exit ${PIPESTATUS[0]}") == (0, 0)
        assert run("| head -0; exit ${PIPESTATUS[0]}", "--help") == (0, 0)

    def test_wrong_usage_without_anybody_to_tell(self, run):
        assert run("2>/dev/full", "--bad")[0] == 2

    def test_another_pipe_that_breaks_is_an_error(self):
        code = (
            "import acdref.cli as cli, click\n"
            "@click.command()\ndef broken(): raise BrokenPipeError(32, 'Broken pipe')\n"
            "cli.group.get_command = lambda *_: broken\ncli.main()"
        )
        done = subprocess.run([sys.executable, "-c", code, "x"], capture_output=True, text=True, cwd=ROOT)
        assert (done.returncode, done.stderr) == (1, "acdref: [Errno 32] Broken pipe\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_one_line(tmp_path):
    recording = write(tmp_path / "a.wav", noise(1))
    weights = write_tiny_weights(tmp_path / "w.npz")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "acdref.cli", "predict", "--weights", weights, recording],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["acdref: [Errno 28] No space left on device"]


@posix
def test_an_interruption_while_a_command_is_imported_is_130(tmp_path):
    """Then it falls into the exec of a dataclass, after which `python -m` ends by SIGINT as a rule."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib\n"
        "def interrupted(name): exec('raise KeyboardInterrupt')\n"
        "importlib.import_module = interrupted\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "acdref.cli", "info"], env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "acdref: interrupted\n")
