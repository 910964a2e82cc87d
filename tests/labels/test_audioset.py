"""The public AudioSet files: figures of PEL, PE-CML, PSLA, Table I and the super-classes, exactly.

Oracles, recorded: networkx on the real ontology and CSVs, PSLA's own code, a plain CSV reader.
"""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from labels_support import CLOSE, golden, shared

from acdref.labels import (
    Ontology,
    SparseLabels,
    SuperClasses,
    mean_threshold_correct,
    positive_thresholds,
)

FILES = {"balanced_train": "balanced_train_segments.csv", "eval": "eval_segments.csv"}
ROOTS = [
    "Human sounds",
    "Animal",
    "Music",
    "Natural sounds",
    "Sounds of things",
    "Source-ambiguous sounds",
    "Channel, environment and background",
]


@pytest.fixture(scope="module")
def ontology():
    return Ontology.from_json(shared("data/audioset/ontology.json"))


@pytest.fixture(scope="module")
def vocabulary():
    with open(shared("data/audioset/class_labels_indices.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    return SimpleNamespace(ids=[row["mid"] for row in rows], names=[row["display_name"] for row in rows])


@pytest.fixture(scope="module")
def clips(ontology):
    """Original labels of each set, by the name of the set."""
    sets = {}
    for name, file in FILES.items():
        with open(shared(f"data/audioset/{file}"), newline="") as lines:
            rows = csv.reader((line for line in lines if line[0] != "#"), skipinitialspace=True)
            sets[name] = ontology.encode(row[3].split(",") for row in rows)
    sets["both"] = SparseLabels.concatenate(sets.values())
    return sets


@pytest.mark.parametrize("name", [*FILES, "both"])
def test_labels_per_clip(ontology, vocabulary, clips, name):
    original = clips[name]
    expanded = original.relabel(lambda y, rows: ontology.parent_expand(y))
    masked = original.relabel(lambda y, rows: ontology.children_mask(y))
    projected = masked.relabel(lambda y, rows: ontology.project(y, vocabulary.ids))
    rows = np.repeat(np.arange(len(projected)), np.diff(projected.indptr))
    found = {
        "n": len(original),
        "OL": len(original.indices),
        "PEL632": len(expanded.indices),
        "M632": int(masked.unknown.sum()),
        "PEL527": int((~projected.unknown).sum()),
        "M527": int(projected.unknown.sum()),
        "clips_with_mask": len(np.unique(rows[projected.unknown])),
    }
    recorded = golden("pel_pecml_real.json")["stats"][name]
    assert found == {key: recorded[key] for key in found}
    # As the specification prints them.
    printed = {
        "balanced_train": (2.3864, 5.5975, 3.5922, 24.476, 19.912, 10337),
        "eval": (2.5430, 5.9074, 3.8334, 25.462, 20.688, 9615),
        "both": (2.4614, 5.7459, 3.7077, 24.948, 20.284, 19952),
    }[name]
    ratios = [found[key] / found["n"] for key in ("OL", "PEL632", "PEL527", "M632", "M527")]
    np.testing.assert_allclose(ratios, printed[:5], atol=6e-4, rtol=0)
    assert found["clips_with_mask"] == printed[5]


@pytest.mark.parametrize("name", [*FILES, "both"])
def test_parent_given_child(ontology, vocabulary, clips, name):
    in_527 = ontology.columns(vocabulary.ids)
    parents = np.zeros((632, 632), dtype=np.float32)
    for parent, children in enumerate(ontology.children):
        parents[list(children), parent] = 1
    parents = parents[np.ix_(in_527, in_527)]
    ancestors = ontology.closure[np.ix_(in_527, in_527)] & ~np.eye(527, dtype=bool)
    children = children_with_parent = 0
    together = np.zeros((527, 527))
    for start in range(0, len(clips[name]), 4096):
        y = clips[name].to_dense(start, start + 4096)[:, in_527].astype(np.float32)
        together += y.T @ y
        children += int((y * parents.any(axis=1)).sum())
        children_with_parent += int((y * (y @ parents.T > 0)).sum())
    alone = together.diagonal()[:, None]
    recorded = golden("pel_pecml_real.json")
    stats = recorded["stats"][name]
    assert [(together * parents).sum(), (alone * parents).sum()] == stats["pair"]
    with_ancestor = (together * ancestors).sum() / (alone * ancestors).sum()
    np.testing.assert_allclose(with_ancestor, stats["pair_anc"], **CLOSE)
    np.testing.assert_allclose(children_with_parent / children, stats["pair_any"], **CLOSE)
    column = {label: i for i, label in enumerate(vocabulary.names)}
    for pair, (of_child, of_both) in recorded["rates_count"][name].items():
        if "->" in pair:
            child, parent = (column[label] for label in pair.split("->"))
            assert [together[child, child], together[child, parent]] == [of_child, of_both], pair


@pytest.mark.parametrize("name", [*FILES, "both"])
def test_guitar_with_any_descendant(ontology, clips, name):
    guitar = ontology.columns([ontology.id_of("Guitar")])[0]
    below = ontology.closure[:, guitar].copy()
    below[guitar] = False
    of_guitar = of_both = 0
    for start in range(0, len(clips[name]), 4096):
        y = clips[name].to_dense(start, start + 4096)
        of_guitar += y[:, guitar].sum()
        of_both += y[y[:, guitar] == 1][:, below].any(axis=1).sum()
    counts = golden("pel_pecml_real.json")["rates_count"][name]
    assert [of_guitar, of_both] == counts["Guitar with any descendant"]


def test_sampled_clips_label_by_label(ontology, vocabulary):
    sample = golden("pel_pecml_real.json")["sample"]
    assert len(sample) == 256
    y = ontology.encode([vocabulary.ids[label] for label in clip["ol"]] for clip in sample).to_dense()
    expanded, masked = ontology.parent_expand(y), ontology.children_mask(y)
    for size, pick in (("632", lambda y: y), ("527", lambda y: ontology.project(y, vocabulary.ids))):
        for clip, ones, unknowns in zip(sample, pick(expanded), np.isnan(pick(masked)), strict=True):
            assert np.flatnonzero(ones).tolist() == clip[f"pel{size}"]
            assert np.flatnonzero(unknowns).tolist() == clip[f"mask{size}"]


def test_ontology_as_it_is(ontology, vocabulary):
    recorded = golden("ontology_closure.json")
    assert list(ontology.ids) == recorded["order632"]
    strict = ontology.closure & ~np.eye(632, dtype=bool)
    for l, ancestors in recorded["ancestors632"].items():
        assert np.flatnonzero(strict[int(l)]).tolist() == ancestors
    in_527 = ontology.columns(vocabulary.ids)
    assert sorted(in_527) == recorded["in527"]
    assert strict.sum(axis=0).tolist() == recorded["n_descendants632"]
    assert strict[in_527].sum(axis=0).tolist() == recorded["n_descendants527"]
    assert sum(map(len, ontology.children)) == recorded["n_edges"] == 670
    assert np.flatnonzero(~strict.any(axis=1)).tolist() == recorded["roots"]


@pytest.mark.parametrize("root", ROOTS)
def test_split_by_root(ontology, vocabulary, clips, root):
    in_527 = ontology.columns(vocabulary.ids)
    targets = nonempty = 0
    for start in range(0, len(clips["both"]), 4096):
        split = ontology.split_by_root(clips["both"].to_dense(start, start + 4096), ontology.id_of(root))
        targets += int(split.is_target.sum())
        nonempty += int(split.base.any(axis=1).sum())
    labels = int(split.in_target[in_527].sum())
    assert {
        "target_labels_527": labels,
        "target_clips": targets,
        "base_clips": 42531 - targets,
        "base_labels_527": 527 - labels,
        "base_labels_kept_clips_nonempty": nonempty,
    } == golden("pel_pecml_real.json")["split"][root]


def test_table_1(ontology, vocabulary):
    in_527 = ontology.columns(vocabulary.ids)
    roots = ["Human sounds", "Sounds of things", "Source-ambiguous sounds", "Natural sounds"]
    columns = ontology.columns(map(ontology.id_of, roots))
    assert ontology.closure[np.ix_(in_527, columns)].sum(axis=0).tolist() == [72, 176, 55, 18]


@pytest.mark.parametrize("statistic", ["mean", "median", "p25"])
def test_psla_label_enhancement(ontology, vocabulary, statistic):
    data = golden("psla_enhancement.npz")

    def unpack(key):
        return np.unpackbits(data[key], axis=1)[:, :527].astype(float)

    y, p = unpack("y_packed"), data["pred"] / 1e4
    np.testing.assert_allclose(positive_thresholds(y, p, statistic), data[f"thr_{statistic}"], **CLOSE)
    nodes = ontology.lift(y, vocabulary.ids)
    for types in ((1,), (2,), (1, 2)):
        candidates = ontology.psla_candidates(nodes, types)[:, ontology.columns(vocabulary.ids)]
        key = f"{statistic}_type{''.join(map(str, types))}_packed"
        np.testing.assert_array_equal(mean_threshold_correct(y, p, candidates, statistic), unpack(key))


class TestSuperClasses:
    def test_table(self, vocabulary):
        classes = SuperClasses.from_csv(shared("data/audioset/audio_content_ontology.csv"), exclude=())
        recorded = golden("acd_superclasses.json")
        assert {name: len(labels) for name, labels in classes.members.items()} == recorded["counts"]
        column = {name: i for i, name in enumerate(vocabulary.names)}
        for name, labels in classes.members.items():
            assert sorted(column[label] for label in labels) == recorded["classes527"][name]
        placed = [label for labels in classes.members.values() for label in labels]
        assert {label for label in placed if placed.count(label) > 1} == {"Wind"}
        assert set(placed) == set(vocabulary.names)

    def test_missing_labels_that_parent_expansion_restores(self, ontology, clips):
        classes = SuperClasses.from_csv(shared("data/audioset/audio_content_ontology.csv"))
        assert len(classes.names) == 11
        music = classes.names.index("music")
        subtree = ontology.closure[:, ontology.columns([ontology.id_of("Music")])[0]]
        counts = np.zeros(5)
        for start in range(0, len(clips["both"]), 4096):
            y = clips["both"].to_dense(start, start + 4096)
            raw = classes.map(y, ontology.names)
            expanded = classes.map(ontology.parent_expand(y), ontology.names)
            musical = y[:, subtree].any(axis=1)
            counts += [
                musical.sum(),
                raw[musical, music].sum(),
                expanded[musical, music].sum(),
                (~raw.any(axis=1)).sum(),
                (~expanded.any(axis=1)).sum(),
            ]
        assert counts.tolist() == [16684, 11962, 16684, 11890, 6729]
