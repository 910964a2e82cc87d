"""What the per-class metrics share: rankings of a class's clips, and the confusions of all classes."""

import itertools
import os
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_TOGETHER = 2**22  # scores that are transposed together, at least those of so many classes:
_BLOCK = 16
_LANES, _ROWS = 4, 255  # clips that are counted together: a uint8 holds the number of rows, in each lane


class Ranking(NamedTuple):
    """Scores of one class in ascending order, with their weights (None: all 1)."""

    scores: np.ndarray  # (n,)
    weight: np.ndarray | None  # (n,)
    top: np.ndarray | None  # (n + 1,): weight of the best 0, 1, ..., n
    total: float  # weight (number) of all, those included that were left out at the low end

    @classmethod
    def of(cls, scores, weight, left_out=0.0):
        """Ranking of items in any order."""
        if weight is None:
            return cls(np.sort(scores), None, None, len(scores) + left_out)
        order = scores.argsort()
        weight = weight[order]
        top = np.append(0.0, np.cumsum(weight[::-1]))
        return cls(scores[order], weight, top, top[-1] + left_out)

    def mass_above(self, score, inclusive):
        """Weight (number, if unweighted) of the items that score above each `score`, or at it too."""
        count = len(self.scores) - np.searchsorted(self.scores, score, "left" if inclusive else "right")
        return count if self.top is None else self.top[count]


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
    """``metric(positives, negatives)`` of the rankings of each class: (C,) float64."""
    y, p, weight = validate(y, p, sample_weight)
    values = np.empty(y.shape[1])
    width = max(_BLOCK, _TOGETHER // max(1, len(y)))
    for first in range(0, len(values), width):
        block = slice(first, first + width)
        special = _transposed(y[:, block], bool, lambda labels: labels != 0)  # positive or unknown: few
        scores = _transposed(p[:, block], _score_type(p))
        by_label = weight is not None and weight.ndim == 2
        weights = _transposed(weight[:, block], np.float64) if by_label else weight

        def task(start, stop):
            some = slice(start, stop)
            w = weights[some] if by_label else weights  # noqa: B023
            pairs = _rankings(y[:, block][:, some], special[some], scores[some], w, first + start)  # noqa: B023
            values[block][some] = [metric(*pair) for pair in pairs]  # noqa: B023

        _by_pieces(task, len(scores), _BLOCK)
    return values


def _rankings(y, special, scores, weight, first):
    """Yield for each class, the first of them `first`, the rankings of its positives and its negatives.

    `y` is (N, B); what is not 0 in it is `special`, (B, N), as `scores`, which are overwritten.  Of the
    negatives only those are ranked that score no lower than some positive.
    """
    if weight is not None:
        weight = np.broadcast_to(weight, scores.shape)
        special = special | (weight == 0)
    b, n = np.divmod(np.flatnonzero(special), len(y))  # ten times as fast as np.nonzero
    positive, _ = split_labels(y[n, b])
    if weight is not None:
        positive &= weight[b, n] > 0
    missing = np.isnan(scores)
    missing[b[~positive], n[~positive]] = False
    if missing.any():
        raise ValueError(
            f"p has a NaN score beside a known label in class {first + np.nonzero(missing)[0][0]}"
        )
    found, of = scores[b[positive], n[positive]], n[positive]
    edges = np.searchsorted(b[positive], np.arange(len(scores) + 1))
    parts = [slice(*edge) for edge in itertools.pairwise(edges)]
    scores[b, n] = np.nan  # neither above a positive nor below
    lowest = np.array([found[part].min(initial=np.inf) for part in parts])[:, None]
    above, below = scores >= lowest, scores < lowest
    for k, part in enumerate(parts):
        near = np.flatnonzero(above[k])  # three times as fast as choosing by a mask
        if weight is None:
            yield (
                Ranking.of(found[part], None),
                Ranking.of(scores[k].take(near), None, np.count_nonzero(below[k])),
            )
        else:
            yield (
                Ranking.of(found[part], weight[k, of[part]]),
                Ranking.of(scores[k].take(near), weight[k].take(near), weight[k, below[k]].sum()),
            )


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


def _transposed(matrix, dtype, change=None):
    """``change(matrix.T)`` with contiguous rows, made in pieces that fit into the cache."""
    rows = np.empty(matrix.shape[::-1], dtype)

    def task(start, stop):
        piece = matrix[start:stop]
        rows[:, start:stop] = (piece if change is None else change(piece)).T

    _by_pieces(task, len(matrix), 512)
    return rows


def _by_pieces(task, length, size):
    """``task(start, stop)`` over pieces of range(length), in threads: NumPy works without Python's lock."""
    edges = [*range(0, length, size), length]
    if len(edges) <= 2:
        task(0, length)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(task, edges, edges[1:]))
