"""The loop that recipes share: it learns, keeps the best, and continues to the same weights."""

import numpy as np
import pytest
from recipes_support import Killed, Recorder, dying_at

from acdref.checkpoint import network_arrays
from acdref.errors import AcdrefError, CheckpointError
from acdref.losses import softmax_cross_entropy
from acdref.nets.vgg import VGGConfig, VGGGap, VGGLayer
from acdref.recipes.fit import Job, fit
from acdref.recipes.stages import Observer, Stopped

LAYERS = (VGGLayer(4, pool=(2, 2), dropout=0.2), VGGLayer(4, size=1, padding=0))


def network():
    return VGGGap(VGGConfig(classes=2, layers=LAYERS, bins=8), seed=1, backend="numpy")


def batch(epoch, step):
    """Loud at the bottom, or at the top."""
    rng = np.random.default_rng([epoch, step])
    labels = rng.integers(0, 2, 6)
    x = rng.standard_normal((6, 10, 8)).astype(np.float32)
    x[labels == 1, :, :4] *= 4
    x[labels == 0, :, 4:] *= 4
    return x, np.eye(2)[labels]


def validate(net):
    x, y = batch(99, 0)
    return softmax_cross_entropy(y, net.forward(x)[0])[0]


def job(epochs=4, **options):
    return Job(epochs, 3, batch, softmax_cross_entropy, lambda epoch: 0.02 * 0.98**epoch, **options)


def test_it_learns_and_says_what_it_did(tmp_path):
    net = network()
    before = validate(net)
    rows = fit(net, job(60), tmp_path / "last.npz", Observer())
    assert validate(net) < before / 2
    assert [row["epoch"] for row in rows] == list(range(1, 61))
    np.testing.assert_allclose([row["lr"] for row in rows], 0.02 * 0.98 ** np.arange(60))
    assert "val_loss" not in rows[0]


def test_the_best_weights_are_kept(tmp_path):
    losses = iter([0.5, 0.3, 0.4, 0.3])
    states = []

    def recorded(net):
        states.append({name: a.copy() for name, a in network_arrays(net).items()})
        return next(losses)

    net = network()
    rows = fit(net, job(validate=recorded), tmp_path / "last.npz", Observer())
    assert [row["val_loss"] for row in rows] == [0.5, 0.3, 0.4, 0.3]
    for name, a in network_arrays(net).items():
        np.testing.assert_array_equal(a, states[1][name])  # the first of two equal ones
    assert any(not np.array_equal(states[1][name], states[3][name]) for name in states[1])


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_every_file_it_ends_the_same(tmp_path, monkeypatch, late):
    monkeypatch.setattr("acdref.recipes.fit.CHECKPOINT_SECONDS", 0)
    whole, broken = network(), None
    rows = fit(whole, job(validate=validate), tmp_path / "whole.npz", Observer())
    deaths = 0
    while deaths < 50:
        broken = network()
        try:
            with dying_at(monkeypatch, 1 + deaths % 4, late):
                found = fit(broken, job(validate=validate), tmp_path / "broken.npz", Observer())
            break
        except Killed:
            deaths += 1
    assert deaths >= 4 and found == rows
    for name, a in network_arrays(broken).items():
        np.testing.assert_array_equal(a, network_arrays(whole)[name])


@pytest.mark.parametrize("steps", [1, 5])
def test_stopped_it_continues(tmp_path, steps):
    whole, stopped = network(), network()
    fit(whole, job(), tmp_path / "whole.npz", Observer())
    with pytest.raises(Stopped):
        fit(stopped, job(), tmp_path / "last.npz", Recorder(steps))
    again = network()
    fit(again, job(), tmp_path / "last.npz", Observer())
    for name, a in network_arrays(again).items():
        np.testing.assert_array_equal(a, network_arrays(whole)[name])


def test_another_jobs_checkpoint_is_refused(tmp_path):
    fit(network(), job(1), tmp_path / "last.npz", Observer())
    with pytest.raises(CheckpointError, match="of another run"):
        fit(network(), job(2), tmp_path / "last.npz", Observer())


def test_a_loss_that_is_no_number(tmp_path):
    def broken(y, logits):
        return float("nan"), np.zeros_like(logits)

    bad = Job(1, 1, batch, broken, lambda epoch: 0.1)
    with pytest.raises(AcdrefError, match="try a lower learning rate"):
        fit(network(), bad, tmp_path / "last.npz", Observer())
