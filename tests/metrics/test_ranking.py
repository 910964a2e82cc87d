"""Average precision, ROC area and d' against scikit-learn, run here or recorded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics_support import CLOSE, evaluations, golden, long_classes, one_class

from acdref import metrics


def plain(y, p, weight):
    """Average precision and ROC area of each class, each score compared with each positive's."""
    weight = np.ones(y.shape) if weight is None else weight
    results = np.full((2, y.shape[1]), np.nan)
    for c, (labels, scores, w) in enumerate(zip(y.T, p.T, weight.T, strict=True)):
        hit, false = w * (labels == 1), w * (labels == 0)
        of, each = hit[hit > 0], scores[hit > 0][:, None]
        if of.size:
            found, wrong = (scores >= each) @ hit, (scores >= each) @ false
            results[0, c] = of @ (found / (found + wrong)) / of.sum()
        if of.size and false.any():
            ahead = (scores < each) @ false + (scores == each) @ false / 2
            results[1, c] = of @ ahead / of.sum() / false.sum()
    return results


class TestAveragePrecision:
    @pytest.mark.parametrize("case", ["cont", "tied", "const", "perfect"])
    def test_golden(self, ranked, case):
        y, p = ranked["y"], ranked[f"{case}_scores"]
        np.testing.assert_allclose(metrics.average_precision(y, p), ranked[f"{case}_ap"], **CLOSE)
        assert metrics.mean_average_precision(y, p) == pytest.approx(ranked[f"{case}_map"], abs=1e-12)

    def test_golden_weighted(self, ranked):
        ap = metrics.average_precision(ranked["y"], ranked["cont_scores"], ranked["w"])
        np.testing.assert_allclose(ap, ranked["cont_ap_weighted"], **CLOSE)

    def test_golden_unknown(self, ranked):
        ap = metrics.average_precision(ranked["y_masked"], ranked["tied_scores"])
        np.testing.assert_allclose(ap, ranked["masked_ap"], **CLOSE)

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

    @settings(max_examples=30)
    @given(long_classes())
    def test_plain_definition(self, classes):
        np.testing.assert_allclose(metrics.average_precision(*classes), plain(*classes)[0], **CLOSE)


class TestRocAuc:
    @pytest.mark.parametrize("case", ["cont", "tied", "const", "perfect"])
    def test_golden(self, ranked, case):
        auc = metrics.roc_auc(ranked["y"], ranked[f"{case}_scores"])
        np.testing.assert_allclose(auc, ranked[f"{case}_auc"], **CLOSE)
        np.testing.assert_allclose(
            metrics.d_prime(auc), ranked[f"{case}_dprime_per_class"], rtol=0, atol=1e-10
        )
        expected = ranked[f"{case}_dprime_of_mauc"]
        assert metrics.mean_d_prime(auc) == pytest.approx(expected, abs=1e-12)

    def test_golden_weighted(self, ranked):
        auc = metrics.roc_auc(ranked["y"], ranked["tied_scores"], ranked["w"])
        np.testing.assert_allclose(auc, ranked["tied_auc_weighted"], **CLOSE)

    def test_golden_unknown(self, ranked):
        auc = metrics.roc_auc(ranked["y_masked"], ranked["tied_scores"])
        np.testing.assert_allclose(auc, ranked["masked_auc"], **CLOSE)

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

    @settings(max_examples=30)
    @given(long_classes())
    def test_plain_definition(self, classes):
        np.testing.assert_allclose(metrics.roc_auc(*classes), plain(*classes)[1], **CLOSE)

    @given(evaluations())
    def test_reversed_scores(self, evaluation):
        y, p, weight = evaluation
        np.testing.assert_allclose(metrics.roc_auc(y, p, weight), 1 - metrics.roc_auc(y, -p, weight), **CLOSE)

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
        np.testing.assert_allclose(metrics.roc_auc(y, p, weight), expected, **CLOSE)
        negatives = np.where(y == 0, weight, 0).sum(axis=0)
        np.testing.assert_allclose(negatives, (y == 0).sum(axis=0), **CLOSE)  # the prior stays

    def test_needs_booleans(self):
        with pytest.raises(ValueError, match="boolean"):
            metrics.balance_negatives([[0, 1]], [[0, 1]])


class TestDPrime:
    def test_golden_grid(self, ranked):
        np.testing.assert_allclose(metrics.d_prime(ranked["auc_grid"]), ranked["dprime_grid"], **CLOSE)

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
