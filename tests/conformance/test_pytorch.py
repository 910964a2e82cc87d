"""The implementation in PyTorch: right where it answers, and what is broken in it is found out."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from acdref.conform import check

pytest.importorskip("torch")

FOLDER = Path(__file__).resolve().parents[2] / "conformance/pytorch"
LEAST = {
    "features": 12,
    "layers": 47,
    "networks": 12,
    "losses": 17,
    "optimisers": 3,
    "schedules": 3,
}


def verdicts(cases, answers, program=FOLDER / "answers.py"):
    subprocess.run([sys.executable, program, cases, answers], check=True, timeout=500)
    found, strangers = check(cases, answers)
    assert strangers == []
    return [one for one in found if one.status != "missing"]


def test_all_answers_are_right(cases, tmp_path):
    answered = verdicts(cases, tmp_path)
    assert [(one.case, one.where) for one in answered if one.status != "passed"] == []
    counts = Counter(one.section for one in answered)
    assert {name: counts[name] for name in LEAST if counts[name] < LEAST[name]} == {}


@pytest.mark.parametrize(
    ("right", "wrong", "case", "cause"),
    [
        ("eps=1e-5", "eps=1e-3", "networks/acdnet/shipped", "batch normalisation had the epsilon 1e-3"),
        ("flatten(1)", "mT.flatten(1)", "networks/acdnet/shipped", "maps were flattened (F, C), not (C, F)"),
    ],
)
def test_a_wrong_one_is_found_out(cases, tmp_path, right, wrong, case, cause):
    for name in ("answers.py", "torch_twin.py", "further_twins.py"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    text = (tmp_path / "torch_twin.py").read_text()
    assert text.count(right) == 1
    (tmp_path / "torch_twin.py").write_text(text.replace(right, wrong))
    part = tmp_path / "cases"
    part.mkdir()
    (part / "networks").symlink_to(cases / "networks")
    entries = [
        entry for entry in json.loads((cases / "index.json").read_text())["cases"] if entry["name"] == case
    ]
    (part / "index.json").write_text(json.dumps({"schema": "acdref.conformance/1", "cases": entries}))
    (found,) = verdicts(part, tmp_path / "answers", tmp_path / "answers.py")
    assert (found.case, found.status, found.cause) == (case, "failed", cause)
