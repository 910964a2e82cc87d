"""Peak normalisation and silence clipping: a plain loop that goes as SoX does, SoX itself, and laws."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.recipes.silence import PEAK, clip_silence, normalise_peak, sound_starts

SR = 1000  # windows of 20 samples, sound of 25


def naive_start(x, sr):
    """One sample after the other, with a ring of squares and a buffer that is thrown away at a silence."""
    window, long = round(0.02 * sr), round(0.025 * sr)
    ring, held = [0.0] * window, 0
    for t, value in enumerate(x):
        ring = [*ring[1:], float(value) ** 2]
        held = held + 1 if np.sqrt(sum(ring) / window) > 0.0015 else 0
        if held == long:
            return t + 1 - long
    return len(x)


def bursts(lengths, levels, seed):
    rng = np.random.default_rng(seed)
    parts = [level * rng.standard_normal(n) for n, level in zip(lengths, levels, strict=False)]
    return np.concatenate([np.zeros(0), *parts])


signals = st.builds(
    bursts,
    st.lists(st.integers(0, 60), max_size=6),
    st.lists(st.sampled_from([0, 1e-4, 1e-3, 2e-3, 0.1]), min_size=6, max_size=6),
    st.integers(0, 99),
)


@given(x=signals)
@settings(max_examples=60, deadline=None)
def test_sound_starts_as_one_sample_after_the_other(x):
    assert sound_starts(x, SR) == naive_start(x, SR)


@given(x=signals, before=st.integers(0, 50), after=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_silence_around_makes_no_difference(x, before, after):
    """Where there is sound from either end: a burst's level outlasts it, which may be what makes it long."""
    clipped = clip_silence(x, SR)
    y = normalise_peak(normalise_peak(x)[sound_starts(normalise_peak(x), SR) :])
    if sound_starts(y[::-1], SR) < len(y):
        padded = np.concatenate([np.zeros(before), x, np.zeros(after)])
        np.testing.assert_array_equal(clip_silence(padded, SR), clipped)


@given(x=signals)
def test_the_peak(x):
    y = normalise_peak(x)
    assert len(y) == len(x)
    if np.abs(x).max(initial=0) > 0:
        np.testing.assert_allclose(np.abs(y).max(), PEAK)
        np.testing.assert_allclose(y / y[np.argmax(np.abs(y))], x / x[np.argmax(np.abs(x))], atol=1e-12)


@pytest.mark.parametrize("x", [np.zeros(0, np.float32), np.zeros(40, np.float32), np.ones(10, np.float32)])
def test_what_has_no_sound_stays(x):
    y = clip_silence(x, SR)
    assert len(y) == len(x) and y.dtype == np.float32


def test_a_click_is_no_sound():
    x = np.concatenate([np.zeros(100), [0.9], np.zeros(200), np.full(300, 0.5), np.zeros(50)])
    assert len(clip_silence(x, SR)) == 300


@pytest.mark.skipif(shutil.which("sox") is None, reason="needs SoX")
def test_as_sox(tmp_path):
    rng = np.random.default_rng(0)
    level = np.interp(np.arange(32000), [0, 4000, 6000, 20000, 24000, 32000], [0, 0, 0.4, 0.2, 0, 0])
    x = (level * rng.standard_normal(32000) * 0.3).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", x, 16000, subtype="FLOAT")
    effects = "norm -0.1 silence 1 0.025 0.15% norm -0.1 reverse silence 1 0.025 0.15% reverse"
    subprocess.run(["sox", tmp_path / "in.wav", tmp_path / "out.wav", *effects.split()], check=True)
    expected, _ = soundfile.read(tmp_path / "out.wav")
    found = clip_silence(x, 16000)
    assert abs(len(found) - len(expected)) <= 2
    np.testing.assert_allclose(found.max(), expected.max(), rtol=1e-3)
