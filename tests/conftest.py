"""Puts this folder on the path, so that tests in subfolders find the support modules, and fixtures/, where
the PyTorch twin is; settings for all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fixtures")]

# How long an example takes says more about the machine than about the code.  A run of the tests draws the
# same examples each time; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("repeatable")


@pytest.fixture
def with_blas_threads():
    """What a piece of Python code prints in a process with 1 BLAS thread, and in one with 2."""

    def run(code):
        printed = []
        for count in "12":
            variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count)
            command = [sys.executable, "-c", code]
            printed.append(subprocess.check_output(command, env=os.environ | variables, text=True))
        return printed

    return run
