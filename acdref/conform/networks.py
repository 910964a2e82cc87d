"""Cases of the five networks: forward, loss, gradients, running statistics, ten steps of an optimiser."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.checkpoint import load_weights
from acdref.conform.layers import by_size
from acdref.conform.sound import made_up
from acdref.conform.writing import Case, Mistake
from acdref.features.compressed import features
from acdref.features.front_ends import front_end
from acdref.losses import bce, softmax_cross_entropy
from acdref.nets.layers import Dropout, Mean
from acdref.nets.network import Network
from acdref.nets.registry import build
from acdref.ops.norm import EPS, MOMENTUM
from acdref.optim import AdamW

STEPS = 10
_PAPERS = {"lr": 1e-4, "epsilon": 1e-8, "weight_decay": 0.01}
# Narrow deep networks are rough: where rounding moves a value across a kink, larger steps part.
_DAMPED = {"lr": 1e-5, "epsilon": 1e-3, "weight_decay": 0.0}


def cases() -> Iterator[Case]:
    """All of this section's."""
    yield from _made()


@functools.cache
def _made():
    """Once a process: fifty steps of training take some seconds."""
    made = [*_acdnet(), *_acdnet_layers(), _acdnet_training()]
    for name in OTHERS:
        made += _other(name)
    return made


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
    shipped = _wide(load_weights(backend="numpy")[0])
    narrow, clips = _telling("acdnet", 0.125, 11, classes=3), _clips(34400)
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
    net, x = _telling("acdnet", 0.125, 11, classes=3), _clips(34400)
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


OTHERS = {
    # width, steps of the features, clips to train on, classes, the first clip's seed, paper
    "vgg-gap": (1 / 32, 191, 2, 5, 0, "2, table 1"),
    "conv1d": (1 / 16, 0, 3, 4, 0, "3, table II"),
    "resnet50": (1 / 64, 2, 3, 4, 690, "4"),
    "mobilenetv2": (1 / 16, 100, 3, 5, 18, "5"),
}


def _acdnet_training():
    net, x = _telling("acdnet", 1, 21, classes=11), _clips(33536, 33536)
    return _training("networks/acdnet_training/ten_steps", net, x, _PAPERS, "1, section 2.2")


def _other(name):
    width, steps, clips, classes, first, paper = OTHERS[name]
    folder = f"networks/{name.replace('-', '_')}"
    net = _telling(name, width, 33, classes=classes)
    front = front_end(net)
    samples = front.fewest(max(steps, net.min_frames))
    # These clips bring no ReLU so near 0 that rounding decides what passes it, and with it many gradients.
    x = np.stack([front.transform(made_up(samples, first + i)) for i in range(clips)])
    _acquaint(net, x)
    changed = {key: a + 1e-3 - EPS for key, a in net.state.items() if key.endswith(".var")}
    cause, logits = "batch normalisation had the epsilon 1e-3", _with(net, changed).forward(x[:1])[0]
    yield _forward(f"{folder}/small", net, x[:1], paper, [Mistake(cause, {"logits": logits})])
    without_dropout(net)
    yield _training(f"{folder}_training/ten_steps", net, x, _DAMPED, paper)


def without_dropout(net: Network) -> None:
    """What is dropped is random: cases have none of it."""
    net.layers = tuple(layer for layer in net.layers if not isinstance(layer, Dropout))


def _labels(net, clips):
    """Ones, zeros, soft and unknown labels; distributions for a network with a softmax."""
    classes = net.config.classes
    y = (np.arange(clips * classes).reshape(clips, classes) % 3 == 0).astype(np.float64)
    if net.output == "softmax":
        y = np.eye(classes)[np.arange(clips) % classes]
        y[0, :2] = 0.75, 0.25
        return y
    y[0, 1], y[-1, 0] = 0.25, np.nan
    return y


def _training(name, net, x, settings, paper):
    """A case of ten steps on one batch, with what the first of them computes."""
    x, y = np.asarray(x, np.float32), _labels(net, len(x))
    settings = settings | {"beta1": 0.9, "beta2": 0.999}
    inputs = {"features": x, "labels": y} | _weights(net) | settings | {"steps": STEPS}
    inferred = net.forward(x)[0]
    outputs = ten_steps(net, x, y, settings)
    mistakes = [Mistake("running statistics normalised in training", {"logits": inferred})]
    if np.isnan(y).any():
        known = np.mean(~np.isnan(y))
        mistakes.append(
            Mistake("unknown labels counted in the mean of the loss", {"loss": outputs["loss"] * known})
        )
    # Where a gradient is 0, as that of a bias before a normalisation, rounding decides about steps.
    vanishing = [key for key in net.params if np.abs(outputs[f"gradient.{key}"]).max() < 1e-9]
    for key in vanishing:
        del outputs[f"gradient.{key}"], outputs[f"after.{key}"]
    shares = {"gradient": 3e-3, "running": 1e-5, "losses": 3e-4}  # ten times what float32 reaches, or more
    atol = {}
    for key, value in outputs.items():
        kind = key.partition(".")[0]
        by_size_of = shares.get(kind, 3e-5) * float(np.abs(value).max())
        atol[key] = 2 * settings["lr"] if kind == "after" else by_size_of
        if "." in key:
            outputs[key] = value.astype(np.float32)
    return Case(
        name,
        "loss, its gradients and the running statistics of the first of ten steps of AdamW; where they lead",
        inputs,
        outputs,
        paper,
        rtol=1e-6,
        atol=atol,
        mistakes=mistakes,
    )


def ten_steps(net: Network, x: NDArray, y: NDArray, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train a network on one batch.

    Parameters
    ----------
    net : network
        Its parameters and statistics are changed.
    x, y : array
        Features and labels.
    settings : dict
        ``lr``, ``beta1``, ``beta2``, ``epsilon`` and ``weight_decay``.

    Returns
    -------
    dict
        Of the first step ``logits``, ``loss``, ``gradient.NAME`` and ``running.NAME``; ``losses`` of all, and
        ``after.NAME``, the parameters that they lead to.
    """
    compute_loss = softmax_cross_entropy if net.output == "softmax" else bce
    betas = settings["beta1"], settings["beta2"]
    optimiser = AdamW(net.params, settings["lr"], betas, settings["epsilon"], settings["weight_decay"])
    outputs: dict[str, Any] = {}
    losses = []
    for step in range(STEPS):
        logits, tape = net.forward(x, train=True)
        loss, dlogits = compute_loss(y, logits)
        grads = net.backward(tape, dlogits)  # type: ignore[arg-type]
        if step == 0:
            outputs = {"logits": logits, "loss": loss}
            outputs |= {f"gradient.{key}": a.copy() for key, a in grads.items()}
            outputs |= {f"running.{key}": a.copy() for key, a in net.state.items()}
        optimiser.step(grads)
        losses.append(loss)
    outputs["losses"] = np.array(losses)
    return outputs | {f"after.{key}": a for key, a in net.params.items()}
