"""Label files as they are published, read and written clip by clip, in memory that no file's length changes.

==========  =============================================================================================
format      what it holds
==========  =============================================================================================
audioset    AudioSet's segments: comment lines (#), then ``YTID, start, end, "label,label"``
fsd50k      FSD50K's ground truth: CSV with the columns ``fname,labels,mids`` and perhaps ``split``
manifest    CSV with the columns ``path,classes`` and perhaps ``unknown``, see :mod:`acdref.tables.manifest`
strong      events: TSV with a header, then clip, onset, offset (seconds), label; no times, no event
framed      frames: TSV with a header, then clip, start, end, label, PRESENT or NOT_PRESENT
==========  =============================================================================================

Only a manifest (column ``unknown``) and framed labels (a pair that is not listed) hold unknown labels. The
rows of a clip stand together.  Text is UTF-8, with or without a byte order mark.
"""

import csv
import math
from typing import NamedTuple

from acdref.errors import FileError

FORMATS = ("audioset", "fsd50k", "manifest", "strong", "framed")
HOLDS_UNKNOWN = ("manifest", "framed")


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
        The rest: texts of :attr:`LabelFile.extra`'s columns; for an event list its (onset, offset, label),
        times in seconds.
    """

    line: int
    id: str
    present: list
    unknown: list = ()
    absent: list | None = None
    details: tuple = ()


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
        The comment lines of ``audioset``, else the names of the columns.
    extra : tuple of str
        Names of :attr:`Clip.details`; empty for events.
    names : dict of str to str
        FSD50K's own name of each of its mids, as far as they were read.

    Raises
    ------
    FileError
        If the file cannot be opened or recognised; while iterating, for a bad line, with its number.

    Examples
    --------
    >>> import os, tempfile
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

    def __init__(self, path, format=None):
        self.path = str(path)
        self.names = {}
        with _Rows(self.path) as rows:
            first = next(rows.lines, None)
            if first is None:
                raise FileError(self.path, "is empty")
            self.format = format or _recognise(self.path, first)
            self.header = self._header(rows, first)
        self._columns = self._positions()
        self.extra = self._extra()

    def __iter__(self):
        with _Rows(self.path) as rows:
            yield from _READERS[self.format](self, rows)

    def column(self, name):
        """Position of a column of this name; FileError unless there is exactly one."""
        if self.header.count(name) != 1:
            found = f"has {self.header.count(name)} columns {name!r} (its columns: {', '.join(self.header)})"
            raise FileError(self.path, found[:300])
        return self.header.index(name)

    def _header(self, rows, first):
        if self.format == "audioset":
            comments = []
            while first is not None and first.startswith("#"):
                comments.append(first.rstrip("\r\n"))
                first = next(rows.lines, None)
            return comments
        if self.format in ("strong", "framed"):
            columns = first.rstrip("\r\n").split("\t")
            expected = 4 if self.format == "strong" else 5
            if len(columns) != expected:
                raise FileError(self.path, f"line 1: {len(columns)} columns, {self.format} has {expected}")
            return columns
        try:
            columns = next(csv.reader([first], strict=True))
        except csv.Error as error:
            raise FileError(self.path, f"line 1: {error}") from None
        return [name.strip() for name in columns]

    def _positions(self):
        """Where the columns are that mean something here."""
        needed = {"fsd50k": ("fname", "labels", "mids"), "manifest": ("path", "classes")}
        return [self.column(name) for name in needed.get(self.format, ())]

    def _extra(self):
        if self.format == "audioset":
            return ("start_seconds", "end_seconds")
        if self.format in ("strong", "framed"):
            return ()
        if self.format == "manifest" and "unknown" in self.header:
            self._columns.append(self.column("unknown"))
        return tuple(name for i, name in enumerate(self.header) if i not in self._columns)


def _recognise(path, line):
    if line.startswith("#"):
        return "audioset"
    columns = [name.strip().strip('"') for name in line.rstrip("\r\n").split("\t")]
    if len(columns) in (4, 5) and columns[0] in ("filename", "segment_id", "clip_id"):
        return "strong" if len(columns) == 4 else "framed"
    columns = [name.strip().strip('"') for name in line.rstrip("\r\n").split(",")]
    if {"fname", "labels", "mids"} <= set(columns):
        return "fsd50k"
    if {"path", "classes"} <= set(columns):
        return "manifest"
    raise FileError(path, f"line 1 is the header of no known format ({', '.join(FORMATS)})")


class _Rows:
    """The lines of a file as text, and its rows as fields; every failure is a FileError with the line."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        try:
            self._file = open(self.path, "rb")
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None
        self.lines = self._decoded()
        return self

    def __exit__(self, *_):
        self._file.close()

    def _decoded(self):
        number = 0
        try:
            for number, line in enumerate(self._file, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise self.error(number, "is not UTF-8") from None
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None

    def error(self, line, cause):
        return FileError(self.path, f"line {line}: {cause}")

    def fields(self, width, skip=1, **dialect):
        """Line number and fields of each row that is not blank, after `skip` lines of header."""
        for _ in range(skip):
            next(self.lines, None)
        reader = csv.reader(self.lines, strict=True, **dialect)
        line = skip
        try:
            for fields in reader:
                first, line = line + 1, skip + reader.line_num
                if len(fields) == width:
                    yield first, fields
                elif any(map(str.strip, fields)):
                    raise self.error(first, f"{len(fields)} fields instead of {width}")
        except csv.Error as error:
            raise self.error(skip + reader.line_num, str(error)) from None

    def time(self, line, text):
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            raise self.error(line, f"{text!r} is no time in seconds")
        return seconds

    def span(self, line, start, end):
        start, end = self.time(line, start), self.time(line, end)
        if end < start:
            raise self.error(line, f"ends ({end:g} s) before it starts ({start:g} s)")
        return start, end

    def id(self, line, text):
        text = text.strip()
        if not text:
            raise self.error(line, "names no clip")
        return text


def _labels(text, separator):
    """The labels in a field, none twice, none empty."""
    labels = [label.strip() for label in text.split(separator)]
    return list(dict.fromkeys(filter(None, labels)))


def _read_audioset(file, rows):
    for line, (id, start, end, labels) in rows.fields(4, len(file.header), skipinitialspace=True):
        rows.span(line, start, end)
        yield Clip(line, rows.id(line, id), _labels(labels, ","), details=(start.strip(), end.strip()))


def _read_fsd50k(file, rows):
    id, labels, mids = file._columns
    others = [file.header.index(name) for name in file.extra]
    for line, fields in rows.fields(len(file.header)):
        present, names = _labels(fields[mids], ","), _labels(fields[labels], ",")
        if len(present) != len(names):
            raise rows.error(line, f"{len(names)} labels, but {len(present)} mids")
        file.names.update(zip(present, names, strict=True))
        yield Clip(line, rows.id(line, fields[id]), present, details=tuple(fields[i] for i in others))


def _read_manifest(file, rows):
    id, classes, *unknown = file._columns
    others = [file.header.index(name) for name in file.extra]
    for line, fields in rows.fields(len(file.header)):
        present = _labels(fields[classes], ";")
        doubtful = _labels(fields[unknown[0]], ";") if unknown else []
        for label in doubtful:
            if label in present:
                raise rows.error(line, f"the class {label!r} is both present and unknown")
        details = tuple(fields[i] for i in others)
        yield Clip(line, rows.id(line, fields[id]), present, doubtful, details=details)


def _read_strong(file, rows):
    line = id = None
    events = []
    for number, (name, onset, offset, label) in rows.fields(4, delimiter="\t", quoting=csv.QUOTE_NONE):
        name, label = rows.id(number, name), label.strip()
        if name != id:
            if id is not None:
                yield _event_list(line, id, events)
            line, id, events = number, name, []
        if label:
            events.append((*rows.span(number, onset, offset), label))
        elif onset.strip() or offset.strip():
            raise rows.error(number, "an event without label")
    if id is not None:
        yield _event_list(line, id, events)


def _event_list(line, id, events):
    return Clip(line, id, list(dict.fromkeys(label for *_, label in events)), details=tuple(events))


def _read_framed(file, rows):
    id, frames = None, {}
    for line, (name, start, end, label, verdict) in rows.fields(5, delimiter="\t", quoting=csv.QUOTE_NONE):
        name, label = rows.id(line, name), label.strip()
        if name != id:
            yield from _frames(id, frames)
            id, frames = name, {}
        if not label or verdict.strip() not in ("PRESENT", "NOT_PRESENT"):
            raise rows.error(line, "expected a label and PRESENT or NOT_PRESENT")
        _, present, absent = frames.setdefault(rows.span(line, start, end), (line, {}, {}))
        is_present = verdict.strip() == "PRESENT"
        if label in (absent if is_present else present):
            raise rows.error(line, f"{label!r} is both present and not present in one frame")
        (present if is_present else absent)[label] = None
    yield from _frames(id, frames)


def _frames(id, frames):
    for span, (line, present, absent) in sorted(frames.items()):
        yield Clip(line, id, list(present), absent=list(absent), details=span)


_READERS = {
    "audioset": _read_audioset,
    "fsd50k": _read_fsd50k,
    "manifest": _read_manifest,
    "strong": _read_strong,
    "framed": _read_framed,
}
