"""Compressed spectrograms: what the networks see.

A clip of ``n`` samples at 16 kHz becomes ``T = 1 + (n - 512) // 256`` frames (32 ms windows, half
overlapping, without padding) of 257 bins, each with a real and an imaginary part::

    features(x)  =  compress(stft(x)) with (real, imaginary) last        (n,) -> (T, 257, 2)

Compression acts on the magnitude and leaves the phase: ``X |X|^(c - 1)`` with c = 0.3.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.features.fourier import CHUNK, hann, spectra

__all__ = [
    "BINS",
    "EXPONENT",
    "FRAME",
    "HOP",
    "POWER_FLOOR",
    "SAMPLE_RATE",
    "compress",
    "decompress",
    "features",
    "frames",
    "stft",
]

SAMPLE_RATE = 16000  # Hz
FRAME = 512  # samples, 32 ms
HOP = 256  # samples, 16 ms
BINS = FRAME // 2 + 1
EXPONENT = 0.3  # of the magnitude
POWER_FLOOR = 1e-12  # of |X|^2 in the compression, so that X = 0 gives 0 and not 0 * inf


def frames(n: int) -> int:
    """Number of frames in `n` samples.

    Parameters
    ----------
    n : int
        Samples at 16 kHz.

    Returns
    -------
    int
        ``1 + (n - 512) // 256``, or 0 when there is no whole window.  Up to 255 samples at the end
        belong to no frame.

    Examples
    --------
    >>> frames(160000), frames(512), frames(511)
    (624, 1, 0)
    """
    return max(0, 1 + (n - FRAME) // HOP)


def stft(x: ArrayLike) -> NDArray[np.complex64]:
    """Short-time Fourier transform.

    Parameters
    ----------
    x : (..., n) array of real numbers
        Audio at 16 kHz, n >= 512.

    Returns
    -------
    (..., T, 257) complex64 array

    Raises
    ------
    ValueError
        If `x` is complex, has no axis, or has fewer than 512 samples.

    Notes
    -----
    Periodic Hann window of 512 samples, hop 256, no padding: frame t covers samples 256 t to
    256 t + 511.  The transform itself is computed in float64 (:mod:`acdref.features.fourier`).  A NaN or an
    infinity makes the frames that hold it NaN, and no other.

    Examples
    --------
    >>> stft(np.ones(1024, np.float32)).shape
    (3, 257)
    """
    x = np.asarray(x)
    if x.ndim == 0 or x.dtype.kind not in "fiu":
        raise ValueError(f"audio must be an array of real samples, not {x.dtype} of shape {x.shape}")
    if x.shape[-1] < FRAME:
        raise ValueError(f"{x.shape[-1]} samples are too short: one window takes {FRAME} ({FRAME / 16} ms)")
    out = np.empty((*x.shape[:-1], frames(x.shape[-1]), BINS), np.complex64)  # (..., T, 257)
    for part, X in spectra(x, hann(FRAME), HOP):
        out[..., part, :] = X
    return out


def compress(X: ArrayLike, c: float = EXPONENT) -> NDArray:
    """Compress magnitudes to the power `c`; phases stay.

    Parameters
    ----------
    X : complex array of any shape
    c : float, optional
        Exponent of the magnitude, > 0.

    Returns
    -------
    complex array
        ``X * max(|X|^2, 1e-12) ** ((c - 1) / 2)``, in the precision of `X`.

    Raises
    ------
    ValueError
        If `X` is not complex or `c` is not positive.

    Notes
    -----
    The floor on ``|X|^2`` gives digital silence the value 0 exactly, and makes the map linear (slope 63,096
    for c = 0.3) below ``|X| = 1e-6``, far under the rounding error of 16-bit audio.

    Examples
    --------
    >>> compress(np.array([0, 1, -16j]), c=0.5)
    array([0.+0.j, 1.+0.j, 0.-4.j])
    """
    X = _complex(X, c)
    return X * _power(X.real**2 + X.imag**2, c)


def decompress(Y: ArrayLike, c: float = EXPONENT) -> NDArray:
    """Undo :func:`compress`.

    Parameters
    ----------
    Y : complex array of any shape
    c : float, optional
        The exponent that `Y` was compressed with.

    Returns
    -------
    complex array
        X with ``compress(X, c) == Y`` up to rounding.

    Raises
    ------
    ValueError
        If `Y` is not complex or `c` is not positive.

    Examples
    --------
    >>> decompress(np.array([0, 1, -4j]), c=0.5)
    array([0. +0.j, 1. +0.j, 0.-16.j])
    """
    Y = _complex(Y, c)
    power = Y.real**2 + Y.imag**2
    return Y * np.maximum(power, POWER_FLOOR**c) ** ((1 / c - 1) / 2)


def features(x: ArrayLike) -> NDArray[np.float32]:
    """Compressed spectrogram of a clip, the networks' input.

    Parameters
    ----------
    x : (..., n) array of real numbers
        Audio at 16 kHz, n >= 512.

    Returns
    -------
    (..., T, 257, 2) float32 array
        Real and imaginary parts of ``compress(stft(x))``.

    Raises
    ------
    ValueError
        If `x` is complex, has no axis, or has fewer than 512 samples.

    Notes
    -----
    Braun & Gamper 2024, section 2.2: 624 x 257 x 2 for 10 s.  Digital silence gives 0; NaN and infinity
    are for the reader of the audio to refuse (:mod:`acdref.audio.decode` does).

    Examples
    --------
    >>> features(np.zeros(160000, np.float32)).shape
    (624, 257, 2)
    """
    X = stft(x)  # (..., T, 257)
    for i in range(0, X.shape[-2], CHUNK):
        part = X[..., i : i + CHUNK, :]
        part *= _power(part.real**2 + part.imag**2, EXPONENT)
    return X.view(np.float32).reshape(*X.shape, 2)  # (..., T, 257, 2)


def _power(power, c):
    """max(power, floor) ** ((c - 1) / 2), in place; by exp and log, twice as fast as np.power in float32."""
    np.maximum(power, POWER_FLOOR, out=power)
    np.log(power, out=power)
    power *= (c - 1) / 2
    return np.exp(power, out=power)


def _complex(X, c):
    X = np.asarray(X)
    if X.dtype.kind != "c":
        raise ValueError(f"compression acts on complex numbers, not {X.dtype}")
    if not c > 0:
        raise ValueError(f"the exponent must be positive, not {c}")
    return X
