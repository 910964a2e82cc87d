"""A few short recordings with labels, and options for runs of seconds."""

from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from acdref.fit import Observer
from acdref.train import Options

OPTIONS = Options.preset(
    "paper", "", epochs=2, epoch_size=4, batch=2, lr=1e-3, val_fold="2", seed=3, workers=0, augment="light"
)


def write_corpus(folder):
    """Eight tones and noises in two folds; returns the manifest's path."""
    rng = np.random.default_rng(0)
    rows = ["path,classes,unknown,fold"]
    for i in range(8):
        t = np.arange(16000 * 3) / 16000
        x = 0.3 * (np.sin(2 * np.pi * 400 * (i + 1) * t) if i % 2 else rng.standard_normal(len(t)))
        soundfile.write(folder / f"{i}.wav", np.clip(x, -1, 1), 16000)
        unknown = "noise" if i == 1 else ""
        rows.append(f"{i}.wav,{'tone' if i % 2 else 'noise'},{unknown},{1 + i // 4}")
    path = folder / "manifest.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@contextmanager
def numpy_networks():
    """Context in which networks compute with NumPy: loading kernels takes longer than small networks do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("acdref.nets.network.available", lambda: False)
        yield


class Recorder(Observer):
    """Keeps what it is told; stops a run after a number of steps, a recipe after as many questions."""

    def __init__(self, stop=None):
        self.left = stop
        self.lines = []

    def log(self, text):
        self.lines.append(text)

    def should_stop(self):
        if self.left is not None:
            self.left -= 1
        return self.left is not None and self.left <= 0
