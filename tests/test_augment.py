import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref.augment import change_speed, equalise, low_pass, set_level

SIGNALS = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-4, 4, width=32))


def rms(x):
    return np.sqrt(np.mean(np.square(x, dtype=np.float64)))


def energy(x):
    return np.sum(np.square(x, dtype=np.float64))


def noise(n):
    return np.random.default_rng(n).uniform(-0.5, 0.5, n).astype(np.float32)


def tone(hertz, n, sr=16000):
    return np.sin(2 * np.pi * hertz / sr * np.arange(n)).astype(np.float32)


class TestSetLevel:
    @given(SIGNALS, st.floats(-80, 20))
    def test_has_the_level_or_a_peak_of_full_scale(self, x, dbfs):
        before = x.copy()
        y = set_level(x, dbfs)
        np.testing.assert_array_equal(x, before)
        assert y.dtype == np.float32
        assert np.abs(y).max() <= 1
        if not x.any():
            assert not y.any()
        elif np.abs(y).max() < 1:
            np.testing.assert_allclose(rms(y), 10 ** (dbfs / 20), rtol=1e-5)
        else:
            assert rms(y) <= 10 ** (dbfs / 20) * (1 + 1e-5)

    @given(SIGNALS.filter(np.any), st.sampled_from([2.0**-130, 2.0**-20, 8.0]))
    def test_the_level_before_does_not_matter(self, x, factor):
        x = np.sign(x)  # powers of two times signs: exact even where float32 is subnormal
        np.testing.assert_array_equal(set_level(x * np.float32(factor), -20), set_level(x, -20))


class TestLowPass:
    def test_zero_phase_pass_band_and_stop_band(self):
        t = np.arange(32000) / 16000
        below, above = np.sin(2 * np.pi * 2600 * t), np.sin(2 * np.pi * 3400 * t)
        y = low_pass((below + above).astype(np.float32), 3000)
        assert y.dtype == np.float32
        assert np.abs(y - below)[2000:-2000].max() < 1e-3

    @pytest.mark.parametrize(("cutoff", "sr"), [(500, 16000), (4000, 16000), (4000, 44100)])
    def test_attenuation(self, cutoff, sr):
        x = np.random.default_rng(0).standard_normal(40000).astype(np.float32)
        window = np.hanning(36000)

        def spectrum(signal):
            return np.abs(np.fft.rfft(signal[2000:38000] * window)) ** 2

        frequency = np.fft.rfftfreq(36000, 1 / sr)
        before, after = spectrum(x), spectrum(low_pass(x, cutoff, sr))
        stop = frequency > 1.15 * cutoff
        assert after[stop].sum() / before[stop].sum() < 1e-6
        half = np.abs(frequency - cutoff) < 0.01 * cutoff
        assert after[half].sum() / before[half].sum() == pytest.approx(0.25, rel=0.1)

    @given(st.integers(1, 9000))
    def test_any_length_and_no_wrapping_around(self, n):
        x = np.zeros(n, dtype=np.float32)
        x[-1] = 1
        y = low_pass(x, 2000)
        assert y.shape == (n,)
        assert np.abs(y[: max(0, n - 1000)]).max(initial=0) < 1e-3


GAINS = st.lists(st.floats(-20, 20), min_size=1, max_size=10)


class TestEqualise:
    @given(st.integers(1, 9000), GAINS)
    def test_any_length_and_gains(self, n, gains):
        x = noise(n)
        before = x.copy()
        y = equalise(x, gains)
        np.testing.assert_array_equal(x, before)
        assert y.shape == (n,)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert energy(y) <= energy(x) * 10 ** (max(gains) / 10) * (1 + 1e-4)

    @given(st.integers(1, 9000), GAINS)
    def test_loses_no_more_than_the_lowest_gain(self, n, gains):
        x = np.pad(noise(n), 4000)  # room for the response, none of which is cut off then
        assert energy(equalise(x, gains)) >= energy(x) * 10 ** (min(gains) / 10) * (1 - 1e-2)

    def test_no_gains_no_change(self):
        x = noise(5000)
        y = equalise(x, np.zeros(8))
        np.testing.assert_array_equal(y, x)
        assert not np.shares_memory(y, x)

    def test_silence_stays_silence(self):
        assert not equalise(np.zeros(5000, np.float32), [10, -10, 10]).any()

    @given(st.floats(-20, 20), st.integers(1, 10))
    def test_equal_gains_are_a_level(self, gain, points):
        x = noise(3000)
        np.testing.assert_allclose(equalise(x, [gain] * points), x * 10 ** (gain / 20), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("sr", [8000, 16000, 44100])
    def test_gain_at_its_frequencies_and_between(self, sr):
        gains = np.array([6.0, -3.0, 0.0, 9.0, -12.0])
        points = np.linspace(np.log2(60), np.log2(sr / 2), 5)
        between = (points[:-1] + points[1:]) / 2
        octaves = [np.log2(30), *points[:4], *between]  # at the last point, half the rate, there is no tone
        expected = [6, *gains[:4], *(gains[:-1] + gains[1:]) / 2]
        for hertz, decibels in zip(2 ** np.array(octaves), expected, strict=True):
            x = tone(hertz, 3 * sr, sr)
            y = equalise(x, gains, sr)
            middle = slice(sr, 2 * sr)
            assert 20 * np.log10(rms(y[middle]) / rms(x[middle])) == pytest.approx(decibels, abs=0.1)

    def test_zero_phase_and_no_wrapping_around(self):
        x = np.zeros(8001, np.float32)
        x[4000] = 1
        y = equalise(x, [10, -10, 10, -10, 10])
        np.testing.assert_allclose(y, y[::-1], rtol=0, atol=1e-6)
        x = np.roll(x, 4000)
        assert np.abs(equalise(x, [10, -10, 10, -10, 10])[:6000]).max() < 1e-3


class TestChangeSpeed:
    @given(st.integers(1, 30000), st.floats(0.5, 2))
    def test_any_length_and_factor(self, n, factor):
        x = noise(n)
        before = x.copy()
        y = change_speed(x, factor)
        np.testing.assert_array_equal(x, before)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert abs(len(y) - n / factor) <= 0.5 + 0.002 * n
        assert energy(y) <= energy(x) / factor * 1.01

    @pytest.mark.parametrize("factor", [1, 1.001, 0.999])
    def test_no_change(self, factor):
        x = noise(5000)
        y = change_speed(x, factor)
        np.testing.assert_array_equal(y, x)
        assert not np.shares_memory(y, x)

    def test_silence_stays_silence(self):
        assert not change_speed(np.zeros(5000, np.float32), 1.1).any()

    @pytest.mark.parametrize("factor", [0.8, 0.95, 1.05, 1.25])
    @pytest.mark.parametrize("n", [4000, 48000])
    def test_pitch_moves_by_the_factor(self, factor, n):
        y = change_speed(tone(110, n), factor)
        applied = n / len(y)
        assert applied == pytest.approx(factor, rel=0.002 * max(factor, 1))
        middle = slice(len(y) // 4, -len(y) // 4)
        assert np.abs(y - tone(110 * applied, len(y)))[middle].max() < 0.03

    def test_what_would_pass_half_the_rate_is_dropped(self):
        assert rms(change_speed(tone(7000, 32000), 1.25)[4000:-4000]) < 1e-3
        assert rms(change_speed(tone(6000, 32000), 1.25)[4000:-4000]) == pytest.approx(0.5**0.5, rel=1e-3)

    def test_the_top_of_a_slowed_sound_is_empty(self):
        y = change_speed(noise(40000), 0.8)
        power = np.abs(np.fft.rfft(y[4000:44000] * np.hanning(40000))) ** 2
        hertz = np.fft.rfftfreq(40000, 1 / 16000)
        assert power[hertz > 6450].mean() < 1e-5 * power[hertz < 6350].mean()

    @pytest.mark.parametrize("factor", [0, -1, np.nan])
    def test_impossible_factors(self, factor):
        with pytest.raises(ValueError, match=f"positive, not {factor}"):
            change_speed(noise(100), factor)
