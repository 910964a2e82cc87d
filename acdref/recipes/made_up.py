"""Made-up recordings with doubtful labels, so that a recipe runs without any: what ``--quick`` uses."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from acdref.files import Place, make_folder, replacing, settle, write_table, write_text
from acdref.labels import Ontology
from acdref.synth import sound
from acdref.synth.kinds import KINDS, kind_sound, ontology_nodes

RATE = 16000


def mislabel(labels: ArrayLike, classes: int, share: float, rng: Generator) -> NDArray:
    """Give a share of clips another class.

    Parameters
    ----------
    labels : (N,) int array
        Classes of clips.
    classes : int
    share : float
        Rounded to whole clips.
    rng : numpy.random.Generator

    Returns
    -------
    (N,) int array

    Examples
    --------
    >>> mislabel(np.zeros(10, int), 3, 0.2, np.random.default_rng(0))
    array([0, 0, 0, 0, 2, 0, 2, 0, 0, 0])
    """
    labels = np.array(labels)
    wrong = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return labels


def single_sounds(
    folder: Place,
    classes: Sequence[str],
    each: int = 20,
    held_out: int = 8,
    seconds: float = 2.0,
    verified: float = 0.4,
    wrong: float = 0.3,
    seed: int = 0,
) -> Path:
    """Sounds of one class each, of which few are verified and many of the others have a wrong label.

    Parameters
    ----------
    folder : str or path-like
        Gets FLAC files and ``manifest.csv``; nothing is done if that is there.
    classes : sequence of str
        Of :data:`acdref.synth.CLASSES`.
    each, held_out : int
        Sounds of each class to train on, and to measure on (``split`` is "val"), which have true labels.
    seconds : float
    verified : float
        Share of the sounds to train on whose label is verified, and true.
    wrong : float
        Share of the others that have another class.
    seed : int

    Returns
    -------
    Path
        The manifest, with a column ``truth``.
    """
    folder = Path(folder)
    path = folder / "manifest.csv"
    if path.exists():
        return path
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(classes)), each)
    checked = np.zeros(len(truth), dtype=bool)
    for c in range(len(classes)):
        checked[rng.permutation(np.flatnonzero(truth == c))[: round(verified * each)]] = True
    given = truth.copy()
    given[~checked] = mislabel(truth[~checked], len(classes), wrong, rng)
    rows = [("train", given[i], truth[i], checked[i]) for i in range(len(truth))]
    rows += [("val", c, c, True) for c in range(len(classes)) for _ in range(held_out)]
    lines = []
    for i, (split, label, true, flag) in enumerate(rows):
        write_sound(folder / f"{i:04d}.flac", sound(classes[true], np.random.default_rng([seed, i]), seconds))
        lines.append([f"{i:04d}.flac", classes[label], split, int(flag), classes[true]])
    settle(folder, (name for name, *_ in lines))
    write_table(path, ["path", "classes", "split", "verified", "truth"], lines)
    return path


def write_sound(path: Path, samples: NDArray) -> None:
    """Write samples at 16 kHz as a 16-bit FLAC file; see :func:`acdref.files.settle`."""
    import soundfile

    make_folder(path.parent)
    with replacing(path, durable=False) as temporary:
        soundfile.write(temporary, samples, RATE, format="FLAC", subtype="PCM_16")


def rate(
    kinds: Iterable[str], ontology: Ontology, rng: Generator, parents: float = 0.52, missing: float = 0.40
) -> set[str]:
    """What a rater writes down who hears some kinds of sounds, and knows an ontology.

    Parameters
    ----------
    kinds : sequence of str
        Leaves that are to be heard.
    ontology : acdref.labels.Ontology
        A tree.
    rng : numpy.random.Generator
    parents : float
        Probability with which a label's direct parent is set too.
    missing : float
        Probability with which a label's direct parent is set in its place.

    Returns
    -------
    set of str

    Notes
    -----
    Grzywalski & Botteldooren find both in AudioSet: a label's parent is there in 52 % of the cases, and 40 %
    of the clips with "Guitar" say nothing of which guitar.

    Examples
    --------
    >>> from acdref.labels import Ontology
    >>> guitar = Ontology([
    ...     {"id": "guitar", "name": "Guitar", "child_ids": ["electric"]},
    ...     {"id": "electric", "name": "Electric guitar", "child_ids": []},
    ... ])
    >>> rate(["electric"], guitar, np.random.default_rng(0), parents=0, missing=1)
    {'guitar'}
    """
    parent = {child: ontology.ids[node] for node, below in enumerate(ontology.children) for child in below}
    labels = set()
    for kind in kinds:
        above = parent.get(ontology.ids.index(kind))
        label = above if above is not None and rng.random() < missing else kind
        labels.add(label)
        while (label := parent.get(ontology.ids.index(label))) is not None and rng.random() < parents:
            labels.add(label)
    return labels


def ontology_sounds(
    folder: Place,
    count: int = 150,
    seconds: float = 2.0,
    seed: int = 0,
    parts: dict[str, float] | None = None,
) -> tuple[Path, Path]:
    """Sounds of a small ontology, one or two kinds each, with a rater's labels.

    Parameters
    ----------
    folder : str or path-like
        Gets FLAC files, ``ontology.json``, and ``manifest.csv`` with a column ``truth``; nothing is done if
        that is there.
    count, seed : int
    seconds : float
    parts : dict of str to float, optional
        Shares of the sounds by their ``split``; without it there is no such column.

    Returns
    -------
    (Path, Path)
        The manifest and the ontology.
    """
    folder = Path(folder)
    path, nodes = folder / "manifest.csv", ontology_nodes()
    if path.exists():
        return path, folder / "ontology.json"
    ontology = Ontology(nodes)
    ends = np.round(np.cumsum([0, *(parts or {}).values()]) * count).astype(int)
    splits = np.repeat(list(parts or {}), np.diff(ends))
    lines = []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        kinds = [str(kind) for kind in rng.choice(KINDS, 1 + (rng.random() < 0.4), replace=False)]
        levels = 10 ** (rng.uniform(-6, 0, len(kinds)) / 20)
        sounds = (kind_sound(kind, rng, seconds, RATE) for kind in kinds)
        x = sum(level * one for level, one in zip(levels, sounds, strict=True))
        write_sound(folder / f"{i:04d}.flac", x / np.abs(x).max())
        labels = sorted(rate(kinds, ontology, rng))
        own = [splits[i]] if parts else []
        lines.append([f"{i:04d}.flac", ";".join(labels), ";".join(kinds), *own])
    settle(folder, (name for name, *_ in lines))
    write_text(folder / "ontology.json", json.dumps(nodes, indent=1) + "\n")
    write_table(path, ["path", "classes", "truth", *(["split"] if parts else [])], lines)
    return path, folder / "ontology.json"
