"""Expected values of layers against PyTorch, in float64 and in float32, which the tolerances must allow."""

import numpy as np
import pytest
from conform_support import assert_consistent, assert_right, by_function

from acdref.conform import layers

torch = pytest.importorskip("torch")
F = torch.nn.functional

FUNCTIONS = by_function(layers.cases())
CASES = [case for variants in FUNCTIONS.values() for case in variants.values()]


def test_one_signature_a_function_and_mistakes_fail():
    assert_consistent(FUNCTIONS)


def test_inputs_are_what_float32_has():
    for case in CASES:
        for name, value in case.inputs.items():
            assert np.asarray(value).dtype.kind == "i" or name == "rate" or value.dtype == np.float32, (
                case.name
            )


def first(x):
    """(N, T, F, C) -> (N, C, T, F)"""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def pairs(i):
    return {key: tuple(i[key].tolist()) for key in ("stride", "padding", "dilation")}


def conv(i):
    return last(F.conv2d(first(i["x"]), i["weight"].permute(3, 2, 0, 1), i["bias"], **pairs(i)))


def depthwise(i):
    weight = i["weight"].permute(2, 0, 1)[:, None]
    return last(F.conv2d(first(i["x"]), weight, i["bias"], **pairs(i), groups=len(weight)))


def batch_norm(i):
    running = i["running_mean"].detach().clone(), i["running_var"].detach().clone()
    y = last(F.batch_norm(first(i["x"]), *running, i["gamma"], i["beta"], True, 0.1, 1e-5))
    return y, {"running_mean_after": running[0], "running_var_after": running[1]}


def batch_norm_inference(i):
    running = i["running_mean"].detach(), i["running_var"].detach()
    return last(F.batch_norm(first(i["x"]), *running, i["gamma"], i["beta"], False, 0.1, 1e-5))


def group_norm(i):
    return last(F.group_norm(first(i["x"]), 1, i["gamma"], i["beta"], 1e-5))


def projected(i, x):
    return (x @ i[f"{part}.weight"] + i[f"{part}.bias"] for part in ("query", "key", "value"))


def linear_attention(i, x=None):
    q, k, v = projected(i, i["x"] if x is None else x)
    y = q.softmax(2) @ (k.softmax(1).transpose(1, 2) @ v)
    return y @ i["out.weight"] + i["out.bias"]


def separable_attention(i, x=None):
    s, k, v = projected(i, i["x"] if x is None else x)
    y = v.relu() * (s.softmax(1) * k).sum(1, keepdim=True)
    return y @ i["out.weight"] + i["out.bias"]


def attention_block(i):
    kind = separable_attention if i["query.bias"].numel() == 1 else linear_attention
    y = group_norm({"x": i["x"], "gamma": i["norm.gamma"], "beta": i["norm.beta"]})
    return i["x"] + kind(i, y.flatten(1, 2)).reshape(y.shape)


def max_pool(i):
    how = [tuple(i[key].tolist()) for key in ("window", "stride", "padding")]
    return last(F.max_pool2d(first(i["x"]), *how))


def residual(i):
    y = i["body"] + i["shortcut"]
    return y.relu() if i["activation"] else y


ORACLES = {
    "conv": conv,
    "depthwise": depthwise,
    "dense": lambda i: i["x"] @ i["weight"] + i["bias"],
    "batch_norm": batch_norm,
    "batch_norm_inference": batch_norm_inference,
    "group_norm": group_norm,
    "prelu": lambda i: last(F.prelu(first(i["x"]), i["slope"])),
    "relu": lambda i: i["x"].relu(),
    "relu6": lambda i: F.relu6(i["x"]),
    "elu": lambda i: F.elu(i["x"]),
    "sigmoid": lambda i: i["x"].sigmoid(),
    "softmax_channels": lambda i: i["x"].softmax(2),
    "softmax_positions": lambda i: i["x"].softmax(1),
    "linear_attention": linear_attention,
    "separable_attention": separable_attention,
    "attention_block": attention_block,
    "max_pool": max_pool,
    "mean": lambda i: i["x"].mean(tuple(i["axes"].tolist())),
    "flatten": lambda i: i["x"].transpose(1, 2).flatten(1),
    "dropout_inference": lambda i: F.dropout(i["x"], 0.3, training=False),
    "residual": residual,
    "mean_of_sigmoids": lambda i: i["z"].sigmoid().mean(1).logit(),
}


def answers(case, oracle, dtype):
    inputs = {}
    for name, value in case.inputs.items():
        tensor = torch.tensor(value)
        inputs[name] = tensor.to(dtype).requires_grad_() if tensor.is_floating_point() else tensor
    y = oracle(inputs)
    y, found = y if isinstance(y, tuple) else (y, {})
    found = {"y": y} | found
    if "dy" in inputs:
        (y * inputs["dy"]).sum().backward()
    for name in set(case.outputs) - set(found):
        source = "body" if name == "dsum" else name[1:]
        found[name] = inputs[source].grad
    return {name: tensor.detach().numpy() for name, tensor in found.items()}


def test_every_function_has_an_oracle():
    assert {f"layers/{name}" for name in ORACLES} == set(FUNCTIONS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_expected_values_are_pytorchs(case, dtype):
    name = case.name.split("/")[1]
    if name == "mean_of_sigmoids":
        case, dtype = _tame(case), torch.float64  # PyTorch's way through p is not stable
    assert_right(case, answers(case, ORACLES[name], dtype))


def _tame(case):
    """The case without the logits whose mean of sigmoids rounds to 0 or 1."""
    from dataclasses import replace

    z, dy = case.inputs["z"][1:, :, :2], case.inputs["dy"][1:, :2]
    outputs = {"y": case.outputs["y"][1:, :2], "dz": case.outputs["dz"][1:, :, :2]}
    return replace(case, inputs={"z": z, "dy": dy}, outputs=outputs)
