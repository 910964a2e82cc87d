"""Networks small or simple enough to say what they must answer, and recordings to ask them about."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from acdref.checkpoint import save_weights
from acdref.nets import ACDNet, ACDNetConfig, Block

ROOT = Path(__file__).parents[1]
CLASSES = ("hum", "dog", "rain")
TINY = ACDNetConfig(classes=3, stem=2, blocks=(Block(4, 1, (4, 4)), Block(4, 2, (2, 8), 2)))


class Loudness:
    """A network whose probabilities are the mean magnitude of the features, its half, and 1 minus it.

    Attributes
    ----------
    frames : list of int
        Of each window scored.
    """

    def __init__(self):
        self.frames = []

    def predict_proba(self, x):
        n, t, f, parts = x.shape
        assert (n, f, parts) == (1, 257, 2) and x.dtype == np.float32
        self.frames.append(t)
        loudness = float(np.hypot(x[0, ..., 0], x[0, ..., 1]).mean())
        return np.array([[loudness, loudness / 2, 1 - loudness]], np.float32)


def noise(seconds, level=0.1, seed=0, rate=16000):
    """White noise, (n,) float32."""
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate)).astype(np.float32)


def write(path, samples, rate=16000, **options):
    """Write a recording; returns its path as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return str(path)


def write_damaged(path, good=21.0):
    """A recording with a NaN after so many seconds of sound."""
    samples = noise(good + 2)
    samples[round(good * 16000)] = np.nan
    return write(path, samples, subtype="FLOAT")


def write_truncated(path, seconds=13.0, left=11.5):
    """A recording whose data end early."""
    write(path, noise(seconds))
    os.truncate(path, 44 + 2 * round(left * 16000))
    return str(path)


def write_tiny_weights(path, classes=CLASSES):
    """Weights of a network of a few hundred parameters; returns the path as text."""
    config = replace(TINY, classes=len(classes))
    save_weights(path, ACDNet(config, seed=1, backend="numpy"), classes, note="of a test")
    return str(path)


def program(*arguments, stdin=b"", **environment):
    """The real program in a process of its own: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "acdref.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env=os.environ | environment,
    )
    return done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode()
