"""Batch normalisation, alone or with the PReLU behind it, and group normalisation.

PReLU comes along because both need one pass over the map, not two; and because the map between them need not
be kept: the backward pass makes it again.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acdref.ops import threads
from acdref.ops.activation import prelu, prelu_backward
from acdref.ops.batch import WHOLE, Batch
from acdref.ops.kernel import kernel

EPS = 1e-5
MOMENTUM = 0.1
_PIECES = 64
_SUMS = 8  # pieces of a clip with partial sums of their own

Pair = tuple[NDArray, NDArray]


def batch_norm(
    x: NDArray,
    gamma: NDArray,
    beta: NDArray,
    running_mean: NDArray,
    running_var: NDArray,
    slope: NDArray | None = None,
    *,
    backend: str = "numpy",
    batch: Batch = WHOLE,
) -> tuple[NDArray, Pair, Pair]:
    """Batch normalisation with the statistics of this batch (training), then PReLU if a `slope` is given.

    Parameters
    ----------
    x : (N, T, F, C) array
    gamma, beta, running_mean, running_var, slope : (C,) arrays
    backend : {"numpy", "numba"}
    batch : Batch
        Whose statistics these are; x has this process's clips of it.

    Returns
    -------
    y : (N, T, F, C) array
        ``gamma (x - mean) / sqrt(var + eps) + beta`` with the biased variance, eps = 1e-5.
    statistics : (mean, inverse_deviation), each (C,)
        What :func:`batch_norm_backward` needs, and :func:`normalised`, to make y again.
    running : (running_mean, running_var), each (C,)
        Moved by a tenth of the way, the variance towards the unbiased one (PyTorch's convention).
    """
    count = _positions(x, batch)
    mean, var = _moments(x, backend, batch)
    unbiased = var * (count / max(count - 1, 1))
    running = (
        running_mean + MOMENTUM * (mean - running_mean),
        running_var + MOMENTUM * (unbiased - running_var),
    )
    statistics = mean, 1 / np.sqrt(var + EPS)
    y = normalised(x, gamma, beta, statistics, slope, backend=backend)
    return y, statistics, tuple(r.astype(x.dtype, copy=False) for r in running)


def normalised(
    x: NDArray,
    gamma: NDArray,
    beta: NDArray,
    statistics: Pair,
    slope: NDArray | None = None,
    *,
    backend: str = "numpy",
) -> NDArray:
    """The y of :func:`batch_norm`, from its statistics."""
    scale, shift = scale_and_shift(gamma, beta, statistics)
    return _affine(x, scale, shift, slope, backend)


def batch_norm_backward(
    dy: NDArray,
    x: NDArray,
    gamma: NDArray,
    beta: NDArray,
    statistics: Pair,
    slope: NDArray | None = None,
    *,
    backend: str = "numpy",
    batch: Batch = WHOLE,
) -> tuple[NDArray, NDArray, NDArray, NDArray | None]:
    """Gradients (dx, dgamma, dbeta, dslope) of :func:`batch_norm`, through its statistics too."""
    affine = *scale_and_shift(gamma, beta, statistics), slope
    if backend == "numpy" and slope is not None:
        dn, dslope = prelu_backward(dy, x * affine[0] + affine[1], slope, batch)
        return *batch_norm_backward(dn, x, gamma, beta, statistics, batch=batch)[:3], dslope
    count = _positions(x, batch)
    dgamma, dbeta, dslope = _reductions(dy, x, statistics, affine, backend, batch)
    dx = _gradient(dy, x, batch_norm_coefficients(dgamma, dbeta, gamma, statistics, count), affine, backend)
    return dx, dgamma, dbeta, None if slope is None else dslope


def batch_norm_coefficients(
    dgamma: NDArray, dbeta: NDArray, gamma: NDArray, statistics: Pair, count: int
) -> tuple[NDArray, NDArray, NDArray]:
    """(a, b, c), each (C,), that make the gradient ``dx = a dy + b x + c``.

    It is ``gamma / s (dy - mean(dy) - xhat mean(dy xhat))`` with ``xhat = (x - mean) / s``.
    """
    mean, inverse = statistics
    a = gamma * inverse
    b = -a * inverse * dgamma / count
    return a, b, -a * dbeta / count - b * mean


def batch_norm_affine(gamma: NDArray, beta: NDArray, running_mean: NDArray, running_var: NDArray) -> Pair:
    """Scale and shift, each (C,), that batch normalisation amounts to at inference: y = scale x + shift."""
    scale = gamma / np.sqrt(running_var + EPS)
    return scale, beta - running_mean * scale


def group_norm(x: NDArray, gamma: NDArray, beta: NDArray, *, backend: str = "numpy") -> tuple[NDArray, Pair]:
    """Group normalisation with one group: over all positions and channels of each clip.

    Parameters
    ----------
    x : (N, T, F, C) array
    gamma, beta : (C,) arrays
    backend : {"numpy", "numba"}

    Returns
    -------
    y : (N, T, F, C) array
    statistics : (mean, inverse_deviation), each (N,)
    """
    statistics = group_statistics(x, backend=backend)
    y = np.empty_like(x)

    def task(i):
        affine = scale_and_shift(gamma, beta, [each[i] for each in statistics])
        y[i] = _affine(x[i], *affine, None, backend)

    threads.run(task, len(x))
    return y, statistics


def group_statistics(x: NDArray, *, backend: str = "numpy") -> Pair:
    """The statistics of :func:`group_norm` alone."""
    mean, inverse = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)

    def task(i):
        # The mean of the parts' variances, plus the variance of their means: parts are channels, or rows.
        means, variances = (
            _moments_of_rows(x[i]) if backend == "numpy" else _moments(x[i : i + 1], backend, WHOLE)
        )
        mean[i] = means.mean()
        inverse[i] = 1 / np.sqrt((variances + (means - mean[i]) ** 2).mean() + EPS)

    threads.run(task, len(x))
    return mean, inverse


def group_norm_backward(
    dy: NDArray,
    x: NDArray,
    gamma: NDArray,
    statistics: Pair,
    *,
    backend: str = "numpy",
    batch: Batch = WHOLE,
) -> tuple[NDArray, NDArray, NDArray]:
    """Gradients (dx, dgamma, dbeta) of :func:`group_norm`."""
    dx = np.empty_like(x)
    dgamma, dbeta = (np.empty((len(x), len(gamma)), x.dtype) for _ in range(2))
    ones = np.ones_like(gamma)
    identity = ones, np.zeros_like(gamma), None

    def task(i):
        mean, inverse = statistics[0][i], statistics[1][i]
        clip = dy[i : i + 1], x[i : i + 1]
        dgamma[i], dbeta[i], _ = _reductions(*clip, (mean * ones, inverse * ones), identity, backend, WHOLE)
        b = -inverse * inverse * (gamma * dgamma[i]).sum() / x[i].size
        c = -inverse * (gamma * dbeta[i]).sum() / x[i].size - b * mean
        dx[i] = _gradient(dy[i], x[i], (gamma * inverse, b * ones, c * ones), identity, backend)

    threads.run(task, len(x))
    dgamma, dbeta = batch.total(dgamma, dbeta)
    return dx, dgamma, dbeta


def scale_and_shift(gamma: NDArray, beta: NDArray, statistics: Sequence) -> Pair:
    """What normalisation by (mean, inverse_deviation) amounts to, each (C,)."""
    mean, inverse = statistics
    scale = gamma * inverse
    return scale, beta - mean * scale


def _moments_of_rows(x):
    """Mean and biased variance of each row of a clip's map (T, F, C), each (T,), in float64.

    NumPy adds along a row in pairs, which is exact enough in the map's own precision.
    """
    rows = x.reshape(len(x), -1)  # (T, F C)
    means = rows.mean(1)
    variances = [np.square(row - mean).mean() for row, mean in zip(rows, means, strict=True)]
    return means.astype(np.float64), np.array(variances, np.float64)


def _positions(x, batch):
    """Positions of the maps of all the batch's clips."""
    return batch.clips(len(x)) * (x[0].size // x.shape[-1])


def _moments(x, backend, batch):
    """Mean and biased variance per channel, each (C,) of x's dtype; accumulated in float64.

    They are the mean of the clips' means, and that of their variances plus the variance of their means.
    """
    flat = x.reshape(len(x), -1, x.shape[-1])  # (N, T F, C)
    means, variances = batch.gather(_moments_of_clips(flat, backend)).swapaxes(0, 1)  # (clips, C) each
    mean = means.mean(0)
    return mean.astype(x.dtype), (variances + np.square(means - mean)).mean(0).astype(x.dtype)


def _moments_of_clips(flat, backend):
    """Mean and biased variance per channel of each clip (N, positions, C), as (N, 2, C) float64."""
    if backend == "numpy":
        means = flat.mean(1, dtype=np.float64)
        about = flat - means[:, None].astype(flat.dtype)
        return np.stack([means, np.square(about).mean(1, dtype=np.float64)], 1)  # (N, 2, C)
    # Sums of x - pivot and of its square: a pivot inside the data avoids cancellation.
    pivots, positions = flat[:, 0].copy(), flat.shape[1]

    def task(clip, *rest):
        _moment_rows(flat[clip], pivots[clip], *rest)

    sums = _partial_sums(task, flat, 2) / positions
    variances = np.maximum(sums[:, 1] - sums[:, 0] ** 2, 0)
    return np.stack([pivots + sums[:, 0], variances], 1)  # (N, 2, C)


def _affine(x, scale, shift, slope, backend):
    """scale x + shift, through PReLU where there is a slope."""
    if backend == "numpy":
        y = x * scale + shift
        return y if slope is None else prelu(y, slope)
    flat = x.reshape(-1, x.shape[-1])  # (positions, C)
    scale, shift, slope = _vectors(x.dtype, scale, shift, slope)
    y = np.empty_like(flat)
    threads.by_pieces(lambda *part: _affine_rows(flat, scale, shift, slope, y, *part), len(flat), _PIECES)
    return y.reshape(x.shape)  # (N, T, F, C)


def _reductions(dy, x, statistics, affine, backend, batch):
    """Gradients of gamma, beta and slope, each (C,), of the map between normalisation and PReLU: dn.

    They are ``sum(dn xhat)``, ``sum(dn)`` and the sum of dy n where n, the normalised map, is not positive.
    NumPy's form knows of no PReLU.
    """
    mean, inverse = statistics
    flat, flat_dy = (a.reshape(len(x), -1, x.shape[-1]) for a in (x, dy))  # (N, positions, C)
    if backend == "numpy":
        xhat = (flat - mean) * inverse
        return *batch.total((flat_dy * xhat).sum(1), flat_dy.sum(1)), None  # (C,) each
    vectors = *_vectors(x.dtype, *affine), mean, inverse

    def task(clip, *rest):
        _reduction_rows(flat[clip], flat_dy[clip], *vectors, *rest)

    (sums,) = batch.total(_partial_sums(task, flat, 3))
    return sums.astype(x.dtype)


def _gradient(dy, x, coefficients, affine, backend):
    """a dn + b x + c, where dn is the gradient of the map between normalisation and PReLU."""
    if backend == "numpy":
        a, b, c = coefficients
        return dy * a + x * b + c
    flat, flat_dy = (v.reshape(-1, x.shape[-1]) for v in (x, dy))  # (positions, C)
    vectors = *_vectors(x.dtype, *affine), *(v.astype(x.dtype) for v in coefficients)
    dx = np.empty_like(flat)
    threads.by_pieces(lambda *part: _gradient_rows(flat, flat_dy, *vectors, dx, *part), len(flat), _PIECES)
    return dx.reshape(x.shape)  # (N, T, F, C)


def _vectors(dtype, scale, shift, slope):
    """What kernels take; a slope of 1 does nothing."""
    slope = np.ones_like(scale) if slope is None else slope
    return tuple(v.astype(dtype) for v in (scale, shift, slope))


def _partial_sums(task, flat, count):
    """`count` channel sums of each clip (N, positions, C), (N, count, C) in float64.

    ``task(clip, scratch, sums, start, stop)`` adds up a piece, which the shape fixes, of a clip.
    """
    (clips, _, channels), pieces = flat.shape, threads.cuts(flat.shape[1], _SUMS)
    sums = np.zeros((clips, len(pieces), count, channels))
    scratch = np.zeros(sums.shape, flat.dtype)

    def run(k):
        clip, i = divmod(k, len(pieces))
        task(clip, scratch[clip, i], sums[clip, i], *pieces[i])

    threads.run(run, clips * len(pieces))
    return sums.sum(1)


@kernel
def _affine_rows(x, scale, shift, slope, y, start, stop):
    for p in range(start, stop):
        row, out = x[p], y[p]
        for c in range(x.shape[1]):
            v = row[c] * scale[c] + shift[c]
            out[c] = v if v > 0 else slope[c] * v


@kernel
def _moment_rows(x, pivot, scratch, sums, start, stop):
    # Short runs in the maps' own precision, then float64: exact enough and vectorised.
    channels = x.shape[1]
    first, second = scratch[0], scratch[1]
    for run in range(start, stop, 128):
        scratch[:] = 0
        for p in range(run, min(run + 128, stop)):
            row = x[p]
            for c in range(channels):
                d = row[c] - pivot[c]
                first[c] += d
                second[c] += d * d
        for c in range(channels):
            sums[0, c] += first[c]
            sums[1, c] += second[c]


@kernel
def _reduction_rows(x, dy, scale, shift, slope, mean, inverse, scratch, sums, start, stop):
    channels = x.shape[1]
    dgamma, dbeta, dslope = scratch[0], scratch[1], scratch[2]
    for run in range(start, stop, 128):
        scratch[:] = 0
        for p in range(run, min(run + 128, stop)):
            row, drow = x[p], dy[p]
            for c in range(channels):
                v, d = row[c] * scale[c] + shift[c], drow[c]
                # Made before they are chosen from: without branches, 16 channels become vectors too.
                sloped, share = slope[c] * d, d * v
                dn = d if v > 0 else sloped
                dgamma[c] += dn * ((row[c] - mean[c]) * inverse[c])
                dbeta[c] += dn
                dslope[c] += 0 if v > 0 else share
        for i in range(3):
            for c in range(channels):
                sums[i, c] += scratch[i, c]


@kernel
def _gradient_rows(x, dy, scale, shift, slope, a, b, c, dx, start, stop):
    for p in range(start, stop):
        row, drow, out = x[p], dy[p], dx[p]
        for i in range(x.shape[1]):
            v, d = row[i] * scale[i] + shift[i], drow[i]
            dn = d if v > 0 else slope[i] * d
            out[i] = dn * a[i] + row[i] * b[i] + c[i]
