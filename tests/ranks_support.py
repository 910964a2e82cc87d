"""Processes that share a batch, as threads; and `acdref` under mpiexec."""

import os
import shutil
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from acdref.ranks import Share

ROOT = Path(__file__).resolve().parents[1]

with_mpi = pytest.mark.skipif(
    not (shutil.which("mpiexec") and find_spec("mpi4py")), reason="needs mpiexec and mpi4py"
)
OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
"""More processes than cores, and as root, with Open MPI 4 and 5; others ask for nothing of the kind."""


class Threads:
    """As much of :class:`acdref.ranks.Ranks` as a shared batch asks for."""

    def __init__(self, rank, size, shared):
        self.rank, self.size, self._all, self._barrier = rank, size, *shared

    def gather(self, own, counts):
        parts = self._told(np.array(own))
        assert [len(part) for part in parts] == list(counts)
        return np.concatenate(parts)

    def swap(self, parts, counts):
        given = [parts[self.rank] for parts in self._told([np.array(part) for part in parts])]
        assert [len(part) for part in given] == list(counts)
        return np.concatenate(given)

    def _told(self, own):
        self._all[self.rank] = own
        self._barrier.wait()
        told = list(self._all)
        self._barrier.wait()
        return told


def shared(function, size, clips):
    """Results of ``function(batch)`` of several threads, with a batch that they share."""
    meeting, results = ([None] * size, threading.Barrier(size)), [None] * size

    def run(rank):
        try:
            results[rank] = function(Share(Threads(rank, size, meeting), clips))
        except BaseException:
            meeting[1].abort()
            raise

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def python(code, **more):
    """A finished process of some code."""
    return _finished([sys.executable, "-c", code], more)


def mpiexec(*groups, **more):
    """The finished mpiexec of some groups (n, arguments of Python), of which all processes are one job."""
    command = ["mpiexec"]
    for count, *arguments in groups:
        command += [":"] * (len(command) > 1) + ["-n", str(count), sys.executable, *map(str, arguments)]
    return _finished(command, more)


def _finished(command, more):
    environment = os.environ | OPEN_MPI | {"PYTHONPATH": str(ROOT)} | more
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
