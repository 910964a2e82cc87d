"""Sounds to vary, and what to measure of them."""

import numpy as np


def rms(x):
    return np.sqrt(np.mean(np.square(x, dtype=np.float64)))


def energy(x):
    return np.sum(np.square(x, dtype=np.float64))


def noise(n):
    return np.random.default_rng(n).uniform(-0.5, 0.5, n).astype(np.float32)


def tone(hertz, n, sr=16000):
    return np.sin(2 * np.pi * hertz / sr * np.arange(n)).astype(np.float32)


def click(n, at):
    x = np.zeros(n, np.float32)
    x[at] = 1
    return x
