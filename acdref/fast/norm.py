"""Batch normalisation and PReLU of the fused training step, as a table of what they know of each channel."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from acdref.fast.layers import store
from acdref.fast.tasks import for_each, pieces, scratch
from acdref.ops.layout import padded
from acdref.ops.norm import EPS, MOMENTUM, batch_norm_coefficients

SCALE, SHIFT, SLOPE, MEAN, INVERSE, A, B, C = range(8)
"""Rows of a table (8, channels).

Scale and shift are the normalisation's, slope PReLU's; mean and inverse deviation are the map's; and with a,
b and c the gradient of the map z is ``dz = a dn + b z + c``, where dn is that of the normalised map (see
:func:`acdref.ops.norm.batch_norm_coefficients`).
"""
TABLE_ROWS = 8


def moments_of(channels: int, dtype: DTypeLike) -> tuple[NDArray, NDArray, NDArray]:
    """(pivot, scratch, sums) in which a task sums up moments of each channel."""
    return np.empty(channels, dtype), scratch("partial", (2 * channels,), dtype), np.zeros(2 * channels)


def normalisation(net: Any, name: str, task: Callable, clips: int, rows: int, bins: int) -> NDArray:
    """Table of the normalisation behind layer `name`, by its map's own statistics; moves the running ones.

    ``task(clip, start, stop, (pivot, scratch, sums))`` makes rows [start, stop) of a clip's map, chooses a
    pivot for each channel, and adds the sums of the differences from it, and of their squares, to `sums`.
    """
    params, state = net.params, net.state
    gamma, beta = (padded(params[f"{name}_norm.{key}"]) for key in ("gamma", "beta"))
    channels, dtype = len(gamma), gamma.dtype

    def run(*piece):
        pivot, row, sums = moments_of(channels, dtype)
        task(*piece, (pivot, row, sums))
        return pivot, sums

    found = zip(*for_each(run, pieces(clips, rows)), strict=True)
    pivots, sums = (np.array(each).reshape(clips, -1, len(each[0])) for each in found)  # (clips, tasks, ...)
    counts = np.array([(stop - start) * bins for _, start, stop in pieces(1, rows)], np.float64)[:, None]
    offsets = sums[..., :channels] / counts
    own = _united(pivots + offsets, sums[..., channels:] - counts * offsets**2, counts)  # (clips, C) each
    means, squares = net.batch.gather(np.stack(own, 1)).swapaxes(0, 1)
    mean, squares = _united(means, squares, np.full((len(means), 1), float(rows * bins)))
    total = len(means) * rows * bins
    var = np.maximum(squares / total, 0)
    inverse = 1 / np.sqrt(var + EPS)
    table = np.zeros((TABLE_ROWS, channels), dtype)
    table[SCALE] = gamma * inverse
    table[SHIFT] = beta - mean * gamma * inverse
    table[SLOPE] = padded(params[f"{name}_prelu.slope"])
    table[MEAN], table[INVERSE] = mean, inverse
    for key, value in (("mean", mean), ("var", var * (total / max(total - 1, 1)))):
        old = state[f"{name}_norm.{key}"]
        state[f"{name}_norm.{key}"] = (old + MOMENTUM * (value[: len(old)] - old)).astype(dtype)
    return table


def _united(means, squares, counts):
    """Mean, and sum of squares about it, of what has parts (..., parts, C) with these of their own."""
    mean = (counts * means).sum(-2) / counts.sum(-2)
    return mean, (squares + counts * np.square(means - mean[..., None, :])).sum(-2)


def normalisation_backward(
    net: Any, name: str, table: NDArray, sums: NDArray, count: int, grads: dict[str, NDArray]
) -> None:
    """Store the gradients that `sums` are, and complete the table with them.

    `sums`, (3 * channels,), are those of gamma, beta and the slope; `count` the map's positions.
    """
    gamma = net.params[f"{name}_norm.gamma"]
    dgamma, dbeta, dslope = sums.reshape(3, -1)
    statistics = table[MEAN].astype(np.float64), table[INVERSE].astype(np.float64)
    table[A], table[B], table[C] = batch_norm_coefficients(dgamma, dbeta, padded(gamma), statistics, count)
    store(net.params, grads, f"{name}_norm", gamma=dgamma, beta=dbeta)
    store(net.params, grads, f"{name}_prelu", slope=dslope)


@functools.cache
def identity(channels: int, dtype: DTypeLike) -> NDArray:
    """The table of a normalisation and a PReLU that change nothing."""
    table = np.zeros((TABLE_ROWS, channels), dtype)
    table[SCALE] = table[SLOPE] = 1
    return table
