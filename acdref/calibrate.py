"""Thresholds and honest probabilities, fitted on recordings that the network was not trained on.

Each class's logits get a scale and a shift (Platt), folded into the last layer, so that its scores are
probabilities of recordings like these; and each class gets the threshold with the best F1.  Both go into a
weights file, and whatever reads it then has them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref import metrics
from acdref.checkpoint import THRESHOLD, load_weights, network_meta, save_weights
from acdref.errors import AcdrefError
from acdref.files import refuse_inputs
from acdref.nets import registry
from acdref.nets.network import Network
from acdref.predict.scoring import WINDOW, mean_over_windows, score_manifest
from acdref.tables.manifest import Manifest

LEAST = 5
"""A class with fewer positives, or fewer negatives, keeps its threshold and its logits."""
_OWN = ("rows", "fingerprint", "options", "backend")  # what a checkpoint says of its run
_FOLD = ("acdnet", "conv1d")
_SUREST = 1e-7  # as far from 0 and 1 are the probabilities whose logits are taken


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was fitted, and what it brings to the recordings that it was fitted on.

    Attributes
    ----------
    classes : tuple of str
    positives : (C,) int array
    fitted : (C,) bool array
        Classes with enough positives and negatives; the others are as they were.
    scale, shift : (C,) arrays
        Of the logits; 1 and 0 where nothing was fitted.
    thresholds : (C,) array
    recordings : int
    before, after : dict of str to float
        ``error``, the expected calibration error, and ``f1``, the mean F1 at the thresholds.
    """

    classes: tuple
    positives: np.ndarray
    fitted: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    thresholds: np.ndarray
    recordings: int
    before: dict
    after: dict

    def as_dict(self) -> dict:
        """All of it for JSON."""
        by_class = {
            name: dict(zip(self.classes, getattr(self, name).tolist(), strict=True))
            for name in ("positives", "fitted", "scale", "shift", "thresholds")
        }
        means = {"recordings": self.recordings, "before": self.before, "after": self.after}
        return {"schema": "acdref.calibrate/1"} | by_class | means


def calibrate(
    net: Any,
    manifest: Manifest,
    thresholds: ArrayLike = THRESHOLD,
    on_failure: Callable | None = None,
    progress: Callable | None = None,
    window: float = WINDOW,
) -> Calibration:
    """Score recordings, and fit a scale, a shift and a threshold for each class.

    Parameters
    ----------
    net : network
        It stays as it is, see :func:`fold`.
    manifest : Manifest
        Recordings that it was not trained on; its classes are the network's.
    thresholds : float or (C,) array_like
        As of :func:`calibration`.
    on_failure, progress, window
        As of :func:`acdref.predict.scoring.score_manifest`.

    Returns
    -------
    Calibration

    Raises
    ------
    AcdrefError
        If no recording can be used.
    """
    windows: dict[int, list] = {}
    score_manifest(net, manifest, on_failure, progress, windows.__setitem__, window)
    own = [windows.get(i) for i in range(len(manifest))]
    return calibration(manifest, own, thresholds, can_fold(getattr(net, "net", net)))


def calibration(
    manifest: Manifest, windows: Sequence, thresholds: ArrayLike = THRESHOLD, scaled: bool = True
) -> Calibration:
    """Fit a scale, a shift and a threshold for each class to scores.

    Parameters
    ----------
    manifest : Manifest
        N recordings that the network was not trained on, and its C classes.
    windows : sequence, (N,)
        Of each recording a list of :class:`acdref.predict.scoring.Scores`; None if it could not be scored.
    thresholds : float or (C,) array_like
        Those until now, which a class that is not fitted keeps.
    scaled : bool
        False: thresholds alone, for a network whose logits cannot be changed, see :func:`can_fold`.

    Returns
    -------
    Calibration

    Raises
    ------
    AcdrefError
        If no recording has been scored.

    Notes
    -----
    Scale and shift are fitted to the logits of the recordings' scores, and applied to those of each window,
    as the network will; the thresholds are fitted to what becomes of the recordings' scores then.  A
    threshold is the median over resamples of whole sources, see :func:`acdref.metrics.best_thresholds`.
    """
    scored = [i for i, own in enumerate(windows) if own]
    if not scored:
        raise AcdrefError(f"{manifest.source}: none of its {len(manifest)} recordings can be used")
    chosen = manifest.select(scored)
    y, windows = chosen.labels, [windows[i] for i in scored]
    p = np.array([mean_over_windows(own) for own in windows])  # (N, C)
    old = np.broadcast_to(np.asarray(thresholds, np.float64), y.shape[1:])
    positives = (y == 1).sum(axis=0)
    fitted = np.minimum(positives, (y == 0).sum(axis=0)) >= LEAST
    scale, shift = np.ones(len(fitted)), np.zeros(len(fitted))
    if scaled:
        found = metrics.platt_scaling(y, _logits(p))
        scale, shift = np.where(fitted, found[0], scale), np.where(fitted, found[1], shift)
    q = applied(windows, scale, shift)
    best = metrics.best_thresholds(y, q, chosen.sources or chosen.paths)
    if not fitted.any():
        raise AcdrefError(f"no class has {LEAST} recordings that have it, and {LEAST} that do not")
    new = np.where(fitted, np.clip(best, 0, 1).round(4), old)  # as exact as the page of a report has scores
    return Calibration(
        classes=manifest.classes,
        positives=positives,
        fitted=fitted,
        scale=scale,
        shift=shift,
        thresholds=new,
        recordings=len(scored),
        before=_quality(y, p, old),
        after=_quality(y, q, new),
    )


def applied(windows: Sequence, scale: ArrayLike, shift: ArrayLike) -> NDArray[np.float64]:
    """Scores of recordings, as the network would give them whose logits are ``scale * logits + shift``.

    Parameters
    ----------
    windows : sequence, (N,)
        Of each recording a list of :class:`acdref.predict.scoring.Scores`.
    scale, shift : (C,) array_like

    Returns
    -------
    ndarray, (N, C), float64
    """

    def changed(window):
        z = scale * _logits(window.probabilities) + shift
        return window._replace(probabilities=1 / (1 + np.exp(-z)))

    return np.array([mean_over_windows(changed(window) for window in own) for own in windows])


def can_fold(net: Network) -> bool:
    """Whether the logits of a network change as :func:`fold` says: behind its last dense layer there is but a
    mean of logits, and a sigmoid."""
    return registry.name_of(net) in _FOLD


def fold(net: Network, scale: NDArray, shift: NDArray) -> None:
    """Change a network in place, so that its logits become ``scale * logits + shift``.

    Parameters
    ----------
    net : network
        One that :func:`can_fold`.
    scale, shift : (C,) arrays

    Raises
    ------
    ValueError
        For another one.

    Examples
    --------
    >>> net = registry.build("acdnet", classes=2)
    >>> net.params["dense.bias"][:] = 1.5, 1.5
    >>> fold(net, np.array([2.0, 1.0]), np.array([0.5, 0.0]))
    >>> net.params["dense.bias"]
    array([3.5, 1.5], dtype=float32)
    """
    if not can_fold(net):
        raise ValueError(f"{registry.name_of(net)} has no dense layer that gives its logits")
    weight, bias = net.params["dense.weight"], net.params["dense.bias"]
    weight *= scale.astype(weight.dtype)  # (inputs, C)
    bias[:] = bias * scale + shift


def save(found: Calibration, weights: str | PathLike, out: str | PathLike) -> None:
    """Write a copy of weights with what was fitted.

    Parameters
    ----------
    found : Calibration
    weights : str or path-like
        A weights file or a checkpoint, which stays as it is; of a checkpoint the network alone is copied.
    out : str or path-like

    Raises
    ------
    CheckpointError
        If the weights cannot be read, or the copy cannot be written.
    FileError
        If `out` is the weights file itself.
    """
    refuse_inputs(out, weights)
    net, meta = load_weights(weights, "numpy")
    if can_fold(net):
        fold(net, found.scale, found.shift)
    notes = {name: value for name, value in meta.items() if name not in (*_OWN, *network_meta(net, ()))}
    notes["calibration"] = {name: getattr(found, name).tolist() for name in ("fitted", "scale", "shift")}
    notes["calibration"]["recordings"] = found.recordings
    save_weights(out, net, meta["classes"], **notes | {"thresholds": found.thresholds.tolist()})


def _logits(p: ArrayLike) -> NDArray:
    p = np.clip(np.asarray(p, np.float64), _SUREST, 1 - _SUREST)
    return np.log(p) - np.log1p(-p)


def _quality(y, p, thresholds):
    f1 = metrics.mean_over_classes(metrics.f_score(y, p, thresholds))
    return {"error": metrics.reliability(y, p).error, "f1": f1}
