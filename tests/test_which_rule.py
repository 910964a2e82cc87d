"""The page Which rule for which noise has the figures of the benchmark, and that makes them of rows."""

import importlib
import json
import re
from pathlib import Path

import pytest

from acdref.recipes.what_if import CONDITIONS, PERFECT

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.setenv("ACDREF_NUM_THREADS", "1")  # as the script does, and is undone
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("which_rule")


def test_the_page_has_the_table_of_the_results(script):
    results = ROOT / "benchmarks" / "results" / "which_rule.json"
    if not results.exists():
        pytest.skip("the benchmark has not been run")
    page = script.PAGE.read_text(encoding="utf-8")
    assert page == script.with_table(page, json.loads(results.read_text()))


def test_what_the_experiments_found_is_what_the_page_of_them_says(script):
    section = script.PAGE.read_text(encoding="utf-8").partition("## What the papers")[2].partition("\n## ")[0]
    quoted = re.findall(r"[-+]\d\.\d{4} ± \d\.\d{4}", section)
    experiments = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")
    assert len(quoted) > 8
    assert [figure for figure in quoted if figure not in experiments] == []


def test_a_table_stands_between_its_marks(script):
    page = script.PAGE.read_text(encoding="utf-8")
    for before in (page, script.with_table(page, {"columns": {"old": "{x}"}, "rows": [{"x": 1}]})):
        after = script.with_table(before, {"columns": {"new": "{x}"}, "rows": [{"x": 2}]})
        assert "| new |\n| --- |\n| 2 |\n" in after and "| old |" not in after
        assert after.startswith(page.split(script.BEGIN)[0]) and after.endswith(page.split(script.END)[1])


def test_a_line_has_gains_and_marks_what_is_shown(script):
    def row(seed, name, score):
        counts = dict.fromkeys(("errors", "repaired", "masked", "harmed", "lost"), 1)
        return {"seed": seed, "condition": name, "mAP": score, "accuracy": 0.5, **counts}

    better = {PERFECT: 0.2, "correct FN": -0.1, "mean threshold": 0.0}
    rows = [row(s, name, 0.5 + better.get(name, 0.01 * s)) for s in (0, 1) for name in CONDITIONS]
    rows = [one | {"mAP": 0.5} if one["condition"] == CONDITIONS[0] else one for one in rows]
    found = script.line(0.3, 0.02, [{"missing": 30, "false": 2}, {"missing": 40, "false": 4}], rows)
    assert (found["missing"], found["errors"], found["raw"]) == (0.3, "35, 3", 0.5)
    assert found["perfect"] == "**+0.200 ± 0.000**" and found["FN"] == "**-0.100 ± 0.000**"
    assert found["mean threshold"] == "+0.000 ± 0.000"
    assert found["mask %"].startswith("+0.005 ± 0.06")
    assert all(form.format(**found) for form in script.COLUMNS.values())
