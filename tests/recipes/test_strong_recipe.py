"""Strong labels end to end: patches and their labels, what is measured, runs that are stopped anywhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes_support import Killed, dying_at, tiny_mobilenet
from soundscape_support import write_soundscape_corpus
from train_support import Recorder

from acdref import checkpoint, metrics
from acdref.errors import AcdrefError, FileError, ManifestError
from acdref.features.front_ends import without_offset
from acdref.fit import Stopped
from acdref.labels import diffuse, frame_labels
from acdref.recipes.features import Features, excerpt, sounds
from acdref.recipes.strong import StrongOptions, _Patches, _Strong, strong

SEED = 5  # which holds 2.wav out
SCRATCH = ["weak-part", "diffuse-part", "strong-part", "weak-all"]
TUNED = ["plus-weak", "plus-diffuse", "plus-strong", "plus-strong-0.5"]
STAGES = ["given", "sounds", *SCRATCH, *TUNED]
RESULTS = {name: f"{n}-{name}/weights.npz" for n, name in enumerate(STAGES, 1) if n > 2}


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    manifest = write_soundscape_corpus(tmp_path_factory.mktemp("corpus"))
    return StrongOptions(
        str(manifest),
        init=tiny_mobilenet(manifest.with_name("tiny.npz"), ("noise", "tone")),
        held_out=0.25,
        epochs=3,
        part_epochs=2,
        tune_epochs=1,
        mu_strong=(0.2, 0.8),
        control=True,
        shares=(0.5,),
        batch=3,
        seed=SEED,
    )


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipes") / "whole"
    return out, strong(options, out)


@pytest.fixture(scope="module")
def recipe(options):
    return _Strong(options)


@pytest.fixture(scope="module")
def samples(finished):
    return Features(finished[0] / "2-sounds")


@pytest.fixture(scope="module")
def parts(recipe, samples):
    return recipe.parts(samples)


def contents(out):
    return {name: (out / path).read_bytes() for name, path in RESULTS.items()}


def patches_of(recipe, samples, kind, mu, tuning=True):
    weak, known, _ = recipe.parts(samples)
    return _Patches(recipe, samples, kind, mu, weak, known, tuning)


def test_stages(finished, parts):
    _, summaries = finished
    assert list(summaries) == STAGES
    assert summaries["given"] == {"recordings": 5, "validation": 2}
    assert summaries["sounds"] == {"recordings": 7, "used": 7}
    assert [summaries[name]["strong_set"] for name in STAGES[2:]] == [3, 3, 3, 3, 3, 3, 3, 2]
    assert {summaries[name]["held_out"] for name in STAGES[2:]} == {1}
    # From scratch on the strong set, two epochs of its three; three of all four; one epoch of training on.
    assert [summaries[name]["patches"] for name in STAGES[2:]] == [6, 6, 6, 12, 4, 4, 4, 4]


def test_stages_by_default(options, tmp_path, monkeypatch):
    """Six networks: the rows of the paper's table."""
    monkeypatch.setattr("acdref.recipes.strong.run", lambda recipe, out, key, stages, observer: stages)
    plain = StrongOptions(options.manifest, init=options.init)
    assert [stage.name for stage in strong(plain, tmp_path)][2:] == [*SCRATCH, *TUNED[1:3]]


def test_networks_are_trained_on_from_the_weak_one(finished, options):
    out, _ = finished
    weak, meta = checkpoint.load_weights(out / RESULTS["weak-all"])
    fresh, _ = checkpoint.load_weights(options.init)
    assert meta["classes"] == ["noise", "tone"]

    def moved(name, start):
        net, _ = checkpoint.load_weights(out / RESULTS[name])
        return max(np.abs(net.params[key] - p).max() for key, p in start.params.items())

    # Two steps of Adam at most at the lower rate: near, but not the same.
    assert all(0 < moved(name, weak) <= 2.5 * options.tune_lr for name in TUNED)
    # The others are as many steps from fresh weights as they were trained, and know nothing of each other.
    assert all(0 < moved(name, fresh) <= 2.5 * options.lr for name in SCRATCH[:3])
    assert all(moved(name, weak) > 2.5 * options.tune_lr for name in SCRATCH[:3])
    assert len(set(contents(out).values())) == len(RESULTS)


@pytest.mark.parametrize("name", SCRATCH[:3])
def test_from_scratch_the_strong_set_alone_is_learned(recipe, samples, parts, monkeypatch, name):
    """With the labels that the row is named after, and no recording without known events."""
    made = []
    monkeypatch.setattr(
        "acdref.recipes.strong._Patches", lambda *a, **k: made.append(_Patches(*a, **k)) or 1 / 0
    )
    stages = {}
    monkeypatch.setattr(
        "acdref.recipes.strong.run",
        lambda recipe, out, key, found, observer: stages.update({s.name: s for s in found}),
    )
    strong(recipe.options, "out")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("acdref.recipes.strong.Features", lambda folder: samples)
        stages[name].work(None, {"sounds": None}, Recorder())
    (patches,) = made
    drawn = [patch for epoch in range(20) for patch in patches._draw(epoch)]
    assert {i for i, *_ in drawn} == set(parts[1].tolist())
    kind = {"weak-part": None, "diffuse-part": "diffuse", "strong-part": "strong"}[name]
    assert {patch[1] for patch in drawn} == {kind}


def test_nothing_is_trained_on_what_is_held_out(recipe, samples, parts):
    weak, known, held = parts
    assert set(weak) | set(held) == {0, 1, 2, 3, 4} and not set(weak) & set(held)
    assert set(known) | set(held) == {0, 1, 2, 3} and not set(known) & set(held)
    for mu in (0.0, 0.5, 1.0):
        drawn = [i for epoch in range(30) for i, *_ in patches_of(recipe, samples, "strong", mu)._draw(epoch)]
        assert not set(drawn) & set(held)
        assert set(drawn) == set(known if mu == 1 else weak)


def test_a_small_strong_set(options, samples):
    """The events of the others count for nothing; whole recordings of them are trained on."""
    weak, known, held = _Strong(replace(options, strong_set=0.5)).parts(samples)
    assert (len(weak), len(known), len(held)) == (4, 1, 1)


def test_the_epoch_and_mu_that_count_are_those_with_the_best_held_out_frames(
    recipe, samples, parts, tmp_path, monkeypatch
):
    """Of two shares and two epochs, as measured; the weights are those of that epoch."""
    values, asked, states = iter([0.4, 0.6, 0.7, 0.5, 0.1, 0.1]), [], []
    real = _Strong.strong_measures

    def measured(recipe, scores):
        if set(scores) == set(parts[2].tolist()):
            asked.append(next(values))
            return {"AUC": asked[-1]}
        return real(recipe, scores)

    class Epochs(Recorder):
        def epoch(self, row):
            states.append(row)

    monkeypatch.setattr(_Strong, "strong_measures", measured)
    monkeypatch.setattr("acdref.recipes.strong.Features", lambda folder: samples)
    tuned = _Strong(replace(recipe.options, tune_epochs=2))
    before = {"sounds": tmp_path, "weak-all": tmp_path}
    checkpoint.save_weights(tmp_path / "weights.npz", recipe._fresh(), recipe.classes)
    found = tuned.network("strong", (0.2, 0.8, 0.9), "weak-all", 1.0, tmp_path, before, Epochs())
    assert (found["mu"], found["epoch"]) == (0.8, 1)
    assert [(one["mu"], one["epoch"], one["AUC"]) for one in found["tried"]] == [
        (0.2, 2, 0.6),
        (0.8, 1, 0.7),
        (0.9, 1, 0.1),
    ]
    kept, _ = checkpoint.load_weights(tmp_path / "weights.npz")
    arrays, meta = checkpoint.load(tmp_path / "mu-0.8/best.npz")
    assert meta["epoch"] == 1
    assert all(np.array_equal(a, arrays[name]) for name, a in checkpoint.network_arrays(kept).items())


def test_held_out_frames_decide_by_their_events(finished, recipe, samples, parts):
    found = finished[1]["plus-strong"]
    net, _ = checkpoint.load_weights(finished[0] / RESULTS["plus-strong"])
    measured = recipe.strong_measures(recipe.scores(net, samples, parts[2], Recorder()))
    assert max(one["AUC"] for one in found["tried"]) == measured["AUC"]
    assert found["mu"] in (0.2, 0.8) and len(found["tried"]) == 2
    assert finished[1]["plus-diffuse"]["mu"] == 0.7
    assert [finished[1][name]["mu"] for name in SCRATCH] == [1, 1, 1, 0]


def test_without_held_out_recordings_the_last_epoch_counts(options, samples, tmp_path, monkeypatch):
    monkeypatch.setattr("acdref.recipes.strong.Features", lambda folder: samples)
    recipe = _Strong(replace(options, held_out=0.0, mu_strong=(0.8,)))
    assert [len(part) for part in recipe.parts(samples)] == [5, 4, 0]
    found = recipe.network(None, (0.0,), None, 1.0, tmp_path, {"sounds": tmp_path}, Recorder())
    assert found["epoch"] == 3 and found["tried"][0]["AUC"] is None
    with pytest.raises(AcdrefError, match="several values of mu need held-out recordings"):
        replace(options, held_out=0.0)


@pytest.mark.parametrize("k", range(3))
@pytest.mark.parametrize("i", [0, 2, 3])
def test_labels_of_a_patch_are_those_of_the_frame(recipe, i, k):
    """At a frame's start the patch has the frame's label, where that is known; other classes are absent."""
    events = recipe.events[i]
    frames = frame_labels(events.times, events.classes, 2, duration=2.88)
    np.testing.assert_array_equal(recipe.label(i, "strong", 960 * k), np.nan_to_num(frames[k]))
    spread = diffuse(frames, events.tagged(2))[k]
    np.testing.assert_array_equal(recipe.label(i, "diffuse", 960 * k), np.nan_to_num(spread))
    np.testing.assert_array_equal(recipe.label(i, None, 960 * k), recipe.labels[i])


def test_labels_of_a_patch_anywhere(recipe):
    # 0.wav: a tone until 0.5 s, noise from 1 s on; the manifest has forgotten the tone.
    assert recipe.label(0, None, 0).tolist() == [1, 0]
    assert recipe.label(0, "strong", 0).tolist() == [0, 1]
    assert recipe.label(0, "strong", 250).tolist() == [0, 1]  # half of the tone
    assert recipe.label(0, "strong", 251).tolist() == [0, 0]
    assert recipe.label(0, "strong", 520).tolist() == [1, 0]  # 480 ms of noise: half of the patch
    assert recipe.label(0, "strong", 519).tolist() == [0, 0]
    assert recipe.label(0, "diffuse", 519).tolist() == [1, 1]
    # 1.wav: whether there is noise is unknown, and no event says that there is.
    np.testing.assert_array_equal(recipe.label(1, "strong", 0), [np.nan, 1])
    np.testing.assert_array_equal(recipe.label(1, "diffuse", 0), [np.nan, 1])
    assert recipe.label(3, "strong", 0).tolist() == [0, 0]


def test_diffuse_labels_are_never_below_strong_ones(recipe):
    for i in range(4):
        for start in range(0, 2040, 97):
            strong_label, diffuse_label = (recipe.label(i, kind, start) for kind in ("strong", "diffuse"))
            known = ~np.isnan(strong_label)
            assert (diffuse_label[known] >= strong_label[known]).all()


def test_mu_is_the_share_of_the_strong_set(recipe, samples):
    kinds = {}
    for mu in (0.0, 0.8, 1.0):
        patches = patches_of(recipe, samples, "strong", mu)
        drawn = [patch for epoch in range(200) for patch in patches._draw(epoch)]
        kinds[mu] = np.mean([kind == "strong" for _, kind, _ in drawn])
        assert all(recipe.events[i] is not None for i, kind, _ in drawn if kind)
        assert all(0 <= start <= 2040 for *_, start in drawn)
    assert kinds[0.0] == 0 and kinds[1.0] == 1
    assert kinds[0.8] == pytest.approx(0.8, abs=0.05)


def test_weak_epochs_have_each_recording_once_with_other_patches(recipe, samples):
    patches = patches_of(recipe, samples, None, 0.0, tuning=False)
    first, second = patches._draw(0), patches._draw(1)
    weak = recipe.parts(samples)[0].tolist()
    assert sorted(i for i, *_ in first) == sorted(i for i, *_ in second) == weak
    assert {start for *_, start in first} != {start for *_, start in second}
    assert patches._draw(0) == first


def test_smaller_shares_are_parts_of_larger_ones(options, samples):
    recipe = _Strong(replace(options, held_out=0.0, mu_strong=(0.8,)))
    sets = [set(recipe.parts(samples, share)[1].tolist()) for share in (0.01, 0.5, 0.75, 1.0)]
    assert [len(one) for one in sets] == [1, 2, 3, 4]
    assert sets[0] < sets[1] < sets[2] < sets[3]


def test_a_batch_is_what_was_drawn(recipe, samples):
    patches = patches_of(recipe, samples, "strong", 1.0)
    x, y = patches.batch(0, 1)
    drawn = patches._draw(0)[3:]
    assert len(x) == len(y) == len(drawn) == 1  # the rest of four, with a batch of three
    for features, labels, (i, kind, start) in zip(x, y, drawn, strict=True):
        np.testing.assert_array_equal(labels, recipe.label(i, kind, start))
        cut = without_offset(samples[i][16 * start :][:15600])
        cut = np.pad(cut, (0, 15600 - len(cut)))
        np.testing.assert_array_equal(features, recipe.front.transform(cut))


def test_truth_of_what_is_measured_on(recipe):
    # 4.wav: noise at 0.2 to 1.0 s, a tone at 1.2 to 2.8 s; 5.wav: a tone at 0.9 to 1.3 s, noise is absent.
    y, explicit = recipe._truth(5, 3)
    assert y.tolist() == [[1, 0], [0, 1], [0, 1]] and not explicit.any()
    y, explicit = recipe._truth(6, 3)
    assert y.tolist() == [[0, 0], [0, 1], [0, 0]]
    assert explicit.tolist() == [[True, False]] * 3


def test_frames_are_measured_by_their_events(finished, recipe, samples):
    out, summaries = finished
    net, _ = checkpoint.load_weights(out / RESULTS["plus-strong"])
    y, p, explicit = [], [], []
    for i in (5, 6):
        x = samples[i]
        cuts = [excerpt(x, 15360 * k, 15600) for k in range(3)]
        p.append(net.predict_proba(np.stack([recipe.front.transform(cut) for cut in cuts])))
        truth = recipe._truth(i, 3)
        y.append(truth[0])
        explicit.append(truth[1])
    y, p, explicit = map(np.concatenate, (y, p, explicit))
    weight = metrics.balance_negatives(y, explicit)
    found = summaries["plus-strong"]["strong"]
    assert found["AUC"] == pytest.approx(metrics.mean_over_classes(metrics.roc_auc(y, p, weight)))
    assert found["lwlrap"] == pytest.approx(metrics.lwlrap(y, p))


def test_recordings_are_measured_by_the_manifests_labels(recipe, monkeypatch):
    """The mean over frames, whatever the events say, and though nobody has looked for any."""
    given = []
    monkeypatch.setattr("acdref.recipes.strong.measures", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(recipe, "labels", recipe.labels.copy())
    monkeypatch.setattr(recipe, "events", [*recipe.events[:6], None])
    recipe.labels[5:] = [[0, 1], [np.nan, 0]]  # the events of 5 say otherwise
    p = {5: np.array([[0.2, 0.4], [0.4, 0.8]]), 6: np.array([[0.9, 0.1]])}
    recipe.weak_measures(p)
    recipe.strong_measures(p)
    (y, clips), (_, frames, _) = given
    np.testing.assert_array_equal(y, [[0, 1], [np.nan, 0]])
    np.testing.assert_allclose(clips, [[0.3, 0.6], [0.9, 0.1]])
    np.testing.assert_array_equal(frames, p[5])


def test_frames_follow_each_other(recipe, samples, monkeypatch):
    starts, seen = [], recipe.seen
    monkeypatch.setattr(recipe, "seen", lambda x, start: starts.append(start) or seen(x, start))
    scores = recipe.scores(recipe._fresh(), samples, [5, 6], Recorder())
    assert starts == [15360 * k for k in range(3)] * 2
    assert list(scores) == [5, 6] and [p.shape for p in scores.values()] == [(3, 2), (3, 2)]


def test_killed_at_every_file_it_ends_the_same(finished, options, tmp_path, monkeypatch):
    monkeypatch.setattr("acdref.fit.CHECKPOINT_SECONDS", 0)
    out, deaths = tmp_path / "out", 0
    while deaths < 100:
        try:
            with dying_at(monkeypatch, 1 + deaths % 5, late=deaths % 2):
                strong(options, out)
            break
        except Killed:
            deaths += 1
    assert deaths >= 8
    assert contents(out) == contents(finished[0])


@pytest.mark.parametrize("steps", [1, 8, 13])
def test_a_stopped_recipe_continues(finished, options, tmp_path, steps):
    with pytest.raises(Stopped):
        strong(options, tmp_path, Recorder(steps))
    assert strong(options, tmp_path) == finished[1]
    assert contents(tmp_path) == contents(finished[0])


def test_other_options_and_other_events_are_refused(finished, options, tmp_path):
    with pytest.raises(AcdrefError, match=r"was begun with other options .mu_strong: .0.2, 0.8., now .0.5.."):
        strong(replace(options, mu_strong=(0.5,)), finished[0])
    events = tmp_path / "events.tsv"
    events.write_text(Path(options.events).read_text() + "6.wav\t0\t1\ttone\n")
    with pytest.raises(AcdrefError, match=r"was begun with other options .events: "):
        strong(replace(options, events=str(events)), finished[0])


def test_networks_that_need_longer_sounds_see_the_patch_repeated(options):
    recipe = _Strong(replace(options, init=None, net="acdnet", width=0.05))
    assert recipe.span == 15600 < recipe.samples
    x = np.random.default_rng(0).standard_normal(48000).astype(np.float32)
    expected = recipe.front.window(x[160:15760], recipe.samples)
    np.testing.assert_array_equal(recipe.seen(x, 160), expected)


@pytest.mark.parametrize(
    ("net", "width"), [("acdnet", 0.05), ("vgg-gap", 0.05), ("conv1d", 0.05), ("resnet50", 0.02)]
)
def test_any_network(options, tmp_path, net, width):
    """In one stage; the others are the same."""
    recipe = _Strong(replace(options, init=None, net=net, width=width, part_epochs=1))
    sounds(recipe.manifests, recipe.front.rate).work(tmp_path, {}, Recorder())
    found = recipe.network("strong", (1.0,), None, 1.0, tmp_path, {"sounds": tmp_path}, Recorder())
    assert np.isfinite(found["loss"]) and 0 <= found["strong"]["lwlrap"] <= 1
    assert checkpoint.load_weights(tmp_path / "weights.npz")[1]["network"] == net


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("5.wav\t0\t1\ttone\n", "none of the recordings to train on"),
        ("0.wav\t0\t1\ttone\n", "none of the recordings to measure on"),
        ("x.wav\t0\t1\ttone\n", "has none of the recordings of"),
        ("0.wav\t0\t1\tbird\n", "line 2: 0.wav has the class 'bird', the manifest has not"),
        ("0.wav\t1\t0\ttone\n", "line 2: ends .0 s. before it starts"),
        ("0.wav\t0\t1\ttone\n5.wav\t0\t1\ttone\n0.wav\t2\t3\ttone\n", "0.wav"),
    ],
)
def test_events_that_do_not_fit(options, tmp_path, rows, words):
    events = tmp_path / "events.tsv"
    events.write_text("filename\tonset\toffset\tevent_label\n" + rows)
    with pytest.raises((AcdrefError, FileError), match=words):
        strong(replace(options, events=str(events)), tmp_path / "out")


@pytest.mark.parametrize(
    ("rows", "held_out", "words"),
    [
        ("3.wav\t\t\t\n", 0.5, "the 1 recordings held out tell nothing apart; raise --held-out"),
        ("0.wav\t0\t1\ttone\n", 0.9, "none of its recordings to train on is left .1 held out"),
    ],
)
def test_held_out_recordings_that_decide_nothing(
    options, samples, tmp_path, monkeypatch, rows, held_out, words
):
    """Before anything is trained."""
    monkeypatch.setattr("acdref.recipes.strong.Features", lambda folder: samples)
    extra = "2.wav\t\t\t\n" if held_out < 0.9 else ""
    events = tmp_path / "events.tsv"
    events.write_text(f"filename\tonset\toffset\tevent_label\n{rows}{extra}5.wav\t0\t1\ttone\n")
    recipe = _Strong(replace(options, events=str(events), held_out=held_out))
    with pytest.raises(AcdrefError, match=words):
        recipe.network("strong", (1.0,), None, 1.0, tmp_path, {"sounds": tmp_path}, Recorder())


def test_nothing_to_measure_on(options, tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,classes\n0.wav,noise;tone\n")
    with pytest.raises(ManifestError, match="nothing to measure on"):
        strong(replace(options, manifest=str(manifest)), tmp_path / "out")
