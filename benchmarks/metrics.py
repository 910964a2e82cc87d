"""Time the metrics at AudioSet's scale against scikit-learn.

    python benchmarks/metrics.py [--clips 20000] [--classes 527] [--rounds 5] [--json metrics.json]

Each round starts one process per metric and library, in turns, and times one call after an untimed call on a
small problem.  The results of both libraries must agree to 1e-12.  Medians over the rounds, and their range.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


def problem(clips, classes, dtype):
    """Labels as rare as AudioSet's (2.5 per clip), and scores that know something about them."""
    rng = np.random.default_rng(0)
    prior = rng.pareto(1.0, classes)
    y = rng.random((clips, classes)) < np.clip(2.5 * prior / prior.sum(), 5 / clips, 0.5)
    logits = rng.normal(size=(clips, classes)) + 2.0 * y - 3.0
    return y.astype(dtype), (1 / (1 + np.exp(-logits))).astype(dtype)


def acdref_calls():
    sys.path.insert(0, str(ROOT))
    from acdref import metrics

    return {
        "average_precision": metrics.average_precision,
        "average_precision, weighted": lambda y, p: metrics.average_precision(y, p, _weights(y)),
        "roc_auc": metrics.roc_auc,
        "roc_auc, weighted": lambda y, p: metrics.roc_auc(y, p, _weights(y)),
        "accuracy": metrics.accuracy,
        "f_score": lambda y, p: metrics.f_score(y, p, undefined=0.0),
        "lwlrap": metrics.lwlrap,
    }


def sklearn_calls():
    from sklearn import metrics

    def columns(metric):
        return lambda y, p: [metric(y[:, c], p[:, c] > 0.5) for c in range(y.shape[1])]

    return {
        "average_precision": lambda y, p: metrics.average_precision_score(y, p, average=None),
        "average_precision, weighted": lambda y, p: metrics.average_precision_score(
            y, p, average=None, sample_weight=_weights(y)
        ),
        "roc_auc": lambda y, p: metrics.roc_auc_score(y, p, average=None),
        "roc_auc, weighted": lambda y, p: metrics.roc_auc_score(
            y, p, average=None, sample_weight=_weights(y)
        ),
        "accuracy": columns(metrics.accuracy_score),
        "f_score": lambda y, p: metrics.f1_score(y, p > 0.5, average=None, zero_division=0),
        "lwlrap": lambda y, p: metrics.label_ranking_average_precision_score(
            y, p, sample_weight=y.sum(axis=1)
        ),
    }


LIBRARIES = {"acdref": acdref_calls, "scikit-learn": sklearn_calls}


def _weights(y):
    return np.random.default_rng(1).random(len(y)) + 0.1


def measure(library, metric, clips, classes, dtype, result):
    """In a process of its own: seconds of one call, its value in a file."""
    warnings.simplefilter("ignore")
    call = LIBRARIES[library]()[metric]
    call(*problem(200, 20, dtype))
    y, p = problem(clips, classes, dtype)
    start = time.perf_counter()
    value = call(y, p)
    print(time.perf_counter() - start)
    np.save(result, np.asarray(value, dtype=np.float64))


def compare(metric, options, folder):
    """Seconds of each round by library, and the largest difference between their results."""
    seconds = {library: [] for library in LIBRARIES}
    values = {}
    for _ in range(options.rounds):
        for library in LIBRARIES:
            result = os.path.join(folder, f"{library}.npy")
            size = [str(options.clips), str(options.classes), options.dtype]
            command = [sys.executable, __file__, "--measure", library, metric, *size, result]
            seconds[library].append(float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
            values[library] = np.load(result, allow_pickle=False)
    return seconds, float(np.abs(values["acdref"] - values["scikit-learn"]).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=527)
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        library, metric, clips, classes, dtype, result = options.measure
        measure(library, metric, int(clips), int(classes), dtype, result)
        return

    rows = []
    print(f"{options.clips} clips x {options.classes} classes, {options.dtype}, {os.cpu_count()} cores")
    print(
        f"{'metric':28} {'acdref (range) s':>24} {'scikit-learn (range) s':>26} {'faster':>7} {'differ':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for metric in acdref_calls():
            seconds, difference = compare(metric, options, folder)
            median = {library: statistics.median(times) for library, times in seconds.items()}
            cells = [f"{median[k]:.3f} ({min(times):.3f}-{max(times):.3f})" for k, times in seconds.items()]
            ratio = median["scikit-learn"] / median["acdref"]
            print(f"{metric:28} {cells[0]:>24} {cells[1]:>26} {ratio:6.1f}x {difference:8.0e}", flush=True)
            assert difference <= 1e-12, f"{metric} differs from scikit-learn"
            rows.append({"metric": metric, "seconds": seconds, "ratio": ratio, "difference": difference})
    if options.json:
        versions = {"python": platform.python_version(), "numpy": np.__version__}
        settings = {"clips": options.clips, "classes": options.classes, "dtype": options.dtype}
        options.json.write_text(json.dumps({**settings, **versions, "results": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
