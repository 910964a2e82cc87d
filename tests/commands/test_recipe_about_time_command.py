"""`acdref recipe strong` and `pseudo-strong` as their user meets them."""

import json
import os

import click
import pytest
from click.testing import CliRunner
from predict_support import program
from soundscape_support import write_soundscape_corpus

from acdref.commands._options import click_options
from acdref.commands.recipe._common import quick_options
from acdref.options.recipes import StrongOptions

TINY = ["--net", "mobilenetv2", "--width", "0.01", "--epochs", "1", "--threads", "1"]
RECIPES = {
    "strong": [
        *TINY,
        "--part-epochs",
        "1",
        "--tune-epochs",
        "1",
        "--batch",
        "3",
        "--shares",
        "0.5",
        "--seed",
        "5",
    ],
    "pseudo-strong": [*TINY, "--annotator-epochs", "1", "--batch", "6", "--windows", "2"],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_soundscape_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe(corpus, tmp_path, recipe):
    arguments = ["recipe", recipe, str(corpus), "--out", str(tmp_path / "r"), *RECIPES[recipe]]
    code, out, err = program(*arguments)
    assert code == 0, err
    *lines, weights = out.splitlines()
    assert os.path.basename(weights) == "weights.npz" and os.path.exists(weights)
    code, out, err = program(*arguments, "--json")
    found = json.loads(out)
    assert (code, found["schema"], found["recipe"]) == (0, "acdref.recipe/1", recipe)
    assert found["weights"] == weights
    assert err.count("finished before") == len(found["stages"])
    networks = [name for name, stage in found["stages"].items() if "loss" in stage]
    assert {line.split()[0] for line in lines} >= set(networks)
    code, out, err = program(*arguments, "--seed", "1")
    assert (
        (code, out, err.count("\n")) == (1, "", 1)
        and "now 1" in err
        and ": was begun with other options (seed: " in err
    )


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("give either MANIFEST or --quick", ["strong"]),
        ("give either MANIFEST or --quick", ["pseudo-strong", "m.csv", "--quick"]),
        ("--events goes with MANIFEST", ["strong", "--quick", "--events", "e.tsv"]),
        ("'x' is no list of numbers", ["strong", "m.csv", "--shares", "x"]),
        ("parts must lie between 0 and 1", ["strong", "m.csv", "--shares", "0.1,1.5"]),
        ("windows must be positive", ["pseudo-strong", "m.csv", "--windows", "2,0"]),
        ("--val-fold goes with MANIFEST", ["strong", "--quick", "--val-fold", "4"]),
        ("--more goes with MANIFEST", ["pseudo-strong", "--quick", "--more", "m.csv"]),
    ],
)
def test_wrong_usage(tmp_path, words, given):
    code, out, err = program("recipe", *given, "--out", str(tmp_path / "r"))
    assert (code, out) == (2, "") and words in err
    assert not (tmp_path / "r").exists()


def test_events_that_are_not_there(corpus, tmp_path):
    code, out, err = program("recipe", "strong", corpus, "--events", "none.tsv", "--out", tmp_path / "r")
    assert (code, out) == (1, "") and "none.tsv: No such file" in err and "Traceback" not in err


def test_what_is_given_stays_with_quick():
    @click.command()
    @click_options(StrongOptions)
    def command(**options):
        found = quick_options(StrongOptions, None, True, options)
        click.echo(f"{found['epochs']} {found['tune_epochs']} {found['net']}")

    assert CliRunner().invoke(command, ["--epochs", "100"]).stdout == "100 8 mobilenetv2\n"
    assert CliRunner().invoke(command, ["--net", "acdnet"]).stdout == "24 8 acdnet\n"
