"""`acdref recipe what-if` as its user meets it."""

import json
from functools import partial

import pytest
from click.testing import CliRunner
from predict_support import program, write_tiny_weights

from acdref.cli import group
from acdref.commands.recipe.what_if import _told
from acdref.recipes import made_up


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--quick m.csv", "give either MANIFEST or --quick"),
        ("m.csv --missing 0.5,0.3", "missing must be one share, or two"),
        ("m.csv --missing 1.5", "missing must be at most 1, not 1.5"),
        ("--quick --val-fold 4", "--val-fold goes with MANIFEST"),
    ],
)
def test_wrong_usage(tmp_path, arguments, words):
    done = CliRunner().invoke(group, ["recipe", "what-if", *arguments.split(), "--out", str(tmp_path / "r")])
    assert (done.exit_code, done.stdout) == (2, "") and words in done.stderr


def test_failures_are_one_line(tmp_path):
    code, out, err = program("recipe", "what-if", tmp_path / "m.csv", "--out", tmp_path / "r")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("acdref: ") and "m.csv" in err


def test_quick(tmp_path, monkeypatch):
    sounds = made_up.single_sounds

    def fewer(*arguments, **more):
        return sounds(*arguments, **more | {"each": 4, "held_out": 2, "seconds": 0.5})

    monkeypatch.setattr(made_up, "single_sounds", fewer)
    monkeypatch.setattr("acdref.commands.recipe.what_if.QUICK_CLASSES", ("dog", "alarm"))
    weights = write_tiny_weights(tmp_path / "tiny.npz")
    given = ["--quick", "--seeds", "2", "--epochs", "1", "--weights", weights, "--out", str(tmp_path / "r")]
    invoke = partial(CliRunner().invoke, group)
    done = invoke(["recipe", "what-if", *given, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["schema"], found["recipe"], found["weights"]) == ("acdref.recipe/1", "what-if", None)
    assert list(found["stages"])[-3:] == ["seed-0", "seed-1", "rules"]
    again = invoke(["recipe", "what-if", *given])
    assert again.stdout.splitlines()[-1] == found["stages"]["rules"]["verdict"]
    assert again.stderr.count("finished before") == len(found["stages"])


def test_what_is_printed():
    def condition(mean, half, repair=(None, 0.0), masks=(0.25, 1.0)):
        gain = {"mean": mean, "half": half, "up": 3, "n": 4}
        gains = {"mAP_gain": gain, "accuracy_gain": gain | {"mean": -mean}}
        return {"mAP": 0.5, "accuracy": 0.75, **gains, "repair": list(repair), "masks": list(masks)}

    conditions = {"raw labels": condition(0, 0), "correct FN": condition(0.0123, 0.01)}
    conditions["mean threshold"] = condition(0.5, None, (0.5, 0.125))
    rules = {"conditions": conditions, "verdict": "helps: x", "ceilings": {"dog": 0.625, "cat": 0.5}}
    rules |= {"errors": {"missing": 4.5, "false": 1.0, "labels": 40.0}, "T": 0.1}
    weights, text = _told({"given": {}, "rules": rules}, "out")
    assert weights is None
    head, *rows, errors, ceiling, verdict = text.splitlines()
    assert " ".join(head.split()) == "mAP from raw accuracy from raw repaired: P, R or masked: P, R"
    assert rows[0].split() == ["raw", "labels", "0.500", "0.750"]
    words = [" ".join(row.split()) for row in rows]
    assert (
        words[1]
        == "correct FN 0.500 +0.0123 ± 0.0100 (3 of 4 seeds up) 0.750 -0.0123 ± 0.0100 – 0.00 0.25 1.00"
    )
    assert words[2].endswith("0.500 +0.5000 (3 of 4 seeds up) 0.750 -0.5000 0.50 0.12 0.25 1.00")
    assert errors == "errors: 4.5 of 40 labels missing, 1 false ones, mean of the seeds"
    assert ceiling.startswith("honest scores of a missing label end at 0.50 (cat) to 0.62 (dog)")
    assert ceiling.endswith(
        "below 1 - T = 0.9 in 2 of 2 classes, where only scores that are too high correct FN"
    )
    assert verdict == "helps: x"
    rules["ceilings"] = {"dog": 1.0}
    assert "in 0 of 1 classes\n" in _told({"rules": rules}, "out")[1]
