"""Joining labels and mixing clips: Kleene OR, vanilla mixup, gains in decibels."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import label_matrix, one_of

__all__ = ["apply_gains", "draw_gains", "draw_mixup_weights", "mixup", "mixup_batch", "or_join"]


def or_join(labels: ArrayLike) -> NDArray[np.float64]:
    """Join the labels of clips that sound together.

    Parameters
    ----------
    labels : array_like, (I, C) or (I, N, C)
        Labels 0, 1 or NaN (unknown) of I clips, or of I batches of N clips.

    Returns
    -------
    ndarray, (C,) or (N, C), float64
        1 where any label is 1; else NaN where any is NaN; else 0.

    Raises
    ------
    ValueError
        If there is no clip (I = 0), or a label is none of 0, 1, NaN.

    Notes
    -----
    Braun & Gamper, eq. (3), extended to unknown labels by Kleene's three-valued OR (the paper is silent about
    them): a sound that is heard in one clip is in the mixture whatever the others hold; otherwise one unknown
    makes the whole unknown.  It is the maximum in the order 0 < NaN < 1, which neither ``np.maximum``
    (1 or NaN would be NaN) nor ``np.fmax`` (0 or NaN would be 0) computes.

    Examples
    --------
    >>> or_join([[0, 0, 1, 1], [0, np.nan, np.nan, 0]])
    array([ 0., nan,  1.,  1.])
    """
    labels = label_matrix(labels, "labels", ndim=(2, 3))
    if len(labels) == 0:
        raise ValueError("labels of no clip at all cannot be joined")
    unknown = np.where(np.isnan(labels).any(axis=0), np.nan, 0.0)
    return np.where((labels == 1).any(axis=0), 1.0, unknown)


def mixup(first: ArrayLike, second: ArrayLike, weight: ArrayLike) -> NDArray:
    """Vanilla mixup of two batches: ``weight * first + (1 - weight) * second``.

    Signals and labels are mixed by the same call with the same weight.

    Parameters
    ----------
    first, second : array_like, (N, ...)
        Signals, features or labels, of one shape.
    weight : float or array_like, (N,)
        Share of ``first`` in [0, 1], one for all rows or one per row.

    Returns
    -------
    ndarray, (N, ...)
        In the floating dtype of the inputs; float64 for integers.

    Raises
    ------
    ValueError
        If the shapes differ or a weight lies outside [0, 1].

    Notes
    -----
    Braun & Gamper, eq. (1) and (2).  An unknown (NaN) label in either clip makes the mixed label unknown,
    unless that clip's weight is exactly 0: at the weights 0 and 1 the result *is* the other clip.

    Examples
    --------
    >>> mixup([[0.0, 1.0, np.nan]], [[1.0, 1.0, 0.0]], 0.25)
    array([[0.75, 1.  ,  nan]])
    >>> mixup([[0.0, 1.0, np.nan]], [[1.0, 1.0, 0.0]], 0.0)
    array([[1., 1., 0.]])
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise ValueError(f"cannot mix the shapes {first.shape} and {second.shape}")
    weight = np.asarray(weight, dtype=np.float64)
    if not ((weight >= 0) & (weight <= 1)).all():
        raise ValueError("a mixup weight lies outside [0, 1]")
    if weight.ndim:
        if weight.shape != first.shape[:1]:
            raise ValueError(f"{weight.size} weights for {first.shape[:1]} rows")
        weight = weight.reshape(-1, *[1] * (first.ndim - 1))
    dtype = np.result_type(first, second)
    dtype = dtype if np.issubdtype(dtype, np.floating) else np.float64
    mixed = weight.astype(dtype) * first + (1 - weight).astype(dtype) * second
    # 0 * NaN is NaN, but a clip of weight 0 takes no part.
    return np.where(weight == 0, second, np.where(weight == 1, first, mixed)).astype(dtype, copy=False)


def mixup_batch(batch: ArrayLike, weights: ArrayLike, pairing: str = "reversed") -> NDArray:
    """Vanilla mixup within one batch, by either of the two pairings found in published code.

    Parameters
    ----------
    batch : array_like, (N, ...)
        Signals, features or labels of N clips.
    weights : array_like, (N,) for "reversed", (N // 2,) for "adjacent"
        Share of the first clip of each pair, e.g. from :func:`draw_mixup_weights`.
    pairing : {"reversed", "adjacent"}
        "reversed" mixes row n with row N - 1 - n (Dorfer & Widmer): N rows come back, the two rows of a pair
        have weights of their own, and the middle row of an odd batch mixes with itself.
        "adjacent" mixes rows (0, 1), (2, 3), ... (Dinkel et al.): N / 2 rows come back, and an odd batch is
        returned as it is.

    Returns
    -------
    ndarray, (N, ...) or (N // 2, ...)

    Raises
    ------
    ValueError
        For an unknown pairing, or weights that do not fit the pairs.

    Notes
    -----
    Braun & Gamper, eq. (1) and (2); the pairings are not in the paper.

    Examples
    --------
    >>> mixup_batch([0.0, 1.0, 4.0], [0.5, 0.5, 0.25])
    array([2., 1., 1.])
    >>> mixup_batch([0.0, 1.0, 4.0, 5.0], [0.5, 0.25], pairing="adjacent")
    array([0.5 , 4.75])
    """
    one_of(pairing, "pairing", ("reversed", "adjacent"))
    batch = np.asarray(batch)
    weights = np.asarray(weights, dtype=np.float64)
    pairs = len(batch) if pairing == "reversed" else len(batch) // 2
    if weights.shape != (pairs,):
        raise ValueError(f"weights have the shape {weights.shape}, but there are {pairs} pairs")
    if pairing == "reversed":
        return mixup(batch, batch[::-1], weights)
    if len(batch) % 2:
        return batch.copy()
    return mixup(batch[::2], batch[1::2], weights)


def draw_mixup_weights(rng: np.random.Generator, n: int, alpha: float) -> NDArray[np.float64]:
    """Draw mixup weights from Beta(alpha, alpha).

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        How many weights.
    alpha : float
        Above 0.  Small values give weights near 0 and 1; 1 is uniform.

    Returns
    -------
    ndarray, (n,), float64, in [0, 1]

    Notes
    -----
    The weight of Braun & Gamper, eq. (1); the paper does not name its distribution.  Dorfer & Widmer use
    alpha = 0.3.

    Examples
    --------
    >>> draw_mixup_weights(np.random.default_rng(0), 1000, alpha=0.3).mean().round(1)
    np.float64(0.5)
    """
    return rng.beta(alpha, alpha, size=n)


def draw_gains(rng: np.random.Generator, n: int, sigma: float = 2.0) -> NDArray[np.float64]:
    """Draw the levels at which sources are mixed, in dB.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        How many sources; each gain is drawn independently, the first source's too.
    sigma : float
        Standard deviation in dB, at least 0.

    Returns
    -------
    ndarray, (n,), float64, in dB

    Raises
    ------
    ValueError
        If ``sigma`` is negative.

    Notes
    -----
    Braun & Gamper's alpha_data of section 3.2, N(0, sigma) in dB.  Section 3.1 gives the levels as N(0, 2)
    dB, read here as the standard deviation.  ``sigma = 0`` gives zeros: a plain sum.

    Examples
    --------
    >>> draw_gains(np.random.default_rng(0), 2, sigma=0)
    array([0., 0.])
    """
    return rng.normal(0.0, sigma, size=n)


def apply_gains(sources: ArrayLike, gains: ArrayLike) -> NDArray:
    """Scale every source by its gain in dB.

    Parameters
    ----------
    sources : array_like, (I, ...)
        Signals in the amplitude domain.
    gains : array_like, (I,)
        In dB.

    Returns
    -------
    ndarray, (I, ...)
        ``10 ** (gain / 20) * source``, in the floating dtype of ``sources``.

    Raises
    ------
    ValueError
        If there is not one gain per source.

    Notes
    -----
    Braun & Gamper, section 3.2, read as amplitude (not power) decibels, hence the 20.  Summing the result
    over its first axis gives the mixture; its label is the :func:`or_join` of the sources' labels, whatever
    the gains.
    A gain of exactly 0 dB returns the source bit for bit; -inf dB silences it.

    Examples
    --------
    >>> apply_gains([[1.0, -1.0], [1.0, 1.0]], [0.0, 20.0]).sum(axis=0)
    array([11.,  9.])
    """
    sources = np.asarray(sources)
    gains = np.asarray(gains, dtype=np.float64)
    if gains.shape != sources.shape[:1]:
        raise ValueError(f"gains have the shape {gains.shape}, but there are {sources.shape[:1]} sources")
    dtype = sources.dtype if np.issubdtype(sources.dtype, np.floating) else np.float64
    factors = (10.0 ** (gains / 20.0)).astype(dtype)
    return factors.reshape(-1, *[1] * (sources.ndim - 1)) * sources
