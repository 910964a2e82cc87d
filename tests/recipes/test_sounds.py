"""The shortest sound that a network takes is taken, and no shorter one."""

import numpy as np
import pytest

from acdref.features.front_ends import SHORTEST, front_end
from acdref.nets import registry
from acdref.recipes.sounds import excerpt, fewest_samples


@pytest.mark.parametrize(
    ("name", "width"),
    [("acdnet", 0.05), ("vgg-gap", 0.05), ("conv1d", 0.05), ("resnet50", 0.01), ("mobilenetv2", 0.01)],
)
def test_the_shortest_sound(name, width):
    net = registry.build(name, 2, width, backend="numpy")
    front, n = front_end(net), fewest_samples(net)
    x = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    assert net.predict_proba(front.transform(x)[None]).shape == (1, 2)
    if n > round(SHORTEST * front.rate):
        with pytest.raises(ValueError):
            net.predict_proba(front.transform(x[:-1])[None])


@pytest.mark.parametrize("start", [0, 3, 7, 12])
def test_excerpts_have_their_length(start):
    x = np.arange(1.0, 11.0, dtype=np.float32)
    cut = excerpt(x, start, 4)
    assert cut.dtype == np.float32
    np.testing.assert_array_equal(cut, np.concatenate([x, np.zeros(10)])[start : start + 4])
