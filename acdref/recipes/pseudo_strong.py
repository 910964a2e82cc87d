"""Pseudo strong labels (Dinkel et al.): a network that knows weak labels labels short windows for others.

1. ``given``: the recordings to train and to measure on;
2. ``sounds``: the samples of these and all other recordings, decoded once for all;
3. ``annotator``: a network trained on whole recordings with the manifest's labels, or that of a weights file;
4. ``counts``: how many labels windows, and recordings by all their windows, get from it;
5. ``weak``: a student with the manifest's labels, on windows of 10 s: the baseline;
6. ``psl-10s``, ``psl-5s``, ``psl-2s``: students whose labels are the annotator's probabilities of a window;
7. ``weak-2s``, ``mixed-2s``: the ablation: each window has its recording's labels, or their mean with the
   annotator's probabilities;
8. ``transfer-annotator``, ``transfer-psl``: networks for another set of recordings, trained from the
   annotator's weights and from those of the student of the shortest windows; on request also
   ``transfer-weak`` and ``transfer-fresh``, from the baseline's and from fresh ones.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np

from acdref import checkpoint, metrics, train
from acdref.errors import AcdrefError, ManifestError
from acdref.evaluate import measures
from acdref.features.front_ends import front_end
from acdref.files import Place
from acdref.fit import Observer, initial, tell
from acdref.labels import label_counts, pad_batch, soft_labels, window_samples, windows
from acdref.options.recipes import PseudoStrongOptions
from acdref.recipes.features import Features, excerpt, fewest_samples, sounds
from acdref.recipes.parts import Data, key_of, learn, probabilities
from acdref.recipes.stages import Stage, Summaries, run
from acdref.tables.manifest import open_dataset

RECIPE = "pseudo-strong"
CLIP_SECONDS = 10.0
MANY = 4  # labels of a recording; the poster has one bar for all that have more
WEIGHTS = "weights.npz"


def pseudo_strong(options: PseudoStrongOptions, out: Place, observer: Observer | None = None) -> Summaries:
    """Train an annotator and students of its labels of short windows, and measure; or continue to.

    Parameters
    ----------
    options : PseudoStrongOptions
    out : str or path-like
        The recipe's folder; see :mod:`acdref.recipes.stages`.
    observer : acdref.fit.Observer, optional

    Returns
    -------
    dict of str to dict
        The stages' summaries.  Those of networks have what :func:`acdref.evaluate.measures` gives, on
        whole recordings, and ``MAP@3`` where each recording has one class; that of ``counts`` has, by length
        of the windows, their number, the labels of a window in the mean, the share of windows without any,
        and in ``clips`` the shares of recordings with 0, 1, ... and more than four labels in all their
        windows; and the latter of the manifest's labels, as ``given``.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Dinkel et al. 2022.  The annotator's probabilities are computed anew for each batch, from what the student
    hears: the same level, the same zeros behind shorter windows.  All students are trained on as much sound
    in as many steps, or in as many as in the released code.  Stopped at any moment and begun again with the
    same arguments, it ends with the same weights, bit for bit.
    """
    recipe = _PseudoStrong(options, observer.log if observer else None)

    def student(name, window, mix):
        return Stage(name, partial(recipe.student, window, mix), (WEIGHTS,))

    stages = [
        recipe.data.given(),
        sounds(recipe.manifests, recipe.front.rate),
        Stage("annotator", recipe.annotator, (WEIGHTS,)),
        Stage("counts", recipe.counts, ()),
        student("weak", CLIP_SECONDS, 0.0),
        *(student(f"psl-{window:g}s", window, 1.0) for window in options.windows),
    ]
    window = options.windows[-1]
    stages += [student(f"weak-{window:g}s", window, 0.0), student(f"mixed-{window:g}s", window, options.mix)]
    if options.transfer is not None:
        starts = {"annotator": "annotator", "psl": f"psl-{window:g}s", "weak": "weak", "fresh": None}
        for name in options.transfer_from:
            stages.append(Stage(f"transfer-{name}", partial(recipe.transfer, starts[name]), (WEIGHTS,)))
    named = {"without": ("more", "transfer"), "files": ("annotator",)}
    key = key_of(options, recipe.data.root, *recipe.manifests, **named)
    return run(RECIPE, out, key, stages, observer)


@dataclass(frozen=True)
class _Recordings:
    """Some recordings: what is known of them, and their numbers among the decoded ones."""

    manifest: object
    first: int

    @property
    def classes(self):
        return self.manifest.classes

    def usable(self, x):
        """Numbers (N,) and labels (N, C) of the recordings that could be decoded."""
        usable = x.usable[self.first :][: len(self.manifest)]
        return self.first + np.flatnonzero(usable), self.manifest.labels[usable]


class _PseudoStrong:
    def __init__(self, options, say=None):
        self.options = options
        self.data = Data.named_by(options, say)
        self.manifests = []
        self.train, self.test = self._add(self.data.train, self.data.val)
        self.large = (self.train,)
        if options.more is not None:
            self.large += self._add(open_dataset(options.more, options.root, self.train.classes))
        if options.transfer is not None:
            fold = options.transfer_val_fold
            target = train.Options(options.transfer, root=options.root, val_fold=fold)
            self.target, self.target_test = self._add(*train.datasets(target))
        self._check_networks()

    def _add(self, *manifests):
        added = []
        for manifest in manifests:
            if manifest is None:
                cause = "has nothing to measure on: it needs a column 'split' with 'train' and 'val'"
                raise ManifestError(manifests[0].source, cause)
            added.append(_Recordings(manifest, sum(map(len, self.manifests))))
            self.manifests.append(manifest)
        return tuple(added)

    def _check_networks(self):
        nets = [self._network(self.train.classes)]
        path = self.options.annotator
        if path is not None:
            net, meta = checkpoint.load_weights(path)
            if tuple(meta["classes"]) != self.train.classes:
                raise AcdrefError(f"{path}: has other classes than {self.train.manifest.source}")
            nets.append(net)
        self.front = front_end(nets[0])
        if front_end(nets[-1]).rate != self.front.rate:
            rates = f"{front_end(nets[-1]).rate} Hz, the students at {self.front.rate} Hz"
            raise AcdrefError(f"{path}: this annotator hears sound at {rates}")
        self.fewest = max(map(fewest_samples, nets))

    def _network(self, classes, init=None, student=True):
        """A network from weights, or fresh: students begin alike, and otherwise than the annotator."""
        options = self.options if init is None else replace(self.options, init=init)
        return initial(options, classes, 2 * options.seed + student)

    def annotator(self, folder, before, observer):
        """The annotator, trained or taken from its file."""
        options, x = self.options, Features(before["sounds"])
        if options.annotator is not None:
            net, _ = checkpoint.load_weights(options.annotator)
            return self._left(folder, net, x, self.test, observer)
        net = self._network(self.train.classes, student=False)
        lesson = _WindowLesson(self, x, self.large, CLIP_SECONDS)
        return self._trained(folder, net, lesson, options.annotator_epochs, self.test, observer)

    def counts(self, folder, before, observer):
        """How many labels the windows to train on get from the annotator, and their recordings have."""
        net, _ = checkpoint.load_weights(before["annotator"] / WEIGHTS)
        x = Features(before["sounds"])
        given = {"given": {"clips": _histogram(self.parts(self.train, x)[0][1], 0.5)}}
        return given | {
            f"{window:g}": self._count(net, x, window, observer) for window in self.options.windows
        }

    def _count(self, net, x, window, observer):
        lesson = _WindowLesson(self, x, (self.train,), window)
        p, anywhere = [], []
        for _, chosen in groupby(range(len(lesson.windows)), lambda k: lesson.windows[k][0]):
            tell(observer, len(p), len(lesson.windows))
            own = probabilities(net, self.seen(lesson.heard(chosen), front_end(net)), lesson.size)
            p += list(own)
            anywhere.append(own.max(axis=0))  # beyond a threshold in any of the recording's windows
        threshold = self.options.threshold
        share, mean = label_counts(p, threshold)
        clips = _histogram(anywhere, threshold)
        return {"windows": len(p), "labels": mean, "none": float(share[0]), "clips": clips}

    def student(self, window, mix, folder, before, observer):
        """A network whose labels are `mix` parts the annotator's, the rest the recording's."""
        x, annotator = Features(before["sounds"]), None
        if mix:
            annotator, _ = checkpoint.load_weights(before["annotator"] / WEIGHTS)
        net = self._network(self.train.classes)
        lesson = _WindowLesson(self, x, (self.train,), window, annotator, mix)
        return self._trained(folder, net, lesson, self.options.epochs, self.test, observer)

    def transfer(self, start, folder, before, observer):
        """A network for the other recordings, from fresh weights or those of another stage."""
        net = self._network(self.target.classes, start and before[start] / WEIGHTS)
        sets, front = (self.target,), front_end(net)
        lesson = _WindowLesson(self, Features(before["sounds"]), sets, CLIP_SECONDS, front=front)
        return self._trained(folder, net, lesson, self.options.transfer_epochs, self.target_test, observer)

    def _trained(self, folder, net, lesson, epochs, test, observer):
        options = self.options
        how = {"epochs": epochs, "lr": options.lr, "seed": options.seed, **self._choice(lesson)}
        row = learn(net, lesson, folder, observer, **how)
        summary = {
            "windows": len(lesson.windows),
            "epoch": row["epoch"],
            "steps": row["epoch"] * lesson.steps,
        }
        return summary | {"loss": row["loss"]} | self._left(folder, net, lesson.x, test, observer)

    def parts(self, recordings, x):
        """Numbers (N,) and labels (N, C) of what is trained on, and of what is held out to validate on."""
        numbers, labels = recordings.usable(x)
        held = np.zeros(len(numbers), dtype=bool)
        if self.options.steps == "released":
            order = np.random.default_rng([self.options.seed, recordings.first]).permutation(len(numbers))
            held[order[: round(self.options.held_out * len(numbers))]] = True
        return [(numbers[part], labels[part]) for part in (~held, held)]

    def _choice(self, lesson):
        """What decides which epoch counts, and when to end: arguments of `learn`."""
        if self.options.steps == "equal":
            return {}
        held = [self.parts(recordings, lesson.x)[1] for recordings in lesson.sets]
        numbers, y = (np.concatenate(part) for part in zip(*held, strict=True))
        if not (y == 1).any():
            cause = f"none of {len(y)} held-out recordings has a class; raise --held-out"
            raise AcdrefError(f"{lesson.sets[0].manifest.source}: {cause}")

        def validate(net):
            p = [self._score(net, lesson.x[number]) for number in numbers]
            return {"val_mAP": metrics.mean_average_precision(y, p)}

        return {"validate": validate, "keep": "mAP", "patience": self.options.patience}

    def _left(self, folder, net, x, test, observer):
        """Measure a network on whole recordings, and write its weights."""
        numbers, y = test.usable(x)
        p = []
        for done, number in enumerate(numbers):
            tell(observer, done, len(numbers))
            p.append(self._score(net, x[number]))
        if not p:
            raise AcdrefError(f"{test.manifest.source}: none of the recordings to measure on can be used")
        checkpoint.save_weights(folder / WEIGHTS, net, test.classes)
        found = measures(y, p)
        if ((y == 1).sum(axis=1) == 1).all():
            best = np.argsort(-np.stack(p), axis=1, kind="stable")
            found["MAP@3"] = metrics.map_at_k((y == 1).argmax(axis=1)[:, None].tolist(), best, 3)
        return found

    def _score(self, net, x):
        """Probabilities of a recording: the mean over windows of 10 s, weighted by duration."""
        size = round(CLIP_SECONDS * self.front.rate)
        cuts = [excerpt(x, start, min(size, len(x) - start)) for start in range(0, len(x), size)]
        p = [net.predict_proba(self.seen([cut], front_end(net)))[0] for cut in cuts]
        return np.average(p, axis=0, weights=[len(cut) for cut in cuts])

    def seen(self, items, front):
        """Features of several sounds, with zeros behind those that are shorter than the longest."""
        shortest = np.zeros(self.fewest, np.float32)  # that a network takes
        return np.stack([front.transform(x) for x in pad_batch([*items, shortest])[:-1]])


class _WindowLesson:
    """What a network is trained on: windows of recordings, each once in an epoch."""

    def __init__(self, recipe, x, sets, window, annotator=None, mix=0.0, front=None):
        self.recipe, self.x, self.sets, self.annotator, self.mix = recipe, x, sets, annotator, mix
        self.front, rate, options = front or recipe.front, recipe.front.rate, recipe.options
        self.windows = [
            (number, labels, start, end)
            for recordings in sets
            for number, labels in zip(*recipe.parts(recordings, x)[0], strict=True)
            for start, end in window_samples(windows(len(x[number]) / rate, window), rate).tolist()
        ]
        if not self.windows:
            raise AcdrefError(f"{sets[0].manifest.source}: none of the recordings to train on can be used")
        equal = options.steps == "equal"
        self.size = max(1, round(options.batch / window)) if equal else options.batch_windows
        self.steps = -(-len(self.windows) // self.size)

    def heard(self, chosen, gains=None):
        """Samples of some windows."""
        items = []
        for place, k in enumerate(chosen):
            number, _, start, end = self.windows[k]
            cut = excerpt(self.x[number], start, end - start)
            items.append(cut if gains is None else np.float32(gains[place]) * cut)
        return items

    def batch(self, epoch, step):
        """Features and labels of a batch; the annotator hears what the student hears."""
        options = self.recipe.options
        rng = np.random.default_rng([options.seed, epoch])
        order, level = rng.permutation(len(self.windows)), rng.uniform(-1, 1, len(self.windows))
        places = slice(step * self.size, (step + 1) * self.size)
        gains = 10 ** (options.level * level[places] / 20)
        items = self.heard(order[places], gains)
        x = self.recipe.seen(items, self.front)
        labels = np.stack([self.windows[k][1] for k in order[places]])
        if self.annotator is not None:
            front = front_end(self.annotator)
            theirs = x if front is self.front else self.recipe.seen(items, front)
            labels = soft_labels(probabilities(self.annotator, theirs, self.size), labels, self.mix)
        return x, labels


def _histogram(p, threshold):
    """Shares of recordings with 0, 1, 2, 3, 4 and more labels."""
    share = label_counts(p, threshold).share
    counts = {str(k): float(share[k : k + 1].sum()) for k in range(MANY + 1)}
    return counts | {f">{MANY}": float(share[MANY + 1 :].sum())}
