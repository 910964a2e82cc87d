"""Scores of a whole set of recordings, one row each, as a file that :mod:`acdref.relabel.job` reads.

Hours of work: what is done stands in a journal, ``OUT.part``, from which a stopped job continues.
"""

import contextlib
import hashlib
import json
import os

import numpy as np

from acdref.checkpoint import network_arrays, network_meta
from acdref.errors import AudioError, FileError
from acdref.predict.scoring import WINDOW, mean_over_windows, score_recording
from acdref.tables.scores import write_scores, writer

SCHEMA = "acdref.journal/1"


def score_set(
    net, recordings, classes, out, key, window=WINDOW, hop=None, *, on_failure=None, progress=None, say=None
):
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
        (or window, hop or classes) is not continued but begun anew.
    window, hop : float
        Seconds; of a recording the mean over its windows counts.
    on_failure : callable, optional
        Called with the AudioError of each recording that cannot be decoded; its scores are NaN.
    progress : callable, optional
        Called with (done, count) after each recording.
    say : callable, optional
        Called with one line of text about a journal that is continued or not.

    Returns
    -------
    int
        How many recordings have scores.

    Raises
    ------
    FileError
        If the file or the journal cannot be written.

    Notes
    -----
    A recording is scored again if its size or time has changed since, or if it failed.  Continued or not,
    the file is the same, bit for bit.
    """
    writer(out, classes)  # complains now rather than in the end
    key = {"classes": list(classes), "window": window, "hop": hop, **key}
    scored = 0
    with Journal(f"{os.fspath(out)}.part", key, say) as journal:
        for i, path in enumerate(recordings.paths):
            file = recordings.file(i)
            now = stamp(file)
            if not journal.has(path, now):
                try:
                    journal.add(path, now, mean_over_windows(score_recording(net, file, window, hop)))
                except AudioError as error:
                    now = None
                    journal.forget(path)
                    if on_failure is not None:
                        on_failure(error)
            scored += now is not None
            if progress is not None:
                progress(i + 1, len(recordings))
        unknown = np.full(len(classes), np.nan)
        rows = (journal.get(path, unknown) for path in recordings.paths)
        write_scores(out, recordings.paths, classes, rows)
        journal.remove()
    return scored


def network_key(net):
    """What the scores of a network depend on: its weights, what it is, and its backend."""
    digest = hashlib.sha256(json.dumps(network_meta(net, ())).encode())
    for name, array in sorted(network_arrays(net).items()):
        digest.update(name.encode() + array.tobytes())
    return {"network": digest.hexdigest(), "backend": net.backend}


class Journal:
    """Scores of recordings as they come, in a file that survives the process.

    Parameters
    ----------
    path : str
    key : dict
        A file with another key is begun anew.
    say : callable, optional
        Called with one line of text if there is a file already.

    Raises
    ------
    FileError
        If the file cannot be written.
    """

    def __init__(self, path, key, say=None):
        self.path = path
        head = {"schema": SCHEMA, "key": hashlib.sha256(json.dumps(key).encode()).hexdigest()}
        self._head = json.dumps(head).encode() + b"\n"
        self._say = say or (lambda text: None)
        self._stamps = {}
        self._places = {}  # in the file: what is in memory does not grow with the classes

    def __enter__(self):
        try:
            self._file = open(self.path, "a+b")
            self._read()
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None
        return self

    def __exit__(self, *_):
        self._file.close()

    def has(self, name, stamp):
        """Whether there are scores of this recording as it is now."""
        return name in self._places and self._stamps[name] == stamp

    def add(self, name, stamp, scores):
        """Write the scores of a recording."""
        entry = {"name": name, "stamp": stamp, "scores": [float(score) for score in scores]}
        try:
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            self._places[name], self._stamps[name] = place, stamp
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None

    def forget(self, name):
        """Have no scores of this recording."""
        self._places.pop(name, None)

    def get(self, name, default):
        """The scores of a recording, (C,)."""
        if name not in self._places:
            return default
        self._file.seek(self._places[name])
        return np.array(json.loads(self._file.readline())["scores"])

    def remove(self):
        """Delete the file, whose work is done."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _read(self):
        """Find what is there, cut off what a killed process left unfinished."""
        self._file.seek(0)
        head = self._file.readline()
        if head and head != self._head:
            self._say(f"{self.path}: of other weights or options; starting anew")
        if head != self._head:
            self._file.truncate(0)
            self._file.write(self._head)
            self._file.flush()
            return
        end = len(head)
        for line in self._file:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
                self._stamps[entry["name"]] = entry["stamp"]
                self._places[entry["name"]] = end
            except (ValueError, TypeError, KeyError):
                break
            end += len(line)
        self._file.truncate(end)
        if self._places:
            self._say(f"continuing after {len(self._places)} recordings")


def stamp(file):
    """Size and time of a file; None if there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
