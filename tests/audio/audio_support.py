"""Sounds, and what is made of them in a file."""

import io

import numpy as np
import soundfile

from acdref.audio import decode as audio

RATE = 44100


def sound(seconds, hertz=440, channels=1, sr=RATE):
    t = np.arange(round(seconds * sr)) / sr
    return 0.3 * np.sin(2 * np.pi * hertz * (1 + 0.1 * t[:, None]) * t[:, None] * np.ones(channels))


def encoded(x, sr=RATE, **kind):
    file = io.BytesIO()
    soundfile.write(file, x, sr, **kind)
    return file.getvalue()


def loaded(path, content, sr=RATE):
    path.write_bytes(content)
    notes = []
    return audio.load(path, sr, notes.append), notes


def quiet_then_loud(seconds, sr=RATE):
    """Of variable bit rate, so that the first frame says little of the others."""
    x = sound(seconds, sr=sr)
    rng = np.random.default_rng(0)
    x[: len(x) // 3] = 0
    x[len(x) // 3 :] += 0.3 * rng.standard_normal((len(x) - len(x) // 3, 1))
    return x
