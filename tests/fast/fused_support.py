"""What the tests of fused kernels share: arrays as kernels want them, from arrays as operations do."""

import numpy as np
from hypothesis import strategies as st
from ops_support import seeds

from acdref.fast.norm import SCALE, SHIFT, SLOPE, TABLE_ROWS
from acdref.ops.activation import prelu
from acdref.ops.layout import padded, whole

DTYPE = np.float64
TOLERANCE = 1e-12

# What a block may look like: more than one group of rows, more than one vector of channels, windows that
# leave rows and bins over.
blocks = st.fixed_dictionaries(
    {
        "seed": seeds,
        "rows": st.integers(1, 7),
        "bins": st.integers(1, 12),
        "inputs": st.sampled_from([1, 16, 20]),
        "channels": st.sampled_from([3, 16, 33]),
        "dilation": st.sampled_from([1, 2, 3]),
        "pool": st.sampled_from([(1, 1), (2, 2), (1, 2), (3, 1)]),
        "group": st.integers(1, 3),
    }
)


class Shape:
    """A drawn shape by its names, with a random generator; bins enough for one window."""

    def __init__(self, drawn):
        self.__dict__.update(drawn)
        self.rng = np.random.default_rng(self.seed)
        self.bins = max(self.bins, self.pool[1])

    def normal(self, *shape):
        return self.rng.standard_normal(shape)

    def depthwise(self):
        """Weight (3, 3, inputs) and bias of a depthwise convolution."""
        return self.normal(3, 3, self.inputs), self.normal(self.inputs)


def frame(x, pad):
    """A map (..., F, C) with `pad` empty bins on both sides, and channels to whole vectors."""
    widths = [(0, 0)] * (x.ndim - 2) + [(pad, pad), (0, whole(x.shape[-1]) - x.shape[-1])]
    return np.pad(x, widths)


def table(rng, channels):
    """A norm table of random rows, zero beyond `channels`."""
    return padded(rng.standard_normal((TABLE_ROWS, channels)))


def active(z, norm):
    """prelu(scale z + shift) for a map of as many channels as the table, or fewer."""
    scale, shift, slope = (norm[row][: z.shape[-1]] for row in (SCALE, SHIFT, SLOPE))
    return prelu(z * scale + shift, slope)


def empty(*shape):
    """Memory of unknown content, which the tests make NaN: who reads it before writing is found out."""
    return np.full(shape, np.nan, DTYPE)
