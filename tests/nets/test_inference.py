"""The fast road: the sigmoid of the ordinary road's logits, clip by clip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nets_support import BACKENDS, KINDS, SMALL, batch, network

from acdref.nets import ACDNet
from acdref.nets.inference import fold
from acdref.ops import threads

both = pytest.mark.parametrize("backend", BACKENDS)
kinds = pytest.mark.parametrize("kind", KINDS)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


@kinds
@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_sigmoid_of_the_logits(kind, backend, dtype, tolerance):
    net = network(kind, dtype, backend)
    x, _ = batch(n=2, frames=150, dtype=dtype)
    p = net.predict_proba(x)
    assert p.dtype == dtype
    assert p.shape == (2, 11)
    assert np.abs(p - sigmoid(net.forward(x)[0])).max() <= tolerance


@both
@given(seed=st.integers(0, 999), n=st.integers(1, 4), extra=st.integers(0, 9), kind=st.sampled_from(KINDS))
@settings(max_examples=15)
def test_any_parameters_and_lengths(backend, seed, n, extra, kind):
    """Slopes and scales of any sign: PReLU commutes with the pool for some of them only."""
    net = network(kind, np.float64, backend, SMALL, seed)
    rng = np.random.default_rng(seed)
    for name, a in net.params.items():
        if name.endswith((".slope", ".gamma")):
            net.params[name] = rng.normal(0, 1, a.shape)
    x, _ = batch(SMALL, n, SMALL.min_frames + extra, seed=seed)
    assert np.abs(net.predict_proba(x) - sigmoid(net.forward(x)[0])).max() <= 1e-12


@both
def test_batch_size_does_not_matter(backend):
    net = network(dtype=np.float32, backend=backend, config=SMALL)
    x, _ = batch(SMALL, 33, 45, np.float32)
    together = net.predict_proba(x)
    np.testing.assert_array_equal(np.concatenate([net.predict_proba(clip[None]) for clip in x]), together)


@both
def test_threads_do_not_matter(backend):
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


def test_blas_threads_do_not_matter(with_blas_threads):
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


def test_folding_is_the_affine_map_behind_the_convolution():
    net = network(config=SMALL)
    folded = fold(net)
    assert set(folded) == {name.removesuffix("_norm.mean") for name in net.state if name.endswith("mean")}
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 4))
    name = "block1.pointwise"
    z = x @ net.params[f"{name}.weight"] + net.params[f"{name}.bias"]
    deviation = np.sqrt(net.state[f"{name}_norm.var"] + 1e-5)
    expected = net.params[f"{name}_norm.gamma"] * (z - net.state[f"{name}_norm.mean"]) / deviation
    expected += net.params[f"{name}_norm.beta"]
    weight, bias = folded[name]
    np.testing.assert_allclose(x @ weight + bias, expected, atol=1e-13)


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
