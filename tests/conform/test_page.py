"""docs/conformance.md says everything that the cases use: each function, each input and output by name."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from acdref.conform.writing import all_cases

PAGE = (Path(__file__).parents[2] / "docs/conformance.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def functions():
    """Names of inputs and outputs by "section/function"."""
    names = defaultdict(set)
    for case in all_cases():
        names[case.name.rpartition("/")[0]] |= {*case.inputs, *case.outputs}
    return names


def paragraphs():
    """Text by "section/function": from the line that begins with its name to the next such, or a heading."""
    found, current = defaultdict(str), []
    for line in PAGE.splitlines():
        named = re.match(r"[#*\s|-]*`(\w+/\w+)`", line)
        if named:
            current = re.findall(r"`(\w+/\w+)`", line.partition(" in: ")[0]) or [named[1]]
        elif line.startswith("#"):
            current = []
        for name in current:
            found[name] += line + "\n"
    return found


def test_each_function_has_its_paragraph_and_each_paragraph_its_function(functions):
    sections = {name.partition("/")[0] for name in functions}
    described = {name for name in paragraphs() if name.partition("/")[0] in sections}
    assert described == set(functions)


def test_each_input_and_output_is_named_in_its_paragraph(functions):
    texts = paragraphs()
    missing = {
        f"{function}: {name}"
        for function, names in functions.items()
        for name in names
        if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", texts[function])
    }
    assert not missing
