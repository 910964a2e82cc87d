"""Threads: how many, errors that arrive, life after fork and in worker processes, cuts."""

import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.errors import AcdrefError
from acdref.ops import threads
from acdref.ops.conv2d import Geometry, conv2d
from acdref.ops.kernel import available


@pytest.fixture(autouse=True)
def no_choice_yet(monkeypatch):
    monkeypatch.delenv("ACDREF_NUM_THREADS", raising=False)
    threads.set_threads(None)
    yield
    threads.set_threads(None)


def test_default_is_the_usable_cores():
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads.get_threads() == usable


def test_environment_then_set_threads(monkeypatch):
    monkeypatch.setenv("ACDREF_NUM_THREADS", "3")
    assert threads.get_threads() == 3
    threads.set_threads(2)
    assert threads.get_threads() == 2
    threads.set_threads(None)
    assert threads.get_threads() == 3
    monkeypatch.setenv("ACDREF_NUM_THREADS", "")
    assert threads.get_threads() >= 1


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "1e3", "1025", " ", "99999999999999999999", "nan"])
def test_bad_environment(monkeypatch, text):
    monkeypatch.setenv("ACDREF_NUM_THREADS", text)
    with pytest.raises(AcdrefError, match="ACDREF_NUM_THREADS must be a whole number from 1 to 1024, got '"):
        threads.get_threads()
    with pytest.raises(AcdrefError):
        threads.run(lambda i: None, 4)


@pytest.mark.parametrize("count", [0, -3, 1025, "many"])
def test_bad_count(count):
    with pytest.raises(AcdrefError, match="number of threads must be a whole number from 1 to 1024"):
        threads.set_threads(count)
    assert threads.get_threads() >= 1


@pytest.mark.parametrize("workers", [1, 2, 4, 9])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_every_task_runs_once(workers, count):
    threads.set_threads(workers)
    done = np.zeros(count, int)

    def task(i):
        done[i] += 1

    threads.run(task, count)
    assert (done == 1).all()


def test_tasks_run_side_by_side():
    """Three tasks that wait for each other only end if three threads run them."""
    threads.set_threads(3)
    barrier = threading.Barrier(3, timeout=20)
    threads.run(lambda i: barrier.wait(), 3)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("failing", [0, 1, 3, 7])
def test_an_error_arrives_after_all_threads_have_ended(workers, failing):
    threads.set_threads(workers)
    running = []

    def task(i):
        if i == failing:
            raise ZeroDivisionError(f"task {i}")
        running.append(i)
        time.sleep(0.005)
        running.remove(i)

    with pytest.raises(ZeroDivisionError, match=f"task {failing}"):
        threads.run(task, 8)
    assert not running
    threads.run(running.append, 8)  # and the pool still works
    assert sorted(running) == list(range(8))


NESTED = """
import threading
from acdref.ops import threads

threads.set_threads(3)
everyone = threading.Barrier(3, timeout=20)
done = []

def outer(i):
    everyone.wait()  # now every thread of the pool is inside a task
    me = threading.get_ident()
    threads.run(lambda j: done.append((i, j, me == threading.get_ident())), 4)

threads.run(outer, 3)
print(len(set(done)), all(own for _, _, own in done))
"""


def test_a_task_may_itself_run_tasks():
    """In its own thread: threads that waited for each other would wait forever (hence a process to stop)."""
    output = subprocess.run(
        [sys.executable, "-c", NESTED],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert output.split() == ["12", "True"]


def test_several_callers_share_the_pool():
    threads.set_threads(3)

    def caller(k):
        done = np.zeros(40, int)

        def task(i):
            done[i] += k

        threads.run(task, 40)
        return done

    with ThreadPoolExecutor(4) as callers:
        for k, done in zip(range(1, 9), callers.map(caller, range(1, 9)), strict=True):
            assert (done == k).all()


def _depthwise_in_child(queue):
    threads.set_threads(3)
    queue.put(_depthwise())


def _depthwise():
    rng = np.random.default_rng(5)
    x, weight = rng.standard_normal((2, 40, 9, 16)), rng.standard_normal((3, 3, 1, 16))
    geometry, backend = Geometry(padding=(0, 2), dilation=(2, 2)), "numba" if available() else "numpy"
    return conv2d(x, weight, None, geometry, depthwise=True, backend=backend)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_works_in_worker_processes(method):
    """After fork too, when the parent's pool threads do not exist in the child."""
    threads.set_threads(3)
    expected = _depthwise()  # the parent's pool is alive now
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_depthwise_in_child, args=(queue,))
    child.start()
    try:
        result = queue.get(timeout=60)
        child.join(10)
        assert child.exitcode == 0
    finally:
        child.kill()
    np.testing.assert_array_equal(result, expected)


@given(length=st.integers(0, 500), pieces=st.integers(1, 70))
def test_cuts_cover_everything_evenly(length, pieces):
    cuts = threads.cuts(length, pieces)
    assert len(cuts) == max(1, min(length, pieces))
    assert cuts[0][0] == 0
    assert cuts[-1][1] == length
    for (_, stop), (start, _) in itertools.pairwise(cuts):
        assert stop == start
    sizes = [stop - start for start, stop in cuts]
    assert max(sizes) - min(sizes) <= 1


def test_pieces_and_rows_are_done_once_each():
    done = []
    threads.by_pieces(lambda start, stop: done.extend(range(start, stop)), 1000, 7)
    threads.by_pieces(lambda start, stop: done.append((start, stop)), 0)
    assert sorted(done[:-1]) == list(range(1000)) and done[-1] == (0, 0)
    rows = []
    threads.by_rows(lambda clip, *part: rows.extend((clip, row) for row in range(*part)), 3, 10, 4)
    assert sorted(rows) == [(clip, row) for clip in range(3) for row in range(10)]


def answers(count, workers, ahead, asked=None, drained=()):
    """Results of jobs that say their number and whether they are alone, None before those `drained`."""

    def jobs():
        for number in range(count):
            if number in drained:
                yield None
            if asked is not None:
                asked.append(number)
            yield lambda number=number: (number, not getattr(threads._inside, "task", False))

    return threads.in_order(jobs(), workers, ahead)


@pytest.mark.parametrize(("workers", "ahead"), [(1, 9), (2, 1), (2, 4), (3, 2), (5, 30)])
def test_results_of_jobs_come_in_order(workers, ahead):
    found = list(answers(50, workers, ahead, drained=(7, 20)))
    assert [number for number, _ in found] == list(range(50))
    alone = [number for number, alone in found if alone]
    assert alone == (list(range(50)) if min(workers, ahead) == 1 else [7, 20])


def test_jobs_are_worked_on_at_the_same_time():
    """Three meet, the caller's thread among them: alone, each would wait for ever."""
    meeting = threading.Barrier(3, timeout=30)
    seen = list(threads.in_order([lambda: (meeting.wait(), threading.get_ident())] * 6, 3, 6))
    assert len({ident for _, ident in seen}) == 3 and threading.get_ident() in {ident for _, ident in seen}


def test_jobs_are_asked_for_a_little_ahead():
    asked = []
    found = answers(100, 2, 4, asked)
    for number in range(100):
        assert next(found)[0] == number
        assert len(asked) <= number + 1 + 4


def test_nothing_is_asked_for_before_what_came_before_is_given_out():
    asked = []
    found = answers(10, 3, 8, asked, drained=(5,))
    for _ in range(5):
        next(found)
        assert max(asked) < 5
    next(found)


def test_a_job_that_fails_ends_the_others_in_its_turn():
    done = []

    def fails():
        raise KeyError("this one")

    jobs = [lambda: done.append(1)] * 5 + [fails] + [lambda: time.sleep(0.01)] * 50
    found = threads.in_order(jobs, 3, 8)
    assert [next(found) for _ in range(5)] == [None] * 5 and len(done) == 5
    with pytest.raises(KeyError, match="this one"):
        next(found)


def test_who_wants_no_more_waits_for_what_is_being_done_alone():
    done = []
    found = threads.in_order((lambda: (time.sleep(0.05), done.append(1)) for _ in range(100)), 2, 50)
    next(found)
    found.close()
    count = len(done)
    time.sleep(0.2)
    assert len(done) == count <= 4


def test_a_job_among_others_works_through_its_tasks_alone():
    threads.set_threads(4)

    def job():
        seen = set()
        threads.run(lambda i: (seen.add(threading.get_ident()), time.sleep(0.002)), 8)
        return len(seen)

    assert set(threads.in_order([job] * 6, 2, 4)) == {1}
    assert max(threads.in_order([None, job, None, job], 2, 4)) > 1
