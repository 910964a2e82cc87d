"""Linear attention over one clip's map by exact algebra: nothing of the map's size is made but the result.

* A softmax over positions does not change when a number is added to all keys of a channel; so the key bias
  drops out, and all of group normalisation but its scale.
* Its weights sum to one; so the inputs are weighed first and projected to values once, as a summary:
  ``k^T (y W_v + b_v) = (k^T y) W_v + b_v``; and normalisation is applied to the summary only.
* The queries sum to one too; so the summary takes the output projection, with its bias, before the queries
  read it: ``(q context) W_o + b_o = q (context W_o + b_o)``.
"""

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from acdref.fast.layers import matrix
from acdref.fast.tasks import scratch
from acdref.ops.layout import packed, padded
from acdref.ops.norm import EPS
from acdref.ops.pointwise import pointwise

Statistics = tuple[np.floating, np.floating]
"""Mean and inverse deviation of a map."""
PARTS = ("query", "key", "value", "out")

_product = functools.partial(pointwise, backend="numba")


class CompiledAttention:
    """What attention needs to know of one clip's map.

    Parameters
    ----------
    params : dict
        Of the network.
    name : str
        Of the layer.
    statistics : (mean, inverse_deviation)
        Of the map, two numbers, from :func:`statistics`.
    summarise : callable
        From a key projection (channels, width) to ``softmax_positions(x key)^T x``, (width, channels), of the
        map x itself; both padded to whole vectors.

    Attributes
    ----------
    scale, shift : (C,) arrays
        The group normalisation's.
    query : array
        Projection of x, padded to whole vectors in both axes; behind it, `query_bias` is added.
    query_layer : (array, array)
        The two as kernels want them.
    answer : array
        What the softmax of the queries is multiplied by, to be added to x; padded likewise.
    """

    def __init__(self, params: dict[str, NDArray], name: str, statistics: Statistics, summarise: Callable):
        self.weight, bias, self.gamma, beta = _parameters(params, name)
        self.channels, self.width = self.weight["query"].shape
        self.mean, self.inverse = statistics
        dtype = self.gamma.dtype
        self.scale = (self.gamma * self.inverse).astype(dtype)
        self.shift = (beta - self.mean * self.inverse * self.gamma).astype(dtype)
        self.query = padded(self.weight["query"] * self.scale[:, None], (0, 1))
        self.key = padded(self.weight["key"] * self.scale[:, None], (0, 1))
        self.query_bias = padded(_product(self.shift[None], self.weight["query"], bias["query"])[0])
        self.query_bias[self.width :] = np.finfo(dtype).min  # what only fills a vector gets no weight
        self.query_layer = packed(self.query), self.query_bias
        self.summary = summarise(self.key)
        self.normal = self.summary[: self.width, : self.channels] * self.scale + self.shift
        self.context = _product(self.normal, self.weight["value"], bias["value"])
        self.answer = padded(_product(self.context, self.weight["out"], bias["out"]), (0, 1))


class FrozenAttention:
    """What attention needs to know of the parameters, whatever the map; padded to whole vectors and packed.

    A map's mean and inverse deviation are two numbers; so normalisation's gamma goes into the weights, and
    value and output projection are one product: :class:`CompiledAttention` without its ``context``.

    Parameters
    ----------
    params : dict
        Of the network.
    name : str
        Of the layer.
    """

    def __init__(self, params: dict[str, NDArray], name: str):
        weight, bias, gamma, beta = _parameters(params, name)
        scaled = {part: weight[part] * gamma[:, None] for part in ("query", "key", "value")}
        self.channels, self.width = weight["query"].shape
        self._query, self._key = (packed(padded(scaled[part], (0, 1))) for part in ("query", "key"))
        self._query_sum = padded(scaled["query"].sum(0))
        self._query_bias = padded(_product(beta[None], weight["query"], bias["query"])[0])
        self._query_bias[self.width :] = np.finfo(gamma.dtype).min  # what only fills a vector gets no weight
        self._no_bias = np.zeros_like(self._query_bias)
        offset = _product(beta[None], weight["value"], bias["value"])
        answer = _product(scaled["value"], weight["out"], np.zeros_like(bias["out"]))
        self.answer_layer = (
            packed(padded(answer, (0, 1))),
            padded(_product(offset, weight["out"], bias["out"])[0]),
        )

    def key_layer(self, statistics: Statistics) -> tuple[NDArray, NDArray]:
        """Key projection of a map, as kernels want it; its bias drops out."""
        return _scaled("key", self._key, statistics[1]), self._no_bias

    def query_layer(self, statistics: Statistics) -> tuple[NDArray, NDArray]:
        """Query projection of a map, as kernels want it."""
        mean, inverse = statistics
        shift = self._query_sum.dtype.type(mean * inverse)
        return _scaled("query", self._query, inverse), self._query_bias - shift * self._query_sum


def _parameters(params, name):
    """Matrices and biases of all parts, gamma and beta."""
    weight = {part: matrix(params[f"{name}.{part}.weight"]) for part in PARTS}
    bias = {part: params[f"{name}.{part}.bias"] for part in PARTS}
    return weight, bias, params[f"{name}.norm.gamma"], params[f"{name}.norm.beta"]


def _scaled(name, weight, scale):
    return np.multiply(weight, weight.dtype.type(scale), out=scratch(name, weight.shape, weight.dtype))


def statistics(moments: NDArray, sizes: NDArray, share: float) -> Statistics:
    """Mean and inverse deviation of a map from the mean of each part and the sum of squares about it.

    `sizes` are the parts' numbers of elements, of which the `share` is of the map: the others are zeros.
    """
    means, squares = moments.astype(np.float64).T
    total = sizes.sum()
    mean = (sizes * means).sum() / total
    # About the mean of the map's own elements, not that of all; not below 0, as rounding might have it.
    squares = (squares + sizes * np.square(means - mean)).sum() + total * mean * mean * (1 - 1 / share)
    return mean / share, 1 / np.sqrt(np.maximum(squares, 0) / (total * share) + EPS)
