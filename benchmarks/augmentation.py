"""Time the augmentation: each effect on 10 s of sound, whole sequences, and the step that learns from them.

    python benchmarks/augmentation.py [--draws 20] [--sequences 100]

Effects are drawn at full strength, `--draws` times each, on a synthetic scene.  Sequences are those that
training makes of 100 synthetic scenes, by name of the augmentation and length (as in the presets "cpu" and
"paper"), less what mixing costs, and decoding, which is done once.  The training step is ACDnet's on eight
sequences; its time is that of one.  All runs on one core, as in a worker process of the training.  Means,
medians and maxima in milliseconds of processor time: on a busy machine the time of the day says nothing.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
from machine import describe
from report import RESULTS, Table

from acdref.augment import AUGMENTATIONS, Augmentation, algorithm, codecs, recode
from acdref.data import Clips, Sequences, read_manifest
from acdref.features.compressed import features
from acdref.losses import bce
from acdref.nets import ACDNET_2024, ACDNet
from acdref.ops.memory import keep_freed_memory
from acdref.ops.threads import set_threads
from acdref.optim import AdamW
from acdref.synth import scene, write_dataset

BATCH = 8
COLUMNS = {"10 s of sound": "{what}", "mean ms": "{mean:.1f}", "median": "{median:.1f}", "most": "{most:.1f}"}
LENGTHS = {4.0: "repeat", 10.0: "concatenate"}  # seconds -> how they are filled, as in the two presets
STRENGTHS = {"equaliser": 3.0, "speed": 0.1, "level": (-45.0, -10.0)}  # the rest are probabilities


def effects():
    """Name -> function of (sound, generator)."""
    found = {}
    for name in algorithm.EFFECTS:
        augmentation = Augmentation(**{name: STRENGTHS.get(name, 1.0)})
        if name == "codec":
            for codec in codecs.available():
                found[f"codec: {codec}"] = lambda x, rng, codec=codec: recode(x, codec, rng.random())
        else:
            found[name] = lambda x, rng, a=augmentation: a.mixture(a.source(x, rng), rng)
    return found


def milliseconds(function, count):
    """Processor time of each call of ``function(i)``; the first, which also imports, does not count."""
    function(count)
    times = []
    for i in range(count):
        started = time.process_time()
        function(i)
        times.append(1000 * (time.process_time() - started))
    return {"mean": statistics.mean(times), "median": statistics.median(times), "most": max(times)}


def sequences(folder, count):
    """Name of the augmentation and length -> times of a sequence, mixing taken off."""
    write_dataset(folder, 100, seed=0)
    manifest = read_manifest(folder / "manifest.csv")
    clips, result = Clips(), {}
    for path in map(manifest.file, range(len(manifest))):  # decoded once, and kept
        clips.segment(path, lambda n: (0, n))
    for seconds, fill in LENGTHS.items():
        common = {"clips": clips, "seconds": seconds, "fill": fill}
        plain = Sequences(manifest, 0, augment=Augmentation(), **common)
        rest = milliseconds(lambda i, plain=plain: plain.sample(0, i), count)
        result[f"mixing, {seconds:g} s"] = rest
        for name, augmentation in AUGMENTATIONS.items():
            varied = Sequences(manifest, 0, augment=augmentation, **common)
            times = milliseconds(lambda i, varied=varied: varied.sample(0, i), count)
            row = {key: times[key] - rest["mean"] for key in times}
            result[f"augmentation: {name}, {seconds:g} s"] = row
    x, y = plain.sample(0, 0)
    result["features"] = milliseconds(lambda i: features(x), count)
    result["training step"] = training_step(np.stack([features(x)] * BATCH), np.stack([y] * BATCH))
    return result


def training_step(x, y, count=3):
    """Times of a step on a batch, for each of its sequences."""
    net = ACDNet(ACDNET_2024, 0)
    optimiser = AdamW(net.params, 1e-4)

    def step(_):
        logits, tape = net.forward(x, train=True)
        optimiser.step(net.backward(tape, bce(y, logits)[1]))

    return {name: value / len(x) for name, value in milliseconds(step, count).items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--json", type=Path, default=RESULTS / "augmentation.json")
    arguments = parser.parse_args()
    set_threads(1)
    keep_freed_memory()
    x = scene(np.random.default_rng(0), seconds=10.0)[0].astype(np.float32)
    times = {
        name: milliseconds(lambda i, effect=effect: effect(x, np.random.default_rng(i)), arguments.draws)
        for name, effect in effects().items()
    }
    with tempfile.TemporaryDirectory() as temporary:
        times |= sequences(Path(temporary), arguments.sequences)
    packages = ("acdref", "numpy", "soundfile")
    table = Table(COLUMNS, describe(*packages), draws=arguments.draws, sequences=arguments.sequences)
    for what, row in times.items():
        table.add(what=what, **row)
    table.write(arguments.json)


if __name__ == "__main__":
    main()
