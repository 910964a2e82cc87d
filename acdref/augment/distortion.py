"""What a recording chain does to the waveform itself: clipping and coarse quantisation.

Everything is relative to the signal's peak, so that the level of the signal makes no difference.
"""

import numpy as np
from numpy.typing import ArrayLike

from acdref.augment.sound import Sound, as_sound

__all__ = ["asymmetric_clip", "hard_clip", "quantise", "soft_clip"]


def hard_clip(x: ArrayLike, drive: float) -> Sound:
    """Cut off the tops, as a converter does that is driven too far.

    Parameters
    ----------
    x : ndarray, (n,), float32
    drive : float
        How far the peak stands above the limit, in dB, from 0 to 300.

    Returns
    -------
    ndarray, (n,), float32
        Nowhere greater in magnitude than the input; equal to it for a drive of 0.

    Examples
    --------
    >>> hard_clip(np.float32([1, -0.2, -0.8]), 20 * np.log10(2))
    array([ 0.5, -0.2, -0.5], dtype=float32)
    """
    x = as_sound(x)
    limit = _peak(x) * np.float32(10 ** (-_checked(drive) / 20))
    return np.clip(x, -limit, limit)


def soft_clip(x: ArrayLike, drive: float) -> Sound:
    """Press the tops down, as an amplifier or a loudspeaker near its limit does.

    Parameters
    ----------
    x : ndarray, (n,), float32
    drive : float
        In dB, from 0 to 300.

    Returns
    -------
    ndarray, (n,), float32
        Nowhere greater in magnitude than the input; equal to it for a drive of 0.

    Notes
    -----
    With the peak as unit, ``y = tanh(g x) / g``, where ``g = 10^(drive / 20) - 1``: small samples stay what
    they are.

    Examples
    --------
    >>> soft_clip(np.float32([1, -0.1]), 20 * np.log10(2)).round(4)
    array([ 0.7616, -0.0997], dtype=float32)
    """
    x = as_sound(x)
    peak, g = _peak(x), np.float32(10 ** (_checked(drive) / 20) - 1)
    if g == 0 or peak == 0:
        return x.copy()
    y = np.tanh(x / peak * g) * (peak / g)
    return np.clip(y, -np.abs(x), np.abs(x))  # rounding may have gone beyond, where it is almost linear


def asymmetric_clip(x: ArrayLike, drive: float) -> Sound:
    """Press down the upper half of the waveform alone, which adds even harmonics and an offset.

    Parameters
    ----------
    x : ndarray, (n,), float32
    drive : float
        In dB, from 0 to 300; see :func:`soft_clip`.

    Returns
    -------
    ndarray, (n,), float32
        Nowhere greater in magnitude than the input; equal to it for a drive of 0.

    Examples
    --------
    >>> asymmetric_clip(np.float32([1, -1]), 20 * np.log10(2)).round(4)
    array([ 0.7616, -1.    ], dtype=float32)
    """
    x = as_sound(x)
    return np.where(x > 0, soft_clip(x, drive), x)


def quantise(x: ArrayLike, bits: int) -> Sound:
    """Round to a coarse grid, as a cheap or a badly levelled converter does.

    Parameters
    ----------
    x : ndarray, (n,), float32
    bits : int
        At least 2; steps of peak / 2^(bits - 1).  A float32 sample itself has 24.

    Returns
    -------
    ndarray, (n,), float32
        Within half a step of the input; equal to it from 25 bits on.

    Examples
    --------
    >>> quantise(np.float32([1, 0.7, 0.2, -0.4]), 2)
    array([ 1. ,  0.5,  0. , -0.5], dtype=float32)
    """
    x = as_sound(x)
    if not bits >= 2:
        raise ValueError(f"at least 2 bits are needed, not {bits}")
    peak = _peak(x)
    if bits > 24 or peak == 0:
        return x.copy()
    levels = np.float32(2 ** (bits - 1))
    return np.rint(x / peak * levels) / levels * peak


def _peak(x):
    return np.abs(x).max(initial=np.float32(0))


def _checked(drive):
    if not 0 <= drive <= 300:
        raise ValueError(f"the drive must be within 0 and 300 dB, not {drive}")
    return drive
