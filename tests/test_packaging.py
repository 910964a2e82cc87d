"""What is shipped: the source distribution has what its tests need; the description has no dead links."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = {"MANIFEST.in", "pyproject.toml", "setup.cfg", "setup.py"}  # which setuptools puts in unasked
README = "[a](docs/a.md#b), [web](https://x.org/a), [here](#figures), ![picture](p.png), `y[0] (z)`\n"


@pytest.fixture(scope="module")
def setup():
    """The module setup.py, as names."""
    pytest.importorskip("setuptools")
    path = ROOT / "setup.py"
    names = {"__file__": str(path), "__name__": "setup"}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    return names


def test_the_source_distribution_is_what_is_committed():
    pytest.importorskip("setuptools")
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no repository: this is a source distribution")
    command = ["git", "ls-files", "-z"]
    committed = {*subprocess.check_output(command, cwd=ROOT, text=True).split("\0")} - {""} - ALWAYS
    code = """if True:
        from setuptools._distutils.filelist import FileList
        files = FileList()
        files.findall()
        for line in open("MANIFEST.in", encoding="utf-8"):
            if line.strip() and not line.startswith("#"):
                files.process_template_line(line.strip())
        print(*files.files, sep="\\0", end="")
    """
    listed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split("\0")
    assert sorted(committed - set(listed)) == []


def test_no_test_needs_an_independent_implementation_to_be_collected():
    """`pip install ".[test]"` is enough to run the tests: who needs more, skips."""
    oracles = {"scipy", "sklearn", "torch", "librosa", "pandas", "networkx", "onnx", "onnxruntime"}
    oracles |= {"pyarrow", "transformers", "tokenizers", "parselmouth", "playwright", "sphinx", "numba"}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            found = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in found if name.split(".")[0] in oracles], path


class TestDescription:
    def test_links_to_files_are_words_where_the_project_has_no_address(self, setup):
        text = setup["description"](README, None)
        assert text == "a, [web](https://x.org/a), [here](#figures), ![picture](p.png), `y[0] (z)`\n"

    def test_and_lead_below_it_where_it_has_one(self, setup):
        text = setup["description"](README, "https://x.org/p/blob/v1")
        assert "[a](https://x.org/p/blob/v1/docs/a.md#b), [web](https://x.org/a), [here]" in text

    def test_the_address(self, setup):
        given = "[metadata]\nproject_urls =\n    Changes = https://x.org/c\n    Source = https://x.org/p/\n"
        assert setup["source_address"](given, "1.2") == "https://x.org/p/blob/v1.2"
        assert setup["source_address"]("[metadata]\nname = a\n", "1.2") is None

    def test_of_readme(self, setup):
        text = setup["description"]((ROOT / "README.md").read_text(encoding="utf-8"), None)
        assert "docs/tour.md" in text
        assert re.findall(r"\]\((?!https?:|#)[^)\s]*\)", text) == []
