"""Sums of what predict has written: read back from every form of it, and added up by hand."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.errors import AcdrefError, FileError
from acdref.labels.events import Detection
from acdref.predict import formats, summary
from acdref.predict.event_files import EVENT_FILES
from acdref.predict.events import Timeline
from acdref.predict.summary import Bar, InRecording, Summary, Tagged, as_csv, as_json, as_table
from acdref.predict.tagging import Failure, Window

CLASSES = ("dog", "rain")
BORDERS = np.arange(0, 61.0, 10)
CELLS = np.zeros((6, 2))
TIMELINES = [
    Timeline(
        "a.wav",
        BORDERS,
        CELLS,
        (
            Detection(0, 0.0, 10.0, 0.9, 0.8),
            Detection(1, 0.5, 1.0, 0.4, 0.4),
            Detection(0, 20.0, 25.0, 0.7, 0.6),
        ),
    ),
    Timeline("b,\n.wav", BORDERS, CELLS),
    Timeline("c.wav", np.zeros(0), np.zeros((0, 0)), error="no such file"),
    Timeline("d.wav", BORDERS, CELLS, (Detection(1, 1.0, 2.0, 0.95, 0.9),), error="damaged"),
    Timeline("e.wav", BORDERS, CELLS),
]
WINDOWS = [
    Window("a.wav", 0.0, 10.0, np.float32([0.9, 0.1]), None),
    Window("a.wav", 5.0, 15.0, np.float32([0.5, 0.6]), None),
    Window("a.wav", 10.0, 20.0, np.float32([0.1, 0.1]), None),
    Window("a.wav", 20.0, 20.1, np.float32([0.9, 0.995]), "ends early"),
    Failure("a.wav", "damaged"),
    Window("b.wav", 0.0, 10.0, np.float32([0.2, 0.3]), None),
    Failure("c.wav", "no such file"),
]


def read(text, **thresholds):
    counts = Bar(thresholds.pop("by_class", {}), **thresholds)
    return list(summary.read_tags(io.BufferedReader(io.BytesIO(text.encode())), "t", counts))


def events(form):
    return EVENT_FILES[form].head + "".join(EVENT_FILES[form].text(each, CLASSES) for each in TIMELINES)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
class TestEvents:
    def test_read_back(self, form):
        found = read(events(form))
        assert [(each.path, each.error) for each in found] == [(t.path, t.error) for t in TIMELINES]
        for each, timeline in zip(found, TIMELINES, strict=True):
            assert each.spans == [(CLASSES[e.label], e.onset, e.offset) for e in timeline.events]

    def test_thresholds_are_for_peaks(self, form):
        assert [len(each.spans) for each in read(events(form), threshold=0.7)] == [2, 0, 0, 1, 0]
        found = read(events(form), threshold=0.7, by_class={"rain": 0.4, "dog": 0.8})
        assert [len(each.spans) for each in found] == [2, 0, 0, 1, 0]


@pytest.mark.parametrize("form", [formats.as_csv, formats.as_jsonl])
class TestWindows:
    def test_read_back(self, form):
        a, b, c = read("".join(form(WINDOWS, CLASSES)))
        assert a.spans == [("dog", 0.0, 10.0), ("dog", 5.0, 15.0), ("rain", 5.0, 15.0), ("rain", 20.0, 20.1)]
        assert (a.error, b, c) == ("damaged", Tagged("b.wav", [], None), Tagged("c.wav", [], "no such file"))

    def test_thresholds(self, form):
        a, b, _ = read("".join(form(WINDOWS, CLASSES)), threshold=0.9, by_class={"rain": 0.3})
        assert [span[0] for span in a.spans] == ["dog", "rain", "dog", "rain"]
        assert b.spans == [("rain", 0.0, 10.0)]

    def test_scores_that_are_left_out(self, form):
        a, *_ = read("".join(form(WINDOWS, CLASSES, 0.55)))
        assert [span[0] for span in a.spans] == ["dog", "rain", "rain"]


def test_a_list_of_events_of_others():
    (found,) = read(
        "filename\tonset\toffset\tevent_label\n".replace("filename", "path").replace("event_label", "label")
        + "a.wav\t1\t2.5\tdog\n"
    )
    assert found == Tagged("a.wav", [("dog", 1.0, 2.5)], None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "t: is empty"),
        ("a,b\n1,2\n", "t: has no column 'path'"),
        ("path,classes\na.wav,dog\n", "t: has no column 'start'"),
        ("path,onset,offset,label\na.wav,x,2,dog\n", "t: line 2, column 'onset': 'x' is no number"),
        ("path,start,end,dog\na.wav,0,10,high\n", "t: line 2, column 'dog': 'high' is no number"),
        ("path,start,end,dog\na.wav,0,10\n", "t: line 2: 3 fields instead of 4"),
        ('{"path": "a.wav", "events": [{"label": "dog"}]}\n', "t: line 1: events must be a list"),
        ('{"path": "a.wav", "events": 3}\n', "t: line 1: events must be a list"),
        ('{"path": "a.wav"}\n{"x"\n', "t: line 2: .*a whole object a line is wanted"),
    ],
)
def test_what_is_none(text, words):
    with pytest.raises(FileError, match=words):
        read(text)


def test_windows_count_at_the_thresholds_of_weights():
    """Unless one is asked for, and in short ones at 0.99; events have met theirs already."""
    counts = Bar({"cat": 0.9}, usual={"dog": 0.2, "cat": 0.1})
    assert [counts("dog", score, 10.0) for score in (0.19, 0.2)] == [False, True]
    assert [counts("cat", score, 10.0) for score in (0.89, 0.9)] == [False, True]
    assert [counts("rain", score, 10.0) for score in (0.49, 0.5)] == [False, True]
    assert [counts("dog", score, 0.1) for score in (0.98, 0.99)] == [False, True]
    assert counts("dog", 0.1) and not Bar({}, 0.3, {"dog": 0.2})("dog", 0.25, 10.0)


def test_thresholds_out_of_range():
    for value in (-0.1, 1.5, np.nan):
        with pytest.raises(AcdrefError, match="the threshold of 'dog' must be a number from 0 to 1"):
            Bar({"dog": value})


def test_onset_after_offset():
    with pytest.raises(FileError, match=r"line 2: ends \(2\) before it starts \(3\)"):
        read("path,onset,offset,label\na.wav,3,2,dog\n")
    with pytest.raises(FileError, match="line 1: ends"):
        read('{"path": "a.wav", "events": [{"label": "dog", "onset": 3, "offset": 2}]}\n')


FOUND = summary.summarise(
    Tagged(t.path, [(CLASSES[e.label], e.onset, e.offset) for e in t.events], t.error) for t in TIMELINES
)


def test_sums():
    assert (
        Summary(
            recordings=5,
            silent=2,
            failed=2,
            rows=[
                InRecording("a.wav", "dog", 2, 15.0, 0.0, 25.0),
                InRecording("a.wav", "rain", 1, 0.5, 0.5, 1.0),
                InRecording("d.wav", "rain", 1, 1.0, 1.0, 2.0),
            ],
            classes=("dog", "rain"),
        )
        == FOUND
    )
    assert FOUND.totals() == {
        "rain": {"recordings": 2, "events": 2, "seconds": 1.5},
        "dog": {"recordings": 1, "events": 2, "seconds": 15.0},
    }
    assert list(FOUND.totals()) == ["rain", "dog"]


def test_only_some_classes():
    found = summary.summarise([Tagged("a", [("dog", 0, 1), ("cat", 0, 1)], None)], ["cat", "rain"])
    assert [row.label for row in found.rows] == ["cat"]
    assert found.totals()["rain"] == {"recordings": 0, "events": 0, "seconds": 0.0}


TIMES = st.integers(0, 20).map(float)


@given(
    st.lists(st.tuples(st.sampled_from("xy"), TIMES, TIMES).map(lambda e: (e[0], *sorted(e[1:]))), max_size=6)
)
def test_seconds_count_once(spans):
    found = summary.summarise([Tagged("a", spans, None)])
    for row in found.rows:
        own = [span[1:] for span in spans if span[0] == row.label]
        held = {second for a, b in own for second in range(int(a), int(b))}
        assert row.seconds == len(held)
        assert (row.first, row.last) == (min(a for a, _ in own), max(b for _, b in own))
        assert 1 <= row.events <= len(own)


def test_csv():
    first, *_ = rows = list(csv.DictReader(io.StringIO(as_csv(FOUND))))
    assert list(first.values()) == ["a.wav", "dog", "2", "15.0", "0.0", "25.0", "acdref.summary/1"]
    assert len(rows) == 3


def test_json():
    found = json.loads(as_json(FOUND))
    assert (found["recordings"], found["silent"], found["failed"]) == (5, 2, 2)
    assert found["schema"] == "acdref.summary/1"
    assert found["classes"] == FOUND.totals()
    assert found["files"][0] == FOUND.rows[0]._asdict()


def test_table():
    assert as_table(FOUND._replace(rows=FOUND.rows[:2], recordings=3)) == (
        "class  recordings  events    seconds\n"
        "dog             1       2       15.0\n"
        "rain            1       1        0.5\n"
        "3 recordings, 2 with none of these, 2 failed\n"
        "\n"
        "recording  class  events    seconds      first       last\n"
        "a.wav      dog         2       15.0     0:00.0     0:25.0\n"
        "a.wav      rain        1        0.5     0:00.5     0:01.0\n"
    )


def test_table_of_nothing_and_of_names_that_do_not_print():
    text = as_table(Summary(1, 1, 0, [], ()))
    assert text == "class  recordings  events    seconds\n1 recordings, 1 with none of these\n"
    text = as_table(Summary(1, 0, 0, [InRecording("a\x1b[2J", "d\n", 1, 1.0, 0.0, 1.0)], ("d\n",)))
    assert all(c.isprintable() or c == "\n" for c in text) and text.count("\n") == 6
