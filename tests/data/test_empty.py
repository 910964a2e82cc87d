import numpy as np
import pytest

from acdref.data import empty
from acdref.data.empty import nothing


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("n", [1, 500, 33600])
def test_finite_samples_of_any_length(n):
    for seed in range(40):
        x = nothing(rng(seed), n)
        assert (x.shape, x.dtype) == ((n,), np.float32)
        assert np.isfinite(x).all()


def test_every_kind_comes():
    drawn = [nothing(rng(seed), 16000) for seed in range(200)]
    constant = sum(bool((x == x[0]).all()) for x in drawn)
    assert abs(constant - 50) < 4 * np.sqrt(200 * 3 / 16)
    assert sum(not x.any() for x in drawn) > 5


def test_tones_are_lines_and_last():
    for seed in range(20):
        x = empty._tones(rng(seed), 16000, 16000)
        power = np.square(np.abs(np.fft.rfft(x * np.hanning(16000))))
        assert np.sort(power)[-5 * empty.VOICES :].sum() > 0.999 * power.sum()
        halves = np.square(x.reshape(2, -1)).sum(axis=1)
        assert abs(halves[0] / halves[1] - 1) < 0.1


def test_noise_is_white_at_any_level():
    levels = []
    for seed in range(50):
        x = empty._noise(rng(seed), 16000, 16000)
        levels.append(x.std())
        low, high = np.square(np.abs(np.fft.rfft(x)))[1:8001].reshape(2, -1).sum(axis=1)
        assert abs(low / high - 1) < 0.1
    assert min(levels) < 1e-5
    assert max(levels) > 0.1


def test_clicks_are_short_and_come_again():
    periods = set()
    for seed in range(50):
        x = empty._clicks(rng(seed), 32000, 16000)
        assert np.abs(x).max() >= 1
        loud = np.mean(np.abs(x) > 0.05)  # the last two fifths of a pulse are below
        first = next((p for p in range(1280, 32000) if np.array_equal(x[p:], x[:-p])), 32000)
        periods.add(first)
        assert first >= 1280
        assert loud < empty.CLICKS * 1600 / min(first, 32000)
    assert min(periods) < 4000
    assert max(periods) > 10000
