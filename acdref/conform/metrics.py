"""Cases of the metrics: ties, unknown labels, weights, classes that lack positives or negatives."""

from collections.abc import Iterator

import numpy as np

from acdref import metrics
from acdref.conform.rules import rule_cases
from acdref.conform.writing import Case

NAN = np.nan
RTOL = 1e-11  # sums and quotients of a few dozen numbers in float64


def cases() -> Iterator[Case]:
    """All of this section's."""
    for chapter in (
        _average_precision,
        _roc_auc,
        _balanced,
        _d_prime,
        _accuracy,
        _f_score,
        _lwlrap,
        _map_at_k,
    ):
        yield from chapter()


def _scored(seed=30, n=36):
    """Labels and scores: three random classes with ties, then no positives, no negatives, nothing known, all
    tied, perfect."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, 8)) < 0.3).astype(np.float64)
    p = rng.integers(0, 21, y.shape) / 20
    p[:, 1] = rng.normal(size=n)  # any real numbers, without ties
    y[rng.random(y.shape) < 0.15] = NAN
    y[:, 3], y[:, 4], y[:, 5] = np.minimum(y[:, 3], 0), np.maximum(y[:, 4], 1), NAN
    p[:, 6] = 0.5
    p[:, 7] = 0.4 * p[:, 7] + 0.5 * np.nan_to_num(y[:, 7])
    p[np.isnan(y) & (rng.random(y.shape) < 0.5)] = NAN  # an unknown label's score may be anything
    return {"y": y, "p": p}


def _variants():
    """Unweighted, weighted, and by hand."""
    given, ones = _scored(), np.ones((36, 8))
    weight = np.random.default_rng(31).integers(0, 5, ones.shape) / 2  # a weight of 0 is as an unknown label
    small = {
        "y": np.array([[1, 0], [0, 0], [1, NAN], [0, 1]]),
        "p": np.array([[0.9, 0.1], [0.8, 0.2], [0.8, NAN], [0.7, 0.2]]),
    }
    return {
        "random": given | {"weight": ones},
        "weighted": given | {"weight": weight},
        "small": small | {"weight": np.ones((4, 2))},
    }


def _as_negatives(y, p):
    """Labels and scores with unknown ones taken for 0."""
    return {"y": np.nan_to_num(y), "p": np.nan_to_num(p)}


def _average_precision():
    def rule(y, p, weight, undefined):
        ap = metrics.average_precision(y, p, weight, undefined)
        return {"ap": ap, "mean": metrics.mean_over_classes(ap)}

    yield from rule_cases(
        "metrics/average_precision",
        "AP = sum over distinct scores of (R_n - R_(n-1)) P_n, not interpolated; mean over classes",
        rule,
        {name: inputs | {"undefined": NAN} for name, inputs in _variants().items()}
        | {"random_undefined_zero": _variants()["random"] | {"undefined": 0.0}},
        {
            "precision was interpolated: the highest at that recall or above": _areas(interpolated=True),
            "trapezoids were taken for steps": _areas(trapezoids=True),
            "each of several tied scores was a threshold of its own": _areas(tied=False),
            "unknown labels counted as negatives": lambda y, p, **others: rule(
                **_as_negatives(y, p), **others
            ),
            "the weights were not looked at": lambda y, p, weight, undefined: rule(
                y, p, np.ones(y.shape), undefined
            ),
            "classes without positives counted as 0": lambda undefined, **given: {
                "mean": rule(undefined=0.0, **given)["mean"]
            },
        },
        "1, sec. 4.1",
        rtol=RTOL,
    )


def _areas(interpolated=False, trapezoids=False, tied=True):
    """Average precision point by point, in other readings."""

    def areas(y, p, weight, undefined):
        ap = []
        for labels, scores, masses in zip(y.T, p.T, weight.T, strict=True):
            known = ~np.isnan(labels) & (masses > 0)
            labels, scores, masses = labels[known], scores[known], masses[known]
            if not labels.any():
                ap.append(undefined)
                continue
            order = np.argsort(-scores, kind="stable")
            hits, total = np.cumsum((labels * masses)[order]), np.cumsum(masses[order])
            ends = np.append(np.diff(scores[order]) != 0, True) | (not tied)
            recall, precision = hits[ends] / hits[-1], (hits / total)[ends]
            precision = np.maximum.accumulate(precision[::-1])[::-1] if interpolated else precision
            before = np.append(1.0, precision[:-1])
            heights = (precision + before) / 2 if trapezoids else precision
            ap.append(np.diff(recall, prepend=0) @ heights)
        return {"ap": np.array(ap)}

    return areas


def _roc_auc():
    def rule(y, p, weight):
        return {"auc": metrics.roc_auc(y, p, weight)}

    yield from rule_cases(
        "metrics/roc_auc",
        "share of the pairs of a positive and a negative in which the positive is above; a tie counts 1/2",
        rule,
        _variants(),
        {
            "ties counted 0": _pairs(0.0),
            "ties counted 1": _pairs(1.0),
            "unknown labels counted as negatives": lambda y, p, weight: rule(
                **_as_negatives(y, p), weight=weight
            ),
            "the weights were not looked at": lambda y, p, weight: rule(y, p, np.ones(y.shape)),
            "classes without positives or negatives had 1/2": lambda **given: {
                "auc": np.nan_to_num(rule(**given)["auc"], nan=0.5)
            },
        },
        "4, sec. 4.1",
        rtol=RTOL,
    )


def _pairs(tie):
    def auc(y, p, weight):
        values = []
        for labels, scores, masses in zip(y.T, p.T, weight.T, strict=True):
            up, down = (labels == 1) & (masses > 0), (labels == 0) & (masses > 0)
            above = np.sign(scores[up][:, None] - scores[down])
            won = (above > 0) + tie * (above == 0)
            mass = masses[up][:, None] * masses[down]
            values.append((won * mass).sum() / mass.sum() if mass.size else NAN)
        return {"auc": np.array(values)}

    return auc


def _balanced():
    y, p = (_scored(32)[name][:, [0, 1, 3, 4, 6]] for name in ("y", "p"))
    explicit = np.random.default_rng(33).random(y.shape) < 0.3
    explicit[:, 4] = False

    def rule(y, p, explicit):
        weight = metrics.balance_negatives(y, explicit)
        return {"weight": weight, "auc": metrics.roc_auc(y, p, weight)}

    yield from rule_cases(
        "metrics/balance_negatives",
        "a negative in a pool of m weighs n / (2 m), n in both; 1 if a pool is empty, and for others",
        rule,
        {"random": {"y": y, "p": p, "explicit": explicit}},
        {
            "the negatives were pooled": lambda y, p, explicit: {"auc": metrics.roc_auc(y, p)},
            "each pool had the total weight 1/2": lambda y, p, explicit: {
                "weight": np.where(
                    y == 0, rule(y, p, explicit)["weight"] / np.maximum((y == 0).sum(axis=0), 1), 1.0
                )
            },
        },
        "4, sec. 3.2",
        rtol=RTOL,
    )


def _d_prime():
    def rule(auc):
        means = {
            name: metrics.mean_d_prime(auc, word) for name, word in (("of_mean", "auc"), ("mean", "d_prime"))
        }
        return {"d_prime": metrics.d_prime(auc)} | means

    yield from rule_cases(
        "metrics/d_prime",
        "sqrt(2) times the standard normal quantile of the area",
        rule,
        {
            "finite": {"auc": np.array([0.788, 0.837, 0.5, 0.02, NAN, 0.999999])},
            "perfect": {"auc": np.array([1.0, 0.6, 0.9])},
            "perfect_and_wrong": {"auc": np.array([1.0, 0.0, 0.6])},
            "undefined": {"auc": np.array([NAN, NAN])},
        },
        {
            "sqrt(2) was left out": lambda auc: {"d_prime": metrics.d_prime(auc) / np.sqrt(2)},
            "the mean of d' was taken for d' of the mean area": lambda auc: {"of_mean": rule(auc)["mean"]},
        },
        "4, sec. 4.1",
        rtol=1e-8,  # what a good approximation of the normal quantile reaches
        atol=1e-12,
    )


def _thresholds():
    """Variants with a threshold: one for all, one by class, one that float64 alone tells from a score."""
    alike = {
        name: given | {"threshold": np.full(given["y"].shape[1], 0.5)} for name, given in _variants().items()
    }
    close = {"y": np.array([[1.0], [0.0]]), "p": np.float32([[0.2], [0.3]]).astype(np.float64)}
    return alike | {
        "by_class": _variants()["random"] | {"threshold": np.arange(8) / 10},
        "float32": close | {"weight": np.ones((2, 1)), "threshold": np.array([0.2])},
    }


def _wrong_detection(rule):
    """What goes wrong with thresholds."""
    return {
        "a score equal to the threshold was detected": lambda threshold, **others: rule(
            threshold=np.nextafter(threshold, -1), **others
        ),
        "unknown labels counted as negatives": lambda y, p, **others: rule(**_as_negatives(y, p), **others),
        "the weights were not looked at": lambda y, weight, **others: rule(
            y=y, weight=np.ones(y.shape), **others
        ),
        "score and threshold were compared as float32": lambda p, threshold, **others: rule(
            p=p.astype(np.float32), threshold=threshold.astype(np.float32), **others
        ),
    }


def _accuracy():
    def rule(y, p, weight, threshold):
        values = metrics.accuracy(y, p, threshold, weight)
        return {"accuracy": values, "mean": metrics.mean_over_classes(values)}

    yield from rule_cases(
        "metrics/accuracy",
        "(TP + TN) / n of each class, detected where score > threshold; mean over the classes defined",
        rule,
        _thresholds(),
        _wrong_detection(rule),
        "1, sec. 5.1",
        rtol=RTOL,
    )


def _f_score():
    def rule(y, p, weight, threshold, beta, undefined):
        return {"f_score": metrics.f_score(y, p, threshold, beta, weight, undefined)}

    variants = {name: given | {"beta": 1.0, "undefined": NAN} for name, given in _thresholds().items()}
    yield from rule_cases(
        "metrics/f_score",
        "(1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP)",
        rule,
        variants | {"recall_twice": variants["random"] | {"beta": 2.0, "undefined": 0.0}},
        _wrong_detection(rule)
        | {"beta was not squared": lambda beta, **given: rule(beta=np.sqrt(beta), **given)},
        rtol=RTOL,
    )


def _lwlrap():
    given = _scored(34, 20)
    random = {"y": given["y"][:, :5], "p": np.nan_to_num(given["p"][:, :5]), "weight": np.ones(20)}
    random["y"][3] = 0

    def rule(y, p, weight):
        values, shares = metrics.lwlrap_per_class(y, p, weight)
        return {"lwlrap": metrics.lwlrap(y, p, weight), "values": values, "weights": shares}

    yield from rule_cases(
        "metrics/lwlrap",
        "mean over all positive labels of (positives at or above its score) / (classes at or above it)",
        rule,
        {
            "small": {
                "y": np.array([[1.0, 0, 0], [0, 1, 1]]), "p": np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.1]]),
                "weight": np.ones(2),
            },
            "tied": {
                "y": np.array([[1.0, 0, 0, 1]]),
                "p": np.array([[0.5, 0.5, 0.2, 0.5]]),
                "weight": np.ones(1),
            },
            "random": random,
            "weighted": random | {"weight": np.arange(20) % 4 / 2},
            "no_positives": {"y": np.zeros((2, 3)), "p": np.ones((2, 3)), "weight": np.ones(2)},
        },
        {
            "tied scores got the best of their ranks": _best_ranks,
            "classes were averaged without weights": lambda **given: {
                "lwlrap": rule(**given)["values"].mean()
            },
            "the weights of the clips were not looked at": lambda y, p, weight: rule(y, p, np.ones(len(y))),
            "clips were averaged, not labels": _by_clip,
        },
        "4, sec. 4.1",
        rtol=RTOL,
    )  # fmt: skip


def _best_ranks(y, p, weight):
    above = (p[:, None, :] > p[:, :, None]) | np.eye(p.shape[1], dtype=bool)  # (N, C, C)
    positive = y == 1
    precision = (above & positive[:, None]).sum(axis=2) / above.sum(axis=2)
    mass = positive * weight[:, None]
    return {"lwlrap": (precision * mass).sum() / mass.sum() if mass.any() else NAN}


def _by_clip(y, p, weight):
    some = (y == 1).any(axis=1)
    values = [metrics.lwlrap(one[None], scores[None]) for one, scores in zip(y[some], p[some], strict=True)]
    return {"lwlrap": np.average(values, weights=weight[some]) if values else NAN}


def _map_at_k():
    actual = np.array([[7, -1, -1], [5, -1, -1], [4, -1, -1], [1, 2, 3], [1, 2, -1], [-1, -1, -1], [1, 2, 3]])
    predicted = [
        [7, 2, 3, 0],
        [1, 2, 5, 0],
        [1, 2, 3, 4],
        [9, 1, 3, 2],
        [1, 1, 2, 0],
        [1, 2, 3, 4],
        [3, -1, -1, -1],
    ]

    def listed(rows):
        return [[int(c) for c in row if c >= 0] for row in rows]

    def rule(actual, predicted, k):
        values = metrics.average_precision_at_k(listed(actual), listed(predicted), k)
        return {"values": values, "mean": metrics.map_at_k(listed(actual), listed(predicted), k)}

    def hits_alone(actual, predicted, k):
        clips = zip(listed(actual), listed(predicted), rule(actual, predicted, k)["values"], strict=True)
        return {"values": [v * min(len(a), k) / max(len({*a} & {*g[:k]}), 1) for a, g, v in clips]}

    given = {"actual": actual, "predicted": np.array(predicted)}
    yield from rule_cases(
        "metrics/map_at_k",
        "sum over the hits among the first k of (hits so far / rank), over min(number of classes, k)",
        rule,
        {"three": given | {"k": 3}, "one": given | {"k": 1}, "two": given | {"k": 2}},
        {
            "it was divided by k": lambda actual, predicted, k: {
                "values": rule(actual, predicted, k)["values"]
                * np.minimum([len(a) for a in listed(actual)], k)
                / k
            },
            "it was divided by the number of hits": hits_alone,
            "a repeated prediction took no rank": lambda actual, predicted, k: {
                "values": metrics.average_precision_at_k(
                    listed(actual), [list(dict.fromkeys(r)) for r in listed(predicted)], k
                )
            },
        },
        "2, sec. 5",
        rtol=RTOL,
    )
