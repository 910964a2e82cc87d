"""Sounds as vectors, made once for all, and perceptrons on these, which learn in a second."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acdref import checkpoint
from acdref.errors import FileError
from acdref.files import weights_file
from acdref.fit import Job, by_steps, fit, reports
from acdref.losses import bce
from acdref.nets.layers import Dense
from acdref.ops.activation import sigmoid
from acdref.optim import cosine
from acdref.options.recipes import PerceptronOptions
from acdref.predict.embedding import Embedder
from acdref.predict.score_set import network_key, score_set
from acdref.recipes.relabel_transfer import Perceptron, PerceptronConfig
from acdref.recipes.stages import Stage
from acdref.tables.manifest import Manifest


def stage(name: str, recordings: Sequence[Manifest], weights: str) -> Stage:
    """Stage: what `acdref embed` makes of recordings, which :func:`read` reads.

    Parameters
    ----------
    name : str
    recordings : sequence of Manifest
        Each gets a file, ``0.npz`` and so on.
    weights : str
        Weights file of the network, or the name of shipped ones.

    Returns
    -------
    Stage
        Whose summary has the numbers of recordings, and of those that could be used.

    Notes
    -----
    A killed stage continues with the recordings that have no vector yet.
    """

    def work(folder, before, observer):
        net, _ = checkpoint.load_weights(weights_file(weights))
        embedder, values = Embedder(net), [str(i) for i in range(_size(net))]
        for number, manifest in enumerate(recordings):
            path = _file(folder, number)
            if not path.exists():
                score_set(embedder, manifest, values, path, network_key(net), **reports(observer))
        heard = np.concatenate([usable(read(folder, number)) for number in range(len(recordings))])
        if not heard.any():
            raise FileError(folder, f"none of {len(heard)} recordings can be used")
        return {"recordings": len(heard), "used": int(heard.sum())}

    return Stage(name, work, tuple(_file(Path(), number).name for number in range(len(recordings))))


def read(folder: Path, number: int) -> NDArray[np.float64]:
    """The vectors (N, D) of a stage's manifest; NaN for recordings that could not be used."""
    with np.load(_file(folder, number)) as arrays:
        return arrays["scores"]


def usable(x: NDArray) -> NDArray[np.bool_]:
    """Which of the recordings (N,) have vectors (N, D)."""
    return ~np.isnan(x).any(axis=1)


def learn(x: NDArray, y: NDArray, options: PerceptronOptions, seed: int) -> Perceptron:
    """A perceptron, trained on vectors.

    Parameters
    ----------
    x : (N, D) array
        Scaled, so that each value has a mean near 0 and a deviation near 1.
    y : (N, C) array
        Labels 0, 1 or NaN, which teach nothing.
    options : PerceptronOptions
    seed : int
        Of weights and order.

    Returns
    -------
    Perceptron

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((100, 2)).astype(np.float32)
    >>> net = learn(x, (x[:, :1] > 0).astype(float), PerceptronOptions(epochs=10), seed=0)
    >>> probabilities(net, np.array([[2.0, 0.0], [-2.0, 0.0]])).round() == [[1], [0]]
    array([[ True],
           [ True]])
    """
    net = Perceptron(PerceptronConfig(x.shape[1], options.hidden, y.shape[1]), seed)
    steps, epochs = -(-len(x) // options.batch), options.epochs

    def batch(epoch, step):
        order = np.random.default_rng([seed, epoch]).permutation(len(x))
        members = np.array_split(order, steps)[step]
        return x[members], y[members]

    def rate(epoch, step):
        return options.lr * cosine(epoch * steps + step, epochs * steps)

    fit(net, Job(epochs, steps, by_steps(batch, steps), bce, rate, seed=seed))
    return net


def probabilities(net: Perceptron, x: NDArray) -> NDArray[np.float64]:
    """Probabilities (N, C) of vectors (N, D)."""
    return sigmoid(net.forward(np.asarray(x, np.float32))[0].astype(np.float64))


def _file(folder, number):
    return folder / f"{number}.npz"


def _size(net):
    """How many values a vector has: as many as the last dense layer reads."""
    return next(layer.inputs for layer in reversed(net.layers) if isinstance(layer, Dense))
