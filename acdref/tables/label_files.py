"""Label files as they are published, read and written clip by clip, in memory that no file's length changes.

==========  =============================================================================================
format      what it holds
==========  =============================================================================================
audioset    AudioSet's segments: comment lines (#), then ``YTID, start, end, "label,label"``; or a header
            with the columns ``YTID,start_seconds,end_seconds,positive_labels``, as pandas writes it
fsd50k      FSD50K's ground truth: CSV with the columns ``fname,labels,mids`` and perhaps ``split``
manifest    CSV with the columns ``path,classes`` and perhaps ``unknown``, see :mod:`acdref.tables.manifest`;
            or one of :data:`LAYOUTS`
strong      events: TSV or CSV with a header, then clip, onset, offset (seconds), label; no times, no event.
            With names of :data:`EVENTS` the columns may stand anywhere, and others beside them
framed      frames: TSV or CSV with a header, then clip, start, end, label, PRESENT or NOT_PRESENT
==========  =============================================================================================

Only a manifest (column ``unknown``) and framed labels (a pair that is not listed) hold unknown labels. The
rows of a clip stand together.  What a text file is, is said in :mod:`acdref.tables.rows`; beyond that,

* a clip has a name, without outer blanks and zero bytes;
* a clip, or frame, stands in the file once.  In a manifest ``a.wav`` and ``./a.wav`` are one recording;
* a class counts once however often a field names it, and is not both present and unknown;
* a column that means something occurs once: in a manifest ``fold``, ``split`` and ``verified`` too;
* ``verified`` is 1 or 0, nothing else;
* a file lists at least one clip.
"""

import contextlib
import functools
import itertools
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acdref.errors import FileError, ManifestError
from acdref.files import refuse_pipes, replacing
from acdref.tables.rows import (
    COMMAS,
    COMMAS_AND_BLANKS,
    TABS,
    Rows,
    csv_line,
    names_in,
    names_text,
    tab_line,
    tidy,
    unquoted,
)

HOLDS_UNKNOWN = ("manifest", "framed")

LAYOUTS = (
    ("path", "classes", ";"),
    ("filename", "category", ""),  # ESC-50
    ("fname", "labels", ","),  # FSDKaggle2019, FSD50K
    ("fname", "label", ""),  # FSDKaggle2018
    ("filename", "event_labels", ","),  # DESED, weak
    ("slice_file_name", "class", ""),  # UrbanSound8K
    ("filename", "scene_label", ""),  # TAU Urban Acoustic Scenes
    ("filename", "labels", ","),
    ("filename", "label", ""),
    ("file_name", "label", ""),
)
"""Of manifests: the columns of paths and of classes, and what separates these (none: one class a row).

The first whose columns are there counts.  UrbanSound8K's recordings lie in ``foldK/``; FSD50K's end in .wav.
"""

_SEGMENTS = ("YTID", "start_seconds", "end_seconds", "positive_labels")
_CLIPS = ("filename", "segment_id", "clip_id", "file_name", "fname", "path", "file", "clip", "recording")
_LABELS = ("event_label", "label", "event")
_STARTS = ("onset", "start_time_seconds", "start_time", "start_seconds", "start")
_ENDS = ("offset", "end_time_seconds", "end_time", "end_seconds", "end")

EVENTS = (_CLIPS, _STARTS, _ENDS, _LABELS)
"""Names of an event list's columns: clip, onset, offset, label."""

_OWN = {"unknown", "fold", "split", "verified", "manually_verified", "mids", "present", *_SEGMENTS}
_OWN |= {name for path, classes, _ in LAYOUTS for name in (path, classes)} | {*sum(EVENTS, ())}

_TIME = re.compile(r"(onset|offset|start|end|begin|stop)([ _(].*)?", re.IGNORECASE)
_NO_SECONDS = re.compile(
    r".*[ _([](ms|msecs?|milli\w*|samples?|frames?|min(ute)?s?|hours?)[])]?", re.IGNORECASE
)
_LONGEST = 1e12  # seconds: in milliseconds still a whole number of 64 bits

_PIECE = 1 << 17  # hashes of clips in memory at a time: 1 MB


class Clip(NamedTuple):
    """One clip of a label file, or one frame of framed labels.

    Attributes
    ----------
    line : int
        Where it begins in the file.
    id : str
        YouTube id, file name, path, or clip id (of an event list, or of a frame's clip).
    present, unknown : list of str
        Labels that are 1 and NaN, as the file spells them, none twice.
    absent : list of str, or None
        Labels that are 0 while all that are not named are NaN; None if those are 0.
    details : tuple
        The rest: texts of :attr:`LabelFile.extra`'s columns; for an event list its (onset, offset, label,
        texts of further columns ...), times in seconds.
    lines : dict of str to int, or None
        Where labels first stand that have lines of their own.
    """

    line: int
    id: str
    present: Sequence[str]
    unknown: Sequence[str] = ()
    absent: list | None = None
    details: tuple = ()
    lines: dict | None = None

    def line_of(self, label: str) -> int:
        """Where a label stands in the file."""
        return (self.lines or {}).get(label, self.line)


def label_matrix(
    clips: Sequence[Clip], column: dict[str, int], width: int
) -> tuple[NDArray[np.float64], list[tuple[Clip, str]]]:
    """Labels of clips as a matrix.

    Parameters
    ----------
    clips : sequence of Clip, (N,)
    column : dict of str to int
        Where each label stands.
    width : int
        C, how many columns there are.

    Returns
    -------
    y : (N, C) float64 array
        0, 1 or NaN.
    strangers : list of (Clip, str)
        Labels without a column, which are left out.
    """
    y, strangers = np.zeros((len(clips), width)), []
    for row, clip in zip(y, clips, strict=True):
        if clip.absent is not None:
            row[:] = np.nan
        for labels, value in ((clip.absent or (), 0.0), (clip.unknown, np.nan), (clip.present, 1.0)):
            for label in labels:
                if label in column:
                    row[column[label]] = value
                else:
                    strangers.append((clip, label))
    return y, strangers


class LabelFile:
    """A label file; iterating reads it from its beginning, any number of times.

    Parameters
    ----------
    path : str or path-like
    format : str, optional
        One of :data:`FORMATS`; recognised from the first line by default.

    Attributes
    ----------
    path : str
    format : str
    header : list of str
        The comment lines of ``audioset``, else the names of the columns: a manifest's by acdref's own names,
        an event list's with clip, onset, offset and label first.
    extra : tuple of str
        Names of :attr:`Clip.details`; empty for events.
    dialect : dict
        Of :mod:`acdref.tables.rows`.
    names : dict of str to str
        FSD50K's own name of each of its mids, as far as they were read.

    Raises
    ------
    FileError
        If the file cannot be opened or recognised; while iterating, for a bad line, with its number.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "segments.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write('# YTID, start_seconds, end_seconds, positive_labels\\n'
    ...                        '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"\\n')
    ...     labels = LabelFile(path)
    ...     clips = list(labels)
    >>> labels.format, clips[0].id, clips[0].present
    ('audioset', '--PJHxphWEs', ['/m/09x0r', '/t/dd00088'])
    """

    def __init__(self, path: str | PathLike, format: str | None = None):
        self.path = str(path)
        refuse_pipes(path)
        self.format = format or _recognise(self.path)
        self.names: dict[str, str] = {}
        with read_clips(self.path, self.format) as clips:
            self.header, self.extra, self.dialect = clips.header, clips.extra, clips.rows.dialect

    def __iter__(self) -> Iterator[Clip]:
        with read_clips(self.path, self.format) as clips:
            clips.names = self.names
            yield from clips


@contextlib.contextmanager
def read_clips(path: str | PathLike, format: str) -> Iterator["_Reader"]:
    """Context in which a label file is read once, whatever file it is: a pipe, too.

    Parameters
    ----------
    path : str or path-like
    format : str

    Yields
    ------
    iterator of Clip
        With the attributes ``header, extra, names`` of a :class:`LabelFile`.
    """
    reader = _READERS[format]
    with Rows(path, reader.dialect, reader.error) as rows:
        yield reader(rows)


def _recognise(path):
    with Rows(path, None) as rows:
        if rows.comments():
            return "audioset"
        fields = rows.header(_OWN)
        if set(LAYOUTS[0][:2]) <= set(fields):
            return "manifest"
        if rows.dialect is COMMAS and (_segments(fields) is not None or _is_segment(fields)):
            return "audioset"
        if _events(fields) is not None:
            return "framed" if len(fields) == 5 and _is_verdict(fields[4], rows.first()) else "strong"
        if set(_Fsd50k.needed) <= set(fields):
            return "fsd50k"
        if _layout(fields) is not None:
            return "manifest"
        if len(fields) in (4, 5) and fields[0] in _CLIPS[:3] and rows.dialect is TABS:
            return "strong" if len(fields) == 4 else "framed"
        cause = f"line {rows.line} is the header of no known format ({', '.join(FORMATS)}); {rows.found()}"
        raise FileError(path, cause + _wanted(fields))


def _layout(header):
    """The one of `LAYOUTS` that a header has; None, too, where labels seem to have times."""
    found = next((one for one in LAYOUTS if set(one[:2]) <= set(header)), None)
    timed = found is not None and found[1] in ("label", "labels") and any(map(_TIME.fullmatch, header))
    return None if timed else found


def _wanted(fields):
    """What a first line might have been, as the end of a message."""
    if len(fields) == 1 and ";" in fields[0]:
        return ""
    if len(fields) in (2, 3) and all(map(_is_number, fields[:2])):
        wanted = "an event list has filename, onset, offset, event_label"
        return f"; a label track of Audacity names no recording: {wanted}"
    if any(map(_TIME.fullmatch, fields)):
        return "; an event list has filename, onset, offset, event_label"
    if len(fields) > 2 and all(map(_is_number, fields[1:3])):
        return "; is it a row of events? their header is filename, onset, offset, event_label"
    return f"; wanted: {' or '.join(f'{path},{classes}' for path, classes, _ in LAYOUTS)}"


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_verdict(name, first):
    """Whether a fifth column is that of frames: by its name, or by the first row."""
    return name == "present" or (len(first) == 5 and first[4].strip() in ("PRESENT", "NOT_PRESENT"))


def _events(header):
    """Columns of clip, onset, offset and label by their names, or None."""
    at = [next((header.index(name) for name in names if name in header), None) for names in EVENTS]
    return None if None in at else at


def _segments(header):
    """Columns of a segments file by the header that pandas writes, or None."""
    names, wanted = [name.strip("# ").lower() for name in header], [name.lower() for name in _SEGMENTS]
    return [names.index(name) for name in wanted] if set(wanted) <= set(names) else None


def _is_segment(fields):
    """Whether a first row is none of a header's, but AudioSet's: YouTube id, start, end, label."""
    if len(fields) < 4 or not re.fullmatch(r"[\w-]{11}", fields[0]):
        return False
    return all(map(_is_number, fields[1:3])) and fields[3].strip('"').startswith(("/m/", "/t/", "/g/"))


# Reading


class _Reader:
    """Reads a CSV file with a header, of which some columns are needed."""

    dialect: dict | None = COMMAS
    error = FileError
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def __init__(self, rows):
        self.rows, self.header, self.names = rows, rows.header(_OWN), {}
        names = dict.fromkeys(self.needed, True) | dict.fromkeys(self.optional, False)
        self.at = [rows.column(name, needed) for name, needed in names.items()]
        self.others = [i for i in range(len(self.header)) if i not in self.at]
        self.extra = tuple(self.header[i] for i in self.others)

    def __iter__(self):
        clip = None
        for clip in self.clips():
            if "\0" in "".join(clip.present):
                raise self.rows.bad("a label has a zero byte")
            yield clip
        if clip is None:
            raise self.error(self.rows.path, "lists no recordings")

    def bare(self, fields):
        """Fields without the quotes that some programs put around text between tabs."""
        if self.rows.dialect is TABS and '"' in "".join(fields):
            return [unquoted(field.strip()) for field in fields]
        return fields

    def details(self, fields):
        return tuple(fields[i] for i in self.others)

    def id(self, text, column=0):
        text = text.strip()
        if not text or "\0" in text:
            raise self.rows.bad("names no clip (it is empty or has a zero byte)", column)
        return text

    def span(self, texts, columns=(1, 2)):
        """Start and end in seconds, of texts that stand in these columns."""
        seconds = []
        for i, text in zip(columns, texts, strict=True):
            try:
                seconds.append(float(text))
            except ValueError:
                seconds.append(math.nan)
            if not 0 <= seconds[-1] < _LONGEST:
                raise self.rows.bad(f"{text!r} is no time in seconds", i)
        start, end = seconds
        if end < start:
            raise self.rows.bad(f"ends ({end:g} s) before it starts ({start:g} s)")
        return start, end

    def as_wide(self, width):
        """(line, fields) of each row, which has so many."""
        for line, fields in self.rows.fields(None):
            if len(fields) != width:
                raise self.rows.bad(f"{len(fields)} fields instead of {width}")
            yield line, fields


class _Fsd50k(_Reader):
    needed = ("fname", "labels", "mids")

    def clips(self):
        id, labels, mids = self.at
        for line, fields in self.rows:
            present, names = _labels(fields[mids], ","), _labels(fields[labels], ",")
            if len(present) != len(names):
                raise self.rows.bad(f"{len(names)} labels, but {len(present)} mids")
            self.names.update(zip(present, names, strict=True))
            yield Clip(line, self.id(fields[id], id), present, details=self.details(fields))


class _Manifests(_Reader):
    dialect, error = None, ManifestError
    optional = ("unknown",)

    def __init__(self, rows):
        self.rows, self.names = rows, {}
        header = rows.header(_OWN)
        layout = _layout(header)
        if _events(header) is not None and layout is not LAYOUTS[0]:
            cause = "lists events, not recordings: acdref relabel --to manifest makes a manifest"
            raise self.error(rows.path, cause)
        if layout is None:
            name = next(name for name in LAYOUTS[0] if name not in header)
            raise self.error(rows.path, f"has no column {name!r} ({rows.found()}){_wanted(header)}")
        path, classes, self.separator = layout
        self.needed = (path, classes)
        self.prefix = "fold" if path == "slice_file_name" and "fold" in header else ""
        self.suffix = ".wav" if path == "fname" and "mids" in header else ""
        own = {path: "path", classes: "classes"}
        own |= {"manually_verified": "verified"} if path == "fname" else {}
        super().__init__(rows)
        self.header = [own.get(name, name) for name in self.header]
        for name in ("path", "classes", "unknown", "fold", "split", "verified"):
            columns = [rows.names[i] for i, meant in enumerate(self.header) if meant == name]
            if len(set(columns)) > 1:
                raise self.error(rows.path, f"has the columns {' and '.join(columns)}, and one can be {name}")
            if columns:
                rows.column(columns[0])
        self.extra = tuple(self.header[i] for i in self.others)

    def clips(self):
        fold, verified = (
            self.header.index(name) if name in self.header else None for name in ("fold", "verified")
        )
        id, classes, unknown = self.at
        for line, fields in self.rows:
            fields = self.bare(fields)
            present = self.labels(fields[classes], classes)
            doubtful = [] if unknown is None else self.labels(fields[unknown], unknown)
            for label in doubtful:
                if label in present:
                    raise self.rows.bad(f"the class {label!r} is both present and unknown", unknown)
            if verified is not None and fields[verified].strip() not in ("0", "1"):
                raise self.rows.bad(f"{fields[verified].strip()!r} is neither 1 nor 0", verified)
            path = self.id(fields[id], id) + self.suffix
            if self.prefix:
                path = f"{self.prefix}{fields[fold].strip()}/{path}"
            yield Clip(line, path, present, doubtful, details=self.details(fields))

    def labels(self, text, column):
        """The classes in a field."""
        if self.separator == ";":
            try:
                return list(dict.fromkeys(filter(None, names_in(text, ";"))))
            except ValueError as error:
                raise self.rows.bad(str(error), column) from None
        if ";" in text:
            raise self.rows.bad("classes between semicolons stand in a column named classes", column)
        return _labels(text, ",") if self.separator else list(filter(None, [tidy(text)]))


class _AudioSet(_Reader):
    dialect = COMMAS_AND_BLANKS

    def __init__(self, rows):
        self.rows, self.header, self.names = rows, rows.comments(), {}
        self.at, self.width = range(4), 4
        first = rows.first()
        if _segments(first) is not None:
            self.at, self.width = _segments(rows.header(_OWN)), len(first)
            self.header = self.header or [f"# {', '.join(_SEGMENTS)}"]
        else:
            rows.names = list(_SEGMENTS)
        self.extra = _SEGMENTS[1:3]

    def clips(self):
        for line, fields in self.as_wide(self.width):
            id, start, end, labels = (fields[i] for i in self.at)
            self.span((start, end), self.at[1:3])
            yield Clip(line, self.id(id), _labels(labels, ","), details=(start.strip(), end.strip()))


class _EventLists(_Reader):
    dialect = None
    format, width = "strong", 4

    def __init__(self, rows):
        super().__init__(rows)
        self.at = None if self.width == 5 else _events(self.header)
        if self.at is None:
            self.at = list(range(self.width))
            if len(self.header) > 2 and all(map(_is_number, self.header[1:3])):
                raise rows.bad(f"is no header, but a row{_wanted(self.header)}")
            if len(self.header) != self.width:
                raise rows.bad(f"{len(self.header)} columns, {self.format} has {self.width}")
            for i in (1, 2):
                if _NO_SECONDS.fullmatch(self.header[i]):
                    raise rows.bad("times are wanted in seconds", i)
        self.others = [i for i in range(len(self.header)) if i not in self.at]
        self.columns, self.order, self.extra = len(self.header), (*self.at, *self.others), ()
        self.in_order = list(self.order) == sorted(self.order)
        self.header = [self.header[i] for i in self.order]

    def by_clip(self):
        """(id, rows) of each clip; a name alone is a clip without events."""
        rows = ((line, self.ordered(fields)) for line, fields in self.rows.fields(None))
        return itertools.groupby(rows, key=lambda row: self.id(row[1][0], self.at[0]))

    def ordered(self, fields):
        """Clip, onset, offset, label, and the others."""
        if len(fields) == 1 and self.at[0] == 0:
            fields = fields + [""] * (self.columns - 1)
        if len(fields) != self.columns:
            raise self.rows.bad(f"{len(fields)} fields instead of {self.columns}")
        fields = self.bare(fields)
        return fields if self.in_order else [fields[i] for i in self.order]

    def clips(self):
        for id, rows in self.by_clip():
            first, events, lines = None, [], {}
            for line, (_, onset, offset, label, *others) in rows:
                first, label = first or line, tidy(label)
                if label:
                    events.append((*self.span((onset, offset), self.at[1:3]), label, *others))
                    lines.setdefault(label, line)
                elif onset.strip() or offset.strip():
                    raise self.rows.bad("an event without label", self.at[3])
            yield Clip(first, id, list(lines), details=tuple(events), lines=lines)


class _Frames(_EventLists):
    format, width = "framed", 5

    def clips(self):
        for id, rows in self.by_clip():
            frames = {}
            for line, (_, start, end, label, verdict) in rows:
                label, verdict = tidy(label), verdict.strip()
                if not label or verdict not in ("PRESENT", "NOT_PRESENT"):
                    raise self.rows.bad("expected a label and PRESENT or NOT_PRESENT")
                _, present, absent = frames.setdefault(self.span((start, end)), (line, {}, {}))
                these, others = (present, absent) if verdict == "PRESENT" else (absent, present)
                if label in others:
                    raise self.rows.bad(f"{label!r} is both present and not present in one frame")
                these.setdefault(label, line)
            for span, (line, present, absent) in sorted(frames.items()):
                yield Clip(line, id, list(present), absent=list(absent), details=span, lines=present | absent)


def _labels(text, separator):
    """The labels in a field, none twice, none empty."""
    labels = map(tidy, text.split(separator))
    return list(dict.fromkeys(filter(None, labels)))


def fsd50k_name(display: str) -> str:
    """FSD50K's own name of a label, as it is made of AudioSet's.

    Examples
    --------
    >>> fsd50k_name("Motor vehicle (road)"), fsd50k_name("Dishes, pots, and pans")
    ('Motor_vehicle_(road)', 'Dishes_and_pots_and_pans')
    """
    return display.replace(", and ", ", ").replace(", ", "_and_").replace(" ", "_")


FORMATS = ("audioset", "fsd50k", "manifest", "strong", "framed")
_READERS = dict(zip(FORMATS, (_AudioSet, _Fsd50k, _Manifests, _EventLists, _Frames), strict=True))


def refusing_repeats(clips: Iterable[Clip], path: str | PathLike, format: str) -> Iterator[Clip]:
    """Clips as they come, and an error at their end if one stands in several places.

    Parameters
    ----------
    clips : iterable of Clip
        It is gone through once more if there may be such a clip.
    path : str or path-like
        The label file, which the error names.
    format : str

    Yields
    ------
    Clip

    Raises
    ------
    FileError
        Naming both lines of a clip that occurs twice.

    Notes
    -----
    64-bit hashes of the clips go into a temporary file, 8 bytes each, and are sorted there.  Hashes that
    occur twice are looked up in the label file: a mere collision is no repeat.
    """
    twice: set[int] = set()
    with tempfile.TemporaryFile() as spool:
        for clip in clips:
            spool.write(hash(_key(clip, format)).to_bytes(8, "little", signed=True))
            yield clip
        spool.flush()
        hashes = np.memmap(spool, "<i8")
        hashes.sort()
        for start in range(0, len(hashes), _PIECE):
            piece = np.array(hashes[start : start + _PIECE + 1])
            twice.update(piece[1:][piece[1:] == piece[:-1]][:1].tolist())  # one is enough to refuse the file
    first: dict = {}
    for clip in clips if twice else ():
        key = _key(clip, format)
        if hash(key) in twice and first.setdefault(key, clip.line) != clip.line:
            cause = f"line {clip.line}: {clip.id} is already in line {first[key]}"
            raise _READERS[format].error(path, cause)


def _key(clip, format):
    if format == "manifest":
        return os.path.normpath(clip.id)
    return clip.id if clip.absent is None else (clip.id, clip.details)


class AbsentLabels:
    """Explicit negatives: classes that annotators marked absent from a clip, in a file beside an event list.

    TSV or CSV of two columns, clip and label, one row for each class that is absent.  The first row is a
    header if it names the columns as :data:`EVENTS` does, else a row like the others.  The rows of a clip
    stand together, the clips in the order of the event list, which may have further ones between.

    Parameters
    ----------
    path : str or path-like

    Attributes
    ----------
    path : str
    labels : dict of str to int
        The labels in it, and the line of each one's first row.

    Raises
    ------
    FileError
        If it cannot be read or a row has not two fields; the cause names the line.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "absent.tsv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("filename\\tlabel\\nb\\tDog\\nb\\tCat\\n")
    ...     absent = AbsentLabels(path)
    ...     with absent.beside() as take:
    ...         print([take(Clip(line, id, [])) for line, id in enumerate("abc", start=2)])
    [[], ['Dog', 'Cat'], []]
    """

    def __init__(self, path: str | PathLike):
        self.path = str(path)
        self.labels: dict[str, int] = {}
        for line, _, label in self._rows():
            self.labels.setdefault(label, line)

    @contextlib.contextmanager
    def beside(self) -> Iterator[Callable[[Clip], list[str]]]:
        """Context of a callable that takes the clips of the event list in turn and returns their labels.

        At the end of the context FileError, if there is a clip that did not come.
        """
        groups = itertools.groupby(self._rows(), key=lambda row: row[1])
        clips = ((id, list(rows)) for id, rows in groups)
        ahead = next(clips, None)

        def take(clip):
            nonlocal ahead
            if ahead is None or ahead[0] != clip.id:
                return []
            labels = [label for *_, label in ahead[1]]
            ahead = next(clips, None)
            return labels

        yield take
        if ahead is not None:
            id, ((line, *_), *_) = ahead
            cause = "is no clip of the events after the clips before it; rows must be in their order"
            raise FileError(self.path, f"line {line}: {id!r} {cause}")

    def _rows(self):
        """(line, clip, label) of each row."""
        with Rows(self.path, None) as rows:
            if not rows.first():
                raise FileError(self.path, "is empty")
            for number, (line, fields) in enumerate(rows.fields(None)):
                fields = [field.strip() for field in fields]
                names = {field.lower() for field in fields}
                if number == 0 and names & set(_CLIPS) and names & {*_LABELS, "class"}:
                    continue
                if len(fields) != 2 or not all(fields):
                    raise rows.bad("expected a clip and a label")
                yield line, fields[0], tidy(fields[1])


# Writing


@contextlib.contextmanager
def writing(
    path: str | PathLike,
    format: str,
    like: LabelFile | SimpleNamespace,
    names: dict[str, str] | None = None,
    unknown: bool = False,
) -> Iterator[Callable[[Clip], object]]:
    """Context in which a label file is written.

    Parameters
    ----------
    path : str or path-like
        The file appears when the block ends, and stays as it was if the block fails.
    format : str
        One of :data:`FORMATS`.
    like : LabelFile
        Where the clips come from: its header and further columns are kept as far as the format has them.
    names : dict of str to str, optional
        Display names of labels, for FSD50K's column ``labels``.
    unknown : bool
        Whether a manifest gets the column ``unknown`` even if `like` has none.

    Yields
    ------
    callable
        ``write(clip)``, with a :class:`Clip`.

    Raises
    ------
    FileError
        If the file cannot be written, or a label cannot be in it.
    """
    error = _READERS[format].error

    def joined(labels, separator):
        labels = list(labels)
        for label in labels:
            if separator == ";" and label and label == label.strip():
                continue
            if _labels(label, separator) != [label] or (separator == "," and '"' in label):
                raise error(path, f"the label {label!r} cannot be written in this format")
        return names_text(labels, ";") if separator == ";" else separator.join(labels)

    def tabs(fields):
        for field in fields:
            if re.search("[\t\r\n]", field):
                raise error(path, f"{field!r} cannot be written between tabs")
        return tab_line(fields)

    with replacing(path, error) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        if format == "audioset":
            with _writing_audioset(stream, like, joined) as write:
                yield write
        else:
            header = _header(format, like, unknown)
            by_columns = functools.partial(_column_rows, format, header, like, joined, names or {})
            by_event = functools.partial(_strong_rows, len(header))
            rows = by_event if format == "strong" else _framed_rows if format == "framed" else by_columns
            as_tabs = format == "framed" or (format == "strong" and like.dialect is TABS)
            line = tabs if as_tabs else csv_line
            stream.write(line(header))
            yield lambda clip: stream.writelines(map(line, rows(clip)))


@contextlib.contextmanager
def _writing_audioset(stream, like, joined):
    """Rows first, into another file: the comment lines before them count what they hold."""
    clips, labels, distinct = 0, 0, set()

    def write(clip):
        nonlocal clips, labels
        clips += 1
        labels += len(clip.present)
        distinct.update(clip.present)
        start, end = clip.details
        rows.write(f'{clip.id}, {start}, {end}, "{joined(clip.present, ",")}"\n')

    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as rows:
        yield write
        counts = f"num_ytids={clips}, num_segs={clips}, num_unique_labels={len(distinct)}"
        for comment in like.header:
            if comment.startswith("# num_ytids="):
                comment = f"# {counts}, num_positive_labels={labels}"
            stream.write(comment + "\n")
        rows.seek(0)
        shutil.copyfileobj(rows, stream)


def _header(format, like, unknown):
    if format == "framed" and like.format != "framed":
        return ["segment_id", "start_time_seconds", "end_time_seconds", "label", "present"]
    if format != "manifest":
        return like.header
    header = list(like.header) if like.format == "manifest" else ["path", "classes", *like.extra]
    if unknown and "unknown" not in header:
        header.insert(header.index("classes") + 1, "unknown")
    return header


def _column_rows(format, header, like, joined, names, clip):
    """The row of a clip: what its format says in some columns; in the others its details, in their order."""

    def spelled(mid):
        return like.names.get(mid) or fsd50k_name(names.get(mid, mid))

    if format == "fsd50k":
        labels = joined(map(spelled, clip.present), ",")
        known = {"fname": clip.id, "labels": labels, "mids": joined(clip.present, ",")}
    else:
        unknown = joined(clip.unknown, ";")
        known = {"path": clip.id, "classes": joined(clip.present, ";"), "unknown": unknown}
    details = iter(clip.details)
    return [[known[name] if name in known else next(details) for name in header]]


def _strong_rows(width, clip):
    events = [(repr(onset), repr(offset), *texts) for onset, offset, *texts in clip.details]
    return [(clip.id, *event) for event in events or [("",) * (width - 1)]]


def _framed_rows(clip):
    span = [f"{seconds:.3f}" for seconds in clip.details]
    verdicts = ((clip.present, "PRESENT"), (clip.absent, "NOT_PRESENT"))
    return [(clip.id, *span, label, verdict) for labels, verdict in verdicts for label in labels]
