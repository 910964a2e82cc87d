"""What is kept of a network is never stale, however its weights were changed."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from nets_support import SMALL, network

from acdref.fast.kept import LANES, _Weights, digest, kept


def small():
    return network(dtype=np.float32, config=SMALL)


def count_up(made):
    """Something to make: 1 at first, then 2, ..."""

    def make(layers, net):
        made.append(len(layers))
        return len(made)

    return make


def test_what_is_kept_is_never_stale():
    """Whatever changes: an array in place or another in its place, signs, of a zero too, a dtype, a shape."""
    net, other, make = small(), small(), count_up([])
    name, statistic = "block1.pointwise.weight", "stem.conv_norm.var"
    net.params["dense.bias"][:] = 0
    net.params["stem.conv.bias"][0] = np.nan
    found = [kept(each, each.layers, make) for each in (net, net, other, net)]
    assert found == [1, 1, 2, 1]
    changes = [
        lambda: net.params[name].__setitem__((0, 0), 1 + net.params[name][0, 0]),
        lambda: net.params["dense.bias"].__setitem__(-1, -0.0),
        lambda: net.params[name].__imul__(-1),
        lambda: net.state[statistic].__imul__(2),
        lambda: net.params.update({name: net.params[name].copy() + 1}),
        lambda: net.params.update({name: net.params[name].astype(np.float64)}),
        lambda: net.params.update({name: net.params[name][None, None]}),
        lambda: net.params.update(more=np.zeros(3, np.float32)),
        lambda: setattr(net, "layers", net.layers[:-1]),
    ]
    for number, change in enumerate(changes, 3):
        change()
        assert [kept(net, net.layers, make) for _ in range(2)] == [number, number]
    assert kept(other, other.layers, make) == 2
    assert kept(other, other.layers, lambda layers, net: "another") == "another"


def test_of_arrays_in_another_order_nothing_is_kept():
    net, make = small(), count_up([])
    net.params["dense.weight"] = np.asfortranarray(net.params["dense.weight"])
    assert [kept(net, net.layers, make) for _ in range(3)] == [1, 2, 3]


def test_few_things_are_kept_and_none_without_the_network():
    net, made = small(), []
    make = count_up(made)
    for _ in range(2):
        for count in (1, 2, 3):
            kept(net, net.layers[:count], make)
    assert made == [1, 2, 3]
    kept(net, net.layers, make)
    kept(net, net.layers[:1], make)
    assert made == [1, 2, 3, len(net.layers), 1]
    here = weakref.ref(net)
    del net
    gc.collect()
    assert here() is None


def test_threads_that_see_a_change_together_make_it_once(monkeypatch):
    net, make, together = small(), count_up([]), threading.Barrier(3, timeout=20)
    kept(net, net.layers, make)
    net.params["dense.bias"] += 1
    hold, first = _Weights.hold, iter(range(3))  # who comes second asks the new weights, too

    def held(*arguments):
        answer = hold(*arguments)
        if next(first, None) is not None:
            together.wait()
        return answer

    monkeypatch.setattr(_Weights, "hold", held)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: kept(net, net.layers, make), range(3))) == [2, 2, 2]


def test_another_threads_old_weights_are_asked_too(monkeypatch):
    """Whoever finds that another thread has made something in between does not take it unseen."""
    net, made, hold = small(), [], _Weights.hold
    make = count_up(made)
    kept(net, net.layers, make)

    def late(self, *arguments):
        monkeypatch.setattr(_Weights, "hold", hold)
        kept(net, net.layers[:1], make)  # another thread, which changes nothing
        net.params["dense.bias"] += 1
        kept(net, net.layers, make)  # and one that has seen the change
        net.params["dense.bias"] += 1
        return False

    monkeypatch.setattr(_Weights, "hold", late)
    before = len(made)
    assert kept(net, net.layers, make) == len(made) == before + 3


@pytest.mark.parametrize("count", [1, LANES - 1, LANES, 3 * LANES + 5])
def test_a_change_of_any_word_is_seen(count, rng):
    words = rng.integers(0, 2**32, count, np.uint32)
    spans, found = np.array([(words.ctypes.data, count)]), np.zeros((2, 1, LANES), np.uint32)
    digest(spans, found[0])
    for i in {0, count // 2, count - 1}:
        for bit in (0, 31):
            words[i] ^= 1 << bit
            digest(spans, found[1])
            assert not np.array_equal(*found)
            words[i] ^= 1 << bit
    digest(spans, found[1])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("bit", [0, 15, 16, 30, 31])
def test_changes_do_not_cancel_out(bit, rng):
    """As those of all signs would in a digest that only multiplies: 2, 3 and 64 words meet in one place."""
    for times in (2, 3, 64):
        words = rng.integers(0, 2**32, times * LANES, np.uint32)
        spans, found = np.array([(words.ctypes.data, len(words))]), np.zeros((2, 1, LANES), np.uint32)
        digest(spans, found[0])
        words ^= 1 << bit
        digest(spans, found[1])
        assert (found[0] != found[1]).all()
