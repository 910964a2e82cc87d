"""The page for implementers names every function of the cases, and every input and output where it does so.

A function's paragraph begins with a line that starts with its name, `section/function`, and goes on to the
next such line or heading; several functions may share one.
"""

import re
from collections import defaultdict

import pytest
from conform_support import PAGE

from acdref.conform.writing import all_cases

PREFIXES = {"gradient.": "gradient.NAME", "running.": "running.NAME", "after.": "after.NAME", "d": "dNAME"}


def paragraphs():
    """Text by function."""
    found, names = defaultdict(str), []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        named = re.match(r"[#*\s|-]*`(\w+/\w+)`", line)
        if named:
            names = re.findall(r"`(\w+/\w+)`", line.partition(" in: ")[0]) or [named[1]]
        elif line.startswith("#"):
            names = []
        for name in names:
            found[name] += line + "\n"
    return found


def names():
    """Inputs and outputs by function."""
    found = defaultdict(set)
    for case in all_cases():
        found[case.name.rpartition("/")[0]] |= {*case.inputs, *case.outputs}
    return found


@pytest.fixture(scope="module")
def page():
    return paragraphs(), names()


def said(name, text, everywhere):
    """Whether a name stands in a paragraph's code; numbers of layers are N, networks' arrays in tables."""
    code = code_of(text)
    for prefix, form in PREFIXES.items():
        if name.startswith(prefix) and stands(form, code):
            name = name.removeprefix(prefix)
    general = re.sub(r"\d+", "N", name)
    return stands(name, code) or (("." in name or general != name) and stands(general, everywhere))


def code_of(text):
    return " ".join(re.findall(r"`+([^`]*)`+", text))


def stands(name, code):
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", code)


def test_every_function_has_its_paragraph_and_every_paragraph_its_function(page):
    described, functions = page
    sections = {name.partition("/")[0] for name in functions}
    assert {name for name in described if name.partition("/")[0] in sections} == set(functions)


def test_every_input_and_output_is_named_there(page):
    described, functions = page
    everywhere = code_of(PAGE.read_text(encoding="utf-8"))
    missing = [
        (function, name)
        for function, found in functions.items()
        for name in sorted(found)
        if not said(name, described[function], everywhere)
    ]
    assert not missing
