"""MobileNetV2: counts, frames, scores of frames."""

import numpy as np
import pytest
from further_support import batch, small
from nets_support import relative_error

from acdref.nets.mobilenet import MobileNetConfig, MobileNetV2


def test_parameters_and_frames():
    net = MobileNetV2(backend="numpy")
    sizes = {name: a.size for name, a in net.params.items()}
    assert sum(sizes.values()) == 2_898_383
    assert sizes["dense.weight"] + sizes["dense.bias"] == 675_087
    for frames, left in ((1001, 32), (501, 16), (201, 7)):
        table = net.layer_table(frames)
        assert table[-2].shape == (527, left, 1)
        assert table[-1].shape == (527, 1, 1)


def test_the_full_network_answers():
    net = MobileNetV2(seed=1)
    x = 30 * np.random.default_rng(0).standard_normal((1, 201, 64))
    assert net.frame_logits(x).shape == (1, 7, 527)
    assert net.predict_proba(x).shape == (1, 527)


def test_a_clip_is_the_mean_of_its_frames():
    net = small("mobilenetv2")
    x, _ = batch("mobilenetv2")
    frames = 1 / (1 + np.exp(-net.frame_logits(x)))
    assert frames.shape == (3, 6, 3)
    np.testing.assert_allclose(net.predict_proba(x), frames.mean(1), rtol=1e-10)


def test_frames_as_pytorch():
    torch = pytest.importorskip("torch")
    from further_twins import twin_of

    net = small("mobilenetv2")
    x, _ = batch("mobilenetv2")
    with torch.no_grad():
        expected = twin_of("mobilenetv2", net).eval().frame_logits(torch.tensor(x)).numpy()
    assert relative_error(net.frame_logits(x), expected) <= 1e-12


def test_width():
    config = MobileNetConfig().scaled(0.5)
    assert (config.stem, config.last) == (16, 640)
    assert [stage.channels for stage in config.stages] == [8, 12, 16, 32, 48, 80, 160]
