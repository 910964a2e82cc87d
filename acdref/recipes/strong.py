"""Strong labels (Hershey et al.): how much a network gains from knowing when sounds are heard.

1. ``given``: the recordings to train and to measure on;
2. ``sounds``: their samples, decoded once for all;

then the six rows of the paper's Table 1, trained on random patches of 0.96 s, from scratch on the strong set
(the recordings with known events) alone:

3. ``weak-part`` (Weak-67k): each patch with its recording's labels in the manifest;
4. ``diffuse-part`` (Diffuse-67k): with all classes that have an event anywhere in the recording;
5. ``strong-part`` (Strong-67k): with the classes that fill half of the patch or have half of an event in it;

and on all recordings:

6. ``weak-all`` (Weak-1.8M): from scratch, with the manifest's labels;
7. ``plus-diffuse`` (+ Diffuse): trained on from there, a share mu of the patches from the strong set and with
   diffuse labels;
8. ``plus-strong`` (+ Strong): the same with strong labels; ``plus-strong-0.1`` and so on are the same with a
   share of the strong set (Fig. 3), ``plus-weak`` is trained on with nothing new.

Of each the epoch counts, of several mu also the mu, with the highest d' on the frames of held-out recordings
of the strong set.  Each is measured twice: on whole recordings, by the manifest's labels of them, and on
frames of 0.96 s, by their events.
"""

from functools import partial

import numpy as np

from acdref import checkpoint
from acdref.errors import AcdrefError, ManifestError
from acdref.evaluate import measures
from acdref.features.front_ends import front_end
from acdref.files import Place, make_folder
from acdref.fit import Observer, initial, tell
from acdref.labels import diffuse, draw_strong, frame_events, frame_labels
from acdref.options.recipes import StrongOptions
from acdref.recipes.events import read_events
from acdref.recipes.features import Features, excerpt, fewest_samples, sounds
from acdref.recipes.parts import Data, key_of, learn, probabilities
from acdref.recipes.stages import Stage, Summaries, run

RECIPE = "strong"
FRAME = 0.96
SPAN = 0.975  # what the 96 overlapping windows of a patch see
WEIGHTS = "weights.npz"
ALL_WEAK, ALL_STRONG = (0.0,), (1.0,)  # for mu: what training from scratch draws from


def strong(options: StrongOptions, out: Place, observer: Observer | None = None) -> Summaries:
    """Train on weak, diffuse and strong labels, alone and after weak ones, and measure; or continue to.

    Parameters
    ----------
    options : StrongOptions
    out : str or path-like
        The recipe's folder; see :mod:`acdref.recipes.stages`.
    observer : acdref.fit.Observer, optional

    Returns
    -------
    dict of str to dict
        The stages' summaries; those of networks have ``weak`` (whole recordings) and ``strong`` (frames),
        each as :func:`acdref.evaluate.measures` gives them, the ``mu`` and the ``epoch`` that count, and in
        ``tried`` of each mu the epoch and its AUC of held-out frames.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Hershey et al. 2021, Table 1.  A class without event in a recording of the strong set is absent from it,
    unless the manifest says that this is unknown.  Networks that need more than 0.96 s see the patch
    repeated.  Stopped at any moment and begun again with the same arguments, it ends with the same weights,
    bit for bit.
    """
    recipe = _Strong(options, observer.log if observer else None)

    def network(name, kind, mus, start=None, share=1.0):
        return Stage(name, partial(recipe.network, kind, mus, start, share), (WEIGHTS,))

    stages = [
        recipe.data.given(),
        sounds(recipe.manifests, recipe.front.rate),
        network("weak-part", None, ALL_STRONG),
        network("diffuse-part", "diffuse", ALL_STRONG),
        network("strong-part", "strong", ALL_STRONG),
        network("weak-all", None, ALL_WEAK),
        *([network("plus-weak", None, ALL_WEAK, "weak-all")] if options.control else []),
        network("plus-diffuse", "diffuse", options.mu_diffuse, "weak-all"),
        network("plus-strong", "strong", options.mu_strong, "weak-all"),
        *(network(f"plus-strong-{s:g}", "strong", options.mu_strong, "weak-all", s) for s in options.shares),
    ]
    key = key_of(options, recipe.data.root, *recipe.manifests, files=("events",))
    return run(RECIPE, out, key, stages, observer)


class _Strong:
    """The recipe's recordings, numbered through: those to train on, then those to measure on."""

    def __init__(self, options, say=None):
        self.options = options
        self.data = Data.named_by(options, say)
        train, test = self.data.train, self.data.val
        if test is None:
            raise ManifestError(train.source, "has nothing to measure on: name a --val-fold or --val")
        self.manifests = [train, test]
        parts = read_events(options.events, *self.manifests)
        for purpose, events in zip(("train", "measure"), parts, strict=True):
            if all(one is None for one in events):
                raise AcdrefError(f"{options.events}: has none of the recordings to {purpose} on")
        self.count, self.classes = len(train), train.classes
        self.labels, self.events = np.concatenate([train.labels, test.labels]), parts[0] + parts[1]
        net = self._fresh()
        self.front = front_end(net)
        self.span = round(SPAN * self.front.rate)
        self.samples = max(self.span, fewest_samples(net))

    def _fresh(self):
        return initial(self.options, self.classes, self.options.seed)

    def parts(self, x, share=1.0):
        """Numbers of the recordings to train on, of the strong set among them, and of those held out."""
        options = self.options
        usable = np.flatnonzero(x.usable[: self.count])
        known = np.array([self.events[i] is not None for i in usable])
        known = np.random.default_rng([options.seed, 1]).permutation(usable[known])
        known = _first(known, options.strong_set)
        held = _first(known, options.held_out) if options.held_out else known[:0]
        left = known[len(held) :]
        if not len(left):
            cause = f"none of its recordings to train on is left ({len(held)} held out)"
            raise AcdrefError(f"{options.events}: {cause}")
        return np.setdiff1d(usable, held), _first(left, share), held

    def network(self, kind, mus, start, share, folder, before, observer):
        """A network trained on patches, from fresh weights or those of another stage, and measured."""
        options, x = self.options, Features(before["sounds"])
        weak, known, held = self.parts(x, share)
        epochs, lr = (options.tune_epochs, options.tune_lr) if start else (options.epochs, options.lr)
        if mus == ALL_STRONG and not start:
            epochs = options.part_epochs
        tried, best = [], None
        for mu in mus:
            patches = _Patches(self, x, kind, mu, weak, known, tuning=bool(start))
            net = checkpoint.load_weights(before[start] / WEIGHTS)[0] if start else self._fresh()
            place = folder / f"mu-{mu:g}"
            make_folder(place)
            how = {"epochs": epochs, "lr": lr, "seed": options.seed, **self._choice(x, held)}
            row = learn(net, patches, place, observer, **how)
            tried.append({"mu": mu, "epoch": row["epoch"], "AUC": row.get("val_AUC"), "loss": row["loss"]})
            if best is None or row["val_AUC"] > best[0]["AUC"]:
                best = tried[-1], net
        chosen, net = best
        summary = {"patches": epochs * patches.size, "strong_set": len(known), "held_out": len(held)}
        summary |= {name: chosen[name] for name in ("mu", "epoch", "loss")} | {"tried": tried}
        test = range(self.count, len(self.labels))
        scores = self.scores(net, x, test, observer)
        if not scores:
            raise AcdrefError(f"{self.manifests[1].source}: no recording to measure on lasts {FRAME} s")
        checkpoint.save_weights(folder / WEIGHTS, net, self.classes)
        return summary | {"weak": self.weak_measures(scores), "strong": self.strong_measures(scores)}

    def _choice(self, x, held):
        """What decides which epoch counts: arguments of `learn`."""
        if not len(held):
            return {}
        truth = [self._truth(i, self._frames(x[i]))[0] for i in held]
        y = np.concatenate(truth)
        if not ((y == 1).any(axis=0) & (y == 0).any(axis=0)).any():
            cause = f"the {len(held)} recordings held out tell nothing apart"
            raise AcdrefError(f"{self.options.events}: {cause}; raise --held-out, or choose another --seed")

        def validate(net):
            return {"val_AUC": self.strong_measures(self.scores(net, x, held, Observer()))["AUC"]}

        return {"validate": validate, "keep": "AUC"}

    def seen(self, x, start):
        """Features of the patch of a recording that begins at a sample."""
        return self.front.transform(np.resize(excerpt(x, start, self.span), self.samples))

    def label(self, i, kind, start):
        """Labels of the patch of recording i that begins at a millisecond."""
        given, events = self.labels[i], self.events[i]
        if kind is None:
            return given
        times, classes = events
        start, n_classes = start / 1000, len(given)
        present = frame_events(times, start + FRAME, FRAME, start=start, classes=classes, n_classes=n_classes)
        tagged = events.tagged(n_classes)
        # What has an event somewhere else is absent here, whatever the manifest thought of the whole.
        labels = np.where(np.isnan(given) & ~tagged, np.nan, present)
        return labels[0] if kind == "strong" else diffuse(labels, tagged)[0]

    def _frames(self, sound):
        """How many whole frames a recording has."""
        return int(len(sound) / self.front.rate / FRAME + 1e-9)

    def scores(self, net, x, numbers, observer):
        """Probabilities of recordings' frames, (K, C) by number; those without a whole frame are left out."""
        found = {}
        for done, i in enumerate(numbers):
            tell(observer, done, len(numbers))
            starts = [round(k * FRAME * self.front.rate) for k in range(self._frames(x[i]))]
            if starts:
                frames = np.stack([self.seen(x[i], start) for start in starts])
                found[i] = probabilities(net, frames, self.options.batch)
        return found

    def weak_measures(self, scores):
        """Of whole recordings: the mean over their frames against the manifest's labels."""
        return measures(self.labels[list(scores)], [p.mean(axis=0) for p in scores.values()])

    def strong_measures(self, scores):
        """Of the frames of recordings whose events are known, against these."""
        known = [i for i in scores if self.events[i] is not None]
        if not known:
            raise AcdrefError(f"{self.options.events}: none of its recordings to measure on lasts {FRAME} s")
        y, explicit = zip(*(self._truth(i, len(scores[i])) for i in known), strict=True)
        p = [scores[i] for i in known]
        return measures(*map(np.concatenate, (y, p, explicit)))

    def _truth(self, i, count):
        """Labels of a recording's frames, and which of their zeros are explicit negatives."""
        given, events = self.labels[i], self.events[i]
        absent = (given == 0) & ~events.tagged(len(given))
        y = frame_labels(events.times, events.classes, len(given), np.flatnonzero(absent), count * FRAME)
        return y, np.broadcast_to(absent, y.shape)


class _Patches:
    """What to train on: a random patch of each recording that is drawn.

    Recordings come in passes: none a second time before each has come once.
    """

    def __init__(self, recipe, x, kind, mu, weak, strong, tuning):
        options = recipe.options
        self.recipe, self.x, self.kind, self.mu = recipe, x, kind, mu
        self.weak, self.strong = weak, strong
        self.size = len(weak) if tuning or not mu else len(strong)
        self.seed = options.seed, 3 if tuning else 2  # all that are trained on draw the same patches
        self.steps = -(-self.size // options.batch)
        self._drawn = None, None

    def batch(self, epoch, step):
        """Features and labels of a batch."""
        if self._drawn[0] != epoch:
            self._drawn = epoch, self._draw(epoch)
        chosen = self._drawn[1][step * self.recipe.options.batch :][: self.recipe.options.batch]
        rate = self.recipe.front.rate
        x = np.stack([self.recipe.seen(self.x[i], start * rate // 1000) for i, _, start in chosen])
        return x, np.stack([self.recipe.label(i, kind, start) for i, kind, start in chosen])

    def _draw(self, epoch):
        """Of each patch of an epoch: recording, kind of its labels, start in milliseconds."""
        rng = np.random.default_rng([*self.seed, epoch])
        from_strong = draw_strong(self.size, self.mu, rng)
        chosen = np.empty(self.size, dtype=np.int64)
        for pool, places in ((self.weak, ~from_strong), (self.strong, from_strong)):
            chosen[places] = _passes(pool, int(places.sum()), rng)
        drawn = []
        for i, is_strong, u in zip(chosen.tolist(), from_strong.tolist(), rng.random(self.size), strict=True):
            length = len(self.x[i]) * 1000 // self.recipe.front.rate
            start = int(u * (max(length - round(1000 * FRAME), 0) + 1))
            drawn.append((i, self.kind if is_strong else None, start))
        return drawn


def _first(numbers, share):
    """A share of some recordings, one at least: a smaller share is part of a larger."""
    return numbers[: max(1, round(share * len(numbers)))]


def _passes(pool, count, rng):
    """So many members of a pool: shuffled, again and again."""
    passes = [rng.permutation(pool) for _ in range(-(-count // len(pool)))]
    return np.concatenate([*passes, pool[:0]])[:count]
