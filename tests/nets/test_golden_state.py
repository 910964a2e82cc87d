"""The golden state in fixtures/: acdref, without torch, reproduces what PyTorch made; its README is true."""

import re
from pathlib import Path

import numpy as np
import pytest
from nets_support import BACKENDS, gradient_errors, layer_outputs, relative_error

from acdref.files import resource
from acdref.losses import bce
from acdref.nets import ACDNET_2024, ACDNet
from acdref.optim import AdamW

README = Path(__file__).parents[2] / "fixtures" / "README.md"
both = pytest.mark.parametrize("backend", BACKENDS)
precisions = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])


@pytest.fixture(scope="module")
def golden():
    with np.load(resource("fixtures", "acdnet_golden.npz"), allow_pickle=False) as file:
        return dict(file)


def part(golden, kind):
    """The arrays whose key begins with ``kind/``, by the rest of the key."""
    return {key.removeprefix(f"{kind}/"): a for key, a in golden.items() if key.startswith(f"{kind}/")}


def network(golden, dtype, backend):
    net = ACDNet(ACDNET_2024, 0, dtype, backend)
    for kind, own in (("params", net.params), ("state", net.state)):
        stored = part(golden, kind)
        assert set(stored) == set(own)
        for name, a in stored.items():
            assert a.shape == own[name].shape
            own[name] = a.astype(dtype)
    return net


@both
@precisions
def test_layer_outputs(golden, backend, dtype, tolerance):
    net = network(golden, dtype, backend)
    logits, _ = net.forward(golden["input"], train=True)
    outputs = layer_outputs(net, golden["input"], train=True)
    np.testing.assert_array_equal(outputs["dense"], logits)
    shapes, samples, summaries = (part(golden, kind) for kind in ("shape", "sample", "summary"))
    assert set(shapes) == set(samples) == set(summaries)
    assert set(outputs) == ({"dense"} if net._compiled("training") else set(shapes))
    for name, y in outputs.items():
        assert y.shape == tuple(shapes[name])
        stride = 1 if y.size <= 512 else y.size // 512 | 1
        assert relative_error(y.reshape(-1)[::stride], samples[name]) <= tolerance, name
        y = y.astype(np.float64)
        mean, deviation, length = summaries[name]
        # The mean may be near 0 and is measured by the deviation.
        assert abs(y.mean() - mean) <= tolerance * deviation, name
        assert abs(y.std() - deviation) <= tolerance * deviation, name
        assert abs(np.linalg.norm(y) - length) <= tolerance * length, name
    loss, _ = bce(golden["labels"], logits)
    assert abs(loss - golden["loss"]) <= (1e-12 if dtype == np.float64 else 1e-6)


@both
@precisions
def test_inference(golden, backend, dtype, tolerance):
    net = network(golden, dtype, backend)
    logits, _ = net.forward(golden["input"])
    assert relative_error(logits, golden["inference_logits"]) <= tolerance
    probabilities = 1 / (1 + np.exp(-golden["inference_logits"]))
    assert np.abs(net.predict_proba(golden["input"]) - probabilities).max() <= tolerance


@both
def test_loss_gradients_statistics_and_ten_steps(golden, backend):
    net = network(golden, np.float64, backend)
    optimiser = AdamW(net.params, lr=1e-3)
    for step, expected in enumerate(golden["adamw_losses"]):
        logits, tape = net.forward(golden["input"], train=True)
        loss, dlogits = bce(golden["labels"], logits)
        grads = net.backward(tape, dlogits)
        assert abs(loss - expected) <= 1e-9 * expected
        if step == 0:
            assert abs(loss - golden["loss"]) <= 1e-12
            errors = gradient_errors(grads, part(golden, "grads"))
            assert max(errors.values()) <= 1e-9, errors
            after = part(golden, "state_after")
            assert set(net.state) == set(after)
            for name, a in after.items():
                assert relative_error(net.state[name], a) <= 1e-12, name
        optimiser.step(grads)
    assert relative_error(net.forward(golden["input"])[0], golden["adamw_logits"]) <= 1e-8


def test_the_batch_is_telling(golden):
    """Soft and unknown labels, slopes of both signs, statistics that matter, a loss that falls."""
    labels = golden["labels"]
    assert np.isnan(labels).any()
    assert ((labels > 0) & (labels < 1)).any()
    params = part(golden, "params")
    slopes = np.concatenate([a for name, a in params.items() if name.endswith("slope")])
    assert slopes.min() < 0 < slopes.max()
    assert sum(a.size for a in params.values()) == 248_539
    assert relative_error(golden["inference_logits"], golden["sample/dense"].reshape(2, 11)) > 0.1
    assert golden["adamw_losses"][0] == golden["loss"]
    assert (np.diff(golden["adamw_losses"]) < 0).all()


def test_documented_keys_are_the_files(golden):
    documented = set(re.findall(r"^\| `([a-z_]+)(?:/[A-Z]+)?` \|", README.read_text(encoding="utf-8"), re.M))
    assert documented == {key.split("/")[0] for key in golden}


def test_documented_comparison_runs_and_agrees(capsys):
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S).group(1)
    exec(compile(code, str(README), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(ACDNet().params)
    assert all(float(line.rsplit(" ", 1)[1]) <= 1e-9 for line in lines)


def test_small():
    assert resource("fixtures", "acdnet_golden.npz").stat().st_size < 3e6
