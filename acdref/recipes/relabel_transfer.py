"""Re-labelling by an ontology, and transfer (Grzywalski & Botteldooren).

1. ``given``: the recordings, labelled with classes of an ontology;
2. ``features``: what the network takes, once for all;

and then, of each root (ROOT is its name in small letters):

3. ``ROOT-sets``: a target set, which is about the root and the classes below, and a base set, about the
   rest; of each, 80 % to train, 10 % to validate and 10 % to measure on, unless the manifest's ``split`` says
   otherwise ("train", "val", "test");
4. ``ROOT-scratch-LABELS``: a network trained on the target set, labelled in one of three ways;
5. ``ROOT-base-BASE``: a network trained on the base set, labelled in one of three ways;
6. ``ROOT-embeddings-BASE``: what that network makes of the target set;
7. ``ROOT-extracted-BASE-LABELS``: a perceptron on these embeddings;
8. ``ROOT-tuned-BASE-LABELS``: that network with a new last layer, trained on, on the target set.

The labellings are the original labels (ol), these with all ancestors (pel), and these with the children
masked that the annotators may have left out (pe-cml).
"""

import json
import re
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref import checkpoint, metrics, train
from acdref.data import open_dataset
from acdref.errors import AcdrefError, ManifestError
from acdref.features.front_ends import front_end
from acdref.files import Place, json_number, write_text
from acdref.fit import Job, Observer, by_steps, fit, initial, tell
from acdref.labels import Ontology, fix_length
from acdref.losses import mse
from acdref.nets import Conv1D, registry
from acdref.nets.layers import Dense, Hidden, Layer, forward
from acdref.nets.network import Network, features_of
from acdref.ops.activation import sigmoid
from acdref.options.recipes import RelabelTransferOptions
from acdref.recipes import features
from acdref.recipes.parts import BEST, Data, key_of, save_array
from acdref.recipes.stages import Stage, Summaries, run

RECIPE = "relabel-transfer"
LABELLINGS = {
    "ol": lambda ontology, labels: labels,
    "pel": lambda ontology, labels: ontology.parent_expand(labels),
    "pe-cml": lambda ontology, labels: ontology.children_mask(labels),
}
PARTS = {"train": 0.8, "val": 0.1, "test": 0.1}
SETS, SCORES, EMBEDDINGS, PERCEPTRON = "sets.json", "test.npy", "embeddings.npy", "perceptron.npz"


def relabel_transfer(
    options: RelabelTransferOptions, out: Place, observer: Observer | None = None
) -> Summaries:
    """Train base networks on re-labelled recordings, and transfer them to other classes; or continue to.

    Parameters
    ----------
    options : RelabelTransferOptions
    out : str or path-like
        The recipe's folder; see :mod:`acdref.recipes.stages`.
    observer : acdref.fit.Observer, optional

    Returns
    -------
    dict of str to dict
        The stages' summaries.  Those of networks say what they are (``root``, ``way``, ``base``, ``labels``),
        and have the best epoch, its mAP on the part to validate on, and the mAP on the part to measure on.
        Labels that are masked in these count for nothing.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Grzywalski & Botteldooren, sections IV and V: masked squared error of the sigmoids, Adam, the weights with
    the highest validation mAP.  Stopped at any moment and begun again with the same arguments, it ends with
    the same weights, bit for bit.
    """
    recipe = _RelabelTransfer(options)
    stages = [
        recipe.data.given(),
        features.stage("features", [recipe.recordings], recipe.front, most=options.seconds),
    ]
    for root in recipe.roots:
        stages += root.stages()
    key = key_of(options, recipe.data.root, recipe.recordings, files=("ontology",))
    return run(RECIPE, out, key, stages, observer)


class _RelabelTransfer:
    """What all roots share."""

    def __init__(self, options):
        self.options = options
        recordings = open_dataset(options.manifest, options.root, options.classes)
        recordings = recordings if options.fold is None else recordings.where(fold=options.fold)
        given = train.Options(options.manifest, options.root, options.classes)
        self.recordings, self.data = recordings, Data(recordings, None, given)
        self.ontology = Ontology.from_json(options.ontology)
        self.nodes = [self.node(name) for name in recordings.classes]
        self.original = np.zeros((len(recordings), len(self.ontology)))
        self.original[:, self.nodes] = recordings.labels
        # Of the manifest's classes.
        expanded = {name: rule(self.ontology, self.original) for name, rule in LABELLINGS.items()}
        self.labels = {name: labels[:, self.nodes] for name, labels in expanded.items()}
        self.roots = [_Root(self, target) for target in options.target]
        names = [root.name for root in self.roots]
        for name in names:
            if names.count(name) > 1:
                raise AcdrefError(f"two targets are called {name!r}")
        net = self.roots[0].network("base")
        self.front = front_end(net)
        self.steps = self.front.steps(round(options.seconds * self.front.rate))
        if self.steps < registry.min_frames(net):
            name = registry.name_of(net)
            raise AcdrefError(f"{options.seconds:g} s are too short for {name}: try a higher --seconds")

    def node(self, name):
        """Number of a class of the ontology, by its id or name."""
        ontology = self.ontology
        try:
            return ontology.columns([name if name in ontology else ontology.id_of(name)])[0]
        except (KeyError, ValueError):
            cause = f"the class {name!r} is neither an id nor a name of {self.options.ontology}"
            raise ManifestError(self.recordings.source, cause) from None


class _Root:
    """One split of the recordings, and the networks of it.

    Attributes
    ----------
    title, name : str
        Of the class, as in the ontology, and as in the names of stages.
    columns : dict of str to (n,) int array
        Which of the manifest's classes are the "base" set's and the "target" set's.
    """

    def __init__(self, recipe, target):
        self.recipe, self.options = recipe, recipe.options
        node = recipe.node(target)
        self.title = recipe.ontology.names[node]
        self.name = re.sub(r"\W+", "-", self.title.lower()).strip("-")
        split = recipe.ontology.split_by_root(recipe.original, recipe.ontology.ids[node])
        self.is_target, in_target = split.is_target, split.in_target[recipe.nodes]
        self.columns = {"base": np.flatnonzero(~in_target), "target": np.flatnonzero(in_target)}
        for name, columns in self.columns.items():
            if not len(columns):
                raise AcdrefError(f"{recipe.recordings.source}: none of its classes is of the {name} set")

    def stages(self):
        """All that is done with this split."""

        def stage(work, *labellings, files=(BEST, SCORES)):
            name = "-".join([self.name, work.__name__, *labellings])
            return Stage(name, partial(work, *labellings), files)

        stages = [stage(self.sets, files=(SETS,))]
        stages += [stage(self.scratch, labels) for labels in self.options.labels]
        for base in self.options.base:
            stages += [stage(self.base, base), stage(self.embeddings, base, files=(EMBEDDINGS,))]
            stages += [stage(self.extracted, base, labels, files=(SCORES,)) for labels in self.options.labels]
            stages += [stage(self.tuned, base, labels) for labels in self.options.labels]
        return stages

    def folder(self, before, *parts):
        """Of one of its stages."""
        return before["-".join([self.name, *parts])]

    def classes(self, which):
        """Names of the classes of a set."""
        return tuple(self.recipe.recordings.classes[c] for c in self.columns[which])

    def network(self, which):
        """A network for the classes of a set, as before all training."""
        return initial(self.options, self.classes(which), self.options.seed)

    def sets(self, folder, before, observer):
        """Which recordings are whose, as numbers by set and part."""
        usable = features.Features(before["features"]).usable
        members = {"base": ~self.is_target & usable, "target": self.is_target & usable}
        sets = {name: self._parts(np.flatnonzero(chosen)) for name, chosen in members.items()}
        counts = {name: {part: len(rows) for part, rows in parts.items()} for name, parts in sets.items()}
        for name, parts in counts.items():
            if not all(parts.values()):
                cause = f"{sum(parts.values())} recordings are too few for a {name} set"
                raise ManifestError(self.recipe.recordings.source, cause)
        write_text(folder / SETS, json.dumps(sets) + "\n")
        return {"root": self.title, **counts}

    def _parts(self, members):
        """Numbers of a set's recordings by part: as the manifest's split says, or drawn."""
        split = self.recipe.recordings.split
        if split is not None:
            return {part: [int(i) for i in members if split[i] == part] for part in PARTS}
        members = np.random.default_rng(self.options.seed).permutation(members)
        ends = np.round(np.cumsum([0, *PARTS.values()]) * len(members)).astype(int)
        cuts = zip(PARTS, ends[:-1], ends[1:], strict=True)
        return {part: sorted(members[a:b].tolist()) for part, a, b in cuts}

    def scratch(self, labels, folder, before, observer):
        """A network trained on the target set alone."""
        lesson = _TransferLesson(self, "target", labels, before)
        summary = lesson.learn(
            self.network("target"), folder, observer, self.options.tune_epochs, self.options.lr
        )
        return {"root": self.title, "way": "scratch", "base": None, "labels": labels, **summary}

    def base(self, labels, folder, before, observer):
        """A network trained on the base set."""
        lesson = _TransferLesson(self, "base", labels, before)
        summary = lesson.learn(self.network("base"), folder, observer, self.options.epochs, self.options.lr)
        return {"root": self.title, "way": "base", "base": labels, "labels": labels, **summary}

    def embeddings(self, base, folder, before, observer):
        """What the base network makes of the recordings of the target set, in the order of sets.json."""
        net, _ = checkpoint.load_weights(self.folder(before, "base", base) / BEST)
        lesson, values = _TransferLesson(self, "target", "ol", before), []
        for i in lesson.rows:
            values.append(embedding(net, lesson.input(i)[None])[0])
            tell(observer, len(values), len(lesson.rows))
        save_array(folder / EMBEDDINGS, np.stack(values))
        return {"root": self.title, "recordings": len(values), "values": len(values[0])}

    def extracted(self, base, labels, folder, before, observer):
        """A perceptron on the embeddings of the target set."""
        lesson = _TransferLesson(self, "target", labels, before)
        values = np.load(self.folder(before, "embeddings", base) / EMBEDDINGS)
        lesson.input = dict(zip(lesson.rows, values, strict=True)).__getitem__
        config = PerceptronConfig(values.shape[1], self.options.hidden, len(self.columns["target"]))
        net = Perceptron(config, self.options.seed)
        summary = lesson.learn(net, folder, observer, self.options.extract_epochs, self.options.lr)
        return {"root": self.title, "way": "extracted", "base": base, "labels": labels, **summary}

    def tuned(self, base, labels, folder, before, observer):
        """The base network with a new last layer, trained on."""
        net, _ = checkpoint.load_weights(self.folder(before, "base", base) / BEST)
        net = registry.with_classes(net, len(self.columns["target"]), self.options.seed)
        lesson = _TransferLesson(self, "target", labels, before)
        summary = lesson.learn(net, folder, observer, self.options.tune_epochs, self.options.tune_lr)
        return {"root": self.title, "way": "tuned", "base": base, "labels": labels, **summary}


class _TransferLesson:
    """The recordings of one set, to train a network on them and to measure it.

    Attributes
    ----------
    rows : list of int
        The recordings' numbers, part by part.
    input : callable
        From the number of a recording to what networks take of it; its features at first.
    """

    def __init__(self, root, name, labelling, before):
        self.options = root.options
        self.parts = json.loads((root.folder(before, "sets") / SETS).read_text())[name]
        self.rows = [i for part in self.parts.values() for i in part]
        self.classes = root.classes(name)
        self.labels = root.recipe.labels[labelling][:, root.columns[name]]
        x, steps = features.Features(before["features"]), root.recipe.steps
        self.input = lambda i: x[i][fix_length(np.arange(len(x[i])), steps)]

    def learn(self, net, folder, observer, epochs, lr):
        """Train, keep the weights with the highest validation mAP, measure; returns a summary."""
        options, rows = self.options, np.array(self.parts["train"])
        steps = -(-len(rows) // options.batch)

        def batch(epoch, step):
            order = np.random.default_rng([options.seed, epoch]).permutation(rows)
            members = np.array_split(order, steps)[step]
            return np.stack([self.input(i) for i in members]), self.labels[members]

        def rate(epoch, step):
            return lr * options.decay**epoch

        def validate(net):
            return {"val_mAP": self._measure(self._probabilities(net, "val"), "val")}

        kept = {"validate": validate, "keep": "mAP", "best": folder / PERCEPTRON, "seed": options.seed}
        if not isinstance(net, Perceptron):
            kept |= {"best": folder / BEST, "meta": checkpoint.network_meta(net, self.classes)}
        job = Job(epochs, steps, by_steps(batch, steps), squared_error, rate, **kept)
        history = fit(net, job, folder / "last.npz", observer)
        best = max(history, key=lambda row: row["val_mAP"])
        p = self._probabilities(net, "test")
        save_array(folder / SCORES, p)
        found = {"val_mAP": best["val_mAP"], "mAP": json_number(self._measure(p, "test"))}
        return {"epochs": epochs, "best_epoch": best["epoch"], **found}

    def _probabilities(self, net, part):
        logits = [net.forward(self.input(i)[None])[0] for i in self.parts[part]]
        return sigmoid(np.concatenate(logits).astype(np.float64))  # (N, classes)

    def _measure(self, p, part):
        """mAP; what is masked counts for nothing."""
        return metrics.mean_average_precision(self.labels[self.parts[part]], p)


@dataclass(frozen=True)
class PerceptronConfig:
    """Sizes of the two layers."""

    inputs: int
    hidden: int
    classes: int


class Perceptron(Network):
    """Two layers on vectors (N, inputs), with batch normalisation and ELU between them.

    The paper's "one fully-connected layer with 256 neurons, ELU non-linearity, and batch normalization and an
    output dense layer"; which of the two comes first is as in :class:`acdref.nets.Conv1DConfig`.

    Examples
    --------
    >>> Perceptron(PerceptronConfig(4, 8, 3)).predict_proba(np.zeros((2, 4))).shape
    (2, 3)
    """

    @staticmethod
    def build(config: PerceptronConfig) -> tuple[Layer, ...]:
        sizes = config.inputs, config.hidden
        return (
            Hidden("hidden", *sizes, stored=sizes, first=True),
            Dense("dense", config.hidden, config.classes),
        )

    def as_map(self, x: NDArray) -> NDArray:
        if not features_of(x.shape) or x.shape[1] != self.config.inputs:
            raise ValueError(f"expected vectors (N, {self.config.inputs}), got {x.shape}")
        return x


def embedding(net: Network, x: NDArray) -> NDArray:
    """What a network makes of clips before its last layer.

    Parameters
    ----------
    net : network
    x : array
        Features of N clips.

    Returns
    -------
    (N, values) array
        Of conv1d, 128 values before normalisation and non-linearity, as in the paper; of the others the mean
        over time and frequency of what their last layer takes.

    Examples
    --------
    >>> net = registry.build("mobilenetv2", classes=3, width=0.125)
    >>> embedding(net, np.zeros((2, 40, 64))).shape
    (2, 160)
    """
    if isinstance(net, Conv1D):
        return net.embedding(x)
    last = next(i for i, layer in enumerate(net.layers) if getattr(layer, "name", None) in net.head)
    y, _ = forward(net.layers[:last], net, net._checked(x), train=False)  # (N, ..., values)
    return y.reshape(len(x), -1, y.shape[-1]).mean(axis=1)


def squared_error(y: ArrayLike, logits: ArrayLike) -> tuple[float, NDArray]:
    """Masked squared error of sigmoids: the loss, and its gradient with respect to the logits.

    Examples
    --------
    >>> loss, dlogits = squared_error(np.array([[1.0, np.nan]]), np.array([[0.0, 3.0]]))
    >>> loss, dlogits.tolist()
    (0.25, [[-0.25, 0.0]])
    """
    p = sigmoid(np.asarray(logits, np.float64))
    loss, dp = mse(y, p)
    return loss, (dp * p * (1 - p)).astype(np.asarray(logits).dtype)
