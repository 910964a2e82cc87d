"""Sounds of the experiments, which are made up, and what the networks see of them."""

from functools import cache

import numpy as np

from acdref.features.compressed import SAMPLE_RATE
from acdref.features.mel import log_mel, mel_filterbank
from acdref.synth.kinds import KINDS, TREE, kind_sound

SECONDS = 1.5
SAMPLES = round(SECONDS * SAMPLE_RATE)
BANDS = 32
TRAINING, TESTING = range(40), range(40, 60)
"""Takes of each kind of sound to learn from, and those that are only measured on."""

PARENTS = {parent: tuple(kinds) for root in TREE.values() for parent, kinds in root.items()}
"""The ten classes one level above the kinds -> their kinds."""

PARENT_OF = np.array([[kind in kinds for kinds in PARENTS.values()].index(True) for kind in KINDS])

DISTINCT = (0, 3, 6, 8, 9, 12, 14, 16, 19, 24)
"""Ten of the 27 kinds, of all families, which are easier to tell apart."""


def bank(place, takes=60):
    """(27, takes, n): so many takes of 1.5 s of each kind, with the root mean square 1."""

    def make(takes):
        sounds = np.empty((len(KINDS), takes, SAMPLES), np.float16)
        for k, kind in enumerate(KINDS):
            for take in range(takes):
                sounds[k, take] = level(kind_sound(kind, np.random.default_rng([31, k, take]), SECONDS))
        return {"sounds": sounds}

    return place.kept("bank", make, takes=takes)["sounds"]


def level(x, decibels=0.0):
    """A sound with the root mean square of so many decibels."""
    return np.asarray(x, np.float32) * np.float32(10 ** (decibels / 20) / max(rms(x), 1e-9))


def rms(x):
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def turned(x, rng):
    """A sound that begins anywhere, and goes on with its beginning."""
    return np.roll(np.asarray(x, np.float32), rng.integers(len(x)))


def noise(n, rng, decibels):
    """White noise."""
    return np.float32(10 ** (decibels / 20)) * rng.standard_normal(n, dtype=np.float32)


def mixture(sounds, pool, most, takes, rng):
    """One to `most` of the kinds in `pool`, within 6 dB, over faint noise; and their places in the pool."""
    mixed = noise(SAMPLES, rng, rng.uniform(-30, -20))
    chosen = rng.choice(len(pool), rng.integers(1, most + 1), replace=False)
    for number, place in enumerate(chosen):
        gain = rng.uniform(-6, 0) if number else 0.0
        mixed = mixed + level(turned(sounds[pool[place], rng.choice(takes)], rng), gain)
    return mixed, chosen


@cache
def _filters():
    return mel_filterbank(SAMPLE_RATE, 1024, BANDS, 50, 8000)


def mel(x, hop=512):
    """(n,) -> (1 + n // hop, 32, 1): mel bands in decibels, 32 ms apart, around 0."""
    return ((log_mel(x, _filters(), hop) + 40) / 20)[..., None].astype(np.float32)


def mels(sounds):
    """(N, n) -> (N, T, 32, 1)."""
    return np.stack([mel(x) for x in sounds])
