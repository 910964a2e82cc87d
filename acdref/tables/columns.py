"""Which class each label of a file is: by id or display name, under a policy for labels that are none."""

import itertools
from dataclasses import dataclass, field
from os import PathLike

import numpy as np

from acdref.errors import AcdrefError, FileError
from acdref.tables.manifest import resolve_classes
from acdref.tables.rows import Rows


def read_vocabulary(path: str | PathLike) -> tuple[tuple[str, str], ...]:
    """Read AudioSet's ``class_labels_indices.csv``: the columns ``mid`` and ``display_name``.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    tuple of (str, str)
        Ids and display names, in the file's order.

    Raises
    ------
    FileError
        If it cannot be read, has no such columns, or names an id twice.
    """
    with Rows(path) as rows:
        rows.header()
        id, name = rows.column("mid"), rows.column("display_name")
        classes = tuple((fields[id], fields[name]) for _, fields in rows)
    if not classes:
        raise FileError(path, "has no classes in columns mid and display_name")
    if not all(id and name for id, name in classes) or len({id for id, _ in classes}) < len(classes):
        raise FileError(path, "has a class without id or name, or an id twice")
    return classes


@dataclass
class Columns:
    """The classes of a job.

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
    """

    ids: tuple
    names: tuple
    out_ids: tuple
    out_names: tuple
    spelled: tuple
    ontology: object = None
    projection: np.ndarray | None = None
    strangers: set = field(default_factory=set)
    dropped: int = 0

    @classmethod
    def of(cls, path, found, steps, classes=None):
        """The columns for the labels `found` (a dict to the line of each) of the file `path`."""
        ids, names = _known(path, found, steps, classes)
        lookup = _lookup(ids, names)
        strangers = {label for label in found if label not in lookup}
        ontology = steps.ontology
        if strangers and steps.unknown == "raise":
            label = next(label for label in found if label in strangers)
            cause = f"line {found[label]}: the label {label!r} is no known class"
            raise FileError(path, f"{cause} (--unknown ignore or isolate accepts such labels)")
        if strangers and steps.unknown == "isolate":
            new = tuple(label for label in found if label in strangers)
            ids, names = ids + new, names + new
            ontology = ontology.isolate(new) if ontology is not None else None
            lookup = _lookup(ids, names)
            strangers = set()
        out_ids, out_names, projection = ids, names, None
        if steps.superclasses is not None:
            _check_members(steps, names)
            out_ids = out_names = steps.superclasses.names
        elif steps.ontology is not None and steps.vocabulary is not None:
            out_ids, out_names = map(tuple, zip(*steps.vocabulary, strict=True))
            try:
                projection = ontology.columns(out_ids)
            except ValueError as error:
                raise AcdrefError(f"vocabulary: {error}") from None
        columns = cls(ids, names, out_ids, out_names, (), ontology, projection, strangers)
        columns._lookup = lookup
        columns.spelled = columns._spelling(found)
        columns._place = {text: c for c, text in enumerate(columns.spelled)}
        return columns

    def column_of(self, label):
        """Column before mapping of a label as a file has it; None if it is no class."""
        return self._lookup.get(label)

    def find(self, classes):
        """Which of `classes` each class after mapping is, (C,) int; -1 for none."""
        position = {name: i for i, name in enumerate(classes)}
        found = (
            position.get(id, position.get(name, -1))
            for id, name in zip(self.out_ids, self.out_names, strict=True)
        )
        return np.fromiter(found, dtype=np.int64, count=len(self.out_ids))

    def encode(self, clips):
        """Label matrix of clips, (n, classes before mapping), float64."""
        y = np.zeros((len(clips), len(self.ids)))
        framed = [i for i, clip in enumerate(clips) if clip.absent is not None]
        y[framed] = np.nan
        self._set(y, (clip.absent or () for clip in clips), 0.0)
        self._set(y, (clip.unknown for clip in clips), np.nan)
        self._set(y, (clip.present for clip in clips), 1.0)
        return y

    def ordered(self, columns, clip):
        """Spelled labels of some columns: those that the clip had already in its order, then the others."""
        labels = [self.spelled[c] for c in columns]
        if len(labels) < 2:
            return labels
        chosen = set(labels)
        kept = [label for label in (*clip.present, *clip.unknown, *(clip.absent or ())) if label in chosen]
        return [*kept, *(label for label in labels if label not in set(kept))]

    def _set(self, y, lists, value):
        rows, columns = [], []
        for row, labels in enumerate(lists):
            for label in labels:
                column = self._lookup.get(label)
                if column is None:
                    self.dropped += 1
                else:
                    rows.append(row)
                    columns.append(column)
        y[rows, columns] = value

    def _spelling(self, found):
        """As the file spells the class; else by ids or by names, whichever the file's labels are."""
        if self.out_ids == self.out_names:
            return self.out_ids
        own = {}
        for label in found:
            if label in self._lookup:
                own.setdefault(self.ids[self._lookup[label]], label)
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


def _check_members(steps, names):
    """Some class must be a member of a super-class; where the classes are a list, every member be on it."""
    if len(set(names)) < len(names):
        raise AcdrefError("two classes have one display name: super-classes cannot tell them apart")
    if steps.ontology is None and steps.vocabulary is None:
        if set(names).isdisjoint(itertools.chain.from_iterable(steps.superclasses.members.values())):
            cause = "no label is a member of a super-class"
            raise AcdrefError(f"{cause}; where labels are ids, --ontology or --vocabulary give their names")
        return
    for superclass, members in steps.superclasses.members.items():
        for member in members:
            if member not in set(names):
                raise AcdrefError(f"super-class {superclass!r}: its member {member!r} is no known class")
