"""Fused inference against the plain road: any network, any length, any number of threads and callers."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nets_support import ODD, SMALL, batch, network, unruly

from acdref.nets import ACDNET_2024
from acdref.ops import threads
from acdref.ops.kernel import available

if not available():
    pytest.skip("needs numba", allow_module_level=True)

CONFIGS = {"small": SMALL, **ODD}


def error(config, dtype, n=1, extra=0, **options):
    """Largest difference of probabilities from the plain road's in float64."""
    x, _ = batch(config, n, config.min_frames + extra)
    found = unruly(network(dtype=dtype, backend="numba", config=config), **options).predict_proba(x)
    assert found.dtype == dtype
    reference = unruly(network(dtype=dtype, config=config), **options)
    for arrays in (reference.params, reference.state):
        arrays.update({name: a.astype(np.float64) for name, a in arrays.items()})
    return np.abs(found - reference.predict_proba(x)).max()


@pytest.mark.parametrize("zeros", [False, True], ids=["", "zeros"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_as_the_plain_road(config, zeros):
    for n, extra in ((1, 0), (2, 1), (33, 2), (1, 60)):
        assert error(config, np.float64, n, extra, zeros=zeros) <= 1e-12


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_as_the_plain_road_in_float32(config):
    assert error(config, np.float32, 2, 33) <= 1e-5


@pytest.mark.parametrize("frames", [130, 131, 265])
def test_the_default_table(frames):
    assert error(ACDNET_2024, np.float32, extra=frames - 130) <= 1e-5


@given(seed=st.integers(0, 999), extra=st.integers(0, 70), config=st.sampled_from(list(CONFIGS.values())))
@settings(max_examples=30)
def test_any_parameters_and_lengths(seed, extra, config):
    assert error(config, np.float64, extra=extra, seed=seed) <= 1e-12


@pytest.mark.parametrize("n", [1, 3])
def test_threads_do_not_matter(n):
    net = network(dtype=np.float32, backend="numba")
    x, _ = batch(n=n, frames=300, dtype=np.float32)
    results = []
    for count in (1, 2, 4):
        threads.set_threads(count)
        try:
            results.append(net.predict_proba(x))
        finally:
            threads.set_threads(None)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize(
    "name", ["stem.conv.weight", "block1.depthwise_norm.var", "block2.attention.value.bias", "dense.bias"]
)
def test_parameters_changed_in_place_count(name):
    net, fresh = (network(dtype=np.float32, backend="numba", config=SMALL) for _ in range(2))
    x, _ = batch(SMALL, 1, SMALL.min_frames, np.float32)
    before = net.predict_proba(x)
    for each in (net, fresh):
        (each.params if name in each.params else each.state)[name][:] += 1
    found = net.predict_proba(x)
    assert (found != before).any()
    np.testing.assert_array_equal(found, fresh.predict_proba(x))


def test_scratch_of_one_call_does_not_reach_another():
    """Networks and lengths in turns: as if each were called first."""
    calls = []
    for config in CONFIGS.values():
        for extra in (0, 50):
            net = network(dtype=np.float32, backend="numba", config=config)
            calls.append((net, batch(config, 1, config.min_frames + extra, np.float32)[0]))
    first = []

    def fresh(net, x):
        thread = threading.Thread(target=lambda: first.append(net.predict_proba(x)))
        thread.start()
        thread.join()

    for net, features in calls:
        fresh(net, features)
    for _ in range(2):
        for (net, features), expected in zip(calls, first, strict=True):
            np.testing.assert_array_equal(net.predict_proba(features), expected)
            assert np.isnan(net.predict_proba(np.full_like(features, np.nan))).all()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_nan_stays(config):
    """Wherever it is: in the rows and bins that every later window covers."""
    net = network(dtype=np.float32, backend="numba", config=config)
    x, _ = batch(config, 2, config.min_frames, np.float32)
    x[1, 2, 0, 0] = np.nan
    p = net.predict_proba(x)
    assert np.isfinite(p[0]).all()
    assert np.isnan(p[1]).all()


def test_two_callers_at_once():
    net = network(dtype=np.float32, backend="numba")
    clips = [batch(n=1, frames=frames, dtype=np.float32)[0] for frames in (140, 300)]
    expected = [net.predict_proba(x) for x in clips]
    found = [[], []]

    def call(i):
        for _ in range(5):
            found[i].append(net.predict_proba(clips[i]))

    callers = [threading.Thread(target=call, args=(i,)) for i in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for i in range(2):
        assert len(found[i]) == 5
        for p in found[i]:
            np.testing.assert_array_equal(p, expected[i])


def in_worker(count):
    """What a worker process predicts."""
    threads.set_threads(count)
    return network(dtype=np.float32, backend="numba", config=SMALL).predict_proba(batch(SMALL)[0])


def test_worker_processes():
    expected = in_worker(None)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for p in pool.map(in_worker, (1, 2)):
            np.testing.assert_array_equal(p, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keys_whose_exponentials_overflow(dtype):
    """A softmax depends on differences only."""
    nets = [network(dtype=dtype, backend=backend, config=SMALL) for backend in ("numba", "numpy")]
    for net in nets:
        for name in net.params:
            if name.endswith("key.weight"):
                net.params[name] *= dtype(1e4)
    x, _ = batch(SMALL, 1, SMALL.min_frames + 9, dtype)
    found, expected = (net.predict_proba(x) for net in nets)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-2 if dtype is np.float32 else 1e-9)
