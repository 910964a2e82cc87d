"""Answers compared with what is expected: right, wrong, partly there, not there, damaged."""

import json
import math
import shutil

import numpy as np
import pytest

from acdref.conform import check, export
from acdref.conform.comparing import by_section
from acdref.conform.writing import Case, Mistake
from acdref.errors import FileError

CASES = [
    Case(
        "numbers/twice/five",
        "y = 2 x",
        {"x": np.arange(5.0)},
        {"y": 2 * np.arange(5.0), "sum": 20.0},
        rtol=1e-3,
        atol=1e-6,
        mistakes=[Mistake("x was squared", {"y": np.arange(5.0) ** 2})],
    ),
    Case("numbers/unknown/one", "NaN stays", {"x": [np.nan, 1]}, {"y": [np.nan, 1]}),
    Case("numbers/both/one", "two", {"x": 1}, {"y.a": 1.0, "z": 1.0}, atol={"y.a": 0.1, "z": 0.01}),
    Case("words/upper/two", "upper case", {"in.txt": "a\nb\n"}, {"out.txt": "A\nB\n"}),
    Case("words/tags/one", "tags", {"in.txt": "a"}, {"tags.json": '{"a": [1, 0.5], "b": null}'}, atol=0.01),
    Case("words/lines/two", "tags", {"in.txt": "a"}, {"tags.jsonl": '{"a": 1}\n{"a": 2}\n'}),
]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Exported cases, and answers that are right."""
    monkeypatch.setattr("acdref.conform.writing.all_cases", lambda: iter(CASES))
    export(tmp_path / "cases")
    for case in CASES:
        shutil.copytree(tmp_path / "cases" / case.name / "out", tmp_path / "answers" / case.name)
    return tmp_path / "cases", tmp_path / "answers"


def answer(folders, name, value):
    if isinstance(value, str):
        (folders[1] / name).write_text(value)
    else:
        np.save(folders[1] / name, value)
    return {one.case: one for one in check(*folders)[0]}["/".join(name.split("/")[:3])]


def test_right(folders):
    verdicts, strangers = check(*folders)
    assert [one.status for one in verdicts] == ["passed"] * len(CASES)
    assert strangers == []


def test_within_tolerance(folders):
    close = 2 * np.arange(5.0) * (1 + 0.9e-3)
    verdict = answer(folders, "numbers/twice/five/y.npy", close.astype(np.float32))
    assert (
        verdict.status == "passed" and 0.8 < verdict.error <= 1 and verdict.where.startswith("y[4] is 8.0072")
    )


def test_beyond_tolerance(folders):
    verdict = answer(folders, "numbers/twice/five/y.npy", 2 * np.arange(5.0) * (1 + 1.1e-3))
    assert verdict.status == "failed" and verdict.error > 1 and verdict.where == "y[4] is 8.0088, expected 8"


def test_a_tolerance_for_each_output(folders):
    assert answer(folders, "numbers/both/one/y.a.npy", 1.05).status == "passed"
    assert answer(folders, "numbers/both/one/z.npy", 1.05).where == "z is 1.05, expected 1"


def test_a_known_mistake_is_named(folders):
    assert answer(folders, "numbers/twice/five/y.npy", np.arange(5.0) ** 2).cause == "x was squared"
    assert answer(folders, "numbers/twice/five/y.npy", np.arange(5.0) ** 3).cause == ""


@pytest.mark.parametrize(
    ("y", "where"),
    [
        ([1.0, 1.0], "y[0] is 1, expected nan"),
        ([np.nan, np.nan], "y[1] is nan, expected 1"),
        ([np.nan, np.inf], "y[1] is inf, expected 1"),
        ([np.nan, 1.0, 1.0], "y has the shape (3,), expected (2,)"),
    ],
)
def test_unknown_and_shape(folders, y, where):
    verdict = answer(folders, "numbers/unknown/one/y.npy", np.array(y))
    assert (verdict.status, verdict.error, verdict.where) == ("failed", math.inf, where)


def test_other_number_types_and_axes_of_length_one(folders):
    assert (
        answer(folders, "numbers/twice/five/y.npy", 2 * np.arange(5, dtype=np.int32)[:, None]).status
        == "passed"
    )
    assert answer(folders, "numbers/twice/five/sum.npy", np.array([20], np.float32)).status == "passed"


def test_text(folders):
    assert answer(folders, "words/upper/two/out.txt", "A\r\nB").status == "passed"
    wrong = answer(folders, "words/upper/two/out.txt", "A\nb\n")
    assert wrong.where == "out.txt[1] is 'b', expected 'B'"
    assert answer(folders, "words/upper/two/out.txt", "A\n").where == "out.txt has 1 entries, expected 2"


def test_json(folders):
    name = "words/tags/one/tags.json"
    assert answer(folders, name, '{"b": null, "a": [1.005, 0.5]}').status == "passed"
    assert (
        answer(folders, name, '{"b": null, "a": [1.05, 0.5]}').where
        == "tags.json['a'][0] is 1.05, expected 1"
    )
    assert answer(folders, name, '{"b": 0, "a": [1, 0.5]}').where == "tags.json['b'] is 0, expected None"
    assert (
        answer(folders, name, '{"a": [1, 0.5]}').where == "tags.json has the keys ['a'], expected ['a', 'b']"
    )
    assert answer(folders, name, "{").where == "tags.json: is not JSON"
    assert answer(folders, name, "[" * 100_000).where == "tags.json: is not JSON"
    assert answer(folders, "words/lines/two/tags.jsonl", '{"a": 1}\n{"a": 3}').where == (
        "tags.jsonl[1]['a'] is 3, expected 2"
    )


def test_what_is_not_answered_is_missing(folders):
    shutil.rmtree(folders[1] / "words")
    (folders[1] / "numbers/twice/five/sum.npy").unlink()
    verdicts = {one.case: one for one in check(*folders)[0]}
    assert verdicts["words/upper/two"].status == "missing"
    assert verdicts["numbers/twice/five"].where == "sum is missing"
    assert verdicts["numbers/unknown/one"].status == "passed"


FAR_TOO_LONG = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }\n"


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x49\x00" + FAR_TOO_LONG]
)
def test_a_damaged_answer_fails_alone(folders, content):
    (folders[1] / "numbers/twice/five/y.npy").write_bytes(content)
    verdicts = check(*folders)[0]
    assert [one.status for one in verdicts] == ["failed"] + ["passed"] * 5
    assert verdicts[0].where == "y: cannot be read as an array (.npy)"


@pytest.mark.parametrize("name", ["numbers/twice/five/out/y.npy", "words/tags/one/out/tags.json"])
def test_damaged_cases_are_not_blamed_on_the_answers(folders, name):
    (folders[0] / name).write_bytes(b"junk")
    with pytest.raises(FileError, match=name):
        check(*folders)
    (folders[0] / name).unlink()
    with pytest.raises(FileError, match=f"{name}: No such file"):
        check(*folders)


def test_objects_are_not_unpickled(folders):
    np.save(folders[1] / "numbers/twice/five/y.npy", np.array([object()]), allow_pickle=True)
    assert "cannot be read as an array" in check(*folders)[0][0].where
    assert (
        answer(folders, "numbers/twice/five/y.npy", np.array(["a"])).where == "y: is not an array of numbers"
    )


def test_strangers(folders):
    (folders[1] / "numbers/y.npy").write_bytes(b"")
    assert check(*folders)[1] == ["numbers/y.npy"]


def test_no_answers(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileError, match="empty: answers none of the cases: a file would be words/lines/two/tags"
    ):
        check(folders[0], tmp_path / "empty")
    with pytest.raises(FileError, match="nowhere: is not a folder"):
        check(folders[0], tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{", "is not JSON"),
        ("\udcff", "is not JSON"),
        ("[]", "is not an index of cases"),
        ('{"schema": "acdref.conformance/2"}', "has the schema 'acdref.conformance/2'"),
        ('{"schema": "acdref.conformance/1", "cases": []}', "has no cases"),
        ('{"schema": "acdref.conformance/1"}', "has no cases"),
        ('{"schema": "acdref.conformance/1", "cases": [{"name": "a/b/c"}]}', "has cases that lack something"),
    ],
)
def test_what_is_no_export_is_refused(folders, text, cause):
    (folders[0] / "index.json").write_text(text, errors="surrogateescape")
    with pytest.raises(FileError, match=cause):
        check(*folders)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": None},
        {"section": 3},
        {"formula": []},
        {"outputs": ["y.npy"]},
        {"outputs": {"y": 3}},
        {"outputs": {"y": "a\0b.npy"}},
        {"rtol": None},
        {"atol": "0.1"},
        {"atol": {"x": 0.1}},
        {"atol": {"y": None, "sum": 0.1}},
        {"mistakes": None},
        {"mistakes": [{"cause": "x"}]},
        {"mistakes": [{"cause": None, "outputs": {}}]},
        {"mistakes": [{"outputs": {}}]},
    ],
    ids=str,
)
def test_a_case_of_another_kind_is_refused(folders, changed):
    path = folders[0] / "index.json"
    index = json.loads(path.read_text())
    index["cases"][0] |= changed
    path.write_text(json.dumps(index))
    with pytest.raises(FileError, match="has cases that lack something"):
        check(*folders)


def test_rows_by_section(folders):
    answer(folders, "words/upper/two/out.txt", "A\n")
    rows = by_section(check(*folders)[0])
    assert [(row["section"], row["cases"], row["answered"], row["passed"]) for row in rows] == [
        ("numbers", 3, 3, 3),
        ("words", 3, 3, 2),
    ]
    assert rows[1]["where"] == "upper/two out.txt has 1 entries, expected 2"
    assert json.dumps(rows)
