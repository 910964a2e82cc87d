"""Numbers on the command line: none is NaN or infinite, whatever the option."""

import click
import pytest

from acdref import cli
from acdref.commands._numbers import Number


@pytest.mark.parametrize("wrong", ["nan", "inf", "-inf", "1e999", "NaN", "x", ""])
def test_only_numbers(wrong):
    with pytest.raises(click.BadParameter):
        Number(min=0)(wrong)
    with pytest.raises(click.BadParameter):
        Number()(wrong)


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("1e3", 1000.0), ("5", 5.0)])
def test_within_bounds(text, value):
    assert Number(0, 1000)(text) == value


def test_out_of_bounds():
    with pytest.raises(click.BadParameter, match="is not in the range"):
        Number(0, 1)("2")


def _options(command):
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from _options(command.get_command(click.Context(command), name))
    else:
        yield from ((command, option) for option in command.params)


def test_every_option_that_takes_a_number_does():
    plain = [
        f"{command.name} {option.opts[0]}"
        for command, option in _options(cli.group)
        if isinstance(option.type, click.types.FloatParamType) and not isinstance(option.type, Number)
    ]
    assert plain == []
