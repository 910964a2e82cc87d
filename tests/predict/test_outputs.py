"""Several outputs in one pass: in order, one by one, each recording's labels under a name of its own."""

import io
import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.errors import AcdrefError, FileError
from acdref.labels.events import Detection
from acdref.predict.event_files import COLUMNS, SCHEMA
from acdref.predict.events import Timeline
from acdref.predict.formats import as_csv
from acdref.predict.outputs import (
    LabelFolder,
    ParquetParts,
    ParquetRows,
    check_parquet,
    event_parquet,
    event_text,
    passed,
    refuse_parts,
    window_parquet,
    window_text,
)
from acdref.predict.tagging import End, Failure, Window

CLASSES = ("dog", "rain")
WINDOW = Window("a.wav", 0.0, 10.0, np.float32([0.25, 0.7]), None)
FAILURE = Failure("b.wav", "no such file")
BORDERS = np.array([0.0, 2.0])
FOUND = Timeline("a.wav", BORDERS, np.array([[0.9, 0.1]]), (Detection(0, 0.0, 2.0, 0.9, 0.9),))
BROKEN = Timeline("b.wav", np.zeros(0), np.zeros((0, 0)), error="no such file")


def test_results_pass_once_they_are_written():
    log = []
    results = passed(iter([WINDOW, End("a.wav"), FAILURE]), lambda result: log.append(("first", result)))
    for result in passed(results, lambda result: log.append(("second", result))):
        log.append(("through", result))
    assert log == [
        *((who, WINDOW) for who in ("first", "second", "through")),
        ("through", End("a.wav")),
        *((who, FAILURE) for who in ("first", "second", "through")),
    ]


def test_text_is_that_of_the_formats_and_flushed():
    stream = io.StringIO()
    flushed = []
    stream.flush = lambda: flushed.append(len(stream.getvalue()))
    write = window_text("csv", stream, CLASSES, 0.5)
    for result in (WINDOW, FAILURE):
        write(result)
        assert flushed[-1] == len(stream.getvalue())
    assert stream.getvalue() == "".join(as_csv([WINDOW, FAILURE], CLASSES, 0.5))


def test_events_as_text():
    stream = io.StringIO()
    event_text("dcase", stream, CLASSES)(FOUND)
    assert stream.getvalue() == "filename\tonset\toffset\tevent_label\na.wav\t0.0\t2.0\tdog\n"


class TestLabelFolder:
    def test_files(self, tmp_path):
        with LabelFolder(tmp_path, "audacity", CLASSES) as labels:
            for path in ("x/a.wav", "y/a.wav", "b.wav"):
                labels.write(FOUND._replace(path=path))
            labels.write(BROKEN)
        assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt", "y_a.txt"]
        assert (tmp_path / "y_a.txt").read_text() == "0.000000\t2.000000\tdog\n"

    def test_a_recording_without_events_has_an_empty_one(self, tmp_path):
        with LabelFolder(tmp_path, "audacity", CLASSES) as labels:
            labels.write(FOUND._replace(events=()))
        assert (tmp_path / "a.txt").read_text() == ""

    PATHS = st.lists(
        st.text(st.sampled_from("aA./_"), min_size=1, max_size=7).filter(lambda path: path.strip("./")),
        min_size=1,
        max_size=8,
    )

    @given(PATHS)
    def test_no_two_recordings_share_a_file(self, paths):
        labels = LabelFolder("", "textgrid", CLASSES)
        names = {}
        for path in paths + paths:
            names.setdefault(path, set()).add(labels.name(path).casefold())
        assert all(len(name) == 1 for name in names.values())
        assert len(set.union(*names.values())) == len(names)

    def test_many_of_one_name(self):
        labels = LabelFolder("", "audacity", CLASSES)
        names = [labels.name(f"{i}/dog.wav") for i in range(3)] + [labels.name("dog.flac")]
        assert names == ["dog.txt", "1_dog.txt", "2_dog.txt", "dog.flac.txt"]

    def test_long_names_are_cut(self, tmp_path):
        path = "ä" * 120 + "/" + "ü" * 120
        with LabelFolder(tmp_path, "raven", CLASSES) as labels:
            for each in (path + ".wav", path + ".flac", "x" + path + ".wav"):
                labels.write(FOUND._replace(path=each))
        assert len(os.listdir(tmp_path)) == 3

    def test_a_recording_is_not_replaced(self, tmp_path):
        path = tmp_path / "a.txt"  # given by name, a recording may have any
        path.write_bytes(b"sound")
        labels = LabelFolder(tmp_path, "audacity", CLASSES)
        with pytest.raises(FileError, match="is an input"):
            labels.write(FOUND._replace(path=str(path)))
        assert path.read_bytes() == b"sound"


class TestParquet:
    def test_windows(self, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        with window_parquet(tmp_path / "w.parquet", CLASSES, 0.5) as write:
            write(WINDOW)
            write(FAILURE)
        table = parquet.read_table(tmp_path / "w.parquet")
        assert table.column_names == ["schema", "path", "start", "end", "dog", "rain", "note", "error"]
        assert table.schema.metadata[b"schema"] == b"acdref.predict/1"
        window, failure = table.to_pylist()
        assert (window["path"], window["end"], window["dog"], window["rain"]) == ("a.wav", 10.0, None, 0.7)
        assert (failure["rain"], failure["error"]) == (None, "no such file")

    def test_events(self, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        with event_parquet(tmp_path / "e.parquet", CLASSES) as write:
            write(FOUND)
            write(FOUND._replace(path="caf\udce9.wav", events=()))
            write(BROKEN)
        table = parquet.read_table(tmp_path / "e.parquet")
        assert tuple(table.column_names) == COLUMNS
        assert table.schema.metadata[b"schema"] == SCHEMA.encode()
        event, silent, broken = table.to_pylist()
        assert tuple(event.values()) == ("a.wav", 0.0, 2.0, "dog", 0.9, 0.9, 2.0, None, None, SCHEMA)
        assert (silent["path"], silent["label"], silent["recording_seconds"]) == ("caf\\udce9.wav", None, 2.0)
        assert broken["error"] == "no such file"

    def test_groups_of_rows(self, tmp_path, monkeypatch):
        parquet = pytest.importorskip("pyarrow.parquet")
        monkeypatch.setattr("acdref.predict.outputs._GROUP", 3)
        with ParquetRows(tmp_path / "x.parquet", {"n": "float64"}, "x/1") as file:
            for n in range(0, 8, 2):
                file.write([[n], [n + 1.0]])
        read = parquet.ParquetFile(tmp_path / "x.parquet")
        assert read.read().column("n").to_pylist() == list(range(8))
        assert read.num_row_groups == 2

    def test_parts(self, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        with ParquetParts(tmp_path, {"n": "float64"}, "x/1", most=3) as parts:
            for n in range(0, 8, 2):
                parts.write([[n], [n + 1.0]])
                whole = sorted(path.name for path in tmp_path.glob("[!.]*"))
                assert whole == ["part-00000.parquet"][: n // 4]
        names = ["_SUCCESS", "part-00000.parquet", "part-00001.parquet"]
        assert sorted(path.name for path in tmp_path.iterdir()) == names
        assert parquet.read_table(tmp_path).column("n").to_pylist() == list(range(8))
        assert parquet.read_schema(tmp_path / names[2]).metadata[b"schema"] == b"x/1"
        with pytest.raises(FileError, match="_SUCCESS: of another run; delete its files"):
            refuse_parts(tmp_path)

    def test_parts_of_a_run_that_failed(self, tmp_path):
        pytest.importorskip("pyarrow")
        with pytest.raises(KeyboardInterrupt), window_parquet(f"{tmp_path}/", CLASSES) as write:
            write(WINDOW)
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []
        refuse_parts(tmp_path)
        refuse_parts(tmp_path / "new")

    def test_no_rows(self, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        with event_parquet(tmp_path / "e.parquet", CLASSES):
            pass
        assert parquet.read_table(tmp_path / "e.parquet").num_rows == 0

    def test_without_pyarrow(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(
            AcdrefError, match=r"needs the package pyarrow \(pip install 'acdref\[parquet\]'\)"
        ):
            check_parquet()
