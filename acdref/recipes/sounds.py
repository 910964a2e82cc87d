"""Decoded recordings and excerpts of them, for recipes that cut anywhere and transform what they have cut."""

import dataclasses

import numpy as np

from acdref.features.front_ends import FRONT_ENDS, front_end
from acdref.nets import registry
from acdref.recipes import features


def stage(name, manifests, rate):
    """Stage: the samples of all recordings, for :class:`acdref.recipes.features.Features`.

    Parameters
    ----------
    name : str
    manifests : sequence of Manifest
        Numbered through.
    rate : int
        Of the samples, in Hz.

    Returns
    -------
    acdref.recipes.stages.Stage
    """
    return features.stage(name, manifests, dataclasses.replace(FRONT_ENDS["waveform"], rate=rate))


def fewest_samples(net):
    """The shortest sound that a network takes, in samples at its rate; 0.1 s, if it takes that.

    Examples
    --------
    >>> net = registry.build("resnet50", classes=2, width=0.0625, backend="numpy")
    >>> fewest_samples(net)  # 96 frames of 25 ms, 10 ms apart
    15600
    """
    return front_end(net).fewest(registry.min_frames(net))


def excerpt(x, start, n):
    """Samples `start` to `start + n`, with zeros where the recording is over.

    Examples
    --------
    >>> excerpt(np.arange(5.0), 3, 4)
    array([3., 4., 0., 0.])
    """
    cut = x[start : start + n]
    return cut if len(cut) == n else np.pad(cut, (0, n - len(cut)))
