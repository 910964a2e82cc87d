"""Losses with unknown labels: recorded PyTorch results, PyTorch itself, derivatives, laws of masking."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.losses import bce, bce_probabilities, mse, softmax_cross_entropy

GOLDEN = Path(__file__).parents[1] / ".." / "shared" / "golden"
DENOMINATORS = {"unmasked": "mean_unmasked", "all": "mean_all", "sum": "sum"}
denominators = pytest.mark.parametrize("denominator", DENOMINATORS)
losses = pytest.mark.parametrize("loss", [bce, bce_probabilities, mse])


def golden(name):
    path = GOLDEN / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"needs golden/{name}.npz of the specification")
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def labels_and_predictions(seed, loss, n=None, c=None, unknown=0.3):
    """Soft and hard labels, some unknown, and logits or probabilities."""
    rng = np.random.default_rng(seed)
    shape = n or rng.integers(1, 9), c or rng.integers(1, 12)
    y = np.where(rng.random(shape) < 0.7, rng.integers(0, 2, shape), rng.random(shape))
    y[rng.random(shape) < unknown] = np.nan
    return y, rng.normal(0, 4, shape) if loss is bce else rng.uniform(0.01, 0.99, shape)


seeds = st.integers(0, 2**32 - 1)


@denominators
@pytest.mark.parametrize("labels", ["hard", "soft"])
@pytest.mark.parametrize(("loss", "key"), [(bce_probabilities, "bce"), (mse, "mse")])
def test_recorded_values_and_gradients(loss, key, labels, denominator):
    g = golden("masked_losses")
    y = g["target"] if labels == "hard" else g["soft"]
    name = f"{labels}_{key}_{DENOMINATORS[denominator]}"
    value, gradient = loss(y, g["prob"], denominator)
    np.testing.assert_allclose(value, g[name], rtol=1e-12, atol=0)
    np.testing.assert_allclose(gradient, g[f"{name}_grad"], rtol=1e-12, atol=1e-12)
    for i, j in np.ndindex(y.shape):
        part, _ = loss(y[i : i + 1, j : j + 1], g["prob"][i : i + 1, j : j + 1], "sum")
        np.testing.assert_allclose(part, g[f"{labels}_{key}_elem"][i, j], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_recorded_values_on_logits(labels):
    g = golden("masked_losses")
    value, _ = bce(g["target"] if labels == "hard" else g["soft"], g["logits"])
    np.testing.assert_allclose(value, g[f"{labels}_bcewithlogits_mean_unmasked"], rtol=1e-12)


def test_recorded_pseudo_label_loss():
    """Dinkel et al.: teacher's soft labels, and their mean with the weak labels' loss."""
    g = golden("psl_loss")
    teacher, _ = bce_probabilities(g["teacher"], g["student"])
    weak, _ = bce_probabilities(g["weak"], g["student"])
    np.testing.assert_allclose(teacher, g["ts_loss"], rtol=1e-12)
    np.testing.assert_allclose(weak, g["sup_loss"], rtol=1e-12)
    np.testing.assert_allclose(teacher, g["loss_alpha1"], rtol=1e-12)
    np.testing.assert_allclose((teacher + weak) / 2, g["loss_alpha05"], rtol=1e-12)


@losses
@given(seed=seeds)
@settings(max_examples=30)
def test_as_pytorch(loss, seed):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    y, p = labels_and_predictions(seed, loss)
    known = ~np.isnan(y)
    if not known.any():
        return
    tp = torch.tensor(p, requires_grad=True)
    theirs = {
        bce: functional.binary_cross_entropy_with_logits,
        bce_probabilities: functional.binary_cross_entropy,
        mse: functional.mse_loss,
    }[loss](tp[torch.tensor(known)], torch.tensor(y[known]))
    theirs.backward()
    value, gradient = loss(y, p)
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-12)
    np.testing.assert_allclose(gradient, tp.grad.numpy(), rtol=1e-9, atol=1e-15)


@losses
@denominators
@given(seed=seeds)
@settings(max_examples=20)
def test_directional_derivative(loss, denominator, seed):
    y, p = labels_and_predictions(seed, loss, 5, 6, 0.2)
    rng = np.random.default_rng(seed)
    _, gradient = loss(y, p, denominator)
    direction = rng.standard_normal(p.shape) / 10 + np.sign(gradient)
    step = 1e-6
    measured = (
        loss(y, p + step * direction, denominator)[0] - loss(y, p - step * direction, denominator)[0]
    ) / (2 * step)
    predicted = (gradient * direction).sum()
    assert abs(predicted - measured) <= 1e-6 * abs(measured)


@losses
@denominators
@given(seed=seeds)
@settings(max_examples=30)
def test_predictions_at_unknown_labels_do_not_matter(loss, denominator, seed):
    y, p = labels_and_predictions(seed, loss)
    value, gradient = loss(y, p, denominator)
    unknown = np.isnan(y)
    assert (gradient[unknown] == 0).all()
    other = np.where(
        unknown, np.random.default_rng(seed + 1).choice([0.3, np.nan, np.inf, -np.inf], y.shape), p
    )
    again, gradient_again = loss(y, other, denominator)
    assert again == value
    np.testing.assert_array_equal(gradient_again, gradient)


@losses
@given(seed=seeds)
@settings(max_examples=30)
def test_denominators_differ_by_a_factor(loss, seed):
    y, p = labels_and_predictions(seed, loss)
    known = (~np.isnan(y)).sum()
    (unmasked, g), (every, g_all), (total, g_sum) = (loss(y, p, d) for d in DENOMINATORS)
    np.testing.assert_allclose(every, unmasked * known / y.size, rtol=1e-13, atol=0)
    np.testing.assert_allclose(total, unmasked * max(known, 1), rtol=1e-13, atol=0)
    np.testing.assert_allclose(g_all, g * known / y.size, rtol=1e-13, atol=0)
    np.testing.assert_allclose(g_sum, g * max(known, 1), rtol=1e-13, atol=0)


@losses
@given(seed=seeds)
@settings(max_examples=20)
def test_without_unknown_labels_all_is_unmasked(loss, seed):
    y, p = labels_and_predictions(seed, loss, unknown=0)
    (value, gradient), (every, gradient_all) = loss(y, p), loss(y, p, "all")
    assert value == every
    np.testing.assert_array_equal(gradient, gradient_all)


@given(seed=seeds)
@settings(max_examples=20)
def test_logits_and_probabilities_agree(seed):
    y, z = labels_and_predictions(seed, bce)
    p = 1 / (1 + np.exp(-z))
    value, gradient = bce(y, z)
    same, dp = bce_probabilities(y, p)
    np.testing.assert_allclose(value, same, rtol=1e-9)
    np.testing.assert_allclose(gradient, dp * p * (1 - p), rtol=1e-6, atol=1e-12)


@losses
@denominators
def test_nothing_known_is_no_loss(loss, denominator):
    for shape in ((2, 3), (0, 3)):
        value, gradient = loss(np.full(shape, np.nan), np.full(shape, 0.5), denominator)
        assert value == 0
        assert not gradient.any()
        assert gradient.shape == shape


def test_extreme_probabilities_are_finite():
    """The logarithm ends at -100, as in PyTorch."""
    y = np.array([[1.0, 0.0, 1.0, 0.0]])
    p = np.array([[0.0, 1.0, 1.0, 0.0]])
    value, gradient = bce_probabilities(y, p, "sum")
    assert value == 200
    np.testing.assert_allclose(gradient, [[-1e12, 1e12, 0, 0]], rtol=1e-8)


def test_extreme_logits_are_exact():
    y = np.array([[1.0, 0.0, 1.0, 0.0, 0.5]])
    z = np.array([[-800.0, 800.0, 800.0, -800.0, 800.0]])
    with np.errstate(all="raise", under="ignore"):
        value, gradient = bce(y, z, "sum")
    assert value == 800 + 800 + 0 + 0 + 400
    np.testing.assert_array_equal(gradient, [[-1, 1, 0, 0, 0.5]])


@losses
def test_a_network_that_diverged_is_seen(loss):
    """NaN at a known label: the loss is NaN, not 0."""
    value, gradient = loss(np.array([[1.0, np.nan]]), np.array([[np.nan, 0.5]]))
    assert np.isnan(value)
    np.testing.assert_array_equal(gradient, [[np.nan, 0]])


@losses
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_has_the_dtype_of_the_predictions(loss, dtype):
    y, p = labels_and_predictions(1, loss)
    copies = y.copy(), p.astype(dtype)
    p = p.astype(dtype)
    value, gradient = loss(y, p)
    assert type(value) is float
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(y, copies[0])
    np.testing.assert_array_equal(p, copies[1])


@losses
def test_bad_arguments(loss):
    half = np.full((2, 3), 0.5)
    with pytest.raises(ValueError, match=r"labels \(2, 2\) and predictions \(2, 3\) differ in shape"):
        loss(half[:, :2], half)
    for bad in (-0.1, 1.1, np.inf):
        y = half.copy()
        y[1, 2] = bad
        with pytest.raises(ValueError, match=r"labels must be within \[0, 1\], or NaN"):
            loss(y, half)
    with pytest.raises(ValueError, match="denominator must be one of unmasked, all, sum, got 'mean'"):
        loss(half, half, "mean")


def test_probabilities_beyond_their_range():
    """Logits given where probabilities are meant."""
    y = np.array([[1.0, np.nan]])
    for bad in (-0.5, 1.5):
        with pytest.raises(ValueError, match=r"probabilities must be within \[0, 1\]"):
            bce_probabilities(y, np.array([[bad, 0.5]]))
    bce_probabilities(y, np.array([[0.5, 7.0]]))  # where nothing is known, nothing is asked


def distributions(seed, unknown=True):
    """Mixtures of classes, one clip unknown, and logits."""
    rng = np.random.default_rng(seed)
    n, c = rng.integers(2, 9), rng.integers(2, 12)
    y = rng.dirichlet(np.full(c, 0.3), n)
    if unknown:
        y[1, 0] = np.nan
    return y, rng.normal(0, 4, (n, c))


@given(seeds)
@settings(max_examples=20)
def test_softmax_cross_entropy_as_pytorch(seed):
    torch = pytest.importorskip("torch")
    y, logits = distributions(seed)
    known = ~np.isnan(y).any(1)
    tensor = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(tensor[torch.tensor(known)], torch.tensor(y[known]))
    expected.backward()
    loss, dlogits = softmax_cross_entropy(y, logits)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(dlogits, tensor.grad.numpy(), rtol=0, atol=1e-14)


def test_softmax_cross_entropy_by_hand():
    """The mean over the known clips, of three; softmax of (0, log 3) is (1/4, 3/4)."""
    y = np.array([[1.0, 0.0], [np.nan, 1.0], [0.25, 0.75]])
    logits = np.array([[0.0, np.log(3)], [5.0, -5.0], [0.0, np.log(3)]])
    loss, dlogits = softmax_cross_entropy(y, logits)
    assert loss == pytest.approx((np.log(4) + 0.25 * np.log(4) + 0.75 * np.log(4 / 3)) / 2, rel=1e-12)
    np.testing.assert_allclose(dlogits, [[-3 / 8, 3 / 8], [0, 0], [0, 0]], rtol=0, atol=1e-15)


@given(seeds)
@settings(max_examples=20)
def test_softmax_cross_entropy_derivative(seed):
    y, logits = distributions(seed)
    _, dlogits = softmax_cross_entropy(y, logits)
    direction = np.random.default_rng(seed).standard_normal(logits.shape) + dlogits
    step = 1e-5
    measured = softmax_cross_entropy(y, logits + step * direction)[0]
    measured -= softmax_cross_entropy(y, logits - step * direction)[0]
    predicted = 2 * step * (dlogits * direction).sum()
    assert abs(measured - predicted) <= 1e-6 * abs(measured)


def test_softmax_cross_entropy_of_anything_sure_or_unknown():
    y = np.array([[1.0, 0], [0, 1]])
    logits = np.array([[1000.0, -1000], [1000, -1000]], np.float32)
    loss, dlogits = softmax_cross_entropy(y, logits)
    assert loss == 1000
    assert dlogits.dtype == np.float32
    np.testing.assert_array_equal(dlogits, [[0, 0], [0.5, -0.5]])
    loss, dlogits = softmax_cross_entropy(np.full((2, 2), np.nan), logits)
    assert loss == 0
    assert not dlogits.any()


@pytest.mark.parametrize("y", [[[1.0, 1.0]], [[0.5, 0.4]], [[2.0, -1.0]], [[1.0]], [1.0, 0.0]])
def test_softmax_cross_entropy_wants_distributions(y):
    with pytest.raises(ValueError, match=r"distribution|one shape"):
        softmax_cross_entropy(y, [[0.0, 0.0]])
