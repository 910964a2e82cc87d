"""Oracles: scikit-learn (run here, or recorded), the DCASE baselines' lwlrap and MAP@k (recorded)."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref import metrics

GOLDEN = Path(__file__).parents[1] / ".." / "shared" / "golden"
PER_CLASS = [metrics.average_precision, metrics.roc_auc, metrics.accuracy, metrics.f_score]
close = {"rtol": 0, "atol": 1e-12}


def golden(name):
    path = GOLDEN / name
    if not path.exists():
        pytest.skip(f"needs {name}")
    return json.loads(path.read_text()) if path.suffix == ".json" else np.load(path, allow_pickle=False)


@pytest.fixture(scope="module")
def ranked():
    return golden("metrics_ap_auc_dprime.npz")


@pytest.fixture(scope="module")
def sklearn():
    return pytest.importorskip("sklearn.metrics")


@st.composite
def evaluations(draw, unknown=True, dtype=np.float64):
    """Labels with unknowns, scores with ties and infinities, weights with zeros."""
    n, c = draw(st.tuples(st.integers(1, 12), st.integers(1, 6)))
    y = draw(hnp.arrays(np.float64, (n, c), elements=st.sampled_from([0.0, 1.0] + [np.nan] * unknown)))
    scores = st.sampled_from([-np.inf, -1.0, 0.0, 0.125, 0.25, 0.5, 0.75, 1.0, np.inf])
    p = draw(hnp.arrays(dtype, (n, c), elements=scores))
    weight = draw(hnp.arrays(np.float64, draw(st.sampled_from([(n,), (n, c)])), elements=st.integers(0, 3)))
    return y, p, weight


def one_class(y, p, weight, c):
    """Column c where its label is known and counts."""
    weight = (weight if weight.ndim == 2 else np.repeat(weight[:, None], y.shape[1], axis=1))[:, c]
    known = ~np.isnan(y[:, c]) & (weight > 0)
    return y[known, c], p[known, c], weight[known]


class TestAveragePrecision:
    @pytest.mark.parametrize("case", ["cont", "tied", "const", "perfect"])
    def test_golden(self, ranked, case):
        y, p = ranked["y"], ranked[f"{case}_scores"]
        np.testing.assert_allclose(metrics.average_precision(y, p), ranked[f"{case}_ap"], **close)
        assert metrics.mean_average_precision(y, p) == pytest.approx(ranked[f"{case}_map"], abs=1e-12)

    def test_golden_weighted(self, ranked):
        ap = metrics.average_precision(ranked["y"], ranked["cont_scores"], ranked["w"])
        np.testing.assert_allclose(ap, ranked["cont_ap_weighted"], **close)

    def test_golden_unknown(self, ranked):
        ap = metrics.average_precision(ranked["y_masked"], ranked["tied_scores"])
        np.testing.assert_allclose(ap, ranked["masked_ap"], **close)

    def test_degenerate(self):
        degenerate = golden("metrics_degenerate.json")["degenerate"]
        y, p = [[0, 1], [0, 1]], [[0.2, 0.2], [0.3, 0.3]]
        expected = [float(degenerate["no_pos_ap"]), float(degenerate["all_pos_ap"])]
        np.testing.assert_array_equal(metrics.average_precision(y, p, undefined=0.0), expected)
        np.testing.assert_array_equal(metrics.average_precision(y, p), [np.nan, 1.0])
        assert metrics.mean_average_precision(y, p) == 1.0
        assert metrics.mean_average_precision(y, p, undefined=0.0) == 0.5

    @given(evaluations())
    def test_sklearn(self, sklearn, evaluation):
        y, p, weight = evaluation
        p = np.clip(p, -2, 2)  # scikit-learn refuses infinities
        ap = metrics.average_precision(y, p, weight, undefined=0.0)
        for c in range(y.shape[1]):
            labels, scores, w = one_class(y, p, weight, c)
            expected = (
                sklearn.average_precision_score(labels, scores, sample_weight=w) if labels.any() else 0.0
            )
            assert ap[c] == pytest.approx(expected, abs=1e-12)


class TestRocAuc:
    @pytest.mark.parametrize("case", ["cont", "tied", "const", "perfect"])
    def test_golden(self, ranked, case):
        auc = metrics.roc_auc(ranked["y"], ranked[f"{case}_scores"])
        np.testing.assert_allclose(auc, ranked[f"{case}_auc"], **close)
        np.testing.assert_allclose(
            metrics.d_prime(auc), ranked[f"{case}_dprime_per_class"], rtol=0, atol=1e-10
        )
        expected = ranked[f"{case}_dprime_of_mauc"]
        assert metrics.mean_d_prime(auc) == pytest.approx(expected, abs=1e-12)

    def test_golden_weighted(self, ranked):
        auc = metrics.roc_auc(ranked["y"], ranked["tied_scores"], ranked["w"])
        np.testing.assert_allclose(auc, ranked["tied_auc_weighted"], **close)

    def test_golden_unknown(self, ranked):
        auc = metrics.roc_auc(ranked["y_masked"], ranked["tied_scores"])
        np.testing.assert_allclose(auc, ranked["masked_auc"], **close)

    @pytest.mark.filterwarnings("error")
    def test_one_sided_class_is_undefined(self):
        assert np.isnan(metrics.roc_auc([[0, 1], [0, 1]], [[0.2, 0.2], [0.3, 0.3]])).all()

    @given(evaluations())
    def test_sklearn(self, sklearn, evaluation):
        y, p, weight = evaluation
        p = np.clip(p, -2, 2)
        auc = metrics.roc_auc(y, p, weight)
        for c in range(y.shape[1]):
            labels, scores, w = one_class(y, p, weight, c)
            if 0 < labels.sum() < len(labels):
                assert auc[c] == pytest.approx(
                    sklearn.roc_auc_score(labels, scores, sample_weight=w), abs=1e-12
                )
            else:
                assert np.isnan(auc[c])

    @given(evaluations())
    def test_reversed_scores(self, evaluation):
        y, p, weight = evaluation
        np.testing.assert_allclose(metrics.roc_auc(y, p, weight), 1 - metrics.roc_auc(y, -p, weight), **close)

    @given(evaluations())
    def test_perfect_is_exactly_one_under_any_weights(self, evaluation):
        y, _, weight = evaluation
        auc = metrics.roc_auc(y, np.nan_to_num(y), weight / 3)
        assert set(auc[~np.isnan(auc)]) <= {1.0}


class TestBalanceNegatives:
    def test_golden(self, ranked):
        parts = [ranked[f"mix_{name}"] for name in ("pos", "comp", "expl")]
        p = np.concatenate(parts)[:, None]
        pool = np.repeat(["pos", "comp", "expl"], [len(part) for part in parts])[:, None]
        y = (pool == "pos").astype(float)
        weight = metrics.balance_negatives(y, pool == "expl")
        close_to = lambda value: pytest.approx([float(value)], abs=1e-12)  # noqa: E731
        assert metrics.roc_auc(y, p, weight) == close_to(ranked["mix_auc_balanced"])
        assert metrics.roc_auc(y, p) == close_to(ranked["mix_auc_pooled"])
        for absent, alone in (("comp", "mix_auc_expl"), ("expl", "mix_auc_comp")):
            left = np.where(pool == absent, np.nan, y)
            weight = metrics.balance_negatives(left, pool == "expl")
            assert metrics.roc_auc(left, p, weight) == close_to(ranked[alone])

    @given(evaluations(), st.integers(0, 2**32 - 1))
    def test_mean_of_the_two_areas(self, evaluation, seed):
        y, p, _ = evaluation
        explicit = np.random.default_rng(seed).random(y.shape) < 0.5
        weight = metrics.balance_negatives(y, explicit)
        with_explicit = metrics.roc_auc(np.where((y == 0) & ~explicit, np.nan, y), p)
        with_complementary = metrics.roc_auc(np.where((y == 0) & explicit, np.nan, y), p)
        expected = np.where(
            np.isnan(with_explicit),
            with_complementary,
            np.where(np.isnan(with_complementary), with_explicit, (with_explicit + with_complementary) / 2),
        )
        np.testing.assert_allclose(metrics.roc_auc(y, p, weight), expected, **close)
        negatives = np.where(y == 0, weight, 0).sum(axis=0)
        np.testing.assert_allclose(negatives, (y == 0).sum(axis=0), **close)  # the prior stays

    def test_needs_booleans(self):
        with pytest.raises(ValueError, match="boolean"):
            metrics.balance_negatives([[0, 1]], [[0, 1]])


class TestDPrime:
    def test_golden_grid(self, ranked):
        np.testing.assert_allclose(metrics.d_prime(ranked["auc_grid"]), ranked["dprime_grid"], **close)

    def test_published(self):
        assert metrics.d_prime(0.788) == pytest.approx(1.13, abs=0.005)
        np.testing.assert_allclose(
            metrics.d_prime([0.9207, 0.9587, 0.9643, 0.9664]), [1.994, 2.454, 2.549, 2.588], atol=0.002
        )

    def test_averages(self):
        auc = np.array([0.6, 0.9, np.nan])
        assert metrics.mean_d_prime(auc) == metrics.d_prime(0.75)
        assert metrics.mean_d_prime(auc, "d_prime") == (metrics.d_prime(0.6) + metrics.d_prime(0.9)) / 2
        assert metrics.mean_d_prime([0.6, 1.0], "d_prime") == np.inf
        assert metrics.mean_d_prime([0.6, 1.0]) == metrics.d_prime(0.8)

    @pytest.mark.parametrize("auc", [-0.1, 1.1])
    def test_refuses_what_is_no_area(self, auc):
        with pytest.raises(ValueError, match="auc"):
            metrics.d_prime([auc])

    def test_refuses_unknown_average(self):
        with pytest.raises(ValueError, match="average"):
            metrics.mean_d_prime([0.5], "median")


class TestAccuracy:
    @pytest.mark.parametrize("threshold", [0.5, 0.2])
    def test_golden(self, ranked, threshold):
        y, p = ranked["y"], ranked[f"acc_prob_{threshold}"]
        np.testing.assert_allclose(metrics.accuracy(y, p, threshold), ranked[f"acc_gt_{threshold}"], **close)
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


class TestEveryMetricOfClasses:
    @pytest.mark.parametrize("metric", PER_CLASS)
    @given(evaluation=evaluations())
    def test_unknown_label_is_a_dropped_row(self, metric, evaluation):
        y, p, weight = evaluation
        whole = metric(y, p, sample_weight=weight)
        for c in range(y.shape[1]):
            labels, scores, w = one_class(y, p, weight, c)
            alone = metric(labels[:, None], scores[:, None], sample_weight=w)
            np.testing.assert_allclose(whole[c], alone[0], **close)

    @pytest.mark.parametrize("metric", PER_CLASS)
    def test_many_classes(self, metric):
        rng = np.random.default_rng(0)
        y, p, weight = rng.choice([0, 1, np.nan], (30, 70)), rng.random((30, 70)), rng.random((30, 70))
        alone = [metric(y[:, [c]], p[:, [c]], sample_weight=weight[:, [c]])[0] for c in range(70)]
        np.testing.assert_array_equal(metric(y, p, sample_weight=weight), alone)

    @pytest.mark.parametrize("metric", PER_CLASS)
    def test_many_clips(self, metric):
        rng = np.random.default_rng(0)
        y, p, weight = rng.choice([0, 1, np.nan], (70, 3)), rng.random((70, 3)), rng.random((70, 3))
        again = metric(*(np.tile(each, (20, 1)) for each in (y, p)), sample_weight=np.tile(weight, (20, 1)))
        np.testing.assert_allclose(again, metric(y, p, sample_weight=weight), **close)

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
        np.testing.assert_allclose(metric(y, p, sample_weight=times), repeated, **close)

    @pytest.mark.parametrize("metric", PER_CLASS)
    @given(evaluation=evaluations(), seed=st.integers(0, 2**32 - 1))
    def test_permutations(self, metric, evaluation, seed):
        y, p, _ = evaluation
        rng = np.random.default_rng(seed)
        rows, columns = rng.permutation(y.shape[0]), rng.permutation(y.shape[1])
        np.testing.assert_allclose(
            metric(y[rows][:, columns], p[rows][:, columns]), metric(y, p)[columns], **close
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


class TestLwlrap:
    @pytest.mark.parametrize("case", ["dense", "sparse", "nolabel", "single"])
    def test_golden(self, case):
        g = golden("metrics_lwlrap.npz")
        y, p = g[f"{case}_truth"], g[f"{case}_scores"]
        values, weights = metrics.lwlrap_per_class(y, p)
        np.testing.assert_allclose(values, g[f"{case}_per_class"], **close)
        np.testing.assert_allclose(weights, g[f"{case}_weight"], **close)
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
            np.testing.assert_allclose(metrics.average_precision_at_k(*arguments), case["apk"], **close)
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
