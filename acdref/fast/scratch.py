"""Memory of a thread's own, used again from call to call: large arrays are slow to get and to clear."""

import threading

import numpy as np

from acdref.ops.memory import aligned


class _Memory(threading.local):
    def __init__(self):
        self.flat, self.framed = {}, {}


_memory = _Memory()


def scratch(name, size, dtype):
    """`size` numbers of this thread's, flat, with whatever their last user left."""
    array = _memory.flat.get(name)
    if array is None or array.size < size or array.dtype != dtype:
        array = _memory.flat[name] = aligned((size,), dtype)
    return array[:size]


def framed(name, rows, bins, pad, channels, dtype):
    """A map (rows, bins + 2 pad, channels) of this thread's whose `pad` bins on both sides are zeros.

    What lies between them is whatever the last user left, who must not have written beside it.
    """
    layout = rows, bins, pad, channels, np.dtype(dtype)
    before, array = _memory.framed.get(name, (None, None))
    if before != layout:
        array = aligned((rows, bins + 2 * pad, channels), dtype)
        array.fill(0)
        _memory.framed[name] = layout, array
    return array
