"""How well a network finds the classes of labelled recordings, beside what guessing would reach."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref import metrics
from acdref.errors import AcdrefError, AudioError, ManifestError
from acdref.files import json_number
from acdref.nets.network import Network
from acdref.predict.scoring import score_manifest
from acdref.tables.manifest import Manifest

SCHEMA = "acdref.evaluate/1"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Measures of each class, (C,) float64 arrays unless stated otherwise.

    Attributes
    ----------
    classes : tuple of str
    clips : int
        Recordings that were scored.
    failures : tuple of AudioError
        One for each recording that was not.
    positives, known : (C,) int arrays
        Labels that are 1, and labels that are not NaN.
    ap : ndarray
        Average precision; NaN for a class without positives.
    accuracy : ndarray
        At the threshold; NaN for a class without known labels.
    threshold : float
        A class is found where its score is above.
    """

    classes: tuple
    clips: int
    failures: tuple
    positives: np.ndarray
    known: np.ndarray
    ap: np.ndarray
    accuracy: np.ndarray
    threshold: float = 0.5

    @property
    def mean_ap(self) -> float:
        """Mean average precision over the classes that have positives."""
        return metrics.mean_over_classes(self.ap)

    @property
    def priors(self) -> NDArray:
        """Share of positives of each class: about the AP of random scores."""
        undefined = np.full(len(self.known), np.nan)
        return np.divide(self.positives, self.known, out=undefined, where=self.known > 0)

    @property
    def mean_prior(self) -> float:
        """Mean prior over the classes of :attr:`mean_ap`: about the mAP of random scores."""
        return metrics.mean_over_classes(self.priors[self.positives > 0])

    @property
    def mean_accuracy(self) -> float:
        """Class-average accuracy."""
        return metrics.mean_over_classes(self.accuracy)

    @property
    def accuracy_of_none(self) -> float:
        """Class-average accuracy of never finding anything."""
        return metrics.mean_over_classes(1 - self.priors)

    def as_dict(self) -> dict:
        """All of it for JSON, with None for what is undefined."""

        def by_class(values):
            return dict(zip(self.classes, map(json_number, values.tolist()), strict=True))

        return {
            "schema": SCHEMA,
            "mAP": json_number(self.mean_ap),
            "prior": json_number(self.mean_prior),
            "accuracy": json_number(self.mean_accuracy),
            "accuracy_of_none": json_number(self.accuracy_of_none),
            "ap": by_class(self.ap),
            "priors": by_class(self.priors),
            "accuracies": by_class(self.accuracy),
            "threshold": self.threshold,
            "positives": {name: int(n) for name, n in zip(self.classes, self.positives, strict=True)},
            "clips": self.clips,
            "failures": [{"path": error.path, "error": error.cause} for error in self.failures],
        }


def evaluate(
    net: Network,
    manifest: Manifest,
    classes: Sequence[str] | None = None,
    on_failure: Callable[[AudioError], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    threshold: float = 0.5,
    on_windows: Callable[[int, list], None] | None = None,
) -> Evaluation:
    """Score the recordings of a manifest and compare with its labels.

    Parameters
    ----------
    net : network
    manifest : Manifest
        Its classes are those of the network, in their order.
    classes : sequence of str, optional
        Measure only these of its classes.
    on_failure : callable, optional
        Called at once with the AudioError of each recording that cannot be used; it is left out.
    progress : callable, optional
        Called with (done, count) after each recording.
    threshold : float
        Of the accuracy.
    on_windows : callable, optional
        As of :func:`acdref.predict.scoring.score_manifest`.

    Returns
    -------
    Evaluation

    Raises
    ------
    AcdrefError
        If a class is not one of the manifest's, or no recording can be used.

    Notes
    -----
    The score of a recording is the mean over its windows of 10 s, see
    :func:`acdref.predict.scoring.score_manifest`.
    """
    columns = columns_of(manifest, classes)
    failures = []

    def failed(error):
        failures.append(error)
        if on_failure is not None:
            on_failure(error)

    scores = score_manifest(net, manifest, failed, progress, on_windows)
    scored = ~np.isnan(scores).any(axis=1)
    if not scored.any():
        raise AcdrefError(f"{manifest.source}: none of its {len(manifest)} recordings can be used")
    y, p = manifest.labels[scored][:, columns], scores[scored][:, columns]
    return Evaluation(
        classes=tuple(manifest.classes[c] for c in columns),
        clips=len(y),
        failures=tuple(failures),
        positives=(y == 1).sum(axis=0),
        known=(~np.isnan(y)).sum(axis=0),
        ap=metrics.average_precision(y, p),
        accuracy=metrics.accuracy(y, p, threshold),
        threshold=threshold,
    )


def measures(y: ArrayLike, p: ArrayLike, explicit: ArrayLike | None = None) -> dict:
    """How well classes are found in frames or recordings.

    Parameters
    ----------
    y : (N, C) array
        Labels 0, 1 or NaN.
    p : (N, C) array
        Probabilities.
    explicit : (N, C) bool array, optional
        Which negatives annotators have marked; the others are complementary.

    Returns
    -------
    dict
        ``d_prime`` and ``AUC``, in which the two kinds of negatives have the same weight; ``lwlrap``;
        ``mAP``; and with `explicit`, ``d_prime_explicit`` and ``d_prime_complementary`` with one kind alone.
        None for what is not defined or infinite.

    Notes
    -----
    d' is that of the mean AUC.

    Examples
    --------
    >>> found = measures([[1, 0], [0, 1], [0, 0]], [[0.9, 0.2], [0.1, 0.3], [0.95, 0.1]])
    >>> round(found["AUC"], 3), round(found["d_prime"], 3)
    (0.75, 0.954)
    """
    y, p = np.asarray(y, np.float64), np.asarray(p)
    explicit = None if explicit is None else np.asarray(explicit, bool)
    weight = None if explicit is None else metrics.balance_negatives(y, explicit)
    auc = metrics.roc_auc(y, p, weight)
    found = {
        "d_prime": metrics.mean_d_prime(auc),
        "AUC": metrics.mean_over_classes(auc),
        "lwlrap": metrics.lwlrap(y, p),
        "mAP": metrics.mean_average_precision(y, p, weight),
    }
    if explicit is not None:
        for name, dropped in (("explicit", ~explicit), ("complementary", explicit)):
            alone = np.where((y == 0) & dropped, np.nan, y)
            found[f"d_prime_{name}"] = metrics.mean_d_prime(metrics.roc_auc(alone, p))
    return {name: json_number(float(value)) for name, value in found.items()}


def matching(manifest: Manifest, pattern: str) -> Manifest:
    """The recordings of a manifest whose paths match a pattern of the shell.

    Parameters
    ----------
    manifest : Manifest
    pattern : str
        ``*`` stands for any characters, ``/`` among them, ``?`` for one, ``[abc]`` for one of these.

    Returns
    -------
    Manifest

    Raises
    ------
    ManifestError
        If no path matches.

    Examples
    --------
    >>> from acdref.tables.manifest import Manifest
    >>> m = Manifest("m.csv", ".", ("dog/a.wav", "dog/b.ogg"), [[1], [1]], ("dog",))
    >>> matching(m, "*.ogg").paths
    ('dog/b.ogg',)
    """
    chosen = [i for i, path in enumerate(manifest.paths) if fnmatchcase(path, pattern)]
    if not chosen:
        raise ManifestError(manifest.source, f"none of its {len(manifest)} paths matches {pattern!r}")
    return manifest.select(chosen)


def columns_of(manifest: Manifest, classes: Sequence[str] | None) -> list[int]:
    """Column numbers of some classes, or of all; AcdrefError if one is not the manifest's."""
    classes = manifest.classes if classes is None else classes
    for name in classes:
        if name not in manifest.classes:
            raise AcdrefError(f"the class {name!r} is not one of {', '.join(manifest.classes)}")
    return [manifest.classes.index(name) for name in classes]
