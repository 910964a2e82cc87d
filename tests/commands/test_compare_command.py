"""`acdref compare` as its user meets it."""

import csv
import io
import json

import pytest
from click.testing import CliRunner
from history_support import write_run
from report_support import parts

from acdref.commands.compare import command

FOUR = [(0.3, 0.3)] * 4


def run(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)))


@pytest.fixture
def runs(tmp_path):
    return write_run(tmp_path / "a", FOUR), write_run(tmp_path / "b", FOUR, lr=0.1)


def test_csv_in_a_pipe(runs):
    result = run(*runs)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["option.lr"] for row in rows] == ["0.003", "0.1"]


def test_forms(runs):
    table = run(*runs, "--format", "table").stdout
    assert table.startswith("run  epochs  kept") and "\nlr      0.003  0.1\n" in table
    assert json.loads(run(*runs, "--format", "json").stdout)["differ"] == ["lr"]


def test_a_page_beside(runs, tmp_path):
    result = run(*runs, "--out", tmp_path / "compare.html")
    assert result.exit_code == 0 and result.stdout.startswith("run,epochs")
    assert len(parts(tmp_path / "compare.html")["meta"]["runs"]) == 2


def test_runs_that_cannot_be_read_are_left_out(runs, tmp_path):
    (runs[1] / "metrics.csv").unlink()
    result = run(*runs, tmp_path / "nowhere")
    assert result.exit_code == 3 and len(result.stdout.splitlines()) == 2
    assert result.stderr.splitlines() == [
        f"acdref: left out: {runs[1]}: no epoch of this run has ended yet",
        f"acdref: left out: {tmp_path}/nowhere: No such file or directory",
    ]


def test_none_that_can_be_read(tmp_path):
    result = run(tmp_path, "--out", tmp_path / "compare.html")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds no run of acdref train" in result.stderr and not (tmp_path / "compare.html").exists()


def test_runs_that_have_not_ended(runs, tmp_path):
    result = run(runs[0], write_run(tmp_path / "c", FOUR[:2]))
    assert result.exit_code == 0 and result.stderr == f"acdref: {tmp_path}/c: has done 2 of 4 epochs\n"


@pytest.mark.parametrize("out", ["page.txt", "page"])
def test_a_page_is_html(runs, tmp_path, out):
    assert run(*runs, "--out", tmp_path / out).exit_code == 2
