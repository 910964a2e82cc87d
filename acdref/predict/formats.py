"""Results of :func:`acdref.predict.tagging.predict` as text: jsonl and csv for programs, table for people.

Each format is a generator from results to pieces of text, one for each result as it comes.  Programs get the
schema's name and version in every row: it changes when a key or column does, or what it means.

Scores are probabilities, written with as many digits as tell neighbouring float32 numbers apart.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from acdref.audio.notes import SHORT
from acdref.errors import AcdrefError
from acdref.predict.tagging import Failure, Window
from acdref.tables.rows import csv_line

SCHEMA = "acdref.predict/1"
Found = Iterable[Window | Failure]
Names = Sequence[str]
Text = Iterator[str]
Threshold = float | Callable[[float], float] | None


def as_jsonl(results: Found, classes: Names, threshold: Threshold = None, top: int | None = None) -> Text:
    """One JSON object a line.

    Parameters
    ----------
    results : iterable of Window or Failure
    classes : sequence of str
        Names of the scores.
    threshold : float or callable, optional
        Leave out scores below it; a callable says which for a window of so many seconds, such as
        :func:`acdref.predict.scoring.tag_threshold`.
    top : int, optional
        Leave out all but the highest so many.

    Yields
    ------
    str
        A window has the keys ``schema``, ``path``, ``start``, ``end`` and ``scores`` (an object from class to
        score, in the order of `classes`), and ``note`` if there is one; a failure has ``schema``, ``path``
        and ``error``.

    Examples
    --------
    >>> failure = Failure("b.wav", "an empty file")
    >>> print(*as_jsonl([failure], ["rain", "dog"]), sep="", end="")
    {"schema": "acdref.predict/1", "path": "b.wav", "error": "an empty file"}
    """
    for result in results:
        row: dict[str, Any] = {"schema": SCHEMA} | result._asdict()
        if isinstance(result, Window):
            chosen = _chosen(result, threshold, top)
            row["scores"] = {classes[i]: score for i, score in sorted(chosen)}
        yield json.dumps({key: value for key, value in row.items() if value is not None}) + "\n"


def as_csv(results: Found, classes: Names, threshold: Threshold = None, top: int | None = None) -> Text:
    """Comma-separated values: a header, then one row for each result.

    Parameters
    ----------
    results, classes, threshold, top
        As in :func:`as_jsonl`.

    Yields
    ------
    str
        The columns ``schema, path, start, end``, one for each class under its name, ``note, error``.  A
        failure has only ``schema``, ``path`` and ``error``; scores that are left out are empty.

    Raises
    ------
    AcdrefError
        If a class has the name of another column.

    Examples
    --------
    >>> window = Window("a.wav", 0.0, 10.0, [0.9, 0.2], None)
    >>> print(*as_csv([window], ["rain", "dog"], threshold=0.5), sep="", end="")
    schema,path,start,end,rain,dog,note,error
    acdref.predict/1,a.wav,0.0,10.0,0.9,,,
    """
    columns = ["schema", "path", "start", "end", *classes, "note", "error"]
    for name in classes:
        if columns.count(name) > 1:
            raise AcdrefError(f"csv has a column {name!r} beside that of the class: use another format")
    yield csv_line(columns)
    for result in results:
        row = {"schema": SCHEMA} | result._asdict()
        if row.pop("scores", None) is not None:
            row |= {classes[i]: score for i, score in _chosen(result, threshold, top)}
        yield csv_line([row.get(name, "") for name in columns])


def as_table(results: Found, classes: Names, threshold: Threshold = None, top: int | None = None) -> Text:
    """For people: each recording's name, then a line for each window with its tags, the surest first.

    Parameters
    ----------
    results, classes, threshold, top
        As in :func:`as_jsonl`.

    Yields
    ------
    str

    Examples
    --------
    >>> window = Window("a.wav", 0.0, 10.0, [0.9, 0.2], None)
    >>> print(*as_table([window], ["rain", "dog"], threshold=0.5), sep="", end="")
        start       end  tags (scores from 0.5), acdref.predict/1
    a.wav
       0:00.0    0:10.0  rain 0.90
    """
    yield f"{'start':>9} {'end':>9}  tags{_bar(threshold)}, {SCHEMA}\n"
    path = None
    for result in results:
        text = ""
        if result.path != path:
            path = result.path
            text = printable(path) + "\n"
        if isinstance(result, Failure):
            text += f"  error: {printable(result.error)}\n"
        else:
            shown = [f"{classes[i]} {score:.2f}" for i, score in _chosen(result, threshold, top)]
            text += f"{_clock(result.start):>9} {_clock(result.end):>9}  {'  '.join(shown) or '-'}"
            text += f"  ({printable(result.note)})\n" if result.note else "\n"
        yield text


FORMATS = {"table": as_table, "csv": as_csv, "jsonl": as_jsonl}


def printable(text: str) -> str:
    """Text with what a terminal would not print (or would obey) escaped.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(printable("a\\x1b[2J.wav"))
    a\\x1b[2J.wav
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _bar(threshold):
    """What the head of a table says of the threshold."""
    if threshold is None:
        return ""
    if not callable(threshold):
        return f" (scores from {threshold:g})"
    usual, short = threshold(math.inf), threshold(0.0)
    return f" (scores from {usual:g}), below {SHORT:g} s (from {short:g})"


def _chosen(window, threshold, top):
    """Pairs of class number and score, the highest first; ties in the order of classes."""
    if callable(threshold):
        threshold = threshold(window.end - window.start)
    # The shortest decimals that give the float32 back: what is compared is what is shown.
    pairs = sorted(enumerate(float(str(score)) for score in window.scores), key=lambda pair: -pair[1])
    return [pair for pair in pairs[:top] if threshold is None or pair[1] >= threshold]


def _clock(seconds):
    """Hours, minutes, seconds and tenths, rounded down: an end never lies behind the recording's."""
    minutes, tenths = divmod(int(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{tenths // 10:02}.{tenths % 10}"
