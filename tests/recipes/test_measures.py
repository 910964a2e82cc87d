"""Measures of scores, with both kinds of negatives."""

import numpy as np
import pytest

from acdref.recipes.measures import measures


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
