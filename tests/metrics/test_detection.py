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
