"""Measures of a network whose scores are known, against hand counts and scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pytest
from predict_support import CLASSES, Loudness, noise, write, write_damaged

from acdref import metrics
from acdref.errors import AcdrefError, ManifestError
from acdref.evaluate import Confusion, evaluate, matching, measures, recording_rows
from acdref.predict.scoring import score_manifest
from acdref.tables.manifest import Manifest

NAN = np.nan
LABELS = [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, NAN, 0], [1, 0, 0]]


@pytest.fixture
def manifest(tmp_path):
    """Five recordings of rising loudness, so that the order of their scores is known."""
    paths = tuple(f"{name}.wav" for name in "abcde")
    for seed, (path, level) in enumerate(zip(paths, (0.001, 0.01, 0.05, 0.1, 0.3), strict=True)):
        write(tmp_path / path, noise(0.5, level, seed))
    return Manifest("m.csv", str(tmp_path), paths, LABELS, CLASSES)


def test_measures(manifest):
    result = evaluate(Loudness(), manifest)
    assert result.classes == CLASSES
    assert (result.clips, result.failures) == (5, ())
    assert result.positives.tolist() == [3, 2, 0]
    assert result.known.tolist() == [5, 4, 5]
    # hum (ranked e d c b a): 1/1, 2/3, 3/5; dog (ranked e c b a; d unknown): 1/2, 2/3.
    np.testing.assert_allclose(result.ap, [(1 + 2 / 3 + 3 / 5) / 3, (1 / 2 + 2 / 3) / 2, NAN])
    assert result.mean_ap == pytest.approx((result.ap[0] + result.ap[1]) / 2)
    np.testing.assert_allclose(result.priors, [3 / 5, 2 / 4, 0])
    assert result.mean_prior == pytest.approx((3 / 5 + 2 / 4) / 2)  # over the classes of mean_ap
    assert result.accuracy_of_none == pytest.approx((2 / 5 + 2 / 4 + 1) / 3)


def test_agrees_with_scikit_learn(manifest):
    sklearn = pytest.importorskip("sklearn.metrics")
    result, scores = evaluate(Loudness(), manifest), score_manifest(Loudness(), manifest)
    for c in (0, 1):
        y = np.array(LABELS)[:, c]
        known = ~np.isnan(y)
        y, p = y[known], scores[known, c]
        assert result.ap[c] == pytest.approx(sklearn.average_precision_score(y, p))
        assert result.accuracy[c] == pytest.approx(sklearn.accuracy_score(y, p > 0.5))
    assert result.mean_accuracy == pytest.approx(np.mean(result.accuracy))


def test_accuracy_of_none_is_that_of_zeros(manifest):
    class Silent:
        def predict_proba(self, x):
            return np.zeros((len(x), 3), np.float32)

    result = evaluate(Silent(), manifest)
    assert result.mean_accuracy == pytest.approx(result.accuracy_of_none)
    # Equal scores are one threshold, whose precision is the prior.
    assert result.mean_ap == pytest.approx(result.mean_prior)


def test_some_classes(manifest):
    whole, part = evaluate(Loudness(), manifest), evaluate(Loudness(), manifest, ["dog", "hum"])
    assert part.classes == ("dog", "hum")
    np.testing.assert_array_equal(part.ap, whole.ap[[1, 0]])
    np.testing.assert_array_equal(part.accuracy, whole.accuracy[[1, 0]])
    with pytest.raises(AcdrefError, match="the class 'cow' is not one of hum, dog, rain"):
        evaluate(Loudness(), manifest, ["cow"])


def test_failures_are_left_out(manifest, tmp_path):
    write_damaged(tmp_path / "f.wav", 0.5)
    paths, labels = (*manifest.paths, "f.wav", "none.wav"), [*LABELS, [1, 1, 1], [1, 1, 1]]
    heard = []
    result = evaluate(
        Loudness(), Manifest("m.csv", str(tmp_path), paths, labels, CLASSES), on_failure=heard.append
    )
    clean = evaluate(Loudness(), manifest)
    assert result.clips == 5
    assert [error.path for error in result.failures] == [str(tmp_path / n) for n in ("f.wav", "none.wav")]
    assert heard == list(result.failures)
    np.testing.assert_array_equal(result.ap, clean.ap)
    assert result.positives.tolist() == [3, 2, 0]


def test_nothing_usable(tmp_path):
    manifest = Manifest("m.csv", str(tmp_path), ("a.wav", "b.wav"), np.zeros((2, 3)), CLASSES)
    with pytest.raises(AcdrefError, match=r"m\.csv: none of its 2 recordings"):
        evaluate(Loudness(), manifest)


def test_class_without_known_labels(manifest):
    labels = np.array(LABELS)
    labels[:, 1] = NAN
    unknown = Manifest("m.csv", manifest.root, manifest.paths, labels, CLASSES)
    result = evaluate(Loudness(), unknown)
    assert np.isnan(result.priors[1]) and np.isnan(result.ap[1]) and np.isnan(result.accuracy[1])
    assert np.isfinite([result.mean_ap, result.mean_prior, result.mean_accuracy]).all()


def test_dictionary_is_plain_json(manifest):
    result = evaluate(Loudness(), manifest)
    found = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert found["schema"] == "acdref.evaluate/1"
    assert found["mAP"] == result.mean_ap
    assert found["ap"] == {"hum": result.ap[0], "dog": result.ap[1], "rain": None}
    assert found["prior"] == result.mean_prior
    assert found["accuracy"] == result.mean_accuracy
    assert found["positives"] == {"hum": 3, "dog": 2, "rain": 0}
    assert (found["clips"], found["failures"]) == (5, [])


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [("*", "abcde"), ("[bd].wav", "bd"), ("?.wav", "abcde"), ("c.wav", "c"), ("*c*", "c")],
)
def test_matching(manifest, pattern, chosen):
    part = matching(manifest, pattern)
    assert part.paths == tuple(f"{name}.wav" for name in chosen)
    rows = [manifest.paths.index(path) for path in part.paths]
    np.testing.assert_array_equal(part.labels, manifest.labels[rows])


def test_star_passes_over_folders():
    manifest = Manifest("m.csv", ".", ("x/sonyc/1.ogg", "x/2.ogg"), np.zeros((2, 1)), ("a",))
    assert matching(manifest, "*sonyc*").paths == ("x/sonyc/1.ogg",)
    with pytest.raises(ManifestError, match=r"m\.csv: none of its 2 paths matches 'SONYC\*'"):
        matching(manifest, "SONYC*")


def test_measures_give_both_kinds_of_negatives_the_same_weight():
    y = np.array([[1.0], [0.0], [0.0], [0.0], [np.nan]])
    p = np.array([[0.6], [0.1], [0.2], [0.9], [0.5]])
    explicit = np.array([[False], [False], [False], [True], [True]])
    found = measures(y, p, explicit)
    assert found["AUC"] == 0.5
    assert found["d_prime"] == 0
    assert found["d_prime_explicit"] is None and found["d_prime_complementary"] is None  # infinite
    pooled = measures(y, p)
    assert pooled["AUC"] == pytest.approx(2 / 3) and "d_prime_explicit" not in pooled


def test_measures_by_kind_of_negative():
    y = np.array([[1.0], [1], [1], [0], [0], [0], [0]])
    p = np.array([[0.8], [0.6], [0.3], [0.1], [0.5], [0.7], [0.9]])
    explicit = (y == 0) & (p <= 0.5)
    found = measures(y, p, explicit)
    assert found["d_prime_explicit"] == pytest.approx(metrics.mean_d_prime(np.array([5 / 6])))
    assert found["d_prime_complementary"] == pytest.approx(metrics.mean_d_prime(np.array([1 / 6])))


def test_measures_at_thresholds_agree_with_scikit_learn(manifest):
    sklearn = pytest.importorskip("sklearn.metrics")
    scores = score_manifest(Loudness(), manifest)
    at = [np.median(scores[:, 0]), np.median(scores[:, 1]), 0.5]
    result = evaluate(Loudness(), manifest, thresholds=at)
    for c in (0, 1):
        y = np.array(LABELS)[:, c]
        known = ~np.isnan(y)
        y, p = y[known], scores[known, c]
        expected = sklearn.precision_recall_fscore_support(y, p > at[c], average="binary")[:3]
        assert [result.by_class[name][c] for name in ("precision", "recall", "f1")] == pytest.approx(expected)
        assert result.by_class["auc"][c] == pytest.approx(sklearn.roc_auc_score(y, p))
    np.testing.assert_allclose(result.by_class["d_prime"], metrics.d_prime(result.by_class["auc"]))
    assert result.means["auc"] == pytest.approx(np.mean(result.by_class["auc"][:2]))
    assert result.means["d_prime"] == pytest.approx(metrics.mean_d_prime(result.by_class["auc"]))
    assert result.means["f1"] == metrics.mean_over_classes(result.by_class["f1"])
    y = np.nan_to_num(np.array(LABELS))
    assert result.means["lwlrap"] == pytest.approx(
        sklearn.label_ranking_average_precision_score(
            y[y.any(axis=1)], scores[y.any(axis=1)], sample_weight=y[y.any(axis=1)].sum(axis=1)
        )
    )
    assert result.threshold == 0.5  # of the accuracy, whatever those of the classes


def test_a_threshold_counts_for_all_classes(manifest):
    result = evaluate(Loudness(), manifest, ["dog", "hum"], threshold=0.25, thresholds=[0.1, 0.2, 0.3])
    assert (result.threshold, result.thresholds.tolist()) == (0.25, [0.25, 0.25])
    own = evaluate(Loudness(), manifest, ["dog", "hum"], thresholds=[0.1, 0.2, 0.3])
    assert own.thresholds.tolist() == [0.2, 0.1]  # in the order of the classes measured


def test_intervals_are_by_source(manifest):
    alone, paired = (
        evaluate(Loudness(), replace(manifest, sources=sources, source_column=column))
        for sources, column in ((None, None), (tuple("xxyyy"), "source_id"))
    )
    assert alone.as_dict()["sources"] == {"count": 5, "column": None}
    assert paired.as_dict()["sources"] == {"count": 2, "column": "source_id"}
    y, p = np.array(LABELS), alone.scores
    for result, groups in ((alone, range(5)), (paired, "xxyyy")):
        expected = metrics.bootstrap_interval(metrics.mean_average_precision, y, p, groups, repeats=500)
        np.testing.assert_allclose(result.intervals["ap"][:, -1], expected)
        low, high = result.intervals["auc"]
        np.testing.assert_allclose(result.intervals["d_prime"], metrics.d_prime([low, high]))
        expected = metrics.bootstrap_interval(metrics.lwlrap, y, p, groups, repeats=500)
        np.testing.assert_allclose(result.intervals["lwlrap"][:, -1], expected)


def test_what_is_taken_for_what(manifest):
    class Fixed:
        """Finds dogs everywhere, and rain in the last recording."""

        def __init__(self):
            self.done = 0

        def predict_proba(self, x):
            self.done += 1
            return np.array([[0.1, 0.9, 0.6 if self.done == 5 else 0.4]], np.float32)

    result = evaluate(Fixed(), manifest)
    # Of hum, a and e are known to have no dog (c has one), and all have no rain.
    assert result.confusion == [Confusion("hum", "dog", 2, 2), Confusion("hum", "rain", 1, 3)]
    assert result.as_dict()["confusion"][1] == {
        "label": "hum", "taken_for": "rain", "recordings": 1, "of": 3, "share": 1 / 3
    }  # fmt: skip
    header, *rows = recording_rows(result)
    assert header == ["path", "classes", "unknown", "missed", "false", *CLASSES, "error", "schema"]
    assert rows[2][:6] == ["c.wav", "hum;dog", "", "hum", "", "0.100000"]
    assert rows[3][:5] == ["d.wav", "", "dog", "", ""]
    assert rows[4][:5] == ["e.wav", "hum", "", "hum", "dog;rain"]


def test_recordings_that_failed_have_their_cause_and_no_errors(manifest, tmp_path):
    paths, labels = (*manifest.paths, "none.wav"), [*LABELS, [1, 0, 0]]
    result = evaluate(Loudness(), Manifest("m.csv", str(tmp_path), paths, labels, CLASSES))
    last = list(recording_rows(result))[-1]
    assert last == ["none.wav", "hum", "", "", "", "", "", "", "no such file", "acdref.recordings/1"]


def test_windows_are_as_long_as_asked(manifest):
    net = Loudness()
    assert evaluate(net, manifest, window=0.25).window == 0.25
    assert len(net.frames) == 10
