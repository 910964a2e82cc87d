"""Statistics of streamed scores equal those of the whole array, bit by bit."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.labels import percentile_thresholds, positive_thresholds
from acdref.tables.statistics import exact_means, exact_quantiles
from acdref.testing.strategies import labels_with_scores


def pieces(y, p, value, size=3):
    for start in range(0, len(y), size):
        rows, columns = np.nonzero((y[start : start + size] == value) & ~np.isnan(p[start : start + size]))
        yield columns, p[start : start + size][rows, columns]


@settings(deadline=None)
@given(labels_with_scores(), st.sampled_from([0.0, 0.05, 0.3, 0.5]), st.sampled_from([1, 5, 10**6]))
def test_percentiles_of_negatives(labels_and_scores, q, budget):
    y, p = labels_and_scores
    found = exact_quantiles(lambda: pieces(y, p, 0), y.shape[1], 1.0 - q, budget)
    np.testing.assert_array_equal(found, percentile_thresholds(y, p, q))


@settings(deadline=None)
@given(labels_with_scores())
def test_means_of_positives(labels_and_scores):
    y, p = labels_and_scores
    np.testing.assert_array_equal(exact_means(pieces(y, p, 1), y.shape[1]), positive_thresholds(y, p))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("budget", [1, 1000, 10**6])
def test_many_scores(dtype, budget):
    rng = np.random.default_rng(0)
    p = rng.beta(0.3, 3.0, size=(5000, 4)).astype(dtype).astype(float)
    p[:, 1] = p[:, 1].round(1)
    p[:, 2] = 0.25
    y = (rng.random(p.shape) < 0.3).astype(float)
    for q in (0.05, 0.5, 0.99):
        found = exact_quantiles(lambda: pieces(y, p, 0, 256), 4, 1.0 - q, budget)
        np.testing.assert_array_equal(found, percentile_thresholds(y, p, q))
    np.testing.assert_array_equal(exact_means(pieces(y, p, 1, 256), 4), positive_thresholds(y, p))


def test_no_scores_at_all():
    assert np.isnan(exact_quantiles(list, 3, 0.5)).all()
    assert np.isnan(exact_means([], 3)).all()


def test_extreme_scores():
    scores = np.array([0.0, -0.0, 5e-324, 1e-310, 1.0])
    columns = np.zeros(5, dtype=int)
    assert exact_means([(columns, scores)], 1) == np.sum(scores) / 5
    for q in np.linspace(0, 1, 9):
        assert exact_quantiles(lambda: [(columns, scores)], 1, q, budget=1) == np.quantile(scores, q)


def test_passes_are_few():
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    calls = []

    def passes():
        calls.append(1)
        yield np.zeros(len(scores), dtype=int), scores

    exact_quantiles(passes, 1, 0.95)
    assert len(calls) == 2


def test_memory_does_not_grow_with_the_scores():
    def peak(count):
        def passes():
            rng = np.random.default_rng(0)
            for _ in range(count):
                yield np.zeros(1000, dtype=int), rng.random(1000)

        tracemalloc.start()
        exact_quantiles(passes, 2, 0.9, budget=2000)
        exact_means(passes(), 2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(300) < 1.1 * peak(30)
