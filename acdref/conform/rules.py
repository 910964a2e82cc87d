"""Cases of a function from inputs alone: its rule gives what is expected, wrong rules give the mistakes."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from acdref.conform.writing import Case, Mistake, Value

Rule = Callable[..., Mapping[str, Value]]
"""Takes a case's inputs by name; gives its outputs, or the wrong ones of them, by name."""


def rule_cases(
    function: str,
    formula: str,
    rule: Rule,
    variants: Mapping[str, Mapping[str, Value]],
    wrong: Mapping[str, Rule] | None = None,
    paper: str = "",
    rtol: float = 0.0,
    atol: float = 0.0,
) -> Iterator[Case]:
    """Cases of one function.

    Parameters
    ----------
    function : str
        "section/function".
    formula, paper, rtol, atol
        As in :class:`Case`.
    rule : callable
    variants : dict of str to dict
        The inputs of each variant.
    wrong : dict of str to callable, optional
        Wrong ways by their causes, as in :class:`Mistake`; each becomes a mistake of the variants that tell
        it from the rule and from the wrong ways before it.

    Yields
    ------
    Case

    Raises
    ------
    ValueError
        If the variants differ in the names of inputs or outputs, or none of them tells a wrong way.

    Examples
    --------
    >>> wrong = {"x was squared": lambda x: {"y": x**2}}
    >>> variants = {"two": {"x": 2}, "three": {"x": 3}}
    >>> cases = rule_cases("a/twice", "y = 2 x", lambda x: {"y": 2 * x}, variants, wrong)
    >>> [(case.name, case.outputs, len(case.mistakes)) for case in cases]
    [('a/twice/two', {'y': 4}, 0), ('a/twice/three', {'y': 6}, 1)]
    """
    wrong = wrong or {}
    told: set[str] = set()
    names: set[tuple] = set()
    for variant, inputs in variants.items():
        outputs = rule(**inputs)
        names.add((*sorted(inputs), "->", *sorted(outputs)))
        mistakes: list[Mistake] = []
        for cause, way in wrong.items():
            mistaken = way(**inputs)
            if _same(mistaken, outputs, rtol, atol):
                continue
            told.add(cause)
            if not any(_same(mistaken, {**outputs, **one.outputs}, rtol, atol) for one in mistakes):
                mistakes.append(Mistake(cause, mistaken))
        yield Case(f"{function}/{variant}", formula, inputs, outputs, paper, rtol, atol, mistakes)
    if len(names) > 1:
        raise ValueError(f"{function}: the variants have different inputs or outputs: {sorted(names)}")
    if wrong.keys() - told:
        raise ValueError(f"{function}: no variant tells {sorted(wrong.keys() - told)}")


def _same(some, outputs, rtol, atol):
    """Whether some outputs equal those of the same names, within the tolerances."""
    return all(_equal(value, outputs[name], rtol, atol) for name, value in some.items())


def _equal(x, y, rtol, atol):
    if isinstance(x, str):
        return x == y
    return np.shape(x) == np.shape(y) and np.allclose(x, y, rtol, atol, equal_nan=True)
