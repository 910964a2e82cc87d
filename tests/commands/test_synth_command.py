"""`acdref synth` as a user meets it."""

import subprocess
import sys

import click.testing

from acdref.commands.synth import command


def run(*arguments):
    """The real program, in a process of its own: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "acdref.cli", "synth", *map(str, arguments)], capture_output=True
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_summary_on_stdout_and_silence_on_stderr(tmp_path):
    code, out, err = run(tmp_path / "new", "--count", 3, "--seconds", 0.5, "--val-fraction", 0.34)
    assert (code, err) == (0, "")
    assert out == f"{tmp_path / 'new'}: 3 scenes of 0.5 s, 2 train and 1 val, in manifest.csv\n"
    assert len(list((tmp_path / "new").glob("*.flac"))) == 3


def test_other_files_one_line_and_exit_code_1_unless_forced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    code, out, err = run(tmp_path, "--count", 1, "--seconds", 0.5)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1 and "notes.txt" in err and "--force" in err
    assert run(tmp_path, "--count", 1, "--seconds", 0.5, "--force")[0] == 0


def test_usage_errors():
    runner = click.testing.CliRunner()
    for arguments in ([], ["x", "--count", "0"], ["x", "--seconds", "0"], ["x", "--val-fraction", "2"]):
        assert runner.invoke(command, arguments).exit_code == 2


def test_help_has_examples_and_exit_codes():
    text = click.testing.CliRunner().invoke(command, ["--help"]).output
    assert "Examples:" in text and "Exit codes:" in text and "[default: 300" in text


def test_help_needs_no_numpy():
    code = "import sys, acdref.commands.synth; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_progress_on_a_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr("acdref.commands._progress.sys", type("sys", (), {"stderr": _Terminal()}))
    result = click.testing.CliRunner().invoke(command, [str(tmp_path), "--count", "2", "--seconds", "0.5"])
    assert "2 of 2 scenes" in result.stderr and result.exit_code == 0


class _Terminal:
    def isatty(self):
        return True
