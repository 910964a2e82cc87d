"""Scores of recordings: windows through features and network, in bounded memory.

Of one recording, window by window (:func:`score_recording`), each shared among the threads; of many, a window
a thread, while the next are decoded (:func:`score_recordings`).  The scores are the same, bit for bit.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.audio import decode as audio
from acdref.audio.notes import SHORT
from acdref.checkpoint import THRESHOLD
from acdref.errors import AcdrefError, AudioError
from acdref.features.front_ends import front_end
from acdref.nets.network import Network
from acdref.ops.threads import get_threads, in_order
from acdref.options.labels import WINDOW
from acdref.predict.backend import Adaptive
from acdref.remote import ahead
from acdref.tables.manifest import Manifest

SHORT_THRESHOLD = 0.99
"""The score from which a class is a tag in windows shorter than 0.3 s, which are too short to know a sound
by: at 0.5 two of three would get a tag, oftener a wrong one (`python benchmarks/short_sounds.py`)."""

Scores = namedtuple("Scores", "start end probabilities")
Scores.__doc__ = """A window's `start` and `end` in seconds and its `probabilities` (C,)."""

Heard = namedtuple(
    "Heard", "number recording scores notes printed error seconds", defaults=(None, (), "", None, 0.0)
)
Heard.__doc__ = """Of a recording, known by its number: `scores` of a window; after the last None, and the
`error`, if there was one.  `notes` came, and its decoder has `printed`, since the window before."""

_AHEAD = 2
"""Windows of 10 s under way for each thread: one that is scored, one decoded."""


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

    Notes
    -----
    One or two periods would be less work than 10 s of repeated sound, but the probabilities would differ by
    up to 0.07 (`python benchmarks/repeated_sound.py`).
    """
    return _probabilities(net, net.predict_proba, samples)


def _probabilities(net, predict_proba, samples):
    front = front_end(net)
    return predict_proba(front.window(samples, _least(front))[None])[0]


def _least(front):
    """Samples up to which a window is repeated."""
    return round(WINDOW * front.rate)


def tag_thresholds(usual: ArrayLike = THRESHOLD) -> Callable[[float], NDArray[np.float64]]:
    """The scores from which classes are tags of so many seconds of sound, where nobody says otherwise.

    Parameters
    ----------
    usual : (C,) array_like or float
        Of windows of usual length, such as those of a weights file.

    Returns
    -------
    callable
        From the seconds of a window to thresholds (C,).

    Examples
    --------
    >>> thresholds = tag_thresholds([0.5, 0.3])
    >>> thresholds(10.0), thresholds(0.1)
    (array([0.5, 0.3]), array([0.99, 0.99]))
    """
    return lambda seconds: np.maximum(usual, SHORT_THRESHOLD if seconds < SHORT else 0.0)


USUAL = tag_thresholds()
"""Where there are no weights that say otherwise."""


def check_thresholds(by_class: Mapping[str, float]) -> None:
    """Refuse thresholds that no probability can be compared with: AcdrefError."""
    for name, value in by_class.items():
        if not 0 <= value <= 1:
            raise AcdrefError(f"the threshold of {name!r} must be a number from 0 to 1, not {value:g}")


def class_thresholds(
    classes: Sequence[str],
    by_class: Mapping[str, float],
    otherwise: ArrayLike | Callable[[float], ArrayLike] = USUAL,
) -> Callable[[float], NDArray[np.float64]]:
    """Thresholds of classes, of which some have their own.

    Parameters
    ----------
    classes : sequence of str, (C,)
    by_class : mapping from str to float
    otherwise : float or (C,) array_like, or callable
        What counts for the others; a callable says it for a window of so many seconds.

    Returns
    -------
    callable
        From the seconds of a window to thresholds (C,).

    Raises
    ------
    AcdrefError
        If there is a threshold for something that is no class, or one outside [0, 1].

    Examples
    --------
    >>> thresholds = class_thresholds(["dog", "alarm"], {"alarm": 0.3})
    >>> thresholds(10.0), thresholds(0.1)
    (array([0.5, 0.3]), array([0.99, 0.3 ]))
    """
    check_thresholds(by_class)
    for name in by_class:
        if name not in classes:
            raise AcdrefError(f"there is a threshold for {name!r}, which is none of {', '.join(classes)}")
    own = np.array([by_class.get(name, np.nan) for name in classes])

    def thresholds(seconds):
        rest = otherwise(seconds) if callable(otherwise) else otherwise
        return np.where(np.isnan(own), rest, own)  # (C,)

    return thresholds


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


def score_recordings(
    net: Any,
    recordings: Iterable[tuple[Any, str | None] | None],
    window: float = WINDOW,
    hop: float | None = None,
    printed: Callable[[], str] | None = None,
) -> Iterator[Heard]:
    """Probabilities of recordings in their order, several windows at a time, in bounded memory.

    Parameters
    ----------
    net : network
        One of :mod:`acdref.nets` is used by several threads; what else has a `predict_proba`, by one.
    recordings : iterable of (recording, path)
        `recording` is whatever the caller knows it by.  Without a path there is nothing to score.  None: what
        comes next may have to be waited for, and everything before is finished first.
    window, hop : float
        As of :func:`score_recording`.
    printed : callable, optional
        Called after each step of decoding for what libraries have printed.

    Yields
    ------
    Heard
        Of each recording its windows, and one more in the end.

    Notes
    -----
    Windows beyond 10 s are fewer at a time, and shared among the threads instead.  A network with a `far`
    leaves all of it to that (:func:`acdref.predict.remote.score_far`).
    """
    if getattr(net, "far", None) is not None:
        yield from net.far(net, recordings, window, hop)
        return
    several = isinstance(getattr(net, "net", net), Network)
    ahead = int(_AHEAD * get_threads() * WINDOW / window) if several else 1
    failed = None
    for heard in in_order(_jobs(net, recordings, window, hop, printed), get_threads(), ahead):
        if heard.number != failed:  # else it was begun before its recording failed
            failed = heard.number if heard.error else failed
            yield heard


def _jobs(net, recordings, window, hop, printed):
    """What :func:`score_recordings` has to do."""
    yield None  # the first window loads the kernels, or compiles them, and may be the only one
    for number, each in enumerate(ahead(recordings)):
        if each is None:
            yield None
        elif each[1] is None:
            yield partial(Heard, number, each[0])
        else:
            yield from _windows(net, Heard(number, each[0]), each[1], window, hop, printed)


def _windows(net, heard, path, window, hop, printed):
    """The same for one recording, whose windows are decoded when they are asked for."""
    front, error = front_end(net), None
    notes: list[str] = []

    def since(**found):
        now = heard._replace(notes=tuple(notes), printed=printed() if printed else "", **found)
        notes.clear()
        return now

    try:
        for block in audio.blocks(path, front.rate, window, hop, notes.append):
            if isinstance(net, Adaptive):
                if net.due:
                    yield None
                net.begin(front.steps(max(len(block.samples), _least(front))) * front.hop / front.rate)
            yield partial(_scored, net, since(scores=block))
    except (AudioError, MemoryError) as caught:
        error = caught
    yield partial(Heard, *since(error=error))


def _scored(net, heard):
    """What was heard, with scores in place of the window."""
    start, end, samples = heard.scores
    predict_proba = net.score if isinstance(net, Adaptive) else net.predict_proba
    try:
        return heard._replace(scores=Scores(start, end, _probabilities(net, predict_proba, samples)))
    except MemoryError as error:
        return heard._replace(scores=None, error=error)


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


def score_means(*arguments: Any) -> Iterator[Heard]:
    """Probabilities of recordings in their order, each the mean over its windows, weighted by duration.

    Parameters
    ----------
    arguments
        Of :func:`score_recordings`.

    Yields
    ------
    Heard
        One for each recording: `scores` (C,), all `notes`, the first that was `printed`, its `seconds`.

    Raises
    ------
    MemoryError
        If a recording has failed for that.
    """
    return (heard for heard, _ in _whole(*arguments))


def _whole(*arguments):
    """What :func:`score_means` yields, each with the Scores of its windows."""
    windows: list[Heard] = []
    for heard in score_recordings(*arguments):
        if heard.scores is not None:
            windows.append(heard)
            continue
        if isinstance(heard.error, MemoryError):
            raise heard.error
        scored = [each.scores for each in windows]
        means = mean_over_windows(scored) if windows and not heard.error else None
        every, windows = [*windows, heard], []
        notes = tuple(note for each in every for note in each.notes)
        printed = next(filter(None, (each.printed for each in every)), "")
        seconds = scored[-1].end if scored else 0.0
        yield heard._replace(scores=means, notes=notes, printed=printed, seconds=seconds), scored


def score_manifest(
    net: Any,
    manifest: Manifest,
    on_failure: Callable | None = None,
    progress: Callable | None = None,
    on_windows: Callable | None = None,
    window: float = WINDOW,
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
    on_windows : callable, optional
        Called with the number of each recording that was scored, and the Scores of its windows.
    window : float
        Seconds.

    Returns
    -------
    (N, C) array
        NaN in the rows of recordings that cannot be decoded.
    """
    scores = np.full((len(manifest), len(manifest.classes)), np.nan)
    files = ((i, manifest.file(i)) for i in range(len(manifest)))
    for i, (heard, windows) in enumerate(_whole(net, files, window)):
        if heard.error is None:
            scores[i] = heard.scores
            if on_windows is not None:
                on_windows(i, windows)
        elif on_failure is not None:
            on_failure(heard.error)
        if progress is not None:
            progress(i + 1, len(manifest))
    return scores
