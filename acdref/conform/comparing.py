"""Comparing a folder of answers with what is expected.

Answers lie where the index says, without ``in`` and ``out``::

    ANSWERS/SECTION/FUNCTION/VARIANT/NAME.npy

Cases without any answer are passed over, so that a part can be checked alone.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acdref.conform.writing import INDEX, SCHEMA
from acdref.errors import FileError, naming
from acdref.files import Place

_NUMBER = (int, float)
_ENTRY = {"name": str, "section": str, "formula": str, "outputs": dict, "rtol": _NUMBER}
_ENTRY |= {"atol": (*_NUMBER, dict), "mistakes": list}


@dataclass(frozen=True)
class Verdict:
    """What became of one case.

    Attributes
    ----------
    case : str
    section : str
    status : {"passed", "failed", "missing"}
        Missing: none of its outputs was answered.
    error : float
        The largest abs(answer - expected) / (atol + rtol * abs(expected)): right up to 1; infinite where
        something is wrong in kind, NaN for what is missing.
    where : str
        The place of the largest error; of what failed also what was found and what is expected.
    cause : str
        The mistake that gives the same numbers, if one does.
    formula : str
    """

    case: str
    section: str
    status: str
    error: float = math.nan
    where: str = ""
    cause: str = ""
    formula: str = ""


def check(cases: Place, answers: Place) -> tuple[list[Verdict], list[str]]:
    """Compare answers with exported cases.

    Parameters
    ----------
    cases : str or path-like
        A folder that :func:`acdref.conform.export` wrote.
    answers : str or path-like

    Returns
    -------
    verdicts : list of Verdict
        One for each case, in the order of the index.
    strangers : list of str
        Files among the answers that answer nothing.

    Raises
    ------
    FileError
        If the cases are none, or damaged, or nothing was answered.
    """
    root, given = Path(cases), Path(answers)
    with naming(given):
        present = {file.relative_to(given).as_posix() for file in given.rglob("*") if file.is_file()}
        if not given.is_dir():
            raise FileError(given, "is not a folder")
    verdicts = []
    for entry in _entries(root):
        expected = {_answer(entry, path): path for path in entry["outputs"].values()}
        answered = present & set(expected)
        present -= answered
        verdicts.append(_verdict(entry, root, given, expected) if answered else _passed_over(entry))
    if all(verdict.status == "missing" for verdict in verdicts):
        example = next(iter(expected))
        raise FileError(given, f"answers none of the cases: a file would be {example}, for example")
    return verdicts, sorted(present)


def _entries(root):
    """The cases of an index."""
    path = root / INDEX
    index = _parsed(path)
    if not isinstance(index, dict) or "schema" not in index:
        raise FileError(path, "is not an index of cases")
    if index["schema"] != SCHEMA:
        raise FileError(path, f"has the schema {index['schema']!r}, not {SCHEMA!r}")
    if not index.get("cases") or not isinstance(index["cases"], list):
        raise FileError(path, "has no cases")
    if not all(map(_is_case, index["cases"])):
        raise FileError(path, "has cases that lack something")
    return index["cases"]


def _is_case(entry):
    """Whether an entry of the index has all that a case has, each of its kind."""
    if not (isinstance(entry, dict) and all(isinstance(entry.get(k), kind) for k, kind in _ENTRY.items())):
        return False
    mistakes, atol = entry["mistakes"], entry["atol"]
    if not all(isinstance(one, dict) and isinstance(one.get("cause"), str) for one in mistakes):
        return False
    if not all(isinstance(one.get("outputs"), dict) for one in mistakes):
        return False
    paths = [path for one in (entry, *mistakes) for path in one["outputs"].values()]
    if not all(isinstance(path, str) and "\0" not in path for path in paths):
        return False
    if isinstance(atol, dict):
        stems = {Path(path).stem for path in paths if path.endswith(".npy")}
        return stems <= atol.keys() and all(isinstance(value, _NUMBER) for value in atol.values())
    return True


def _answer(entry, path):
    return f"{entry['name']}/{Path(path).name}"


def _passed_over(entry):
    return Verdict(entry["name"], entry["section"], "missing", formula=entry["formula"])


def _verdict(entry, root, given, expected):
    """The verdict on a case that is answered, at least in part."""
    worst, where = 0.0, ""
    for answer, path in expected.items():
        error, place = _error(given / answer, root / path, entry)
        if error > worst or not where:
            worst, where = error, f"{Path(answer).name.removesuffix('.npy')}{place}"
    about = {"case": entry["name"], "section": entry["section"], "error": worst, "formula": entry["formula"]}
    if worst <= 1:
        return Verdict(**about, status="passed", where=where)
    return Verdict(**about, status="failed", where=where, cause=_cause(entry, root, given))


def _cause(entry, root, given):
    """The mistake whose outputs equal the answers."""
    for mistake in entry["mistakes"]:
        pairs = [(given / _answer(entry, path), root / path) for path in mistake["outputs"].values()]
        if all(_error(answer, path, entry)[0] <= 1 for answer, path in pairs):
            return mistake["cause"]
    return ""


def _error(answer, path, entry):
    """The largest error of an answer in units of what is allowed, and its place with the values there."""
    read = _load if path.suffix == ".npy" else _parsed
    expected = read(path)  # where the cases themselves are damaged, no answer is to blame
    if not answer.exists():
        return math.inf, " is missing"
    try:
        found = read(answer)
    except FileError as error:
        return math.inf, f": {error.cause}"
    if path.suffix == ".npy":
        atol = entry["atol"]
        return _array_error(
            found, expected, entry["rtol"], atol[path.stem] if isinstance(atol, dict) else atol
        )
    return _value_error(found, expected, entry)


def _load(path):
    with naming(path):
        try:
            array = np.load(path, allow_pickle=False)
        except OSError:
            raise
        except Exception:  # what NumPy raises for damaged bytes has no common type
            raise FileError(path, "cannot be read as an array (.npy)") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
        raise FileError(path, "is not an array of numbers")
    return array


def _array_error(x: NDArray, y: NDArray, rtol: float, atol: float) -> tuple[float, str]:
    """As :func:`_error`, of arrays; a shape that differs by axes of length 1 only is the same."""
    if [n for n in x.shape if n != 1] != [n for n in y.shape if n != 1]:
        return math.inf, f" has the shape {x.shape}, expected {y.shape}"
    if not y.size:
        return 0.0, ""
    x, y = x.reshape(y.shape).astype(np.float64), y.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        errors = np.where(
            (x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y) / (atol + rtol * np.abs(y))
        )
    errors[np.isnan(errors)] = np.inf  # NaN on one side, or infinities of two signs
    worst = np.unravel_index(np.argmax(errors), y.shape)
    index = f"[{', '.join(map(str, map(int, worst)))}]" if y.ndim else ""
    return float(errors[worst]), f"{index} is {x[worst]:.9g}, expected {y[worst]:.9g}"


def _parsed(path):
    """A text: what JSON says, of others a list of lines."""
    with naming(path):
        text = path.read_bytes().decode("utf-8", "replace")
    try:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines()]
        return json.loads(text) if path.suffix == ".json" else text.splitlines()
    except (ValueError, RecursionError):
        raise FileError(path, "is not JSON") from None


def _value_error(x, y, entry):
    """As :func:`_error`, of values of JSON, the numbers by the tolerances, or of lists of lines."""
    number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (x, y))
    if number:
        return _array_error(np.array(x), np.array(y), entry["rtol"], entry["atol"])
    if type(x) is not type(y):
        return math.inf, f" is {x!r}, expected {y!r}"
    if isinstance(x, dict) and x.keys() == y.keys():
        pairs = ((f"[{key!r}]", x[key], y[key]) for key in y)
    elif isinstance(x, list) and len(x) == len(y):
        pairs = ((f"[{i}]", *pair) for i, pair in enumerate(zip(x, y, strict=True)))
    elif isinstance(x, list):
        return math.inf, f" has {len(x)} entries, expected {len(y)}"
    elif isinstance(x, dict):
        return math.inf, f" has the keys {sorted(x)}, expected {sorted(y)}"
    else:
        return (0.0, "") if x == y else (math.inf, f" is {x!r}, expected {y!r}")
    found = [(error, place + rest) for place, *pair in pairs for error, rest in [_value_error(*pair, entry)]]
    return max(found, key=lambda one: one[0], default=(0.0, ""))


def by_section(verdicts: Iterable[Verdict]) -> list[dict]:
    """One row for each section: how many cases, answered, passed, and the verdict with the largest error.

    Examples
    --------
    >>> by_section([Verdict("a/b/c", "a", "passed", 0.5), Verdict("a/b/d", "a", "missing")])
    [{'section': 'a', 'cases': 2, 'answered': 1, 'passed': 1, 'worst': 0.5, 'where': 'b/c'}]
    """
    verdicts = list(verdicts)
    rows = []
    for section, cases in Counter(verdict.section for verdict in verdicts).items():
        answered = [one for one in verdicts if one.section == section and one.status != "missing"]
        row = {"section": section, "cases": cases, "answered": len(answered)}
        row["passed"] = sum(one.status == "passed" for one in answered)
        worst = max(answered, key=lambda one: one.error, default=None)
        row["worst"] = worst.error if worst else math.nan
        row["where"] = f"{worst.case.partition('/')[2]} {worst.where}".rstrip() if worst else ""
        rows.append(row)
    return rows
