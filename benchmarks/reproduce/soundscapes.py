"""Soundscapes of a corpus's recordings, whose events are known, and a small network to learn from them."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

from acdref.audio import decode as audio
from acdref.data import open_dataset
from acdref.errors import AcdrefError, AudioError
from acdref.files import write_text
from acdref.nets.mobilenet import InvertedStage, MobileNetConfig
from acdref.synth import write_soundscapes

CLASSES = ("voice", "dog", "cat", "alarm", "gunshot", "clapping")
MAKING = {"seconds": 10.0, "most": 4, "lengths": (0.5, 4.0), "snr": (5.0, 25.0)}
MISSING = (0.3, 0.5)
NETWORK = MobileNetConfig(
    classes=len(CLASSES),
    stem=12,
    stages=(InvertedStage(2, 16, 1, 2), InvertedStage(3, 32, 1, 2), InvertedStage(3, 48, 1, 2)),
    last=96,
    dropout=0.0,
)
"""MobileNetV2 with three blocks and a score for each 0.16 s: 18,546 parameters."""


class Drawer:
    """Draws recordings that have one class alone; `draw` of :func:`acdref.synth.soundscape`."""

    def __init__(self, recordings):
        single = recordings.labels.sum(axis=1) == 1
        self.files = {}
        for name in CLASSES:
            if name not in recordings.classes:
                raise AcdrefError(f"{recordings.source}: has no class {name!r}")
            own = np.flatnonzero(single & (recordings.labels[:, recordings.classes.index(name)] == 1))
            if not len(own):
                raise AcdrefError(f"{recordings.source}: no recording of {name!r} alone")
            self.files[name] = [recordings.file(i) for i in own]

    def __call__(self, name, rng, sr):
        files = self.files[name]
        return _decoded(files[rng.integers(len(files))], sr)


@lru_cache(maxsize=2000)
def _decoded(path, sr):
    try:
        return audio.load(path, sr)
    except AudioError:
        return np.zeros(sr, np.float32)  # gives no event


def soundscapes(given, folder, counts, seed, **making):
    """The manifest and the events of a folder of soundscapes, which are made if they are not there.

    Parameters
    ----------
    given : argparse.Namespace
        With ``corpus``, a manifest with folds or its folder, and ``fold``.
    folder : Path
    counts : dict
        How many soundscapes: ``train``, of whose labels the manifest lacks a part, and ``test`` to measure on
        (their ``split`` is "val"), which are made of the recordings of ``fold``.
    seed : int
    **making
        Of the soundscapes, in place of :data:`MAKING`.

    Returns
    -------
    manifest, events : Path
    """
    manifest, events = folder / "manifest.csv", folder / "events.tsv"
    if manifest.exists():
        return manifest, events
    corpus, fold = Path(given.corpus), given.fold
    recordings = open_dataset(corpus / "manifest.csv" if corpus.is_dir() else corpus)
    parts = {
        "train": (recordings.without(fold=fold), {"missing": MISSING, "val_fraction": 0.0}),
        "test": (recordings.where(fold=fold), {"val_fraction": 1.0}),
    }
    rows, lines = ["path,classes,split"], ["filename\tonset\toffset\tevent_label"]
    for part, (pool, options) in parts.items():
        options |= MAKING | making
        write_soundscapes(folder / part, CLASSES, counts[part], seed, Drawer(pool), **options)
        with open(folder / part / "manifest.csv", encoding="utf-8", newline="") as file:
            rows += [f"{part}/{row['path']},{row['classes']},{row['split']}" for row in csv.DictReader(file)]
        with open(folder / part / "events.tsv", encoding="utf-8") as file:
            lines += [f"{part}/{line.rstrip()}" for line in file.readlines()[1:]]
    write_text(events, "\n".join(lines) + "\n")
    write_text(manifest, "\n".join(rows) + "\n")
    return manifest, events
