"""Calibration: what is fitted, what is left, and that the weights then do what was promised."""

import json

import numpy as np
import pytest
from predict_support import CLASSES, TINY, noise, write, write_tiny_weights

from acdref import metrics
from acdref.calibrate import LEAST, calibrate, calibration, can_fold, fold, save
from acdref.checkpoint import load_weights, save_weights
from acdref.errors import AcdrefError, FileError
from acdref.nets import NETWORKS, ACDNet, registry
from acdref.ops.activation import sigmoid
from acdref.predict.scoring import Scores, score_manifest
from acdref.tables.manifest import Manifest


def made_up(count=400, seed=0):
    """Recordings of one window whose logits say too much and are too high; the third class has few."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.5, (count, 3))
    y = (rng.random(z.shape) < sigmoid(z)).astype(float)
    y[:, 2] = np.arange(count) < LEAST - 1
    p = sigmoid(3 * z + 2)
    p[:, 2] = 0.02
    paths = tuple(map(str, range(count)))
    return Manifest("m.csv", ".", paths, y, CLASSES), [[Scores(0.0, 10.0, row)] for row in p]


def test_probabilities_become_honest_and_rare_classes_stay():
    found = calibration(*made_up(), thresholds=[0.5, 0.6, 0.7])
    assert found.fitted.tolist() == [True, True, False]
    np.testing.assert_allclose(found.scale[:2], 1 / 3, atol=0.08)
    np.testing.assert_allclose(found.shift[:2], -2 / 3, atol=0.25)
    assert (found.scale[2], found.shift[2], found.thresholds[2]) == (1, 0, 0.7)
    assert found.after["error"] < 0.6 * found.before["error"]
    assert found.after["f1"] > found.before["f1"]
    assert (found.recordings, found.positives[2]) == (400, LEAST - 1)
    json.dumps(found.as_dict(), allow_nan=False)


def test_thresholds_are_those_of_the_changed_scores():
    manifest, windows = made_up()
    found = calibration(manifest, windows)
    p = np.array([own[0].probabilities for own in windows])
    changed = sigmoid(found.scale * np.log(p / (1 - p)) + found.shift)
    expected = metrics.best_thresholds(manifest.labels, changed, manifest.paths)
    np.testing.assert_array_equal(found.thresholds[:2], expected[:2].round(4))
    alone = calibration(manifest, windows, scaled=False)
    assert (alone.scale == 1).all() and (alone.shift == 0).all()
    expected = metrics.best_thresholds(manifest.labels, p, manifest.paths)
    np.testing.assert_array_equal(alone.thresholds[:2], expected[:2].round(4))


def test_just_enough_recordings_with_and_without():
    manifest, windows = made_up(2 * LEAST)
    labels = np.zeros((2 * LEAST, 3))
    labels[:LEAST, 0] = labels[: LEAST - 1, 1] = labels[: LEAST + 1, 2] = 1
    found = calibration(Manifest("m.csv", ".", manifest.paths, labels, CLASSES), windows)
    assert found.fitted.tolist() == [True, False, False]


def test_nothing_scored():
    manifest, _ = made_up(3)
    with pytest.raises(AcdrefError, match=r"m\.csv: none of its 3 recordings"):
        calibration(manifest, [None] * 3)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Twelve of rising loudness, every other of two windows of a quarter of a second; the last is missing."""
    folder = tmp_path_factory.mktemp("recordings")
    levels = np.geomspace(0.001, 0.3, 12)
    for i, level in enumerate(levels[:-1]):
        write(folder / f"{i}.wav", noise(0.25 if i % 2 else 0.5, level, i))
    labels = np.stack([np.arange(12) > 5, np.arange(12) % 2 == 0, np.arange(12) < 5], axis=1)
    return Manifest("m.csv", str(folder), tuple(f"{i}.wav" for i in range(12)), labels, CLASSES)


def test_the_weights_score_as_was_promised(recordings, tmp_path):
    weights, out = write_tiny_weights(tmp_path / "tiny.npz"), tmp_path / "out.npz"
    before = (tmp_path / "tiny.npz").read_bytes()
    net, _ = load_weights(weights, "numpy")
    failures, told = [], []
    found = calibrate(net, recordings, 0.5, failures.append, lambda *count: told.append(count), window=0.25)
    assert [error.path for error in failures] == [recordings.file(11)]
    assert (found.recordings, told[-1]) == (11, (12, 12)) and (found.scale != 1).any()
    save(found, weights, out)
    changed, meta = load_weights(out, "numpy")
    assert (tmp_path / "tiny.npz").read_bytes() == before
    assert (meta["version"], meta["note"]) == (2, "of a test")
    assert meta["thresholds"] == found.thresholds.tolist()
    assert meta["calibration"]["scale"] == found.scale.tolist()
    scored = recordings.select(range(11))
    p = score_manifest(changed, scored, window=0.25)
    assert metrics.reliability(scored.labels, p).error == pytest.approx(found.after["error"], abs=1e-4)
    f1 = metrics.mean_over_classes(metrics.f_score(scored.labels, p, meta["thresholds"]))
    assert f1 == pytest.approx(found.after["f1"])
    old = score_manifest(net, scored, window=0.25)
    assert metrics.reliability(scored.labels, old).error == pytest.approx(found.before["error"], abs=1e-6)


def test_the_input_is_never_replaced(tmp_path):
    weights = write_tiny_weights(tmp_path / "tiny.npz")
    found = calibration(*made_up(20))
    with pytest.raises(FileError, match="is an input"):
        save(found, weights, weights)


def test_of_a_checkpoint_the_network_alone_is_copied(tmp_path):
    net = ACDNet(TINY, backend="numpy")
    save_weights(tmp_path / "last.npz", net, CLASSES, rows=[[]], fingerprint="x", options="y", epoch=3)
    save(calibration(*made_up(20)), tmp_path / "last.npz", tmp_path / "out.npz")
    _, meta = load_weights(tmp_path / "out.npz")
    assert meta["epoch"] == 3 and not {"rows", "fingerprint", "options"} & set(meta)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_change_as_promised_or_not_at_all(name):
    net = registry.build(name, classes=2, width=0.25, backend="numpy")
    scale, shift = np.array([0.5, 2.0]), np.array([-1.0, 0.25])
    if not can_fold(net):
        with pytest.raises(ValueError, match=f"{name} has no dense layer"):
            fold(net, scale, shift)
        return
    from acdref.features.front_ends import front_end

    x = front_end(net).window(noise(10, rate=front_end(net).rate), 0)[None]
    before, _ = net.forward(x)
    fold(net, scale, shift)
    after, _ = net.forward(x)
    np.testing.assert_allclose(after, scale * before + shift, rtol=1e-4, atol=1e-5)


def test_a_network_that_cannot_be_folded_gets_thresholds_alone(tmp_path):
    save_weights(tmp_path / "in.npz", registry.build("mobilenetv2", 3, 0.25, backend="numpy"), CLASSES)
    found = calibration(*made_up(), scaled=False)
    save(found, tmp_path / "in.npz", tmp_path / "out.npz")
    (old, _), (new, meta) = (load_weights(tmp_path / f"{name}.npz", "numpy") for name in ("in", "out"))
    assert all((new.params[name] == a).all() for name, a in old.params.items())
    assert meta["thresholds"] == found.thresholds.tolist()
