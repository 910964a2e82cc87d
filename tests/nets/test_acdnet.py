"""ACDnet against its PyTorch twin, its own derivatives, its layer table and the specification's."""

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nets_support import (
    BACKENDS,
    KINDS,
    SMALL,
    batch,
    gradient_errors,
    layer_outputs,
    network,
    relative_error,
)

from acdref.losses import bce
from acdref.nets import ACDNET_2024, ACDNet, ACDNetConfig, Block
from acdref.ops import threads
from acdref.ops.kernel import available

both = pytest.mark.parametrize("backend", BACKENDS)
kinds = pytest.mark.parametrize("kind", KINDS)
needs_numba = pytest.mark.skipif(not available(), reason="needs numba")


def loss_and_gradients(net, x, labels):
    logits, tape = net.forward(x, train=True)
    loss, dlogits = bce(labels, logits)
    return loss, net.backward(tape, dlogits)


@functools.cache
def pytorch(kind, dtype=np.float64, train=False, gradients=False):
    """What the twin of ``network(kind, dtype)`` makes of ``batch(frames=140, dtype)``: made once."""
    torch = pytest.importorskip("torch")
    import torch_twin

    net = network(kind, dtype)
    x, labels = batch(frames=140)
    twin = torch_twin.Twin(net.config.classes, kind).double()
    torch_twin.copy_parameters(twin, net.params, net.state)
    twin.train(train)
    outputs = torch_twin.keep_outputs(twin)
    with torch.set_grad_enabled(gradients):
        loss = torch_twin.masked_bce(twin(torch.tensor(x.astype(dtype)).double()), torch.tensor(labels))
    results = {"outputs": outputs, "loss": loss.item()}
    if gradients:
        loss.backward()
        results["gradients"] = torch_twin.gradients(twin)
        results["statistics"] = torch_twin.running_statistics(twin)
    return results


def test_shapes_of_the_layer_table():
    """Every layer's output for 10 s, as the table says."""
    net = network(dtype=np.float32, backend="auto")
    outputs = layer_outputs(net, batch(n=1, frames=624, dtype=np.float32)[0])
    rows = {row.name: row.shape for row in net.layer_table(624)}
    del rows["features"]
    for name, shape in rows.items():
        y = outputs[name][0]
        found = y[None, None] if name == "dense" else y[None] if name == "mean" else y
        assert (found.shape[-1], *found.shape[:-1]) == shape, name
    assert set(outputs) == set(rows)


def test_parameters_of_every_layer():
    params = ACDNet().params
    assert sum(a.size for a in params.values()) == 248_539
    assert params["stem.conv.weight"].shape == (3, 3, 2, 16)
    assert params["block3.depthwise.weight"].shape == (3, 3, 64)
    assert params["block3.pointwise.weight"].shape == (64, 128)
    assert params["block4.attention.query.weight"].shape == (256, 128)
    assert params["block4.attention.out.weight"].shape == (128, 256)
    assert params["dense.weight"].shape == (64, 11)
    assert {a.dtype for a in params.values()} == {np.dtype(np.float32)}


def test_one_convolution_is_followed_by_norm_and_prelu_each():
    net = ACDNet()
    convolutions = [name for name in net.params if name.endswith(("conv.weight", "wise.weight"))]
    assert len(convolutions) == 1 + 2 * 7
    for name in convolutions:
        layer = name.removesuffix(".weight")
        channels = net.params[name].shape[-1]
        for part in ("bias", "norm.gamma", "norm.beta", "prelu.slope"):
            key = f"{layer}.bias" if part == "bias" else f"{layer}_{part}"
            assert net.params[key].shape == (channels,)
        assert net.state[f"{layer}_norm.mean"].shape == net.state[f"{layer}_norm.var"].shape == (channels,)
    assert len(net.state) == 2 * len(convolutions)


@kinds
@both
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_layer_outputs_as_pytorch_in_float32(kind, backend, train):
    """Against the twin in float64: in training, PyTorch's own float32 is up to 4e-5 away from it."""
    references = pytorch(kind, np.float32, train)["outputs"]
    net = network(kind, np.float32, backend)
    x, _ = batch(frames=140, dtype=np.float32)
    outputs = layer_outputs(net, x, train)
    assert set(outputs) == ({"dense"} if train and net._compiled("training") else set(references))
    errors = {name: relative_error(y, references[name]) for name, y in outputs.items()}
    errors["logits"] = relative_error(net.forward(x, train)[0], references["dense"])
    assert max(errors.values()) <= 1e-5, errors


@kinds
@both
def test_loss_gradients_and_statistics_as_pytorch_in_float64(kind, backend):
    reference = pytorch(kind, train=True, gradients=True)
    net = network(kind, np.float64, backend)
    loss, grads = loss_and_gradients(net, *batch(frames=140))
    assert abs(loss - reference["loss"]) <= 1e-12 * loss
    outputs = layer_outputs(network(kind, np.float64, backend), batch(frames=140)[0], train=True)
    assert set(outputs) == ({"dense"} if net._compiled("training") else set(reference["outputs"]))
    for name, y in outputs.items():
        assert relative_error(y, reference["outputs"][name]) <= 1e-10, name
    errors = gradient_errors(grads, reference["gradients"])
    assert max(errors.values()) <= 1e-9, errors
    assert set(net.state) == set(reference["statistics"])
    for name, a in reference["statistics"].items():
        assert relative_error(net.state[name], a) <= 1e-12, name


@kinds
@both
@pytest.mark.parametrize("config", [SMALL, ACDNET_2024], ids=["small", "default"])
def test_directional_derivative_of_the_whole_network(kind, backend, config):
    net = network(kind, np.float64, backend, config)
    x, labels = batch(config)
    _, grads = loss_and_gradients(net, x, labels)
    rng = np.random.default_rng(5)
    before = dict(net.params)
    noise = {name: rng.standard_normal(a.shape) for name, a in before.items()}
    # Leaning towards the gradient, so that the derivative is not small by chance; as long as the noise.
    length = {name: np.linalg.norm(grads[name]) for name in grads}
    total = np.sqrt(sum(value**2 for value in length.values()))
    direction = {name: noise[name] * 0.02 + grads[name] / total for name in before}
    predicted = sum((grads[name] * direction[name]).sum() for name in before)

    def moved(step):
        for name, a in before.items():
            net.params[name] = a + step * direction[name]
        return bce(labels, net.forward(x, train=True)[0])[0]

    # So small that no PReLU and no maximum changes sides: of millions, some do from 1e-7 on.
    step = 1e-8
    measured = (moved(step) - moved(-step)) / (2 * step)
    assert abs(predicted - measured) <= 1e-6 * abs(measured)


@needs_numba
@kinds
def test_backends_agree(kind):
    x, labels = batch(frames=135)
    nets = [network(kind, np.float64, backend) for backend in ("numba", "numpy")]
    (loss, grads), (expected_loss, expected) = (loss_and_gradients(net, x, labels) for net in nets)
    assert abs(loss - expected_loss) <= 1e-13
    assert max(gradient_errors(grads, expected).values()) <= 1e-10
    x = x.astype(np.float32)
    outputs, expected = (
        layer_outputs(network(kind, np.float32, backend), x) for backend in ("numba", "numpy")
    )
    for name, y in expected.items():
        assert relative_error(outputs[name], y) <= 1e-5, name


@needs_numba
def test_threads_do_not_matter():
    x, labels = batch(frames=140, dtype=np.float32)
    results = []
    for count in (1, 2, 4):
        threads.set_threads(count)
        try:
            net = network(dtype=np.float32, backend="numba")
            loss, grads = loss_and_gradients(net, x, labels)
            results.append([np.array(loss), *grads.values(), *net.state.values(), net.predict_proba(x)])
        finally:
            threads.set_threads(None)
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


@both
def test_same_seed_same_everything(backend):
    x, labels = batch(SMALL, frames=40, dtype=np.float32)
    first, second = (loss_and_gradients(ACDNet(SMALL, 3, backend=backend), x, labels) for _ in range(2))
    assert first[0] == second[0]
    for name in first[1]:
        np.testing.assert_array_equal(first[1][name], second[1][name])
    assert loss_and_gradients(ACDNet(SMALL, 4, backend=backend), x, labels)[0] != first[0]


def test_initialisation():
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)); norms the identity, slopes 0.25."""
    net = ACDNet(seed=11)
    fans = {"stem.conv": 18, "block5.depthwise": 9, "block5.pointwise": 256, "block4.attention.query": 256,
            "block4.attention.out": 128, "dense": 64}  # fmt: skip
    for layer, fan in fans.items():
        weight, bias = net.params[f"{layer}.weight"], net.params[f"{layer}.bias"]
        bound = fan**-0.5
        assert max(np.abs(weight).max(), np.abs(bias).max()) <= bound
        assert np.abs(weight).max() > 0.97 * bound
        assert abs(weight.std() * 3**0.5 / bound - 1) < 6 / weight.size**0.5
        assert abs(weight.mean()) < 6 * bound / weight.size**0.5
    for name, a in (net.params | net.state).items():
        expected = {"gamma": 1, "beta": 0, "slope": 0.25, "mean": 0, "var": 1}.get(name.rsplit(".", 1)[1])
        if expected is not None:
            assert (a == expected).all()
    again, other = ACDNet(seed=11), ACDNet(seed=12)
    for name, a in net.params.items():
        np.testing.assert_array_equal(a, again.params[name])
    assert (net.params["dense.weight"] != other.params["dense.weight"]).all()
    double = ACDNet(seed=11, dtype=np.float64)
    np.testing.assert_array_equal(
        double.params["dense.weight"].astype(np.float32), net.params["dense.weight"]
    )


@both
def test_shortest_input(backend):
    assert ACDNET_2024.min_frames == 130
    net = network(dtype=np.float32, backend=backend)
    x, labels = batch(frames=131, dtype=np.float32)
    with pytest.raises(ValueError, match="129 frames are too few: the network needs 130"):
        net.forward(x[:, :129])
    with pytest.raises(ValueError, match="129 frames are too few"):
        net.predict_proba(x[:, :129])
    logits, _ = net.forward(x[:, :130])
    assert layer_outputs(net, x[:, :130])["block7.pool"].shape == (2, 1, 2, 32)
    assert np.isfinite(logits).all()
    # The first pool drops what the 131st frame adds.
    assert relative_error(net.forward(x)[0], logits) <= 1e-6
    loss, grads = loss_and_gradients(net, x[:, :130], labels)
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in grads.values())


@pytest.mark.parametrize(
    "shape",
    [(1, 130, 257), (1, 130, 256, 2), (1, 130, 257, 1), (0, 130, 257, 2), (130, 257, 2), (1, 0, 257, 2)],
)
def test_wrong_shapes(shape):
    net = ACDNet()
    for call in (net.forward, net.predict_proba):
        with pytest.raises(ValueError, match=r"expected features \(N, T, 257, 2\)|too few"):
            call(np.zeros(shape, np.float32))


def test_wrong_configurations():
    with pytest.raises(ValueError, match="attention must be one of linear, separable, got 'softmax'"):
        ACDNet(dataclasses.replace(SMALL, attention="softmax"))
    with pytest.raises(ValueError, match="3 pools leave nothing of 7 bins"):
        ACDNet(dataclasses.replace(SMALL, bins=7))
    with pytest.raises(ValueError, match="backend must be auto, numpy or numba, got 'torch'"):
        ACDNet(SMALL, backend="torch")


@given(
    blocks=st.lists(
        st.tuples(st.sampled_from([1, 3, 16]), st.integers(1, 2), st.sampled_from([(1, 2), (2, 2), (2, 1)]),
                  st.sampled_from([0, 2])),
        min_size=1, max_size=3,
    ),
    extra=st.integers(0, 3), classes=st.integers(1, 3), kind=st.sampled_from(KINDS), n=st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=25)
def test_any_table_works_from_its_shortest_input_on(blocks, extra, classes, kind, n):
    blocks = tuple(Block(*block) for block in blocks)
    config = ACDNetConfig(classes, stem=2, blocks=blocks, attention=kind, bins=12)
    net = ACDNet(config, dtype=np.float64)
    x, labels = batch(config, n, config.min_frames + extra)
    logits, tape = net.forward(x, train=True)
    assert logits.shape == (n, classes)
    grads = net.backward(tape, bce(labels, logits)[1])
    assert list(grads) == list(net.params)
    assert net.min_frames == config.min_frames
    for name, g in grads.items():
        assert g.shape == net.params[name].shape
        assert np.isfinite(g).all()
    with pytest.raises(ValueError, match="too few"):
        net.forward(x[:, : config.min_frames - 1])


@kinds
@both
def test_clips_do_not_see_each_other_at_inference(kind, backend):
    net = network(kind, np.float32, backend, SMALL)
    x, _ = batch(SMALL, 5, 60, np.float32)
    together, _ = net.forward(x)
    for i, clip in enumerate(x):
        assert relative_error(net.forward(clip[None])[0], together[i : i + 1]) <= 1e-6


@both
def test_nothing_changes_but_the_statistics(backend):
    net = network(dtype=np.float32, backend=backend, config=SMALL)
    x, labels = batch(SMALL, frames=50, dtype=np.float32)
    copies = x.copy(), labels.copy(), {name: a.copy() for name, a in (net.params | net.state).items()}
    net.forward(x)
    net.predict_proba(x)
    for name, a in net.state.items():
        np.testing.assert_array_equal(a, copies[2][name])
    logits, tape = net.forward(x, train=True)
    _, dlogits = bce(labels, logits)
    kept = dlogits.copy()
    net.backward(tape, dlogits)
    assert tape == []
    np.testing.assert_array_equal(dlogits, kept)
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(labels, copies[1])
    for name, a in net.params.items():
        np.testing.assert_array_equal(a, copies[2][name])
    assert all((a != copies[2][name]).any() for name, a in net.state.items())


@both
def test_inference_keeps_no_tape(backend):
    net = ACDNet(SMALL, backend=backend)
    assert net.forward(batch(SMALL)[0])[1] is None


@both
@pytest.mark.parametrize("kind_of", ["float64", "float16", "int8", "fortran", "strided", "read-only"])
def test_any_memory_layout_and_dtype_of_features(kind_of, backend):
    """Features are taken as the network's own dtype, whatever they come as."""
    net = ACDNet(SMALL, backend=backend)
    x = np.round(batch(SMALL, frames=40, dtype=np.float32)[0] * 3)
    expected, _ = net.forward(x)
    given = {
        "fortran": lambda: np.asfortranarray(x),
        "strided": lambda: np.repeat(x, 2, axis=1)[:, ::2],
        "read-only": lambda: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    }.get(kind_of, lambda: x.astype(kind_of))()
    np.testing.assert_array_equal(net.forward(given)[0], expected)
    np.testing.assert_array_equal(net.predict_proba(given), net.predict_proba(x))


@both
def test_a_bad_clip_does_not_spoil_the_others(backend):
    net = ACDNet(SMALL, backend=backend)
    x, _ = batch(SMALL, 3, 40, np.float32)
    x[1, 5, 3, 0] = np.nan
    logits, _ = net.forward(x)
    np.testing.assert_array_equal(np.isnan(logits).any(1), [False, True, False])
    np.testing.assert_array_equal(np.isnan(net.predict_proba(x)).any(1), [False, True, False])


@both
def test_digital_silence(backend):
    net = ACDNet(SMALL, backend=backend)
    x, labels = batch(SMALL, frames=40, dtype=np.float32)
    loss, grads = loss_and_gradients(net, np.zeros_like(x), labels)
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in grads.values())
    assert np.isfinite(net.predict_proba(np.zeros_like(x))).all()


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


@kinds
@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_probabilities_are_the_sigmoid_of_the_logits(kind, backend, dtype, tolerance):
    net = network(kind, dtype, backend)
    x, _ = batch(n=2, frames=150, dtype=dtype)
    p = net.predict_proba(x)
    assert p.dtype == dtype
    assert p.shape == (2, 11)
    assert np.abs(p - sigmoid(net.forward(x)[0])).max() <= tolerance


@both
@given(seed=st.integers(0, 999), n=st.integers(1, 4), extra=st.integers(0, 9), kind=st.sampled_from(KINDS))
@settings(max_examples=15)
def test_probabilities_for_any_parameters_and_lengths(backend, seed, n, extra, kind):
    """Slopes and scales of any sign: PReLU commutes with the pool for some of them only."""
    net = network(kind, np.float64, backend, SMALL, seed)
    rng = np.random.default_rng(seed)
    for name, a in net.params.items():
        if name.endswith((".slope", ".gamma")):
            net.params[name] = rng.normal(0, 1, a.shape)
    x, _ = batch(SMALL, n, SMALL.min_frames + extra, seed=seed)
    assert np.abs(net.predict_proba(x) - sigmoid(net.forward(x)[0])).max() <= 1e-12


@both
def test_probabilities_do_not_depend_on_the_batch(backend):
    net = network(dtype=np.float32, backend=backend, config=SMALL)
    x, _ = batch(SMALL, 33, 45, np.float32)
    together = net.predict_proba(x)
    np.testing.assert_array_equal(np.concatenate([net.predict_proba(clip[None]) for clip in x]), together)


@both
def test_threads_do_not_matter_to_probabilities(backend):
    net = network(dtype=np.float32, backend=backend, config=SMALL)
    x, _ = batch(SMALL, 3, 60, np.float32)
    results = []
    for count in (1, 2, 4):
        threads.set_threads(count)
        try:
            results.append(net.predict_proba(x))
        finally:
            threads.set_threads(None)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_blas_threads_do_not_matter_to_probabilities(with_blas_threads):
    one, two = with_blas_threads("""if True:
        import hashlib
        import numpy as np
        from acdref.nets import ACDNet

        net = ACDNet(seed=1, backend="numpy")
        for name in net.params:
            if name.endswith("weight"):
                net.params[name] *= 2.5  # as trained ones: fresh weights hardly let the input through
        for frames in (200, 624):
            x = np.random.default_rng(frames).standard_normal((1, frames, 257, 2), np.float32)
            print(frames, hashlib.sha256(net.predict_proba(x).tobytes()).hexdigest())
    """)
    assert one == two
    assert len(set(one.split())) == 4


@both
def test_new_parameters_are_seen(backend):
    """Nothing folded is remembered: training between two predictions counts."""
    net = ACDNet(SMALL, backend=backend)
    x, _ = batch(SMALL, frames=40, dtype=np.float32)
    before = net.predict_proba(x)
    net.params["stem.conv_norm.gamma"] *= 2  # in place, as the optimiser does
    net.state["stem.conv_norm.mean"] += 0.1
    after = net.predict_proba(x)
    assert (before != after).all()
    assert np.abs(after - sigmoid(net.forward(x)[0])).max() <= 1e-6


# The specification's table for 10 s: last layer of the row, its output (C, T, F), the row's parameters.
SPECIFIED = {
    "features": ("features", (2, 624, 257), 0),
    "stem": ("stem.conv", (16, 622, 257), 352),
    "block1": ("block1.pool", (32, 309, 128), 848),
    "block2": ("block2.pool", (64, 153, 64), 11_200),
    "block3": ("block3.pool", (128, 74, 32), 9_536),
    "block4": ("block4.pool", (256, 72, 16), 167_680),
    "block5": ("block5.pool", (128, 68, 8), 36_608),
    "block6": ("block6.pool", (64, 66, 4), 18_592),
    "block7": ("block7.pool", (32, 62, 2), 3_008),
    "dense": ("dense", (11, 1, 1), 715),
}
TABLE = ACDNetConfig(
    classes=3, stem=4, bins=20, blocks=(Block(6, 2, (2, 2)), Block(5, 1, (1, 2), 3), Block(4, 1, (2, 3), 2))
)


@pytest.mark.parametrize("row", SPECIFIED)
def test_row_of_the_specification(row):
    last, shape, parameters = SPECIFIED[row]
    layers = [layer for layer in ACDNet().layer_table(624) if layer.name.split(".")[0] == row]
    assert layers[-1].name == last
    assert layers[-1].shape == shape
    assert sum(layer.parameters for layer in layers) == parameters


def test_parameters_of_the_paper():
    assert sum(layer.parameters for layer in ACDNet().layer_table(624)) == 248_539


def test_macs_of_the_specification():
    macs = ACDNet().count_macs(624)
    assert round(macs["convolutions"] / 1e9, 3) == 1.076
    assert round(macs["attention"] / 1e9, 3) == 0.157
    assert round(macs["stft"] / 1e9, 3) == 0.164
    assert macs["stft"] == 514 * 512 * 624
    assert round(macs["total"] / 1e9, 3) == 1.397
    assert macs["total"] == macs["convolutions"] + macs["attention"] + macs["stft"]
    assert macs["total"] == sum(layer.macs for layer in ACDNet().layer_table(624))
    assert "direct DFT" in ACDNet.macs_convention


@pytest.mark.parametrize("attention", ["linear", "separable"])
@pytest.mark.parametrize("config", [ACDNET_2024, TABLE], ids=["default", "small"])
def test_parameters_are_those_of_the_network(config, attention):
    config = dataclasses.replace(config, attention=attention)
    net = ACDNet(config)
    counted = dict.fromkeys((layer.name for layer in net.layer_table(624)), 0)
    for name, a in net.params.items():
        # "block2.attention.query.weight" and "block1.depthwise_norm.gamma" belong to their layer's row.
        layer = max((row for row in counted if name.startswith(row)), key=len)
        counted[layer] += a.size
    assert counted == {layer.name: layer.parameters for layer in net.layer_table(624)}


@pytest.mark.parametrize("attention", ["linear", "separable"])
def test_macs_counted_one_by_one(attention):
    """From the arrays of a network: a product for each weight and each position that it serves."""
    config = dataclasses.replace(TABLE, attention=attention)
    rows = {layer.name: layer for layer in ACDNet(config).layer_table(30)}
    macs = dict.fromkeys(rows, 0)
    macs["features"] = 30 * 2 * 20 * 38  # frames, (cosine, sine), bins, samples of a window
    for name, a in ACDNet(config).params.items():
        if name.endswith(".weight"):
            layer = max((row for row in rows if name.startswith(row)), key=len)
            macs[layer] += a.size * np.prod(rows[layer].shape[1:])
    for number, block in enumerate(config.blocks, 1):
        if block.attention:
            positions = np.prod(rows[f"block{number}.attention"].shape[1:])
            rank = 1 if attention == "separable" else block.attention
            macs[f"block{number}.attention"] += 2 * positions * block.attention * rank
    assert macs == {name: layer.macs for name, layer in rows.items()}


def test_table_of_the_shortest_input():
    frames, net = ACDNET_2024.min_frames, ACDNet()
    assert net.min_frames == frames
    assert net.layer_table(frames)[-3].shape == (32, 1, 2)
    with pytest.raises(ValueError, match=f"{frames - 1} frames are too few: the network needs {frames}"):
        net.layer_table(frames - 1)
    with pytest.raises(ValueError, match="too few"):
        net.count_macs(frames - 1)
