"""Score recordings with a teacher: resumable, on all cores, one broken file costing one row."""

import collections
import concurrent.futures
import itertools
import os
from dataclasses import dataclass

import numpy as np

from acdref import audio
from acdref.clap.journal import Journal
from acdref.clap.scores import SCHEMA, TeacherScores
from acdref.errors import AcdrefError, AudioError, FileError
from acdref.matmul import matmul


@dataclass(frozen=True)
class Recording:
    """A recording to score: its name in the scores, and where it lies."""

    name: str
    file: str


def shard(items, part, parts):
    """One of `parts` pieces of a list, part = 1, ..., parts; joined in their order they are the list.

    Examples
    --------
    >>> [shard(list("abcde"), part, 2) for part in (1, 2)]
    [['a', 'b'], ['c', 'd', 'e']]
    """
    if not 1 <= part <= parts:
        raise AcdrefError(f"there is no part {part} of {parts}")
    return items[len(items) * (part - 1) // parts : len(items) * part // parts]


def teach(teacher, recordings, prompts, out, *, reuse=(), workers=1, progress=None, failed=None):
    """Score recordings and write the scores.

    Parameters
    ----------
    teacher : ClapTeacher
    recordings : sequence of Recording
    prompts : Prompts
    out : str or path-like
        See :mod:`acdref.clap.scores`.  While the work goes on its rows are in ``OUT.journal``, from which a
        job with the same model and prompts goes on; then that file vanishes.
    reuse : iterable of (str or path-like)
        Finished scores of the same model and prompts, whose rows are taken over: those of other machines, or
        of a smaller list.  A row belongs to a recording that has the same name and size in bytes.
    workers : int
        Recordings scored at a time, each on one core; the scores do not depend on it.
    progress : callable, optional
        Called with (done, count, scored in this run) after each recording.
    failed : callable, optional
        Called with (name, cause) of each recording that cannot be used.

    Returns
    -------
    TeacherScores

    Raises
    ------
    AcdrefError
        If there are no recordings, one is there twice, the teacher fails, or a file cannot be read or
        written.  What was scored before stays in the journal.
    """
    names = [recording.name for recording in recordings]
    if not names:
        raise AcdrefError("no recordings were given")
    if len(set(names)) < len(names):
        twice = next(name for name, count in collections.Counter(names).items() if count > 1)
        raise AcdrefError(f"{twice} is there twice")
    embeds = teacher.embed_prompts([*prompts.classes.values(), *prompts.background])
    key = {"schema": SCHEMA} | teacher.describe()
    key |= {"prompts": prompts.classes, "background": prompts.background}
    folder = os.path.dirname(os.path.abspath(out))
    if not os.path.isdir(folder):
        raise FileError(folder, "no such folder")
    with Journal(f"{os.fspath(out)}.journal", key) as journal:
        known = {row["path"]: row for row in [*_reused(reuse, key), *journal.rows]}
        rows = {}
        score = _Scorer(teacher, embeds)
        for recording, row in _in_order(score, recordings, known, workers):
            if row is not known.get(recording.name):
                journal.add(row)
            rows[recording.name] = row
            if row["bytes"] < 0 and failed is not None:
                failed(recording.name, row["note"])
            if progress is not None:
                progress(len(rows), len(names), score.count)
        scores = _scores([rows[name] for name in names], prompts, key | {"scale": _scale(teacher)}, out)
        scores.save(out)
        journal.remove()
    return scores


class _Scorer:
    def __init__(self, teacher, embeds):
        self.teacher, self.embeds = teacher, embeds
        self.count = 0

    def __call__(self, recording):
        """The row of a recording: cosines, or why there are none."""
        row = {"path": recording.name, "bytes": -1, "cosines": None, "note": ""}
        notes = []
        try:
            x = audio.load(recording.file, self.teacher.front_end.rate, notes.append)
            row["bytes"] = os.path.getsize(recording.file)
        except AudioError as error:
            return row | {"note": error.cause}
        except (OSError, MemoryError) as error:
            return row | {"note": getattr(error, "strerror", None) or "too long for the memory"}
        embed = self.teacher.embed_audio(x, self.teacher.front_end.rate)
        cosines = matmul(self.embeds, embed[:, None])[:, 0]
        return row | {"cosines": cosines.tolist(), "note": "; ".join(notes)}


def _in_order(score, recordings, known, workers):
    """(recording, row) of all, in their order, `workers` of them being worked on."""
    waiting = collections.deque()
    todo = iter(recordings)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                for recording in itertools.islice(todo, 2 * workers - len(waiting)):
                    row = known.get(recording.name)
                    if row is None or row["bytes"] != _size(recording.file):
                        row = pool.submit(score, recording)
                        score.count += 1
                    waiting.append((recording, row))
                if not waiting:
                    return
                recording, row = waiting.popleft()
                yield recording, row.result() if isinstance(row, concurrent.futures.Future) else row
        finally:
            pool.shutdown(cancel_futures=True)


def _size(path):
    """In bytes; None if the file cannot be used, so that it is tried again."""
    try:
        return os.path.getsize(path)
    except (OSError, ValueError):
        return None


def _reused(paths, key):
    for path in paths:
        scores = TeacherScores.load(path)
        # As JSON has them.
        wanted = {
            name: list(v) if isinstance(v, tuple) else v for name, v in key.items() if name != "prompts"
        }
        wanted["prompts"] = {name: list(texts) for name, texts in key["prompts"].items()}
        differing = sorted(name for name in wanted if scores.meta.get(name) != wanted[name])
        if differing:
            raise FileError(path, f"scores of a job with another {', '.join(differing)} cannot be taken over")
        columns = np.concatenate([scores.cosines, scores.background_cosines], axis=1).tolist()
        for name, size, cosines, note in zip(
            scores.paths, scores.bytes.tolist(), columns, scores.notes, strict=True
        ):
            if size >= 0:
                yield {"path": name, "bytes": size, "cosines": cosines, "note": note}


def _scale(teacher):
    """The model's scale, or None: the cosines are worth keeping without it."""
    try:
        return teacher.scale
    except AcdrefError:
        return None


def _scores(rows, prompts, meta, out):
    width = len(prompts.classes) + len(prompts.background)
    cosines = np.full((len(rows), width), np.nan)
    for i, row in enumerate(rows):
        if row["cosines"] is not None:
            cosines[i] = row["cosines"]
    return TeacherScores(
        paths=tuple(row["path"] for row in rows),
        classes=tuple(prompts.classes),
        cosines=cosines[:, : len(prompts.classes)],
        background=prompts.background,
        background_cosines=cosines[:, len(prompts.classes) :],
        bytes=np.array([row["bytes"] for row in rows], dtype=np.int64),
        notes=tuple(row["note"] for row in rows),
        meta=meta,
        source=os.fspath(out),
    )
