"""docs/fidelity.md: complete rows, consecutive numbers, and nothing named in it that is not there."""

import ast
import functools
import importlib
import operator
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "fidelity.md"
NEED_WHY = ("our choice", "reconstruction", "not possible here")
VERDICTS = ("as printed", *NEED_WHY)
LINK = re.compile(r"\[`([\w:.]+)`\]\(\.\./([\w/.-]+)\)")


def rows():
    """(number, what the paper says, code, tests, verdict) of every row."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if re.match(r"\| \d", line)]
    assert all(len(row) == 5 for row in cells), [row for row in cells if len(row) != 5]
    return cells


ROWS = rows()
LINKS = sorted({link for _, _, code, tests, _ in ROWS for link in LINK.findall(code + tests)})
CODE, TESTS = (
    [link for link in LINKS if link[1].startswith("tests/") == is_test] for is_test in (False, True)
)
by_number = {"argvalues": ROWS, "ids": [row[0] for row in ROWS]}


@functools.cache
def tree(file):
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def test_rows_are_numbered_consecutively():
    numbers = [tuple(map(int, row[0].split("."))) for row in ROWS]
    last = dict(numbers)  # of each paper, the last row
    assert numbers == [(paper, k) for paper in last for k in range(1, last[paper] + 1)]


@pytest.mark.parametrize("row", **by_number)
def test_row_is_complete(row):
    _, says, code, tests, verdict = row
    word, why = re.fullmatch(r"\*\*([a-z ]+)\*\*(?:: (.+))?", verdict).groups()
    assert word in VERDICTS
    assert why or word not in NEED_WHY, f"{word}, but not why"
    assert says.strip()
    for cell in (code, tests):
        assert cell == "-" or ", ".join(f"[`{name}`](../{file})" for name, file in LINK.findall(cell)) == cell
    assert tests != "-" or word == "not possible here", f"{word}, but no test says so"
    assert code != "-" or word == "not possible here", f"{word}, but nowhere in the code"


def test_rows_named_in_sentences_exist():
    sentences = re.findall(
        r"\brows? (\d\.\d+(?:(?:, | and |, and )\d\.\d+)*)", PAGE.read_text(encoding="utf-8")
    )
    named = {number for sentence in sentences for number in re.findall(r"\d\.\d+", sentence)}
    assert named
    assert named <= {row[0] for row in ROWS}


@pytest.mark.parametrize(("name", "file"), CODE, ids=[f"{file}:{name}" for name, file in CODE])
def test_code_is_there(name, file):
    path = ROOT / file
    assert path.exists(), file
    if path.suffix != ".py" or name == path.stem:
        return
    if file.startswith("acdref/"):
        module = importlib.import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        owner, _, last = name.rpartition(".")
        owner = operator.attrgetter(owner)(module) if owner else module
        assert hasattr(owner, last) or last in getattr(owner, "__annotations__", {}), f"{file} has no {name}"
    else:
        defined = {getattr(node, "name", None) for node in ast.walk(tree(file))}
        assert name in defined, f"{file} has no {name}"


@pytest.mark.parametrize(("name", "file"), TESTS, ids=[f"{file}::{name}" for name, file in TESTS])
def test_test_is_there(name, file):
    assert Path(file).name.startswith("test_")
    nodes = [tree(file)]
    for part in name.split("::"):
        nodes = [
            child
            for node in nodes
            for child in node.body
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and child.name == part
        ]
    assert nodes, f"{file} has no {name}"
    assert isinstance(nodes[0], ast.FunctionDef), f"{name} is a class, not a test"
    assert nodes[0].name.startswith("test_")
