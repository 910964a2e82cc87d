"""Made-up recordings: labels as doubtful as they are said to be."""

import csv

import numpy as np
import soundfile

from acdref.labels import Ontology
from acdref.recipes.made_up import mislabel, ontology_sounds, rate, single_sounds
from acdref.synth.kinds import ontology_nodes
from acdref.tables.manifest import read_manifest


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_mislabelled_clips_have_another_class():
    labels = np.arange(40) % 4
    found = mislabel(labels, 4, 0.3, np.random.default_rng(0))
    assert (found != labels).sum() == 12 and set(found) <= set(range(4))


def test_single_sounds(tmp_path):
    path = single_sounds(tmp_path / "s", ("dog", "alarm"), each=5, held_out=2, seconds=0.3, seed=1)
    rows = rows_of(path)
    train = [row for row in rows if row["split"] == "train"]
    assert (len(train), len(rows)) == (10, 14)
    assert all(row["classes"] == row["truth"] for row in rows if row["verified"] == "1")
    assert sum(row["verified"] == "1" for row in train) == 4
    assert sum(row["classes"] != row["truth"] for row in train) == 2  # 0.3 of six
    assert read_manifest(path).verified == tuple(row["verified"] == "1" for row in rows)
    assert soundfile.info(tmp_path / "s" / rows[0]["path"]).frames == 4800
    before = path.stat().st_mtime_ns
    assert single_sounds(tmp_path / "s", ("dog",)) == path and path.stat().st_mtime_ns == before


def test_raters_are_as_the_paper_counts_them():
    ontology = Ontology(ontology_nodes())
    rng = np.random.default_rng(0)
    rated = [rate(["bark"], ontology, rng) for _ in range(4000)]
    assert set().union(*rated) == {"bark", "dog", "animal"}
    child = [labels for labels in rated if "bark" in labels]
    assert abs(len(child) / len(rated) - 0.6) < 0.03
    assert abs(np.mean(["dog" in labels for labels in child]) - 0.52) < 0.03
    middle = [labels for labels in rated if "dog" in labels]
    assert abs(np.mean(["animal" in labels for labels in middle]) - 0.52) < 0.03


def test_ontology_sounds(tmp_path):
    parts = {"train": 0.5, "test": 0.5}
    path, nodes = ontology_sounds(tmp_path / "s", count=6, seconds=0.3, seed=2, parts=parts)
    ontology = Ontology.from_json(nodes)
    rows = rows_of(path)
    assert [row["split"] for row in rows] == ["train"] * 3 + ["test"] * 3
    for row in rows:
        truth = ontology.parent_expand(ontology.encode([row["truth"].split(";")]).to_dense())[0]
        assert truth[ontology.columns(row["classes"].split(";"))].all()  # nothing that is not there
