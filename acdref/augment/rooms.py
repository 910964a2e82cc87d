"""Reverberation: room responses made of noise."""

import numpy as np
from numpy.typing import ArrayLike

from acdref.augment.sound import Sound, as_sound
from acdref.augment.spectrum import padded_length

__all__ = ["reverberate", "room_response"]

MIXING_TIME = 0.05
"""Seconds after which reflections are so many that every sample holds one."""


def room_response(rng: np.random.Generator, decay: float, ratio: float, sr: int = 16000) -> Sound:
    """Make the response of a room that does not exist.

    Parameters
    ----------
    rng : numpy.random.Generator
    decay : float
        Seconds in which the reverberation falls by 60 dB; the response ends there.
    ratio : float
        Energy of the direct sound to that of the reverberation, in dB, from -100 on; inf: no reverberation.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (n,), float32
        The direct sound, 1, comes first, so that nothing is delayed; the reflections follow.

    Raises
    ------
    ValueError
        If ``decay`` is not positive, or ``ratio`` out of its range.

    Notes
    -----
    With t the time after the direct sound, ``h(t) = g b(t) w(t) 10^(-3 t / decay)``: w is white Gaussian
    noise, b is 1 with the probability min(1, (t / 50 ms)^2) and 0 otherwise, since the number of reflections
    in a room grows with the square of the time; g sets the ratio.  All frequencies decay alike; what the
    walls absorb is left to :func:`acdref.augment.equalise`.

    Examples
    --------
    >>> h = room_response(np.random.default_rng(0), decay=0.3, ratio=6)
    >>> h.shape, h[0], round(float(10 * np.log10(np.sum(h[1:] ** 2))), 3)
    ((4801,), np.float32(1.0), -6.0)
    """
    if not 0 < decay < np.inf:
        raise ValueError(f"the decay time must be positive, not {decay} s")
    if not ratio >= -100:
        raise ValueError(f"the ratio must be at least -100 dB, not {ratio}")
    t = np.arange(round(decay * sr) + 1, dtype=np.float32) / np.float32(sr)
    response = rng.standard_normal(len(t), dtype=np.float32) * np.exp(t * np.float32(-3 * np.log(10) / decay))
    response[rng.random(len(t), dtype=np.float32) >= np.square(t / np.float32(MIXING_TIME))] = 0
    energy = np.sum(np.square(response), dtype=np.float64)
    if energy > 0:
        response *= np.float32(10 ** (-ratio / 20) / np.sqrt(energy))
    response[0] = 1
    return response


def reverberate(x: ArrayLike, response: ArrayLike) -> Sound:
    """Play a sound in a room.

    Parameters
    ----------
    x : ndarray, (n,), float32
    response : ndarray, (m,), float32
        Of the room, the direct sound first.

    Returns
    -------
    ndarray, (n,), float32
        The convolution of both, cut off where the sound ends; equal to the input for the response 1, 0, 0...

    Raises
    ------
    ValueError
        If the response is empty.

    Examples
    --------
    >>> reverberate(np.float32([1, 0, 0, 2]), np.float32([1, 0.5, 0.25])).round(3)
    array([1.  , 0.5 , 0.25, 2.  ], dtype=float32)
    """
    x, response = as_sound(x), as_sound(response)
    if not len(response):
        raise ValueError("the response of a room has at least one sample")
    if response[0] == 1 and not response[1:].any():
        return x.copy()
    n = padded_length(len(x), len(response))
    spectrum = np.fft.rfft(x, n)
    spectrum *= np.fft.rfft(response, n)
    return np.fft.irfft(spectrum, n)[: len(x)].astype(np.float32, copy=False)
