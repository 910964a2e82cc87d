"""Pseudo strong labels end to end: windows and their labels, what is measured, runs that are stopped."""

from dataclasses import replace

import numpy as np
import pytest
from recipes_support import Killed, dying_at, tiny_mobilenet
from soundscape_support import write_soundscape_corpus
from train_support import Recorder

from acdref import checkpoint, metrics
from acdref.errors import AcdrefError, ManifestError
from acdref.fit import Stopped
from acdref.labels import label_counts, soft_labels
from acdref.nets import registry
from acdref.recipes.features import Features
from acdref.recipes.pseudo_strong import PseudoStrongOptions, _PseudoStrong, _WindowLesson, pseudo_strong

STAGES = [
    "given",
    "sounds",
    "annotator",
    "counts",
    "weak",
    "psl-2s",
    "psl-1.3s",
    "weak-1.3s",
    "mixed-1.3s",
    "transfer-fresh",
    "transfer-weak",
    "transfer-psl",
]


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    manifest = write_soundscape_corpus(folder)
    (folder / "more.csv").write_text("path,classes\n4.wav,tone\n5.wav,tone;noise\n")
    (folder / "other.csv").write_text(
        "path,classes,split\n0.wav,a,train\n1.wav,b,train\n2.wav,a;c,val\n3.wav,b,val\n"
    )
    return PseudoStrongOptions(
        str(manifest),
        init=tiny_mobilenet(folder / "tiny.npz", ("noise", "tone")),
        more=str(folder / "more.csv"),
        windows=(2.0, 1.3),
        annotator_epochs=2,
        epochs=1,
        batch=6.0,
        level=3.0,
        threshold=0.4,
        transfer=str(folder / "other.csv"),
        transfer_epochs=1,
        seed=2,
    )


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipes") / "whole"
    return out, pseudo_strong(options, out)


@pytest.fixture(scope="module")
def recipe(options):
    return _PseudoStrong(options)


@pytest.fixture(scope="module")
def samples(finished):
    return Features(finished[0] / "2-sounds")


@pytest.fixture(scope="module")
def annotator(finished):
    return checkpoint.load_weights(finished[0] / "3-annotator/weights.npz")[0]


@pytest.fixture(scope="module")
def few(options, tmp_path_factory):
    """Fewer stages, and what they make."""
    few = replace(options, windows=(2.0,), more=None, transfer=None)
    out = tmp_path_factory.mktemp("recipes") / "few"
    return few, pseudo_strong(few, out), contents(out)


def contents(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in out.glob("*/weights.npz")}


def test_stages(finished):
    _, summaries = finished
    assert list(summaries) == STAGES
    assert summaries["sounds"] == {"recordings": 5 + 2 + 2 + 2 + 2, "used": 13}
    windows = {name: summaries[name]["windows"] for name in STAGES[4:]}
    # Recordings of 3 s: two windows of 2 s, three of 1.3 s, the last of which are short.
    assert windows == dict(zip(STAGES[4:], [5, 10, 15, 15, 15, 2, 2, 2], strict=True))
    assert summaries["annotator"]["windows"] == 5 + 2
    assert {summaries[name]["steps"] for name in ("psl-1.3s", "weak-1.3s", "mixed-1.3s")} == {3}


def test_windows_tile_the_recordings(recipe, samples):
    lesson = _WindowLesson(recipe, samples, (recipe.train,), 1.3)
    assert [(start, end) for _, _, start, end in lesson.windows[:3]] == [
        (0, 20800),
        (20800, 41600),
        (41600, 48000),
    ]
    assert [len(x) for x in lesson.heard([0, 2])] == [20800, 6400]
    assert lesson.size == 5 and lesson.steps == 3


def test_each_window_comes_once_an_epoch_in_another_order(recipe, samples, monkeypatch):
    lesson = _WindowLesson(recipe, samples, (recipe.train,), 1.3)
    heard = []
    monkeypatch.setattr(lesson, "heard", lambda chosen, gains: heard.append(list(chosen)) or [np.zeros(9)])
    for epoch in range(2):
        for step in range(lesson.steps):
            lesson.batch(epoch, step)
    first, second = (np.concatenate(part).tolist() for part in (heard[:3], heard[3:]))
    assert sorted(first) == sorted(second) == list(range(15))
    assert first != second


@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_labels_are_the_annotators_of_what_the_student_hears(recipe, samples, annotator, mix):
    teacher = annotator if mix else None
    lesson = _WindowLesson(recipe, samples, (recipe.train,), 1.3, teacher, mix)
    x, y = lesson.batch(1, 2)
    plain, weak = _WindowLesson(recipe, samples, (recipe.train,), 1.3).batch(1, 2)
    np.testing.assert_array_equal(x, plain)
    if mix:
        weak = soft_labels(annotator.predict_proba(x), weak, mix)
    np.testing.assert_array_equal(y, weak)


def test_levels_vary_within_bounds(recipe, samples):
    lesson = _WindowLesson(recipe, samples, (recipe.train,), 2.0)
    gains = []
    lesson.heard = lambda chosen, gain: gains.extend(gain) or [np.zeros(32000, np.float32)] * len(chosen)
    for step in range(lesson.steps):
        lesson.batch(0, step)
    decibels = 20 * np.log10(gains)
    assert len(decibels) == 10 and np.abs(decibels).max() <= 3 < 2 * np.abs(decibels).max()
    assert np.ptp(decibels) > 1


def test_counts_are_of_the_annotators_probabilities(finished, recipe, samples, annotator):
    front = recipe.front
    for window, count in finished[1]["counts"].items():
        cuts = []
        for i in range(5):
            n = round(float(window) * 16000)
            cuts += [samples[i][k : k + n] for k in range(0, 48000, n)]
        p = np.concatenate([annotator.predict_proba(front.transform(cut)[None]) for cut in cuts])
        share, mean = label_counts(p, 0.4)
        assert count == {"windows": len(cuts), "labels": mean, "none": share[0]}


def test_what_is_measured_is_the_networks(finished, recipe, samples):
    out, summaries = finished
    net, _ = checkpoint.load_weights(out / "7-psl-1.3s/weights.npz")
    p = np.concatenate([net.predict_proba(recipe.front.transform(samples[i])[None]) for i in (5, 6)])
    found = summaries["psl-1.3s"]
    assert found["mAP"] == pytest.approx(metrics.mean_average_precision(recipe.test.manifest.labels, p))
    assert found["lwlrap"] == pytest.approx(metrics.lwlrap(recipe.test.manifest.labels, p))


def test_long_recordings_are_scored_in_windows_of_10_s(recipe, annotator):
    x = np.random.default_rng(0).standard_normal(16000 * 14).astype(np.float32)
    parts = [annotator.predict_proba(recipe.front.transform(part)[None])[0] for part in np.split(x, [160000])]
    np.testing.assert_allclose(recipe._score(annotator, x), (10 * parts[0] + 4 * parts[1]) / 14, rtol=1e-6)


def test_students_begin_alike_and_otherwise_than_the_annotator(options):
    recipe = _PseudoStrong(replace(options, init=None, net="mobilenetv2", width=0.01))
    classes = recipe.train.classes
    one, two = (recipe._network(classes).params["stem.weight"] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, recipe._network(classes, student=False).params["stem.weight"])


def test_transfer_starts_from_the_students(recipe, finished):
    out, _ = finished
    student, _ = checkpoint.load_weights(out / "7-psl-1.3s/weights.npz")
    net = recipe._network(recipe.target.classes, out / "7-psl-1.3s/weights.npz")
    np.testing.assert_array_equal(net.params["stem.weight"], student.params["stem.weight"])
    assert net.params["dense.bias"].shape == (3,)
    _, meta = checkpoint.load_weights(out / "12-transfer-psl/weights.npz")
    assert meta["classes"] == ["a", "b", "c"]


def test_a_ready_annotator(finished, options, tmp_path):
    weights = finished[0] / "3-annotator/weights.npz"
    one = replace(options, annotator=str(weights), more=None, transfer=None, windows=(2.0,))
    found = pseudo_strong(one, tmp_path)
    assert (tmp_path / "3-annotator/weights.npz").read_bytes() == weights.read_bytes()
    assert found["annotator"]["mAP"] == finished[1]["annotator"]["mAP"]
    assert "steps" not in found["annotator"]
    assert found["psl-2s"]["loss"] == finished[1]["psl-2s"]["loss"]


def test_an_annotator_with_another_front_end(options, samples, tmp_path):
    net = registry.build("acdnet", 2, 0.05, seed=1)
    checkpoint.save_weights(tmp_path / "a.npz", net, ("noise", "tone"))
    recipe = _PseudoStrong(replace(options, annotator=str(tmp_path / "a.npz")))
    lesson = _WindowLesson(recipe, samples, (recipe.train,), 1.3, net, 1.0)
    x, y = lesson.batch(0, 0)
    # Both see the windows with as many zeros behind them as the network needs that needs more.
    assert x.shape[2:] == () or x.shape[1] == 1 + recipe.fewest // 160
    assert y.shape == (5, 2) and recipe.fewest > 20800


def test_annotators_that_do_not_fit(options, tmp_path):
    path = tmp_path / "a.npz"
    checkpoint.save_weights(path, registry.build("mobilenetv2", 2, 0.01), ("noise", "bird"))
    with pytest.raises(AcdrefError, match=r"a\.npz: has other classes than"):
        _PseudoStrong(replace(options, annotator=str(path)))
    checkpoint.save_weights(path, registry.build("conv1d", 2, 0.05), ("noise", "tone"))
    with pytest.raises(AcdrefError, match="hears sound at 8000 Hz, the students at 16000 Hz"):
        _PseudoStrong(replace(options, annotator=str(path)))


def test_nothing_to_measure_on(options, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("path,classes\n0.wav,noise;tone\n")
    for changed in ({"manifest": str(path)}, {"transfer": str(path)}):
        with pytest.raises(ManifestError, match=r"m\.csv: has nothing to measure on"):
            _PseudoStrong(replace(options, **changed))


@pytest.mark.parametrize("windows", [(), (2.0, 0.0)])
def test_windows_that_are_none(options, windows):
    with pytest.raises(AcdrefError, match="windows must be"):
        _PseudoStrong(replace(options, windows=windows))


def test_killed_at_every_file_it_ends_the_same(few, tmp_path, monkeypatch):
    monkeypatch.setattr("acdref.fit.CHECKPOINT_SECONDS", 0)
    out, deaths = tmp_path / "out", 0
    while deaths < 100:
        try:
            with dying_at(monkeypatch, 1 + deaths % 7, late=deaths % 2):
                pseudo_strong(few[0], out)
            break
        except Killed:
            deaths += 1
    assert deaths >= 8
    assert contents(out) == few[2] and len(few[2]) == 5


@pytest.mark.parametrize("steps", [9, 20])
def test_a_stopped_recipe_continues(few, tmp_path, steps):
    with pytest.raises(Stopped):
        pseudo_strong(few[0], tmp_path, Recorder(steps))
    assert pseudo_strong(few[0], tmp_path) == few[1]
    assert contents(tmp_path) == few[2]


def test_other_options_are_refused(finished, options):
    with pytest.raises(AcdrefError, match=r"was begun with other options .mix: 0.5, now 0.25"):
        pseudo_strong(replace(options, mix=0.25), finished[0])
