"""Sums over clips: of any number, in an order that only the number decides."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.ops import threads
from acdref.ops.batch import WHOLE, by_clip, each, middle, tree


def plain(parts):
    """The sum of neighbours, of their sums, and so on; who has no neighbour waits."""
    while len(parts) > 1:
        sums = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = sums + parts[len(parts) // 2 * 2 :]
    return parts[0]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_a_tree_is_of_neighbours(values):
    parts = np.array(values, np.float32)[:, None] * np.array([1, 1e-3], np.float32)
    expected = plain([part.copy() for part in parts])
    np.testing.assert_array_equal(tree(parts.copy()), expected)
    assert tree(parts[:, 0].copy()) == expected[0]
    first, second = WHOLE.total(parts.copy(), parts[:, :1].copy())
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(second, expected[:1])


@given(st.integers(0, 50), st.integers(2, 50))
def test_a_tree_parts_behind_the_largest_whole_one(start, length):
    left = middle(start, start + length) - start
    assert left & (left - 1) == 0
    assert left < length <= 2 * left


def test_one_process_has_all():
    parts = np.arange(6.0).reshape(3, 2)
    assert (WHOLE.rank, WHOLE.size, WHOLE.clips(3), WHOLE.own(3)) == (0, 1, 3, slice(0, 3))
    assert WHOLE.gather(parts) is parts and WHOLE.gather(parts, 3) is parts
    assert WHOLE.any(True) is True and WHOLE.any(False) is False


@pytest.mark.parametrize("count", [1, 2])
def test_clip_by_clip(count):
    maps = np.arange(10.0).reshape(5, 2), np.arange(5.0).reshape(5, 1)
    seen = set()

    def function(a, b):
        assert a.shape == (1, 2) and b.shape == (1, 1)
        seen.add(threading.get_ident())
        return a + b

    threads.set_threads(count)
    try:
        results = each(function, *maps)
        assert len(results) == 5
        np.testing.assert_array_equal(by_clip(function, *maps), maps[0] + maps[1])
        np.testing.assert_array_equal(by_clip(function, maps[0][:1], maps[1][:1]), (maps[0] + maps[1])[:1])
    finally:
        threads.set_threads(None)
    assert len(seen) <= count
