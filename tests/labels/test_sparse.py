"""Oracle: scipy's CSR matrices; otherwise laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_support import LABELS, matrices, same

from acdref.labels import SparseLabels

nan = np.nan
LISTS = st.lists(st.lists(st.integers(0, 4), max_size=6), max_size=5)


@given(matrices(LABELS))
def test_round_trip(y):
    labels = SparseLabels.from_dense(y)
    assert same(labels.to_dense(), y)
    assert len(labels) == len(y)
    assert len(labels.indices) == np.count_nonzero(y != 0)


@given(matrices(LABELS))
def test_layout_is_csr(y):
    sparse = pytest.importorskip("scipy.sparse")
    labels = SparseLabels.from_dense(y)
    values = np.where(labels.unknown, nan, 1.0)
    csr = sparse.csr_array((values, labels.indices, labels.indptr), shape=y.shape)
    csr.check_format()
    assert csr.has_canonical_format
    assert same(csr.toarray(), y)


@given(LISTS)
def test_lists_of_positives(lists):
    labels = SparseLabels.from_lists(lists, n_classes=5)
    wanted = [sorted(set(columns)) for columns in lists]
    assert labels.indices.tolist() == list(itertools.chain(*wanted))
    assert [np.flatnonzero(row).tolist() for row in labels.to_dense()] == wanted


@given(matrices(LABELS), st.integers(0, 7), st.integers(0, 7) | st.none())
def test_rows(y, start, stop):
    assert same(SparseLabels.from_dense(y).to_dense(start, stop), y[start:stop])


@given(matrices(LABELS, columns=st.just(3)), matrices(LABELS, columns=st.just(3)))
def test_concatenate(a, b):
    joined = SparseLabels.concatenate([SparseLabels.from_dense(a), SparseLabels.from_dense(b)])
    assert same(joined.to_dense(), np.concatenate([a, b]))


@given(matrices(LABELS), st.integers(1, 7))
def test_relabel_does_not_depend_on_the_chunk(y, chunk):
    scores = np.arange(len(y)) % 2

    def rule(y, rows):
        return np.where(scores[rows, None] == 1, 1 - y, y)[:, ::-1]

    relabelled = SparseLabels.from_dense(y).relabel(rule, chunk)
    assert relabelled.n_classes == y.shape[1]
    assert same(relabelled.to_dense(), rule(y, slice(None)))


def test_bad_input():
    with pytest.raises(ValueError, match=r"outside 0 \.\. 2"):
        SparseLabels.from_lists([[0], [3]], n_classes=3)
    with pytest.raises(ValueError, match=r"outside 0 \.\. 2"):
        SparseLabels.from_lists([[-1]], n_classes=3)
    with pytest.raises(ValueError, match="0, 1 or NaN"):
        SparseLabels.from_dense([[0.5]])
    parts = [SparseLabels.from_lists([[0]], n) for n in (1, 2)]
    for bad in (parts, []):
        with pytest.raises(ValueError, match="same number of classes"):
            SparseLabels.concatenate(bad)
