"""What a constant offset does to tags: false tags a recording, with and without what takes it away.

    python benchmarks/offset.py CORPUS [--fold 4] [--recordings 100] [--json FILE]

takes recordings of a fold of CORPUS (a manifest with folds, or its folder), adds an offset to their
samples, as cheap sound cards do, and tags them with the shipped weights, up to 10 s of each.  A tag is a
class from its threshold on, and false if the manifest says that it is absent.  Each offset is tried at
16 kHz and at 44.1 kHz (the same samples, resampled), where the edges of a recording would be steps.  "before"
is without the rule: windows as they are, and resampling as if there were nothing but zeros around a
recording.  "changed" counts the tags that differ from those without offset, "most" is the largest change of a
probability.

The shipped weights have not been trained on fold 4.
"""

import argparse
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table

from acdref.audio import load, resample
from acdref.audio.decode import blocks_of
from acdref.checkpoint import load_weights
from acdref.data import open_dataset
from acdref.features.front_ends import front_end
from acdref.files import resource
from acdref.predict.scoring import WINDOW, score_samples

OFFSETS = (0.0, 0.003, -0.003, 0.01, -0.01, 0.03, -0.03, 0.1, -0.1)
RATES = (16000, 44100)
COLUMNS = {
    "offset": "{offset:+g}",
    "Hz": "{rate}",
    "false tags, before": "{false_before:.2f}",
    "false tags": "{false:.2f}",
    "right tags, before": "{right_before:.2f}",
    "right tags": "{right:.2f}",
    "changed, before": "{changed_before}",
    "changed": "{changed}",
    "most, before": "{most_before:.3f}",
    "most": "{most:.5f}",
}


def after(net, x, rate):
    """Probabilities of a window, as everything in acdref has them."""
    (block,) = blocks_of(x, rate, front_end(net).rate, WINDOW)
    return score_samples(net, block.samples)


def before(net, x, rate):
    """The same with the offset as it comes."""
    front = front_end(net)
    x = resample(x, rate, front.rate)
    x = np.resize(x, max(len(x), round(WINDOW * front.rate)))
    return net.predict_proba(front.transform(x)[None])[0]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--fold", default="4", help="[%(default)s]")
    parser.add_argument("--recordings", type=int, default=100, help="how many, drawn at random [%(default)s]")
    parser.add_argument("--json", type=Path, default=RESULTS / "offset.json")
    given = parser.parse_args()
    net, meta = load_weights(resource("weights", "acdnet.npz"))
    manifest = given.corpus / "manifest.csv" if given.corpus.is_dir() else given.corpus
    recordings = open_dataset(manifest, None, meta["classes"]).where(fold=given.fold)
    chosen = np.random.default_rng(0).permutation(len(recordings))[: given.recordings]
    labels = recordings.labels[chosen]
    sounds = [load(recordings.file(i))[: round(WINDOW * 16000)] for i in chosen]
    machine = describe("acdref", "numpy", "numba", "soundfile")
    table = Table(COLUMNS, machine, recordings=len(chosen), fold=given.fold)
    for rate in RATES:
        at_rate = [resample(x, 16000, rate)[: round(WINDOW * rate)] for x in sounds]
        plain = {}
        for offset in OFFSETS:
            row = {"offset": offset, "rate": rate}
            for name, score in (("", after), ("_before", before)):
                p = np.array([score(net, x + np.float32(offset), rate) for x in at_rate])
                tags = p >= meta["thresholds"]
                plain.setdefault(name, (tags, p))
                row |= {
                    f"false{name}": float((tags & (labels == 0)).sum() / len(p)),
                    f"right{name}": float((tags & (labels == 1)).sum() / len(p)),
                    f"changed{name}": int((tags != plain[name][0]).sum()),
                    f"most{name}": float(np.abs(p - plain[name][1]).max()),
                }
            table.add(**row)
    table.write(given.json)


if __name__ == "__main__":
    main()
