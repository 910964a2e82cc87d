"""Padding and packing, by what they are for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.ops.layout import LANES, packed, padded, whole


@given(st.integers(0, 200))
def test_whole_vectors(channels):
    assert whole(channels) % LANES == 0
    assert 0 <= whole(channels) - channels < LANES


@pytest.mark.parametrize("axes", [(-1,), (0, 1)])
@pytest.mark.parametrize("shape", [(1, 1), (3, 16), (16, 3), (17, 33), (32, 16)])
def test_padding(shape, axes, rng):
    a = rng.standard_normal(shape)
    b = padded(a, axes)
    assert b.shape == tuple(
        whole(size) if axis - 2 in axes or axis in axes else size for axis, size in enumerate(shape)
    )
    np.testing.assert_array_equal(b[: shape[0], : shape[1]], a)
    assert not b[shape[0] :].any()
    assert not b[:, shape[1] :].any()


def test_padding_makes_contiguous(rng):
    assert padded(rng.standard_normal((16, 32)).T).flags.c_contiguous
    assert packed(rng.standard_normal((16, 32)).T).flags.c_contiguous


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 32, 40])
def test_packing(columns, rng):
    b = rng.standard_normal((5, columns))
    panels = packed(b).reshape(-1, 5, LANES)
    unpacked = panels.transpose(1, 0, 2).reshape(5, -1)
    np.testing.assert_array_equal(unpacked[:, :columns], b)
    assert not unpacked[:, columns:].any()
