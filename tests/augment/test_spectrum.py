import numpy as np
import pytest
from augment_support import click, energy, noise, rms, tone
from hypothesis import given
from hypothesis import strategies as st

from acdref.augment import band_pass, equalise, low_pass


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


class TestBandPass:
    @given(st.integers(1, 9000), st.just(0) | st.floats(1, 2000), st.floats(2000, 9000))
    def test_any_length_and_band_and_no_more_energy(self, n, low, high):
        x = noise(n)
        before = x.copy()
        y = band_pass(x, low, high)
        np.testing.assert_array_equal(x, before)
        assert y.shape == (n,)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert energy(y) <= energy(x) * (1 + 1e-5)

    @pytest.mark.parametrize(
        ("low", "high", "sr"), [(300, 3400, 16000), (50, 7000, 16000), (100, 4000, 44100)]
    )
    def test_attenuation(self, low, high, sr):
        def gain(hertz):
            return rms(band_pass(tone(hertz, sr, sr), low, high, sr)[sr // 4 : -sr // 4]) * 2**0.5

        assert gain(low) == pytest.approx(0.5, rel=0.01)
        assert gain(high) == pytest.approx(0.5, rel=0.02)
        for hertz in (low * 1.5, (low * high) ** 0.5, high * 0.88):
            assert gain(hertz) == pytest.approx(1, rel=2e-3)
        for hertz in (low * 0.6, high * 1.15):
            assert gain(hertz) < 3e-3

    def test_no_edges_no_change(self):
        x = noise(5000)
        for y in (band_pass(x, 0, 9000), low_pass(x, np.inf)):
            np.testing.assert_array_equal(y, x)
            assert not np.shares_memory(y, x)

    def test_silence_stays_silence(self):
        assert not band_pass(np.zeros(5000, np.float32), 100, 3000).any()

    def test_no_wrapping_around(self):
        assert np.abs(band_pass(click(9000, 8999), 50, 3000)[:4000]).max() < 1e-3


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
        x = click(8001, 4000)
        y = equalise(x, [10, -10, 10, -10, 10])
        np.testing.assert_allclose(y, y[::-1], rtol=0, atol=1e-6)
        x = np.roll(x, 4000)
        assert np.abs(equalise(x, [10, -10, 10, -10, 10])[:6000]).max() < 1e-3
