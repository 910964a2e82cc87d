"""Fixtures for the tests of the metrics."""

import pytest
from metrics_support import golden


@pytest.fixture(scope="session")
def ranked():
    return golden("metrics_ap_auc_dprime.npz")


@pytest.fixture(scope="session")
def sklearn():
    return pytest.importorskip("sklearn.metrics")
