"""Race this checkout against another one: is anything slower than it was?

    git worktree add ../before COMMIT
    python benchmarks/against.py ../before [--rounds 15] [--only CASE,...] [--json FILE]

Cases: the network with Numba on one and two threads, a training step of eight clips, the network with NumPy,
the features of a clip; all of 10 s clips, with the shipped weights.  Both checkouts take turns, each in a
process of its own, with kernels from the cache.  A
row gives medians in ms, the median of the ratios this / other of all rounds, and its interval of at least
95 % (from order statistics, so of no assumed distribution).  Exit code 1 if an interval lies wholly above
the limit, 1.02.
"""

import argparse
import math
import os
import statistics
import sys
from pathlib import Path

import turns
from machine import describe
from networks import waveforms
from report import RESULTS, Table

LIMIT = 1.02  # of the ratio
TOLERANCE = 1e-3  # of the results, relative
OTHER = "ACDREF_OTHER_CHECKOUT"

CASES = {
    "inference with 1 thread": {"threads": 1, "backend": "numba", "call": "network"},
    "inference with 2 threads": {"threads": 2, "backend": "numba", "call": "network"},
    "training step of 8 clips": {"threads": 2, "backend": "numba", "call": "step"},
    "inference with NumPy": {"threads": 1, "backend": "numpy", "call": "network"},
    "features": {"threads": 1, "backend": "numpy", "call": "features"},
}


def checkout(path):
    """A contender: acdref as it is in a checkout, this one where `path` gives none."""

    def make(case):
        if path() is not None:
            sys.path[:] = [path(), *(p for p in sys.path if Path(p).resolve() != turns.ROOT)]
        return globals()[f"_{case['call']}"](case)

    return make


def _network(case):
    from acdref.features import features

    net = _shipped(case)
    x = features(waveforms(1))
    return (lambda: net.predict_proba(x)), lambda: net.predict_proba(x).ravel().tolist()


def _step(case):
    import numpy as np

    from acdref.features import features
    from acdref.losses import bce
    from acdref.ops.memory import keep_freed_memory
    from acdref.optim import AdamW

    keep_freed_memory()
    net = _shipped(case)
    optimiser = AdamW(net.params, 1e-4)
    x = features(waveforms(8))
    labels = (np.random.default_rng(1).random((8, 11)) < 0.2).astype(np.float32)

    def step():
        logits, tape = net.forward(x, train=True)
        loss, dlogits = bce(labels, logits)
        optimiser.step(net.backward(tape, dlogits))
        return loss

    return step, lambda: [step(), step()]


def _features(case):
    from acdref.features import features

    x = waveforms(1)[0]
    return (lambda: features(x)), lambda: features(x)[::50, ::16].ravel().tolist()


def _shipped(case):
    from acdref import checkpoint
    from acdref.ops.threads import set_threads

    set_threads(case["threads"])
    return checkpoint.load_weights(turns.ROOT / "weights" / "acdnet.npz", backend=case["backend"])[0]


CONTENDERS = {"this": checkout(lambda: None), "other": checkout(lambda: os.environ[OTHER])}


def interval(values, confidence=0.95):
    """Bounds of the median: the pair of order statistics that holds it with at least this probability."""
    values, n = sorted(values), len(values)
    below = 0.0
    for k in range(n // 2):
        below += math.comb(n, k) / 2**n  # the median lies below the (k + 1)th value
        if 2 * below > 1 - confidence:
            return values[max(k - 1, 0)], values[min(n - k, n - 1)]
    return values[0], values[-1]


COLUMNS = {
    "case": "{case}",
    "this ms": "{this:.1f}",
    "other ms": "{other:.1f}",
    "this / other": "{ratio:.3f}",
    "from": "{low:.3f}",
    "to": "{high:.3f}",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn, at least one call")
    parser.add_argument("--only", type=turns.among(CASES), default=list(CASES))
    parser.add_argument("--json", type=Path, default=RESULTS / "against.json")
    arguments = parser.parse_args()
    os.environ[OTHER] = str(arguments.other.resolve())
    table = Table(COLUMNS, describe("acdref", "numpy", "numba"), rounds=arguments.rounds, limit=LIMIT)
    slower = False
    for name in arguments.only:
        _race(name, 0, 0)  # compiles: code just compiled runs slower than the same code from the cache
        times = _race(name, arguments.rounds, arguments.seconds)
        ratios = [a / b for a, b in zip(times["this"], times["other"], strict=True)]
        low, high = interval(ratios)
        slower |= low > LIMIT
        medians = {key: 1e3 * statistics.median(value) for key, value in times.items()}
        table.add(case=name, ratio=statistics.median(ratios), low=low, high=high, ratios=ratios, **medians)
        table.write(arguments.json)
    return int(slower)


def _race(name, rounds, seconds):
    workers = turns.start(__file__, list(CONTENDERS), CASES[name]["threads"])
    try:
        ready = turns.prepare(workers, CASES[name], TOLERANCE)
        if len(ready) < len(CONTENDERS):
            sys.exit(f"{name}: the checkouts cannot be compared")
        return turns.race(ready, rounds, seconds, name)
    finally:
        turns.close(workers)


if __name__ == "__main__":
    turns.main(CONTENDERS, lambda: sys.exit(main()))
