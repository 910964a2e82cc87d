"""Options are held to their bounds in Python too, and name what there is."""

import dataclasses
import math

import pytest

from acdref import options
from acdref.augment import AUGMENTATIONS
from acdref.errors import AcdrefError, OptionError
from acdref.nets import NETWORKS
from acdref.options import Checked, option
from acdref.recipes.relabel_transfer import LABELLINGS


@dataclasses.dataclass(frozen=True)
class Sample(Checked):
    name: str = option()
    most: int | None = option(4, at_least=1, at_most=9)
    rate: float = option(0.5, above=0, below=1)
    parts: tuple[float, ...] = option((1.0,), above=0, must="parts must be positive")
    words: tuple[str, ...] = option(("a",), choices=("a", "b"))
    free: float = option(0.0)


@pytest.mark.parametrize(
    ("name", "names"), [("NETWORKS", NETWORKS), ("AUGMENTATIONS", AUGMENTATIONS), ("LABELLINGS", LABELLINGS)]
)
def test_choices_are_what_there_is(name, names):
    assert getattr(options, name) == tuple(names)


@pytest.mark.parametrize(
    "given",
    [
        {"most": 1},
        {"most": 9},
        {"most": None},
        {"rate": 1e-9},
        {"rate": 1 - 1e-9},
        {"parts": (1, 2.5)},
        {"words": ("b", "a")},
        {"free": -1e300},
    ],
)
def test_values_within_bounds(given):
    sample = Sample(name="x", **given)
    assert {name: getattr(sample, name) for name in given} == given


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"most": 0}, "most must be at least 1, not 0"),
        ({"most": 10}, "most must be at most 9, not 10"),
        ({"rate": 0.0}, "rate must be above 0, not 0.0"),
        ({"rate": 1.0}, "rate must be below 1, not 1.0"),
        ({"rate": math.nan}, "rate must be a finite number, not nan"),
        ({"free": math.inf}, "free must be a finite number, not inf"),
        ({"parts": (1.0, -1.0)}, "parts must be positive"),
        ({"parts": (math.nan,)}, "parts must be positive"),
        ({"parts": ()}, "parts must be positive"),
        ({"words": ("a", "c")}, "words = 'c': choose one of 'a', 'b'"),
        ({"words": ()}, "words must have one value at least"),
    ],
)
def test_values_out_of_bounds_are_refused_in_one_line(given, cause):
    with pytest.raises(OptionError) as caught:
        Sample(name="x", **given)
    assert str(caught.value) == cause
    assert isinstance(caught.value, AcdrefError) and isinstance(caught.value, ValueError)


def test_an_option_without_default_is_needed():
    with pytest.raises(TypeError, match="name"):
        Sample()
