"""What the networks of other papers see: four logarithmic spectrograms, each as its authors computed it.

=============================  ===================  =====================================================
function                       system               in short
=============================  ===================  =====================================================
:func:`a_weighted_mel`         Dorfer & Widmer, 1   A-weighted decibels through a mel bank, 32 kHz
:func:`log_filterbank`         Dorfer & Widmer, 2   26 bands an octave, ``log10(1 + x)``, 32 kHz
:func:`log_mel_patches`        Hershey et al.       patches of 96 x 64, ``log(x + 0.01)``, 16 kHz
:func:`decibel_mel`            Dinkel et al.        64 mel bands in decibels, 16 kHz
=============================  ===================  =====================================================

All take a vector of samples, compute in float64 and return float32 with time first.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.features.fourier import hann, spectra
from acdref.features.mel import decibels, log_mel, mel_filterbank, triangles
from acdref.matmul import matmul

__all__ = ["a_weighted_mel", "decibel_mel", "log_filterbank", "log_mel_patches"]

PATCH_FRAMES = 96
"""Frames of a patch, 0.96 s."""


def a_weighted_mel(x: ArrayLike) -> NDArray[np.float32]:
    """Mel spectrogram of A-weighted decibels (Dorfer & Widmer, version 1).

    Parameters
    ----------
    x : (n,) array of real numbers
        Audio at 32 kHz, n > 512.

    Returns
    -------
    (1 + n // 192, 128) float32 array

    Raises
    ------
    ValueError
        If `x` is not a vector, or too short to be mirrored at its ends.

    Notes
    -----
    Periodic Hann window of 1024 samples, hop 192, centred, mirrored at the ends.  Powers become decibels,
    not below -100 nor 99 below the clip's loudest; the A-weighting, not below -80 dB, is added; and then the
    mel bank (slaney, 0 to 16 kHz) sums *decibels*: so the paper has it, weighting first and the bank last.
    What it does not print, edges, floors and the kind of bank, is that of the published code.

    Examples
    --------
    >>> a_weighted_mel(np.zeros(32000)).shape
    (167, 128)
    """
    magnitudes = _magnitudes(_mirrored(_vector(x), 512), hann(1024), 192)  # (T, 513)
    levels = decibels(np.square(magnitudes))
    levels = np.maximum(levels, levels.max() - 99) + a_weighting(np.arange(513) * (32000 / 1024))
    return matmul(levels, _mel_bank(32000, 1024, 128, 0, 16000, "slaney", "slaney")).astype(np.float32)


def log_filterbank(x: ArrayLike) -> NDArray[np.float32]:
    """Logarithm of a logarithmic filterbank (Dorfer & Widmer, version 2).

    Parameters
    ----------
    x : (n,) array of real numbers
        Audio at 32 kHz, n >= 1.

    Returns
    -------
    (ceil(n / 128), 128) float32 array

    Raises
    ------
    ValueError
        If `x` is not a vector of at least one sample.

    Notes
    -----
    The clip is scaled to the peak 1.  Symmetric Hann window of 1024 samples, hop 128, frame t from sample
    128 t on, with silence behind the end; magnitudes of the bins below the Nyquist frequency, through
    :func:`log_filters`; ``log10(1 + x)``.  That is the published code.  The paper prints the logarithm of
    the power spectrogram, and the filterbank behind it.

    Examples
    --------
    >>> log_filterbank(np.zeros(32000)).shape
    (250, 128)
    """
    x = _vector(x)
    if not len(x):
        raise ValueError("audio without samples has no spectrogram")
    x = x / max(np.abs(x).max(), np.finfo(np.float64).tiny)
    magnitudes = _magnitudes(np.pad(x, (0, 1024 - 1)), np.hanning(1024), 128)  # (T, 513)
    return np.log10(1 + matmul(magnitudes[:, :512], log_filters().T)).astype(np.float32)


def log_mel_patches(x: ArrayLike) -> NDArray[np.float32]:
    """Log-mel patches of 0.96 s, side by side (Hershey et al.).

    Parameters
    ----------
    x : (n,) array of real numbers
        Audio at 16 kHz, n >= 15 600.

    Returns
    -------
    (patches, 96, 64) float32 array
        Ten for 10 s; frames that fill no patch are dropped.

    Raises
    ------
    ValueError
        If `x` is not a vector, or shorter than a patch.

    Notes
    -----
    Periodic Hann window of 400 samples (25 ms) in a transform of 512, hop 160, no padding; magnitudes
    through 64 triangles of height 1 from 125 to 7500 Hz, evenly spaced on the HTK scale; ``log(x + 0.01)``.
    The paper gives the patches' size alone, the rest is that of the same authors' published networks, but
    for triangles that are straight in Hz and not in mel.

    Examples
    --------
    >>> log_mel_patches(np.zeros(160000)).shape
    (10, 96, 64)
    """
    x = _vector(x)
    shortest = 400 + (PATCH_FRAMES - 1) * 160
    if len(x) < shortest:
        raise ValueError(f"{len(x)} samples are too short: a patch takes {shortest} (0.975 s)")
    magnitudes = _magnitudes(x, hann(400), 160, n_fft=512)  # (T, 257)
    mel = np.log(matmul(magnitudes, _mel_bank(16000, 512, 64, 125, 7500, "htk", None)) + 0.01)  # (T, 64)
    patches = len(mel) // PATCH_FRAMES
    mel = mel[: patches * PATCH_FRAMES].astype(np.float32)
    return mel.reshape(patches, PATCH_FRAMES, 64)  # (patches, 96, 64)


def decibel_mel(x: ArrayLike) -> NDArray[np.float32]:
    """Mel spectrogram in decibels (Dinkel et al.).

    Parameters
    ----------
    x : (n,) array of real numbers
        Audio at 16 kHz, n > 256.

    Returns
    -------
    (1 + n // 160, 64) float32 array

    Raises
    ------
    ValueError
        If `x` is not a vector, or too short to be mirrored at its ends.

    Notes
    -----
    :func:`acdref.features.mel.log_mel` with 512 samples, hop 160, 64 triangles of height 1 from 0 to 8 kHz on
    the HTK scale; not below 120 dB under the clip's loudest.  No normalisation.

    Examples
    --------
    >>> decibel_mel(np.zeros(160000)).shape
    (1001, 64)
    """
    mel = log_mel(_vector(x), _mel_bank(16000, 512, 64, 0, 8000, "htk", None).T, 160)  # (T, 64)
    return np.maximum(mel, mel.max() - np.float32(120))


def a_weighting(f: ArrayLike) -> NDArray[np.float64]:
    """A-weighting of frequencies in decibels, not below -80.

    Parameters
    ----------
    f : array_like
        In Hz, >= 0.

    Returns
    -------
    float64 array

    Examples
    --------
    >>> a_weighting([0, 100, 1000, 10000]).round(1)
    array([-80. , -19.1,   0. ,  -2.5])
    """
    f2 = np.square(np.asarray(f, np.float64))
    low, high, middle, upper = np.square([20.598997, 12194.217, 107.65265, 737.86223])
    response = high * f2**2 / ((f2 + low) * (f2 + high) * np.sqrt((f2 + middle) * (f2 + upper)))
    return np.maximum(-80, 2 + 20 * np.log10(np.maximum(response, 1e-10)))


@cache
def log_filters() -> NDArray[np.float64]:
    """Triangular filters at 26 bands an octave, for the 512 bins of 1024 samples at 32 kHz.

    Returns
    -------
    (128, 512) float64 array, read-only
        Each filter sums to 1.

    Notes
    -----
    Corners are the bins nearest to the frequencies ``440 * 2^(k / 26)`` within 20 to 14 000 Hz, each bin
    once: 130 distinct ones of 245, and filter i rises from corner i to i + 1 and falls to i + 2.

    Examples
    --------
    >>> log_filters().shape
    (128, 512)
    """
    octaves = np.log2(np.array([20, 14000]) / 440)
    steps = np.arange(np.floor(octaves[0] * 26), np.ceil(octaves[1] * 26) + 1)
    frequencies = 440 * 2 ** (steps / 26)
    frequencies = frequencies[(frequencies >= 20) & (frequencies <= 14000)]
    corners = np.unique(np.clip(np.rint(frequencies * (1024 / 32000)), 1, 511))[:, None]
    filters = triangles(np.arange(512), corners)
    filters /= filters.sum(axis=1, keepdims=True)
    filters.setflags(write=False)
    return filters


def _vector(x):
    x = np.asarray(x)
    if x.ndim != 1 or x.dtype.kind not in "fiu":
        raise ValueError(f"audio must be a vector of real samples, not {x.dtype} of shape {x.shape}")
    return x.astype(np.float64)


def _mirrored(x, half):
    if len(x) <= half:
        raise ValueError(f"{len(x)} samples are too short: more than {half} are needed")
    return np.pad(x, half, mode="reflect")


def _magnitudes(x, window, hop, n_fft=None):
    """Magnitudes of the Fourier transform of all whole windows, (T, n_fft // 2 + 1)."""
    return np.concatenate([np.abs(X) for _, X in spectra(x, window, hop, n_fft)])


@cache
def _mel_bank(*parameters):
    """The transpose of a mel filterbank, (bins, bands)."""
    bank = np.ascontiguousarray(mel_filterbank(*parameters).T)
    bank.setflags(write=False)
    return bank
