"""A few threads that run GIL-free kernels side by side.

The number of threads is `set_threads`' argument, else ``$ACDREF_NUM_THREADS``, else the number of usable
cores.  Tasks are cut by shape, never by thread count, and each writes its own part of the output; so results
are bit-equal whatever the number.

A task may call :func:`run` itself: inside a task that runs beside others, it works through its own alone.
Where there is much to do of one kind, a job a thread (:func:`in_order`) keeps the cores busier than each job
shared among them.
"""

import collections
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from acdref.errors import AcdrefError

_lock = threading.Lock()
_pool = None
_pool_size = 0
_count = None
_inside = threading.local()  # .task is set in a thread while it works for a `run` with several threads


def get_threads() -> int:
    """Number of threads in use."""
    if _count is not None:
        return _count
    text = os.environ.get("ACDREF_NUM_THREADS", "")
    if text:
        return _checked(text, "ACDREF_NUM_THREADS")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(count: int | None) -> None:
    """Use `count` threads from now on; None returns to the environment's choice."""
    global _count
    _count = None if count is None else _checked(count, "number of threads")


def _checked(value, name):
    try:
        count = int(value)
    except ValueError:
        count = 0
    if not 1 <= count <= 1024:
        raise AcdrefError(f"{name} must be a whole number from 1 to 1024, got {value!r}")
    return count


def run(task: Callable[[int], object], count: int) -> None:
    """Call ``task(i)`` for i in range(count) on :func:`get_threads` threads, the caller's among them."""
    workers = min(get_threads(), count)
    if workers <= 1 or getattr(_inside, "task", False):
        for i in range(count):
            task(i)
        return

    # Whoever is free takes the next task: on a busy machine one thread may get less done than another.
    waiting = collections.deque(range(count))

    def share():
        _inside.task = True
        try:
            while True:
                try:
                    i = waiting.popleft()
                except IndexError:
                    return
                task(i)
        finally:
            _inside.task = False

    futures = [_executor(workers - 1).submit(share) for _ in range(1, workers)]
    try:
        share()
    finally:
        errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


def start(task: Callable[[], object], count: int) -> list[Future]:
    """Call ``task()`` on `count` threads beside the caller's, in all no more than :func:`get_threads`.

    Nobody waits for them; inside a task of :func:`run` there are none.
    """

    def inside():
        _inside.task = True
        try:
            task()
        finally:
            _inside.task = False

    count = 0 if getattr(_inside, "task", False) else min(get_threads() - 1, count)
    return [_executor(count).submit(inside) for _ in range(count)]


def in_order(jobs: Iterable[Callable[[], Any] | None], workers: int, ahead: int) -> Iterator[Any]:
    """Results of jobs in their order, each worked on by one of several threads, the caller's among them.

    Parameters
    ----------
    jobs : iterable of callable, or None
        Asked for in the caller's thread, while earlier ones are being worked on.  None: the results of all
        before are given out first, and the next job is done alone, by the caller, whose :func:`run` has all
        threads.
    workers : int
        Jobs worked on at a time.
    ahead : int
        Jobs asked for whose results have not been given out, at most; below 2, each is done alone.

    Yields
    ------
    result
        As soon as it and those before are there.  An exception of a job is raised in its place, and ends all.

    Notes
    -----
    Memory and what an interruption has to wait for are bounded by `ahead` and by `workers` jobs.
    """
    todo: collections.deque = collections.deque()
    waiting: collections.deque = collections.deque()
    several = min(workers, ahead) > 1
    here = not several
    with ThreadPoolExecutor(max(1, workers - 1), thread_name_prefix="acdref-job") as pool:
        try:
            for job in itertools.chain(jobs, [None]):
                while waiting and (job is None or len(waiting) >= ahead or waiting[0].done()):
                    while not waiting[0].done() and _work(todo):
                        pass
                    yield waiting.popleft().result()
                if job is None:
                    here = True
                elif here:
                    here = not several
                    yield job()
                else:
                    waiting.append(Future())
                    todo.append((job, waiting[-1]))
                    pool.submit(_work, todo)
        finally:
            todo.clear()


def _work(todo):
    """Do the first job that nobody does, alone in this thread; whether there was one."""
    try:
        job, future = todo.popleft()
    except IndexError:
        return False
    _inside.task = True
    try:
        future.set_result(job())
    except BaseException as error:
        future.set_exception(error)
        if not isinstance(error, Exception):  # such as KeyboardInterrupt, which cannot wait for its turn
            raise
    finally:
        _inside.task = False
    return True


def _executor(size):
    """The shared pool, made anew when it is too small (and in a forked child, where threads are gone)."""
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < size:
            _pool, _pool_size = ThreadPoolExecutor(size, thread_name_prefix="acdref"), size
        return _pool


def _forget_pool():
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def cuts(length: int, pieces: int) -> list[tuple[int, int]]:
    """Cut range(length) into at most `pieces` even parts: a list of (start, stop)."""
    pieces = max(1, min(pieces, length))
    edges = [length * i // pieces for i in range(pieces + 1)]
    return list(itertools.pairwise(edges))


def by_pieces(task: Callable[[int, int], object], length: int, pieces: int = 64) -> None:
    """Run ``task(start, stop)`` over all of range(length), cut into at most `pieces` even parts."""
    parts = cuts(length, pieces)
    run(lambda i: task(*parts[i]), len(parts))


def by_rows(task: Callable[[int, int, int], object], clips: int, rows: int, pieces: int) -> None:
    """Run ``task(clip, start, stop)`` over all rows of all clips, each clip cut as by :func:`by_pieces`."""
    parts = cuts(rows, pieces)
    run(lambda k: task(k // len(parts), *parts[k % len(parts)]), clips * len(parts))
