"""What a case is, and writing all of them as files.

::

    DIR/index.json                              schema, acdref's version, the cases
    DIR/SECTION/FUNCTION/VARIANT/in/NAME.npy    inputs and parameters
    DIR/SECTION/FUNCTION/VARIANT/out/NAME.npy   expected outputs

The folders say all that is needed to compute: an implementation may walk them without reading the index.
Arrays are little-endian float32, float64 or int64; a number is an array without axes; a choice of words is an
int64, whose meaning docs/conformance.md gives.  What is text has another suffix than ``.npy``.
"""

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref import __version__
from acdref.errors import AcdrefError, naming
from acdref.files import Place, replacing, settle, write_text

SCHEMA = "acdref.conformance/1"
INDEX = "index.json"
MODULES = ("sound", "layers", "networks", "training", "labels", "metrics", "clap", "formats")
"""Modules of this package that have cases, in the order of the index."""

Value = ArrayLike | str
"""An array or a number, or a text, whose name then has a suffix: ``table.csv``."""


@dataclass(frozen=True)
class Mistake:
    """A wrong way that is often taken, and what comes out of it.

    Attributes
    ----------
    cause : str
        What was done, as a sentence goes on after "as if": "batch normalisation had eps 1e-3".
    outputs : dict of str to array
        Some of the case's outputs, computed so.
    """

    cause: str
    outputs: Mapping[str, Value]


@dataclass(frozen=True)
class Case:
    """Inputs, and the outputs that every implementation must find.

    Attributes
    ----------
    name : str
        "section/function/variant".
    formula : str
        What is computed, in one line.
    inputs, outputs : dict of str to array, number or text
    paper : str
        "1, eq. 4": number of the paper as in the README, and place; empty for what no paper has.
    rtol : float
    atol : float, or dict of str to float with one for each output
        An answer x to an expected y must have abs(x - y) <= atol + rtol * abs(y), and NaN where y has it.
    mistakes : sequence of Mistake
    """

    name: str
    formula: str
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    paper: str = ""
    rtol: float = 0.0
    atol: float | Mapping[str, float] = 0.0
    mistakes: Sequence[Mistake] = field(default=())

    @property
    def section(self) -> str:
        return self.name.partition("/")[0]


def all_cases() -> Iterator[Case]:
    """Every case, section by section; always the same."""
    for module in MODULES:
        yield from importlib.import_module(f"acdref.conform.{module}").cases()


def export(folder: Place) -> list[Case]:
    """Write all cases into a new folder.

    Parameters
    ----------
    folder : str or path-like
        Must be empty, or not exist.

    Returns
    -------
    list of Case
        What was written.

    Raises
    ------
    AcdrefError
        If there is something in the folder.
    FileError
        If a file cannot be written.
    """
    root = Path(folder)
    with naming(root):
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise AcdrefError(f"{root}: is not empty; cases are written into a new folder")
    entries, written = [], []
    for case in all_cases():
        entries.append(_write_case(root, case))
        written.append(case)
    settle(root, (path.relative_to(root) for path in root.rglob("*.npy")))
    index = {"schema": SCHEMA, "acdref": __version__, "cases": entries}
    write_text(root / INDEX, json.dumps(index, indent=1) + "\n")  # last: with it the folder is whole
    return written


def _write_case(root, case):
    """Write a case's files; returns its entry in the index."""
    files = {
        "inputs": _write_values(root, f"{case.name}/in", case.inputs),
        "outputs": _write_values(root, f"{case.name}/out", case.outputs),
    }
    mistakes = [
        {"cause": one.cause, "outputs": _write_values(root, f"{case.name}/mistake{number}", one.outputs)}
        for number, one in enumerate(case.mistakes, 1)
    ]
    about = {"name": case.name, "section": case.section, "formula": case.formula, "paper": case.paper}
    return about | files | {"rtol": case.rtol, "atol": case.atol, "mistakes": mistakes}


def _write_values(root, folder, values):
    (root / folder).mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, value in values.items():
        paths[name] = f"{folder}/{name}" if isinstance(value, str) else f"{folder}/{name}.npy"
        if isinstance(value, str):
            write_text(root / paths[name], value)
        else:
            with replacing(root / paths[name], durable=False) as temporary, open(temporary, "wb") as file:
                np.save(file, plain(value), allow_pickle=False)
    return paths


def plain(value: ArrayLike) -> NDArray:
    """A value as the files have it: C order, float32, float64 or int64, little-endian.

    Raises
    ------
    TypeError
        For complex numbers, words and objects.

    Examples
    --------
    >>> plain([True, False]).dtype.str, plain(0.5).shape
    ('<i8', ())
    """
    array = np.asarray(value)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{array.dtype} is neither float32, float64 nor int64")
    kinds = {"f": "<f4" if array.dtype.itemsize <= 4 else "<f8"}
    return np.asarray(array, dtype=kinds.get(array.dtype.kind, "<i8"), order="C")
