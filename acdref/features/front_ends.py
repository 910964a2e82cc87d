"""Front ends: what turns sound into a network's input, at which rate.

A network names its own (``net.front_end``); training, prediction and evaluation look it up here, and hand it
their windows of sound: :meth:`FrontEnd.window` is the one way from samples to what a network sees.

A constant offset, which many sound cards add and nobody hears, is taken away there (:func:`without_offset`).
The papers do not speak of it; but to the power 0.3, a thousandth of full scale is among the loudest values of
a spectrogram, and tags follow it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.features.compressed import HOP, SAMPLE_RATE, features, frames
from acdref.features.papers import a_weighted_mel, decibel_mel, log_filterbank, log_mel_patches

SHORTEST = 0.1  # seconds, which every front end takes


@dataclass(frozen=True)
class FrontEnd:
    """How sound becomes features; can be pickled, since worker processes get one.

    Attributes
    ----------
    transform : callable
        From samples (n,) to features (steps, ...), as the front end's authors have it.
    rate : int
        Of the samples, in Hz.
    hop : int
        Samples from one step of the features to the next.
    steps : callable
        From a number of samples to the steps that they give.
    """

    transform: Callable
    rate: int
    hop: int
    steps: Callable

    def window(self, x: ArrayLike, samples: int = 0) -> NDArray[np.float32]:
        """Features of a window of sound, as every network gets them.

        Parameters
        ----------
        x : (n,) array of real numbers, n >= 1
            At the front end's rate.
        samples : int
            A shorter window is repeated up to so many.

        Returns
        -------
        (steps, ...) float32 array

        Raises
        ------
        ValueError
            If `x` is not a vector of at least one real number, or too short for the front end.

        Notes
        -----
        The mean of `x` is taken away, what is left is repeated, and `transform` is applied: in this order.

        Examples
        --------
        >>> front = FRONT_ENDS["waveform"]
        >>> front.window([0.5, 1.0, 1.5], samples=5)
        array([-0.5,  0. ,  0.5, -0.5,  0. ], dtype=float32)
        """
        x = without_offset(x)
        return self.transform(np.resize(x, samples) if len(x) < samples else x)

    def seconds(self, x: NDArray) -> float:
        """Duration of the sound behind a batch of features (N, steps, ...).

        Parameters
        ----------
        x : (N, steps, ...) array

        Returns
        -------
        float

        Examples
        --------
        >>> FRONT_ENDS["waveform"].seconds(np.zeros((2, 4000)))
        1.0
        """
        return x.shape[0] * x.shape[1] * self.hop / self.rate

    def fewest(self, steps: int) -> int:
        """The shortest sound that gives so many steps, in samples; 0.1 s, if that does.

        Parameters
        ----------
        steps : int

        Returns
        -------
        int

        Examples
        --------
        >>> FRONT_ENDS["log-mel-patches"].fewest(1)  # 96 frames of 25 ms, 10 ms apart
        15600
        """
        few = round(SHORTEST * self.rate)
        if self.steps(few) >= steps:
            return few
        enough = 2 * few
        while self.steps(enough) < steps:
            few, enough = enough, 2 * enough
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if self.steps(middle) >= steps else (middle, enough)
        return enough


def without_offset(x: ArrayLike) -> NDArray[np.float32]:
    """Sound less its mean, so that a constant offset changes nothing.

    Parameters
    ----------
    x : (n,) array of real numbers, n >= 1

    Returns
    -------
    (n,) float32 array

    Raises
    ------
    ValueError
        If `x` is not a vector of at least one real number.

    Notes
    -----
    In float64: a mean rounded to float32 would leave some of itself, which digital silence shows.

    Examples
    --------
    >>> without_offset([0.25, 0.75])
    array([-0.25,  0.25], dtype=float32)
    """
    x = np.asarray(x)
    if x.ndim != 1 or x.dtype.kind not in "fiu":
        raise ValueError(f"a window must be a vector of real samples, not {x.dtype} of shape {x.shape}")
    if not len(x):
        raise ValueError("a window without samples is no sound")
    return np.subtract(x, x.mean(dtype=np.float64), dtype=np.float64).astype(np.float32)


def waveform(x: ArrayLike) -> NDArray[np.float32]:
    """The samples themselves, as float32.

    Parameters
    ----------
    x : (n,) array of real numbers

    Returns
    -------
    (n,) float32 array

    Examples
    --------
    >>> waveform([0, 1])
    array([0., 1.], dtype=float32)
    """
    return np.asarray(x, np.float32)


def _centred(hop, n):
    return 1 + n // hop


def _started(hop, n):
    return -(-n // hop)


def _patches(n):
    return ((n - 240) // 160) // 96


FRONT_ENDS = {
    "compressed-stft": FrontEnd(features, SAMPLE_RATE, HOP, frames),
    "a-weighted-mel": FrontEnd(a_weighted_mel, 32000, 192, partial(_centred, 192)),
    "log-filterbank": FrontEnd(log_filterbank, 32000, 128, partial(_started, 128)),
    "waveform": FrontEnd(waveform, 8000, 1, partial(_started, 1)),
    "log-mel-patches": FrontEnd(log_mel_patches, 16000, 96 * 160, _patches),
    "decibel-mel": FrontEnd(decibel_mel, 16000, 160, partial(_centred, 160)),
}


def front_end(net: object) -> FrontEnd:
    """The front end of a network; compressed spectrograms where it names none.

    Parameters
    ----------
    net : network

    Returns
    -------
    FrontEnd

    Examples
    --------
    >>> from acdref.nets import ACDNet
    >>> front_end(ACDNet(backend="numpy")).rate
    16000
    """
    return FRONT_ENDS[getattr(net, "front_end", "compressed-stft")]
