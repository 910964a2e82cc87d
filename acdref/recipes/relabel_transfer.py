"""Re-labelling by an ontology, and transfer (Grzywalski & Botteldooren).

1. ``given``: the recordings, labelled with classes of an ontology;
2. ``features``: what the network takes, once for all;
3. ``sets``: a target set, which is about the classes below one root, and a base set, about the rest; of each,
   80 % to train, 10 % to validate and 10 % to measure on, unless the manifest's ``split`` says otherwise
   ("train", "val", "test");
4. ``base-LABELLING``: a network trained on the base set, labelled in one of three ways;
5. ``extracted-LABELLING``: a perceptron on what that network makes of the target set;
6. ``tuned-LABELLING``: that network with a new last layer, trained on, on the target set.

The labellings are the original labels (ol), these with all ancestors (pel), and these with the children
masked that the annotators may have left out (pe-cml).
"""

import json
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
from acdref.nets.layers import Conv, Dense, Layer, Mean, forward
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
SCORES, PERCEPTRON = "test.npy", "perceptron.npz"


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
        The stages' summaries; those of networks have the best epoch by validation loss, and the mAP on the
        part to measure on.  Labels that are masked there count for nothing.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Grzywalski & Botteldooren, with masked squared error of the sigmoids and Adam.  What the paper leaves open
    is chosen: how the target set is labelled, that the weights with the lowest validation loss count, and the
    perceptron (batch normalisation and ELU between its layers).  Stopped at any moment and begun again with
    the same arguments, it ends with the same weights, bit for bit.
    """
    recipe = _RelabelTransfer(options)
    stages = [
        recipe.data.given(),
        features.stage("features", [recipe.recordings], recipe.front, most=options.seconds),
        Stage("sets", recipe.sets, ("sets.json",)),
    ]
    for name in options.base:
        stages.append(Stage(f"base-{name}", partial(recipe.base, name), (BEST, SCORES)))
        stages.append(Stage(f"extracted-{name}", partial(recipe.extracted, name), (SCORES,)))
        stages.append(Stage(f"tuned-{name}", partial(recipe.tuned, name), (BEST, SCORES)))
    key = key_of(options, recipe.data.root, recipe.recordings, files=("ontology",))
    return run(RECIPE, out, key, stages, observer)


class _RelabelTransfer:
    def __init__(self, options):
        self.options = options
        recordings = open_dataset(options.manifest, options.root, options.classes)
        recordings = recordings if options.fold is None else recordings.where(fold=options.fold)
        given = train.Options(options.manifest, options.root)
        self.recordings, self.data = recordings, Data(recordings, None, given)
        self.ontology = Ontology.from_json(options.ontology)
        nodes = [self._node(name) for name in recordings.classes]
        target = self.ontology.ids[self._node(options.target)]
        labels = np.zeros((len(recordings), len(self.ontology)))
        labels[:, nodes] = recordings.labels
        split = self.ontology.split_by_root(labels, target)
        self.is_target = split.is_target
        in_target = split.in_target[nodes]
        # Of the manifest's classes.
        self.labels = {name: rule(self.ontology, labels)[:, nodes] for name, rule in LABELLINGS.items()}
        self.columns = {"base": np.flatnonzero(~in_target), "target": np.flatnonzero(in_target)}
        for name, columns in self.columns.items():
            if not len(columns):
                raise AcdrefError(f"{recordings.source}: none of its classes is of the {name} set")
        net = self._network()
        self.front = front_end(net)
        self.steps = self.front.steps(round(options.seconds * self.front.rate))
        if self.steps < registry.min_frames(net):
            name = registry.name_of(net)
            raise AcdrefError(f"{options.seconds:g} s are too short for {name}: try a higher --seconds")

    def _node(self, name):
        ontology = self.ontology
        try:
            return ontology.columns([name if name in ontology else ontology.id_of(name)])[0]
        except (KeyError, ValueError):
            cause = f"the class {name!r} is neither an id nor a name of {self.options.ontology}"
            raise ManifestError(self.recordings.source, cause) from None

    def _network(self):
        return initial(self.options, self._names("base"), self.options.seed)

    def _names(self, which):
        return tuple(self.recordings.classes[c] for c in self.columns[which])

    def sets(self, folder, before, observer):
        """Which recordings are whose, as numbers by set and part."""
        usable = features.Features(before["features"]).usable
        members = {"base": ~self.is_target & usable, "target": self.is_target & usable}
        sets = {name: self._parts(np.flatnonzero(chosen)) for name, chosen in members.items()}
        counts = {name: {part: len(rows) for part, rows in parts.items()} for name, parts in sets.items()}
        for name, parts in counts.items():
            if not all(parts.values()):
                cause = f"{sum(parts.values())} recordings are too few for a {name} set"
                raise ManifestError(self.recordings.source, cause)
        write_text(folder / "sets.json", json.dumps(sets) + "\n")
        return counts

    def _parts(self, members):
        """Numbers of a set's recordings by part: as the manifest's split says, or drawn."""
        split = self.recordings.split
        if split is not None:
            return {part: [int(i) for i in members if split[i] == part] for part in PARTS}
        members = np.random.default_rng(self.options.seed).permutation(members)
        ends = np.round(np.cumsum([0, *PARTS.values()]) * len(members)).astype(int)
        cuts = zip(PARTS, ends[:-1], ends[1:], strict=True)
        return {part: sorted(members[a:b].tolist()) for part, a, b in cuts}

    def base(self, labelling, folder, before, observer):
        """A network trained on the base set."""
        lesson = _TransferLesson(self, "base", labelling, before)
        return lesson.learn(self._network(), folder, observer, self.options.epochs, self.options.lr)

    def extracted(self, labelling, folder, before, observer):
        """A perceptron on the base network's values before its last layer."""
        base, _ = checkpoint.load_weights(before[f"base-{labelling}"] / BEST)
        lesson = _TransferLesson(self, "target", self.options.labels, before)
        values = lesson.embeddings(base, observer)
        lesson.input, inputs = values.__getitem__, len(next(iter(values.values())))
        config = PerceptronConfig(inputs, self.options.hidden, len(self.columns["target"]))
        net = Perceptron(config, self.options.seed)
        return lesson.learn(net, folder, observer, self.options.extract_epochs, self.options.lr)

    def tuned(self, labelling, folder, before, observer):
        """The base network with a new last layer, trained on."""
        base, _ = checkpoint.load_weights(before[f"base-{labelling}"] / BEST)
        net = registry.with_classes(base, len(self.columns["target"]), self.options.seed)
        lesson = _TransferLesson(self, "target", self.options.labels, before)
        return lesson.learn(net, folder, observer, self.options.tune_epochs, self.options.tune_lr)


class _TransferLesson:
    """The recordings of one set, to train a network on them and to measure it.

    Attributes
    ----------
    input : callable
        From the number of a recording to what networks take of it; its features at first.
    """

    def __init__(self, recipe, name, labelling, before):
        self.options = recipe.options
        self.parts = json.loads((before["sets"] / "sets.json").read_text())[name]
        self.classes = recipe._names(name)
        self.labels = recipe.labels[labelling][:, recipe.columns[name]]
        x = features.Features(before["features"])
        self.input = lambda i: x[i][fix_length(np.arange(len(x[i])), recipe.steps)]

    def learn(self, net, folder, observer, epochs, lr):
        """Train, keep the weights (unless it is a perceptron), measure; returns a summary."""
        options, rows = self.options, np.array(self.parts["train"])
        steps = -(-len(rows) // options.batch)

        def batch(epoch, step):
            order = np.random.default_rng([options.seed, epoch]).permutation(rows)
            members = np.array_split(order, steps)[step]
            return np.stack([self.input(i) for i in members]), self.labels[members]

        def validate(net):
            members = self.parts["val"]
            return {"val_loss": squared_error(self.labels[members], self._logits(net, members))[0]}

        def rate(epoch, step):
            return lr * options.decay**epoch

        kept = {"validate": validate, "keep": "loss", "best": folder / PERCEPTRON, "seed": options.seed}
        if not isinstance(net, Perceptron):
            kept |= {"best": folder / BEST, "meta": checkpoint.network_meta(net, self.classes)}
        job = Job(epochs, steps, by_steps(batch, steps), squared_error, rate, **kept)
        history = fit(net, job, folder / "last.npz", observer)
        p = sigmoid(self._logits(net, self.parts["test"]).astype(np.float64))
        save_array(folder / SCORES, p)
        ap = metrics.average_precision(self.labels[self.parts["test"]], p)
        mean = json_number(metrics.mean_over_classes(ap))
        best = min(history, key=lambda row: row["val_loss"])
        return {"epochs": epochs, "best_epoch": best["epoch"], "val_loss": best["val_loss"], "mAP": mean}

    def embeddings(self, net, observer):
        """Values of every recording before the network's last layer."""
        values = {}
        rows = [i for part in self.parts.values() for i in part]
        for i in rows:
            values[i] = embedding(net, self.input(i)[None])[0]
            tell(observer, len(values), len(rows))
        return values

    def _logits(self, net, rows):
        return np.concatenate([net.forward(self.input(i)[None])[0] for i in rows])


@dataclass(frozen=True)
class PerceptronConfig:
    """Sizes of the two layers."""

    inputs: int
    hidden: int
    classes: int


class Perceptron(Network):
    """Two layers on vectors (N, inputs), with batch normalisation and ELU between them.

    Examples
    --------
    >>> Perceptron(PerceptronConfig(4, 8, 3)).predict_proba(np.zeros((2, 4))).shape
    (2, 3)
    """

    @staticmethod
    def build(config: PerceptronConfig) -> tuple[Layer, ...]:
        return (
            Conv("hidden", config.inputs, config.hidden, (1, 1), activation="elu", first=True),
            Mean(),
            Dense("dense", config.hidden, config.classes),
        )

    def as_map(self, x: NDArray) -> NDArray:
        if not features_of(x.shape) or x.shape[1] != self.config.inputs:
            raise ValueError(f"expected vectors (N, {self.config.inputs}), got {x.shape}")
        return x[:, None, None, :]


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
        Of conv1d, 128 values before the last non-linearity, as in the paper; of the others the mean over time
        and frequency of what their last layer takes.

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
