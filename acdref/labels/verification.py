"""Self-verification: which unverified clips a model may vouch for, and folds that keep it honest.

Dorfer & Widmer.  Clips carry one label each, some of them officially verified.  A model of each fold judges
the clips held out from it; the clips it accepts count as verified in the next round of training.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import in_range, one_of, score_matrix

__all__ = ["excerpt_starts", "fix_length", "mean_posterior", "round_folds", "stratified_folds", "verify"]


def excerpt_starts(
    length: int, rng: np.random.Generator, excerpt: int = 384, n: int = 25
) -> NDArray[np.int64]:
    """Where the excerpts start whose posteriors are averaged.

    Parameters
    ----------
    length : int
        Frames of the spectrogram, at least `excerpt`; see :func:`fix_length`.
    rng : numpy.random.Generator
    excerpt : int, default 384
        Frames of an excerpt.
    n : int, default 25
        Number of excerpts, drawn independently.

    Returns
    -------
    ndarray of int, shape (n,)
        In {0, ..., length - excerpt}, both ends included.  (The published code never draws the last start,
        and fails where it is the only one.)

    Raises
    ------
    ValueError
        If the spectrogram is shorter than an excerpt.

    Examples
    --------
    >>> excerpt_starts(384, np.random.default_rng(0), n=3)
    array([0, 0, 0])
    """
    if length < excerpt:
        raise ValueError(f"an excerpt of {excerpt} frames does not fit into {length}")
    return rng.integers(0, length - excerpt + 1, size=n)


def mean_posterior(probs: ArrayLike) -> NDArray[np.float64]:
    """Mean of the posteriors of several excerpts.

    Parameters
    ----------
    probs : array_like, shape (K, N, C)
        Posteriors (softmax) of K excerpts of N clips.

    Returns
    -------
    ndarray, shape (N, C), float64

    Raises
    ------
    ValueError
        If `probs` has another number of dimensions, or there is no excerpt.

    Examples
    --------
    >>> mean_posterior([[[1.0, 0.0]], [[0.5, 0.5]]])
    array([[0.75, 0.25]])
    """
    probs = np.asarray(probs, dtype=np.float64)
    if probs.ndim != 3 or not len(probs):
        raise ValueError(f"probs has the shape {probs.shape}, expected (K, N, C) with K > 0")
    return probs.mean(axis=0)


def verify(
    probs: ArrayLike,
    labels: ArrayLike,
    verified: ArrayLike,
    threshold: float | None = 0.95,
    cap: int | None = 40,
) -> NDArray[np.bool_]:
    """Accept unverified clips whose label the model confirms.

    Parameters
    ----------
    probs : array_like, shape (N, C)
        Posterior of each clip under a model that was not trained on it (:func:`mean_posterior`).  A clip
        with a NaN is not accepted.
    labels : array_like of int, shape (N,)
        Class of each clip.
    verified : array_like of bool, shape (N,)
        The *official* flags, in every round the same: a clip accepted in one round can be dropped in the
        next.
    threshold : float or None, default 0.95
        Smallest posterior of the label, inclusive.  None reproduces the published commands, which never
        apply a threshold (their option for it is read only where no cap is given).
    cap : int or None, default 40
        Accept at most so many clips of a class, over all folds together, those with the highest posterior
        first, ties by lower index.  Officially verified clips do not count.  0 accepts nothing, None all
        that qualify.

    Returns
    -------
    ndarray of bool, shape (N,)
        The official flags and the accepted clips.

    Raises
    ------
    ValueError
        For shapes that do not fit, labels outside [0, C), posteriors or a threshold outside [0, 1], a
        negative cap.

    Notes
    -----
    Dorfer & Widmer: clip i is accepted iff ``argmax(probs[i]) == labels[i]`` (the first of several
    maxima), ``probs[i, labels[i]] >= threshold`` ("exceeds" in the paper; their code rejects below), and it
    is among the `cap` best of its class (the paper does not say which ones; so has their code).  Thresholding
    before or after the cap gives the same.

    Examples
    --------
    >>> probs = [[0.97, 0.03], [0.95, 0.05], [0.2, 0.8], [0.6, 0.4]]
    >>> verify(probs, [0, 0, 1, 1], [False, False, False, True]).astype(int)
    array([1, 1, 0, 1])
    >>> verify(probs, [0, 0, 1, 1], [False] * 4, threshold=None, cap=1).astype(int)
    array([1, 0, 1, 0])
    """
    probs = score_matrix(probs, "probs")
    labels, verified = _classes_and_flags(labels, verified)
    n, n_classes = probs.shape
    if len(labels) != n:
        raise ValueError(f"probs has {n} clips, labels {len(labels)}")
    if n and (labels.min() < 0 or labels.max() >= n_classes):
        raise ValueError(f"labels must lie in [0, {n_classes})")
    if cap is not None and cap < 0:
        raise ValueError(f"cap = {cap} is negative")
    if not n:
        return verified
    posterior = probs[np.arange(n), labels]
    qualifies = ~verified & (probs.argmax(axis=1) == labels) & ~np.isnan(probs).any(axis=1)
    if threshold is not None:
        qualifies &= posterior >= in_range(threshold, "threshold", 0, 1)
    candidates = np.nonzero(qualifies)[0]
    # By class, in each the best first; a stable sort leaves ties in the order of the clips.
    candidates = candidates[np.lexsort((-posterior[candidates], labels[candidates]))]
    classes, first = np.unique(labels[candidates], return_index=True)
    rank = np.arange(len(candidates)) - first[np.searchsorted(classes, labels[candidates])]
    accepted = verified.copy()
    accepted[candidates if cap is None else candidates[rank < cap]] = True
    return accepted


def stratified_folds(
    labels: ArrayLike, verified: ArrayLike, n_folds: int = 4, leftovers: str = "balanced"
) -> NDArray[np.int64]:
    """Folds in which every class, and its verified part, is spread evenly.

    Parameters
    ----------
    labels : array_like of int, shape (N,)
        Class of each clip.
    verified : array_like of bool, shape (N,)
        Officially verified clips; they and the others are split separately, then joined.
    n_folds : int, default 4
    leftovers : {"balanced", "first"}
        Who gets the clips of a class that do not divide by `n_folds`.  "balanced": the folds take turns
        over the classes, so that their sizes differ by at most one (scikit-learn since 0.22).  "first":
        always the first folds (0.20, which the authors used).

    Returns
    -------
    ndarray of int, shape (N,)
        Fold of each clip, 0 to `n_folds` - 1.

    Raises
    ------
    ValueError
        For labels that are no integers, flags that are not boolean or of another length, `n_folds` below 1,
        or another word for `leftovers`.

    Notes
    -----
    Dorfer & Widmer.  Nothing is shuffled: the clips of a class go to the folds in the order in
    which they come.  Shuffle once before, with ``folds[order] = stratified_folds(labels[order],
    verified[order])``.

    Compute folds once, from the official flags, and keep them: see :func:`round_folds`.

    Examples
    --------
    >>> stratified_folds([0, 0, 0, 1, 1, 1], [False] * 6, n_folds=2)
    array([0, 0, 1, 0, 1, 1])
    >>> stratified_folds([0, 0, 0, 1, 1, 1], [False] * 6, n_folds=2, leftovers="first")
    array([0, 0, 1, 0, 0, 1])
    """
    labels, verified = _classes_and_flags(labels, verified)
    one_of(leftovers, "leftovers", ("balanced", "first"))
    if n_folds < 1:
        raise ValueError(f"n_folds = {n_folds} must be at least 1")
    folds = np.zeros(len(labels), dtype=np.int64)
    for part in (verified, ~verified):
        folds[part] = _folds_of_part(labels[part], n_folds, leftovers)
    return folds


def round_folds(
    labels: ArrayLike,
    official: ArrayLike,
    verified: ArrayLike,
    n_folds: int = 4,
    leftovers: str = "balanced",
    refold: bool = False,
) -> NDArray[np.int64]:
    """Folds for one round of training on a set of verified flags that changes from round to round.

    Parameters
    ----------
    labels, n_folds, leftovers
        As in :func:`stratified_folds`.
    official : array_like of bool, shape (N,)
        The official flags.
    verified : array_like of bool, shape (N,)
        The flags of this round, from :func:`verify`.
    refold : bool, default False
        Split anew by the round's flags, as the published code does, instead of keeping the folds of the
        official flags.  Only to reproduce it: clips held out from a model, and its validation clips, then
        get into its training set (12 % and 6.5 % in a simulation with the paper's sizes), against the
        paper's own requirement (4.1).

    Returns
    -------
    ndarray of int, shape (N,)

    Raises
    ------
    ValueError
        For what :func:`stratified_folds` refuses, or an officially verified clip that is not verified.

    Examples
    --------
    >>> labels, official, accepted = [0, 0, 0, 0], [True, True, False, False], [True, True, True, False]
    >>> round_folds(labels, official, accepted, n_folds=2)
    array([0, 1, 0, 1])
    >>> round_folds(labels, official, accepted, n_folds=2, refold=True)
    array([0, 0, 1, 0])
    """
    folds = stratified_folds(labels, official, n_folds, leftovers)
    official, verified = np.asarray(official), np.asarray(verified)
    if verified.shape != official.shape or verified.dtype != bool:
        raise ValueError("verified must be boolean and as long as official")
    if (official & ~verified).any():
        raise ValueError("an officially verified clip is not verified")
    return stratified_folds(labels, verified, n_folds, leftovers) if refold else folds


def fix_length(spec: ArrayLike, n: int = 3000) -> NDArray:
    """Repeat or cut a spectrogram to a fixed number of frames.

    Parameters
    ----------
    spec : array_like, shape (..., T)
        Time last, T > 0.
    n : int, default 3000
        Frames wanted, not negative.

    Returns
    -------
    ndarray, shape (..., n), of the same dtype
        ``out[..., t] = spec[..., t mod T]``.

    Raises
    ------
    ValueError
        If there is no frame to repeat.

    Notes
    -----
    Dorfer & Widmer; 3000 frames are 18 s or 12 s in their two front ends.  Idempotent, and a shorter result
    is the beginning of a longer one.

    Examples
    --------
    >>> fix_length([[1, 2, 3]], 5)
    array([[1, 2, 3, 1, 2]])
    >>> fix_length([[1, 2, 3]], 2)
    array([[1, 2]])
    """
    spec = np.asarray(spec)
    if spec.ndim == 0 or spec.shape[-1] == 0:
        raise ValueError("spec has no frame")
    if n < 0:
        raise ValueError(f"n = {n} is negative")
    return spec[..., np.arange(n) % spec.shape[-1]]


def _folds_of_part(labels, n_folds, leftovers):
    """Folds of clips that are split together: each class in order, some to fold 0, some to fold 1, ..."""
    classes, appearance, members = np.unique(labels, return_index=True, return_inverse=True)
    sizes = np.bincount(members, minlength=len(classes))
    folds = np.zeros(len(labels), dtype=np.int64)
    dealt = 0  # to the folds in turn, one class after the other in the order of appearance
    for c in np.argsort(appearance):
        first = dealt % n_folds if leftovers == "balanced" else 0
        shares = np.bincount((first + np.arange(sizes[c])) % n_folds, minlength=n_folds)
        folds[members == c] = np.repeat(np.arange(n_folds), shares)
        dealt += sizes[c]
    return folds


def _classes_and_flags(labels, verified):
    labels, verified = np.asarray(labels), np.asarray(verified)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise ValueError("labels must be integers, one for each clip")
    if verified.shape != labels.shape or (verified.size and verified.dtype != bool):
        raise ValueError("verified must be boolean, one for each clip")
    return labels.astype(np.int64), verified.astype(bool)
