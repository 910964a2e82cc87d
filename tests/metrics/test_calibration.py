import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from acdref.metrics import best_thresholds, f_score, platt_scaling, reliability


def problem(seed, n=300, classes=3):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, classes)) < [0.5, 0.1, 0.02][:classes]).astype(float)
    z = 2.0 * y - 1 + 1.5 * rng.standard_normal((n, classes))
    return y, z


SCORES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8, 1.0])


@given(
    arrays(float, (12, 1), elements=SCORES),
    arrays(float, (12, 1), elements=st.sampled_from([0.0, 1.0, np.nan])),
)
def test_without_resampling_no_threshold_is_better(p, y):
    (threshold,) = best_thresholds(y, p, repeats=0)
    if not (y == 1).any():
        assert threshold == 0.5
        return
    every = [f_score(y, p, t)[0] for t in (-0.1, 0.05, 0.2, 0.4, 0.65, 0.9)]
    assert f_score(y, p, threshold)[0] == pytest.approx(np.nanmax(every))


def test_resampled_thresholds_lie_near_the_best_and_follow_the_seed():
    y, z = problem(0, 2000)
    p = 1 / (1 + np.exp(-z))
    found = best_thresholds(y, p)
    np.testing.assert_array_equal(found, best_thresholds(y, p))
    best = f_score(y, p, best_thresholds(y, p, repeats=0))
    assert (f_score(y, p, found) > best - 0.03).all()


def test_thresholds_of_whole_sources_differ_from_those_of_single_recordings():
    y, z = problem(1, 240)
    assert (best_thresholds(y, z, np.arange(240) // 24) != best_thresholds(y, z)).any()


def test_platt_scaling_is_scikit_learns():
    calibration = pytest.importorskip("sklearn.calibration")
    y, z = problem(2)
    scale, shift = platt_scaling(y, z)
    for c in range(y.shape[1]):
        a, b = calibration._sigmoid_calibration(z[:, c], y[:, c])
        np.testing.assert_allclose([scale[c], shift[c]], [-a, -b], rtol=2e-3, atol=2e-3)


def test_platt_scaling_minimises_the_cross_entropy_of_platts_targets():
    y, z = problem(3, classes=1)
    scale, shift = platt_scaling(y, z)
    n, m = (y == 1).sum(), (y == 0).sum()
    target = np.where(y == 1, (n + 1) / (n + 2), 1 / (m + 2))

    def loss(a, b):
        return np.sum(np.logaddexp(0, a * z + b) - target * (a * z + b))

    least = loss(scale, shift)
    for a, b in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        assert loss(scale + a, shift + b) > least


def test_platt_scaling_of_logits_that_are_honest_already_changes_little():
    rng = np.random.default_rng(4)
    z = rng.normal(-2, 2, (20000, 1))
    y = (rng.random(z.shape) < 1 / (1 + np.exp(-z))).astype(float)
    scale, shift = platt_scaling(y, z)
    np.testing.assert_allclose([scale[0], shift[0]], [1, 0], atol=0.05)


def test_perfectly_separated_logits_give_finite_probabilities():
    scale, shift = platt_scaling([[0], [0], [1], [1]], [[-1e4], [-1.0], [1.0], [1e4]])
    p = 1 / (1 + np.exp(-(scale * 1.0 + shift)))
    assert np.isfinite(scale).all()
    assert 0.5 < p < 0.9


@pytest.mark.parametrize("y", [[[0], [0]], [[1], [1]], [[1], [0]], [[1], [np.nan]]])
def test_classes_that_teach_nothing_keep_their_logits(y):
    scale, shift = platt_scaling(y, [[-2.0], [3.0]])
    assert (scale[0], shift[0]) == (1, 0)


def test_unknown_labels_take_no_part():
    y, z = problem(5)
    hidden = y.copy()
    hidden[::3] = np.nan
    np.testing.assert_array_equal(
        platt_scaling(hidden, z),
        platt_scaling(np.delete(y, slice(None, None, 3), 0), np.delete(z, slice(None, None, 3), 0)),
    )


def test_reliability_is_scikit_learns():
    calibration = pytest.importorskip("sklearn.calibration")
    rng = np.random.default_rng(6)
    p = rng.random((500, 2))
    y = (rng.random(p.shape) < p**2).astype(float)
    found = reliability(y, p)
    share, probability = calibration.calibration_curve(y.ravel(), p.ravel(), n_bins=10)
    np.testing.assert_allclose(found.share, share)
    np.testing.assert_allclose(found.probability, probability)
    assert found.error > 0.1


def test_honest_probabilities_have_no_error_and_none_have_nan():
    assert reliability([[1], [0]], [[1.0], [0.0]]).error == 0
    assert np.isnan(reliability([[np.nan]], [[0.3]]).error)


@pytest.mark.parametrize(("p", "bins"), [([[1.5]], 10), ([[0.5]], 0)])
def test_what_is_no_probability_is_refused(p, bins):
    with pytest.raises(ValueError, match="within"):
        reliability([[1]], p, bins)


@pytest.mark.parametrize("function", [best_thresholds, platt_scaling, reliability])
def test_what_is_neither_label_nor_score(function):
    for wrong in (np.nan, np.inf):
        with pytest.raises(ValueError, match="no finite number"):
            function([[1], [0]], [[0.5], [wrong]])
    with pytest.raises(ValueError, match="y must hold"):
        function([[1], [0.5]], [[0.5], [0.5]])


@pytest.mark.parametrize("sources", ["abc", "a"])
def test_thresholds_take_one_source_for_each_recording(sources):
    with pytest.raises(ValueError, match=f"{len(sources)} sources for 2 recordings"):
        best_thresholds([[1], [0]], [[0.5], [0.1]], sources)
