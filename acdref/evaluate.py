"""How well a network finds the classes of labelled recordings, beside what guessing would reach."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref import metrics
from acdref.checkpoint import THRESHOLD
from acdref.errors import AcdrefError, AudioError, ManifestError
from acdref.files import json_number
from acdref.nets.network import Network
from acdref.predict.scoring import WINDOW, score_manifest
from acdref.tables.manifest import Manifest
from acdref.tables.rows import names_text

SCHEMA = "acdref.evaluate/1"
RECORDINGS_SCHEMA = "acdref.recordings/1"
MEASURES = ("precision", "recall", "f1", "ap", "auc", "d_prime")
"""Of each class."""
_RESAMPLES, _LEVEL = 500, 0.95
_PAIRS = 100  # of confused classes, the most that JSON gets: of AudioSet's there would be 277,000


class Confusion(NamedTuple):
    """How many of the recordings `of` `label`, and known not to have `taken_for`, are tagged with that."""

    label: str
    taken_for: str
    recordings: int
    of: int

    @property
    def share(self) -> float:
        """The same as a share."""
        return self.recordings / self.of


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of recordings beside their labels, and measures of these.

    Attributes
    ----------
    manifest : Manifest
        All N recordings, with the C classes that are measured.
    scores : (N, C) array
        NaN in the rows of recordings that could not be scored.
    failures : tuple of AudioError
        One for each of these.
    thresholds : (C,) array
        A class is found where its score is above.
    threshold : float
        The same for the accuracy alone.
    window : float
        Seconds.
    """

    manifest: Manifest
    scores: np.ndarray
    failures: tuple
    thresholds: np.ndarray
    threshold: float = THRESHOLD
    window: float = WINDOW

    @cached_property
    def scored(self) -> NDArray:
        """Which recordings were scored, (N,) bool."""
        return ~np.isnan(self.scores).any(axis=1)

    @property
    def classes(self) -> tuple:
        """Names of the C classes."""
        return self.manifest.classes

    @property
    def clips(self) -> int:
        """Recordings that were scored."""
        return int(self.scored.sum())

    @property
    def _labelled(self):
        """Labels and scores of the recordings that were scored."""
        return self.manifest.labels[self.scored], self.scores[self.scored]

    @property
    def sources(self) -> list:
        """What the scored recordings come from; each is its own source if the manifest does not say."""
        sources = self.manifest.sources or self.manifest.paths
        return [source for source, scored in zip(sources, self.scored, strict=True) if scored]

    @property
    def positives(self) -> NDArray:
        """Labels that are 1, (C,) int."""
        return (self._labelled[0] == 1).sum(axis=0)

    @property
    def known(self) -> NDArray:
        """Labels that are not NaN, (C,) int."""
        return (~np.isnan(self._labelled[0])).sum(axis=0)

    @property
    def ap(self) -> NDArray:
        """Average precision, (C,); NaN for a class without positives."""
        return self.by_class["ap"]

    @cached_property
    def accuracy(self) -> NDArray:
        """At `threshold`, (C,); NaN for a class without known labels."""
        y, p = self._labelled
        return metrics.accuracy(y, p, self.threshold)

    @property
    def by_class(self) -> dict[str, NDArray]:
        """Each of :data:`MEASURES`, (C,); NaN where a class's labels, or tags, leave it undefined."""
        return {name: row[:-1] for name, row in zip(MEASURES, self._measured, strict=False)}

    @property
    def means(self) -> dict[str, float]:
        """Means over the classes where it is defined, d' being that of the mean AUC; and lwlrap."""
        row = self._measured[:, -1].tolist()
        return dict(zip((*MEASURES, "lwlrap"), row, strict=True))

    @cached_property
    def _measured(self):
        """Rows of MEASURES and lwlrap, columns of classes and their mean."""
        return _with_d_prime(self._measure(*self._labelled))  # (7, C + 1)

    @cached_property
    def _intervals(self):
        y, p = self._labelled
        found = metrics.bootstrap_intervals(
            self._measure, y, p, self.sources, level=_LEVEL, repeats=_RESAMPLES
        )
        return np.array([_with_d_prime(bound) for bound in found])  # (2, 7, C + 1)

    @property
    def intervals(self) -> dict[str, NDArray]:
        """Lows and highs, (2, C + 1), of each measure of each class, and last of the mean.

        95 % of 500 resamples of whole sources lie within, see
        :func:`acdref.metrics.bootstrap_interval`; of "lwlrap" there is the last column only.
        """
        return {name: self._intervals[:, row] for row, name in enumerate((*MEASURES, "lwlrap"))}

    def _measure(self, y, p, weight=None):
        at = self.thresholds
        precision, recall = metrics.precision_recall(y, p, at, weight)
        f1 = metrics.f_score(y, p, at, sample_weight=weight)
        ap, auc = metrics.average_precision(y, p, weight), metrics.roc_auc(y, p, weight)
        rows = np.array([precision, recall, f1, ap, auc, np.full(len(ap), np.nan)])  # (6, C)
        means = [metrics.mean_over_classes(row) for row in rows[:-1]]
        return np.column_stack([rows, [*means, metrics.lwlrap(y, p, weight)]])  # (6, C + 1)

    @cached_property
    def confusion(self) -> list[Confusion]:
        """Which classes are tagged in recordings of which others, the largest share first: as if there were
        five recordings more without the tag, so that one of one does not lead."""
        y, p = self._labelled
        has, lacks = (y == 1).astype(float), y == 0
        of = has.T @ lacks  # (C, C)
        tagged = has.T @ (lacks & (p > self.thresholds))  # (C, C)
        pairs = [
            Confusion(self.classes[a], self.classes[b], int(tagged[a, b]), int(of[a, b]))
            for a, b in zip(*np.nonzero(tagged), strict=True)
        ]
        return sorted(pairs, key=lambda pair: pair.recordings / (pair.of + 5), reverse=True)

    @property
    def mean_ap(self) -> float:
        """Mean average precision over the classes that have positives."""
        return self.means["ap"]

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
            return dict(zip(self.classes, map(_for_json, values.tolist()), strict=True))

        return {
            "schema": SCHEMA,
            "mAP": json_number(self.mean_ap),
            "prior": json_number(self.mean_prior),
            "accuracy": json_number(self.mean_accuracy),
            "accuracy_of_none": json_number(self.accuracy_of_none),
            "window": self.window,
            "thresholds": by_class(self.thresholds),
            "means": {name: json_number(value) for name, value in self.means.items()},
            **{name: by_class(values) for name, values in self.by_class.items()},
            "intervals": {name: by_class(self.intervals[name].T[:-1]) for name in MEASURES}
            | {"means": {name: _for_json(bounds[:, -1].tolist()) for name, bounds in self.intervals.items()}},
            "sources": {"count": len(set(self.sources)), "column": self.manifest.source_column},
            "confusion": [pair._asdict() | {"share": pair.share} for pair in self.confusion[:_PAIRS]],
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
    threshold: float | None = None,
    on_windows: Callable[[int, list], None] | None = None,
    thresholds: ArrayLike = THRESHOLD,
    window: float = WINDOW,
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
    threshold : float, optional
        A class is found where its score is above.
    on_windows : callable, optional
        As of :func:`acdref.predict.scoring.score_manifest`.
    thresholds : float or (C,) array_like
        The same for each class of the network, such as those of its weights file, where `threshold` is not
        given; the accuracy is at 0.5 then.
    window : float
        Seconds.

    Returns
    -------
    Evaluation

    Raises
    ------
    AcdrefError
        If a class is not one of the manifest's, or no recording can be used.

    Notes
    -----
    The score of a recording is the mean over its windows, see
    :func:`acdref.predict.scoring.score_manifest`.
    """
    columns = columns_of(manifest, classes)
    failures = []

    def failed(error):
        failures.append(error)
        if on_failure is not None:
            on_failure(error)

    scores = score_manifest(net, manifest, failed, progress, on_windows, window)[:, columns]
    labels, names = manifest.labels[:, columns], tuple(manifest.classes[c] for c in columns)
    at = np.broadcast_to(thresholds if threshold is None else threshold, len(manifest.classes))[columns]
    found = Evaluation(
        manifest=dataclasses.replace(manifest, labels=labels, classes=names),
        scores=scores,
        failures=tuple(failures),
        thresholds=at.astype(np.float64),
        threshold=THRESHOLD if threshold is None else threshold,
        window=window,
    )
    if not found.clips:
        raise AcdrefError(f"{manifest.source}: none of its {len(manifest)} recordings can be used")
    return found


def recording_rows(found: Evaluation) -> Iterator[list]:
    """Rows of a CSV file about every recording, the header first.

    Yields
    ------
    list
        ``path``, ``classes`` and ``unknown`` as in a manifest; ``missed`` (classes that it has and that are
        not found) and ``false`` (found, and known to be absent), separated by ``;``; the score of each class
        in a column of its name; why there is none, ``error``; ``schema``.
    """
    manifest, names = found.manifest, np.array([*found.classes, ""])[:-1]
    causes = {error.path: error.cause for error in found.failures}
    yield ["path", "classes", "unknown", "missed", "false", *found.classes, "error", "schema"]
    for i, (y, p, scored) in enumerate(zip(manifest.labels, found.scores, found.scored, strict=True)):
        tagged = p > found.thresholds
        wrong = (y == 1) & ~tagged & scored, (y == 0) & tagged
        lists = (names_text(names[chosen].tolist(), ";") for chosen in (y == 1, np.isnan(y), *wrong))
        scores = [f"{score:.6f}" if scored else "" for score in p]
        yield [manifest.paths[i], *lists, *scores, causes.get(manifest.file(i), ""), RECORDINGS_SCHEMA]


def _with_d_prime(rows):
    """Rows of :data:`MEASURES` and lwlrap, of which d' follows from the AUC."""
    return np.insert(rows, len(MEASURES) - 1, metrics.d_prime(rows[MEASURES.index("auc")]), axis=0)


def _for_json(value):
    return [json_number(one) for one in value] if isinstance(value, list) else json_number(value)


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
