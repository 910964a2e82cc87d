"""ResNet-50: shapes, counts, patches."""

import numpy as np
import pytest
from further_support import SMALL, batch, small
from nets_support import relative_error

from acdref.nets.resnet import ResNet50, ResNetConfig


def test_parameters_shapes_and_multiply_adds():
    """The usual count for one input channel, and the 1.9 to 2.0 G multiply-adds of a stem without stride."""
    net = ResNet50(backend="numpy")
    # The network of the library of torch's authors has 25,557,032 with 3 channels and 1000 classes.
    expected = 25_557_032 - 2 * 64 * 49 - (1000 - 527) * 2049
    assert sum(a.size for a in net.params.values()) == expected == 24_581_583
    table = {row.name: row for row in net.layer_table(1)}
    assert table["stem"].shape == (64, 96, 64)
    assert table["stem.pool"].shape == (64, 48, 32)
    for stage, (channels, t, f) in enumerate([(256, 48, 32), (512, 24, 16), (1024, 12, 8), (2048, 6, 4)], 1):
        assert table[f"stage{stage}.block1.shortcut"].shape == (channels, t, f)
    assert len([name for name in table if "block" in name or name == "stem"]) == 1 + 16 * 3 + 4
    assert round(sum(row.macs for row in table.values()) / 1e9, 2) == 1.96
    assert sum(row.macs for row in net.layer_table(10)) == 10 * sum(row.macs for row in table.values())


def test_at_the_start_bottlenecks_are_their_shortcuts():
    """So that activations do not grow from block to block, and fresh weights give sensible probabilities."""
    net = ResNet50(ResNetConfig(classes=50).scaled(1 / 8))
    x = np.random.default_rng(0).standard_normal((1, 1, 96, 64))
    p = net.predict_proba(x)
    assert ((p > 0.01) & (p < 0.99)).all()
    changed = {name: a + 1 for name, a in net.params.items() if name.endswith("block2.reduce.weight")}
    assert len(changed) == 4
    net.params |= changed
    np.testing.assert_array_equal(net.predict_proba(x), p)


def test_a_clip_is_the_mean_of_its_patches():
    net = small("resnet50")
    x, _ = batch("resnet50")
    patches, tape = net.patch_logits(x)
    assert patches.shape == (3, 2, 3) and tape is None
    one_by_one = np.stack([net.predict_proba(x[:, p : p + 1]) for p in range(2)], 1)
    np.testing.assert_allclose(1 / (1 + np.exp(-patches)), one_by_one, rtol=1e-10)
    np.testing.assert_allclose(net.predict_proba(x), one_by_one.mean(1), rtol=1e-10)


def test_patches_as_pytorch():
    torch = pytest.importorskip("torch")
    from further_twins import twin_of

    net = small("resnet50")
    x, _ = batch("resnet50")
    with torch.no_grad():
        expected = twin_of("resnet50", net).eval().patch_logits(torch.tensor(x)).numpy()
    assert relative_error(net.patch_logits(x)[0], expected) <= 1e-12


def test_width():
    config = ResNetConfig().scaled(0.125)
    assert config.stem == 8
    assert [stage.channels for stage in config.stages] == [8, 16, 32, 64]
    assert ResNet50(config).predict_proba(np.zeros((1, 1, 96, 64))).shape == (1, 527)


def test_patches_of_another_size_are_refused():
    net = small("resnet50")
    _, config, _ = SMALL["resnet50"]
    with pytest.raises(ValueError, match=rf"expected patches \(N, P, {config.frames}, {config.bins}\)"):
        net.forward(np.zeros((1, 1, config.frames + 1, config.bins)))
