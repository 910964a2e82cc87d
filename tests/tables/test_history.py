import math

import pytest
from history_support import write_run

from acdref.errors import FileError
from acdref.tables.history import read_history, standing


def test_what_was_written_is_read(tmp_path):
    run = read_history(write_run(tmp_path / "run"))
    assert run.name == str(tmp_path / "run")
    assert (len(run.rows), run.planned, run.classes) == (3, 4, ["dog", "cat"])
    assert run.rows[1]["AP cat"] == 0.8 and run.rows[2]["loss"] == 1 / 3
    assert run.options["augment"] == {"room": 0.2}


def test_values_that_are_missing(tmp_path):
    run = read_history(write_run(tmp_path, ap=[(math.nan, 0.5)]))
    assert math.isnan(run.rows[0]["AP dog"]) and run.rows[0]["val_mAP"] == 0.5
    (tmp_path / "metrics.csv").write_text("epoch,loss,val_mAP\n1,0.5,\n")
    assert math.isnan(read_history(tmp_path).rows[0]["val_mAP"])


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, 1),
        ({"keep": "mAP"}, 1),
        ({"keep": "last"}, 2),
        ({"ap": [(0.5, 0.7), (0.7, 0.5)]}, 0),  # of equal ones the first
        ({"classes": ()}, 2),  # nothing to choose by
    ],
)
def test_which_epoch_is_kept(tmp_path, options, kept):
    assert read_history(write_run(tmp_path, **options)).kept == kept


def test_without_validation_the_last_is_kept(tmp_path):
    assert read_history(write_run(tmp_path, classes=())).keep == "last"


def test_the_lowest_loss_is_kept(tmp_path):
    run = read_history(write_run(tmp_path, keep="loss"))
    for row, loss in zip(run.rows, (0.5, 0.3, 0.4), strict=True):
        row["val_loss"] = loss
    assert run.kept == 1


def test_standing_of_what_is_not_measured():
    assert math.isnan(standing({"val_mAP": 1.0}, "last")) and standing({"val_AUC": 0.25}, "AUC") == 0.25


def test_a_run_that_was_lengthened(tmp_path):
    assert read_history(write_run(tmp_path, lengthened=[6, 9])).planned == 9


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda run: (run / "config.json").unlink(), "holds no run of acdref train"),
        (lambda run: (run / "metrics.csv").unlink(), "no epoch of this run has ended yet"),
        (lambda run: (run / "metrics.csv").write_text("epoch,loss\n"), "no epoch of this run has ended yet"),
        (lambda run: (run / "config.json").write_text("[]"), r"config\.json: is no run's"),
        (lambda run: (run / "config.json").write_text('{"epochs": "4"}'), r"config\.json: is no run's"),
        (
            lambda run: (run / "config.json").write_text('{"epochs": 4, "lengthened": 5}'),
            r"config\.json: is no run's",
        ),
        (lambda run: (run / "config.json").write_text("{"), r"config\.json: is not JSON"),
        (
            lambda run: (run / "metrics.csv").write_text("epoch,loss\n1,x\n"),
            "line 2, column 'loss': 'x' is no",
        ),
        (lambda run: (run / "metrics.csv").write_text("loss\n1\n"), "has no column 'epoch'"),
        (lambda run: (run / "metrics.csv").write_text("epoch,a,a\n1,1,1\n"), "has the column 'a' 2 times"),
    ],
)
def test_what_is_no_run(tmp_path, change, cause):
    change(write_run(tmp_path))
    with pytest.raises(FileError, match=cause):
        read_history(tmp_path)


def test_what_is_no_folder(tmp_path):
    with pytest.raises(FileError, match="nowhere: No such file"):
        read_history(tmp_path / "nowhere")
    with pytest.raises(FileError, match="name the folder of a run"):
        read_history(write_run(tmp_path) / "metrics.csv")
