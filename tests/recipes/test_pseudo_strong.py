"""Pseudo strong labels end to end: windows and their labels, what is measured, runs that are stopped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes_support import Killed, dying_at, tiny_mobilenet
from soundscape_support import write_soundscape_corpus
from train_support import Recorder

from acdref import checkpoint, metrics
from acdref.errors import AcdrefError, ManifestError
from acdref.features.front_ends import front_end
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
    "transfer-annotator",
    "transfer-psl",
    "transfer-fresh",
    "transfer-weak",
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
        transfer_from=("annotator", "psl", "fresh", "weak"),
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
    assert windows == dict(zip(STAGES[4:], [5, 10, 15, 15, 15, 2, 2, 2, 2], strict=True))
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
    np.testing.assert_allclose(y, weak, rtol=1e-6)


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
    """Of windows, and of recordings: the labels of any of their windows, the shorter of which are padded."""
    counts = finished[1]["counts"]
    assert list(counts) == ["given", "2", "1.3"]
    for window in ("2", "1.3"):
        n, p, clips = round(float(window) * 16000), [], []
        for i in range(5):
            cuts = [
                np.pad(cut, (0, n - len(cut))) for cut in (samples[i][k : k + n] for k in range(0, 48000, n))
            ]
            p.append(
                np.concatenate([annotator.predict_proba(recipe.front.transform(cut)[None]) for cut in cuts])
            )
            clips.append((p[-1] > 0.4).any(axis=0).sum())
        share, mean = label_counts(np.concatenate(p), 0.4)
        shares = {str(k): clips.count(k) / 5 for k in range(5)} | {">4": 0.0}
        assert counts[window] == {
            "windows": sum(map(len, p)),
            "labels": mean,
            "none": share[0],
            "clips": shares,
        }
    # 0 noise, 1 tone (noise unknown), 2 noise, 3 and 6 nothing.
    assert counts["given"] == {"clips": {"0": 0.4, "1": 0.6, "2": 0.0, "3": 0.0, "4": 0.0, ">4": 0.0}}


def test_labels_of_a_recording_are_those_of_all_its_windows(recipe, samples, monkeypatch):
    """Another class in each window: no window has two, the recording has as many as windows."""

    def one_each(net, x, size):
        return 0.9 * np.eye(len(x), 7)

    monkeypatch.setattr("acdref.recipes.pseudo_strong.probabilities", one_each)
    found = recipe._count(recipe._network(recipe.train.classes), samples, 1.3, Recorder())
    assert found["labels"] == 1 and found["none"] == 0 and found["clips"]["3"] == 1
    for window, many in ((0.75, "4"), (0.6, ">4"), (0.5, ">4")):
        found = recipe._count(recipe._network(recipe.train.classes), samples, window, Recorder())
        assert found["labels"] == 1 and found["clips"] == dict.fromkeys(found["clips"], 0) | {many: 1}


@pytest.mark.parametrize(("steps", "counts"), [("equal", [2, 2, 2]), ("released", [1, 2, 4])])
def test_steps_of_an_epoch(options, samples, steps, counts):
    """As much sound in a step, or as many windows: then a fifth of the length makes five times the steps."""
    recipe = _PseudoStrong(replace(options, steps=steps, batch=9.0, batch_windows=5, held_out=0.01))
    found = [_WindowLesson(recipe, samples, (recipe.train,), window).steps for window in (3.0, 1.5, 0.75)]
    assert found == counts
    paper = _PseudoStrong(replace(options, steps=steps, batch=640.0))
    sizes = [_WindowLesson(paper, samples, (paper.train,), window).size for window in (10.0, 5.0, 2.0)]
    assert sizes == ([64, 128, 320] if steps == "equal" else [32, 32, 32])


def test_the_released_way_validates_on_recordings_that_nothing_is_trained_on(options, samples):
    recipe = _PseudoStrong(replace(options, steps="released", held_out=0.4))
    for recordings in (recipe.train, recipe.target):
        (trained, _), (held, labels) = recipe.parts(recordings, samples)
        numbers, all_labels = recordings.usable(samples)
        assert sorted([*trained, *held]) == numbers.tolist() and len(held) == round(0.4 * len(numbers)) > 0
        np.testing.assert_array_equal(labels, all_labels[np.isin(numbers, held)])
        lesson = _WindowLesson(recipe, samples, (recordings,), 1.3)
        assert {number for number, *_ in lesson.windows} == set(trained.tolist())
    plain = _PseudoStrong(options)
    assert len(plain.parts(plain.train, samples)[1][0]) == 0 and plain._choice(lesson) == {}


def test_the_released_way_keeps_the_epoch_with_the_highest_map_and_gives_up(
    options, samples, tmp_path, monkeypatch
):
    values, scored = iter([0.3, 0.5, 0.5, 0.4, 0.9]), []
    recipe = _PseudoStrong(replace(options, steps="released", held_out=0.4, patience=2, batch_windows=4))
    lesson = _WindowLesson(recipe, samples, (recipe.train,), 1.3)
    score = recipe._score
    monkeypatch.setattr(recipe, "_score", lambda net, x: scored.append(x) or score(net, x))
    how = recipe._choice(lesson)
    net = recipe._network(recipe.train.classes)
    measured = how["validate"](net)["val_mAP"]
    numbers, y = recipe.parts(recipe.train, samples)[1]
    assert [x.tobytes() for x in scored] == [samples[i].tobytes() for i in numbers]
    assert measured == metrics.mean_average_precision(y, [score(net, samples[i]) for i in numbers])
    monkeypatch.setattr(
        recipe, "_choice", lambda lesson: how | {"validate": lambda net: {"val_mAP": next(values)}}
    )
    found = recipe._trained(tmp_path, net, lesson, 5, recipe.test, Recorder())
    assert (found["epoch"], found["steps"]) == (2, 2 * lesson.steps)
    assert next(values) == 0.9  # the fourth epoch was the last
    best, _ = checkpoint.load(tmp_path / "best.npz")
    kept, _ = checkpoint.load_weights(tmp_path / "weights.npz")
    assert all(np.array_equal(a, best[name]) for name, a in checkpoint.network_arrays(kept).items())


def test_the_released_way_ends_the_same_when_stopped(options, tmp_path):
    few = replace(
        options,
        windows=(2.0,),
        more=None,
        transfer=None,
        steps="released",
        held_out=0.4,
        batch_windows=3,
        epochs=2,
    )
    whole = pseudo_strong(few, tmp_path / "whole")
    with pytest.raises(Stopped):
        pseudo_strong(few, tmp_path / "stopped", Recorder(19))
    assert pseudo_strong(few, tmp_path / "stopped") == whole
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_held_out_recordings_that_say_nothing(options, samples):
    recipe = _PseudoStrong(replace(options, steps="released", held_out=0.01))
    lesson = _WindowLesson(recipe, samples, (recipe.train,), 2.0)
    with pytest.raises(AcdrefError, match="none of 0 held-out recordings has a class; raise --held-out"):
        recipe._choice(lesson)


@pytest.mark.parametrize(
    ("labels", "expected"), [([[1, 0, 0], [0, 0, 1]], 0.75), ([[1, 0, 1], [0, 0, 1]], None)]
)
def test_map_at_3_where_each_recording_has_one_class(
    recipe, samples, tmp_path, monkeypatch, labels, expected
):
    target = recipe.target_test
    scores = iter([[0.9, 0.1, 0.2], [0.6, 0.1, 0.5]])
    monkeypatch.setattr(recipe, "_score", lambda net, x: np.array(next(scores)))
    monkeypatch.setattr(type(target), "usable", lambda self, x: ([0, 1], np.array(labels, float)))
    net = recipe._network(target.classes)
    assert recipe._left(tmp_path, net, samples, target, Recorder()).get("MAP@3") == expected


def test_what_is_measured_is_the_networks(finished, recipe, samples):
    out, summaries = finished
    net, _ = checkpoint.load_weights(out / "7-psl-1.3s/weights.npz")
    p = np.concatenate([net.predict_proba(recipe.front.transform(samples[i])[None]) for i in (5, 6)])
    found = summaries["psl-1.3s"]
    assert found["mAP"] == pytest.approx(metrics.mean_average_precision(recipe.test.manifest.labels, p))
    assert found["lwlrap"] == pytest.approx(metrics.lwlrap(recipe.test.manifest.labels, p))


def test_long_recordings_are_scored_in_windows_of_10_s(recipe, annotator):
    x = np.random.default_rng(0).standard_normal(16000 * 14).astype(np.float32)
    parts = [annotator.predict_proba(recipe.front.window(part)[None])[0] for part in np.split(x, [160000])]
    np.testing.assert_allclose(recipe._score(annotator, x), (10 * parts[0] + 4 * parts[1]) / 14, rtol=1e-6)


def test_students_begin_alike_and_otherwise_than_the_annotator(options):
    recipe = _PseudoStrong(replace(options, init=None, net="mobilenetv2", width=0.01))
    classes = recipe.train.classes
    one, two = (recipe._network(classes).params["stem.weight"] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, recipe._network(classes, student=False).params["stem.weight"])


def test_transfer_starts_from_annotator_and_student(finished, options, tmp_path, monkeypatch):
    """And by default from these two, each of its own weights."""
    starts, real = [], _PseudoStrong._network

    def network(recipe, classes, init=None, student=True):
        starts.append(init and init.parent.name)
        return real(recipe, classes, init, student)

    out, _ = finished
    plain = replace(options, transfer_from=PseudoStrongOptions("m.csv").transfer_from)
    recipe = _PseudoStrong(plain)
    stages = []
    monkeypatch.setattr(
        "acdref.recipes.pseudo_strong.run", lambda name, out, key, made, observer: stages.extend(made)
    )
    pseudo_strong(plain, tmp_path)
    moved = [stage for stage in stages if stage.name.startswith("transfer")]
    assert [stage.name for stage in moved] == ["transfer-annotator", "transfer-psl"]
    before = {path.name.split("-", 1)[1]: path for path in out.iterdir() if path.is_dir()}
    monkeypatch.setattr(_PseudoStrong, "_network", network)
    for stage in moved:
        stage.work(tmp_path, before, Recorder())
        (tmp_path / "last.npz").unlink()
    assert starts == ["3-annotator", "7-psl-1.3s"]
    student, _ = checkpoint.load_weights(out / "7-psl-1.3s/weights.npz")
    net = real(recipe, recipe.target.classes, out / "7-psl-1.3s/weights.npz")
    np.testing.assert_array_equal(net.params["stem.weight"], student.params["stem.weight"])
    assert net.params["dense.bias"].shape == (3,)
    _, meta = checkpoint.load_weights(out / "11-transfer-psl/weights.npz")
    assert meta["classes"] == ["a", "b", "c"]


def test_what_the_transfer_is_measured_on_may_be_a_fold(options, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("path,classes,fold\n0.wav,a,1\n1.wav,b,2\n2.wav,a,3\n")
    recipe = _PseudoStrong(
        replace(options, transfer=str(path), root=str(Path(options.manifest).parent), transfer_val_fold="2,3")
    )
    assert (recipe.target.manifest.paths, recipe.target_test.manifest.paths) == (
        ("0.wav",),
        ("1.wav", "2.wav"),
    )


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
    # Where it is trained itself, it hears what it is used to.
    own, _ = _WindowLesson(recipe, samples, (recipe.train,), 1.3, front=front_end(net)).batch(0, 0)
    assert own.shape[2:] == (257, 2)


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
