"""The building blocks against closed forms and plain sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.synth import blocks

SR = 16000


def synth(seed=0):
    return blocks.Synth(np.random.default_rng(seed), SR)


def band_power(x, low, high):
    f = np.fft.rfftfreq(len(x), 1 / SR)
    return np.sum(np.abs(np.fft.rfft(x)[(f >= low) & (f < high)]) ** 2)


@pytest.mark.parametrize(("f0", "brightness"), [(100, 800), (440, 1900), (1500, 600)])
def test_harmonics_are_the_sum_of_cosines(f0, brightness):
    k = np.arange(1, 400)[:, None]
    r = np.exp(-f0 / brightness)
    t = np.arange(1, 2001) / SR  # the phase is that at the end of each sample
    expected = np.sum(r**k * np.cos(2 * np.pi * k * f0 * t), axis=0) / np.sqrt(r**2 / (1 - r**2) / 2)
    np.testing.assert_allclose(synth().harmonics(f0, brightness, 2000), expected, atol=2e-3)


def test_harmonics_have_unit_rms():
    assert np.sqrt(np.mean(synth().harmonics(200, 900, SR) ** 2)) == pytest.approx(1, abs=1e-3)


def test_wave_of_a_moving_frequency_passes_through_it():
    x = synth().wave(np.linspace(500, 1500, SR), SR)
    crossings = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0)) / SR
    assert 1 / np.diff(crossings)[:5].mean() == pytest.approx(500, rel=0.05)
    assert 1 / np.diff(crossings)[-5:].mean() == pytest.approx(1500, rel=0.05)


def test_glide_passes_through_its_points_and_never_beyond():
    curve = blocks.glide([1.0, 5.0, 2.0], 101)
    assert (curve[0], curve[50], curve[100]) == (1.0, 5.0, 2.0)
    assert curve.min() >= 1.0 and curve.max() <= 5.0
    np.testing.assert_array_equal(blocks.glide([3.0], 4), np.full(4, 3.0))


def test_wander_is_smooth_and_of_unit_variance():
    curve = synth().wander(200 * SR, 5)
    # Half of the time is spent between two independent values: the variance there averages to 3/4.
    assert np.var(curve) == pytest.approx(0.75, abs=0.08)
    assert np.abs(np.diff(curve)).max() < 10 * np.pi / 2 * 5 / SR


def test_decay_falls_by_60_db_in_the_given_time():
    envelope = synth().decay(SR, 0.5, attack=0.002)
    assert 20 * np.log10(envelope[int(0.1 * SR)] / envelope[int(0.6 * SR)]) == pytest.approx(60, abs=0.1)
    assert envelope[0] == 0


@given(n=st.integers(1, 3000), attack=st.floats(0.001, 0.5), release=st.floats(0.001, 0.5))
def test_swell_is_an_envelope_whatever_its_length(n, attack, release):
    envelope = synth().swell(n, attack, release)
    assert envelope.shape == (n,) and envelope.dtype == np.float32
    assert envelope.min() > 0 and envelope.max() <= 1 + 1e-6


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_coloured_noise_falls_by_its_exponent(exponent):
    x = synth().coloured(4 * SR, exponent)
    # Power in an octave is proportional to f^(1 - exponent); the octaves start at 250 and 2000 Hz.
    ratio = band_power(x, 2000, 4000) / band_power(x, 250, 500)
    assert np.log2(ratio) / 3 == pytest.approx(1 - exponent, abs=0.1)
    assert np.sqrt(np.mean(x**2)) == pytest.approx(1, abs=1e-3)


@given(n=st.integers(1, 5000))
def test_filters_with_unit_gain_change_nothing(n):
    x = synth(n).white(n)
    np.testing.assert_allclose(synth().filtered(x, np.ones_like), x, atol=1e-5)
    same = synth().filter_moving(x, lambda u, f: np.ones((len(u), f.shape[1]), np.float32))
    np.testing.assert_allclose(same, x, atol=1e-5)


def test_filter_moving_follows_time():
    x = synth().white(SR)
    y = synth().filter_moving(x, lambda u, f: np.where(u < 0.5, f < 2000, f >= 2000).astype(np.float32))
    first, second = y[: SR // 2 - 1024], y[SR // 2 + 1024 :]
    assert band_power(first, 2200, 8000) < 0.01 * band_power(first, 0, 1800)
    assert band_power(second, 0, 1800) < 0.01 * band_power(second, 2200, 8000)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_magnitude_responses_are_3_db_down_at_the_corner(order):
    f = np.array([1000.0])
    assert blocks.low_pass(f, 1000, order) == pytest.approx(np.sqrt(0.5))
    assert blocks.high_pass(f, 1000, order) == pytest.approx(np.sqrt(0.5))
    assert blocks.resonance(f, 900, 200) == pytest.approx(np.sqrt(0.5))
    assert blocks.low_pass(np.array([64000.0]), 1000, order) == pytest.approx(2.0 ** (-6 * order), rel=1e-3)


@given(start=st.integers(0, 20), length=st.integers(0, 20))
def test_add_at_cuts_at_the_end(start, length):
    out = np.zeros(10, np.float32)
    blocks.add_at(out, start, np.ones(length, np.float32))
    assert out.sum() == max(0, min(10, start + length) - min(10, start))


def test_played_begins_a_sound_at_each_start():
    sizes = iter((2, 3, 9))
    out = blocks.played(7, (0, 1.9, 5), lambda: np.ones(next(sizes), np.float32))
    np.testing.assert_array_equal(out, [1, 2, 1, 1, 0, 1, 1])
    assert out.dtype == np.float32


def test_room_keeps_the_direct_sound_and_dies_away():
    x = np.zeros(2 * SR, np.float32)
    x[100] = 1
    y = synth().room(x, 0.5, 0.5)
    np.testing.assert_allclose(y[:100], 0, atol=1e-6)
    assert y[100] == pytest.approx(1, abs=0.01)
    assert np.sum(y[101:] ** 2) == pytest.approx(0.25, rel=0.01)
    assert np.abs(y[100 + SR // 2 + 1 :]).max() < 1e-5


def test_onsets_start_early_and_keep_their_gaps():
    starts = synth().onsets(10 * SR, 0.5, 2.0)
    assert 0 <= starts[0] <= 0.02 * SR and starts[-1] < 10 * SR
    assert np.diff(starts).min() >= 0.5 * SR - 1 and np.diff(starts).max() <= 2 * SR


def test_pick_follows_the_weights():
    generator = synth()
    drawn = [generator.pick([(3, "a"), (1, "b"), (0, "c")]) for _ in range(2000)]
    assert drawn.count("a") / 2000 == pytest.approx(0.75, abs=0.04)
    assert "c" not in drawn


@given(n=st.integers(1, 400000))
def test_fast_length_is_smooth_and_close(n):
    fast = rest = blocks._fast_length(n)
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1 and n <= fast
    assert 13 * fast <= 15 * n  # the widest gap is from 12 to 15


def test_a_sound_too_short_to_swell_swells_faster():
    swell = synth().swell(100, attack=0.1, release=0.3)
    assert swell.max() > 0.99 and np.argmax(swell) == pytest.approx(25, abs=1)
