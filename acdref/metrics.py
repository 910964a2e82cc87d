"""How well scores rank and detect classes.

Conventions
-----------
* ``y`` is a label matrix ``(N, C)`` of 0, 1 and NaN, ``p`` a score matrix of the same shape.  A score may be
  any real number, infinities included; only ranks matter, except to the metrics that take a threshold.
* NaN in ``y`` means *unknown*: that row takes no part in that class, and its score may be NaN too.
  A NaN score beside a known label is an error.
* ``sample_weight`` is ``(N,)`` or ``(N, C)``, finite and not negative; weight 0 means unknown.
* A metric of a class that its labels leave undefined is NaN, and averages over classes pass over it.
* Bad input raises `ValueError`: shapes that do not fit, other labels, NaN scores, bad weights.

Per class: :func:`average_precision`, :func:`roc_auc`, :func:`accuracy`, :func:`f_score`.
Per clip: :func:`lwlrap`, :func:`map_at_k`.
"""

import numpy as np

from acdref._classwise import per_class, split_labels, validate

_CLIPS_AT_A_TIME = 64  # lwlrap compares each positive with its whole clip: this bounds the memory


def average_precision(y, p, sample_weight=None, undefined=np.nan):
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

    return per_class(lambda block: [class_ap(*pair) for pair in block.rankings()], y, p, sample_weight)


def mean_average_precision(y, p, sample_weight=None, undefined=np.nan):
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


def roc_auc(y, p, sample_weight=None):
    """Area under the ROC curve of each class.

    Parameters
    ----------
    y, p, sample_weight
        As in :func:`average_precision`.

    Returns
    -------
    ndarray, shape (C,), float64
        NaN for a class that lacks positives or negatives.

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
        total = negatives.mass_above(-np.inf, inclusive=True)
        if not (positives.scores.size and total):
            return np.nan
        above = negatives.mass_above(positives.scores, inclusive=False)
        not_below = negatives.mass_above(positives.scores, inclusive=True)
        return 1.0 - np.average((above + not_below) / (2.0 * total), weights=positives.weight)

    return per_class(lambda block: [class_auc(*pair) for pair in block.rankings()], y, p, sample_weight)


def balance_negatives(y, explicit):
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


def d_prime(auc):
    """Sensitivity index d' = √2 Φ⁻¹(AUC) of each area.

    Parameters
    ----------
    auc : array_like
        Areas under the ROC curve in [0, 1]; NaN stays NaN.

    Returns
    -------
    ndarray of float64, or float
        As many values; 0.5 gives 0, 0 and 1 give -inf and +inf.

    Notes
    -----
    As Hershey et al. report it; their published 1.13 and 1.39 are AUC .788 and .837.

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


def mean_d_prime(auc, average="auc"):
    """d' of a set of classes.

    Parameters
    ----------
    auc : array_like, shape (C,)
        Areas of the classes; NaN (undefined) are passed over.
    average : {"auc", "d_prime"}
        "auc": d' of the mean area, as PANNs and PSL report it.  "d_prime": mean of the classes' d', infinite
        as soon as one class is perfect, NaN if another is perfectly wrong.

    Returns
    -------
    float

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


def accuracy(y, p, threshold=0.5, sample_weight=None):
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

    Notes
    -----
    Braun & Gamper report the mean over classes, :func:`mean_accuracy`.  Nearly all classes are rare: compare
    with the accuracy of "always absent", ``1 - prior``.

    Examples
    --------
    >>> accuracy([[1, 0], [0, np.nan]], [[0.7, 0.5], [0.6, 0.9]])
    array([0.5, 1. ])
    """

    thresholds = _thresholds(threshold, y)

    def block_accuracy(block):
        true_positive, false_positive, false_negative, true_negative = block.confusion(thresholds)
        right = true_positive + true_negative
        with np.errstate(invalid="ignore"):
            return right / (right + false_positive + false_negative)

    return per_class(block_accuracy, y, p, sample_weight)


def mean_accuracy(y, p, threshold=0.5, sample_weight=None):
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


def f_score(y, p, threshold=0.5, beta=1.0, sample_weight=None, undefined=np.nan):
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

    Examples
    --------
    >>> f_score([[1, 0], [1, 0], [0, 0]], [[0.9, 0.1], [0.5, 0.2], [0.8, 0.3]])
    array([0.5, nan])
    """
    if not 0 < beta < np.inf:
        raise ValueError(f"beta must be positive, not {beta}")

    thresholds = _thresholds(threshold, y)

    def block_f_score(block):
        true_positive, false_positive, false_negative, _ = block.confusion(thresholds)
        hits = (1 + beta**2) * true_positive
        total = hits + beta**2 * false_negative + false_positive
        return np.divide(hits, total, out=np.full(len(total), float(undefined)), where=total > 0)

    return per_class(block_f_score, y, p, sample_weight)


def lwlrap(y, p, sample_weight=None):
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


def lwlrap_per_class(y, p, sample_weight=None):
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


def map_at_k(actual, predicted, k=3):
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


def average_precision_at_k(actual, predicted, k=3):
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


def mean_over_classes(values):
    """Unweighted mean of the values that are defined (not NaN); NaN if none is.

    Parameters
    ----------
    values : array_like, shape (C,)
        A metric of each class.

    Returns
    -------
    float

    Examples
    --------
    >>> mean_over_classes([0.5, np.nan, 1.0])
    0.75
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _thresholds(threshold, y):
    """One threshold per class, float64: a float32 score must not be compared in float32."""
    threshold = np.asarray(threshold, dtype=np.float64)
    n_classes = np.shape(y)[-1:]
    if threshold.shape not in ((), n_classes) or np.isnan(threshold).any():
        raise ValueError("threshold must be a number, or one number for each class")
    return np.broadcast_to(threshold, n_classes)
