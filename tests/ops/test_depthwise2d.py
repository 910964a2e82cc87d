"""Depthwise convolution: the general one with as many groups as channels does the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import BACKENDS, assert_close, normal, seeds

from acdref.ops.conv2d import conv2d, conv2d_backward
from acdref.ops.depthwise2d import depthwise2d, depthwise2d_input_gradient, depthwise2d_weight_gradient


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    seed=seeds,
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    channels=st.sampled_from([1, 3, 16, 19]),
)
@settings(max_examples=20)
def test_each_channel_is_a_convolution_of_its_own(backend, seed, size, stride, padding, channels):
    rng = np.random.default_rng(seed)
    x, weight = normal(rng, 2, 7, 6, channels), normal(rng, *size, channels)
    y = depthwise2d(x, weight, stride, padding, backend=backend)
    dy = normal(rng, *y.shape)
    parts, gradients = [], []
    for c in range(channels):
        one = np.s_[..., c : c + 1]
        given = x[one].copy(), weight[one][..., None]
        parts.append(conv2d(*given, None, stride, padding))
        gradients.append(conv2d_backward(dy[one].copy(), *given, stride, padding))
    dx, dweight, dbias = (np.concatenate(each, -1) for each in zip(*gradients, strict=True))
    assert_close(
        (
            y,
            depthwise2d_input_gradient(dy, weight, x.shape, stride, padding, backend=backend),
            depthwise2d_weight_gradient(dy, x, size, stride, padding, backend=backend),
        ),
        (np.concatenate(parts, -1), dx, dweight[:, :, 0], dbias),
        1e-12,
    )
