"""Scenes: labels, events and audio agree."""

import numpy as np
import pytest

from acdref.synth import CLASSES, Event, outdoors, scene
from acdref.synth.scenes import GENERATORS, audible

SR = 16000


def scenes(count, **options):
    return [scene(np.random.default_rng([3, k]), **{"seconds": 2.0, **options}) for k in range(count)]


def test_classes_keep_their_order():
    expected = "voice music cat dog clapping urban machinery nature windnoise alarm gunshot"
    assert " ".join(CLASSES) == expected


def test_labels_are_the_classes_of_the_events():
    for audio, labels, events in scenes(100):
        assert audio.shape == (2 * SR,) and audio.dtype == np.float32
        assert np.isfinite(audio).all() and 0.05 < np.abs(audio).max() <= 1
        assert labels.shape == (11,) and labels.dtype == np.float32
        names = [event.name for event in events]
        assert sorted(names) == sorted(c for c, y in zip(CLASSES, labels, strict=True) if y == 1)
        assert set(np.unique(labels)) <= {0.0, 1.0}
        assert events == sorted(events, key=lambda event: event.start)
        assert all(0 <= event.start < event.end <= 2.0 for event in events)


def test_every_class_and_every_polyphony_occurs():
    labels = np.array([labels for _, labels, _ in scenes(200, seconds=0.5)])
    assert labels.any(axis=0).all()
    counts = np.bincount(labels.sum(axis=1).astype(int), minlength=4)
    assert len(counts) == 4 and counts[0] == pytest.approx(16, abs=12) and counts[1:].min() > 35


def test_max_classes_and_empty_fraction():
    assert {y.sum() for _, y, _ in scenes(20, max_classes=1, empty_fraction=0)} == {1.0}
    for audio, labels, events in scenes(5, empty_fraction=1):
        assert not labels.any() and events == [] and np.abs(audio).max() > 0.05


def test_events_lie_where_the_sound_is(monkeypatch):
    def beep(synth, n):
        x = np.zeros(n, np.float32)
        x[n // 4 : n // 2] = np.sin(np.arange(n // 2 - n // 4))
        return x

    monkeypatch.setattr(outdoors, "background", lambda synth, n: np.zeros(n, np.float32))
    for name in CLASSES:
        monkeypatch.setitem(GENERATORS, name, beep)
    for audio, _, events in scenes(20, max_classes=1, empty_fraction=0, seconds=4.0):
        power = np.mean(audio.reshape(-1, 160) ** 2, axis=1)
        loud = np.flatnonzero(power > 0.1 * power.max()) / 100
        (event,) = events
        assert event.start == pytest.approx(loud[0], abs=0.05)
        assert event.end == pytest.approx(loud[-1] + 0.01, abs=0.05)


def test_audible_is_cut_at_the_end_of_the_sound():
    x = np.zeros(1000, np.float32)
    x[500:] = 1
    assert audible(x, SR) == (480, 1000)


def test_the_same_seed_gives_the_same_scene():
    (a, y, events), (b, z, others) = (
        scene(np.random.default_rng(5), 3.0, empty_fraction=0) for _ in range(2)
    )
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(y, z)
    assert events == others and isinstance(events[0], Event)


def test_bad_parameters():
    rng = np.random.default_rng(0)
    for options in (
        {"max_classes": 0},
        {"max_classes": 12},
        {"seconds": 0},
        {"sr": 8000},
        {"empty_fraction": 1.1},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            scene(rng, **options)
