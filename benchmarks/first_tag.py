"""What benchmarks/startup.py starts for the rivals: the shortest program that tags one recording.

    python benchmarks/first_tag.py onnxruntime MODEL.onnx RECORDING
    python benchmarks/first_tag.py torch WEIGHTS.pt RECORDING

The recording is 16 kHz, mono.  Nothing is imported that the tags do not need.
"""

import sys
from pathlib import Path

import soundfile


def onnxruntime(model, audio):
    """Probabilities by what `acdref export --front-end` wrote."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"waveform": audio[None]})[0][0]


def torch(weights, audio):
    """Probabilities by the PyTorch twin; `weights` is its saved state."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance/pytorch"))
    import torch
    import torch_twin

    twin = torch_twin.Twin().eval()
    twin.load_state_dict(torch.load(weights, weights_only=True))
    with torch.no_grad():
        return torch.sigmoid(twin(torch_twin.features(torch.from_numpy(audio)[None])))[0].numpy()


if __name__ == "__main__":
    library, model, recording = sys.argv[1:]
    audio, _ = soundfile.read(recording, dtype="float32")
    print(*{"onnxruntime": onnxruntime, "torch": torch}[library](model, audio))
