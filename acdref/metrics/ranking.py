"""How well scores rank the clips of each class: average precision, ROC area, d'."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.metrics._classwise import mean_over_classes, per_class

__all__ = [
    "average_precision", "balance_negatives", "d_prime", "mean_average_precision", "mean_d_prime", "roc_auc",
]  # fmt: skip


def average_precision(
    y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None = None, undefined: float = np.nan
) -> NDArray[np.float64]:
    """Average precision of each class.

    Parameters
    ----------
    y : array_like, shape (N, C)
        Labels: 0, 1 or NaN (unknown: the row is dropped for that class).
    p : array_like, shape (N, C)
        Scores; any real numbers, higher means more likely present.
    sample_weight : array_like, shape (N,) or (N, C), optional
        Weights of the rows, or of each label.
    undefined : float, default NaN
        What a class without positives gets; scikit-learn's convention is ``0.0``.

    Returns
    -------
    ndarray, shape (C,), float64

    Raises
    ------
    ValueError
        For bad input, see :mod:`acdref.metrics`.

    Notes
    -----
    AP = Σₙ (Rₙ - Rₙ₋₁) Pₙ over the distinct scores, without interpolation: tied scores form one threshold
    (scikit-learn's definition).  A class whose known labels are all 1 has AP 1.

    Examples
    --------
    >>> average_precision([[1, 0], [0, 0], [1, 0]], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    array([0.83333333,        nan])

    Three tied scores are one threshold with precision 2/3:

    >>> average_precision([[1], [0], [1]], [[0.5], [0.5], [0.5]])
    array([0.66666667])
    """

    def class_ap(positives, negatives):
        if not positives.scores.size:
            return undefined
        hits = positives.mass_above(positives.scores, inclusive=True)
        precision = hits / (hits + negatives.mass_above(positives.scores, inclusive=True))
        return np.average(precision, weights=positives.weight)

    return per_class(class_ap, y, p, sample_weight)


def mean_average_precision(
    y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None = None, undefined: float = np.nan
) -> float:
    """Mean of the classes' average precision (mAP).

    Parameters
    ----------
    y, p, sample_weight, undefined
        As in :func:`average_precision`.

    Returns
    -------
    float
        Unweighted mean over the classes that have a positive (all classes, if `undefined` is a number);
        NaN if there is none.

    Examples
    --------
    >>> y, p = [[1, 0], [0, 0], [1, 0]], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]
    >>> round(mean_average_precision(y, p), 4)
    0.8333
    >>> round(mean_average_precision(y, p, undefined=0.0), 4)
    0.4167
    """
    return mean_over_classes(average_precision(y, p, sample_weight, undefined))


def roc_auc(y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None = None) -> NDArray[np.float64]:
    """Area under the ROC curve of each class.

    Parameters
    ----------
    y, p, sample_weight
        As in :func:`average_precision`.

    Returns
    -------
    ndarray, shape (C,), float64
        NaN for a class that lacks positives or negatives.

    Raises
    ------
    ValueError
        For bad input, see :mod:`acdref.metrics`.

    Notes
    -----
    The probability that a positive scores above a negative; a tie counts one half.  For two pools of
    negatives that shall count equally see :func:`balance_negatives`.

    Examples
    --------
    >>> roc_auc([[1, 1], [0, 1], [1, 1]], [[0.9, 0.1], [0.8, 0.2], [0.8, 0.3]])
    array([0.75,  nan])
    """

    def class_auc(positives, negatives):
        if not (positives.scores.size and negatives.total):
            return np.nan
        above = negatives.mass_above(positives.scores, inclusive=False)
        not_below = negatives.mass_above(positives.scores, inclusive=True)
        return 1.0 - np.average((above + not_below) / (2.0 * negatives.total), weights=positives.weight)

    return per_class(class_auc, y, p, sample_weight)


def balance_negatives(y: ArrayLike, explicit: ArrayLike) -> NDArray[np.float64]:
    """Weights that make two pools of negatives count equally in each class (Hershey et al.).

    Parameters
    ----------
    y : array_like, shape (N, C)
        Labels: 0, 1 or NaN.
    explicit : array_like of bool, shape (N, C)
        Which negatives come from the second pool (marked absent by annotators); the other negatives are the
        first pool (complementary).  What it says of positives and unknown labels is ignored.

    Returns
    -------
    ndarray, shape (N, C), float64
        1 for positives and unknown labels; n / (2 m) for a negative in a pool of m, when the class has n
        negatives in both pools together, so that their total stays n.  1 where one pool is empty: the other
        stands alone.

    Raises
    ------
    ValueError
        If `explicit` is no boolean matrix of the shape of `y`.

    Notes
    -----
    The paper says "mixes ... to give balanced measures" without a formula.  With these weights
    ``AUC = (AUC(positives, complementary) + AUC(positives, explicit)) / 2``.  Pooled measures, where each
    negative counts the same, need no weights.

    Examples
    --------
    >>> y = np.array([[1], [0], [0], [0]])
    >>> p = np.array([[0.6], [0.1], [0.2], [0.9]])
    >>> weight = balance_negatives(y, [[False], [False], [False], [True]])
    >>> weight.ravel()
    array([1.  , 0.75, 0.75, 1.5 ])
    >>> roc_auc(y, p), roc_auc(y, p, weight)
    (array([0.66666667]), array([0.5]))
    """
    y, explicit = np.asarray(y), np.asarray(explicit)
    if y.ndim != 2 or y.shape != explicit.shape or explicit.dtype != bool:
        raise ValueError("explicit must be a boolean matrix of the shape of y, (N, C)")
    negative = y == 0
    weight = np.ones(y.shape)
    size = negative.sum(axis=0)
    for pool in (negative & explicit, negative & ~explicit):
        members = pool.sum(axis=0)
        mixed = (members > 0) & (members < size)
        share = size[mixed] / (2.0 * members[mixed])
        weight[:, mixed] = np.where(pool[:, mixed], share, weight[:, mixed])
    return weight


def d_prime(auc: ArrayLike) -> NDArray[np.float64]:
    """Sensitivity index d' = √2 Φ⁻¹(AUC) of each area.

    Parameters
    ----------
    auc : array_like
        Areas under the ROC curve in [0, 1]; NaN stays NaN.

    Returns
    -------
    ndarray of float64, or float
        As many values; 0.5 gives 0, 0 and 1 give -inf and +inf.

    Raises
    ------
    ValueError
        If an area lies outside [0, 1].

    Notes
    -----
    Hershey et al., section 4.1; their published 1.13 and 1.39 are AUC .788 and .837.

    Examples
    --------
    >>> d_prime([0.5, 0.788, 1.0]).round(2)
    array([0.  , 1.13,  inf])
    """
    from statistics import NormalDist

    auc = np.asarray(auc, dtype=np.float64)
    if ((auc < 0) | (auc > 1)).any():
        raise ValueError("auc must lie in [0, 1]")
    quantile = NormalDist().inv_cdf
    z = [
        quantile(a) if 0.0 < a < 1.0 else np.nan if np.isnan(a) else np.copysign(np.inf, a - 0.5)
        for a in auc.flat
    ]
    return np.sqrt(2.0) * np.array(z).reshape(auc.shape)[()]


def mean_d_prime(auc: ArrayLike, average: str = "auc") -> float:
    """d' of a set of classes.

    Parameters
    ----------
    auc : array_like, shape (C,)
        Areas of the classes; NaN (undefined) are passed over.
    average : {"auc", "d_prime"}
        "auc": d' of the mean area, as in the code of PANNs and PSL (Hershey et al. do not say).  "d_prime":
        mean of the classes' d', infinite as soon as one class is perfect, NaN if another is perfectly wrong.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an area lies outside [0, 1], or for another word for `average`.

    Examples
    --------
    >>> auc = [0.6, 0.9, np.nan]
    >>> round(mean_d_prime(auc), 4), round(mean_d_prime(auc, average="d_prime"), 4)
    (0.9539, 1.0853)
    """
    if average == "auc":
        return float(d_prime(mean_over_classes(auc)))
    if average == "d_prime":
        with np.errstate(invalid="ignore"):
            return mean_over_classes(d_prime(auc))
    raise ValueError(f'average must be "auc" or "d_prime", not {average!r}')
