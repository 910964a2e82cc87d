"""Attention of one clip, forward and backward, against group normalisation and attention as operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.fast.attention import PARTS
from acdref.fast.norm import SCALE, SHIFT, SLOPE, TABLE_ROWS, A, B, C
from acdref.ops.attention import linear_attention, linear_attention_backward
from acdref.ops.kernel import available
from acdref.ops.layout import padded
from acdref.ops.norm import group_norm, group_norm_backward

if not available():
    pytest.skip("needs numba", allow_module_level=True)

from acdref.fast.training_attention import TrainedAttention


@given(
    seed=st.integers(0, 999), rows=st.sampled_from([1, 5, 40]), bins=st.integers(1, 20),
    channels=st.sampled_from([3, 16, 20]), width=st.sampled_from([1, 16, 17]),
)  # fmt: skip
@settings(max_examples=40)
def test_as_the_operations(seed, rows, bins, channels, width):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((rows, bins, channels))
    norm = np.zeros((TABLE_ROWS, channels))
    norm[SCALE], norm[SHIFT], norm[SLOPE] = rng.standard_normal((3, channels))
    v = z * norm[SCALE] + norm[SHIFT]
    x = np.where(v > 0, v, norm[SLOPE] * v)[None]
    gamma, beta = rng.standard_normal((2, channels))
    inner = {}
    for part in PARTS:
        shape = (width, channels) if part == "out" else (channels, width)
        inner[f"{part}.weight"], inner[f"{part}.bias"] = (
            0.5 * rng.standard_normal(shape),
            rng.standard_normal(shape[1]),
        )
    params = {f"a.{name}": value for name, value in inner.items()} | {
        "a.norm.gamma": gamma,
        "a.norm.beta": beta,
    }
    y, statistics = group_norm(x, gamma, beta)
    out, tape = linear_attention(y.reshape(1, -1, channels), inner)
    expected = padded((x + out.reshape(x.shape))[0])

    # A pool of single elements: all that attention makes is seen, and so is all of the gradient.
    attention = TrainedAttention(params, "a", padded(z), padded(norm), (1, 1))
    found, chosen = np.full(expected.shape, np.nan), np.zeros(expected.shape, np.uint8)
    attention.pooled_rows(0, rows, found, chosen)
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())
    assert not chosen.any()

    d = rng.standard_normal(x.shape)
    grads = attention.backward(padded(d[0]), chosen)
    dy, references = linear_attention_backward(
        d.reshape(1, -1, channels), y.reshape(1, -1, channels), inner, tape
    )
    dx, references["norm.gamma"], references["norm.beta"] = group_norm_backward(
        dy.reshape(x.shape), x, gamma, statistics
    )
    assert set(grads) == set(references)
    scale = max(np.abs(g).max() for g in references.values())
    for name, g in references.items():
        np.testing.assert_allclose(grads[name], g, atol=1e-9 * scale, err_msg=name)
    a, b, c = attention.group_norm[[A, B, C], :channels]
    made = a * attention.dx[..., :channels] + b * x[0] + c
    np.testing.assert_allclose(made, dx[0], atol=1e-9 * (np.abs(dx).max() + np.abs(a * dy).max()))
