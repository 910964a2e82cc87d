"""Weights for kernels, from whatever shape the network gives them; and gradients in that shape."""

import numpy as np
import pytest

from acdref.fast.layers import arranged, matrix, store
from acdref.ops.layout import packed, padded

SHAPES = {
    "stem.conv": [(3, 3, 2, 5)],
    "block1.depthwise": [(3, 3, 20), (3, 3, 1, 20)],
    "block1.pointwise": [(20, 33), (1, 1, 20, 33)],
}


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name in SHAPES for shape in SHAPES[name]])
def test_arranged_and_stored(name, shape, rng):
    weight, bias = rng.standard_normal(shape), rng.standard_normal(shape[-1])
    found, found_bias = arranged(name, weight, bias)
    np.testing.assert_array_equal(found_bias, padded(bias))
    flat = weight.reshape(-1, shape[-1])
    whole_matrix = padded(flat, (0, 1)) if name.endswith("pointwise") else padded(flat)
    expected = whole_matrix.reshape(-1) if name.endswith("depthwise") else packed(whole_matrix)
    np.testing.assert_array_equal(found, expected)

    params, grads = {f"{name}.weight": weight.astype(np.float32), f"{name}.bias": bias}, {}
    store(params, grads, name, weight=whole_matrix, bias=found_bias)
    for key, param in params.items():
        assert (grads[key].shape, grads[key].dtype) == (param.shape, param.dtype)
        np.testing.assert_array_equal(grads[key], param)


@pytest.mark.parametrize("shape", [(7,), (4, 7), (3, 3, 1, 7), (1, 1, 4, 7)])
def test_matrix(shape, rng):
    a = rng.standard_normal(shape)
    assert np.shares_memory(matrix(a), a)
    assert matrix(a).shape == (a.size // 7, 7)
