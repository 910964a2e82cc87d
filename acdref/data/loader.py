"""Batches of training sequences, made ahead of time by worker processes."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.errors import AcdrefError, AudioError
from acdref.ops.memory import keep_freed_memory

_LIBRARIES = ("ACDREF_NUM", "MKL_NUM", "NUMBA_NUM", "OMP_NUM", "OPENBLAS_NUM", "VECLIB_MAXIMUM")
_STARTED = "ACDREF_WORKER"  # in the environment of a process that is started as a worker
_FOR_WORKERS = {f"{library}_THREADS": "1" for library in _LIBRARIES} | {_STARTED: "1"}

PATIENCE, STARTING = 0.5, 60.0
"""Seconds after which a sequence that a worker owes is made here: something else keeps the cores busy.  The
second is for the first one, before which the worker starts."""


class Loader:
    """Batches in a fixed order, the same bit for bit whatever the number of workers.

    Parameters
    ----------
    sequences : Sequences
        Anything with ``sample(epoch, index) -> (x (n,), y (C,))``, ``samples`` (the largest n) and
        ``failures``; n is the same throughout a batch.
    batch : int
        Sequences per batch.
    workers : int
        Processes that make sequences ahead; 0 makes them here, when they are asked for.
    transform : callable, optional
        Applied to each sequence where it is made: (n,) float32 to an array of one shape, such as
        :func:`acdref.features.compressed.features`.  A module-level function, since workers import it.
    own : slice, optional
        Which sequences of each batch are made at all: the others are another process's.
    on_failure : callable, optional
        Called once with the AudioError of each recording that could not be decoded and was left out.

    Raises
    ------
    ValueError
        If ``batch`` < 1 or ``workers`` < 0.

    Notes
    -----
    Use it in a ``with`` statement: leaving that, for whatever reason, ends the workers.  They are started
    once and keep their decoded recordings over all epochs, each its share of the reader's ``max_bytes``.
    Workers are spawned, so a script must start its work under ``if __name__ == "__main__"``: each worker
    begins with the script anew, and one that comes to a Loader so ends (:func:`end_if_starting`).  They leave
    Ctrl-C to this process, run one thread each, and exit when this process is gone, even by ``kill -9``.

    Workers take what the cores have left.  Where other programs leave them nothing for `PATIENCE` seconds,
    this process makes the sequences itself, until they have caught up.

    Sequences come back in shared memory: as messages of a megabyte each they would cost this process and the
    worker eight times as much.

    Examples
    --------
    ::

        with Loader(sequences, batch=16, workers=1, transform=features) as loader:
            for x, y in loader.batches(epoch=0, steps=625):
                ...
    """

    def __init__(
        self,
        sequences: Any,
        batch: int,
        workers: int = 0,
        transform: Callable[[NDArray], NDArray] | None = None,
        on_failure: Callable[[AudioError], object] | None = None,
        own: slice = slice(None),
    ):
        end_if_starting()
        if batch < 1 or workers < 0:
            raise ValueError("batch must be >= 1 and workers >= 0")
        self.sequences, self.batch, self.workers = sequences, batch, workers
        self._own = range(batch)[own]
        self.transform, self.on_failure = transform, on_failure
        self._reported: set[str] = set()
        self._pool = self._slots = self._items = None
        self._writing: dict[int, Future] = {}  # slot -> what was last to be written there
        self._patience = STARTING  # seconds; 0 while the workers are late
        self._began = False  # whether any worker has made anything

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """End the workers; a later call of :meth:`batches` starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = self._slots = None
            self._writing, self._patience = {}, STARTING

    def batches(self, epoch: int, steps: int, start: int = 0) -> Iterator[tuple[NDArray, NDArray]]:
        """Yield the batches of one epoch; the one before, if it was abandoned, ends.

        Parameters
        ----------
        epoch : int
        steps : int
            Batches in an epoch.
        start : int
            The first batch to make: that of an interrupted epoch when training resumes.

        Yields
        ------
        x : ndarray, (batch, ...)
        y : ndarray, (batch, C), float32
            Or as many clips as are made here.

        Raises
        ------
        AcdrefError
            If a worker was killed, or could not begin.  An exception inside a worker is raised here with its
            type.
        """
        indices = [step * self.batch + k for step in range(start, steps) for k in self._own]
        if self._items is not None:
            self._items.close()  # it has the workers and their shared memory
        items = self._from_workers(epoch, indices) if self.workers else self._made_here(epoch, indices)
        self._items = items
        with contextlib.closing(items):
            for _ in range(start, steps):
                batch: Any = None
                for k in range(len(self._own)):
                    *item, failures = next(items)
                    self._report(failures)
                    if batch is None:
                        batch = tuple(np.empty((len(self._own), *a.shape), a.dtype) for a in item)
                    batch[0][k], batch[1][k] = item
                yield batch

    def _report(self, failures):
        for path, error in failures.items():
            if path not in self._reported:
                self._reported.add(path)
                if self.on_failure is not None:
                    self.on_failure(error)

    def _made_here(self, epoch, indices):
        for index in indices:
            x, y = self.sequences.sample(epoch, index)
            yield (x if self.transform is None else self.transform(x)), y, self.sequences.failures

    def _from_workers(self, epoch, indices):
        """Items in order; slot ``number % slots`` of the shared memory is reused once it was copied out."""
        pending = deque()
        todo = enumerate(indices)
        try:
            self._start()
            with _worker_environment():  # the first submissions start the processes
                for number, index in itertools.islice(todo, len(self._slots)):
                    pending.append((number, index, self._submit(epoch, number, index)))
            while pending:
                number, index, future = pending[0]
                if self._arrived(future):
                    length, y, failures = future.result()
                    self._began = True
                    yield self._slots[number % len(self._slots), :length], y, failures
                else:
                    yield from self._made_here(epoch, [index])
                pending.popleft()
                for number, index in itertools.islice(todo, 1):
                    pending.append((number, index, self._submit(epoch, number, index)))
        except BrokenProcessPool:
            self.close()
            raise AcdrefError(_KILLED if self._began else _NOT_BEGUN) from None
        finally:
            for future in self._writing.values():
                future.cancel()

    def _submit(self, epoch, number, index):
        """The future of an item; None if a worker may still write into its slot."""
        slot = number % len(self._slots)
        if slot in self._writing and not self._writing[slot].done():
            return None
        self._writing[slot] = future = self._pool.submit(_make, epoch, index, slot)
        return future

    def _arrived(self, future):
        """Whether a worker has made an item; waits for it, unless the workers do not get to work."""
        if future is None:
            return False
        if not (self._patience == 0 and future.cancel()):
            wait([future], self._patience)
        arrived = future.done() and not future.cancelled()
        self._patience = PATIENCE if arrived else 0
        return arrived

    def _start(self):
        if self._pool is not None:
            return
        x = np.zeros(self.sequences.samples, dtype=np.float32)
        x = x if self.transform is None else self.transform(x)
        count = 2 * len(self._own) + self.workers
        context = multiprocessing.get_context("spawn")
        memory = context.RawArray("b", count * x.nbytes)
        layout = ((count, *x.shape), x.dtype.str)
        # What multiprocessing would send through a pipe, in shared memory: where it is more than a pipe
        # holds, this process would wait for ever for a worker that has died before it read it.
        work = bytes(ForkingPickler.dumps((self.sequences, self.transform)))
        shared = context.RawArray("c", len(work))
        shared.raw = work
        self._slots = np.frombuffer(memory, dtype=x.dtype).reshape(layout[0])
        self._pool = ProcessPoolExecutor(
            self.workers,
            mp_context=context,
            initializer=_start_worker,
            initargs=(shared, self.workers, memory, layout),
        )


_KILLED = "a data worker was killed (out of memory?); try fewer workers"
_NOT_BEGUN = (
    "the data workers ended before they began. Each begins with your script anew, so let that start its work "
    'below a line `if __name__ == "__main__":`, or set workers to 0; if it does, they were killed (out of '
    "memory?): try fewer"
)


def end_if_starting() -> None:
    """End this process, without a word, if it is a worker that has come here by running its script anew.

    The process that started it says what to do.
    """
    main = multiprocessing.current_process().name == "MainProcess"
    if _worker is None and not main and _STARTED in os.environ:
        os._exit(1)


@contextlib.contextmanager
def _worker_environment():
    """While processes are started: one thread each, and no Ctrl-C, which a terminal sends to every process.

    Both are inherited, so they hold before the child has run a line of its own; here Ctrl-C is only put off.
    """
    before = {name: os.environ[name] for name in _FOR_WORKERS if name in os.environ}
    masked = None
    if hasattr(signal, "pthread_sigmask"):
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(_FOR_WORKERS)
    try:
        yield
    finally:
        for name in _FOR_WORKERS:
            del os.environ[name]
        os.environ.update(before)
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)


_worker = None  # in a worker process: (sequences, transform, slots, paths of failures already sent)


def _start_worker(shared, workers, memory, layout):
    global _worker
    os.environ.pop(_STARTED, None)  # a worker may be started by a later submission
    sequences, transform = ForkingPickler.loads(shared.raw)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _step_aside()
    keep_freed_memory()
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    sequences.clips.max_bytes //= workers
    shape, dtype = layout
    slots = np.frombuffer(memory, dtype=dtype).reshape(shape)
    _worker = sequences, transform, slots, set(sequences.failures)


def _step_aside():
    """Work when a core has nothing else to do, and leave it at once when a step goes on.

    The threads of a step wait for each other every few milliseconds: whoever takes the core of one of them
    halts all, and there is time for the data in the gaps.  A lower priority alone would not leave at once.
    """
    if hasattr(os, "SCHED_IDLE"):  # Linux's
        with contextlib.suppress(OSError):  # where a sandbox forbids it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _exit_with_parent():
    """A killed parent cannot end its workers, and these would wait for their next task for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _make(epoch, index, slot):
    """Make one sequence: x goes to the shared memory, its length and the rest are returned."""
    sequences, transform, slots, sent = _worker
    x, y = sequences.sample(epoch, index)
    x = x if transform is None else transform(x)
    slots[slot, : len(x)] = x
    failures = {path: error for path, error in sequences.failures.items() if path not in sent}
    sent.update(failures)
    return len(x), y, failures
