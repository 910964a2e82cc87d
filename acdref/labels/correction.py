"""Correcting and masking labels by a teacher's scores: every row of Table 2 of Braun & Gamper.

===  ==========================================  =====================================
row  Table 2                                     call
===  ==========================================  =====================================
1    raw labels                                  none
2    percentile masking (Fonseca 2020)           ``percentile_mask(y, p)``
3    percentile correction                       ``percentile_correct(y, p)``
4    mean threshold (Gong 2021)                  ``mean_threshold_correct(y, p)``
5    correct FN                                  ``correct_labels(y, p, mask=False)``
6    correct FN and FP                           ``correct_labels(y, p, fp=True, mask=False)``
7    correct and mask FN                         ``correct_labels(y, p)``
8    correct and mask FN and FP                  ``correct_labels(y, p, fp=True)``
===  ==========================================  =====================================

FN is a missing label (0 where the sound is present), FP a wrongly set one.  The sentence after eq. (5) of the
paper swaps the two names; abstract, introduction and results settle that eq. (4) and (6) treat FN.
"""

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import in_range, label_matrix, one_of, score_matrix
from acdref.labels._tables import nonzero

__all__ = [
    "above_threshold", "correct_labels", "mean_threshold_correct", "percentile_correct", "percentile_mask",
    "percentile_thresholds", "positive_thresholds",
]  # fmt: skip


def correct_labels(
    y: ArrayLike, p: ArrayLike, T: float = 0.05, fp: bool = False, mask: bool = True, boundary: str = "closed"
) -> NDArray[np.float64]:
    """Correct labels that a confident teacher contradicts, and mask those that it merely doubts.

    =====================  =================  =====================
    label and score        ``fp=False`` (FN)  ``fp=True`` (FN + FP)
    =====================  =================  =====================
    0, p > 1 - T           1                  1
    0, 0.5 < p <= 1 - T    NaN                NaN
    0, p <= 0.5            0                  0
    1, p >= 0.5            1                  1
    1, T <= p < 0.5        1                  NaN
    1, p < T               1                  0
    =====================  =================  =====================

    With ``mask=False`` the label is kept wherever the table says NaN.

    Parameters
    ----------
    y : array_like, (N, C)
        Labels 0, 1 or NaN.
    p : array_like, (N, C)
        Teacher's probabilities in [0, 1]; NaN leaves the label as it was.
    T : float
        Confidence threshold in [0, 0.5].
    fp : bool
        Also treat wrongly set labels, eq. (5) and (7), not only missing ones, eq. (4) and (6).
    mask : bool
        Set less confident contradictions to NaN, eq. (6) and (7).
    boundary : {"closed", "literal"}
        What happens to a score exactly at ``1 - T`` (or ``T``), see Notes.

    Returns
    -------
    ndarray, (N, C), float64

    Raises
    ------
    ValueError
        If T lies outside [0, 0.5] (above 0.5, eq. (4) would set labels that the teacher votes against), or an
        argument has illegal values or shapes.

    Notes
    -----
    Braun & Gamper, eq. (4) to (7).  Boundaries: corrections are strict; ``p = 0.5`` is no contradiction.  As
    printed, the intervals of (6) and (7) are open, so a score of exactly 1 - T falls into no equation: a hole
    between "mask" and "correct" in which the label is kept.  ``boundary="literal"`` does that; the default
    "closed" gives the hole to the weaker action, masking, which makes the result non-decreasing in p (in the
    order 0 < NaN < 1). ``T = 0`` corrects nothing and masks every contradiction; ``T = 0.5`` masks nothing:
    the label becomes the teacher's decision, and ties keep the old label.  An unknown label stays unknown.

    Examples
    --------
    >>> y = [[0, 0, 0, 1, 1, 1]]
    >>> p = [[0.3, 0.8, 0.99, 0.7, 0.2, 0.01]]
    >>> correct_labels(y, p)
    array([[ 0., nan,  1.,  1.,  1.,  1.]])
    >>> correct_labels(y, p, fp=True)
    array([[ 0., nan,  1.,  1., nan,  0.]])
    >>> correct_labels([[0]], [[0.95]]), correct_labels([[0]], [[0.95]], boundary="literal")
    (array([[nan]]), array([[0.]]))
    """
    one_of(boundary, "boundary", ("closed", "literal"))
    T = in_range(T, "T", 0.0, 0.5)
    y = label_matrix(y)
    p = score_matrix(p, shape=y.shape)
    within = np.less_equal if boundary == "closed" else np.less
    corrected = y.copy()
    # Contradictions are few, so the decisions are made on those pairs alone.
    missing = nonzero((y == 0) & (p > 0.5))
    score = p[missing]
    doubtful = np.nan if mask else 0.0
    corrected[missing] = np.where(score > 1.0 - T, 1.0, np.where(within(score, 1.0 - T), doubtful, 0.0))
    if fp:
        wrong = nonzero((y == 1) & (p < 0.5))
        score = p[wrong]
        doubtful = np.nan if mask else 1.0
        corrected[wrong] = np.where(score < T, 0.0, np.where(within(T, score), doubtful, 1.0))
    return corrected


def percentile_thresholds(y: ArrayLike, p: ArrayLike, q: float = 0.05) -> NDArray[np.float64]:
    """Per class, the score that the top fraction ``q`` of the negatives exceeds.

    Parameters
    ----------
    y, p : array_like, (N, C)
        Labels 0, 1 or NaN, and teacher's probabilities, NaN where there is none.
    q : float
        Fraction in [0, 1).

    Returns
    -------
    ndarray, (C,), float64
        The (1 - q) quantile, linearly interpolated, of the scores where ``y`` is 0; NaN for a class without
        any.

    Raises
    ------
    ValueError
        If q lies outside [0, 1), or an argument has illegal values or shapes.

    Notes
    -----
    Braun & Gamper, Table 2, rows 2 and 3, after Fonseca et al. 2020, of which no author's code is public: the
    quantile (rather than "exactly floor(q n) clips") is a choice that does not depend on the clips' order or
    on ties.

    Examples
    --------
    >>> percentile_thresholds([[0], [0], [0], [1]], [[0.1], [0.2], [0.3], [0.9]], q=0.5)
    array([0.2])
    """
    q = in_range(q, "q", 0.0, 1.0, half_open=True)
    y = label_matrix(y)
    p = score_matrix(p, shape=y.shape)
    return _per_class(p, (y == 0) & ~np.isnan(p), functools.partial(np.quantile, q=1.0 - q))


def percentile_mask(y: ArrayLike, p: ArrayLike, q: float = 0.05) -> NDArray[np.float64]:
    """Mask the negatives with the highest scores of each class.

    Parameters
    ----------
    y, p : array_like, (N, C)
        Labels 0, 1 or NaN, and teacher's probabilities, NaN where there is none.
    q : float
        Fraction of the negatives to mask, in [0, 1).

    Returns
    -------
    ndarray, (N, C), float64
        NaN where ``y`` is 0 and p is strictly above its class's :func:`percentile_thresholds`; ``y``
        elsewhere.

    Raises
    ------
    ValueError
        If q lies outside [0, 1), or an argument has illegal values or shapes.

    Notes
    -----
    Braun & Gamper, Table 2, row 2 (Fonseca et al. 2020).  The comparison is strict, hence ``q = 0`` or a
    column of equal scores masks nothing.  Only ranks count: a fraction q is masked even where every score is
    tiny.  It is not idempotent: a second pass ranks the negatives that are left and masks a fraction q of
    those.

    Examples
    --------
    >>> percentile_mask([[0], [0], [0], [1]], [[0.1], [0.2], [0.3], [0.9]], q=0.5).ravel()
    array([ 0.,  0., nan,  1.])
    """
    return _set_flagged(y, p, percentile_thresholds(y, p, q), np.nan)


def percentile_correct(y: ArrayLike, p: ArrayLike, q: float = 0.05) -> NDArray[np.float64]:
    """Turn the negatives with the highest scores of each class into positives.

    Parameters and exceptions are those of :func:`percentile_mask`.

    Returns
    -------
    ndarray, (N, C), float64
        1 where :func:`percentile_mask` has NaN in place of 0; ``y`` elsewhere.

    Notes
    -----
    Braun & Gamper, Table 2, row 3.

    Examples
    --------
    >>> percentile_correct([[0], [0], [0], [1]], [[0.1], [0.2], [0.3], [0.9]], q=0.5).ravel()
    array([0., 0., 1., 1.])
    """
    return _set_flagged(y, p, percentile_thresholds(y, p, q), 1.0)


def positive_thresholds(y: ArrayLike, p: ArrayLike, statistic: str = "mean") -> NDArray[np.float64]:
    """Per class, a statistic of the scores of its positives.

    Parameters
    ----------
    y, p : array_like, (N, C)
        Labels 0, 1 or NaN, and teacher's probabilities, NaN where there is none.
    statistic : {"mean", "median", "p25", "p10", "p5"}
        The last three are percentiles, linearly interpolated.

    Returns
    -------
    ndarray, (C,), float64
        NaN for a class without scored positives.

    Raises
    ------
    ValueError
        For an unknown statistic, or if an argument has illegal values or shapes.

    Notes
    -----
    Gong et al. 2021 (PSLA), whose code offers these five.

    Examples
    --------
    >>> positive_thresholds([[1, 0], [1, 0]], [[0.5, 0.9], [1.0, 0.9]])
    array([0.75,  nan])
    """
    one_of(statistic, "statistic", tuple(_STATISTICS))
    y = label_matrix(y)
    p = score_matrix(p, shape=y.shape)
    return _per_class(p, (y == 1) & ~np.isnan(p), _STATISTICS[statistic])


def mean_threshold_correct(
    y: ArrayLike, p: ArrayLike, candidates: ArrayLike | None = None, statistic: str = "mean"
) -> NDArray[np.float64]:
    """Add the labels whose score is above the usual score of that class's positives.

    Parameters
    ----------
    y, p : array_like, (N, C)
        Labels 0, 1 or NaN, and teacher's probabilities, NaN where there is none.
    candidates : array_like of bool, (N, C), optional
        Pairs that may change, e.g. from :meth:`Ontology.psla_candidates`; every negative by default.
    statistic : {"mean", "median", "p25", "p10", "p5"}
        See :func:`positive_thresholds`.

    Returns
    -------
    ndarray, (N, C), float64
        1 where ``y`` is 0, the pair is a candidate and p is strictly above its class's threshold; ``y``
        elsewhere.

    Raises
    ------
    ValueError
        For an unknown statistic, or if an argument has illegal values or shapes.

    Notes
    -----
    Braun & Gamper, Table 2, row 4 (Gong et al. 2021, PSLA).  Braun's eleven classes have no hierarchy, so
    every negative is a candidate there.  A class without positives has no threshold and does not change; a
    constant score changes nothing (the comparison is strict).  Labels are never removed.  With the same
    candidates and the mean or the median a second pass adds nothing, because the labels added can only raise
    such a threshold; with a lower percentile it may (a new score between the two that were interpolated
    pulls the percentile down), and with candidates taken from the new labels too, because these have children
    of their own.

    Examples
    --------
    >>> mean_threshold_correct([[1], [1], [0], [0]], [[0.5], [1.0], [0.75], [0.8]]).ravel()
    array([1., 1., 0., 1.])
    """
    return _set_flagged(y, p, positive_thresholds(y, p, statistic), 1.0, candidates)


def above_threshold(
    y: ArrayLike, p: ArrayLike, thresholds: ArrayLike, candidates: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Negatives whose score is strictly above the threshold of their class.

    The flags behind percentile and mean thresholding, for thresholds that come from elsewhere: from a whole
    corpus, say, while its clips are relabelled a few at a time.

    Parameters
    ----------
    y, p : array_like, (N, C)
        Labels 0, 1 or NaN, and teacher's probabilities, NaN where there is none.
    thresholds : array_like, (C,)
        NaN flags nothing in that class.
    candidates : array_like of bool, (N, C), optional
        Pairs that may be flagged; all by default.

    Returns
    -------
    ndarray of bool, (N, C)

    Raises
    ------
    ValueError
        If an argument has illegal values or shapes.

    Notes
    -----
    A score equal to its threshold is not flagged.

    Examples
    --------
    >>> above_threshold([[0, 1, 0], [0, 0, 0]], [[0.9, 0.9, 0.9], [0.5, 0.2, 0.9]], [0.5, 0.5, np.nan])
    array([[ True, False, False],
           [False, False, False]])
    """
    y = label_matrix(y)
    p = score_matrix(p, shape=y.shape)
    thresholds = np.asarray(thresholds, dtype=np.float64)
    if thresholds.shape != y.shape[1:]:
        raise ValueError(f"thresholds have the shape {thresholds.shape}, but there are {y.shape[1]} classes")
    flags = (y == 0) & (p > thresholds)
    if candidates is None:
        return flags
    candidates = np.asarray(candidates)
    if candidates.shape != y.shape or candidates.dtype != bool:
        raise ValueError(f"candidates must be bool with the labels' shape {y.shape}")
    return flags & candidates


def _set_flagged(y, p, thresholds, value, candidates=None):
    return np.where(above_threshold(y, p, thresholds, candidates), value, np.asarray(y, dtype=np.float64))


def _per_class(p, chosen, reduce):
    """``reduce`` the chosen scores of each class; NaN where none is chosen."""
    return np.array([reduce(p[chosen[:, c], c]) if chosen[:, c].any() else np.nan for c in range(p.shape[1])])


def _exact_mean(scores):
    # An exactly rounded sum: otherwise the order of the clips could move the threshold across a score.
    # The quotient may still round to just outside the scores; it must not when they are all equal.
    return np.clip(math.fsum(scores) / len(scores), scores.min(), scores.max())


_STATISTICS = {
    "mean": _exact_mean,
    "median": np.median,
    "p25": functools.partial(np.quantile, q=0.25),
    "p10": functools.partial(np.quantile, q=0.10),
    "p5": functools.partial(np.quantile, q=0.05),
}
