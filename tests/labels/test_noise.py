"""Injected errors are as many as asked for and where they may be; repairs are counted pair by pair; what a
teacher of such labels can reach."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_support import same

from acdref.labels import correct_labels
from acdref.labels.noise import inject_noise, repair_counts, score_ceiling
from acdref.testing.strategies import label_matrices, shapes

nan = np.nan
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
SEEDS = st.integers(0, 2**32)
TRIPLES = shapes().flatmap(lambda shape: st.tuples(*[label_matrices(shape)] * 3))


class TestInjection:
    @given(label_matrices(), SHARES, st.floats(0, 1), SEEDS)
    def test_errors_are_as_many_as_asked_for(self, y, missing, false, seed):
        before = np.array(y)
        noisy = inject_noise(y, np.random.default_rng(seed), missing, false)
        assert same(y, before)
        assert same(np.isnan(noisy), np.isnan(y))
        positives, negatives = (y == 1).sum(0), (y == 0).sum(0)
        lost, wrong = ((y == 1) & (noisy == 0)).sum(0), ((y == 0) & (noisy == 1)).sum(0)
        assert (lost >= np.floor(missing[0] * positives)).all()
        assert (lost <= np.floor(missing[1] * positives)).all()
        assert same(wrong, np.minimum(np.floor(false * positives), negatives))

    @given(label_matrices(), SEEDS)
    def test_no_noise_leaves_the_labels(self, y, seed):
        assert same(inject_noise(y, np.random.default_rng(seed), (0, 0), 0), y)

    @given(label_matrices(), SEEDS)
    def test_the_generator_decides(self, y, seed):
        first, second = (inject_noise(y, np.random.default_rng(seed), (0, 1), 0.5) for _ in range(2))
        assert same(first, second)

    def test_classes_have_shares_of_their_own(self):
        noisy = inject_noise(np.ones((1000, 50)), np.random.default_rng(0), (0.3, 0.5), 0)
        shares = (noisy == 0).mean(0)
        assert abs(shares.mean() - 0.4) < 4 * 0.2 / np.sqrt(12 * 50)
        assert shares.min() < 0.33
        assert shares.max() > 0.47

    def test_every_label_is_as_likely_to_go_missing(self):
        y = np.ones((10, 1))
        rng = np.random.default_rng(0)
        lost = sum(inject_noise(y, rng, (0.4, 0.4), 0) == 0 for _ in range(500)).ravel()
        assert lost.sum() == 2000
        assert np.abs(lost - 200).max() < 4.5 * np.sqrt(500 * 0.4 * 0.6)

    @pytest.mark.parametrize("wrong", [{"missing": (0.3, 1.5)}, {"missing": (-0.1, 0.5)}, {"false": 2}])
    def test_out_of_range(self, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            inject_noise([[1]], np.random.default_rng(0), **wrong)


class TestRepair:
    @given(TRIPLES)
    def test_counts_are_those_of_a_loop(self, triple):
        expected = dict.fromkeys(("errors", "repaired", "masked", "harmed", "lost"), 0)
        for truth, noisy, repaired in zip(*(labels.ravel().tolist() for labels in triple), strict=True):
            if truth != truth or noisy != noisy:
                continue
            error = noisy != truth
            expected["errors"] += error
            if repaired != repaired:
                expected["masked" if error else "lost"] += 1
            elif error and repaired == truth:
                expected["repaired"] += 1
            elif not error and repaired != truth:
                expected["harmed"] += 1
        assert repair_counts(*triple) == expected

    @given(label_matrices(unknown=False), SEEDS)
    def test_a_teacher_that_knows_repairs_all(self, truth, seed):
        noisy = inject_noise(truth, np.random.default_rng(seed), (0, 1), 0.5)
        counts = repair_counts(truth, noisy, correct_labels(noisy, truth, fp=True))
        assert counts["errors"] == counts["repaired"] == (noisy != truth).sum()
        assert counts["masked"] == counts["harmed"] == counts["lost"] == 0

    def test_shapes_that_differ(self):
        with pytest.raises(ValueError, match="differ"):
            repair_counts([[1]], [[1]], [[1, 0]])


PAIRS = shapes().flatmap(lambda shape: st.tuples(*[label_matrices(shape)] * 2))


class TestCeiling:
    @given(PAIRS, st.integers(0, 2**32))
    def test_of_all_scores_that_the_positives_may_share_it_has_the_lowest_cross_entropy(self, pair, seed):
        truth, noisy = pair
        weights = np.random.default_rng(seed).integers(0, 4, len(truth)).astype(float)
        found = score_ceiling(truth, noisy, weights)
        scores = np.linspace(0, 1, 1001)[1:-1]
        for c, ceiling in enumerate(found):
            there = (truth[:, c] == 1) & ~np.isnan(noisy[:, c])
            y, w = noisy[there, c], weights[there]
            if not w.sum():
                assert np.isnan(ceiling)
                continue
            loss = -(w * y).sum() * np.log(scores) - (w * (1 - y)).sum() * np.log(1 - scores)
            assert abs(np.clip(ceiling, 0.001, 0.999) - scores[loss.argmin()]) <= 0.0011

    @given(label_matrices(), st.floats(0, 1), st.floats(0, 1), SEEDS)
    def test_it_is_what_is_left_of_the_labels(self, truth, missing, false, seed):
        noisy = inject_noise(truth, np.random.default_rng(seed), (missing, missing), false)
        count = (truth == 1).sum(0)
        found = score_ceiling(truth, noisy)
        assert same(np.isnan(found), count == 0)
        left = count - np.floor(missing * count)
        np.testing.assert_allclose(found[count > 0], (left / np.maximum(count, 1))[count > 0], rtol=1e-12)

    @given(PAIRS)
    def test_weights_count_by_their_ratios(self, pair):
        weights = np.arange(len(pair[0])) + 1.0
        doubled = score_ceiling(*pair, 8 * weights)
        assert same(doubled, score_ceiling(*pair, weights))
        assert same(score_ceiling(*pair), score_ceiling(*pair, np.full(len(pair[0]), 0.5)))

    def test_pairs_with_unknown_labels_do_not_count(self):
        truth, noisy = [[1], [1], [nan], [1], [0]], [[1], [nan], [0], [0], [0]]
        assert same(score_ceiling(truth, noisy), [0.5])

    @pytest.mark.parametrize("weights", [[1], [-1, 1], [nan, 1], [[1, 1]]])
    def test_bad_weights(self, weights):
        with pytest.raises(ValueError, match="weights"):
            score_ceiling([[1], [1]], [[1], [0]], weights)

    def test_shapes_that_differ(self):
        with pytest.raises(ValueError, match="do not fit together"):
            score_ceiling([[1]], [[1, 0]])
