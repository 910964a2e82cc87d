"""Plans of whole networks: right after every change of weights, for any batch and number of threads."""

import numpy as np
import pytest

from acdref.fast import plan
from acdref.nets.layers import Conv, Dense, Mean, Residual
from acdref.nets.registry import build
from acdref.ops.threads import set_threads

SHAPES = {"vgg-gap": (384, 128), "resnet50": (2, 96, 64), "mobilenetv2": (70, 64), "conv1d": (80000,)}


def _network(name, dtype=np.float32, backend="numba"):
    """Fresh weights, with statistics and scales that are no identity."""
    net, rng = build(name, 3, width=0.1, dtype=dtype, backend=backend), np.random.default_rng(1)
    for arrays in (net.state, net.params):
        for key, a in arrays.items():
            if key.rsplit(".", 1)[0].endswith("norm"):
                arrays[key] = (a + rng.uniform(0.1, 0.4, a.shape)).astype(dtype)
    return net


def _clips(name, count=2, dtype=np.float32):
    return np.random.default_rng(2).standard_normal((count, *SHAPES[name])).astype(dtype)


@pytest.mark.parametrize("name", SHAPES)
def test_networks_agree_with_numpy(name):
    x = _clips(name, dtype=np.float64)
    expected, found = (_network(name, np.float64, backend).forward(x)[0] for backend in ("numpy", "numba"))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_neither_threads_nor_the_batch_change_a_bit(name, monkeypatch):
    net, x = _network(name), _clips(name, 3)
    whole = net.forward(x)[0]
    for threads in (1, 2, 3):
        set_threads(threads)
        try:
            np.testing.assert_array_equal(net.forward(x)[0], whole)
        finally:
            set_threads(None)
    monkeypatch.setattr(plan, "_TOGETHER", 1)
    np.testing.assert_array_equal(net.forward(x)[0], whole)


def _in_place(net):
    net.params["stem.weight"][0, 0, 0, 1] *= 2


def _another_array(net):
    net.params["dense.bias"] = net.params["dense.bias"] + 1


def _step(net):
    x = _clips("mobilenetv2")
    logits, tape = net.forward(x, train=True)
    for key, gradient in net.backward(tape, np.ones_like(logits)).items():
        net.params[key] -= 0.01 * gradient  # as optimisers do


def _signs(net):
    for a in net.params.values():
        a *= -1


def _statistics(net):
    net.state["last_norm.mean"] += 0.5


@pytest.mark.parametrize("change", [_in_place, _another_array, _step, _signs, _statistics])
def test_weights_are_packed_anew_when_they_change(change):
    """However they were changed, and back again."""
    net, x = _network("mobilenetv2"), _clips("mobilenetv2")
    kept = {key: a.copy() for key, a in net.params.items()}, {key: a.copy() for key, a in net.state.items()}
    before = net.predict_proba(x)
    change(net)
    after = net.predict_proba(x)
    assert not np.array_equal(after, before)
    net.backend = "numpy"
    np.testing.assert_allclose(after, net.predict_proba(x), rtol=1e-4)
    net.backend = "numba"
    for arrays, old in zip((net.params, net.state), kept, strict=True):
        for key, a in old.items():
            arrays[key][...] = a
    np.testing.assert_array_equal(net.predict_proba(x), before)


def test_weights_are_packed_once(monkeypatch):
    net, x, packed = _network("mobilenetv2"), _clips("mobilenetv2"), []
    real = plan._packed
    monkeypatch.setattr(plan, "_packed", lambda *arguments: packed.append(1) or real(*arguments))
    for _ in range(2):
        net.predict_proba(x)
    assert packed == [1]


def test_nan_stays_where_it_is_seen():
    net, x = _network("mobilenetv2"), _clips("mobilenetv2")
    x[0, 40, 3] = np.nan
    probabilities = net.predict_proba(x)
    assert np.isnan(probabilities[0]).all() and not np.isnan(probabilities[1]).any()


def test_maps_of_one_time_do_not_overlap():
    convolution = lambda name, before, after: Conv(name, before, after, (1, 1))  # noqa: E731
    layers = (
        convolution("a", 2, 16),
        Residual((convolution("b", 16, 32), Conv("c", 32, 16, (1, 1), activation=None)), activation="relu"),
        Mean(),
        Dense("d", 16, 3),
    )
    ops = plan._Ops()
    assert all(map(ops.take, layers))
    sizes = [10, 160, 320, 160, 16, 16]
    first, size = plan._placed(ops.found, sizes)
    spans = [(a, a + b) for a, b in zip(first, sizes, strict=True)]
    for one, other in ((0, 1), (1, 2), (1, 3), (2, 3), (3, 4), (4, 5)):
        assert spans[one][1] <= spans[other][0] or spans[other][1] <= spans[one][0]
    assert size < sum(sizes)
