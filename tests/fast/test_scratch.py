"""Memory that is used again: of the size asked for, of one thread's own, and never another map's frame."""

import threading

import numpy as np
import pytest
from acdref.fast.scratch import framed, scratch


def test_scratch_is_used_again():
    a = scratch("test", 10, np.float32)
    assert (a.shape, a.dtype) == ((10,), np.float32)
    assert np.shares_memory(scratch("test", 7, np.float32), a)
    assert not np.shares_memory(scratch("other", 7, np.float32), a)
    larger = scratch("test", 11, np.float32)
    assert larger.shape == (11,)
    assert np.shares_memory(scratch("test", 11, np.float32), larger)
    assert scratch("test", 3, np.float64).dtype == np.float64


@pytest.mark.parametrize(
    "get", [lambda: scratch("own", 5, np.float32), lambda: framed("own", 1, 2, 3, 4, np.float32)]
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
