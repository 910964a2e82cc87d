"""Strong labels (Hershey et al.): how much a network gains from knowing when sounds are heard.

1. ``given``: the recordings to train and to measure on;
2. ``sounds``: their samples, decoded once for all;
3. ``weak``: a network trained on the manifest's labels, each random patch of 0.96 s with its recording's;
4. ``tuned-weak``: trained on in the same way, as long as the following ones;
5. ``tuned-diffuse``: trained on, a share mu of the patches now from recordings with known events, labelled
   with all classes that have an event anywhere in the recording;
6. ``tuned-strong``: the same, labelled with the classes that fill half of the patch or have half of an event
   in it; ``strong-0.1`` and so on are the same with a share of these recordings.

Each of 3 to 6 is measured on frames of 0.96 s and on whole recordings.
"""

from functools import partial

import numpy as np

from acdref import checkpoint
from acdref.errors import AcdrefError, ManifestError
from acdref.evaluate import measures
from acdref.features.front_ends import front_end
from acdref.files import Place
from acdref.fit import Observer, initial, tell
from acdref.labels import diffuse, draw_strong, frame_events, frame_labels
from acdref.options.recipes import StrongOptions
from acdref.recipes.events import read_events
from acdref.recipes.features import Features, excerpt, fewest_samples, sounds
from acdref.recipes.parts import Data, key_of, learn
from acdref.recipes.stages import Stage, Summaries, run

RECIPE = "strong"
FRAME = 0.96
SPAN = 0.975  # what the 96 overlapping windows of a patch see
WEIGHTS = "weights.npz"


def strong(options: StrongOptions, out: Place, observer: Observer | None = None) -> Summaries:
    """Train on weak labels, train on with diffuse and with strong ones, and measure; or continue to.

    Parameters
    ----------
    options : StrongOptions
    out : str or path-like
        The recipe's folder; see :mod:`acdref.recipes.stages`.
    observer : acdref.fit.Observer, optional

    Returns
    -------
    dict of str to dict
        The stages' summaries; those of networks have ``frames`` and ``clips``, each as
        :func:`acdref.evaluate.measures` gives them.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Hershey et al. 2021.  A class without event in a recording of the strong set is absent from it, unless the
    manifest says that this is unknown.  Networks that need more than 0.96 s see the patch repeated.  Stopped
    at any moment and begun again with the same arguments, it ends with the same weights, bit for bit.
    """
    recipe = _Strong(options)

    def network(name, kind=None, mu=0.0, start="weak", share=1.0):
        return Stage(name, partial(recipe.network, kind, mu, start, share), (WEIGHTS,))

    stages = [
        recipe.data.given(),
        sounds(recipe.manifests, recipe.front.rate),
        network("weak", start=None),
        network("tuned-weak"),
        network("tuned-diffuse", "diffuse", options.mu_diffuse),
        network("tuned-strong", "strong", options.mu_strong),
        *(network(f"strong-{s:g}", "strong", options.mu_strong, share=s) for s in options.shares),
    ]
    key = key_of(options, recipe.data.root, *recipe.manifests, files=("events",))
    return run(RECIPE, out, key, stages, observer)


class _Strong:
    def __init__(self, options):
        self.options = options
        self.data = Data.named_by(options)
        self.train, self.test = self.data.train, self.data.val
        if self.test is None:
            raise ManifestError(self.train.source, "has nothing to measure on: name a --val-fold or --val")
        self.manifests = [self.train, self.test]
        self.events, self.test_events = read_events(options.events, *self.manifests)
        for purpose, events in (("train", self.events), ("measure", self.test_events)):
            if all(one is None for one in events):
                raise AcdrefError(f"{options.events}: has none of the recordings to {purpose} on")
        net = self._fresh()
        self.front = front_end(net)
        self.span = round(SPAN * self.front.rate)
        self.samples = max(self.span, fewest_samples(net))

    def _fresh(self):
        return initial(self.options, self.train.classes, self.options.seed)

    def network(self, kind, mu, start, share, folder, before, observer):
        """A network trained on patches, from fresh weights or those of another stage, and measured."""
        options, x = self.options, Features(before["sounds"])
        patches = _Patches(self, x, kind, mu, share, tuning=bool(start))
        net = checkpoint.load_weights(before[start] / WEIGHTS)[0] if start else self._fresh()
        epochs, lr = (options.tune_epochs, options.tune_lr) if start else (options.epochs, options.lr)
        loss = learn(net, patches, folder, observer, epochs=epochs, lr=lr, seed=options.seed)
        summary = {"patches": epochs * patches.size, "strong_set": len(patches.strong), "loss": loss}
        summary |= self._measured(net, x, observer)
        checkpoint.save_weights(folder / WEIGHTS, net, self.train.classes)
        return summary

    def seen(self, x, start):
        """Features of the patch of a recording that begins at a sample."""
        return self.front.transform(np.resize(excerpt(x, start, self.span), self.samples))

    def label(self, i, kind, start):
        """Labels of the patch of training recording i that begins at a millisecond."""
        given, events = self.train.labels[i], self.events[i]
        if kind is None:
            return given
        times, classes = events
        start, n_classes = start / 1000, len(given)
        present = frame_events(times, start + FRAME, FRAME, start=start, classes=classes, n_classes=n_classes)
        tagged = events.tagged(n_classes)
        # What has an event somewhere else is absent here, whatever the manifest thought of the whole.
        labels = np.where(np.isnan(given) & ~tagged, np.nan, present)
        return labels[0] if kind == "strong" else diffuse(labels, tagged)[0]

    def _measured(self, net, x, observer):
        frames, clips = [], []
        for i, events in enumerate(self.test_events):
            tell(observer, i, len(self.test))
            sound = x[len(self.train) + i]
            count = int(len(sound) / self.front.rate / FRAME + 1e-9)
            if events is None or not count:
                continue
            starts = [round(k * FRAME * self.front.rate) for k in range(count)]
            p = net.predict_proba(np.stack([self.seen(sound, start) for start in starts]))
            y, explicit, clip = self._truth(i, events, count)
            frames.append((y, p, explicit))
            clips.append((clip, p.mean(axis=0)))
        if not frames:
            raise AcdrefError(f"{self.test.source}: no recording to measure on lasts {FRAME} s")
        y, p, explicit = (np.concatenate(part) for part in zip(*frames, strict=True))
        whole = measures(*map(np.stack, zip(*clips, strict=True)))
        return {"frames": measures(y, p, explicit), "clips": whole}

    def _truth(self, i, events, count):
        """Labels of a recording's frames, which of their zeros are explicit, and labels of the whole."""
        given = self.test.labels[i]
        tagged = events.tagged(len(given))
        absent = (given == 0) & ~tagged
        y = frame_labels(events.times, events.classes, len(given), np.flatnonzero(absent), count * FRAME)
        return y, np.broadcast_to(absent, y.shape), np.where(tagged, 1.0, np.where(absent, 0.0, np.nan))


class _Patches:
    """What to train on: a random patch of each recording that is drawn.

    Recordings come in passes: none a second time before each has come once.
    """

    def __init__(self, recipe, x, kind, mu, share, tuning):
        options = recipe.options
        self.recipe, self.x, self.kind, self.mu = recipe, x, kind, mu
        self.weak = np.flatnonzero(x.usable[: len(recipe.train)])
        known = np.array([recipe.events[i] is not None for i in self.weak])
        shuffled = np.random.default_rng([options.seed, 1]).permutation(self.weak[known])
        self.strong = shuffled[: max(1, round(share * len(shuffled)))]
        if not len(self.strong):
            raise AcdrefError(f"{options.events}: none of its recordings to train on can be used")
        self.size = len(self.weak)
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


def _passes(pool, count, rng):
    """So many members of a pool: shuffled, again and again."""
    passes = [rng.permutation(pool) for _ in range(-(-count // len(pool)))]
    return np.concatenate([*passes, pool[:0]])[:count]
