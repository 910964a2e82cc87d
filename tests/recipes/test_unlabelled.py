"""From sounds and words to a network, with a tiny random CLAP; stopped anywhere, the same."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes_support import Killed, dying_at, tiny
from train_support import Recorder

from acdref.clap.prompts import Prompts
from acdref.clap.scores import Decision, TeacherScores
from acdref.errors import AcdrefError
from acdref.files import resource
from acdref.fit import Stopped
from acdref.recipes.unlabelled import unlabelled
from acdref.tables.manifest import read_manifest

PROMPTS = Prompts.of({"noise": "noise", "tone": "a tone", "hum": ["a hum", "mains"]}, ["silence"])
CLASSES = ["noise", "tone", "hum"]
DECISION = Decision("z", 0.5)
RULES = {"correct": {"T": 0.45, "fp": True}}
RESULTS = ("2-teach/scores.npz", "3-zero-shot/train.csv", "6-labels/train.csv", "7-student/best.npz")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    from acdref.clap.teacher import ClapTeacher

    # A copy: the teacher writes its prompts beside the graphs.
    bundle = shutil.copytree(resource("fixtures", "clap_hf"), tmp_path_factory.mktemp("bundle") / "hf")
    return ClapTeacher.open(bundle)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return replace(tiny(folder), manifest=str(folder), val=str(folder / "manifest.csv"), val_fold=None)


@pytest.fixture(scope="module")
def recipe(teacher, training):
    """The recipe with some options changed."""

    def run(out, observer=None, decision=DECISION, prompts=PROMPTS, **options):
        return unlabelled(
            teacher, prompts, decision, replace(training, **options), out, RULES, observer=observer
        )

    return run


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipes") / "whole"
    return out, recipe(out)


def contents(out):
    return {name: (Path(out) / name).read_bytes() for name in RESULTS}


def test_stages(finished):
    out, summaries = finished
    assert list(summaries) == ["given", "teach", "zero-shot", "teacher", "scores", "labels", "student"]
    assert summaries["given"] == {"recordings": 8, "validation": 8}
    assert summaries["student"]["val_mAP"] > 0
    given = read_manifest(out / "1-given/train.csv", classes=CLASSES)
    assert np.isnan(given.labels).all()  # nothing is taken from the labels that there are


def test_the_first_labels_are_the_teachers(finished):
    out, _ = finished
    found = read_manifest(out / "3-zero-shot/train.csv", classes=CLASSES).labels
    scores = TeacherScores.load(out / "2-teach/scores.npz")
    np.testing.assert_array_equal(found, DECISION.labels(scores))
    assert 0 < found.sum() < found.size


def test_killed_it_ends_the_same(finished, recipe, tmp_path, monkeypatch):
    """Mostly in its own stages, which come first; those of self-correction are killed at every file there."""
    out = tmp_path / "out"
    deaths = 0
    while deaths < 100:
        try:
            with dying_at(monkeypatch, 1 + deaths, late=deaths % 2):
                recipe(out)
            break
        except Killed:
            deaths += 1
    assert deaths >= 6
    assert contents(out) == contents(finished[0])


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_a_stopped_recipe_continues(finished, recipe, tmp_path, steps):
    with pytest.raises(Stopped):
        recipe(tmp_path, Recorder(steps))
    assert recipe(tmp_path) == finished[1]
    assert contents(tmp_path) == contents(finished[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decision": Decision("z", 0.6)}, r"decision\.threshold: 0.5, now 0.6"),
        ({"prompts": Prompts.of({"noise": "hiss", "tone": "a tone", "hum": "a hum"})}, r"prompts\."),
        ({"seed": 4}, "seed: 3, now 4"),
    ],
)
def test_other_options_are_refused(finished, recipe, change, words):
    with pytest.raises(AcdrefError, match=f"was begun with other options .*{words}"):
        recipe(finished[0], **change)


def test_recordings_that_cannot_be_used(recipe, tmp_path):
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "x.wav").touch()
    with pytest.raises(AcdrefError, match="none of its 1 recordings can be used"):
        recipe(tmp_path / "out", manifest=str(tmp_path / "sounds"))


def test_validation_that_measures_nothing_is_refused_before_anything_is_done(recipe, tmp_path):
    path = tmp_path / "val.csv"
    path.write_text("path,classes\n0.wav,\n")
    with pytest.raises(AcdrefError, match=r"val\.csv: of the 1 recordings to validate on, none is known"):
        recipe(tmp_path / "out", val=str(path))
    assert not (tmp_path / "out").exists()
