"""The 1-D network: table II's lengths, the parameter count, the values that transfer builds on."""

import json
from pathlib import Path

import numpy as np
import pytest
from further_support import batch, small
from nets_support import BACKENDS, relative_error

from acdref.nets.conv1d_net import Conv1D, Conv1DConfig
from acdref.nets.layers import forward
from acdref.ops.activation import elu
from acdref.ops.pointwise import pointwise

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden" / "network_counts.json"
LENGTHS = [26662, 8883, 2957, 982, 324, 105, 33, 9, 1]
# Table II: filters, kernel, stride, output length
PRINTED = [
    ("conv1", 64, 17, 3, 26662),
    ("conv2", 64, 16, 3, 8883),
    ("conv3", 96, 15, 3, 2957),
    ("conv4", 96, 14, 3, 982),
    ("conv5", 128, 13, 3, 324),
    ("conv6", 128, 12, 3, 105),
    ("conv7", 192, 9, 3, 33),
    ("conv8", 192, 9, 3, 9),
    ("conv9", 256, 9, 1, 1),
    ("dense1", 256, 1, 1, 1),
    ("dense2", 128, 1, 1, 1),
]


@pytest.fixture(scope="module")
def full():
    return Conv1D(backend="numpy")


def test_the_printed_table(full):
    """Every row of Table II: its length, and the parameters of its weights, biases and normalisation."""
    rows = [row for row in full.layer_table(80000) if row.parameters]
    before = 1
    for row, (name, units, size, _, length) in zip(rows[:-1], PRINTED, strict=True):
        assert (row.name, row.shape) == (name, (units, length, 1))
        assert row.parameters == size * before * units + units + 2 * units
        assert row.macs == size * before * units * length
        before = units
    assert (rows[-1].name, rows[-1].shape, rows[-1].parameters) == ("dense", (527, 1, 1), 128 * 527 + 527)
    convolutions = zip(full.config.layers, PRINTED[:9], strict=True)
    assert all((a.channels, a.size, a.stride) == row[1:4] for a, row in convolutions)
    assert full.config.dense == (256, 128)
    assert not full.config.norm_last  # our choice where the paper is silent


def test_count(full):
    assert sum(a.size for a in full.params.values()) == 1_810_575
    weights = {name: a.size for name, a in full.params.items() if name.endswith(".weight")}
    biases = sum(a.size for name, a in full.params.items() if name.startswith("conv") and "bias" in name)
    assert sum(n for name, n in weights.items() if name.startswith("conv")) + biases == 1_640_704
    assert sum(a.size for name, a in full.params.items() if "norm" in name) == 3_200
    assert full.min_frames == 80_000


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
@pytest.mark.parametrize("name", ["conv1d", "conv1d-norm-last"])
def test_the_last_layer_sees_the_embedding_through_normalisation_and_non_linearity(name, backend):
    """The rest of the network can be done by hand."""
    net = small(name, backend=backend)
    x = batch("conv1d")[0]
    values = net.embedding(x)
    assert (values < 0).any()
    gamma, beta = (net.params[f"dense2_norm.{key}"] for key in ("gamma", "beta"))
    mean, var = (net.state[f"dense2_norm.{key}"] for key in ("mean", "var"))

    def norm(x):
        return gamma * (x - mean) / np.sqrt(var + 1e-5) + beta

    seen = norm(elu(values)) if net.config.norm_last else elu(norm(values))
    logits = pointwise(seen, net.params["dense.weight"], net.params["dense.bias"])
    assert relative_error(net.forward(x)[0], logits) <= 1e-12


@pytest.mark.parametrize("name", ["conv1d", "conv1d-norm-last"])
def test_embedding_as_pytorch(name):
    torch = pytest.importorskip("torch")
    from further_twins import twin_of

    net = small(name)
    x = batch("conv1d")[0]
    with torch.no_grad():
        expected = twin_of("conv1d", net).eval().embedding(torch.tensor(x)).numpy()
    assert relative_error(net.embedding(x), expected) <= 1e-12


@pytest.mark.parametrize("backend", BACKENDS)
def test_features_of_the_full_network_as_pytorch(backend):
    """128 values of 10 s, and the logits; telling statistics and scales."""
    torch = pytest.importorskip("torch")
    from further_twins import twin_of

    net = Conv1D(seed=5, backend=backend)
    rng = np.random.default_rng(6)
    for arrays in (net.params, net.state):
        for key, a in arrays.items():
            if "norm" in key:
                arrays[key] = (a + rng.uniform(-0.3, 0.3, a.shape)).astype(a.dtype)
    x = 0.1 * rng.standard_normal((2, 80000)).astype(np.float32)
    twin = twin_of("conv1d", net).eval()
    with torch.no_grad():
        values, logits = (f(torch.tensor(x, dtype=torch.float64)).numpy() for f in (twin.embedding, twin))
    assert values.shape == (2, 128)
    assert relative_error(net.embedding(x), values) <= 1e-5
    assert relative_error(net.forward(x)[0], logits) <= 1e-5


def test_longer_clips_are_heard_through_the_mean_of_their_positions():
    """The mean comes before the dense layers."""
    net = small("conv1d")
    x = batch("conv1d")[0]
    *convolutions, _, _, _, _ = net.layers
    maps, _ = forward(convolutions, net, x[:, :, None, None], train=False)
    assert maps.shape[1] > 1
    rest = net.layers[-3:]
    expected, _ = forward(rest, net, maps.mean((1, 2)), train=False)
    assert relative_error(net.forward(x)[0], expected) <= 1e-12


def test_width():
    config = Conv1DConfig().scaled(0.25)
    assert [layer.channels for layer in config.layers] == [16, 16, 24, 24, 32, 32, 48, 48, 64]
    assert config.dense == (64, 32)
    net = Conv1D(config)
    assert [row.shape[1] for row in net.layer_table(80000)][:9] == LENGTHS


@pytest.mark.parametrize("norm_last", [False, True])
def test_the_full_network_as_onnx(norm_last):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from acdref.nets import onnx

    net = Conv1D(Conv1DConfig(classes=3, norm_last=norm_last))
    model = onnx.onnx_model(net, "abc").SerializeToString()
    assert onnx.verify(model, net) <= onnx.TOLERANCES["float32"]
