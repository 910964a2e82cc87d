"""Accuracy and F-score against scikit-learn, run here or recorded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_support import CLOSE, evaluations, one_class

from acdref import metrics


class TestAccuracy:
    @pytest.mark.parametrize("threshold", [0.5, 0.2])
    def test_golden(self, ranked, threshold):
        y, p = ranked["y"], ranked[f"acc_prob_{threshold}"]
        np.testing.assert_allclose(metrics.accuracy(y, p, threshold), ranked[f"acc_gt_{threshold}"], **CLOSE)
        expected = ranked[f"acc_mean_{threshold}"]
        assert metrics.mean_accuracy(y, p, threshold) == pytest.approx(expected, abs=1e-12)

    def test_threshold_is_strict_and_compared_in_float64(self):
        np.testing.assert_array_equal(metrics.accuracy([[0.0]], [[0.5]]), [1.0])
        assert float(np.float32(0.2)) > 0.2
        np.testing.assert_array_equal(metrics.accuracy([[1.0]], np.float32([[0.2]]), 0.2), [1.0])

    def test_threshold_per_class(self):
        np.testing.assert_array_equal(metrics.accuracy([[1, 1]], [[0.3, 0.3]], [0.2, 0.4]), [1.0, 0.0])

    @pytest.mark.parametrize("threshold", [[0.1, 0.2, 0.3], np.nan])
    def test_refuses_thresholds(self, threshold):
        with pytest.raises(ValueError, match="threshold"):
            metrics.accuracy([[1, 1]], [[0.3, 0.3]], threshold)

    @given(evaluations())
    def test_counts(self, evaluation):
        y, p, weight = evaluation
        acc = metrics.accuracy(y, p, sample_weight=weight)
        for c in range(y.shape[1]):
            labels, scores, w = one_class(y, p, weight, c)
            if len(labels):
                assert acc[c] == pytest.approx(np.average((scores > 0.5) == labels, weights=w), abs=1e-12)
            else:
                assert np.isnan(acc[c])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_threshold_at_the_ends_of_a_type(self, dtype):
        """The threshold is rounded to the scores' type, and must part them as float64 would."""
        ends = [0.0, -0.0, 1e-50, -1e-50, 1e-45, -1e-45, 0.1, 1e300, -1e300, np.inf, -np.inf]
        with np.errstate(over="ignore"):
            p = np.array([*ends, np.nextafter(np.float32(0.1), np.float32(0))]).astype(dtype)[:, None]
        for threshold in ends:
            detected = p.astype(np.float64) > threshold
            np.testing.assert_array_equal(metrics.accuracy(np.ones_like(p), p, threshold), detected.mean(0))

    def test_sums_of_many_clips(self):
        """More clips than are counted at once, and a rest."""
        rng = np.random.default_rng(0)
        y, p, weight = rng.choice([0, 1, np.nan], (2500, 3)), rng.random((2500, 3)), rng.random((2500, 3))
        known, right = ~np.isnan(y), (p > 0.5) == y
        np.testing.assert_array_equal(metrics.accuracy(y, p), right.sum(0) / known.sum(0))
        expected = (weight * right).sum(0) / (weight * known).sum(0)
        np.testing.assert_allclose(metrics.accuracy(y, p, sample_weight=weight), expected, **CLOSE)
        alone = [metrics.accuracy(y[:, [c]], p[:, [c]], sample_weight=weight[:, [c]])[0] for c in range(3)]
        np.testing.assert_array_equal(metrics.accuracy(y, p, sample_weight=weight), alone)


class TestFScore:
    @given(evaluations(), st.sampled_from([0.5, 1.0, 2.0]))
    def test_sklearn(self, sklearn, evaluation, beta):
        y, p, weight = evaluation
        f = metrics.f_score(y, p, 0.25, beta, weight, undefined=0.0)
        for c in range(y.shape[1]):
            labels, scores, w = one_class(y, p, weight, c)
            expected = 0.0
            if len(labels):
                expected = sklearn.fbeta_score(
                    labels,
                    scores > 0.25,
                    beta=beta,
                    sample_weight=w,
                    zero_division=0,
                    labels=[1],
                    average="micro",
                )
            assert f[c] == pytest.approx(expected, abs=1e-12)

    def test_undefined_without_positives_and_detections(self):
        np.testing.assert_array_equal(metrics.f_score([[0, 0]], [[0.1, 0.9]]), [np.nan, 0.0])

    @pytest.mark.parametrize("beta", [0, -1, np.inf, np.nan])
    def test_refuses_beta(self, beta):
        with pytest.raises(ValueError, match="beta"):
            metrics.f_score([[1]], [[0.3]], beta=beta)
