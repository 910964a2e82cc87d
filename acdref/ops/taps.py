"""Sliding windows with stride and padding: where they fit, and what each of their taps sees."""

import numpy as np


def output_size(size, window, stride, padding):
    """Places of a window along an axis: ``(size + 2 padding - window) // stride + 1``."""
    return (size + 2 * padding - window) // stride + 1


def output_sizes(shape, window, stride, padding):
    """:func:`output_size` in time and frequency, for a map (N, T, F, C)."""
    return tuple(output_size(*axis) for axis in zip(shape[1:3], window, stride, padding, strict=True))


def padded(x, padding, value=0):
    """A map with so many rows and bins of `value` more at each of its ends."""
    (pt, pf) = padding
    return np.pad(x, ((0, 0), (pt, pt), (pf, pf), (0, 0)), constant_values=value) if pt or pf else x


def cropped(x, padding):
    """Undo :func:`padded`."""
    (pt, pf), (t, f) = padding, x.shape[1:3]
    return np.ascontiguousarray(x[:, pt : t - pt, pf : f - pf])


def tap(i, j, sizes, stride):
    """Index of what tap (i, j) of the windows, at all their places, sees of a padded map."""
    (rows, bins), (st, sf) = sizes, stride
    return np.s_[:, i : i + (rows - 1) * st + 1 : st, j : j + (bins - 1) * sf + 1 : sf]
