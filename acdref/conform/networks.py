"""Cases of the five networks: forward, loss, gradients, running statistics, ten steps of an optimiser."""

from collections.abc import Iterator

import numpy as np

from acdref.checkpoint import load_weights
from acdref.conform.layers import by_size
from acdref.conform.sound import made_up
from acdref.conform.writing import Case, Mistake
from acdref.features.compressed import features
from acdref.files import resource
from acdref.nets.layers import Mean
from acdref.nets.registry import build
from acdref.ops.norm import EPS, MOMENTUM


def cases() -> Iterator[Case]:
    """All of this section's."""
    yield from _acdnet()
    yield from _acdnet_layers()


def _telling(name, width, seed, **fields):
    """A network in which mistakes show: scales, shifts, slopes and statistics are not the initial ones.

    Parameters are such that float32 has them, but float64, in which all is computed.
    """
    net = build(name, width=width, seed=seed, backend="numpy", **fields)
    rng = np.random.default_rng(seed + 1)
    draws = {
        "gamma": lambda size: rng.uniform(0.5, 1.5, size),
        "beta": lambda size: rng.normal(0, 0.3, size),
        "slope": lambda size: rng.uniform(-0.2, 0.6, size),
        "mean": lambda size: rng.normal(0, 0.3, size),
        "var": lambda size: rng.uniform(0.5, 2, size),
    }
    for arrays in (net.params, net.state):
        for key, a in arrays.items():
            drawn = draws.get(key.rpartition(".")[2])
            if drawn:
                arrays[key] = drawn(a.shape).astype(np.float32)
    return _wide(net)


def _acquaint(net, x):
    """Running statistics near those of a batch, so that its logits depend on what is in it."""
    before = dict(net.state)
    net.forward(x, train=True)
    for key, a in net.state.items():
        of_batch = (a - (1 - MOMENTUM) * before[key]) / MOMENTUM
        moved = of_batch * (0.5 + before[key]) if key.endswith(".var") else of_batch + 0.3 * before[key]
        net.state[key] = moved.astype(np.float32).astype(np.float64)


def _wide(net):
    for arrays in (net.params, net.state):
        arrays.update({key: a.astype(np.float64) for key, a in arrays.items()})
    return net


def _weights(net):
    """Parameters and running statistics as inputs."""
    return {key: a.astype(np.float32) for key, a in (net.params | net.state).items()}


def _clips(*lengths):
    return np.stack([features(made_up(n, seed)) for seed, n in enumerate(lengths, 1)])  # (N, T, 257, 2)


def _acdnet():
    shipped = _wide(load_weights(resource("weights", "acdnet.npz"), "numpy")[0])
    narrow, clips = _telling("acdnet", 0.25, 11, classes=3), _clips(36000, 36000)
    _acquaint(narrow, clips)
    for variant, net, x in (("shipped", shipped, _clips(33536)), ("narrow", narrow, clips)):
        yield _forward(f"networks/acdnet/{variant}", net, x, "1, section 2.2", _acdnet_mistakes(net, x))


def _acdnet_mistakes(net, x):
    """Each as the right network with other parameters or another input."""
    kinds = {
        "batch normalisation had the epsilon 1e-3": {
            key: a + 1e-3 - EPS for key, a in net.state.items() if key.endswith(".var")
        },
        "maps were flattened (F, C), not (C, F)": {
            "dense.weight": net.params["dense.weight"]
            .reshape(2, -1, net.config.classes)
            .swapaxes(0, 1)
            .reshape(net.params["dense.weight"].shape)
        },
        "weights of convolutions had frequency before time": {
            key: a.swapaxes(0, 1) for key, a in net.params.items() if a.ndim > 2
        },
        "slopes of PReLU were all 0.25": {
            key: np.full_like(a, 0.25) for key, a in net.params.items() if key.endswith(".slope")
        },
        "attention was left out": {
            key: np.zeros_like(a) for key, a in net.params.items() if ".attention.out." in key
        },
        "biases of convolutions were left out": {
            key: np.zeros_like(a) for key, a in net.params.items() if key.endswith(("wise.bias", "conv.bias"))
        },
    }
    found = [
        Mistake(cause, {"logits": _with(net, changed).forward(x)[0]}) for cause, changed in kinds.items()
    ]
    cause = "the imaginary part stood before the real one"
    return [*found, Mistake(cause, {"logits": net.forward(x[..., ::-1])[0]})]


def _with(net, changed):
    other = type(net)(net.config, backend="numpy")
    for own, given in ((other.params, net.params), (other.state, net.state)):
        own.update({key: changed.get(key, a) for key, a in given.items()})
    return other


def _forward(name, net, x, paper, mistakes=()):
    """A case of a network at inference."""
    x = np.asarray(x, np.float32)
    outputs = {"logits": net.forward(x)[0], "probabilities": net.predict_proba(x)}
    return Case(
        name,
        "logits and probabilities of clips, batch normalisation by running statistics",
        {"features": x} | _weights(net),
        outputs,
        paper,
        atol=by_size(outputs, 3e-5),  # ten times what float32 reaches
        mistakes=mistakes,
    )


def _acdnet_layers():
    net, x = _telling("acdnet", 0.25, 11, classes=3), _clips(36000)
    _acquaint(net, x)
    outputs, y = {}, x.astype(np.float64)
    for layer in net.layers:
        y = layer.forward(net, y, False)[0]
        name = "mean" if isinstance(layer, Mean) else getattr(layer, "name", None)
        if name:
            outputs[name] = y.mean((1, 2)) if y.ndim == 4 else y  # (N, C), (N, F, C) or (N, classes)
    yield Case(
        "networks/acdnet_layers/narrow",
        "mean over time and frequency of what each layer gives: where an error begins",
        {"features": x} | _weights(net),
        outputs,
        "1, section 2.2",
        atol=by_size(outputs, 3e-5),
    )
