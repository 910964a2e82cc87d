"""Tags of recordings: files and folders in, scores of windows out, one at a time.

A recording that cannot be used costs one :class:`Failure` and never the others.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from acdref.predict.scoring import WINDOW, Scores, score_recordings
from acdref.remote import is_address
from acdref.tables.walk import PassedOver, find_audio, is_folder

Say = Callable[[str], object] | None


class Window(namedtuple("Window", "path start end scores note")):
    """Scores of one window of a recording.

    `start` and `end` in seconds; `scores` (C,) probabilities; `note` says what is wrong with the recording
    though it was used (in its last window, if it ends early), else None.
    """

    __slots__ = ()


class Failure(namedtuple("Failure", "path error")):
    """A recording or folder that cannot be used, or not from some point on, and why."""

    __slots__ = ()


class End(namedtuple("End", "path")):
    """After the last window of a recording that could be used to its end."""

    __slots__ = ()


def predict(
    net: Any,
    paths: Iterable[str | Iterable[str]],
    window: float = WINDOW,
    hop: float | None = None,
    say: Say = None,
    printed: Callable[[], str] | None = None,
    ends: bool = False,
) -> Iterator[Any]:
    """Score recordings.

    Parameters
    ----------
    net : network
    paths : iterable of str, or of iterables of str
        Files and folders (see :func:`recordings`).  Those of an iterator are taken one after the other as
        results are asked for; those of a sequence, and what a folder holds, a little ahead.
    window : float
        Seconds scored at a time.  The last window of a recording may be shorter; what is shorter than 10 s is
        repeated up to 10 s.
    hop : float, optional
        Seconds from the start of a window to the start of the next.  Default: `window`.
    say : callable, optional
        As of :func:`recordings`; called also with what comes of `printed`.
    printed : callable, optional
        As of :func:`acdref.predict.scoring.score_recordings`.
    ends : bool
        Whether an End follows the windows of each recording that does not fail.

    Yields
    ------
    Window, Failure or End
        Windows in their order; a Failure in place of a recording, or after the windows before the damage.

    Raises
    ------
    ValueError
        If `window` or `hop` holds no sample.

    Examples
    --------
    >>> from acdref.nets import ACDNet
    >>> for result in predict(ACDNet(), ["missing.wav"]):
    ...     print(result)
    Failure(path='missing.wav', error='no such file')
    """
    say = say or (lambda text: None)
    told: list[str] = []
    every = map(_to_score, recordings(_asked(paths), told.append))
    for heard in score_recordings(net, every, window, hop, printed):
        found = heard.recording
        if heard.printed:
            say(f"{found}: its decoder complains: {heard.printed}")
        if isinstance(heard.error, MemoryError):
            yield Failure(found, "this machine has not enough memory for its windows")
        elif heard.error is not None:
            yield Failure(found, heard.error.cause)
        elif heard.scores is not None:
            yield from windows(found, [heard.scores], list(heard.notes))
        elif isinstance(found, Failure):
            yield found
        elif ends:
            yield End(found)
    for text in told:
        say(text)


def _asked(paths):
    """Paths, and None wherever the next may have to be waited for."""
    if isinstance(paths, Sequence):
        yield from paths
        return
    for some in paths:
        yield from [some] if isinstance(some, str) else some
        yield None


def _to_score(found):
    """What :func:`recordings` finds, as :func:`acdref.predict.scoring.score_recordings` wants it."""
    return None if found is None else (found, None if isinstance(found, Failure) else found)


def windows(path: str, scored: Iterable[Scores], notes: list[str]) -> Iterator[Window]:
    """Windows of a recording, each with the notes that came since the one before, which are taken away."""
    for scores in scored:
        note = "; ".join(notes) or None
        notes.clear()
        yield Window(path, scores.start, scores.end, scores.probabilities, note)


def only(results: Iterable[Any], columns: Sequence[int]) -> Iterator[Any]:
    """Results with these columns of the scores, in this order."""
    for result in results:
        if isinstance(result, Window):
            result = result._replace(scores=[result.scores[c] for c in columns])  # (C,)
        yield result


def recordings(paths: Iterable[str | None], say: Say = None) -> Iterator[str | Failure | None]:
    """Find the recordings in folders.

    Parameters
    ----------
    paths : iterable of str
        A folder stands for the recordings that :func:`acdref.tables.walk.find_audio` finds in it, sorted.
        Anything else stands for itself, whatever its name, and None, too.
    say : callable, optional
        Called in the end with one line of text about what the folders hold besides recordings.

    Yields
    ------
    str or Failure
        A Failure for a folder without recordings, and for a folder that cannot be listed.
    """
    passed = PassedOver()
    for path in paths:
        if path is not None and is_folder(path):
            yield from _in_folder(path, passed)
        else:
            yield path
    if say and str(passed):
        say(str(passed))


def _in_folder(folder, passed):
    unlisted, path = [], None
    for path in find_audio(folder, unlisted.append, passed):
        yield path
    for error in unlisted:
        cause = error.strerror or str(error)
        yield Failure(error.filename, cause if is_address(folder) else cause.lower())
    if path is None and not unlisted:
        yield Failure(folder, "no recordings in this folder (files that end in .wav, .flac, .mp3 and so on)")
