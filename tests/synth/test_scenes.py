"""Scenes: labels, events and audio agree; sounds of each class are sounds, and unlike the others'."""

import numpy as np
import pytest
from synth_support import SEEDS, SR, spectrogram, synth

from acdref.synth import CLASSES, Event, scene, sound
from acdref.synth.scenes import GENERATORS, audible


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

    monkeypatch.setattr("acdref.synth.scenes.background", lambda synth, n: np.zeros(n, np.float32))
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


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("seconds", [0.1, 0.77, 4.0])
def test_sounds_are_finite_of_unit_peak_and_of_the_asked_length(name, seconds):
    for seed in SEEDS:
        x = sound(name, np.random.default_rng(seed), seconds)
        assert x.shape == (round(seconds * SR),) and x.dtype == np.float32
        assert np.isfinite(x).all()
        assert np.abs(x).max() == 1


@pytest.mark.parametrize("name", CLASSES)
def test_the_same_seed_gives_the_same_sound_and_another_gives_another(name):
    a, b, c = (sound(name, np.random.default_rng(seed), 1.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    correlation = np.fft.irfft(np.fft.rfft(a, 32000) * np.conj(np.fft.rfft(c, 32000)))
    assert np.abs(correlation).max() / np.sqrt(np.sum(a**2) * np.sum(c**2)) < 0.8


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("sr", [22050, 44100])
def test_other_sampling_rates(name, sr):
    x = sound(name, np.random.default_rng(3), 1.0, sr)
    assert x.shape == (sr,) and np.isfinite(x).all()


@pytest.mark.parametrize("name", CLASSES)
def test_generators_stay_in_float32(name):
    """One float64 scalar from NumPy doubles the cost of all that follows."""
    for seed in range(40):
        assert GENERATORS[name](synth(seed), 4000).dtype == np.float32


def test_bad_parameters_of_a_sound():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"unknown class 'fish'.*voice"):
        sound("fish", rng, 1.0)
    for seconds in (0.05, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="seconds"):
            sound("cat", rng, seconds)
    with pytest.raises(ValueError, match="sr"):
        sound("cat", rng, 1.0, sr=8000)


def test_classes_can_be_told_apart_on_unseen_sounds():
    ensemble = pytest.importorskip("sklearn.ensemble")

    def describe(name, seed):
        power = spectrogram(sound(name, np.random.default_rng([11, seed]), 2.0), 1024)
        bands = np.log(np.add.reduceat(power, np.geomspace(2, 480, 24).astype(int), axis=1) + 1e-9)
        return np.concatenate(
            [bands.mean(axis=0), bands.std(axis=0), np.abs(np.diff(bands, axis=0)).mean(axis=0)]
        )

    def collect(seeds):
        return np.array([describe(name, seed) for name in CLASSES for seed in seeds])

    train, test = range(30), range(100, 115)
    model = ensemble.RandomForestClassifier(200, random_state=0).fit(collect(train), np.repeat(CLASSES, 30))
    accuracy = model.score(collect(test), np.repeat(CLASSES, 15))
    assert accuracy > 0.75  # chance: 0.09
