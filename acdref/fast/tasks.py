"""What a thread works on, and in: some rows of one clip at a time, and memory of its own.

Tasks are cut by shape, so that sums do not depend on threads.  A thread's memory is used again from call to
call: large arrays are slow to get and to clear.
"""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from numpy.typing import DTypeLike, NDArray

from acdref.ops import threads
from acdref.ops.batch import WHOLE, Batch
from acdref.ops.memory import aligned

ROWS = 32
"""Rows of a task of a training step."""
STEP = 96
"""Positions that go through a matrix product together: as many as the register tile keeps in the cache."""


_LOOKS = 10**6  # at a number, in about a millisecond


class _Memory(threading.local):
    def __init__(self):
        self.flat, self.framed = {}, {}


_memory = _Memory()


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
    """An array of this thread's, with whatever its last user left."""
    size = math.prod(shape)
    array = _memory.flat.get(name)
    if array is None or array.size < size or array.dtype != dtype:
        array = _memory.flat[name] = aligned((size,), dtype)
    return array[:size].reshape(shape)


def framed(name: str, rows: int, bins: int, pad: int, channels: int, dtype: DTypeLike) -> NDArray:
    """A map (rows, bins + 2 pad, channels) of this thread's whose `pad` bins on both sides are zeros.

    What lies between them is whatever the last user left, who must not have written beside it.
    """
    layout = rows, bins, pad, channels, np.dtype(dtype)
    before, array = _memory.framed.get(name, (None, None))
    if before != layout:
        array = aligned((rows, bins + 2 * pad, channels), dtype)
        array.fill(0)
        _memory.framed[name] = layout, array
    return array


def rows_together(bins: int) -> int:
    """How many rows of so many bins go through a matrix product together."""
    return max(1, STEP // bins)


def pieces(clips: int, rows: int) -> list[tuple[int, int, int]]:
    """(clip, start, stop) of each task of a training step."""
    return [(clip, start, min(start + ROWS, rows)) for clip in range(clips) for start in range(0, rows, ROWS)]


def for_each(task: Callable, arguments: list[tuple]) -> list:
    """``[task(*each) for each in arguments]``, by several threads."""
    results = [None] * len(arguments)

    def run(i):
        results[i] = task(*arguments[i])

    threads.run(run, len(arguments))
    return results


class Crew:
    """Threads that work through stages, and spin between one and the next: to wake one takes as long as some.

    A context; whoever waits longer than a millisecond goes, and comes back with the next stage.  The caller
    waits for what others have begun, not for others: where cores are busy, it does all by itself.
    """

    def __init__(self) -> None:
        self._number = np.zeros(1, np.int64)  # of stages so far
        self._stage: tuple[Callable, tuple, Callable] | None = None
        self._members: list[Future] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *error: object) -> None:
        self._stage = None
        self._number[0] += 1

    def share(self, kernel: Callable, count: int, arguments: Callable[[], tuple]) -> None:
        """Let each thread call ``kernel((counter, count), *arguments())``, which takes pieces of the work.

        ``counter`` are the numbers of pieces that were taken, and that are done.
        """
        counter = np.zeros(2, np.int64)
        tasks = counter, count
        if count > 1:
            self._stage = kernel, tasks, arguments
            self._number[0] += 1
            self._members = [member for member in self._members if not member.done()]
            if not self._members:
                self._members = threads.start(self._work, count - 1)
        kernel(tasks, *arguments())
        while not _reached(counter[1:], count):
            time.sleep(0)  # somebody else may need this core

    def _work(self):
        seen = self._number[0] - 1
        while _reached(self._number, seen + 1):
            seen = self._number[0]
            if self._stage is None:
                return
            kernel, tasks, arguments = self._stage
            kernel(tasks, *arguments())


def _reached(number, least):
    """Whether `number` (1,) became so large within about a millisecond."""
    from acdref.fast.vector_loops import reached

    return reached(number, least, _LOOKS)


def summed(task: Callable, clips: int, rows: int, *parts: tuple, batch: Batch = WHOLE) -> list[NDArray]:
    """Run ``task(clip, start, stop, *arrays)`` over some rows of a clip at a time, and add up its arrays.

    They are of (shape, dtype) as `parts` say, and zero when a task begins to add to them; their sums over all
    tasks, those of the batch's other clips among them, are returned in float64.
    """
    tasks = pieces(clips, rows)
    arrays = [np.zeros((len(tasks), *shape), dtype) for shape, dtype in parts]
    for_each(task, [(*piece, *own) for piece, *own in zip(tasks, *arrays, strict=True)])
    by_clip = (array.reshape(clips, -1, *array.shape[1:]) for array in arrays)  # (clips, tasks, ...)
    return batch.total(*(array.sum(1, dtype=np.float64) for array in by_clip))
