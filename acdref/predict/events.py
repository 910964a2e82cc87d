"""Events of recordings: scores of windows in, recordings with their events out, one at a time.

Memory holds the scores of one recording: about a kilobyte a window for the 11 classes.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels.events import Detection, cell_scores, detect_events
from acdref.predict.formats import decimals
from acdref.predict.scoring import USUAL
from acdref.predict.tagging import Failure, Window


class Timeline(NamedTuple):
    """What was heard in a recording, and when.

    Attributes
    ----------
    path : str
    borders : (K + 1,) float64 array
        Seconds, of cells of time; empty if nothing could be scored.
    cells : (K, C) float64 array
        Their scores, see :func:`acdref.labels.events.cell_scores`.
    events : tuple of Detection
    note, error : str or None
        As of :class:`acdref.predict.tagging.Window` and Failure; before an error there may be events.
    """

    path: str
    borders: NDArray[np.float64]
    cells: NDArray[np.float64]
    events: tuple[Detection, ...] = ()
    note: str | None = None
    error: str | None = None

    @property
    def seconds(self) -> float:
        """Where the last window ends."""
        return float(self.borders[-1]) if len(self.borders) else 0.0


def timelines(
    results: Iterable[Any],
    threshold: ArrayLike | Callable[[float], ArrayLike] = USUAL,
    **rules: float,
) -> Iterator[Timeline]:
    """Find the events of recordings.

    Parameters
    ----------
    results : iterable of Window, Failure or End
        From :func:`acdref.predict.tagging.predict` with `ends`.
    threshold : float or (C,) array_like, or callable
        Of :func:`acdref.labels.events.detect_events`; a callable says it for a window of so many seconds.
    **rules
        Of the same: `hold`, `median`, `gap`, `least`.

    Yields
    ------
    Timeline
        One for each recording, as soon as it has been heard, and for each folder that cannot be used.

    Raises
    ------
    ValueError
        If windows leave gaps between them, or a rule is out of its range.

    Notes
    -----
    What a window shorter than the others must score higher for, as those below 0.3 s by default, counts as 0
    there if it does not.
    """
    threshold_of = threshold if callable(threshold) else lambda seconds: threshold
    windows: list[Window] = []
    for result in results:
        if isinstance(result, Window):
            scores = _counted(result, threshold_of)
            windows.append(result._replace(scores=scores))
            continue
        error = result.error if isinstance(result, Failure) else None
        yield _timeline(result.path, windows, error, threshold_of(math.inf), rules)
        windows = []


def _counted(window, threshold_of):
    """The scores of a window, those for which it is too short 0."""
    scores = np.array(decimals(window.scores))
    needed, usual = threshold_of(window.end - window.start), threshold_of(math.inf)
    return np.where((scores < needed) & np.less(usual, needed), 0.0, scores)  # (C,)


def _timeline(path, windows, error, threshold, rules):
    if not windows:
        return Timeline(path, np.zeros(0), np.zeros((0, 0)), error=error)
    spans = [(window.start, window.end) for window in windows]
    cells, borders = cell_scores([window.scores for window in windows], spans)
    events = tuple(detect_events(cells, borders, threshold, **rules))
    note = "; ".join(window.note for window in windows if window.note) or None
    return Timeline(path, borders, cells, events, note, error)
