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
from acdref.fit import Stopped
from acdref.labels import diffuse, frame_labels
from acdref.recipes.features import Features, sounds
from acdref.recipes.strong import StrongOptions, _Patches, _Strong, strong

NOISE, TONE = 0, 1
STAGES = ["given", "sounds", "weak", "tuned-weak", "tuned-diffuse", "tuned-strong", "strong-0.5"]
RESULTS = tuple(f"{n}-{name}/weights.npz" for n, name in enumerate(STAGES, 1) if n > 2)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    manifest = write_soundscape_corpus(tmp_path_factory.mktemp("corpus"))
    return StrongOptions(
        str(manifest),
        init=tiny_mobilenet(manifest.with_name("tiny.npz"), ("noise", "tone")),
        epochs=2,
        tune_epochs=1,
        shares=(0.5,),
        batch=3,
        seed=3,
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


def contents(out):
    return {name: (out / name).read_bytes() for name in RESULTS}


def test_stages(finished):
    _, summaries = finished
    assert list(summaries) == STAGES
    assert summaries["given"] == {"recordings": 5, "validation": 2}
    assert summaries["sounds"] == {"recordings": 7, "used": 7}
    assert [summaries[name]["strong_set"] for name in STAGES[2:]] == [4, 4, 4, 4, 2]
    assert summaries["weak"]["patches"] == 10 and summaries["tuned-strong"]["patches"] == 5


def test_networks_are_trained_on_from_the_weak_one(finished, options):
    out, _ = finished
    weak, meta = checkpoint.load_weights(out / "3-weak/weights.npz")
    assert meta["classes"] == ["noise", "tone"]
    tuned = {name: checkpoint.load_weights(out / name)[0] for name in RESULTS[1:]}
    scale = max(np.abs(p).max() for p in weak.params.values())
    for net in tuned.values():
        # Two steps of Adam at the lower rate: near, but not the same; drawn anew they would be far.
        moved = max(np.abs(net.params[name] - p).max() for name, p in weak.params.items())
        assert 0 < moved <= 2.5 * options.tune_lr * max(scale, 1)
    assert len(set(contents(out).values())) == len(RESULTS)


@pytest.mark.parametrize("k", range(3))
@pytest.mark.parametrize("i", [0, 2, 3])
def test_labels_of_a_patch_are_those_of_the_frame(recipe, i, k):
    """At a frame's start the patch has the frame's label, where that is known; other classes are absent."""
    events = recipe.events[i]
    frames = frame_labels(events.times, events.classes, 2, duration=2.88)
    np.testing.assert_array_equal(recipe.label(i, "strong", 960 * k), np.nan_to_num(frames[k]))
    spread = diffuse(frames, events.tagged(2))[k]
    np.testing.assert_array_equal(recipe.label(i, "diffuse", 960 * k), np.nan_to_num(spread))
    np.testing.assert_array_equal(recipe.label(i, None, 960 * k), recipe.train.labels[i])


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
        patches = _Patches(recipe, samples, "strong", mu, 1.0, tuning=True)
        drawn = [patch for epoch in range(200) for patch in patches._draw(epoch)]
        kinds[mu] = np.mean([kind == "strong" for _, kind, _ in drawn])
        assert all(recipe.events[i] is not None for i, kind, _ in drawn if kind)
        assert all(0 <= start <= 2040 for *_, start in drawn)
    assert kinds[0.0] == 0 and kinds[1.0] == 1
    assert kinds[0.8] == pytest.approx(0.8, abs=0.05)


def test_weak_epochs_have_each_recording_once_with_other_patches(recipe, samples):
    patches = _Patches(recipe, samples, None, 0.0, 1.0, tuning=False)
    first, second = patches._draw(0), patches._draw(1)
    assert sorted(i for i, *_ in first) == sorted(i for i, *_ in second) == [0, 1, 2, 3, 4]
    assert {start for *_, start in first} != {start for *_, start in second}
    assert patches._draw(0) == first


def test_smaller_shares_are_parts_of_larger_ones(recipe, samples):
    sets = [
        set(_Patches(recipe, samples, "strong", 1.0, share, True).strong.tolist())
        for share in (0.01, 0.5, 0.75, 1.0)
    ]
    assert [len(one) for one in sets] == [1, 2, 3, 4]
    assert sets[0] < sets[1] < sets[2] < sets[3]


def test_a_batch_is_what_was_drawn(recipe, samples):
    patches = _Patches(recipe, samples, "strong", 1.0, 1.0, tuning=True)
    x, y = patches.batch(0, 1)
    drawn = patches._draw(0)[3:]
    assert len(x) == len(y) == len(drawn) == 2  # the rest of five, with a batch of three
    for features, labels, (i, kind, start) in zip(x, y, drawn, strict=True):
        np.testing.assert_array_equal(labels, recipe.label(i, kind, start))
        cut = samples[i][16 * start :][:15600]
        cut = np.pad(cut, (0, 15600 - len(cut)))
        np.testing.assert_array_equal(features, recipe.front.transform(cut))


def test_truth_of_what_is_measured_on(recipe):
    # 4.wav: noise at 0.2 to 1.0 s, a tone at 1.2 to 2.8 s; 5.wav: a tone at 0.9 to 1.3 s, noise is absent.
    y, explicit, clip = recipe._truth(0, recipe.test_events[0], 3)
    assert y.tolist() == [[1, 0], [0, 1], [0, 1]]
    assert not explicit.any() and clip.tolist() == [1, 1]
    y, explicit, clip = recipe._truth(1, recipe.test_events[1], 3)
    assert y.tolist() == [[0, 0], [0, 1], [0, 0]]
    assert explicit.tolist() == [[True, False]] * 3 and clip.tolist() == [0, 1]


def test_what_is_measured_is_the_networks(finished, recipe, samples):
    out, summaries = finished
    net, _ = checkpoint.load_weights(out / "6-tuned-strong/weights.npz")
    y, p, explicit = [], [], []
    for i in range(2):
        x = samples[5 + i]
        cuts = [np.pad(x, (0, 240))[15360 * k :][:15600] for k in range(3)]
        p.append(net.predict_proba(np.stack([recipe.front.transform(cut) for cut in cuts])))
        truth = recipe._truth(i, recipe.test_events[i], 3)
        y.append(truth[0])
        explicit.append(truth[1])
    y, p, explicit = map(np.concatenate, (y, p, explicit))
    weight = metrics.balance_negatives(y, explicit)
    found = summaries["tuned-strong"]["frames"]
    assert found["AUC"] == pytest.approx(metrics.mean_over_classes(metrics.roc_auc(y, p, weight)))
    assert found["lwlrap"] == pytest.approx(metrics.lwlrap(y, p))


def test_the_score_of_a_recording_is_the_mean_over_its_frames(recipe, samples, monkeypatch):
    class Rising:
        def predict_proba(self, x):
            return np.linspace(0, 1, 2 * len(x)).reshape(len(x), 2)

    given, starts, seen = [], [], recipe.seen
    monkeypatch.setattr("acdref.recipes.strong.measures", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(recipe, "seen", lambda x, start: starts.append(start) or seen(x, start))
    recipe._measured(Rising(), samples, Recorder())
    (_, clips), (_, frames, _) = given
    assert starts == [15360 * k for k in range(len(frames) // 2)] * 2
    np.testing.assert_allclose(clips, frames.reshape(2, -1, 2).mean(axis=1))


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
    with pytest.raises(AcdrefError, match=r"was begun with other options .mu_strong: 0.8, now 0.5"):
        strong(replace(options, mu_strong=0.5), finished[0])
    events = tmp_path / "events.tsv"
    events.write_text(Path(options.events).read_text() + "6.wav\t0\t1\ttone\n")
    with pytest.raises(AcdrefError, match=r"was begun with other options .events: "):
        strong(replace(options, events=str(events)), finished[0])


def test_networks_that_need_longer_sounds_see_the_patch_repeated(options):
    recipe = _Strong(replace(options, init=None, net="acdnet", width=0.05))
    assert recipe.span == 15600 < recipe.samples
    x = np.random.default_rng(0).standard_normal(48000).astype(np.float32)
    expected = recipe.front.transform(np.resize(x[160:15760], recipe.samples))
    np.testing.assert_array_equal(recipe.seen(x, 160), expected)


@pytest.mark.parametrize(
    ("net", "width"), [("acdnet", 0.05), ("vgg-gap", 0.05), ("conv1d", 0.05), ("resnet50", 0.02)]
)
def test_any_network(options, tmp_path, net, width):
    """In one stage; the others are the same."""
    recipe = _Strong(replace(options, init=None, net=net, width=width, epochs=1))
    sounds(recipe.manifests, recipe.front.rate).work(tmp_path, {}, Recorder())
    found = recipe.network("strong", 0.8, None, 1.0, tmp_path, {"sounds": tmp_path}, Recorder())
    assert np.isfinite(found["loss"]) and 0 <= found["frames"]["lwlrap"] <= 1
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


def test_nothing_to_measure_on(options, tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,classes\n0.wav,noise;tone\n")
    with pytest.raises(ManifestError, match="nothing to measure on"):
        strong(replace(options, manifest=str(manifest)), tmp_path / "out")
