"""Options of the command line, made of the fields of :mod:`acdref.options`."""

import dataclasses
import math
from collections.abc import Callable, Collection, Sequence
from types import UnionType
from typing import Any, get_args, get_origin

import click
from click.core import ParameterSource

from acdref.commands._progress import LEVEL
from acdref.errors import FileError
from acdref.options import refusal
from acdref.remote import is_address, plain
from acdref.tables.rows import TABS, Rows, names_in, tidy


class PathOption(click.Path):
    """A file or folder of this machine, ``file://`` too; or, where `addresses` are taken, in a store."""

    def __init__(self, addresses: bool):
        super().__init__()
        self.addresses = addresses

    def convert(self, value, param, ctx):
        path = super().convert(plain(value), param, ctx)
        if is_address(path) and not self.addresses:
            self.fail(f"{path}: a path of this machine is wanted (docs/stores.md)", param, ctx)
        return path


PATH, PLACE = PathOption(addresses=False), PathOption(addresses=True)
"""Of this machine; or of a store, too, see :mod:`acdref.remote`."""


class Number(click.FloatRange):
    """A finite number within bounds: to `click.FloatRange` NaN lies within all, and infinity within some.

    Examples
    --------
    >>> Number(min=0)("1e3")
    1000.0
    >>> Number(min=0)("nan")
    Traceback (most recent call last):
    click.exceptions.BadParameter: nan is not a finite number.
    """

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number

    def _describe_range(self):
        return "" if self.min is self.max is None else super()._describe_range()


class Named(click.ParamType):
    """A name and its number.

    Examples
    --------
    >>> Named()("dog=0.3")
    ('dog', 0.3)
    """

    name = "name=number"

    def convert(self, value, param, ctx):
        name, equals, number = value.rpartition("=")
        try:
            if equals:
                return name.strip(), float(number)
        except ValueError:
            pass
        return self.fail(f"{value}: not of the form {param.metavar}", param, ctx)


class Listed(click.ParamType):
    """Values between commas, a tuple; `field` has what they are.

    Text that holds a comma stands in quotes; ``@FILE`` is a file with one a line.

    Examples
    --------
    >>> Listed(str)('dog, "Bee, wasp, etc."')
    ('dog', 'Bee, wasp, etc.')
    """

    name = "list"

    def __init__(self, of: type = str, field: dataclasses.Field | None = None):
        self.of, self.field = of, field

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):  # a default
            return value
        try:
            parts = _lines(value[1:]) if self.of is str and value.startswith("@") else names_in(value, ",")
        except (ValueError, FileError) as error:
            self.fail(str(error), param, ctx)
        try:
            found = tuple(map(self.of, parts))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers", param, ctx)
        cause = self.field and refusal(self.field, found)
        if cause:
            self.fail(cause, param, ctx)
        return found


def _lines(path):
    """The lines of a file that say something, without outer blanks."""
    with Rows(path, TABS) as rows:
        return [tidy(fields[0]) for _, fields in rows.fields(1)]


def click_options(
    of: type,
    only: Sequence[str] | None = None,
    without: Collection[str] = (),
    unset: bool = False,
    **more: Any,
) -> Callable:
    """Decorator: the options that a dataclass has, in its order.

    Parameters
    ----------
    of : dataclass
        Fields that :func:`acdref.options.option` did not make are left out.
    only : sequence of str, optional
        Only these fields, in this order.
    without : collection of str
    unset : bool
        What is not given is None, whatever the default in Python.
    **more
        Further arguments of `click.option`.
    """
    fields = {f.name: f for f in dataclasses.fields(of) if "help" in f.metadata and f.name not in without}

    def decorate(command):
        for name in reversed(only or tuple(fields)):
            command = _click_option(fields[name], unset, more)(command)
        return command

    return decorate


def given(*kinds: type) -> list[tuple[str, str]]:
    """What was given on the command line that belongs to some choice: flags, and what they belong to."""
    source = click.get_current_context().get_parameter_source
    owned = [field for kind in kinds for field in dataclasses.fields(kind) if "of" in field.metadata]
    chosen = [field for field in owned if source(field.name) is ParameterSource.COMMANDLINE]
    return [(flag_of(field), field.metadata["of"]) for field in chosen]


def flag_of(field: dataclasses.Field) -> str:
    """How a field is spelled on the command line."""
    return field.metadata.get("flag") or f"--{field.name.replace('_', '-')}"


def _click_option(field, unset, more):
    about = field.metadata
    default = None if unset or field.default is dataclasses.MISSING else field.default
    several, kind = _type(field)
    if isinstance(kind, Listed):
        default = ",".join(f"{value:g}" for value in default or ()) or default
    names, metavar = f"{flag_of(field)} {field.name}", about.get("metavar")
    return option(names, kind, about["help"], default=default, multiple=several, metavar=metavar, **more)


def option(names: str, kind: Any, help: str | None = None, **more: Any) -> Callable[[Callable], Callable]:
    """`click.option`, with what all options have in common.

    Parameters
    ----------
    names : str
        As on the command line and in Python, with a blank between.
    kind : type
        One of click's, :data:`PATH` or :data:`PLACE`, bool for a flag, or a list of choices.
    help : str, optional
    **more
        Further arguments of `click.option`.  A default is shown in the help.
    """
    if isinstance(kind, list | tuple):
        kind = click.Choice(kind)
    return click.option(
        *names.split(), type=kind, is_flag=kind is bool or None, help=help, show_default=True, **more
    )


def _type(field):
    """Whether an option may be given several times, and click's type for it."""
    about, kind = field.metadata, field.type
    if get_origin(kind) is UnionType:
        kind = get_args(kind)[0]  # the other one is None
    if get_origin(kind) is dict:
        return True, Named()
    several = get_origin(kind) is tuple
    if several:
        kind = get_args(kind)[0]
    if "choices" in about:
        return several, click.Choice(about["choices"])
    if several:
        return (True, kind) if about.get("several") else (False, Listed(kind, field))
    bounds = about.get("at_least", about.get("above")), about.get("at_most", about.get("below"))
    if kind is int:
        return False, click.IntRange(*bounds)
    if kind is float:
        return False, Number(*bounds, "above" in about, "below" in about)
    return False, PLACE if about.get("path") else kind


def _telling(number):
    def tell(context, parameter, given):
        if given and context.meta.setdefault(LEVEL, number) != number:
            raise click.UsageError("--quiet or --verbose, not both")

    return {"expose_value": False, "callback": tell}


def telling_options(command):
    """Decorator: how much a long job says on stderr, of which :mod:`acdref.commands._progress` takes note."""
    more = "Say more on stderr: backend, notes of single recordings, time and speed."
    for names, help, number in (
        ("--verbose -v", more, 1), ("--quiet -q", "Say nothing on stderr but errors.", -1)
    ):  # fmt: skip
        command = option(names, bool, help, **_telling(number))(command)
    return command


threads_option = option("--threads", click.IntRange(min=1), "Threads of the network  [default: all cores]")

CLASSES = "a name with a comma in quotes, or @FILE with one a line"
"""What a list of classes on the command line looks like."""

weights_option = option(
    "--weights", PLACE, "Weights file, or shipped ones: acdnet, acdnet-small  [default: acdnet]"
)
