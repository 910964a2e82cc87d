"""The command line itself: what it loads, and how it ends when it cannot write."""

import os
import subprocess
import sys

import pytest
from predict_support import noise, program, write, write_tiny_weights

from acdref import __version__
from acdref.cli import COMMANDS, group


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


def test_unknown_command_is_wrong_usage():
    code, _, err = program("tag")
    assert code == 2
    assert "No such command 'tag'" in err


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
