"""AdamW, schedules and the average of weights: PyTorch, recorded rates, laws, and exact resumption."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.optim import AdamW, Average, Plateau, cosine, linear

SHARED = Path(__file__).parents[1] / ".." / "shared" / "golden"
GOLDEN = SHARED / "plateau_lr.npz"
DORFER = SHARED / "dorfer_lr.npz"
seeds = st.integers(0, 2**32 - 1)


def parameters(rng, dtype=np.float64):
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in (("a", (3, 4)), ("b", (5,)))}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}, {"weight_decay": 0.0}],
    ids=["default", "other", "no decay"],
)
def test_adamw_as_pytorch(options, dtype, tolerance):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    params = parameters(rng, dtype)
    tensors = {name: torch.tensor(p.copy(), requires_grad=True) for name, p in params.items()}
    ours = AdamW(params, **options)
    theirs = torch.optim.AdamW(tensors.values(), **{"lr": 1e-4} | options)
    for step in range(60):
        grads = {
            name: (rng.standard_normal(p.shape) * 10.0 ** (-step % 7)).astype(dtype)
            for name, p in params.items()
        }
        if step % 10 == 3:
            grads["b"][:] = 0
        if step == 30:  # a schedule at work
            ours.lr = theirs.param_groups[0]["lr"] = 0.01
        ours.step(grads)
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[name])
        theirs.step()
        for name, tensor in tensors.items():
            np.testing.assert_allclose(params[name], tensor.detach().numpy(), rtol=tolerance, atol=tolerance)
    assert all(p.dtype == dtype for p in params.values())


@given(seed=seeds, scale=st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_first_step_is_the_rate_whatever_the_gradient(seed, scale):
    """m / sqrt(v) is +-1 at first: Adam's step does not know the loss's unit."""
    rng = np.random.default_rng(seed)
    params = parameters(rng)
    before = {name: p.copy() for name, p in params.items()}
    grads = {name: scale * np.copysign(rng.uniform(0.5, 2, p.shape), p) for name, p in params.items()}
    AdamW(params, lr=0.01, weight_decay=0.0).step(grads)
    for name, p in params.items():
        np.testing.assert_allclose(before[name] - p, 0.01 * np.sign(grads[name]), rtol=1e-4)


def test_weight_decay_acts_without_a_gradient():
    params = {"w": np.array([2.0, -4.0])}
    optimiser = AdamW(params, lr=0.1, weight_decay=0.5)
    for _ in range(2):
        optimiser.step({"w": np.zeros(2)})
    np.testing.assert_allclose(params["w"], [2 * 0.95**2, -4 * 0.95**2], rtol=1e-15)


def test_adamw_finds_a_minimum():
    params = {"w": np.array([5.0, -3.0])}
    optimiser = AdamW(params, lr=0.1, weight_decay=0.0)
    for _ in range(400):
        optimiser.step({"w": 2 * (params["w"] - [1.0, 2.0])})
    np.testing.assert_allclose(params["w"], [1, 2], atol=1e-3)


def test_parameters_change_in_place_and_gradients_do_not():
    params = {"w": np.ones(3, np.float32)}
    array, g = params["w"], np.array([1.0, -1.0, 0.5], np.float32)
    AdamW(params, lr=0.1).step({"w": g})
    assert params["w"] is array
    assert array[0] < 1 < array[1]
    np.testing.assert_array_equal(g, [1, -1, 0.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adamw_resumes_bit_equal(dtype):
    def run(optimiser, params, steps):
        for step in steps:
            rng = np.random.default_rng(step)
            optimiser.step({name: rng.standard_normal(p.shape).astype(dtype) for name, p in params.items()})

    whole = parameters(np.random.default_rng(2), dtype)
    run(AdamW(whole, 0.01), whole, range(12))
    parts = parameters(np.random.default_rng(2), dtype)
    first = AdamW(parts, 0.01)
    run(first, parts, range(5))
    saved = {name: a.copy() for name, a in first.arrays.items()}
    parts = {name: p.copy() for name, p in parts.items()}
    second = AdamW(parts, 0.01)
    second.load(saved)
    run(second, parts, range(5, 12))
    for name, p in whole.items():
        np.testing.assert_array_equal(parts[name], p)
    for name, a in first.arrays.items():
        np.testing.assert_array_equal(saved[name], a)  # the saved arrays were copied, not kept


def test_plateau_as_recorded():
    """PyTorch's ReduceLROnPlateau over 500 epochs, patience 150."""
    if not GOLDEN.exists():
        pytest.skip("needs golden/plateau_lr.npz of the specification")
    with np.load(GOLDEN, allow_pickle=False) as golden:
        metric, rates = golden["metric"], golden["lr_used_in_epoch"]
    plateau = Plateau()
    scales = [1.0] + [plateau.update(score) for score in metric[:-1]]
    np.testing.assert_allclose(rates[0] * np.array(scales), rates, rtol=1e-12)
    assert len(set(scales)) > 2


@given(
    scores=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan]), max_size=40),
    patience=st.integers(0, 5),
    factor=st.sampled_from([0.5, 0.1]),
)
@settings(max_examples=100)
def test_plateau_as_pytorch(scores, patience, factor):
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, "max", factor, patience, threshold=0, threshold_mode="abs", eps=0
    )
    ours = Plateau(patience, factor)
    for score in scores:
        theirs.step(score)
        assert math.isclose(ours.update(score), optimiser.param_groups[0]["lr"], rel_tol=1e-12)


def test_plateau_tolerates_exactly_its_patience():
    plateau = Plateau(patience=150)
    assert plateau.update(0.5) == 1
    assert [plateau.update(0.5) for _ in range(150)] == [1] * 150
    assert plateau.update(0.5) == 0.5
    assert [plateau.update(0.5) for _ in range(150)] == [0.5] * 150
    assert plateau.update(0.5) == 0.25
    assert plateau.update(0.6) == 0.25  # a new best score does not bring the rate back


@given(
    scores=st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan]), min_size=1, max_size=30),
    cut=st.integers(0, 30),
)
@settings(max_examples=50)
def test_plateau_resumes(scores, cut):
    whole, first, second = (Plateau(patience=2) for _ in range(3))
    expected = [whole.update(score) for score in scores]
    found = [first.update(score) for score in scores[:cut]]
    second.load(first.arrays)
    found += [second.update(score) for score in scores[cut:]]
    assert found == expected


@given(total=st.integers(1, 200), warmup=st.integers(0, 20))
@settings(max_examples=50)
def test_cosine_rises_then_falls(total, warmup):
    factors = np.array([cosine(step, total, warmup) for step in range(total + 3)])
    assert ((factors >= 0) & (factors <= 1)).all()
    assert (np.diff(factors[:warmup]) > 0).all()
    assert (np.diff(factors[warmup:]) <= 0).all()
    if warmup < total:
        assert factors[warmup] == 1
        assert factors[total:].max() < 1e-15
        half = warmup + (total - warmup) / 2
        assert math.isclose(cosine(half, total, warmup), 0.5)


def test_average_is_the_recursion():
    arrays = {"w": np.array([1.0, 2.0])}
    average = Average(arrays, decay=0.7)
    expected = arrays["w"]
    rng = np.random.default_rng(3)
    for step in range(30):
        arrays = {"w": rng.standard_normal(2)}
        average.update(arrays)
        decay = min(0.7, step / (step + 9))
        expected = decay * expected + (1 - decay) * arrays["w"]
        np.testing.assert_allclose(average.values["w"], expected, rtol=1e-12)


def test_average_forgets_the_start_and_keeps_no_hold_of_its_input():
    start, first = {"w": np.full(2, 100.0)}, {"w": np.zeros(2)}
    average = Average(start, decay=0.9)
    average.update(first)
    np.testing.assert_array_equal(average.values["w"], [0, 0])
    average.update({"w": np.ones(2)})
    np.testing.assert_array_equal(start["w"], [100, 100])
    np.testing.assert_array_equal(first["w"], [0, 0])


def test_average_resumes_bit_equal():
    def run(average, steps):
        for step in steps:
            average.update({"w": np.random.default_rng(step).standard_normal(4).astype(np.float32)})

    whole, first, second = (Average({"w": np.zeros(4, np.float32)}, 0.8) for _ in range(3))
    run(whole, range(20))
    run(first, range(7))
    saved = {name: a.copy() for name, a in first.arrays.items()}
    second.load(saved)
    run(second, range(7, 20))
    np.testing.assert_array_equal(second.values["w"], whole.values["w"])
    for name, a in first.arrays.items():
        np.testing.assert_array_equal(saved[name], a)  # the saved arrays were copied, not kept


@pytest.mark.skipif(not DORFER.exists(), reason="needs the recorded rates")
@pytest.mark.parametrize(
    ("run", "lr", "total", "constant"),
    [
        ("initial", 1e-3, 500, 100),
        ("finetune_spec2", 2e-4, 30, 5),
        ("finetune_spec1_1", 1e-4, 30, 5),
    ],
)
def test_linear_as_recorded(run, lr, total, constant):
    """The recording adds up in float32."""
    rates = [lr * linear(epoch, total, constant) for epoch in range(total)]
    np.testing.assert_allclose(rates, np.load(DORFER)[run], rtol=0, atol=1e-7)


@given(total=st.integers(1, 400), constant=st.integers(0, 400))
def test_linear_falls_evenly_to_nothing(total, constant):
    factors = [linear(epoch, total, constant) for epoch in range(total)]
    assert factors[:constant] == [1.0] * min(constant, total)
    if constant < total:
        assert factors[-1] == 0
        np.testing.assert_allclose(np.diff(factors[max(constant - 1, 0) :]), -1 / (total - constant))


def test_a_warm_up_moves_from_the_first_step_and_ends_at_one():
    assert [cosine(step, 20, warmup=4) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
