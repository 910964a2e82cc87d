"""Ontology-aware labels: parents expanded, children masked, candidates, base and target sets.

Grzywalski & Botteldooren's relabelling for any ontology in the format of AudioSet's ``ontology.json``.
"""

import copy
import functools
from collections.abc import Iterable
from os import PathLike
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.errors import FileError
from acdref.files import read_json
from acdref.labels._checks import one_of
from acdref.labels._graph import ancestor_closure, describe, edge_matrix, read_children
from acdref.labels._tables import Table, nonzero
from acdref.labels.vocabulary import Vocabulary

__all__ = ["Ontology", "RootSplit"]


class RootSplit(NamedTuple):
    """The two sets of :meth:`Ontology.split_by_root`.

    Attributes
    ----------
    is_target : ndarray of bool, (N,)
        Which clips are in the target set; the others are the base set.
    in_target : ndarray of bool, (nodes,)
        Which columns are the root and its descendants.
    base : ndarray, (base clips, nodes outside), float64
    target : ndarray, (target clips, nodes inside), float64
        Labels of either set's clips, restricted to that set's columns.
    """

    is_target: np.ndarray
    in_target: np.ndarray
    base: np.ndarray
    target: np.ndarray


class Ontology(Vocabulary):
    """Sound classes and their parents: a directed acyclic graph, in which a class may have several parents.

    Parameters
    ----------
    nodes : list of dict
        Each with ``id``, ``name``, ``child_ids`` (direct children) and optionally ``restrictions``, a list of
        strings such as "abstract" or "blacklist".

    Attributes
    ----------
    ids, names : tuple of str
        In the order of ``nodes``, which is the order of the columns of every matrix ``Y`` here.
    children : tuple of tuple of int
        Direct children of each node, as columns.
    closure : ndarray of bool, (nodes, nodes)
        ``closure[l, a]``: a is l itself or one of its ancestors, along all parents and through all nodes,
        whatever their restrictions.

    Raises
    ------
    ValueError
        For a node without id, name or children list, a duplicate id, a child that is no node, a child named
        twice, or a cycle; the message names the node.

    Notes
    -----
    AudioSet's ontology has 632 nodes, of which 527 have labelled clips.  Relabel over all nodes and project
    afterwards: 77 of the 527 have ancestors that are reached only through nodes outside the 527.

    A label that is no node (the strong release has 32) is, by the caller's choice, an error or left out
    (``encode(..., unknown="raise" | "ignore")``), or a node of its own without parents and children
    (:meth:`isolate`).

    Examples
    --------
    >>> ontology = Ontology([
    ...     {"id": "m", "name": "Music", "child_ids": ["g"]},
    ...     {"id": "g", "name": "Guitar", "child_ids": ["e", "a"]},
    ...     {"id": "e", "name": "Electric guitar", "child_ids": []},
    ...     {"id": "a", "name": "Acoustic guitar", "child_ids": []},
    ... ])
    >>> clips = ontology.encode([["e"], ["g"]]).to_dense()
    >>> ontology.parent_expand(clips)
    array([[1., 1., 1., 0.],
           [1., 1., 0., 0.]])
    >>> ontology.children_mask(clips)
    array([[ 1.,  1.,  1.,  0.],
           [ 1.,  1., nan, nan]])
    """

    def __init__(self, nodes: list[dict]) -> None:
        self.children = read_children(nodes)
        self.closure = ancestor_closure(self.children, [describe(node) for node in nodes])
        self.closure.flags.writeable = False
        super().__init__((node["id"] for node in nodes), (node["name"] for node in nodes))
        self._nodes = copy.deepcopy(nodes)  # the caller may go on changing the list

    @classmethod
    def from_json(cls, path: str | PathLike) -> Self:
        """Read a file in the format of AudioSet's ``ontology.json``.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        Ontology

        Raises
        ------
        acdref.errors.FileError
            If the file cannot be read or is no ontology; the message names the file and the node.

        Examples
        --------
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "ontology.json")
        ...     with open(path, "w") as file:
        ...         _ = file.write('[{"id": "g", "name": "Guitar", "child_ids": []}]')
        ...     Ontology.from_json(path).names
        ('Guitar',)
        """
        nodes = read_json(path)
        try:
            return cls(nodes)
        except ValueError as error:
            raise FileError(path, str(error)) from error

    def isolate(self, ids: Iterable[str]) -> Self:
        """The ontology in which every label of ``ids`` is a node.

        Parameters
        ----------
        ids : iterable of str

        Returns
        -------
        Ontology
            With those of ``ids`` that are no nodes yet appended in their order, without parents and children.

        Examples
        --------
        >>> Ontology([{"id": "m", "name": "Music", "child_ids": []}]).isolate(["x", "m", "x"]).ids
        ('m', 'x')
        """
        new = (id for id in dict.fromkeys(ids) if id not in self)
        return type(self)(self._nodes + [{"id": id, "name": id, "child_ids": []} for id in new])

    def parent_expand(self, Y: ArrayLike) -> NDArray[np.float64]:
        """Add all ancestors of the labels: PEL, the parent-expanded labels.

        Parameters
        ----------
        Y : array_like, (N, nodes)
            Original labels, 0, 1 or NaN.

        Returns
        -------
        ndarray, (N, nodes), float64
            For each class the Kleene OR (see :func:`or_join`) of its own label and those of all classes below
            it.

        Raises
        ------
        ValueError
            For a matrix of another width, or labels other than 0, 1, NaN.

        Notes
        -----
        Grzywalski & Botteldooren, PEL = OL and ancestors(OL).  An unknown label makes its ancestors unknown
        unless they are known to be present (our choice; the paper has no unknown original labels).  A closure
        operator: extensive, monotone, idempotent, and it commutes with :func:`or_join`.  Linear in the number
        of labels.

        Examples
        --------
        >>> guitars = [{"id": "g", "name": "Guitar", "child_ids": ["e"]},
        ...            {"id": "e", "name": "Electric guitar", "child_ids": []}]
        >>> Ontology(guitars).parent_expand([[0, 1], [1, 0], [0, np.nan]])
        array([[ 1.,  1.],
               [ 1.,  0.],
               [nan, nan]])
        """
        return self._upwards.join(self._matrix(Y))

    def children_mask(self, Y: ArrayLike) -> NDArray[np.float64]:
        """Expand the parents and mask the children that annotators may have left out: PE-CML.

        Parameters
        ----------
        Y : array_like, (N, nodes)
            Original labels, 0, 1 or NaN, of single clips (mix afterwards, by :func:`or_join`).

        Returns
        -------
        ndarray, (N, nodes), float64
            :meth:`parent_expand` of ``Y``, with NaN at all descendants of each original label that has none
            of its descendants among the original labels.

        Raises
        ------
        ValueError
            For a matrix of another width, or labels other than 0, 1, NaN.

        Notes
        -----
        Grzywalski & Botteldooren, PE-CML.  "Child" means descendant, down to the leaves, and the test is made
        label by label, not once per clip.  No masked class is ever in PEL: an ancestor that PEL adds below
        the label that triggers would stand on an original label below it too.  Unknown labels trigger nothing
        and stay as :meth:`parent_expand` leaves them.

        Examples
        --------
        >>> guitars = [{"id": "g", "name": "Guitar", "child_ids": ["e"]},
        ...            {"id": "e", "name": "Electric guitar", "child_ids": []}]
        >>> Ontology(guitars).children_mask([[0, 1], [1, 0], [0, 0]])
        array([[ 1.,  1.],
               [ 1., nan],
               [ 0.,  0.]])
        """
        Y = self._matrix(Y)
        expanded = self._upwards.join(Y)
        rows, classes = nonzero(Y == 1)
        above = np.zeros(Y.shape, dtype=bool)
        above[self._strict.expand(rows, classes)] = True
        triggers = ~above[rows, classes]
        expanded[self._downwards.expand(rows[triggers], classes[triggers])] = np.nan
        return expanded

    def psla_candidates(self, Y: ArrayLike, types: Iterable[int] = (1, 2)) -> NDArray[np.bool_]:
        """Pairs that PSLA's label enhancement may turn into positives.

        Parameters
        ----------
        Y : array_like, (N, nodes)
            Original labels, 0, 1 or NaN.
        types : iterable of {1, 2}
            1: direct children of the original labels.  2: all their ancestors.

        Returns
        -------
        ndarray of bool, (N, nodes)
            ``[:, ontology.columns(vocabulary)]`` is the ``candidates`` of :func:`mean_threshold_correct`.

        Raises
        ------
        ValueError
            For a type that is neither 1 nor 2, or a bad matrix.

        Notes
        -----
        Gong et al. 2021 (PSLA), as its code does it: both types start from the original labels only, and no
        link passes from a node whose restrictions are exactly "abstract" to its children, so that, unlike in
        :meth:`parent_expand`, no music genre reaches Music.

        Examples
        --------
        >>> guitars = [{"id": "g", "name": "Guitar", "child_ids": ["e"]},
        ...            {"id": "e", "name": "Electric guitar", "child_ids": []}]
        >>> Ontology(guitars).psla_candidates([[0, 1], [1, 0]])
        array([[ True, False],
               [False,  True]])
        """
        original = self._matrix(Y)
        rows, classes = nonzero(original == 1)
        candidates = np.zeros(original.shape, dtype=bool)
        for kind in types:
            one_of(kind, "type", (1, 2))
            candidates[self._psla_links[kind].expand(rows, classes)] = True
        return candidates

    def split_by_root(self, Y: ArrayLike, root: str) -> RootSplit:
        """Split clips into a target set, about one subtree, and a base set, about the rest.

        Parameters
        ----------
        Y : array_like, (N, nodes)
            Labels: original, parent-expanded or child-masked; all three split the clips alike.
        root : str
            The id of a node; see :meth:`id_of` for names.

        Returns
        -------
        RootSplit

        Raises
        ------
        ValueError
            If ``root`` is no node, or for a bad matrix.

        Notes
        -----
        Grzywalski & Botteldooren, Table I.  The subtree is the root and all its descendants, those shared
        with other roots included.  A clip with any positive label there is a target clip; labels that leave
        its own set (through a second parent, or a mask) are dropped with their columns.

        Examples
        --------
        >>> guitars = [{"id": "g", "name": "Guitar", "child_ids": ["e"]},
        ...            {"id": "e", "name": "Electric guitar", "child_ids": []}]
        >>> split = Ontology(guitars).split_by_root([[1, 0], [0, 1]], "e")
        >>> split.is_target, split.base, split.target
        (array([False,  True]), array([[1.]]), array([[1.]]))
        """
        Y = self._matrix(Y)
        in_target = self.closure[:, self.columns([root])[0]]
        is_target = (Y[:, in_target] == 1).any(axis=1)
        return RootSplit(
            is_target, in_target, Y[np.ix_(~is_target, ~in_target)], Y[np.ix_(is_target, in_target)]
        )

    @functools.cached_property
    def _upwards(self):
        return Table.from_matrix(self.closure)

    @functools.cached_property
    def _strict(self):
        return Table.from_matrix(self.closure & ~np.eye(len(self), dtype=bool))

    @functools.cached_property
    def _downwards(self):
        return Table.from_matrix(self.closure.T & ~np.eye(len(self), dtype=bool))

    @functools.cached_property
    def _psla_links(self):
        abstract = [node.get("restrictions") == ["abstract"] for node in self._nodes]
        children = [() if stop else below for stop, below in zip(abstract, self.children, strict=True)]
        ancestors = ancestor_closure(children, self.names) & ~np.eye(len(self), dtype=bool)
        return {1: Table.from_matrix(edge_matrix(children).T), 2: Table.from_matrix(ancestors)}
