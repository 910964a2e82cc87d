"""The 1-D network: table II's lengths, the parameter count, the values that transfer builds on."""

import json
from pathlib import Path

import numpy as np
import pytest
from further_support import batch, small
from nets_support import BACKENDS, relative_error

from acdref.nets.conv1d_net import Conv1D, Conv1DConfig
from acdref.ops.activation import elu
from acdref.ops.pointwise import pointwise

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden" / "network_counts.json"
LENGTHS = [26662, 8883, 2957, 982, 324, 105, 33, 9, 1]


@pytest.fixture(scope="module")
def full():
    return Conv1D(backend="numpy")


def test_lengths_and_count(full):
    table = full.layer_table(80000)
    assert [row.shape[1] for row in table if row.name.startswith("conv")] == LENGTHS
    assert sum(a.size for a in full.params.values()) == 1_810_575
    assert table[8].shape == (128, 1, 1)


@pytest.mark.parametrize("classes", [527, 632, 455, 351])
def test_counts_of_the_specification(classes):
    if not GOLDEN.exists():
        pytest.skip("needs golden/network_counts.json of the specification")
    golden = json.loads(GOLDEN.read_text())["grzywalski"]
    net = Conv1D(Conv1DConfig(classes=classes))
    assert sum(a.size for a in net.params.values()) == golden["params"][f"N{classes}_bias1_bn1"]
    assert golden["lengths"] == LENGTHS


def test_ten_seconds_leave_128_values(full):
    x = 0.1 * np.random.default_rng(0).standard_normal((1, 80000))
    assert full.embedding(x).shape == (1, 128)
    assert full.predict_proba(x).shape == (1, 527)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_dense_layer_sees_the_embedding_through_the_non_linearity(backend):
    """Where one position is left, the rest of the network can be done by hand."""
    net = small("conv1d", backend=backend)
    x = batch("conv1d")[0][:, : net.min_frames]
    values = net.embedding(x)
    assert (values < 0).any()
    logits = pointwise(elu(values), net.params["dense.weight"], net.params["dense.bias"])
    assert relative_error(net.forward(x)[0], logits) <= 1e-12


def test_embedding_as_pytorch():
    torch = pytest.importorskip("torch")
    from further_twins import twin_of

    net = small("conv1d")
    x = batch("conv1d")[0]
    with torch.no_grad():
        expected = twin_of("conv1d", net).eval().embedding(torch.tensor(x)).numpy()
    assert relative_error(net.embedding(x), expected) <= 1e-12


def test_width():
    config = Conv1DConfig().scaled(0.25)
    assert [layer.channels for layer in config.layers] == [16, 16, 16, 16, 128, 16, 128, 32, 32]
    net = Conv1D(config)
    assert [row.shape[1] for row in net.layer_table(80000)][:9] == LENGTHS
