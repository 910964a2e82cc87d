"""Self-verification (Dorfer & Widmer): networks vouch for labels that nobody has checked.

1. ``given``: the recordings to train on, each of one class, some of them verified, and those to measure on;
2. ``features``: silence clipped, spectrograms, once for all;
3. ``folds``: four folds, stratified, verified and others apart; they never change;
4. ``initial``: a network for each fold, trained on all labels of the other folds;
5. ``round-1``, ...: labels that the network of their fold confirms are accepted; each network is trained on,
   with the verified and the accepted recordings of the other folds;
6. ``ensemble``: the round with the lowest mean validation loss, and the mean of its networks, measured.

A network is validated after every epoch, in the first training and in each round, on the verified recordings
of its fold, and the epoch with the lowest loss is kept.

Whatever the network, its logits are taken as those of a softmax.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from acdref import checkpoint, metrics, train
from acdref.errors import AcdrefError, FileError, ManifestError
from acdref.features.front_ends import front_end
from acdref.files import Place, json_number, read_json, write_table, write_text
from acdref.fit import Job, Observer, by_steps, fit, initial, tell
from acdref.labels import draw_mixup_weights, fix_length, mixup_batch
from acdref.labels.verification import excerpt_starts, mean_posterior, stratified_folds, verify
from acdref.losses import softmax_cross_entropy
from acdref.nets import registry
from acdref.nets.vgg import CLIP_FRAMES, TRAINING_FRAMES
from acdref.ops.softmax import softmax_channels
from acdref.optim import linear
from acdref.options.recipes import SelfVerifyOptions
from acdref.recipes import features
from acdref.recipes.parts import Data, key_of, save_array
from acdref.recipes.silence import clip_silence
from acdref.recipes.stages import Stage, Summaries, run
from acdref.tables.journal import Journal

RECIPE = "self-verify"
CLIP_SECONDS, EXCERPT_SECONDS = 18.0, 2.304  # the length of the paper's frames in version 1
POSTERIORS, ACCEPTED, TEST = "posteriors.npy", "accepted.csv", "test.npy"
JOURNAL = "posteriors.part"


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
        The stages' summaries.  A round's has the number of accepted labels; the mean over the folds of
        validation loss and accuracy, and the epochs that were kept; accuracy, MAP@3 and F-score by class on
        the recordings to measure on.  That of ``ensemble`` has the best round, and ``initial`` beside it.

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
    it nor its predecessors were trained on.  Whole recordings, repeated or cut to one length, are validated
    and measured on; random excerpts of them serve training and verification.

    The first training is none of the iterations from which the paper selects: it is reported, and chosen only
    where there are no rounds.  A round goes on from the weights that were kept in the one before, not from
    those of its last epoch.  The paper says that it continues "training the same model" and keeps "the best
    parametrization"; the two agree if that is the model, and the published code does so.  The optimiser
    starts anew in each round, as there.

    Stopped at any moment and begun again with the same arguments, it ends with the same weights, bit for bit.
    """
    others = tuple(others)
    recipe = _SelfVerification(options, observer.log if observer else None)
    measured = () if recipe.test is None else (TEST,)
    made = (*map(_weights, range(options.folds)), *measured)
    stages = [
        recipe.data.given(),
        features.stage("features", recipe.manifests, recipe.front, clip_silence),
        Stage("folds", recipe.folds, ("folds.json",)),
        Stage("initial", partial(recipe.round, 0), made),
    ]
    for number in range(1, options.rounds + 1):
        verified = (POSTERIORS, ACCEPTED, *made)
        stages.append(Stage(_round_name(number), partial(recipe.round, number), verified))
    stages.append(Stage("ensemble", partial(recipe.ensemble, others), ("report.json", *measured)))
    return run(RECIPE, out, recipe.key(others), stages, observer)


class _SelfVerification:
    def __init__(self, options, say=None):
        self.options = options
        self.data = Data.named_by(options, say)
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
        paper = CLIP_FRAMES * frame, TRAINING_FRAMES * frame
        clip, excerpt = paper if name == "vgg-gap" else (CLIP_SECONDS, EXCERPT_SECONDS)
        self.clip_steps = round((options.clip or clip) / frame)
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
        state, folds = _Round(self, number, before, observer), range(self.options.folds)
        if number:
            previous = before[_round_name(number - 1)]
            nets = [checkpoint.load_weights(previous / _weights(fold))[0] for fold in folds]
            chosen = self._verified(state, nets, folder)
            summary = {"accepted": int((chosen & ~self.verified).sum())}
        else:
            nets = [self._network(fold) for fold in folds]
            chosen, summary = np.ones(len(self.train), dtype=bool), {}
        kept = [state.train(nets[fold], fold, chosen, folder) for fold in folds]
        for measure in ("val_loss", "val_accuracy"):
            summary[measure] = float(np.mean([row[measure] for row in kept]))
        summary["best_epochs"] = [row["epoch"] for row in kept]
        if self.test is not None:
            summary["test"] = self._answered(folder, state.answers(nets))
        (folder / JOURNAL).unlink(missing_ok=True)
        return summary

    def _verified(self, state, nets, folder):
        """Which labels count as verified, (N,) bool: the given ones, and those that are accepted."""
        with Journal(str(folder / JOURNAL), {"round": state.number}, state.observer.log) as journal:
            posteriors, options = state.held_out(nets, journal), self.options
        save_array(folder / POSTERIORS, posteriors)
        chosen = verify(posteriors, self.labels, self.verified, options.threshold, options.cap)
        accepted = np.flatnonzero(chosen & ~self.verified)
        rows = [(self.train.paths[i], self.train.classes[self.labels[i]]) for i in accepted]
        write_table(folder / ACCEPTED, ("path", "class"), rows)
        return chosen

    def ensemble(self, others, folder, before, observer):
        """The best round by validation loss, averaged with other runs."""
        names = map(_round_name, range(self.options.rounds + 1))
        found = {name: json.loads((before[name] / "finished.json").read_text())["summary"] for name in names}
        best = min(list(found)[1:] or found, key=lambda name: found[name]["val_loss"])
        summary = {"best": best, "weights": before[best].name}
        summary |= {measure: found[best][measure] for measure in ("val_loss", "val_accuracy")}
        if self.test is not None:
            answers = [np.load(before[best] / TEST), *map(self._answers_of, others)]
            summary["test"] = self._answered(folder, mean_posterior(answers))
        summary["initial"] = found["initial"]
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
        """What the best round of another run, without what that was averaged with, says of the same."""
        try:
            recordings = read_json(Path(other, "recipe.json"))["options"]["recordings"]
            (report,) = Path(other).glob("*-ensemble/report.json")
            answers = np.load(Path(other, read_json(report)["weights"], TEST))
        except (FileError, OSError, ValueError, KeyError, TypeError):
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

    def train(self, net, fold, chosen, folder):
        """Train on the chosen recordings of the other folds; returns the row of the epoch that is kept."""
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

        job = Job(
            epochs,
            steps,
            by_steps(batch, steps),
            softmax_cross_entropy,
            rate,
            validate=partial(self.validation, fold=fold),
            keep="loss",
            best=folder / _weights(fold),
            meta=checkpoint.network_meta(net, recipe.train.classes),
            seed=int(np.random.SeedSequence(seeds).generate_state(1)[0]),
        )
        self.observer.log(f"fold {fold + 1} of {options.folds}: {len(rows)} recordings")
        return min(fit(net, job, folder / f"last-{fold}.npz", self.observer), key=lambda row: row["val_loss"])

    def validation(self, net, fold):
        """Loss and accuracy on the verified recordings of a fold, each as a whole."""
        rows = np.flatnonzero(self.recipe.verified & (self.folds == fold))
        logits, labels = self._logits(net, rows), self.recipe.labels[rows]
        loss, _ = softmax_cross_entropy(np.eye(logits.shape[1])[labels], logits)
        return {"val_loss": loss, "val_accuracy": (logits.argmax(axis=1) == labels).mean()}

    def held_out(self, nets, journal):
        """Posteriors of the recordings that nobody has checked, each by the network of its fold.

        The mean over random excerpts, which depend on seed, round and recording.  What the journal has, by
        the recording's number, is not computed again.
        """
        options, posteriors = self.options, self._unknown(len(self.folds))
        doubtful = np.flatnonzero(~self.recipe.verified & (self.folds >= 0))
        for done, i in enumerate(doubtful, 1):
            if not journal.has(str(i), None):
                rng = np.random.default_rng([options.seed, self.number, i])
                logits = nets[self.folds[i]].forward(self._excerpts(i, rng, options.excerpts))[0]
                journal.add(str(i), None, mean_posterior(_softmax(logits)[:, None])[0])
            posteriors[i] = journal.get(str(i), None)
            tell(self.observer, done, len(doubtful))
        return posteriors

    def answers(self, nets):
        """Posteriors of the recordings to measure on, each as a whole: the mean over the networks."""
        first = len(self.folds)
        usable = np.flatnonzero(self.features.usable[first:])
        posteriors = self._unknown(len(self.features) - first)
        if len(usable):
            posteriors[usable] = mean_posterior([_softmax(self._logits(net, first + usable)) for net in nets])
        return posteriors

    def _unknown(self, count):
        return np.full((count, len(self.recipe.train.classes)), np.nan)

    def _logits(self, net, rows):
        """Logits (N, C) of recordings, each as a whole; as many at a time as take the memory of a batch."""
        recipe = self.recipe
        few = max(1, self.options.batch * recipe.excerpt_steps // recipe.clip_steps)
        logits = self._unknown(len(rows))
        for start in range(0, len(rows), few):
            part = slice(start, start + few)
            logits[part] = net.forward(np.stack([self._whole(i) for i in rows[part]]))[0]
            tell(self.observer, min(start + few, len(rows)), len(rows))
        return logits

    def _whole(self, i):
        """A recording, repeated or cut to the length of all, (steps, ...)."""
        x = self.features[i]
        return x[fix_length(np.arange(len(x)), self.recipe.clip_steps)]

    def _excerpts(self, i, rng, count):
        """Random excerpts (count, steps, ...) of the same."""
        x, recipe = self.features[i], self.recipe
        steps = fix_length(np.arange(len(x)), recipe.clip_steps)
        starts = excerpt_starts(recipe.clip_steps, rng, recipe.excerpt_steps, count)
        return np.stack([x[steps[start : start + recipe.excerpt_steps]] for start in starts])


def _softmax(logits):
    return softmax_channels(logits.astype(np.float64))


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
