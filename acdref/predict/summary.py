"""What `acdref predict` has written, in sum: of each class and recording how long and when it is heard."""

import functools
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

from acdref.labels.events import merge_gaps
from acdref.predict.formats import clock, printable
from acdref.predict.scoring import THRESHOLD, check_thresholds, tag_thresholds
from acdref.tables.rows import Rows, csv_line
from acdref.tables.scores import NOT_CLASSES, window_objects

SCHEMA = "acdref.summary/1"
COLUMNS = ("path", "label", "events", "seconds", "first", "last", "schema")


class Tagged(NamedTuple):
    """Of a recording, spans (label, onset, offset) in which a class was found, or why it is of no use."""

    path: str
    spans: list[tuple[str, float, float]]
    error: str | None


class InRecording(NamedTuple):
    """A class in a recording: its events, their seconds in all, the first onset and the last offset."""

    path: str
    label: str
    events: int
    seconds: float
    first: float
    last: float


class Summary(NamedTuple):
    """All recordings of a file.

    Attributes
    ----------
    recordings, silent, failed : int
        How many there are, and how many of these have none of the classes, or could not be used to their end.
    rows : list of InRecording
        In the order of the file; the classes of a recording by their names.
    classes : tuple of str
        That were asked for, or found.
    """

    recordings: int
    silent: int
    failed: int
    rows: list[InRecording]
    classes: tuple[str, ...]

    def totals(self) -> dict[str, dict[str, Any]]:
        """For each class: `recordings` in which it is heard, `events`, `seconds`; the most frequent first."""
        found: dict[str, dict[str, Any]] = {
            name: {"recordings": 0, "events": 0, "seconds": 0.0} for name in self.classes
        }
        for row in self.rows:
            total = found[row.label]
            total["recordings"] += 1
            total["events"] += row.events
            total["seconds"] = round(total["seconds"] + row.seconds, 6)
        return dict(sorted(found.items(), key=lambda item: (-item[1]["recordings"], item[0])))


class Bar:
    """Whether a score counts.

    Parameters
    ----------
    by_class : mapping from str to float
        Thresholds of classes that have their own.
    threshold : float, optional
        Of the others.  Default: of a window `usual`, of an event none.
    usual : mapping from str to float
        Thresholds of classes in windows of usual length, for want of one 0.5; see
        :func:`acdref.predict.scoring.tag_thresholds`.

    Attributes
    ----------
    asked : set of str
        The classes of the scores so far.
    unsaid : set of str
        Those of windows that nothing but the 0.5 is said of.

    Raises
    ------
    AcdrefError
        For a threshold outside [0, 1].

    Examples
    --------
    >>> counts = Bar({"alarm": 0.3})
    >>> counts("alarm", 0.4, 10.0), counts("dog", 0.4, 10.0), counts("dog", 0.4)
    (True, False, True)
    """

    def __init__(
        self,
        by_class: Mapping[str, float],
        threshold: float | None = None,
        usual: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        check_thresholds(by_class)
        self._by_class, self._threshold, self._usual = by_class, threshold, usual
        self.asked: set[str] = set()
        self.unsaid: set[str] = set()

    def __call__(self, label: str, score: float, seconds: float | None = None) -> bool:
        """Of a class, its score, and the seconds of the window; None for those of an event."""
        self.asked.add(label)
        least = self._by_class.get(label, self._threshold)
        if least is None:
            usual = self._usual.get(label, THRESHOLD)
            if seconds is not None and label not in self._usual:
                self.unsaid.add(label)
            least = 0.0 if seconds is None else _least(usual, seconds)
        return score >= least


# Asked for every score; windows are of few lengths.
_least = functools.lru_cache(4096)(lambda usual, seconds: float(tag_thresholds(usual)(seconds)))


def read_tags(stream: BinaryIO, name: str, counts: Callable[..., bool]) -> Iterator[Tagged]:
    """Read what `acdref predict` has written: csv or jsonl, windows or events.

    Parameters
    ----------
    stream : binary file
        Its beginning can be peeked at.
    name : str
        Its name, for errors.
    counts : callable
        A :class:`Bar`.

    Yields
    ------
    Tagged
        A recording at a time, of rows that stand together.

    Raises
    ------
    FileError
        If it is none of these, or has a damaged row.
    """
    head = stream.peek(64) if hasattr(stream, "peek") else b""
    jsonl = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    with Rows(name, None, stream=stream, errors="surrogateescape") as rows:
        found = _objects(rows, counts) if jsonl else _table(rows, counts)
        for path, group in itertools.groupby(found, key=lambda each: each.path):
            every = list(group)
            spans = [span for each in every for span in each.spans]
            yield Tagged(path, spans, next((each.error for each in every if each.error), None))


def _objects(rows, counts):
    for _, row in window_objects(rows):
        start, end, error = row["start"], row["end"], row.get("error")
        spans = [(label, start, end) for label, p in row["scores"].items() if counts(label, p, end - start)]
        try:
            events = [
                (str(event["label"]), float(event["onset"]), float(event["offset"]))
                for event in row.get("events", ())
                if counts(event["label"], float(event.get("peak", 1)))
            ]
        except (KeyError, TypeError, ValueError):
            raise rows.bad("events must be a list of objects with label, onset, offset") from None
        yield Tagged(row["path"], _checked(rows, spans + events), error)


def _table(rows, counts):
    names = rows.header(("path",))
    path, of_events = rows.column("path"), {"onset", "offset", "label"} <= set(names)
    ends = ("onset", "offset") if of_events else ("start", "end")
    start, end = (rows.column(name) for name in ends)
    error, label, peak = (names.index(name) if name in names else None for name in ("error", "label", "peak"))
    classes = [(i, name) for i, name in enumerate(names) if name not in ("path", *NOT_CLASSES)]

    def number(fields, column):
        try:
            return float(fields[column])
        except ValueError:
            raise rows.bad(f"{fields[column]!r} is no number", column) from None

    for _, fields in rows:
        spans = []
        if fields[start]:
            span = number(fields, start), number(fields, end)
            if of_events:
                score = 1.0 if peak is None else number(fields, peak)
                spans = [(fields[label], *span)] if counts(fields[label], score) else []
            else:
                scored = ((name, number(fields, i)) for i, name in classes if fields[i])
                spans = [(name, *span) for name, p in scored if counts(name, p, span[1] - span[0])]
        yield Tagged(fields[path], _checked(rows, spans), None if error is None else fields[error] or None)


def _checked(rows, spans):
    for _, onset, offset in spans:
        if not -math.inf < onset <= offset < math.inf:
            raise rows.bad(f"ends ({offset:g}) before it starts ({onset:g})")
    return spans


def summarise(tagged: Iterable[Tagged], classes: Sequence[str] | None = None) -> Summary:
    """Sum up what was found.

    Parameters
    ----------
    tagged : iterable of Tagged
        Taken one at a time.
    classes : sequence of str, optional
        Only these.

    Returns
    -------
    Summary
        Spans of one class that touch or overlap, as windows do, count as one event.

    Examples
    --------
    >>> spans = [("dog", 0.0, 10.0), ("dog", 5.0, 15.0), ("dog", 30.0, 40.0)]
    >>> summarise([Tagged("a.wav", spans, None)]).rows
    [InRecording(path='a.wav', label='dog', events=2, seconds=25.0, first=0.0, last=40.0)]
    """
    recordings = silent = failed = 0
    rows: list[InRecording] = []
    for each in tagged:
        recordings += 1
        failed += each.error is not None
        found = {label for label, *_ in each.spans}
        labels = sorted(found) if classes is None else [name for name in classes if name in found]
        silent += not labels and each.error is None
        for label in labels:
            merged = merge_gaps([span[1:] for span in each.spans if span[0] == label])
            seconds = round(float((merged[:, 1] - merged[:, 0]).sum()), 6)
            first, last = float(merged[0, 0]), float(merged[-1, 1])
            rows.append(InRecording(each.path, label, len(merged), seconds, first, last))
    names = dict.fromkeys(row.label for row in rows) if classes is None else classes
    return Summary(recordings, silent, failed, rows, tuple(names))


def as_csv(summary: Summary) -> str:
    """A row for each class in each recording: path, label, events, seconds, first, last, schema."""
    return csv_line(COLUMNS) + "".join(csv_line([*row, SCHEMA]) for row in summary.rows)


def as_json(summary: Summary) -> str:
    """One object: schema, recordings, silent, failed, classes (name -> recordings, events, seconds), and
    files, a list of objects with path, label, events, seconds, first, last."""
    row = {name: getattr(summary, name) for name in ("recordings", "silent", "failed")}
    files = [each._asdict() for each in summary.rows]
    return json.dumps({"schema": SCHEMA, **row, "classes": summary.totals(), "files": files}, indent=2) + "\n"


def as_table(summary: Summary) -> str:
    """For people: the classes, how many recordings there are, then each recording."""
    paths = [printable(row.path) for row in summary.rows]
    wide = max(map(len, ("class", *map(printable, summary.classes))))
    long = max(map(len, ("recording", *paths)))
    lines = [f"{'class':<{wide}}  recordings  events    seconds"]
    for name, total in summary.totals().items():
        counts = f"{total['recordings']:>10}  {total['events']:>6}  {total['seconds']:>9.1f}"
        lines.append(f"{printable(name):<{wide}}  {counts}")
    failed = f", {summary.failed} failed" if summary.failed else ""
    lines.append(f"{summary.recordings} recordings, {summary.silent} with none of these{failed}")
    if summary.rows:
        lines += ["", f"{'recording':<{long}}  {'class':<{wide}}  events    seconds      first       last"]
    for path, row in zip(paths, summary.rows, strict=True):
        times = f"{row.events:>6}  {row.seconds:>9.1f}  {clock(row.first):>9}  {clock(row.last):>9}"
        lines.append(f"{path:<{long}}  {printable(row.label):<{wide}}  {times}")
    return "\n".join(lines) + "\n"


FORMATS = {"table": as_table, "csv": as_csv, "json": as_json}
