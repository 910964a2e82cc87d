"""The metrics' cases, beside scikit-learn, SciPy and plain loops."""

import math

import numpy as np
import pytest
from conform_support import assert_consistent, by_function

from acdref.conform import metrics

CASES = by_function(metrics.cases())


def test_names_kinds_and_mistakes():
    assert_consistent(CASES)


def test_every_function_tells_mistakes():
    for function, variants in CASES.items():
        assert any(case.mistakes for case in variants.values()), function


def columns(given):
    """Labels, scores and weights of each class, of what takes part."""
    for y, p, weight in zip(given["y"].T, given["p"].T, given["weight"].T, strict=True):
        part = ~np.isnan(y) & (weight > 0)
        yield y[part], p[part], weight[part]


@pytest.mark.parametrize("variant", ["random", "weighted", "small"])
def test_areas_by_scikit_learn(variant):
    oracle = pytest.importorskip("sklearn.metrics")
    ap, auc = (CASES[f"metrics/{name}"][variant] for name in ("average_precision", "roc_auc"))
    for c, (y, p, weight) in enumerate(columns(ap.inputs)):
        if (y == 1).any():
            expected = oracle.average_precision_score(y, p, sample_weight=weight)
            assert ap.outputs["ap"][c] == pytest.approx(expected, rel=1e-12)
        else:
            assert math.isnan(ap.outputs["ap"][c])
        if (y == 1).any() and (y == 0).any():
            expected = oracle.roc_auc_score(y, p, sample_weight=weight)
            assert auc.outputs["auc"][c] == pytest.approx(expected, rel=1e-12)
        else:
            assert math.isnan(auc.outputs["auc"][c])
    assert ap.outputs["mean"] == pytest.approx(np.nanmean(ap.outputs["ap"]))


@pytest.mark.parametrize("variant", ["random", "weighted", "by_class", "float32", "small"])
def test_detection_by_scikit_learn(variant):
    oracle = pytest.importorskip("sklearn.metrics")
    case, scores = CASES["metrics/accuracy"][variant], CASES["metrics/f_score"][variant].outputs["f_score"]
    for c, (y, p, weight) in enumerate(columns(case.inputs)):
        found = p > case.inputs["threshold"][c]
        if not len(y):
            assert math.isnan(case.outputs["accuracy"][c]) and math.isnan(scores[c])
            continue
        expected = oracle.accuracy_score(y, found, sample_weight=weight)
        assert case.outputs["accuracy"][c] == pytest.approx(expected, rel=1e-12)
        expected = oracle.f1_score(y, found, sample_weight=weight, zero_division=np.nan)
        assert scores[c] == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("variant", ["small", "tied", "random", "weighted"])
def test_lwlrap_by_scikit_learn(variant):
    oracle = pytest.importorskip("sklearn.metrics")
    given, outputs = CASES["metrics/lwlrap"][variant].inputs, CASES["metrics/lwlrap"][variant].outputs
    y = np.nan_to_num(given["y"])
    some = y.any(axis=1)
    counts = y[some].sum(axis=1) * given["weight"][some]
    expected = oracle.label_ranking_average_precision_score(y[some], given["p"][some], sample_weight=counts)
    assert outputs["lwlrap"] == pytest.approx(expected, rel=1e-12)
    assert outputs["lwlrap"] == pytest.approx(outputs["values"] @ outputs["weights"])


def test_sensitivity_by_scipy():
    norm = pytest.importorskip("scipy.stats").norm
    for case in CASES["metrics/d_prime"].values():
        expected = math.sqrt(2) * norm.ppf(case.inputs["auc"])
        np.testing.assert_allclose(case.outputs["d_prime"], expected, rtol=1e-12, atol=1e-15)


def test_the_pages_approximation_is_good_enough():
    import re
    from statistics import NormalDist

    from conform_support import PAGE

    rows = re.findall(r"^([abcd]) = ([-+.\de ]+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    a, b, c, d = ([float(value) for value in row.split()] for _, row in rows)

    def quantile(x):
        if x > 0.97575:
            return -quantile(1 - x)
        if x < 0.02425:
            v = math.sqrt(-2 * math.log(x))
            return np.polyval(c, v) / np.polyval(d, v)
        u = x - 0.5
        return u * np.polyval(a, u * u) / np.polyval(b, u * u)

    areas = [x for x in np.linspace(1e-6, 1 - 1e-6, 501) if x != 0.5]
    assert max(abs(quantile(x) / NormalDist().inv_cdf(x) - 1) for x in areas) < 2e-9


def test_mapk_by_loops():
    case = CASES["metrics/map_at_k"]["three"]
    for actual, predicted, value in zip(
        case.inputs["actual"].tolist(), case.inputs["predicted"].tolist(), case.outputs["values"], strict=True
    ):
        classes, total, hits = [c for c in actual if c >= 0], 0.0, 0
        for rank, guess in enumerate(predicted[:3], 1):
            if guess in classes and guess not in predicted[: rank - 1]:
                hits += 1
                total += hits / rank
        assert value == pytest.approx(total / min(len(classes), 3) if classes else 0)
