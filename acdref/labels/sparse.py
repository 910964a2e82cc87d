"""Label matrices as lists, for sets that are too large to hold as a matrix."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import label_matrix
from acdref.labels._tables import nonzero, row_pointers

__all__ = ["SparseLabels"]


@dataclass(frozen=True, eq=False)
class SparseLabels:
    """A label matrix that stores only its ones and unknowns; everything else is 0.

    The layout is that of CSR matrices: the labels of clip i are ``indices[indptr[i]:indptr[i + 1]]``.
    AudioSet's two million clips take 40 MB this way, and more than 8 GB as a matrix.

    Attributes
    ----------
    indptr : ndarray, (N + 1,), int64
    indices : ndarray, (nnz,), int32
        Columns, ascending within each clip.
    unknown : ndarray of bool, (nnz,)
        True for NaN, False for 1.
    n_classes : int

    Examples
    --------
    >>> labels = SparseLabels.from_lists([[2, 0], [], [1]], n_classes=3)
    >>> labels.to_dense()
    array([[1., 0., 1.],
           [0., 0., 0.],
           [0., 1., 0.]])
    >>> labels.indptr, labels.indices, len(labels)
    (array([0, 2, 2, 3]), array([0, 2, 1], dtype=int32), 3)
    """

    indptr: np.ndarray
    indices: np.ndarray
    unknown: np.ndarray
    n_classes: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @classmethod
    def from_lists(cls, lists: Iterable[Iterable[int]], n_classes: int) -> Self:
        """Positive labels, given as one list of columns per clip; repetitions count once.

        Parameters
        ----------
        lists : iterable of iterable of int
        n_classes : int

        Returns
        -------
        SparseLabels

        Raises
        ------
        ValueError
            If a column is not in ``range(n_classes)``.

        Examples
        --------
        >>> SparseLabels.from_lists([[2, 0, 2]], n_classes=3).indices
        array([0, 2], dtype=int32)
        """
        clips = [sorted(set(columns)) for columns in lists]
        indptr = np.cumsum([0, *map(len, clips)])
        indices = np.fromiter((column for clip in clips for column in clip), np.int32, count=indptr[-1])
        if len(indices) and (indices.min() < 0 or indices.max() >= n_classes):
            raise ValueError(f"a label's column lies outside 0 .. {n_classes - 1}")
        return cls(indptr, indices, np.zeros(len(indices), dtype=bool), n_classes)

    @classmethod
    def from_dense(cls, y: ArrayLike) -> Self:
        """The sparse form of a label matrix, (N, C), of 0, 1 and NaN.

        Parameters
        ----------
        y : array_like, (N, C)
            Labels 0, 1 or NaN.

        Returns
        -------
        SparseLabels

        Raises
        ------
        ValueError
            For other values.

        Examples
        --------
        >>> labels = SparseLabels.from_dense([[0, np.nan, 1]])
        >>> labels.indices, labels.unknown
        (array([1, 2], dtype=int32), array([ True, False]))
        """
        y = label_matrix(y)
        rows, columns = nonzero(y != 0)
        unknown = np.isnan(y[rows, columns])
        return cls(row_pointers(rows, len(y)), columns.astype(np.int32), unknown, y.shape[1])

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """The clips of several parts, one part after the other; at least one, all with the same classes.

        Parameters
        ----------
        parts : iterable of SparseLabels

        Returns
        -------
        SparseLabels

        Raises
        ------
        ValueError
            If there is no part, or the numbers of classes differ.

        Examples
        --------
        >>> part = SparseLabels.from_lists([[1]], n_classes=2)
        >>> len(SparseLabels.concatenate([part, part]))
        2
        """
        parts = list(parts)
        if len({part.n_classes for part in parts}) != 1:
            raise ValueError("parts must be several, and of the same number of classes")
        counts = np.concatenate([np.diff(part.indptr) for part in parts])
        return cls(
            np.concatenate([[0], np.cumsum(counts)]),
            np.concatenate([part.indices for part in parts]),
            np.concatenate([part.unknown for part in parts]),
            parts[0].n_classes,
        )

    def to_dense(self, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """The label matrix of the clips ``start`` to ``stop`` (all by default): (n, C), float64.

        Parameters
        ----------
        start, stop : int, optional
            As in a slice.

        Returns
        -------
        ndarray, (n, C), float64

        Examples
        --------
        >>> SparseLabels.from_lists([[1], [0], []], n_classes=2).to_dense(1, 3)
        array([[1., 0.],
               [0., 0.]])
        """
        start, stop, _ = slice(start, stop).indices(len(self))
        stop = max(start, stop)
        indptr = self.indptr[start : stop + 1]
        y = np.zeros((stop - start, self.n_classes))
        rows = np.repeat(np.arange(stop - start), np.diff(indptr))
        stored = slice(indptr[0], indptr[-1])
        y[rows, self.indices[stored]] = np.where(self.unknown[stored], np.nan, 1.0)
        return y

    def relabel(self, rule: Callable[[NDArray[np.float64], slice], ArrayLike], chunk: int = 256) -> Self:
        """Apply a rule for label matrices to all clips, a few at a time.

        Parameters
        ----------
        rule : callable
            ``rule(y, rows)`` gets the label matrix of some clips, (n, C), and the slice of clips that these
            are (to look up their scores), and returns their new label matrix, (n, any number of classes). It
            must treat every clip by itself.
        chunk : int
            Clips at a time, n; a matrix of about 1 MB stays in the processor's cache.

        Returns
        -------
        SparseLabels

        Examples
        --------
        >>> labels = SparseLabels.from_lists([[0], [1], []], n_classes=2)
        >>> labels.relabel(lambda y, rows: 1 - y).to_dense()
        array([[0., 1.],
               [1., 0.],
               [1., 1.]])
        """
        # An empty set still needs one call: only the rule knows how many classes come out.
        starts = range(0, max(len(self), 1), chunk)
        chunks = [slice(start, min(start + chunk, len(self))) for start in starts]
        return self.concatenate(self.from_dense(rule(self.to_dense(c.start, c.stop), c)) for c in chunks)
