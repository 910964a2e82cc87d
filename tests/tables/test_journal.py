"""Rows that survive the process: every bit of them, and nothing of what was torn or belongs elsewhere."""

import numpy as np
import pytest

from acdref.errors import FileError
from acdref.tables.journal import Journal, stamp

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
    "torn", [b'{"name": "c", "sta', b"\xff\n", b'{"name": "c"}\n', b"\0\0\0", b"3\n", b"{}"]
)
def test_a_torn_tail_is_cut_off(path, torn):
    """Or the rows after it would be glued to it, and lost to whoever opens the journal next."""
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    journal, said = opened(path)
    with journal:
        assert said == ["continuing after 2 recordings"]
        assert path.read_bytes() == whole
        journal.add("b", [5, 6], [0.25])
    assert path.read_bytes().startswith(whole) and path.read_bytes().count(b"\n") == 4
    with Journal(str(path), {}) as journal:
        assert journal.has("a", [1, 2]) and journal.has("b", [5, 6])
        np.testing.assert_array_equal(journal.get("b", None), [0.25])


@pytest.mark.parametrize("head", [None, b"", b'{"schema', b"\xff\n"])
def test_another_key_begins_anew(path, head):
    if head is not None:
        path.write_bytes(head)
    journal, said = opened(path, {"other": 1})
    with journal:
        assert not journal.has("a", [1, 2])
        journal.add("a", [1, 2], [0.5])
    assert len(said) == (head != b"") and all("of other weights or options" in text for text in said)
    journal, said = opened(path, {"other": 1})
    with journal:
        np.testing.assert_array_equal(journal.get("a", None), [0.5])
        assert said == ["continuing after 1 recordings"]
        journal.remove()
    assert not path.exists()


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
