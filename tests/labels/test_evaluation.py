"""Evaluation sets: no oracle exists, so only the stated invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_support import LABELS, matrices

from acdref.labels import evaluation_set


@st.composite
def corpora(draw):
    """Labels, durations, quota, shortest, seed."""
    y = draw(matrices(LABELS, rows=st.integers(0, 30)))
    durations = draw(st.lists(st.sampled_from([0.0, 4.9, 5.0, 8.0, 30.0]), min_size=len(y), max_size=len(y)))
    return (
        y,
        np.array(durations),
        draw(st.integers(0, 12)),
        draw(st.sampled_from([5.0, 8.0])),
        draw(st.integers(0, 99)),
    )


def drawn(corpus):
    y, durations, quota, shortest, seed = corpus
    return evaluation_set(y, durations, np.random.default_rng(seed), quota, shortest)


@given(corpora())
def test_no_clip_twice_too_short_or_without_positives(corpus):
    y, durations, _, shortest, _ = corpus
    chosen = drawn(corpus)
    assert (np.diff(chosen) > 0).all()
    assert (durations[chosen] >= shortest).all()
    assert (y[chosen] == 1).any(axis=1).all()


@given(corpora())
def test_every_class_has_its_quota_or_all_there_are(corpus):
    y, durations, quota, shortest, _ = corpus
    available = (y[durations >= shortest] == 1).sum(axis=0)
    assert ((y[drawn(corpus)] == 1).sum(axis=0) >= np.minimum(quota, available)).all()


@given(corpora())
def test_no_clip_more_than_needed_for_one_class(corpus):
    """With one class there is nothing that could come along."""
    y, durations, quota, shortest, seed = corpus
    y = y[:, :1]
    available = int((y[durations >= shortest] == 1).sum())
    assert len(drawn((y, durations, quota, shortest, seed))) == min(quota, available)


@given(corpora())
def test_the_seed_decides(corpus):
    np.testing.assert_array_equal(drawn(corpus), drawn(corpus))


def test_positives_of_rare_classes_count_for_common_ones():
    y = np.zeros((100, 2))
    y[:, 0] = 1
    y[:10, 1] = 1
    chosen = evaluation_set(y, np.full(100, 9.0), np.random.default_rng(0), quota=10)
    np.testing.assert_array_equal(chosen, np.arange(10))


def test_all_clips_can_be_drawn():
    y, durations = np.ones((5, 1)), np.full(5, 8.0)
    seen = {
        int(i) for seed in range(50) for i in evaluation_set(y, durations, np.random.default_rng(seed), 1)
    }
    assert seen == set(range(5))


@pytest.mark.parametrize(
    ("y", "durations", "quota", "words"),
    [
        ([[1]], [1, 2], 1, "durations"),
        ([[1]], [np.nan], 1, "durations"),
        ([[1]], [9], -1, "quota"),
        ([[2]], [9], 1, "a label is 0, 1 or NaN"),
    ],
)
def test_refuses(y, durations, quota, words):
    with pytest.raises(ValueError, match=words):
        evaluation_set(y, durations, np.random.default_rng(0), quota)
