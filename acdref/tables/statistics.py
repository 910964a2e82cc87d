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
        total = sum(
            (int(sums[0, c, e]) << 27) + int(sums[1, c, e]) << int(e)
            for e in np.flatnonzero(sums[:, c].any(axis=0))
        )
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
    settled = np.zeros((2, n_columns), dtype=np.uint64)  # leading bits of the two scores, the others 0
    shift, left, ranks = 62, budget + 1, None  # a float in [0, 1] has zeros in the two bits above
    while shift and left > budget:
        width = min(_DIGIT_BITS, shift)
        shift -= width
        bins = np.zeros((2, n_columns, 1 << width), dtype=np.int64)
        for columns, scores in passes():
            for i, column, keys in _candidates(columns, scores, settled, shift + width):
                digits = (keys >> np.uint64(shift)) & np.uint64((1 << width) - 1)
                np.add.at(bins[i], (column, digits.astype(np.int64)), 1)
        if ranks is None:
            # As np.quantile: the position among the sorted scores, between the neighbours k and k + 1.
            counts = bins[0].sum(axis=1)
            last = np.maximum(counts - 1, 0)
            position = last * q
            k = np.floor(position).astype(np.int64)
            ranks = np.stack([k, np.minimum(k + 1, last)])
        below = np.cumsum(bins, axis=2)
        digit = np.minimum((below <= ranks[:, :, None]).sum(axis=2), (1 << width) - 1)
        in_bin = np.take_along_axis(bins, digit[:, :, None], 2)[:, :, 0]
        ranks -= np.take_along_axis(below, digit[:, :, None], 2)[:, :, 0] - in_bin
        settled |= digit.astype(np.uint64) << np.uint64(shift)
        left = in_bin.sum()
    if shift:
        _collect(passes, settled, shift, ranks, in_bin)
    pairs = settled.view(np.float64).T
    values = [np.quantile(pair, part) for pair, part in zip(pairs, position - k, strict=True)]
    return np.where(counts > 0, values, np.nan)


def _candidates(columns, scores, settled, shift):
    """For each of the two scores sought: columns and bits of the scores that share its bits above `shift`."""
    keys = np.abs(scores).view(np.uint64)  # -0.0 is 0
    for i in (0, 1):
        shared = (keys >> np.uint64(shift)) == (settled[i] >> np.uint64(shift))[columns]
        yield i, columns[shared], keys[shared]


def _collect(passes, settled, shift, ranks, counts):
    """Complete `settled` by the scores of rank `ranks` among those that share its bits above `shift`.

    `counts`, like `ranks` (2, C), says how many these are.
    """
    columns = [np.empty(count, dtype=np.int64) for count in counts.sum(axis=1)]
    keys = [np.empty(count, dtype=np.uint64) for count in counts.sum(axis=1)]
    end = [0, 0]
    for piece in passes():
        for i, *found in _candidates(*piece, settled, shift):
            start, end[i] = end[i], end[i] + len(found[0])
            columns[i][start : end[i]], keys[i][start : end[i]] = found
    for i in (0, 1):
        first = np.cumsum(counts[i]) - counts[i]
        some = counts[i] > 0
        settled[i, some] = keys[i][np.lexsort((keys[i], columns[i]))][(first + ranks[i])[some]]
