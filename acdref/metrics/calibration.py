"""From scores to decisions and to honest probabilities: thresholds, Platt scaling, reliability.

All of it is fitted on recordings that the network was not trained on.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.metrics._classwise import split_labels, validate
from acdref.metrics.intervals import bootstrap_weights, check_groups

__all__ = ["Reliability", "best_thresholds", "platt_scaling", "reliability"]

_STEPS = 100  # of Newton's method; a dozen are enough
_CLOSE = 1e-10


def _checked(y, p):
    """Labels, scores, and where a label is known."""
    y, p, _ = validate(y, p, None)
    known = np.logical_or(*split_labels(y))
    if not np.isfinite(p[known]).all():
        raise ValueError("p has a score beside a known label that is no finite number")
    return y, p, known


def best_thresholds(
    y: ArrayLike, p: ArrayLike, groups: Sequence | None = None, *, repeats: int = 200, seed: int = 0
) -> NDArray[np.float64]:
    """The threshold of each class with the highest F1.

    Parameters
    ----------
    y : array_like, (N, C)
        Labels: 0, 1 or NaN (unknown).
    p : array_like, (N, C)
        Scores of recordings that the network was not trained on.
    groups : sequence, (N,), optional
        The source of each recording; default: each its own.
    repeats : int
        Resamples of sources; 0: the recordings as they are.
    seed : int

    Returns
    -------
    ndarray, (C,), float64
        Halfway between two scores, or just below the lowest, or the median of such over the resamples; 0.5
        for a class without positives.

    Raises
    ------
    ValueError
        For bad input, see :mod:`acdref.metrics`.

    Notes
    -----
    With few positives the best threshold hangs on a single recording.  The median over resamples hangs on it
    less, and does better on other recordings.

    Examples
    --------
    >>> best_thresholds([[1], [1], [0], [0]], [[0.9], [0.5], [0.3], [0.1]], repeats=0)
    array([0.4])
    """
    y, p, _ = _checked(y, p)
    groups = range(len(y)) if groups is None else groups
    check_groups(groups, len(y))
    weights = list(bootstrap_weights(groups, repeats, seed)) if repeats else [np.ones(len(y))]
    return np.array([_best(y[:, c], p[:, c].astype(np.float64), weights) for c in range(y.shape[1])])


def _best(y, p, weights):
    """Median over the resamples of one class's best threshold."""
    if not (y == 1).any():
        return 0.5
    known = (y == 0) | (y == 1)
    order = np.flatnonzero(known)[np.argsort(-p[known], kind="stable")]
    score, positive = p[order], y[order] == 1
    last = np.append(score[1:] < score[:-1], True)  # of its ties: between them is no threshold
    below = np.append(score[1:], np.nextafter(score[-1:], -np.inf))
    between = np.minimum((score + below) / 2, np.nextafter(score, -np.inf))[last]
    found = []
    for weight in weights:
        own = weight[order]
        wanted = own @ positive
        if wanted == 0:
            continue
        hits, tagged = np.cumsum(own * positive)[last], np.cumsum(own)[last]
        found.append(between[np.argmax(2 * hits / (tagged + wanted))])
    return float(np.median(found)) if found else 0.5


def platt_scaling(y: ArrayLike, logits: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and shift that make each class's logits those of honest probabilities (Platt).

    Parameters
    ----------
    y : array_like, (N, C)
        Labels: 0, 1 or NaN (unknown).
    logits : array_like, (N, C)
        Of recordings that the network was not trained on.

    Returns
    -------
    scale, shift : ndarray, (C,), float64
        ``sigmoid(scale * logits + shift)`` is the probability.  1 and 0 for a class that lacks positives or
        negatives, or whose logits do not rise with its labels.

    Raises
    ------
    ValueError
        For bad input, see :mod:`acdref.metrics`.

    Notes
    -----
    Logistic regression with Platt's targets, ``(n₊ + 1) / (n₊ + 2)`` for positives and ``1 / (n₋ + 2)`` for
    negatives: with few recordings, perfect separation does not make probabilities of 0 and 1.  A change of
    all probabilities of a class that keeps their order changes no average precision.

    Examples
    --------
    >>> y = [[0], [0], [0], [1], [0], [1]]
    >>> scale, shift = platt_scaling(y, [[-9.0], [-6.0], [-3.0], [1.0], [2.0], [6.0]])
    >>> scale.round(2), shift.round(2)
    (array([0.19]), array([-0.41]))
    """
    y, z, _ = _checked(y, logits)
    y, z = y.astype(np.float64), z.astype(np.float64)
    fitted = [_platt(y[:, c], z[:, c]) for c in range(y.shape[1])]
    scale, shift = np.array(fitted).reshape(-1, 2).T
    return scale, shift


def _platt(y, z):
    z, y = z[~np.isnan(y)], y[~np.isnan(y)]
    positives, negatives = np.count_nonzero(y == 1), np.count_nonzero(y == 0)
    if not positives or not negatives:
        return 1.0, 0.0
    target = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    middle, spread = z.mean(), z.std() or 1.0
    x = np.stack([(z - middle) / spread, np.ones_like(z)], axis=1)  # (n, 2)
    w = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    loss = _cross_entropy(x @ w, target)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(x @ w)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (p - target))
        while (after := _cross_entropy(x @ (w - step), target)) > loss and np.abs(step).max() > _CLOSE:
            step /= 2
        w, loss = w - step, after
        if np.abs(step).max() <= _CLOSE:
            break
    if w[0] <= 0:
        return 1.0, 0.0
    return float(w[0] / spread), float(w[1] - w[0] * middle / spread)


def _cross_entropy(z, target):
    return np.sum(np.logaddexp(0, z) - target * z)


class Reliability(NamedTuple):
    """Of the recordings with a probability in a bin: how many, its mean, and the share that has the class."""

    recordings: np.ndarray  # (B,) int
    probability: np.ndarray  # (B,): mean; NaN in an empty bin
    share: np.ndarray  # (B,): of positives; NaN in an empty bin

    @property
    def error(self) -> float:
        """Expected calibration error: mean of ``|probability - share|`` over recordings; NaN without any."""
        filled = self.recordings > 0
        if not filled.any():
            return np.nan
        gap = np.abs(self.probability - self.share)[filled]
        return float(np.average(gap, weights=self.recordings[filled]))


def reliability(y: ArrayLike, p: ArrayLike, bins: int = 10) -> Reliability:
    """Whether probabilities are what they say, over all classes: the numbers of a reliability diagram.

    Parameters
    ----------
    y : array_like, (N, C)
        Labels: 0, 1 or NaN (unknown).
    p : array_like, (N, C)
        Probabilities.
    bins : int
        Of equal width.

    Returns
    -------
    Reliability

    Raises
    ------
    ValueError
        For bad input, see :mod:`acdref.metrics`; for a probability outside [0, 1] or less than one bin.

    Examples
    --------
    >>> found = reliability([[1], [0], [1], [1]], [[0.9], [0.2], [0.6], [0.8]], bins=2)
    >>> found.recordings, found.probability.round(3), found.share
    (array([1, 3]), array([0.2  , 0.767]), array([0., 1.]))
    >>> round(found.error, 3)
    0.225
    """
    y, p, known = _checked(y, p)
    y, p = y[known].astype(np.float64), p[known].astype(np.float64)
    if bins < 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("reliability needs probabilities within [0, 1], and at least one bin")
    place = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        probability, share = (np.bincount(place, values, bins) / count for values in (p, y))
    return Reliability(count, probability, share)
