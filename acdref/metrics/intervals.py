"""How far a measure can be trusted: intervals by resampling whole sources.

Recordings of one source (a recordist, a place, a session) resemble each other; to draw single recordings
would count them as so many independent ones, and make intervals too narrow.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bootstrap_interval", "bootstrap_intervals", "bootstrap_weights"]


def bootstrap_weights(groups: Sequence, repeats: int, seed: int = 0) -> Iterator[NDArray[np.float64]]:
    """How often each recording occurs when sources are drawn with replacement, as many as there are.

    Parameters
    ----------
    groups : sequence, (N,)
        The source of each recording.
    repeats : int
    seed : int
        Not negative.

    Yields
    ------
    ndarray, (N,), float64

    Examples
    --------
    >>> next(bootstrap_weights(["a", "a", "b", "c"], repeats=1))
    array([0., 0., 2., 1.])
    """
    _, source = np.unique(list(groups), return_inverse=True)
    count = int(source.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    for _ in range(repeats):
        drawn = np.bincount(rng.integers(count, size=count), minlength=count)
        yield drawn[source].astype(np.float64)  # (N,)


def bootstrap_interval(
    measure: Callable[[ArrayLike, ArrayLike, NDArray], float],
    y: ArrayLike,
    p: ArrayLike,
    groups: Sequence,
    *,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a measure, by source.

    Parameters
    ----------
    measure : callable
        ``measure(y, p, sample_weight)``, such as :func:`acdref.metrics.mean_average_precision`.
    y, p : array_like, (N, C)
        Labels and scores.
    groups : sequence, (N,)
        The source of each recording.
    level : float
        Share of the resamples within the interval.
    repeats, seed : int

    Returns
    -------
    low, high : float
        NaN if the measure is not defined in any resample; those in which it is not are passed over.

    Raises
    ------
    ValueError
        If `groups` are not one for each recording, or `level` is not within (0, 1).

    Examples
    --------
    >>> from acdref.metrics import mean_average_precision
    >>> y, p = [[1], [0], [1], [0]], [[0.9], [0.8], [0.7], [0.1]]
    >>> bootstrap_interval(mean_average_precision, y, p, "abcd", repeats=200)
    (0.3333333333333333, 1.0)
    """
    low, high = bootstrap_intervals(measure, y, p, groups, level=level, repeats=repeats, seed=seed)
    return float(low), float(high)


def bootstrap_intervals(
    measure: Callable[[ArrayLike, ArrayLike, NDArray], ArrayLike],
    y: ArrayLike,
    p: ArrayLike,
    groups: Sequence,
    *,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Percentile bootstrap intervals of many measures, from the same resamples of sources.

    Parameters
    ----------
    measure : callable
        ``measure(y, p, sample_weight)``, an array of measures of any shape (...), the same each time.
    y, p, groups, level, repeats, seed
        As in :func:`bootstrap_interval`.

    Returns
    -------
    ndarray, (2, ...), float64
        Lows and highs; NaN where a measure is not defined in any resample.

    Raises
    ------
    ValueError
        As :func:`bootstrap_interval`.

    Examples
    --------
    >>> from acdref.metrics import average_precision
    >>> y, p = [[1, 0], [0, 0], [1, 0], [0, 0]], [[0.9, 0.1], [0.8, 0.1], [0.7, 0.2], [0.1, 0.3]]
    >>> bootstrap_intervals(average_precision, y, p, "abcd", repeats=200).round(3)
    array([[0.333,   nan],
           [1.   ,   nan]])
    """
    check_groups(groups, len(np.asarray(y)))
    if not 0 < level < 1:
        raise ValueError(f"level must be within (0, 1), not {level}")
    # (R, ...)
    values = np.array([measure(y, p, weight) for weight in bootstrap_weights(groups, repeats, seed)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a measure that no resample defines
        return np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)


def check_groups(groups: Sequence, count: int) -> None:
    """Refuse sources that are not one for each of so many recordings: ValueError."""
    if len(groups) != count:
        raise ValueError(f"{len(groups)} sources for {count} recordings")
