"""Runs of training side by side: what they have reached, and in which options they differ."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from acdref.files import json_number
from acdref.predict.formats import printable
from acdref.tables.history import AP, History
from acdref.tables.rows import csv_line

SCHEMA = "acdref.compare/1"
FIRST = 20
"""Classes that the table shows: of more, those in which the runs differ most."""

_RECORDINGS = ("manifest", "root", "val", "val_fold")


def figures(run: History) -> dict[str, float]:
    """What a run has reached: the measures of the epoch that is kept, without those by class."""
    row = run.rows[run.kept]
    return {name: x for name, x in row.items() if name != "epoch" and not name.startswith(AP)}


def by_class(run: History) -> dict[str, float]:
    """Average precision of each class in the epoch that is kept."""
    return {name: run.rows[run.kept][AP + name] for name in run.classes}


def flat(options: dict[str, Any]) -> dict[str, Any]:
    """Options as one row.

    Examples
    --------
    >>> flat({"lr": 0.003, "augment": {"room": 0.2}})
    {'lr': 0.003, 'augment.room': 0.2}
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        inner = flat(value) if isinstance(value, dict) else None
        found |= {name: value} if inner is None else {f"{name}.{key}": x for key, x in inner.items()}
    return found


def differing(runs: Sequence[History]) -> list[str]:
    """Names of the options in which runs differ, or which only some of them know."""
    every = [flat(run.options) for run in runs]
    names = dict.fromkeys(name for options in every for name in options)
    known = every[0]
    return [n for n in names if any(n not in o or n not in known or o[n] != known[n] for o in every)]


def notes(runs: Sequence[History]) -> list[str]:
    """Lines on what makes runs hard to compare."""
    lines, first = [], runs[0]
    for run in runs:
        if len(run.rows) < run.planned:
            lines.append(f"{run.name}: has done {len(run.rows)} of {run.planned} epochs")
        if "val_mAP" not in run.rows[0]:
            lines.append(f"{run.name}: has no validation, so there is only its loss")
        elif "val_mAP" not in first.rows[0]:
            continue
        elif set(run.classes) != set(first.classes):
            lines.append(f"{run.name}: has other classes than {first.name}: their mAP is not of the same")
        elif [run.options.get(name) for name in _RECORDINGS] != [
            first.options.get(name) for name in _RECORDINGS
        ]:
            lines.append(f"{run.name}: was validated on other recordings than {first.name}, it seems")
    return lines


def short_names(runs: Sequence[History]) -> list[str]:
    """Names of runs without the folders that are common to all."""
    paths = [os.path.normpath(run.name) for run in runs]
    if len(set(paths)) < 2:
        return paths
    common = os.path.commonpath(map(os.path.dirname, map(os.path.abspath, paths)))
    return [os.path.relpath(path, common) for path in paths]


def as_csv(runs: Sequence[History]) -> str:
    """A row a run: run, epochs, planned, epoch (the one that is kept), its measures, those by class, options
    (as option.NAME) in which the runs differ, schema."""
    differ, rows = differing(runs), []
    for run in runs:
        options = flat(run.options)
        row = {"run": run.name, "epochs": len(run.rows), "planned": run.planned, "epoch": run.kept + 1}
        row |= figures(run) | {AP + name: x for name, x in by_class(run).items()}
        rows.append(row | {f"option.{name}": text_of(options[name]) for name in differ if name in options})
    names = dict.fromkeys(name for row in rows for name in row)
    columns = sorted(names, key=lambda name: name.startswith("option."))
    lines = [csv_line([_cell(row.get(name)) for name in columns] + [SCHEMA]) for row in rows]
    return csv_line([*columns, "schema"]) + "".join(lines)


def as_json(runs: Sequence[History]) -> str:
    """One object: schema, runs (run, epochs, planned, epoch, figures, ap by class, options), differ."""
    found = [
        {
            "run": run.name,
            "epochs": len(run.rows),
            "planned": run.planned,
            "epoch": run.kept + 1,
            "figures": {name: json_number(x) for name, x in figures(run).items()},
            "ap": {name: json_number(x) for name, x in by_class(run).items()},
            "options": run.options,
        }
        for run in runs
    ]
    return json.dumps({"schema": SCHEMA, "runs": found, "differ": differing(runs)}, indent=2) + "\n"


def as_table(runs: Sequence[History]) -> str:
    """For people: what each run has reached, average precision by class, the options that differ."""
    names, reached = short_names(runs), [figures(run) for run in runs]
    columns = list(dict.fromkeys(name for row in reached for name in row))
    blocks = [[["run", "epochs", "kept", *columns]]]
    for name, run, row in zip(names, runs, reached, strict=True):
        epochs = f"{len(run.rows)}/{run.planned}"
        blocks[0].append([name, epochs, str(run.kept + 1), *(_short(row.get(n)) for n in columns)])
    ap = [by_class(run) for run in runs]
    classes = _most_different(ap)
    if classes:
        blocks.append([["AP", *names], *([c, *(_short(each.get(c)) for each in ap)] for c in classes)])
    differ, options = differing(runs), [flat(run.options) for run in runs]
    if differ:
        rows = ([n, *(text_of(each[n]) if n in each else "-" for each in options)] for n in differ)
        blocks.append([["option", *names], *rows])
    return "\n".join(map(_aligned, blocks))


FORMATS = {"table": as_table, "csv": as_csv, "json": as_json}


def text_of(value: Any) -> str:
    """An option's value as text; "none" for None."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _most_different(ap):
    """The classes, all or the `FIRST` in which the runs differ most, in their order."""
    names = list(dict.fromkeys(name for each in ap for name in each))
    if len(names) <= FIRST:
        return names
    values = {name: [x for each in ap if (x := each.get(name, np.nan)) == x] for name in names}
    most = sorted(names, key=lambda name: min(values[name], default=0) - max(values[name], default=0))
    return [name for name in names if name in most[:FIRST]]


def _short(value):
    return "-" if value is None or np.isnan(value) else f"{value:.4g}"


def _cell(value):
    return "" if value is None or value != value else value


def _aligned(rows: Iterable[list[str]]) -> str:
    """Lines of a table: the first column to the left, the others to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = (
        "  ".join([f"{row[0]:<{wide[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], wide[1:], strict=True))])
        for row in rows
    )
    return "".join(f"{text.rstrip()}\n" for text in texts)
