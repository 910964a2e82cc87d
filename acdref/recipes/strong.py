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

import numpy as np

from acdref import checkpoint
from acdref.errors import AcdrefError, ManifestError
from acdref.features.front_ends import front_end
from acdref.fit import Job, by_steps, fit, initial, tell
from acdref.labels import diffuse, draw_strong, frame_events, frame_labels
from acdref.losses import bce
from acdref.optim import cosine
from acdref.options.recipes import StrongOptions
from acdref.recipes import sounds
from acdref.recipes.events import read_events
from acdref.recipes.features import Features
from acdref.recipes.measures import measures
from acdref.recipes.parts import Data, key_of
from acdref.recipes.stages import Stage, run

RECIPE = "strong"
FRAME = 0.96
SPAN = 0.975  # what the 96 overlapping windows of a patch see
WEIGHTS = "weights.npz"


def strong(options: StrongOptions, out, observer=None):
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
        :func:`acdref.recipes.measures.measures` gives them.

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
    stages = [
        recipe.data.given(),
        sounds.stage("sounds", recipe.manifests, recipe.front.rate),
        recipe.training("weak", None, 0.0),
        recipe.training("tuned-weak", None, 0.0, "weak"),
        recipe.training("tuned-diffuse", "diffuse", options.mu_diffuse, "weak"),
        recipe.training("tuned-strong", "strong", options.mu_strong, "weak"),
        *(
            recipe.training(f"strong-{share:g}", "strong", options.mu_strong, "weak", share)
            for share in options.shares
        ),
    ]
    return run(RECIPE, out, recipe.key(), stages, observer)


class _Strong:
    def __init__(self, options):
        self.options = options
        self.data = Data.named_by(options)
        self.train, self.test = self.data.train, self.data.val
        if self.test is None:
            raise ManifestError(self.train.source, "has nothing to measure on: name a --val-fold or --val")
        self.manifests = [self.train, self.test]
        self.events, self.test_events = read_events(options.events, *self.manifests)
        if all(events is None for events in self.events):
            raise AcdrefError(f"{options.events}: has none of the recordings to train on")
        if all(events is None for events in self.test_events):
            raise AcdrefError(f"{options.events}: has none of the recordings to measure on")
        net = self._network()
        self.front = front_end(net)
        self.span = round(SPAN * self.front.rate)
        self.samples = max(self.span, sounds.fewest_samples(net))

    def _network(self):
        options = self.options
        classes = self.train.classes
        return initial(options.net, options.width, options.init, classes, options.seed)

    def key(self):
        """All that the result depends on, as JSON can hold it."""
        return key_of(self.options, self.data.root, *self.manifests, files=("events",))

    def training(self, name, kind, mu, start=None, share=1.0):
        """Stage: a network trained on patches, from fresh weights or those of another stage, and measured."""
        options = self.options
        epochs, lr = (options.epochs, options.lr) if start is None else (options.tune_epochs, options.tune_lr)

        def work(folder, before, observer):
            x = Features(before["sounds"])
            patches = _Patches(self, x, kind, mu, share, tuning=start is not None)
            net = self._network()
            if start is not None:
                net, _ = checkpoint.load_weights(before[start] / WEIGHTS)
            job = Job(
                epochs=epochs,
                steps=patches.steps,
                batches=by_steps(patches.batch, patches.steps),
                loss=bce,
                rate=lambda epoch, step: lr * cosine(epoch, epochs),
                seed=options.seed,
            )
            rows = fit(net, job, folder / "last.npz", observer)
            summary = {"patches": epochs * patches.size, "strong_set": len(patches.strong)}
            summary |= {"loss": rows[-1]["loss"]} | self._measured(net, x, observer)
            checkpoint.save_weights(folder / WEIGHTS, net, self.train.classes)
            return summary

        return Stage(name, work, (WEIGHTS,))

    def seen(self, x, start):
        """Features of the patch of a recording that begins at a sample."""
        return self.front.transform(np.resize(sounds.excerpt(x, start, self.span), self.samples))

    def label(self, i, kind, start):
        """Labels of the patch of training recording i that begins at a millisecond."""
        given, events = self.train.labels[i], self.events[i]
        if kind is None:
            return given
        start, n_classes = start / 1000, len(given)
        present = frame_events(
            events.times, start + FRAME, FRAME, start=start, classes=events.classes, n_classes=n_classes
        )
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
