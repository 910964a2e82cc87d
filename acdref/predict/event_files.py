"""Files of events, ours and those of other tools: one table of formats, each a function to text.

========  ============================================================================================
csv       one row an event; a recording without any, or one that failed, has a row without event
jsonl     one object a recording, its events a list
table     for people
dcase     TSV of DCASE, sed_eval and sed_scores_eval: filename, onset, offset, event_label
audacity  label track of Audacity: start, end, label between tabs
raven     selection table of Raven
textgrid  Praat's TextGrid (long text): an interval tier for each class
scores    TSV of sed_scores_eval: onset, offset, a column for each class; of the cells, not of the events
========  ============================================================================================

The last four say nothing of the recording that they belong to: a file for each, in a folder.  What a name
has of line ends, tabs and bytes that are no UTF-8 is written as an escape there and in dcase.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from acdref.predict.events import Timeline
from acdref.predict.formats import clock, printable
from acdref.remote import absolute
from acdref.tables.rows import csv_line, tab_line

SCHEMA = "acdref.events/1"
COLUMNS = (
    "path", "onset", "offset", "label", "peak", "mean", "recording_seconds", "note", "error", "schema",
)  # fmt: skip
HIGHEST = 8000
"""Hz: the upper edge of a selection, as high as a network at 16 kHz hears."""

Classes = Sequence[str]


class EventFile(NamedTuple):
    """A format: the ending of its files, what a recording is in it, what stands at the head of a file, and
    whether each recording has a file of its own in a folder."""

    suffix: str
    text: Callable[[Timeline, Classes], str]
    head: str = ""
    folder: bool = False


def event_rows(timeline: Timeline, classes: Classes) -> list[tuple[Any, ...]]:
    """Rows of a table of events.

    Parameters
    ----------
    timeline : Timeline
    classes : sequence of str
        Names of the labels.

    Returns
    -------
    list of tuple
        In the order of :data:`COLUMNS`, None for what is not there.  A recording without events has one row
        without event, and so has what failed, after its events; the last row has the note.
    """
    seconds = timeline.seconds or None
    rows: list[list[Any]] = []
    for event in timeline.events:
        scores = _decimal(event.peak), _decimal(event.mean)
        rows.append([event.onset, event.offset, classes[event.label], *scores, seconds, None, None])
    if timeline.error is not None or not rows:
        rows.append([None] * 5 + [seconds, None, timeline.error])
    rows[-1][-2] = timeline.note
    return [(timeline.path, *row, SCHEMA) for row in rows]


def _csv(timeline, classes):
    rows = event_rows(timeline, classes)
    return "".join(csv_line(["" if value is None else value for value in row]) for row in rows)


def _jsonl(timeline, classes):
    events = [
        {
            "label": classes[event.label],
            "onset": event.onset,
            "offset": event.offset,
            "peak": _decimal(event.peak),
            "mean": _decimal(event.mean),
        }
        for event in timeline.events
    ]
    row: dict[str, Any] = {"schema": SCHEMA, "path": timeline.path}
    if timeline.seconds:
        row |= {"seconds": timeline.seconds, "events": events}
    row |= {name: text for name in ("note", "error") if (text := getattr(timeline, name)) is not None}
    return json.dumps(row) + "\n"


def _table(timeline, classes):
    lines = [printable(timeline.path) + "  -" * (not timeline.events and timeline.error is None)]
    for event in timeline.events:
        times = f"{clock(event.onset):>9} {clock(event.offset):>9}"
        lines.append(f"{times}  {classes[event.label]} {event.peak:.2f}")
    lines += [
        f"  {name}: {printable(text)}"
        for name in ("note", "error")
        if (text := getattr(timeline, name)) is not None
    ]
    return "\n".join(lines) + "\n"


def _dcase(timeline, classes):
    if timeline.error is not None and not timeline.events:
        return ""
    rows = [(repr(event.onset), repr(event.offset), classes[event.label]) for event in timeline.events]
    return "".join(tab_line(map(_field, (timeline.path, *row))) for row in rows or [("", "", "")])


def _audacity(timeline, classes):
    return "".join(
        tab_line([f"{event.onset:.6f}", f"{event.offset:.6f}", _plain(classes[event.label])])
        for event in timeline.events
    )


_RAVEN = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
    "Begin Path", "File Offset (s)", "Annotation", "Score",
)  # fmt: skip


def _raven(timeline, classes):
    path, lines = _plain(absolute(timeline.path)), []
    for number, event in enumerate(timeline.events, start=1):
        onset, offset = f"{event.onset:.6f}", f"{event.offset:.6f}"
        box = [str(number), "Spectrogram 1", "1", onset, offset, "0.0", f"{HIGHEST:.1f}"]
        about = [path, onset, _plain(classes[event.label]), str(_decimal(event.peak))]
        lines.append(tab_line(box + about))
    return "".join(lines)


def _textgrid(timeline, classes):
    end = repr(timeline.seconds)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}"]
    lines += ["tiers? <exists>", f"size = {len(classes)}", "item []:"]
    for number, name in enumerate(classes, start=1):
        intervals, last = [], 0.0
        for event in (event for event in timeline.events if classes[event.label] == name):
            if event.onset > last:
                intervals.append((last, event.onset, ""))
            intervals.append((event.onset, event.offset, name))
            last = event.offset
        if last < timeline.seconds:
            intervals.append((last, timeline.seconds, ""))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
        ]
        lines += ["        xmin = 0", f"        xmax = {end}", f"        intervals: size = {len(intervals)}"]
        for i, (onset, offset, text) in enumerate(intervals, start=1):
            lines += [f"        intervals [{i}]:", f"            xmin = {onset!r}"]
            lines += [f"            xmax = {offset!r}", f"            text = {_quoted(text)}"]
    return "\n".join(lines) + "\n"


def _scores(timeline, classes):
    lines = [tab_line(map(_field, ("onset", "offset", *classes)))]
    borders = timeline.borders.tolist()
    for onset, offset, scores in zip(borders[:-1], borders[1:], timeline.cells, strict=True):
        lines.append(tab_line(map(repr, (onset, offset, *map(_decimal, scores)))))
    return "".join(lines)


def _decimal(score):
    """As many digits as tell neighbouring float32 numbers apart."""
    return float(str(np.float32(score)))


def _plain(name):
    """A name on one line, without tabs, and in UTF-8."""
    return re.sub(r"[\0-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]", lambda found: _escape(found[0]), name)


def _escape(character):
    return character.encode("unicode_escape").decode()


def _field(text):
    """Between tabs, for readers to whom a quote at its beginning says that it is quoted."""
    text = _plain(text)
    return '"' + text.replace('"', '""') + '"' if '"' in text else text


def _quoted(text):
    """Between Praat's quotes."""
    return '"' + _plain(text).replace('"', '""') + '"'


_HEAD = f"{'onset':>9} {'offset':>9}  event and its highest score, {SCHEMA}\n"

EVENT_FILES = {
    "table": EventFile(".txt", _table, _HEAD),
    "csv": EventFile(".csv", _csv, csv_line(COLUMNS)),
    "jsonl": EventFile(".jsonl", _jsonl),
    "dcase": EventFile(".tsv", _dcase, tab_line(["filename", "onset", "offset", "event_label"])),
    "audacity": EventFile(".txt", _audacity, folder=True),
    "raven": EventFile(".Table.1.selections.txt", _raven, tab_line(_RAVEN), folder=True),
    "textgrid": EventFile(".TextGrid", _textgrid, folder=True),
    "scores": EventFile(".tsv", _scores, folder=True),
}
"""The formats by name."""
