"""Findings about made-up recordings, each wrong in its own way."""

import json

import numpy as np
import pytest
from predict_support import noise, write, write_truncated

from acdref.check import check
from acdref.tables.manifest import Manifest


@pytest.fixture
def manifest(tmp_path):
    write(tmp_path / "a.wav", noise(1.0, seed=1))
    (tmp_path / "twin.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    (tmp_path / "again.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    write(tmp_path / "b.wav", noise(0.5, seed=2))
    (tmp_path / "b2.wav").write_bytes((tmp_path / "b.wav").read_bytes())
    (tmp_path / "text.wav").write_text("not audio")
    write_truncated(tmp_path / "short.wav")
    paths = ("a.wav", "twin.wav", "again.wav", "b.wav", "b2.wav", "text.wav", "short.wav", "none.wav")
    labels = np.zeros((8, 3))
    labels[[0, 1], 0] = labels[2, 1] = labels[[3, 4], 1] = 1
    labels[5, 0] = np.nan
    return Manifest("m.csv", str(tmp_path), paths, labels, ("dog", "cat", "cow"), fold=tuple("11121111"))


def test_what_is_wrong_is_found(manifest):
    told = []
    found = check(manifest, lambda *count: told.append(count))
    assert [error.path for error in found.unreadable] == [manifest.file(5), manifest.file(7)]
    assert found.duplicates == ((0, 1, 2), (3, 4))
    assert found.differing((0, 1, 2)) == ["labels"]
    assert found.differing((3, 4)) == ["fold"]
    assert found.differing((0, 1)) == []
    assert len(found.notes) == 1 and found.notes[0].startswith("short.wav: ")
    assert found.without_positives == ["cow"]
    assert found.unlabelled == 2  # short.wav and none.wav: nobody knows of text.wav
    assert found.seconds == pytest.approx(3 * 1.0 + 2 * 0.5 + 11.5)
    assert told[-1] == (8, 8)


def test_dictionary_is_plain_json(manifest):
    found = json.loads(json.dumps(check(manifest).as_dict()))
    assert found["schema"] == "acdref.check/1"
    assert found["duplicates"][1] == {"paths": ["b.wav", "b2.wav"], "differ_in": ["fold"]}
    assert found["positives"] == {"dog": 2, "cat": 3, "cow": 0}
    assert found["unreadable"][1]["error"] == "no such file"


def test_nothing_wrong(manifest):
    found = check(manifest.select([0, 3]))
    assert (found.unreadable, found.duplicates, found.notes) == ((), (), ())
