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
    """With another set, for the transfer, whose recordings have one class each."""
    path = write_soundscape_corpus(tmp_path_factory.mktemp("corpus"))
    rows = "0.wav,a,train\n1.wav,b,train\n2.wav,a,val\n3.wav,b,val\n"
    path.with_name("other.csv").write_text(f"path,classes,split\n{rows}")
    return path


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe(corpus, tmp_path, recipe):
    arguments = ["recipe", recipe, str(corpus), "--out", str(tmp_path / "r"), *RECIPES[recipe]]
    if recipe == "pseudo-strong":
        arguments += ["--transfer", str(corpus.with_name("other.csv")), "--transfer-epochs", "1"]
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
    assert {line.split()[0] for line in lines if line} >= set(networks)
    assert len(networks) == {"strong": 7, "pseudo-strong": 7}[recipe]
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

    assert CliRunner().invoke(command, ["--epochs", "100"]).stdout == "100 6 mobilenetv2\n"
    assert CliRunner().invoke(command, ["--net", "acdnet"]).stdout == "20 6 acdnet\n"


def test_what_is_printed_of_strong():
    from acdref.commands.recipe.strong import _told

    stage = {"mu": 0.8, "epoch": 7, "strong": {"d_prime": 1.25, "lwlrap": None}}
    stage["weak"] = {"d_prime": 0.5, "lwlrap": 0.75}
    weights, text = _told({"given": {}, "weak-all": stage, "plus-strong": stage}, "out")
    assert weights == os.path.join("out", "3-plus-strong", "weights.npz")
    head, *rows = text.splitlines()
    columns = ["eval:", "d'", "lwlrap"]
    assert head.split() == ["mu", "epoch", "weak", *columns, "strong", *columns]
    assert rows[1].split() == ["plus-strong", "0.80", "7", "0.500", "0.750", "1.250", "-"]
    assert len(rows) == 2 and len({len(line) for line in text.splitlines()}) == 1


def test_what_is_printed_of_pseudo_strong():
    from acdref.commands.recipe.pseudo_strong import _told

    shares = {"0": 0.25, "1": 0.5, "2": 0.25, "3": 0.0, "4": 0.0, ">4": 0.0}
    found = {"mAP": 0.5, "d_prime": 1.25, "lwlrap": 0.75}
    counts = {"given": {"clips": shares}, "2": {"none": 0.18, "clips": shares}}
    moved = {
        "transfer-annotator": found | {"MAP@3": 0.75},
        "transfer-psl": found | {"MAP@3": 0.875, "mAP": None},
    }
    weights, text = _told({"counts": counts, "psl-2s": found, **moved}, "out")
    assert weights == os.path.join("out", "2-psl-2s", "weights.npz")
    lines = [line.split() for line in text.splitlines()]
    assert lines[:2] == [["mAP", "d'", "lwlrap"], ["psl-2s", "0.500", "1.250", "0.750"]]
    percents = ["25", "%", "50", "%", "25", "%", *3 * ["0", "%"]]
    assert lines[3][-9:] == ["0", "1", "2", "3", "4", ">4", "windows", "without", "any"]
    assert lines[4:6] == [
        ["in", "the", "manifest", *percents],
        ["in", "windows", "of", "2", "s", *percents, "18", "%"],
    ]
    assert lines[7:] == [
        ["mAP", "MAP@3", "lwlrap"],
        ["transfer-annotator", "0.500", "0.750", "0.750"],
        ["transfer-psl", "-", "0.875", "0.750"],
        ["improvement", "-", "+0.125", "+0.000"],
    ]
