"""Results of :func:`acdref.predict.tagging.predict` as text: jsonl and csv for programs, table for people.

Each format is a generator from results to pieces of text, one for each result as it comes.  Programs get the
schema's name and version in every row: it changes when a key or column does, or what it means.

Scores are probabilities, written with as many digits as tell neighbouring float32 numbers apart.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from acdref.audio.notes import SHORT
from acdref.errors import AcdrefError
from acdref.predict.tagging import Failure, Window
from acdref.tables.rows import csv_line

SCHEMA = "acdref.predict/1"
Found = Iterable[Window | Failure]
Names = Sequence[str]
Text = Iterator[str]
Threshold = ArrayLike | Callable[[float], ArrayLike] | None


def as_jsonl(results: Found, classes: Names, threshold: Threshold = None, top: int | None = None) -> Text:
    """One JSON object a line.

    Parameters
    ----------
    results : iterable of Window or Failure
    classes : sequence of str
        Names of the scores.
    threshold : float, (C,) array_like or callable, optional
        Leave out scores below it; a callable says which for a window of so many seconds, such as
        :func:`acdref.predict.scoring.USUAL`.
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
    return _each(results, *_jsonl(classes, threshold, top))


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
    return _each(results, *_csv(classes, threshold, top))


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
    return _each(results, *_table(classes, threshold, top))


def _each(results, head, text):
    if head:
        yield head
    yield from map(text, results)


# Each gives what stands at the head, and a function from a result to its text.


def _jsonl(classes, threshold, top):
    def text(result):
        row: dict[str, Any] = {"schema": SCHEMA} | result._asdict()
        if isinstance(result, Window):
            chosen = _chosen(result, threshold, top)
            row["scores"] = {classes[i]: score for i, score in sorted(chosen)}
        return json.dumps({key: value for key, value in row.items() if value is not None}) + "\n"

    return "", text


def _csv(classes, threshold, top):
    names = columns(classes)

    def text(result):
        found = row(result, classes, threshold, top)
        return csv_line([found.get(name, "") for name in names])

    return csv_line(names), text


def _table(classes, threshold, top):
    path = None

    def text(result):
        nonlocal path
        lines = ""
        if result.path != path:
            path = result.path
            lines = printable(path) + "\n"
        if isinstance(result, Failure):
            return f"{lines}  error: {printable(result.error)}\n"
        shown = [f"{classes[i]} {score:.2f}" for i, score in _chosen(result, threshold, top)]
        lines += f"{clock(result.start):>9} {clock(result.end):>9}  {'  '.join(shown) or '-'}"
        return lines + (f"  ({printable(result.note)})\n" if result.note else "\n")

    return f"{'start':>9} {'end':>9}  tags{_bar(threshold)}, {SCHEMA}\n", text


FORMATS = {"table": _table, "csv": _csv, "jsonl": _jsonl}
"""By name, functions from classes, threshold and top to the head of a file and from a result to its text."""


def columns(classes: Names) -> list[str]:
    """The columns of a table of windows; AcdrefError if a class has the name of another one."""
    names = ["schema", "path", "start", "end", *classes, "note", "error"]
    for name in classes:
        if names.count(name) > 1:
            raise AcdrefError(f"csv has a column {name!r} beside that of the class: use another format")
    return names


def row(
    result: Window | Failure, classes: Names, threshold: Threshold = None, top: int | None = None
) -> dict[str, Any]:
    """A result in a table, by the names of :func:`columns`; arguments as of :func:`as_csv`."""
    found = {"schema": SCHEMA} | result._asdict()
    if found.pop("scores", None) is not None:
        found |= {classes[i]: score for i, score in _chosen(result, threshold, top)}
    return found


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
    usual, short = (_span(threshold(s) if callable(threshold) else threshold) for s in (math.inf, 0.0))
    return f" (scores from {usual})" + f", below {SHORT:g} s (from {short})" * (short != usual)


def _span(thresholds):
    """One number, or the least and the most."""
    least, most = np.min(thresholds), np.max(thresholds)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}, by class"


def _chosen(window, threshold, top):
    """Pairs of class number and score, the highest first; ties in the order of classes."""
    if callable(threshold):
        threshold = threshold(window.end - window.start)
    pairs = sorted(enumerate(decimals(window.scores)), key=lambda pair: -pair[1])
    if threshold is None:
        return pairs[:top]
    least = np.broadcast_to(threshold, len(pairs))  # (C,)
    return [(i, score) for i, score in pairs[:top] if score >= least[i]]


def decimals(scores: Iterable) -> list[float]:
    """Scores as the shortest decimals that give the float32 back: what is compared is what is shown.

    Examples
    --------
    >>> decimals(np.float32([0.7, 0.25])), float(np.float32(0.7)) < 0.7
    ([0.7, 0.25], True)
    """
    return [float(str(score)) for score in scores]


def clock(seconds: float) -> str:
    """Hours, minutes, seconds and tenths, rounded down: an end never lies behind the recording's.

    Examples
    --------
    >>> clock(65.25), clock(3600.0)
    ('1:05.2', '1:00:00.0')
    """
    minutes, tenths = divmod(int(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{tenths // 10:02}.{tenths % 10}"
