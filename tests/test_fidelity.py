"""docs/fidelity.md: complete rows, consecutive numbers, and nothing named in it that is not there."""

import ast
import functools
import importlib
import re
from pathlib import Path

import planted_values

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
TESTS = [link for link in LINKS if link[1].startswith("tests/")]
CODE = [link for link in LINKS if link not in TESTS]


@functools.cache
def tree(file):
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def test_rows_are_numbered_consecutively():
    numbers = [tuple(map(int, row[0].split("."))) for row in ROWS]
    last = dict(numbers)  # of each paper, the last row
    assert list(last) == [1, 2, 3, 4, 5]
    assert numbers == [(paper, k) for paper in last for k in range(1, last[paper] + 1)]


def test_rows_named_in_sentences_exist():
    text = PAGE.read_text(encoding="utf-8")
    sentences = re.findall(r"\brows? (\d\.\d+(?:(?:, | and |, and )\d\.\d+)*)", text)
    named = {number for sentence in sentences for number in re.findall(r"\d\.\d+", sentence)}
    assert named
    assert named <= {row[0] for row in ROWS}


def lacking(says, code, tests, verdict):
    """What a row lacks, or None."""
    found = re.fullmatch(r"\*\*([a-z ]+)\*\*(?:: (.+))?", verdict)
    if found is None or found[1] not in VERDICTS:
        return "a verdict"
    word, why = found.groups()
    if word in NEED_WHY and not why:
        return "why"
    for cell in (code, tests):
        if cell != "-" and ", ".join(f"[`{name}`](../{file})" for name, file in LINK.findall(cell)) != cell:
            return "links that can be read"
    if word != "not possible here" and "-" in (code, tests):
        return "code or test"
    return None if says.strip() else "what the paper says"


def test_every_row_is_complete():
    assert not {number: what for number, *row in ROWS if (what := lacking(*row))}


def is_there(name, file):
    """Whether a file has this name; its own name, if nothing within is meant."""
    path = ROOT / file
    if path.suffix != ".py" or name == path.stem:
        return path.exists()
    if not file.startswith("acdref/"):
        return name in {getattr(node, "name", None) for node in ast.walk(tree(file))}
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    owner, _, last = name.rpartition(".")
    owner = getattr(module, owner) if owner else module
    return hasattr(owner, last) or last in getattr(owner, "__annotations__", {})


def test_the_code_is_there():
    assert not [f"{file}: {name}" for name, file in CODE if not is_there(name, file)]


def is_test(name, file):
    nodes = [tree(file)]
    for part in name.split("::"):
        nodes = [
            child
            for node in nodes
            for child in node.body
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and child.name == part
        ]
    names = (Path(file).name, getattr(nodes[0], "name", "")) if nodes else ("",)
    return all(name.startswith("test_") for name in names) and isinstance(nodes[0], ast.FunctionDef)


def test_the_tests_are_there():
    assert not [f"{file}::{name}" for name, file in TESTS if not is_test(name, file)]


def test_every_printed_value_has_a_bug_that_its_test_notices():
    """``python tests/mutations.py test_printed_values`` plants them."""
    defined = {f.name for f in tree("tests/test_printed_values.py").body if isinstance(f, ast.FunctionDef)}
    planted = {test for bugs in planted_values.PLANTED.values() for _, _, test in bugs}
    assert planted == {name for name in defined if name.startswith("test_")}


def test_every_test_of_printed_values_has_a_row():
    named = {name for name, file in TESTS if file == "tests/test_printed_values.py"}
    assert named == {test for bugs in planted_values.PLANTED.values() for _, _, test in bugs}
