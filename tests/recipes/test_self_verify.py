"""Self-verification from end to end on tones, hums and noises, with a network of a few hundred parameters."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from predict_support import noise, write
from recipes_support import Killed, dying_at, tiny_mobilenet
from train_support import Recorder

from acdref.audio import resample
from acdref.checkpoint import load, load_weights, save_weights
from acdref.errors import AcdrefError, FileError, ManifestError
from acdref.features.front_ends import without_offset
from acdref.features.papers import decibel_mel
from acdref.files import write_text
from acdref.fit import Stopped
from acdref.labels import stratified_folds, verify
from acdref.labels.algebra import draw_mixup_weights
from acdref.labels.verification import excerpt_starts
from acdref.recipes.features import Features
from acdref.recipes.self_verify import SelfVerifyOptions, _Round, _SelfVerification, self_verify
from acdref.recipes.silence import clip_silence

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


def write_corpus(folder, rate=16000):
    """24 recordings to train on, half of them verified, and six to measure on; the manifest's path."""
    rows = ["path,classes,verified,split"]
    t = np.arange(rate) / rate
    for i in range(30):
        c = i % 3
        sound = (0.3 * np.sin(2 * np.pi * 60 * t), noise(1.0, 0.2, i), 0.3 * np.sin(2 * np.pi * 3000 * t))[c]
        write(folder / f"{i}.wav", sound[:rate], rate)
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
        epochs=3,
        constant=2,
        lr=5e-2,
        rounds=2,
        tune_epochs=2,
        tune_constant=0,
        tune_lr=1e-1,
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
    losses = {name: stages[name]["val_loss"] for name in names[4:6]}
    assert stages["ensemble"]["best"] == min(losses, key=losses.get)
    assert stages["ensemble"]["val_loss"] == min(losses.values())
    assert stages["ensemble"]["weights"] in {path.name for path in out.iterdir()}
    assert stages["ensemble"]["initial"] == stages["initial"]
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
    posteriors = np.load(out / stage / "posteriors.npy")
    assert np.isnan(posteriors[verified]).all()
    np.testing.assert_allclose(posteriors[~verified].sum(axis=1), 1)
    chosen = verify(posteriors, labels, verified, options.threshold, options.cap)
    with open(out / stage / "accepted.csv", newline="") as file:
        accepted = {(row["path"], row["class"]) for row in csv.DictReader(file)}
    expected = np.flatnonzero(chosen & ~verified)
    assert accepted == {(rows[i]["path"], CLASSES[labels[i]]) for i in expected}
    assert 0 < len(accepted) == stages[stage[2:]]["accepted"]


def test_verification_takes_the_mean_of_random_excerpts(finished, options):
    out, _ = finished
    _, _, verified = given(out)
    posteriors = np.load(out / "6-round-2" / "posteriors.npy")
    folds = np.array(json.loads((out / "3-folds" / "folds.json").read_text()))
    nets = [load_weights(out / "5-round-1" / f"fold-{fold}.npz")[0] for fold in (0, 1)]
    for i in np.flatnonzero(~verified):
        starts = excerpt_starts(120, np.random.default_rng([options.seed, 2, i]), 50, options.excerpts)
        excerpts = [posterior(nets[folds[i]], whole(out, i)[start : start + 50]) for start in starts]
        np.testing.assert_allclose(posteriors[i], np.mean(excerpts, axis=0), rtol=1e-5)


def test_no_network_has_heard_what_it_judges(options, tmp_path, monkeypatch):
    """Neither in this round nor in those before; and it is validated on what is verified of its fold."""
    heard, validated, judged, training = [set(), set()], [set(), set()], [], []
    train, excerpts, whole = _Round.train, _Round._excerpts, _Round._whole

    def spying_train(self, net, fold, *more):
        training.append(fold)
        kept = train(self, net, fold, *more)
        training.clear()
        return kept

    def spying_excerpts(self, i, *more):
        if training:
            heard[training[0]].add(int(i))
        else:
            judged.append(int(i))
            assert i not in heard[self.folds[i]]
        return excerpts(self, i, *more)

    def spying_whole(self, i):
        if training:
            validated[training[0]].add(int(i))
        return whole(self, i)

    monkeypatch.setattr(_Round, "train", spying_train)
    monkeypatch.setattr(_Round, "_excerpts", spying_excerpts)
    monkeypatch.setattr(_Round, "_whole", spying_whole)
    out = tmp_path / "out"
    self_verify(replace(options, rounds=1, epochs=1), out)
    _, _, verified = given(out)
    folds = np.array(json.loads((out / "3-folds" / "folds.json").read_text()))
    assert heard[0] | heard[1] == set(range(24)) and judged == np.flatnonzero(~verified).tolist()
    for fold in (0, 1):
        assert validated[fold] == set(np.flatnonzero(verified & (folds == fold)))
        assert not validated[fold] & heard[fold]


@pytest.mark.parametrize("stage", ["4-initial", "5-round-1", "6-round-2"])
def test_each_training_keeps_the_epoch_with_the_lowest_loss_of_whole_clips(finished, stage):
    """As an own loop over the verified recordings of the fold finds it."""
    out, stages = finished
    _, labels, verified = given(out)
    folds = np.array(json.loads((out / "3-folds" / "folds.json").read_text()))
    losses, accuracies, epochs = [], [], []
    for fold in (0, 1):
        net, meta = load_weights(out / stage / f"fold-{fold}.npz")
        rows = [dict(row) for row in load(out / stage / f"last-{fold}.npz")[1]["rows"]]
        own = np.flatnonzero(verified & (folds == fold))
        p = np.array([posterior(net, whole(out, i)) for i in own])
        losses.append(-np.log(p[np.arange(len(own)), labels[own]]).mean())
        accuracies.append((p.argmax(axis=1) == labels[own]).mean())
        epochs.append(meta["epoch"])
        assert meta["val_loss"] == pytest.approx(losses[-1], rel=1e-5)
        assert meta["val_loss"] == min(row["val_loss"] for row in rows)
        assert meta["val_loss"] == next(row["val_loss"] for row in rows if row["epoch"] == meta["epoch"])
    found = stages[stage[2:]]
    assert found["val_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["val_accuracy"] == pytest.approx(np.mean(accuracies)) and found["best_epochs"] == epochs


def test_some_training_keeps_another_epoch_than_the_last(finished, options):
    """Without which the test above would not tell the two apart."""
    stages = finished[1]
    assert min(stages["initial"]["best_epochs"]) < options.epochs
    assert min(stages["round-1"]["best_epochs"] + stages["round-2"]["best_epochs"]) < options.tune_epochs


def test_a_round_goes_on_from_what_the_one_before_has_kept(options, tmp_path, monkeypatch):
    starts, train = [], _Round.train

    def spying_train(self, net, fold, *more):
        starts.append({name: p.copy() for name, p in (net.params | net.state).items()})
        return train(self, net, fold, *more)

    monkeypatch.setattr(_Round, "train", spying_train)
    out = tmp_path / "out"
    self_verify(options, out)
    kept = [out / stage / f"fold-{fold}.npz" for stage in ("4-initial", "5-round-1") for fold in (0, 1)]
    for start, path in zip(starts[2:], kept, strict=True):
        net, _ = load_weights(path)
        for name, p in (net.params | net.state).items():
            np.testing.assert_array_equal(start[name], p)


def test_trainings_are_as_printed(options, tmp_path, monkeypatch):
    """Rates that fall linearly to 0, mixup in the first training alone; no weight decay."""
    jobs = []

    def fit(net, job, path, observer):
        jobs.append(job)
        save_weights(job.best, net, CLASSES)
        return [{"epoch": 1, "val_loss": 1.0, "val_accuracy": 0.5}]

    alphas = []

    def weights(rng, n, alpha):
        alphas.append(alpha)
        return draw_mixup_weights(rng, n, alpha)

    monkeypatch.setattr("acdref.recipes.self_verify.fit", fit)
    monkeypatch.setattr("acdref.recipes.self_verify.draw_mixup_weights", weights)
    usual = SelfVerifyOptions(options.manifest, init=options.init, clip=1.2, excerpt=0.5, rounds=1, folds=2)
    self_verify(usual, tmp_path / "out")
    for job, epochs, constant, lr in [(jobs[0], 500, 100, 1e-3), (jobs[3], 30, 5, 2e-4)]:
        assert (job.epochs, job.steps, job.weight_decay, job.keep) == (epochs, 1, 0, "loss")
        rates = [job.rate(epoch, 0) for epoch in (0, constant - 1, constant, epochs - 1)]
        assert rates == pytest.approx([lr, lr, lr * (1 - 1 / (epochs - constant)), 0])
    mixed, plain = (
        np.concatenate([y for job in part for _, y in job.batches(0, 0)]) for part in (jobs[:2], jobs[2:])
    )
    assert mixed.shape == (24, 3) and ((mixed > 0) & (mixed < 1)).any() and (plain.max(axis=1) == 1).all()
    assert set(alphas) == {0.3}
    self_verify(replace(usual, batch=11), tmp_path / "small")  # of 12 recordings
    assert {job.steps for job in jobs[-4:-2]} == {2}


@pytest.mark.parametrize(("spectrogram", "rate", "hop"), [(1, 32000, 192), (2, 32000, 128)])
def test_the_papers_network_takes_its_frames(options, spectrogram, rate, hop):
    changes = {"net": "vgg-gap", "init": None, "width": 0.05, "clip": None, "excerpt": None}
    recipe = _SelfVerification(replace(options, spectrogram=spectrogram, **changes))
    assert (recipe.clip_steps, recipe.excerpt_steps) == (3000, 384)
    assert (recipe.front.rate, recipe.front.hop) == (rate, hop)


def whole(out, i):
    """Features of a recording of the finished run, 1.2 s long: the first of them again at the end."""
    x = np.array(Features(out / "2-features")[i])
    return np.concatenate([x, x])[:120]


def posterior(net, x):
    logits = net.forward(x[None])[0][0].astype(np.float64)
    return np.exp(logits) / np.exp(logits).sum()


@pytest.mark.parametrize("stage", ["4-initial", "6-round-2"])
def test_measured_is_the_mean_of_the_networks_on_whole_clips(finished, stage):
    out, _ = finished
    nets = [load_weights(out / stage / f"fold-{fold}.npz")[0] for fold in (0, 1)]
    expected = [np.mean([posterior(net, whole(out, i)) for net in nets], axis=0) for i in range(24, 30)]
    np.testing.assert_allclose(np.load(out / stage / "test.npy"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("losses", "best"), [((0.1, 0.5, 0.4, 0.4), "round-2"), ((0.9, 0.5, 0.6), "round-1"), ((0.1,), "initial")]
)
def test_the_best_is_one_of_the_rounds(options, tmp_path, losses, best):
    """The first training only where there are none; of equal ones the first."""
    before = {}
    for number, loss in enumerate(losses):
        name = f"round-{number}" if number else "initial"
        before[name] = tmp_path / name
        before[name].mkdir()
        summary = {"val_loss": loss, "val_accuracy": number / 4}
        write_text(before[name] / "finished.json", json.dumps({"summary": summary}))
        np.save(before[name] / "test.npy", np.full((6, 3), number / 4))
    recipe = _SelfVerification(replace(options, rounds=len(losses) - 1))
    summary = recipe.ensemble((), tmp_path, before, None)
    assert (summary["best"], summary["weights"]) == (best, best)
    assert summary["initial"] == {"val_loss": losses[0], "val_accuracy": 0}
    assert json.loads((tmp_path / "report.json").read_text()) == summary
    np.testing.assert_array_equal(np.load(tmp_path / "test.npy"), np.load(before[best] / "test.npy"))


def test_silence_is_clipped_at_the_own_rate_and_spectrograms_are_whole(options, tmp_path):
    path = write_corpus(tmp_path, 8000)
    self_verify(replace(options, manifest=path, clip=0.5, rounds=0, epochs=1, constant=0), tmp_path / "out")
    found = Features(tmp_path / "out" / "2-features")
    for i in (0, 1, 26):
        x, rate = soundfile.read(tmp_path / f"{i}.wav", dtype="float32")
        assert rate == 8000
        x = resample(clip_silence(without_offset(x), rate), rate, 16000, level=None)
        np.testing.assert_array_equal(found[i], decibel_mel(without_offset(x)))
        assert len(found[i]) > 50


def test_measured(finished):
    out, stages = finished
    answers = np.load(out / "7-ensemble" / "test.npy")
    test = stages["ensemble"]["test"]
    assert answers.shape == (6, 3) and test["clips"] == 6
    assert test["accuracy"] == (answers.argmax(axis=1) == np.arange(24, 30) % 3).mean()
    assert test["accuracy"] <= test["MAP@3"] <= (1 + test["accuracy"]) / 2 + 1e-12
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
    own, theirs = (np.load(tmp_path / f"{name}/4-initial/test.npy") for name in ("both", "other"))
    np.testing.assert_allclose(np.load(tmp_path / "both/5-ensemble/test.npy"), (own + theirs) / 2, rtol=1e-12)
    # A run that was averaged itself counts once.
    recipe = _SelfVerification(short)
    np.testing.assert_array_equal(recipe._answers_of(tmp_path / "both"), own)
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
    write_text(tmp_path / folder.name / "report.json", json.dumps({"weights": "best"}))
    (tmp_path / "best").mkdir()
    np.save(tmp_path / "best" / "test.npy", np.zeros((6, 3)))
    with pytest.raises(FileError, match="is of other recordings or labels"):
        recipe._answers_of(tmp_path)
