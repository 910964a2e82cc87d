"""Relabel a whole label file: ontology, mapping, teacher and framing, in their order, clip by clip.

The steps are the functions of :mod:`acdref.labels`, here applied to files of any length: a few hundred clips
are in memory at a time, and what a step needs to know of all clips (thresholds by class) is found in passes
over the file before.  Whatever was asked for is done in this order:

1. ``expand`` or ``mask_children``, over all nodes of the ontology;
2. the mapping: projection to a vocabulary, or super-classes;
3. ``zero_shot``; or ``correct``, then ``percentile``, then ``mean_threshold``, each on the labels that the
   one before left;
4. ``frame``: events to labels of frames.
"""

import contextlib
import functools
import itertools
from collections.abc import Callable, Sequence
from os import PathLike
from types import SimpleNamespace

import numpy as np

from acdref import labels
from acdref.clap.scores import TeacherScores
from acdref.errors import AcdrefError, FileError
from acdref.files import refuse_inputs
from acdref.relabel.report import SCHEMA, Frames, Report
from acdref.relabel.steps import Steps
from acdref.tables.columns import Columns
from acdref.tables.file_names import FilePattern, FoundClips
from acdref.tables.label_files import HOLDS_UNKNOWN, AbsentLabels, Clip, LabelFile, refusing_repeats, writing
from acdref.tables.rows import names_text
from acdref.tables.scores import ScoreFile
from acdref.tables.statistics import exact_means, exact_quantiles

File = str | PathLike

_CHUNK = 256  # clips: their label matrix stays in the processor's cache
_QUANTILES = {"median": 0.5, "p25": 0.25, "p10": 0.10, "p5": 0.05}


def relabel(
    source: File,
    out: File,
    steps: Steps,
    scores: File | None = None,
    *,
    absent: File | None = None,
    format: str | None = None,
    to: str | None = None,
    unknown_out: File | None = None,
    classes: Sequence[str] | None = None,
    file_pattern: str | None = None,
    root: File | None = None,
    progress: Callable[[int], None] | None = None,
    say: Callable[[str], object] | None = None,
) -> Report:
    """Relabel a label file.

    Parameters
    ----------
    source, out : str or path-like
        `out` appears when all is done, and must not be one of the other files.
    steps : Steps
    scores : str or path-like, optional
        The teacher's scores, see :mod:`acdref.tables.scores`.
    absent : str or path-like, optional
        Explicit negatives for the step ``frame``, see :class:`acdref.tables.label_files.AbsentLabels`.  Where
        a class has events in the clip, these win.
    format : str, optional
        Of `source`, see :mod:`acdref.tables.label_files`; recognised by default.
    to : {"manifest"}, optional
        Of `out`; by default as `source`, and framed labels after the step ``frame``.
    unknown_out : str or path-like, optional
        For AudioSet's segments and FSD50K, which hold no unknown labels: a second file of that format, which
        lists the unknown labels of each clip in place of the positive ones.
    classes : sequence of str, optional
        The classes, where there is neither ontology nor vocabulary; by default those that occur.
    file_pattern : str, optional
        For a manifest: the names of the clips' files, see :class:`acdref.tables.file_names.FilePattern`.
    root : str or path-like, optional
        With `file_pattern`, the folder of these files: clips whose file is not there are left out.
    progress : callable, optional
        Called with the number of clips written, again and again; 0 while thresholds are found.
    say : callable, optional
        Called with one line about each thing that looks wrong and stops nothing.

    Returns
    -------
    Report

    Raises
    ------
    AcdrefError
        If the steps do not fit the file, or it or another cannot be read or written.
    """
    for output in (out, unknown_out):
        refuse_inputs(output, source, scores, absent)
    job = _Job(_opened(source, format, file_pattern, root), steps, scores, absent, to, unknown_out, classes)
    job.progress = progress
    job.fit()
    report = job.write(out, unknown_out)
    report.missing = job.missing
    _tell(job, report.frames, say)
    return report


def check(
    source: File,
    steps: Steps,
    scores: File | None = None,
    *,
    absent: File | None = None,
    format: str | None = None,
    classes: Sequence[str] | None = None,
    file_pattern: str | None = None,
    root: File | None = None,
    say: Callable[[str], object] | None = None,
) -> dict:
    """Read the files of a job to their end, and write nothing.

    Parameters are those of :func:`relabel`.

    Returns
    -------
    dict
        ``schema, format, clips, labels, per_clip, unknown, classes`` (those that occur), ``not_classes``
        (labels that are no class), ``scored`` (classes with scores), and with `root` ``files_missing``; the
        others count only clips with a file then.

    Raises
    ------
    AcdrefError
        As :func:`relabel`.
    """
    file = _opened(source, format, file_pattern, root)
    job = _Job(file, steps, scores, absent, None, None, classes, writes=False)
    if job.scores is not None:
        take = job.scores.beside()
        for clips in _chunks(job.file):
            take(clips)
    frames = None if steps.frame is None else _frames_of(steps)
    with job.absent_beside() as take:
        for clip in job.file:
            take(clip)
            if frames is not None:
                frames.add(clip.id, *job.without_frame(clip))
    _tell(job, frames, say)
    return {
        "schema": SCHEMA,
        "format": job.file.format,
        "clips": job.found.clips,
        "labels": job.found.present,
        "per_clip": job.found.present / max(job.found.clips, 1),
        "unknown": job.found.unknown,
        "classes": len(job.found.labels),
        "not_classes": sorted(job.columns.strangers),
        "scored": 0 if job.scores is None else int((job.score_column >= 0).sum()),
        **({} if job.missing is None else {"files_missing": job.missing}),
    }


def _opened(source, format, file_pattern, root):
    """The label file, of which clips without a file are left out if there is a folder to look in."""
    if file_pattern is not None:
        return FoundClips(source, format, FilePattern(file_pattern), root)
    if root is not None:
        raise AcdrefError("a folder to look for files in (--root) goes with --file-pattern")
    return LabelFile(source, format)


def _tell(job, frames, say):
    """Say what looks wrong in the files, and what the frames lost."""
    lost = frames and frames.note()
    for note in job.notes + ([f"{job.file.path}: {lost}"] if lost else []):
        if say is not None:
            say(note)


def _frames_of(steps):
    """A count of the events that the step frame loses, of nothing yet."""
    return Frames(steps.frame.get("duration", 10.0))


def _contents(file):
    """How many clips and labels a file holds, and which labels, with the line of each one's first clip."""
    found = SimpleNamespace(labels={}, clips=0, present=0, unknown=0)
    for clip in refusing_repeats(file, file.path, file.format):
        found.clips += 1
        found.present += len(clip.present)
        found.unknown += len(clip.unknown)
        for label in itertools.chain(clip.present, clip.unknown, clip.absent or ()):
            found.labels.setdefault(label, clip.line_of(label))
    return found


class _Job:
    """A file, its classes, and the steps with their thresholds."""

    def __init__(self, file, steps, scores, absent, to, unknown_out, classes, writes=True):
        self.file, self.steps = file, steps
        self.named = isinstance(file, FoundClips)
        self.format = to or ("framed" if steps.frame is not None else self.file.format)
        self.by_event = self.format in ("strong", "framed") and self.file.format == "strong"
        self._check_fit(scores, absent, unknown_out, writes)
        self.found, self.notes = _contents(self.file), []
        self.missing = file.missing if self.named and file.root is not None else None
        self._note_missing()
        self.absent = None if absent is None else AbsentLabels(absent)
        self.scores = None if scores is None else _open_scores(scores, steps, self.notes)
        if classes is None and steps.zero_shot is not None:
            # What the teacher knows, whether or not the file has any label yet.
            classes = list(dict.fromkeys([*self.scores.classes, *self.found.labels]))
        self.columns = self._columns(classes)
        if self.scores is not None:
            self.score_column = self.columns.find(self.scores.classes)
            if (self.score_column < 0).all():
                cause = f"none of its classes ({_some(self.scores.classes)}) is one of the labels' classes"
                raise FileError(self.scores.path, f"{cause} ({_some(self.columns.spelled)})")
            self._note_strangers()
        self.thresholds, self.progress, self.written = {}, None, 0
        if self.by_event:
            reached = self._mapped(self._expanded(np.eye(len(self.columns.ids)))) == 1
            self.reached = [np.flatnonzero(row) for row in reached]

    def _columns(self, classes):
        steps, found = self.steps, self.found.labels
        absent = {} if self.absent is None else self.absent.labels
        given = steps.ontology or steps.vocabulary or classes
        if not given or steps.unknown == "isolate":
            found, absent = absent | found, {}
        columns = Columns(self.file.path, found, steps, classes)
        for label, line in absent.items():
            if columns.column_of(label) is None and steps.unknown == "raise":
                raise FileError(self.absent.path, f"line {line}: the label {label!r} is no known class")
        return columns

    def _note_missing(self):
        """Clips whose file is not there; it is an error if that is so for all."""
        if not self.missing:
            return
        example, every = self.file.example, self.found.clips + self.missing
        if not self.found.clips:
            raise FileError(self.file.root, f"has the file of none of the {every} clips, such as {example}")
        cause = f"{self.missing} of {every} clips have no file there and are left out, such as {example}"
        self.notes.append(f"{self.file.root}: {cause}")

    def _note_strangers(self):
        """Scores for no class, and labels without scores."""
        columns, path = self.columns, self.scores.path
        strange = [
            name for name, known in zip(self.scores.classes, self._known_scores(), strict=True) if not known
        ]
        if strange:
            self.notes.append(f"{path}: scores that are of no class, and say nothing: {_some(strange)}")
        rows = [columns.column_of(label) for label in self.found.labels]
        present = np.zeros((1, len(columns.ids)))
        present[0, [c for c in rows if c is not None]] = 1.0
        silent = np.flatnonzero((self._mapped(present)[0] == 1) & (self.score_column < 0))
        if len(silent):
            names = [columns.spelled[c] for c in silent]
            self.notes.append(f"{path}: classes of the labels that have no scores, and stay: {_some(names)}")

    def _known_scores(self):
        known = {*self.columns.out_ids, *self.columns.out_names}
        return [name in known for name in self.scores.classes]

    def _check_fit(self, scores, absent, unknown_out, writes):
        steps, form, holds = self.steps, self.file.format, self.format in HOLDS_UNKNOWN
        unfit = functools.partial(FileError, self.file.path)
        teachers = "correct, percentile, mean-threshold and zero-shot need"
        if absent is not None and steps.frame is None:
            raise AcdrefError("explicit negatives (--absent) go with the step frame")
        if steps.need_scores and scores is None:
            raise AcdrefError(f"{teachers} the teacher's scores (--scores)")
        if steps.frame is not None and form != "strong":
            raise unfit(f"frame needs events (format strong), not {form}")
        if steps.need_scores and (self.by_event or form == "framed"):
            raise unfit(f"{teachers} labels of whole clips")
        if self.by_event and steps.mask_children:
            raise unfit("mask-children needs labels of clips: events cannot be unknown (--to manifest)")
        if form == "framed" and self.format == "manifest":
            raise unfit("a manifest holds labels of whole clips, not of frames")
        if self.named and writes and self.format != "manifest":
            raise AcdrefError("files' names (--file-pattern) are for a manifest (--to manifest)")
        if unknown_out is not None and holds:
            raise AcdrefError(f"{self.format} files hold unknown labels themselves: no second file is needed")
        if writes and steps.make_unknown and not holds and unknown_out is None:
            places = "write a manifest (--to manifest), or a second file for them (--unknown-out)"
            raise AcdrefError(f"{self.format} files hold no unknown labels: {places}")

    # The steps, on label matrices -----------------------------------------------------------------------

    def _expanded(self, y):
        if self.file.format != "framed":
            return self._by_ontology(y)
        # Pairs that are not listed pass nothing on, or else no negative above them would stay.
        unlisted = np.isnan(y)
        y = self._by_ontology(np.where(unlisted, 0.0, y))
        return np.where(unlisted & (y == 0), np.nan, y)

    def _by_ontology(self, y):
        if self.steps.mask_children:
            return self.columns.ontology.children_mask(y)
        return self.columns.ontology.parent_expand(y) if self.steps.expand else y

    def _mapped(self, y):
        if self.columns.projection is not None:
            return y[:, self.columns.projection]
        if self.steps.superclasses is not None:
            # A member without column was reported where the columns were made.
            return self.steps.superclasses.map(y, self.columns.names, unknown="ignore")
        return y

    def _corrected(self, y, original, scores, last=None):
        """Apply the teacher's steps before the step `last`, or all."""
        steps = self.steps
        if steps.zero_shot is not None:
            return np.where(self.score_column >= 0, scores, y)
        if last != "correct" and steps.correct is not None:
            y = labels.correct_labels(y, scores, **steps.correct)
        if last in ("correct", "percentile"):
            return y
        if steps.percentile is not None:
            flags = labels.above_threshold(y, scores, self.thresholds["percentile"])
            y = np.where(flags, np.nan if steps.percentile.get("mask", True) else 1.0, y)
        if last is None and steps.mean_threshold is not None:
            flags = labels.above_threshold(
                y, scores, self.thresholds["mean_threshold"], self._candidates(original)
            )
            y = np.where(flags, 1.0, y)
        return y

    def _candidates(self, original):
        if not self.steps.mean_threshold.get("psla"):
            return None
        candidates = self.columns.ontology.psla_candidates(original)
        return candidates if self.columns.projection is None else candidates[:, self.columns.projection]

    # Passes over the file -------------------------------------------------------------------------------

    def batches(self, last=None):
        """(clips, labels before, labels after, scores) of some clips at a time."""
        take = self.scores.beside() if self.scores is not None and self.steps.need_scores else None
        for clips in _chunks(self.file):
            original = self.columns.encode(clips)
            before = self._mapped(original)
            after = self._mapped(self._expanded(original))
            scores = None
            if take is not None:
                # One more column, of no scores, which the labels without any point to by -1.
                scores = np.pad(take(clips), ((0, 0), (0, 1)), constant_values=np.nan)[:, self.score_column]
                after = self._corrected(after, original, scores, last)
            yield clips, before, after, scores
            if self.progress is not None:
                self.progress(self.written)

    def fit(self):
        """Find the thresholds that depend on all clips."""
        width = len(self.columns.out_ids)
        if self.steps.percentile is not None:
            q = 1.0 - self.steps.percentile.get("q", 0.05)
            pieces = functools.partial(self._scores_where, "percentile", 0)
            self.thresholds["percentile"] = exact_quantiles(pieces, width, q)
        if self.steps.mean_threshold is not None:
            q = _QUANTILES.get(self.steps.mean_threshold.get("statistic", "mean"))
            pieces = functools.partial(self._scores_where, "mean_threshold", 1)
            means = exact_means(pieces(), width) if q is None else exact_quantiles(pieces, width, q)
            self.thresholds["mean_threshold"] = means

    def _scores_where(self, step, value):
        """Columns and scores of the labels that have a value when a step comes to them."""
        for _, _, y, scores in self.batches(last=step):
            chosen = np.flatnonzero((y == value) & ~np.isnan(scores))
            yield chosen % y.shape[1], scores.ravel()[chosen]

    def write(self, out, unknown_out):
        report = Report(self.columns.spelled, self.columns.out_names)
        if self.steps.frame is not None:
            report.frames = _frames_of(self.steps)
        unknown = self.steps.make_unknown or self.found.unknown > 0
        names = dict(zip(self.columns.spelled, self.columns.out_names, strict=True))
        second = contextlib.nullcontext()
        if unknown_out is not None:
            second = writing(unknown_out, self.format, self.file, names)
        first = writing(out, self.format, self.file, names, unknown)
        self.columns.dropped = 0
        with first as write, second as write_unknown, self.absent_beside() as absent:
            for clips, before, after, _ in self.batches():
                if self.by_event:
                    after = self._write_events(clips, absent, write, report)
                else:
                    for clip in self._relabelled(clips, after):
                        write(clip)
                        if write_unknown is not None:
                            write_unknown(clip._replace(present=clip.unknown))
                report.add(before, after)
                self.written = report.clips
        report.dropped = self.columns.dropped
        return report

    def absent_beside(self):
        """Context of a callable from the clips in turn to the labels that are marked absent."""
        return contextlib.nullcontext(lambda clip: []) if self.absent is None else self.absent.beside()

    def _relabelled(self, clips, y):
        """The clips with the labels of a matrix: those that stay in their order, then the new ones."""
        framed = self.file.format == "framed"
        lists = [_lists(y == 1), _lists(np.isnan(y))] + ([_lists(y == 0)] if framed else [])
        for i, clip in enumerate(clips):
            present, unknown, *absent = (self.columns.ordered(columns[i], clip) for columns in lists)
            if self.named:
                clip = clip._replace(id=self.file.pattern.path(clip))
            yield clip._replace(present=present, unknown=unknown, absent=absent[0] if framed else None)

    # At the times of events ------------------------------------------------------------------------------

    def _write_events(self, clips, absent, write, report):
        """Write the events, or frames, of the classes that each event's label reaches; the clips' labels."""
        y = np.zeros((len(clips), len(self.columns.out_ids)))
        for i, clip in enumerate(clips):
            events = {}
            for onset, offset, label, *others in clip.details:
                column = self.columns.column_of(label)
                if column is not None:
                    events |= dict.fromkeys((onset, offset, int(c), *others) for c in self.reached[column])
            y[i, [event[2] for event in events]] = 1.0
            if self.steps.frame is None:
                spelled = ((*event[:2], self.columns.spelled[event[2]], *event[3:]) for event in events)
                write(clip._replace(details=tuple(spelled)))
                continue
            report.frames.add(clip.id, *self.without_frame(clip))
            events = [event[:3] for event in events]
            negative = self._absent_classes(absent(clip))
            heard = {c for onset, offset, c in events if offset > onset}
            report.overruled += len(negative & heard)
            for frame in self._frames(clip, list(dict.fromkeys(events)), negative - heard):
                write(frame)
        return y

    def _absent_classes(self, labels):
        """Classes after mapping that are absent where these labels are and nothing is known of others."""
        columns = [c for c in map(self.columns.column_of, labels) if c is not None]
        if not columns:
            return set()
        y = np.full((2, len(self.columns.ids)), np.nan)
        y[0, columns] = 0.0
        absent, nothing = self._mapped(y)
        # A super-class without members here is 0 whatever is known.
        return set(np.flatnonzero((absent == 0) & np.isnan(nothing)).tolist())

    def without_frame(self, clip):
        """The known events (onset, offset, label) of a clip, and which of them make no frame PRESENT."""
        events = [event[:3] for event in clip.details if self.columns.column_of(event[2]) is not None]
        grid = {name: value for name, value in self.steps.frame.items() if name != "guard"}
        return events, labels.without_frame([event[:2] for event in events], **grid)

    def _frames(self, clip, events, absent):
        columns = sorted({c for *_, c in events} | absent)
        if not columns:
            return
        at = {c: i for i, c in enumerate(columns)}
        y = labels.frame_labels(
            [event[:2] for event in events],
            [at[c] for *_, c in events],
            len(columns),
            [at[c] for c in absent],
            **self.steps.frame,
        )
        length = self.steps.frame.get("frame", 0.96)
        hop = self.steps.frame.get("hop") or length
        spelled = [self.columns.spelled[c] for c in columns]
        for k, row in enumerate(y):
            present, missing = ([spelled[i] for i in np.flatnonzero(row == value)] for value in (1, 0))
            yield Clip(clip.line, clip.id, present, (), missing, (k * hop, k * hop + length))


def _open_scores(path, steps, notes):
    """Scores, or what the steps make of a teacher's cosines: labels, or else probabilities."""

    def decide(path):
        scores = TeacherScores.load(path)
        if steps.zero_shot is not None:
            note = steps.zero_shot.note(scores.classes, scores.background)
            notes.extend([f"{path}: {note}"] if note else [])
            return scores.classes, scores.paths, steps.zero_shot.labels(scores)
        return scores.classes, scores.paths, scores.values("softmax", steps.logit_scale)

    scores = ScoreFile(path, decide)
    if not scores.decided and (steps.zero_shot is not None or steps.logit_scale is not None):
        raise FileError(scores.path, "holds no cosines of acdref teach, but scores")
    return scores


def _some(names):
    """The first of these names."""
    return names_text(names[:5], ", ") + (", ..." if len(names) > 5 else "")


def _chunks(file):
    clips = iter(file)
    while chunk := list(itertools.islice(clips, _CHUNK)):
        yield chunk


def _lists(mask):
    """Columns that are set, row by row."""
    rows, columns = np.divmod(np.flatnonzero(mask), max(mask.shape[1], 1))
    ends = np.cumsum(np.bincount(rows, minlength=len(mask))).tolist()
    columns = columns.tolist()
    return [columns[start:end] for start, end in zip([0, *ends], ends, strict=False)]
