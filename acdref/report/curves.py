"""The curves of training as one page: of a run while it goes on, or of several, one over the other.

The page has its data within.  As long as a run goes on, the page looks every few seconds whether the file has
become another one, and takes over what is new; whoever looks at it stays where they are.
"""

import os
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

from acdref import __version__
from acdref.compare import differing, flat, short_names, text_of
from acdref.files import json_number, place, replacing
from acdref.predict.formats import printable
from acdref.report.page import page_of
from acdref.tables.history import AP, History, read_history

SCHEMA = "acdref.curves/1"
PAGE = "curves.html"


def write_curves(out: str | PathLike, runs: Sequence[History], durable: bool = True) -> None:
    """Write the page of some runs.

    Parameters
    ----------
    out : str or path-like
        The file, which appears when it is whole.
    runs : sequence of History
    durable : bool
        See :func:`acdref.files.replacing`.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    names = short_names(runs)
    meta = {
        "schema": SCHEMA,
        "title": f"Training of {printable(_own_name(runs[0]))}"
        if len(runs) == 1
        else f"{len(runs)} runs compared",
        "live": len(runs) == 1 and len(runs[0].rows) < runs[0].planned,
        "ap": AP,
        "runs": [_run(printable(name), run) for name, run in zip(names, runs, strict=True)],
        "differ": [printable(name) for name in differing(runs)],
        "made": f"Written by acdref {__version__}.",
    }
    with replacing(out, durable=durable) as temporary:
        temporary.write_text(page_of("curves", meta), encoding="utf-8", newline="\n")


def _own_name(run):
    return os.path.basename(os.path.abspath(run.name)) or run.name


def _run(name: str, run: History) -> dict[str, Any]:
    """A run as the page has it; six digits are more than it shows."""
    columns = list(run.rows[0])
    return {
        "name": name,
        "planned": run.planned,
        "kept": run.kept,
        "keep": run.keep,
        "columns": [printable(column) for column in columns],
        "rows": [[json_number(float(f"{row[column]:.6g}")) for column in columns] for row in run.rows],
        "options": {printable(name): printable(text_of(value)) for name, value in flat(run.options).items()},
    }


class Drawing:
    """Draws the curves of a run again whenever it is called.

    What goes wrong is said once, and ends nothing: a training of days is worth more than its picture.

    Parameters
    ----------
    folder : str or path-like
        Of the run.
    say : callable
        Called with one line of text.
    """

    def __init__(self, folder: str | PathLike, say: Callable[[str], object]):
        self._folder, self._say, self._said = place(folder), say, False

    def __call__(self) -> None:
        try:
            write_curves(self._folder / PAGE, [read_history(self._folder)], durable=False)
        except Exception as error:
            if not self._said:
                self._said = True
                self._say(f"no curves are drawn, but training goes on: {error}")
