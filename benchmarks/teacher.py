"""What `acdref teach` adds to the cost of the model: processor time of one core for a 10 s recording.

    python benchmarks/teacher.py [BUNDLE] [--rounds 7] [--json FILE]

Without a bundle, the audio graph of clap-htsat-unfused with random weights, the smallest of its family: 114
MB in a temporary folder, made with torch and transformers.  Each round scores all recordings.  `reading`
is decoding, averaging the channels and resampling; `share` is what all but the graph takes of the whole.
Medians over the rounds.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

for name in ("OPENBLAS", "OMP", "MKL"):  # before NumPy: as `acdref teach` does
    os.environ[f"{name}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
from machine import describe  # noqa: E402
from report import RESULTS, Table  # noqa: E402

from acdref import audio  # noqa: E402
from acdref.clap.frontends import HfFrontEnd  # noqa: E402
from acdref.clap.graphs import Graph  # noqa: E402
from acdref.clap.teacher import ClapTeacher  # noqa: E402

RECORDINGS = {  # name: rate, channels
    "speech.ogg": (16000, 1),
    "field.flac": (16000, 1),
    "phone.ogg": (48000, 1),
    "music.wav": (44100, 2),
}
COLUMNS = {
    "recording of 10 s": "{file}, {rate} Hz, {channels} ch.",
    "reading ms": "{reading:.1f}",
    "log-mel ms": "{front_end:.1f}",
    "graph ms": "{graph:.1f}",
    "share": "{share:.1%}",
}


def record(folder):
    """Write the recordings: noise whose level falls with frequency, as that of most sounds does."""
    rng = np.random.default_rng(20241121)
    for file, (rate, channels) in RECORDINGS.items():
        x = np.cumsum(rng.standard_normal((10 * rate, channels)), axis=0)
        x -= np.convolve(x.mean(axis=1), np.ones(400) / 400, "same")[:, None]
        soundfile.write(folder / file, 0.5 * x / np.abs(x).max(), rate)


def random_graph(path):
    """Write the audio graph of clap-htsat-unfused with random weights."""
    import torch
    import transformers

    sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
    from export_clap import HfAudio

    torch.manual_seed(0)
    torch.set_num_threads(1)
    small = {"num_hidden_layers": 1, "vocab_size": 300, "hidden_size": 16, "num_attention_heads": 1}
    config = transformers.ClapConfig(text_config=small)
    model = transformers.ClapModel._from_config(config, attn_implementation="eager").eval()
    x = torch.randn(1, 1, 1001, 64)
    names = {"input_names": ["input_features"], "output_names": ["audio_embeds"]}
    torch.onnx.export(HfAudio(model).eval(), (x,), str(path), opset_version=17, dynamo=False, **names)


def timed(call, *arguments):
    """What a call returns, and its processor time in ms."""
    start = time.process_time()
    result = call(*arguments)
    return result, 1000 * (time.process_time() - start)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", nargs="?", help="of the family hf")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=RESULTS / "teacher.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        record(folder)
        if arguments.bundle is None:
            random_graph(folder / "audio_model.onnx")
            front_end, graph = HfFrontEnd(), Graph(folder / "audio_model.onnx")
        else:
            teacher = ClapTeacher.open(arguments.bundle)
            front_end, graph = teacher.front_end, Graph(teacher.bundle.audio)
        times = {file: [] for file in RECORDINGS}
        for _ in range(arguments.rounds + 1):  # the first warms up
            for file, rows in times.items():
                x, reading = timed(audio.load, folder / file, front_end.rate)
                inputs, mel = timed(front_end.inputs, x)
                feed = {front_end.audio_input: inputs}
                _, run = timed(graph.run, [graph.output("audio_embeds")], feed)
                rows.append(
                    {
                        "reading": reading,
                        "front_end": mel,
                        "graph": run,
                        "share": 1 - run / (reading + mel + run),
                    }
                )
    table = Table(COLUMNS, describe("acdref", "numpy", "onnxruntime"), rounds=arguments.rounds)
    for file, rows in times.items():
        medians = {name: statistics.median(row[name] for row in rows[1:]) for name in rows[0]}
        rate, channels = RECORDINGS[file]
        table.add(file=file, rate=rate, channels=channels, **medians)
    table.write(arguments.json)


if __name__ == "__main__":
    main()
