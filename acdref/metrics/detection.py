"""How well classes are detected at a threshold: accuracy, precision, recall, F-score."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.metrics._classwise import confusion, mean_over_classes

__all__ = ["accuracy", "f_score", "mean_accuracy", "precision_recall"]


def accuracy(
    y: ArrayLike, p: ArrayLike, threshold: ArrayLike = 0.5, sample_weight: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Binary accuracy of each class at a threshold.

    Parameters
    ----------
    y, p, sample_weight
        As in :func:`average_precision`.
    threshold : float or array_like, shape (C,), default 0.5
        A class is detected where ``p > threshold``, strictly, compared in float64.  0.5 for a network's
        probabilities, 0.2 for CLAP's softmax.

    Returns
    -------
    ndarray, shape (C,), float64
        (TP + TN) / n; NaN for a class without known labels.

    Raises
    ------
    ValueError
        For bad input, see :mod:`acdref.metrics`.

    Notes
    -----
    Braun & Gamper report the mean over classes, :func:`mean_accuracy`.  Nearly all classes are rare: compare
    with the accuracy of "always absent", ``1 - prior``.

    Examples
    --------
    >>> accuracy([[1, 0], [0, np.nan]], [[0.7, 0.5], [0.6, 0.9]])
    array([0.5, 1. ])
    """
    cells = confusion(y, p, _thresholds(threshold, y), sample_weight)
    true_positive, false_positive, false_negative, true_negative = cells
    right = true_positive + true_negative
    with np.errstate(invalid="ignore"):
        return right / (right + false_positive + false_negative)


def mean_accuracy(
    y: ArrayLike, p: ArrayLike, threshold: ArrayLike = 0.5, sample_weight: ArrayLike | None = None
) -> float:
    """Mean of the classes' accuracy: the "accuracy" of Braun & Gamper.

    Parameters
    ----------
    y, p, threshold, sample_weight
        As in :func:`accuracy`.

    Returns
    -------
    float
        Unweighted mean over the classes that have a known label.

    Examples
    --------
    >>> mean_accuracy([[1, 0], [0, np.nan]], [[0.7, 0.5], [0.6, 0.9]])
    0.75
    """
    return mean_over_classes(accuracy(y, p, threshold, sample_weight))


def f_score(
    y: ArrayLike,
    p: ArrayLike,
    threshold: ArrayLike = 0.5,
    beta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    undefined: float = np.nan,
) -> NDArray[np.float64]:
    """F-score of each class at a threshold.

    Parameters
    ----------
    y, p, sample_weight
        As in :func:`average_precision`.
    threshold : float or array_like, shape (C,), default 0.5
        A class is detected where ``p > threshold``, strictly, compared in float64.
    beta : float, default 1.0
        Weight of recall against precision, positive.
    undefined : float, default NaN
        What a class with neither positives nor detections gets (scikit-learn's ``zero_division``).

    Returns
    -------
    ndarray, shape (C,), float64
        (1 + β²) TP / ((1 + β²) TP + β² FN + FP).

    Raises
    ------
    ValueError
        For bad input (see :mod:`acdref.metrics`), or a `beta` that is not positive.

    Examples
    --------
    >>> f_score([[1, 0], [1, 0], [0, 0]], [[0.9, 0.1], [0.5, 0.2], [0.8, 0.3]])
    array([0.5, nan])
    """
    if not 0 < beta < np.inf:
        raise ValueError(f"beta must be positive, not {beta}")
    cells = confusion(y, p, _thresholds(threshold, y), sample_weight)
    true_positive, false_positive, false_negative, _ = cells
    hits = (1 + beta**2) * true_positive
    total = hits + beta**2 * false_negative + false_positive
    return np.divide(hits, total, out=np.full(len(total), float(undefined)), where=total > 0)


def precision_recall(
    y: ArrayLike, p: ArrayLike, threshold: ArrayLike = 0.5, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of each class at a threshold.

    Parameters
    ----------
    y, p, threshold, sample_weight
        As in :func:`f_score`.

    Returns
    -------
    precision : ndarray, shape (C,), float64
        TP / (TP + FP); NaN for a class without detections.
    recall : ndarray, shape (C,), float64
        TP / (TP + FN); NaN for a class without positives.

    Raises
    ------
    ValueError
        For bad input, see :mod:`acdref.metrics`.

    Examples
    --------
    >>> precision_recall([[1, 0], [1, 0], [0, 0]], [[0.9, 0.1], [0.5, 0.2], [0.8, 0.3]])
    (array([0.5, nan]), array([0.5, nan]))
    """
    hits, false, missed, _ = confusion(y, p, _thresholds(threshold, y), sample_weight)
    with np.errstate(invalid="ignore"):
        return hits / (hits + false), hits / (hits + missed)


def _thresholds(threshold, y):
    """Checked, in float64: one for all classes, or one for each."""
    threshold = np.asarray(threshold, dtype=np.float64)
    n_classes = np.shape(y)[-1:]
    if threshold.shape not in ((), n_classes) or np.isnan(threshold).any():
        raise ValueError("threshold must be a number, or one number for each class")
    return threshold
