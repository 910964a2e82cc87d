"""Sounds of a class, and what can be measured of them."""

import numpy as np

from acdref.synth import sound
from acdref.synth.blocks import Synth

SR = 16000
SEEDS = range(12)


def sounds(name, seconds=3.0):
    return [sound(name, np.random.default_rng([7, seed]), seconds) for seed in SEEDS]


def synth(seed=0):
    return Synth(np.random.default_rng(seed), SR)


def play(recipe, seed, seconds=3.0):
    return recipe(synth(seed), int(seconds * SR))


def share(x, low, high):
    """Part of the energy between two frequencies."""
    power = np.abs(np.fft.rfft(x)) ** 2
    f = np.fft.rfftfreq(len(x), 1 / SR)
    return power[(f >= low) & (f < high)].sum() / power.sum()


def levels(x, frame=160):
    """dB of each 10 ms."""
    return 10 * np.log10(np.mean(x[: len(x) // frame * frame].reshape(-1, frame) ** 2, axis=1) + 1e-12)


def spectrogram(x, size=2048):
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[:: size // 4] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames)) ** 2
    return power[power.sum(axis=1) > 0.05 * power.sum(axis=1).max()]


def tonality(x):
    """Part of the energy in the 30 (of 1025) strongest bins: 1 for tones, about 0.14 for white noise."""
    power = spectrogram(x)
    return np.median(np.sort(power, axis=1)[:, -30:].sum(axis=1) / power.sum(axis=1))


def pitches(x):
    """Frequency of the strongest bin over time."""
    return spectrogram(x).argmax(axis=1) * SR / 2048


def crest(x):
    return np.abs(x).max() / np.sqrt(np.mean(x**2))


def active(x, below=30, frame=160):
    """Part of the frames within `below` dB of the loudest."""
    return np.mean(levels(x, frame) > levels(x, frame).max() - below)
