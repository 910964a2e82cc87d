"""Scores of a whole set of recordings, one row each, as a file that :mod:`acdref.relabel.job` reads.

Hours of work: what is done stands in a journal, ``OUT.part``, from which a stopped job continues.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from acdref import __version__
from acdref.checkpoint import network_arrays, network_meta
from acdref.files import beside
from acdref.predict.scoring import WINDOW, score_means
from acdref.tables.journal import Journal, stamp
from acdref.tables.manifest import Manifest
from acdref.tables.scores import write_scores, writer


def score_set(
    net: Any,
    recordings: Manifest,
    classes: Sequence[str],
    out: str | PathLike,
    key: dict,
    window: float = WINDOW,
    hop: float | None = None,
    *,
    on_failure: Callable | None = None,
    progress: Callable | None = None,
    say: Callable | None = None,
    printed: Callable[[], str] | None = None,
    heard: Callable[[float], object] | None = None,
) -> int:
    """Score recordings into a file, or continue to.

    Parameters
    ----------
    net : network
    recordings : Manifest
        Its labels are not looked at.
    classes : sequence of str, (C,)
        Names of the network's outputs.
    out : str or path-like
        Ends in ``.npz`` or ``.csv``, see :mod:`acdref.tables.scores`; the ids are the manifest's paths.
    key : dict
        What else the scores depend on, JSON-able, such as :func:`network_key`.  A journal with another key
        (or window, hop, classes or version of acdref) is kept under another name, and one is begun anew.
    window, hop : float
        Seconds; of a recording the mean over its windows counts.
    on_failure : callable, optional
        Called with the AudioError of each recording that cannot be decoded; its scores are NaN.
    progress : callable, optional
        Called with (done, count) after each recording.
    say : callable, optional
        Called with one line of text about a journal that is continued or not, and about each recording with
        which something is wrong though it was used.
    printed : callable, optional
        As of :func:`acdref.predict.scoring.score_recordings`; what comes of it goes to `say`.
    heard : callable, optional
        Called with the seconds of each recording, before `progress`.

    Returns
    -------
    int
        How many recordings have scores.

    Raises
    ------
    FileError
        If the file or the journal cannot be written, or another run is writing it.

    Notes
    -----
    A recording is scored again if its size or time has changed since, or if it failed.  Continued or not,
    the file is the same, bit for bit.
    """
    writer(out, classes)  # complains now rather than in the end
    key = {"acdref": __version__, "classes": list(classes), "window": window, "hop": hop, **key}
    scored = 0
    with Journal(beside(out, ".part"), key, say) as journal:
        for i, found in enumerate(score_means(net, _unscored(recordings, journal), window, hop, printed)):
            path, now = found.recording
            if found.error is not None:
                now = None
                journal.forget(path)
                if on_failure is not None:
                    on_failure(found.error)
            elif found.scores is not None:
                journal.add(path, now, found.scores)
            if found.notes and say:
                say(f"{path}: {'; '.join(found.notes)}")
            if found.printed and say:
                say(f"{path}: its decoder complains: {found.printed}")
            scored += now is not None
            if heard is not None:
                heard(found.seconds)
            if progress is not None:
                progress(i + 1, len(recordings))
        unknown = np.full(len(classes), np.nan)
        rows = (journal.get(path, unknown) for path in recordings.paths)
        write_scores(out, recordings.paths, classes, rows)
        journal.remove()
    return scored


def _unscored(recordings, journal):
    """((path, state of the file), file to score, if the journal does not know it)."""
    for i, path in enumerate(recordings.paths):
        file = recordings.file(i)
        now = stamp(file)
        yield (path, now), None if journal.has(path, now) else file


def network_key(net: Any) -> dict[str, str]:
    """What the scores of a network depend on: its weights, what it is, and its backend."""
    digest = hashlib.sha256(json.dumps(network_meta(net, ())).encode())
    for name, array in sorted(network_arrays(net).items()):
        digest.update(name.encode() + array.tobytes())
    return {"network": digest.hexdigest(), "backend": net.backend}
