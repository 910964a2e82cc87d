"""The four further networks: PyTorch twins, derivatives, backends, threads, batches, wrong input."""

import numpy as np
import pytest
from further_support import SMALL, batch, each, small, with_dropout
from nets_support import BACKENDS, gradient_errors, relative_error

from acdref.losses import bce
from acdref.nets.network import Network, scaled
from acdref.nets.registry import build
from acdref.ops import threads
from acdref.ops.activation import sigmoid
from acdref.ops.kernel import available

both = pytest.mark.parametrize("backend", BACKENDS)
needs_numba = pytest.mark.skipif(not available(), reason="needs numba")


def loss_and_gradients(net, x, labels):
    logits, tape = net.forward(x, train=True)
    loss, dlogits = bce(labels, logits)
    return loss, net.backward(tape, dlogits)


@each
@both
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_outputs_as_pytorch_in_float32(name, backend, train):
    torch = pytest.importorskip("torch")
    from further_twins import twin_of

    net = small(name, np.float32, backend)
    x, _ = batch(name, dtype=np.float32)
    with torch.no_grad():
        expected = twin_of(name, net).train(train)(torch.tensor(x).double()).numpy()
    logits, _ = net.forward(x, train=train)
    assert logits.dtype == np.float32
    assert relative_error(logits, expected) <= 1e-5


@each
@both
def test_loss_gradients_and_statistics_as_pytorch_in_float64(name, backend):
    torch = pytest.importorskip("torch")
    from further_twins import gradients, statistics, twin_of

    net = small(name, np.float64, backend)
    x, labels = batch(name)
    twin = twin_of(name, net).train()
    known = ~torch.isnan(torch.tensor(labels))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        twin(torch.tensor(x))[known], torch.tensor(labels)[known]
    )
    expected.backward()
    loss, grads = loss_and_gradients(net, x, labels)
    assert abs(loss - expected.item()) <= 1e-11 * loss
    assert list(grads) == list(net.params)
    errors = gradient_errors(grads, gradients(name, net, twin))
    assert max(errors.values()) <= 1e-9, errors
    for key, a in statistics(net, twin).items():
        assert relative_error(net.state[key], a) <= 1e-12, key


@both
@pytest.mark.parametrize(
    ("name", "dropout"),
    [(name, False) for name in SMALL] + [("vgg-gap", True), ("mobilenetv2", True)],
)
def test_directional_derivative(name, backend, dropout):
    net = small(name, np.float64, backend, **with_dropout(name) if dropout else {})
    x, labels = batch(name)

    def loss_at(params=None):
        net.params.update(params or {})
        net.rng = np.random.default_rng(1)  # the same zeros each time
        logits, tape = net.forward(x, train=True)
        loss, dlogits = bce(labels, logits)
        return loss, tape, dlogits

    before = dict(net.params)
    _, tape, dlogits = loss_at()
    grads = net.backward(tape, dlogits)
    assert tape == []
    rng = np.random.default_rng(5)
    total = np.sqrt(sum((g**2).sum() for g in grads.values()))
    direction = {key: 0.02 * rng.standard_normal(a.shape) + grads[key] / total for key, a in before.items()}
    predicted = sum((grads[key] * direction[key]).sum() for key in before)
    # So small that no rectifier and no maximum changes sides.
    step = 1e-7
    up, down = (
        loss_at({key: a + sign * step * direction[key] for key, a in before.items()})[0] for sign in (1, -1)
    )
    measured = (up - down) / (2 * step)
    assert abs(predicted - measured) <= 1e-6 * abs(measured)


@needs_numba
@each
def test_backends_agree(name):
    x, labels = batch(name)
    nets = [small(name, np.float64, backend, **with_dropout(name)) for backend in ("numba", "numpy")]
    (loss, grads), (expected_loss, expected) = (loss_and_gradients(net, x, labels) for net in nets)
    assert abs(loss - expected_loss) <= 1e-12
    assert max(gradient_errors(grads, expected).values()) <= 1e-10


@needs_numba
@each
def test_threads_do_not_matter(name):
    x, labels = batch(name, n=9, dtype=np.float32)
    results = []
    for count in (1, 2, 4):
        threads.set_threads(count)
        try:
            net = small(name, np.float32, "numba", **with_dropout(name))
            loss, grads = loss_and_gradients(net, x, labels)
            results.append([np.array(loss), *grads.values(), *net.state.values(), net.predict_proba(x)])
        finally:
            threads.set_threads(None)
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


@each
@both
def test_prediction_is_the_sigmoid_and_does_not_depend_on_the_batch(name, backend):
    net = small(name, np.float32, backend)
    x, _ = batch(name, n=4, dtype=np.float32)
    together = net.predict_proba(x)
    assert np.abs(together - sigmoid(net.forward(x)[0])).max() <= 1e-6
    np.testing.assert_array_equal(np.concatenate([net.predict_proba(clip[None]) for clip in x]), together)


@each
def test_nothing_changes_but_the_statistics(name):
    net = small(name)
    x, labels = batch(name)
    copies = x.copy(), {key: a.copy() for key, a in (net.params | net.state).items()}
    assert net.forward(x)[1] is None
    for key, a in net.state.items():
        np.testing.assert_array_equal(a, copies[1][key])
    loss_and_gradients(net, x, labels)
    np.testing.assert_array_equal(x, copies[0])
    for key, a in net.params.items():
        np.testing.assert_array_equal(a, copies[1][key])
    assert all((a != copies[1][key]).any() for key, a in net.state.items())


@each
def test_the_seed_decides(name):
    kind, config, _ = SMALL[name]
    first, again, other = (kind(config, seed, backend="numpy") for seed in (1, 1, 2))
    for key, a in first.params.items():
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, again.params[key])
    assert any((a != other.params[key]).any() for key, a in first.params.items())
    assert first.rng.random() == again.rng.random() != other.rng.random()


@each
def test_the_table_is_the_network(name):
    """Parameters of each row, and shapes as the layers really have them."""
    net = small(name)
    x, _ = batch(name)
    table = net.layer_table(x.shape[1])
    assert sum(row.parameters for row in table) == sum(a.size for a in net.params.values())
    for row in table:
        own = [a.size for key, a in net.params.items() if key.startswith((f"{row.name}.", f"{row.name}_"))]
        if row.parameters:
            assert row.parameters == sum(own)
    y = net._checked(x)
    shape = y.shape[3], *y.shape[1:3]
    for layer in net.layers:
        _, shape = layer.rows(shape)
        y, _ = layer.forward(net, y, False)
        found = y if y.ndim == 4 else y[:, :, None] if y.ndim == 3 else y[:, None, None]
        assert shape == (found.shape[3], *found.shape[1:3]), layer


@each
@both
def test_shortest_input(name, backend):
    net = small(name, backend=backend)
    x, labels = batch(name)
    shortest = x[:, : net.min_frames]
    assert shortest.shape[1] == net.min_frames  # the batch has enough
    loss, grads = loss_and_gradients(net, shortest, labels)
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in grads.values())
    if net.min_frames > 1:
        with pytest.raises(ValueError, match=f"too few: the network needs {net.min_frames}"):
            net.forward(x[:, : net.min_frames - 1])


@each
def test_wrong_shapes(name):
    net = small(name)
    x, _ = batch(name)
    for bad in (x[0], x[..., None], x[:0], x[:, :0], x[..., :-1] if x.ndim > 2 else x[None, None]):
        for call in (net.forward, net.predict_proba):
            with pytest.raises(ValueError, match=r"expected|too few"):
                call(bad)


@each
def test_any_dtype_and_layout_of_features(name):
    net = small(name, np.float32)
    x = np.round(batch(name)[0] * 3)
    expected = net.predict_proba(x)
    for given in (x.astype(np.int8), np.asfortranarray(x), x.tolist()):
        np.testing.assert_array_equal(net.predict_proba(given), expected)


def test_unknown_backend():
    with pytest.raises(ValueError, match="backend must be auto, numpy or numba, got 'torch'"):
        SMALL["conv1d"][0](SMALL["conv1d"][1], backend="torch")


def test_what_a_subclass_must_say():
    for call in (lambda: Network.build(None), lambda: Network.as_map(None, None)):
        with pytest.raises(NotImplementedError):
            call()


def test_probabilities_of_a_softmax_add_up_to_one():
    net = build("vgg-gap", 3, width=1 / 16, backend="numpy")
    assert net.output == "softmax"
    p = net.predict_proba(np.random.default_rng(0).standard_normal((2, 400, 128)).astype(np.float32))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)


def test_scaled_channels_are_rounded_and_at_least_four():
    assert [scaled(channels, 0.25) for channels in (4, 16, 27, 29, 64)] == [4, 4, 7, 7, 16]
