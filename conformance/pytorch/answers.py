"""Answers in PyTorch: features, layers, the five networks and their training, losses, optimiser, schedules.

    python conformance/pytorch/answers.py CASES ANSWERS

CASES is what ``acdref conform export`` wrote; acdref itself takes no part.  Gradients are autograd's, the
optimiser and the plateau are torch.optim's.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import further_twins
import numpy as np
import torch
import torch_twin
from torch import nn
from torch.nn import functional


def main(cases, answers):
    torch.set_num_threads(1)
    for entry in json.loads((cases / "index.json").read_text())["cases"]:
        function = entry["name"].rpartition("/")[0]
        if function not in ANSWERS:
            continue
        paths = {name: path for name, path in entry["inputs"].items() if path.endswith(".npy")}
        given = {name: np.load(cases / path, allow_pickle=False) for name, path in paths.items()}
        place = answers / entry["name"]
        place.mkdir(parents=True, exist_ok=True)
        found = ANSWERS[function](given)
        for name in entry["outputs"]:
            np.save(place / f"{name}.npy", np.asarray(found[name], np.float64), allow_pickle=False)


def tensor(a):
    return torch.tensor(np.asarray(a, np.float64))


def pair(a):
    return tuple(int(n) for n in a)


# Features


def spectrum(given):
    window = torch.hann_window(512, dtype=torch.float64)
    found = torch.stft(tensor(given["audio"]), 512, 256, window=window, center=False, return_complex=True)
    return {"spectrum": torch.view_as_real(found).transpose(0, 1)}  # (T, 257, 2)


def features(given):
    return {"features": torch_twin.features(tensor(given["audio"])[None])[0]}


# Layers: a function of tensors by name; maps are channels-last here, channels-first in PyTorch


def layer(function):
    """From a function of tensors to an answer: y, and autograd's gradients of all that y depends on."""

    def answer(given):
        leaves = {
            name: tensor(a).requires_grad_()
            for name, a in given.items()
            if name != "dy" and a.dtype.kind == "f" and not name.startswith("running")
        }
        found = {}
        found["y"] = y = function(leaves, given, found)
        if "dy" in given:
            y.backward(tensor(given["dy"]))
            found |= {f"d{name}": leaf.grad for name, leaf in leaves.items()}
            found["dsum"] = found.get("dbody")
        return found | {"y": y.detach()}

    return answer


def first(x):
    """(N, T, F, C) as (N, C, T, F)."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def convolution(t, given, _):
    depthwise = t["weight"].ndim == 3
    weight = t["weight"].movedim(2, 0)[:, None] if depthwise else t["weight"].permute(3, 2, 0, 1)
    geometry = pair(given["stride"]), pair(given["padding"]), pair(given["dilation"])
    groups = len(weight) if depthwise else 1
    return last(functional.conv2d(first(t["x"]), weight, t["bias"], *geometry, groups))


def batch_norm(t, given, found):
    statistics = {name: tensor(given[name]) for name in ("running_mean", "running_var")}
    train = "dy" in given
    y = functional.batch_norm(first(t["x"]), *statistics.values(), t["gamma"], t["beta"], train, 0.1, 1e-5)
    if train:
        found |= {f"{name}_after": value for name, value in statistics.items()}
    return last(y)


def group_norm(t, given, _):
    return last(functional.group_norm(first(t["x"]), 1, t["gamma"], t["beta"], 1e-5))


def prelu(t, given, _):
    return last(functional.prelu(first(t["x"]), t["slope"]))


def attention(t, given, _):
    """(N, P, C), or the whole block on a map (N, T, F, C)."""
    x = t["x"]
    is_block, (separable, width) = x.ndim == 4, (t["query.weight"].shape[1] == 1, t["value.weight"].shape[1])
    module = torch_twin.Attention(x.shape[-1], width, "separable" if separable else "linear").double()
    values = {name: a for name, a in t.items() if "." in name}
    renamed = {"norm.gamma": "norm.weight", "norm.beta": "norm.bias"}
    arrays = {
        renamed.get(name, name): a.T[:, :, None, None] if a.ndim == 2 else a for name, a in values.items()
    }
    if is_block:
        return last(torch.func.functional_call(module, arrays, (first(x),)))
    module.norm = nn.Identity()
    y = torch.func.functional_call(module, arrays, (first(x[:, None]),))
    return last(y)[:, 0] - x


def max_pool(t, given, _):
    geometry = pair(given["window"]), pair(given["stride"]), pair(given["padding"])
    return last(functional.max_pool2d(first(t["x"]), *geometry))


def residual(t, given, found):
    y = t["body"] + t["shortcut"]
    return torch.relu(y) if given["activation"] else y


def mean_of_sigmoids(t, given, _):
    known, unknown = functional.logsigmoid(t["z"]), functional.logsigmoid(-t["z"])
    return torch.logsumexp(known, 1) - torch.logsumexp(unknown, 1)


# Networks: the twins, their sizes by the weights' shapes

CONVOLUTIONS = [(5, 2, 2), *[(3, 1, 1)] * 11, (3, 1, 0), (1, 1, 0)]  # kernel, stride, padding
POOLS = {2: (2, 2), 4: (2, 2), 8: (2, 2), 10: (2, 1), 12: (2, 1)}


def channels(params, name):
    return params[f"{name}.weight"].shape[-1]


def vgg(params):
    layers = [
        SimpleNamespace(
            filters=channels(params, f"conv{n}"),
            size=size,
            stride=stride,
            padding=padding,
            pool=POOLS.get(n, 1),
        )
        for n, (size, stride, padding) in enumerate(CONVOLUTIONS, 1)
    ]
    return SimpleNamespace(layers=layers, classes=channels(params, "head"))


def waves(params):
    layers = [
        SimpleNamespace(channels=channels(params, f"conv{n}"), size=size, stride=1 if n == 9 else 3)
        for n, size in enumerate((17, 16, 15, 14, 13, 12, 9, 9, 9), 1)
    ]
    dense = [channels(params, f"dense{n}") for n in (1, 2)]
    return SimpleNamespace(layers=layers, dense=dense, classes=channels(params, "dense"), norm_last=False)


def resnet(params):
    stages = [
        SimpleNamespace(
            blocks=blocks, channels=channels(params, f"stage{n}.block1.reduce"), stride=1 + (n > 1)
        )
        for n, blocks in enumerate((3, 4, 6, 3), 1)
    ]
    expansion = channels(params, "stage1.block1.expand") // stages[0].channels
    stem, classes = channels(params, "stem"), channels(params, "dense")
    return SimpleNamespace(stem=stem, stages=stages, expansion=expansion, classes=classes)


def mobilenet(params):
    stages = [
        SimpleNamespace(
            blocks=blocks,
            channels=channels(params, f"stage{n}.block1.project"),
            stride=stride,
            expansion=1 if n == 1 else 6,
        )
        for n, (blocks, stride) in enumerate(
            zip((1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1), strict=True), 1
        )
    ]
    stem, last, classes = (channels(params, name) for name in ("stem", "last", "dense"))
    return SimpleNamespace(stem=stem, stages=stages, last=last, classes=classes)


def acdnet(params):
    """The rows of the table in the width of the weights."""
    return [
        (
            channels(params, f"block{n}.depthwise"),
            channels(params, f"block{n}.pointwise"),
            dilation,
            width and channels(params, f"block{n}.attention.key"),
            pool,
        )
        for n, (_, _, dilation, width, pool) in enumerate(torch_twin.TABLE, 1)
    ]


CONFIGS = {"vgg-gap": vgg, "conv1d": waves, "resnet50": resnet, "mobilenetv2": mobilenet}


def twin_of(name, given):
    """The twin of a network with the case's weights, and these."""
    arrays = {key: np.asarray(a, np.float64) for key, a in given.items() if "." in key}
    state = {key: a for key, a in arrays.items() if key.endswith((".mean", ".var"))}
    net = SimpleNamespace(params={key: a for key, a in arrays.items() if key not in state}, state=state)
    if name != "acdnet":
        net.config = CONFIGS[name](net.params)
        return further_twins.twin_of(name, net), net
    twin = torch_twin.Twin(
        channels(net.params, "dense"), stem=channels(net.params, "stem.conv"), table=acdnet(net.params)
    ).double()
    torch_twin.copy_parameters(twin, net.params, state)
    return twin, net


def inference(name):
    def answer(given):
        twin, _ = twin_of(name, given)
        with torch.no_grad():
            logits = twin.eval()(tensor(given["features"]))
        probabilities = torch.softmax(logits, 1) if name == "vgg-gap" else torch.sigmoid(logits)
        return {"logits": logits, "probabilities": probabilities}

    return answer


def layers_of_acdnet(given):
    twin, _ = twin_of("acdnet", given)
    kept = torch_twin.keep_outputs(twin.eval())
    with torch.no_grad():
        twin(tensor(given["features"]))
    return {name: y.mean((1, 2)) if y.ndim == 4 else y for name, y in kept.items()}


def training(name):
    def answer(given):
        twin, net = twin_of(name, given)
        further = () if name == "acdnet" else (name, net)
        module = torch_twin if name == "acdnet" else further_twins
        lr, beta1, beta2, epsilon, decay = (
            float(given[key]) for key in ("lr", "beta1", "beta2", "epsilon", "weight_decay")
        )
        optimiser = torch.optim.AdamW(twin.parameters(), lr, (beta1, beta2), epsilon, decay)
        loss_of = softmax_cross_entropy if name == "vgg-gap" else masked_bce
        found, losses = {}, []
        for step in range(int(given["steps"])):
            optimiser.zero_grad()
            logits = twin.train()(tensor(given["features"]))
            loss = loss_of(logits, tensor(given["labels"]))
            loss.backward()
            losses.append(loss.item())
            if step == 0:
                found |= {"logits": logits.detach(), "loss": losses[0]}
                found |= named("gradient", module.gradients(*further, twin))
                running = module.running_statistics(twin) if not further else module.statistics(net, twin)
                found |= named("running", {key: np.array(a) for key, a in running.items()})
            optimiser.step()
        return found | {"losses": losses} | named("after", module.values(*further, twin))

    return answer


def named(kind, arrays):
    return {f"{kind}.{key}": a for key, a in arrays.items()}


# Losses


def masked_bce(z, y, denominator=0):
    known = ~torch.isnan(y)
    total = functional.binary_cross_entropy_with_logits(z[known], y[known], reduction="sum")
    return total / max(divisor(known, denominator), 1)


def divisor(known, denominator):
    return (int(known.sum()), known.numel(), 1)[int(denominator)]


def softmax_cross_entropy(z, y):
    known = ~torch.isnan(y).any(1)
    return -(y[known] * functional.log_softmax(z[known], 1)).sum() / max(int(known.sum()), 1)


def bce_probabilities(p, y, denominator):
    known = ~torch.isnan(y)
    total = functional.binary_cross_entropy(p[known], y[known], reduction="sum")
    return total / max(divisor(known, denominator), 1)


def mse(p, y, denominator):
    known = ~torch.isnan(y)
    return ((p[known] - y[known]) ** 2).sum() / max(divisor(known, denominator), 1)


def loss(function, of):
    def answer(given):
        x = tensor(given[of]).requires_grad_()
        more = [given["denominator"]] if "denominator" in given else []
        value = function(x, tensor(given["labels"]), *more)
        value.backward()
        return {"loss": value.item(), "gradient": x.grad}

    return answer


# Optimiser and schedules


def adamw(given):
    x = nn.Parameter(tensor(given["parameters"]))
    settings = {"lr": float(given["lr"]), "betas": (float(given["beta1"]), float(given["beta2"]))}
    settings |= {"eps": float(given["epsilon"]), "weight_decay": float(given["weight_decay"])}
    optimiser, path = torch.optim.AdamW([x], **settings), []
    for gradient in given["gradients"]:
        x.grad = tensor(gradient)
        optimiser.step()
        path.append(x.detach().clone())
    return {"path": torch.stack(path)}


def plateau(given):
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, "max", float(given["factor"]), int(given["patience"]), threshold=0, eps=0
    )
    factors = []
    for score in given["scores"]:
        schedule.step(float(score))
        factors.append(optimiser.param_groups[0]["lr"])
    return {"factors": factors}


LAYERS = {
    "conv": convolution,
    "depthwise": convolution,
    "dense": lambda t, *_: t["x"] @ t["weight"] + t["bias"],
    "batch_norm": batch_norm,
    "batch_norm_inference": batch_norm,
    "group_norm": group_norm,
    "prelu": prelu,
    "relu": lambda t, *_: torch.relu(t["x"]),
    "relu6": lambda t, *_: functional.relu6(t["x"]),
    "elu": lambda t, *_: functional.elu(t["x"]),
    "sigmoid": lambda t, *_: torch.sigmoid(t["x"]),
    "softmax_channels": lambda t, *_: torch.softmax(t["x"], 2),
    "softmax_positions": lambda t, *_: torch.softmax(t["x"], 1),
    "linear_attention": attention,
    "separable_attention": attention,
    "attention_block": attention,
    "max_pool": max_pool,
    "mean": lambda t, given, _: t["x"].mean(pair(given["axes"])),
    "flatten": lambda t, *_: t["x"].transpose(1, 2).flatten(1),
    "residual": residual,
    "mean_of_sigmoids": mean_of_sigmoids,
}
NETWORKS = {"acdnet": "acdnet", "vgg_gap": "vgg-gap"} | {k: k for k in ("conv1d", "resnet50", "mobilenetv2")}
ANSWERS = {
    "features/stft": spectrum,
    "features/features": features,
    **{f"layers/{name}": layer(function) for name, function in LAYERS.items()},
    **{f"networks/{name}": inference(twin) for name, twin in NETWORKS.items()},
    **{f"networks/{name}_training": training(twin) for name, twin in NETWORKS.items()},
    "networks/acdnet_layers": layers_of_acdnet,
    "losses/bce": loss(masked_bce, "logits"),
    "losses/bce_probabilities": loss(bce_probabilities, "probabilities"),
    "losses/mse": loss(mse, "probabilities"),
    "losses/softmax_cross_entropy": loss(softmax_cross_entropy, "logits"),
    "optimisers/adamw": adamw,
    "schedules/plateau": plateau,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
