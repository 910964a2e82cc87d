"""Bandwidth and spectral shape, by zero-phase filters: nothing moves in time.

The signal is padded with zeros beyond the length of a filter's response, so its end does not leak into its
start.
"""

import numpy as np
from numpy.typing import ArrayLike

from acdref.augment.sound import Sound, as_sound

__all__ = ["band_pass", "equalise", "low_pass"]

_LARGEST_GAIN = 300.0  # dB


def low_pass(x: ArrayLike, cutoff: float, sr: int = 16000) -> Sound:
    """Take away everything above a frequency, as an old or a narrow-band recording chain does.

    Parameters
    ----------
    x : ndarray, (n,), float32
    cutoff : float
        In Hz, at -6 dB; at least 1.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (n,), float32
        Equal to the input where the pass band reaches sr / 2.

    Raises
    ------
    ValueError
        If the frequency is not in that range.

    Notes
    -----
    The gain falls as a raised cosine from 0.9 to 1.1 times ``cutoff``.

    Examples
    --------
    >>> t = np.arange(16000) / 16000
    >>> tones = np.sin(2 * np.pi * 1000 * t) + np.sin(2 * np.pi * 6000 * t)
    >>> filtered = low_pass(tones.astype(np.float32), 4000)
    >>> np.abs(filtered - np.sin(2 * np.pi * 1000 * t))[1000:-1000].max() < 1e-3
    np.True_
    """
    return band_pass(x, 0.0, cutoff, sr)


def band_pass(x: ArrayLike, low: float, high: float, sr: int = 16000) -> Sound:
    """Take away what lies outside a band, as a small loudspeaker or a telephone does.

    Parameters
    ----------
    x : ndarray, (n,), float32
    low, high : float
        Edges in Hz, at -6 dB; at least 1, but ``low`` = 0 for no lower edge.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (n,), float32
        Equal to the input where the band holds all from 0 to sr / 2.

    Raises
    ------
    ValueError
        If an edge is not in that range.

    Notes
    -----
    The gain rises as a raised cosine over the octave around ``low``, whose narrower edge would ring audibly,
    and falls as one from 0.9 to 1.1 times ``high``.

    Examples
    --------
    >>> t = np.arange(16000) / 16000
    >>> tones = [np.sin(2 * np.pi * hertz * t).astype(np.float32) for hertz in (50, 1000, 5000)]
    >>> [round(float(np.std(band_pass(x, 300, 3400)[2000:-2000])), 3) for x in tones]
    [0.0, 0.707, 0.0]
    """
    x = as_sound(x)
    if not (low == 0 or 1 <= low < np.inf) or not high >= 1:
        raise ValueError(
            f"a band's edges must be at least 1 Hz (or the lower one 0), not {low} and {high} Hz"
        )
    if low == 0 and 0.9 * high >= sr / 2:
        return x.copy()
    low, high = min(low, sr), min(high, sr)  # beyond, they change nothing more

    def gain(frequency):
        gain = _falling((frequency / high - 0.9) / 0.2)
        if low > 0:
            gain *= _falling(0.5 - np.log2(np.maximum(frequency, 1e-3 * low) / low))
        return gain

    return _filtered(x, gain, sr)


def equalise(x: ArrayLike, gains: ArrayLike, sr: int = 16000) -> Sound:
    """Shape the spectrum smoothly, as another microphone, room or distance does.

    Parameters
    ----------
    x : ndarray, (n,), float32
    gains : (K,) array of floats
        In dB, at K frequencies spread evenly on a logarithmic scale from 60 Hz to sr / 2; interpolated
        between them, constant below; within 300 dB.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (n,), float32
        Equal to the input where all gains are 0.

    Raises
    ------
    ValueError
        If a gain is greater, or there is none.

    Notes
    -----
    Gains drawn from N(0, 4 dB) for K = 8 make curves one or two octaves wide.

    Examples
    --------
    >>> equalise(np.float32([1, 0, 0, 0]), [20, 20]).round(3)
    array([10.,  0.,  0.,  0.], dtype=float32)
    """
    x, gains = as_sound(x), np.asarray(gains)
    if not gains.size or not (np.abs(gains) <= _LARGEST_GAIN).all():
        raise ValueError(f"gains within {_LARGEST_GAIN:g} dB are needed, not {gains}")
    if not gains.any():
        return x.copy()
    points = np.linspace(np.log2(60.0), np.log2(sr / 2), len(gains))

    def gain(frequency):
        decibels = np.interp(np.log2(np.maximum(frequency, 60.0)), points, gains)
        return np.exp2((decibels * (np.log2(10.0) / 20)).astype(np.float32))

    return _filtered(x, gain, sr)


def _falling(position):
    """Raised cosine: 1 up to position 0, 0 from position 1 on."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(position, 0.0, 1.0))


def _filtered(x, gain, sr):
    """The signal with its spectrum multiplied by ``gain``, a function of the frequencies in Hz."""
    n = padded_length(len(x))
    frequency = np.arange(n // 2 + 1, dtype=np.float32) * np.float32(sr / n)
    spectrum = np.fft.rfft(x, n) * gain(frequency).astype(np.float32, copy=False)
    return np.fft.irfft(spectrum, n)[: len(x)].astype(np.float32, copy=False)


def padded_length(n: int, response: int = 2048) -> int:
    """A length with room for a filter's response: 4096 times 2, 3 and 5 alone, whose transform is fast."""
    blocks = -(-(n + response) // 4096)
    while 30**20 % blocks:
        blocks += 1
    return 4096 * blocks
