"""Oracles: the acceptance block of the authors' code, scikit-learn's folds, numpy.resize (all recorded)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from labels_support import golden, same

from acdref.labels import verification

GOLDEN_CASES = {
    "paper_k40_t095": {"threshold": 0.95, "cap": 40},
    "shipped_k40_nothresh": {"threshold": None, "cap": 40},
    "k5_t095": {"threshold": 0.95, "cap": 5},
    "k1_nothresh": {"threshold": None, "cap": 1},
    "k1000_t095": {"threshold": 0.95, "cap": 1000},
    "elsebranch_k0_t095": {"threshold": 0.95, "cap": 0},
}
POSTERIORS = st.sampled_from([0.0, 0.5, np.nextafter(0.95, 0), 0.95, np.nextafter(0.95, 1), 1.0, np.nan])
THRESHOLDS = st.none() | st.sampled_from([0.0, 0.5, 0.95, 1.0])
CAPS = st.none() | st.integers(0, 5)


@st.composite
def rounds(draw, posteriors=POSTERIORS, unique=False):
    """Posteriors, labels and official flags of one round."""
    n, c = draw(st.integers(0, 15)), draw(st.integers(1, 4))
    probs = draw(hnp.arrays(np.float64, (n, c), elements=posteriors, unique=unique))
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, c - 1)))
    return probs, labels, draw(hnp.arrays(bool, n))


def naive(probs, labels, verified, threshold, cap):
    """The rule as it is stated, class by class; thresholds after the cap."""
    accepted = verified.copy()
    for c in range(probs.shape[1]):
        confirmed = [
            i
            for i in range(len(labels))
            if labels[i] == c and not verified[i] and not np.isnan(probs[i]).any()
            if list(probs[i]).index(max(probs[i])) == c
        ]
        best = sorted(confirmed, key=lambda i: (-probs[i, c], i))[:cap]
        accepted[[i for i in best if threshold is None or probs[i, c] >= threshold]] = True
    return accepted


class TestVerify:
    @pytest.mark.parametrize("case", GOLDEN_CASES)
    def test_golden(self, case):
        g = golden("dorfer_verification.npz")
        accepted = verification.verify(g["probs"], g["labels"], g["verified"], **GOLDEN_CASES[case])
        np.testing.assert_array_equal(accepted, g[case])

    def test_threshold_is_inclusive(self):
        recorded = golden("metrics_degenerate.json")["dorfer_boundary"]
        for p, expected in zip([0.95, np.nextafter(0.95, 0), 0.96], recorded["accepted"], strict=True):
            assert verification.verify([[p, 1 - p]], [0], [False])[0] == expected

    def test_float32_posterior_below_the_threshold(self):
        """float32(0.95) is below 0.95."""
        assert not verification.verify(np.float32([[0.95, 0.05]]), [0], [False])[0]

    @given(rounds(), THRESHOLDS, CAPS)
    def test_definition(self, judged, threshold, cap):
        accepted = verification.verify(*judged, threshold=threshold, cap=cap)
        np.testing.assert_array_equal(accepted, naive(*judged, threshold, cap))

    @given(rounds(), THRESHOLDS, CAPS)
    def test_laws(self, judged, threshold, cap):
        probs, labels, verified = judged
        accepted = verification.verify(*judged, threshold=threshold, cap=cap)
        new = accepted & ~verified
        assert (accepted >= verified).all()
        assert (probs[new].argmax(axis=1) == labels[new]).all()
        if cap is not None:
            assert (np.bincount(labels[new], minlength=1) <= cap).all()

    @given(rounds(), st.integers(0, 4), st.integers(0, 4), st.floats(0, 1), st.floats(0, 1))
    def test_more_cap_or_less_threshold_only_adds(self, judged, cap, more, threshold, less):
        strict = verification.verify(*judged, threshold=threshold, cap=cap)
        assert (verification.verify(*judged, threshold=threshold, cap=cap + more) >= strict).all()
        assert (verification.verify(*judged, threshold=min(threshold, less), cap=cap) >= strict).all()
        assert (verification.verify(*judged, threshold=None, cap=None) >= strict).all()

    @given(rounds(st.floats(0, 1), unique=True), THRESHOLDS, CAPS, st.integers(0, 2**32 - 1))
    def test_permutations_of_clips_and_classes(self, judged, threshold, cap, seed):
        probs, labels, verified = judged
        rng = np.random.default_rng(seed)
        clips, classes = rng.permutation(len(labels)), rng.permutation(probs.shape[1])
        renamed = np.argsort(classes)[labels]
        expected = verification.verify(*judged, threshold=threshold, cap=cap)
        permuted = verification.verify(
            probs[clips][:, classes], renamed[clips], verified[clips], threshold=threshold, cap=cap
        )
        np.testing.assert_array_equal(permuted, expected[clips])

    def test_ties_by_lower_index(self):
        accepted = verification.verify(np.full((4, 1), 0.99), [0] * 4, [False] * 4, cap=2)
        np.testing.assert_array_equal(accepted, [True, True, False, False])

    def test_arguments_stay(self):
        verified = np.zeros(1, dtype=bool)
        assert verification.verify([[1.0]], [0], verified)[0]
        assert not verified[0]
        nobody = np.zeros(0, dtype=bool)
        assert verification.verify(np.zeros((0, 1)), [], nobody) is not nobody

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([[1.5]], [0], [False]), "probs"),
            (([[0.5]], [1], [False]), "labels"),
            (([[0.5]], [-1], [False]), "labels"),
            (([[0.5]], [0.0], [False]), "labels"),
            (([[0.5]], [0, 0], [False, False]), "1 clips, labels 2"),
            (([[0.5]], [0], [0]), "verified"),
            (([[0.5]], [0], [False], 1.5), "threshold"),
            (([[0.5]], [0], [False], 0.5, -1), "cap"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            verification.verify(*arguments)


class TestExcerpts:
    def test_all_starts_are_drawn(self):
        starts = verification.excerpt_starts(387, np.random.default_rng(0), n=200)
        assert set(starts) == {0, 1, 2, 3}

    def test_only_start(self):
        assert not verification.excerpt_starts(384, np.random.default_rng(0)).any()
        assert verification.excerpt_starts(3000, np.random.default_rng(0)).shape == (25,)

    def test_too_short(self):
        with pytest.raises(ValueError, match="fit"):
            verification.excerpt_starts(383, np.random.default_rng(0))

    @given(hnp.arrays(np.float64, (5, 3, 2), elements=st.floats(0, 1)), st.permutations(range(5)))
    def test_mean_does_not_depend_on_their_order(self, probs, order):
        mean = verification.mean_posterior(probs)
        assert mean.shape == (3, 2)
        np.testing.assert_allclose(mean, verification.mean_posterior(probs[list(order)]), rtol=0, atol=1e-12)
        assert (mean >= probs.min(axis=0) - 1e-12).all()
        assert (mean <= probs.max(axis=0) + 1e-12).all()

    @pytest.mark.parametrize("shape", [(0, 2, 2), (2, 2)])
    def test_mean_refuses(self, shape):
        with pytest.raises(ValueError, match="probs"):
            verification.mean_posterior(np.zeros(shape))


COLLECTIONS = st.integers(0, 40).flatmap(
    lambda n: st.tuples(hnp.arrays(np.int64, n, elements=st.integers(0, 4)), hnp.arrays(bool, n))
)


class TestFolds:
    @pytest.mark.parametrize(
        ("leftovers", "key"), [("balanced", "folds_sklearn_new"), ("first", "folds_sklearn_0202_algorithm")]
    )
    def test_golden(self, leftovers, key):
        g = golden("dorfer_folds.npz")
        nobody = np.zeros(len(g["labels"]), dtype=bool)
        folds = verification.stratified_folds(g["labels"], nobody, leftovers=leftovers)
        np.testing.assert_array_equal(folds, g[key])

    @given(COLLECTIONS, st.integers(1, 5), st.sampled_from(["balanced", "first"]))
    def test_laws(self, collection, n_folds, leftovers):
        labels, verified = collection
        folds = verification.stratified_folds(labels, verified, n_folds, leftovers)
        assert ((folds >= 0) & (folds < n_folds)).all()
        for part in (verified, ~verified):
            for c in range(5):
                members = folds[part & (labels == c)]
                counts = np.bincount(members, minlength=n_folds)
                assert np.ptp(counts) <= 1
                assert (np.diff(members) >= 0).all()  # nothing is shuffled
                if leftovers == "first":
                    assert (np.diff(counts) <= 0).all()
            if leftovers == "balanced":
                assert np.ptp(np.bincount(folds[part], minlength=n_folds)) <= 1

    @given(COLLECTIONS)
    def test_verified_clips_do_not_move_with_the_others(self, collection):
        labels, verified = collection
        folds = verification.stratified_folds(labels, verified)
        alone = verification.stratified_folds(labels[verified], verified[verified])
        np.testing.assert_array_equal(folds[verified], alone)

    @given(COLLECTIONS, st.integers(0, 2**32 - 1))
    def test_frozen_on_official_flags(self, collection, seed):
        labels, official = collection
        verified = official | (np.random.default_rng(seed).random(len(labels)) < 0.5)
        frozen = verification.round_folds(labels, official, verified)
        np.testing.assert_array_equal(frozen, verification.stratified_folds(labels, official))
        refolded = verification.round_folds(labels, official, verified, refold=True)
        np.testing.assert_array_equal(refolded, verification.stratified_folds(labels, verified))

    def test_refolding_leaks(self):
        """Clips that the model of a fold accepted while they were held out land in its training set."""
        labels = np.random.default_rng(0).integers(0, 41, 2000)
        official = np.random.default_rng(1).random(2000) < 0.4
        accepted = official | (np.random.default_rng(2).random(2000) < 0.3)
        new = accepted & ~official
        frozen = verification.round_folds(labels, official, accepted)
        refolded = verification.round_folds(labels, official, accepted, refold=True)
        assert (frozen == verification.stratified_folds(labels, official))[new].all()
        assert (refolded != frozen)[new].mean() > 0.05
        assert (refolded != frozen)[official].mean() > 0.05

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([0.5], [True]), "labels"),
            (([0], [1]), "verified"),
            (([0], [True], 0), "n_folds"),
            (([0], [True], 4, "last"), "leftovers"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            verification.stratified_folds(*arguments)

    @pytest.mark.parametrize("verified", [[False, False], [True], [1, 1]])
    def test_round_refuses(self, verified):
        with pytest.raises(ValueError, match="verified"):
            verification.round_folds([0, 0], [True, False], verified)


class TestFixLength:
    @pytest.mark.parametrize("n", [10, 37, 74, 100, 111])
    def test_golden(self, n):
        g = golden("repeat_clip.npz")
        np.testing.assert_array_equal(verification.fix_length(g["spec"], n), g[f"len{n}"])

    @given(hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 9))), st.integers(0, 30))
    def test_laws(self, spec, n):
        fixed = verification.fix_length(spec, n)
        assert fixed.dtype == spec.dtype
        assert same(fixed, np.resize(spec.T, (n, len(spec))).T)
        assert same(verification.fix_length(spec, n + 7)[:, :n], fixed)
        if n:
            assert same(verification.fix_length(fixed, n), fixed)

    @pytest.mark.parametrize(("shape", "n"), [((2, 0), 3), ((), 3), ((2, 2), -1)])
    def test_refuses(self, shape, n):
        with pytest.raises(ValueError, match=r"frame|negative"):
            verification.fix_length(np.zeros(shape), n)
