"""Label names and the columns of a label matrix."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import label_matrix, one_of
from acdref.labels.sparse import SparseLabels

__all__ = ["Vocabulary"]


class Vocabulary:
    """What the columns of a label matrix stand for.

    Parameters
    ----------
    ids : iterable of str
        One per column, all different.
    names : iterable of str, optional
        Display names in the same order; the ids by default.

    Attributes
    ----------
    ids, names : tuple of str

    Raises
    ------
    ValueError
        For a duplicate id, or a different number of names.

    Examples
    --------
    >>> guitars = Vocabulary(["/m/0342h", "/m/02sgy"], ["Guitar", "Electric guitar"])
    >>> guitars.encode([["/m/02sgy"], []]).to_dense()
    array([[0., 1.],
           [0., 0.]])
    """

    def __init__(self, ids: Iterable[str], names: Iterable[str] | None = None) -> None:
        self.ids = tuple(ids)
        self.names = self.ids if names is None else tuple(names)
        self._position = {id: column for column, id in enumerate(self.ids)}
        if len(self._position) < len(self.ids):
            twice = next(id for column, id in enumerate(self.ids) if self._position[id] != column)
            raise ValueError(f"duplicate id: {twice!r}")
        if len(self.names) != len(self.ids):
            raise ValueError(f"{len(self.names)} names for {len(self.ids)} ids")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: str) -> bool:
        return id in self._position

    def columns(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Columns of the labels ``ids``.

        Parameters
        ----------
        ids : iterable of str

        Returns
        -------
        ndarray, (len(ids),), int64

        Raises
        ------
        ValueError
            For an unknown label.

        Examples
        --------
        >>> Vocabulary(["a", "b", "c"]).columns(["c", "a"])
        array([2, 0])
        """
        ids = list(ids)
        for id in ids:
            if id not in self._position:
                raise ValueError(f"unknown label {id!r}")
        return np.array([self._position[id] for id in ids], dtype=np.int64)

    def id_of(self, name: str) -> str:
        """The id of the label with this display name.

        Parameters
        ----------
        name : str

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If no label has it, or several have.

        Examples
        --------
        >>> Vocabulary(["/m/0342h"], ["Guitar"]).id_of("Guitar")
        '/m/0342h'
        """
        found = [id for id, other in zip(self.ids, self.names, strict=True) if other == name]
        if len(found) != 1:
            raise ValueError(f"{len(found)} labels are named {name!r}")
        return found[0]

    def encode(self, clips: Iterable[Iterable[str]], unknown: str = "raise") -> SparseLabels:
        """Labels given as ids, one list per clip, as columns.

        Parameters
        ----------
        clips : iterable of iterable of str
        unknown : {"raise", "ignore"}
            What to do with an unknown label: refuse it, or leave it out.  To keep it, see
            :meth:`Ontology.isolate`.

        Returns
        -------
        SparseLabels
            ``.to_dense()`` is the label matrix.

        Raises
        ------
        ValueError
            For an unknown label, with ``unknown="raise"``.

        Examples
        --------
        >>> Vocabulary(["a", "b"]).encode([["b"], ["x", "a"]], unknown="ignore").to_dense()
        array([[0., 1.],
               [1., 0.]])
        """
        one_of(unknown, "unknown", ("raise", "ignore"))
        lists = []
        for clip in clips:
            ids = list(clip) if unknown == "raise" else [id for id in clip if id in self._position]
            lists.append(self.columns(ids))
        return SparseLabels.from_lists(lists, len(self))

    def project(self, Y: ArrayLike, ids: Iterable[str]) -> NDArray[np.float64]:
        """Keep the columns of some labels, in their order.

        Parameters
        ----------
        Y : array_like, (N, labels)
        ids : iterable of str
            E.g. the 527 labels of AudioSet among the 632 nodes of its ontology.

        Returns
        -------
        ndarray, (N, len(ids)), float64

        Raises
        ------
        ValueError
            For an unknown label, or a matrix of another width.

        Examples
        --------
        >>> Vocabulary(["a", "b", "c"]).project([[0, 1, np.nan]], ["c", "a"])
        array([[nan,  0.]])
        """
        return self._matrix(Y)[:, self.columns(ids)]

    def lift(self, y: ArrayLike, ids: Iterable[str]) -> NDArray[np.float64]:
        """Spread a matrix over some labels to all labels, with 0 elsewhere; the inverse of :meth:`project`.

        Parameters
        ----------
        y : array_like, (N, len(ids))
            Labels 0, 1 or NaN.
        ids : iterable of str
            What the columns of ``y`` are, without repetition.

        Returns
        -------
        ndarray, (N, labels), float64

        Raises
        ------
        ValueError
            For an unknown or repeated label, or a matrix of another width.

        Examples
        --------
        >>> Vocabulary(["a", "b", "c"]).lift([[1, np.nan]], ["c", "a"])
        array([[nan,  0.,  1.]])
        """
        y = label_matrix(y)
        columns = self.columns(ids)
        if len(np.unique(columns)) < len(columns):
            raise ValueError("a label is given twice")
        if y.shape[1] != len(columns):
            raise ValueError(f"y has {y.shape[1]} columns, but {len(columns)} labels are given")
        lifted = np.zeros((len(y), len(self)))
        lifted[:, columns] = y
        return lifted

    def _matrix(self, Y):
        Y = label_matrix(Y, "Y")
        if Y.shape[1] != len(self):
            found = f"Y has {Y.shape[1]} columns, but there are {len(self)} labels"
            raise ValueError(f"{found} (lift() adds columns)")
        return Y
