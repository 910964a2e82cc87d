"""Cases of the label rules that draw nothing; frames, windows and folds stand in the module timing."""

from collections.abc import Iterator

import numpy as np

from acdref import labels as rules
from acdref.conform import timing
from acdref.conform.rules import rule_cases
from acdref.conform.writing import Case
from acdref.labels.noise import repair_counts

NAN = np.nan
BOUNDARIES = ("closed", "literal")
PAIRINGS = ("reversed", "adjacent")
STATISTICS = ("mean", "median", "p25", "p10", "p5")


def cases() -> Iterator[Case]:
    """All of this section's."""
    joining = (_joining, _mixing, _pairings, _gains)
    by_scores = (_correction, _percentiles, _mean_thresholds, _flags, _clap, _clap_labels, _z_scores)
    by_graph = (_expansion, _masking, _candidates, _splits, _columns, _superclasses)
    for chapter in (*joining, *by_scores, *by_graph, _counts, _odds):
        yield from chapter()
    yield from timing.cases()


def _drawn(seed, n, c, unknown=0.15, positive=0.3):
    """Random labels with unknown ones, and scores of two decimals, so that some are tied; a few are NaN."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, c)) < positive).astype(np.float64)
    y[rng.random((n, c)) < unknown] = NAN
    p = rng.integers(0, 101, (n, c)) / 100
    p[rng.random((n, c)) < unknown / 3] = NAN
    return y, p


def _joining():
    values = np.array([0.0, NAN, 1.0])
    every = np.stack(np.meshgrid(values, values, values, indexing="ij")).reshape(3, -1)  # (I, C)
    yield from rule_cases(
        "labels/or_join",
        "over the first axis: 1 if any is 1; else NaN if any is NaN; else 0",
        lambda labels: {"joined": rules.or_join(labels)},
        {
            "all_of_three": {"labels": every},
            "one_clip": {"labels": every[:1]},
            "no_classes": {"labels": np.zeros((2, 0))},
            "batches": {"labels": _drawn(1, 12, 5)[0].reshape(3, 4, 5)},
        },
        {
            "the largest value was taken, so that 1 with unknown is unknown": lambda labels: {
                "joined": np.max(labels, axis=0)
            },
            "unknown labels were passed over, so that 0 with unknown is 0": lambda labels: {
                "joined": np.where((labels == 1).any(axis=0), 1.0, 0.0)
            },
        },
        "1, eq. 3",
    )


MIXED = np.array([[0.0, 1.0, NAN, 0.25], [1.0, 1.0, 0.0, NAN], [0.0, 0.0, 1.0, 0.5], [1.0, 0.0, NAN, 0.0]])
WEIGHTS = np.array([0.25, 0.0, 1.0, 0.7])


def _mixing():
    yield from rule_cases(
        "labels/mixup",
        "weight * first + (1 - weight) * second",
        lambda first, second, weight: {"mixed": rules.mixup(first, second, weight)},
        {"rows": {"first": MIXED, "second": MIXED[::-1], "weight": WEIGHTS}},
        {
            "a weight of 0 was multiplied with NaN": lambda first, second, weight: {
                "mixed": weight[:, None] * first + (1 - weight[:, None]) * second
            },
            "the weights were exchanged": lambda first, second, weight: {
                "mixed": rules.mixup(first, second, 1 - weight)
            },
        },
        "1, eq. 1 and 2",
        rtol=1e-14,  # two products and a sum
    )


def _pairings():
    y, weights = MIXED, WEIGHTS

    def batch_rule(batch, weights, pairing):
        return {"mixed": rules.mixup_batch(batch, weights, PAIRINGS[pairing])}

    yield from rule_cases(
        "labels/mixup_batch",
        "rows n and N - 1 - n mixed (reversed), or rows 2n and 2n + 1 (adjacent)",
        batch_rule,
        {
            "reversed": {"batch": y, "weights": weights, "pairing": 0},
            "reversed_odd": {"batch": y[:3], "weights": weights[:3], "pairing": 0},
            "adjacent": {"batch": y, "weights": weights[[0, 3]], "pairing": 1},
            "adjacent_odd": {"batch": y[:3], "weights": weights[:1], "pairing": 1},
        },
        {
            "both rows of a pair had the weight of the first": lambda batch, weights, pairing: batch_rule(
                batch,
                weights
                if pairing
                else np.r_[weights[: len(batch) // 2], 1 - weights[: (len(batch) + 1) // 2][::-1]],
                pairing,
            )
        },
        "1, eq. 1 and 2",
        rtol=1e-14,
    )


def _gains():
    yield from rule_cases(
        "labels/apply_gains",
        "10^(gain / 20) * source, and their sum",
        _gained,
        {
            "sources": {
                "sources": np.random.default_rng(2).normal(size=(4, 6)),
                "gains": [0.0, 2.0, -6.0, -np.inf],
            }
        },
        {
            "the gain was of power: 10^(gain / 10)": lambda sources, gains: _gained(
                sources, 2 * np.array(gains)
            ),
            "the mixture was the mean": lambda sources, gains: {
                "mixture": _gained(sources, gains)["mixture"] / len(gains)
            },
        },
        "1, sec. 3.1",
        rtol=1e-12,
        atol=1e-12,  # the sum cancels
    )


def _gained(sources, gains):
    scaled = rules.apply_gains(sources, gains)
    return {"scaled": scaled, "mixture": scaled.sum(axis=0)}


def _correction():
    edge = 0.95
    scores = [0, 0.01, np.nextafter(0.05, 0), 0.05, np.nextafter(0.05, 1), 0.3, np.nextafter(0.5, 0), 0.5]
    scores += [
        np.nextafter(0.5, 1),
        0.7,
        np.float32(edge),
        np.nextafter(edge, 0),
        edge,
        np.nextafter(edge, 1),
    ]
    p = np.tile(np.array([*scores, 0.99, 1.0, NAN]), (3, 1))  # (labels, scores)
    y = np.repeat([[0.0], [1.0], [NAN]], p.shape[1], axis=1)  # (labels, scores)
    variants = {}
    for fp, treated in enumerate(("fn", "fnfp")):
        for mask, action in enumerate(("correct", "mask")):
            for code, boundary in enumerate(BOUNDARIES):
                choices = {"T": 0.05, "fp": fp, "mask": mask, "boundary": code}
                variants[f"{treated}_{action}_{boundary}"] = {"y": y, "p": p} | choices
    both = {"fp": 1, "mask": 1, "boundary": 0}
    variants["nothing_is_sure"] = {"y": y, "p": p, "T": 0.0} | both
    variants["nothing_is_doubtful"] = {"y": y, "p": p, "T": 0.5} | both
    some, score = _drawn(3, 40, 5)
    variants["random"] = {"y": some, "p": score, "T": 0.2} | both
    variants["no_clips"] = {"y": some[:0], "p": score[:0], "T": 0.05} | both
    yield from rule_cases(
        "labels/correct_labels",
        "0 becomes 1 above 1 - T, NaN from 0.5 to that; with fp 1 becomes 0 below T, NaN from that to 0.5",
        lambda y, p, T, fp, mask, boundary: {
            "corrected": rules.correct_labels(y, p, T, bool(fp), bool(mask), BOUNDARIES[boundary])
        },
        variants,
        {
            "scores were compared as float32": _otherwise(comparing=np.float32),
            "p = 1 - T and p = T were corrected already": _otherwise(sure=np.greater_equal),
            "p = 0.5 was a contradiction": _otherwise(against=np.greater_equal),
            "the other boundary was taken": lambda boundary, **others: _otherwise()(
                boundary=1 - boundary, **others
            ),
            "FP was corrected and FN not": lambda y, fp, **others: {
                "corrected": np.where(y == 1, _otherwise()(y=y, fp=1, **others)["corrected"], y)
            },
            "labels without a score became unknown": lambda y, p, **others: {
                "corrected": np.where(np.isnan(p), NAN, _otherwise()(y=y, p=p, **others)["corrected"])
            },
        },
        "1, eq. 4 to 7",
    )


def _otherwise(sure=np.greater, against=np.greater, comparing=np.float64):
    """The rule of correct_labels, with other comparisons."""

    def corrected(y, p, T, fp, mask, boundary):
        p, half = p.astype(comparing), comparing(0.5)
        up, down = comparing(1.0 - T), comparing(T)
        wrongs = [(0.0, 1.0, sure(p, up), against(p, half), p == up)]
        wrongs += [(1.0, 0.0, sure(down, p), against(half, p), p == down)] if fp else []
        out = y.copy()
        for label, other, certain, contrary, at in wrongs:
            doubtful = contrary & ~certain & bool(mask) & ~(at & bool(boundary))
            out[(y == label) & doubtful] = NAN
            out[(y == label) & contrary & certain] = other
        return {"corrected": out}

    return corrected


def _percentiles():
    y, p = _drawn(4, 30, 4, positive=0.2)
    few = np.array([[0, 0, 1], [0, 0, 1], [0, NAN, NAN], [0, 0, 1], [0, 0, 1], [1, 0, NAN]], dtype=np.float64)
    tied = (
        np.array([[1, 4, 9], [2, 4, 5], [3, 9, 5], [4, 4, NAN], [NAN, 4, 1], [9, 4, 3]]) / 10
    )  # few and tied
    variants = {
        "small_half": {"y": few, "p": tied, "q": 0.5},
        "small_nothing": {"y": few, "p": tied, "q": 0.0},
        "random": {"y": y, "p": p, "q": 0.05},
        "random_quarter": {"y": y, "p": p, "q": 0.25},
    }
    yield from rule_cases(
        "labels/percentile_thresholds",
        "the (1 - q) quantile, linearly interpolated, of a class's scores where y is 0",
        lambda y, p, q: {"thresholds": rules.percentile_thresholds(y, p, q)},
        variants,
        {
            "the quantile was not interpolated but the score below": _quantile(method="lower"),
            "all scores were counted, not only those of the negatives": lambda y, p, q: _quantile()(
                0 * y, p, q
            ),
            "q was taken for 1 - q": lambda y, p, q: _quantile()(y, p, 1 - q),
        },
        "1, table 2, rows 2 and 3",
        rtol=1e-13,  # one interpolation
    )
    for function, value, word, row in (
        ("percentile_mask", NAN, "NaN", 2),
        ("percentile_correct", 1.0, "1", 3),
    ):
        rule = getattr(rules, function)
        yield from rule_cases(
            f"labels/{function}",
            f"{word} where y is 0 and the score is above its class's percentile_thresholds",
            lambda y, p, q, rule=rule: {"relabelled": rule(y, p, q)},
            variants,
            {
                "a score equal to the threshold was flagged": lambda y, p, q, value=value: {
                    "relabelled": np.where((y == 0) & (p >= rules.percentile_thresholds(y, p, q)), value, y)
                },
            },
            f"1, table 2, row {row}",
        )


def _quantile(method="linear"):
    def thresholds(y, p, q):
        columns = [column[zero & ~np.isnan(column)] for column, zero in zip(p.T, (y == 0).T, strict=True)]
        found = [np.quantile(one, 1 - q, method=method) if one.size else NAN for one in columns]
        return {"thresholds": np.array(found)}

    return thresholds


def _with_candidates():
    """Labels, scores and which pairs may change; the last class has no positives."""
    y, p = _drawn(5, 30, 4)
    y[:, 3] = np.where(y[:, 3] == 1, 0, y[:, 3])
    return y, p, np.random.default_rng(6).random(y.shape) < 0.5


def _mean_thresholds():
    y, p, allowed = _with_candidates()
    small = {
        "y": np.array([[1.0], [1.0], [0.0], [0.0], [NAN]]),
        "p": np.array([[0.5], [1.0], [0.75], [0.8], [0.9]]),
    }
    yield from rule_cases(
        "labels/positive_thresholds",
        "mean, median or a low percentile of a class's scores where y is 1",
        lambda y, p, statistic: {"thresholds": rules.positive_thresholds(y, p, STATISTICS[statistic])},
        {word: {"y": y, "p": p, "statistic": code} for code, word in enumerate(STATISTICS)},
        {"all scores were averaged": lambda y, p, statistic: {"thresholds": np.nanmean(p, axis=0)}},
        "1, table 2, row 4",
        rtol=1e-13,
    )

    def rule(y, p, candidates, statistic):
        candidates = np.asarray(candidates, dtype=bool)
        return {"corrected": rules.mean_threshold_correct(y, p, candidates, STATISTICS[statistic])}

    yield from rule_cases(
        "labels/mean_threshold_correct",
        "1 where y is 0, the pair is a candidate and the score is above the class's positive_thresholds",
        rule,
        {
            "small": small | {"candidates": np.ones((5, 1), dtype=bool), "statistic": 0},
            "all_negatives": {"y": y, "p": p, "candidates": np.ones(y.shape, dtype=bool), "statistic": 0},
            "candidates": {"y": y, "p": p, "candidates": allowed, "statistic": 0},
            "median": {"y": y, "p": p, "candidates": allowed, "statistic": 1},
        },
        {
            "the candidates were not looked at": lambda y, candidates, **others: rule(
                y, candidates=np.ones(y.shape), **others
            ),
            "a score equal to the threshold was labelled": lambda y, p, candidates, statistic: {
                "corrected": np.where(
                    (y == 0) & candidates & (p >= rules.positive_thresholds(y, p, STATISTICS[statistic])),
                    1.0,
                    y,
                )
            },
            "unknown labels were corrected too": lambda y, **others: {
                "corrected": rule(np.nan_to_num(y), **others)["corrected"]
            },
        },
        "1, table 2, row 4",
    )


def _flags():
    y, p, allowed = _with_candidates()
    met = p[np.flatnonzero((y[:, 1] == 0) & allowed[:, 1] & (p[:, 1] > 0))[0], 1]
    yield from rule_cases(
        "labels/above_threshold",
        "y is 0, the pair is a candidate and the score is above its class's threshold",
        lambda y, p, thresholds, candidates: {"flags": rules.above_threshold(y, p, thresholds, candidates)},
        {"random": {"y": y, "p": p, "thresholds": np.array([0.5, met, NAN, 0.0]), "candidates": allowed}},
        {
            "a score equal to the threshold was flagged": lambda y, p, thresholds, candidates: {
                "flags": (y == 0) & (p >= thresholds) & candidates
            }
        },
    )


def _cosines():
    """Variants of cosines of clips with prompts: one row constant, one with an unknown."""
    rng = np.random.default_rng(7)
    cosines, background = (
        np.round(rng.uniform(-0.1, 0.5, (6, 11)), 3),
        np.round(rng.uniform(-0.1, 0.5, (6, 2)), 3),
    )
    cosines[1] = 0.25
    cosines[2, 3] = NAN
    given = {"cosines": cosines, "scale": 1 / 0.07, "background": np.zeros((6, 0))}
    return {
        "classes_alone": given,
        "background": given | {"background": background},
        "large_scale": given | {"scale": 2000.0},
    }


def _probabilities(cosines, scale, background):
    return {"probabilities": rules.clap_probabilities(cosines, scale, background)}


def _clap():
    yield from rule_cases(
        "labels/clap_probabilities",
        "softmax over classes and background of scale * cosine, of which the classes are kept",
        _probabilities,
        _cosines(),
        {
            "the scale was left out": lambda cosines, scale, background: _probabilities(
                cosines, 1.0, background
            ),
            "the background did not compete": lambda cosines, scale, background: _probabilities(
                cosines, scale, background[:, :0]
            ),
        },
        "1, sec. 3.4",
        rtol=1e-11,  # exp of up to scale * 0.6: the last bits of the cosines count so often
        atol=1e-300,
    )


def _clap_labels():
    four = np.array([[0.3, 0.2, 0.1], [0.2, 0.2, 0.2], [0.3, 0.3, -0.2], [0.1, NAN, 0.1]])

    def winner(threshold, **given):
        p = _probabilities(**given)["probabilities"]
        return {"labels": (p == p.max(axis=1, keepdims=True)).astype(np.float64)}

    yield from rule_cases(
        "labels/clap_labels",
        "1 where the probability of clap_probabilities is above the threshold, else 0; NaN where it is NaN",
        lambda threshold, **given: {"labels": rules.clap_labels(threshold=threshold, **given)},
        {name: inputs | {"threshold": 0.2} for name, inputs in _cosines().items()}
        | {"small": {"cosines": four, "scale": 10.0, "background": np.zeros((4, 0)), "threshold": 0.3}},
        {
            "the scale was left out": lambda scale, **given: {
                "labels": rules.clap_labels(scale=1.0, **given)
            },
            "the most probable class alone was labelled": winner,
            "an unknown score gave the label 0": lambda **given: {
                "labels": np.nan_to_num(rules.clap_labels(**given))
            },
        },
        "1, sec. 3.4",
    )


def _z_scores():
    scores = np.array([[0.31, 0.25, 0.9], [0.3, NAN, 0.1], [0.29, 0.2, 0.5]])
    yield from rule_cases(
        "labels/threshold_labels",
        "1 where the score is above the threshold of its class, 0 where not, NaN where either is NaN",
        lambda scores, thresholds: {"labels": rules.threshold_labels(scores, thresholds)},
        {"small": {"scores": scores, "thresholds": np.array([0.3, 0.2, NAN])}},
        {
            "a score equal to the threshold was labelled": lambda scores, thresholds: {
                "labels": np.where(np.isnan(scores) | np.isnan(thresholds), NAN, scores >= thresholds)
            },
            "an unknown score gave the label 0": lambda scores, thresholds: {
                "labels": (scores > thresholds) * 1.0
            },
        },
    )
    cosines = np.round(np.random.default_rng(8).normal(0.2, 0.1, (9, 5)), 3)
    cosines[3, 1] = NAN
    cosines[:6, 2] = 0.25
    cosines[:, 3] = NAN
    cosines = np.concatenate([cosines, cosines[:, :1] * 0 + 0.1], axis=1)
    yield from rule_cases(
        "labels/robust_z_scores",
        "(cosine - median) / (1.4826 * median absolute deviation), by class",
        lambda cosines: {"scores": rules.robust_z_scores(cosines)},
        {"random": {"cosines": cosines}, "even": {"cosines": cosines[:8, :2]}},
        {
            "the factor 1.4826 was left out": lambda cosines: {
                "scores": 1.4826 * rules.robust_z_scores(cosines)
            },
            "mean and standard deviation were taken": lambda cosines: {
                "scores": np.array([_standardised(column) for column in cosines.T]).T  # (N, C)
            },
        },
        rtol=1e-11,
        atol=1e-13,  # the deviation from the median cancels
    )


def _standardised(column):
    known = column[~np.isnan(column)]
    spread = known.std() if known.size else 0
    return (column - known.mean()) / spread if spread else np.full(column.shape, NAN)


EDGES = np.array(
    [[0, 1], [1, 2], [1, 3], [3, 2], [2, 4], [2, 5], [6, 7], [6, 8], [9, 8], [8, 10], [7, 11], [5, 12]]
)
"""A small graph as (parent, child): the roots are 0, 6, 9, 13; 2 has the parents 1 and 3, 8 has 6 and 9."""

N_NODES = 14


def _ontology(n_nodes, edges, abstract=()):
    below = [[str(child) for parent, child in edges if parent == node] for node in range(n_nodes)]
    return rules.Ontology(
        [
            {"id": str(node), "name": str(node), "child_ids": below[node]}
            | ({"restrictions": ["abstract"]} if node in np.flatnonzero(abstract) else {})
            for node in range(n_nodes)
        ]
    )


def _clips():
    """Variants: labels by hand that tell readings apart, and random ones."""
    lists = [[4], [2], [2, 4], [0], [0, 1], [3, 12], [8], [10, 6], [9, 7], [13], [], [1, 6, 11], [2, 5], [3]]
    y = np.zeros((len(lists), N_NODES))
    for row, columns in zip(y, lists, strict=True):
        row[columns] = 1
    unknown = np.zeros((3, N_NODES))
    unknown[[0, 1, 1, 2, 2], [4, 2, 12, 5, 0]] = [NAN, NAN, 1, NAN, 1]
    graph = {"n_nodes": N_NODES, "edges": EDGES}
    random = _drawn(9, 12, N_NODES, unknown=0.05, positive=0.1)[0]
    return {
        "by_hand": graph | {"Y": y},
        "unknown": graph | {"Y": unknown},
        "random": graph | {"Y": random},
        "no_edges": {"n_nodes": 2, "edges": EDGES[:0], "Y": np.array([[1.0, NAN], [0.0, 1.0]])},
    }


def _expansion():
    yield from rule_cases(
        "labels/ontology_closure",
        "closure[l, a]: a is l, or above it by any path",
        lambda n_nodes, edges: {"closure": _ontology(n_nodes, edges).closure},
        {"dag": {"n_nodes": N_NODES, "edges": EDGES}, "no_edges": {"n_nodes": 3, "edges": EDGES[:0]}},
        {
            "a node did not count as above itself": lambda n_nodes, edges: {
                "closure": _ontology(n_nodes, edges).closure & ~np.eye(n_nodes, dtype=bool)
            },
            "rows and columns were exchanged": lambda n_nodes, edges: {
                "closure": _ontology(n_nodes, edges).closure.T
            },
        },
        "3, sec. II",
    )
    yield from rule_cases(
        "labels/parent_expand",
        "each class: or_join of its own label and those of all classes below it",
        lambda n_nodes, edges, Y: {"expanded": _ontology(n_nodes, edges).parent_expand(Y)},
        _clips(),
        {
            "direct parents alone were added": lambda n_nodes, edges, Y: {
                "expanded": np.where(((Y == 1) @ _parents(n_nodes, edges)) > 0, 1.0, Y)
            },
            "the first parent of each node alone was followed": lambda n_nodes, edges, Y: {
                "expanded": _ontology(n_nodes, _first_parents(edges)).parent_expand(Y)
            },
            "unknown labels were not passed on to their ancestors": lambda n_nodes, edges, Y: {
                "expanded": np.where(
                    np.isnan(Y) & (_ontology(n_nodes, edges).parent_expand(np.nan_to_num(Y)) == 0),
                    NAN,
                    _ontology(n_nodes, edges).parent_expand(np.nan_to_num(Y)),
                )
            },
        },
        "3, PEL",
    )


def _parents(n_nodes, edges):
    """(nodes, nodes): whether the column is a direct parent of the row."""
    matrix = np.zeros((n_nodes, n_nodes))
    matrix[edges[:, 1], edges[:, 0]] = 1
    return matrix


def _first_parents(edges):
    return edges[np.sort(np.unique(edges[:, 1], return_index=True)[1])] if len(edges) else edges


def _masking():
    yield from rule_cases(
        "labels/children_mask",
        "parent_expand, and NaN below each label 1 that has no original label 1 below it",
        lambda n_nodes, edges, Y: {"masked": _ontology(n_nodes, edges).children_mask(Y)},
        _clips(),
        {
            "direct children alone were masked": _masked(reach="direct"),
            "direct children alone were looked at for labels": _masked(test="direct"),
            "all descendants that are no labels were masked, whether some are labels or not": _masked(
                test="none"
            ),
            "one label with a descendant kept the whole clip from masking": _masked(per_clip=True),
        },
        "3, PE-CML",
    )


def _masked(reach="all", test="all", per_clip=False):
    """The rule of children_mask, with other readings."""

    def masked(n_nodes, edges, Y):
        ontology = _ontology(n_nodes, edges)
        below = {"direct": _parents(n_nodes, edges), "none": np.zeros((n_nodes, n_nodes))}
        below["all"] = ontology.closure & ~np.eye(n_nodes, dtype=bool)
        labels = (Y == 1).astype(np.float64)
        has_below = labels @ below[test] > 0
        if per_clip:
            has_below = has_below | (labels * has_below).any(axis=1, keepdims=True)
        triggers = labels * ~has_below
        expanded = ontology.parent_expand(Y)
        return {"masked": np.where((triggers @ below[reach].T > 0) & (expanded != 1), NAN, expanded)}

    return masked


def _candidates():
    abstract = np.zeros(N_NODES, dtype=np.int64)
    abstract[[1, 9]] = 1
    variants = {name: inputs for name, inputs in _clips().items() if name != "no_edges"}

    def rule(n_nodes, edges, abstract, Y):
        ontology = _ontology(n_nodes, edges, abstract)
        both = (ontology.psla_candidates(Y, [kind]) for kind in (1, 2))
        return dict(zip(("children", "ancestors"), both, strict=True))

    yield from rule_cases(
        "labels/psla_candidates",
        "direct children, and all ancestors, of the labels; no link leaves an abstract node downwards",
        rule,
        {name: inputs | {"abstract": abstract} for name, inputs in variants.items()},
        {
            "links of abstract nodes were followed": lambda abstract, **given: rule(
                abstract=0 * abstract, **given
            ),
            "all descendants were taken for children": lambda n_nodes, edges, abstract, Y: {
                "children": (Y == 1).astype(np.float64)
                @ (_ontology(n_nodes, edges).closure.T & ~np.eye(n_nodes, dtype=bool))
                > 0
            },
        },
        "1, table 2, row 4",
    )


def _splits():
    def rule(n_nodes, edges, Y, root):
        return _ontology(n_nodes, edges).split_by_root(Y, str(root))._asdict()

    def exclusive(n_nodes, edges, Y, root):
        closure = _ontology(n_nodes, edges).closure
        roots = np.setdiff1d(np.arange(n_nodes), edges[:, 1])
        shared = closure[:, np.setdiff1d(roots, [root])].any(axis=1)
        return {"in_target": closure[:, root] & ~shared}

    clips = _clips()
    yield from rule_cases(
        "labels/split_by_root",
        "target: clips with a label 1 in the root's subtree, and its columns; base: the others",
        rule,
        {
            "shared_node": clips["by_hand"] | {"root": 9},
            "unknown": clips["unknown"] | {"root": 0},
            "inner_node": clips["random"] | {"root": 2},
        },
        {"nodes below other roots too were left out": exclusive},
        "3, sec. IV",
    )


def _columns():
    y, chosen = np.array([[0, 1, NAN, 0], [1, 1, 0, NAN]]), np.array([2, 0])
    yield from rule_cases(
        "labels/project",
        "the columns named, in their order",
        lambda Y, columns: {"projected": rules.Vocabulary("abcd").project(Y, ["abcd"[c] for c in columns])},
        {"two": {"Y": y, "columns": chosen}},
        {"the columns were sorted": lambda Y, columns: {"projected": Y[:, np.sort(columns)]}},
    )
    yield from rule_cases(
        "labels/lift",
        "y at the columns named, 0 elsewhere",
        lambda y, columns, n_columns: {
            "lifted": rules.Vocabulary(map(str, range(n_columns))).lift(y, [str(c) for c in columns])
        },
        {"two": {"y": y[:, :2], "columns": chosen, "n_columns": 5}},
        {
            "the columns were sorted": lambda y, columns, n_columns: {
                "lifted": np.insert(y, [1, 2, 2], 0, axis=1)
            }
        },
    )


def _superclasses():
    y = _drawn(11, 8, 6)[0]
    members = np.array([[0, 0], [1, 0], [1, 1], [3, 2], [4, 2], [5, 2]])

    def rule(y, members, n_superclasses):
        lists = {str(s): [str(c) for c, of in members if of == s] for s in range(n_superclasses)}
        return {"mapped": rules.SuperClasses(lists).map(y, [str(c) for c in range(y.shape[1])])}

    yield from rule_cases(
        "labels/superclasses",
        "each super-class: or_join of its members' labels; 0 without members",
        rule,
        {"overlapping": {"y": y, "members": members, "n_superclasses": 4}},
        {
            "unknown labels were taken for 0": lambda y, **given: rule(np.nan_to_num(y), **given),
            "a label belonged to its last super-class alone": lambda y, members, n_superclasses: rule(
                y, np.delete(members, 1, axis=0), n_superclasses
            ),
        },
        "1, sec. 3",
    )


def _counts():
    y = _drawn(12, 12, 3)[0]
    y[:, 2] = NAN
    yield from rule_cases(
        "labels/class_priors",
        "labels 1 / labels known; NaN without known labels",
        lambda y: {"priors": rules.class_priors(y)},
        {"random": {"y": y}},
        {"unknown labels counted as clips": lambda y: {"priors": (y == 1).mean(axis=0)}},
        "4, sec. 3.1",
        rtol=1e-15,
    )
    condition, outcome = y[:, :2], _drawn(13, 12, 3)[0]
    yield from rule_cases(
        "labels/contingency",
        "[[both, condition only], [outcome only, neither]] over clips where both are known",
        lambda condition, outcome: {"table": rules.contingency(condition, outcome)},
        {"random": {"condition": condition, "outcome": outcome}},
        {
            "unknown labels were taken for 0": lambda condition, outcome: {
                "table": rules.contingency(np.nan_to_num(condition), np.nan_to_num(outcome))
            },
            "condition and outcome were exchanged": lambda condition, outcome: {
                "table": rules.contingency(condition, outcome).swapaxes(2, 3)
            },
        },
        "4, sec. 3.1",
    )
    truth, noisy, repaired = (_drawn(seed, 30, 4, positive=0.5)[0] for seed in (14, 15, 16))
    yield from rule_cases(
        "labels/repair_counts",
        "errors; of these repaired and masked; of the right labels harmed and lost",
        lambda **given: repair_counts(**given),
        {"random": {"truth": truth, "noisy": noisy, "repaired": repaired}},
    )
    yield from rule_cases(
        "labels/sparse",
        "rows of columns whose label is not 0, as in CSR",
        lambda y: {
            name: getattr(rules.SparseLabels.from_dense(y), name) for name in ("indptr", "indices", "unknown")
        },
        {"random": {"y": y}, "no_clips": {"y": y[:0]}},
    )


def _odds():
    table = np.array(
        [[[10, 5], [3, 40]], [[5, 0], [3, 9]], [[0, 4], [2, 8]], [[0, 0], [2, 8]], [[1, 2], [3, 4]]]
    )

    def rule(table, haldane, confidence):
        return rules.odds_ratio(table, bool(haldane), confidence)._asdict()

    yield from rule_cases(
        "labels/odds_ratio",
        "a d / (b c), and exp(ln ratio -+ z sqrt(1/a + 1/b + 1/c + 1/d))",
        rule,
        {
            "plain": {"table": table, "haldane": 0, "confidence": 0.95},
            "haldane": {"table": table, "haldane": 1, "confidence": 0.95},
            "ninety": {"table": table, "haldane": 0, "confidence": 0.9},
        },
        {
            "z was rounded to 1.96": lambda table, haldane, confidence: rule(
                table, haldane, 0.950004209703559
            ),
            "the cells b and c were on the diagonal": lambda table, haldane, confidence: {
                "ratio": rule(table[:, ::-1], haldane, confidence)["ratio"]
            },
            "1/2 was not added to the cells": lambda table, haldane, confidence: rule(table, 0, confidence),
        },
        "4, sec. 3.1",
        rtol=1e-8,  # what a good approximation of the normal quantile reaches
    )
