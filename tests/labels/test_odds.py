"""Oracle: scipy's sample odds ratio (recorded)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from labels_support import LABELS, golden, matrices

from acdref.labels import odds

TABLES = hnp.arrays(np.int64, (2, 2), elements=st.integers(1, 500))


class TestOddsRatio:
    def test_scipy(self):
        for case in golden("odds_ratio.json")["cases"]:
            ratio, low, high = odds.odds_ratio(case["table"])
            np.testing.assert_allclose(ratio, case["odds_ratio"], rtol=1e-12)
            np.testing.assert_allclose([low, high], case["ci95"], rtol=1e-12)

    def test_real_tables(self):
        cases = golden("odds_ratio.json")["audioset_eval_weak_vs_strong_top110_downloaded_subset"]
        ratio = odds.odds_ratio([case["table"] for case in cases]).ratio
        np.testing.assert_allclose(ratio, [case["odds_ratio"] for case in cases], rtol=1e-12)

    @given(TABLES)
    def test_transposition_and_inversion(self, table):
        ratio, low, high = odds.odds_ratio(table)
        for other in (table.T, table[::-1, ::-1]):
            np.testing.assert_allclose(odds.odds_ratio(other), (ratio, low, high), rtol=1e-12)
        for swapped in (table[::-1], table[:, ::-1]):
            np.testing.assert_allclose(odds.odds_ratio(swapped), (1 / ratio, 1 / high, 1 / low), rtol=1e-12)
        assert low < ratio < high

    def test_zero_cells(self):
        ratio = odds.odds_ratio([[[5, 0], [3, 9]], [[0, 4], [2, 8]], [[0, 0], [2, 8]]]).ratio
        np.testing.assert_array_equal(ratio, [np.inf, 0.0, np.nan])

    @given(hnp.arrays(np.int64, (2, 2), elements=st.integers(0, 3)))
    def test_haldane(self, table):
        corrected = odds.odds_ratio(table, haldane=True)
        assert np.isfinite(corrected).all()
        np.testing.assert_array_equal(corrected, odds.odds_ratio(table + 0.5))

    def test_confidence(self):
        _, low, high = odds.odds_ratio([[10, 5], [3, 40]], confidence=0.5)
        _, lower, higher = odds.odds_ratio([[10, 5], [3, 40]], confidence=0.99)
        assert lower < low < high < higher

    @pytest.mark.parametrize(
        "table", [[1, 2], [[1, 2, 3], [4, 5, 6]], [[-1, 2], [3, 4]], [[np.nan, 2], [3, 4]]]
    )
    def test_refuses(self, table):
        with pytest.raises(ValueError, match="table"):
            odds.odds_ratio(table)


class TestContingency:
    @given(st.integers(0, 8), st.data())
    def test_counts(self, n, data):
        x = data.draw(hnp.arrays(np.float64, (n, 3), elements=LABELS))
        y = data.draw(hnp.arrays(np.float64, (n, 2), elements=LABELS))
        tables = odds.contingency(x, y)
        assert tables.shape == (3, 2, 2, 2)
        for c in range(3):
            for d in range(2):
                expected = [[((x[:, c] == i) & (y[:, d] == j)).sum() for j in (1, 0)] for i in (1, 0)]
                np.testing.assert_array_equal(tables[c, d], expected)
                np.testing.assert_array_equal(odds.contingency(x[:, c], y[:, d]), expected)
        np.testing.assert_array_equal(odds.contingency(y, x), tables.transpose(1, 0, 3, 2))

    def test_refuses(self):
        with pytest.raises(ValueError, match="clips"):
            odds.contingency([1, 0], [1])


class TestClassPriors:
    @given(matrices(LABELS))
    def test_known_clips(self, y):
        for prior, column in zip(odds.class_priors(y), y.T, strict=True):
            known = column[~np.isnan(column)]
            assert prior == known.mean() if len(known) else np.isnan(prior)
