"""Lists of recordings with labels: CSV manifests and folders with one subfolder per class.

A CSV manifest is UTF-8 with a header.  ``path`` (relative to the root, or absolute) and ``classes``
(separated by ``;``, empty = none of the classes) are required, or those of another layout, see
:data:`acdref.tables.label_files.LAYOUTS`; ``fold`` and ``split`` may assign recordings to parts; ``unknown``
may list classes whose presence is unknown (label NaN); ``verified`` may say whether somebody has checked the
labels (1 or 0); ``source_id``, or else ``source``, may name what a recording is a part of, so that those
which resemble each other are known; other columns are ignored.  A class that holds a ``;`` stands in quotes
of its own, doubled as CSV doubles them: ``""rain; wind"";dog`` within a quoted field.
"""

import os
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from os import PathLike
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from acdref.errors import ManifestError
from acdref.remote import is_address, join, parent
from acdref.tables.label_files import Clip, label_matrix, read_clips, refusing_repeats, writing
from acdref.tables.rows import names_text, tidy
from acdref.tables.walk import PassedOver, find_audio, is_folder

ACD_CLASSES = (
    "voice", "music", "cat", "dog", "clapping", "urban", "machinery", "nature", "windnoise", "alarm",
    "gunshot",
)  # fmt: skip
"""The 11 classes of Braun & Gamper, table 1, in the paper's order."""

SOURCES = ("source_id", "source")
"""Columns that say where a recording comes from; the first that is there counts."""

NO_CLASS_FOLDER = "none"
"""In a folder per class, the subfolder of recordings with none of the classes."""


File = str | PathLike
Wanted = str | Iterable | None
"""Folds or splits to keep: ``"1,2"``, or any iterable of values; None: all."""
Say = Callable[[str], object] | None


@dataclass(frozen=True, eq=False)
class Manifest:
    """Recordings and what is to be heard in them.

    Attributes
    ----------
    source : str
        The manifest or folder that this was read from; errors name it.
    root : str
        What relative paths are relative to.
    paths : tuple of str
        As the manifest has them.
    labels : ndarray, (N, C), float64, read-only
        0, 1 or NaN (unknown).
    classes : tuple of str
        Names of the C columns.
    fold, split : tuple of str, or None
        One value per recording; None if there is no such column.
    verified : tuple of bool, or None
        Whether somebody has checked a recording's labels; None if there is no such column.
    sources : tuple of str, or None
        What each recording comes from, its path where the cell is empty; None if there is no such column.
    source_column : str or None
        The column that says it, one of :data:`SOURCES`.
    """

    source: str
    root: str
    paths: tuple
    labels: np.ndarray = field(repr=False)
    classes: tuple
    fold: tuple | None = field(default=None, repr=False)
    split: tuple | None = field(default=None, repr=False)
    verified: tuple | None = field(default=None, repr=False)
    sources: tuple | None = field(default=None, repr=False)
    source_column: str | None = field(default=None, repr=False)

    def __post_init__(self):
        labels = np.array(self.labels, dtype=np.float64).reshape(len(self.paths), len(self.classes))
        labels.setflags(write=False)
        object.__setattr__(self, "labels", labels)

    def __len__(self):
        return len(self.paths)

    def file(self, index: int) -> str:
        """Where recording ``index`` lies."""
        return join(self.root, self.paths[index])

    def select(self, indices: Iterable[int]) -> Self:
        """The manifest of some recordings, in the order of ``indices``."""
        indices = [int(i) for i in indices]
        picked: dict[str, Any] = {"labels": self.labels[indices]}
        for name in ("paths", "fold", "split", "verified", "sources"):
            column = getattr(self, name)
            picked[name] = column and tuple(column[i] for i in indices)
        return replace(self, **picked)

    def where(self, *, fold: Wanted = None, split: Wanted = None) -> Self:
        """The recordings of some folds or splits.

        Parameters
        ----------
        fold, split : str or iterable, optional
            Values to keep: ``"4"``, ``"1,2,3"`` or any iterable of values.  Given both, both must match.

        Returns
        -------
        Manifest

        Raises
        ------
        ManifestError
            If the column is missing or has none of a given value.

        Examples
        --------
        >>> m = Manifest("m.csv", ".", ("a.wav", "b.wav"), [[0], [1]], ("dog",), fold=("1", "2"))
        >>> m.where(fold="2").paths
        ('b.wav',)
        """
        return self.select(np.flatnonzero(self._matches("fold", fold) & self._matches("split", split)))

    def without(self, *, fold: Wanted = None, split: Wanted = None) -> Self:
        """The recordings that :meth:`where` would leave out: the complement, with the same arguments."""
        return self.select(np.flatnonzero(~(self._matches("fold", fold) & self._matches("split", split))))

    def _matches(self, name, wanted):
        if wanted is None:
            return np.ones(len(self), dtype=bool)
        values = wanted.split(",") if isinstance(wanted, str) else wanted
        wanted = {str(value).strip() for value in values}
        column = getattr(self, name)
        if column is None:
            raise ManifestError(self.source, f"has no column {name!r}")
        for value in wanted:
            if value not in column:
                cause = f"no recording has the {name} {value!r} (there are {', '.join(sorted(set(column)))})"
                raise ManifestError(self.source, cause)
        return np.array([value in wanted for value in column], dtype=bool)


def open_dataset(
    path: File, root: File | None = None, classes: Iterable[str] | None = None, say: Say = None
) -> Manifest:
    """Read a CSV manifest, or a folder that has one subfolder per class.

    Parameters
    ----------
    path : str or path-like
        A folder is read by :func:`read_folder`, anything else by :func:`read_manifest`.
    root : str or path-like, optional
        Only for a CSV manifest: what its paths are relative to.
    classes : sequence of str, optional
        The classes and their order.
    say : callable, optional
        Called with one line of text about what a folder holds besides recordings.

    Returns
    -------
    Manifest

    Raises
    ------
    ManifestError
        If it cannot be read, or ``root`` is given for a folder.
    """
    if not is_folder(path):
        return read_manifest(path, root, classes)
    _refuse_root(path, root)
    return read_folder(path, classes, say)


def open_recordings(path: File, root: File | None = None, say: Say = None) -> Manifest:
    """Find recordings, whatever is known of their labels.

    Parameters
    ----------
    path : str or path-like
        A CSV manifest, or a folder: all recordings in it and in its subfolders, found by suffix
        (:data:`acdref.tables.walk.AUDIO_SUFFIXES`), sorted by path.
    root : str or path-like, optional
        Only for a CSV manifest: what its paths are relative to.
    say : callable, optional
        As of :func:`open_dataset`.

    Returns
    -------
    Manifest
        For a folder, without any class.

    Raises
    ------
    ManifestError
        If the manifest cannot be read, the folder holds no recording, or `root` is given for a folder.
    """
    if not is_folder(path):
        return read_manifest(path, root)
    _refuse_root(path, root)
    folder = os.fspath(path)
    paths = _found(folder, "no recordings in this folder", say)
    return Manifest(folder, folder, tuple(paths), np.zeros((len(paths), 0)), ())


def read_manifest(path: File, root: File | None = None, classes: Iterable[str] | None = None) -> Manifest:
    """Read a CSV manifest.

    Parameters
    ----------
    path : str or path-like
        The CSV file; the module's docstring describes it.  A byte order mark, Windows line ends, quoted
        fields and blank lines are fine.
    root : str or path-like, optional
        What the paths in it are relative to; the manifest's own folder by default.  Paths may be absolute.
    classes : sequence of str, optional
        The classes and their order.  By default :data:`ACD_CLASSES` if these cover all labels, else the
        names that occur, sorted.

    Returns
    -------
    Manifest
        Whether the recordings exist is not looked at here.

    Raises
    ------
    ManifestError
        Unreadable, not UTF-8, no such column, no recordings, a path twice, a class that is not among the
        given ones; the cause names the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("path,classes\\na.wav,dog;voice\\nb.wav,\\n")
    ...     m = read_manifest(path, classes=["dog", "voice"])
    >>> m.paths
    ('a.wav', 'b.wav')
    >>> m.labels
    array([[1., 1.],
           [0., 0.]])
    """
    path = os.fspath(path)
    root = parent(path) if root is None else os.fspath(root)
    with read_clips(path, "manifest") as reader:
        clips = list(reader)
    for _ in refusing_repeats(clips, path, "manifest"):
        pass
    classes, labels = _labels(path, clips, classes)
    columns: dict[str, Any] = dict.fromkeys(("fold", "split", "verified"))
    for at, name in enumerate(reader.extra):
        if name in columns:
            columns[name] = tuple(clip.details[at].strip() for clip in clips)
    named = next((name for name in SOURCES if name in reader.extra), None)
    if named is not None:
        at = reader.extra.index(named)
        columns["sources"] = tuple(clip.details[at].strip() or clip.id for clip in clips)
        columns["source_column"] = named
    if columns["verified"] is not None:
        columns["verified"] = tuple(text == "1" for text in columns["verified"])
    return Manifest(path, root, tuple(clip.id for clip in clips), labels, classes, **columns)


def read_folder(path: File, classes: Iterable[str] | None = None, say: Say = None) -> Manifest:
    """Read a folder that has one subfolder of recordings per class.

    Parameters
    ----------
    path : str or path-like
        Recordings are found by suffix (:func:`acdref.tables.walk.find_audio`), at any depth within a class'
        folder.  The subfolder ``none`` holds recordings with none of the classes.
    classes : sequence of str, optional
        As in :func:`read_manifest`.
    say : callable, optional
        As of :func:`open_dataset`.

    Returns
    -------
    Manifest
        Sorted by path, each recording with one class or none.

    Raises
    ------
    ManifestError
        If the folder cannot be listed, holds no recordings, has some outside the class folders (their class
        would be a guess), or has a folder for a class that is not among the given ones.
    """
    root = os.fspath(path)
    expected = "(one subfolder per class is expected)"
    paths, clips = _found(root, f"no recordings found in its subfolders {expected}", say), []
    for path in paths:
        name, _, rest = path.partition("/" if is_address(root) else os.sep)
        if not rest:
            raise ManifestError(root, f"{path} lies outside the class folders {expected}")
        clips.append(Clip(0, path, [] if name == NO_CLASS_FOLDER else [tidy(name)]))
    classes, labels = _labels(root, clips, classes)
    return Manifest(root, root, tuple(paths), labels, classes)


def write_manifest(manifest: Manifest, path: File) -> None:
    """Write a CSV manifest that :func:`read_manifest` reads back.

    Parameters
    ----------
    manifest : Manifest
    path : str or path-like
        The old file stays until the new one is complete.  Paths are written as they are: read it with the
        same root.

    Raises
    ------
    ManifestError
        If a class name cannot be written (empty, or with ``;`` or outer blanks), or the file cannot.
    """
    extra = [name for name in ("fold", "split", "verified") if getattr(manifest, name)]
    columns = [np.array(getattr(manifest, name)) for name in extra]
    unknown = np.isnan(manifest.labels)
    names = np.array([*manifest.classes, ""])[:-1]
    with writing(path, "manifest", SimpleNamespace(format="", extra=extra), unknown=unknown.any()) as write:
        for i, name in enumerate(manifest.paths):
            present, doubtful = (names[chosen].tolist() for chosen in (manifest.labels[i] == 1, unknown[i]))
            details = [int(column[i]) if column.dtype == bool else column[i] for column in columns]
            write(Clip(0, name, present, doubtful, details=tuple(details)))


def resolve_classes(path: File, classes: Iterable[str] | None, found: Iterable[str]) -> tuple[str, ...]:
    """Classes after a check, or a default.

    Parameters
    ----------
    path : str or path-like
        The label file; errors name it.
    classes : iterable of str, or None
        As they were given.  None: :data:`ACD_CLASSES` if these cover all names found, else these, sorted.
    found : iterable of str
        The names in the file.

    Raises
    ------
    ManifestError
        If a class is empty or given twice.
    """
    if classes is None:
        classes = ACD_CLASSES if set(found) <= set(ACD_CLASSES) else sorted(found)
    classes = tuple(unicodedata.normalize("NFC", name) for name in classes)
    for name in classes:
        if not name or classes.count(name) > 1:
            raise ManifestError(path, f"the class {name!r} is empty or given twice")
    return classes


def of_the_same_classes(*manifests: Manifest) -> list[Manifest]:
    """Manifests with the classes that would be those of one file of all their recordings.

    Examples
    --------
    >>> ants = Manifest("a", ".", ("a.wav",), [[1]], ("ant",))
    >>> bees = Manifest("b", ".", ("b.wav",), [[1]], ("bee",))
    >>> for manifest in of_the_same_classes(ants, bees):
    ...     print(manifest.classes, manifest.labels)
    ('ant', 'bee') [[1. 0.]]
    ('ant', 'bee') [[0. 1.]]
    """
    found = {
        name
        for manifest in manifests
        for name, labels in zip(manifest.classes, manifest.labels.T, strict=True)
        if (labels != 0).any()
    }
    classes = resolve_classes(manifests[0].source, None, found)
    column = {name: c for c, name in enumerate(classes)}
    same = []
    for manifest in manifests:
        labels = np.zeros((len(manifest), len(classes)))
        for name, own in zip(manifest.classes, manifest.labels.T, strict=True):
            if name in column:
                labels[:, column[name]] = own
        same.append(replace(manifest, labels=labels, classes=classes))
    return same


def _labels(path, clips, classes):
    """Classes and labels (N, C) of clips; those of a folder have no line."""
    found = {name for clip in clips for name in (*clip.present, *clip.unknown)}
    classes = resolve_classes(path, classes, found)
    column = {name: c for c, name in enumerate(classes)}
    labels, strangers = label_matrix(clips, column, len(classes))
    for clip, name in strangers:
        cause = f"the class {name!r} is not one of {names_text(classes, ', ')}"
        raise ManifestError(path, f"line {clip.line}: {cause}" if clip.line else cause)
    return classes, labels


def _refuse_root(path, root):
    if root is not None:
        raise ManifestError(path, "is a folder with its own recordings: a root goes with a CSV manifest")


def _found(root, nothing, say):
    """Recordings below a folder, relative to it, sorted; ManifestError if there are none."""
    passed = PassedOver()

    def fail(error):
        raise ManifestError(root, f"{error.filename}: {error.strerror}") from error

    def within(path):
        return path.removeprefix(join(root, "")) if is_address(root) else os.path.relpath(path, root)

    paths = sorted(map(within, find_audio(root, fail, passed)))
    if say and str(passed):
        say(f"{root}: {passed}")
    if not paths:
        raise ManifestError(root, nothing)
    return paths
