"""`acdref conform` as its user meets it."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from acdref.commands.conform import command

CASE = "labels/or_join/all_of_three"


def run(*arguments, code=0):
    result = CliRunner().invoke(command, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conform") / "cases"
    assert "labels" in run("export", folder).stdout
    return folder


@pytest.fixture
def answers(cases, tmp_path):
    shutil.copytree(cases / CASE / "out", tmp_path / CASE)
    return tmp_path


def test_all_right(cases, answers):
    lines = run("check", cases, answers).stdout.splitlines()
    assert lines[0].split() == ["section", "cases", "answered", "passed", "worst", "where"]
    (row,) = [line.split() for line in lines if line.startswith("labels ")]
    assert row[2:5] == ["1", "1", "0"]
    assert lines[-1] == "1 of 1 answered cases are right"


def test_wrong(cases, answers):
    joined = np.load(answers / CASE / "joined.npy")
    joined[0] = 1
    np.save(answers / CASE / "joined.npy", joined)
    (answers / "notes.txt").write_text("mine")
    result = run("check", cases, answers, code=3)
    assert f"WRONG {CASE}: joined[0] is 1, expected 0\n" in result.stdout
    assert "else NaN if any is NaN" in result.stdout
    assert result.stderr == "acdref: notes.txt answers no case\n"


def test_a_known_mistake(cases, answers):
    shutil.copy(cases / CASE / "mistake1/joined.npy", answers / CASE)
    assert "The numbers are as if the largest value was taken" in run("check", cases, answers, code=3).stdout


def test_json(cases, answers):
    facts = json.loads(run("check", cases, answers, "--json").stdout)
    assert (facts["schema"], facts["passed"], facts["failed"]) == ("acdref.conform/1", 1, 0)
    (case,) = [case for case in facts["cases"] if case["status"] == "passed"]
    assert (case["case"], case["error"]) == (CASE, 0)
    assert all(case["error"] is None for case in facts["cases"] if case["status"] == "missing")
