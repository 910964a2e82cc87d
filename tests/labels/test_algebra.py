"""Oracles: pandas' nullable booleans (OR), the two published mixup implementations, all recorded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_support import CLOSE, LABELS, golden, matrices, rank, same, several

from acdref.labels import apply_gains, draw_gains, draw_mixup_weights, mixup, mixup_batch, or_join

nan = np.nan
UNIT = st.floats(0, 1)


class TestOrJoin:
    def test_kleene_table(self):
        a = [0, 0, 0, nan, nan, nan, 1, 1, 1]
        b = [0, nan, 1, 0, nan, 1, 0, nan, 1]
        np.testing.assert_array_equal(or_join([a, b]), [0, nan, 1, nan, nan, 1, 1, 1, 1])

    @pytest.mark.parametrize("n", [2, 3, 4])
    def test_pandas_oracle(self, n):
        data = golden("or_join_kleene.npz")
        np.testing.assert_array_equal(or_join(data["clips"][:n]), data[f"joined{n}"])

    def test_pandas_oracle_all_pairs(self):
        data = golden("or_join_kleene.npz")
        np.testing.assert_array_equal(or_join(data["all_pairs"].T), data["all_pairs_out"])

    @given(several(LABELS, LABELS, LABELS))
    def test_commutative_associative_idempotent(self, clips):
        a, b, c = clips
        assert same(or_join([a, b]), or_join([b, a]))
        assert same(or_join([or_join([a, b]), c]), or_join([a, or_join([b, c])]))
        assert same(or_join([a, b, c]), or_join([or_join([a, b]), c]))
        assert same(or_join([a, a]), a)

    @given(matrices(LABELS))
    def test_neutral_and_absorbing_elements(self, y):
        assert same(or_join([y, np.zeros_like(y)]), y)
        assert same(or_join([y, np.ones_like(y)]), np.ones_like(y))

    @given(several(LABELS, LABELS, LABELS))
    def test_monotone_and_least_upper_bound(self, clips):
        a, b, c = clips
        joined = rank(or_join([a, b]))
        assert (joined == np.maximum(rank(a), rank(b))).all()
        assert (rank(or_join([or_join([a, c]), b])) >= joined).all()

    @given(matrices(st.sampled_from([0.0, 1.0]), rows=st.integers(1, 5)))
    def test_equals_maximum_without_unknowns(self, clips):
        assert same(or_join(clips), clips.max(axis=0))

    @given(several(LABELS, LABELS, rows=st.integers(1, 5)))
    def test_batches_are_joined_clip_by_clip(self, sources):
        batch = np.stack(sources, axis=1)
        assert same(or_join(batch), np.stack([or_join(clips) for clips in sources]))

    def test_one_clip_gives_a_copy(self):
        clip = np.array([[0.0, nan, 1.0]])
        joined = or_join(clip)
        assert same(joined, clip[0])
        joined[:] = 7
        assert same(clip, [[0.0, nan, 1.0]])

    @pytest.mark.parametrize("dtype", [bool, np.int8, np.float32])
    def test_any_numeric_type_gives_float64(self, dtype):
        assert or_join(np.array([[0, 1], [0, 0]], dtype=dtype)).dtype == np.float64

    def test_bad_input(self):
        with pytest.raises(ValueError, match="no clip"):
            or_join(np.zeros((0, 3)))
        with pytest.raises(ValueError, match=r"labels\[1, 0\] is 0.5"):
            or_join([[0, 1], [0.5, 0]])
        with pytest.raises(ValueError, match="dimensions"):
            or_join([0, 1])


class TestMixup:
    def test_dinkel_pairing(self):
        data = golden("mixup_vanilla.npz")
        x, weights = data["psl_x"], data["psl_lambda"]
        np.testing.assert_allclose(mixup_batch(x, weights, "adjacent"), data["psl_out"], **CLOSE)
        odd = mixup_batch(x[:5], weights[:2], "adjacent")
        np.testing.assert_array_equal(odd, data["psl_out_odd_batch"])

    def test_dorfer_pairing(self):
        data = golden("mixup_vanilla.npz")
        labels = np.eye(5)[data["dorfer_labels"]]
        for batch, recorded in ((data["dorfer_x"], data["dorfer_X"]), (labels, data["dorfer_Y"])):
            mixed = mixup_batch(batch, data["dorfer_lambda"], "reversed")
            np.testing.assert_array_equal(mixed.astype(np.float32), recorded)

    def test_middle_row_of_an_odd_reversed_batch_mixes_with_itself(self):
        batch = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        np.testing.assert_allclose(mixup_batch(batch, [0.1, 0.3, 0.8])[1], batch[1], **CLOSE)

    @given(several(LABELS, LABELS), UNIT)
    def test_unknown_stays_unknown_unless_its_weight_is_zero(self, clips, weight):
        a, b = clips
        mixed = mixup(a, b, weight)
        if weight == 1:
            assert same(mixed, a)
        elif weight == 0:
            assert same(mixed, b)
        else:
            np.testing.assert_array_equal(np.isnan(mixed), np.isnan(a) | np.isnan(b))

    @given(several(UNIT, UNIT), UNIT)
    def test_class_sums_and_range(self, clips, weight):
        a, b = clips
        mixed = mixup(a, b, weight)
        expected = weight * a.sum(axis=0) + (1 - weight) * b.sum(axis=0)
        np.testing.assert_allclose(mixed.sum(axis=0), expected, **CLOSE)
        assert (mixed >= np.minimum(a, b) - 1e-15).all()
        assert (mixed <= np.maximum(a, b) + 1e-15).all()

    @given(several(UNIT, UNIT), UNIT)
    def test_swapping_clips_and_weights(self, clips, weight):
        a, b = clips
        np.testing.assert_allclose(mixup(a, b, weight), mixup(b, a, 1 - weight), **CLOSE)

    def test_weights_apply_row_by_row(self):
        a, b = np.zeros((2, 3, 4)), np.ones((2, 3, 4))
        mixed = mixup(a, b, [0.25, 1.0])
        assert (mixed[0] == 0.75).all()
        assert (mixed[1] == 0).all()

    def test_float32_signals_stay_float32(self):
        x = np.ones((2, 4), dtype=np.float32)
        assert mixup(x, x, [0.3, 0.4]).dtype == np.float32
        assert mixup(x.astype(int), x.astype(int), 0.5).dtype == np.float64

    def test_bad_input(self):
        with pytest.raises(ValueError, match="outside"):
            mixup([1.0], [2.0], 1.5)
        with pytest.raises(ValueError, match="outside"):
            mixup([1.0], [2.0], nan)
        with pytest.raises(ValueError, match="shapes"):
            mixup([1.0], [2.0, 3.0], 0.5)
        with pytest.raises(ValueError, match="2 weights"):
            mixup(np.ones((3, 2)), np.ones((3, 2)), [0.5, 0.5])
        with pytest.raises(ValueError, match="2 pairs"):
            mixup_batch(np.ones(4), [0.5], "adjacent")
        with pytest.raises(ValueError, match="choose one of 'reversed', 'adjacent'"):
            mixup_batch(np.ones(4), np.ones(4), "random")

    def test_weights_are_beta_distributed(self):
        weights = draw_mixup_weights(np.random.default_rng(1), 20_000, alpha=0.3)
        assert ((weights >= 0) & (weights <= 1)).all()
        # Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2a + 1)).
        assert abs(weights.mean() - 0.5) < 0.015
        assert abs(weights.var() - 1 / 6.4) < 0.005


class TestGains:
    def test_amplitude_decibels(self):
        scaled = apply_gains(np.ones((3, 2)), [20.0, -20.0, 6.0])
        np.testing.assert_allclose(scaled[:, 0], [10.0, 0.1, 1.9952623149688795], rtol=1e-15)

    @given(matrices(st.floats(-1, 1, width=32)))
    def test_no_gain_is_the_identity(self, x):
        x = x.astype(np.float32)
        scaled = apply_gains(x, draw_gains(np.random.default_rng(0), len(x), sigma=0))
        assert scaled.dtype == np.float32
        np.testing.assert_array_equal(scaled, x)

    def test_minus_infinity_silences(self):
        np.testing.assert_array_equal(apply_gains([[0.5, -0.5]], [-np.inf]), [[0.0, 0.0]])

    def test_standard_deviation_and_independence(self):
        gains = np.array([draw_gains(rng, 3) for rng in map(np.random.default_rng, range(4000))])
        # Five standard errors of a standard deviation of 2 (not 1.41) and of a correlation of 0.
        np.testing.assert_allclose(gains.std(axis=0), 2.0, atol=5 * 2 / np.sqrt(2 * 4000))
        np.testing.assert_allclose(np.corrcoef(gains.T), np.eye(3), atol=5 / np.sqrt(4000))

    def test_bad_input(self):
        with pytest.raises(ValueError, match="gains"):
            apply_gains(np.ones((2, 3)), [0.0])
        with pytest.raises(ValueError, match="scale"):
            draw_gains(np.random.default_rng(0), 2, sigma=-1)


def test_arguments_are_never_modified():
    y = np.array([[0.0, nan, 1.0], [1.0, 0.0, nan]])
    before = y.copy()
    y.flags.writeable = False
    or_join(y)
    mixup(y, y[::-1], 0.3)
    mixup_batch(y, [0.1, 0.2])
    apply_gains(y, [1.0, 2.0])
    assert same(y, before)
