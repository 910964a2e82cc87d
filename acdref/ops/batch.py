"""The clips of a batch, and sums over them that depend on neither threads nor processes.

Several processes may share a batch, each with some of its clips (:mod:`acdref.ranks`).  So what a layer adds
up over a batch it adds up clip by clip first, always alike, and then the clips, always in one order: a tree
of neighbours, which a process can begin with what it has.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.ops import threads


class Batch:
    """A batch of which this process has all clips.

    Attributes
    ----------
    rank, size : int
        Number of this process, from 0 on, and of all.
    """

    rank, size = 0, 1

    def own(self, count: int) -> slice:
        """Which of `count` things, such as the batch's clips or their maps, are this process's."""
        return slice(0, count)

    def clips(self, own: int) -> int:
        """Clips of the batch, of which this process has `own`; or maps, of which a clip may have several."""
        return own

    def gather(self, parts: NDArray, count: int | None = None) -> NDArray:
        """What all processes have of `count` things, by default the clips, in order.

        `parts`, (n, ...), is this one's :meth:`own`.
        """
        return parts

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        return flag

    def total(self, *parts: NDArray) -> list[NDArray]:
        """Sums over the batch's clips.

        Parameters
        ----------
        *parts : (n, ...) array
            An entry for each of this process's clips.  They are used up: the sums are made in their memory.

        Returns
        -------
        list of (...) array
        """
        return [tree(part) for part in parts]


WHOLE = Batch()
"""Any batch, where one process has it all."""


def middle(start: int, stop: int) -> int:
    """Where a tree over range(start, stop), longer than 1, parts: behind the largest whole power of two.

    Examples
    --------
    >>> middle(0, 8), middle(0, 6), middle(4, 6)
    (4, 4, 5)
    """
    return start + (1 << (stop - start - 1).bit_length() - 1)


def tree(parts: NDArray) -> Any:
    """The sum over the first axis, added up in pairs, pairs of pairs and so on; `parts` is used up."""
    step = 1
    while step < len(parts):
        parts[: len(parts) - step : 2 * step] += parts[step :: 2 * step]
        step *= 2
    return parts[0]


def each(function: Callable, *maps: NDArray) -> list:
    """``function`` of each clip of some maps alone, (1, ...) each, by several threads.

    NumPy's products of many rows round each row as its place among them wants it; so which clips come
    together must not matter.
    """
    results = [None] * len(maps[0])

    def task(i):
        results[i] = function(*(a[i : i + 1] for a in maps))

    threads.run(task, len(results))
    return results


def by_clip(function: Callable[..., NDArray], *maps: NDArray) -> NDArray:
    """The results of :func:`each` as one map (N, ...)."""
    results = each(function, *maps)
    return results[0] if len(results) == 1 else np.concatenate(results)
