"""How well the classes of each clip are ranked: lwlrap, MAP@k."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.metrics._classwise import split_labels, validate

__all__ = ["average_precision_at_k", "lwlrap", "lwlrap_per_class", "map_at_k"]

_CLIPS_AT_A_TIME = 64  # lwlrap compares each positive with its whole clip: this bounds the memory


def lwlrap(y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Label-weighted label-ranking average precision.

    Parameters
    ----------
    y : array_like, shape (N, C)
        Labels.  Unlike elsewhere NaN counts as 0: only positives and ranks matter, so how negatives are
        defined does not (Hershey et al.).
    p : array_like, shape (N, C)
        Scores of all classes, none NaN.
    sample_weight : array_like, shape (N,), optional
        Weights of the clips.

    Returns
    -------
    float
        Mean over all positive labels (the sum of `lwlrap_per_class`'s values times weights); NaN if there
        is none.

    See Also
    --------
    lwlrap_per_class

    Notes
    -----
    For each positive label of a clip: the precision at its rank, (positives ranked at or above it) / rank.
    Clips without positives are passed over.  Each of several tied scores gets the worst of their ranks
    (scikit-learn's rule: deterministic, pessimistic; the DCASE 2019 reference depends on an unstable sort).

    Examples
    --------
    >>> lwlrap([[1, 0, 0], [0, 1, 1]], [[0.9, 0.5, 0.1], [0.8, 0.7, 0.1]])  # (1/1 + 1/2 + 2/3) / 3
    0.7222222222222222
    """
    values, weights = lwlrap_per_class(y, p, sample_weight)
    return float(values @ weights) if weights.any() else float("nan")


def lwlrap_per_class(
    y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Label-ranking average precision of each class's positives, and the class's share of all positives.

    Parameters
    ----------
    y, p, sample_weight
        As in :func:`lwlrap`.

    Returns
    -------
    values : ndarray, shape (C,), float64
        Mean precision over the class's positive labels; 0 for a class without.
    weights : ndarray, shape (C,), float64
        Share of the class in all positive labels; they sum to 1, or to 0 without any positive.

    Raises
    ------
    ValueError
        For bad input (see :mod:`acdref.metrics`), a NaN score, or weights of another shape than (N,).

    Examples
    --------
    >>> lwlrap_per_class([[1, 0, 0], [0, 1, 1]], [[0.9, 0.5, 0.1], [0.8, 0.7, 0.1]])
    (array([1.        , 0.5       , 0.66666667]), array([0.33333333, 0.33333333, 0.33333333]))
    """
    y, p, weight = validate(y, p, sample_weight)
    if weight is not None and weight.ndim != 1:
        raise ValueError("lwlrap weighs clips: sample_weight must be of shape (N,)")
    if np.isnan(p).any():
        raise ValueError("p has a NaN score: lwlrap ranks all classes of a clip")
    hits, total = np.zeros((2, y.shape[1]))
    for start in range(0, len(y), _CLIPS_AT_A_TIME):
        clips = slice(start, start + _CLIPS_AT_A_TIME)
        scores, (positive, _) = p[clips], split_labels(y[clips])
        clip, label = np.nonzero(positive)
        at_or_above = scores[clip] >= scores[clip, label, None]  # (positives, C)
        positives_at_or_above = np.count_nonzero(at_or_above & positive[clip], axis=1)
        precision = positives_at_or_above / np.count_nonzero(at_or_above, axis=1)
        share = np.ones(len(clip)) if weight is None else weight[clips][clip]
        hits += np.bincount(label, share * precision, len(hits))
        total += np.bincount(label, share, len(total))
    some = total > 0
    values = np.divide(hits, total, out=np.zeros_like(hits), where=some)
    return values, total / total.sum() if some.any() else total


def map_at_k(actual: Sequence[Collection], predicted: Sequence[Sequence] | NDArray, k: int = 3) -> float:
    """Mean over clips of the average precision of the first k predictions (MAP@k).

    Parameters
    ----------
    actual : sequence of sequences
        The classes of each clip (indices or names), without repetitions.
    predicted : sequence of sequences, or ndarray of shape (N, >=k)
        The classes predicted for each clip, best first; what comes after the first `k` is ignored.
    k : int, default 3
        3 in DCASE 2018 task 2 (Dorfer & Widmer).

    Returns
    -------
    float
        NaN without clips.

    See Also
    --------
    average_precision_at_k : The value of each clip.

    Examples
    --------
    >>> map_at_k([[7], [5]], [[7, 2, 3], [1, 2, 5]])  # (1 + 1/3) / 2
    0.6666666666666666
    """
    values = average_precision_at_k(actual, predicted, k)
    return float(values.mean()) if len(values) else float("nan")


def average_precision_at_k(
    actual: Sequence[Collection], predicted: Sequence[Sequence] | NDArray, k: int = 3
) -> NDArray[np.float64]:
    """Average precision of the first k predictions for each clip.

    Parameters
    ----------
    actual, predicted, k
        As in :func:`map_at_k`.

    Returns
    -------
    ndarray, shape (N,), float64
        Sum over the hits of (hits so far / rank), divided by ``min(len(actual), k)``; a repeated prediction
        hits only the first time.  0 for a clip without classes.

    Raises
    ------
    ValueError
        If `k` is below 1, or the numbers of clips differ.

    Examples
    --------
    A single label is worth 1, 1/2, 1/3 or 0:

    >>> average_precision_at_k([["dog"], ["dog"], ["dog"]], [["dog"], ["cat", "dog"], []])
    array([1. , 0.5, 0. ])
    >>> average_precision_at_k([[0, 1]], [[0, 0, 1]])
    array([0.83333333])
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if len(actual) != len(predicted):
        raise ValueError(f"actual has {len(actual)} clips, predicted {len(predicted)}")
    values = np.zeros(len(actual))
    for i, (classes, guesses) in enumerate(zip(actual, predicted, strict=True)):
        missing, hits = set(classes), 0
        for rank, guess in enumerate(guesses[:k], start=1):
            if guess in missing:
                missing.remove(guess)
                hits += 1
                values[i] += hits / rank
        if hits:
            values[i] /= min(len(classes), k)
    return values
