"""What the per-class metrics share: rankings of a class's clips, and the confusions of all classes."""

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_BLOCK = 32  # classes at a time: whole cache lines for the transposition, and it stays in the cache
_LABELS = 2**16  # at a time: what is made of them stays in the cache
_FEW, _MANY = 16, 1000  # so few positives among so many clips each: counting is quicker than sorting
_LANES, _ROWS = 4, 255  # clips that are counted together: a uint8 holds the number of rows, in each lane


class Ranking(NamedTuple):
    """Scores of one class in ascending order, with their weights (None: all 1)."""

    scores: np.ndarray  # (n,)
    weight: np.ndarray | None  # (n,)
    top: np.ndarray | None  # (n + 1,): weight of the best 0, 1, ..., n
    total: float  # weight (number) of all, those below the floor too

    @classmethod
    def of(cls, scores, weight, chosen, floor=None):
        """Ranking of the `chosen` (bool) items, but for those below `floor`: nobody will ask for them."""
        near = (chosen if floor is None else chosen & (scores >= floor)).nonzero()[0]
        ranked = scores.take(near)  # several times as fast as by the mask, where that leaves out many
        if weight is None:
            ranked.sort()
            return cls(ranked, None, None, len(ranked) if floor is None else np.count_nonzero(chosen))
        order = near[ranked.argsort()]
        top = np.append(0.0, np.cumsum(weight[order[::-1]]))
        below = 0.0 if floor is None else weight.take((chosen & (scores < floor)).nonzero()[0]).sum()
        return cls(scores[order], weight[order], top, top[-1] + below)

    def mass_above(self, score, inclusive):
        """Weight (number, if unweighted) of the items that score above each `score`, or at it too."""
        count = len(self.scores) - np.searchsorted(self.scores, score, "left" if inclusive else "right")
        return count if self.top is None else self.top[count]


class Unranked(NamedTuple):
    """The `chosen` scores of a class in any order: for few questions quicker than a `Ranking`."""

    scores: np.ndarray  # (N,)
    weight: np.ndarray | None  # (N,)
    chosen: np.ndarray  # (N,) bool

    def mass_above(self, score, inclusive):
        """As that of a `Ranking`."""
        above = np.greater_equal if inclusive else np.greater
        found = above(self.scores, np.reshape(score, (-1, 1)))  # (questions, N)
        found &= self.chosen
        return np.array([self._mass(items) for items in found])

    @property
    def total(self):
        """As that of a `Ranking`."""
        return self._mass(self.chosen)

    def _mass(self, items):
        return np.count_nonzero(items) if self.weight is None else (self.weight * items).sum()


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
    """``metric(positives, negatives)``, each a `Ranking` or `Unranked`, of all classes: (C,) float64."""
    y, p, weight = validate(y, p, sample_weight)
    clips, classes = y.shape
    signs = np.empty_like(y, np.int8)  # 1: positive, -1: negative, 0: unknown, or of weight 0
    matrices = [p, signs]
    if weight is not None:
        weight = np.broadcast_to(weight if weight.ndim == 2 else weight[:, None], y.shape)
        matrices.append(weight)
    values, missing = np.empty(classes), np.zeros(classes, bool)
    height = 1 + _LABELS // max(1, classes)

    def sign(pieces):
        for first in pieces:
            rows = slice(first, first + height)
            positive, negative = split_labels(y[rows])
            np.subtract(positive.view(np.int8), negative.view(np.int8), out=signs[rows])
            if weight is not None:
                signs[rows] *= weight[rows] > 0

    def rank(blocks):
        types = _score_type(p), np.int8, np.float64
        # Each block takes the memory of the one before: to touch new pages takes longer than to transpose.
        memory = [np.empty((min(_BLOCK, classes), clips), dtype) for dtype in types[: len(matrices)]]
        for first in blocks:
            parts = (matrix[:, first : first + _BLOCK] for matrix in matrices)
            scores, labels, *mass = map(_transposed, parts, memory)
            if np.isnan(scores.max(initial=-np.inf)):
                missing[first : first + _BLOCK] = (np.isnan(scores) & (labels != 0)).any(axis=1)
            for c, row in enumerate(zip(scores, labels == 1, labels == -1, *mass, strict=True), first):
                if not missing[c]:
                    values[c] = metric(*_sides(*row))

    workers = -(-classes // _BLOCK)
    for work, parts in (sign, range(0, clips, height)), (rank, range(0, classes, _BLOCK)):
        _in_threads(work, iter(parts), workers)
    if missing.any():
        raise ValueError(f"p has a NaN score beside a known label in class {np.flatnonzero(missing)[0]}")
    return values


def _in_threads(work, parts, workers):
    """``work(parts)`` in so many threads, which take from one iterator; NumPy works without Python's lock."""
    if workers < 2:
        work(parts)
        return
    from concurrent.futures import ThreadPoolExecutor

    workers = min(os.cpu_count() or 1, workers)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, [parts] * workers))


def _sides(scores, positive, negative, weight=None):
    """What ranks the positives of a class, and what ranks its negatives."""
    positives = Ranking.of(scores, weight, positive)
    if len(positives.scores) <= min(_FEW, len(scores) // _MANY):
        return positives, Unranked(scores, weight, negative)
    return positives, Ranking.of(scores, weight, negative, floor=positives.scores[0])


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


def _transposed(matrix, memory):
    """Copy of ``matrix.T`` in `memory`, made in pieces that fit into the innermost cache."""
    rows = memory[: matrix.shape[1]]
    step = 512 * _BLOCK // max(1, len(rows))
    for start in range(0, len(matrix), step):
        rows[:, start : start + step] = matrix[start : start + step].T
    return rows
