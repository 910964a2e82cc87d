"""Hypothesis strategies for label rules: labels with unknowns, teacher scores, ontologies, events.

Each draws small cases and seeks the places where rules break: unknown labels, no clips at all, scores on a
threshold and one float beside it, nodes with several parents, events on a frame's border.  A test of a rule
of your own::

    from hypothesis import given
    from acdref.testing import strategies

    @given(strategies.labels_with_scores(threshold=0.05))
    def test_my_rule_leaves_unknown_labels_alone(labels_and_scores):
        y, p = labels_and_scores
        assert np.isnan(my_rule(y, p, 0.05)[np.isnan(y)]).all()

Run it with pytest.  To see what a strategy draws: ``strategies.ontologies().example()`` in an interactive
session.
"""

from itertools import compress
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Matrices = st.SearchStrategy[NDArray[np.float64]]
Shape = tuple[int, int] | st.SearchStrategy[tuple[int, int]] | None


def shapes(
    min_clips: int = 0, max_clips: int = 6, min_classes: int = 1, max_classes: int = 5
) -> st.SearchStrategy[tuple[int, int]]:
    """Shapes (N, C) of label matrices.

    Parameters
    ----------
    min_clips, max_clips, min_classes, max_classes : int

    Returns
    -------
    SearchStrategy of tuple of int

    Examples
    --------
    >>> from hypothesis import find
    >>> find(shapes(max_clips=3), lambda shape: shape[0] > 1)
    (2, 1)
    """
    return st.tuples(st.integers(min_clips, max_clips), st.integers(min_classes, max_classes))


def label_matrices(shape: Shape = None, unknown: bool = True) -> Matrices:
    """Label matrices.

    Parameters
    ----------
    shape : tuple of int or SearchStrategy, optional
        (N, C); :func:`shapes` by default.
    unknown : bool, default True
        Whether NaN occurs beside 0 and 1.

    Returns
    -------
    SearchStrategy of ndarray, shape (N, C), float64

    Examples
    --------
    >>> from hypothesis import find
    >>> find(label_matrices(shape=(1, 2)), lambda y: np.isnan(y).all())
    array([[nan, nan]])
    """
    return _matrices(shape, _labels(unknown))


def teacher_scores(
    shape: Shape = None, threshold: float = 0.05, no_opinion: bool = True, dyadic: bool = False
) -> Matrices:
    """Teacher scores, often on a boundary or one float beside it.

    Parameters
    ----------
    shape : tuple of int or SearchStrategy, optional
        (N, C); :func:`shapes` by default.
    threshold : float, default 0.05
        The rule's T; the boundaries are those of :func:`boundary_scores`.
    no_opinion : bool, default True
        Whether NaN occurs.
    dyadic : bool, default False
        Only multiples of 1/16 (and NaN), for laws with ``1 - p`` or sums that must be exact.

    Returns
    -------
    SearchStrategy of ndarray, shape (N, C), float64

    Examples
    --------
    >>> from hypothesis import find
    >>> find(teacher_scores(shape=(1, 1), threshold=0.2), lambda p: p[0, 0] == 1 - 0.2)
    array([[0.8]])
    """
    return _matrices(shape, _scores(threshold, no_opinion, dyadic))


def labels_with_scores(
    shape: Shape = None,
    threshold: float = 0.05,
    unknown: bool = True,
    no_opinion: bool = True,
    dyadic: bool = False,
) -> st.SearchStrategy[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Labels and the scores of a teacher for the same clips.

    Parameters
    ----------
    shape, threshold, unknown, no_opinion, dyadic
        As in :func:`label_matrices` and :func:`teacher_scores`.

    Returns
    -------
    SearchStrategy of (ndarray, ndarray), shape (N, C) both, float64

    Examples
    --------
    A rule that compares in float32 is found out:

    >>> from hypothesis import find
    >>> def rule(y, p):
    ...     return np.where(p.astype(np.float32) > np.float32(0.95), 1, y)
    >>> y, p = find(labels_with_scores(), lambda yp: (rule(*yp) != yp[0])[yp[1] <= 0.95].any())
    >>> bool((p == 0.95).any())
    False
    """
    elements = _labels(unknown), _scores(threshold, no_opinion, dyadic)
    return _shape(shape).flatmap(
        lambda s: st.tuples(*(hnp.arrays(np.float64, s, elements=e) for e in elements))
    )


def boundary_scores(threshold: float) -> list[float]:
    """The scores on which a rule with threshold T changes its mind, and their neighbours.

    Parameters
    ----------
    threshold : float in [0, 1]

    Returns
    -------
    list of float
        0, T, 0.5, 1 - T, 1 and the floats next to them on either side, as far as they lie in [0, 1];
        ascending.

    Examples
    --------
    >>> scores = boundary_scores(0.25)
    >>> len(scores), 0.75 in scores, float(np.nextafter(0.75, 1)) in scores
    (13, True, True)
    """
    exact = {0.0, float(threshold), 0.5, 1.0 - threshold, 1.0}
    beside = {float(np.nextafter(score, to)) for score in exact for to in (0.0, 1.0)}
    return sorted(exact | beside)


@st.composite
def ontologies(draw: st.DrawFn, max_nodes: int = 9) -> list[dict[str, Any]]:
    """Nodes of random ontologies, in the form of AudioSet's ``ontology.json``.

    Parameters
    ----------
    max_nodes : int, default 9

    Returns
    -------
    SearchStrategy of list of dict
        Nodes with ``id``, ``name``, ``child_ids`` (direct children) and ``restrictions`` (among "abstract"
        and "blacklist"): a directed acyclic graph, nodes in any order, with several roots, several parents
        and redundant edges.  ``acdref.labels.Ontology(nodes)`` reads it.

    Examples
    --------
    Labels over the nodes of a random ontology, for laws of a rule that expands them:

    >>> from hypothesis import given, strategies as st
    >>> from acdref.labels import Ontology
    >>> @given(st.data())
    ... def test_expansion_is_idempotent(data):
    ...     ontology = Ontology(data.draw(ontologies()))
    ...     y = data.draw(label_matrices(shape=(2, len(ontology.ids)), unknown=False))
    ...     expanded = ontology.parent_expand(y)
    ...     assert np.array_equal(ontology.parent_expand(expanded), expanded)
    >>> test_expansion_is_idempotent()
    """
    n = draw(st.integers(1, max_nodes))
    ids = [f"/m/{i:02d}" for i in range(n)]
    # In this hidden order edges lead forwards only, hence no cycle; the list itself may be in any order.
    order = draw(st.permutations(range(n)))
    restrictions = st.lists(st.sampled_from(["abstract", "blacklist"]), unique=True, max_size=2)
    children = {}
    for place, node in enumerate(order):
        later = draw(st.lists(st.booleans(), min_size=n - place - 1, max_size=n - place - 1))
        children[node] = [ids[child] for child in compress(order[place + 1 :], later)]
    return [
        {"id": ids[i], "name": f"class {i}", "child_ids": children[i], "restrictions": draw(restrictions)}
        for i in range(n)
    ]


def event_lists(
    n_classes: int = 1, duration: float = 10.0, frame: float = 0.96, max_events: int = 8
) -> st.SearchStrategy[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Events of one clip, in whole milliseconds, many on the borders and middles of frames.

    Parameters
    ----------
    n_classes : int, default 1
    duration : float, default 10.0
        Seconds; no event ends later.
    frame : float, default 0.96
        Seconds, whole milliseconds; onsets and offsets prefer its multiples, its halves and what lies 1 ms
        beside.
    max_events : int, default 8

    Returns
    -------
    SearchStrategy of (ndarray, ndarray)
        Events (E, 2), onset and offset in seconds, and their classes (E,).  In any order; overlapping,
        repeated and empty events occur.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(event_lists(n_classes=2))
    ... def test_no_event_ends_before_it_starts(drawn):
    ...     events, classes = drawn
    ...     assert events.shape == (len(classes), 2) and (events[:, 0] <= events[:, 1]).all()
    >>> test_no_event_ends_before_it_starts()
    """
    end, half = round(duration * 1000), frame * 500
    borders = [round(k * half) + beside for k in range(int(end / half) + 1) for beside in (-1, 0, 1)]
    times = st.sampled_from([t for t in borders if 0 <= t <= end]) | st.integers(0, end)
    event = st.tuples(times, times, st.integers(0, n_classes - 1))
    return st.lists(event, max_size=max_events).map(_event_arrays)


def _event_arrays(drawn):
    """(millisecond, millisecond, class) of each event as events in seconds and classes."""
    events = np.array([sorted(event[:2]) for event in drawn], dtype=np.float64).reshape(-1, 2) / 1000
    return events, np.array([event[2] for event in drawn], dtype=np.int64)


def _shape(shape):
    if shape is None:
        return shapes()
    return shape if isinstance(shape, st.SearchStrategy) else st.just(shape)


def _matrices(shape, elements):
    return _shape(shape).flatmap(lambda s: hnp.arrays(np.float64, s, elements=elements))


def _labels(unknown):
    return st.sampled_from([0.0, 1.0, np.nan] if unknown else [0.0, 1.0])


def _scores(threshold, no_opinion, dyadic):
    scores = st.integers(0, 16).map(lambda k: k / 16)
    if not dyadic:
        scores = st.sampled_from(boundary_scores(threshold)) | st.floats(0, 1)
    return scores | st.just(np.nan) if no_opinion else scores
