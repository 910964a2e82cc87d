"""Averages over classes."""

import numpy as np

from acdref import metrics


def test_undefined_values_are_passed_over():
    assert metrics.mean_over_classes([0.5, np.nan, 1.0]) == 0.75


def test_nothing_defined():
    assert np.isnan(metrics.mean_over_classes([np.nan]))
    assert np.isnan(metrics.mean_over_classes([]))
