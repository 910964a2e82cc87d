"""How far tags of the exported model, in other runtimes, are from those of `acdref predict`.

    python benchmarks/onnx_clients.py --corpus MANIFEST [--clips 24] [--only RUNTIME,...] [--json FILE]

The model is that of `acdref export --front-end-as stft` and `conv` with the shipped weights.  Every runtime
gets the samples as they are, window by window, and averages by duration (docs/onnx.md).  MANIFEST is one of
recordings at 16 kHz beside it, of which so many are taken, evenly spread: as they are, with 0.1 added to each
sample, and joined to one long recording; beside them silence and nearly silence, and pure tones.
onnx.reference is slow (13 s a window), and takes the recordings alone.  OpenVINO has no STFT of sounds of
any length.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import turns
from machine import describe
from networks import shipped
from report import RESULTS, Table

RATE, WINDOW = 16_000, 160_000
RUNTIMES = {"onnxruntime": ("stft", "conv"), "openvino": ("conv",), "onnx.reference": ("stft", "conv")}


def sounds(manifest, count):
    """Kind -> list of samples."""
    from acdref.tables.manifest import read_manifest

    found = read_manifest(manifest)
    chosen = np.linspace(0, len(found) - 1, count).round().astype(int)
    recordings = [soundfile.read(found.file(i), dtype="float32")[0] for i in chosen]
    rng, t = np.random.default_rng(0), np.arange(WINDOW) / RATE
    quiet = [np.zeros(WINDOW), rng.integers(-1, 2, WINDOW) / 32768, 1e-6 * rng.standard_normal(WINDOW)]
    tones = [0.9 * np.sin(2 * np.pi * f * t) for f in (220, 997, 1000, 3000)]
    return {
        "recordings": recordings,
        "offset 0.1": [x + np.float32(0.1) for x in recordings],
        "all in one": [np.concatenate(recordings)],
        "(nearly) silence": [x.astype(np.float32) for x in quiet],
        "pure tones": [x.astype(np.float32) for x in tones],
    }


def predicted(net, x):
    """What `acdref predict --scores` says of a recording with these samples."""
    from acdref.predict.scoring import mean_over_windows, score_recording

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        soundfile.write(path, x, RATE, subtype="FLOAT")
        return mean_over_windows(score_recording(net, path))


def runner(runtime, path):
    """Samples (1, n) to probabilities (classes,)."""
    if runtime == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda x: session.run(["probabilities"], {"waveform": x})[0][0]
    if runtime == "openvino":
        import openvino

        model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda x: model({"waveform": x})["probabilities"][0]
    from onnx.reference import ReferenceEvaluator

    model = ReferenceEvaluator(path)
    return lambda x: model.run(["probabilities"], {"waveform": x})[0][0]


def tags(run, x):
    windows = [x[start : start + WINDOW] for start in range(0, len(x), WINDOW)]
    return np.average([run(window[None]) for window in windows], axis=0, weights=list(map(len, windows)))


COLUMNS = {
    "runtime": "{runtime}",
    "form": "{form}",
    "sounds": "{sounds}",
    "number": "{number}",
    "median": "{median:.1e}",
    "most": "{most:.1e}",
    "tags changed": "{changed}",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, metavar="MANIFEST")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--only", type=turns.among(RUNTIMES), default=list(RUNTIMES))
    parser.add_argument("--json", type=Path, default=RESULTS / "onnx_clients.json")
    arguments = parser.parse_args()
    from acdref import checkpoint
    from acdref.nets.onnx import FORMS, export_onnx

    net, classes = shipped("numpy")
    thresholds = checkpoint.load_weights(None)[1]["thresholds"]
    given = sounds(arguments.corpus, arguments.clips)
    expected = {kind: [predicted(net, x) for x in several] for kind, several in given.items()}
    table = Table(COLUMNS, describe("acdref", "numpy", *RUNTIMES, "onnx"), corpus=arguments.corpus.name)
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMS:
            export_onnx(f"{folder}/{form}.onnx", net, classes, form)
        for runtime in arguments.only:
            for form in RUNTIMES[runtime]:
                try:
                    run = runner(runtime, f"{folder}/{form}.onnx")
                except ImportError:
                    print(f"{runtime} is not installed")
                    continue
                for kind in given if runtime != "onnx.reference" else ["recordings"]:
                    found = [tags(run, x) for x in given[kind]]
                    pairs = list(zip(found, expected[kind], strict=True))
                    off = [float(np.abs(f - e).max()) for f, e in pairs]
                    table.add(
                        runtime=runtime,
                        form=form,
                        sounds=kind,
                        number=len(off),
                        median=float(np.median(off)),
                        most=max(off),
                        changed=sum(int(((f >= thresholds) != (e >= thresholds)).sum()) for f, e in pairs),
                    )
                    table.write(arguments.json)


if __name__ == "__main__":
    main()
