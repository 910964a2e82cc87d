"""Mel scales, mel filterbanks and log-mel spectrograms, as other systems' networks were trained on.

Two scales are in use, and mixing them up goes unnoticed (a network still answers, a little wrong):

slaney  linear below 1 kHz, logarithmic above; librosa's default
htk     ``2595 log10(1 + f / 700)``
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.features.fourier import hann, spectra
from acdref.matmul import matmul

__all__ = ["log_mel"]

SCALES = ("slaney", "htk")

_LINEAR = 200 / 3  # slaney: Hz per mel below the break
_BREAK = 1000.0  # Hz, 15 mel
_LOG_STEP = np.log(6.4) / 27  # above: 27 steps from 1 kHz to 6.4 kHz
_DECIBELS = 10 / np.log(10)  # of a power that is e times as large


def hz_to_mel(f: ArrayLike, scale: str = "slaney") -> NDArray[np.float64]:
    """Frequencies on a mel scale.

    Parameters
    ----------
    f : array_like
        In Hz, >= 0.
    scale : {"slaney", "htk"}

    Returns
    -------
    ndarray or float64, in mel

    Examples
    --------
    >>> hz_to_mel([0, 1000, 6400]).round(6)
    array([ 0., 15., 42.])
    >>> float(hz_to_mel(700, "htk").round(3))
    781.173
    """
    f = np.asarray(f, np.float64)
    if _checked(scale) == "htk":
        return 2595 * np.log10(1 + f / 700)
    return np.where(
        f < _BREAK, f / _LINEAR, _BREAK / _LINEAR + np.log(np.maximum(f, _BREAK) / _BREAK) / _LOG_STEP
    )


def mel_to_hz(m: ArrayLike, scale: str = "slaney") -> NDArray[np.float64]:
    """Undo :func:`hz_to_mel`.

    Parameters
    ----------
    m : array_like
        In mel, >= 0.
    scale : {"slaney", "htk"}

    Returns
    -------
    ndarray or float64, in Hz

    Examples
    --------
    >>> mel_to_hz([0, 15, 42]).round(6)
    array([   0., 1000., 6400.])
    """
    m = np.asarray(m, np.float64)
    if _checked(scale) == "htk":
        return 700 * (10 ** (m / 2595) - 1)
    corner = _BREAK / _LINEAR
    return np.where(m < corner, m * _LINEAR, _BREAK * np.exp(_LOG_STEP * (np.maximum(m, corner) - corner)))


def mel_filterbank(
    sr: float,
    n_fft: int,
    bands: int,
    fmin: float = 0.0,
    fmax: float | None = None,
    scale: str = "slaney",
    norm: str | None = "slaney",
) -> NDArray[np.float64]:
    """Triangular filters, whose corners are evenly spaced on a mel scale.

    Parameters
    ----------
    sr : float
        Sampling rate in Hz.
    n_fft : int
        Length of the Fourier transform, in samples.
    bands : int
        Number of filters.
    fmin, fmax : float
        From the lower corner of the first filter to the upper corner of the last, in Hz; `fmax` is sr / 2 by
        default.
    scale : {"slaney", "htk"}
    norm : {"slaney", None}
        slaney: every triangle has the area 1 (in Hz).  None: every triangle has the height 1.

    Returns
    -------
    (bands, n_fft // 2 + 1) float64 array
        What multiplies a spectrum.  A filter narrower than the spacing of the bins may be empty.

    Raises
    ------
    ValueError
        If a parameter makes no sense.

    Notes
    -----
    The triangles are straight in Hz, not in mel; the numbers are librosa's ``filters.mel`` in float64.

    Examples
    --------
    >>> mel_filterbank(8000, 8, 2, norm=None).round(3)
    array([[0.   , 0.783, 0.   , 0.   , 0.   ],
           [0.   , 0.217, 0.904, 0.452, 0.   ]])
    """
    fmax = sr / 2 if fmax is None else fmax
    if n_fft < 2 or bands < 1 or not 0 <= fmin < fmax <= sr / 2:
        raise ValueError(
            f"{bands} mel bands of {fmin:g} to {fmax:g} Hz from {n_fft} samples at {sr:g} Hz make no sense"
        )
    if norm not in ("slaney", None):
        raise ValueError(f"norm must be 'slaney' or None, not {norm!r}")
    low, high = hz_to_mel([fmin, fmax], scale)
    corners = mel_to_hz(np.linspace(low, high, bands + 2), scale)[:, None]  # (bands + 2, 1)
    bank = triangles(np.arange(n_fft // 2 + 1) * (sr / n_fft), corners)
    return bank * (2 / (corners[2:] - corners[:-2])) if norm == "slaney" else bank


def triangles(f: NDArray, corners: NDArray) -> NDArray[np.float64]:
    """Triangular filters of height 1 that overlap by half.

    Parameters
    ----------
    f : (bins,) array
        Where they are asked for.
    corners : (bands + 2, 1) array, ascending
        Filter i rises from corner i to i + 1 and falls to i + 2.

    Returns
    -------
    (bands, bins) float64 array

    Examples
    --------
    >>> triangles(np.arange(5), np.array([[0], [2], [3], [4]]))
    array([[0. , 0.5, 1. , 0. , 0. ],
           [0. , 0. , 0. , 1. , 0. ]])
    """
    rising = (f - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - f) / (corners[2:] - corners[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def decibels(power: ArrayLike) -> NDArray[np.float64]:
    """Powers in decibels relative to 1, not below -100.

    Parameters
    ----------
    power : array_like
        >= 0.

    Returns
    -------
    float64 array

    Notes
    -----
    ``10 log10(max(1e-10, power))``, always in float64: NumPy's float32 logarithms are as exact as the
    processor's vectors have them, and an error in their last bit would be 1e-5 dB.  Rounded to float32,
    silence is exactly -100.

    Examples
    --------
    >>> decibels(np.array([0, 1, 100], np.float32)).astype(np.float32)
    array([-100.,    0.,   20.], dtype=float32)
    """
    out = np.maximum(power, 1e-10, dtype=np.float64)
    np.log(out, out=out)  # twice as fast as log10
    out *= _DECIBELS
    return out


def log_mel(x: ArrayLike, filterbank: NDArray, hop: int) -> NDArray[np.float32]:
    """Log-mel power spectrogram in decibels.

    Parameters
    ----------
    x : (n,) array of real numbers
        More than half as many samples as the Fourier transform has.
    filterbank : (bands, n_fft // 2 + 1) array
        See :func:`mel_filterbank`; its width tells n_fft, which is even.
    hop : int
        Samples from one frame to the next.

    Returns
    -------
    (1 + n // hop, bands) float32 array
        In dB relative to 1, not below -100.

    Raises
    ------
    ValueError
        If `x` is not a vector, or too short to be mirrored at its ends.

    Notes
    -----
    Periodic Hann window of n_fft samples. Frame t is centred on sample ``t * hop``; the signal is mirrored
    at its ends; :func:`decibels` of ``filterbank @ |X|^2``, within 1e-5 dB on any processor.  The transform
    is computed in float64, which keeps quiet bands beside loud ones exact.

    Examples
    --------
    >>> log_mel(np.zeros(48000), mel_filterbank(48000, 1024, 64, 50, 14000), 480).shape
    (101, 64)
    """
    x = np.asarray(x)
    half = filterbank.shape[1] - 1
    if x.ndim != 1 or len(x) <= half:
        raise ValueError(f"audio of shape {x.shape} has no spectrogram: more than {half} samples are needed")
    used = np.flatnonzero(filterbank.any(axis=0))
    bins = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)
    # Sums of products that are not negative: float32 keeps them to 1e-6 dB.
    weights = np.ascontiguousarray(filterbank[:, bins].T, np.float32)  # (bins, bands)
    out = np.empty((1 + len(x) // hop, len(filterbank)), np.float32)  # (T, bands)
    for part, X in spectra(np.pad(x, half, mode="reflect"), hann(2 * half), hop):
        X = X[:, bins]
        out[part] = decibels(matmul((X.real**2 + X.imag**2).astype(np.float32), weights))
    return out


def _checked(scale):
    if scale not in SCALES:
        raise ValueError(f"the mel scale must be one of {', '.join(SCALES)}, not {scale!r}")
    return scale
