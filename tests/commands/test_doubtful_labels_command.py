"""`acdref recipe self-verify` and `relabel-transfer` as their user meets them."""

import json
import os
from functools import partial

import pytest
from click.testing import CliRunner
from predict_support import program

from acdref.cli import group
from acdref.commands.recipe.relabel_transfer import _told
from acdref.recipes import made_up

VERIFY = "--quick --rounds 1 --epochs 1 --constant 0 --tune-epochs 1 --tune-constant 0 --excerpts 1 --folds 2"
TRANSFER = "--quick --epochs 1 --tune-epochs 1 --extract-epochs 1 --base ol --labels pel"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("self-verify --out {}", "give either MANIFEST or --quick"),
        ("relabel-transfer --quick m.csv --out {}", "give either MANIFEST or --quick"),
        ("relabel-transfer m.csv --out {}", "--ontology and --target say what to transfer to"),
        ("relabel-transfer --quick --ontology o.json --out {}", "--ontology goes with MANIFEST"),
    ],
)
def test_wrong_usage(tmp_path, arguments, words):
    code, out, err = program("recipe", *arguments.format(tmp_path / "r").split())
    assert (code, out) == (2, "") and words in err


@pytest.mark.parametrize(
    "arguments", ["self-verify {}/m.csv", "relabel-transfer {}/m.csv --ontology {}/o.json --target x"]
)
def test_failures_are_one_line(tmp_path, arguments):
    code, out, err = program("recipe", *arguments.format(tmp_path, tmp_path).split(), "--out", tmp_path / "r")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("acdref: ") and "m.csv" in err


def test_a_table_of_base_way_and_target_for_each_root():
    def network(root, way, base, labels, score):
        return {"root": root, "way": way, "base": base, "labels": labels, "mAP": score}

    networks = [
        network("Human sounds", "scratch", None, "ol", 0.782),
        network("Human sounds", "scratch", None, "pe-cml", 0.811),
        network("Human sounds", "base", "pel", "pel", 0.497),
        network("Human sounds", "extracted", "pel", "ol", 0.795),
        network("Human sounds", "extracted", "pel", "pe-cml", 0.817),
        network("Animal", "scratch", None, "ol", None),
    ]
    stages = {"given": {}, "sets": {"root": "Animal"}, **{str(i): one for i, one in enumerate(networks)}}
    weights, text = _told(stages, "out")
    assert weights == os.path.join("out", "8-5", "best.npz")
    assert text.splitlines() == [
        "Human sounds                  ol     pel  pe-cml",
        "  from scratch             0.782           0.811",
        "  base networks                    0.497",
        "  extracted, base pel      0.795           0.817",
        "Animal                        ol",
        "  from scratch                 –",
    ]


@pytest.mark.parametrize(
    ("recipe", "options", "last"),
    [("self-verify", VERIFY, "ensemble"), ("relabel-transfer", TRANSFER, "animal-tuned-ol-pel")],
)
def test_quick(tmp_path, monkeypatch, recipe, options, last):
    fewer = {
        "ontology_sounds": partial(made_up.ontology_sounds, count=60, seconds=0.5),
        "single_sounds": partial(made_up.single_sounds, each=5, held_out=2, seconds=0.5),
    }
    for name, function in fewer.items():
        monkeypatch.setattr(made_up, name, function)
    monkeypatch.setattr("acdref.commands.recipe.self_verify.QUICK_CLASSES", ("dog", "alarm"))
    arguments = ["recipe", recipe, *options.split(), "--out", str(tmp_path / "r")]
    done = CliRunner().invoke(group, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["schema"], found["recipe"]) == ("acdref.recipe/1", recipe)
    assert list(found["stages"])[-1] == last
    again = CliRunner().invoke(group, arguments)
    assert again.stdout.splitlines()[-1] == found["weights"]
    assert again.stderr.count("finished before") == len(found["stages"])
