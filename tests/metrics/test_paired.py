import math

import numpy as np
import pytest

from acdref.metrics import Paired, paired


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9, 10, 11, 30, 101, 400])
def test_scipy(n):
    stats = pytest.importorskip("scipy.stats")
    differences = np.random.default_rng(n).normal(0.01, 0.02, n)
    found = paired(differences)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.mean - found.half, found.mean + found.half], [low, high], rtol=1e-10)
    assert found.shown == (stats.ttest_1samp(differences, 0).pvalue < 0.05)


def test_by_hand():
    # The printed quantile for two degrees of freedom is 4.303.
    found = paired([1, 2, 3])
    assert found == pytest.approx((2, 4.302653 / math.sqrt(3), 3, 3))


def test_no_difference_is_not_up():
    assert paired([0, 0.5, -0.5, 0.1])[2:] == (2, 4)


def test_one_difference_has_no_interval_and_shows_nothing():
    found = paired([0.25])
    assert found == pytest.approx((0.25, math.nan, 1, 1), nan_ok=True)
    assert not found.shown
    assert str(found) == "+0.2500 (1 of 1 seed up)"


def test_equal_differences_are_certain():
    assert paired([-0.5] * 4) == (-0.5, 0, 0, 4)
    assert paired([-0.5] * 4).shown
    assert not paired([0.0] * 4).shown


@pytest.mark.parametrize("n", [2, 8, 9])
def test_what_would_be_shown_four_times_of_five(n):
    stats = pytest.importorskip("scipy.stats")
    found = paired(np.random.default_rng(n).normal(0.01, 0.02, n))
    t = stats.t(n - 1)
    assert found.detectable == pytest.approx(found.half / t.ppf(0.975) * (t.ppf(0.975) + t.ppf(0.8)))


def test_of_experiments_whose_true_mean_is_detectable_four_of_five_show_it():
    n, spread = 8, 0.01
    unit = paired(np.resize([-1.0, 1.0], n)).detectable / np.resize([-1.0, 1.0], n).std(ddof=1)
    draws = np.random.default_rng(0).normal(unit * spread, spread, (4000, n))
    found = [paired(one) for one in draws]
    assert np.mean([one.shown and one.mean > 0 for one in found]) == pytest.approx(0.8, abs=0.04)
    assert math.isnan(paired([0.25]).detectable)


def test_text():
    assert str(Paired(0.00637, 0.00441, 8, 10)) == "+0.0064 ± 0.0044 (8 of 10 seeds up)"


@pytest.mark.parametrize("differences", [[], [0.1, math.nan], [math.inf], [[0.1]], 0.1])
def test_bad_differences(differences):
    with pytest.raises(ValueError, match="differences must be finite"):
        paired(differences)
