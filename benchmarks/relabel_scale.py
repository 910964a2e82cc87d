"""Time PEL + PE-CML + teacher correction at AudioSet's scale against straightforward versions.

    python benchmarks/relabel_scale.py [--clips 2000000] [--ontology ontology.json
                                        --vocabulary class_labels_indices.csv] [--json relabel_scale.json]

Made-up clips, 2.5 labels each on average, drawn from the vocabulary's classes with AudioSet-like (Pareto)
frequencies; made-up scores, mostly high for the labels and low elsewhere. Without --ontology: a random graph
of 632 nodes. Clips and scores are generated a few at a time, not kept, and not timed. Each road runs in a
process of its own, on one thread; the straightforward ones do some of the same clips, and their time is
scaled by the clip. All must give the same labels on these.

acdref    the functions of acdref.labels on 256 clips at a time
pandas    a Series of labels for each clip, ancestors and descendants found by walking the graph, the
          correction by comparisons of Series
loops     sets and dicts of plain Python, ancestors and descendants looked up in sets made once
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from acdref.labels import Ontology, correct_labels  # noqa: E402

CHUNK = 256
T = 0.05


def load(options):
    """The ontology, and the columns of the vocabulary."""
    if options.ontology:
        ontology = Ontology.from_json(options.ontology)
        if not options.vocabulary:
            return ontology, np.arange(min(527, len(ontology)))
        from acdref.tables.columns import read_vocabulary

        return ontology, ontology.columns(id for id, _ in read_vocabulary(options.vocabulary))
    rng = np.random.default_rng(0)
    below = [[] for _ in range(632)]
    for node in range(7, 632):  # seven roots, mostly one parent, sometimes two
        for parent in set(rng.integers(0, max(node // 4, 7), size=1 + (rng.random() < 0.06))):
            below[parent].append(node)
    nodes = [
        {"id": f"/m/{i}", "name": f"class {i}", "child_ids": [f"/m/{c}" for c in children]}
        for i, children in enumerate(below)
    ]
    return Ontology(nodes), np.sort(rng.permutation(632)[:527])


def problem(clips, ontology, vocabulary, seed=0):
    """(rows, columns of the ontology, scores) of 256 clips at a time: labels as pairs, scores (n, V) float32.

    The scores come from a pool of low ones, in which every chunk takes another part; those of the labels and
    of what stands above them are mostly high.
    """
    rng = np.random.default_rng(seed)
    pool = rng.beta(0.3, 4.0, size=(64 * CHUNK, len(vocabulary))).astype(np.float32)
    prior = rng.permutation(rng.pareto(1.0, len(vocabulary)) + 0.05)
    prior /= prior.sum()
    above = ontology.closure[:, vocabulary]
    for start in range(0, clips, CHUNK):
        n = min(CHUNK, clips - start)
        counts = 1 + rng.poisson(1.5, n)
        rows = np.repeat(np.arange(n), counts)
        columns = vocabulary[rng.choice(len(vocabulary), size=len(rows), p=prior)]
        first = rng.integers(len(pool) - n)
        scores = pool[first : first + n].copy()
        label, column = np.nonzero(above[columns])
        scores[rows[label], column] = rng.beta(2.0, 0.7, size=len(label))
        yield rows, columns, scores


class Acdref:
    def __init__(self, ontology, vocabulary):
        self.ontology, self.vocabulary = ontology, vocabulary

    def __call__(self, rows, columns, scores):
        y = np.zeros((len(scores), len(self.ontology)))
        y[rows, columns] = 1.0
        y = self.ontology.children_mask(y)[:, self.vocabulary]
        return correct_labels(y, scores, T=T, fp=True)


class Pandas:
    def __init__(self, ontology, vocabulary):
        import pandas as pd

        self.pd, self.vocabulary, self.children = pd, vocabulary, ontology.children
        self.n = len(ontology)
        self.parents = [[] for _ in range(self.n)]
        for parent, below in enumerate(ontology.children):
            for child in below:
                self.parents[child].append(parent)

    def __call__(self, rows, columns, scores):
        groups = self.pd.Series(columns).groupby(rows)
        return np.stack(
            [self.clip(set(group), self.pd.Series(scores[row].astype(float))) for row, group in groups]
        )

    def clip(self, original, p):
        y = self.pd.Series(0.0, index=range(self.n))
        for label in original:
            y[[label, *walk(label, self.parents)]] = 1.0
        for label in original:
            below = walk(label, self.children)
            if not below & original:
                y[list(below)] = np.nan
        y = y.iloc[self.vocabulary].reset_index(drop=True)
        corrected = y.copy()
        corrected[(y == 0) & (p > 1 - T)] = 1.0
        corrected[(y == 0) & (p > 0.5) & (p <= 1 - T)] = np.nan
        corrected[(y == 1) & (p < T)] = 0.0
        corrected[(y == 1) & (p >= T) & (p < 0.5)] = np.nan
        return corrected.to_numpy()


def walk(label, links):
    """Everything that the links lead to from a label."""
    found, waiting = set(), [label]
    while waiting:
        for other in links[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


class Loops:
    def __init__(self, ontology, vocabulary):
        self.vocabulary = vocabulary.tolist()
        closure = ontology.closure & ~np.eye(len(ontology), dtype=bool)
        self.above = [set(np.flatnonzero(row).tolist()) for row in closure]
        self.below = [set(np.flatnonzero(row).tolist()) for row in closure.T]

    def __call__(self, rows, columns, scores):
        clips = [set() for _ in scores]
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            clips[row].add(column)
        rows = scores.astype(float).tolist()
        return np.array([self.clip(*pair) for pair in zip(clips, rows, strict=True)])

    def clip(self, original, p):
        expanded = original.union(*(self.above[label] for label in original))
        masked = set().union(*(self.below[label] for label in original if not self.below[label] & original))
        return [self.correct(c, expanded, masked, score) for c, score in zip(self.vocabulary, p, strict=True)]

    def correct(self, c, expanded, masked, score):
        if c in masked:
            return float("nan")
        if c in expanded:
            return 1.0 if score >= 0.5 else (float("nan") if score >= T else 0.0)
        return 0.0 if score <= 0.5 else (float("nan") if score <= 1 - T else 1.0)


ROADS = {"acdref": Acdref, "pandas": Pandas, "loops": Loops}


def measure(road, clips, options):
    """In a process of its own: seconds, peak memory and a digest of the labels, as JSON on stdout."""
    ontology, vocabulary = load(options)
    call = ROADS[road](ontology, vocabulary)
    call(*next(problem(CHUNK, ontology, vocabulary, seed=1)))  # tables that are made once
    seconds = processor = 0.0
    kept, ones, unknown = [], 0, 0
    for i, chunk in enumerate(problem(clips, ontology, vocabulary)):
        start, cpu = time.perf_counter(), time.process_time()
        y = call(*chunk)
        seconds += time.perf_counter() - start
        processor += time.process_time() - cpu
        ones += np.count_nonzero(y == 1)
        unknown += np.count_nonzero(np.isnan(y))
        if i * CHUNK < options.sample:  # what all roads do
            kept.append(np.nan_to_num(y, nan=2).astype(np.uint8))
    sample = np.concatenate(kept)[: options.sample]
    digest = hashlib.sha256(sample.tobytes()).hexdigest()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        json.dumps(
            {
                "road": road,
                "clips": clips,
                "seconds": seconds,
                "processor_seconds": processor,
                "us_per_clip": 1e6 * processor / clips,
                "peak_bytes": peak,
                "labels_per_clip": ones / clips,
                "unknown_per_clip": unknown / clips,
                "digest": digest,
            }
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2_000_000)
    parser.add_argument("--sample", type=int, default=4096, help="clips for the straightforward versions")
    parser.add_argument("--ontology", type=Path)
    parser.add_argument("--vocabulary", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", choices=ROADS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.clips, options)
        return
    paths = [
        f"--{name}={getattr(options, name)}" for name in ("ontology", "vocabulary") if getattr(options, name)
    ]
    results = []
    print(f"{'':8} {'clips':>9} {'seconds':>9} {'cpu s':>8} {'us/clip':>9} {'peak MB':>8} {'slower':>8}")
    for road in ROADS:
        clips = options.clips if road == "acdref" else min(options.sample, options.clips)
        command = [
            sys.executable,
            __file__,
            f"--measure={road}",
            f"--clips={clips}",
            f"--sample={options.sample}",
        ]
        result = json.loads(subprocess.run([*command, *paths], check=True, stdout=subprocess.PIPE).stdout)
        result["slower"] = result["us_per_clip"] / (results[0] if results else result)["us_per_clip"]
        results.append(result)
        print(
            f"{road:8} {clips:9} {result['seconds']:9.2f} {result['processor_seconds']:8.2f} "
            f"{result['us_per_clip']:9.2f} {result['peak_bytes'] / 1e6:8.0f} {result['slower']:7.1f}x",
            flush=True,
        )
    assert len({result["digest"] for result in results}) == 1, "the roads do not give the same labels"
    first = results[0]
    print(f"{first['labels_per_clip']:.3f} labels and {first['unknown_per_clip']:.3f} unknown per clip")
    if options.json:
        versions = {"python": platform.python_version(), "numpy": np.__version__, "cores": os.cpu_count()}
        options.json.write_text(json.dumps({**versions, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
