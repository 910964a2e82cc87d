"""Evaluation sets: so many clips of each class, drawn from a large corpus."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import label_matrix

__all__ = ["evaluation_set"]


def evaluation_set(
    y: ArrayLike, durations: ArrayLike, rng: np.random.Generator, quota: int = 200, shortest: float = 8.0
) -> NDArray[np.int64]:
    """Draw clips until every class has its quota of positives, or all that there are.

    Parameters
    ----------
    y : array_like, (N, C)
        Labels 0, 1 or NaN.
    durations : array_like, (N,)
        Of the clips, seconds.
    rng : numpy.random.Generator
    quota : int, default 200
        Positives wanted of each class.
    shortest : float, default 8.0
        Seconds; shorter clips are not drawn.

    Returns
    -------
    ndarray of int, (n,)
        Indices of the clips drawn, ascending, none twice.

    Raises
    ------
    ValueError
        If the shapes do not fit, a duration is NaN, or the quota is negative.

    Notes
    -----
    Braun & Gamper, section 4.2: validation on clips of at least 8 s, 200 of each class, of FSD50K's train and
    val; test on clips of at least 5 s, 140 of each class, of its eval.  Not in the paper, and so our choice:
    classes are visited from the rarest to the commonest (ties in the order of columns), positives that came
    with another class count, and a clip without any positive is never drawn.

    Examples
    --------
    >>> y = [[1, 0], [1, 0], [1, 0], [1, 1], [0, 0]]
    >>> evaluation_set(y, [10, 9, 8, 8, 60], np.random.default_rng(0), quota=2)
    array([2, 3])
    """
    y = label_matrix(y)
    durations = np.asarray(durations, dtype=np.float64)
    if durations.shape != y.shape[:1] or np.isnan(durations).any():
        raise ValueError(f"durations must be {len(y)} numbers, one for each clip")
    if quota < 0:
        raise ValueError(f"quota = {quota} is negative")
    positive = (y == 1) & (durations >= shortest)[:, None]
    drawn = np.zeros(len(y), dtype=bool)
    for c in np.argsort(positive.sum(axis=0), kind="stable"):
        left = np.flatnonzero(positive[:, c] & ~drawn)
        missing = quota - int(np.count_nonzero(positive[drawn, c]))
        if missing > 0:
            drawn[rng.choice(left, size=min(missing, len(left)), replace=False)] = True
    return np.flatnonzero(drawn)
