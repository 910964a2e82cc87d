"""How often classes occur, and how much one label tells about another: priors and odds ratios."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import in_range, label_matrix

__all__ = ["OddsRatio", "class_priors", "contingency", "odds_ratio"]


class OddsRatio(NamedTuple):
    """An odds ratio and its confidence interval, arrays of one shape."""

    ratio: np.ndarray
    low: np.ndarray
    high: np.ndarray


def class_priors(y: ArrayLike) -> NDArray[np.float64]:
    """Share of the clips that have each class.

    Parameters
    ----------
    y : array_like, shape (N, C)
        Labels 0, 1 or NaN.

    Returns
    -------
    ndarray, shape (C,), float64
        Positives / known labels; NaN for a class without known labels.

    Raises
    ------
    ValueError
        If a label is none of 0, 1, NaN.

    Examples
    --------
    >>> class_priors([[1, 0], [0, np.nan], [0, 0], [1, 0]])
    array([0.5, 0. ])
    """
    y = label_matrix(y)
    known = (~np.isnan(y)).sum(axis=0)
    return np.divide((y == 1).sum(axis=0), known, out=np.full(y.shape[1], np.nan), where=known > 0)


def contingency(condition: ArrayLike, outcome: ArrayLike) -> NDArray[np.int64]:
    """2 x 2 tables of two sets of labels on the same clips.

    Parameters
    ----------
    condition : array_like, shape (N,) or (N, C)
        Labels 0, 1 or NaN, such as the weak ones.
    outcome : array_like, shape (N,) or (N, D)
        Labels 0, 1 or NaN, such as the strong ones.

    Returns
    -------
    ndarray, shape ([C,] [D,] 2, 2), int64
        ``[[a, b], [c, d]]``: clips with both, the condition only, the outcome only, neither.  A clip where
        either is unknown is left out.

    Raises
    ------
    ValueError
        If the numbers of clips differ, or a label is none of 0, 1, NaN.

    Examples
    --------
    >>> contingency([1, 1, 1, 0, 0, np.nan], [1, 1, 0, 1, 0, 0])
    array([[2, 1],
           [1, 1]])
    """
    condition = label_matrix(condition, "condition", ndim=(1, 2))
    outcome = label_matrix(outcome, "outcome", ndim=(1, 2))
    if len(condition) != len(outcome):
        raise ValueError(f"condition has {len(condition)} clips, outcome {len(outcome)}")
    x, y = (labels[:, None] if labels.ndim == 1 else labels for labels in (condition, outcome))
    # Counts are exact in float64, whose matrix product is fast.
    table = [[(x == i).astype(np.float64).T @ (y == j).astype(np.float64) for j in (1, 0)] for i in (1, 0)]
    counts = np.array(table).transpose(2, 3, 0, 1)  # (C, D, 2, 2)
    return counts.reshape(*condition.shape[1:], *outcome.shape[1:], 2, 2).astype(np.int64)


def odds_ratio(table: ArrayLike, haldane: bool = False, confidence: float = 0.95) -> OddsRatio:
    """Odds ratio of 2 x 2 tables, with its confidence interval.

    Parameters
    ----------
    table : array_like, shape (..., 2, 2)
        ``[[a, b], [c, d]]`` as from :func:`contingency`: both, condition only, outcome only, neither.
    haldane : bool, default False
        Add 1/2 to every cell (Haldane's correction): finite also where a cell is 0.
    confidence : float, default 0.95
        Of the interval, below 1.

    Returns
    -------
    OddsRatio
        `ratio`, `low`, `high`, each of shape ``(...)``.

    Raises
    ------
    ValueError
        For a table of another shape, or with cells that are negative or not finite.

    Notes
    -----
    ``OR = a d / (b c)`` and ``exp(ln OR ± z sqrt(1/a + 1/b + 1/c + 1/d))``, z = 1.96 for 95 % (Szumilas, as
    used by Hershey et al.).  The same for the transposed table; its inverse if one axis is swapped. A zero
    among b, c makes it inf, among a, d it makes it 0, 0/0 is NaN; the interval of such a ratio is not
    defined on one side (NaN).

    Examples
    --------
    >>> ratio, low, high = odds_ratio([[10, 5], [3, 40]])
    >>> round(float(ratio), 2), round(float(low), 2), round(float(high), 2)
    (26.67, 5.44, 130.8)
    >>> float(odds_ratio([[5, 0], [3, 9]]).ratio)
    inf
    >>> odds_ratio([[[5, 0], [3, 9]], [[0, 4], [2, 8]]], haldane=True).ratio.round(2)
    array([29.86,  0.38])
    """
    from statistics import NormalDist

    cells = np.asarray(table, dtype=np.float64)
    if cells.shape[-2:] != (2, 2):
        raise ValueError(f"table has the shape {cells.shape}, expected (..., 2, 2)")
    if not (np.isfinite(cells) & (cells >= 0)).all():
        raise ValueError("the cells of a table are finite and not negative")
    z = NormalDist().inv_cdf(0.5 + in_range(confidence, "confidence", 0, 1, half_open=True) / 2)
    if haldane:
        cells = cells + 0.5
    a, b, c, d = (cells[..., i, j] for i in (0, 1) for j in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (a * d) / (b * c)
        margin = z * np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        return OddsRatio(ratio, np.exp(np.log(ratio) - margin), np.exp(np.log(ratio) + margin))
