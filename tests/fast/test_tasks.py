"""Tasks cover every row once, and their sums do not depend on threads.

Memory that is used again: of the size asked for, of one thread's own, and never another map's frame.
"""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.fast.tasks import ROWS, STEP, Crew, for_each, framed, pieces, rows_together, scratch, summed
from acdref.ops import threads

clips_and_rows = st.tuples(st.integers(1, 4), st.integers(1, 3 * ROWS + 1))


@given(clips_and_rows)
def test_every_row_once(shape):
    seen = np.zeros(shape, int)
    for clip, start, stop in pieces(*shape):
        assert 0 < stop - start <= ROWS
        assert stop <= shape[1]
        seen[clip, start:stop] += 1
    assert (seen == 1).all()
    counted = np.zeros(shape, int)

    def task(clip, start, stop):
        counted[clip, start:stop] += 1

        return clip, start, stop

    assert for_each(task, pieces(*shape)) == pieces(*shape)
    assert (counted == 1).all()


def work(tasks, own, done):
    """A kernel in Python: takes pieces until there are no more."""
    counter, count = tasks
    while True:
        with lock:
            i, counter[0] = counter[0], counter[0] + 1
        if i >= count:
            return
        own.append(i)
        done.append(i)
        with lock:
            counter[1] += 1


lock = threading.Lock()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_crew_does_each_piece_once(count):
    """Stage after stage, also when its members have gone meanwhile; inside a task the caller is alone."""
    threads.set_threads(count)
    try:
        with Crew() as crew:
            for pieces in (1, 2, 5, 30, 1, 3):
                done, owns = [], []

                def arguments(done=done, owns=owns):
                    owns.append([])
                    return owns[-1], done

                crew.share(work, pieces, arguments)
                assert sorted(done) == list(range(pieces))
                assert len(owns) <= count + 1  # who comes late sees the same stage twice
                time.sleep(0.01 * (pieces == 5))
        outside = []

        def inner(i):
            owns = []
            with Crew() as crew:
                crew.share(work, 3, lambda: (owns.append(threading.get_ident()) or [], outside))
            assert set(owns) == {threading.get_ident()}

        threads.run(inner, 2)
        assert sorted(outside) == [0, 0, 1, 1, 2, 2]
    finally:
        threads.set_threads(None)


@pytest.mark.parametrize("late", [0.002, 0.1])
def test_a_stage_begins_when_others_have_done_what_it_needs(late):
    """Each of two threads has a piece of the first stage; the caller's is done long before the other's."""
    values, found, both, caller = [0, 0], [], threading.Barrier(2, timeout=20), threading.get_ident()

    def slow(tasks):
        counter, count = tasks
        with lock:
            i, counter[0] = counter[0], counter[0] + 1
        if i >= count:
            return
        both.wait()  # so that neither takes both
        if threading.get_ident() != caller:
            time.sleep(late)
        values[i] = i + 1
        with lock:
            counter[1] += 1

    def needs_both(tasks):
        found.append(sum(values))
        tasks[0][:] = 1

    threads.set_threads(2)
    try:
        with Crew() as crew:
            for _ in range(2):
                values[:] = 0, 0
                crew.share(slow, 2, tuple)
                crew.share(needs_both, 1, tuple)
        assert found == [3, 3]
    finally:
        threads.set_threads(None)


def test_a_crew_goes_with_its_context():
    threads.set_threads(2)
    try:
        with Crew() as crew:
            crew.share(work, 2, lambda: ([], []))
            members = crew._members
        assert all(member.result(10) is None for member in members)
        assert len(members) == 1
    finally:
        threads.set_threads(None)


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
            results.append(summed(task, *shape, ((5,), np.float32), ((1, 2), np.float64)))
        finally:
            threads.set_threads(None)
    for first, second in results:
        assert first.dtype == second.dtype == np.float64
        np.testing.assert_array_equal(first, results[0][0])
        np.testing.assert_array_equal(second, results[0][1])
    np.testing.assert_allclose(results[0][0], x.sum((0, 1), dtype=np.float64), atol=1e-4)


def test_scratch_is_used_again():
    a = scratch("test", (2, 5), np.float32)
    assert (a.shape, a.dtype) == ((2, 5), np.float32)
    assert np.shares_memory(scratch("test", (7,), np.float32), a)
    assert not np.shares_memory(scratch("other", (7,), np.float32), a)
    larger = scratch("test", (11,), np.float32)
    assert larger.shape == (11,)
    assert np.shares_memory(scratch("test", (11,), np.float32), larger)
    assert scratch("test", (3,), np.float64).dtype == np.float64


@pytest.mark.parametrize(
    "get", [lambda: scratch("own", (5,), np.float32), lambda: framed("own", 1, 2, 3, 4, np.float32)]
)
def test_each_thread_has_its_own(get):
    arrays = [get()]
    thread = threading.Thread(target=lambda: arrays.append(get()))
    thread.start()
    thread.join()
    assert not np.shares_memory(*arrays)


def test_frames_stay_empty():
    y = framed("map", 3, 5, 2, 16, np.float32)
    assert y.shape == (3, 9, 16)
    y[:, 2:7] = 1
    again = framed("map", 3, 5, 2, 16, np.float32)
    assert np.shares_memory(y, again)
    assert not again[:, :2].any()
    assert not again[:, 7:].any()


def test_a_map_of_the_same_size_with_another_frame_is_another():
    """21 bins are 17 and two on each side, or 19 and one: numbers of the one lie in the other's frame."""
    framed("map", 3, 17, 2, 16, np.float32)[:, 2:-2] = 1
    framed("map", 3, 19, 1, 16, np.float32)[:, 1:-1] = 1
    y = framed("map", 3, 17, 2, 16, np.float32)
    assert not y[:, :2].any()
    assert not y[:, 19:].any()
