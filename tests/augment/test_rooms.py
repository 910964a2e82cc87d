import numpy as np
import pytest
from augment_support import click, energy, noise
from hypothesis import given
from hypothesis import strategies as st

from acdref.augment import reverberate, room_response

DECAYS = st.floats(0.01, 2)
RATIOS = st.floats(-20, 40)


def seeded(seed=0):
    return np.random.default_rng(seed)


class TestRoomResponse:
    @given(st.integers(0, 2**64), DECAYS, RATIOS, st.sampled_from([1000, 16000]))
    def test_direct_sound_first_and_the_ratio_asked_for(self, seed, decay, ratio, sr):
        h = room_response(seeded(seed), decay, ratio, sr)
        assert h.shape == (round(decay * sr) + 1,)
        assert h.dtype == np.float32
        assert h[0] == 1
        if h[1:].any():
            assert 10 * np.log10(energy(h[1:])) == pytest.approx(-ratio, abs=1e-3)
        else:
            assert decay < 0.1

    @pytest.mark.parametrize("decay", [0.2, 1.0])
    def test_falls_by_60_db_in_the_decay_time(self, decay):
        power = np.mean([room_response(seeded(k), decay, 0) ** 2 for k in range(200)], axis=0)
        n = round(decay * 16000)
        t = np.arange(800, n)  # all reflections are there after 50 ms
        slope, _ = np.polyfit(t, np.log10(power[800:n]), 1)
        assert slope * n * 10 == pytest.approx(-60, rel=0.03)

    def test_reflections_become_denser_with_the_square_of_the_time(self):
        dense = np.mean([room_response(seeded(k), 0.1, 0) != 0 for k in range(400)], axis=0)
        t = np.arange(1, 801) / 800
        assert (
            np.abs(dense[1:801].reshape(10, 80).mean(axis=1) - (t**2).reshape(10, 80).mean(axis=1)).max()
            < 0.02
        )
        assert (dense[801:] == 1).all()

    def test_same_generator_same_room(self):
        np.testing.assert_array_equal(room_response(seeded(5), 0.3, 0), room_response(seeded(5), 0.3, 0))
        assert (room_response(seeded(5), 0.3, 0) != room_response(seeded(6), 0.3, 0)).any()

    @pytest.mark.parametrize("decay", [0, -1, np.nan, np.inf])
    def test_impossible_decay(self, decay):
        with pytest.raises(ValueError, match=f"positive, not {decay}"):
            room_response(seeded(), decay, 0)


class TestReverberate:
    @given(st.integers(1, 3000), DECAYS, RATIOS)
    def test_is_the_convolution(self, n, decay, ratio):
        x = noise(n)
        before = x.copy()
        h = room_response(seeded(n), decay, ratio)
        y = reverberate(x, h)
        np.testing.assert_array_equal(x, before)
        assert y.shape == (n,)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, np.convolve(x, h)[:n], rtol=0, atol=1e-4 * (1 + 10 ** (-ratio / 20)))

    def test_nothing_is_delayed_and_nothing_comes_back_at_the_start(self):
        y = reverberate(click(20000, 15000), room_response(seeded(), 1.0, -3))
        assert np.abs(y[:15000]).max() < 1e-6
        assert y[15000] == pytest.approx(1, abs=1e-6)

    def test_no_reverberation_no_change(self):
        x = noise(5000)
        y = reverberate(x, room_response(seeded(), 0.5, np.inf))
        np.testing.assert_array_equal(y, x)
        assert not np.shares_memory(y, x)

    def test_silence_stays_silence(self):
        assert not reverberate(np.zeros(5000, np.float32), room_response(seeded(), 0.5, 0)).any()
