"""Which class each label of a file is: by id or display name, under a policy for labels that are none."""

import itertools
import re
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.errors import AcdrefError, FileError
from acdref.tables.label_files import Clip, label_matrix
from acdref.tables.manifest import resolve_classes
from acdref.tables.rows import Rows, names_text, tidy


def read_vocabulary(path: str | PathLike) -> tuple[tuple[str, str], ...]:
    """Read a list of classes and their names.

    Parameters
    ----------
    path : str or path-like
        AudioSet's ``class_labels_indices.csv``, with the columns ``mid`` and ``display_name``; or without a
        header FSD50K's ``vocabulary.csv`` (number, name, mid) or AudioSet's ``mid_to_display_name.tsv``.

    Returns
    -------
    tuple of (str, str)
        Ids and display names, in the file's order.

    Raises
    ------
    FileError
        If it cannot be read, has no such columns, or names an id twice.
    """
    with Rows(path, None) as rows:
        first = rows.first()
        id = next((at for at, text in enumerate(first) if _MID.fullmatch(text.strip())), None)
        if id is None or len(first) not in (2, 3):
            rows.header(("mid", "display_name"))
            id, name = rows.column("mid"), rows.column("display_name")
        else:  # the first row is a class
            rows.names = [""] * len(first)
            name = next((at for at in reversed(range(len(first))) if at != id), 0)
        classes = tuple((tidy(fields[id]), tidy(fields[name])) for _, fields in rows.fields(len(rows.names)))
    if not classes:
        raise FileError(path, "has no classes in columns mid and display_name")
    if not all(id and name for id, name in classes) or len({id for id, _ in classes}) < len(classes):
        raise FileError(path, "has a class without id or name, or an id twice")
    return classes


_MID = re.compile(r"/[mtg]/\S+")  # how AudioSet's ids begin


class Columns:
    """The classes of a job.

    Parameters
    ----------
    path : str
        The label file; errors name it.
    found : dict of str to int
        The labels in it, and the line of each.
    steps : acdref.relabel.Steps
    classes : sequence of str, optional
        The classes, where there is neither ontology nor vocabulary; by default those that occur.

    Attributes
    ----------
    ids, names : tuple of str
        Classes before mapping: the columns of the label matrices that :meth:`encode` makes.
    out_ids, out_names : tuple of str
        Classes after mapping.
    spelled : tuple of str
        How the classes after mapping are written.
    ontology : Ontology or None
        With the isolated labels as nodes.
    projection : ndarray of int or None
        The columns before mapping that a vocabulary keeps.
    strangers : set of str
        Labels that are no class and are left out.
    dropped : int
        How many labels :meth:`encode` left out.

    Raises
    ------
    AcdrefError
        If a label is no class and the policy is to refuse it, or the classes do not fit the steps.
    """

    def __init__(self, path: str, found: dict[str, int], steps: Any, classes: Sequence[str] | None = None):
        self.ids, self.names = _known(path, found, steps, classes)
        self.ontology, self.projection, self.dropped = steps.ontology, None, 0
        self._column = _lookup(self.ids, self.names)
        strangers = tuple(label for label in found if label not in self._column)
        if strangers and steps.unknown == "raise":
            cause = f"line {found[strangers[0]]}: the label {strangers[0]!r} is no known class"
            raise FileError(path, f"{cause} (--unknown ignore or isolate accepts such labels)")
        if strangers and steps.unknown == "isolate":
            self.ids, self.names = self.ids + strangers, self.names + strangers
            self.ontology = None if self.ontology is None else self.ontology.isolate(strangers)
            self._column = _lookup(self.ids, self.names)
            strangers = ()
        self.strangers = set(strangers)
        self.out_ids, self.out_names = self.ids, self.names
        if steps.superclasses is not None:
            _check_members(path, steps, self.names)
            self.out_ids = self.out_names = steps.superclasses.names
        elif steps.ontology is not None and steps.vocabulary is not None:
            self.out_ids, self.out_names = map(tuple, zip(*steps.vocabulary, strict=True))
            try:
                self.projection = self.ontology.columns(self.out_ids)
            except ValueError as error:
                raise AcdrefError(f"vocabulary: {error}") from None
        self.spelled = self._spelling(found)

    def column_of(self, label: str) -> int | None:
        """Column before mapping of a label as a file has it; None if it is no class."""
        return self._column.get(label)

    def find(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """Which of `classes` each class after mapping is, (C,) int; -1 for none."""
        position = {name: i for i, name in enumerate(classes)}
        pairs = zip(self.out_ids, self.out_names, strict=True)
        return np.array([position.get(id, position.get(name, -1)) for id, name in pairs], dtype=np.int64)

    def encode(self, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """Label matrix of clips, (n, classes before mapping), float64."""
        y, strangers = label_matrix(clips, self._column, len(self.ids))
        self.dropped += len(strangers)
        return y

    def ordered(self, columns: Iterable[int], clip: Clip) -> list[str]:
        """Spelled labels of some columns: those that the clip had already in its order, then the others."""
        labels = [self.spelled[c] for c in columns]
        if len(labels) < 2:
            return labels
        chosen = set(labels)
        kept = [label for label in (*clip.present, *clip.unknown, *(clip.absent or ())) if label in chosen]
        return [*kept, *(label for label in labels if label not in set(kept))]

    def _spelling(self, found):
        """As the file spells the class; else by ids or by names, whichever the file's labels are."""
        if self.out_ids == self.out_names:
            return self.out_ids
        own = {}
        for label in found:
            if label in self._column:
                own.setdefault(self.ids[self._column[label]], label)
        by_name = bool(own) and not any(id == label for id, label in own.items())
        default = self.out_names if by_name else self.out_ids
        return tuple(own.get(id, text) for id, text in zip(self.out_ids, default, strict=True))


def _known(path, found, steps, classes):
    """Ids and display names of the classes before mapping."""
    if steps.ontology is not None:
        return steps.ontology.ids, steps.ontology.names
    if steps.vocabulary is not None:
        return tuple(map(tuple, zip(*steps.vocabulary, strict=True)))
    classes = resolve_classes(path, classes, found)
    return classes, classes


def _lookup(ids, names):
    """Column by id, or by a display name that only one class has."""
    lookup = {}
    for column, name in enumerate(names):
        lookup[name] = None if name in lookup else column
    lookup = {name: column for name, column in lookup.items() if column is not None}
    return lookup | {id: column for column, id in enumerate(ids)}


def _check_members(path, steps, names):
    """Some class must be a member of a super-class; where the classes are a list, every member be on it."""
    if len(set(names)) < len(names):
        raise AcdrefError("two classes have one display name: super-classes cannot tell them apart")
    if steps.ontology is None and steps.vocabulary is None:
        if set(names).isdisjoint(itertools.chain.from_iterable(steps.superclasses.members.values())):
            cause = f"no label is a member of a super-class ({names_text(steps.superclasses.names, ', ')})"
            raise FileError(
                path, f"{cause}; where labels are ids, --ontology or --vocabulary give their names"
            )
        return
    for superclass, members in steps.superclasses.members.items():
        for member in members:
            if member not in set(names):
                raise AcdrefError(f"super-class {superclass!r}: its member {member!r} is no known class")
