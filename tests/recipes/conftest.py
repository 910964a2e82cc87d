"""Recipes know nothing of backends; tests/commands/ runs each with Numba, where that is installed."""

import pytest
from train_support import numpy_networks


@pytest.fixture(scope="module", autouse=True)
def on_numpy():
    with numpy_networks():
        yield
