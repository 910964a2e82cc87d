"""What the tests of the operations share: backends, random maps, error measures, gradient checks."""

import numpy as np
import pytest
from hypothesis import strategies as st

from acdref.ops import threads
from acdref.ops.kernel import available

needs_numba = pytest.mark.skipif(not available(), reason="needs numba")
BACKENDS = ["numpy", pytest.param("numba", marks=needs_numba)]
# Numba's agreement with NumPy, relative to an array's largest value, or to the magnitude of a sum's terms.
AGREEMENT = {np.float32: 1e-5, np.float64: 1e-12}
SUM_AGREEMENT = {np.float32: 2e-6, np.float64: 1e-14}
DTYPES = list(AGREEMENT)

seeds = st.integers(0, 2**32 - 1)
batches = st.sampled_from([1, 2, 3, 33])
channels = st.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 40])


def normal(rng, *shape, dtype=np.float64):
    """Standard normal numbers."""
    return rng.standard_normal(shape).astype(dtype)


def off_zero(x, gap=0.05):
    """`x` moved away from 0, where an activation has no derivative."""
    return x + np.copysign(gap, x).astype(x.dtype)


def relative_error(a, b, scale=None):
    """Largest difference over the largest value of `scale`: by default the reference `b` itself."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    difference = np.abs(a - b).max(initial=0)
    assert not np.isnan(difference)
    scale = np.abs(b if scale is None else scale).max(initial=0)
    return difference / max(scale, np.finfo(np.float64).tiny)


def assert_close(results, references, tolerance, scales=None):
    """Every array of `results` (an array, or nested tuples and dicts of them) within `tolerance`.

    Sums whose terms may cancel have no relative error of their own: `scales` are then the sums of the terms'
    magnitudes.
    """
    results, references = flat(results), flat(references)
    scales = [None] * len(results) if scales is None else flat(scales)
    assert len(results) == len(references) == len(scales)
    for a, b, scale in zip(results, references, scales, strict=True):
        assert a.dtype == b.dtype
        assert relative_error(a, b, scale) <= tolerance


def flat(results):
    """Arrays of nested tuples, lists and dicts, in order."""
    if isinstance(results, dict):
        results = [results[key] for key in sorted(results)]
    if isinstance(results, tuple | list):
        return [a for part in results for a in flat(part)]
    return [results]


def derivative_error(f, arguments, gradients, rng, step=1e-5):
    """Relative error of the derivative that `gradients` predict, along a random direction.

    f(*arguments) is a scalar in float64.  The direction leans towards the gradient, so that the derivative
    is not small by chance; the reference is a central difference.
    """
    directions = []
    for a, g in zip(arguments, gradients, strict=True):
        assert a.shape == g.shape
        noise = rng.standard_normal(a.shape)
        directions.append(2 * g / max(np.linalg.norm(g), 1e-300) + noise / np.linalg.norm(noise))
    predicted = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    size = step / max(np.abs(d).max() for d in directions)

    def moved(sign):
        return f(*(a + sign * size * d for a, d in zip(arguments, directions, strict=True)))

    measured = (moved(1) - moved(-1)) / (2 * size)
    return abs(predicted - measured) / abs(measured)


def gradient_error(forward, backward, arguments, rng, step=1e-5):
    """:func:`derivative_error` of sum(dy * forward(*arguments)) with ``backward(dy, *arguments)``."""
    dy = rng.standard_normal(forward(*arguments).shape)
    return derivative_error(
        lambda *moved: (dy * forward(*moved)).sum(), arguments, backward(dy, *arguments), rng, step
    )


def with_threads(count, f):
    """``f()`` on `count` threads."""
    threads.set_threads(count)
    try:
        return f()
    finally:
        threads.set_threads(None)


def assert_threads_do_not_matter(f):
    """f() is bit-equal with 1, 2 and 4 threads."""
    reference = flat(with_threads(1, f))
    for count in (2, 4):
        for a, b in zip(flat(with_threads(count, f)), reference, strict=True):
            np.testing.assert_array_equal(a, b)


def to_torch(x, grad=True):
    """A channels-last map (N, T, F, C) as a torch tensor (N, C, T, F)."""
    import torch

    return torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=grad)


def from_torch(tensor):
    """A torch map (N, C, T, F) as a channels-last array."""
    return np.moveaxis(tensor.detach().numpy(), 1, -1)
