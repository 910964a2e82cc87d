"""Pseudo strong labels: a teacher labels short windows of weakly labelled clips, a student learns from them.

Dinkel et al. (PSL).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import in_range, score_matrix

__all__ = [
    "LabelCounts", "inference_windows", "label_counts", "pad_batch", "soft_labels", "window_samples",
    "windows",
]  # fmt: skip


class LabelCounts(NamedTuple):
    """How many labels windows have.

    Attributes
    ----------
    share : ndarray, shape (C + 1,), float64
        ``share[k]``: share of the windows with exactly k labels.
    mean : float
        Labels per window.
    """

    share: np.ndarray
    mean: float


def windows(duration: float, window: float, hop: float | None = None) -> NDArray[np.float64]:
    """The windows that teacher and student train on.

    Parameters
    ----------
    duration : float
        Length of the clip, seconds; rounded to 0.1 s.
    window : float
        Length of the windows, seconds: 10, 5 or 2 in the paper.
    hop : float, optional
        Distance of their starts; `window` by default.

    Returns
    -------
    ndarray, shape (K, 2), float64
        Start and end of each window, seconds; K = ceil(duration / hop).

    Raises
    ------
    ValueError
        If a length is not finite, `duration` negative, or `window` or `hop` not positive.

    Notes
    -----
    The last windows are short, neither padded nor dropped, even if only 0.1 s is left (in a batch, shorter
    items are padded with zeros on the right, :func:`pad_batch`).  With ``hop = window`` the windows tile
    the clip exactly; a window longer than the clip gives one.

    Examples
    --------
    >>> windows(10.1, 5)
    array([[ 0. ,  5. ],
           [ 5. , 10. ],
           [10. , 10.1]])
    """
    hop = window if hop is None else hop
    if not (0 <= duration < np.inf and 0 < window < np.inf and 0 < hop < np.inf):
        raise ValueError("duration must be finite and not negative, window and hop finite and positive")
    duration = round(duration, 1)
    # Not arange(0, duration, hop): rounding of duration / hop could add a window of no length.
    starts = hop * np.arange(np.ceil(duration / hop - 1e-9))
    return np.stack([starts, np.minimum(starts + window, duration)], axis=1)


def window_samples(windows: ArrayLike, sr: int = 16000) -> NDArray[np.int64]:
    """Windows in samples.

    Parameters
    ----------
    windows : array_like, shape (K, 2)
        From :func:`windows`, seconds.
    sr : int, default 16000
        Samples per second.

    Returns
    -------
    ndarray of int, shape (K, 2)
        ``floor(t * sr)``; the end is exclusive.

    Examples
    --------
    >>> window_samples(windows(9.9, 5))
    array([[     0,  80000],
           [ 80000, 158400]])
    """
    return np.floor(np.asarray(windows, dtype=np.float64) * sr).astype(np.int64)


def inference_windows(n_samples: int, window: int, hop: int) -> NDArray[np.int64]:
    """The windows over which inference takes the maximum.

    Parameters
    ----------
    n_samples, window, hop : int
        Lengths in samples (or frames).

    Returns
    -------
    ndarray of int, shape (K, 2)
        Start and end (exclusive) of each window; K = floor((n_samples - window) / hop) + 1, or 0.

    Raises
    ------
    ValueError
        If `n_samples` is negative, or `window` or `hop` not positive.

    Notes
    -----
    Unlike in :func:`windows` a tail that fills no window is dropped.  The score of the clip is the maximum
    over the windows.

    Examples
    --------
    >>> inference_windows(105, 20, 40).tolist()
    [[0, 20], [40, 60], [80, 100]]
    """
    if n_samples < 0 or window < 1 or hop < 1:
        raise ValueError("n_samples must not be negative, window and hop must be positive")
    starts = hop * np.arange(max((n_samples - window) // hop + 1, 0))
    return np.stack([starts, starts + window], axis=1)


def pad_batch(items: Sequence[ArrayLike]) -> NDArray:
    """Stack signals of different lengths, padded with zeros on the right to the longest.

    Parameters
    ----------
    items : sequence of array_like, each shape (n,)

    Returns
    -------
    ndarray, shape (len(items), longest)

    Raises
    ------
    ValueError
        If an item has another number of dimensions than one.

    Examples
    --------
    >>> pad_batch([[1.0, 2.0, 3.0], [4.0]])
    array([[1., 2., 3.],
           [4., 0., 0.]])
    """
    signals = [np.asarray(item) for item in items]
    if any(signal.ndim != 1 for signal in signals):
        raise ValueError("items must be signals of one dimension")
    longest = max(map(len, signals), default=0)
    batch = np.zeros((len(signals), longest), dtype=np.result_type(*signals, np.float32))
    for row, signal in zip(batch, signals, strict=True):
        row[: len(signal)] = signal
    return batch


def soft_labels(teacher: ArrayLike, weak: ArrayLike | None = None, mix: float = 1.0) -> NDArray[np.float64]:
    """Training targets of the windows: the teacher's scores, or a mix of them with the weak labels.

    Parameters
    ----------
    teacher : array_like, shape (K, C)
        The teacher's probabilities for each window, computed from the same (augmented) input that the
        student gets; NaN is no opinion.  No threshold is applied.
    weak : array_like, shape (K, C) or (C,), optional
        Labels in [0, 1] or NaN, of the clip that each window is cut from; every window inherits all of them.
    mix : float in [0, 1], default 1.0
        Weight of the teacher.  1 is PSL, which does not use weak labels; 0.5 its teacher-student ablation;
        0 is plain weak training.

    Returns
    -------
    ndarray, shape (K, C), float64
        ``mix * teacher + (1 - mix) * weak``.  Where the teacher has no opinion, the weak label as it is
        (unknown without `weak`); where the weak label is unknown, unknown, unless `mix` is 1.

    Raises
    ------
    ValueError
        For scores, labels or a `mix` outside [0, 1], a shape that does not fit, or a `mix` below 1 without
        `weak`.

    Notes
    -----
    The student's loss is the mean binary cross-entropy to these targets.  Its minimum is not 0 but their
    entropy, reached at the targets.  (The poster prints it without the minus sign.)

    Examples
    --------
    >>> soft_labels([[0.8, 0.1, np.nan]])
    array([[0.8, 0.1, nan]])
    >>> soft_labels([[0.8, 0.1, np.nan]], weak=[1, 0, 1], mix=0.5)
    array([[0.9 , 0.05, 1.  ]])
    """
    teacher = score_matrix(teacher, "teacher")
    mix = in_range(mix, "mix", 0, 1)
    if weak is None:
        if mix < 1:
            raise ValueError("mix below 1 needs weak labels")
        return teacher.copy()
    weak = np.asarray(weak, dtype=np.float64)
    if weak.shape not in (teacher.shape, teacher.shape[1:]):
        raise ValueError(f"weak has the shape {weak.shape}, expected {teacher.shape} or {teacher.shape[1:]}")
    weak = np.broadcast_to(score_matrix(np.atleast_2d(weak), "weak"), teacher.shape)
    # 1 * teacher + 0 * weak would carry over an unknown weak label, which has no part in it.
    mixed = teacher if mix == 1 else mix * teacher + (1 - mix) * weak
    return np.where(np.isnan(teacher), weak, mixed)


def label_counts(p: ArrayLike, threshold: float = 0.5) -> LabelCounts:
    """How many labels the windows get at a threshold.

    Parameters
    ----------
    p : array_like, shape (K, C)
        Probabilities or labels; NaN counts as no label.
    threshold : float, default 0.5
        A label is given where ``p > threshold``.

    Returns
    -------
    LabelCounts

    Raises
    ------
    ValueError
        If there is no window, or a score lies outside [0, 1].

    Notes
    -----
    The poster states that PSL predicts no label for 18 % of the windows, without a threshold; 0.5 is the
    guess, 0.2 is what its evaluation script uses for recall.

    Examples
    --------
    >>> share, mean = label_counts([[0.9, 0.6], [0.2, 0.5], [0.1, 0.7], [0.3, 0.8]])
    >>> share, mean
    (array([0.25, 0.5 , 0.25]), 1.0)
    """
    p = score_matrix(p)
    if not len(p):
        raise ValueError("there is no window to count")
    counts = (p > threshold).sum(axis=1)
    return LabelCounts(np.bincount(counts, minlength=p.shape[1] + 1) / len(p), float(counts.mean()))
