"""Level, and noise relative to it."""

import math

import numpy as np
from numpy.typing import ArrayLike

from acdref.augment.sound import Sound, as_sound

__all__ = ["add_noise", "set_level"]


def set_level(x: ArrayLike, dbfs: float) -> Sound:
    """Scale a signal to a level, but never beyond full scale.

    Parameters
    ----------
    x : ndarray, (n,), float32
    dbfs : float
        Wanted root mean square in dB relative to 1; at most 300.

    Returns
    -------
    ndarray, (n,), float32
        With that level, or with a peak of 1 if that level would exceed full scale.  Silence stays silence.

    Raises
    ------
    ValueError
        If the level is greater.

    Examples
    --------
    >>> set_level(np.float32([0.5, -0.5]), -20)
    array([ 0.1, -0.1], dtype=float32)
    >>> set_level(np.float32([0.5, -0.5, 0, 0, 0, 0]), 0)
    array([ 1., -1.,  0.,  0.,  0.,  0.], dtype=float32)
    """
    x = as_sound(x)
    if not dbfs <= 300:
        raise ValueError(f"the level must be at most 300 dBFS, not {dbfs}")
    peak = float(np.abs(x).max(initial=0.0))
    if peak == 0.0:
        return x.copy()
    # Relative to the peak, the squares of the faintest signal do not underflow.
    relative = x / np.float32(peak)
    rms = float(np.sqrt(np.mean(np.square(relative), dtype=np.float64)))
    return relative * np.float32(min(10.0 ** (dbfs / 20.0) / rms, 1.0))


def add_noise(x: ArrayLike, rng: np.random.Generator, ratio: float) -> Sound:
    """Add white noise, as a recorder's own.

    Parameters
    ----------
    x : ndarray, (n,), float32
    rng : numpy.random.Generator
    ratio : float
        Signal to noise, in dB; at least -300.

    Returns
    -------
    ndarray, (n,), float32
        The input, if the ratio is infinite; silence stays silence.

    Raises
    ------
    ValueError
        If the ratio is less.

    Examples
    --------
    >>> x = np.ones(10000, np.float32)
    >>> round(20 * np.log10(float(np.std(add_noise(x, np.random.default_rng(0), 20)))))
    -20
    """
    x = as_sound(x)
    if not ratio >= -300:
        raise ValueError(f"the ratio must be at least -300 dB, not {ratio}")
    rms = math.sqrt(np.dot(x.astype(np.float64), x) / max(1, len(x)))
    noise = rng.standard_normal(len(x), np.float32)
    return x + np.float32(rms * 10.0 ** (-ratio / 20.0)) * noise
