"""Options of the command line are those of the dataclasses; no number is NaN or infinite."""

import dataclasses
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from acdref import cli
from acdref.commands._options import Listed, Named, Number, click_options
from acdref.options import Checked, option


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


def test_an_option_without_its_value_is_no_option_left_out():
    code = "from acdref.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "x", "--top"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "'--top' requires an argument" in done.stderr


def test_every_option_that_takes_a_number_does():
    plain = [
        f"{command.name} {option.opts[0]}"
        for command, option in _options(cli.group)
        if isinstance(option.type, click.types.FloatParamType) and not isinstance(option.type, Number)
    ]
    assert plain == []


@dataclasses.dataclass(frozen=True)
class Sample(Checked):
    plain: str = "no option"
    needed: str = option(help="Needed in Python.", path=True)
    many: int = option(4, at_least=1, at_most=9)
    rate: float | None = option(0.5, "A rate.", above=0, below=1)
    loud: bool = option(False, "A flag.")
    T: float = option(0.05, flag="--threshold-t")
    parts: tuple[float, ...] = option((1.0, 0.5), above=0, must="parts must be positive", metavar="A,B,...")
    words: tuple[str, ...] = option(("a",), choices=("a", "b"))


def command(**how):
    @click.command()
    @click_options(Sample, **how)
    def show(**options):
        for name, value in options.items():
            click.echo(f"{name}={value!r}")

    return show


def values(*arguments, **how):
    done = CliRunner().invoke(command(**how), arguments)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_options_are_the_fields_in_their_order():
    options = command().params
    assert [o.opts[0] for o in options] == [
        "--needed", "--many", "--rate", "--loud", "--threshold-t", "--parts", "--words",
    ]  # fmt: skip
    help = CliRunner().invoke(command(), ["--help"]).stdout
    for words in ("[default: 4; 1<=x<=9]", "[default: 0.5; 0<x<1]", "[default: 1,0.5]", "--words [a|b]"):
        assert words in help


def test_values_are_those_that_the_dataclass_takes():
    assert values() == [
        "needed=None", "many=4", "rate=0.5", "loud=False", "T=0.05", "parts=(1.0, 0.5)", "words=('a',)",
    ]  # fmt: skip
    given = "--needed x --many 2 --rate 0.1 --loud --threshold-t 0.2 --parts 2,3 --words b --words a"
    assert values(*given.split()) == [
        "needed='x'", "many=2", "rate=0.1", "loud=True", "T=0.2", "parts=(2.0, 3.0)", "words=('b', 'a')",
    ]  # fmt: skip


def test_some_of_the_fields():
    assert values(only=("loud", "many")) == ["loud=False", "many=4"]
    assert values(without=("needed", "loud", "T", "parts", "words")) == ["many=4", "rate=0.5"]
    assert values(only=("rate", "parts"), unset=True) == ["rate=None", "parts=None"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--many 0", "0 is not in the range 1<=x<=9"),
        ("--rate 1", "1.0 is not in the range 0<x<1"),
        ("--rate nan", "not a finite number"),
        ("--parts 1,x", "'1,x' is no list of numbers"),
        ("--parts 1,-1", "parts must be positive"),
        ("--parts nan", "parts must be positive"),
        ("--words c", "'c' is not one of 'a', 'b'"),
    ],
)
def test_values_that_cannot_be_are_wrong_usage(arguments, words):
    done = CliRunner().invoke(command(), arguments.split())
    assert done.exit_code == 2
    assert words in done.stderr


def test_names_between_commas():
    assert Listed()("dog, big cat,") == ("dog", "big cat", "")
    assert Listed()('"Bee, wasp, etc.",Dog, "the ""cat"""') == ("Bee, wasp, etc.", "Dog", 'the "cat"')
    with pytest.raises(click.BadParameter, match="a quote that is not closed"):
        Listed()('"Bee, wasp')


def test_names_in_a_file(tmp_path):
    (tmp_path / "names").write_bytes(b"\xef\xbb\xbfBee, wasp, etc.\r\n\n  Dog \n")
    assert Listed()(f"@{tmp_path}/names") == ("Bee, wasp, etc.", "Dog")
    with pytest.raises(click.BadParameter, match="none: No such file"):
        Listed()(f"@{tmp_path}/none")


def test_no_help_page_loads_numpy():
    code = (
        "import sys, click\nfrom acdref.cli import group\n"
        "def walk(command):\n"
        "    context = click.Context(command)\n    command.get_help(context)\n"
        "    for name in getattr(command, 'list_commands', lambda context: ())(context):\n"
        "        walk(command.get_command(context, name))\n"
        "walk(group)\nsys.exit(any(name in sys.modules for name in ('numpy', 'numba', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_last_equals_sign_is_before_the_number():
    assert Named()("a=b=0.3") == ("a=b", 0.3)
