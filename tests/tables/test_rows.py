"""The one reader of text tables: what a row is, where an error lies; and rows written for it."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.errors import FileError, ManifestError
from acdref.tables.rows import (
    COMMAS,
    COMMAS_AND_BLANKS,
    TABS,
    Rows,
    csv_line,
    is_text,
    names_in,
    names_text,
    tab_line,
    tidy,
)  # fmt: skip

NOT_CLOSED = ": a quote that opens in this row is not closed"
END = "unexpected end of data"


def table(path, content, *arguments):
    """The header and the rows of a file of this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with Rows(path, *arguments) as rows:
        return rows.header(), list(rows)


@pytest.mark.parametrize(
    ("content", "dialect", "expected"),
    [
        ("a,b\n1, 2\n", COMMAS, [(2, ["1", " 2"])]),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4", COMMAS, [(2, ["1", "2"]), (3, ["3", "4"])]),
        ("a,b\r1,2\r\r3,4\r", COMMAS, [(2, ["1", "2"]), (4, ["3", "4"])]),
        ("\n , \n\na,b\n\n,\n1,2\n\t\n", COMMAS, [(7, ["1", "2"])]),
        ('a,"b\n"\n"1\n\n2",\n3,4\n', COMMAS, [(3, ["1\n\n2", ""]), (6, ["3", "4"])]),
        ('a,b\n"x ""y"", z",\n', COMMAS, [(2, ['x "y", z', ""])]),
        ('a,b\n1, "x, y"\n', COMMAS_AND_BLANKS, [(2, ["1", "x, y"])]),
        ('a\tb\n"1\t"2"\n', TABS, [(2, ['"1', '"2"'])]),
        ("a\tb\n\n\t \n1\t\n", TABS, [(4, ["1", ""])]),
    ],
)
def test_rows(tmp_path, content, dialect, expected):
    assert table(tmp_path / "t", content, dialect) == (["a", "b"], expected)


def test_header_without_rows_and_rows_without_header(tmp_path):
    assert table(tmp_path / "t", " a , b\n") == (["a", "b"], [])
    for content in ("", "\n , \n", b"\xef\xbb\xbf"):
        with pytest.raises(FileError, match=r"t: is empty$"):
            table(tmp_path / "t", content)


def test_comments_come_first(tmp_path):
    (tmp_path / "t").write_text("# one\n\n#two\r\na,b\n# no comment,x\n")
    with Rows(tmp_path / "t") as rows:
        assert rows.comments() == ["# one", "#two"]
        assert list(rows.fields(2)) == [(4, ["a", "b"]), (5, ["# no comment", "x"])]
    (tmp_path / "t").write_text("# one")
    with Rows(tmp_path / "t") as rows:
        assert rows.comments() == ["# one"] and list(rows.fields(2)) == []


def test_rows_of_any_width(tmp_path):
    (tmp_path / "t").write_text("a,b\n1\n1,2,3\n")
    with Rows(tmp_path / "t") as rows:
        rows.header()
        assert list(rows.fields(None)) == [(2, ["1"]), (3, ["1", "2", "3"])]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("a,b\n\n1\n", "line 3: 1 fields instead of 2"),
        ('a,b\n"\n",2\n1,2,3\n', "line 4: 3 fields instead of 2"),
        ('a,b\n1,2\n"3,4\n', f"line 3: {END}{NOT_CLOSED}"),
        ('a,b\n1,2\n"3,4\n5,6\n7,8\n', f"line 3: {END} in line 5{NOT_CLOSED}"),
        ('a,b\n1,2\n"3,4\n"5",6\n', f"line 3: ',' expected after '\"' in line 4{NOT_CLOSED}"),
        (b"\x1f\x8b\x08\0", "line 1: is not UTF-8 (byte 1), but gzip: save it as UTF-8"),
        ("\0a\0,\0b\0\n", "line 1: has zero bytes: is it UTF-16? save it as UTF-8"),
        ('a,"b"c\n', "line 1: ',' expected after '\"'"),
        (b"a,b\n1,\xff\n", "line 2: is not UTF-8 (byte 6), but Latin-1, perhaps: save it as UTF-8"),
        (
            b"\xef\xbb\xbfa,b\n1,\xff\n",
            "line 2: is not UTF-8 (byte 9), but Latin-1, perhaps: save it as UTF-8",
        ),
        (
            b"a,b\n" + b"12345678,x\n" * 100_000 + b"1,\xe9",
            "line 100002: is not UTF-8 (byte 1100006), but Latin-1, perhaps: save it as UTF-8",
        ),
        ("a,b\n1,2\n".encode("utf-16"), "line 1: is not UTF-8 (byte 0), but UTF-16: save it as UTF-8"),
    ],
)
def test_errors_name_the_line(tmp_path, content, cause):
    with pytest.raises(ManifestError) as caught:
        table(tmp_path / "t", content, COMMAS, ManifestError)
    assert (caught.value.path, caught.value.cause) == (str(tmp_path / "t"), cause)


def test_files_that_cannot_be_opened(tmp_path):
    for path, cause in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ManifestError, match=cause), Rows(path, error=ManifestError):
            pass


def test_known_columns_in_other_letters(tmp_path):
    def names(text):
        (tmp_path / "t.csv").write_text(text)
        with Rows(tmp_path / "t.csv") as rows:
            return rows.header(("path", "start_time"))

    assert names("Path,Start Time,Dog\n") == ["path", "start_time", "Dog"]
    assert names("Path,path,START_TIME\n") == ["Path", "path", "start_time"]


def test_columns(tmp_path):
    (tmp_path / "t").write_text('a, b ,a,"c\nd"\n1,2,3,4\n')
    with Rows(tmp_path / "t") as rows:
        rows.header()
        assert rows.column("b") == 1 and rows.column("z", needed=False) is None
        with pytest.raises(FileError, match=r"has no column 'z' \(its columns: a, b, a, c d\)$"):
            rows.column("z")
        for needed in (True, False):
            with pytest.raises(FileError, match="has the column 'a' 2 times"):
                rows.column("a", needed)
        for _ in rows:
            causes = [rows.bad("x\ny", column).cause for column in (None, 1, "b", 9)]
    assert causes == ["line 3: x y", *["line 3, column 'b': x y"] * 2, "line 3, column 10: x y"]


FIELDS = st.text(st.sampled_from("ab ,;\t\"'\n\r\0é"), max_size=5)


@given(st.lists(st.lists(FIELDS, min_size=1, max_size=3).filter(lambda row: any(map(str.strip, row)))))
def test_csv_lines_are_read_as_they_were_written(tmp_path_factory, lists):
    path = tmp_path_factory.getbasetemp() / "lines.csv"
    text = "".join(map(csv_line, [["header"], *lists]))
    path.write_text(text, encoding="utf-8", newline="")
    with Rows(path) as rows:
        rows.header()
        assert [fields for _, fields in rows.fields(None)] == lists
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == lists


def test_the_first_row_tells_tabs_from_commas_and_may_be_looked_at(tmp_path):
    for text, dialect, header in (
        ("\n \t\na\tb, c\n1\t2\n", TABS, ["a", "b, c"]),
        (" \t\na,b\n\t,2", COMMAS, ["a", "b"]),
    ):
        (tmp_path / "t").write_text(text)
        with Rows(tmp_path / "t", None) as rows:
            assert rows.first() == rows.first() == rows.header() == rows.header() == header
            assert rows.dialect is dialect and len(list(rows)) == 1 and rows.first() == []


def test_semicolons_between_columns_are_said(tmp_path):
    (tmp_path / "t").write_text("path;classes\na;b\n")
    with Rows(tmp_path / "t") as rows:
        rows.header()
        assert rows.found() == "its columns: path;classes: semicolons between columns must be commas"


@pytest.mark.parametrize(
    ("text", "separator", "names"),
    [
        ("dog, cat", ",", ["dog", "cat"]),
        ('"Bee, wasp, etc.",Dog', ",", ["Bee, wasp, etc.", "Dog"]),
        (' "a;b" ; 6" gun;"x ""y""";', ";", ["a;b", '6" gun', 'x "y"', ""]),
        ('a"b,c', ",", ['a"b', "c"]),
        ("", ";", [""]),
        ("ho\u0308her,h\u00f6her", ",", ["h\u00f6her", "h\u00f6her"]),
    ],
)
def test_names_in_a_field(text, separator, names):
    assert names_in(text, separator) == names


@pytest.mark.parametrize("text", ['"Bee, wasp', 'a,"b"c', '"a""'])
def test_a_name_whose_quote_is_not_closed(text):
    with pytest.raises(ValueError, match="a quote that is not closed"):
        names_in(text, ",")


@given(st.lists(FIELDS.map(tidy), min_size=1))
def test_names_are_read_as_they_were_written(names):
    assert names_in(names_text(names, ";"), ";") == names


def test_lines():
    assert csv_line([1, 0.5, "", None, "a b"]) == "1,0.5,,,a b\n"
    assert csv_line(["a\rb", "c\n", '"']) == '"a\rb","c\n",""""\n'
    assert tab_line(["a", '"b"', ""]) == 'a\t"b"\t\n'


def test_what_no_file_of_text_holds():
    assert not any(is_text(name) for name in ("d\0g", "\ud800", "bad\udcff.wav"))
    assert is_text("ünïcode \U0001f415")
