"""Every command and program of the cookbook runs as it stands there, in the order of its page."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from predict_support import write

from acdref.audio import load
from acdref.files import resource
from acdref.synth import sound

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs/cookbook").glob("*.md"))

# Lines that need what is not here: a camera, a microphone.
NOT_RUN = ("ffmpeg -v error -i rtsp:", "acdref predict --mic")
# What takes minutes is done in the small; the dog of the demo is heard for sure.
CHANGED = {
    "--epochs 4 --epoch-size 200": "--epochs 1 --epoch-size 2 --batch 2 --workers 0 --seconds 2.5",
    "--classes alarm": "--classes dog",
}
# What must lie in the folder when a page is done, and what its commands must have said.
LEAVES = {
    "alarms": ("events.csv", "alarms/index.html", "more.csv", "new.json", "last-run", "alarms.csv"),
    "checking": ("cases/index.json", "answers/labels/or_join/one_clip/joined.npy", "acdnet.json"),
    "embedding-a-tagger": ("tags.jsonl", "tagger.onnx"),
    "label-rules": ("my_rule.py", "test_my_rule.py"),
    "recordings": (
        "report/index.html",
        "tags.csv",
        "labels/siren.txt",
        "tables",
        "all.npz",
        "errors.html",
        "mine.npz",
    ),
}
SAYS = {
    "alarms": "recordings/siren.flac",
    "checking": "passed over",
    "embedding-a-tagger": "acdref.predict/1",
    "label-rules": "0.95",
    "recordings": "similarity",
}


def programs(page):
    """(language, text) of the fenced blocks of a page that are to run."""
    text = page.read_text(encoding="utf-8")
    for indent, language, block in re.findall(r"^( *)```(\w+)\n(.*?)^ *```$", text, re.M | re.S):
        yield language, re.sub(f"^{indent}", "", block, flags=re.M)


def shell(block):
    """A block of shell commands as it is run here."""
    for text, other in CHANGED.items():
        block = block.replace(text, other)
    return "".join(line for line in block.splitlines(True) if not line.startswith(NOT_RUN))


@pytest.fixture
def place(tmp_path):
    """A folder with recordings, short ones to learn from, their manifest, and the program `acdref`."""
    rng = np.random.default_rng(0)
    (tmp_path / "recordings/street").mkdir(parents=True)
    dog = np.resize(load(resource("fixtures", "demo") / "dog.ogg"), 3 * 16000)
    for name, what in {"siren": dog, "quiet": 0.0, "street/morning": sound("voice", rng, 3.0)}.items():
        noise = 1e-3 * rng.standard_normal(3 * 16000)
        write(tmp_path / f"recordings/{name}.flac", noise + what, 16000)
    (tmp_path / "short").mkdir()
    rows = ["path,classes,fold"]
    for number in range(14):
        write(tmp_path / f"short/{number}.flac", 1e-3 * rng.standard_normal(8000), 16000)
        rows.append(f"../short/{number}.flac,{('siren', 'tram;voice')[number % 2]},{1 + (number < 10)}")
    (tmp_path / "mine.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "bin").mkdir()
    for name, start in {"acdref": "-m acdref", "python": ""}.items():
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n')
        program.chmod(0o755)
    return tmp_path


def run(place, language, block):
    """What a block prints; programs with a file's name in their first line are written there."""
    named = re.match(r"# (\w+\.py)\n", block)
    if named:
        (place / named[1]).write_text(block, encoding="utf-8")
        return ""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PATH": f"{place}/bin{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths}
    command = {
        "sh": ["bash", "-euo", "pipefail", "-c", shell(block)],
        "python": [sys.executable, "-c", block],
    }
    done = subprocess.run(command[language], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_page_is_known():
    assert {page.stem for page in PAGES} == LEAVES.keys() == SAYS.keys()


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_runs(page, place):
    if page.stem == "embedding-a-tagger":
        pytest.importorskip("onnx")
    printed = "".join(run(place, language, block) for language, block in programs(page))
    assert not [name for name in LEAVES[page.stem] if not (place / name).exists()]
    assert SAYS[page.stem] in printed


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_night_without_anything_new(place):
    page = next(page for page in PAGES if page.stem == "alarms")
    (night,) = [block for _, block in programs(page) if "last-run" in block]
    os.utime(place / "recordings/quiet.flac", (0, 0))  # older than any run
    fails = night.replace("predict", "predict --weights nowhere.npz")
    assert run(place, "sh", f"set +e\n{fails}") == ""
    assert run(place, "sh", night) == "" and (place / "new.json").exists()  # what the night before has left
    assert "quiet" not in (place / "new.csv").read_text() and "siren" in (place / "new.csv").read_text()
    assert run(place, "sh", night) == "" and not (place / "new.json").exists()


def test_what_is_not_run_or_changed_is_there():
    blocks = "\n".join(block for page in PAGES for language, block in programs(page))
    for text in (*NOT_RUN, *CHANGED):
        assert text in blocks
