"""Scores in text files, csv and jsonl, a recording in memory at a time; see :mod:`acdref.tables.scores`."""

import csv
import itertools
import json

import numpy as np

from acdref.errors import FileError

_IDS = ("path", "id", "fname")
_NOT_CLASSES = {"schema", "start", "end", "note", "error"}
RESERVED = _NOT_CLASSES.union(_IDS)
"""Names of csv columns that are no classes."""


# csv


def read_csv_classes(path):
    """Names of the classes: the columns that mean nothing else."""
    return _csv_header(path)[2]


def read_csv_rows(path):
    """(where, id, scores (C,) float64) of each recording."""
    return _recordings(_csv_windows(path))


def write_csv(path, ids, classes, rows):
    """Write a file; `rows` are (C,) float64, one for each of `ids`, taken as they come."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["path", *classes])
        for id, row in zip(ids, rows, strict=True):
            writer.writerow([id, *("" if np.isnan(score) else repr(float(score)) for score in row)])


def _csv_header(path):
    """Columns; position of the id; classes; position of each class."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            columns = next(csv.reader(file, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileError(path, f"line 1: {error}") from None
    ids = [i for i, name in enumerate(columns) if name in _IDS]
    if not ids:
        raise FileError(path, f"line 1: no column {', '.join(_IDS)}")
    at = [i for i, name in enumerate(columns) if i != ids[0] and name not in _NOT_CLASSES]
    return columns, ids[0], tuple(columns[i] for i in at), at


def _csv_windows(path):
    """(line, id, duration, scores) of each window; NaN for no duration."""
    columns, at_id, _, at = _csv_header(path)
    span = [columns.index(name) for name in ("start", "end")] if {"start", "end"} <= set(columns) else None
    line = 0
    with open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            next(reader)
            line = reader.line_num
            for fields in reader:
                if len(fields) != len(columns):
                    raise ValueError(f"{len(fields)} fields instead of {len(columns)}")
                start, end = (float(fields[i] or "nan") for i in span) if span else (np.nan, np.nan)
                scores = np.array([float(fields[i] or "nan") for i in at])
                yield line + 1, fields[at_id], end - start, scores
                line = reader.line_num
        except (csv.Error, UnicodeDecodeError, ValueError) as error:
            raise FileError(path, f"line {line + 1}: {error}") from None


# jsonl


def read_jsonl_classes(path):
    """Names of the classes that any window has a score of, in the order of their first."""
    classes = {}
    for _, window in _objects(path):
        classes |= dict.fromkeys(window["scores"])
    return tuple(classes)


def read_jsonl_rows(path):
    """(where, id, scores (C,) float64) of each recording."""
    return _recordings(_jsonl_windows(path, read_jsonl_classes(path)))


def _jsonl_windows(path, classes):
    """(line, id, duration, scores) of each window."""
    for line, window in _objects(path):
        scores = np.array([window["scores"].get(name, np.nan) for name in classes], dtype=np.float64)
        yield line, window["path"], window["end"] - window["start"], scores


def _objects(path):
    """(line, object) of each line, with all of the keys path, start, end, scores."""
    number = 0
    with open(path, encoding="utf-8-sig") as stream:
        try:
            for number, text in enumerate(stream, start=1):
                if text.strip():
                    window = json.loads(text)
                    if not isinstance(window, dict) or not isinstance(window.get("path"), str):
                        raise ValueError("no object with a path")
                    window = {"start": np.nan, "end": np.nan, "scores": {}} | window
                    if not isinstance(window["scores"], dict):
                        raise ValueError("the scores are no object from class to score")
                    numbers = [window["start"], window["end"], *window["scores"].values()]
                    if not all(type(value) in (int, float) for value in numbers):
                        raise ValueError("a start, end or score is no number")
                    yield number, window
        except UnicodeDecodeError:
            raise FileError(path, f"line {number + 1}: is not UTF-8") from None
        except ValueError as error:
            raise FileError(path, f"line {number}: {error}") from None


# both


def _recordings(windows):
    """One row for the windows of a recording, which stand together."""
    for id, group in itertools.groupby(windows, key=lambda window: window[1]):
        lines, _, seconds, scores = zip(*group, strict=True)
        yield f"line {lines[0]}", id, scores[0] if len(scores) == 1 else _mean(scores, seconds)


def _mean(scores, seconds):
    """Mean over windows, weighted by their duration where it is known."""
    scores = np.array(scores)
    weights = np.array(seconds) if all(duration > 0 for duration in seconds) else np.ones(len(scores))
    return np.clip(weights @ scores / weights.sum(), scores.min(axis=0), scores.max(axis=0))
