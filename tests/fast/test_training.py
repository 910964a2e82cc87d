"""The fused training step against the plain one: any network, any batch, any number of threads."""

import tracemalloc

import numpy as np
import pytest
from nets_support import ODD, SMALL, batch, network, relative_error, unruly

from acdref.losses import bce
from acdref.ops import threads
from acdref.ops.kernel import available

if not available():
    pytest.skip("needs numba", allow_module_level=True)

CONFIGS = {"small": SMALL, **ODD}
all_configs = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def step(net, x, labels):
    """Logits, gradients and running statistics after one step."""
    logits, tape = net.forward(x, train=True)
    return logits, net.backward(tape, bce(labels, logits)[1]), net.state


def known_batch(config, n, extra, dtype=np.float64):
    """A batch whose labels are all known, so that no clip is left out."""
    x, labels = batch(config, n, config.min_frames + extra, dtype)
    return x, np.where(np.isnan(labels), 0, labels)


def largest_error(grads, references):
    """Largest difference, by the layer's largest gradient (or a thousandth of the largest of all)."""
    assert list(grads) == list(references)
    floor = max(np.abs(g).max() for g in references.values()) / 1000
    scales = {}
    for name, g in references.items():
        layer = name.rsplit(".", 1)[0]
        scales[layer] = max(scales.get(layer, floor), np.abs(g).max())
    errors = [
        np.abs(grads[name].astype(np.float64) - g).max() / scales[name.rsplit(".", 1)[0]]
        for name, g in references.items()
    ]
    return np.max(errors)


@pytest.mark.parametrize("zeros", [False, True], ids=["", "zeros"])
@all_configs
def test_as_the_plain_road(config, zeros):
    """One clip of the fewest frames, several of more than a task has rows, and many."""
    for n, extra in ((1, 0), (1, 5), (3, 70), (33, 1)):
        x, labels = known_batch(config, n, extra)
        (logits, grads, state), (expected, references, statistics) = (
            step(unruly(network(backend=backend, config=config), zeros=zeros), x, labels)
            for backend in ("numba", "numpy")
        )
        assert relative_error(logits, expected) <= 1e-11
        assert largest_error(grads, references) <= 1e-9
        for name, a in statistics.items():
            assert relative_error(state[name], a) <= 1e-12, name


@all_configs
def test_float32_is_as_good_as_the_plain_road(config):
    """Where a PReLU or a maximum is close to changing sides, any float32 may be far from float64."""
    x, labels = known_batch(config, 2, 40, np.float32)
    plain, fused = (
        step(network(dtype=np.float32, backend=backend, config=config), x, labels)
        for backend in ("numpy", "numba")
    )
    net = network(dtype=np.float32, config=config)
    for arrays in (net.params, net.state):
        arrays.update({name: a.astype(np.float64) for name, a in arrays.items()})
    logits, grads, state = step(net, x, labels)
    assert {a.dtype for results in fused[1:] for a in results.values()} == {np.dtype(np.float32)}
    assert relative_error(fused[0], logits) <= 1e-5
    assert largest_error(fused[1], grads) <= 3 * largest_error(plain[1], grads) + 1e-5
    for name, a in state.items():
        assert relative_error(fused[2][name], a) <= 1e-6, name


@pytest.mark.parametrize("n", [1, 3])
def test_threads_do_not_matter(n):
    x, labels = batch(n=n, frames=200, dtype=np.float32)
    results = []
    for count in (1, 2, 4):
        threads.set_threads(count)
        try:
            logits, grads, state = step(network(dtype=np.float32, backend="numba"), x, labels)
            results.append([logits, *grads.values(), *state.values()])
        finally:
            threads.set_threads(None)
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_steps_in_turns_are_as_steps_alone():
    """What one step leaves in its scratch, or inference, does not reach another."""
    calls = []
    for config in CONFIGS.values():
        for extra in (0, 40):
            calls.append((config, *known_batch(config, 2, extra, np.float32)))
    first = []
    for turn in range(2):
        for i, (config, x, labels) in enumerate(calls):
            net = network(dtype=np.float32, backend="numba", config=config)
            net.predict_proba(np.full_like(x, np.nan))
            logits, grads, _ = step(net, x, labels)
            if turn == 0:
                first.append([logits, *grads.values()])
                step(net, np.full_like(x, np.nan), labels)
                continue
            for a, b in zip([logits, *grads.values()], first[i], strict=True):
                np.testing.assert_array_equal(a, b)


@all_configs
def test_nan_reaches_everything(config):
    """Batch normalisation sees all clips: one bad number spoils the step, and nobody can overlook it."""
    net = network(dtype=np.float32, backend="numba", config=config)
    x, labels = known_batch(config, 2, 0, np.float32)
    x[1, 2, 0, 0] = np.nan
    logits, grads, state = step(net, x, labels)
    assert np.isnan(logits).all()
    assert all(np.isnan(g).any() for g in grads.values())
    assert np.isnan(state["stem.conv_norm.mean"]).all()


def test_two_tapes_at_once():
    """Forward, forward, backward, backward: nothing that a tape needs is scratch."""
    net = network(dtype=np.float32, backend="numba", config=SMALL)
    batches = [known_batch(SMALL, 2, extra, np.float32) for extra in (0, 40)]
    alone = [step(net, *data)[:2] for data in batches]
    tapes = [net.forward(x, train=True) for x, _ in batches]
    for (logits, tape), (_, labels), (expected, references) in zip(tapes, batches, alone, strict=True):
        np.testing.assert_array_equal(logits, expected)
        grads = net.backward(tape, bce(labels, logits)[1])
        assert tape == []
        for name, g in references.items():
            np.testing.assert_array_equal(grads[name], g)


def test_memory_of_a_clip():
    """What a further clip of 10 s costs: 69 MB, of which 12 are weights of queries and keys."""
    net = network(dtype=np.float32, backend="numba")
    peaks = []
    threads.set_threads(1)
    try:
        for n in (1, 2, 4):  # the first fills the scratch
            x, labels = batch(n=n, frames=624, dtype=np.float32)
            tracemalloc.start()
            step(net, x, labels)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    finally:
        tracemalloc.stop()
        threads.set_threads(None)
    assert (peaks[2] - peaks[1]) / 2 <= 69e6, peaks
