"""lwlrap and MAP@k against the DCASE baselines' (recorded) and scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_support import CLOSE, evaluations, golden

from acdref import metrics


class TestLwlrap:
    @pytest.mark.parametrize("case", ["dense", "sparse", "nolabel", "single"])
    def test_golden(self, case):
        g = golden("metrics_lwlrap.npz")
        y, p = g[f"{case}_truth"], g[f"{case}_scores"]
        values, weights = metrics.lwlrap_per_class(y, p)
        np.testing.assert_allclose(values, g[f"{case}_per_class"], **CLOSE)
        np.testing.assert_allclose(weights, g[f"{case}_weight"], **CLOSE)
        assert metrics.lwlrap(y, p) == pytest.approx(g[f"{case}_overall"], abs=1e-12)

    def test_golden_ties(self):
        g = golden("metrics_lwlrap.npz")
        expected = pytest.approx(g["ties_sklearn_overall"], abs=1e-12)
        assert metrics.lwlrap(g["ties_truth"], g["ties_scores"]) == expected

    @given(evaluations(unknown=False))
    def test_sklearn(self, sklearn, evaluation):
        y, p, weight = evaluation
        weight = weight if weight.ndim == 1 else weight[:, 0]
        p = np.clip(p, -2, 2)
        share = y.sum(axis=1) * weight
        if share.any() and y.shape[1] > 1:
            expected = sklearn.label_ranking_average_precision_score(y, p, sample_weight=share)
            assert metrics.lwlrap(y, p, weight) == pytest.approx(expected, abs=1e-12)

    @given(evaluations())
    def test_unknown_counts_as_absent(self, evaluation):
        y, p, _ = evaluation
        np.testing.assert_array_equal(metrics.lwlrap(y, p), metrics.lwlrap(np.nan_to_num(y), p))

    def test_many_clips(self):
        rng = np.random.default_rng(0)
        y, p, weight = rng.random((200, 5)) < 0.3, rng.random((200, 5)), rng.random(200)
        alone = np.array([metrics.lwlrap(y[i : i + 1], p[i : i + 1]) for i in range(200)])
        share = y.sum(axis=1) * weight
        expected = np.nansum(alone * share) / share.sum()
        assert metrics.lwlrap(y, p, weight) == pytest.approx(expected, abs=1e-12)

    def test_without_positives(self):
        assert np.isnan(metrics.lwlrap([[0, np.nan]], [[0.1, 0.2]]))

    def test_refuses(self):
        with pytest.raises(ValueError, match="NaN score"):
            metrics.lwlrap([[np.nan, 1]], [[np.nan, 0.5]])
        with pytest.raises(ValueError, match="clips"):
            metrics.lwlrap([[0, 1]], [[0.1, 0.5]], [[1, 1]])


class TestMapAtK:
    def test_golden(self):
        for case in golden("metrics_mapk.json")["cases"]:
            arguments = case["actual"], case["predicted"], case["k"]
            np.testing.assert_allclose(metrics.average_precision_at_k(*arguments), case["apk"], **CLOSE)
            assert metrics.map_at_k(*arguments) == pytest.approx(case["mapk"], abs=1e-12)

    @given(st.lists(st.tuples(st.integers(0, 4), st.permutations(range(5))), min_size=1))
    def test_single_label_bounds(self, clips):
        """MAP@3 lies in [accuracy, (1 + accuracy) / 2]."""
        right = np.mean([label == order[0] for label, order in clips])
        value = metrics.map_at_k([[label] for label, _ in clips], np.array([order for _, order in clips]))
        assert right - 1e-12 <= value <= (1 + right) / 2 + 1e-12

    def test_no_clips(self):
        assert np.isnan(metrics.map_at_k([], []))

    @pytest.mark.parametrize(("actual", "predicted", "k"), [([[1]], [[1]], 0), ([[1]], [], 3)])
    def test_refuses(self, actual, predicted, k):
        with pytest.raises(ValueError, match=r"k must|predicted"):
            metrics.map_at_k(actual, predicted, k)
