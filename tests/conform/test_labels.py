"""The label rules' cases, beside plain loops and other people's code."""

import math

import numpy as np
import pytest
from conform_support import assert_consistent, by_function

from acdref.conform import labels
from acdref.labels import positive_thresholds

CASES = by_function(labels.cases())
RANDOM = {  # draw, or belong to another section
    "draw_gains", "draw_mixup_weights", "draw_strong", "evaluation_set", "excerpt_starts",
}  # fmt: skip
OTHERWISE = {"Ontology": "parent_expand", "RootSplit": "split_by_root", "SuperClasses": "superclasses"}
OTHERWISE |= {"SparseLabels": "sparse", "Vocabulary": "project", "OddsRatio": "odds_ratio"}
OTHERWISE |= {"LabelCounts": "label_counts"}


def test_names_kinds_and_mistakes():
    assert_consistent(CASES)


def test_every_rule_that_draws_nothing_has_cases():
    from acdref import labels as rules
    from acdref.labels import (
        events,  # ours, of no paper; other tools are compared in tests/labels/test_events.py
    )

    public = {name for module in vars(rules).values() for name in getattr(module, "__all__", ())}
    functions = {OTHERWISE.get(name, name) for name in public - RANDOM - {*events.__all__}}
    assert {f"labels/{name}" for name in functions} <= set(CASES)


@pytest.mark.parametrize("function", sorted(CASES))
def test_some_variant_tells_a_mistake(function):
    without = {"labels/repair_counts", "labels/round_folds", "labels/sparse"}
    told = [cause for case in CASES[function].values() for cause in case.mistakes]
    assert bool(told) == (function not in without)


def kleene(values):
    if any(value == 1 for value in values):
        return 1.0
    return math.nan if any(math.isnan(value) for value in values) else 0.0


def test_join_by_loops():
    case = CASES["labels/or_join"]["all_of_three"]
    expected = [kleene(column) for column in case.inputs["labels"].T]
    np.testing.assert_array_equal(case.outputs["joined"], expected)


@pytest.mark.parametrize("variant", sorted(CASES["labels/correct_labels"]))
def test_correction_by_the_printed_table(variant):
    given, out = CASES["labels/correct_labels"][variant].inputs, []
    T, closed, fp = given["T"], given["boundary"] == 0, given["fp"]
    for y, p in zip(given["y"].flat, given["p"].flat, strict=True):
        masked = math.nan if given["mask"] else y
        if y == 0 and p > 0.5:
            y = 1.0 if p > 1 - T else masked if p < 1 - T or closed else y
        elif y == 1 and p < 0.5 and fp:
            y = 0.0 if p < T else masked if p > T or closed else y
        out.append(y)
    expected = CASES["labels/correct_labels"][variant].outputs["corrected"]
    np.testing.assert_array_equal(np.reshape(out, expected.shape), expected)


def test_quantiles_as_the_page_says():
    for case in CASES["labels/percentile_thresholds"].values():
        y, p, r = case.inputs["y"], case.inputs["p"], 1 - case.inputs["q"]
        for c, expected in enumerate(case.outputs["thresholds"]):
            s = sorted(
                score for label, score in zip(y[:, c], p[:, c], strict=True) if label == 0 and score == score
            )
            if not s:
                assert math.isnan(expected)
                continue
            h = r * (len(s) - 1)
            i = math.floor(h)
            g, j = h - i, min(i + 1, len(s) - 1)
            value = s[i] + g * (s[j] - s[i]) if g < 0.5 else s[j] - (1 - g) * (s[j] - s[i])
            assert value == pytest.approx(expected, rel=1e-14)


def test_no_decision_hangs_on_the_last_bit_of_a_mean():
    for case in CASES["labels/mean_threshold_correct"].values():
        given = case.inputs
        means = positive_thresholds(given["y"], given["p"], labels.STATISTICS[given["statistic"]])
        distance = np.abs(given["p"] - means)
        dyadic = means == np.rint(means * 1024) / 1024  # such a sum is exact in any order
        median = given["statistic"] == 1  # one sum of two
        assert (dyadic | median | ~(distance < 1e-9)).all()


def test_parents_and_children_by_walking_the_graph():
    networkx = pytest.importorskip("networkx")
    for variant in ("by_hand", "unknown", "random"):
        given = CASES["labels/parent_expand"][variant].inputs
        graph = networkx.DiGraph(given["edges"].tolist())
        graph.add_nodes_from(range(given["n_nodes"]))
        below = {node: networkx.descendants(graph, node) for node in graph}
        for y, expanded, masked in zip(
            given["Y"],
            CASES["labels/parent_expand"][variant].outputs["expanded"],
            CASES["labels/children_mask"][variant].outputs["masked"],
            strict=True,
        ):
            ours = [kleene([y[node], *(y[other] for other in below[node])]) for node in range(len(y))]
            np.testing.assert_array_equal(ours, expanded)
            for node in np.flatnonzero(y == 1):
                if not any(y[other] == 1 for other in below[node]):
                    assert all(ours[other] != 1 for other in below[node])
                    ours = [math.nan if other in below[node] else label for other, label in enumerate(ours)]
            np.testing.assert_array_equal(ours, masked)


def test_softmax_by_scipy():
    special = pytest.importorskip("scipy.special")
    for case in CASES["labels/clap_probabilities"].values():
        both = np.concatenate([case.inputs["cosines"], case.inputs["background"]], axis=1)
        expected = special.softmax(case.inputs["scale"] * both, axis=1)[:, :11]
        np.testing.assert_allclose(case.outputs["probabilities"], expected, rtol=case.rtol, atol=1e-300)
