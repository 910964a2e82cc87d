"""Relabelling many files: each by itself, here as by workers, and none that is wrong stops another."""

import json
import os
import threading
from pathlib import Path

import pytest
from relabel_support import AUDIOSET, write, write_ontology

from acdref.cluster import Lost, UnwantedError
from acdref.errors import AcdrefError
from acdref.files import replacing
from acdref.relabel import files as module
from acdref.relabel.files import output_of, relabel_files, relabeller
from acdref.relabel.job import relabel
from acdref.relabel.steps import read_steps


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.csv", AUDIOSET)
    write(tmp_path / "in" / "bad.csv", AUDIOSET.replace("/m/guitar", "/m/gutar"))
    write(tmp_path / "in" / "b.csv", AUDIOSET.replace("/m/electric", "/m/acoustic"))
    write_ontology(tmp_path / "ontology.json")
    (tmp_path / "out").mkdir()
    return tmp_path


SOURCES = ["in/a.csv", "in/bad.csv", "in/b.csv"]
STEPS = {"ontology": "ontology.json", "expand": True}


class Workers:
    """In place of a cluster: a process elsewhere, that has what can be written as JSON."""

    def __init__(self, dies=False):
        self.dies = dies

    def in_order(self, task, files):
        self.options = json.loads(json.dumps(task.options))
        for key, file in files:
            if self.dies:
                yield key, Lost("ends whatever process works on it (SIGSEGV)")
            else:
                here = os.getcwd()
                os.chdir("/")
                try:
                    (answer,) = relabeller(self.options)([file])
                finally:
                    os.chdir(here)
                yield key, json.loads(json.dumps(answer))


def test_each_as_if_alone(folder):
    found = dict(relabel_files(SOURCES, "out", STEPS, {}))
    assert list(found) == SOURCES
    for source in ("in/a.csv", "in/b.csv"):
        report = relabel(source, "alone.csv", read_steps(**STEPS))
        assert found[source] == {"notes": [], "report": report.as_dict()}
        assert Path(output_of(source, "out")).read_bytes() == Path("alone.csv").read_bytes()
    assert "in/bad.csv: line 5: the label '/m/gutar' is no known class" in found["in/bad.csv"]["error"]
    assert not Path("out/bad.csv").exists()


@pytest.fixture
def looks(monkeypatch):
    """How often it was seen to it that somebody still waits."""
    looks = []
    monkeypatch.setattr(module, "refuse_unwanted", lambda: looks.append(1))
    return looks


def test_workers_do_what_is_done_here(folder, looks):
    here = list(relabel_files(SOURCES, "out", STEPS, {}))
    files = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    workers = Workers()
    (folder / "far").mkdir()
    assert list(relabel_files(SOURCES, "far/", STEPS, {"to": None}, workers)) == here
    assert {path.name: path.read_bytes() for path in (folder / "far").iterdir()} == files
    assert len(looks) == 2  # after each file's only part, before it takes its place


def test_workers_that_nobody_waits_for_write_nothing(folder, monkeypatch):
    def refuse():
        raise UnwantedError

    monkeypatch.setattr(module, "refuse_unwanted", refuse)
    with pytest.raises(UnwantedError):
        list(relabel_files(SOURCES, "out", STEPS, {}, Workers()))
    assert not list(Path("out").iterdir())


@pytest.mark.parametrize("name", ["ontology", "vocabulary", "superclasses"])
def test_workers_with_another_file_refuse(folder, looks, name):
    workers, steps = Workers(), {"superclasses": "sup.csv", "ontology": "ontology.json"}
    write(Path("sup.csv"), 'music\nGuitar\nElectric guitar\n"Dog, domestic"\n')
    write(Path("names.csv"), "mid,display_name\n/m/dog,Dog\n/m/guitar,Guitar\n/m/electric,E\n")
    if name == "vocabulary":
        steps = {"ontology": "ontology.json", "vocabulary": "names.csv", "expand": True}
    list(relabel_files(["in/a.csv"], "out", steps, {}, workers))
    first = workers.options
    with open(steps[name], "a") as file:
        file.write("\n")
    with pytest.raises(AcdrefError, match=f"has another .*{steps[name]}"):
        relabeller(first)
    list(relabel_files(["in/a.csv"], "out", steps, {}, workers))
    assert workers.options != first  # so that what a worker keeps is not taken for it


def test_a_line_names_the_file_it_is_about_as_it_was_given(folder, looks):
    """Whatever other file it names."""
    write(Path("scores.csv"), "path,Guitar\nother.wav,0.5\n")
    how, steps = {"scores": "scores.csv", "to": "manifest"}, STEPS | {"correct": {}}
    for workers in (None, Workers()):
        ((_, about),) = relabel_files(["in/a.csv"], "out", steps, how, workers)
        assert about["error"].startswith("in/a.csv: scores.csv: has no row for ")


def test_a_file_that_kills_workers_is_an_error(folder):
    found = dict(relabel_files(SOURCES, "out", STEPS, {}, Workers(dies=True)))
    assert found["in/b.csv"]["error"] == "in/b.csv: ends whatever process works on it (SIGSEGV)"


def test_steps_that_cannot_be_are_told_at_once(folder):
    with pytest.raises(AcdrefError, match="need an ontology"):
        next(relabel_files(SOURCES, "out", {"expand": True}, {}))


@pytest.mark.parametrize(("patience", "left"), [(0, "another run is writing it"), (60, "")])
def test_a_worker_waits_for_another(folder, monkeypatch, patience, left):
    """One that nobody waits for any more may be writing the same file still."""
    monkeypatch.setattr(module.time, "sleep", lambda seconds: done.set() or writing.join())
    begun, done = threading.Event(), threading.Event()

    def write_slowly():
        with replacing("out/a.csv") as temporary:
            temporary.write_text("of the other")
            begun.set()
            done.wait(30)

    writing = threading.Thread(target=write_slowly)
    writing.start()
    begun.wait(30)
    options = {"folder": "out", "steps": STEPS, "how": {"patience": patience}}
    ((about, _),) = relabeller(options)(["in/a.csv"])
    done.set()
    writing.join()
    assert ("report" in about) == (not left) and left in about.get("error", "")
    assert (Path("out/a.csv").read_text() == "of the other") == bool(left)
