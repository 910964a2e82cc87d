"""Training by several processes that MPI has started: ``mpiexec -n 4 acdref train ...``.

They share each batch.  What a process tells the others are arrays as they lie in memory (no pickle), and all
are told the same; so each takes the same step, and the first writes the files.  Sums over a batch are those
of :mod:`acdref.ops.batch`, in an order that does not depend on who adds them up: the result is that of one
process, bit for bit.
"""

import itertools
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.errors import AcdrefError
from acdref.ops.batch import Batch, middle, tree

_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where Open MPI, MPICH (and what is made of it) and MVAPICH say how many processes they have started."""

_SMALL = 2**14
"""So many numbers of all processes everybody adds up; of more, each process adds up a part for all."""

_LOOKS = 200  # whether the others are there, before this process sleeps between one look and the next
_SLEEP = 5e-5  # seconds


class RankLost(AcdrefError):
    """MPI ends the job, because a process has died or somebody wants it, and kills all within a second."""


class Ranks:
    """The processes of an MPI job.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    here : int
        How many of them are on this machine.

    Attributes
    ----------
    rank, size : int
        Number of this process, from 0 on, and of all.
    stopping : callable
        Whether this process has been told to stop.  Then it waits for the others no more: one may have died,
        and Open MPI 5 kills those that live a quarter of a second after it has told them.
    """

    def __init__(self, comm: Any, here: int):
        self.stopping: Callable[[], bool] = lambda: False
        self._comm, self.rank, self.size, self._here = comm, comm.Get_rank(), comm.Get_size(), here
        self._end = comm.Dup()  # for those who end, whatever the others are telling each other

    def gather(self, own: NDArray, counts: Sequence[int]) -> NDArray:
        """What all have, in the order of the processes.

        Parameters
        ----------
        own : (n, ...) array
        counts : sequence of int
            Each process's n.

        Raises
        ------
        RankLost
            If this process has been told to stop; so do all methods that wait for the others.
        """
        own, size = np.ascontiguousarray(own), math.prod(own.shape[1:])
        found = np.empty((sum(counts), *own.shape[1:]), own.dtype)
        self._wait(self._comm.Iallgatherv(own, [found, [n * size for n in counts]]))
        return found

    def swap(self, parts: Sequence[NDArray], counts: Sequence[int]) -> NDArray:
        """Give each process its part, (n,) each; what all gave this one, one after another.

        Of the latter, `counts` are the lengths.
        """
        own = np.concatenate(parts)
        found = np.empty(sum(counts), own.dtype)
        self._wait(self._comm.Ialltoallv([own, [len(part) for part in parts]], [found, list(counts)]))
        return found

    def texts(self, text: str) -> list[str]:
        """The texts of all."""
        own = np.frombuffer(text.encode(), np.uint8)
        counts = self.gather(np.array([len(own)]), [1] * self.size).tolist()
        edges = np.cumsum(counts)[:-1]
        return [part.tobytes().decode() for part in np.split(self.gather(own, counts), edges)]

    def agree(self, facts: Mapping[str, object]) -> None:
        """Make sure that all have the same facts, which JSON can express.

        Raises
        ------
        AcdrefError
            In all processes, if one has others than the first.
        """
        first, *others = map(json.loads, self.texts(json.dumps(facts)))
        for rank, other in enumerate(others, 1):
            if differ := [name for name in first if other.get(name) != first[name]]:
                cause = f"process {rank} has another {' and another '.join(differ)} than process 0"
                raise AcdrefError(f"{cause}: all {self.size} need the same")

    def ended(self, seconds: float = 3.0) -> bool:
        """Whether all the others call this too, within so many seconds: then they may end in order."""
        request, stop = self._end.Ibarrier(), time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > stop:
                return False
            time.sleep(_SLEEP)
        return True

    def share(self, clips: int) -> Batch:
        """A batch of so many clips, of which each process has some."""
        return Share(self, clips)

    def threads(self) -> int | None:
        """Threads of this process, so that those of one machine share its cores; None if the user says it."""
        if os.environ.get("ACDREF_NUM_THREADS"):
            return None
        every = os.cpu_count() or 1
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
        return max(1, min(usable, every // self._here))

    def _wait(self, request):
        for look in itertools.count():
            if self.stopping():
                raise RankLost("stopped")
            if request.Test():
                return
            if look > _LOOKS:  # something else may use this core
                time.sleep(_SLEEP)


class Share(Batch):
    """A batch of which each process has some clips, one after another.

    Parameters
    ----------
    ranks : Ranks
    clips : int
        Of the batch.

    Raises
    ------
    AcdrefError
        If there are more processes than clips.
    """

    def __init__(self, ranks: Any, clips: int):
        if clips < ranks.size:
            raise AcdrefError(f"a batch of {clips} cannot be shared by {ranks.size} processes: raise --batch")
        self._ranks, self._clips, self.rank, self.size = ranks, clips, ranks.rank, ranks.size

    def own(self, count: int) -> slice:
        return slice(*self._edges(count)[self.rank])

    def clips(self, own: int) -> int:
        return own // len(range(self._clips)[self.own(self._clips)]) * self._clips

    def gather(self, parts: NDArray, count: int | None = None) -> NDArray:
        edges = self._edges(self.clips(len(parts)) if count is None else count)
        return self._ranks.gather(parts, [stop - start for start, stop in edges])

    def any(self, flag: bool) -> bool:
        return bool(self._ranks.gather(np.array([flag]), [1] * self.size).any())

    def total(self, *parts: NDArray) -> list[NDArray]:
        """As of any batch.  All `parts` must be of one dtype: they travel together."""
        count = self.clips(len(parts[0]))
        first, nodes = self.own(count).start, self._nodes(count)
        rows = np.array([
            np.concatenate([np.ravel(tree(part[start - first : stop - first])) for part in parts])
            for start, stop in nodes[self.rank]
        ])  # (nodes, numbers)  # fmt: skip
        counts = [len(own) for own in nodes]
        if rows.shape[1] * sum(counts) > _SMALL:
            sums = self._added(rows, nodes)
        else:
            sums = _joined(self._ranks.gather(rows, counts), nodes)
        ends = np.cumsum([part[0].size for part in parts])[:-1]
        found = zip(np.split(sums, ends), parts, strict=True)
        return [total.reshape(part.shape[1:]) for total, part in found]  # (...)

    def _edges(self, count):
        """(start, stop) of each process's things; maps, of which a clip may have several, go with it."""
        of, each = (self._clips, count // self._clips) if count % self._clips == 0 else (count, 1)
        cuts = [of * i // self.size * each for i in range(self.size + 1)]
        return list(itertools.pairwise(cuts))

    def _nodes(self, count):
        """What each process can add up by itself of the tree over `count` maps."""
        return [list(_parts(0, count, *edges)) for edges in self._edges(count)]

    def _added(self, rows, nodes):
        """The sum of all rows: each process adds up some columns and tells the others."""
        columns = self._edges(rows.shape[1])
        start, stop = columns[self.rank]
        parts = [np.ravel(rows[:, slice(*edges)]) for edges in columns]
        counts = [len(own) for own in nodes]
        some = self._ranks.swap(parts, [count * (stop - start) for count in counts])
        mine = _joined(some.reshape(sum(counts), stop - start), nodes)  # (nodes of all, its columns)
        return self._ranks.gather(mine, [stop - start for start, stop in columns])


def _joined(rows, nodes):
    """The sum of the rows of all nodes, in the order of the tree."""
    found = dict(zip(itertools.chain(*nodes), rows, strict=True))

    def join(start, stop):
        if (start, stop) in found:
            return found[start, stop]
        half = middle(start, stop)
        return join(start, half) + join(half, stop)

    return join(0, nodes[-1][-1][1])


def _parts(start, stop, first, last):
    """The largest parts of the tree over range(start, stop) that lie within range(first, last), in order."""
    if first <= start and stop <= last:
        yield start, stop
    elif start < last and first < stop:
        half = middle(start, stop)
        yield from _parts(start, half, first, last)
        yield from _parts(half, stop, first, last)


def launched() -> Ranks | None:
    """The processes of the MPI job that this one belongs to; None if it is the only one, or of no job.

    Raises
    ------
    AcdrefError
        If mpi4py is missing, or is of another MPI than that of the job.
    """
    count = max(int(os.environ.get(name) or 1) for name in _SIZES)
    if count == 1:
        return None
    try:
        import mpi4py

        mpi4py.rc.thread_level = "funneled"
        from mpi4py import MPI
    except ImportError as error:
        cause = f"processes that mpiexec starts need mpi4py ({error}): pip install 'acdref[mpi]'"
        raise AcdrefError(cause) from None
    except RuntimeError as error:  # without a library of MPI
        raise AcdrefError(f"mpi4py finds no MPI: {str(error).splitlines()[0]}") from None
    world = MPI.COMM_WORLD
    ranks = Ranks(world, world.Split_type(MPI.COMM_TYPE_SHARED).Get_size())
    if ranks.size != count:
        cause = f"mpiexec has started {count} processes, and mpi4py finds {ranks.size}"
        raise AcdrefError(f"{cause}: it is made for another MPI ({MPI.get_vendor()[0]})")
    return ranks
