"""Short-time Fourier transforms, a few frames at a time: what all features here begin with."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CHUNK = 64  # frames at a time: what a core's cache holds


@lru_cache(maxsize=8)
def hann(n: int) -> NDArray[np.float64]:
    """Periodic Hann window.

    Parameters
    ----------
    n : int
        Samples.

    Returns
    -------
    (n,) float64 array, read-only

    Examples
    --------
    >>> hann(4)
    array([0. , 0.5, 1. , 0.5])
    """
    window = 0.5 - 0.5 * np.cos(2 * np.pi / n * np.arange(n))
    window.setflags(write=False)
    return window


def spectra(
    x: NDArray, window: NDArray[np.float64], hop: int, n_fft: int | None = None
) -> Iterator[tuple[slice, NDArray[np.complex128]]]:
    """Fourier transforms of all whole windows of a sound.

    Parameters
    ----------
    x : (..., n) array of real numbers
        At least as long as the window.
    window : (W,) float64 array
        What each frame is multiplied by.
    hop : int
        Samples from one frame to the next: frame t covers samples ``hop t`` to ``hop t + W - 1``.
    n_fft : int, optional
        Length of the transform, for which frames are filled up with zeros; W by default.

    Yields
    ------
    part : slice
        Which of the ``1 + (n - W) // hop`` frames these are: 64, or those that are left.
    X : (..., 64, n_fft // 2 + 1) complex128 array

    Notes
    -----
    Computed in float64, which costs no more than float32 and keeps quiet bins beside loud ones exact to
    float32.

    Examples
    --------
    >>> [(part, X.shape) for part, X in spectra(np.ones(1024), hann(512), 256)]
    [(slice(0, 64, None), (3, 257))]
    """
    frames = np.lib.stride_tricks.sliding_window_view(x, len(window), axis=-1)[..., ::hop, :]  # (..., T, W)
    for i in range(0, frames.shape[-2], CHUNK):
        part = slice(i, i + CHUNK)
        yield part, np.fft.rfft(frames[..., part, :] * window, n_fft)
