"""Sound in which there is nothing to tag, which no collection of recordings has enough of."""

import math

import numpy as np

from acdref.augment.sound import Sound

__all__ = ["nothing"]

TONES = (40.0, 7000.0)  # Hz
NOISE = (1e-6, 0.3)  # root mean square; a step of 16 bits is 3e-5
PULSE = (1e-4, 0.1)  # seconds
SHORTEST = 0.08  # seconds, before it is repeated
VOICES, CLICKS = 3, 6  # at most


def nothing(rng: np.random.Generator, n: int, sr: int = 16000) -> Sound:
    """Draw silence, the noise of a converter, steady tones, or clicks.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Samples.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (n,), float32

    Notes
    -----
    Ours; the papers have no such sequences.  Each of the four is drawn equally often: a constant; white
    noise, from so faint on that 16 bits hardly hold it; one to three sines that last throughout; one to six
    pulses of 0.1 to 100 ms, noise that dies away, in a time of 80 ms or more that is repeated, as a short
    recording is before it is tagged.

    Examples
    --------
    >>> nothing(np.random.default_rng(0), 16000).shape
    (16000,)
    """
    kind = (_silence, _noise, _tones, _clicks)[rng.integers(4)]
    return kind(rng, n, sr).astype(np.float32)


def _silence(rng, n, sr):
    return np.full(n, rng.choice([0.0, rng.uniform(-0.2, 0.2)]))


def _noise(rng, n, sr):
    return _log_uniform(rng, *NOISE) * rng.standard_normal(n)


def _tones(rng, n, sr):
    frequencies = _log_uniform(rng, *TONES, rng.integers(1, VOICES, endpoint=True))
    phases = 2 * np.pi * (frequencies[:, None] * np.arange(n) / sr + rng.random((len(frequencies), 1)))
    return rng.uniform(0.05, 0.3, len(frequencies)) @ np.sin(phases)


def _clicks(rng, n, sr):
    x = np.zeros(round(_log_uniform(rng, min(SHORTEST * sr, n), n)))
    for _ in range(rng.integers(1, CLICKS, endpoint=True)):
        length = math.ceil(_log_uniform(rng, *PULSE) * sr)
        pulse = rng.standard_normal(length) * np.exp(-5 * np.arange(length) / length)
        start = rng.integers(len(x))
        x[start : start + length] += (pulse / np.abs(pulse).max())[: len(x) - start]
    return np.resize(x, n)


def _log_uniform(rng, low, high, count=None):
    return low * (high / low) ** rng.random(count)
