"""Files of events: each is read back by the tool that it is for, or by a parser of what that publishes."""

import csv
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sed_support import oracle

from acdref.labels.events import Detection
from acdref.predict.event_files import COLUMNS, EVENT_FILES, SCHEMA, event_rows
from acdref.predict.events import Timeline
from acdref.tables.label_files import LabelFile

CLASSES = ("dog", "alarm; bell", 'say "ö"')
BORDERS = np.array([0.0, 1.0, 2.0, 3.0, 3.25])
CELLS = np.array([[0.9, 0.1, 0.2], [0.7, 0.6, 0.3], [0.1, 0.8, 0.3], [0.95, 0.123456789, 0.5]])
EVENTS = (
    Detection(0, 0.0, 2.0, 0.9, 0.8),
    Detection(1, 1.0, 3.0, 0.8, 0.7),
    Detection(0, 3.0, 3.25, 0.95, 0.95),
    Detection(2, 3.0, 3.25, 0.5, 0.5),
)
FOUND = Timeline("x/a b.wav", BORDERS, CELLS, EVENTS)
NOTED = FOUND._replace(note="ends early")
SILENT = Timeline("b.wav", BORDERS, CELLS)
BROKEN = Timeline("c.wav", np.zeros(0), np.zeros((0, 0)), error="no such file")
CUT = FOUND._replace(path="d.wav", error="damaged")

NAMES = st.text(min_size=1)
AWKWARD = st.text(st.sampled_from(list('a"\t\n\r\\;,\u2028\x1b é\udce9')), min_size=1, max_size=6)


def text(form, *found, classes=CLASSES):
    return EVENT_FILES[form].head + "".join(EVENT_FILES[form].text(each, classes) for each in found)


def table(form, *found, classes=CLASSES, **dialect):
    return list(csv.DictReader(io.StringIO(text(form, *found, classes=classes), newline=""), **dialect))


def wanted(timeline, classes=CLASSES):
    return [(event.onset, event.offset, classes[event.label]) for event in timeline.events]


class TestCsv:
    def test_rows(self):
        rows = table("csv", NOTED, SILENT, BROKEN, CUT)
        assert tuple(rows[0]) == COLUMNS and COLUMNS[0] == "path"
        assert list(rows[0].values()) == [
            "x/a b.wav",
            "0.0",
            "2.0",
            "dog",
            "0.9",
            "0.8",
            "3.25",
            "",
            "",
            SCHEMA,
        ]
        assert [(row["path"], row["label"]) for row in rows[:4]] == [
            ("x/a b.wav", name) for name in ("dog", CLASSES[1], "dog", CLASSES[2])
        ]
        assert [row["note"] for row in rows[:4]] == ["", "", "", "ends early"]
        assert list(rows[4].values()) == ["b.wav", *[""] * 5, "3.25", "", "", SCHEMA]
        assert list(rows[5].values()) == ["c.wav", *[""] * 7, "no such file", SCHEMA]
        assert [row["error"] for row in rows[6:]] == [""] * 4 + ["damaged"]

    def test_our_own_reader_takes_it_for_a_list_of_events(self, tmp_path):
        (tmp_path / "e.csv").write_text(text("csv", FOUND, SILENT))
        clips = list(LabelFile(tmp_path / "e.csv", "strong"))
        assert [clip.id for clip in clips] == ["x/a b.wav", "b.wav"]
        assert [event[:3] for event in clips[0].details] == wanted(FOUND)
        assert clips[1].details == ()

    @given(AWKWARD, AWKWARD)
    def test_any_name(self, path, note):
        (row,) = table("csv", SILENT._replace(path=path, note=note))
        assert (row["path"], row["note"]) == (path, note)


class TestJsonl:
    def test_objects(self):
        noted, silent, broken, cut = map(json.loads, text("jsonl", NOTED, SILENT, BROKEN, CUT).splitlines())
        assert noted["events"][0] == {"label": "dog", "onset": 0.0, "offset": 2.0, "peak": 0.9, "mean": 0.8}
        assert (len(noted["events"]), noted["seconds"], noted["note"]) == (4, 3.25, "ends early")
        assert list(noted) == ["schema", "path", "seconds", "events", "note"]
        assert silent == {"schema": SCHEMA, "path": "b.wav", "seconds": 3.25, "events": []}
        assert broken == {"schema": SCHEMA, "path": "c.wav", "error": "no such file"}
        assert len(cut["events"]) == 4 and cut["error"] == "damaged"

    @given(NAMES)
    def test_any_name(self, path):
        (line,) = text("jsonl", SILENT._replace(path=path)).splitlines()
        assert json.loads(line)["path"] == path


def test_table():
    assert text("table", NOTED, SILENT, BROKEN) == (
        "    onset    offset  event and its highest score, acdref.events/1\n"
        "x/a b.wav\n"
        "   0:00.0    0:02.0  dog 0.90\n"
        "   0:01.0    0:03.0  alarm; bell 0.80\n"
        "   0:03.0    0:03.2  dog 0.95\n"
        '   0:03.0    0:03.2  say "ö" 0.50\n'
        "  note: ends early\n"
        "b.wav  -\n"
        "c.wav\n"
        "  error: no such file\n"
    )


@given(AWKWARD)
def test_table_lines_are_lines_and_print(path):
    lines = text("table", SILENT._replace(path=path, note=path), BROKEN._replace(path=path))
    assert lines.count("\n") == 1 + 2 + 2
    assert all(c.isprintable() or c == "\n" for c in lines)


class TestDcase:
    def test_sed_eval(self, tmp_path):
        (tmp_path / "e.tsv").write_text(text("dcase", FOUND, SILENT, BROKEN, CUT), encoding="utf-8")
        found = oracle("sed_eval").io.load_event_list(str(tmp_path / "e.tsv"), file_format="CSV")
        for timeline in (FOUND, CUT):
            own = [(e.onset, e.offset, e.event_label) for e in found if e.filename == timeline.path]
            assert own == wanted(timeline)
        assert {e.filename for e in found} == {"x/a b.wav", "b.wav", "d.wav"}

    def test_sed_scores_eval(self, tmp_path):
        (tmp_path / "e.tsv").write_text(text("dcase", FOUND, SILENT, BROKEN), encoding="utf-8")
        found = oracle("sed_scores_eval").io.read_ground_truth_events(tmp_path / "e.tsv")
        assert found == {"x/a b": [list(event) for event in wanted(FOUND)], "b": []}

    @given(AWKWARD.filter(str.strip))
    def test_any_name_is_one_row(self, path):
        (row,) = table("dcase", SILENT._replace(path=path), delimiter="\t")
        assert list(row.values())[1:] == ["", "", ""]
        row["filename"].encode()  # no half of a letter


AUDACITY = re.compile(r"(\d+\.\d{6})\t(\d+\.\d{6})\t([^\t\n]*)\n")


class TestAudacity:
    """Of its manual: start and end in seconds and the label's text, between tabs; UTF-8."""

    def test_lines(self):
        lines = text("audacity", FOUND)
        found = [(float(a), float(b), name) for a, b, name in AUDACITY.findall(lines)]
        assert found == wanted(FOUND)
        assert AUDACITY.sub("", lines) == ""

    def test_nothing_heard(self):
        assert text("audacity", SILENT) == ""

    @given(AWKWARD)
    def test_any_class_is_one_line(self, name):
        lines = text("audacity", FOUND, classes=(name, "b", "c"))
        assert len(AUDACITY.findall(lines)) == 4 and AUDACITY.sub("", lines) == ""
        lines.encode()


class TestRaven:
    """Of its manual: a header, a selection a line, between tabs; numbered from 1 in each view."""

    def test_selections(self):
        rows = table("raven", FOUND, delimiter="\t", quoting=csv.QUOTE_NONE)
        assert [int(row["Selection"]) for row in rows] == [1, 2, 3, 4]
        found = [
            (float(row["Begin Time (s)"]), float(row["End Time (s)"]), row["Annotation"]) for row in rows
        ]
        assert found == wanted(FOUND)
        for row, event in zip(rows, EVENTS, strict=True):
            assert (row["View"], row["Channel"]) == ("Spectrogram 1", "1")
            assert 0 <= float(row["Low Freq (Hz)"]) < float(row["High Freq (Hz)"]) == 8000
            assert row["Begin Path"].endswith("/x/a b.wav") and row["Begin Path"][0] == "/"
            assert float(row["File Offset (s)"]) == event.onset and float(row["Score"]) == event.peak

    def test_nothing_heard(self):
        assert text("raven", SILENT).count("\n") == 1


class TestTextGrid:
    @pytest.mark.parametrize("found", [FOUND, SILENT])
    def test_praat(self, found, tmp_path):
        praat = pytest.importorskip("parselmouth").praat
        (tmp_path / "a.TextGrid").write_text(text("textgrid", found), encoding="utf-8")
        (grid,) = praat.run(f'Read from file: "{tmp_path}/a.TextGrid"', return_variables=False)
        assert grid.xmin == 0 and grid.xmax == 3.25
        assert praat.call(grid, "Get number of tiers") == 3
        for tier, name in enumerate(CLASSES, start=1):
            assert praat.call(grid, "Get tier name", tier) == name
            count, events, last = praat.call(grid, "Get number of intervals", tier), [], 0.0
            for i in range(1, count + 1):
                onset, offset = (praat.call(grid, f"Get {end} point", tier, i) for end in ("start", "end"))
                assert onset == last < offset
                last = offset
                if label := praat.call(grid, "Get label of interval", tier, i):
                    events.append((onset, offset, label))
            assert last == 3.25
            assert events == [event for event in wanted(found) if event[2] == name]


class TestScores:
    def test_sed_scores_eval(self, tmp_path):
        sed = oracle("sed_scores_eval")
        classes = ("dog", "alarm; bell", "öl")
        (tmp_path / "a.tsv").write_text(text("scores", FOUND, classes=classes), encoding="utf-8")
        frame = sed.io.read_sed_scores(tmp_path)["a"]
        borders, names = sed.base_modules.scores.validate_score_dataframe(frame)
        np.testing.assert_array_equal(borders, BORDERS)
        assert tuple(names) == classes
        np.testing.assert_allclose(frame[names].to_numpy(), CELLS, rtol=1e-7)

    def test_its_events_are_ours(self, tmp_path):
        sed = oracle("sed_scores_eval")
        (tmp_path / "a.tsv").write_text(text("scores", FOUND, classes=("a", "b", "c")))
        found = sed.base_modules.detection.scores_to_event_list(
            sed.io.read_sed_scores(tmp_path / "a.tsv"), np.array([0.45, 0.45, 0.45])
        )
        assert [tuple(event) for event in found] == sorted(wanted(FOUND, ("a", "b", "c")))


def test_rows_say_nothing_with_none():
    (row,) = event_rows(BROKEN, CLASSES)
    assert row == ("c.wav", None, None, None, None, None, None, None, "no such file", SCHEMA)


def test_scores_have_the_digits_of_float32():
    found = FOUND._replace(events=(Detection(0, 0.0, 1.0, 1 / 3, 0.1 + 0.2),))
    assert event_rows(found, CLASSES)[0][4:6] == (0.33333334, 0.3)
