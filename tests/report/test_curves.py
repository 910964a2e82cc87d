"""What the page of training has in it; what it shows is looked at in test_curves_browser.py."""

import json
import math

import pytest
from history_support import write_run
from report_support import HOSTILE, parts

from acdref.errors import FileError
from acdref.report import curves
from acdref.report.curves import Drawing, write_curves
from acdref.tables.history import read_history


def meta(page):
    return parts(page)["meta"]


def test_what_the_page_has(tmp_path):
    run = write_run(tmp_path / "run", ap=[(0.123456789, math.nan), (0.6, 0.8)])
    write_curves(run / "curves.html", [read_history(run)])
    found = meta(run / "curves.html")
    assert (found["title"], found["live"], found["differ"]) == ("Training of run", True, [])
    (one,) = found["runs"]
    assert one["columns"] == ["epoch", "loss", "lr", "val_mAP", "val_accuracy", "AP dog", "AP cat"]
    assert one["rows"][0][-2:] == [0.123457, None] and (one["planned"], one["kept"]) == (4, 1)
    assert one["options"]["augment.room"] == "0.2" and one["options"]["keep"] == "none"


def test_a_run_that_is_over_goes_on_no_more(tmp_path):
    run = write_run(tmp_path, epochs=3)
    write_curves(run / "curves.html", [read_history(run)])
    assert not meta(run / "curves.html")["live"]


def test_several_runs(tmp_path):
    runs = [read_history(write_run(tmp_path / name, lr=lr)) for name, lr in (("a", 0.1), ("b", 0.2))]
    write_curves(tmp_path / "compare.html", runs)
    found = meta(tmp_path / "compare.html")
    assert [run["name"] for run in found["runs"]] == ["a", "b"] and found["title"] == "2 runs compared"
    assert found["differ"] == ["lr"] and not found["live"]


def test_names_end_no_script(tmp_path):
    run = write_run(tmp_path / "run", classes=(HOSTILE.replace("\n", " "), "b"), manifest=HOSTILE)
    write_curves(tmp_path / "p.html", [read_history(run)])
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<img" not in text and text.count("</script>") == 2
    assert json.dumps(HOSTILE.replace("\n", "\\n").replace("\u2028", "\\u2028")) in json.dumps(
        meta(tmp_path / "p.html")
    )


def test_a_page_that_cannot_be_written(tmp_path):
    run = read_history(write_run(tmp_path))
    with pytest.raises(FileError, match="No such file"):
        write_curves(tmp_path / "nowhere" / "p.html", [run])


class TestDrawing:
    def test_draws_what_is_there(self, tmp_path):
        said = []
        draw = Drawing(write_run(tmp_path), said.append)
        draw()
        assert len(meta(tmp_path / "curves.html")["runs"][0]["rows"]) == 3
        write_run(tmp_path, [(0.5, 0.5)] * 4)
        draw()
        assert len(meta(tmp_path / "curves.html")["runs"][0]["rows"]) == 4 and said == []

    @pytest.mark.parametrize("error", [OSError("disk full"), KeyError("a bug")])
    def test_what_goes_wrong_is_said_once_and_ends_nothing(self, tmp_path, monkeypatch, error):
        def fail(*args, **options):
            raise error

        said = []
        draw = Drawing(write_run(tmp_path), said.append)
        with monkeypatch.context() as patch:
            patch.setattr(curves, "write_curves", fail)
            draw()
            draw()
        assert len(said) == 1 and said[0].startswith("no curves are drawn, but training goes on: ")
        draw()
        assert (tmp_path / "curves.html").exists() and len(said) == 1
