"""The network that a recipe starts from."""

import numpy as np
import pytest
from predict_support import CLASSES, write_tiny_weights

from acdref.errors import AcdrefError
from acdref.recipes.networks import initial


def test_fresh():
    nets = [initial("vgg-gap", 0.0625, None, ("a", "b"), seed) for seed in (1, 1, 2)]
    assert nets[0].config.classes == 2
    weights = [net.params["conv1.weight"] for net in nets]
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])


def test_clips_of_several_classes_get_a_sigmoid_each():
    assert initial("vgg-gap", 0.0625, None, ("a",), 0).output == "softmax"
    assert initial("vgg-gap", 0.0625, None, ("a",), 0, several=True).output == "sigmoid"


def test_of_a_file(tmp_path):
    path = write_tiny_weights(tmp_path / "tiny.npz")
    same, other = initial("vgg-gap", 1, path, CLASSES, 0), initial("vgg-gap", 1, path, ("a", "b"), 0)
    for name, a in same.params.items():
        assert np.array_equal(a, other.params[name]) == (not name.startswith("dense"))
    assert other.config.classes == 2


def test_what_makes_none():
    with pytest.raises(AcdrefError, match="acdnet has no output"):
        initial("acdnet", 1, None, ("a",), 0, output="softmax")
