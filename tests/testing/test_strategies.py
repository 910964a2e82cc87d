"""What a strategy draws is legal, and what it promises can be drawn."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from acdref.labels import Ontology, correct_labels, or_join
from acdref.labels.strong import frame_events
from acdref.testing import strategies


def can_draw(strategy, condition):
    """Raises NoSuchExample if the condition is out of reach."""
    search = settings(
        max_examples=10_000,  # many times what the rarest needs: which come first depends on what is imported
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),  # a busy machine is no reason to give up
    )
    find(strategy, condition, settings=search)
    return True


class TestLabelMatrices:
    @given(strategies.label_matrices())
    def test_legal(self, y):
        assert y.dtype == np.float64
        assert y.ndim == 2
        assert y.shape[1] >= 1
        assert set(y[~np.isnan(y)]) <= {0.0, 1.0}

    @given(strategies.label_matrices(shape=(3, 2), unknown=False))
    def test_asked_for(self, y):
        assert y.shape == (3, 2)
        assert not np.isnan(y).any()

    @pytest.mark.parametrize(
        "condition",
        [
            lambda y: len(y) == 0,
            lambda y: np.isnan(y).all(axis=0).any() and (y == 1).any(),
            lambda y: (y == 1).all() and y.size > 3,
            lambda y: {*y.ravel().astype(str)} == {"0.0", "1.0", "nan"},
        ],
    )
    def test_reach(self, condition):
        assert can_draw(strategies.label_matrices(), condition)

    def test_finds_a_broken_or(self):
        """np.maximum and np.fmax are not the OR of labels with unknowns."""
        labels = strategies.label_matrices(strategies.shapes(min_clips=1))
        for broken in (np.maximum, np.fmax):
            assert can_draw(
                labels, lambda y, f=broken: not np.array_equal(f.reduce(y), or_join(y), equal_nan=True)
            )


class TestTeacherScores:
    @given(st.floats(0, 0.5), st.data())
    def test_legal(self, threshold, data):
        p = data.draw(strategies.teacher_scores(threshold=threshold))
        assert p.dtype == np.float64
        assert ((p >= 0) & (p <= 1) | np.isnan(p)).all()

    @given(strategies.teacher_scores(no_opinion=False, dyadic=True))
    def test_dyadic(self, p):
        np.testing.assert_array_equal(p * 16, np.rint(p * 16))

    @pytest.mark.parametrize("threshold", [0.0, 0.05, 0.2, 0.5])
    def test_boundaries(self, threshold):
        scores = strategies.boundary_scores(threshold)
        assert scores == sorted(set(scores))
        assert min(scores) == 0.0
        assert max(scores) == 1.0
        for exact in (0.0, threshold, 0.5, 1 - threshold, 1.0):
            assert {exact, np.nextafter(exact, 0), np.nextafter(exact, 1)} <= set(scores)
        for score in scores:
            assert can_draw(strategies.teacher_scores((1, 1), threshold), lambda p, s=score: p[0, 0] == s)

    @pytest.mark.parametrize(
        "condition",
        [lambda p: np.isnan(p).any(), lambda p: ((p > 0.06) & (p < 0.4)).any(), lambda p: len(p) == 0],
    )
    def test_reach(self, condition):
        assert can_draw(strategies.teacher_scores(), condition)

    @given(strategies.labels_with_scores(unknown=False, no_opinion=False))
    def test_one_shape(self, labels_and_scores):
        y, p = labels_and_scores
        assert y.shape == p.shape
        assert not np.isnan(y + p).any()

    @pytest.mark.parametrize("slip", ["not strict", "float32", "ignores NaN"])
    def test_finds_a_broken_correction(self, slip):
        def broken(y, p):
            if slip == "not strict":
                missing = (y == 0) & (p >= 0.95)
            elif slip == "float32":
                missing = (y == 0) & (p.astype(np.float32) > np.float32(0.95))
            else:
                missing = (y == 0) & ~(p <= 0.95)
            return np.where(missing, 1.0, y)

        def differ(labels_and_scores):
            right = correct_labels(*labels_and_scores, T=0.05, fp=False, mask=False)
            return not np.array_equal(broken(*labels_and_scores), right, equal_nan=True)

        assert can_draw(strategies.labels_with_scores(threshold=0.05), differ)


def parents(nodes):
    return {node["id"]: [p["id"] for p in nodes if node["id"] in p["child_ids"]] for node in nodes}


class TestOntologies:
    @given(strategies.ontologies())
    def test_readable(self, nodes):
        assert json.loads(json.dumps(nodes)) == nodes
        ontology = Ontology(nodes)
        assert list(ontology.ids) == [node["id"] for node in nodes]

    @given(strategies.ontologies())
    def test_acyclic(self, nodes):
        networkx = pytest.importorskip("networkx")
        graph = networkx.DiGraph([(node["id"], child) for node in nodes for child in node["child_ids"]])
        assert networkx.is_directed_acyclic_graph(graph)
        assert set(graph) <= {node["id"] for node in nodes}

    @given(strategies.ontologies(max_nodes=3))
    def test_size(self, nodes):
        assert 1 <= len(nodes) <= 3

    @pytest.mark.parametrize(
        "condition",
        [
            lambda nodes: max(map(len, parents(nodes).values())) >= 3,
            lambda nodes: sum(not p for p in parents(nodes).values()) >= 3,
            lambda nodes: any(nodes[0]["id"] in node["child_ids"] for node in nodes[1:]),
            lambda nodes: any(node["restrictions"] == ["abstract"] and node["child_ids"] for node in nodes),
            lambda nodes: len(nodes) == 9 and not any(node["child_ids"] for node in nodes),
            lambda nodes: Ontology(nodes).closure.sum() == len(nodes) * (len(nodes) + 1) / 2 > 6,  # a chain
        ],
    )
    def test_reach(self, condition):
        assert can_draw(strategies.ontologies(), condition)


class TestEventLists:
    @given(strategies.event_lists(n_classes=3, duration=7.5))
    def test_legal(self, drawn):
        events, classes = drawn
        assert events.shape == (len(classes), 2)
        assert ((events >= 0) & (events <= 7.5)).all()
        assert (events[:, 0] <= events[:, 1]).all()
        assert set(classes) <= {0, 1, 2}
        np.testing.assert_allclose(events * 1000, np.rint(events * 1000), rtol=0, atol=1e-9)
        frame_events(events, duration=7.5, classes=classes, n_classes=3)

    @pytest.mark.parametrize(
        "condition",
        [
            lambda drawn: len(drawn[0]) == 0,
            lambda drawn: (drawn[0][:, 0] == drawn[0][:, 1]).any(),
            lambda drawn: (drawn[0][:, 0] > 9.6).any(),
            lambda drawn: ((drawn[0][:, 0] == 0.481) & (drawn[0][:, 1] > 0.97)).any(),
            lambda drawn: len(np.unique(drawn[1])) == 2,
            lambda drawn: len(drawn[0]) == 2 and drawn[0][0, 1] > drawn[0][1, 0] > drawn[0][0, 0],
        ],
    )
    def test_reach(self, condition):
        assert can_draw(strategies.event_lists(n_classes=2), condition)

    def test_prefers_borders_and_middles_of_frames(self):
        def on_several(drawn):
            onset = np.rint(drawn[0][:, 0] * 1000)
            return len(np.unique(onset[(onset > 0) & (onset % 480 == 0)])) >= 2

        assert can_draw(strategies.event_lists(), on_several)

    def test_finds_a_broken_rule(self):
        """A strict comparison differs from "at least half" on exact ties only."""

        def strictly(events):
            starts = 0.96 * np.arange(10)[:, None]
            overlap = np.minimum(events[:, 1], starts + 0.96) - np.maximum(events[:, 0], starts)
            return (2 * overlap > np.minimum(0.96, events[:, 1] - events[:, 0]) + 1e-9).any(axis=1)

        assert can_draw(
            strategies.event_lists(),
            lambda drawn: not np.array_equal(strictly(drawn[0]), frame_events(drawn[0])),
        )
