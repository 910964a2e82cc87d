"""Oracle: networkx on random DAGs, clip by clip as sets; laws of PEL and PE-CML; errors naming the node."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from labels_support import LABELS, NO_FILL, rank, same

from acdref.errors import FileError
from acdref.labels import Ontology, or_join
from acdref.testing.strategies import ontologies

nan = np.nan
BINARY = st.sampled_from([0.0, 1.0])


@st.composite
def labelled(draw, *elements):
    """An ontology, and one label matrix over its nodes for each kind of element."""
    nodes = draw(ontologies())
    shape = (draw(st.integers(0, 8)), len(nodes))
    return (
        Ontology(nodes),
        nodes,
        *(draw(hnp.arrays(np.float64, shape, elements=e, fill=NO_FILL)) for e in elements),
    )


def graph(nodes, through=lambda node: True):
    """The networkx graph of columns, with the links from nodes that are passed."""
    networkx = pytest.importorskip("networkx")
    column = {node["id"]: i for i, node in enumerate(nodes)}
    g = networkx.DiGraph()
    g.add_nodes_from(range(len(nodes)))
    g.add_edges_from((column[n["id"]], column[c]) for n in nodes if through(n) for c in n["child_ids"])
    return g


def above(g, labels):
    import networkx

    return set().union(*(networkx.ancestors(g, l) for l in labels))


def below(g, label):
    import networkx

    return networkx.descendants(g, label)


def sets(y, value=1):
    """Columns that hold ``value``, clip by clip."""
    return [set(np.flatnonzero(np.isnan(row) if np.isnan(value) else row == value)) for row in y]


class TestGraph:
    @given(ontologies())
    def test_closure(self, nodes):
        g = graph(nodes)
        closure = Ontology(nodes).closure
        assert [set(np.flatnonzero(row)) for row in closure] == [{l} | above(g, [l]) for l in g]

    def test_attributes(self):
        nodes = [
            {"id": "a", "name": "A", "child_ids": ["c", "b"], "restrictions": ["abstract"]},
            {"id": "b", "name": "B", "child_ids": []},
            {"id": "c", "name": "C", "child_ids": ["b"]},
        ]
        ontology = Ontology(nodes)
        assert ontology.ids == ("a", "b", "c")
        assert ontology.names == ("A", "B", "C")
        assert ontology.children == ((2, 1), (), (1,))
        assert len(ontology) == 3
        assert ontology.id_of("C") == "c"
        assert not ontology.closure.flags.writeable

    def test_no_nodes(self):
        ontology = Ontology([])
        assert ontology.parent_expand(np.zeros((2, 0))).shape == (2, 0)
        assert ontology.children_mask(np.zeros((2, 0))).shape == (2, 0)

    @given(ontologies(), st.lists(st.sampled_from(["/m/0", "/m/1", "x", "y"])))
    def test_isolated_labels_give_and_get_nothing(self, nodes, ids):
        ontology = Ontology(nodes)
        extended = ontology.isolate(ids)
        n = len(ontology)
        assert set(extended.ids) == set(ontology.ids) | set(ids)
        assert extended.ids[:n] == ontology.ids
        assert same(extended.closure[:n, :n], ontology.closure)
        assert same(extended.closure[n:, n:], np.eye(len(extended) - n, dtype=bool))
        assert not extended.closure[:n, n:].any()
        assert not extended.closure[n:, :n].any()
        assert same(
            extended.psla_candidates(np.eye(len(extended)))[:n, :n], ontology.psla_candidates(np.eye(n))
        )

    def test_isolated_label_is_kept(self):
        ontology = Ontology([{"id": "a", "name": "A", "child_ids": []}])
        y = ontology.isolate(["x"]).encode([["a", "x"]]).to_dense()
        np.testing.assert_array_equal(y, [[1, 1]])


class TestBadOntology:
    def refuses(self, nodes, message):
        with pytest.raises(ValueError, match=message):
            Ontology(nodes)

    def node(self, id, *children, **more):
        return {"id": id, "name": f"Class {id}", "child_ids": list(children), **more}

    def test_duplicate_id(self):
        first, second = self.node("a"), {**self.node("a"), "name": "Other"}
        self.refuses([first, second], r"duplicate id: a \(Other\) and a \(Class a\)")

    def test_unknown_child(self):
        self.refuses([self.node("a", "b")], r"a \(Class a\) has the child 'b', which is no node")

    def test_child_named_twice(self):
        self.refuses([self.node("a", "b", "b"), self.node("b")], r"a \(Class a\) names a child twice")

    def test_cycle(self):
        nodes = [
            self.node("r", "a"),
            self.node("a", "b"),
            self.node("b", "c", "d"),
            self.node("c", "a"),
            self.node("d"),
        ]
        with pytest.raises(ValueError, match="the ontology has a cycle: ") as error:
            Ontology(nodes)
        path = [step.split(" ")[0] for step in str(error.value).split(": ")[1].split(" -> ")]
        assert path[0] == path[-1]
        assert sorted(path[1:]) == ["a", "b", "c"]
        children = {node["id"]: node["child_ids"] for node in nodes}
        assert all(child in children[parent] for parent, child in itertools.pairwise(path))

    def test_own_child(self):
        self.refuses([self.node("a", "a")], r"cycle: a \(Class a\) -> a \(Class a\)")

    @pytest.mark.parametrize(
        ("nodes", "message"),
        [
            ({"id": "a"}, "list of nodes"),
            (["a"], "node 0 is no object"),
            ([{"name": "A", "child_ids": []}], "node 0 has no id"),
            ([{"id": 7, "name": "A", "child_ids": []}], "node 0 has no id"),
            ([{"id": "a", "child_ids": []}], "node 0 has no name"),
            ([{"id": "a", "name": "\ud800", "child_ids": []}], "node 0 has the name .* no text"),
            ([{"id": "a", "name": "A"}], r"a \(A\) has no list of strings as its child_ids"),
            ([{"id": "a", "name": "A", "child_ids": "b"}], "child_ids"),
            ([{"id": "a", "name": "A", "child_ids": [1]}], "child_ids"),
            ([{"id": "a", "name": "A", "child_ids": [], "restrictions": "abstract"}], "restrictions"),
        ],
    )
    def test_malformed_nodes(self, nodes, message):
        self.refuses(nodes, message)

    @pytest.mark.parametrize(
        ("content", "cause"),
        [
            (b"[", "is not JSON"),
            (b"\xff", "codec"),
            (b'[{"id": "a", "name": "A", "child_ids": ["b"]}]', r"a \(A\) has the child 'b'"),
        ],
    )
    def test_bad_file(self, tmp_path, content, cause):
        path = tmp_path / "ontology.json"
        path.write_bytes(content)
        with pytest.raises(FileError, match=cause) as error:
            Ontology.from_json(path)
        assert str(error.value).startswith(str(path))

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileError, match="No such file"):
            Ontology.from_json(tmp_path / "none.json")

    @given(ontologies())
    def test_good_file(self, nodes):
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/ontology.json"
            with open(path, "w", encoding="utf-8-sig") as file:
                json.dump(nodes, file)
            assert same(Ontology.from_json(path).closure, Ontology(nodes).closure)


class TestParentExpand:
    @given(labelled(BINARY))
    def test_networkx(self, case):
        ontology, nodes, y = case
        g = graph(nodes)
        expanded = ontology.parent_expand(y)
        assert sets(expanded) == [labels | above(g, labels) for labels in sets(y)]
        assert not np.isnan(expanded).any()

    @given(labelled(LABELS))
    def test_kleene_or_over_everything_below(self, case):
        ontology, nodes, y = case
        g = graph(nodes)
        expanded = ontology.parent_expand(y)
        for a in g:
            wanted = or_join(np.stack([y[:, [l]] for l in {a} | below(g, a)]))
            assert same(expanded[:, [a]], wanted)

    @given(labelled(LABELS, LABELS))
    def test_closure_operator(self, case):
        ontology, _, a, b = case
        expanded = ontology.parent_expand(a)
        assert (rank(expanded) >= rank(a)).all()
        assert same(ontology.parent_expand(expanded), expanded)
        larger = ontology.parent_expand(or_join([a, b]))
        assert (rank(larger) >= rank(expanded)).all()
        assert same(larger, or_join([expanded, ontology.parent_expand(b)]))

    @given(labelled(LABELS))
    def test_upward_closed(self, case):
        ontology, _, y = case
        expanded = rank(ontology.parent_expand(y))
        for parent, children in enumerate(ontology.children):
            for child in children:
                assert (expanded[:, parent] >= expanded[:, child]).all()

    @given(labelled(BINARY))
    def test_every_label_reaches_a_root(self, case):
        ontology, nodes, y = case
        roots = [l for l, parents in graph(nodes).in_degree if parents == 0]
        assert same(ontology.parent_expand(y)[:, roots].any(axis=1), y.any(axis=1))


class TestChildrenMask:
    @given(labelled(BINARY))
    def test_networkx(self, case):
        ontology, nodes, y = case
        g = graph(nodes)
        masked = ontology.children_mask(y)
        for labels, ones, unknowns in zip(sets(y), sets(masked), sets(masked, nan), strict=True):
            assert ones == labels | above(g, labels)
            assert unknowns == set().union(*(below(g, l) for l in labels if not below(g, l) & labels))

    @given(labelled(BINARY))
    def test_triggers_of_the_expanded_labels_mask_the_same(self, case):
        ontology, _, y = case
        assert same(ontology.children_mask(ontology.parent_expand(y)), ontology.children_mask(y))

    @given(labelled(LABELS))
    def test_never_masks_an_expanded_label(self, case):
        ontology, _, y = case
        expanded, masked = ontology.parent_expand(y), ontology.children_mask(y)
        known = ~np.isnan(masked)
        assert same(masked[known], expanded[known])
        assert not (expanded[~known] == 1).any()

    @given(labelled(LABELS))
    def test_a_label_that_triggers_masks_everything_below(self, case):
        ontology, nodes, y = case
        g = graph(nodes)
        masked = ontology.children_mask(y)
        for labels, unknowns in zip(sets(y), sets(masked, nan), strict=True):
            for l in labels:
                if not below(g, l) & labels:
                    assert below(g, l) <= unknowns

    @given(labelled(BINARY))
    def test_leaves_alone_mask_nothing(self, case):
        ontology, _, y = case
        y[:, [bool(children) for children in ontology.children]] = 0
        assert not np.isnan(ontology.children_mask(y)).any()

    @given(labelled(BINARY), st.randoms())
    def test_adding_a_descendant_removes_the_mask_of_that_label(self, case, random):
        ontology, nodes, _ = case
        g = graph(nodes)
        l = random.randrange(len(nodes))
        for d in below(g, l):
            y = np.zeros((1, len(nodes)))
            y[0, [l, d]] = 1
            assert sets(ontology.children_mask(y), nan) == [below(g, d)]

    @given(labelled(BINARY, BINARY, BINARY))
    def test_mask_of_a_union_lies_in_the_union_of_masks(self, case):
        ontology, _, y, part, other = case
        # Overlapping parts of one set of labels: often an ancestor is in one, its descendant in the other.
        a, b = y * part, y * np.maximum(1 - part, other)
        of_union = np.isnan(ontology.children_mask(or_join([a, b])))
        united = np.isnan(ontology.children_mask(a)) | np.isnan(ontology.children_mask(b))
        assert (of_union <= united).all()

    @given(labelled(LABELS))
    def test_unknown_labels_trigger_nothing_and_are_never_settled_to_zero(self, case):
        ontology, _, y = case
        masked = ontology.children_mask(y)
        assert not (masked[np.isnan(y)] == 0).any()
        without = ontology.children_mask(np.nan_to_num(y, nan=0.0))
        assert same(masked == 1, without == 1)
        assert same(np.isnan(masked), np.isnan(without) | np.isnan(ontology.parent_expand(y)))


class TestCandidates:
    @given(labelled(LABELS))
    def test_networkx(self, case):
        ontology, nodes, y = case
        g = graph(nodes, through=lambda node: node["restrictions"] != ["abstract"])
        one, two, both = (ontology.psla_candidates(y, types) for types in ((1,), (2,), (1, 2)))
        assert [set(np.flatnonzero(row)) for row in two] == [above(g, labels) for labels in sets(y)]
        assert [set(np.flatnonzero(row)) for row in one] == [
            {child for l in labels for child in g.successors(l)} for labels in sets(y)
        ]
        assert same(both, one | two)

    def test_bad_type(self):
        with pytest.raises(ValueError, match="type = 3"):
            Ontology([]).psla_candidates(np.zeros((1, 0)), types=(3,))


class TestSplit:
    @given(labelled(LABELS), st.randoms())
    def test_base_and_target(self, case, random):
        ontology, nodes, y = case
        root = random.randrange(len(nodes))
        subtree = {root} | below(graph(nodes), root)
        split = ontology.split_by_root(y, ontology.ids[root])
        assert set(np.flatnonzero(split.in_target)) == subtree
        assert split.is_target.tolist() == [bool(labels & subtree) for labels in sets(y)]
        inside = sorted(subtree)
        outside = sorted(set(range(len(nodes))) - subtree)
        assert same(split.target, y[split.is_target][:, inside])
        assert same(split.base, y[~split.is_target][:, outside])

    @given(labelled(BINARY), st.randoms())
    def test_original_expanded_and_masked_labels_split_alike(self, case, random):
        ontology, _, y = case
        root = random.choice(ontology.ids)
        splits = [
            ontology.split_by_root(labels, root)
            for labels in (y, ontology.parent_expand(y), ontology.children_mask(y))
        ]
        assert same(splits[0].is_target, splits[1].is_target)
        assert same(splits[0].is_target, splits[2].is_target)

    def test_unknown_root(self):
        with pytest.raises(ValueError, match="'x'"):
            Ontology([]).split_by_root(np.zeros((1, 0)), "x")


def test_matrix_of_another_width():
    ontology = Ontology([{"id": "a", "name": "A", "child_ids": []}])
    for rule in ("parent_expand", "children_mask", "psla_candidates"):
        with pytest.raises(ValueError, match="Y has 3 columns, but there are 1 labels"):
            getattr(ontology, rule)(np.zeros((1, 3)))


@given(labelled(LABELS), st.randoms())
def test_rules_follow_permutations_of_clips_and_classes(case, random):
    ontology, nodes, y = case
    rows, columns = (random.sample(range(n), n) for n in y.shape)
    picked = np.ix_(rows, columns)
    shuffled = Ontology([nodes[c] for c in columns])
    for rule in ("parent_expand", "children_mask", "psla_candidates"):
        assert same(getattr(shuffled, rule)(y[picked]), getattr(ontology, rule)(y)[picked])


@given(labelled(LABELS))
def test_arguments_are_never_modified(case):
    ontology, nodes, y = case
    before, text = y.copy(), json.dumps(nodes)
    y.flags.writeable = False
    ontology.parent_expand(y)
    ontology.children_mask(y)
    ontology.psla_candidates(y)
    ontology.split_by_root(y, ontology.ids[0])
    assert same(y, before)
    assert json.dumps(nodes) == text
