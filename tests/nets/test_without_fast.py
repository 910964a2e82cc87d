"""The compiled road may be deleted: with Numba installed, everything goes on working, by plain operations."""

import dataclasses
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nets_support import SMALL, batch, gradient_errors, network

import acdref
from acdref.losses import bce
from acdref.ops.kernel import available

pytestmark = pytest.mark.skipif(not available(), reason="needs numba")

JOB = """if True:
    import json, sys
    import numpy as np
    import acdref
    from acdref import info
    from acdref.losses import bce
    from acdref.nets import registry

    assert acdref.__file__.startswith(sys.argv[1]), acdref.__file__
    given = np.load(sys.argv[2])
    config = registry.config_from("acdnet", json.loads(str(given["config"])))
    net = registry.NETWORKS["acdnet"](config, dtype=np.float64, backend="numba")
    for name in net.params:
        net.params[name] = given[f"params/{name}"]
    for name in net.state:
        net.state[name] = given[f"state/{name}"]
    found = {"probabilities": net.predict_proba(given["x"])}
    logits, tape = net.forward(given["x"], train=True)
    grads = net.backward(tape, bce(given["labels"], logits)[1])
    found |= {f"grads/{name}": g for name, g in grads.items()} | {"logits": logits}
    found |= {f"state/{name}": a for name, a in net.state.items()}
    np.savez(sys.argv[3], **found)
    facts = info.collect(net="acdnet")
    print(json.dumps([facts["parameters"], facts["backend"]["name"]]))
    print(sorted(name for name in sys.modules if name.startswith("acdref.fast")))
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package without the folder fast/."""
    folder = tmp_path / "copy"
    source = Path(acdref.__file__).parent
    shutil.copytree(source, folder / "acdref", ignore=shutil.ignore_patterns("__pycache__", "fast"))
    assert not (folder / "acdref" / "fast").exists()
    return folder


@pytest.mark.parametrize("traces", [False, True], ids=["gone", "an empty folder left"])
def test_predict_training_and_info(copy, tmp_path, monkeypatch, traces):
    if traces:
        (copy / "acdref" / "fast" / "__pycache__").mkdir(parents=True)
    net, (x, labels) = network(config=SMALL), batch(SMALL, frames=50)
    given = {f"params/{name}": a for name, a in net.params.items()}
    given |= {f"state/{name}": a for name, a in net.state.items()}
    config = json.dumps(dataclasses.asdict(net.config))
    np.savez(tmp_path / "given.npz", x=x, labels=labels, config=np.array(config), **given)
    monkeypatch.setenv("PYTHONPATH", str(copy))
    arguments = [str(copy), str(tmp_path / "given.npz"), str(tmp_path / "found.npz")]
    printed = subprocess.check_output([sys.executable, "-c", JOB, *arguments], text=True, cwd=tmp_path)
    facts, modules = printed.splitlines()
    assert json.loads(facts) == [248_539, "numba"]
    assert modules in ("[]", "['acdref.fast']")  # at most the empty folder
    with np.load(tmp_path / "found.npz") as file:
        found = dict(file)
    np.testing.assert_allclose(found["probabilities"], net.predict_proba(x), atol=1e-12)
    logits, tape = net.forward(x, train=True)
    np.testing.assert_allclose(found["logits"], logits, atol=1e-12)
    expected = net.backward(tape, bce(labels, logits)[1])
    grads = {name.removeprefix("grads/"): a for name, a in found.items() if name.startswith("grads/")}
    assert max(gradient_errors(grads, expected).values()) <= 1e-9
    for name, a in net.state.items():
        np.testing.assert_allclose(found[f"state/{name}"], a, atol=1e-12)


def test_a_fault_within_is_told(monkeypatch):
    """Only the road's absence is passed over: that of what it needs is an error."""

    def missing(name):
        raise ModuleNotFoundError(f"No module named 'x' in {name}", name="x")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="No module named 'x'"):
        network(config=SMALL, backend="numba").predict_proba(batch(SMALL)[0])
