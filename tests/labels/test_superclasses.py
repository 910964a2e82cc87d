"""Reading the table as people write it, and the union of labels (the published one: test_audioset.py)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_support import LABELS, matrices, same

from acdref.errors import FileError
from acdref.labels import SuperClasses, or_join

nan = np.nan
FINE = ("a", "b", "c", "d")


@given(matrices(LABELS, columns=st.just(4)), st.lists(st.sets(st.sampled_from(FINE)), max_size=4))
def test_super_class_is_the_kleene_or_of_its_members(y, sets):
    classes = SuperClasses({f"super {i}": members for i, members in enumerate(sets)})
    mapped = classes.map(y, FINE)
    assert mapped.shape == (len(y), len(sets))
    for column, members in zip(mapped.T, sets, strict=True):
        picked = [y[:, [FINE.index(name)]] for name in members]
        assert same(column, or_join([*picked, np.zeros((len(y), 1))])[:, 0])


def test_members_without_column():
    classes = SuperClasses({"x": ["a", "z"]})
    with pytest.raises(ValueError, match="'z', a member of 'x'"):
        classes.map([[1.0, 0.0]], ["a", "b"])
    assert same(classes.map([[1.0, 0.0]], ["a", "b"], unknown="ignore"), [[1.0]])


@pytest.mark.parametrize("labels", [["a"], ["a", "a"], ["a", "b", "c"], ["a", "a", "b"]])
def test_column_names_must_fit(labels):
    with pytest.raises(ValueError, match="columns"):
        SuperClasses({"x": ["a"]}).map([[1.0, 0.0]], labels)


def test_csv_as_people_write_it(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_bytes(
        b"\xef\xbb\xbfunused,dog , wind,\r\n"
        b'Zing,"Bark, loud",Wind,\r\n,Yip\r\n, Howl ,Breeze,,\r\nPing,,,\r\n\r\n'
    )
    classes = SuperClasses.from_csv(path)
    assert classes.names == ("dog", "wind")
    assert classes.members == {"dog": ("Bark, loud", "Yip", "Howl"), "wind": ("Wind", "Breeze")}
    assert SuperClasses.from_csv(path, exclude=()).members["unused"] == ("Zing", "Ping")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b",,\n\n", "is empty"),
        (b"dog,dog\nBark,Yip", "line 1: names a super-class twice"),
        (b"dog\nBark,Yip", "line 2: 'Yip' stands under no super-class"),
        (b"dog,,cat\nBark,Yip,Meow", "line 2: 'Yip'"),
        (b"dog\n\xff\xfe", "line 2: is not UTF-8"),
        (b'dog\n"Bark', "line 2: unexpected end of data"),
    ],
)
def test_bad_csv(tmp_path, content, cause):
    path = tmp_path / "classes.csv"
    path.write_bytes(content)
    with pytest.raises(FileError, match=cause) as error:
        SuperClasses.from_csv(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_missing_csv(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        SuperClasses.from_csv(tmp_path / "none.csv")
