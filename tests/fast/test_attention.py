"""The exact algebra against attention as it is written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.fast.attention import PARTS, CompiledAttention, FrozenAttention, statistics
from acdref.ops.attention import linear_attention
from acdref.ops.layout import packed, padded
from acdref.ops.norm import EPS, group_norm
from acdref.ops.softmax import softmax_channels, softmax_positions


@given(
    seed=st.integers(0, 999), channels=st.sampled_from([3, 16, 20]), width=st.sampled_from([1, 16, 17]),
    offset=st.sampled_from([0, 5]),
)  # fmt: skip
def test_as_attention_is_written(seed, channels, width, offset):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, 6, 5, channels)) + offset
    params = {"a.norm.gamma": rng.standard_normal(channels), "a.norm.beta": rng.standard_normal(channels)}
    for part in PARTS:
        shape = (width, channels) if part == "out" else (channels, width)
        params[f"a.{part}.weight"] = rng.standard_normal(shape)
        params[f"a.{part}.bias"] = rng.standard_normal(shape[1])
    y, (mean, inverse) = group_norm(x, params["a.norm.gamma"], params["a.norm.beta"])
    inner = {name[2:]: a for name, a in params.items()}
    expected = linear_attention(y.reshape(1, -1, channels), inner)[0][0]
    flat = padded(x.reshape(-1, channels))

    def summarise(key):
        return softmax_positions((flat @ key)[None])[0].T @ flat

    attention = CompiledAttention(params, "a", (mean[0], inverse[0]), summarise)
    found = softmax_channels(flat @ attention.query + attention.query_bias) @ attention.answer
    np.testing.assert_allclose(found[:, :channels], expected, rtol=1e-10, atol=1e-11)
    assert not found[:, channels:].any()

    frozen, numbers = FrozenAttention(params, "a"), (mean[0], inverse[0])
    for layer, expected in (
        (frozen.key_layer(numbers), (packed(attention.key), np.zeros(attention.key.shape[1]))),
        (frozen.query_layer(numbers), attention.query_layer),
    ):
        for a, b in zip(layer, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)
    weight = frozen.answer_layer[0].reshape(-1, flat.shape[1], 16)  # (panels, channels, 16)
    normal = (attention.summary - mean[0]) * inverse[0]
    answer = np.concatenate([normal @ panel for panel in weight], axis=1) + frozen.answer_layer[1]
    np.testing.assert_allclose(answer[:width], attention.answer[:width], rtol=1e-9, atol=1e-10)


@given(
    seed=st.integers(0, 999), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    channels=st.sampled_from([3, 16]), offset=st.sampled_from([0, 10]),
)  # fmt: skip
def test_statistics_from_those_of_the_parts(seed, sizes, channels, offset):
    """Zeros that only fill vectors do not count."""
    x = np.random.default_rng(seed).standard_normal((sum(sizes), channels)) + offset
    parts = np.split(padded(x), np.cumsum(sizes)[:-1])
    moments = np.array([(part.mean(), np.square(part - part.mean()).sum()) for part in parts])
    counts = np.array([part.size for part in parts])
    mean, inverse = statistics(moments, counts, channels / 16)
    np.testing.assert_allclose(mean, x.mean(), atol=1e-12)
    np.testing.assert_allclose(inverse, 1 / np.sqrt(x.var() + EPS), rtol=1e-9)


@pytest.mark.parametrize("share", [1, 3 / 16])
@pytest.mark.parametrize("level", [0, 1, 1000])
def test_statistics_of_a_constant_map(level, share):
    """Rounding does not make the variance negative."""
    x = np.zeros((7, 10, 16), np.float32)
    x[..., : round(16 * share)] = level
    means = x.mean((1, 2))
    squares = np.square(x - means[:, None, None]).sum((1, 2))
    mean, inverse = statistics(np.stack([means, squares], 1), np.full(7, 160), share)
    assert abs(mean - level) <= 1e-5 * level
    assert 0 < inverse <= EPS**-0.5
