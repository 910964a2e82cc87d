"""Oracles: the windows, padding and losses of the authors' program (recorded)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from labels_support import LABELS, golden, same

from acdref.labels import pseudo

TENTHS = st.integers(0, 400).map(lambda k: k / 10)
POSITIVE_TENTHS = st.integers(1, 150).map(lambda k: k / 10)
SOFT = st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan])


def bce(y, p):
    return np.mean(-(y * np.log(p) + (1 - y) * np.log1p(-p)))


class TestWindows:
    def test_golden(self):
        for case in golden("psl_chunks.json")["chunks"]:
            windows = pseudo.windows(case["duration"], case["chunk_length"], case["chunk_hop"])
            np.testing.assert_allclose(windows, case["windows"], rtol=0, atol=1e-12)
            np.testing.assert_array_equal(pseudo.window_samples(windows), case["samples"])

    @given(TENTHS, POSITIVE_TENTHS)
    def test_tile_the_clip(self, duration, window):
        windows = pseudo.windows(duration, window)
        assert len(windows) == -(-round(duration * 10) // round(window * 10))
        assert (windows[:, 0] < windows[:, 1]).all()
        np.testing.assert_allclose(windows[1:, 0], windows[:-1, 1], rtol=0, atol=1e-9)
        if duration:
            assert windows[0, 0] == 0
            assert windows[-1, 1] == pytest.approx(duration)
            assert (len(windows) == 1) == (window >= duration)

    @given(TENTHS, POSITIVE_TENTHS, POSITIVE_TENTHS)
    def test_hop(self, duration, window, hop):
        windows = pseudo.windows(duration, window, hop)
        assert len(windows) == -(-round(duration * 10) // round(hop * 10))
        np.testing.assert_allclose(windows[:, 0], hop * np.arange(len(windows)), rtol=0, atol=1e-9)
        np.testing.assert_allclose(windows[:, 1], np.minimum(windows[:, 0] + window, duration), atol=1e-9)

    def test_quotient_just_above_an_integer(self):
        assert 2.1 / 0.3 > 7
        assert len(pseudo.windows(2.1, 0.3)) == 7

    def test_duration_is_rounded_to_tenths(self):
        np.testing.assert_array_equal(pseudo.windows(10.04, 5), [[0, 5], [5, 10]])
        assert len(pseudo.windows(10.06, 5)) == 3

    def test_samples_are_rounded_down(self):
        np.testing.assert_array_equal(pseudo.window_samples([[0.0001, 1.99999]]), [[1, 31999]])

    @pytest.mark.parametrize("arguments", [(-1, 5), (np.nan, 5), (10, 0), (10, 5, 0), (10, np.inf)])
    def test_refuses(self, arguments):
        with pytest.raises(ValueError, match="positive"):
            pseudo.windows(*arguments)


class TestInferenceWindows:
    def test_golden(self):
        for case in golden("psl_chunks.json")["overlapping_windows"]:
            windows = pseudo.inference_windows(case["T"], case["win"], case["hop"])
            assert len(windows) == case["n"]
            assert windows[:, 0].tolist() == case["starts"]

    @given(st.integers(0, 200), st.integers(1, 50), st.integers(1, 50))
    def test_whole_windows_only(self, n, window, hop):
        windows = pseudo.inference_windows(n, window, hop)
        expected = [[s, s + window] for s in range(0, n, hop) if s + window <= n]
        assert windows.tolist() == expected

    @pytest.mark.parametrize("arguments", [(-1, 1, 1), (1, 0, 1), (1, 1, 0)])
    def test_refuses(self, arguments):
        with pytest.raises(ValueError, match="positive"):
            pseudo.inference_windows(*arguments)


class TestPadBatch:
    def test_golden(self):
        example = golden("psl_chunks.json")["pad_example"]
        np.testing.assert_array_equal(pseudo.pad_batch(example["inp"]), example["out"])

    @given(st.lists(hnp.arrays(np.float32, st.integers(0, 6)), max_size=4))
    def test_items_come_back(self, items):
        batch = pseudo.pad_batch(items)
        assert batch.shape == (len(items), max(map(len, items), default=0))
        assert batch.dtype == np.float32
        for row, item in zip(batch, items, strict=True):
            assert same(row[: len(item)], item)
            assert not row[len(item) :].any()

    def test_refuses(self):
        with pytest.raises(ValueError, match="one dimension"):
            pseudo.pad_batch([np.zeros((2, 2))])


class TestSoftLabels:
    def test_golden_losses(self):
        g = golden("psl_loss.npz")
        teacher, student, weak = g["teacher"], g["student"], g["weak"]
        for mix, key in ((1.0, "loss_alpha1"), (1.0, "ts_loss"), (0.5, "loss_alpha05"), (0.0, "sup_loss")):
            target = pseudo.soft_labels(teacher, weak, mix)
            assert bce(target, student) == pytest.approx(g[key], abs=1e-12)

    @given(
        hnp.arrays(np.float64, (4, 3), elements=SOFT),
        hnp.arrays(np.float64, (4, 3), elements=LABELS),
        st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    )
    def test_definition(self, teacher, weak, mix):
        target = pseudo.soft_labels(teacher, weak, mix)
        for p, y, t in zip(teacher.flat, weak.flat, target.flat, strict=True):
            expected = y if np.isnan(p) else p if mix == 1 else mix * p + (1 - mix) * y
            assert same(t, expected)
        assert ((target >= 0) & (target <= 1) | np.isnan(target)).all()

    @given(hnp.arrays(np.float64, (4, 3), elements=SOFT))
    def test_teacher_alone(self, teacher):
        target = pseudo.soft_labels(teacher)
        assert same(target, teacher)
        assert target is not teacher

    def test_windows_inherit_the_labels_of_their_clip(self):
        teacher, weak = np.full((3, 2), 0.5), [1.0, 0.0]
        np.testing.assert_array_equal(
            pseudo.soft_labels(teacher, weak, 0.5), pseudo.soft_labels(teacher, [weak] * 3, 0.5)
        )

    @given(hnp.arrays(np.float64, 5, elements=st.floats(0.01, 0.99)), st.floats(0.01, 0.99))
    def test_loss_is_least_at_the_target_and_not_zero(self, target, other):
        assert 0 < bce(target, target) <= bce(target, np.full(5, other)) + 1e-12

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([[1.5]],), "teacher"),
            (([[0.5]], None, 0.5), "weak"),
            (([[0.5]], [[0.5, 0.5]], 0.5), "weak"),
            (([[0.5]], [[2.0]], 0.5), "weak"),
            (([[0.5]], [[1.0]], 1.5), "mix"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            pseudo.soft_labels(*arguments)


class TestLabelCounts:
    @given(hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=SOFT))
    def test_counts(self, p):
        counts = pseudo.label_counts(p)
        per_window = [sum(score > 0.5 for score in row) for row in p]
        assert counts.mean == pytest.approx(np.mean(per_window))
        assert counts.share.shape == (p.shape[1] + 1,)
        for k, share in enumerate(counts.share):
            assert share == pytest.approx(per_window.count(k) / len(p))

    def test_threshold_is_strict(self):
        assert pseudo.label_counts([[0.2]], threshold=0.2).mean == 0
        assert pseudo.label_counts([[0.2]], threshold=0.19).mean == 1

    def test_refuses_nothing(self):
        with pytest.raises(ValueError, match="no window"):
            pseudo.label_counts(np.zeros((0, 3)))
