"""What networks made of :mod:`acdref.nets.layers` share: parameters, both passes, prediction, layer table."""

import importlib
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.nets.layers import Draw, Layer, Row, arrays, backward, forward, rows
from acdref.ops.activation import sigmoid
from acdref.ops.batch import WHOLE, Batch
from acdref.ops.kernel import available
from acdref.ops.softmax import softmax_channels


class Network:
    """A network with its parameters and running statistics.

    A subclass says what it is made of (``default``, a configuration; :meth:`build`, its layers), what its
    input is (``front_end``, :meth:`as_map`), and whether its probabilities are a sigmoid or a softmax.

    Parameters
    ----------
    config : dataclass, optional
        The layer table; the paper's by default.
    seed : int
        Of NumPy's PCG64, from which the initial weights are drawn, and the zeros of dropout.
    dtype : float dtype
    backend : {"auto", "numpy", "numba"}
        "auto" is Numba where it is installed.
    draw : Draw, optional
        Where the initial weights come from; by default they are drawn with `seed`.

    Attributes
    ----------
    params, state : dict of str to ndarray
        Trainable arrays, and running statistics of batch normalisation.
    rng : numpy.random.Generator
        What dropout draws from.  A run that shall be resumed sets it anew for each step.
    batch : Batch
        Who has which clips of what it is trained on; by default all are in this process.
    front_end : str
        A name of :data:`acdref.features.front_ends.FRONT_ENDS`.
    head : tuple of str
        Layers that depend on the classes: what is drawn anew for others.
    macs_convention : str
        What :meth:`count_macs` counts.
    """

    default: Any = None
    batch: Batch = WHOLE
    front_end: str
    head: tuple[str, ...] = ("dense",)
    output: str = "sigmoid"
    macs_convention = (
        "convolutions and dense layers; no front end, no biases, normalisation, activations or pooling"
    )

    def __init__(
        self,
        config: Any = None,
        seed: int = 0,
        dtype: Any = np.float32,
        backend: str = "auto",
        draw: Draw | None = None,
    ):
        if backend == "auto":
            backend = "numba" if available() else "numpy"
        if backend not in ("numpy", "numba"):
            raise ValueError(f"backend must be auto, numpy or numba, got {backend!r}")
        self.config = self.default if config is None else config
        self.backend = backend
        self.rng = np.random.default_rng(seed)
        self.layers = self.build(self.config)
        self.params, self.state = arrays(self.layers, Draw(seed, dtype) if draw is None else draw)

    @staticmethod
    def build(config: Any) -> tuple[Layer, ...]:
        """The layers, from a map (N, T, F, C) to logits (N, classes)."""
        raise NotImplementedError

    def as_map(self, x: NDArray) -> NDArray:
        """A batch of features as a map (N, T, F, C) for the first layer; ValueError if its shape is wrong."""
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype:
        """Precision of the parameters, in which everything is computed."""
        return next(iter(self.params.values())).dtype

    def forward(self, x: ArrayLike, train: bool = False) -> tuple[NDArray, list | None]:
        """Logits of a batch.

        Parameters
        ----------
        x : array
            Features of N clips, as ``front_end`` makes them of one.
        train : bool
            Normalise with the batch's own statistics, move ``state`` towards them, and drop out.  Otherwise
            ``state`` is used, and the tape is None: gradients exist in training mode only.

        Returns
        -------
        logits : (N, classes) array
        tape : list or None
            What :meth:`backward` needs; it is used up by it.

        Raises
        ------
        ValueError
            If x has another shape, or too few frames.
        """
        return forward(self.layers, self, self._checked(x), train)

    def backward(self, tape: list, dlogits: NDArray) -> dict[str, NDArray]:
        """Gradients of a scalar loss.

        Parameters
        ----------
        tape : list
            From ``forward(x, train=True)``; it is emptied, so that memory is freed on the way.
        dlogits : (N, classes) array
            Gradient with respect to the logits.

        Returns
        -------
        dict with the keys of ``params``
        """
        grads: dict[str, NDArray] = {}
        backward(self.layers, self, dlogits.astype(self.dtype, copy=False), tape, grads)
        return {name: grads[name] for name in self.params}

    def predict_proba(self, x: ArrayLike) -> NDArray:
        """Probabilities (N, classes) of a batch: sigmoid or softmax of the logits.

        Clips go through one at a time, so that neither memory nor rounding depends on the batch.
        """
        x = np.asarray(x)
        self.as_map(x)  # complains about the shape of the whole
        logits = np.concatenate([self.forward(clip[None])[0] for clip in x])
        return softmax_channels(logits) if self.output == "softmax" else sigmoid(logits)  # (N, classes)

    def compiled(self, road: str) -> ModuleType | None:
        """The module of :mod:`acdref.fast` that goes so; None for NumPy, and where there is none."""
        if self.backend != "numba":
            return None
        try:
            return importlib.import_module(f"acdref.fast.{road}")
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("acdref.fast"):
                raise
            return None

    def layer_table(self, frames: int) -> list[Row]:
        """Rows of the layer table for an input of so many frames.

        Raises
        ------
        ValueError
            If the network needs more frames.
        """
        self._check_frames(frames)
        return self._rows(frames)

    def _rows(self, frames):
        config = self.config
        return rows(self.layers, (getattr(config, "inputs", 1), frames, getattr(config, "bins", 1)))[0]

    def count_macs(self, frames: int) -> dict[str, int]:
        """Multiply-adds of one clip by kind, and their ``total``; what counts, `macs_convention` says."""
        total = sum(row.macs for row in self.layer_table(frames))
        return {"convolutions": total, "total": total}

    @cached_property
    def min_frames(self) -> int:
        """The fewest frames (steps of the features) that leave one at the end; ValueError if none do."""
        few, enough = 0, 1
        while not self._fits(enough):
            if enough > _MOST_FRAMES:
                raise ValueError("its layers leave nothing of any sound")
            few, enough = enough, 2 * enough
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if self._fits(middle) else (middle, enough)
        return enough

    def _fits(self, frames):
        try:
            return bool(self._rows(frames))
        except ValueError:
            return False

    def _checked(self, x):
        x = np.asarray(x)
        maps = self.as_map(x)  # (N, T, F, C)
        self._check_frames(x.shape[1])
        return np.ascontiguousarray(maps, self.dtype)

    def _check_frames(self, frames):
        if frames < self.min_frames:
            raise ValueError(f"{frames} frames are too few: the network needs {self.min_frames}")


_MOST_FRAMES = 1 << 24


def scaled(channels: int, width: float) -> int:
    """So many channels times `width`, at least 4."""
    return max(4, round(channels * width))


def features_of(shape: tuple[int, ...], *tail: int) -> bool:
    """Whether `shape` is that of a batch of features (N, T, *tail) with at least one clip and frame."""
    return len(shape) == 2 + len(tail) and shape[2:] == tail and min(shape[:2], default=0) > 0
