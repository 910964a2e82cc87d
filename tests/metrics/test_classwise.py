"""What holds for every metric of classes: unknown labels, weights, order, types, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_support import CLOSE, PER_CLASS, evaluations, one_class

from acdref import metrics


class TestEveryMetricOfClasses:
    @pytest.mark.parametrize("metric", PER_CLASS)
    @given(evaluation=evaluations())
    def test_unknown_label_is_a_dropped_row(self, metric, evaluation):
        y, p, weight = evaluation
        whole = metric(y, p, sample_weight=weight)
        for c in range(y.shape[1]):
            labels, scores, w = one_class(y, p, weight, c)
            alone = metric(labels[:, None], scores[:, None], sample_weight=w)
            np.testing.assert_allclose(whole[c], alone[0], **CLOSE)

    @pytest.mark.parametrize("metric", PER_CLASS)
    def test_many_classes(self, metric):
        rng = np.random.default_rng(0)
        y, p, weight = rng.choice([0, 1, np.nan], (30, 70)), rng.random((30, 70)), rng.random((30, 70))
        alone = [metric(y[:, [c]], p[:, [c]], sample_weight=weight[:, [c]])[0] for c in range(70)]
        np.testing.assert_array_equal(metric(y, p, sample_weight=weight), alone)

    @pytest.mark.parametrize("metric", [metrics.average_precision, metrics.roc_auc])
    @pytest.mark.parametrize("threads", [1, 3])
    def test_threads(self, monkeypatch, metric, threads):
        """Bit-equal to each class alone, with few positives (counted) and many (sorted)."""
        rng = np.random.default_rng(0)
        y, p, weight = (
            rng.random((3000, 100)) < rng.choice([0.0005, 0.3], 100),
            rng.random((3000, 100)),
            rng.random(3000),
        )
        alone = [metric(y[:, [c]], p[:, [c]], weight)[0] for c in range(100)]
        monkeypatch.setattr("os.cpu_count", lambda: threads)
        np.testing.assert_array_equal(metric(y, p, weight), alone)

    @pytest.mark.parametrize("metric", PER_CLASS)
    def test_many_clips(self, metric):
        rng = np.random.default_rng(0)
        y, p, weight = rng.choice([0, 1, np.nan], (70, 3)), rng.random((70, 3)), rng.random((70, 3))
        again = metric(*(np.tile(each, (20, 1)) for each in (y, p)), sample_weight=np.tile(weight, (20, 1)))
        np.testing.assert_allclose(again, metric(y, p, sample_weight=weight), **CLOSE)

    @pytest.mark.parametrize("metric", [metrics.accuracy, metrics.f_score])
    def test_many_thresholds(self, metric):
        rng = np.random.default_rng(0)
        y, p, thresholds = rng.choice([0, 1, np.nan], (30, 70)), rng.random((30, 70)), rng.random(70)
        alone = [metric(y[:, [c]], p[:, [c]], thresholds[c])[0] for c in range(70)]
        np.testing.assert_array_equal(metric(y, p, thresholds), alone)

    @pytest.mark.parametrize("metric", PER_CLASS)
    @given(evaluation=evaluations())
    def test_weights_are_repetitions(self, metric, evaluation):
        y, p, weight = evaluation
        times = weight.astype(int) if weight.ndim == 1 else np.ones(len(y), dtype=int)
        repeated = metric(np.repeat(y, times, axis=0), np.repeat(p, times, axis=0))
        np.testing.assert_allclose(metric(y, p, sample_weight=times), repeated, **CLOSE)

    @pytest.mark.parametrize("metric", PER_CLASS)
    @given(evaluation=evaluations(), seed=st.integers(0, 2**32 - 1))
    def test_permutations(self, metric, evaluation, seed):
        y, p, _ = evaluation
        rng = np.random.default_rng(seed)
        rows, columns = rng.permutation(y.shape[0]), rng.permutation(y.shape[1])
        np.testing.assert_allclose(
            metric(y[rows][:, columns], p[rows][:, columns]), metric(y, p)[columns], **CLOSE
        )

    @pytest.mark.parametrize("metric", PER_CLASS)
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_arguments_stay(self, metric, order):
        rng = np.random.default_rng(0)
        y = np.array(rng.choice([0, 1, np.nan], (50, 20)), order=order)
        p, weight = np.array(rng.random((50, 20)), order=order), np.array(rng.random((50, 20)), order=order)
        before = y.copy(), p.copy(), weight.copy()
        metric(y, p)
        metric(y, p, sample_weight=weight)
        for now, then in zip((y, p, weight), before, strict=True):
            np.testing.assert_array_equal(now, then)

    @pytest.mark.parametrize("metric", PER_CLASS)
    def test_types(self, metric):
        rng = np.random.default_rng(0)
        y, p = rng.random((60, 40)) < 0.3, rng.integers(0, 9, (60, 40)) / 8
        expected = metric(y.astype(float), p)
        np.testing.assert_array_equal(metric(y, p.astype(np.float32)), expected)
        np.testing.assert_array_equal(metric(y.astype(np.int8), p.astype(np.float16)), expected)
        np.testing.assert_array_equal(metric(y.tolist(), p.tolist()), expected)

    @pytest.mark.parametrize("metric", PER_CLASS)
    def test_nan_score(self, metric):
        y, p = np.zeros((5, 40)), np.zeros((5, 40))
        p[3, 37] = np.nan
        with pytest.raises(ValueError, match="NaN score beside a known label in class 37"):
            metric(y, p)
        y[3, 37] = np.nan
        clean = np.where(np.isnan(p), 0, p)
        np.testing.assert_array_equal(metric(y, p), metric(y, clean))

    @pytest.mark.parametrize("metric", PER_CLASS)
    @pytest.mark.parametrize("label", [0, 1])
    def test_nan_score_of_no_weight(self, metric, label):
        """Weight 0 means unknown, for positives and for negatives."""
        y, p, weight = (
            np.array([[1], [0], [0], [label]]),
            np.array([[0.7], [0.2], [0.8], [np.nan]]),
            [1, 2, 3, 0],
        )
        np.testing.assert_array_equal(
            metric(y, p, sample_weight=weight), metric(y[:3], p[:3], sample_weight=[1, 2, 3])
        )

    @pytest.mark.parametrize("metric", PER_CLASS)
    @pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
    def test_nothing(self, metric, shape):
        values = metric(np.zeros(shape), np.zeros(shape))
        assert values.shape == shape[1:]
        assert np.isnan(values).all()
        assert np.isnan(metrics.mean_over_classes(values))

    @pytest.mark.parametrize("metric", [*PER_CLASS, metrics.lwlrap])
    @pytest.mark.parametrize(
        ("y", "p", "weight", "message"),
        [
            ([[0.5]], [[0.5]], None, "y must hold"),
            ([[2]], [[0.5]], None, "y must hold"),
            ([[np.inf]], [[0.5]], None, "y must hold"),
            ([["a"]], [[0.5]], None, "real numbers"),
            ([[1]], [[1j]], None, "real numbers"),
            ([1], [0.5], None, "one shape"),
            ([[1]], [[0.5, 0.5]], None, "one shape"),
            ([[1]], [[0.5]], [1, 1], "sample_weight"),
            ([[1]], [[0.5]], [-1], "sample_weight"),
            ([[1]], [[0.5]], [np.nan], "sample_weight"),
        ],
    )
    def test_refuses(self, metric, y, p, weight, message):
        with pytest.raises(ValueError, match=message):
            metric(y, p, sample_weight=weight)


def test_undefined_values_are_passed_over_by_means():
    assert metrics.mean_over_classes([0.5, np.nan, 1.0]) == 0.75


def test_mean_of_nothing_defined():
    assert np.isnan(metrics.mean_over_classes([np.nan]))
    assert np.isnan(metrics.mean_over_classes([]))
