"""Where arrays begin; and keeping freed memory changes how fast they are made, and nothing else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from acdref.ops.memory import aligned

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


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_aligned_arrays_begin_at_a_cache_line(shape, dtype):
    for _ in range(9):  # NumPy's own do so now and then
        a = aligned(shape, dtype)
        assert (a.shape, a.dtype, a.ctypes.data % 64) == (shape, dtype, 0)
        assert a.flags.c_contiguous and a.flags.writeable
