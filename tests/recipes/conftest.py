"""Recipes know nothing of backends: here networks compute with NumPy, since to load or compile kernels would
take longer than these tests.  tests/commands/ runs every recipe with Numba, where that is installed."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def numpy_networks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("acdref.nets.network.available", lambda: False)
        yield
