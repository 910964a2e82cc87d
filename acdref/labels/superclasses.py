"""Super-classes: a few broad classes, each the union of several fine ones."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import label_matrix, one_of
from acdref.labels._tables import Table
from acdref.tables.rows import Rows

__all__ = ["SuperClasses"]


class SuperClasses:
    """Broad classes and the fine labels that belong to each.

    Parameters
    ----------
    members : dict of str to iterable of str
        Super-class to labels.  A label may belong to several super-classes, or to none.

    Attributes
    ----------
    names : tuple of str
        The super-classes, in order.
    members : dict of str to tuple of str

    Examples
    --------
    >>> classes = SuperClasses({"nature": ["Rain", "Wind"], "wind": ["Wind"]})
    >>> classes.map([[0, 1, 0], [0, 0, 1], [np.nan, 0, 0]], labels=["Rain", "Wind", "Speech"])
    array([[ 1.,  1.],
           [ 0.,  0.],
           [nan,  0.]])
    """

    def __init__(self, members: Mapping[str, Iterable[str]]) -> None:
        self.members = {name: tuple(dict.fromkeys(labels)) for name, labels in members.items()}
        self.names = tuple(self.members)

    @classmethod
    def from_csv(cls, path: str | PathLike, exclude: Iterable[str] = ("unused",)) -> Self:
        """Read a table with one column per super-class: its name, then its labels.

        Parameters
        ----------
        path : str or path-like
            See :mod:`acdref.tables.rows`.  Columns may differ in length; blank cells are skipped.
        exclude : iterable of str
            Columns that are no super-class.

        Returns
        -------
        SuperClasses

        Raises
        ------
        acdref.errors.FileError
            If the file cannot be read, is empty, names a column twice, or holds a label under no name.

        Notes
        -----
        The format of ``audio_content_ontology.csv``, which maps the 527 labels of AudioSet to the eleven
        classes of Braun & Gamper (the rest stands under "unused").  As published it puts only *Music* and
        *Musical instrument* into music: expand parents first, or clips labelled *Guitar* alone map to
        nothing.

        Examples
        --------
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "classes.csv")
        ...     with open(path, "w") as file:
        ...         _ = file.write("unused,dog,wind\\nHum,Bark,Wind\\n,Yip,\\n")
        ...     SuperClasses.from_csv(path).members
        {'dog': ('Bark', 'Yip'), 'wind': ('Wind',)}
        """
        with Rows(path) as rows:
            header = rows.header()
            members: dict[str, list[str]] = {name: [] for name in header if name}
            if len(members) < sum(map(bool, header)):
                raise rows.bad("names a super-class twice")
            for _, fields in rows.fields(None):
                for column, cell in enumerate(map(str.strip, fields)):
                    if cell and not any(header[column : column + 1]):
                        raise rows.bad(f"{cell!r} stands under no super-class")
                    if cell:
                        members[header[column]].append(cell)
        return cls({name: labels for name, labels in members.items() if name not in set(exclude)})

    def map(self, y: ArrayLike, labels: Sequence[str], unknown: str = "raise") -> NDArray[np.float64]:
        """Labels of the super-classes: each is present if any of its members is.

        Parameters
        ----------
        y : array_like, (N, C)
            Labels 0, 1 or NaN.
        labels : sequence of str, (C,)
            What the columns of ``y`` are, in the words of :attr:`members`: display names for the CSV.
        unknown : {"raise", "ignore"}
            What to do with members that have no column.  Columns that belong to no super-class are left out.

        Returns
        -------
        ndarray, (N, super-classes), float64
            The Kleene OR of the members: 1 if any is 1, else NaN if any is NaN, else 0.

        Raises
        ------
        ValueError
            If a member has no column (unless ignored), two columns have one name, or ``y`` is bad.

        Examples
        --------
        >>> SuperClasses({"dog": ["Bark", "Yip"]}).map([[0, 1, 1], [1, 0, 0]], ["Wind", "Bark", "Yip"])
        array([[1.],
               [0.]])
        """
        one_of(unknown, "unknown", ("raise", "ignore"))
        y = label_matrix(y)
        column = {name: c for c, name in enumerate(labels)}
        if len(column) != y.shape[1] or len(labels) != y.shape[1]:
            raise ValueError(f"{len(labels)} labels ({len(column)} distinct) for {y.shape[1]} columns")
        belongs = np.zeros((y.shape[1], len(self.names)), dtype=bool)
        for s, name in enumerate(self.names):
            for member in self.members[name]:
                if member in column:
                    belongs[column[member], s] = True
                elif unknown == "raise":
                    raise ValueError(f"{member!r}, a member of {name!r}, has no column")
        return Table.from_matrix(belongs).join(y)
