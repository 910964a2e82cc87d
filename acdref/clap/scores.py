"""What a teacher found, as a file: raw cosines with all that is needed to remake decisions without the model.

The npz file has the arrays

==================  =============  =====================================================================
paths               (N,) text      recordings, as they were named
classes             (C,) text
cosines             (N, C) f8      NaN in the rows of recordings that could not be used
background          (B,) text      prompts that are no class
background_cosines  (N, B) f8
bytes               (N,) i8        size of each recording's file; -1 where it could not be used
notes               (N,) text      why a recording could not be used; or empty
meta                text           JSON: schema, prompts, scale (null: unknown), hashes, versions
==================  =============  =====================================================================
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.checkpoint import read_arrays
from acdref.errors import AcdrefError, FileError
from acdref.files import parse_json, replacing
from acdref.labels.clap import clap_probabilities, robust_z_scores, threshold_labels
from acdref.options.labels import RULES, Decision

SCHEMA = "acdref.teach/1"
Texts = Sequence[str]
_NAMES = ("paths", "classes", "cosines", "background", "background_cosines", "bytes", "notes", "meta")
_ARRAYS = dict(zip(_NAMES, "UUfUfiUU", strict=True))  # kinds of dtype
_TEXTS = ("paths", "classes", "background", "notes")


@dataclass(frozen=True, eq=False)
class TeacherScores:
    """Cosines of N recordings with C classes.

    Attributes
    ----------
    paths, classes, background : tuple of str
    cosines : (N, C) float64 array
    background_cosines : (N, B) float64 array
    bytes : (N,) int64 array
    notes : tuple of str
    meta : dict
    source : str
        The file that this was read from; errors name it.

    Examples
    --------
    >>> scores = TeacherScores.of_embeddings(
    ...     ["a.wav", "b.wav"], [[1, 0], [0, 2]], ["dog", "cat"], [[1, 0], [1, 1]], scale=10
    ... )
    >>> scores.cosines.round(3)
    array([[1.   , 0.707],
           [0.   , 0.707]])
    >>> scores.values("softmax").round(3)
    array([[0.949, 0.051],
           [0.001, 0.999]])
    """

    paths: tuple
    classes: tuple
    cosines: np.ndarray = field(repr=False)
    background: tuple = ()
    background_cosines: np.ndarray | None = field(default=None, repr=False)
    bytes: np.ndarray | None = field(default=None, repr=False)
    notes: tuple | None = None
    meta: dict = field(default_factory=dict)
    source: str = "scores"

    def __post_init__(self):
        n = len(self.paths)
        object.__setattr__(self, "meta", {"schema": SCHEMA, "scale": None} | self.meta)
        absent = {"background_cosines": np.zeros((n, 0)), "bytes": np.full(n, -1), "notes": ("",) * n}
        for name, value in absent.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        shapes = {"cosines": (n, len(self.classes)), "background_cosines": (n, len(self.background))}
        for name, shape in (shapes | {"bytes": (n,)}).items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has the shape {getattr(self, name).shape}, not {shape}")

    @classmethod
    def of_embeddings(
        cls, paths: Texts, audio: ArrayLike, classes: Texts, text: ArrayLike, scale: float | None = None
    ) -> Self:
        """From embeddings that were computed elsewhere, of a model that acdref cannot run, say.

        Parameters
        ----------
        paths : sequence of str
        audio : array_like, (N, D)
        classes : sequence of str
        text : array_like, (C, D)
        scale : float, optional
        """
        audio, text = (np.asarray(e, np.float64) for e in (audio, text))
        audio, text = (e / np.linalg.norm(e, axis=1, keepdims=True) for e in (audio, text))
        return cls(tuple(paths), tuple(classes), audio @ text.T, meta={"scale": scale})

    @classmethod
    def load(cls, path: str | PathLike) -> Self:
        """Read a file.

        Raises
        ------
        FileError
            If it is damaged or no such file.
        """
        arrays = read_arrays(path, _ARRAYS, "a file of acdref teach")
        try:
            meta = parse_json(str(arrays["meta"]))
            if meta.get("schema") != SCHEMA:
                raise ValueError(f"its schema is {meta.get('schema')!r}, not {SCHEMA!r}")
            scale = meta.get("scale")
            if scale is not None and not 0 < scale < math.inf:
                raise ValueError(f"its scale is {scale}")
            if np.isinf(arrays["cosines"]).any() or np.isinf(arrays["background_cosines"]).any():
                raise ValueError("it has infinite cosines")
            values: dict[str, Any] = arrays | {name: tuple(arrays[name].tolist()) for name in _TEXTS}
            return cls(**(values | {"meta": meta, "source": str(path)}))
        except (ValueError, TypeError, AttributeError) as error:
            raise FileError(path, f"damaged, or not a file of acdref teach: {error}") from None

    def save(self, path: str | PathLike) -> None:
        """Write a file, which appears when it is complete; FileError if it cannot be written."""
        # By their kinds: an empty list of texts would be float.
        kinds = {name: np.str_ if name in _TEXTS else None for name in _ARRAYS if name != "meta"}
        arrays: dict[str, Any] = {name: np.asarray(getattr(self, name), kind) for name, kind in kinds.items()}
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays, meta=json.dumps(self.meta, ensure_ascii=False))

    def values(self, rule: str = "softmax", scale: float | None = None) -> NDArray[np.float64]:
        """What thresholds are compared with.

        Parameters
        ----------
        rule : {"softmax", "cosine", "z"}
            Probabilities by the softmax over classes and background; the cosines; their robust z-scores over
            these recordings, class by class.
        scale : float, optional
            ``exp(logit_scale)``; default: the one that was stored.

        Returns
        -------
        (N, C) float64 array

        Raises
        ------
        FileError
            If the softmax needs a scale and there is none.
        AcdrefError
            If the scale is no positive number.
        """
        if rule == "cosine":
            return self.cosines
        if rule == "z":
            return robust_z_scores(self.cosines)
        if rule != "softmax":
            raise ValueError(f"rule must be one of {', '.join(RULES)}, not {rule!r}")
        scale = self.meta["scale"] if scale is None else scale
        if scale is not None and not 0 < scale < math.inf:
            raise AcdrefError(f"the logit scale must be a positive number, not {scale:g}")
        if scale is None:
            cause = "does not tell the model's logit scale, without which a softmax of cosines means nothing"
            raise FileError(self.source, f"{cause}: give it (--logit-scale)")
        return clap_probabilities(self.cosines, scale, self.background_cosines)

    def labels(self, decision: Decision) -> NDArray[np.float64]:
        """Labels (N, C), 0 or 1, NaN for recordings that could not be used; FileError for a strange class."""
        strange = [name for name in decision.by_class if name not in self.classes]
        if strange:
            raise FileError(self.source, f"there is a threshold for {strange[0]!r}, which is no class of it")
        thresholds = [decision.by_class.get(name, decision.threshold) for name in self.classes]
        return threshold_labels(self.values(decision.rule, decision.scale), thresholds)
