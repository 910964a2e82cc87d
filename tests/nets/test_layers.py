"""Layers: folding, strips, outputs that are made again; each layer by its own derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from nets_support import BACKENDS, KINDS, SMALL, batch, network

from acdref.nets import layers
from acdref.nets.layers import (
    Attention,
    Conv,
    Dense,
    Draw,
    Dropout,
    Flatten,
    Hidden,
    MaxPool,
    Mean,
    MeanSigmoid,
    Residual,
)
from acdref.nets.network import Network

both = pytest.mark.parametrize("backend", BACKENDS)


class Net:
    """As much of a network as layers ask for."""

    batch, compiled = Network.batch, Network.compiled

    def __init__(self, built, backend="numpy", dtype=np.float64, seed=1):
        self.layers, self.backend = built, backend
        self.params, self.state = layers.arrays(built, Draw(seed, dtype))
        self.rng = np.random.default_rng(seed)
        rng = np.random.default_rng(seed)
        for name, a in self.state.items():
            self.state[name] = a + rng.uniform(0, 1, a.shape)
        for name, a in self.params.items():
            if name.endswith(("gamma", "beta", "slope")):
                self.params[name] = a + rng.normal(0, 0.3, a.shape)


EACH = {
    "conv": Conv("a", 3, 4, (3, 2), (2, 1), (1, 0), bias=True),
    "conv prelu": Conv("a", 3, 4, (3, 3), padding=(0, 1), bias=True, activation="prelu", drawn="uniform"),
    "conv elu": Conv("a", 3, 4, (2, 2), activation="elu"),
    "conv relu6": Conv("a", 3, 4, (1, 1), activation="relu6"),
    "conv linear": Conv("a", 3, 4, (1, 1), activation=None, stored=(3, 4)),
    "conv elu, norm last": Conv("a", 3, 4, (2, 2), (2, 1), bias=True, activation="elu", norm_last=True),
    "depthwise": Conv("a", 3, 3, (3, 3), padding=(0, 2), dilation=(2, 2), depthwise=True, stored=(3, 3, 3)),
    "linear attention": Attention("a", 3, 2),
    "separable attention": Attention("a", 3, 2, "separable"),
    "max pool": MaxPool("a", (2, 2)),
    "overlapping max pool": MaxPool("a", (3, 3), (2, 2), (1, 1)),
    "mean over time": Mean((1,)),
    "mean over bins": Mean((2,)),
    "global mean": Mean(),
    "dense": Dense("a", 3, 5),
    "hidden": Hidden("a", 3, 5, stored=(3, 5)),
    "hidden, norm last": Hidden("a", 3, 5, stored=(3, 5), norm_last=True),
    "residual": Residual((Conv("a", 3, 3, (1, 1), activation=None),), activation="relu"),
    "residual, shortcut": Residual(
        (Conv("a", 3, 4, (1, 1), activation=None),), (Conv("b", 3, 4, (1, 1), activation=None),)
    ),
}


@both
@pytest.mark.parametrize("name", EACH)
def test_directional_derivative(name, backend):
    """Of the input and the parameters."""
    net = Net((EACH[name],), backend)
    rng = np.random.default_rng(3)
    x = rng.standard_normal((5, 3) if "hidden" in name else (2, 7, 6, 3))
    y, tapes = layers.forward(net.layers, net, x, train=True)
    dy, grads = rng.standard_normal(y.shape), {}
    dx = layers.backward(net.layers, net, dy, tapes, grads)
    assert tapes == [] and dx.shape == x.shape
    assert set(grads) == set(net.params)
    assert all(grads[key].shape == a.shape for key, a in net.params.items())
    before = dict(net.params)
    moves = {key: rng.standard_normal(a.shape) + grads[key] for key, a in before.items()}
    move = rng.standard_normal(x.shape) + dx
    predicted = (dx * move).sum() + sum((grads[key] * d).sum() for key, d in moves.items())

    def moved(step):
        net.params = {key: a + step * moves[key] for key, a in before.items()}
        return (layers.forward(net.layers, net, x + step * move, train=True)[0] * dy).sum()

    measured = (moved(1e-7) - moved(-1e-7)) / 2e-7
    assert abs(predicted - measured) <= 1e-6 * abs(measured)


@both
@pytest.mark.parametrize("name", EACH)
def test_inference_is_forward(name, backend):
    net, layer = Net((EACH[name],), backend), EACH[name]
    x = np.random.default_rng(3).standard_normal((5, 3) if "hidden" in name else (2, 7, 6, 3))
    expected, tape = layer.forward(net, x, False)
    assert tape is None
    np.testing.assert_allclose(layer.inference(net)(x), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", EACH)
def test_rows_say_what_there_is(name):
    """Shape, parameters and multiply-adds of the table."""
    net, layer = Net((EACH[name],)), EACH[name]
    given = (3, 1, 1) if "hidden" in name else (3, 7, 6)
    rows, shape = layer.rows(given)
    y, _ = layer.forward(net, np.ones((1, 3) if "hidden" in name else (1, 7, 6, 3)), False)
    sizes = {
        4: lambda: y.shape[1:3],
        3: lambda: (1, y.shape[1]) if name == "mean over time" else (y.shape[1], 1),
    }
    assert shape == (y.shape[-1], *sizes.get(y.ndim, lambda: (1, 1))())
    assert sum(row.parameters for row in rows) == sum(a.size for a in net.params.values())
    if isinstance(layer, Conv | Dense):
        assert rows[0].macs == net.params["a.weight"].size * shape[1] * shape[2]
    with pytest.raises(ValueError, match="does not fit"):
        MaxPool("b", (8, 1)).rows((3, 7, 6))


@both
@pytest.mark.parametrize("layer", [EACH[name] for name in EACH if "conv" in name or name == "depthwise"])
def test_folding_is_the_normalisation_behind_the_convolution(layer, backend):
    """By running statistics: what a batch with just these would give."""
    net = Net((layer,), backend)
    x = np.random.default_rng(0).standard_normal((2, 7, 6, 3))
    bias = net.params.get("a.bias", np.zeros(layer.outputs))
    z = layer._convolved(net, x, layer.weight(net), bias)
    deviation = np.sqrt(net.state["a_norm.var"] + 1e-5)
    expected = net.params["a_norm.gamma"] * (z - net.state["a_norm.mean"]) / deviation
    expected += net.params["a_norm.beta"]
    weight, bias = layer.folded(net)
    assert weight.shape == layer.weight_shape
    np.testing.assert_allclose(layer._convolved(net, x, weight, bias), expected, atol=1e-12)


@both
@pytest.mark.parametrize("norm_last", [False, True])
def test_hidden_layers_are_an_affine_map_normalisation_and_elu_in_either_order(norm_last, backend):
    net = Net((layer := Hidden("a", 3, 5, stored=(3, 5), norm_last=norm_last),), backend)
    x = np.random.default_rng(0).standard_normal((4, 3))
    plain = x @ net.params["a.weight"] + net.params["a.bias"]
    assert (plain < 0).any() and (plain > 0).any()

    def norm(z):
        z = (z - net.state["a_norm.mean"]) / np.sqrt(net.state["a_norm.var"] + 1e-5)
        return net.params["a_norm.gamma"] * z + net.params["a_norm.beta"]

    def elu(z):
        return np.where(z > 0, z, np.expm1(z))

    expected = norm(elu(plain)) if norm_last else elu(norm(plain))
    np.testing.assert_allclose(layer.plain(net, x), plain, atol=1e-12)
    np.testing.assert_allclose(layer.forward(net, x, False)[0], expected, atol=1e-12)


@both
@pytest.mark.parametrize("strip", [1, 300, 10**9])
def test_strips_do_not_matter(strip, backend, monkeypatch):
    """Rows go through together, few or all of them: strides, dilation, rests, and several clips."""
    built = (
        Conv("a", 3, 4, (3, 3), padding=(0, 1), activation="prelu"),
        Conv("b", 4, 4, (3, 3), padding=(0, 2), dilation=(2, 2), depthwise=True),
        Conv("c", 4, 5, (1, 1)),
        Dropout(0.5),
        MaxPool("p", (2, 2)),
        Conv("d", 5, 3, (4, 1), (3, 1)),
        MaxPool("q", (3, 1), (2, 1)),
        Conv("e", 3, 3, (3, 3), padding=(1, 1)),
    )
    groups = [len(group) for group in layers._groups(built)]
    assert groups == [1, 4, 1, 1, 1]
    net = Net(built, backend)
    x = np.random.default_rng(0).standard_normal((2, 50, 6, 3))
    expected = x
    for layer in built:
        expected, _ = layer.forward(net, expected, False)
    monkeypatch.setattr(layers, "_STRIP", strip)
    y, tapes = layers.forward(built, net, x, False)
    assert tapes is None
    np.testing.assert_allclose(y, expected, atol=1e-13)


@both
def test_outputs_of_prelu_are_made_again(backend):
    """Of ACDnet, a tape keeps no map between a convolution and what reads its output."""
    net = network(backend=backend, config=SMALL)
    x, _ = batch(SMALL)
    _, tapes = layers.forward(net.layers, net, x, train=True)
    for layer, following, (_, tape), (kept, _) in zip(
        net.layers, net.layers[1:], tapes, tapes[1:], strict=False
    ):
        if isinstance(layer, Conv):
            y = layer.again(net, tape)
            assert tape[2] is None and kept is None
            np.testing.assert_array_equal(y, layer.forward(net, _input(net, layer, x), True)[0])
        elif following.reads_input:
            assert kept is not None


def _input(net, layer, x):
    """What reaches a layer while training."""
    for before in net.layers[: net.layers.index(layer)]:
        x, _ = before.forward(net, x, True)
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_tapes_hold_no_more_than_they_must(kind):
    """Beside the inputs of depthwise convolutions (pooled maps), one map for each convolution."""
    net = network(kind, config=SMALL)
    _, tapes = layers.forward(net.layers, net, batch(SMALL)[0], train=True)
    held = [type(layer).__name__ for layer, (x, _) in zip(net.layers, tapes, strict=True) if x is not None]
    assert held == ["Conv", "Conv", "Conv", "Dense"]  # the features, two pooled maps, the last vector


def test_unknown_activations():
    net = Net((Conv("a", 1, 1, (1, 1), activation="rleu"),))
    with pytest.raises(KeyError, match="rleu"):
        layers.forward(net.layers, net, np.ones((1, 1, 1, 1)), False)


def test_the_first_layer_has_no_gradient_to_give():
    layer = replace(EACH["conv"], first=True)
    net, grads = Net((layer,)), {}
    y, tapes = layers.forward(net.layers, net, np.ones((1, 7, 6, 3)), True)
    assert layers.backward(net.layers, net, y, tapes, grads) is None
    assert set(grads) == set(net.params)


def test_flatten_goes_channel_by_channel():
    y, shape = Flatten().forward(None, np.arange(6).reshape(1, 2, 3), True)
    np.testing.assert_array_equal(y, [[0, 3, 1, 4, 2, 5]])
    np.testing.assert_array_equal(Flatten().backward(None, y, None, shape, {}), np.arange(6).reshape(1, 2, 3))
    assert Flatten().rows((3, 1, 2))[1] == (6, 1, 1)


def test_mean_sigmoid_reads_its_input():
    net, z = Net((MeanSigmoid(),)), np.array([[[0.0], [2.0]]])
    y, tapes = layers.forward(net.layers, net, z, True)
    p = (1 / (1 + np.exp(-z))).mean(1)
    np.testing.assert_allclose(1 / (1 + np.exp(-y)), p)
    assert layers.backward(net.layers, net, np.ones_like(y), tapes, {}).shape == z.shape


def test_what_a_layer_must_say():
    layer = layers.Layer()
    for call in (
        lambda: layer.forward(None, None, False),
        lambda: layer.backward(None, None, None, None, {}),
        lambda: layer.again(None, None),
    ):
        with pytest.raises(NotImplementedError):
            call()
    assert layer.arrays(None) == ({}, {}) and layer.rows((1, 2, 3)) == ([], (1, 2, 3))


def test_initial_weights_are_hes_or_within_torchs_bound():
    draw = Draw(0, np.float64)
    assert draw.normal((100, 100), 50).std() == pytest.approx(np.sqrt(2 / 50), rel=0.05)
    assert np.abs(draw.uniform((100, 100), 50)).max() == pytest.approx(1 / np.sqrt(50), rel=0.01)
