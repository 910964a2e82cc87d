"""Tasks of a training step: some rows of one clip; cut by shape, so that sums do not depend on threads."""

import numpy as np

from acdref.ops import threads

ROWS = 32
"""Rows of a task."""
STEP = 96
"""Positions that go through a matrix product together: as many as the register tile keeps in the cache."""


def rows_together(bins):
    """How many rows of so many bins go through a matrix product together."""
    return max(1, STEP // bins)


def pieces(clips, rows):
    """(clip, start, stop) of each task."""
    return [(clip, start, min(start + ROWS, rows)) for clip in range(clips) for start in range(0, rows, ROWS)]


def each(task, clips, rows):
    """Run ``task(clip, start, stop)`` over some rows of a clip at a time."""
    tasks = pieces(clips, rows)
    threads.run(lambda i: task(*tasks[i]), len(tasks))


def summed(task, clips, rows, *parts):
    """Run ``task(clip, start, stop, *arrays)`` over some rows of a clip at a time, and add up its arrays.

    They are flat, of (size, dtype) as `parts` say, and zero when a task begins to add to them; their sums
    over all tasks are returned in float64.
    """
    tasks = pieces(clips, rows)
    arrays = [np.zeros((len(tasks), size), dtype) for size, dtype in parts]
    threads.run(lambda i: task(*tasks[i], *(array[i] for array in arrays)), len(tasks))
    return [array.sum(0, dtype=np.float64) for array in arrays]
