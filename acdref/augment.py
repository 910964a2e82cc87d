"""Changes to sound that training varies: level, bandwidth, spectrum and speed.

Mixing is in :mod:`acdref.labels.algebra`.
"""

import numpy as np


def set_level(x, dbfs):
    """Scale a signal to a level, but never beyond full scale.

    Parameters
    ----------
    x : ndarray, (n,), float32
    dbfs : float
        Wanted root mean square in dB relative to 1.

    Returns
    -------
    ndarray, (n,), float32
        With that level, or with a peak of 1 if that level would exceed full scale.  Silence stays silence.

    Examples
    --------
    >>> set_level(np.float32([0.5, -0.5]), -20)
    array([ 0.1, -0.1], dtype=float32)
    >>> set_level(np.float32([0.5, -0.5, 0, 0, 0, 0]), 0)
    array([ 1., -1.,  0.,  0.,  0.,  0.], dtype=float32)
    """
    peak = float(np.abs(x).max(initial=0.0))
    if peak == 0.0:
        return x.copy()
    # Relative to the peak, the squares of the faintest signal do not underflow.
    relative = x / np.float32(peak)
    rms = float(np.sqrt(np.mean(np.square(relative), dtype=np.float64)))
    return relative * np.float32(min(10.0 ** (dbfs / 20.0) / rms, 1.0))


def low_pass(x, cutoff, sr=16000):
    """Take away everything above a frequency, as an old or a narrow-band recording chain does.

    Parameters
    ----------
    x : ndarray, (n,), float32
    cutoff : float
        In Hz, at -6 dB.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (n,), float32

    Notes
    -----
    Zero phase; the gain falls as a raised cosine from 0.9 to 1.1 times ``cutoff``.  The signal is padded with
    zeros beyond the length of the filter's response, so its end does not leak into its start.

    Examples
    --------
    >>> t = np.arange(16000) / 16000
    >>> tones = np.sin(2 * np.pi * 1000 * t) + np.sin(2 * np.pi * 6000 * t)
    >>> filtered = low_pass(tones.astype(np.float32), 4000)
    >>> np.abs(filtered - np.sin(2 * np.pi * 1000 * t))[1000:-1000].max() < 1e-3
    np.True_
    """
    n = _padded(len(x))
    spectrum = np.fft.rfft(x, n)
    frequency = np.arange(len(spectrum)) * (sr / n)
    position = np.clip((frequency / cutoff - 0.9) / 0.2, 0.0, 1.0)
    gain = (0.5 + 0.5 * np.cos(np.pi * position)).astype(x.dtype)
    return np.fft.irfft(spectrum * gain, n)[: len(x)].astype(x.dtype, copy=False)


def equalise(x, gains, sr=16000):
    """Shape the spectrum smoothly, as another microphone, room or distance does.

    Parameters
    ----------
    x : ndarray, (n,), float32
    gains : (K,) array of floats
        In dB, at K frequencies spread evenly on a logarithmic scale from 60 Hz to sr / 2; interpolated
        between them, constant below.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (n,), float32
        Equal to the input where all gains are 0.

    Notes
    -----
    Zero phase.  Gains drawn from N(0, 4 dB) for K = 8 make curves one or two octaves wide.

    Examples
    --------
    >>> equalise(np.float32([1, 0, 0, 0]), [20, 20]).round(3)
    array([10.,  0.,  0.,  0.], dtype=float32)
    """
    if not np.any(gains):
        return x.copy()
    n = _padded(len(x))
    octaves = np.log2(np.maximum(np.arange(n // 2 + 1) * (sr / n), 60.0))
    gain = np.interp(octaves, np.linspace(np.log2(60.0), np.log2(sr / 2), len(gains)), gains)
    spectrum = np.fft.rfft(x, n) * (10.0 ** (gain / 20.0)).astype(x.dtype)
    return np.fft.irfft(spectrum, n)[: len(x)].astype(x.dtype, copy=False)


def change_speed(x, factor):
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
        If the factor is not positive.

    Examples
    --------
    >>> change_speed(np.zeros(16000, np.float32), 1.25).shape
    (12800,)
    """
    if not factor > 0:
        raise ValueError(f"the factor must be positive, not {factor}")
    n = _padded(len(x))
    # A multiple of a large power of two, whose transform is fast.
    step = 2 ** ((n // 256).bit_length() - 1)
    m = max(step, round(n / factor / step) * step)
    if m == n:
        return x.copy()
    resampled = np.fft.irfft(np.fft.rfft(x, n), m) * (m / n)
    return resampled[: max(1, round(len(x) * m / n))].astype(x.dtype, copy=False)


def _padded(n):
    """A length with room for a filter's response; a multiple of 4096 makes the transform fast."""
    return -(-(n + 2048) // 4096) * 4096
