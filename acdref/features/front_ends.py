"""Front ends: what turns sound into a network's input, at which rate.

A network names its own (``net.front_end``); training, prediction and evaluation look it up here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.features.compressed import HOP, SAMPLE_RATE, features, frames
from acdref.features.papers import a_weighted_mel, decibel_mel, log_filterbank, log_mel_patches

SHORTEST = 0.1  # seconds, which every front end takes


@dataclass(frozen=True)
class FrontEnd:
    """How sound becomes features.

    Attributes
    ----------
    transform : callable
        From samples (n,) to features (steps, ...); a function of a module, since worker processes import it.
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


FRONT_ENDS = {
    "compressed-stft": FrontEnd(features, SAMPLE_RATE, HOP, frames),
    "a-weighted-mel": FrontEnd(a_weighted_mel, 32000, 192, lambda n: 1 + n // 192),
    "log-filterbank": FrontEnd(log_filterbank, 32000, 128, lambda n: -(-n // 128)),
    "waveform": FrontEnd(waveform, 8000, 1, lambda n: n),
    "log-mel-patches": FrontEnd(log_mel_patches, 16000, 96 * 160, lambda n: ((n - 240) // 160) // 96),
    "decibel-mel": FrontEnd(decibel_mel, 16000, 160, lambda n: 1 + n // 160),
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
