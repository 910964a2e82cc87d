"""What the tests of each section's cases share."""

import numpy as np

from acdref.conform.writing import plain


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
    return all(equal(value, case.outputs[name], case) for name, value in outputs.items())


def equal(value, expected, case):
    if isinstance(value, str):
        return value == expected
    return np.shape(value) == np.shape(expected) and np.allclose(
        value, expected, case.rtol, case.atol, equal_nan=True
    )
