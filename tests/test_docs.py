"""The documentation: every link leads somewhere, on a code host too; the site is built without warnings."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *(ROOT / "docs").rglob("*.md")]
PAGES = sorted(page for page in PAGES if not page.parent.name.startswith("."))
NEEDED = ("sphinx", "myst_parser", "furo")


def links(page):
    """(target, heading) of the relative links of a page."""
    text = re.sub(r"^( *)```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target.partition("#")[::2]


def anchors(page):
    """The headings of a page as code hosts name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_what_exists(page):
    for target, heading in links(page):
        place = page.parent / target if target else page
        assert place.exists(), target
        assert ROOT in place.resolve().parents, target
        assert not heading or heading in anchors(place), f"{target}#{heading}"


def test_the_index_has_every_page():
    listed = {(ROOT / "docs" / target).resolve() for target, _ in links(ROOT / "docs/index.md")}
    assert {page for page in PAGES if page.name != "index.md"} == listed


def built(folder):
    """The site, built from what belongs to it, so that nothing is written beside the sources."""
    for name in ("acdref", "benchmarks", "conformance", "docs", "fixtures", "tests", "weights"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "*.npz", "*.onnx", ".*")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for page in ROOT.glob("*.md"):
        shutil.copy(page, folder)
    command = re.search(
        r"^sphinx-build (.*?) *#", (ROOT / "docs/index.md").read_text(encoding="utf-8"), re.M
    )[1]
    assert {"-W", "-c"} <= {*command.split()}
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", *command.split()],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "build/site"


def dead_links(site):
    """(page, target) of the links within the site that lead nowhere."""
    for page in site.rglob("*.html"):
        for target in re.findall(r'<\w+ [^>]*?(?:href|src)="([^"#?]+)', page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|//", target) and not (page.parent / target).exists():
                yield str(page.relative_to(site)), target


@pytest.mark.skipif(any(find_spec(name) is None for name in NEEDED), reason="needs the extra docs")
def test_the_site(tmp_path):
    """In one test, since building it takes half a minute."""
    site = built(tmp_path)
    assert (site / "docs/index.html").exists()
    assert sorted(set(dead_links(site))) == []
    tour = (site / "docs/tour.html").read_text(encoding="utf-8")
    link = re.search(r'href="\.\./(source/acdref/ops/conv2d\.py\.html)#(L-\d+)"', tour)
    assert f'id="{link[2]}"' in (site / link[1]).read_text(encoding="utf-8")
    commands = (site / "api/commands.html").read_text(encoding="utf-8")
    assert "acdref recipe self-correct" in commands and "--val-fold" in commands
    labels = (site / "api/acdref.labels.html").read_text(encoding="utf-8")
    assert 'id="acdref.labels.correction.correct_labels"' in labels
    assert "../source/acdref/labels/correction.py.html#L-" in labels
