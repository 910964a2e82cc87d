"""Oracle: the similarity function of CLAP and torch's softmax, recorded; torch live."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_support import CLOSE, golden, matrices, same, several

from acdref.labels import clap_labels, clap_probabilities, robust_z_scores, threshold_labels

nan = np.nan
COSINES = st.floats(-1, 1)
SCALES = st.floats(1, 100)


class TestSoftmax:
    @pytest.mark.parametrize("scale", ["14.2857", "33.4000", "1.0000"])
    def test_original_similarity(self, scale):
        data = golden("clap_softmax_labels.npz")
        audio, text = data["audio"], data["text"]
        norms = np.linalg.norm(audio, axis=1)[:, None] * np.linalg.norm(text, axis=1)
        cosines = audio @ text.T / norms
        np.testing.assert_allclose(float(scale) * cosines, data[f"sim_scale{scale}"], rtol=1e-5, atol=0)
        # The recorded similarities fix the scale that was really used, beyond the digits in the key.
        exact = float(np.median(data[f"sim_scale{scale}"] / cosines))
        np.testing.assert_allclose(clap_probabilities(cosines, exact), data[f"prob_scale{scale}"], **CLOSE)
        np.testing.assert_array_equal(clap_labels(cosines, exact), data[f"labels02_scale{scale}"])

    @given(matrices(COSINES, columns=st.integers(1, 12)), SCALES)
    def test_rows_are_distributions(self, cosines, scale):
        probabilities = clap_probabilities(cosines, scale)
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, **CLOSE)

    @given(several(COSINES, COSINES), SCALES)
    def test_background_takes_its_share(self, pair, scale):
        cosines, background = pair
        together = clap_probabilities(np.concatenate([cosines, background], axis=1), scale)
        with_background = clap_probabilities(cosines, scale, background)
        np.testing.assert_allclose(with_background, together[:, : cosines.shape[1]], **CLOSE)
        assert (with_background <= clap_probabilities(cosines, scale) + 1e-15).all()

    @given(matrices(COSINES), SCALES, st.floats(-0.5, 0.5))
    def test_shift_invariant(self, cosines, scale, shift):
        shifted = clap_probabilities(cosines + shift, scale)
        np.testing.assert_allclose(shifted, clap_probabilities(cosines, scale), **CLOSE)

    def test_large_scales_do_not_overflow(self):
        np.testing.assert_array_equal(clap_probabilities([[1.0, -1.0]], 1e4), [[1.0, 0.0]])

    def test_torch(self):
        torch = pytest.importorskip("torch")
        cosines = np.random.default_rng(3).uniform(-1, 1, (50, 11))
        expected = torch.softmax(torch.from_numpy(cosines * 18.6), dim=1).numpy()
        np.testing.assert_allclose(clap_probabilities(cosines, 18.6), expected, **CLOSE)

    def test_unknown_cosine_makes_its_clip_unknown(self):
        labels = clap_labels([[0.5, nan], [0.5, 0.1]], 20)
        np.testing.assert_array_equal(labels, [[nan, nan], [1, 0]])
        np.testing.assert_array_equal(clap_labels([[0.5]], 20, background=[[nan]]), [[nan]])

    @pytest.mark.parametrize("scale", [0, -1, nan, np.inf])
    def test_bad_scale(self, scale):
        with pytest.raises(ValueError, match="scale"):
            clap_probabilities([[0.5]], scale)

    def test_bad_cosines(self):
        with pytest.raises(ValueError, match="infinite"):
            clap_probabilities([[np.inf]], 10)
        with pytest.raises(ValueError, match="dimensions"):
            clap_probabilities([0.5], 10)
        with pytest.raises(ValueError, match="2 rows"):
            clap_probabilities([[0.5]], 10, background=[[0.1], [0.2]])


class TestLabels:
    @given(matrices(COSINES, columns=st.integers(1, 12)), SCALES)
    def test_at_most_four_labels_and_the_best_among_them(self, cosines, scale):
        labels = clap_labels(cosines, scale)
        assert (labels.sum(axis=1) <= 4).all()
        rows = labels.any(axis=1)
        assert (labels[rows, cosines.argmax(axis=1)[rows]] == 1).all()

    def test_exactly_at_the_threshold_is_no_label(self):
        # Five equal cosines have the probability 1/5 exactly.
        assert (clap_labels(np.zeros((1, 5)), 10) == 0).all()
        assert (clap_labels(np.zeros((1, 4)), 10) == 1).all()

    def test_bare_cosines_never_fire(self):
        # The largest possible probability of one of 11 classes at scale 1 is attained here.
        best = clap_probabilities([[1.0, *[0.0] * 10]], scale=1)[0, 0]
        np.testing.assert_allclose(best, np.e / (np.e + 10), **CLOSE)
        assert best < 0.43

    def test_bad_threshold(self):
        with pytest.raises(ValueError, match="threshold"):
            clap_labels([[0.5]], 10, threshold=1.2)

    def test_thresholds_by_class(self):
        labels = threshold_labels([[0.3, 0.3, 0.3], [0.31, nan, 0.0]], [0.3, 0.2, nan])
        np.testing.assert_array_equal(labels, [[0, 1, nan], [1, nan, nan]])
        with pytest.raises(ValueError, match="thresholds"):
            threshold_labels([[0.3, 0.3]], [0.1, 0.2, 0.3])


class TestRobustZScores:
    def test_recovers_normal_deviations(self):
        rng = np.random.default_rng(5)
        level, spread = np.array([0.1, 0.4]), np.array([0.02, 0.1])
        z = rng.standard_normal((20_000, 2))
        np.testing.assert_allclose(robust_z_scores(level + spread * z), z, rtol=0.03, atol=0.05)

    @given(matrices(st.integers(-64, 64).map(lambda k: k / 64) | st.just(nan)))
    def test_affine_invariance_and_unknowns(self, cosines):
        scores = robust_z_scores(cosines)
        assert same(np.isnan(scores), np.isnan(cosines))
        # Powers of two keep the arithmetic exact.
        assert same(robust_z_scores(cosines / 4 + 0.5), scores)

    def test_few_outliers_hardly_move_the_others(self):
        cosines = np.linspace(0.1, 0.2, 101)[:, None]
        spoilt = cosines.copy()
        spoilt[-3:] = 0.9
        np.testing.assert_allclose(robust_z_scores(spoilt)[:-3], robust_z_scores(cosines)[:-3], **CLOSE)
        assert (robust_z_scores(spoilt)[-3:] > 15).all()

    def test_constant_class(self):
        np.testing.assert_array_equal(
            robust_z_scores([[0.2], [0.2], [0.2], [0.5], [0.1]]), [[0], [0], [0], [np.inf], [-np.inf]]
        )


def test_arguments_are_never_modified():
    cosines = np.array([[0.1, nan], [0.3, 0.2]])
    cosines.flags.writeable = False
    clap_labels(cosines, 10, background=cosines)
    robust_z_scores(cosines)
    threshold_labels(cosines, 0.2)
