"""What is made of a network's weights, and whether they have changed since.

Whoever owns weights may change them in place, and tells nobody.  So each use makes digests of them all anew;
where one differs, what was made is dropped.
"""

import operator
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import carray
from numba.core import types
from numba.extending import intrinsic

from acdref.nets.layers import Layer
from acdref.ops.kernel import compile_function

LANES = 128
"""Numbers in a digest."""
_MOST = 3  # things that are kept of a network
_FACTOR = np.uint32(0x9E3779B1)  # odd, so that every change changes the product

_lock = threading.RLock()
_kept: weakref.WeakKeyDictionary[Any, "_Weights"] = weakref.WeakKeyDictionary()


def kept(net: Any, layers: Sequence[Layer], make: Callable[[Sequence[Layer], Any], Any]) -> Any:
    """``make(layers, net)``, made anew only when the layers are others, or a bit of a parameter or statistic.

    What is made must not hold the network itself, which would be there for ever.
    """
    weights = _kept.get(net)
    hold = weights is not None and weights.hold(net)
    with _lock:
        now = _kept.get(net)
        if now is not weights:  # another thread was first
            hold = now is not None and now.hold(net)
        if now is None or not hold:
            now = _kept[net] = _Weights(net)  # the memory of what was made is free now
        made = now.made
        key = make, *map(id, layers)
        if key not in made:
            if len(made) >= _MOST:
                made.clear()
            made[key] = layers, make(layers, net)  # layers, so that nothing else gets their ids
        return made[key][1]


class _Weights:
    """All arrays of a network, their digests, and what was made of them."""

    def __init__(self, net):
        self.made: dict[tuple, tuple[Sequence[Layer], Any]] = {}
        self._names, self._arrays = _arrays(net)
        self._lasting = all(array.flags.c_contiguous for array in self._arrays)
        spans = [(array.ctypes.data, array.nbytes // 4) for array in self._arrays]
        self._spans = np.array(spans, np.int64).reshape(-1, 2)  # (A, 2)
        self._digests = self._digested()

    def hold(self, net):
        """Whether a network still has the very arrays, and they the same bits."""
        names, arrays = _arrays(net)
        same = self._lasting and names == self._names and all(map(operator.is_, arrays, self._arrays))
        return same and np.array_equal(self._digested(), self._digests)

    def _digested(self):
        found = np.empty((len(self._spans), LANES), np.uint32)
        digest(self._spans, found)
        return found


def _arrays(net):
    """Names and arrays of all parameters and statistics."""
    return [*net.params, *net.state], [*net.params.values(), *net.state.values()]


@intrinsic
def _words_at(typingctx, address):
    """An address as a pointer to 32-bit words."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint32)(types.int64), codegen


@compile_function(part=True)
def _mixed(number, word):
    """A number that changes when either does."""
    # A product carries changes upwards only: those of two signs would cancel out without the shift.
    mixed = np.uint32(np.uint32(number ^ word) * _FACTOR)
    return np.uint32(mixed ^ np.uint32(mixed >> np.uint32(15)))


@compile_function
def digest(spans, digests):
    """Numbers that change when a word does.

    Parameters
    ----------
    spans : (A, 2) int64 array
        Addresses of arrays, and how many 32-bit words each has.
    digests : (A, 128) uint32 array
        Gets a digest of each.
    """
    for i in range(len(spans)):
        count, found = spans[i, 1], digests[i]
        words = carray(_words_at(spans[i, 0]), (count,))
        found[:] = 0
        whole = count // LANES * LANES
        for first in range(0, whole, LANES):
            for k in range(LANES):
                found[k] = _mixed(found[k], words[first + k])
        for k in range(count - whole):
            found[k] = _mixed(found[k], words[whole + k])
