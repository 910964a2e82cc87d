"""Keeping freed memory changes how fast arrays are made, and nothing else."""

import subprocess
import sys
from pathlib import Path

CODE = """
import numpy as np
from acdref.ops.memory import keep_freed_memory
keep_freed_memory()
total = 0.0
for _ in range(20):
    a = np.ones(1_000_000)
    total += (a + a).sum()
print(total)
"""


def test_arrays_are_as_before():
    """In a process of its own: the setting holds for good."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "40000000.0"


def test_other_systems_do_without(monkeypatch):
    from acdref.ops import memory

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", None)  # must not be touched
    memory.keep_freed_memory()
