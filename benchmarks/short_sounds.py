"""Tags of sounds that are too short to know, below 0.3 s: how many get one, and how many are false.

    python benchmarks/short_sounds.py CORPUS [--snippets 200] [--json FILE]

cuts a piece of 20 to 299 ms, at a random place, out of each of so many recordings of fold 4 of CORPUS (a
manifest, or its folder), which the shipped weights were not trained on, makes clicks of 84 ms (bursts of
noise, ringing, single pulses), and tags both with them.  A row for each bar (0: the thresholds of the
weights, which none is below): the share of sounds that get a tag at it, and how many right and false ones a
sound gets; a click has no class.  For comparison, the same recordings whole, at the thresholds.
"""

import argparse
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table

from acdref.audio import load
from acdref.checkpoint import load_weights
from acdref.data import open_dataset
from acdref.errors import AudioError
from acdref.files import resource
from acdref.predict.scoring import SHORT_THRESHOLD, WINDOW, score_samples

RATE = 16000
BARS = (0, 0.5, 0.8, 0.9, 0.95, 0.98, SHORT_THRESHOLD)
CLICKS, CLICK_SECONDS = 60, 0.084
COLUMNS = {
    "sounds": "{sounds}",
    "how many": "{count}",
    "bar": "{bar:g}",
    "with a tag": "{tagged:.1%}",
    "right tags": "{right:.3f}",
    "false tags": "{false:.3f}",
}


def snippet(x, rng):
    """A piece of a recording; None of one that is shorter."""
    n = round(rng.uniform(0.02, 0.299) * RATE)
    if len(x) < n:
        return None
    start = rng.integers(len(x) - n + 1)
    return x[start : start + n]


def click(kind, rng):
    """Noise that dies away, a resonance that does, one sample, or a swell of noise; above a little noise."""
    n = round(CLICK_SECONDS * RATE)
    t = np.arange(n) / RATE
    sounds = [
        np.exp(-t * rng.uniform(50, 2000)) * rng.standard_normal(n),
        np.exp(-t * rng.uniform(50, 500)) * np.sin(2 * np.pi * rng.uniform(300, 5000) * t),
        np.eye(1, n, int(rng.integers(n)))[0],
        np.hanning(n) * rng.standard_normal(n),
    ]
    return (rng.uniform(0.05, 0.9) * sounds[kind] + 1e-4 * rng.standard_normal(n)).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--snippets", type=int, default=200, help="how many [%(default)s]")
    parser.add_argument("--json", type=Path, default=RESULTS / "short_sounds.json")
    given = parser.parse_args()
    net, meta = load_weights(resource("weights", "acdnet.npz"))
    manifest = given.corpus / "manifest.csv" if given.corpus.is_dir() else given.corpus
    recordings = open_dataset(manifest, None, meta["classes"]).where(fold="4")
    rng = np.random.default_rng(0)
    whole, snippets, labels = [], [], []
    for i in rng.permutation(len(recordings)):
        try:
            x = load(recordings.file(i))[: round(WINDOW * RATE)]
        except AudioError as error:
            print(f"left out: {error}", flush=True)
            continue
        piece = snippet(x, rng)
        if piece is not None and len(snippets) < given.snippets:
            whole.append(x)
            snippets.append(piece)
            labels.append(recordings.labels[i])
        if len(snippets) == given.snippets:
            break
    clicks = [click(k % 4, rng) for k in range(CLICKS)]
    table = Table(COLUMNS, describe("acdref", "numpy", "numba", "soundfile"))
    none = np.zeros((CLICKS, len(meta["classes"])))
    sets = [
        ("snippets below 0.3 s", snippets, labels, BARS),
        ("clicks of 84 ms", clicks, none, BARS),
        ("the same recordings, whole", whole, labels, BARS[:1]),
    ]
    for name, sounds, y, bars in sets:
        p, y = np.array([score_samples(net, x) for x in sounds]), np.array(y)
        for bar in bars:
            tags = p >= np.maximum(meta["thresholds"], bar)
            table.add(
                sounds=name,
                count=len(sounds),
                bar=bar,
                tagged=float(tags.any(axis=1).mean()),
                right=float((tags & (y == 1)).sum() / len(y)),
                false=float((tags & (y == 0)).sum() / len(y)),
            )
    table.write(given.json)


if __name__ == "__main__":
    main()
