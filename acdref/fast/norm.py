"""Batch normalisation and PReLU of the fused training step, as tables (see :mod:`acdref.ops.layout`)."""

import functools

import numpy as np

from acdref.fast.scratch import scratch
from acdref.fast.tasks import pieces
from acdref.ops import threads
from acdref.ops.layout import INVERSE, MEAN, SCALE, SHIFT, SLOPE, TABLE_ROWS, A, B, C, padded
from acdref.ops.norm import EPS, MOMENTUM, batch_norm_coefficients


def normalisation(net, name, task, clips, rows, bins, dtype):
    """Table of the normalisation behind layer `name`, by its map's own statistics; moves the running ones.

    ``task(clip, start, stop, pivot, scratch, sums)`` makes rows [start, stop) of a clip's map, chooses a
    pivot for each channel, and adds the sums of the differences from it, and of their squares, to `sums`.
    """
    params, state = net.params, net.state
    gamma, beta = (padded(params[f"{name}_norm.{key}"]) for key in ("gamma", "beta"))
    channels = len(gamma)
    tasks = pieces(clips, rows)
    pivots, sums = np.empty((len(tasks), channels), dtype), np.zeros((len(tasks), 2 * channels))

    def run(i):
        task(*tasks[i], pivots[i], scratch("partial", 2 * channels, dtype), sums[i])

    threads.run(run, len(tasks))
    counts = np.array([(stop - start) * bins for _, start, stop in tasks], np.float64)[:, None]
    total = counts.sum()
    offsets = sums[:, :channels] / counts
    means = pivots + offsets
    mean = (counts * means).sum(0) / total
    squares = sums[:, channels:] - counts * offsets**2 + counts * (means - mean) ** 2
    var = np.maximum(squares.sum(0) / total, 0)
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


def normalisation_backward(net, name, table, sums, count, grads):
    """Store the gradients that `sums` are, and complete the table with them.

    sums, (3 * channels,), are those of gamma, beta and the slope; `count` the map's positions.
    """
    gamma = net.params[f"{name}_norm.gamma"]
    dgamma, dbeta, dslope = sums.reshape(3, -1)
    statistics = table[MEAN].astype(np.float64), table[INVERSE].astype(np.float64)
    table[A], table[B], table[C] = batch_norm_coefficients(dgamma, dbeta, padded(gamma), statistics, count)
    for key, value in (("norm.gamma", dgamma), ("norm.beta", dbeta), ("prelu.slope", dslope)):
        grads[f"{name}_{key}"] = value[: len(gamma)].astype(table.dtype)


@functools.cache
def identity(channels, dtype):
    """The table of a normalisation and a PReLU that change nothing."""
    table = np.zeros((TABLE_ROWS, channels), dtype)
    table[SCALE] = table[SLOPE] = 1
    return table
