"""The reproductions: a run is done once, whatever stops them, and tables say what the rows do."""

import csv
import importlib
import math
import shutil
import sys

import numpy as np
import pytest
from predict_support import ROOT
from train_support import write_corpus

from acdref.errors import AcdrefError

MODULES = ("corpus", "networks", "experiment", "rows", "report", "table2", "fig3")


@pytest.fixture(scope="module")
def scripts():
    """The modules by name; they are no part of the package, and afterwards nothing is left of them."""
    with pytest.MonkeyPatch.context() as patch:
        # To compile would take longer than all of these tests.
        patch.setattr("acdref.nets.network.available", lambda: False)
        patch.setenv("ACDREF_NUM_THREADS", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.syspath_prepend(str(ROOT / "benchmarks" / "reproduce"))
        yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        del sys.modules[name]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def table2(scripts, corpus, tmp_path, monkeypatch, capsys):
    """Run table2.py with more arguments; returns what it printed."""

    def run(*arguments):
        given = ["table2.py", corpus, "--work", tmp_path / "work", "--results", tmp_path / "results"]
        given += ["--fold", "2", "--sequences", "8", "--rules", "correct FN", *arguments]
        monkeypatch.setattr(sys, "argv", list(map(str, given)))
        scripts["table2"].main()
        return capsys.readouterr().out

    return run


def rows_of(path):
    """Of a results file, without the times; texts, since NaN is not equal to itself."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: text for name, text in row.items() if name != "seconds"} for row in rows]


def test_runs_are_done_once(scripts, table2, tmp_path, monkeypatch):
    printed = table2("--seeds", "0")
    path = tmp_path / "results" / "table2-sequences-8-fold-2.csv"
    first = rows_of(path)
    conditions = ["raw labels", "without errors", "correct FN"]
    assert [(row["condition"], row["seed"]) for row in first] == [(name, "0") for name in conditions]
    assert all(0 <= float(row["mAP"]) <= 1 for row in first)
    assert path.with_suffix(".md").read_text() in printed
    with monkeypatch.context() as patch:
        patch.setattr(scripts["experiment"].Experiment, "_trained", None)  # would fail
        table2("--seeds", "0")
    assert rows_of(path) == first

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:  # after the training of the second seed's first run
        patch.setattr(scripts["experiment"].Experiment, "add", killed)
        with pytest.raises(Killed):
            table2("--seeds", "0,1")
    assert rows_of(path) == first
    table2("--seeds", "0,1")
    assert rows_of(path)[:3] == first
    again = tmp_path / "again"
    table2("--seeds", "1", "--results", again, "--work", again)
    assert rows_of(again / path.name) == rows_of(path)[3:]


def test_sizes_lie_apart_and_do_not_mix(scripts, table2, tmp_path):
    assert scripts["experiment"].Setting().suffix == ""
    sizes = scripts["experiment"].Setting(sequences=9600, seconds=4.0)
    assert sizes.suffix == "-sequences-9600-seconds-4.0"
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / "table2-sequences-8-fold-2.csv"
    path.write_text("condition,seed,setting,mAP\nraw labels,0,something else,0.5\n")
    with pytest.raises(AcdrefError, match="has runs with the setting 'something else'"):
        table2("--seeds", "0")


def test_what_cannot_be_used_is_named(table2):
    with pytest.raises(AcdrefError, match="no recording has the fold '9'"):
        table2("--fold", "9")
    with pytest.raises(AcdrefError, match=r"--seconds 0\.1 is too short for the network"):
        table2("--seconds", "0.1")
    with pytest.raises(SystemExit):
        table2("--rules", "guess")


def test_a_clap_model_as_the_teacher(scripts, corpus, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    # A copy: the teacher writes its prompts beside the graphs.
    bundle = shutil.copytree(ROOT / "fixtures" / "clap_hf", tmp_path / "clap")
    given = ["fig3.py", corpus, "--bundle", bundle, "--work", tmp_path / "work", "--results", tmp_path]
    given += ["--fold", "2", "--sequences", "8", "--seeds", "0"]
    monkeypatch.setattr(sys, "argv", list(map(str, given)))
    scripts["fig3"].main()
    rows = rows_of(tmp_path / "fig3-clap-sequences-8-fold-2.csv")
    assert [row["condition"] for row in rows] == [
        "zero-shot teacher itself",
        "corpus's labels",
        "its labels",
        "its labels, FN corrected, masked",
        "its labels, FN and FP corrected, masked",
    ]
    assert all(0 <= float(row["precision"]) <= 1 for row in rows[2:])


class TestReport:
    def test_interval(self, scripts):
        interval = scripts["report"].interval
        assert interval([1, 2, 3]) == pytest.approx((2, 4.303 / math.sqrt(3)))
        assert interval([0.5, 0.5, 0.5, 0.5]) == (0.5, 0)
        assert interval([3]) == pytest.approx((3, math.nan), nan_ok=True)
        assert interval([]) == pytest.approx((math.nan, math.nan), nan_ok=True)

    def test_quantiles(self, scripts):
        stats = pytest.importorskip("scipy.stats")
        found = scripts["report"].STUDENT_T
        np.testing.assert_allclose(found, stats.t.ppf(0.975, np.arange(1, len(found) + 1)), atol=6e-4)

    def test_gains_are_taken_seed_by_seed(self, scripts):
        common = scripts["experiment"].COMMON

        def row(condition, seed, value):
            return {"condition": condition, "seed": seed, "mAP": value, common: value, "accuracy": value}

        rows = [
            row("raw", 0, 0.1),
            row("raw", 1, 0.5),
            row("new", 1, 0.7),
            row("new", 0, 0.3),
            row("new", 2, 0.9),
        ]
        lines = scripts["report"].table(rows, ["raw", "new"], "raw").splitlines()
        assert lines[2].split(" | ")[4:] == ["", "", "2 |"]
        assert lines[3].split(" | ")[4:] == ["+0.200 ± 0.000", "+0.200 ± 0.000", "3 |"]


class TestStandIn:
    def test_hears_a_class_with_the_separation_that_it_says(self, scripts):
        fig3 = scripts["fig3"]
        truth = (np.random.default_rng(1).random((20000, 5)) < 0.3).astype(float)
        cosines = fig3.stand_in(truth, 7)
        np.testing.assert_array_equal(cosines, fig3.stand_in(truth, 7))
        for c in range(5):
            present, absent = cosines[truth[:, c] == 1, c], cosines[truth[:, c] == 0, c]
            assert absent.std() == pytest.approx(fig3.SPREAD, rel=0.05)
            assert 0.95 < (present.mean() - absent.mean()) / fig3.SPREAD < 3.05

    def test_precision_and_recall(self, scripts):
        found = scripts["fig3"].quality_of(
            np.array([[1, 1, 0, 0, np.nan]]), np.array([[1.0, 0.0, 1.0, 0.0, 1.0]])
        )
        assert found == {"precision": 0.5, "recall": 0.5}
