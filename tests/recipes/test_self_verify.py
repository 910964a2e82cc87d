"""Self-verification from end to end on tones, hums and noises, with a network of a few hundred parameters."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from predict_support import noise, write
from recipes_support import Killed, dying_at, tiny_mobilenet
from train_support import Recorder

from acdref.errors import AcdrefError, FileError, ManifestError
from acdref.files import write_text
from acdref.fit import Stopped
from acdref.labels import stratified_folds, verify
from acdref.recipes.self_verify import SelfVerifyOptions, _SelfVerification, self_verify

CLASSES = ("hum", "noise", "tone")
RESULTS = (
    "folds.json",
    "posteriors.npy",
    "fold-0.npz",
    "fold-1.npz",
    "accepted.csv",
    "test.npy",
    "report.json",
)


def write_corpus(folder):
    """24 recordings to train on, half of them verified, and six to measure on; the manifest's path."""
    rows = ["path,classes,verified,split"]
    t = np.arange(16000) / 16000
    for i in range(30):
        c = i % 3
        sound = (0.3 * np.sin(2 * np.pi * 60 * t), noise(1.0, 0.2, i), 0.3 * np.sin(2 * np.pi * 3000 * t))[c]
        write(folder / f"{i}.wav", sound)
        label = CLASSES[(c + 1) % 3 if i in (4, 7) else c]
        verified = i % 2 if i < 24 else 1
        rows.append(f"{i}.wav,{label},{verified},{'train' if i < 24 else 'val'}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return str(folder / "manifest.csv")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return SelfVerifyOptions(
        write_corpus(folder),
        init=tiny_mobilenet(folder / "tiny.npz", CLASSES),
        clip=1.2,
        excerpt=0.5,
        folds=2,
        epochs=2,
        constant=1,
        lr=2e-2,
        rounds=2,
        tune_epochs=2,
        tune_constant=0,
        tune_lr=1e-2,
        batch=6,
        excerpts=2,
        threshold=0.35,
        cap=2,
        seed=5,
    )


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipes") / "whole"
    return out, self_verify(options, out)


def contents(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in Path(out).rglob("*") if path.name in RESULTS
    }


def test_stages(finished):
    out, stages = finished
    names = ["given", "features", "folds", "initial", "round-1", "round-2", "ensemble"]
    assert list(stages) == names
    assert stages["given"] == {"recordings": 24, "validation": 6}
    assert stages["folds"] == {"verified": 12, "others": 12}
    losses = {name: stages[name]["val_loss"] for name in names[3:6]}
    assert stages["ensemble"]["best"] == min(losses, key=losses.get)
    assert stages["ensemble"]["weights"] in {path.name for path in out.iterdir()}
    assert not list(out.rglob("*.tmp")) and not list(out.rglob("*.part"))


def given(out):
    with open(out / "1-given" / "train.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([CLASSES.index(row["classes"]) for row in rows])
    return rows, labels, np.array([row["verified"] == "1" for row in rows])


def test_folds_are_stratified_in_a_drawn_order(finished, options):
    rows, labels, verified = given(finished[0])
    folds = np.array(json.loads((finished[0] / "3-folds" / "folds.json").read_text()))
    order = np.random.default_rng(options.seed).permutation(len(rows))
    np.testing.assert_array_equal(folds[order], stratified_folds(labels[order], verified[order], 2))


@pytest.mark.parametrize(("before", "stage"), [("4-initial", "5-round-1"), ("5-round-1", "6-round-2")])
def test_accepted_is_what_the_round_before_verifies(finished, options, before, stage):
    """And from the given flags, not from those of the round before."""
    out, stages = finished
    rows, labels, verified = given(out)
    posteriors = np.load(out / before / "posteriors.npy")
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    chosen = verify(posteriors, labels, verified, options.threshold, options.cap)
    with open(out / stage / "accepted.csv", newline="") as file:
        accepted = {(row["path"], row["class"]) for row in csv.DictReader(file)}
    expected = np.flatnonzero(chosen & ~verified)
    assert accepted == {(rows[i]["path"], CLASSES[labels[i]]) for i in expected}
    assert 0 < len(accepted) == stages[stage[2:]]["accepted"]


def test_no_network_has_heard_what_it_judges(options, tmp_path, monkeypatch):
    """Neither in this round nor in those before."""
    from acdref.recipes import self_verify as module

    heard, judged = [set(), set()], []
    train, held_out = module._Round.train, module._Round.held_out

    def spying_train(self, net, fold, chosen, path):
        excerpts = self._excerpts
        self._excerpts = lambda i, rng, count: (heard[fold].add(int(i)), excerpts(i, rng, count))[1]
        train(self, net, fold, chosen, path)
        self._excerpts = excerpts

    def spying_held_out(self, nets):
        for i, fold in enumerate(self.folds):
            judged.append((int(i), int(fold)))
            assert i not in heard[fold]
        return held_out(self, nets)

    monkeypatch.setattr(module._Round, "train", spying_train)
    monkeypatch.setattr(module._Round, "held_out", spying_held_out)
    self_verify(replace(options, rounds=1, epochs=1), tmp_path / "out")
    assert len(judged) == 48 and heard[0] | heard[1] == set(range(24))


def test_measured(finished):
    out, stages = finished
    answers = np.load(out / "7-ensemble" / "test.npy")
    test = stages["ensemble"]["test"]
    assert answers.shape == (6, 3) and test["clips"] == 6
    assert test["accuracy"] == (answers.argmax(axis=1) == np.arange(24, 30) % 3).mean()
    assert test["accuracy"] <= test["MAP@3"] <= (1 + test["accuracy"]) / 2
    assert list(test["f_scores"]) == list(CLASSES)


def test_killed_at_every_file_it_ends_the_same(finished, options, tmp_path, monkeypatch):
    out, deaths = tmp_path / "out", 0
    while deaths < 200:
        try:
            with dying_at(monkeypatch, 3 + deaths % 5, late=deaths % 2):
                self_verify(options, out)
            break
        except Killed:
            deaths += 1
    assert deaths >= 8
    assert contents(out) == contents(finished[0])


@pytest.mark.parametrize("steps", [3, 50])
def test_a_stopped_recipe_continues(finished, options, tmp_path, steps):
    with pytest.raises(Stopped):
        self_verify(options, tmp_path, observer=Recorder(steps))
    assert self_verify(options, tmp_path) == finished[1]
    assert contents(tmp_path) == contents(finished[0])


def test_ensembles_average(options, tmp_path):
    short = replace(options, rounds=0, epochs=1, constant=0)
    self_verify(replace(short, seed=6), tmp_path / "other")
    self_verify(short, tmp_path / "both", [str(tmp_path / "other")])
    own = np.load(tmp_path / "both/4-initial/test.npy")
    theirs = np.load(tmp_path / "other/5-ensemble/test.npy")
    np.testing.assert_allclose(np.load(tmp_path / "both/5-ensemble/test.npy"), (own + theirs) / 2, rtol=1e-12)
    with pytest.raises(AcdrefError, match="nowhere: holds no finished run"):
        self_verify(short, tmp_path / "third", ["nowhere"])


def test_a_broken_recording_is_left_out(options, tmp_path):
    path = write_corpus(tmp_path)
    (tmp_path / "3.wav").write_bytes(b"")
    (tmp_path / "25.wav").write_bytes(b"")
    stages = self_verify(replace(options, manifest=path, rounds=0), tmp_path / "out")
    assert stages["folds"] == {"verified": 11, "others": 12}
    assert json.loads((tmp_path / "out/3-folds/folds.json").read_text())[3] == -1
    assert stages["ensemble"]["test"]["clips"] == 5


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("3.wav,hum", "3.wav,hum;tone", "must have one class .it has: hum, tone"),
        ("3.wav,hum", "3.wav,", "must have one class .it has: none"),
        (",verified,", ",checked,", "has no column 'verified'"),
        ("3.wav,hum,1", "3.wav,hum,yes", "line 5, column 'verified': 'yes' is neither 1 nor 0"),
    ],
)
def test_manifests_that_do_not_do(options, tmp_path, old, new, words):
    path = Path(write_corpus(tmp_path))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ManifestError, match=words):
        self_verify(replace(options, manifest=str(path)), tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"init": None, "excerpt": 0.01}, "acdnet needs excerpts of at least"),
        ({"clip": 0.3}, "an excerpt cannot be longer than the clip"),
        ({"init": None, "spectrogram": 2}, "acdnet has one spectrogram"),
        ({"folds": 13}, "too few verified recordings"),
    ],
)
def test_options_that_do_not_do(options, tmp_path, change, words):
    with pytest.raises(AcdrefError, match=words):
        self_verify(replace(options, **change), tmp_path / "out")


def test_other_options_are_refused(finished, options):
    with pytest.raises(AcdrefError, match=r"threshold: 0\.35, now 0\.5"):
        self_verify(replace(options, threshold=0.5), finished[0])


def test_another_run_to_average_with_is_of_the_same_recordings(finished, options, tmp_path):
    recipe, (out, _) = _SelfVerification(options), finished
    folder = next(out.glob("*-ensemble"))
    np.testing.assert_array_equal(recipe._answers_of(out), np.load(folder / "test.npy"))
    (tmp_path / folder.name).mkdir()
    write_text(tmp_path / "recipe.json", json.dumps({"options": {"recordings": "others"}}))
    with pytest.raises(FileError, match="no finished run"):
        recipe._answers_of(tmp_path)
    np.save(tmp_path / folder.name / "test.npy", np.zeros((6, 3)))
    with pytest.raises(FileError, match="is of other recordings or labels"):
        recipe._answers_of(tmp_path)
