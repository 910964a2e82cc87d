"""Events from scores: overlapping windows to cells of time, filter, thresholds, gaps, least durations.

Times are seconds; differences are compared in whole microseconds, so that 0.3 - 0.2 is a gap of 0.1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import in_range, one_of, score_matrix, with_dimensions

__all__ = [
    "Detection", "active_runs", "at_least", "cell_scores", "detect_events", "median_filter", "merge_gaps",
]  # fmt: skip

_COMBINE = ("mean", "max", "min")


class Detection(NamedTuple):
    """An event that was detected: of class number `label`, from `onset` to `offset` in seconds.

    `peak` and `mean` are the highest and the mean score of the cells between, after the median filter.
    """

    label: int
    onset: float
    offset: float
    peak: float
    mean: float


def cell_scores(
    scores: ArrayLike, spans: ArrayLike, combine: str = "mean"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of cells of time, by the windows that overlap there.

    Parameters
    ----------
    scores : array_like, shape (S, C)
        In [0, 1].
    spans : array_like, shape (S, 2)
        Start and end of each window, seconds: starts a hop apart, no gap between a window and the next.  The
        last windows may be shorter, as those of :func:`acdref.audio.blocks` and :func:`windows`.
    combine : {"mean", "max", "min"}
        The mean of the windows that hold the middle of the cell, the highest, or the lowest.

    Returns
    -------
    cells : ndarray, shape (K, C), float64
    borders : ndarray, shape (K + 1,), float64
        Seconds: cell k lies between ``borders[k]`` and ``borders[k + 1]``.  Cells are a hop long; the last
        one ends with the last window, and may be shorter.

    Raises
    ------
    ValueError
        If there is no window, a score lies outside [0, 1] or is NaN, or the windows are none of these.

    Notes
    -----
    A window says that a sound is somewhere in it, not where.  The mean over the windows that hold a moment is
    highest where all of them hear it, and half as high half a window before and after; "max" makes each sound
    longer by a window on either side, "min" as long as it is where no window misses it.

    Examples
    --------
    >>> cells, borders = cell_scores([[0.2], [0.8], [0.4]], [[0, 4], [2, 6], [4, 7]])
    >>> cells.round(2).ravel(), borders
    (array([0.2, 0.5, 0.6, 0.4]), array([0., 2., 4., 6., 7.]))
    """
    scores, spans = _scores(scores, "scores"), with_dimensions(spans, "spans", 2)
    one_of(combine, "combine", _COMBINE)
    hop = _hop(scores, spans)
    start, end = spans[0, 0], spans[-1, 1]
    borders = np.round(start + hop * np.arange(np.ceil(_exact((end - start) / hop))), 9)  # 0.3, not 3 * 0.1
    borders = np.append(borders, end)
    middles = (borders[:-1] + borders[1:]) / 2
    first = np.searchsorted(spans[:, 1], middles, "right")  # of the windows that hold the middle
    last = np.searchsorted(spans[:, 0], middles, "right") - 1
    lowest, highest, total = (scores[first].copy() for _ in range(3))  # (K, C)
    for ahead in range(1, int((last - first).max()) + 1):
        held = first + ahead <= last
        further = scores[(first + ahead)[held]]
        lowest[held] = np.minimum(lowest[held], further)
        highest[held] = np.maximum(highest[held], further)
        total[held] += further
    if combine != "mean":
        return (lowest if combine == "min" else highest), borders
    # The mean of equal numbers is that number, whatever the rounding of their sum.
    return np.clip(total / (last - first + 1)[:, None], lowest, highest), borders


def _hop(scores, spans):
    """Seconds from window to window, once scores and windows are what they must be."""
    if not len(spans) or spans.shape != (len(scores), 2):
        raise ValueError(f"spans has the shape {spans.shape}, expected ({len(scores) or 1}, 2)")
    starts, ends = spans.T
    if not (np.isfinite(spans).all() and (starts < ends).all()):
        raise ValueError("a window must end after its start")
    if len(spans) == 1:
        return float(ends[0] - starts[0])
    hop = (starts[-1] - starts[0]) / (len(spans) - 1)
    uneven = np.abs(starts - starts[0] - hop * np.arange(len(spans))).max() > 1e-3 * hop
    if not hop > 0 or uneven or (np.diff(ends) < 0).any():
        raise ValueError("windows must be in order, their starts a hop apart")
    if (_exact(starts[1:] - ends[:-1]) > 0).any():
        raise ValueError("windows must leave no gap between them: the hop is longer than they are")
    return float(hop)


def detect_events(
    cells: ArrayLike,
    borders: ArrayLike,
    threshold: ArrayLike,
    *,
    hold: float = 1.0,
    median: float = 0.0,
    gap: float = 0.0,
    least: float = 0.0,
) -> list[Detection]:
    """Events of a recording by the scores of its cells of time.

    Parameters
    ----------
    cells : array_like, shape (K, C)
        In [0, 1].
    borders : array_like, shape (K + 1,)
        Seconds, see :func:`cell_scores`.
    threshold : float or array_like, shape (C,)
        An event has a cell that scores as high or higher.
    hold : float in [0, 1], default 1.0
        It goes on, before and after that cell, where the score is at least this share of the threshold.
    median : float, default 0.0
        Seconds that the median filter reaches over, at most; less than three cells: no filter.
    gap : float, default 0.0
        Events of one class that are this far apart or less are one.
    least : float, default 0.0
        What is shorter after that is no event.

    Returns
    -------
    list of Detection
        By onset, then by class.  Those of one class do not touch.

    Raises
    ------
    ValueError
        If the cells do not fit the borders or the threshold the classes, a score lies outside [0, 1] or is
        NaN, or another number is out of its range.

    Notes
    -----
    In this order: median filter, thresholds, gaps, least duration.  Gaps come before durations, so that a
    sound that comes and goes counts as a whole (dcase_util's ``process_events`` has it the other way).

    Examples
    --------
    >>> cells, borders = cell_scores([[0.9, 0.1], [0.7, 0.2], [0.2, 0.8]], [[0, 10], [5, 15], [10, 20]])
    >>> for event in detect_events(cells, borders, [0.5, 0.6]):
    ...     print(event.label, event.onset, event.offset, round(event.mean, 3))
    0 0.0 10.0 0.85
    1 15.0 20.0 0.8
    """
    cells, borders = _scores(cells, "cells"), with_dimensions(borders, "borders", 1)
    if len(borders) != len(cells) + 1 or not (np.diff(borders) > 0).all():
        raise ValueError(f"borders must be {len(cells) + 1} rising times")
    classes = cells.shape[1:]
    on = np.asarray(threshold, dtype=np.float64)
    if on.shape not in ((), classes) or np.isnan(on).any():
        raise ValueError("threshold must be a number, or one number for each class")
    on = np.broadcast_to(on, classes)  # (C,)
    off = in_range(hold, "hold", 0, 1) * on
    reach = int(_seconds(median, "median") / (borders[1] - borders[0]) + 1e-6)
    cells = median_filter(cells, max(1, (reach - 1) // 2 * 2 + 1))
    found = []
    for label, column in enumerate(cells.T):
        runs = borders[active_runs(column, on[label], off[label])]  # (E, 2)
        for onset, offset in at_least(merge_gaps(runs, gap), least).tolist():
            inside = slice(*np.searchsorted(borders, (onset, offset)))
            mean = np.average(column[inside], weights=np.diff(borders)[inside])
            found.append(Detection(label, onset, offset, float(column[inside].max()), float(mean)))
    return sorted(found, key=lambda event: (event.onset, event.label))


def median_filter(cells: ArrayLike, size: int) -> NDArray[np.float64]:
    """Median of each cell and its neighbours, class by class.

    Parameters
    ----------
    cells : array_like, shape (K, C)
        Without NaN.
    size : int
        Cells that the median is taken over, an odd number.

    Returns
    -------
    ndarray, shape (K, C), float64
        Each value is one of the cells'.

    Raises
    ------
    ValueError
        If `size` is not odd and positive.

    Notes
    -----
    Beyond the ends the first and the last cell repeat (``scipy.ndimage.median_filter``'s "nearest"): a sound
    that is cut off there is not taken for a short one.

    Examples
    --------
    >>> median_filter([[0], [1], [0], [1], [1]], 3).ravel()
    array([0., 0., 1., 1., 1.])
    """
    cells = with_dimensions(cells, "cells", 2)
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size = {size}: a median is taken over an odd number of cells")
    if size == 1 or not len(cells):
        return cells
    filtered = np.empty_like(cells)
    for column, out in zip(cells.T, filtered.T, strict=True):  # one at a time: (K, size)
        padded = np.pad(column, size // 2, mode="edge")
        neighbours = np.lib.stride_tricks.sliding_window_view(padded, size)
        out[:] = np.partition(neighbours, size // 2, axis=1)[:, size // 2]
    return filtered


def active_runs(scores: ArrayLike, on: float, off: float | None = None) -> NDArray[np.int64]:
    """Runs of cells in which a class is active, by two thresholds.

    Parameters
    ----------
    scores : array_like, shape (K,)
    on : float
        A run has a score as high or higher.
    off : float, optional
        All its scores are as high or higher; above `on` it counts as that.  Default: `on`.

    Returns
    -------
    ndarray of int, shape (E, 2)
        First cell of each run, and the first behind it, in order.  No two runs touch.

    Examples
    --------
    >>> active_runs([0.4, 0.6, 0.4, 0.1, 0.4, 0.6], 0.6, 0.4).tolist()
    [[0, 3], [4, 6]]
    """
    scores = with_dimensions(scores, "scores", 1)
    active = scores >= (on if off is None else min(on, off))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)  # (E, 2)
    starts = np.concatenate([[0], np.cumsum(scores >= on)])
    return runs[starts[runs[:, 1]] > starts[runs[:, 0]]]


def merge_gaps(events: ArrayLike, gap: float = 0.0) -> NDArray[np.float64]:
    """Make one event of those that are no more than a gap apart.

    Parameters
    ----------
    events : array_like, shape (E, 2)
        Onsets and offsets of one class, seconds, in any order; they may overlap.
    gap : float, default 0.0
        Seconds.

    Returns
    -------
    ndarray, shape (M, 2), float64
        By onset; more than `gap` apart.

    Raises
    ------
    ValueError
        If `gap` is negative, NaN or infinite, or an event ends before it starts.

    Examples
    --------
    >>> merge_gaps([[0.0, 0.2], [0.3, 0.5], [1.0, 2.0]], gap=0.1)
    array([[0. , 0.5],
           [1. , 2. ]])
    """
    events = _times(events)
    if not len(events):
        return events
    onset, offset = events[np.argsort(events[:, 0], kind="stable")].T
    until = np.maximum.accumulate(offset)  # where all events so far have ended
    apart = _exact(onset[1:] - until[:-1]) > _seconds(gap, "gap")
    first = np.concatenate([[True], apart])
    return np.stack([onset[first], until[np.append(apart, True)]], axis=1)


def at_least(events: ArrayLike, least: float) -> NDArray[np.float64]:
    """The events that last so long or longer.

    Parameters
    ----------
    events : array_like, shape (E, 2)
        Onsets and offsets, seconds.
    least : float
        Seconds.

    Returns
    -------
    ndarray, shape (M, 2), float64

    Raises
    ------
    ValueError
        If `least` is negative, NaN or infinite, or an event ends before it starts.

    Examples
    --------
    >>> at_least([[0.0, 0.2], [0.2, 0.5]], least=0.3)
    array([[0.2, 0.5]])
    """
    events = _times(events)
    return events[_exact(events[:, 1] - events[:, 0]) >= _seconds(least, "least")]


def _scores(scores, name):
    """Scores of every class at every time."""
    scores = score_matrix(scores, name)
    if np.isnan(scores).any():
        raise ValueError(f"{name} has a score that is NaN")
    return scores


def _times(events):
    events = np.asarray(events, dtype=np.float64)
    events = events.reshape(0, 2) if events.size == 0 else events
    if events.ndim != 2 or events.shape[1] != 2 or not (events[:, 0] <= events[:, 1]).all():
        raise ValueError("events must be pairs of an onset and an offset that is not before it")
    return events


def _exact(seconds):
    """A difference of times without what rounding has left in it."""
    return np.round(seconds, 6)


def _seconds(value, name):
    return in_range(value, name, 0, np.finfo(np.float64).max)
