import csv
import io
import json
import math

import pytest
from history_support import write_run

from acdref.compare import as_csv, as_json, as_table, differing, notes, short_names
from acdref.tables.history import read_history


@pytest.fixture
def runs(tmp_path):
    """The second has an option more, another learning rate and strength, and is over."""
    write_run(tmp_path / "runs/a")
    write_run(tmp_path / "runs/b", [(0.3, 0.3)] * 4, lr=0.001, augment={"room": 0.5}, empty=0.1)
    return [read_history(tmp_path / "runs" / name) for name in "ab"]


def test_csv_has_a_row_a_run(runs):
    first, second = csv.DictReader(io.StringIO(as_csv(runs)))
    assert (first["run"], first["epochs"], first["planned"], first["epoch"]) == (runs[0].name, "3", "4", "2")
    assert float(first["val_mAP"]) == pytest.approx(0.7) and float(first["loss"]) == 0.5
    assert float(first["AP cat"]) == 0.8 and first["schema"] == "acdref.compare/1"
    assert (second["epoch"], second["option.lr"], second["option.augment.room"]) == ("1", "0.001", "0.5")
    assert (first["option.empty"], second["option.empty"]) == ("", "0.1")
    assert "option.epochs" not in first


def test_csv_of_nothing_and_of_zero(tmp_path):
    (row,) = csv.DictReader(io.StringIO(as_csv([read_history(write_run(tmp_path, [(0.0, math.nan)]))])))
    assert (row["AP dog"], row["AP cat"]) == ("0.0", "")


def test_json_has_numbers_and_all_options(runs):
    found = json.loads(as_json(runs))
    assert found["differ"] == ["lr", "augment.room", "empty"]
    assert found["runs"][0]["ap"] == {"dog": 0.6, "cat": 0.8}
    assert found["runs"][0]["figures"]["lr"] == 0.0015 and found["runs"][0]["epoch"] == 2
    assert found["runs"][1]["options"]["augment"] == {"room": 0.5}


def test_json_of_a_class_without_recordings(tmp_path):
    text = as_json([read_history(write_run(tmp_path, ap=[(math.nan, 0.5)]))])
    assert json.loads(text, parse_constant=pytest.fail)["runs"][0]["ap"] == {"dog": None, "cat": 0.5}


def test_table_for_people(runs):
    assert as_table(runs).splitlines() == [
        "run  epochs  kept  loss      lr  val_mAP  val_accuracy",
        "a       3/4     2   0.5  0.0015      0.7           0.9",
        "b       4/4     1     1   0.003      0.3           0.9",
        "",
        "AP     a    b",
        "dog  0.6  0.3",
        "cat  0.8  0.3",
        "",
        "option            a      b",
        "lr            0.003  0.001",
        "augment.room    0.2    0.5",
        "empty             -    0.1",
    ]


def test_of_many_classes_those_that_differ_most_in_their_order(tmp_path):
    names = [f"c{i:02}" for i in range(30)]
    flat = [0.5] * 30
    other = [0.5 + (i % 2) * i / 100 for i in range(30)]
    write_run(tmp_path / "a", [flat], names)
    write_run(tmp_path / "b", [other], names)
    lines = as_table([read_history(tmp_path / "a"), read_history(tmp_path / "b")]).splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("c")]
    assert len(shown) == 20 and shown == sorted(shown)
    assert set(shown) >= {f"c{i:02}" for i in range(1, 30, 2)}


def test_one_run_differs_from_none(runs):
    assert differing(runs[:1]) == [] and "option" not in as_table(runs[:1])


def test_names_without_the_common_folder(runs):
    assert short_names(runs) == ["a", "b"]
    assert short_names(runs[:1]) == [runs[0].name]


def test_what_makes_runs_hard_to_compare(tmp_path):
    full = [(0.3, 0.3)] * 4
    write_run(tmp_path / "a", full)
    write_run(tmp_path / "b", full[:1])
    write_run(tmp_path / "c", full, ("dog", "bird"))
    write_run(tmp_path / "d", full, classes=())
    write_run(tmp_path / "e", full, val_fold="3")
    write_run(tmp_path / "f", full, lr=0.1)
    found = [read_history(tmp_path / name) for name in "abcdef"]
    said = [line.removeprefix(f"{tmp_path}/") for line in notes(found)]
    assert [line[:9] for line in said] == ["b: has do", "c: has ot", "d: has no", "e: was va"]
    assert said[0] == "b: has done 1 of 4 epochs"
    assert notes(found[:1]) == []
