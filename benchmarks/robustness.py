"""How tags bear what happens to sound on its way: level, band, codecs, rooms, noise, cuts, other windows.

    python benchmarks/robustness.py MANIFEST [--root DIR] [--fold 4] [--without GLOB] [--weights FILE]...
                                    [--only GLOB]

scores the recordings of a fold (but of sources that match --without), each changed in one way at a time, and
prints a row for each condition and file of weights: mAP; F1 at the thresholds of the weights (0.5 where they
have none), mean over the classes; recall, and false tags a clip, over all classes.  MANIFEST has the columns
path, classes and fold.

"concatenated" are the same recordings in random order, one behind another in recordings of a minute, scored
in windows of several lengths; a window has the classes of which it holds half a second or more, or all there
is.  Sounds that nobody should tag follow: silence, noise and tones, clicks.  Codecs are libsndfile's, at the
quality that comes nearest to the bit rate stated.

Conditions that the JSON file has already, of the same weights and recordings, are not computed again.
"""

import argparse
import fnmatch
import hashlib
import json
from pathlib import Path

import numpy as np
from machine import describe
from model_card import chooses_recordings, held_out, name_of
from report import RESULTS, Table
from short_sounds import CLICKS, click

from acdref import metrics
from acdref.audio import load
from acdref.audio.decode import blocks_of
from acdref.augment import hard_clip, recode, reverberate, room_response
from acdref.checkpoint import load_weights
from acdref.files import sha256, weights_file
from acdref.predict.scoring import WINDOW, mean_over_windows, score_blocks

RATE = 16000
MINUTE, HEARD = 60, 0.5  # seconds
COLUMNS = {
    "weights": "{weights}",
    "condition": "{condition}",
    "clips": "{clips}",
    "mAP": "{mAP:.3f}",
    "F1": "{F1:.3f}",
    "recall": "{recall:.3f}",
    "false tags a clip": "{false:.3f}",
}


def _gain(decibels):
    return lambda x, rng: x * np.float32(10 ** (decibels / 20))


def _low_pass(hertz):
    """Nothing from `hertz` on."""

    def change(x, rng):
        spectrum = np.fft.rfft(x)
        spectrum[np.fft.rfftfreq(len(x), 1 / RATE) >= hertz] = 0
        return np.fft.irfft(spectrum, len(x))

    return change


def _noise(ratio):
    """White noise, so many dB below the sound."""

    def change(x, rng):
        power = np.mean(np.square(x, dtype=np.float64)) * 10 ** (-ratio / 10)
        return x + np.sqrt(power) * rng.standard_normal(len(x))

    return change


def _cut(seconds):
    """The loudest piece of that length."""

    def change(x, rng):
        n = min(len(x), round(seconds * RATE))
        energy = np.cumsum(np.append(0.0, np.square(x, dtype=np.float64)))
        start = int(np.argmax(energy[n:] - energy[: len(x) - n + 1]))
        return x[start : start + n]

    return change


CHANGES = {
    "as it is": lambda x, rng: x,
    "gain -40 dB": _gain(-40),
    "gain -20 dB": _gain(-20),
    "gain +20 dB": _gain(20),
    "offset 0.1": lambda x, rng: x + np.float32(0.1),
    "low-pass 4 kHz": _low_pass(4000),
    "low-pass 2 kHz": _low_pass(2000),
    "MP3, 64 kbit/s": lambda x, rng: recode(x, "mp3", 1.0),
    "Opus, 24 kbit/s": lambda x, rng: recode(x, "opus", 0.072),
    "reverberation 0.6 s": lambda x, rng: reverberate(x, room_response(rng, 0.6, 0.0)),
    "clipping 12 dB": lambda x, rng: hard_clip(x, 12),
    "noise 20 dB below": _noise(20),
    "noise 10 dB below": _noise(10),
    "shifted by 0.37 s": lambda x, rng: np.roll(x, round(0.37 * RATE)),
    "cut to 2 s": _cut(2.0),
    "cut to 0.5 s": _cut(0.5),
    "cut to 0.1 s": _cut(0.1),
}
"""The 8 kHz of a low-pass are the whole band at 16 kHz."""

WINDOWS = (2.1, 4.0, 10.0)  # seconds


def silent_sounds():
    """Name -> sounds without any class."""
    rng, n = np.random.default_rng(1), round(WINDOW * RATE)
    t = np.arange(n) / RATE
    brown = np.cumsum(rng.standard_normal((4, n)), axis=1)
    brown -= np.linspace(0, 1, n) * brown[:, -1:]
    white = rng.standard_normal((6, n))
    tones = [a * np.sin(2 * np.pi * f * t) for a in (0.01, 0.5) for f in (60, 220, 440, 1000, 3000, 6000)]
    return {
        "silence": [np.zeros(n), *(a * white[i] for i, a in enumerate((1e-5, 1e-4)))],
        "noise": [
            *(a * white[2 + i] for i, a in enumerate((0.003, 0.1))),
            *(0.1 * b / np.abs(b).max() for b in brown),
        ],
        "tones": tones,
        "clicks of 84 ms": [click(k % 4, rng) for k in range(CLICKS)],
    }


def probabilities(net, x, window=WINDOW):
    """Of a recording, as `acdref predict --scores` has them."""
    return mean_over_windows(score_blocks(net, blocks_of(np.asarray(x, np.float32), RATE, RATE, window)))


def concatenated(sounds, labels, window):
    """Windows (n,) of recordings of a minute, and the classes that are to be heard in each."""
    order = np.random.default_rng(2).permutation(len(sounds))
    line = np.concatenate([sounds[i] for i in order])
    edges = np.cumsum([0, *(len(sounds[i]) for i in order)])
    for minute in range(0, len(line), MINUTE * RATE):
        piece = line[minute : minute + MINUTE * RATE]
        for block in blocks_of(piece, RATE, RATE, window):
            start = minute + round(block.start * RATE)
            stop = minute + round(block.end * RATE)
            heard = np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start)
            enough = heard >= np.minimum(HEARD * RATE, np.diff(edges))
            yield block, labels[order[enough]].max(axis=0, initial=0)


def measured(y, p, thresholds):
    """A row's measures."""
    tags = p >= thresholds
    right, false = (tags & (y == 1)).sum(), (tags & (y == 0)).sum()
    some = (y == 1).any(axis=0)
    return {
        "clips": len(y),
        "mAP": metrics.mean_average_precision(y, p) if some.any() else None,
        "F1": metrics.mean_over_classes(metrics.f_score(y, tags.astype(float))[some]) if some.any() else None,
        "recall": float(right / (y == 1).sum()) if some.any() else None,
        "false": float(false / len(y)),
    }


class Conditions:
    """All conditions by name, for one set of recordings."""

    def __init__(self, sounds, labels):
        self.sounds, self.labels = sounds, labels

    def names(self):
        return [
            *CHANGES,
            *(f"concatenated, windows of {w:g} s" for w in WINDOWS),
            *silent_sounds(),
        ]

    def scored(self, net, name):
        """Labels and probabilities."""
        if name in CHANGES:
            found = []
            for i, x in enumerate(self.sounds):
                rng = np.random.default_rng((3, i))
                found.append(probabilities(net, CHANGES[name](x, rng)))
            return self.labels, np.array(found)
        if name.startswith("concatenated"):
            window = next(w for w in WINDOWS if name.endswith(f" {w:g} s"))
            pairs = [
                (next(iter(score_blocks(net, [block]))).probabilities, y)
                for block, y in concatenated(self.sounds, self.labels, window)
            ]
            p, y = zip(*pairs, strict=True)
            return np.array(y), np.array(p)
        sounds = silent_sounds()[name]
        return np.zeros((len(sounds), self.labels.shape[1])), np.array(
            [probabilities(net, x) for x in sounds]
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chooses_recordings(parser)
    parser.add_argument("--weights", action="append", help="file or name [acdnet]")
    parser.add_argument("--only", default="*", help="conditions whose name matches")
    parser.add_argument("--json", type=Path, default=RESULTS / "robustness.json")
    given = parser.parse_args()
    files = [weights_file(name) for name in given.weights or ["acdnet"]]
    net, meta = load_weights(files[0])
    recordings = held_out(given, meta["classes"])
    sounds = [load(recordings.file(i)) for i in range(len(recordings))]
    conditions = Conditions(sounds, recordings.labels)
    digest = hashlib.sha256("\n".join(recordings.paths).encode()).hexdigest()
    before = json.loads(given.json.read_text()) if given.json.exists() else {}
    done = before.get("rows", []) if before.get("recordings") == digest else []
    table = Table(
        COLUMNS, describe("acdref", "numpy", "numba", "soundfile"), fold=given.fold, recordings=digest
    )
    for file in files:
        net, meta = load_weights(file)
        own = sha256(file)
        for name in conditions.names():
            row = next((r for r in done if (r["condition"], r["sha256"]) == (name, own)), None)
            if row is None and not fnmatch.fnmatch(name, given.only):
                continue
            if row is None:
                row = measured(*conditions.scored(net, name), np.array(meta["thresholds"])) | {
                    "sha256": own,
                    "condition": name,
                }
            table.add(**row | {"weights": name_of(file)})
            table.write(given.json)


if __name__ == "__main__":
    main()
