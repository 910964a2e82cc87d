import numpy as np
import pytest

from acdref.metrics import (
    average_precision,
    bootstrap_interval,
    bootstrap_intervals,
    bootstrap_weights,
    mean_average_precision,
)


def test_sources_are_drawn_whole_and_as_many_as_there_are():
    groups = ["a", "b", "b", "c", "c", "c"]
    for weight in bootstrap_weights(groups, 50):
        a, b, c = weight[0], weight[1], weight[3]
        np.testing.assert_array_equal(weight, [a, b, b, c, c, c])
        assert a + b + c == 3


def test_weights_follow_the_seed():
    first, again, other = (np.array(list(bootstrap_weights(range(20), 3, seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_interval_of_a_mean_is_that_of_theory():
    rng = np.random.default_rng(0)
    y, p = np.zeros((400, 1)), rng.standard_normal((400, 1))

    def mean(y, p, weight):
        return float(np.average(p[:, 0], weights=weight))

    low, high = bootstrap_interval(mean, y, p, range(400), repeats=2000)
    error = p.std() / np.sqrt(400)
    np.testing.assert_allclose([low, high], p.mean() + np.array([-1.96, 1.96]) * error, atol=0.15 * error)


def test_alike_recordings_of_a_source_make_the_interval_wider():
    rng = np.random.default_rng(1)
    y = np.repeat(rng.random((40, 1)) < 0.5, 10, axis=0).astype(float)
    p = np.repeat(rng.random((40, 1)), 10, axis=0) + 0.3 * y
    sources = np.repeat(np.arange(40), 10)
    by_source, single = (
        np.diff(bootstrap_interval(mean_average_precision, y, p, groups, repeats=300))
        for groups in (sources, range(400))
    )
    assert by_source > 2 * single


def test_a_measure_that_is_never_defined_has_no_interval():
    found = bootstrap_interval(mean_average_precision, np.zeros((3, 1)), np.ones((3, 1)), "abc", repeats=5)
    assert np.isnan(found).all()


@pytest.mark.parametrize("how", [{"groups": "ab"}, {"groups": "abc", "level": 1}])
def test_wrong_arguments_are_refused(how):
    with pytest.raises(ValueError, match=r"sources for|level must"):
        bootstrap_interval(mean_average_precision, np.zeros((3, 1)), np.ones((3, 1)), **how)


def test_many_intervals_are_those_of_one_after_the_other():
    rng = np.random.default_rng(2)
    y, p, groups = (rng.random((30, 3)) < 0.4).astype(float), rng.random((30, 3)), rng.integers(9, size=30)
    y[:, 2] = 0
    found = bootstrap_intervals(average_precision, y, p, groups, repeats=50)
    single = [
        bootstrap_interval(mean_average_precision, y[:, [c]], p[:, [c]], groups, repeats=50) for c in range(3)
    ]
    np.testing.assert_array_equal(found, np.transpose(single))
    assert np.isnan(found[:, 2]).all() and (found[0, :2] < found[1, :2]).all()
