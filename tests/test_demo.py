"""The demo in the small: a few scenes, a few steps; what ships for it, and that nothing learns from it."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from predict_support import write_tiny_weights
from report_support import parts, rows
from train_support import Recorder, numpy_networks

from acdref import checkpoint, demo
from acdref.demo import (
    OPTIONS,
    SCENES,
    TaggedRecording,
    fine_tune,
    recordings,
    sizes,
    tagged,
    write_page,
)
from acdref.files import resource
from acdref.metrics import average_precision
from acdref.predict.scoring import score_manifest
from acdref.predict.tagger import Tagger, Tags
from acdref.predict.tagging import Window
from acdref.report.job import floors
from acdref.tables.manifest import ACD_CLASSES, read_manifest

ROOT = Path(__file__).parents[1]
SHARED = ROOT / ".." / "shared" / "data"
SMALL = replace(OPTIONS, epoch_size=4, batch=2, seconds=(2.1,))


def listed(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SHIPPED = listed(resource("fixtures", "demo") / "manifest.csv")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Untrained weights of the 11 classes in place of those that ship."""
    path = write_tiny_weights(tmp_path / "tiny.npz", ACD_CLASSES)
    monkeypatch.setattr(demo, "weights_file", lambda: path)
    with numpy_networks():
        yield path


# ---- The recordings ----


def test_eight_recordings_ship_with_licence_and_maker():
    folder = resource("fixtures", "demo")
    assert len(SHIPPED) == 8
    assert {row["path"] for row in SHIPPED} | {"manifest.csv"} == {path.name for path in folder.iterdir()}
    for row in SHIPPED:
        assert row["licence"] == "CC0 1.0" and row["attribution"] and row["source_id"]
    assert len({row["source_id"] for row in SHIPPED}) == 8
    assert sum((folder / row["path"]).stat().st_size for row in SHIPPED) < 250_000


def test_they_are_installed():
    """In the wheel: setup.cfg names their folder."""
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert re.search(r"^acdref\.fixtures =\n(    .*\n)*    demo/\*\n", text, re.MULTILINE)


def test_they_are_the_published_ones():
    if not (SHARED / "demo").exists():
        pytest.skip("the collection is not here")
    published = {row["source_id"]: row for row in listed(SHARED / "demo" / "manifest.csv")}
    assert published.keys() == {row["source_id"] for row in SHIPPED}
    for row in SHIPPED:
        original = published[row["source_id"]]
        assert row == {name: original[name] for name in row} | {"path": row["path"]}
        shipped = resource("fixtures", "demo") / row["path"]
        assert shipped.read_bytes() == (SHARED / "demo" / original["path"]).read_bytes()


@pytest.mark.parametrize("collection", ["all.csv", "corpus/manifest.csv", "extra/manifest.csv"])
def test_no_collection_to_train_on_has_their_sources(collection):
    if not (SHARED / collection).exists():
        pytest.skip("the collection is not here")
    others = listed(SHARED / collection)
    assert not {row["source_id"] for row in SHIPPED} & {row["source_id"] for row in others}
    text = (SHARED / collection).read_text(encoding="utf-8")
    for row in SHIPPED:  # under another name either
        assert row["source_id"].partition(":")[2] not in text
        assert f"{row['source_repo']},{row['original_name']}" not in text


def test_nothing_but_the_demo_opens_them():
    """Neither what makes the weights nor what else trains, or finds thresholds."""
    opens = re.compile(r"""(fixtures|data)["'/, )]+demo\b""")
    parts = ("acdref", "weights", "benchmarks", "conformance", "tools")
    files = [path for part in parts for path in (ROOT / part).rglob("*.py")]
    found = [path for path in files if opens.search(path.read_text(encoding="utf-8"))]
    assert len(files) > 100 and [path.relative_to(ROOT) for path in found] == [Path("acdref/demo.py")]


# ---- What is said of them ----


def test_right_is_what_has_the_surest_class():
    """Counted again from the scores of the weights that ship, which know some of eight recordings."""
    net, meta = checkpoint.load_weights(None, backend="numpy")
    manifest = recordings()
    scores = score_manifest(net, manifest)
    expected = manifest.labels[np.arange(8), scores.argmax(axis=1)] == 1
    found = list(tagged(Tagger(net, meta["classes"], meta["thresholds"])))
    assert [each.right for each in found] == expected.tolist() and sum(expected) >= 3
    assert [each.path for each in found] == [row["path"] for row in SHIPPED]
    assert [set(each.classes) for each in found] == [set(row["classes"].split(";")) for row in SHIPPED]
    for each, row in zip(found, scores, strict=True):
        np.testing.assert_allclose(list(each.found.scores.values()), row, atol=1e-6)


def test_the_surest_class_need_be_no_tag():
    found = Tags(("dog", "cat"), (Window("", 0.0, 10.0, [0.48, 0.4], None),), (), (0.5, 0.3))
    each = TaggedRecording("a.wav", "a.wav", ("dog",), found)
    assert each.surest == ("dog", 0.48) and list(found.tags()) == ["cat"]
    assert each.right and not each._replace(classes=("cat",)).right
    assert each._replace(classes=("cat", "dog")).right


def test_the_page_has_what_was_printed_beside_events_and_sound(tiny, tmp_path):
    tagger = Tagger.load(tiny, "numpy")
    found = list(tagged(tagger))
    page = write_page(tmp_path / "page", tagger, found)
    assert page == str(tmp_path / "page" / "index.html")
    shown = rows(Path(page))
    assert [row["path"] for row in shown] == [row["path"] for row in SHIPPED]
    for row, each in zip(shown, found, strict=True):
        assert row["labels"] == [int(name in each.classes) for name in ACD_CLASSES]
        np.testing.assert_array_equal(row["scores"], -floors(-np.array(list(each.found.scores.values()))))
        assert type(row["sound"]) is int and row["picture"] >= 0 and not row["error"]
    longest = shown[[row["path"] for row in shown].index("beach.ogg")]
    assert (longest["seconds"], longest["hop"], longest["count"]) == (10.0, 1.0, 10)
    meta = parts(Path(page))["meta"]
    assert meta["thresholds"] == [5000] * 11 and not meta["errors"]
    assert recordings().source in meta["made"]


# ---- The training ----


def test_it_trains_on_some_scenes_and_measures_on_others(tiny, tmp_path):
    result = fine_tune(tmp_path, seed=7, scenes=10, options=SMALL)
    assert result["scenes"] == (8, 2) and result["sequences"] == 4
    manifest = read_manifest(tmp_path / "scenes" / "manifest.csv")
    held_out = manifest.where(split="val")
    assert not {*manifest.where(split="train").paths} & {*held_out.paths}
    assert {path.name for path in (tmp_path / "scenes").glob("*.flac")} == {*manifest.paths}
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["manifest"], config["init"], config["epochs"]) == (manifest.source, tiny, 1)
    assert config["seed"] == json.loads((tmp_path / "scenes" / "synth.json").read_text())["seed"] == 7
    assert config["fold"] is config["val_fold"] is config["val"] is None  # so that the split counts
    for name, weights in (("before", tiny), ("after", tmp_path / "run" / "best.npz")):
        net, _ = checkpoint.load_weights(weights, backend="numpy")
        ap = average_precision(held_out.labels, score_manifest(net, held_out))
        np.testing.assert_allclose([result[name][each] for each in ACD_CLASSES], ap, atol=1e-12)
        np.testing.assert_allclose(result["mAP"][name == "after"], np.nanmean(ap))
    assert result["prior"] == held_out.labels.mean()


def test_it_can_be_stopped(tiny, tmp_path):
    assert fine_tune(tmp_path, Recorder(1), scenes=5, options=SMALL) is None


def test_without_numba_it_does_less_and_says_so(monkeypatch):
    monkeypatch.setattr(demo, "problem", lambda: None)
    assert sizes() == (SCENES, OPTIONS, "")
    monkeypatch.setattr(demo, "problem", lambda: "no Numba here")
    assert sizes() == (
        SCENES // 2, replace(OPTIONS, epoch_size=OPTIONS.epoch_size // 4),
        "no Numba here: 1/2 of the scenes, 1/4 of the training",
    )  # fmt: skip
