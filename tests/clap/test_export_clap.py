"""tools/export_clap.py; that it makes right bundles is what the fixtures show, which it made."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import export_clap  # noqa: E402


class Baked(torch.nn.Module):
    """Its traced batch becomes a constant, as in the published MS-CLAP."""

    def forward(self, x):
        windows = x.reshape(-1, 2)
        return windows.reshape(int(windows.shape[0] / 3), 3, -1).flatten(1)


class Free(torch.nn.Module):
    def forward(self, x):
        return x.flatten(1) * 2


def export(module, path):
    x = torch.randn(4, 3, 2)
    export_clap._export(module, {"x": (x, {0: "batch"})}, ["audio_embeds"], path)


def test_a_graph_that_equals_torch_is_kept(tmp_path):
    export(Free(), tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").exists()


def test_a_baked_batch_size_is_found_and_the_graph_not_kept(tmp_path):
    with pytest.raises(SystemExit, match="audio_embeds differs from torch at a batch of 1"):
        export(Baked(), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("batch", [1, 3])
def test_windows_are_put_back_where_they_were(batch):
    x = torch.randn(batch, 8, 12, 5)
    windows = x.reshape(batch, 2, 4, 3, 4, 5).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, 5)
    assert (export_clap._window_reverse(windows, 4, 8, 12) == x).all()
