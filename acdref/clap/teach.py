"""Score recordings with a teacher: on all cores, resumable, one broken file costing one row."""

import functools
import io
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any

import numpy as np

from acdref.audio import decode as audio
from acdref.clap.frontends import MOST_TOKENS, spread
from acdref.clap.prompts import Prompts
from acdref.clap.scores import SCHEMA, TeacherScores
from acdref.clap.teacher import ClapTeacher
from acdref.cluster import Cluster, Do, Lost, Task
from acdref.errors import AcdrefError, AudioError, FileError, TeacherError
from acdref.files import beside
from acdref.matmul import matmul
from acdref.ops.threads import in_order
from acdref.remote import absolute
from acdref.tables.journal import Journal, stamp
from acdref.tables.manifest import Manifest

_HELD = 60  # windows of a recording: ten minutes at 48 kHz are 115 MB


def shard(recordings: Manifest, part: int, parts: int) -> Manifest:
    """One of `parts` pieces of a manifest, part = 1, ..., parts.

    Parameters
    ----------
    recordings : Manifest
    part, parts : int

    Returns
    -------
    Manifest
        Consecutive recordings; the pieces differ in length by at most one.

    Raises
    ------
    AcdrefError
        If there is no such part, or nothing in it.
    """
    if not 1 <= part <= parts:
        raise AcdrefError(f"there is no part {part} of {parts}")
    n = len(recordings)
    piece = range(n * (part - 1) // parts, n * part // parts)
    if not piece:
        raise AcdrefError(f"part {part} of {parts} is empty: there are {n} recordings")
    return recordings.select(piece)


def teach(
    teacher: ClapTeacher,
    recordings: Manifest,
    prompts: Prompts,
    out: str | PathLike,
    *,
    reuse: Iterable[str | PathLike] = (),
    workers: int = 1,
    cluster: Cluster | None = None,
    on_failure: Callable | None = None,
    note: Callable | None = None,
    progress: Callable | None = None,
    say: Callable | None = None,
) -> TeacherScores:
    """Score recordings and write the scores.

    Parameters
    ----------
    teacher : ClapTeacher
    recordings : Manifest
        Its labels are not looked at.
    prompts : Prompts
    out : str or path-like
        See :mod:`acdref.clap.scores`.  While the work goes on, its rows are in ``OUT.part``, from which a
        stopped job with the same model and prompts continues.
    reuse : iterable of (str or path-like)
        Finished scores of the same model and prompts, whose rows are taken over: those of other machines, or
        of a smaller set.  A row belongs to a recording of the same path and size in bytes.
    workers : int
        Recordings scored at a time, each on one core; the scores do not depend on it.
    cluster : Cluster, optional
        Whose workers score them instead, each with the teacher's bundle in the same folder.
    on_failure : callable, optional
        Called with the AudioError of each recording that cannot be used; its scores are NaN.
    note : callable, optional
        Called with (path, one line of text) about a recording that was used though something is wrong.
    progress : callable, optional
        Called with (done, count, seconds left or None, recordings per second or None) after each recording.
    say : callable, optional
        Called with one line of text about a journal that is continued or not, and about a prompt that is cut.

    Returns
    -------
    TeacherScores

    Raises
    ------
    AcdrefError
        If the teacher fails, or a file cannot be read or written.  What was scored before stays in the
        journal.
    """
    embeds = teacher.embed_prompts([*prompts.classes.values(), *prompts.background])
    _tell_of_cut(teacher, prompts, say)
    meta = {"schema": SCHEMA} | teacher.describe()
    meta |= {"prompts": {name: list(texts) for name, texts in prompts.classes.items()}}
    meta |= {"background": list(prompts.background), "template": prompts.template}
    known = _taken_over(reuse, meta)
    cosines = np.full((len(recordings), len(embeds)), np.nan)
    sizes = np.full(len(recordings), -1, dtype=np.int64)
    notes = [""] * len(recordings)
    start = time.monotonic()
    with Journal(beside(out, ".part"), meta, say) as journal:
        score = _Scorer(teacher, embeds, journal, known, note)
        for i, (path, mark, row) in enumerate(score.answers(recordings, workers, cluster)):
            if isinstance(row, AudioError):
                journal.forget(path)
                notes[i] = row.cause
                if on_failure is not None:
                    on_failure(row)
            else:
                if not journal.has(path, mark):
                    journal.add(path, mark, row)
                cosines[i], sizes[i] = row, mark[0]
            if progress is not None:
                progress(i + 1, len(recordings), *_pace(start, score.count, len(recordings) - i - 1))
        scores = TeacherScores(
            paths=recordings.paths,
            classes=tuple(prompts.classes),
            cosines=cosines[:, : len(prompts.classes)],
            background=prompts.background,
            background_cosines=cosines[:, len(prompts.classes) :],
            bytes=sizes,
            notes=tuple(notes),
            meta=meta | {"scale": _scale(teacher)},
            source=os.fspath(out),
        )
        scores.save(out)
        journal.remove()
    return scores


def _tell_of_cut(teacher, prompts, say):
    """Name the prompts that are too long for the model."""
    every = itertools.chain(*prompts.classes.values(), prompts.background)
    for prompt in teacher.cut(every) if say is not None else ():
        say(f"only the first {MOST_TOKENS} tokens of this prompt are read: {prompt!r}")


class _Scorer:
    """The row of a recording: where it is known, or to be made."""

    def __init__(self, teacher, embeds, journal, known, note):
        self.teacher, self.embeds, self.journal, self.known, self.note = teacher, embeds, journal, known, note
        self.count = 0

    def answers(self, recordings, workers, cluster):
        """For each recording (path, mark of its file, row or AudioError)."""
        if cluster is not None:
            return self._far(cluster, recordings)
        files = self._files(recordings)
        jobs = (functools.partial(self._score, *known, file) for known, file in files)
        return in_order(jobs, workers, 2 * workers)

    def _files(self, recordings):
        """For each recording (path, mark of its file, row or None), and the file, None if that is known."""
        for i, path in enumerate(recordings.paths):
            file = recordings.file(i)
            mark = stamp(file)
            if self.journal.has(path, mark):
                yield (path, mark, self.journal.get(path, None)), None
            elif mark is not None and path in self.known and self.known[path][0] == mark[0]:
                yield (path, mark, self.known[path][1]), None
            else:
                self.count += 1
                yield (path, mark, None), file

    def _score(self, path, mark, row, file):
        if file is None:
            return path, mark, row
        report = self.note and functools.partial(self.note, path)
        try:
            return path, mark, _row(self.teacher, self.embeds, file, report)
        except AudioError as error:
            return path, mark, error

    def _far(self, cluster, recordings):
        """The same by the workers of a cluster."""
        array = io.BytesIO()
        np.save(array, self.embeds)
        bundle = self.teacher.bundle
        options = {"bundle": os.path.abspath(bundle.directory), "precision": bundle.precision}
        options["teacher"] = self.teacher.describe()
        task = Task(f"{__name__}:listener", options, array.getvalue())
        files = (((*known, file), file and absolute(file)) for known, file in self._files(recordings))
        for (path, mark, row, file), answer in cluster.in_order(task, files):
            if isinstance(answer, Lost):
                row = AudioError(file, answer.cause)
            elif answer is not None:
                about, row = answer
                for text in about["notes"] if self.note else ():
                    self.note(path, text)
                row = AudioError(file, about["error"]) if row is None else row
            yield path, mark, row


def listener(options: dict[str, Any], data: bytes) -> Do:
    """What compares recordings with prompts, of the options and data of a job, in the worker of a cluster.

    Raises
    ------
    AcdrefError
        If the bundle is not there, or its numbers would be others.
    """
    teacher = ClapTeacher.open(options["bundle"], precision=options["precision"])
    here = json.loads(json.dumps(teacher.describe()))
    for name, wanted in options["teacher"].items():
        if here[name] != wanted:
            cause = f"{name} is {here[name]} here, and {wanted} where the job was begun"
            raise TeacherError(options["bundle"], cause)
    return functools.partial(_rows, teacher, np.load(io.BytesIO(data), allow_pickle=False))


def _rows(teacher, embeds, files):
    for file in files:
        notes: list[str] = []
        try:
            row, cause = _row(teacher, embeds, file, notes.append), None
        except AudioError as error:
            row, cause = None, error.cause
        yield {"notes": notes, "error": cause}, row


def _row(teacher, embeds, file, report):
    """Cosines (C,) of a recording with prompts, whose embeddings are (C, D)."""
    embed = teacher.embed_windows(_windows(file, teacher.front_end, report))
    return matmul(embeds, embed[:, None])[:, 0]


def _windows(file, front_end, report):
    """The windows of a recording, in memory that does not grow with its length.

    Where they begin depends on the number of samples, which is known when all are decoded: what a header says
    may be wrong.  So what is too long to be held is decoded a second time.
    """

    def pieces(report=None):
        seconds = front_end.samples / front_end.rate
        return (block.samples for block in audio.blocks(file, front_end.rate, seconds, report=report))

    held, n = [], 0
    for piece in pieces(report):
        n += len(piece)
        if n <= _HELD * front_end.samples:
            held.append(piece)
        else:
            held.clear()
    return spread(held or _again(file, pieces(), n), n, front_end.samples)


def _again(file, pieces, n):
    """Pieces of altogether n samples; AudioError if they are more or fewer."""
    for piece in pieces:
        n -= len(piece)
        if n < 0:
            break
        yield piece
    if n:
        raise AudioError(file, "changed while it was being read")


def _taken_over(files, meta):
    """Path to (size, row) of the recordings in finished scores."""
    rows = {}
    for file in files:
        scores = TeacherScores.load(file)
        differing = sorted(name for name in meta if scores.meta.get(name) != meta[name])
        if differing:
            raise FileError(file, f"cannot be taken over: its job had another {', '.join(differing)}")
        columns = np.concatenate([scores.cosines, scores.background_cosines], axis=1)
        every = zip(scores.paths, scores.bytes.tolist(), columns, strict=True)
        rows |= {path: (size, row) for path, size, row in every if size >= 0}
    return rows


def _scale(teacher):
    """The model's logit scale, or None: cosines are worth keeping without it."""
    try:
        return teacher.scale
    except AcdrefError:
        return None


def _pace(start, scored, left):
    """(seconds left, recordings per second) from what this run has scored, None where that is nothing."""
    if not scored:
        return None, None
    rate = scored / max(time.monotonic() - start, 1e-9)
    return left / rate, rate
