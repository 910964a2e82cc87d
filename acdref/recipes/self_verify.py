"""Self-verification (Dorfer & Widmer): networks vouch for labels that nobody has checked.

1. ``given``: the recordings to train on, each of one class, some of them verified, and those to measure on;
2. ``features``: silence clipped, spectrograms, once for all;
3. ``folds``: four folds, stratified, verified and others apart; they never change;
4. ``initial``: a network for each fold, trained on all labels of the other folds;
5. ``round-1``, ...: labels that the network of their fold confirms are accepted; each network is trained on,
   with the verified and the accepted recordings of the other folds;
6. ``ensemble``: the round with the lowest validation loss, and the mean of its networks, measured.

Whatever the network, its logits are taken as those of a softmax.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from functools import partial

import numpy as np

from acdref import checkpoint, metrics, train
from acdref.errors import AcdrefError, FileError, ManifestError
from acdref.features.front_ends import front_end
from acdref.files import Place, json_number, write_table, write_text
from acdref.fit import Job, Observer, by_steps, fit, initial, tell
from acdref.labels import draw_mixup_weights, fix_length, mixup_batch
from acdref.labels.verification import excerpt_starts, mean_posterior, stratified_folds, verify
from acdref.losses import softmax_cross_entropy
from acdref.nets import registry
from acdref.ops.softmax import softmax_channels
from acdref.optim import linear
from acdref.options.recipes import SelfVerifyOptions
from acdref.recipes import features
from acdref.recipes.parts import Data, key_of, save_array
from acdref.recipes.silence import clip_silence
from acdref.recipes.stages import Stage, Summaries, run

RECIPE = "self-verify"
CLIP_FRAMES, EXCERPT_FRAMES = 3000, 384  # of the paper's spectrograms
CLIP_SECONDS, EXCERPT_SECONDS = 18.0, 2.304  # their length in version 1
POSTERIORS, ACCEPTED, TEST = "posteriors.npy", "accepted.csv", "test.npy"


def self_verify(
    options: SelfVerifyOptions, out: Place, others: Sequence[str] = (), observer: Observer | None = None
) -> Summaries:
    """Train a network for each fold, let them verify labels, train on; or continue to.

    Parameters
    ----------
    options : SelfVerifyOptions
    out : str or path-like
        The recipe's folder; see :mod:`acdref.recipes.stages`.
    others : sequence of str
        Folders of this recipe, finished with other networks on the same recordings, whose answers are
        averaged with these in the end.
    observer : acdref.fit.Observer, optional

    Returns
    -------
    dict of str to dict
        The stages' summaries.  A round's has the number of accepted labels, validation loss and accuracy, and
        accuracy, MAP@3 and F-score by class on the recordings to measure on; that of ``ensemble`` has the
        best round.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Dorfer & Widmer 2018.  Folds are frozen, and verification starts from the given flags in each round: an
    accepted label may be dropped in the next.  A network judges and is validated on recordings that neither
    it nor its predecessors were trained on.  Stopped at any moment and begun again with the same arguments,
    it ends with the same weights, bit for bit.
    """
    others = tuple(others)
    recipe = _SelfVerification(options)
    measured = () if recipe.test is None else (TEST,)
    made = (POSTERIORS, *map(_weights, range(options.folds)), *measured)
    stages = [
        recipe.data.given(),
        features.stage("features", recipe.manifests, recipe.front, clip_silence, recipe.clip_seconds),
        Stage("folds", recipe.folds, ("folds.json",)),
        Stage("initial", partial(recipe.round, 0), made),
    ]
    for number in range(1, options.rounds + 1):
        stages.append(Stage(_round_name(number), partial(recipe.round, number), (*made, ACCEPTED)))
    stages.append(Stage("ensemble", partial(recipe.ensemble, others), ("report.json", *measured)))
    return run(RECIPE, out, recipe.key(others), stages, observer)


class _SelfVerification:
    def __init__(self, options):
        self.options = options
        self.data = Data.named_by(options)
        self.train, self.test = self.data.train, self.data.val
        self.manifests = [self.train] if self.test is None else [self.train, self.test]
        self.labels = _single(self.train)
        self.truth = None if self.test is None else _single(self.test)
        if self.train.verified is None:
            raise ManifestError(self.train.source, "has no column 'verified'")
        self.verified = np.array(self.train.verified, dtype=bool)
        self._check_network()

    def _check_network(self):
        options, net = self.options, self._network(0)
        name = registry.name_of(net)
        self.front = front_end(net)
        frame = self.front.hop / self.front.rate
        paper = CLIP_FRAMES * frame, EXCERPT_FRAMES * frame
        clip, excerpt = paper if name == "vgg-gap" else (CLIP_SECONDS, EXCERPT_SECONDS)
        self.clip_seconds = options.clip or clip
        self.clip_steps = round(self.clip_seconds / frame)
        self.excerpt_steps = round((options.excerpt or excerpt) / frame)
        if self.excerpt_steps < registry.min_frames(net):
            fewest = registry.min_frames(net) * frame
            raise AcdrefError(f"{name} needs excerpts of at least {fewest:.3g} s")
        if self.clip_steps < self.excerpt_steps:
            raise AcdrefError("an excerpt cannot be longer than the clip")

    def _network(self, fold):
        """The network of a fold before anything was learned."""
        options, fields = self.options, {}
        if options.spectrogram == 2 and options.init is None:
            if options.net != "vgg-gap":
                raise AcdrefError(f"{options.net} has one spectrogram: version 2 is of vgg-gap")
            fields["front_end"] = "log-filterbank"
        seed = options.seed * options.folds + fold
        return initial(options, self.train.classes, seed, several=False, **fields)

    def key(self, others):
        """All that the result depends on, as JSON can hold it."""
        verified = hashlib.sha256(self.verified.tobytes()).hexdigest()
        more = {"verified": verified, "others": [os.path.abspath(other) for other in others]}
        return key_of(self.options, self.data.root, *self.manifests) | more

    def folds(self, folder, before, observer):
        """The fold of each recording, -1 for those that could not be used."""
        usable = features.Features(before["features"]).usable[: len(self.train)]
        order = np.random.default_rng(self.options.seed).permutation(np.flatnonzero(usable))
        folds = np.full(len(self.train), -1)
        folds[order] = stratified_folds(self.labels[order], self.verified[order], self.options.folds)
        for fold in range(self.options.folds):
            if not (self.verified & (folds == fold)).any():
                raise AcdrefError(f"{self.train.source}: too few verified recordings for so many folds")
        write_text(folder / "folds.json", json.dumps(folds.tolist()) + "\n")
        return {"verified": int(self.verified[usable].sum()), "others": int((~self.verified)[usable].sum())}

    def round(self, number, folder, before, observer):
        """Verification by the networks of the round before, and training; 0: training on all."""
        options, state = self.options, _Round(self, number, before, observer)
        previous = before[_round_name(number - 1)] if number else None
        chosen = np.ones(len(self.train), dtype=bool)
        if number:
            posteriors = np.load(previous / POSTERIORS)
            chosen = verify(posteriors, self.labels, self.verified, options.threshold, options.cap)
            accepted = np.flatnonzero(chosen & ~self.verified)
            rows = [(self.train.paths[i], self.train.classes[self.labels[i]]) for i in accepted]
            write_table(folder / ACCEPTED, ("path", "class"), rows)
        for fold in range(options.folds):
            net = checkpoint.load_weights(previous / _weights(fold))[0] if number else self._network(fold)
            state.train(net, fold, chosen, folder / f"last-{fold}.npz")
            checkpoint.save_weights(folder / _weights(fold), net, self.train.classes)
        nets = [checkpoint.load_weights(folder / _weights(fold))[0] for fold in range(options.folds)]
        posteriors = state.held_out(nets)
        save_array(folder / POSTERIORS, posteriors)
        summary = {"accepted": len(accepted)} if number else {}
        summary |= state.validation(posteriors)
        if self.test is not None:
            summary["test"] = self._answered(folder, state.answers(nets))
        return summary

    def ensemble(self, others, folder, before, observer):
        """The best round by validation loss, averaged with other runs."""
        losses = {}
        for name in map(_round_name, range(self.options.rounds + 1)):
            losses[name] = json.loads((before[name] / "finished.json").read_text())["summary"]["val_loss"]
        best = min(losses, key=losses.get)
        summary = {"best": best, "val_loss": losses[best], "weights": before[best].name}
        if self.test is not None:
            answers = [np.load(before[best] / TEST), *map(self._answers_of, others)]
            summary["test"] = self._answered(folder, mean_posterior(answers))
        write_text(folder / "report.json", json.dumps(summary, indent=2) + "\n")
        return summary

    def _answered(self, folder, answers):
        """Keep posteriors of the recordings to measure on; returns accuracy, MAP@3 and F-scores."""
        save_array(folder / TEST, answers)
        known = ~np.isnan(answers).any(axis=1)
        p, truth = answers[known], self.truth[known]
        classes = self.train.classes
        order = np.argsort(-p, axis=1, kind="stable")
        decided = np.eye(len(classes))[order[:, 0]]
        f_scores = metrics.f_score(np.eye(len(classes))[truth], decided)
        return {
            "clips": int(known.sum()),
            "accuracy": float((order[:, 0] == truth).mean()),
            "MAP@3": metrics.map_at_k(truth[:, None].tolist(), order, 3),
            "f_scores": dict(zip(classes, map(json_number, f_scores.tolist()), strict=True)),
        }

    def _answers_of(self, other):
        """What another run says of the same recordings."""
        try:
            with open(os.path.join(other, "recipe.json"), encoding="utf-8") as file:
                recordings = json.load(file)["options"]["recordings"]
            (folder,) = (name for name in os.listdir(other) if name.endswith("-ensemble"))
            answers = np.load(os.path.join(other, folder, TEST))
        except (OSError, ValueError, KeyError, TypeError):
            raise FileError(other, "holds no finished run of self-verify that was measured") from None
        if recordings != train.fingerprint(*self.manifests):
            raise FileError(other, "is of other recordings or labels")
        return answers


class _Round:
    """Training and judging in one round."""

    def __init__(self, recipe, number, before, observer):
        self.recipe, self.options, self.number, self.observer = recipe, recipe.options, number, observer
        self.features = features.Features(before["features"])
        self.folds = np.array(json.loads((before["folds"] / "folds.json").read_text()))

    def train(self, net, fold, chosen, path):
        """Train on the chosen recordings of the other folds."""
        options, recipe, first = self.options, self.recipe, self.number == 0
        rows = np.flatnonzero(chosen & (self.folds >= 0) & (self.folds != fold))
        steps = -(-len(rows) // options.batch)
        epochs, constant, lr = options.epochs, options.constant, options.lr
        if not first:
            epochs, constant, lr = options.tune_epochs, options.tune_constant, options.tune_lr
        seeds = [options.seed, self.number, fold]

        def batch(epoch, step):
            order = np.random.default_rng([*seeds, epoch]).permutation(rows)
            rng = np.random.default_rng([*seeds, epoch, step])
            members = np.array_split(order, steps)[step]
            x = np.stack([self._excerpts(i, rng, 1)[0] for i in members])
            y = np.eye(len(recipe.train.classes))[recipe.labels[members]]
            if first and options.alpha:
                weights = draw_mixup_weights(rng, len(x), options.alpha)
                x, y = mixup_batch(x, weights).astype(np.float32), mixup_batch(y, weights)
            return x, y

        def rate(epoch, step):
            return lr * linear(epoch, epochs, min(constant, epochs - 1))

        seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
        job = Job(epochs, steps, by_steps(batch, steps), softmax_cross_entropy, rate, seed=seed)
        self.observer.log(f"fold {fold + 1} of {options.folds}: {len(rows)} recordings")
        fit(net, job, path, self.observer)

    def held_out(self, nets):
        """Posteriors of the recordings to train on, each by the network of its fold."""
        return self._posteriors(0, len(self.folds), lambda i: [nets[self.folds[i]]])

    def answers(self, nets):
        """Posteriors of the recordings to measure on: the mean over the networks of all folds."""
        return self._posteriors(len(self.folds), len(self.features), lambda i: nets)

    def _posteriors(self, first, end, nets_of):
        """Posteriors of recordings `first` to `end`: the mean over their networks; NaN without features."""
        usable = self.features.usable
        posteriors = np.full((end - first, len(self.recipe.train.classes)), np.nan)
        for i in range(first, end):
            if usable[i]:
                opinions = [[self._posterior(net, i)] for net in nets_of(i)]
                posteriors[i - first] = mean_posterior(opinions)[0]
            tell(self.observer, i - first + 1, len(posteriors))
        return posteriors

    def validation(self, posteriors):
        """Cross-entropy of the verified labels, the mean over the folds, and their accuracy."""
        verified = self.recipe.verified & (self.folds >= 0)
        p, labels = posteriors[verified], self.recipe.labels[verified]
        costs = -np.log(np.maximum(p[np.arange(len(p)), labels], np.finfo(np.float64).tiny))
        by_fold = [costs[self.folds[verified] == fold].mean() for fold in range(self.options.folds)]
        accuracy = (p.argmax(axis=1) == labels).mean()
        return {"val_loss": float(np.mean(by_fold)), "val_accuracy": float(accuracy)}

    def _posterior(self, net, i):
        """Mean posterior of the excerpts of a recording, (C,); the excerpts depend on seed, round and i."""
        rng = np.random.default_rng([self.options.seed, self.number, i])
        x = self._excerpts(i, rng, self.options.excerpts)
        logits = net.forward(x)[0].astype(np.float64)
        return mean_posterior(softmax_channels(logits)[:, None])[0]

    def _excerpts(self, i, rng, count):
        """Random excerpts (count, steps, ...) of a recording, repeated or cut to the length of all."""
        x, recipe = self.features[i], self.recipe
        steps = fix_length(np.arange(len(x)), recipe.clip_steps)
        starts = excerpt_starts(recipe.clip_steps, rng, recipe.excerpt_steps, count)
        return np.stack([x[steps[start : start + recipe.excerpt_steps]] for start in starts])


def _single(manifest):
    """The class of each recording, (N,) int."""
    for i in np.flatnonzero((manifest.labels == 1).sum(axis=1) != 1):
        names = ", ".join(np.array(manifest.classes)[manifest.labels[i] == 1]) or "none"
        raise ManifestError(manifest.source, f"{manifest.paths[i]} must have one class (it has: {names})")
    return np.argmax(manifest.labels == 1, axis=1)


def _round_name(number):
    return f"round-{number}" if number else "initial"


def _weights(fold):
    return f"fold-{fold}.npz"
