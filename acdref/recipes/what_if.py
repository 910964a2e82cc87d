"""What if labels were this wrong: which rule of Braun & Gamper's Table 2 would help, on one's own recordings?

1. ``given``: recordings whose labels are taken as the truth;
2. ``vectors``: what `acdref embed` makes of them, once for all;
3. ``seed-0``, ...: errors put into the labels to train on; perceptrons that learn from these, from what each
   rule makes of them, and from the truth, measured on recordings that nothing was trained on;
4. ``rules``: the differences from the labels with errors, seed by seed.

The teacher of the rules is the perceptron that has learned from the labels with errors, and it scores the
recordings that it was trained on, as in the paper.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref import metrics
from acdref.errors import ManifestError
from acdref.files import Place, json_number, write_table
from acdref.fit import Observer, tell
from acdref.labels import correct_labels, mean_threshold_correct, percentile_correct, percentile_mask
from acdref.labels.noise import inject_noise, repair_counts, score_ceiling
from acdref.metrics import Paired, paired
from acdref.options.recipes import WhatIfOptions
from acdref.recipes import vectors
from acdref.recipes.parts import Data, key_of
from acdref.recipes.stages import Stage, Summaries, run
from acdref.tables.manifest import Manifest

RECIPE = "what-if"
RAW, PERFECT = "raw labels", "a perfect repair"


def rules(T: float = 0.05, q: float = 0.05) -> dict[str, Callable[[NDArray, NDArray], NDArray]]:
    """Rows 2 to 8 of Table 2 by name, each from labels and scores to labels.

    Parameters
    ----------
    T : float
        Of :func:`acdref.labels.correct_labels`.
    q : float
        Of :func:`acdref.labels.percentile_mask`.
    """
    return {
        "percentile masking": partial(percentile_mask, q=q),
        "percentile correction": partial(percentile_correct, q=q),
        "mean threshold": mean_threshold_correct,
        "correct FN": partial(correct_labels, T=T, mask=False),
        "correct FN and FP": partial(correct_labels, T=T, fp=True, mask=False),
        "correct and mask FN": partial(correct_labels, T=T),
        "correct and mask FN and FP": partial(correct_labels, T=T, fp=True),
    }


RULES = rules()
CONDITIONS = (RAW, *RULES, PERFECT)

FOLDS = 5
RUNS = "runs.csv"
MEASURES = ("mAP", "accuracy")


def what_if(options: WhatIfOptions, out: Place, observer: Observer | None = None) -> Summaries:
    """Put errors into labels and try the rules on them; or continue to.

    Parameters
    ----------
    options : WhatIfOptions
    out : str or path-like
        The recipe's folder; see :mod:`acdref.recipes.stages`.
    observer : acdref.fit.Observer, optional

    Returns
    -------
    dict of str to dict
        The stages' summaries.  That of ``rules`` is what :func:`compare` returns; a row for each seed and
        condition is in its ``runs.csv``.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Braun & Gamper, Table 2, of errors that are known.  All conditions of a seed share errors, first weights
    and the order of recordings.  Stopped at any moment and begun again with the same arguments, it ends with
    the same figures; with more seeds, it does those that are new.
    """
    recipe = _WhatIf(options, observer.log if observer else None)
    seeds = [f"seed-{options.seed + number}" for number in range(options.seeds)]
    stages = [
        recipe.data.given(),
        vectors.stage("vectors", recipe.manifests, options.weights),
        *(Stage(name, partial(recipe.seed, number), (RUNS,)) for number, name in enumerate(seeds)),
        Stage("rules", partial(recipe.rules, seeds), (RUNS,)),
    ]
    key = key_of(options, recipe.data.root, *recipe.manifests, without=("seeds",), files=("weights",))
    return run(RECIPE, out, key | {"sources": recipe.manifests[0].sources}, stages, observer)


class _WhatIf:
    def __init__(self, options, say=None):
        self.options, self.data = options, Data.named_by(options, say)
        measured = () if self.data.val is None else (self.data.val,)
        self.manifests = [self.data.train, *measured]
        if not measured:
            _check_folds(self.data.train, options)

    def seed(self, number, folder, before, observer):
        """All conditions of a seed."""
        x = [vectors.read(before["vectors"], i) for i in range(len(self.manifests))]
        lesson = Lesson.of(self.manifests, x, self.options, number)
        seed, rows = self.options.seed + number, []
        noisy = lesson.with_errors(self.options, seed)
        counts = errors_of(lesson.truth, noisy)
        if not counts["missing"] + counts["false"]:
            cause = f"none of its {counts['labels']} labels would be missing or false with these shares"
            raise ManifestError(self.data.train.source, f"{cause}, which are rounded down class by class")
        for row in lesson.runs(noisy, self.options, seed):
            rows.append(row)
            tell(observer, len(rows), len(CONDITIONS))
        _write(folder / RUNS, rows)
        ceiling = map(json_number, score_ceiling(lesson.truth, noisy).tolist())
        named = dict(zip(self.data.train.classes, ceiling, strict=True))
        return {"runs": rows, "ceiling": named, "errors": counts}

    def rules(self, seeds, folder, before, observer):
        """What the seeds say together."""
        found = [json.loads((before[name] / "finished.json").read_text())["summary"] for name in seeds]
        rows = [row for seed in found for row in seed["runs"]]
        _write(folder / RUNS, rows)
        more = {"ceilings": [seed["ceiling"] for seed in found], "errors": [seed["errors"] for seed in found]}
        return compare(rows) | {name: _means(each) for name, each in more.items()} | {"T": self.options.T}


def errors_of(truth: NDArray, noisy: NDArray) -> dict[str, int]:
    """How many ``labels`` there are, how many of them are ``missing``, and how many ``false`` ones came."""
    wrong = ((truth == 1) & (noisy == 0), (truth == 0) & (noisy == 1), truth == 1)
    return dict(zip(("missing", "false", "labels"), (int(each.sum()) for each in wrong), strict=True))


def _check_folds(manifest, options):
    """Refuse recordings of which some seed would have none to train or to measure on, before all work."""
    for number in range(options.seeds):
        left_out = _left_out(manifest, options, number)
        for part in (left_out, ~left_out):
            if not (manifest.labels[part] == 1).any():
                sources = len(set(manifest.sources or manifest.paths))
                cause = f"its {sources} sources are too few to leave a fifth of them out in turn"
                raise ManifestError(manifest.source, f"{cause}; name those to measure on (--val-fold, --val)")


def _left_out(manifest, options, number):
    """Which recordings the seed of that number measures on, (N,) bool."""
    turn, place = divmod(number, FOLDS)
    return folds(manifest.sources or manifest.paths, options.seed + turn) == place


class Lesson:
    """Vectors with true labels, to learn from and to measure on.

    Parameters
    ----------
    x, truth : array, (N, D) and (N, C)
        Of the recordings to train on.
    test_x, test_truth : array, (M, D) and (M, C)
        Of those to measure on.
    """

    def __init__(self, x: NDArray, truth: NDArray, test_x: NDArray, test_truth: NDArray) -> None:
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        deviation[deviation == 0] = 1
        self.x, self.test_x = (((part - mean) / deviation).astype(np.float32) for part in (x, test_x))
        self.truth, self.test_truth = truth, test_truth

    @classmethod
    def of(
        cls, manifests: Sequence[Manifest], x: Sequence[NDArray], options: WhatIfOptions, number: int
    ) -> "Lesson":
        """The lesson of a seed, by its number.

        Parameters
        ----------
        manifests : sequence of Manifest
            To train on, and to measure on; of only one, the recordings of a fold are measured on.
        x : sequence of (N, D) array
            Their vectors; NaN for recordings that could not be used.
        options : WhatIfOptions
        number : int
            Of the seed, from 0 on; every five draw the folds anew.

        Raises
        ------
        ManifestError
            If there is nothing to train or to measure on.
        """
        train, *measured = manifests
        heard = [vectors.usable(each) for each in x]
        if not measured:
            left_out = _left_out(train, options, number)
            parts = [(train, x[0], heard[0] & ~left_out), (train, x[0], heard[0] & left_out)]
        else:
            parts = list(zip(manifests, x, heard, strict=True))
        for (manifest, _, chosen), what in zip(parts, ("train", "measure"), strict=True):
            if not (manifest.labels[chosen] == 1).any():
                cause = f"of the {int(chosen.sum())} recordings to {what} on, none is known to have a class"
                raise ManifestError(manifest.source, cause)
        (one, vectors_of, to_train), (other, test_vectors, to_measure) = parts
        return cls(
            vectors_of[to_train], one.labels[to_train], test_vectors[to_measure], other.labels[to_measure]
        )

    def with_errors(self, options: WhatIfOptions, seed: int) -> NDArray[np.float64]:
        """The labels to train on (N, C) with the errors of a seed."""
        missing = options.missing[0], options.missing[-1]
        return inject_noise(self.truth, np.random.default_rng(seed), missing, options.false)

    def runs(self, noisy: NDArray, options: WhatIfOptions, seed: int) -> Iterator[dict[str, Any]]:
        """A row for each of :data:`CONDITIONS`: what was measured, and how much was repaired.

        Parameters
        ----------
        noisy : (N, C) array
            Labels to train on; the perceptron that has learned from them is the teacher.
        options : WhatIfOptions
        seed : int
            Of all perceptrons.

        Yields
        ------
        dict
            With what :func:`acdref.labels.noise.repair_counts` counts.
        """
        teacher = vectors.learn(self.x, noisy, options, seed)
        scores, repair = vectors.probabilities(teacher, self.x), rules(options.T, options.q)
        for condition in CONDITIONS:
            given = {RAW: noisy, PERFECT: self.truth}
            labels = given[condition] if condition in given else repair[condition](noisy, scores)
            # From the same labels the same would be learned.
            same = np.array_equal(labels, noisy, equal_nan=True)
            net = teacher if same else vectors.learn(self.x, labels, options, seed)
            p = vectors.probabilities(net, self.test_x)
            measured = {
                "mAP": metrics.mean_average_precision(self.test_truth, p),
                "accuracy": metrics.mean_accuracy(self.test_truth, p),
            }
            counts = repair_counts(self.truth, noisy, labels)
            yield {"seed": seed, "condition": condition, **measured, **counts}


def folds(sources: Sequence[str], seed: int) -> NDArray[np.int64]:
    """One of five folds for each recording; those of a source share theirs.

    Examples
    --------
    >>> folds(["a", "b", "b", "c"], seed=0)
    array([2, 0, 0, 1])
    """
    _, source = np.unique(list(sources), return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(source.max()) + 1)
    return order[source] % FOLDS


def compare(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What each condition brings over the labels with errors.

    Parameters
    ----------
    rows : sequence of dict
        Of :meth:`Lesson.runs`, of one or more seeds.

    Returns
    -------
    dict
        ``conditions``: name -> mean ``mAP`` and ``accuracy``; ``mAP_gain`` and ``accuracy_gain``, each a
        :class:`acdref.metrics.Paired` as a dict with None for NaN; ``repair`` and ``masks``, precision and
        recall over all seeds, without and with what is merely masked, None where undefined.
        ``verdict``: what :func:`verdict` says of mAP.
    """
    by = {name: [row for row in rows if row["condition"] == name] for name in CONDITIONS}
    gains = {
        measure: {
            name: paired([row[measure] - raw[measure] for row, raw in zip(own, by[RAW], strict=True)])
            for name, own in by.items()
        }
        for measure in MEASURES
    }
    found = {name: _means(own, MEASURES) | _repairs(own) for name, own in by.items()}
    for measure, of in gains.items():
        for name, gain in of.items():
            found[name][f"{measure}_gain"] = gain._asdict() | {"half": json_number(gain.half)}
    counts = ("repaired", "masked", "harmed", "lost")
    idle = [name for name in RULES if not any(row[count] for row in by[name] for count in counts)]
    return {"conditions": found, "verdict": verdict(gains["mAP"], idle)}


def _means(rows, names=None):
    """Name -> mean over rows that have a value; those without any are left out."""
    values = {name: [row[name] for row in rows if row[name] is not None] for name in names or rows[0]}
    return {name: float(np.mean(some)) for name, some in values.items() if some}


def _repairs(rows):
    """Precision and recall over all rows, without and with masks."""
    counts = ("errors", "repaired", "masked", "harmed", "lost")
    errors, repaired, masked, harmed, lost = (sum(row[name] for row in rows) for name in counts)
    changed = repaired + masked
    return {
        "repair": _ratios(repaired, repaired + harmed, errors),
        "masks": _ratios(changed, changed + harmed + lost, errors),
    }


def _ratios(right, changed, errors):
    """Precision and recall; None where undefined."""
    return [right / below if below else None for below in (changed, errors)]


def verdict(gains: Mapping[str, Paired], idle: Collection[str] = ()) -> str:
    """One sentence: which rules help, which harm, and which effect of the others would have been shown.

    Parameters
    ----------
    gains : dict of str to Paired
        mAP of each of :data:`CONDITIONS` over the labels with errors.
    idle : collection of str
        Rules that changed no label.

    Returns
    -------
    str
        A rule helps or harms if its 95 % interval excludes 0.  Beside the others stands the gain that four of
        five such experiments would show.

    Examples
    --------
    >>> found = dict.fromkeys(CONDITIONS, Paired(0.001, 0.004, 6, 10)) | {PERFECT: Paired(0.1, 0.01, 10, 10)}
    >>> found |= {"correct FN": Paired(0.01, 0.002, 10, 10)}
    >>> verdict(found, [name for name in RULES if name not in ("correct FN", "mean threshold")])
    'helps: correct FN (+0.0100 ± 0.0020); cannot be told: mean threshold (0.0056 would show); changes no \
label: percentile masking, percentile correction, correct FN and FP, correct and mask FN, correct and mask \
FN and FP'
    """
    said: dict[str, list[str]] = {"helps": [], "harms": [], "cannot be told": [], "changes no label": []}
    for name in sorted(RULES, key=lambda name: -gains[name].mean):
        gain = gains[name]
        if name in idle:
            said["changes no label"].append(name)
        elif gain.shown:
            said["helps" if gain.mean > 0 else "harms"].append(f"{name} ({gain.mean:+.4f} ± {gain.half:.4f})")
        else:
            seen = "" if gain.n < 2 else f" ({gain.detectable:.4f} would show)"
            said["cannot be told"].append(name + seen)
    parts = [f"{verb}: {', '.join(names)}" for verb, names in said.items() if names]
    if not (gains[PERFECT].shown and gains[PERFECT].mean > 0):
        parts.insert(0, "even a perfect repair shows no gain, so that little can be expected of any rule")
    return "; ".join(parts) + ("; one seed tells nothing" if gains[PERFECT].n < 2 else "")


def _write(path, rows):
    write_table(path, list(rows[0]), [list(row.values()) for row in rows])
