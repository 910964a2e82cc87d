"""Oracles, recorded: a truth table worked by hand, pandas' binning and quantiles, PSLA's code."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_support import CLOSE, DYADIC, KNOWN_SCORES, LABELS, SCORES, golden, rank, same, several

from acdref.labels import (
    above_threshold,
    correct_labels,
    mean_threshold_correct,
    percentile_correct,
    percentile_mask,
    percentile_thresholds,
    positive_thresholds,
)
from acdref.testing.strategies import boundary_scores

nan = np.nan
VARIANTS = [{"fp": fp, "mask": mask} for fp in (False, True) for mask in (False, True)]
EVERY_VARIANT = [{**v, "boundary": b} for v in VARIANTS for b in ("closed", "literal")]
BINARY = st.sampled_from([0.0, 1.0])
THRESHOLDS = st.sampled_from([0.0, 0.05, 0.2, 0.5]) | st.floats(0, 0.5)
STATISTICS = ["mean", "median", "p25", "p10", "p5"]

# Label, score, then the result of FN and FN+FP without and with masking, T = 0.05; the last column is the
# FN+FP result with masking as the equations are printed.
TRUTH = [
    (0, 0.00, 0, 0, 0, 0, 0),
    (0, 0.50, 0, 0, 0, 0, 0),
    (0, math.nextafter(0.5, 1), 0, 0, nan, nan, nan),
    (0, math.nextafter(0.95, 0), 0, 0, nan, nan, nan),
    (0, 0.95, 0, 0, nan, nan, 0),
    (0, math.nextafter(0.95, 1), 1, 1, 1, 1, 1),
    (0, 1.00, 1, 1, 1, 1, 1),
    (1, 1.00, 1, 1, 1, 1, 1),
    (1, 0.50, 1, 1, 1, 1, 1),
    (1, math.nextafter(0.5, 0), 1, 1, 1, nan, nan),
    (1, math.nextafter(0.05, 1), 1, 1, 1, nan, nan),
    (1, 0.05, 1, 1, 1, nan, 1),
    (1, math.nextafter(0.05, 0), 1, 0, 1, 0, 0),
    (1, 0.00, 1, 0, 1, 0, 0),
    (nan, 1.00, nan, nan, nan, nan, nan),
    (nan, 0.00, nan, nan, nan, nan, nan),
    (0, nan, 0, 0, 0, 0, 0),
    (1, nan, 1, 1, 1, 1, 1),
]


@st.composite
def cases(draw, labels=LABELS, scores=1, thresholds=1, unknown=True):
    """Labels, scores and thresholds; many scores lie at the bounds of the rule or right beside them."""
    Ts = [draw(THRESHOLDS) for _ in range(thresholds)]
    score = st.floats(0, 1)
    for T in Ts:
        score |= st.sampled_from(boundary_scores(T))
    if unknown:
        score |= st.just(nan)
    return *draw(several(labels, *[score] * scores)), *Ts


class TestCorrectLabels:
    @pytest.mark.parametrize("row", TRUTH)
    def test_truth_table(self, row):
        y, p, *expected = row
        got = [
            correct_labels([[y]], [[p]], fp=fp, mask=mask) for mask in (False, True) for fp in (False, True)
        ]
        got.append(correct_labels([[y]], [[p]], fp=True, boundary="literal"))
        np.testing.assert_array_equal(np.ravel(got), expected)

    def test_recorded_truth_table(self):
        table = golden("braun_truth_table.json")
        symbols = {"1-T": 1.0 - table["T"], "T": table["T"], "nan": nan}
        for row in table["rows"]:
            row = {key: symbols.get(value, value) for key, value in row.items()}
            y, p = [[row["y"]]], [[row["p"]]]
            for name, options in {
                "corr_fn": {"mask": False},
                "corr_fnfp": {"mask": False, "fp": True},
                "corrmask_fn": {},
                "corrmask_fnfp": {"fp": True},
                "corrmask_fnfp_literal": {"fp": True, "boundary": "literal"},
            }.items():
                assert same(correct_labels(y, p, table["T"], **options), [[row[name]]]), (name, row)

    def test_pandas_oracle(self):
        data = golden("braun_correction.npz")
        keys = [key for key in data.files if key.startswith("corr")]
        assert len(keys) == 24
        for key in keys:
            kind, variant, T, boundary = key.split("_")
            corrected = correct_labels(
                data["y"],
                data["p"],
                T=float(T[1:]),
                fp=variant == "fnfp",
                mask=kind == "corrmask",
                boundary="literal" if boundary == "paper" else "closed",
            )
            np.testing.assert_array_equal(corrected, data[key], err_msg=key)

    @pytest.mark.parametrize("variant", EVERY_VARIANT)
    @given(cases())
    def test_idempotent(self, variant, case):
        y, p, T = case
        once = correct_labels(y, p, T, **variant)
        assert same(correct_labels(once, p, T, **variant), once)

    @pytest.mark.parametrize("variant", VARIANTS)
    @given(cases(scores=2, unknown=False))
    def test_monotone_in_the_score(self, variant, case):
        y, p, q, T = case
        lower = correct_labels(y, np.minimum(p, q), T, **variant)
        higher = correct_labels(y, np.maximum(p, q), T, **variant)
        assert (rank(lower) <= rank(higher)).all()

    def test_the_printed_equations_are_not_monotone(self):
        p = [[0.94, 0.95, 0.96]]
        literal = correct_labels(np.zeros((1, 3)), p, boundary="literal")
        np.testing.assert_array_equal(literal, [[nan, 0.0, 1.0]])

    @given(cases(), st.booleans(), st.sampled_from(["closed", "literal"]))
    def test_fn_variants_only_raise_and_only_negatives(self, case, mask, boundary):
        y, p, T = case
        corrected = correct_labels(y, p, T, mask=mask, boundary=boundary)
        assert (rank(corrected) >= rank(y)).all()
        assert (corrected[y == 1] == 1).all()

    @pytest.mark.parametrize("variant", EVERY_VARIANT)
    @given(cases())
    def test_unknown_labels_and_scores_change_nothing(self, variant, case):
        y, p, T = case
        corrected = correct_labels(y, p, T, **variant)
        untouched = np.isnan(y) | np.isnan(p)
        assert same(corrected[untouched], y[untouched])

    @given(
        several(LABELS, DYADIC),
        st.integers(0, 8).map(lambda k: k / 16),
        st.sampled_from(["closed", "literal"]),
    )
    def test_complement_duality(self, pair, T, boundary):
        y, p = pair
        for mask in (False, True):
            options = {"T": T, "fp": True, "mask": mask, "boundary": boundary}
            assert same(correct_labels(1 - y, 1 - p, **options), 1 - correct_labels(y, p, **options))

    @given(cases(), st.booleans())
    def test_masking_only_replaces_kept_labels(self, case, fp):
        y, p, T = case
        masked = correct_labels(y, p, T, fp=fp, mask=True)
        plain = correct_labels(y, p, T, fp=fp, mask=False)
        known = ~np.isnan(masked)
        assert same(masked[known], plain[known])
        assert same(plain[~known], y[~known])

    @given(cases(labels=BINARY, thresholds=2), st.booleans())
    def test_growing_threshold_moves_masked_to_corrected(self, case, fp):
        y, p, T1, T2 = case
        small, large = (correct_labels(y, p, T, fp=fp) for T in sorted((T1, T2)))
        corrected = [~np.isnan(result) & (result != y) for result in (small, large)]
        masked = [np.isnan(result) for result in (small, large)]
        assert (corrected[0] <= corrected[1]).all()
        assert (masked[0] >= masked[1]).all()
        assert same(corrected[0] | masked[0], corrected[1] | masked[1])

    @pytest.mark.parametrize("variant", EVERY_VARIANT)
    @given(several(LABELS), THRESHOLDS)
    def test_agreeing_teacher_is_the_identity(self, variant, matrix, T):
        (y,) = matrix
        assert same(correct_labels(y, y, T, **variant), y)

    @given(several(BINARY, SCORES))
    def test_threshold_zero_corrects_nothing_and_masks_every_contradiction(self, pair):
        y, p = pair
        assert same(correct_labels(y, p, T=0, fp=True, mask=False), y)
        contradicted = ((y == 0) & (p > 0.5)) | ((y == 1) & (p < 0.5))
        assert same(np.isnan(correct_labels(y, p, T=0, fp=True)), contradicted)

    @pytest.mark.parametrize("mask", [False, True])
    @given(several(BINARY, SCORES))
    def test_threshold_one_half_follows_the_teacher(self, mask, pair):
        y, p = pair
        decided = np.where((p == 0.5) | np.isnan(p), y, p > 0.5)
        assert same(correct_labels(y, p, T=0.5, fp=True, mask=mask), decided)

    def test_scores_are_compared_in_double_precision(self):
        # float32(0.95) is below 0.95: compared as float32 it would lie on the boundary itself.
        p = np.array([[0.95]], dtype=np.float32)
        assert np.isnan(correct_labels([[0]], p, boundary="literal"))

    @pytest.mark.parametrize("T", [-0.01, 0.51, nan])
    def test_threshold_out_of_range(self, T):
        with pytest.raises(ValueError, match="T = "):
            correct_labels([[0]], [[0.5]], T=T)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"y\[0, 1\] is 2"):
            correct_labels([[0, 2]], [[0.5, 0.5]])
        with pytest.raises(ValueError, match=r"p\[1, 0\] is 1.5"):
            correct_labels([[0], [0]], [[0.5], [1.5]])
        with pytest.raises(ValueError, match=r"p\[0, 0\] is -inf"):
            correct_labels([[0]], [[-np.inf]])
        with pytest.raises(ValueError, match="shape"):
            correct_labels([[0, 1]], [[0.5]])
        with pytest.raises(ValueError, match="dimensions"):
            correct_labels([0, 1], [0.5, 0.5])
        with pytest.raises(ValueError, match="boundary"):
            correct_labels([[0]], [[0.5]], boundary="open")


class TestPercentile:
    @pytest.mark.parametrize("q", [0.01, 0.05, 0.25])
    def test_pandas_oracle(self, q):
        data = golden("fonseca_percentile.npz")
        y, p, flags = data["y"], data["p"], data[f"flag_q{q}"]
        np.testing.assert_allclose(percentile_thresholds(y, p, q), data[f"thr_q{q}"], **CLOSE)
        np.testing.assert_array_equal(percentile_mask(y, p, q), np.where(flags, nan, y))
        np.testing.assert_array_equal(percentile_correct(y, p, q), np.where(flags, 1, y))

    @given(several(LABELS, SCORES), st.floats(0, 0.99))
    def test_only_scored_negatives_change_and_both_variants_flag_the_same(self, pair, q):
        y, p = pair
        masked, corrected = percentile_mask(y, p, q), percentile_correct(y, p, q)
        flags = np.isnan(masked) & ~np.isnan(y)
        assert (y[flags] == 0).all()
        assert not np.isnan(p[flags]).any()
        assert same(masked, np.where(flags, nan, y))
        assert same(corrected, np.where(flags, 1, y))

    @given(several(LABELS, SCORES), st.floats(0, 0.99))
    def test_flags_are_the_highest_scores(self, pair, q):
        y, p = pair
        masked = percentile_mask(y, p, q)
        for c in range(y.shape[1]):
            flagged = p[np.isnan(masked[:, c]) & (y[:, c] == 0), c]
            kept = p[(masked[:, c] == 0) & ~np.isnan(p[:, c]), c]
            assert not flagged.size or not kept.size or kept.max() < flagged.min()

    @given(st.integers(1, 200), st.floats(0, 0.99), st.randoms())
    def test_at_most_the_fraction_of_distinct_scores_rounded_up(self, n, q, random):
        scores = [(k + 1) / 1000 for k in range(n)]
        random.shuffle(scores)
        masked = percentile_mask(np.zeros((n, 1)), np.c_[scores], q)
        # The quantile lies between two of the n scores: floor(q (n - 1)) or one more are above it.
        assert math.floor(q * (n - 1)) <= np.isnan(masked).sum() <= math.ceil(q * n)

    @given(several(LABELS, SCORES))
    def test_fraction_zero_flags_nothing(self, pair):
        y, p = pair
        assert same(percentile_mask(y, p, q=0), y)

    @given(st.floats(0, 1), st.floats(0, 0.99), st.integers(1, 9))
    def test_equal_scores_flag_nothing(self, score, q, n):
        y = np.zeros((n, 1))
        assert same(percentile_mask(y, np.full_like(y, score), q), y)

    def test_unknowns_and_positives_do_not_count(self):
        y = np.array([[0.0], [0.0], [0.0], [1.0], [nan]])
        p = np.array([[0.1], [0.3], [nan], [0.9], [0.9]])
        np.testing.assert_allclose(percentile_thresholds(y, p, 0.5), [0.2], **CLOSE)

    def test_class_without_negatives_is_left_alone(self):
        y = np.array([[1.0, nan], [1.0, nan]])
        assert np.isnan(percentile_thresholds(y, np.full((2, 2), 0.9))).all()
        assert same(percentile_mask(y, np.full((2, 2), 0.9)), y)

    def test_confidence_plays_no_part(self):
        p = np.linspace(0.001, 0.01, 100)[:, None]
        assert np.isnan(percentile_mask(np.zeros((100, 1)), p, q=0.05)).sum() == 5

    def test_second_pass_masks_more(self):
        p = np.linspace(0, 1, 101)[:, None]
        once = percentile_mask(np.zeros((101, 1)), p)
        twice = percentile_mask(once, p)
        assert np.isnan(twice).sum() > np.isnan(once).sum()

    @pytest.mark.parametrize("q", [-0.1, 1.0, nan])
    def test_fraction_out_of_range(self, q):
        with pytest.raises(ValueError, match=r"q = .* outside \[0, 1\)"):
            percentile_mask([[0]], [[0.5]], q=q)


class TestMeanThreshold:
    def test_original_function_on_all_classes(self):
        data = golden("gong_flat_meanthreshold.npz")
        y, p = data["y"], data["p"]
        np.testing.assert_allclose(positive_thresholds(y, p), data["thr"], **CLOSE)
        np.testing.assert_array_equal(mean_threshold_correct(y, p), data["y_corrected"])

    @given(several(BINARY, SCORES, rows=st.integers(1, 9)))
    def test_thresholds_are_the_statistics_of_the_positives(self, pair):
        y, p = pair
        expected = {
            "mean": np.mean,
            "median": np.median,
            "p25": lambda x: np.percentile(x, 25),
            "p10": lambda x: np.percentile(x, 10),
            "p5": lambda x: np.percentile(x, 5),
        }
        for statistic in STATISTICS:
            for c, threshold in enumerate(positive_thresholds(y, p, statistic)):
                scores = p[(y[:, c] == 1) & ~np.isnan(p[:, c]), c]
                wanted = expected[statistic](scores) if len(scores) else nan
                np.testing.assert_allclose(threshold, wanted, **CLOSE)

    @given(several(LABELS, SCORES, BINARY), st.sampled_from(STATISTICS))
    def test_only_negative_candidates_above_the_threshold_become_positive(self, data, statistic):
        y, p, candidates = data
        corrected = mean_threshold_correct(y, p, candidates == 1, statistic)
        changed = ~((corrected == y) | np.isnan(y))
        assert same(np.isnan(corrected), np.isnan(y))
        assert (corrected[changed] == 1).all()
        expected = (y == 0) & (candidates == 1) & (p > positive_thresholds(y, p, statistic))
        assert same(changed, expected)

    @given(several(LABELS, KNOWN_SCORES, KNOWN_SCORES, SCORES, rows=st.integers(1, 6)))
    def test_monotone_in_the_score_for_fixed_thresholds(self, data):
        y, p, q, thresholds = data
        lower = above_threshold(y, np.minimum(p, q), thresholds[0])
        higher = above_threshold(y, np.maximum(p, q), thresholds[0])
        assert (lower <= higher).all()

    @given(several(LABELS, SCORES, BINARY, BINARY), st.sampled_from(STATISTICS))
    def test_candidate_sets_unite(self, data, statistic):
        y, p, a, b = data
        one, two, both = (
            mean_threshold_correct(y, p, candidates, statistic) == 1
            for candidates in (a == 1, b == 1, (a == 1) | (b == 1))
        )
        assert same(one | two, both)

    @given(several(LABELS), st.floats(0, 1), st.sampled_from(STATISTICS))
    def test_constant_score_changes_nothing(self, matrix, score, statistic):
        (y,) = matrix
        assert same(mean_threshold_correct(y, np.full_like(y, score), statistic=statistic), y)

    @pytest.mark.parametrize("score", [0.1, 0.3, 0.7])
    def test_mean_of_equal_scores_is_that_score(self, score):
        # Rounding alone can put the mean of seven or more equal numbers beside them.
        for n in range(1, 100):
            assert positive_thresholds(np.ones((n, 1)), np.full((n, 1), score)) == score

    def test_class_without_scored_positives_is_left_alone(self):
        y = np.array([[0.0, 1.0, nan], [0.0, 0.0, 0.0]])
        p = np.array([[0.9, nan, 0.9], [1.0, 1.0, 1.0]])
        assert np.isnan(positive_thresholds(y, p)).all()
        assert same(mean_threshold_correct(y, p), y)

    def test_the_order_of_clips_does_not_move_a_threshold(self):
        scores = np.array([1.0, 1e-16, 1e-16, 0.1, 0.7, 0.3])
        y = np.ones((len(scores), 1))
        means = {positive_thresholds(y, np.c_[list(order)])[0] for order in itertools.permutations(scores)}
        assert len(means) == 1

    @pytest.mark.parametrize("statistic", ["mean", "median"])
    @given(several(LABELS, DYADIC, st.sampled_from([0.0, 1.0, 1.0])))
    def test_idempotent_for_fixed_candidates(self, statistic, data):
        y, p, candidates = data
        once = mean_threshold_correct(y, p, candidates == 1, statistic)
        assert same(mean_threshold_correct(once, p, candidates == 1, statistic), once)

    @pytest.mark.parametrize("statistic", ["p25", "p10", "p5"])
    def test_a_low_percentile_can_fall_and_admit_more(self, statistic):
        q = float(statistic[1:]) / 100
        # Both negatives lie between the two lowest positives: one above the threshold, the other at it.
        p = np.array([[0.0], [1.0], [1.0], [2.2 * q], [2 * q]])
        y = np.array([[1.0], [1.0], [1.0], [0.0], [0.0]])
        once = mean_threshold_correct(y, p, statistic=statistic)
        assert once.ravel().tolist() == [1, 1, 1, 1, 0]
        assert mean_threshold_correct(once, p, statistic=statistic).ravel().tolist() == [1, 1, 1, 1, 1]

    def test_bad_input(self):
        with pytest.raises(ValueError, match="statistic"):
            mean_threshold_correct([[0]], [[0.5]], statistic="p99")
        with pytest.raises(ValueError, match="candidates"):
            mean_threshold_correct([[0]], [[0.5]], candidates=[[1]])
        with pytest.raises(ValueError, match="candidates"):
            mean_threshold_correct([[0]], [[0.5]], candidates=[True])
        with pytest.raises(ValueError, match="thresholds"):
            above_threshold([[0]], [[0.5]], 0.5)


RULES = [
    *(lambda y, p, v=v: correct_labels(y, p, 0.2, **v) for v in EVERY_VARIANT),
    lambda y, p: percentile_mask(y, p, 0.3),
    lambda y, p: percentile_correct(y, p, 0.3),
    *(lambda y, p, s=s: mean_threshold_correct(y, p, statistic=s) for s in STATISTICS),
]


@given(several(LABELS, SCORES), st.sampled_from(RULES), st.randoms())
def test_every_rule_follows_permutations_of_clips_and_classes(pair, rule, random):
    y, p = pair
    rows, columns = (random.sample(range(n), n) for n in y.shape)
    picked = np.ix_(rows, columns)
    assert same(rule(y[picked], p[picked]), rule(y, p)[picked])


@given(several(LABELS, SCORES), st.sampled_from(RULES))
def test_no_rule_modifies_its_arguments(pair, rule):
    y, p = pair
    before = y.copy(), p.copy()
    y.flags.writeable = p.flags.writeable = False
    result = rule(y, p)
    assert result is not y
    assert same(y, before[0])
    assert same(p, before[1])
    assert result.dtype == np.float64
    assert result.shape == y.shape
