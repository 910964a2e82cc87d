"""Real recordings for the experiments, decoded once, and what is trained on them."""

from typing import NamedTuple

import numpy as np
from learning import network, scores, train
from sounds import level, mel

from acdref import metrics
from acdref.audio import decode
from acdref.data import clip_weights, open_dataset
from acdref.errors import AudioError
from acdref.features.compressed import SAMPLE_RATE
from acdref.labels import or_join

SECONDS = 3.0
LENGTH = round(SECONDS * SAMPLE_RATE)
FOLD = "4"
"""Whose recordings are measured on; all others are trained on."""
COMMON, ENOUGH = "mAP, common", 10
"""A measure of the classes that have so many positives at least: one of two positives is half the AP."""


class Recordings(NamedTuple):
    """Sounds, with the peak 1 or silent, their labels (N, C), paths, and the classes."""

    sounds: list
    y: np.ndarray
    paths: list
    classes: list


def recordings(place):
    """Those to train on, and those to measure on."""

    def make(corpus):
        manifest = open_dataset(corpus / "manifest.csv")
        sounds, rows = [], []
        for i in range(len(manifest)):
            try:
                x = decode.load(manifest.file(i), SAMPLE_RATE)
            except AudioError as error:
                print(f"left out: {error}", flush=True)
                continue
            sounds.append((x / max(np.abs(x).max(), 1e-9)).astype(np.float16))
            rows.append(i)
        ends = np.cumsum([len(x) for x in sounds])
        held = np.array([manifest.fold[i] == FOLD for i in rows])
        arrays = {"samples": np.concatenate(sounds), "ends": ends, "y": manifest.labels[rows], "held": held}
        paths = np.array([manifest.paths[i] for i in rows])
        return arrays | {"paths": paths, "classes": np.array(manifest.classes)}

    kept = place.kept("corpus", make, corpus=place.corpus)
    sounds = np.split(kept["samples"], kept["ends"][:-1])
    classes = kept["classes"].tolist()
    return tuple(
        Recordings(
            [sounds[i] for i in np.flatnonzero(part)], kept["y"][part], kept["paths"][part].tolist(), classes
        )
        for part in (~kept["held"], kept["held"])
    )


def taught(sounds, labels, given, seed, setting):
    """A network taught by excerpts of 3 s, one or two joined; the classes of `given` are drawn equally."""
    rng, ends = np.random.default_rng([seed, 5]), np.cumsum(clip_weights(given, "balanced"))

    def one():
        chosen = np.minimum(np.searchsorted(ends, rng.random(rng.integers(1, 3))), len(sounds) - 1)
        x = sum(_excerpt(sounds[i], rng) * np.float32(10 ** (rng.normal(0, 2) / 20)) for i in chosen)
        return mel(level(x, rng.uniform(-45, -10))), or_join(labels[chosen])

    def batch(step):
        made = [one() for _ in range(setting["batch"])]
        return np.stack([x for x, _ in made]), np.array([y for _, y in made])

    return train(network(labels.shape[1], seed), batch, setting["sequences"] // setting["batch"])


def _excerpt(x, rng):
    """3 s from anywhere; a shorter recording is repeated."""
    start = rng.integers(max(1, len(x) - LENGTH + 1))
    return level(np.resize(x[start : start + LENGTH], LENGTH))


def heard(net, sounds):
    """Probabilities of whole recordings, (N, C)."""
    return np.concatenate(
        [scores(net, mel(level(np.resize(x, max(len(x), LENGTH)), -26))[None]) for x in sounds]
    )


def quality(y, p):
    """mAP of all and of the common classes, and accuracy."""
    ap = metrics.average_precision(y, p)
    common = metrics.mean_over_classes(ap[(y == 1).sum(axis=0) >= ENOUGH])
    return {
        "mAP": metrics.mean_over_classes(ap),
        COMMON: common,
        "accuracy": metrics.mean_accuracy(y, p),
    }
