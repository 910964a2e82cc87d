"""What it would cost not to repeat short recordings: the network on one or two periods in place of 10 s.

    python benchmarks/repeated_sound.py CORPUS [--every 4] [--json FILE]

A recording shorter than 10 s is repeated up to 10 s, because the network was trained on that.  A repeated
sound is periodic, so most of the work is done several times; these do less of it:

edges       the network as it is, on so many periods and what its convolutions take away at the ends
weighted    the same; attention (its normalisation and its keys) and the mean over time count whole periods,
            the last position by its share
circular    so many periods, as whole frames of the last map, whose ends the convolutions see joined

for every such recording of a corpus (a folder, or every so many of its files), with the shipped weights.  The
table has the largest and the median difference of a probability from that of the repeated sound, how many
tags differ, and how much less processor time the network takes, on the NumPy road with one thread.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table

from acdref.audio import load
from acdref.checkpoint import load_weights
from acdref.errors import AudioError
from acdref.features.compressed import FRAME, HOP, features
from acdref.features.front_ends import without_offset
from acdref.files import resource
from acdref.matmul import matmul
from acdref.nets.layers import Attention, Conv, MaxPool, Mean
from acdref.ops.activation import sigmoid
from acdref.ops.norm import EPS
from acdref.ops.softmax import softmax_channels
from acdref.predict.scoring import WINDOW
from acdref.tables.walk import find_audio

RATE = 16000
COLUMNS = {
    "in place of 10 s": "{case}",
    "recordings": "{count}",
    "largest difference": "{largest:.4f}",
    "99 % below": "{most:.4f}",
    "median": "{median:.5f}",
    "tags that differ": "{tags:.2%}",
    "network faster": "{faster:.1f}",
}


def edges(net, x, periods):
    """Probabilities, and seconds of the network."""
    n = periods * len(x) + (net.config.min_frames - 1) * HOP
    return timed(net.predict_proba, features(np.resize(x, n))[None])


def circular(net, x, periods):
    """As :func:`edges`."""
    frames = 8 * max(1, round(periods * len(x) / (8 * HOP)))
    y = features(np.resize(x, (frames - 1) * HOP + FRAME))[None]  # (1, T, F, 2)

    def score(y):
        for layer in net.layers:
            if isinstance(layer, Conv) and layer.size[0] > 1:
                # At the end, so that pools lie where those of the repeated sound do.
                y = np.pad(y, ((0, 0), (0, 2 * layer.dilation[0]), (0, 0), (0, 0)), mode="wrap")
            y = layer.forward(net, y, False)[0]
        return sigmoid(y)

    return timed(score, y)


def weighted(net, x, periods):
    """As :func:`edges`."""
    n = periods * len(x)
    y = features(np.resize(x, n + (net.config.min_frames - 1) * HOP))[None]  # (1, T, F, 2)

    def score(y):
        step = HOP
        for layer in net.layers:
            weight = np.clip(n / step - np.arange(y.shape[1]), 0, 1)  # of each row
            if isinstance(layer, Attention):
                y = y + attended(net, layer, y[0], weight)
            elif isinstance(layer, Mean):
                y = np.average(y, axis=1, weights=weight).astype(np.float32)  # (1, F, C)
            else:
                y = layer.forward(net, y, False)[0]
            step *= layer.window[0] if isinstance(layer, MaxPool) else 1
        return sigmoid(y)

    return timed(score, y)


def attended(net, layer, y, weight):
    """Linear attention of a map (T, F, C) whose rows count by their weights."""
    params = {key.removeprefix(f"{layer.name}."): p for key, p in net.params.items() if layer.name in key}
    share = weight / (weight.sum() * y.shape[1] * y.shape[2])
    mean = np.einsum("tfc,t->", y, share)
    inverse = 1 / np.sqrt(np.einsum("tfc,tfc,t->", y - mean, y - mean, share) + EPS)
    z = (y - mean) * inverse * params["norm.gamma"] + params["norm.beta"]
    z = z.astype(np.float32).reshape(-1, y.shape[2])  # (T F, C)

    def projected(name, z):
        return matmul(z, params[f"{name}.weight"]) + params[f"{name}.bias"]

    q, k, v = (projected(name, z) for name in ("query", "key", "value"))  # (T F, D)
    k = np.exp(k - k.max(0)) * np.repeat(weight, y.shape[1])[:, None].astype(np.float32)
    context = matmul(np.ascontiguousarray((k / k.sum(0)).T), v)
    out = projected("out", matmul(softmax_channels(q), context))
    return out.reshape(y.shape)[None]  # (1, T, F, C)


def timed(score, y):
    """What the network says of a clip's features, and its processor time."""
    start = time.process_time()
    found = score(y)[0]
    return found, time.process_time() - start


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one of so many files [%(default)s]")
    parser.add_argument("--json", type=Path, default=RESULTS / "repeated_sound.json")
    given = parser.parse_args()
    net, meta = load_weights(resource("weights", "acdnet.npz"), backend="numpy")
    cases = [(way, periods) for way in (edges, weighted, circular) for periods in (1, 2)]
    found = {case: [] for case in (None, *cases)}
    spent = dict.fromkeys(found, 0.0)
    files = 0
    for path in list(find_audio(str(given.corpus), print))[:: given.every]:
        try:
            x = without_offset(load(path))
        except AudioError:
            continue
        files += 1
        if len(x) >= WINDOW * RATE:
            continue
        for case in found:
            if case is None or case[1] * len(x) + net.config.min_frames * HOP >= WINDOW * RATE:
                p, seconds = timed(net.predict_proba, features(np.resize(x, round(WINDOW * RATE)))[None])
            else:
                p, seconds = case[0](net, x, case[1])
            found[case].append(p)
            spent[case] += seconds
    expected = np.array(found[None])
    table = Table(COLUMNS, describe("acdref", "numpy", "soundfile"), files=files, every=given.every)
    for way, periods in cases:
        p = np.array(found[way, periods])
        off = np.abs(p - expected)
        table.add(
            case=f"{periods} period{'s' * (periods > 1)}, {way.__name__}",
            count=len(p),
            largest=float(off.max()),
            most=float(np.quantile(off, 0.99)),
            median=float(np.median(off)),
            tags=float(((p >= meta["thresholds"]) != (expected >= meta["thresholds"])).mean()),
            faster=spent[None] / spent[way, periods],
        )
    table.write(given.json)


if __name__ == "__main__":
    main()
