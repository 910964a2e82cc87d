"""Scores of recordings: windows through features and network, in bounded memory."""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.audio import decode as audio
from acdref.audio.notes import SHORT
from acdref.errors import AudioError
from acdref.features.front_ends import front_end
from acdref.tables.manifest import Manifest

WINDOW = 10.0
"""Seconds that the network is trained on, and the default window of every command."""

THRESHOLD = 0.5
"""The score from which a class is a tag, where nobody says otherwise."""

SHORT_THRESHOLD = 0.99
"""The same in windows shorter than 0.3 s, which are too short to know a sound by: at 0.5 four of five would
get a tag, mostly a wrong one (`python benchmarks/short_sounds.py`)."""

Scores = namedtuple("Scores", "start end probabilities")
Scores.__doc__ = """A window's `start` and `end` in seconds and its `probabilities` (C,)."""


def score_samples(net: Any, samples: NDArray) -> NDArray:
    """Probabilities of one stretch of sound.

    Parameters
    ----------
    net : network
    samples : (n,) float32 array, n >= 1
        At the rate of the network's front end.  A constant offset changes nothing (see
        :meth:`acdref.features.front_ends.FrontEnd.window`).  Shorter than 10 s it is repeated up to 10 s: the
        network knows no shorter sequences.

    Returns
    -------
    (C,) array
    """
    front = front_end(net)
    return net.predict_proba(front.window(samples, round(WINDOW * front.rate))[None])[0]


def tag_threshold(seconds: float) -> float:
    """The score from which a class is a tag of so many seconds of sound, where nobody says otherwise.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    float

    Examples
    --------
    >>> tag_threshold(10.0), tag_threshold(0.084)
    (0.5, 0.99)
    """
    return SHORT_THRESHOLD if seconds < SHORT else THRESHOLD


def score_recording(
    net: Any,
    path: str | PathLike,
    window: float = WINDOW,
    hop: float | None = None,
    report: Callable[[str], object] | None = None,
) -> Iterator[Scores]:
    """Probabilities of a recording, window by window, in memory bounded by the window.

    Parameters
    ----------
    net : network
    path : str or path-like
    window, hop : float
        In seconds; hop defaults to the window.  The last window may be shorter (see `acdref.audio.blocks`).
    report : callable, optional
        Called with one line of text if the file ends early.

    Yields
    ------
    Scores

    Raises
    ------
    AudioError
        If the recording cannot be decoded.
    """
    return score_blocks(net, audio.blocks(path, front_end(net).rate, window, hop, report))


def score_blocks(net: Any, blocks: Iterable[audio.AudioBlock]) -> Iterator[Scores]:
    """Probabilities of windows of a recording, one by one; arguments as of :func:`score_samples`."""
    for block in blocks:
        yield Scores(block.start, block.end, score_samples(net, block.samples))


def mean_over_windows(windows: Iterable[Scores]) -> NDArray[np.float64]:
    """Probabilities of a recording: the mean over its windows, weighted by duration.

    Parameters
    ----------
    windows : iterable of Scores

    Returns
    -------
    (C,) float64 array

    Examples
    --------
    >>> mean_over_windows([Scores(0.0, 10.0, [0.2, 0.6]), Scores(10.0, 15.0, [0.5, 0.6])]).round(3)
    array([0.3, 0.6])
    """
    windows = list(windows)
    seconds = [window.end - window.start for window in windows]
    return np.average([window.probabilities for window in windows], axis=0, weights=seconds)


def score_manifest(
    net: Any, manifest: Manifest, on_failure: Callable | None = None, progress: Callable | None = None
) -> NDArray[np.float64]:
    """Probabilities of every recording of a manifest: the mean over its windows, weighted by duration.

    Parameters
    ----------
    net : network
    manifest : Manifest
    on_failure : callable, optional
        Called with the AudioError of each recording that cannot be decoded.
    progress : callable, optional
        Called with (done, count) after each recording.

    Returns
    -------
    (N, C) array
        NaN in the rows of recordings that cannot be decoded.
    """
    scores = np.full((len(manifest), len(manifest.classes)), np.nan)
    for i in range(len(manifest)):
        try:
            scores[i] = mean_over_windows(score_recording(net, manifest.file(i)))
        except AudioError as error:
            if on_failure is not None:
                on_failure(error)
        if progress is not None:
            progress(i + 1, len(manifest))
    return scores
