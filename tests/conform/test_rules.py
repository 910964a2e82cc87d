"""Cases from rules: what is expected comes from the rule, mistakes only where they show."""

import numpy as np
import pytest

from acdref.conform.rules import rule_cases

TWO = {"two": {"x": np.array([2.0, np.nan])}, "three": {"x": np.array([3.0, np.nan])}}


def twice(x):
    return {"y": 2 * x, "x.txt": "as it was"}


def cases(variants=TWO, wrong=None, **given):
    return list(rule_cases("numbers/twice", "y = 2 x", twice, variants, wrong, **given))


def test_the_rule_gives_what_is_expected():
    first, second = cases(paper="1, eq. 1", rtol=1e-3)
    assert (first.name, first.paper, first.rtol, first.atol) == ("numbers/twice/two", "1, eq. 1", 1e-3, 0)
    np.testing.assert_array_equal(first.outputs["y"], [4, np.nan])
    np.testing.assert_array_equal(second.outputs["y"], [6, np.nan])
    assert second.inputs is TWO["three"]


def test_a_mistake_belongs_to_the_cases_that_show_it():
    wrong = {"x was squared": lambda x: {"y": x**2}, "the sum was taken": lambda x: {"y": np.nansum(x)}}
    first, second = cases(wrong=wrong)
    assert [one.cause for one in first.mistakes] == ["the sum was taken"]
    assert [one.cause for one in second.mistakes] == ["x was squared", "the sum was taken"]


def test_of_two_mistakes_with_the_same_numbers_the_first_is_named():
    wrong = {"x was cubed": lambda x: {"y": x**3}, "x was cubed once more": lambda x: {"y": x * x * x}}
    assert [one.cause for one in cases(wrong=wrong)[1].mistakes] == ["x was cubed"]


def test_mistakes_in_words():
    wrong = {"it was changed": lambda x: {"x.txt": "otherwise"}}
    assert [len(one.mistakes) for one in cases(wrong=wrong)] == [1, 1]


def test_a_mistake_that_no_case_shows_is_refused():
    with pytest.raises(ValueError, match=r"numbers/twice: no variant tells \['nothing was done wrong'\]"):
        cases(wrong={"nothing was done wrong": twice})
    within = {"it was rounded": lambda x: {"y": 2.0001 * x}}
    with pytest.raises(ValueError, match="no variant tells"):
        cases(wrong=within, rtol=1e-3)


def test_variants_have_the_same_names():
    def named(x, **others):
        return {"y": x}

    with pytest.raises(ValueError, match="different inputs or outputs"):
        list(rule_cases("numbers/same", "y = x", named, {"one": {"x": 1}, "two": {"x": 1, "z": 1}}))
