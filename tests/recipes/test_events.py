"""Event lists laid out by the recordings of manifests."""

import numpy as np
import pytest

from acdref.errors import FileError
from acdref.recipes.events import Events, read_events
from acdref.tables.manifest import Manifest

HEADER = "filename\tonset\toffset\tevent_label\n"


def manifest(*paths):
    return Manifest("m.csv", "", paths, np.zeros((len(paths), 2)), ("cat", "dog"))


def test_events_by_manifest_and_recording(tmp_path):
    path = tmp_path / "events.tsv"
    path.write_text(
        HEADER + "b.wav\t0.5\t2\tdog\nb.wav\t1\t1.5\tcat\nc.wav\t\t\t\nelsewhere.wav\t0\t1\tdog\n"
    )
    (a, b), (c,) = read_events(path, manifest("a.wav", "b.wav"), manifest("c.wav"))
    assert a is None
    assert b.times.tolist() == [[0.5, 2], [1, 1.5]] and b.classes.tolist() == [1, 0]
    assert c.times.shape == (0, 2) and c.classes.shape == (0,)
    assert b.tagged(2).tolist() == [True, True] and c.tagged(2).tolist() == [False, False]


def test_events_of_no_length_tag_nothing():
    events = Events(np.array([[1.0, 1.0], [2.0, 2.5]]), np.array([0, 1]))
    assert events.tagged(2).tolist() == [False, True]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a.wav\t0\t1\tbird\n", "line 2: a.wav has the class 'bird', the manifest has not"),
        ("x.wav\t0\t1\tdog\n", r"has none of the recordings of m\.csv"),
        ("a.wav\t0\t1\tdog\nb.wav\t0\t1\tdog\na.wav\t2\t3\tdog\n", "a.wav"),
        ("a.wav\tsoon\t1\tdog\n", "line 2, column 'onset': 'soon' is no time"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, rows, words):
    path = tmp_path / "events.tsv"
    path.write_text(HEADER + rows)
    with pytest.raises(FileError, match=words):
        read_events(path, manifest("a.wav", "b.wav"))
