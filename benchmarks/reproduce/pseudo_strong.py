"""Dinkel et al.: an annotator's labels of short windows beat those of long ones, and these beat weak labels.

python benchmarks/reproduce/pseudo_strong.py [--jobs 2]
"""

import numpy as np
from effect import Claim, Effect, main
from learning import drawn, network, scores, train, with_classes
from sounds import mel, mels

from acdref import metrics
from acdref.evaluate import measures
from acdref.labels import label_counts
from acdref.losses import softmax_cross_entropy
from acdref.metrics import paired
from acdref.synth import sound, soundscape

SETTING = {
    "annotators": 500,
    "students": 40,
    "tests": 400,
    "missing": 0.4,
    "annotator_steps": 1000,
    "steps": 400,
    "transfer": 12,
    "transfer_tests": 60,
    "transfer_steps": 200,
}
QUICK = {"annotators": 16, "students": 8, "tests": 16, "annotator_steps": 3, "steps": 2, "transfer": 2}
QUICK |= {"transfer_tests": 3, "transfer_steps": 2}
CLASSES = ("voice", "dog", "cat", "alarm", "gunshot", "clapping")
OTHERS = ("music", "machinery", "nature", "urban", "windnoise")
"""Classes that are transferred to."""
FRAMES = 310
WINDOWS = {10: 310, 5: 155, 2: 62}
"""Seconds of a window -> its frames."""
HEARD = 930
"""Frames of a batch: as much sound in each, whatever the windows."""
RELEASED = 5
"""The released code takes as many steps a window, so five times as many with 2 s as with 10."""


def _soundscapes(place, count, key):
    def make(count, key):
        x, y = [], np.zeros((count, len(CLASSES)))
        for i in range(count):
            rng = np.random.default_rng([*key, i])
            audio, events = soundscape(rng, CLASSES, most=5, lengths=(0.8, 4.0), snr=(5.0, 25.0))
            x.append(mel(audio)[:FRAMES])
            y[i, [CLASSES.index(event.name) for event in events]] = 1
        return {"x": np.stack(x), "y": y}

    found = place.kept("pseudo-strong", make, count=count, key=key)
    return found["x"], found["y"]


def _others(place, count, key):
    def make(count, key):
        names = np.repeat(np.arange(len(OTHERS)), count)
        sounds = (sound(OTHERS[c], np.random.default_rng([*key, i]), 3.0) for i, c in enumerate(names))
        return {"x": mels(sounds), "y": np.eye(len(OTHERS))[names]}

    found = place.kept("pseudo-strong-others", make, count=count, key=key)
    return found["x"], found["y"]


def run(setting, seed, place):
    more, more_y = _soundscapes(place, setting["annotators"], [300])
    few, few_y = _soundscapes(place, setting["students"], [200, seed])
    tests, y = _soundscapes(place, setting["tests"], [400])
    rng = np.random.default_rng([seed, 1])
    more_weak, weak = (
        np.where((a == 1) & (rng.random(a.shape) < setting["missing"]), 0, a) for a in (more_y, few_y)
    )

    def taught(x, labels, window, steps, key):
        """A network taught by windows of so many seconds; labels (N, windows, C)."""
        draw, length = np.random.default_rng([seed, key]), WINDOWS[window]

        def batch(step):
            i = draw.integers(len(x), size=HEARD // length)
            w = draw.integers(FRAMES // length, size=len(i))
            clips = np.stack([x[a, b * length : (b + 1) * length] for a, b in zip(i, w, strict=True)])
            return clips + draw.normal(0, 0.15, (len(i), 1, 1, 1)).astype(np.float32), labels[i, w]

        return train(network(len(CLASSES), [seed, key]), batch, steps)

    def row(condition, net, more=None):
        found = measures(y, scores(net, tests, 16))
        return {
            "condition": condition,
            "mAP": found["mAP"],
            "d'": found["d_prime"],
            "lwlrap": found["lwlrap"],
        } | (more or {})

    annotator = taught(more, more_weak[:, None], 10, setting["annotator_steps"], 1)
    yield row(ANNOTATOR, annotator)
    yield row(WEAK, taught(few, weak[:, None], 10, setting["steps"], 2))
    yield row("weak, 2 s", taught(few, np.repeat(weak[:, None], 5, axis=1), 2, setting["steps"], 2))
    for window, length in WINDOWS.items():
        windows = few.reshape(-1, length, *few.shape[2:])  # (N windows, T, 32, 1)
        told = scores(annotator, windows).reshape(len(few), -1, len(CLASSES))
        union = (told > 0.5).any(axis=1)
        counts = {"labels a clip": float(union.sum(axis=1).mean()), "windows without": _without(told)}
        student = taught(few, told, window, setting["steps"], 2)
        yield row(PSL[window], student, counts)
    released = taught(few, told, 2, RELEASED * setting["steps"], 2)
    yield row(LONGER, released)
    for name, labels in (("the manifest's", weak), ("the truth", few_y)):
        yield {"condition": name, "labels a clip": float(labels.sum(axis=1).mean())}
    others, classes = _others(place, setting["transfer"], [500, seed])
    other_tests, other_y = _others(place, setting["transfer_tests"], [600])
    for name, net in zip(MOVED, (annotator, student), strict=True):
        moved = with_classes(net, len(OTHERS), [seed, 3])
        train(moved, drawn(others, classes, seed), setting["transfer_steps"], 1.5e-3, softmax_cross_entropy)
        yield {"condition": name, "mAP": metrics.mean_average_precision(other_y, scores(moved, other_tests))}


def _without(told):
    """Share of windows without a label."""
    return float(label_counts(told.reshape(-1, told.shape[-1])).share[0])


def trend(rows):
    """What halving a window brings, by a line through the three lengths, seed by seed."""
    doublings = np.log2([10 / window for window in WINDOWS])
    by_seed = {}
    for row in rows:
        by_seed.setdefault(row["seed"], {})[row["condition"]] = row.get("mAP")
    slopes = [np.polyfit(doublings, [own[name] for name in PSL.values()], 1)[0] for own in by_seed.values()]
    if len(slopes) < 2:
        return ""
    found = paired(slopes)
    word = ("shown" if found.mean > 0 else "the opposite") if found.shown else "not shown"
    gain = f"{found.mean:+.4f} ± {found.half:.4f} in mAP ({found.up} of {found.n} seeds)"
    return f"Trend: a window half as long brings {gain}: {word}."


ANNOTATOR, WEAK = "the annotator", "weak, 10 s"
PSL = {window: f"annotator's, {window} s" for window in WINDOWS}
LONGER = f"{PSL[2]}, {RELEASED} times the steps"
MOVED = "transfer of the annotator", f"transfer of {PSL[2]}"
EFFECT = Effect(
    name="pseudo_strong",
    title="Pseudo strong labels",
    paper="Dinkel et al., main results",
    about=__doc__,
    setting=SETTING,
    quick=QUICK,
    seeds=range(10, 18),
    run=run,
    conditions=(
        ANNOTATOR,
        WEAK,
        "weak, 2 s",
        *PSL.values(),
        LONGER,
        "the manifest's",
        "the truth",
        *MOVED,
    ),
    measures=("mAP", "d'", "lwlrap", "labels a clip", "windows without"),
    claims=(
        Claim("an annotator's labels of 10 s beat weak labels", PSL[10], WEAK, "mAP", "0.3113 - 0.1769"),
        Claim("an annotator's labels of 2 s beat weak labels", PSL[2], WEAK, "mAP", "0.3548 - 0.1769"),
        Claim("windows of 5 s beat those of 10 s", PSL[5], PSL[10], "mAP", "0.3411 - 0.3113"),
        Claim("windows of 2 s beat those of 5 s", PSL[2], PSL[5], "mAP", "0.3548 - 0.3411"),
        Claim("windows of 2 s beat those of 10 s", PSL[2], PSL[10], "mAP", "0.3548 - 0.3113"),
        Claim("the student's weights transfer better", MOVED[1], MOVED[0], "mAP", "0.5423 - 0.4441 (FSD50K)"),
    ),
    after=trend,
    given_up=Claim("sounds of pilots' recordings met those of another set", PSL[10], WEAK),
    notes="""
Soundscapes of 10 s with up to five events of six classes; 40 % of the weak labels are missing. The
annotator is trained on 500, students on 40 others: by weak labels, or by the annotator's probabilities of
windows of 10, 5 or 2 s. All students have equally many steps with as much sound in each, whatever the
windows; the released code has five times as many with 2 s, which stands beside them. **Bound:** the
annotator. Label counts are of the union of a clip's windows, at 0.5. Transfer: twelve clips of each of five
other classes, from the annotator's weights and from the student's.
""",
    reading="""
* **As in the paper:** the order of all four rows, with every seed. The annotator's labels of 10 s name
  nothing in two of three windows (18 % in the paper); over five windows of 2 s they are as many as are
  true, and more than the manifest has.
* Shorter windows alone bring nothing: weak labels of 2 s are worse than those of 10 s. Five times the steps
  bring a little more.
* **Not to be told:** that the student's weights transfer better than the annotator's, though they do with
  most seeds.
""",
)

if __name__ == "__main__":
    main("pseudo_strong")
