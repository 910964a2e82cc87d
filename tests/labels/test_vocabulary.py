"""Labels by name: columns, unknown labels, lifting and projecting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_support import LABELS, matrices, same

from acdref.labels import Vocabulary

nan = np.nan
ABCD = Vocabulary("abcd", ["a", "Twin", "Twin", "d"])


def test_attributes():
    assert ABCD.ids == ("a", "b", "c", "d")
    assert ABCD.names == ("a", "Twin", "Twin", "d")
    assert len(ABCD) == 4
    assert "d" in ABCD
    assert "x" not in ABCD
    assert Vocabulary(["a"]).names == ("a",)


def test_bad_labels():
    with pytest.raises(ValueError, match="duplicate id: 'b'"):
        Vocabulary(["a", "b", "c", "b"])
    with pytest.raises(ValueError, match="1 names for 2 ids"):
        Vocabulary(["a", "b"], ["A"])


def test_encode():
    y = ABCD.encode([["d", "a", "d"], [], ["b"]]).to_dense()
    np.testing.assert_array_equal(y, [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]])


def test_unknown_labels():
    with pytest.raises(ValueError, match="unknown label 'x'"):
        ABCD.encode([["a"], ["x"]])
    ignored = ABCD.encode([["a", "x"], ["x"]], unknown="ignore").to_dense()
    np.testing.assert_array_equal(ignored, [[1, 0, 0, 0], [0, 0, 0, 0]])
    with pytest.raises(ValueError, match="choose one of 'raise', 'ignore'"):
        ABCD.encode([], unknown="drop")


def test_project_and_lift():
    assert same(ABCD.project([[0.0, 1.0, nan, 1.0]], "dbc"), [[1.0, 1.0, nan]])
    assert same(ABCD.lift([[1.0, nan]], "ca"), [[nan, 0.0, 1.0, 0.0]])
    with pytest.raises(ValueError, match="unknown label 'x'"):
        ABCD.project(np.zeros((1, 4)), "ax")
    with pytest.raises(ValueError, match="Y has 3 columns, but there are 4 labels"):
        ABCD.project(np.zeros((1, 3)), "a")
    with pytest.raises(ValueError, match="1 columns, but 2 labels"):
        ABCD.lift([[1.0]], "ab")
    with pytest.raises(ValueError, match="given twice"):
        ABCD.lift([[1.0, 0.0]], "aa")


@given(matrices(LABELS, columns=st.integers(0, 4)), st.permutations("abcd"))
def test_project_undoes_lift(y, ids):
    ids = ids[: y.shape[1]]
    before = y.copy()
    lifted = ABCD.lift(y, ids)
    assert same(ABCD.project(lifted, ids), y)
    assert np.count_nonzero(lifted) == np.count_nonzero(y)
    lifted[:] = 7
    assert same(y, before)


def test_ids_of_names():
    assert ABCD.id_of("a") == "a"
    with pytest.raises(ValueError, match="2 labels are named 'Twin'"):
        ABCD.id_of("Twin")
    with pytest.raises(ValueError, match="0 labels"):
        ABCD.id_of("x")
