"""Tasks cover every row once, and their sums do not depend on threads."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acdref.fast.tasks import ROWS, STEP, each, pieces, rows_together, summed
from acdref.ops import threads

clips_and_rows = st.tuples(st.integers(1, 4), st.integers(1, 3 * ROWS + 1))


@given(clips_and_rows)
def test_every_row_once(shape):
    seen = np.zeros(shape, int)
    for clip, start, stop in pieces(*shape):
        assert 0 < stop - start <= ROWS
        seen[clip, start:stop] += 1
    assert (seen == 1).all()
    counted = np.zeros(shape, int)

    def task(clip, start, stop):
        counted[clip, start:stop] += 1

    each(task, *shape)
    assert (counted == 1).all()


@given(st.integers(1, 1000))
def test_rows_that_go_together(bins):
    rows = rows_together(bins)
    assert rows >= 1
    assert rows == 1 or rows * bins <= STEP < (rows + 1) * bins


@given(clips_and_rows)
def test_sums(shape):
    """In float64, of arrays of either precision, the same for any number of threads."""
    x = np.random.default_rng(0).standard_normal((*shape, 5)).astype(np.float32)

    def task(clip, start, stop, first, second):
        assert not first.any()
        first += x[clip, start:stop].sum(0)
        second += x[clip, start:stop, :2].sum(0)

    results = []
    for count in (1, 2, 4):
        threads.set_threads(count)
        try:
            results.append(summed(task, *shape, (5, np.float32), (2, np.float64)))
        finally:
            threads.set_threads(None)
    for first, second in results:
        assert first.dtype == second.dtype == np.float64
        np.testing.assert_array_equal(first, results[0][0])
        np.testing.assert_array_equal(second, results[0][1])
    np.testing.assert_allclose(results[0][0], x.sum((0, 1), dtype=np.float64), atol=1e-4)
