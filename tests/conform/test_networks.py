"""Cases of networks: float32 is within their tolerances, mistakes are not, and nothing is forgotten.

That the expected values are PyTorch's, tests/nets show, and conformance/ with these very cases.
"""

import dataclasses

import numpy as np
import pytest
from conform_support import assert_consistent, assert_right, by_function, error

from acdref.conform import networks
from acdref.nets.registry import NETWORKS, default_config

FUNCTIONS = by_function(networks.cases())
NAMES = ("acdnet", "vgg-gap", "conv1d", "resnet50", "mobilenetv2")


def in_float32(case):
    """A network in float32 with the case's parameters."""
    name = next(name for name in NAMES if name.replace("-", "_") in case.name)
    width = networks.OTHERS[name][0] if name in networks.OTHERS else 0.125 if "narrow" in case.name else 1
    config = default_config(name)
    config = config.scaled(width) if width != 1 else config
    kind = NETWORKS[name]
    net = kind(dataclasses.replace(config, classes=case.outputs["logits"].shape[1]), backend="numpy")
    for own in (net.params, net.state):
        own.update({key: case.inputs[key].copy() for key in own})
    return net


def test_one_signature_a_function_and_mistakes_fail():
    assert_consistent(FUNCTIONS)


def test_all_networks_have_both():
    names = {name.replace("-", "_") for name in NAMES}
    functions = {f"networks/{name}{what}" for name in names for what in ("", "_training")}
    assert set(FUNCTIONS) == functions | {"networks/acdnet_layers"}


@pytest.mark.parametrize("name", [name.replace("-", "_") for name in NAMES])
def test_float32_is_enough_for_inference(name):
    for case in FUNCTIONS[f"networks/{name}"].values():
        net, x = in_float32(case), case.inputs["features"]
        assert_right(case, {"logits": net.forward(x)[0], "probabilities": net.predict_proba(x)})


@pytest.mark.parametrize("name", [name.replace("-", "_") for name in NAMES if name != "acdnet"])
def test_float32_is_enough_for_training(name):
    (case,) = FUNCTIONS[f"networks/{name}_training"].values()
    net = in_float32(case)
    networks.without_dropout(net)
    answers = networks.ten_steps(net, case.inputs["features"], case.inputs["labels"], case.inputs)
    assert_right(case, answers)


@pytest.mark.parametrize("steps, shift", [(1, 1e-6), (10, 3e-7)])
@pytest.mark.parametrize("name", [name.replace("-", "_") for name in networks.OTHERS])
def test_rounding_does_not_decide_what_passes_a_relu(name, steps, shift, monkeypatch):
    """What float32 may move a map by moves gradients, and weights after ten steps, less than is allowed."""
    monkeypatch.setattr(networks, "STEPS", steps)
    (case,) = FUNCTIONS[f"networks/{name}_training"].values()
    measured = ("gradient.", "after.") if steps == 10 else "gradient."
    for one in (-shift, shift):
        net = networks._wide(in_float32(case))
        networks.without_dropout(net)
        net.params |= {key: a + one for key, a in net.params.items() if key.endswith(".beta")}
        answers = networks.ten_steps(net, case.inputs["features"], case.inputs["labels"], case.inputs)
        errors = {key: error(case, key, answers[key]) for key in case.outputs if key.startswith(measured)}
        assert max(errors.values()) <= 1, max(errors, key=errors.get)


def test_only_parameters_without_a_gradient_are_left_out():
    (case,) = FUNCTIONS["networks/acdnet_training"].values()
    params = [name for name in case.inputs if f"gradient.{name}" in case.outputs]
    assert all(f"after.{name}" in case.outputs for name in params)
    names = [name for name in case.inputs if name.endswith((".weight", ".bias", ".gamma", ".beta", ".slope"))]
    left_out = set(names) - set(params)
    assert left_out == {name for name in names if name.endswith(("conv.bias", "wise.bias", ".key.bias"))}
    moved = [np.abs(case.outputs[f"after.{name}"] - case.inputs[name]).max() for name in params]
    assert min(moved) > 5 * case.inputs["lr"]


def test_made_anew_they_are_the_same_to_the_bit():
    """For export, which the tests of writing run twice, they are made once."""
    for first, again in zip(networks._other("vgg-gap"), networks._other("vgg-gap"), strict=True):
        for name, value in (first.inputs | first.outputs).items():
            assert np.array_equal(value, (again.inputs | again.outputs)[name], equal_nan=True), name
