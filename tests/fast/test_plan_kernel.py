"""The kernel that works through a table of steps: each kind of step against plain NumPy."""

import numpy as np
import pytest

from acdref.fast import plan_kernel as kernels
from acdref.ops.layout import packed
from acdref.ops.threads import run

START = np.zeros(32)
START[16:18] = -np.inf, np.inf


def _work(steps, maps, weights=START, tables=(0,), workers=1):
    """Run some steps, given as dicts."""
    names = kernels.STEP.names
    rows = np.array([tuple(step.get(name, 0) for name in names) for step in steps], kernels.STEP)
    arguments = rows, maps, weights, np.array(tables, np.int64), kernels.counters(rows)
    run(lambda _: kernels.work(*arguments), workers)


@pytest.mark.parametrize("positions", [1, 4, 9, 23])
@pytest.mark.parametrize("depth", [3, 700])
def test_products_take_positions_anywhere_and_are_clipped(positions, depth, rng):
    a, b, bias = (rng.standard_normal(shape) for shape in ((positions, depth), (depth, 16), 16))
    added, order = rng.standard_normal((positions, 16)), rng.permutation(positions)
    maps = np.concatenate([a.ravel(), added.ravel(), np.zeros(positions * 16)])
    weights = np.concatenate([START, packed(b), bias, [-1.0, 2.0]])
    z, c = a.size, a.size + added.size
    step = {"kind": kernels.PRODUCT, "tasks": 1, "positions": positions, "block": 96, "channels": 16}
    step |= {"share": 16, "z": z, "z_table": positions, "c": c, "c_table": positions, "groups": 1}
    step |= {"b": 32, "bias": 32 + b.size, "bounds": 48 + b.size, "depth": depth, "apart": depth}
    tables = [*order * depth, *np.arange(positions) * 16]
    _work([step], maps, weights, tables)
    expected = np.clip(a[order] @ b + bias + added, -1, 2)
    np.testing.assert_allclose(maps[c:].reshape(positions, 16), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "expected"), [(kernels.LARGEST, np.max), (kernels.MEAN, np.mean)])
def test_pools(kind, expected, rng):
    x = rng.standard_normal((4, 5, 16))
    maps = np.concatenate([x.ravel(), np.zeros(2 * 16)])
    step = {"kind": kind, "tasks": 2, "positions": 2, "block": 1, "channels": 16, "share": 16, "c": x.size}
    step |= {"c_table": 2, "groups": 2, "depth": 3, "apart": 80, "reach": 16}
    _work([step], maps, tables=[16, 2 * 80, 0, 16])
    windows = x[:2, 1:4], x[2:, :3]
    found = maps[x.size :].reshape(2, 16)
    np.testing.assert_allclose(found, [expected(window, axis=(0, 1)) for window in windows], rtol=1e-14)


def test_frames_are_filled_and_nothing_else():
    maps = np.ones((2, 5, 6, 16))
    step = {"kind": kernels.FRAME, "tasks": 2, "bounds": 16, "rows": 5, "row": 96, "top": 1, "side": 32}
    _work([step], maps.reshape(-1))
    inside = np.zeros((5, 6), bool)
    inside[1:-1, 2:-2] = True
    assert (maps[:, inside] == 1).all() and np.isneginf(maps[:, ~inside]).all()
