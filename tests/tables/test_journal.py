"""Rows that survive the process: every bit of them, and nothing of what was torn or belongs elsewhere."""

import os

import numpy as np
import pytest

from acdref.errors import FileError
from acdref.files import BusyError
from acdref.tables.journal import SYNC_SECONDS, Journal, stamp

DAMAGED = "{}: damaged; what is not whole in it is made again"
SCORES = [0.1, np.nextafter(0, 1), 1 - 2**-53, np.nan]


@pytest.fixture
def path(tmp_path):
    """A journal of two recordings."""
    path = tmp_path / "j"
    with Journal(str(path), {}) as journal:
        journal.add("a", [1, 2], SCORES)
        journal.add("\udcff.wav", [1, 2], SCORES)
    return path


def opened(path, key=None):
    said = []
    return Journal(str(path), key or {}, said.append), said


def test_every_bit_is_kept(path):
    with Journal(str(path), {}) as journal:
        for name in ("a", "\udcff.wav"):
            assert journal.has(name, [1, 2]) and not journal.has(name, [1, 3])
            np.testing.assert_array_equal(journal.get(name, None), SCORES)
        assert not journal.has("b", [1, 2]) and journal.get("b", None) is None


def test_what_is_forgotten_is_gone_and_what_is_added_again_counts(path):
    with Journal(str(path), {}) as journal:
        journal.forget("a")
        assert not journal.has("a", [1, 2])
        journal.add("a", [3, 4], [0.5])
    with Journal(str(path), {}) as journal:
        assert journal.has("a", [3, 4]) and not journal.has("a", [1, 2])
        np.testing.assert_array_equal(journal.get("a", None), [0.5])


@pytest.mark.parametrize(
    "torn",
    [b'2 30 0123456789abcdef {"name": "c", "sta', b"\xff\n", b'{"name": "c"}\n', b"\0\0\0", b"\n", b"{}"],
)
def test_what_a_cut_has_left_at_the_end_is_said_and_gone(path, torn):
    """Or the rows after it would be glued to it."""
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    journal, said = opened(path)
    with journal:
        assert said == [DAMAGED.format(path), "continuing after 2 recordings"]
        assert path.read_bytes() == whole
        journal.add("b", [5, 6], [0.25])
    assert path.read_bytes().startswith(whole) and path.read_bytes().count(b"\n") == 4
    journal, said = opened(path)
    with journal:
        assert journal.has("a", [1, 2]) and journal.has("b", [5, 6])
        np.testing.assert_array_equal(journal.get("b", None), [0.25])
    assert said == ["continuing after 3 recordings"]


def test_every_changed_byte_is_found_and_costs_one_row(tmp_path, monkeypatch):
    """Changed, missing or one too many, wherever it is: all scores that are there are those that were."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # of thousands of files
    path, names = tmp_path / "j", [f"{i}.wav" for i in range(4)]
    with Journal(str(path), {}) as journal:
        for i, name in enumerate(names):
            journal.add(name, [i, 2], np.random.default_rng(i).random(3))
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        before, byte, after = whole[:place], whole[place], whole[place + 1 :]
        changed = [bytes([byte ^ 1]), bytes([byte ^ 0x80]), b"\0", b"\n", b"", bytes([byte, byte])]
        new = changed[place // 3 % len(changed)]
        if new == bytes([byte]):
            continue
        path.write_bytes(before + new + after)
        journal, said = opened(path)
        with journal:
            assert said[0] == DAMAGED.format(path), (place, new)
            found = [i for i, name in enumerate(names) if journal.has(name, [i, 2])]
            assert len(found) >= 3
            for i in {*range(4)}.difference(found):
                journal.add(names[i], [i, 2], np.random.default_rng(i).random(3))
        journal, said = opened(path)
        with journal:
            assert said == ["continuing after 4 recordings"]
            for i, name in enumerate(names):
                np.testing.assert_array_equal(journal.get(name, None), np.random.default_rng(i).random(3))


def test_larger_damage(tmp_path):
    path = tmp_path / "j"
    with Journal(str(path), {}) as journal:
        for i in range(9):
            journal.add(str(i), None, [i / 7])
    head, *lines = path.read_bytes().splitlines(keepends=True)
    size = len(b"".join(lines[:4]))
    for text, kept in (
        (lines[:4] + lines[5:], 8),
        (lines[:4] + lines[3:], 9),
        ([*lines[:4], lines[5], lines[4], *lines[6:]], 9),
        ([*lines[:4], bytes(len(lines[4]) + 9), lines[5][9:], *lines[6:]], 7),
        ([*lines[:4], lines[4].replace(b"0.57", b"0.75"), *lines[5:]], 8),
        ([np.random.default_rng(0).bytes(size), *lines[4:]], 5),
        ([*lines[:4], b"{9", *lines[4:]], 9),
        ([lines[0], b"[" * 100_000 + b"\n", *lines[1:]], 9),
        ([lines[0], b"9" * 10_000 + b" 1 ", *lines[1:]], 9),
    ):
        path.write_bytes(head + b"".join(text))
        journal, said = opened(path)
        with journal:
            assert said == [DAMAGED.format(path), f"continuing after {kept} recordings"]
            for i in range(9):
                assert not journal.has(str(i), None) or journal.get(str(i), None) == [i / 7]


def test_rows_of_another_job_are_none_of_this(path):
    """Not even if their file is glued to this one's."""
    rows = path.read_bytes()
    with Journal(f"{path}2", {"other": 1}) as journal:
        journal.add("c", None, [0.5])
    with open(f"{path}2", "ab") as file:
        file.write(rows)
    journal, said = opened(f"{path}2", {"other": 1})
    with journal:
        assert journal.has("c", None) and not journal.has("a", [1, 2])
    assert said == [DAMAGED.format(f"{path}2"), "continuing after 1 recordings"]


OLD = b'{"schema": "acdref.journal/1", "key": "8e"}\n{"name": "a", "stamp": [1, 2], "scores": [0.5]}\n'


@pytest.mark.parametrize("text", [None, OLD, b'{"schemA', b"\xff\n", b"[" * 100_000, bytes(5000)])
def test_what_is_of_another_key_is_kept_aside(path, text):
    if text is not None:
        path.write_bytes(text)
    before = path.read_bytes()
    (path.parent / "j.1").write_text("of an earlier day")
    journal, said = opened(path, {"other": 1})
    with journal:
        assert not journal.has("a", [1, 2])
        journal.add("a", [1, 2], [0.5])
    assert len(said) == 1 and "of other weights or options" in said[0] and "kept as j.2" in said[0]
    assert (path.parent / "j.1").read_text() == "of an earlier day"
    assert (path.parent / "j.2").read_bytes() == before
    journal, said = opened(path, {"other": 1})
    with journal:
        np.testing.assert_array_equal(journal.get("a", None), [0.5])
        assert said == ["continuing after 1 recordings"]
        journal.remove()
    assert not path.exists()


@pytest.mark.parametrize("text", [b"", b'{"schema', b'{"schema": "acdref.journal/2", "key": "'])
def test_one_that_had_hardly_begun_is_not_worth_a_word(path, text):
    path.write_bytes(text)
    journal, said = opened(path)
    with journal:
        journal.add("a", [1, 2], [0.5])
    assert said == [] and os.listdir(path.parent) == ["j"]
    with opened(path)[0] as journal:
        assert journal.has("a", [1, 2])


def test_the_second_run_is_refused_and_the_first_goes_on(path):
    with Journal(str(path), {}) as journal:
        for key in ({}, {"other": 1}):
            with pytest.raises(BusyError, match="j: another run is writing it"), Journal(str(path), key):
                pass
        journal.add("b", None, [0.5])
    with Journal(str(path), {}) as journal:
        assert journal.has("a", [1, 2]) and journal.has("b", None)


def test_rows_reach_the_disk_every_few_seconds(path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    now = [0.0]
    monkeypatch.setattr("acdref.tables.journal.time.monotonic", lambda: now[0])
    with Journal(str(path), {}) as journal:
        for i in range(22):
            now[0] += SYNC_SECONDS / 4
            journal.add(str(i), None, [0.5])
        assert len(synced) == 4
    assert len(synced) == 5


def test_a_full_disk_costs_the_row_that_did_not_fit(path):
    """Under a limit of the file's size, as where the disk is full in the middle of a row."""
    resource = pytest.importorskip("resource")
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with Journal(str(path), {}) as journal, pytest.raises(FileError, match="j: File too large"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
            journal.add("b", None, [0.5])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal, said = opened(path)
    with journal:
        assert not journal.has("b", None) and journal.has("a", [1, 2])
    assert said == [DAMAGED.format(path), "continuing after 2 recordings"]


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(FileError, match="No such file"), Journal(str(tmp_path / "none" / "j"), {}):
        pass


def test_stamp(tmp_path):
    assert stamp(tmp_path / "none") is None
    (tmp_path / "x").write_bytes(b"123")
    before = stamp(tmp_path / "x")
    assert before[0] == 3 and stamp(tmp_path / "x") == before
    (tmp_path / "x").write_bytes(b"1234")
    assert stamp(tmp_path / "x") != before
