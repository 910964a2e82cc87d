"""Argument checks shared by the label rules: legal values, shapes, ranges."""

import numpy as np


def label_matrix(labels, name="y", ndim=2):
    """Labels as float64 with the values 0, 1 and NaN only; ``ndim`` may be a tuple of allowed dimensions."""
    labels = with_dimensions(labels, name, ndim)
    illegal = ~((labels == 0) | (labels == 1) | np.isnan(labels))
    if illegal.any():
        raise _refusal(labels, illegal, name, "a label is 0, 1 or NaN (unknown)")
    return labels


def score_matrix(scores, name="p", shape=None):
    """Probabilities as float64 in [0, 1], or NaN for "no opinion".

    The conversion comes before any comparison with a threshold: float32(0.95) is below 0.95, so a comparison
    in float32 would move the samples that lie on a boundary.
    """
    scores = with_dimensions(scores, name, 2)
    if shape is not None and scores.shape != shape:
        raise ValueError(f"{name} has the shape {scores.shape}, but the labels have {shape}")
    # fmin and fmax skip NaN, so two reductions check the range without a temporary array.
    lowest = np.fmin.reduce(scores, axis=None, initial=0.0)
    highest = np.fmax.reduce(scores, axis=None, initial=1.0)
    if lowest < 0 or highest > 1:
        raise _refusal(scores, (scores < 0) | (scores > 1), name, "a score lies in [0, 1] or is NaN")
    return scores


def with_dimensions(array, name, ndim):
    """``array`` as float64, with as many dimensions as allowed: a number, or a tuple of numbers."""
    array = np.asarray(array, dtype=np.float64)
    allowed = ndim if isinstance(ndim, tuple) else (ndim,)
    if array.ndim not in allowed:
        raise ValueError(f"{name} has {array.ndim} dimensions, expected {' or '.join(map(str, allowed))}")
    return array


def in_range(value, name, low, high, half_open=False):
    """``value`` as a float inside [low, high], or [low, high) when ``half_open``."""
    value = float(value)
    if not low <= value <= high or (half_open and value == high):
        raise ValueError(f"{name} = {value:g} is outside [{low:g}, {high:g}{')' if half_open else ']'}")
    return value


def one_of(value, name, choices):
    """``value``, which must be one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} = {value!r}: choose one of {', '.join(map(repr, choices))}")
    return value


def _refusal(array, illegal, name, law):
    """What to raise about the first illegal entry."""
    where = tuple(int(axis[0]) for axis in np.nonzero(illegal))
    return ValueError(f"{name}[{', '.join(map(str, where))}] is {array[where]:g}: {law}")
