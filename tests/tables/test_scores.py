"""Scores beside labels: all formats, rows in order, every kind of damage."""

import os

import numpy as np
import pytest
from relabel_support import write, write_scores

from acdref.errors import FileError
from acdref.predict.formats import as_csv, as_jsonl
from acdref.predict.tagging import Failure, Window
from acdref.tables import scores as score_files
from acdref.tables.label_files import Clip
from acdref.tables.scores import ScoreFile

IDS, CLASSES = ["a", "b", "c"], ["x", "y"]
SCORES = np.array([[0.1, 0.2], [np.nan, 1.0], [0.0, 0.5]])


def clips(*ids):
    return [Clip(line, id, []) for line, id in enumerate(ids, start=2)]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", ["ids", "paths"])
def test_npz(tmp_path, compress, name):
    save = np.savez_compressed if compress else np.savez
    save(tmp_path / "s.npz", **{name: np.array(IDS)}, classes=np.array(CLASSES), scores=SCORES)
    file = ScoreFile(tmp_path / "s.npz")
    assert file.classes == ("x", "y")
    take = file.beside()
    np.testing.assert_array_equal(take(clips("a", "b")), SCORES[:2])
    np.testing.assert_array_equal(take(clips("c")), SCORES[2:])


def test_npz_of_many_rows_in_float32(tmp_path):
    scores = np.random.default_rng(0).random((1000, 2), dtype=np.float32)
    ids = [str(i) for i in range(1000)]
    file = ScoreFile(write_scores(tmp_path / "s.npz", ids, CLASSES, scores))
    np.testing.assert_array_equal(file.beside()(clips(*ids)), scores.astype(float))


def test_csv_of_predict(tmp_path):
    text = (
        "schema,path,start,end,x,y,note,error\n"
        "acdref.predict/1,a,0.0,10.0,0.5,0.25,,\n"
        "acdref.predict/1,a,10.0,15.0,0.2,1.0,ends early,\n"
        "acdref.predict/1,b,,,,,,no such file\n"
        "acdref.predict/1,c,0.0,10.0,0.125,,,\n"
    )
    file = ScoreFile(write(tmp_path / "s.csv", text))
    assert file.classes == ("x", "y")
    expected = [[(0.5 * 10 + 0.2 * 5) / 15, 0.5], [np.nan, np.nan], [0.125, np.nan]]
    np.testing.assert_allclose(file.beside()(clips("a", "b", "c")), expected, rtol=1e-15)


JSONL = """{"schema": "acdref.predict/1", "path": "a", "start": 0.0, "end": 10.0, "scores": {"x": 0.5}}
{"schema": "acdref.predict/1", "path": "a", "start": 10.0, "end": 15.0, "scores": {"y": 1, "x": 0.2}}
{"schema": "acdref.predict/1", "path": "b", "error": "no such file"}

{"schema": "acdref.predict/1", "path": "c", "start": 0.0, "end": 10.0, "scores": {"x": 0.125, "y": 0.5}}
"""


def test_jsonl_of_predict(tmp_path):
    file = ScoreFile(write(tmp_path / "s", JSONL))
    assert file.classes == ("x", "y")
    expected = [[(0.5 * 10 + 0.2 * 5) / 15, np.nan], [np.nan, np.nan], [0.125, 0.5]]
    np.testing.assert_allclose(file.beside()(clips("a", "b", "c")), expected, rtol=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "path\tx\na\t0.25\n",
        "Path,id,x\na,7,0.25\n",
        "\ufeff\n" + '{"path": "a", "scores": {"x": 0.25}}\n',
        ' {"path": "a", "scores": {"x": 0.25}}\n',
    ],
)
def test_text_as_others_write_it(tmp_path, text):
    file = ScoreFile(write(tmp_path / "s", text))
    assert file.classes == ("x",)
    np.testing.assert_array_equal(file.beside()(clips("a")), [[0.25]])


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_predict_writes_is_read(tmp_path, form):
    results = [
        Window("a,\u00e9", 0.0, 10.0, np.float32([0.1, 0.2]), None),
        Window("a,\u00e9", 10.0, 13.0, np.float32([0.7, 1.0]), "ends early"),
        Failure("b", "an empty file"),
        Window("c", 0.0, 0.5, np.float32([0.0, 1e-8]), None),
    ]
    path = write(tmp_path / "s", "".join({"csv": as_csv, "jsonl": as_jsonl}[form](results, CLASSES)))
    scores = ScoreFile(path).beside()(clips("a,\u00e9", "b", "c"))
    expected = [[(10 * 0.1 + 3 * 0.7) / 13, (10 * 0.2 + 3) / 13], [np.nan, np.nan], [0.0, 1e-8]]
    np.testing.assert_allclose(scores, expected, rtol=1e-7)


@pytest.mark.parametrize("name", ["s.npz", "s.csv"])
def test_written_scores_are_read_bit_equal(tmp_path, name):
    ids = ["a, \u00e9.wav", 'b"\n', "c"]
    scores = np.array([[0.1, np.nan], [np.nan, np.nan], [1.0, np.nextafter(0, 1)]])
    score_files.write_scores(tmp_path / name, ids, CLASSES, iter(scores))
    file = ScoreFile(tmp_path / name)
    assert file.classes == ("x", "y")
    np.testing.assert_array_equal(file.beside()(clips(*ids)), scores)
    assert os.listdir(tmp_path) == [name]


def test_npz_is_one_for_numpy_and_the_same_each_time(tmp_path):
    for name in ("s.npz", "t.npz"):
        score_files.write_scores(tmp_path / name, IDS, CLASSES, SCORES)
    assert (tmp_path / "s.npz").read_bytes() == (tmp_path / "t.npz").read_bytes()
    with np.load(tmp_path / "s.npz", allow_pickle=False) as archive:
        assert archive["ids"].tolist() == IDS and archive["classes"].tolist() == CLASSES
        np.testing.assert_array_equal(archive["scores"], SCORES)


@pytest.mark.parametrize(
    ("name", "classes", "words"),
    [
        ("s.txt", CLASSES, "s.txt: .*ends in .npz or .csv"),
        ("s.csv", ["x", "end"], "s.csv: csv has a column 'end' that is no class"),
        ("s.csv", ["path"], "s.csv: csv has a column 'path'"),
        ("none/s.csv", CLASSES, "none/s.csv: No such file"),
    ],
)
def test_scores_that_cannot_be_written(tmp_path, name, classes, words):
    with pytest.raises(FileError, match=words):
        score_files.write_scores(tmp_path / name, ["a"], classes, [[0.5] * len(classes)])
    assert not os.listdir(tmp_path)


def test_plain_csv(tmp_path):
    file = ScoreFile(write(tmp_path / "s.csv", "fname,x\r\n1,0.5\r\n2,0.75\r\n"))
    np.testing.assert_array_equal(file.beside()(clips("1", "2")), [[0.5], [0.75]])


def test_further_rows_are_passed_over(tmp_path):
    take = ScoreFile(write_scores(tmp_path / "s.npz", IDS, CLASSES, SCORES)).beside()
    np.testing.assert_array_equal(take(clips("c")), SCORES[2:])


@pytest.mark.parametrize("ids", [("b", "a"), ("a", "d")])
def test_clip_without_row(tmp_path, ids):
    take = ScoreFile(write_scores(tmp_path / "s.npz", IDS, CLASSES, SCORES)).beside()
    with pytest.raises(
        FileError, match=f"no row for '{ids[1]}' .line 3 of the labels.*order of the clips.*first is 'a'"
    ):
        take(clips(*ids))


@pytest.mark.parametrize("bad", [-0.1, 1.5, np.inf])
def test_illegal_score(tmp_path, bad):
    file = ScoreFile(write_scores(tmp_path / "s.npz", IDS, CLASSES, np.where(SCORES == 0.5, bad, SCORES)))
    with pytest.raises(FileError, match=r"row 3: the score .* of 'y' is outside"):
        file.beside()(clips(*IDS))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"ids": IDS, "classes": CLASSES}, "no array scores"),
        ({"classes": CLASSES, "scores": SCORES}, "no array ids or paths"),
        ({"ids": IDS, "paths": IDS, "classes": CLASSES, "scores": SCORES}, "both arrays ids or paths"),
        ({"ids": [1, 2, 3], "classes": CLASSES, "scores": SCORES}, "must be text"),
        ({"ids": IDS, "classes": CLASSES, "scores": SCORES > 0}, "must be text"),
        ({"ids": IDS[:2], "classes": CLASSES, "scores": SCORES}, r"scores \(3, 2\) for \(2,\) ids"),
        ({"ids": IDS, "classes": ["x"], "scores": SCORES}, "and 1 classes"),
        ({"ids": IDS, "classes": ["x", "x"], "scores": SCORES}, "the class 'x' 2 times"),
        ({"ids": IDS, "classes": CLASSES, "scores": np.asfortranarray(SCORES)}, "Fortran"),
        ({"ids": np.array(IDS, object), "classes": CLASSES, "scores": SCORES}, "Python objects"),
    ],
)
def test_bad_arrays(tmp_path, arrays, words):
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(FileError, match=words):
        ScoreFile(tmp_path / "s.npz")


def test_damaged_npz(tmp_path):
    path = write_scores(tmp_path / "s.npz", IDS, CLASSES, SCORES)
    data = path.read_bytes()
    at = data.index(SCORES[0].tobytes())
    for damaged in (data[:100], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(FileError, match="damaged, or not a file of scores"):
            ScoreFile(path).beside()(clips(*IDS))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("x,y\n", "no column path"),
        ("path\n", "names no class"),
        ("path,x,x\n", "the class 'x' 2 times"),
        ("path,ho\u0308her,h\u00f6her\n", "the class 'h\u00f6her' 2 times"),
        ('[{"path": "a"}]\n', "is one JSON array: an object a line is wanted"),
        ('\n{"path": "a",\n', "line 2: Expecting .* at character 15: a whole object a line is wanted"),
        ("path,x\na,0.5\nb\n", "line 3: 1 fields instead of 2"),
        ("path,x\na,0.5\nb,high\n", "line 3, column 'x': .*'high'"),
        ("path,x\na,0.5\nb,1.5\n", "line 3: the score 1.5 of 'x'"),
        ("{", "line 1: Expecting"),
        ('{"path": "a", "scores": {"x": 1}}\n[]\n', "line 2: no object with a path"),
        ('{"path": 1, "scores": {}}\n', "line 1: no object with a path"),
        ('{"path": "a", "error": "lost"}\n', "names no class"),
        ('{"path": "a", "scores": [1]}\n', "line 1: the scores are no object"),
        ('{"path": "a", "scores": {"x": true}}\n', "line 1: .* is no number"),
        ('{"path": "a", "scores": {"x": 1' + "0" * 400 + "}}", "line 1: the score inf of 'x' is outside"),
        ('{"path": ' + "[" * 100_000, "line 1: brackets are nested too deeply"),
        ('{"path": "a", "scores": {"x": 2}}\n', "line 1: the score 2 of 'x'"),
        (b'{"path": "\xff"}\n', "line 1: is not UTF-8"),
    ],
)
def test_bad_text(tmp_path, text, words):
    with pytest.raises(FileError, match=words):
        ScoreFile(write(tmp_path / "s.csv", text)).beside()(clips("a", "b"))


def test_missing(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        ScoreFile(tmp_path / "none")


def test_cosines_are_scores_once_somebody_decides(tmp_path):
    np.savez(tmp_path / "s.npz", cosines=np.zeros((3, 2)))
    file = ScoreFile(tmp_path / "s.npz", lambda path: (tuple(CLASSES), IDS, SCORES))
    assert file.decided and file.classes == tuple(CLASSES)
    assert [(where, id) for where, id, _ in file.rows()] == [("row 1", "a"), ("row 2", "b"), ("row 3", "c")]
    np.testing.assert_array_equal(file.beside()(clips(*IDS)), SCORES)
    with pytest.raises(FileError, match="holds cosines of acdref teach, not scores"):
        ScoreFile(tmp_path / "s.npz")


def test_scores_need_no_decision(tmp_path):
    write_scores(tmp_path / "s.npz", IDS, CLASSES, SCORES)
    write(tmp_path / "s.csv", "path,x\na,0.5\n")
    for name in ("s.npz", "s.csv"):
        assert not ScoreFile(tmp_path / name, lambda path: 1 / 0).decided
