"""Speed, tempo and pitch: by resampling where both may change together, by a phase vocoder where not."""

import numpy as np
from numpy.typing import ArrayLike

from acdref.augment.sound import Sound, as_sound
from acdref.augment.spectrum import padded_length

__all__ = ["change_pitch", "change_speed", "change_tempo"]

FRAME_SECONDS = 0.064
"""Of the phase vocoder; the power of two nearest to it is taken."""

OVERLAP = 4  # frames at any moment
FACTORS = (0.01, 100.0)
SEMITONES = 48

_CHUNK = 64  # frames at a time: what a core's cache holds
_ONSET = 2.0  # rise of the magnitudes within a hop
_NOTHING = np.float32(1e-37)  # 1 over it is finite
_WINDOWS_SQUARED = 1.5  # what the squares of overlapping Hann windows add up to: 3 / 8 of OVERLAP


def change_speed(x: ArrayLike, factor: float) -> Sound:
    """Play faster or slower, as a tape does: pitch and tempo change together.

    Parameters
    ----------
    x : ndarray, (n,), float32
    factor : float
        Above 1 is faster and higher; applied to the nearest 0.4 %.

    Returns
    -------
    ndarray, (about n / factor,), float32
        Resampled exactly in the frequency domain; what would pass half the sampling rate is dropped, what
        lies above the highest frequency of a slowed sound stays empty.  Equal to the input where the factor
        is nearest to 1.

    Raises
    ------
    ValueError
        If the factor is not within 0.01 and 100.

    Examples
    --------
    >>> change_speed(np.zeros(16000, np.float32), 1.25).shape
    (12800,)
    """
    x = as_sound(x)
    _check(factor)
    if not len(x):
        return x.copy()
    n = padded_length(len(x))
    # A multiple of a large power of two, whose transform is fast.
    step = 2 ** ((n // 256).bit_length() - 1)
    m = max(step, round(n / factor / step) * step)
    if m == n:
        return x.copy()
    resampled = np.fft.irfft(np.fft.rfft(x, n), m) * (m / n)
    return resampled[: max(1, round(len(x) * m / n))].astype(np.float32, copy=False)


def change_tempo(x: ArrayLike, factor: float, sr: int = 16000) -> Sound:
    """Play faster or slower at the same pitch.

    Parameters
    ----------
    x : ndarray, (n,), float32
    factor : float
        Above 1 is faster.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (max(1, round(n / factor)),), float32
        Equal to the input for the factor 1; empty if the input is.

    Raises
    ------
    ValueError
        If the factor is not within 0.01 and 100.

    Notes
    -----
    Phase vocoder.  Output frame k, at ``k hop``, has the magnitudes of the input at ``a_k = round(k hop
    factor)``; its phases are those of frame k - 1, advanced by what the input's advance from ``a_k - hop`` to
    ``a_k``, so that every partial continues at its own frequency.  At an onset, where the sum of the
    magnitudes doubles within a hop, all phases start anew from the input's, which keeps it sharp.  Frames of
    64 ms at 16 kHz, Hann windows before and after, hop a quarter.

    The output has at most about 1 / factor times the energy of the input; noise, whose bins lose their common
    phase, up to 3 dB less.

    Examples
    --------
    >>> change_tempo(np.zeros(16000, np.float32), 0.8).shape
    (20000,)
    """
    x = as_sound(x)
    _check(factor)
    if factor == 1 or not len(x):
        return x.copy()
    n = max(1, round(len(x) / factor))
    frame = 2 ** max(3, round(np.log2(FRAME_SECONDS * sr)))
    hop = frame // OVERLAP
    count = -(-n // hop) + OVERLAP - 1
    # Sample t of the input lies at t + frame: the first output frame ends with the first hop of samples.
    at = hop + np.round(np.arange(count) * (hop * factor)).astype(int)
    padded = np.zeros(max(len(x) + frame, at[-1]) + frame, np.float32)
    padded[frame : frame + len(x)] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, frame)
    window = np.hanning(frame + 1)[:-1].astype(np.float32)
    out = np.zeros((count + OVERLAP - 1, hop), np.float32)
    phases = np.ones(frame // 2 + 1, np.complex64)  # of the frame before
    for first in range(0, count, _CHUNK):
        places = at[first : first + _CHUNK]
        magnitudes, output = _polar(np.fft.rfft(windows[places] * window))  # (frames, frame / 2 + 1)
        magnitudes_before, before = _polar(np.fft.rfft(windows[places - hop] * window))
        onsets = magnitudes.sum(axis=1) > _ONSET * magnitudes_before.sum(axis=1)
        turns = output * np.conj(before)
        for k in range(len(places)):
            phases = output[k] if onsets[k] else phases * turns[k]
            output[k] = phases
        output *= magnitudes
        pieces = np.fft.irfft(output) * (window / np.float32(_WINDOWS_SQUARED))
        for k in range(OVERLAP):
            out[first + k : first + k + len(places)] += pieces[:, k * hop : (k + 1) * hop]
    return out.ravel()[frame - hop : frame - hop + n]


def change_pitch(x: ArrayLike, semitones: float, tempo: float = 1.0, sr: int = 16000) -> Sound:
    """Play higher or lower, at the same tempo or another.

    Parameters
    ----------
    x : ndarray, (n,), float32
    semitones : float
        Above 0 is higher; at most four octaves up or down.
    tempo : float
        Factor; above 1 is faster.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (about n / tempo,), float32
        Equal to the input for 0 semitones at the same tempo.

    Raises
    ------
    ValueError
        If ``semitones`` is out of this range, or the tempo apart from the pitch not within 0.01 and 100.

    Notes
    -----
    :func:`change_tempo` by what :func:`change_speed`, which comes then, leaves to do; so there is no vocoder
    where both change as on a tape.

    Examples
    --------
    >>> t = np.arange(16000) / 16000
    >>> x = change_pitch(np.sin(2 * np.pi * 1000 * t).astype(np.float32), 12)
    >>> len(x), np.argmax(np.abs(np.fft.rfft(x)))
    (16000, np.int64(2000))
    """
    if not abs(semitones) <= SEMITONES:
        raise ValueError(f"the pitch may move by {SEMITONES} semitones, not by {semitones}")
    ratio = 2 ** (semitones / 12)
    return change_speed(change_tempo(x, tempo / ratio, sr), ratio)


def _polar(z):
    """Magnitudes of complex numbers, and numbers of magnitude 1 in their directions; 1 for practically 0."""
    magnitude = np.abs(z)
    nothing = magnitude < _NOTHING
    direction = z * (1 / np.where(nothing, 1, magnitude))
    direction[nothing] = 1
    return magnitude, direction


def _check(factor):
    lowest, highest = FACTORS
    if not lowest <= factor <= highest:
        raise ValueError(f"the factor must be within {lowest:g} and {highest:g}, not {factor}")
