"""Optimiser, learning-rate schedules, and the running average of weights.

Everything that a resumed run needs is in ``.arrays`` (dict of ndarray) and ``.load(arrays)`` restores it.
"""

import math

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray]


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter), as in PyTorch.

    Parameters
    ----------
    params : dict of str to ndarray
        Updated in place.
    lr : float
    betas : (float, float)
    eps : float
    weight_decay : float

    Notes
    -----
    ``m = b1 m + (1-b1) g``, ``v = b2 v + (1-b2) g^2``,
    ``p -= lr (weight_decay p + m / (1-b1^t) / (sqrt(v / (1-b2^t)) + eps))``.

    Examples
    --------
    >>> params = {"w": np.array([1.0])}
    >>> AdamW(params, lr=0.1, weight_decay=0.0).step({"w": np.array([3.0])})
    >>> params["w"].round(6)
    array([0.9])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        self.params, self.steps = params, 0
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        self._moments = {f"{kind}.{name}": np.zeros_like(p) for kind in "mv" for name, p in params.items()}

    def step(self, grads: Arrays) -> None:
        """One update from `grads`, a dict with the keys of the parameters."""
        self.steps += 1
        b1, b2 = self.betas
        size = self.lr / (1 - b1**self.steps)
        correction = math.sqrt(1 - b2**self.steps)
        for name, p in self.params.items():
            m, v, g = self._moments[f"m.{name}"], self._moments[f"v.{name}"], grads[name]
            m += (1 - b1) * (g - m)
            v += (1 - b2) * (g * g - v)
            p *= 1 - self.lr * self.weight_decay
            p -= size * m / (np.sqrt(v) / correction + self.eps)

    @property
    def arrays(self) -> Arrays:
        """The moments and the step count."""
        return self._moments | {"steps": np.array(self.steps)}

    def load(self, arrays: Arrays) -> None:
        """Continue from :attr:`arrays`."""
        self.steps = int(arrays["steps"])
        for name, moment in self._moments.items():
            moment[...] = arrays[name]


class Plateau:
    """Factor that halves when a score has not risen for a while (Braun & Gamper, section 2.2).

    Parameters
    ----------
    patience : int
        Epochs without a new best score that are still tolerated: the next one halves the rate and starts the
        count anew (PyTorch's ReduceLROnPlateau with mode="max", threshold 0).  150 in the paper.
    factor : float

    Examples
    --------
    >>> plateau = Plateau(patience=1)
    >>> [plateau.update(score) for score in (0.5, 0.4, 0.4, 0.6)]
    [1.0, 1.0, 0.5, 0.5]
    """

    def __init__(self, patience: int = 150, factor: float = 0.5):
        self.patience, self.factor = patience, factor
        self.scale, self.best, self.waited = 1.0, -math.inf, 0

    def update(self, score: float) -> float:
        """Take an epoch's score (NaN counts as no progress); returns the factor for the next epoch."""
        if score > self.best:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.scale *= self.factor
            self.waited = 0
        return self.scale

    @property
    def arrays(self) -> Arrays:
        """Scale, best score and waiting time."""
        return {"plateau": np.array([self.scale, self.best, self.waited], np.float64)}

    def load(self, arrays: Arrays) -> None:
        """Continue from :attr:`arrays`."""
        scale, best, waited = arrays["plateau"]
        self.scale, self.best, self.waited = float(scale), float(best), int(waited)


def cosine(step: float, total: int, warmup: int = 0) -> float:
    """Factor that rises linearly over `warmup` steps, then falls to 0 as half a cosine over the rest.

    Examples
    --------
    >>> [round(cosine(step, 8, warmup=2), 3) for step in range(9)]
    [0.5, 1.0, 1.0, 0.933, 0.75, 0.5, 0.25, 0.067, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min((step - warmup) / max(total - warmup, 1), 1)))


def linear(epoch: int, total: int, constant: int = 0) -> float:
    """Factor that is 1 for the first `constant` epochs and falls linearly to 0 in the last one.

    Notes
    -----
    Dorfer & Widmer's linear decay, as their published code counts: ``1 - (epoch - constant + 1) / (total -
    constant)`` from epoch `constant` on (the first epoch is 0), so that the last epoch changes nothing but
    running statistics.

    Examples
    --------
    >>> [linear(epoch, 6, constant=2) for epoch in range(6)]
    [1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return 1.0 if epoch < constant else 1 - (epoch - constant + 1) / (total - constant)


class Average:
    """Exponential moving average of arrays: often a better network than the last step's.

    Parameters
    ----------
    arrays : dict of str to ndarray
    decay : float
        Share of the past in each update, in [0, 1); early on it is ``t / (t + 9)`` where that is smaller, so
        that the random start is forgotten at once.
    """

    def __init__(self, arrays: Arrays, decay: float):
        self.decay, self.steps = decay, 0
        self.values = {name: np.array(a) for name, a in arrays.items()}

    def update(self, arrays: Arrays) -> None:
        """Move towards `arrays`."""
        share = 1 - min(self.decay, self.steps / (self.steps + 9))
        self.steps += 1
        for name, a in arrays.items():
            self.values[name] += share * (a - self.values[name])

    @property
    def arrays(self) -> Arrays:
        """The averages and the step count."""
        averages = {f"average.{name}": a for name, a in self.values.items()}
        return averages | {"average_steps": np.array(self.steps)}

    def load(self, arrays: Arrays) -> None:
        """Continue from :attr:`arrays`."""
        self.steps = int(arrays["average_steps"])
        self.values = {name: np.array(arrays[f"average.{name}"]) for name in self.values}
