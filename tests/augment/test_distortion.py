import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref.augment import asymmetric_clip, hard_clip, quantise, soft_clip

# Zero, the faintest and the loudest included.
SAMPLES = (
    st.floats(-1e10, 1e10, width=32) | st.floats(-1, 1, width=32) | st.sampled_from([0.0, 1e-45, -1e-45])
)
SIGNALS = hnp.arrays(np.float32, st.integers(1, 50), elements=SAMPLES)
DRIVES = st.floats(0, 60) | st.sampled_from([0.0, 1e-9, 1e-300])

clippers = pytest.mark.parametrize("clip", [hard_clip, soft_clip, asymmetric_clip])


@clippers
class TestClipping:
    @given(x=SIGNALS, drive=DRIVES)
    def test_no_sample_grows_or_changes_sign(self, clip, x, drive):
        before = x.copy()
        y = clip(x, drive)
        np.testing.assert_array_equal(x, before)
        assert y.shape == x.shape
        assert y.dtype == np.float32
        assert (np.abs(y) <= np.abs(x)).all()
        assert (y * np.sign(x) >= 0).all()

    @given(x=SIGNALS)
    def test_no_drive_no_change(self, clip, x):
        y = clip(x, 0)
        np.testing.assert_array_equal(y, x)
        assert not np.shares_memory(y, x)

    @given(x=hnp.arrays(np.float32, 20, elements=st.floats(-1, 1, width=32)), drive=DRIVES)
    def test_louder_in_is_not_softer_out(self, clip, x, drive):
        y = clip(np.sort(x), drive)
        assert (np.diff(y) >= -1e-6).all()

    @given(x=hnp.arrays(np.float32, 20, elements=st.floats(-1, 1, width=16)), drive=st.floats(0, 60))
    def test_level_makes_no_difference(self, clip, x, drive):
        np.testing.assert_array_equal(clip(x * np.float32(2**20), drive), clip(x, drive) * np.float32(2**20))

    @pytest.mark.parametrize("drive", [-1, np.nan, np.inf])
    def test_impossible_drive(self, clip, drive):
        with pytest.raises(ValueError, match=f"within 0 and 300 dB, not {drive}"):
            clip(np.ones(3, np.float32), drive)

    def test_nothing_at_all(self, clip):
        assert clip(np.zeros(0, np.float32), 6).shape == (0,)


class TestShapes:
    X = np.linspace(-1, 1, 2001, dtype=np.float32)

    def test_hard(self):
        y = hard_clip(self.X, 20)
        np.testing.assert_allclose(y, np.clip(self.X, -0.1, 0.1), atol=1e-7)

    def test_soft_is_straight_near_0_and_ends_at_its_knee(self):
        y = soft_clip(self.X, 20)
        np.testing.assert_allclose(y, np.tanh(9 * self.X.astype(float)) / 9, atol=1e-6)

    def test_asymmetric(self):
        y = asymmetric_clip(self.X, 20)
        below = self.X <= 0
        np.testing.assert_array_equal(y[below], self.X[below])
        np.testing.assert_array_equal(y[~below], soft_clip(self.X, 20)[~below])


class TestQuantise:
    @given(SIGNALS, st.integers(2, 24))
    def test_within_half_a_step_on_a_grid(self, x, bits):
        before = x.copy()
        y = quantise(x, bits)
        np.testing.assert_array_equal(x, before)
        assert y.dtype == np.float32
        peak = np.abs(x).max()
        assert np.abs(y).max() <= peak
        if peak > 1e-30:  # where float32 has all its digits
            levels = y.astype(float) / peak * 2 ** (bits - 1)
            assert np.abs(levels - np.rint(levels)).max() <= 2.0 ** (bits - 24)
            assert np.abs(y.astype(float) - x).max() <= peak * (2.0**-bits + 2.0**-23)
        assert np.isfinite(y).all()

    @given(SIGNALS, st.integers(25, 64))
    def test_enough_bits_no_change(self, x, bits):
        np.testing.assert_array_equal(quantise(x, bits), x)

    def test_silence_stays_silence(self):
        assert not quantise(np.zeros(10, np.float32), 4).any()

    def test_too_few_bits(self):
        with pytest.raises(ValueError, match="2 bits are needed, not 1"):
            quantise(np.ones(3, np.float32), 1)
