"""Exact class statistics of more scores than memory holds: means and quantiles, as if all were in one array.

The scores come in pieces, each a pair of arrays (columns, scores), in as many passes as are needed; memory
depends on the number of columns, never on that of the scores.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Piece = tuple[NDArray[np.integer], NDArray[np.floating]]

_DIGIT_BITS = 10  # 1024 bins per class and pass
_BUDGET = 1 << 21  # scores that may be collected at last: 16 MB and their columns


def exact_means(pieces: Iterable[Piece], n_columns: int) -> NDArray[np.float64]:
    """Mean score of each column, rounded once for the sum and once for the quotient.

    Parameters
    ----------
    pieces : iterable of (ndarray of int, ndarray of float)
        Columns and scores in [0, 1], of equal lengths.
    n_columns : int

    Returns
    -------
    ndarray, (n_columns,), float64
        NaN where there is no score.  Independent of the scores' order; bit-equal to the thresholds of
        :func:`acdref.labels.positive_thresholds`.

    Examples
    --------
    >>> exact_means([(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.5]))], 3)
    array([0.15, 0.5 ,  nan])
    """
    # A score is mantissa * 2**(exponent - 53) with a mantissa of 53 bits: sums of mantissas by exponent are
    # exact in whole numbers. Halves of the mantissa keep them from overflowing for 2**36 scores.
    exponents = 1075
    sums = np.zeros((2, n_columns, exponents), dtype=np.int64)
    counts = np.zeros(n_columns, dtype=np.int64)
    lowest, highest = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
    for columns, scores in pieces:
        mantissas, exponent = np.frexp(scores)
        mantissas = (mantissas * 2.0**53).astype(np.int64)
        for half, part in zip(sums, (mantissas >> 27, mantissas & (1 << 27) - 1), strict=True):
            np.add.at(half, (columns, exponent + exponents - 2), part)
        counts += np.bincount(columns, minlength=n_columns)
        np.minimum.at(lowest, columns, scores)
        np.maximum.at(highest, columns, scores)
    means = np.full(n_columns, np.nan)
    for c in np.flatnonzero(counts):
        shifts = np.flatnonzero(sums[:, c].any(axis=0)).astype(object)  # whole numbers without bound
        high, low = sums[:, c, shifts.astype(int)].astype(object)
        total = ((high << 27) + low << shifts).sum()
        mean = float(Fraction(total, 1 << exponents - 2 + 53)) / int(counts[c])
        means[c] = np.clip(mean, lowest[c], highest[c])
    return means


def exact_quantiles(
    passes: Callable[[], Iterable[Piece]], n_columns: int, q: float, budget: int = _BUDGET
) -> NDArray[np.float64]:
    """Quantile of each column's scores, linearly interpolated; equal to ``np.quantile`` of each, bit by bit.

    Parameters
    ----------
    passes : callable
        ``passes()`` yields all pieces once more: (columns, scores), scores in [0, 1].
    n_columns : int
    q : float in [0, 1]
    budget : int
        Scores that may be held at a time.

    Returns
    -------
    ndarray, (n_columns,), float64
        NaN where there is no score.

    Notes
    -----
    Selection by digits: the bits of a non-negative float, read as a whole number, are in the float's order.
    A pass counts, per column, the scores by the next ten bits below those already settled, and so settles ten
    bits more of the two scores that the quantile lies between.  As soon as all scores that could still be one
    of these fit into `budget`, one more pass collects them: two passes in all for a small set, three for
    AudioSet's two million clips.  Equal scores, which no digit separates, take seven and are not collected.

    Examples
    --------
    >>> scores = np.array([0.1, 0.4, 0.2])
    >>> exact_quantiles(lambda: [(np.zeros(3, dtype=int), scores)], 2, 0.75)
    array([0.3, nan])
    """
    # Two searches per column, c and n_columns + c, for the scores on either side of its quantile.
    searches = np.arange(2 * n_columns)
    settled = np.zeros(len(searches), dtype=np.uint64)  # leading bits of the scores sought, the others 0
    shift, left, ranks = 62, budget + 1, None  # a float in [0, 1] has zeros in the two bits above
    while shift and left > budget:
        width = min(_DIGIT_BITS, shift)
        shift -= width
        bins = np.zeros((len(searches), 1 << width), dtype=np.int64)
        for search, keys in _candidates(passes, settled, shift + width):
            digits = (keys >> np.uint64(shift)) & np.uint64((1 << width) - 1)
            np.add.at(bins, (search, digits.astype(np.int64)), 1)
        if ranks is None:
            # As np.quantile: the position among the sorted scores, between the neighbours k and k + 1.
            counts = bins[:n_columns].sum(axis=1)
            last = np.maximum(counts - 1, 0)
            position = last * q
            k = np.floor(position).astype(np.int64)
            ranks = np.concatenate([k, np.minimum(k + 1, last)])
        below = np.cumsum(bins, axis=1)
        digit = np.minimum((below <= ranks[:, None]).sum(axis=1), (1 << width) - 1)
        in_bin = bins[searches, digit]
        ranks -= below[searches, digit] - in_bin
        settled |= digit.astype(np.uint64) << np.uint64(shift)
        left = in_bin.sum()
    if shift:
        _collect(passes, settled, shift, ranks, in_bin)
    pairs = settled.view(np.float64).reshape(2, n_columns).T
    values = [np.quantile(pair, part) for pair, part in zip(pairs, position - k, strict=True)]
    return np.where(counts > 0, values, np.nan)


def _candidates(passes, settled, shift):
    """Searches, and bits of the scores that share those above `shift` that the search has settled."""
    for columns, scores in passes():
        keys = np.abs(scores).view(np.uint64)  # -0.0 is 0
        for search in (columns, columns + len(settled) // 2):
            shared = (keys >> np.uint64(shift)) == (settled >> np.uint64(shift))[search]
            yield search[shared], keys[shared]


def _collect(passes, settled, shift, ranks, counts):
    """Complete `settled` by the scores of rank `ranks` among those that share its bits above `shift`.

    `counts`, like `ranks` (2 C,), says how many these are.
    """
    searches, keys = (np.empty(counts.sum(), dtype=dtype) for dtype in (np.int64, np.uint64))
    end = 0
    for found in _candidates(passes, settled, shift):
        start, end = end, end + len(found[0])
        searches[start:end], keys[start:end] = found
    some = counts > 0
    first = np.cumsum(counts) - counts
    settled[some] = keys[np.lexsort((keys, searches))][(first + ranks)[some]]
