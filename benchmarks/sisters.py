"""The shipped weights and what the first are exported as: how large each file is, and how good.

    python benchmarks/sisters.py MANIFEST [--root DIR] [--fold 4] [--without GLOB] [--weights NAME]...

scores the recordings of a fold (at 16 kHz) with every file: weights by acdref, models in onnxruntime.  Of a
model, beside its mAP, the largest difference to the scores of the weights, and the tags that it changes.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from machine import describe
from model_card import chooses_recordings, held_out, name_of
from onnx_clients import runner, tags
from report import RESULTS, Table

from acdref import metrics
from acdref.checkpoint import load_weights
from acdref.files import sha256, weights_file
from acdref.nets.onnx import export_onnx
from acdref.predict.scoring import score_manifest

PRECISIONS = ("float32", "float16", "int8")
COLUMNS = {
    "file": "{file}",
    "parameters": "{parameters:,}",
    "MB": "{megabytes:.2f}",
    "mAP": "{map:.3f}",
    "corpus": "{map_corpus:.3f}",
    "extra": "{map_extra:.3f}",
    "largest difference": "{most:.4f}",
    "tags": "{tags}",
    "changed": "{changed}",
}


def quality(manifest, p):
    """mAP of all recordings, and of each collection: the first folder of the paths."""
    found = {"map": metrics.mean_average_precision(manifest.labels, p)}
    collection = np.array([path.split("/")[0] for path in manifest.paths])
    for name in ("corpus", "extra"):
        own = collection == name
        if own.any():
            found[f"map_{name}"] = metrics.mean_average_precision(manifest.labels[own], p[own])
    return {key: float(value) for key, value in found.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chooses_recordings(parser)
    parser.add_argument("--weights", action="append", help="file or name [acdnet]")
    parser.add_argument("--json", type=Path, default=RESULTS / "sisters.json")
    given = parser.parse_args()
    table = Table(
        COLUMNS, describe("acdref", "numpy", "numba", "onnxruntime"), fold=given.fold, without=given.without
    )
    for k, name in enumerate(given.weights or ["acdnet"]):
        file = Path(weights_file(name))
        net, meta = load_weights(file)
        manifest = held_out(given, meta["classes"])
        p, least = score_manifest(net, manifest), np.array(meta["thresholds"])
        parameters = sum(param.size for param in net.params.values())

        def add(called, size, q, p=p, least=least, manifest=manifest, **row):
            tagged = q >= least
            if q is not p:
                row |= {"most": float(np.abs(q - p).max()), "changed": int((tagged != (p >= least)).sum())}
            table.add(
                file=called, megabytes=size / 1e6, **quality(manifest, q), tags=int(tagged.sum()), **row
            )
            table.write(given.json)

        add(f"{name_of(name)}.npz", file.stat().st_size, p, parameters=parameters, sha256=sha256(file))
        with tempfile.TemporaryDirectory() as folder:
            for precision in PRECISIONS if k == 0 else ():
                path = Path(folder) / f"{name_of(name)}-{precision}.onnx"
                export_onnx(path, net, meta["classes"], True, precision=precision)
                run = runner("onnxruntime", str(path))
                sounds = (soundfile.read(manifest.file(i), dtype="float32")[0] for i in range(len(manifest)))
                add(path.name, path.stat().st_size, np.array([tags(run, x) for x in sounds]))


if __name__ == "__main__":
    main()
