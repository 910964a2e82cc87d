import numpy as np
import pytest
from augment_support import click, energy, noise, rms, tone
from hypothesis import given
from hypothesis import strategies as st

from acdref.augment import change_pitch, change_speed, change_tempo


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

    @pytest.mark.parametrize("factor", [0, -1, np.nan, np.inf, 1e-300])
    def test_impossible_factors(self, factor):
        with pytest.raises(ValueError, match=f"within 0.01 and 100, not {factor}"):
            change_speed(noise(100), factor)


FACTORS = st.floats(0.5, 2)


class TestChangeTempo:
    @given(st.integers(1, 9000), FACTORS)
    def test_length_and_energy(self, n, factor):
        x = noise(n)
        before = x.copy()
        y = change_tempo(x, factor)
        np.testing.assert_array_equal(x, before)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert len(y) == max(1, round(n / factor))
        assert energy(y) <= energy(x) / factor * 1.25  # the frames of short sounds overlap unevenly

    def test_no_change(self):
        x = noise(5000)
        y = change_tempo(x, 1)
        np.testing.assert_array_equal(y, x)
        assert not np.shares_memory(y, x)

    def test_next_to_no_change(self):
        """The phases' running product, over all frames, comes back to the phases themselves."""
        x = noise(60000)
        np.testing.assert_allclose(change_tempo(x, 1 + 1e-9), x, rtol=0, atol=2e-5)

    @pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.25])
    @pytest.mark.parametrize(("hertz", "sr"), [(110, 16000), (440, 16000), (3000, 16000), (3000, 44100)])
    def test_tones_keep_pitch_and_level(self, factor, hertz, sr):
        y = change_tempo(tone(hertz, 2 * sr, sr), factor, sr)
        middle = y[sr // 4 : -sr // 4]
        peak = np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 2**19))) * sr / 2**19
        assert peak == pytest.approx(hertz, abs=0.1)
        assert rms(middle) == pytest.approx(0.5**0.5, rel=0.08)

    @pytest.mark.parametrize("factor", [0.8, 0.95, 1.1, 1.25])
    def test_onsets_move_by_the_factor_and_stay_sharp(self, factor):
        moments = (4000, 20000, 45000)
        y = change_tempo(sum(click(48000, at) for at in moments), factor)
        distance = np.abs(np.arange(len(y))[:, None] - np.array(moments) / factor).min(axis=1)
        assert energy(y[distance < 80]) > 0.7 * energy(y) > 0.5 * 3 / factor  # 5 ms of a frame's 64
        assert energy(y[distance > 1500]) < 1e-6 * energy(y)

    @pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e10])
    def test_level_makes_no_difference(self, scale):
        x = noise(9000)
        y = change_tempo(x * np.float32(scale), 1.1) / np.float32(scale)
        np.testing.assert_allclose(y, change_tempo(x, 1.1), rtol=0, atol=1e-3)

    def test_silence_stays_silence(self):
        assert not change_tempo(np.zeros(5000, np.float32), 1.1).any()

    @pytest.mark.parametrize("factor", [0, -1, np.nan, np.inf, 1e-300])
    def test_impossible_factors(self, factor):
        with pytest.raises(ValueError, match=f"within 0.01 and 100, not {factor}"):
            change_tempo(noise(100), factor)


class TestChangePitch:
    @given(st.integers(1, 9000), st.floats(-4, 4), st.floats(0.8, 1.25))
    def test_length_and_energy(self, n, semitones, tempo):
        x = noise(n)
        y = change_pitch(x, semitones, tempo)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert abs(len(y) - n / tempo) <= 2 + 0.003 * (n + 6144)
        assert energy(y) <= energy(x) / tempo * 1.3

    @pytest.mark.parametrize("semitones", [-3, 0.5, 2])
    @pytest.mark.parametrize("tempo", [0.9, 1, 1.1])
    def test_pitch_moves_and_tempo_is_apart(self, semitones, tempo):
        y = change_pitch(tone(440, 48000), semitones, tempo)
        middle = y[8000:-8000]
        peak = np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 2**19))) * 16000 / 2**19
        assert peak == pytest.approx(440 * 2 ** (semitones / 12), rel=0.003)
        assert len(y) == pytest.approx(48000 / tempo, rel=0.003)

    def test_as_on_a_tape_there_is_no_vocoder(self):
        x = noise(9000)
        np.testing.assert_array_equal(change_pitch(x, 12 * np.log2(1.25), 1.25), change_speed(x, 1.25))

    def test_no_change(self):
        x = noise(5000)
        np.testing.assert_array_equal(change_pitch(x, 0), x)

    def test_silence_stays_silence(self):
        assert not change_pitch(np.zeros(5000, np.float32), 1).any()
