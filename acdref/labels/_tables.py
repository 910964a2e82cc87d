"""Joins of labels by table: each class passes its label on to a list of classes.

The lists hold a few entries per class, so the cost follows the number of labels and not, as with a matrix
product, the square of the number of classes.
"""

from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """Lists of columns: class ``l`` reaches ``indices[indptr[l]:indptr[l + 1]]``."""

    indptr: np.ndarray
    indices: np.ndarray
    n_columns: int

    @classmethod
    def from_matrix(cls, reaches):
        """``reaches[l, c]``: whether class l passes its label on to column c."""
        rows, columns = np.nonzero(reaches)
        return cls(row_pointers(rows, len(reaches)), columns, reaches.shape[1])

    def expand(self, rows, classes):
        """The (row, column) pairs that the labels (row, class) reach."""
        starts = self.indptr[classes]
        counts = self.indptr[classes + 1] - starts
        first = np.cumsum(counts) - counts
        positions = np.arange(counts.sum()) + np.repeat(starts - first, counts)
        return np.repeat(rows, counts), self.indices[positions]

    def join(self, y):
        """Kleene OR (0 < NaN < 1) of the labels that reach each column: (N, C) -> (N, columns)."""
        joined = np.zeros((len(y), self.n_columns))
        joined[self.expand(*nonzero(np.isnan(y)))] = np.nan
        joined[self.expand(*nonzero(y == 1))] = 1.0
        return joined


def nonzero(mask):
    """``np.nonzero`` of a matrix, several times faster when few entries are set."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1] or 1)


def row_pointers(rows, n):
    """Where each of ``n`` rows starts in the ascending list ``rows``."""
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
