"""What a run of training has come to, read back from its folder: `metrics.csv` and `config.json`."""

import os
from collections.abc import Mapping
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from acdref.errors import FileError, naming
from acdref.files import place, read_json
from acdref.remote import listing
from acdref.tables.rows import Rows

CONFIG, METRICS = "config.json", "metrics.csv"
LENGTHENED = "lengthened"  # in config.json, beside the options: up to which epochs a finished run went on
AP = "AP "  # what the columns of average precision by class begin with


def standing(row: Mapping[str, float], keep: str) -> float:
    """What decides whether an epoch's weights are kept: the higher the better.

    Parameters
    ----------
    row : mapping
        A row of metrics.csv.
    keep : {"mAP", "AUC", "loss", "last"}

    Returns
    -------
    float
        NaN where the row does not say, and for "last".

    Examples
    --------
    >>> standing({"epoch": 2, "val_mAP": 0.5, "val_loss": 0.25}, "loss")
    -0.25
    """
    value = row.get(f"val_{keep}", np.nan)
    return -value if keep == "loss" else value


class History(NamedTuple):
    """A run of training, epoch by epoch.

    Attributes
    ----------
    name : str
        Its folder, as it was named.
    rows : list of dict
        What metrics.csv has, a row an epoch: column -> value, NaN where there is none.
    options : dict
        What config.json has.
    """

    name: str
    rows: list[dict[str, float]]
    options: dict[str, Any]

    @property
    def planned(self) -> int:
        """Epochs that the run is to have in the end."""
        return [self.options["epochs"], *self.options.get(LENGTHENED, [])][-1]

    @property
    def keep(self) -> str:
        """What decides which weights are kept, of :func:`standing`."""
        validated = "val_mAP" in self.rows[0]
        return (self.options.get("keep") or "mAP") if validated else "last"

    @property
    def kept(self) -> int:
        """Number of the row whose weights are best.npz."""
        scores = [standing(row, self.keep) for row in self.rows]
        return len(scores) - 1 if np.isnan(scores).any() else int(np.argmax(scores))

    @property
    def classes(self) -> list[str]:
        """The classes with an average precision."""
        return [name.removeprefix(AP) for name in self.rows[0] if name.startswith(AP)]


def read_history(folder: str | PathLike) -> History:
    """Read a run back.

    Parameters
    ----------
    folder : str or path-like

    Returns
    -------
    History
        With one row at least.

    Raises
    ------
    FileError
        If it is no folder of a run, a file in it is damaged, or no epoch has ended yet.
    """
    at = place(folder)
    if not isinstance(at, str) and at.is_file():
        raise FileError(folder, "is a file; name the folder of a run")
    with naming(folder):
        names = listing(at)[1] if isinstance(at, str) else os.listdir(at)
    if CONFIG not in names:
        raise FileError(folder, f"holds no run of acdref train (it has no {CONFIG})")
    options = read_json(at / CONFIG)
    lengthened = options.get(LENGTHENED, []) if isinstance(options, dict) else None
    if not isinstance(lengthened, list) or not all(
        type(n) is int for n in [options.get("epochs"), *lengthened]
    ):
        raise FileError(at / CONFIG, "is no run's: it says nothing of epochs")
    rows = _read_rows(at / METRICS) if METRICS in names else []
    if not rows:
        raise FileError(folder, "no epoch of this run has ended yet")
    return History(str(folder), rows, options)


def _read_rows(path):
    found = []
    with Rows(path) as rows:
        names = rows.header()
        for name in ("epoch", *names):
            rows.column(name)
        for _, fields in rows:
            row = {}
            for name, field in zip(names, fields, strict=True):
                try:
                    row[name] = float(field or "nan")
                except ValueError:
                    raise rows.bad(f"{field!r} is no number", name) from None
            found.append(row)
    return found
