"""Options, each once: default, bounds, choices and help stand in a field of a dataclass.

The command line makes its options of these fields (:mod:`acdref.commands._options`), a run's config.json is
the dataclass as a dict, and who makes one in Python is held to the same bounds.  Nothing in this package
imports NumPy: `acdref --help` answers at once.

The lists of choices stand here too, so that a help page can name them; a test compares them with what they
are names of.
"""

import dataclasses
import math
import operator
from functools import partial
from typing import Any

from acdref.errors import OptionError

NETWORKS = ("acdnet", "vgg-gap", "conv1d", "resnet50", "mobilenetv2")
AUGMENTATIONS = ("none", "light", "source", "mixture", "paper")
LABELLINGS = ("ol", "pel", "pe-cml")

_BOUNDS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}


def option(default: Any = dataclasses.MISSING, help: str | None = None, **about: Any) -> Any:
    """A field of a dataclass that is an option of the command line too.

    Parameters
    ----------
    default : object, optional
        Without, the field must be given in Python; on the command line it is None then.
    help : str, optional
    at_least, above, at_most, below : number, optional
        Bounds of the value, or of each in a tuple.
    choices : sequence of str, optional
        All that the value, or each in a tuple, may be.
    must : str, optional
        What is said of values out of bounds, in place of a sentence made of these.
    path : bool, optional
        It names a file or folder.
    flag : str, optional
        Its name on the command line; default: that of the field, with hyphens.
    metavar : str, optional
        What stands for the value in the help.
    several : bool, optional
        A tuple's values are given one by one, not between commas.
    quick : object, optional
        The default of a recipe's --quick, where that is another one.
    of : str, optional
        The choice that this option belongs to, and is wrong usage without.

    Returns
    -------
    dataclasses.Field

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Sieve(Checked):
    ...     holes: int = option(8, "In a row.", at_least=1)
    >>> Sieve(holes=0)
    Traceback (most recent call last):
    acdref.errors.OptionError: holes must be at least 1, not 0
    """
    kw_only = default is dataclasses.MISSING
    return dataclasses.field(default=default, kw_only=kw_only, metadata={"help": help, **about})


# What many options are: a file or folder, or a number within the usual bounds.
path = partial(option, path=True)
share = partial(option, at_least=0, at_most=1)
positive = partial(option, above=0)
amount = partial(option, at_least=0)
count = partial(option, at_least=1)


def choice(choices: tuple[str, ...], help: str | None = None, **about: Any) -> Any:
    """An :func:`option` that is one of these; the first is the default."""
    return option(choices[0], help, choices=choices, **about)


def option_of(of: str, default: Any, help: str, **about: Any) -> Any:
    """An :func:`option` that belongs to the choice `of`, with which its help begins."""
    return option(default, f"{of}: {help}", of=of, **about)


def refusal(field: dataclasses.Field, value: Any) -> str | None:
    """Why a field cannot have a value: one line, or None if it can."""
    about = field.metadata
    if value == () and field.default:
        return about.get("must") or f"{field.name} must have one value at least"
    for one in value if isinstance(value, tuple) else (value,):
        if one is None:
            continue
        choices = about.get("choices")
        if choices is not None and isinstance(one, str) and one not in choices:
            return f"{field.name} = {one!r}: choose one of {', '.join(map(repr, choices))}"
        if isinstance(one, float) and not math.isfinite(one):
            return about.get("must") or f"{field.name} must be a finite number, not {one}"
        for words, fits in _BOUNDS.items():
            if words in about and not fits(one, about[words]):
                bound = f"{words.replace('_', ' ')} {about[words]}"
                return about.get("must") or f"{field.name} must be {bound}, not {one}"
    return None


@dataclasses.dataclass(frozen=True)
class Checked:
    """A dataclass whose values are within the bounds of its options.

    Raises
    ------
    OptionError
        Where one is not.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            cause = refusal(field, getattr(self, field.name))
            if cause is not None:
                raise OptionError(cause)
