"""Changing the sampling rate, of a whole signal or of a stream."""

import operator
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.matmul import matmul

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz

_GROUP = 64  # output samples that share one filter matrix
_CHUNK = 16384  # output samples computed at a time, about
_LARGEST_TERM = 16384  # of a resampling ratio
_LEVEL = 16384  # samples at the start of a recording whose mean is its level


def resample(x: ArrayLike, sr_in: int, sr_out: int, level: float | None = 0.0) -> NDArray[np.float32]:
    """Change the sampling rate.

    Parameters
    ----------
    x : (n,) array of floats
    sr_in, sr_out : int
        Rates in Hz, 1000 to 768000.
    level : float or None
        What the signal counts as outside `x`; None: the mean of its first 16384 samples, for recordings.

    Returns
    -------
    (ceil(n * sr_out / sr_in),) float32 array
        Sample k lies at the time k / sr_out.

    Raises
    ------
    ValueError
        If `x` is not one-dimensional, not floating-point or not finite, or a rate is out of range.

    Notes
    -----
    Polyphase filtering, linear phase, with a windowed sinc of 64 periods of the lower rate on each side
    (Kaiser, beta 12, half amplitude at 0.95 of the lower Nyquist frequency): flat within 0.01 dB up to
    0.9 of that frequency, and 119 dB down from 1.02 of it.

    Where the terms of the reduced ratio exceed 16384 (16 kHz from 48001 Hz, say), the nearest ratio with
    smaller terms takes its place, for the length too; the clock error, below 62 parts per million, is that
    of a recorder's quartz.

    Examples
    --------
    >>> resample(np.zeros(44100, np.float32), 44100, 16000).shape
    (16000,)
    """
    x = np.asarray(x)
    if x.ndim != 1 or x.dtype.kind != "f":
        raise ValueError(f"audio must be a vector of floats, not {x.dtype} of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("audio must be finite")
    parts = resampled([x.astype(np.float32)], checked_rate(sr_in), checked_rate(sr_out), level)
    return np.concatenate([np.empty(0, np.float32), *parts])


def resampled(
    parts: Iterable[NDArray[np.float32] | None], sr_in: int, sr_out: int, level: float | None = None
) -> Iterator[NDArray[np.float32]]:
    """Resample a stream.

    Parameters
    ----------
    parts : iterable of (n,) float32 array, or None
        None: the next may have to be waited for, and what is certain by now is yielded at once; elsewhere up
        to 16384 samples are held back, to be computed together.
    sr_in, sr_out : int
        Rates in Hz, see :func:`checked_rate`.
    level : float or None
        As of :func:`resample`.

    Yields
    ------
    (n,) float32 array
        Joined, they have ceil(n * sr_out / sr_in) samples.

    Notes
    -----
    Each piece comes from one matrix product per group, whose shape and alignment depend on the rates alone:
    so the result is bit-equal whatever the sizes of `parts` and the number of BLAS threads.

    A recording with a constant offset does not begin with a step from 0, nor end with one: whatever the
    offset, it comes out as the same sound with the same offset.

    Examples
    --------
    >>> parts = [np.zeros(5000, np.float32)] * 3
    >>> sum(map(len, resampled(parts, 48000, 16000)))
    5000
    """
    if sr_in == sr_out:
        yield from (part for part in parts if part is not None)
        return
    if level is None:
        level, parts = _level(parts)
    offset = np.float32(level)
    around = (part if part is None else part - offset for part in parts) if offset else parts
    for part in _around_zero(around, sr_in, sr_out):
        yield part + offset if offset else part


def _level(parts):
    """The mean of the first samples of a stream, and the stream, which is whole again."""
    parts, first, n = iter(parts), [], 0
    for part in parts:
        if part is not None:
            first.append(part)
            n += len(part)
        if n >= _LEVEL:
            break
    level = np.concatenate(first)[:_LEVEL].mean(dtype=np.float64) if n else 0.0
    return level, chain(first, parts)


def _around_zero(parts, sr_in, sr_out):
    """:func:`resampled` with the level 0."""
    up, down, groups = _filters(sr_in, sr_out)
    periods = max(1, _CHUNK // up)
    before = -groups[0][1]
    span = (periods - 1) * down + max(offset + len(matrix) for _, offset, matrix in groups) + before
    held = [np.zeros(before, np.float32)]
    n_in, n_out = 0, 0
    early = 0  # samples of the next chunk that were yielded before it was whole
    for part in parts:
        if part is None:
            samples = np.concatenate(held)
            certain = _certain(len(samples), before, up, down, groups)
            if certain > early:
                # As a whole chunk, of which the rest is not looked at: another shape would round otherwise.
                padded = np.concatenate([samples, np.zeros(span - len(samples), np.float32)])
                yield _chunk(padded, before, up, down, periods, groups)[early:certain]
                held, early = [samples], certain
            continue
        held.append(part)
        n_in += len(part)
        if sum(map(len, held)) < span:
            continue
        samples = np.concatenate(held)
        while len(samples) >= span:
            yield _chunk(samples, before, up, down, periods, groups)[early:]
            n_out, early = n_out + periods * up, 0
            samples = samples[periods * down :]
        held = [samples]
    left = -(-n_in * up // down) - n_out
    samples = np.concatenate([*held, np.zeros(span + left * down // up, np.float32)])
    while left > 0:
        yield _chunk(samples, before, up, down, periods, groups)[early:left]
        left, early = left - periods * up, 0
        samples = samples[periods * down :]


def checked_rate(sr: int) -> int:
    """The rate as an int, if it is one that acdref works with.

    Parameters
    ----------
    sr : int
        In Hz.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it is below 1000 or above 768000.

    Examples
    --------
    >>> checked_rate(16000)
    16000
    """
    sr = operator.index(sr)
    if not LOWEST_RATE <= sr <= HIGHEST_RATE:
        raise ValueError(f"the sampling rate must be {LOWEST_RATE} to {HIGHEST_RATE} Hz, not {sr}")
    return sr


def _chunk(samples, before, up, down, periods, groups):
    """Filter `periods` periods of the ratio, whose first starts at ``samples[before]``."""
    y = np.empty((periods, up), np.float32)
    for first, offset, matrix in groups:
        taps, width = matrix.shape
        windows = np.lib.stride_tricks.sliding_window_view(samples[before + offset :], taps)[::down][:periods]
        y[:, first : first + width] = matmul(np.ascontiguousarray(windows), matrix)
    return y.ravel()


def _certain(n, before, up, down, groups):
    """How many samples of a chunk follow from its first `n` input samples."""
    ends = [before + offset + len(matrix) for _, offset, matrix in groups]  # of a period's input, rising
    whole = max(0, (n - ends[-1]) // down + 1)
    starts = (first for first, _, _ in groups)
    return whole * up + next(first for first, end in zip(starts, ends, strict=True) if whole * down + end > n)


@lru_cache(maxsize=8)
def _filters(sr_in, sr_out):
    """The polyphase filter as matrices.

    Returns
    -------
    up, down : int
        A period: `up` output samples for `down` input samples.
    groups : list of (first, offset, matrix)
        Output samples ``first, ..., first + r - 1`` of a period are the products of the input samples
        from `offset` on, counted from the start of the period, with `matrix` (taps, r) float32.
    """
    up, down = _ratio(sr_in, sr_out)
    most = max(up, down)
    half = 64 * most
    n = np.arange(-half, half + 1)
    h = np.sinc(0.95 / most * n) * np.kaiser(2 * half + 1, 12.0)
    h *= up / h.sum()
    # A few columns make a poor matrix product, so short periods are repeated.
    repeat = max(1, _GROUP // up)
    groups = []
    for first in range(0, up * repeat, _GROUP):
        k = np.arange(first, min(first + _GROUP, up * repeat))  # output k is at input position k * down / up
        offset = -((half - first * down) // up)
        j = np.arange(offset, (k[-1] * down + half) // up + 1)
        n = k * down - j[:, None] * up
        matrix = np.where(np.abs(n) <= half, h[np.clip(n + half, 0, 2 * half)], 0).astype(np.float32)
        groups.append((first, offset, matrix))
    return up * repeat, down * repeat, groups


def _ratio(sr_in, sr_out):
    """Nearest fraction ``up / down`` to ``sr_out / sr_in`` whose terms are at most _LARGEST_TERM."""
    from fractions import Fraction

    small, large = sorted((sr_in, sr_out))
    # Limit the larger term: the smaller one is the denominator of large / small.
    ratio = Fraction(large, small).limit_denominator(max(1, _LARGEST_TERM * small // large))
    up, down = ratio.denominator, ratio.numerator
    return (up, down) if sr_in > sr_out else (down, up)
