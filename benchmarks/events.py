"""How well `acdref predict --events` finds when sounds are heard: windows, hops, and how windows combine.

    python benchmarks/events.py CORPUS [--soundscapes 20] [--json FILE]

makes soundscapes of a minute, with excerpts of 1 to 10 s of the recordings of fold 4 of CORPUS (a manifest,
or its folder) over synthetic noise, and scores them with the shipped weights, which were not trained on
these recordings.  Each row is a way to make events of scores; at the thresholds of the weights, every moment
is judged, in steps of 0.1 s, and precision, recall and F-score are means over the classes.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table

from acdref.audio import load
from acdref.audio.decode import blocks_of
from acdref.checkpoint import load_weights
from acdref.data import open_dataset
from acdref.files import resource
from acdref.labels import cell_scores, detect_events
from acdref.predict.scoring import score_blocks
from acdref.synth.soundscapes import soundscape

RATE, SECONDS, STEP = 16000, 60.0, 0.1
WINDOWS = (10.0, 5.0, 3.0, 2.0)
HOPS = (1.0, 2.0, 5.0, 10.0)  # whole multiples of the first
RULES = ({}, {"hold": 0.6}, {"median": 3.0}, {"gap": 1.0})
COLUMNS = {
    "window": "{window:g}",
    "hop": "{hop:g}",
    "combined": "{combine}",
    "rules": "{rules}",
    "precision": "{precision:.3f}",
    "recall": "{recall:.3f}",
    "F": "{f:.3f}",
}


def source(recordings):
    """What :func:`soundscape` draws recordings by."""
    own = {name: [] for name in recordings.classes}
    for i, labels in enumerate(recordings.labels):
        for c in np.flatnonzero(labels == 1):
            own[recordings.classes[c]].append(recordings.file(i))
    return lambda name, rng, sr: load(own[name][int(rng.integers(len(own[name])))], sr)


def truth(events, classes):
    """Whether each class is heard at each moment, (T, C) bool."""
    moments = np.arange(STEP / 2, SECONDS, STEP)
    heard = np.zeros((len(moments), len(classes)), bool)
    for name, onset, offset in events:
        heard[(onset <= moments) & (moments < offset), classes.index(name)] = True
    return heard


def judged(found, wanted):
    """Precision, recall and F-score, means over the classes."""
    hits, said, there = (found & wanted).sum(0), found.sum(0), wanted.sum(0)
    f = 2 * hits / np.maximum(said + there, 1)
    return {
        "precision": float((hits / np.maximum(said, 1)).mean()),
        "recall": float((hits / np.maximum(there, 1)).mean()),
        "f": float(f.mean()),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--soundscapes", type=int, default=20, help="how many [%(default)s]")
    parser.add_argument("--json", type=Path, default=RESULTS / "events.json")
    given = parser.parse_args()
    net, meta = load_weights(resource("weights", "acdnet.npz"))
    classes = list(meta["classes"])
    manifest = given.corpus / "manifest.csv" if given.corpus.is_dir() else given.corpus
    draw = source(open_dataset(manifest, None, classes).where(fold="4"))
    made = [
        soundscape(np.random.default_rng(i), classes, draw, SECONDS, most=8, lengths=(1.0, 10.0))
        for i in range(given.soundscapes)
    ]
    wanted = np.concatenate([truth([tuple(event) for event in events], classes) for _, events in made])
    table = Table(COLUMNS, describe("acdref", "numpy", "numba"), soundscapes=given.soundscapes)
    for window in WINDOWS:
        scored = [list(score_blocks(net, blocks_of(x, RATE, RATE, window, HOPS[0]))) for x, _ in made]
        for hop, combine, rules in itertools.product(HOPS, ("mean", "max", "min"), RULES):
            if hop > window or (rules and (combine != "mean" or hop > 1)):
                continue
            found = []
            for windows in scored:
                windows = [w for w in windows if round(w.start % hop, 6) == 0]
                cells, borders = cell_scores(
                    [w.probabilities for w in windows], [(w.start, w.end) for w in windows], combine
                )
                events = detect_events(cells, borders, meta["thresholds"], **rules)
                found.append(truth([(classes[e.label], e.onset, e.offset) for e in events], classes))
            said = " ".join(f"{name} {value:g}" for name, value in rules.items()) or "-"
            row = {"window": window, "hop": hop, "combine": combine, "rules": said}
            table.add(**row, **judged(np.concatenate(found), wanted))
    table.write(given.json)


if __name__ == "__main__":
    main()
