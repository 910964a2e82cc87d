"""Score recordings with a teacher: on all cores, resumable, one broken file costing one row."""

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterable
from os import PathLike

import numpy as np

from acdref.audio import decode as audio
from acdref.clap.frontends import MOST_TOKENS, spread
from acdref.clap.prompts import Prompts
from acdref.clap.scores import SCHEMA, TeacherScores
from acdref.clap.teacher import ClapTeacher
from acdref.errors import AcdrefError, AudioError, FileError
from acdref.files import beside
from acdref.matmul import matmul
from acdref.ops.threads import in_order
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
    if say is not None:
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
        for i, (path, mark, row) in enumerate(in_order(score.jobs(recordings), workers, 2 * workers)):
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
    for prompt in teacher.cut(itertools.chain(*prompts.classes.values(), prompts.background)):
        say(f"only the first {MOST_TOKENS} tokens of this prompt are read: {prompt!r}")


class _Scorer:
    """The row of a recording: where it is known, or to be made."""

    def __init__(self, teacher, embeds, journal, known, note):
        self.teacher, self.embeds, self.journal, self.known, self.note = teacher, embeds, journal, known, note
        self.count = 0

    def jobs(self, recordings):
        """For each recording, what answers (path, mark of its file, row or AudioError)."""
        for i, path in enumerate(recordings.paths):
            file = recordings.file(i)
            mark = stamp(file)
            if self.journal.has(path, mark):
                yield functools.partial(_known, path, mark, self.journal.get(path, None))
            elif mark is not None and path in self.known and self.known[path][0] == mark[0]:
                yield functools.partial(_known, path, mark, self.known[path][1])
            else:
                self.count += 1
                yield functools.partial(self._score, path, mark, file)

    def _score(self, path, mark, file):
        report = self.note and functools.partial(self.note, path)
        try:
            embed = self.teacher.embed_windows(_windows(file, self.teacher.front_end, report))
        except AudioError as error:
            return path, mark, error
        return path, mark, matmul(self.embeds, embed[:, None])[:, 0]


def _known(*answer):
    return answer


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
