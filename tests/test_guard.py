"""What the program computes is what it computed before: the cheap cases of benchmarks/guard.py."""

import importlib
import sys

import numpy as np
import pytest
from predict_support import ROOT

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    guard = importlib.import_module("guard")
    GROUPS = importlib.import_module("guard_cases").GROUPS


@pytest.mark.parametrize("group", [g for g in GROUPS if g.quick], ids=lambda group: group.name)
def test_computes_what_it_did(group):
    if group.missing():
        pytest.skip(f"needs {group.missing()}")
    wrong, cases = guard.mismatches(guard.load(), group)
    assert not wrong, "\n".join(f"{name}: {cause}" for name, cause in wrong)
    assert cases


def test_every_case_of_the_record_is_of_a_group():
    assert {name.split("/")[0] for name in guard.load()} == {group.name for group in GROUPS}


X = np.linspace(-3, 3, 1000)
NUDGED = np.where(np.arange(1000) == 999, X + 1e-6, X)


@pytest.mark.parametrize(
    ("kind", "old", "new", "words"),
    [
        ("float64", X, NUDGED, "1 of 40 kept values differ, most number 999: 3.000001, was 3"),
        ("float64", {"b": X, "a": X[:5]}, {"b": NUDGED, "a": X[:5]}, "number 1004 in b: 3.000001"),
        ("float64", X, np.where(np.arange(1000) == 1, 0, X), "the norm is"),
        ("float64", X, X[:-1], "999 values, were 1000"),
        ("float32", X, NUDGED, None),
        ("bits", X, NUDGED, "the bits differ"),
        ("bits", X[-3:], NUDGED[-3:], "1 of 3 kept values differ"),
        ("float32", np.array([1, np.nan]), np.array([np.nan, 1]), "2 of 2 kept values differ"),
        ("float32", np.array([1, np.inf]), np.array([1, -np.inf]), "1 of 2 kept values differ"),
        ("bits", "a\nb\n", "a\nc\n", "-b\n+c"),
        ("bits", "a" * 1000, "a" * 999, "the bits differ"),
        ("float32", "loss 0.5 at 3", "loss 0.500001 at 3", None),
        ("float32", "loss 0.5 at 3", "loss 0.6 at 3", "most number 0: 0.6, was 0.5"),
        ("float32", "loss 0.5 at 3", "mAP 0.5 at 3", "the words between the numbers differ"),
        ("machine", X, X + 1, None),
        ("machine", X, X[:-1], "999 values, were 1000"),
        ("machine", "mAP 0.5", "mAP null", None),
    ],
)
def test_says_what_differs(kind, old, new, words):
    record = guard.summary(kind, old)
    assert guard.difference(record, kind, old, bits=True) is None
    found = guard.difference(record, kind, new)
    assert found is None if words is None else words in found
    assert guard.difference(record, kind, new, bits=True) is not None


def test_cases_that_are_new_or_gone():
    group = type(GROUPS[0])("g", lambda folder: iter([("a", "bits", "x")]), True, ())
    entry = guard.summary("bits", "x")
    assert guard.mismatches({"g/a": entry}, group) == ([], 1)
    assert guard.mismatches({"g/b": entry}, group)[0] == [
        ("g/a", "is not in the record"),
        ("g/b", "is no more"),
    ]


def test_a_group_that_fails_is_one_difference():
    def cases(folder):
        yield "a", "bits", "x"
        raise AttributeError("nothing there")

    group = type(GROUPS[0])("g", cases, True, ())
    (found,), count = guard.mismatches({f"g/{name}": guard.summary("bits", "x") for name in "abc"}, group)
    assert count == 1 and found[0] == "g/"
    assert found[1].startswith("ended after 1 of its cases: AttributeError: nothing there (test_guard.py, ")


def test_a_part_is_recorded_anew(tmp_path, monkeypatch, capsys):
    path = tmp_path / "r.json"

    def program(*words):
        monkeypatch.setattr(sys, "argv", ["guard.py", words[0], str(path), *words[1:]])
        with pytest.raises(SystemExit) as end:
            guard.main()
        return end.value.code, capsys.readouterr().out

    assert program("record", "--only", "losses", "metrics")[0] == 0
    before = guard.load(path)
    path.write_text(path.read_text().replace(before["losses/bce-all"]["sha"], "0" * 32))
    code, out = program("check", "--only", "losses", "--bits")
    assert code == 1 and "losses/bce-all: the bits differ" in out and "7 cases, 1 differ" in out
    code, out = program("record", "--only", "losses/bce*")
    assert code == 0 and out.endswith("changed:\n  losses/bce-all\n")
    assert guard.load(path) == before
    assert program("check", "--only", "losses", "metrics", "--bits")[0] == 0
