import numpy as np
from augment_support import rms
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref.augment import add_noise, set_level

SIGNALS = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-4, 4, width=32))


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


class TestAddNoise:
    @given(st.floats(-20, 60), st.integers(0, 99))
    def test_the_ratio(self, decibels, seed):
        x = np.random.default_rng(1).uniform(-1, 1, 20000).astype(np.float32)
        noise = add_noise(x, np.random.default_rng(seed), decibels) - x
        assert abs(20 * np.log10(rms(x) / rms(noise)) - decibels) < 0.25  # of 20,000 samples: 0.04 is usual

    def test_no_noise_without_an_end(self):
        x = np.float32([0.5, -0.25, 1e-30])
        np.testing.assert_array_equal(add_noise(x, np.random.default_rng(0), np.inf), x)
