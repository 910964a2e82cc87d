"""Results as text: what programs parse comes back as it was, what people read is safe and right."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.errors import AcdrefError
from acdref.predict.formats import SCHEMA, as_csv, as_jsonl, as_table, clock, printable
from acdref.predict.scoring import USUAL
from acdref.predict.tagging import Failure, Window

CLASSES = ("dog", "rain", "hum")
SCORES = np.array([0.25, 0.7, 0.7], np.float32)
WINDOW = Window("a.wav", 0.0, 10.0, SCORES, None)
NOTED = Window("a.wav", 10.0, 11.5, SCORES, "ends early")
FAILURE = Failure("b.wav", "no such file")


def objects(*results, **limits):
    return [json.loads(line) for line in as_jsonl(results, CLASSES, **limits)]


def rows(*results, classes=CLASSES, **limits):
    return list(csv.DictReader(io.StringIO("".join(as_csv(results, classes, **limits)), newline="")))


def test_jsonl_keys():
    window, noted, failure = objects(WINDOW, NOTED, FAILURE)
    assert window == {
        "schema": "acdref.predict/1",
        "path": "a.wav",
        "start": 0.0,
        "end": 10.0,
        "scores": {"dog": 0.25, "rain": 0.7, "hum": 0.7},
    }
    assert list(window["scores"]) == list(CLASSES)
    assert noted == window | {"start": 10.0, "end": 11.5, "note": "ends early"}
    assert failure == {"schema": "acdref.predict/1", "path": "b.wav", "error": "no such file"}


def test_csv_columns():
    window, noted, failure = rows(WINDOW, NOTED, FAILURE)
    assert list(window) == ["schema", "path", "start", "end", "dog", "rain", "hum", "note", "error"]
    assert list(window.values()) == [SCHEMA, "a.wav", "0.0", "10.0", "0.25", "0.7", "0.7", "", ""]
    assert noted["note"] == "ends early"
    assert list(failure.values()) == [SCHEMA, "b.wav", *[""] * 6, "no such file"]


def test_csv_has_its_header_even_without_results():
    assert list(as_csv([], CLASSES)) == ["schema,path,start,end,dog,rain,hum,note,error\n"]


@pytest.mark.parametrize("name", ["path", "error"])
def test_csv_of_a_class_named_like_a_column(name):
    with pytest.raises(AcdrefError, match=f"a column '{name}'"):
        list(as_csv([WINDOW], ("dog", name, "hum")))


@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_table])
def test_each_result_comes_out_before_the_next_is_taken(form):
    taken = []

    def results():
        for number in range(3):
            taken.append(number)
            yield WINDOW

    texts = form(results(), CLASSES)
    while not taken:
        text = next(texts)  # perhaps a header first
    assert taken == [0] and text.endswith("\n")


@pytest.mark.parametrize(
    ("limits", "classes"),
    [
        ({"threshold": 0.7}, ["rain", "hum"]),  # at or above, as written: float32 0.7 is below 0.7
        ({"threshold": 0.71}, []),
        ({"threshold": 0.0}, ["dog", "rain", "hum"]),
        ({"top": 1}, ["rain"]),  # the first of equals
        ({"top": 2}, ["rain", "hum"]),
        ({"top": 9}, ["dog", "rain", "hum"]),
        ({"threshold": 0.5, "top": 1}, ["rain"]),
        ({"threshold": 0.2, "top": 2}, ["rain", "hum"]),
    ],
)
def test_threshold_and_top(limits, classes):
    (window,) = objects(WINDOW, **limits)
    assert list(window["scores"]) == classes
    (row,) = rows(WINDOW, **limits)
    assert [name for name in CLASSES if row[name]] == classes


@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3))
def test_scores_are_exact(values):
    scores = np.array(values, np.float32)
    result = WINDOW._replace(scores=scores)
    (window,), (row,) = objects(result), rows(result)
    np.testing.assert_array_equal(np.float32([window["scores"][name] for name in CLASSES]), scores)
    np.testing.assert_array_equal(np.float32([row[name] for name in CLASSES]), scores)


@given(st.text(), st.text())
def test_any_name_survives(path, cause):
    for failure in (Failure(path, cause), WINDOW._replace(path=path, note=cause)):
        (window,) = objects(failure)
        assert window["path"] == path
        assert window.get("error", window.get("note")) == cause
    (row,) = rows(Failure(path, cause))
    assert (row["path"], row["error"]) == (path, cause)


def test_name_that_is_not_utf8():
    path = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    (line,) = as_jsonl([Failure(path, "x")], CLASSES)
    assert line.isascii() and json.loads(line)["path"] == path
    assert path in "".join(as_csv([Failure(path, "x")], CLASSES))


def test_table():
    text = "".join(as_table([WINDOW, NOTED, FAILURE], CLASSES, threshold=0.5))
    assert text == (
        "    start       end  tags (scores from 0.5), acdref.predict/1\n"
        "a.wav\n"
        "   0:00.0    0:10.0  rain 0.70  hum 0.70\n"
        "   0:10.0    0:11.5  rain 0.70  hum 0.70  (ends early)\n"
        "b.wav\n"
        "  error: no such file\n"
    )


def test_table_with_a_threshold_that_depends_on_the_length():
    short = WINDOW._replace(start=10.0, end=10.2)
    text = "".join(as_table([WINDOW, short, short._replace(scores=[0.2, 0.99, 0.3])], CLASSES, USUAL))
    assert text == (
        "    start       end  tags (scores from 0.5), below 0.3 s (from 0.99), acdref.predict/1\n"
        "a.wav\n"
        "   0:00.0    0:10.0  rain 0.70  hum 0.70\n"
        "   0:10.0    0:10.2  -\n"
        "   0:10.0    0:10.2  rain 0.99\n"
    )


def test_table_of_nothing_above_the_threshold():
    assert "".join(as_table([WINDOW], CLASSES, threshold=0.9)).endswith("0:10.0  -\n")


@given(st.text())
def test_table_lines_are_lines_and_print(path):
    text = "".join(as_table([Failure(path, "x"), WINDOW._replace(path=path + "!", note=path)], CLASSES))
    assert text.count("\n") == 5
    assert all(c.isprintable() or c == "\n" for c in text)


def test_printable_escapes():
    assert printable("ä\x1b[31m\n\udce9") == "ä\\x1b[31m\\n\\udce9"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00.0"),
        (9.99, "0:09.9"),
        (59.9999375, "0:59.9"),
        (60, "1:00.0"),
        (0.3, "0:00.3"),
        (3599.95, "59:59.9"),
        (3600, "1:00:00.0"),
        (36_061.25, "10:01:01.2"),
    ],
)
def testclock(seconds, text):
    assert clock(seconds) == text
