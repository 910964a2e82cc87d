"""ACDnet in every library that the benchmarks race: the same weights and the same input for all."""

import tempfile
from pathlib import Path

import numpy as np
from turns import need

SAMPLES = 160_000  # 10 s
TORCH_MODES = ("torch eager", "torch channels_last", "torch.compile")


def waveforms(clips):
    """Noise that comes and goes, without an offset, (clips, 160000) float32."""
    rng = np.random.default_rng(0)
    envelope = 0.5 + 0.5 * np.sin(np.arange(SAMPLES) / 16000 * 2 * np.pi * rng.uniform(0.2, 3, (clips, 1)))
    noise = 0.1 * envelope * rng.standard_normal((clips, SAMPLES))
    return (noise - noise.mean(axis=1, keepdims=True)).astype(np.float32)


def shipped(backend):
    """The shipped network."""
    from acdref import checkpoint, files

    net, meta = checkpoint.load_weights(files.resource("weights", "acdnet.npz"), backend=backend)
    return net, meta["classes"]


def gflop():
    """Floating-point operations of the network for one clip, without features, in 10^9."""
    from acdref.nets import ACDNet

    macs = ACDNet().count_macs(624)
    return 2 * (macs["convolutions"] + macs["attention"]) / 1e9


def twin(mode):
    """The PyTorch twin with the shipped weights, in the memory format of `mode`; and torch."""
    torch = need("torch")
    import torch_twin

    net, classes = shipped("numpy")
    model = torch_twin.Twin(len(classes))
    torch_twin.copy_parameters(model, net.params, net.state)
    if mode != "torch eager":
        model = model.to(memory_format=torch.channels_last)
    return model, torch


def laid_out(x, mode):
    """Features (N, T, F, 2) as a tensor that, seen as (N, 2, T, F), has the memory format of `mode`."""
    if mode == "torch eager":
        return x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    return x.contiguous()


def session(front_end, threads):
    """An onnxruntime session of the exported network: all optimisations, batch normalisation folded."""
    onnxruntime = need("onnxruntime")
    need("onnx")
    from acdref.nets.onnx import export_onnx

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "acdnet.onnx"
        export_onnx(path, *shipped("numpy"), front_end=front_end)
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
