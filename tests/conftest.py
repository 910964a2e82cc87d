"""Puts the folders of tests on the path, for their support modules, and that of the PyTorch twins; settings
for all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *map(str, HERE.glob("*/")), str(HERE.parent / "conformance/pytorch")]

# How long an example takes says more about the machine than about the code.  A run of the tests draws the
# same examples each time; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("repeatable")

os.fsync = lambda descriptor: None  # the power does not fail in tests, and waiting for disks takes minutes


@pytest.fixture
def with_blas_threads():
    """What a piece of Python code prints in processes with so many threads, of BLAS and of ours."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ACDREF_NUM_THREADS")

    def run(code, counts=(1, 2)):
        printed = []
        for count in counts:
            variables = dict.fromkeys(names, str(count))
            command = [sys.executable, "-c", code]
            printed.append(subprocess.check_output(command, env=os.environ | variables, text=True))
        return printed

    return run
