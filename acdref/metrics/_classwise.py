"""What the per-class metrics share: blocks of classes, rankings, confusions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_BLOCK = 32  # classes at a time: whole cache lines for the transposition, and it stays in the cache
_LANES, _ROWS = 4, 255  # clips that are counted together: a uint8 holds the number of rows, in each lane


class Ranking(NamedTuple):
    """Scores of one class in ascending order, with their weights (None: all 1)."""

    scores: np.ndarray  # (n,)
    weight: np.ndarray | None  # (n,)
    top: np.ndarray | None  # (n + 1,): weight of the best 0, 1, ..., n

    @classmethod
    def of(cls, scores, weight, chosen):
        """Ranking of the `chosen` (bool) items."""
        scores = scores[chosen]
        if weight is None:
            scores.sort()
            return cls(scores, None, None)
        order = scores.argsort()
        weight = weight[chosen][order]
        return cls(scores[order], weight, np.append(0.0, np.cumsum(weight[::-1])))

    def mass_above(self, score, inclusive):
        """Weight (number, if unweighted) of the items that score above each `score`, or at it too."""
        count = len(self.scores) - np.searchsorted(self.scores, score, "left" if inclusive else "right")
        return count if self.top is None else self.top[count]


class ClassBlock(NamedTuple):
    """A few classes, one per row."""

    first: int  # column of the first class
    positive: np.ndarray  # (B, N) bool
    negative: np.ndarray  # (B, N) bool; what is neither is unknown, or of weight 0
    scores: np.ndarray  # (B, N) float32 or float64
    weight: np.ndarray | None  # (B, N) float64; None if all are 1

    @classmethod
    def cut(cls, y, p, weight, first):
        """Classes `first`, `first` + 1, ... of validated matrices, as many as a block has."""
        block = slice(first, first + _BLOCK)
        positive, negative = map(_transposed, split_labels(y[:, block]))
        if weight is not None:
            weight = _transposed(weight[:, block])
            positive &= weight > 0
            negative &= weight > 0
        scores = _transposed(p[:, block], _score_type(p))
        missing = np.isnan(scores) & (positive | negative)
        if missing.any():
            c = first + np.nonzero(missing)[0][0]
            raise ValueError(f"p has a NaN score beside a known label in class {c}")
        return cls(first, positive, negative, scores, weight)

    def rankings(self):
        """Yield for each class the rankings of its positives and of its negatives."""
        for b, scores in enumerate(self.scores):
            weight = None if self.weight is None else self.weight[b]
            yield Ranking.of(scores, weight, self.positive[b]), Ranking.of(scores, weight, self.negative[b])


def mean_over_classes(values: ArrayLike) -> float:
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


def per_class(metric, y, p, sample_weight):
    """``metric(block)``, the values of a block of classes, for all classes: (C,) float64."""
    y, p, weight = validate(y, p, sample_weight)
    if weight is not None:
        weight = np.broadcast_to(weight if weight.ndim == 2 else weight[:, None], y.shape)

    def values(first):
        return np.asarray(metric(ClassBlock.cut(y, p, weight, first)), dtype=np.float64)

    if y.shape[1] <= _BLOCK:
        return values(0)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:  # NumPy sorts and copies without the interpreter's lock
        return np.concatenate(list(pool.map(values, range(0, y.shape[1], _BLOCK))))


def confusion(y, p, threshold, sample_weight):
    """Weight of true positives, false positives, false negatives and true negatives, (C,) each.

    `threshold` is a number, or (C,).  Clips are taken in the order of memory, so nothing is transposed.
    """
    y, p, weight = validate(y, p, sample_weight)
    if weight is not None and weight.ndim == 1:
        weight = weight[:, None]
    threshold = _rounded_down(threshold, _score_type(p))
    mass = np.zeros((5, y.shape[1]))
    terms = np.zeros((_LANES * _ROWS, y.shape[1]), np.uint8 if weight is None else np.float64)
    for first in range(0, len(y), len(terms)):
        rows = slice(first, first + len(terms))
        w = None if weight is None else weight[rows]
        scores = p[rows].astype(threshold.dtype, copy=False)
        for k, cell in enumerate(_cells(y[rows], scores, threshold)):
            terms[: len(cell)] = cell if w is None else cell * w
            terms[len(cell) :] = 0
            # In lanes, so that sums round the same however many classes there are.
            lanes = terms.reshape(_ROWS, -1).sum(0, dtype=terms.dtype)
            mass[k] += lanes.reshape(_LANES, -1).sum(0)
    *mass, missing = mass
    if missing.any():
        raise ValueError(f"p has a NaN score beside a known label in class {np.flatnonzero(missing)[0]}")
    return mass


def _cells(y, p, threshold):
    """Where labels are true positives, false positives, false negatives, true negatives, and lack a score."""
    positive, negative = split_labels(y)
    found = p > threshold
    lost = ~found
    missing = np.isnan(p) & (positive | negative)
    return positive & found, negative & found, positive & lost, negative & lost, missing


def _score_type(p):
    return np.dtype(np.float32 if p.dtype == np.float32 else np.float64)


def _rounded_down(threshold, dtype):
    """The largest numbers of `dtype` up to each threshold: the same scores of that type lie above them."""
    with np.errstate(over="ignore"):
        rounded = threshold.astype(dtype)
    return np.where(rounded > threshold, np.nextafter(rounded, dtype.type(-np.inf)), rounded)


def validate(y, p, sample_weight):
    """Arrays of fitting shapes and types; the values of labels and scores are checked where they are used."""
    y, p = np.asarray(y), np.asarray(p)
    for name, array in (("y", y), ("p", p)):
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name} must hold real numbers, not {array.dtype}")
    if y.ndim != 2 or y.shape != p.shape:
        raise ValueError(f"y and p must be matrices of one shape (N, C), not {y.shape} and {p.shape}")
    if sample_weight is None:
        return y, p, None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape not in (y.shape, y.shape[:1]):
        raise ValueError(f"sample_weight must be of shape (N,) or (N, C), not {weight.shape}")
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError("sample_weight must be finite and not negative")
    return y, p, weight


def split_labels(y):
    """Where labels are 1, and where they are 0; what is neither must be NaN."""
    positive, negative = y == 1, y == 0
    known = np.count_nonzero(positive) + np.count_nonzero(negative)
    if known < y.size and known + np.count_nonzero(np.isnan(y)) < y.size:
        raise ValueError("y must hold 0, 1 or NaN")
    return positive, negative


def _transposed(matrix, dtype=None):
    """Copy of ``matrix.T`` with contiguous rows, made in pieces that fit into the innermost cache."""
    rows = np.empty(matrix.shape[::-1], dtype or matrix.dtype)
    for start in range(0, len(matrix), 512):
        rows[:, start : start + 512] = matrix[start : start + 512].T
    return rows
