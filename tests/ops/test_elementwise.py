"""Sums of maps, in place."""

import numpy as np
import pytest
from ops_support import BACKENDS, DTYPES, assert_threads_do_not_matter, needs_numba, normal

from acdref.ops.elementwise import add


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (2, 3, 5, 7), (33, 1, 1, 17)])
def test_add(shape, dtype, backend, rng):
    x, y = normal(rng, *shape, dtype=dtype), normal(rng, *shape, dtype=dtype)
    x.flat[0] = np.nan
    expected, kept = x + y, y.copy()
    assert add(x, y, backend=backend) is x
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, kept)


@needs_numba
def test_threads_do_not_matter(rng):
    x, y = normal(rng, 3, 700, 20, dtype=np.float32), normal(rng, 3, 700, 20, dtype=np.float32)
    assert_threads_do_not_matter(lambda: add(x.copy(), y, backend="numba"))
