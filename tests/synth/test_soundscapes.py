"""Soundscapes: their labels are where the sound is, and depend on the seed alone."""

import csv

import numpy as np
import pytest

from acdref.synth import soundscape, write_soundscapes

SR = 16000


def tone(name, rng, sr):
    """Half a second of silence, then a second of a tone whose frequency says the class."""
    x = np.sin(2 * np.pi * {"low": 500, "high": 4000}[name] * np.arange(sr) / sr)
    return np.concatenate([np.zeros(sr // 2), x])


def test_events_are_where_the_sound_is():
    audio, events = soundscape(
        np.random.default_rng(1), ["high"], tone, seconds=6.0, most=1, lengths=(0.5, 0.5), snr=(40, 40)
    )
    (event,) = events
    assert audio.shape == (6 * SR,) and np.abs(audio).max() <= 1
    loud = np.flatnonzero(np.abs(audio) > 0.3 * np.abs(audio).max()) / SR
    assert event.start == pytest.approx(loud[0], abs=0.02)
    assert event.end == pytest.approx(loud[-1], abs=0.02)
    assert 0.1 <= event.end - event.start <= 0.5 + 1e-9


def test_events_lie_within_and_are_sorted():
    for seed in range(20):
        _, events = soundscape(
            np.random.default_rng(seed), ["low", "high"], tone, seconds=2.0, lengths=(0.1, 9)
        )
        assert 1 <= len(events) <= 4
        assert all(0 <= event.start < event.end <= 2.0 for event in events)
        assert [event.start for event in events] == sorted(event.start for event in events)


def test_silent_recordings_make_no_events():
    audio, events = soundscape(np.random.default_rng(0), ["x"], lambda *_: np.zeros(100), seconds=1.0)
    assert events == [] and np.isfinite(audio).all()


def test_snr_is_the_level_above_the_background():
    quiet, _ = soundscape(np.random.default_rng(2), ["x"], lambda *_: np.zeros(100), most=1)
    loud, (event,) = soundscape(
        np.random.default_rng(2), ["high"], tone, most=1, snr=(30, 30), lengths=(1, 1)
    )
    middle = slice(*(round((event.start + at) * SR) for at in (0.3, 0.4)))
    outside = np.delete(loud, range(round(event.start * SR), round(event.end * SR)))
    ratio = np.sqrt(np.mean(loud[middle] ** 2) / np.mean(outside**2))
    assert 20 * np.log10(ratio) == pytest.approx(30, abs=3)
    assert len(quiet) == len(loud)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": []}, "at least one class"),
        ({"seconds": 0}, "seconds must be"),
        ({"most": 0}, "most must be"),
        ({"lengths": (2.0, 1.0)}, "lengths must be"),
    ],
)
def test_wrong_parameters(options, words):
    with pytest.raises(ValueError, match=words):
        soundscape(np.random.default_rng(0), **({"classes": ["low"], "draw": tone} | options))


def read(path, delimiter):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_a_folder_of_soundscapes(tmp_path):
    options = {"draw": tone, "seconds": 1.0, "lengths": (0.2, 0.5), "val_fraction": 0.5}
    rows = write_soundscapes(tmp_path / "a", ["low", "high"], 20, 0, missing=(0.5, 0.5), **options)
    again = write_soundscapes(tmp_path / "b", ["low", "high"], 20, 0, missing=(0.5, 0.5), **options)
    full = write_soundscapes(tmp_path / "c", ["low", "high"], 20, 0, **options)
    assert rows == again
    for name in ("scene-00003.flac", "events.tsv", "manifest.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "events.tsv").read_bytes() == (tmp_path / "c" / "events.tsv").read_bytes()
    heard = {name: set() for name, *_ in rows}
    for event in read(tmp_path / "a" / "events.tsv", "\t"):
        heard[event["filename"]].add(event["event_label"])
    assert all(set(classes) == heard[name] for name, classes, _ in full)
    kept = {split: sum(len(c) for _, c, s in rows if s == split) for split in ("train", "val")}
    true = {split: sum(len(c) for _, c, s in full if s == split) for split in ("train", "val")}
    assert kept["val"] == true["val"]  # what is measured on is complete
    assert kept["train"] == pytest.approx(true["train"] / 2, abs=1)
