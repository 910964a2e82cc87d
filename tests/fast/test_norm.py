"""Normalisation from sums over tasks, against batch normalisation of the whole map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.fast.norm import (
    INVERSE,
    MEAN,
    SCALE,
    SHIFT,
    SLOPE,
    A,
    B,
    C,
    identity,
    normalisation,
    normalisation_backward,
)
from acdref.ops.batch import WHOLE
from acdref.ops.layout import padded
from acdref.ops.norm import batch_norm, batch_norm_backward


class Net:
    """As much of a network as a normalisation asks for."""

    batch = WHOLE

    def __init__(self, rng, channels):
        keys = "norm.gamma", "norm.beta", "prelu.slope"
        self.params = {f"a_{key}": rng.standard_normal(channels) for key in keys}
        self.state = {"a_norm.mean": rng.standard_normal(channels), "a_norm.var": rng.uniform(1, 2, channels)}


def table_of(net, z):
    """The table for a map whose moments are summed as kernels do."""
    channels = z.shape[-1]

    def task(clip, start, stop, moments):
        pivot, scratch, sums = moments
        assert scratch.shape == sums.shape == (2 * len(pivot),)
        rows = padded(z)[clip, start:stop].reshape(-1, len(pivot))
        pivot[:] = rows[0]
        sums += np.concatenate([(rows - pivot).sum(0), np.square(rows - pivot).sum(0)])

    table = normalisation(net, "a", task, *z.shape[:3])
    assert not table[[SCALE, SHIFT, SLOPE, MEAN], channels:].any()
    return table


@given(
    seed=st.integers(0, 999), clips=st.integers(1, 3), rows=st.sampled_from([1, 31, 33, 70]),
    bins=st.integers(1, 3), channels=st.sampled_from([3, 16, 17]), offset=st.sampled_from([0, 1000]),
)  # fmt: skip
def test_as_batch_normalisation(seed, clips, rows, bins, channels, offset):
    rng = np.random.default_rng(seed)
    z, net = rng.standard_normal((clips, rows, bins, channels)) + offset, Net(rng, channels)
    gamma, beta, slope = net.params.values()
    _, statistics, running = batch_norm(z, gamma, beta, *net.state.values(), slope)
    affine = gamma * statistics[1], beta - statistics[0] * gamma * statistics[1]
    table = table_of(net, z)
    rows_of = {MEAN: statistics[0], INVERSE: statistics[1], SCALE: affine[0], SHIFT: affine[1], SLOPE: slope}
    for row, expected in rows_of.items():
        np.testing.assert_allclose(table[row, :channels], expected, rtol=1e-8, atol=1e-9)
    for found, expected in zip(net.state.values(), running, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)

    dy, grads = rng.standard_normal(z.shape), {}
    v = z * affine[0] + affine[1]
    dn = np.where(v > 0, dy, slope * dy)
    xhat = (z - statistics[0]) * statistics[1]
    sums = [part.sum((0, 1, 2)) for part in (dn * xhat, dn, np.where(v > 0, 0, dy * v))]
    normalisation_backward(net, "a", table, padded(np.stack(sums)).reshape(-1), z[..., 0].size, grads)
    dz, *references = batch_norm_backward(dy, z, gamma, beta, statistics, slope)
    scale = np.abs(references).max() + 1
    for found, expected in zip(grads.values(), references, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9 * scale)
    a, b, c = table[[A, B, C], :channels]
    np.testing.assert_allclose(a * dn + b * z + c, dz, atol=1e-7 * (np.abs(dz).max() + 1))


def test_a_map_of_one_position():
    """Its variance is 0: the deviation is that of eps, and the running variance tends to 0."""
    rng = np.random.default_rng(0)
    net = Net(rng, 3)
    before = net.state["a_norm.var"]
    table = table_of(net, rng.standard_normal((1, 1, 1, 3)))
    np.testing.assert_allclose(table[INVERSE, :3], 1e-5**-0.5)
    np.testing.assert_allclose(net.state["a_norm.var"], 0.9 * before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identity(dtype):
    table = identity(32, np.dtype(dtype))
    assert (table.shape, table.dtype) == ((8, 32), dtype)
    x = np.linspace(-1, 1, 32).astype(dtype)
    v = x * table[SCALE] + table[SHIFT]
    np.testing.assert_array_equal(np.where(v > 0, v, table[SLOPE] * v), x)
