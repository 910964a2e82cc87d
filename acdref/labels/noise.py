"""Errors put into labels on purpose, and what a correction made of them: how experiments know the truth."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import in_range, label_matrix, with_dimensions


def inject_noise(
    y: ArrayLike, rng: np.random.Generator, missing: tuple[float, float] = (0.3, 0.5), false: float = 0.05
) -> NDArray[np.float64]:
    """Forget labels, and set some that are wrong.

    Parameters
    ----------
    y : array_like, (N, C)
        Labels 0, 1 or NaN, taken as the truth.
    rng : numpy.random.Generator
    missing : (float, float)
        The share of its positives that a class loses is drawn uniformly between these two, class by class.
    false : float
        Wrong positives of a class, as a share of its true ones.

    Returns
    -------
    ndarray, (N, C), float64
        Numbers of errors are rounded down, so that a class keeps at least one of its positives unless it is
        to lose all.  Unknown labels stay unknown.

    Raises
    ------
    ValueError
        If a share lies outside [0, 1], or a label is none of 0, 1, NaN.

    Notes
    -----
    The noise that Braun & Gamper describe of AudioSet is mostly missing labels; which ones are missing is
    drawn here without regard to how they sound, which is kinder than annotators, who miss what is faint.

    Examples
    --------
    >>> y = np.repeat([[1.0, 0.0], [0.0, 1.0]], 10, axis=0)
    >>> noisy = inject_noise(y, np.random.default_rng(0), missing=(0.5, 0.5), false=0.1)
    >>> ((y == 1) & (noisy == 0)).sum(axis=0), ((y == 0) & (noisy == 1)).sum(axis=0)
    (array([5, 5]), array([1, 1]))
    """
    y = label_matrix(y)
    lowest, highest = (in_range(share, "missing", 0.0, 1.0) for share in missing)
    false = in_range(false, "false", 0.0, 1.0)
    noisy = y.copy()
    for c, share in enumerate(rng.uniform(lowest, highest, y.shape[1])):
        present, absent = np.flatnonzero(y[:, c] == 1), np.flatnonzero(y[:, c] == 0)
        noisy[rng.choice(present, int(share * len(present)), replace=False), c] = 0
        wrong = min(int(false * len(present)), len(absent))
        noisy[rng.choice(absent, wrong, replace=False), c] = 1
    return noisy


def repair_counts(truth: ArrayLike, noisy: ArrayLike, repaired: ArrayLike) -> dict[str, int]:
    """How many errors a correction has found, and how many it has made.

    Parameters
    ----------
    truth : array_like, (N, C)
        Labels 0 or 1; pairs with NaN do not count.
    noisy, repaired : array_like, (N, C)
        Labels 0, 1 or NaN before and after the correction.

    Returns
    -------
    dict of str to int
        ``errors`` in `noisy`; of these ``repaired`` (right now) and ``masked`` (NaN now); of the right
        labels ``harmed`` (wrong now) and ``lost`` (NaN now).

    Raises
    ------
    ValueError
        If the shapes differ, or a label is none of 0, 1, NaN.

    Notes
    -----
    Precision of the repair is ``repaired / (repaired + harmed)``, its recall ``repaired / errors``; with
    masking counted, ``(repaired + masked) / (repaired + masked + harmed + lost)`` and
    ``(repaired + masked) / errors``.

    Examples
    --------
    >>> repair_counts([[1, 1, 1, 0, 0, 0]], [[0, 0, 0, 1, 0, 0]], [[1, np.nan, 0, 1, 1, np.nan]])
    {'errors': 4, 'repaired': 1, 'masked': 1, 'harmed': 1, 'lost': 1}
    """
    truth, noisy, repaired = (label_matrix(labels) for labels in (truth, noisy, repaired))
    if not truth.shape == noisy.shape == repaired.shape:
        raise ValueError(f"labels of the shapes {truth.shape}, {noisy.shape} and {repaired.shape} differ")
    wrong = ~np.isnan(truth) & (noisy == 1 - truth)
    right = noisy == truth
    found = {
        "errors": wrong,
        "repaired": wrong & (repaired == truth),
        "masked": wrong & np.isnan(repaired),
        "harmed": right & (repaired == 1 - truth),
        "lost": right & np.isnan(repaired),
    }
    return {name: int(pairs.sum()) for name, pairs in found.items()}


def score_ceiling(
    truth: ArrayLike, noisy: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """The highest score that a calibrated teacher can give to a label that is missing at random.

    Parameters
    ----------
    truth, noisy : array_like, (N, C)
        Labels 0, 1 or NaN, right ones and those that the teacher learns from; pairs with NaN do not count.
    weights : array_like, (N,), optional
        How often training draws each recording, as :func:`acdref.data.clip_weights`; all alike by default.

    Returns
    -------
    ndarray, (C,), float64
        The share of the class's true positives, as training draws them, that are labelled.  NaN for a class
        of which none is drawn.

    Raises
    ------
    ValueError
        If the shapes differ, a label is none of 0, 1, NaN, or a weight is negative or not finite.

    Notes
    -----
    A teacher that hears the class whenever it is there cannot hear whether its label is missing, so that it
    learns one score for all true positives; cross-entropy is lowest where that is the share of them that is
    labelled.  Where this is below ``1 - T``, eq. (4) of Braun & Gamper, which corrects above ``1 - T``, can
    act only through scores that are higher than they should be; eq. (6), which masks above 0.5, can act down
    to a ceiling of one half.  Labels that are missing because they are hard to hear, not at random, may get
    less or more.

    Examples
    --------
    >>> truth, noisy = [[1, 1], [1, 0], [1, 0], [1, 0]], [[1, 1], [1, 0], [1, 0], [0, 0]]
    >>> score_ceiling(truth, noisy), score_ceiling(truth, noisy, [1, 1, 1, 3])
    (array([0.75, 1.  ]), array([0.5, 1. ]))
    """
    truth, noisy = label_matrix(truth), label_matrix(noisy)
    weights = np.ones(len(truth)) if weights is None else with_dimensions(weights, "weights", 1)
    if truth.shape != noisy.shape or len(weights) != len(truth):
        shapes = f"{truth.shape} and {noisy.shape}"
        raise ValueError(f"labels of the shapes {shapes} and {len(weights)} weights do not fit together")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("weights are finite and not negative")
    present = (truth == 1) & ~np.isnan(noisy)
    drawn, labelled = weights @ present, weights @ (present & (noisy == 1))  # (C,)
    return np.divide(labelled, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
