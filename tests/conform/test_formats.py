"""The file formats' cases, beside the standard library's readers and the label rules."""

import csv
import io
import json

import numpy as np
import pytest
from conform_support import assert_consistent, by_function

from acdref.conform import formats
from acdref.labels import correct_labels, frame_labels

CASES = by_function(formats.cases())


def test_names_kinds_and_mistakes():
    assert_consistent(CASES)


def table(text, **dialect):
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), **dialect))


@pytest.mark.parametrize("variant", ["known_classes", "other_classes", "wanted_classes"])
def test_manifests(variant):
    case = CASES["formats/manifest"][variant]
    columns, rows = json.loads(case.outputs["columns.json"]), table(case.inputs["manifest.csv"])
    assert columns["paths"] == [row["path"] for row in rows]
    for row, y in zip(rows, case.outputs["labels"], strict=True):
        assert {columns["classes"][c] for c in np.flatnonzero(y)} == set(
            filter(None, row["classes"].split(";"))
        )


@pytest.mark.parametrize("variant", sorted(CASES["formats/predictions"]))
def test_predictions_can_be_read_back(variant):
    case = CASES["formats/predictions"][variant]
    classes, given = json.loads(case.inputs["classes.json"]), case.inputs
    lines = [json.loads(line) for line in case.outputs["predictions.jsonl"].splitlines()]
    rows, windows = table(case.outputs["predictions.csv"]), iter(given["scores"])
    for row, line in zip(rows, lines, strict=True):
        assert (row["path"], row["note"], row["error"]) == (
            line["path"],
            line.get("note", ""),
            line.get("error", ""),
        )
        assert {name: float(row[name]) for name in classes if row[name]} == line.get("scores", {})
        if "error" in line:
            continue
        scores = next(windows)
        kept = sorted(range(3), key=lambda c, scores=scores: -scores[c])[
            : given["top"] if given["top"] > 0 else 3
        ]
        kept = [c for c in kept if not scores[c] < given["threshold"]]
        assert {name: np.float32(value) for name, value in line["scores"].items()} == {
            classes[c]: scores[c] for c in kept
        }


@pytest.mark.parametrize("variant", sorted(CASES["formats/relabelled_manifest"]))
def test_relabelled_by_the_rule(variant):
    given, text = CASES["formats/relabelled_manifest"][variant].inputs, None
    text = CASES["formats/relabelled_manifest"][variant].outputs["relabelled.csv"]
    names = ["bird", "cat", "dog"]
    before, after, scores = table(given["manifest.csv"]), table(text), table(given["scores.csv"])
    y = [[name in row["classes"].split(";") for name in names] for row in before]
    p = [[float(row[name] or "nan") for name in names] for row in scores]
    expected = correct_labels(y, p, given["T"], bool(given["fp"]), bool(given["mask"]))
    for old, new, row in zip(before, after, expected, strict=True):
        present, unknown = ({*filter(None, new.get(name, "").split(";"))} for name in ("classes", "unknown"))
        assert present == {name for name, label in zip(names, row, strict=True) if label == 1}
        assert unknown == {name for name, label in zip(names, row, strict=True) if np.isnan(label)}
        assert [old[name] for name in ("id", "path", "split")] == [
            new[name] for name in ("id", "path", "split")
        ]


@pytest.mark.parametrize("variant", ["plain", "guard"])
def test_frames_by_the_rule(variant):
    case = CASES["formats/framed_events"][variant]
    found, names = {}, ["/m/e", "/m/g", "/m/r"]
    for row in table(case.outputs["frames.tsv"], delimiter="\t", quoting=csv.QUOTE_NONE):
        k = round(float(row["start_time_seconds"]) / 0.96)
        found[row["segment_id"], k, row["label"]] = float(row["present"] == "PRESENT")
    events = table(case.inputs["events.tsv"], delimiter="\t", quoting=csv.QUOTE_NONE)
    absent = table(case.inputs["absent.tsv"], delimiter="\t", quoting=csv.QUOTE_NONE)
    expected = {}
    for clip in {row["segment_id"] for row in events}:
        own = [row for row in events if row["segment_id"] == clip and row["label"]]
        y = frame_labels(
            [[float(row["start_time_seconds"]), float(row["end_time_seconds"])] for row in own],
            [names.index(row["label"]) for row in own],
            3,
            [
                i
                for i, name in enumerate(names)
                if {"segment_id": clip, "label": name} in absent and name not in {row["label"] for row in own}
            ],
            guard=variant == "guard",
        )
        expected |= {(clip, k, names[c]): y[k, c] for k, c in np.argwhere(~np.isnan(y))}
    assert found == expected
    assert (variant == "guard") == (("b0RF_0", 3, "/m/r") not in found)


def test_scores_are_means_weighted_by_time():
    scores = CASES["formats/scores_csv"]["predicted"].outputs["scores"]
    np.testing.assert_allclose(scores, [[(5 + 1.8) / 12, np.nan], [np.nan, np.nan], [1, 0.125]])
