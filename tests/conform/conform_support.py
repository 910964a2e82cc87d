"""What the tests of each section's cases share."""

from pathlib import Path

import numpy as np

from acdref.conform.writing import plain

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def by_function(cases):
    """Cases by "section/function", then by variant."""
    functions = {}
    for case in cases:
        function, _, variant = case.name.rpartition("/")
        functions.setdefault(function, {})[variant] = case
    return functions


def assert_consistent(functions):
    """All variants of a function have the same names and kinds of numbers; every mistake fails its case."""
    for function, variants in functions.items():
        signatures = {
            tuple((name, kind(value)) for name, value in sorted({**case.inputs}.items()))
            + tuple((name, kind(value)) for name, value in sorted({**case.outputs}.items()))
            for case in variants.values()
        }
        assert len(signatures) == 1, (function, signatures)
        for case in variants.values():
            for mistake in case.mistakes:
                assert not passes(case, mistake.outputs), (case.name, mistake.cause)


def kind(value):
    return "text" if isinstance(value, str) else plain(value).dtype.str


def passes(case, outputs):
    """Whether outputs are within the case's tolerances."""
    return all(error(case, name, value) <= 1 for name, value in outputs.items())


def assert_right(case, outputs):
    """All that the case expects, within its tolerances."""
    errors = {name: error(case, name, outputs[name]) for name in case.outputs}
    assert not {name: one for name, one in errors.items() if not one <= 1}, case.name


def error(case, name, value):
    """The largest error in units of what is allowed."""
    expected = case.outputs[name]
    if isinstance(value, str):
        return 0 if value == expected else np.inf
    x, y = (plain(a).astype(np.float64) for a in (value, expected))
    if x.shape != y.shape or not np.array_equal(np.isnan(x), np.isnan(y)):
        return np.inf
    atol = case.atol[name] if isinstance(case.atol, dict) else case.atol
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.where(x == y, 0, np.abs(x - y) / (atol + case.rtol * np.abs(y)))
    return np.nanmax(errors, initial=0)
