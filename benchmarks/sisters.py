"""The shipped weights and what the first are exported as: how large each file is, and how good.

    python benchmarks/sisters.py MANIFEST [--root DIR] [--fold 4] [--without GLOB] [--weights NAME]...

scores the recordings of a fold (at 16 kHz) with every file: weights by acdref, models in onnxruntime.  Of all
but the first, how much more mAP it has, with a 95 % interval by source (of the difference on the same
recordings); of a model also its largest difference to the scores of the weights, and tags that it changes.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from machine import describe
from model_card import chooses_recordings, collections, held_out, name_of
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
    "more than the first": "{more:+.3f}",
    "95 % interval": "{low:+.3f} to {high:+.3f}",
    "F1": "{f1:.3f}",
    "largest difference": "{most:.4f}",
    "tags": "{tags}",
    "changed": "{changed}",
}


def quality(manifest, p):
    """mAP of all recordings, and of each collection."""
    whole = {"": np.ones(len(manifest), bool)}
    return {
        f"map_{name}".rstrip("_"): metrics.mean_average_precision(manifest.labels[own], p[own])
        for name, own in (whole | collections(manifest)).items()
    }


def gained(manifest, p, q):
    """How much more mAP q has than p, and the interval of that, of the same sources drawn anew."""

    def more(y, q, weight=None):
        of = metrics.mean_average_precision
        return of(y, q, weight) - of(y, p, weight)

    low, high = metrics.bootstrap_interval(more, manifest.labels, q, manifest.sources)
    return {"more": more(manifest.labels, q), "low": low, "high": high}


def of_file(path, called, manifest, p, least):
    """What is said of weights and models alike: size, quality, how many tags."""
    return {
        "file": called,
        "megabytes": path.stat().st_size / 1e6,
        "f1": metrics.mean_over_classes(metrics.f_score(manifest.labels, p, least)),
        "tags": int((p >= least).sum()),
        **quality(manifest, p),
    }


def exported(net, meta, manifest, p, name):
    """Rows of the models that weights with scores p are exported as."""
    least = np.array(meta["thresholds"])
    with tempfile.TemporaryDirectory() as folder:
        for precision in PRECISIONS:
            path = Path(folder) / f"{name}-{precision}.onnx"
            export_onnx(path, net, meta["classes"], True, precision=precision)
            run = runner("onnxruntime", str(path))
            sounds = (soundfile.read(manifest.file(i), dtype="float32")[0] for i in range(len(manifest)))
            q = np.array([tags(run, x) for x in sounds])
            yield (
                of_file(path, path.name, manifest, q, least)
                | gained(manifest, p, q)
                | {
                    "most": float(np.abs(q - p).max()),
                    "changed": int(((q >= least) != (p >= least)).sum()),
                }
            )


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
    first = None
    for name in given.weights or ["acdnet"]:
        file = Path(weights_file(name))
        net, meta = load_weights(file)
        manifest = held_out(given, meta["classes"])
        p = score_manifest(net, manifest)
        row = of_file(file, f"{name_of(name)}.npz", manifest, p, np.array(meta["thresholds"])) | {
            "parameters": sum(param.size for param in net.params.values()),
            "sha256": sha256(file),
        }
        table.add(**row if first is None else row | gained(manifest, first, p))
        if first is None:
            first = p
            for model in exported(net, meta, manifest, p, name_of(name)):
                table.add(**model)
    table.write(given.json)


if __name__ == "__main__":
    main()
