"""Recordings without what is too quiet at either end, at full level (Dorfer & Widmer's preparation)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

PEAK = 10 ** (-0.1 / 20)
"""-0.1 dB below full scale."""
THRESHOLD = 0.0015
"""Of the level below which sound counts as silence: 0.15 % of full scale."""
SOUND_SECONDS = 0.025
"""How long the level must stay above it."""
WINDOW_SECONDS = 0.02
"""Over which the level is measured."""


def normalise_peak(x: ArrayLike, peak: float = PEAK) -> NDArray:
    """Scale so that the largest absolute sample is `peak`; silence stays as it is.

    Parameters
    ----------
    x : (n,) float array
    peak : float

    Returns
    -------
    (n,) array of x's dtype

    Examples
    --------
    >>> normalise_peak(np.array([0.1, -0.2]), 1.0)
    array([ 0.5, -1. ])
    """
    x = np.asarray(x)
    loudest = np.abs(x).max(initial=0.0)
    return x * x.dtype.type(peak / loudest) if loudest else x.copy()


def sound_starts(x: ArrayLike, sr: int) -> int:
    """Where the sound begins.

    Parameters
    ----------
    x : (n,) float array
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    int
        The first sample from which on the level stays above 0.15 % of full scale for 25 ms; n if there is
        none.

    Notes
    -----
    ``silence 1 0.025 0.15%`` of SoX: the level at a sample is the root mean square of the 20 ms that end
    with it, and zeros come before the beginning.

    Examples
    --------
    >>> sound_starts(np.r_[np.zeros(500), np.ones(500)], sr=1000)
    500
    """
    x = np.asarray(x, np.float64)
    window, long = round(WINDOW_SECONDS * sr), round(SOUND_SECONDS * sr)
    energy = np.concatenate([np.zeros(window), np.cumsum(np.square(x))])
    loud = energy[window:] - energy[:-window] > THRESHOLD**2 * window
    quiet_before = np.concatenate([[0], np.cumsum(~loud)])
    runs = np.flatnonzero(quiet_before[long:] == quiet_before[:-long]) if len(x) >= long else np.zeros(0, int)
    return int(runs[0]) if len(runs) else len(x)


def clip_silence(x: ArrayLike, sr: int) -> NDArray:
    """Scale to the peak, drop silence at the start, scale again, drop it at the end.

    Parameters
    ----------
    x : (n,) float array
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    (m,) array of x's dtype
        Scaled only where there is nothing but silence.

    Notes
    -----
    Dorfer & Widmer: what they do to a recording before they resample it.  The paper has the peak and SoX, the
    published code ``norm -0.1 silence 1 0.025 0.15% norm -0.1 reverse silence 1 0.025 0.15% reverse``.

    Examples
    --------
    >>> clip_silence(np.r_[np.zeros(300), np.full(100, 0.5), np.zeros(300)], sr=1000).shape
    (100,)
    """
    whole = normalise_peak(x)
    x = normalise_peak(whole[sound_starts(whole, sr) :])
    x = x[: len(x) - sound_starts(x[::-1], sr)]
    return x if len(x) else whole
