"""The page as files: whole or not at all, and safe whatever is in it."""

import html.parser

import pytest
from report_support import HOSTILE, parts

from acdref.errors import FileError
from acdref.report import page as pages


def write(out, lists=2, items=3, **meta):
    with pages.opened_page(out) as (parts, facts):
        for k in range(lists):
            parts.list([[k]], bytes([k]))
        for k in range(items):
            assert parts.item(bytes([k])) == k
        facts |= meta
    return out if pages.is_file(out) else out / "index.html"


@pytest.fixture(params=["page.html", "folder"])
def out(request, tmp_path):
    return tmp_path / request.param


def test_parts_come_back(out):
    found = parts(write(out, title="x"))
    assert found["list1"] == {"rows": [[1]], "cells": "AQ=="}
    assert found["items0"] == ["AA==", "AQ==", "Ag=="]
    meta = found["meta"]
    assert (meta["title"], meta["lists"], meta["items"]) == ("x", 2, [0, 3])


def test_items_are_shared_out_among_parts(out, monkeypatch):
    monkeypatch.setattr(pages, "PART", 8)
    found = parts(write(out, items=5))
    assert found["meta"]["items"] == [0, 2, 4, 5]
    assert [len(found[f"items{k}"]) for k in range(3)] == [2, 2, 1]


def test_what_is_in_a_part_ends_no_script(out):
    page = write(out, title=HOSTILE)
    assert parts(page)["meta"]["title"] == HOSTILE
    tags = []
    reader = html.parser.HTMLParser()
    reader.handle_starttag = lambda tag, attrs: tags.append(tag)
    reader.feed(page.read_text(encoding="utf-8"))
    assert "img" not in tags and tags.count("script") == (2 if out.name == "folder" else 5)


def test_nothing_is_left_of_a_failure(out):
    with pytest.raises(RuntimeError), pages.opened_page(out) as (parts, _):
        parts.list([], b"")
        raise RuntimeError
    assert not out.exists() and not list(out.parent.iterdir())


def test_an_older_page_stays_until_the_new_one_is_there(out):
    page = write(out, title="old")
    with pytest.raises(RuntimeError), pages.opened_page(out) as (new, _):
        new.list([], b"")
        new.item(b"x")
        new.flush()
        assert parts(page)["meta"]["title"] == "old" and len(parts(page)) == 4
        raise RuntimeError
    assert parts(page)["meta"]["title"] == "old" and len(parts(page)) == 4
    write(out, lists=1, title="new")
    assert parts(page)["meta"]["title"] == "new" and len(parts(page)) == 3


def test_of_two_reports_in_a_folder_one_is_left(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.js").write_text("x")
    for _ in range(2):
        write(tmp_path)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "2-items0.js", "2-list0.js", "2-list1.js", "mine.js"
    ]  # fmt: skip


def test_a_page_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "index.html").write_text("my home")
    with pytest.raises(FileError, match=r"index\.html: is no report"):
        write(tmp_path)
    assert (tmp_path / "index.html").read_text() == "my home"


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match="No such file or directory"):
        write(tmp_path / "nowhere" / "page.html")


@pytest.mark.parametrize(
    ("name", "expected"), [("a.html", True), ("b/A.HTM", True), ("html", False), ("a.d", False)]
)
def test_which_pages_are_files(name, expected):
    assert pages.is_file(name) == expected
