"""From a CLAP teacher's cosines to labels.

Keep the raw cosines: every decision here can be remade from them without running the teacher again.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import in_range, with_dimensions

__all__ = ["clap_labels", "clap_probabilities", "robust_z_scores", "threshold_labels"]


def clap_probabilities(
    cosines: ArrayLike, scale: float, background: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Softmax over the classes' prompts of the scaled cosine similarities.

    Parameters
    ----------
    cosines : array_like, (N, C)
        Cosine between the embeddings of N clips and of C class prompts.
    scale : float
        The teacher's learned ``exp(logit_scale)``, above 0.
    background : array_like, (N, B), optional
        Cosines with prompts that compete in the softmax but are no class ("silence", "something else").

    Returns
    -------
    ndarray, (N, C), float64
        Rows sum to 1, or to less with background prompts, whose share is left out.  A NaN cosine makes its
        row NaN.

    Raises
    ------
    ValueError
        If ``scale`` is not a positive number, or the shapes do not fit.

    Notes
    -----
    Braun & Gamper's zero-shot labels (prompts of Table 1); evaluation ranks CLAP by this value too.  The
    scale matters: a softmax over 11 bare cosines (scale 1) never exceeds e / (e + 10/e) = 0.43 and in
    practice stays near 1/11.

    Examples
    --------
    >>> clap_probabilities([[0.5, 0.4, 0.4]], scale=10).round(3)
    array([[0.576, 0.212, 0.212]])
    >>> clap_probabilities([[0.5, 0.4]], scale=10, background=[[0.4]]).round(3)
    array([[0.576, 0.212]])
    """
    cosines = _cosine_matrix(cosines)
    if not 0 < scale < np.inf:
        raise ValueError(f"scale = {scale}: the teacher's exp(logit_scale) is a positive number")
    competitors = cosines
    if background is not None:
        background = _cosine_matrix(background, "background")
        if len(background) != len(cosines):
            raise ValueError(f"background has {len(background)} rows, but there are {len(cosines)} clips")
        competitors = np.concatenate([cosines, background], axis=1)
    # Only differences matter to a softmax; subtracting the largest keeps exp() from overflowing.
    weights = np.exp(scale * (competitors - competitors.max(axis=1, keepdims=True)))
    return weights[:, : cosines.shape[1]] / weights.sum(axis=1, keepdims=True)


def clap_labels(
    cosines: ArrayLike, scale: float, threshold: float = 0.2, background: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Label the classes whose softmax probability is above a threshold.

    Parameters
    ----------
    cosines, scale, background
        See :func:`clap_probabilities`.
    threshold : float
        In [0, 1].

    Returns
    -------
    ndarray, (N, C), float64
        1 where the probability is strictly above ``threshold``, else 0; NaN where it is NaN.

    Raises
    ------
    ValueError
        If ``threshold`` lies outside [0, 1], or for what :func:`clap_probabilities` refuses.

    Notes
    -----
    Braun & Gamper's rule for labelling by CLAP.  At most four classes of a clip can exceed 0.2, none may; the
    class with the largest cosine is labelled if any is.  Without background prompts a clip cannot be "none of
    these" unless its probabilities are spread.

    Examples
    --------
    >>> clap_labels([[0.5, 0.4, 0.1], [0.2, 0.2, 0.2]], scale=10)
    array([[1., 1., 0.],
           [1., 1., 1.]])
    """
    threshold = in_range(threshold, "threshold", 0.0, 1.0)
    return threshold_labels(clap_probabilities(cosines, scale, background), threshold)


def threshold_labels(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Label 1 where a score is above the threshold of its class.

    Parameters
    ----------
    scores : array_like, (N, C)
        Cosines, z-scores, probabilities: any real numbers; NaN gives an unknown label.
    thresholds : float or array_like, (C,)
        In the unit of the scores.  A NaN threshold makes its class unknown.

    Returns
    -------
    ndarray, (N, C), float64
        1 where the score is strictly above the threshold, 0 where it is not, NaN where either is NaN.

    Raises
    ------
    ValueError
        If ``thresholds`` does not fit the classes.

    Examples
    --------
    >>> threshold_labels([[0.31, 0.25], [0.30, np.nan]], [0.30, 0.20])
    array([[ 1.,  1.],
           [ 0., nan]])
    """
    scores = np.asarray(scores, dtype=np.float64)
    thresholds = np.asarray(thresholds, dtype=np.float64)
    if scores.ndim != 2 or thresholds.shape not in ((), scores.shape[1:]):
        raise ValueError(f"thresholds of shape {thresholds.shape} do not fit scores of shape {scores.shape}")
    unknown = np.isnan(scores) | np.isnan(thresholds)
    return np.where(unknown, np.nan, (scores > thresholds).astype(np.float64))


def robust_z_scores(cosines: ArrayLike) -> NDArray[np.float64]:
    """How unusually high each cosine is for its class, over the corpus at hand.

    Parameters
    ----------
    cosines : array_like, (N, C)
        NaN entries stay NaN and do not count.

    Returns
    -------
    ndarray, (N, C), float64
        ``(cosine - median) / (1.4826 * MAD)`` by class, MAD being the median absolute deviation from the
        median. In a class whose MAD is 0, the median itself has 0 and the rest -inf or +inf.

    Raises
    ------
    ValueError
        If the cosines are no matrix, or one is infinite.

    Notes
    -----
    An alternative to the softmax of Braun & Gamper that can say "none of these": prompts differ in the level
    of their cosines, and median and MAD are not moved by the few clips that do contain the class.  The factor
    makes the MAD estimate the standard deviation of a normal distribution.

    Examples
    --------
    >>> robust_z_scores([[0.1], [0.2], [0.3], [0.2], [0.9]]).ravel().round(2)
    array([-0.67,  0.  ,  0.67,  0.  ,  4.72])
    """
    cosines = _cosine_matrix(cosines)
    scores = np.full(cosines.shape, np.nan)
    for column, out in zip(cosines.T, scores.T, strict=True):
        known = ~np.isnan(column)
        if not known.any():
            continue
        deviation = column[known] - np.median(column[known])
        spread = 1.4826 * np.median(np.abs(deviation))
        with np.errstate(divide="ignore", invalid="ignore"):
            out[known] = np.where(deviation == 0, 0.0, deviation / spread)
    return scores


def _cosine_matrix(cosines, name="cosines"):
    cosines = with_dimensions(cosines, name, 2)
    if np.isinf(cosines).any():
        raise ValueError(f"{name} holds an infinite value")
    return cosines
