"""Recordings of the reproductions, decoded once."""

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np

from acdref.audio import decode as audio
from acdref.data import Clips, open_dataset
from acdref.errors import AudioError
from acdref.features.compressed import SAMPLE_RATE
from acdref.files import replacing
from acdref.predict.scoring import WINDOW, Scores, mean_over_windows


class Corpus:
    """Recordings, decoded once: as WAV files to train on, as features to score.

    Parameters
    ----------
    source : str or path-like
        Manifest with folds, or its folder.
    work : Path
        Where the copies are kept.
    fold : str
        To measure on; all others are to train on.
    shortest : float
        In seconds: what is shorter is repeated before it is scored.
    front : FrontEnd
        Of the networks.

    Attributes
    ----------
    train, test : Manifest
    clips : Clips
        Reader of the copies, which it keeps.
    """

    def __init__(self, source, work, fold, shortest, front):
        source = Path(source)
        manifest = open_dataset(source / "manifest.csv" if source.is_dir() else source)
        place = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]
        manifest = _decoded(manifest, work / f"recordings-{place}")
        self.train, self.test = manifest.without(fold=fold), manifest.where(fold=fold)
        self.clips = Clips()
        self.front = front
        self._shortest = round(shortest * SAMPLE_RATE)
        self._windows = {}

    def score(self, net, recordings):
        """Probabilities (N, C): means over windows of 10 s."""
        files = map(recordings.file, range(len(recordings)))
        return np.array([mean_over_windows(self._scores(net, path)) for path in files])

    def _scores(self, net, path):
        if path not in self._windows:
            self._windows[path] = [
                (block.start, block.end, self.front.window(block.samples, self._shortest))
                for block in audio.blocks(path, SAMPLE_RATE, WINDOW)
            ]
        for start, end, x in self._windows[path]:
            yield Scores(start, end, net.predict_proba(x[None])[0])


def _decoded(manifest, folder):
    """The manifest of WAV copies, without the recordings that cannot be decoded."""
    import soundfile

    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    copies = {}
    for i, name in enumerate(manifest.paths):
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.wav"
        try:
            if not path.exists():
                samples = audio.load(manifest.file(i), SAMPLE_RATE)
                with replacing(path) as temporary:
                    soundfile.write(temporary, samples, SAMPLE_RATE, subtype="FLOAT", format="WAV")
            copies[i] = path.name
        except AudioError as error:
            print(f"left out: {error}", flush=True)
    return dataclasses.replace(manifest.select(copies), root=str(folder), paths=tuple(copies.values()))
