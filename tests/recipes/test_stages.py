"""The runner of stages: what it does again, what it leaves alone, what it refuses."""

import json

import pytest
from recipes_support import Killed
from train_support import Recorder

from acdref.errors import AcdrefError, FileError
from acdref.files import BusyError
from acdref.fit import Stopped
from acdref.recipes.stages import Stage, run

OPTIONS = {"seed": 0, "classes": ("a", "b"), "rules": {"correct": {"T": 0.05}}}


class Copier:
    """Two stages: one writes a file, the next copies it; they count how often they worked."""

    def __init__(self):
        self.worked = []
        self.text = "1"
        self.fails = {}

    def stages(self):
        return [Stage("first", self.first, ("x.txt",)), Stage("second", self.second, ("y.txt",))]

    def first(self, folder, before, observer):
        self.work("first")
        assert before == {}
        (folder / "x.txt").write_text(self.text)
        return {"length": len(self.text)}

    def second(self, folder, before, observer):
        self.work("second")
        text = (before["first"] / "x.txt").read_text()
        (folder / "y.txt").write_text(text * 2)
        return {"text": text}

    def work(self, name):
        self.worked.append(name)
        if name in self.fails:
            raise self.fails.pop(name)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "deep" / "out"


@pytest.fixture
def copier():
    return Copier()


def test_each_stage_is_done_once(out, copier):
    expected = {"first": {"length": 1}, "second": {"text": "1"}}
    observer = Recorder()
    assert run("copy", out, OPTIONS, copier.stages(), observer) == expected
    assert observer.lines == ["1/2 first", "2/2 second"]
    assert run("copy", out, OPTIONS, copier.stages(), observer) == expected
    assert observer.lines[2:] == ["1/2 first: finished before", "2/2 second: finished before"]
    assert copier.worked == ["first", "second"]
    assert (out / "2-second" / "y.txt").read_text() == "11"


@pytest.mark.parametrize("way", [Killed(), Stopped(), AcdrefError("full")])
def test_what_was_not_finished_is_done_again(out, copier, way):
    copier.fails["second"] = way
    with pytest.raises(type(way)):
        run("copy", out, OPTIONS, copier.stages())
    run("copy", out, OPTIONS, copier.stages())
    assert copier.worked == ["first", "second", "second"]


@pytest.mark.parametrize(
    ("recipe", "options", "words"),
    [
        ("other", OPTIONS, "holds the recipe 'copy'"),
        ("copy", OPTIONS | {"seed": 1}, "other options .seed: 0, now 1."),
        ("copy", OPTIONS | {"new": True}, "other options .new: None, now True."),
        ("copy", {"seed": 0} | {"rules": OPTIONS["rules"]}, "options .classes: .'a', 'b'., now None."),
        ("copy", OPTIONS | {"rules": {"correct": {"T": 0.1}}}, r"options .rules\.correct\.T: 0.05, now 0.1."),
    ],
)
def test_another_recipe_or_other_options_are_refused(out, copier, recipe, options, words):
    run("copy", out, OPTIONS, copier.stages())
    with pytest.raises(AcdrefError, match=words):
        run(recipe, out, options, copier.stages())
    assert copier.worked == ["first", "second"]


def test_a_folder_with_other_files_is_refused(tmp_path, copier):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(AcdrefError, match="holds other files"):
        run("copy", tmp_path, OPTIONS, copier.stages())


def test_a_folder_that_cannot_be(tmp_path, copier):
    (tmp_path / "file").touch()
    with pytest.raises(AcdrefError, match="Not a directory"):
        run("copy", tmp_path / "file" / "out", OPTIONS, copier.stages())


def test_a_changed_file_is_noticed(out, copier):
    run("copy", out, OPTIONS, copier.stages())
    (out / "1-first" / "x.txt").write_text("2")
    with pytest.raises(FileError, match=r"x\.txt: has changed since"):
        run("copy", out, OPTIONS, copier.stages())


def test_a_stage_made_from_other_files_is_noticed(out, copier):
    run("copy", out, OPTIONS, copier.stages())
    (out / "1-first" / "finished.json").unlink()
    copier.text = "2"
    with pytest.raises(FileError, match="2-second: was made from other files"):
        run("copy", out, OPTIONS, copier.stages())


def test_a_deleted_file_is_noticed(out, copier):
    run("copy", out, OPTIONS, copier.stages())
    (out / "2-second" / "y.txt").unlink()
    with pytest.raises(FileError, match=r"y\.txt: No such file"):
        run("copy", out, OPTIONS, copier.stages())


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, json.dumps({"schema": "acdref.recipe/9"})])
def test_a_damaged_record_is_named(out, copier, text):
    run("copy", out, OPTIONS, copier.stages())
    (out / "recipe.json").write_text(text)
    with pytest.raises(FileError, match=r"recipe\.json"):
        run("copy", out, OPTIONS, copier.stages())


def test_a_stage_of_another_version_is_named(out, copier):
    run("copy", out, OPTIONS, copier.stages())
    (out / "1-first/finished.json").write_text(json.dumps({"schema": "acdref.recipe/9"}))
    with pytest.raises(FileError, match=r"finished\.json: has not the schema"):
        run("copy", out, OPTIONS, copier.stages())


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000, None])
def test_a_stage_whose_record_is_damaged_is_done_again(out, copier, text):
    expected = run("copy", out, OPTIONS, copier.stages())
    path = out / "1-first" / "finished.json"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"length": 1', b'"length": 2') if text is None else text)
    observer = Recorder()
    assert run("copy", out, OPTIONS, copier.stages(), observer) == expected
    assert f"{path}: damaged; its stage is done again" in observer.lines
    assert copier.worked == ["first", "second", "first"] and path.read_bytes() == whole


def test_a_record_from_before_it_had_a_check_sum(out, copier):
    expected = run("copy", out, OPTIONS, copier.stages())
    path = out / "1-first" / "finished.json"
    state = json.loads(path.read_text())
    del state["sha256"]
    path.write_text(json.dumps(state))
    assert run("copy", out, OPTIONS, copier.stages()) == expected
    assert copier.worked == ["first", "second"]


def test_the_second_run_is_refused(out, copier):
    def work(folder, before, observer):
        with pytest.raises(BusyError, match="out: another run is writing it"):
            run("copy", out, OPTIONS, copier.stages())
        return {}

    run("copy", out, OPTIONS, [Stage("only", work, ())])
