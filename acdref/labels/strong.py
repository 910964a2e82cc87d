"""Strong labels: event lists to frames, their negatives, diffuse labels, mixing with weak ones.

Times are seconds at the border and whole milliseconds inside, so that no frame border is subject to rounding.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.labels._checks import in_range, label_matrix

__all__ = [
    "complementary_negatives", "diffuse", "draw_strong", "frame_events", "frame_labels", "without_frame",
]  # fmt: skip

_LONGEST = 1e12  # seconds: in milliseconds still a whole number of 64 bits


def frame_events(
    events: ArrayLike,
    duration: float = 10.0,
    frame: float = 0.96,
    hop: float | None = None,
    *,
    start: float = 0.0,
    classes: ArrayLike | None = None,
    n_classes: int | None = None,
    share: float = 0.5,
) -> NDArray[np.bool_]:
    """Which frames of a clip are PRESENT.

    Parameters
    ----------
    events : array_like, shape (E, 2)
        Onset and offset of each event, seconds (rounded to milliseconds).
    duration : float, default 10.0
        Where the last frame ends at the latest, seconds.  What is left behind the last whole frame is
        dropped: ten frames of 960 ms for a clip of 10 s.
    frame, hop : float
        Length of the frames and distance of their starts, seconds, whole milliseconds; `hop` is `frame` by
        default.
    start : float, default 0.0
        Where the first frame starts.  ``start=t, duration=t + frame`` judges one frame anywhere.
    classes : array_like of int, shape (E,), optional
        Class of each event, in [0, `n_classes`).  Any key will do, such as the number of a (clip, class)
        pair.
    n_classes : int, optional
        Number of columns; needed with `classes`.
    share : float in [0, 1], default 0.5
        Share of the frame, or of the event, that decides.  0 marks every frame that an event touches.

    Returns
    -------
    ndarray of bool, shape (K,), or (K, n_classes) with `classes`
        K = floor((duration - start - frame) / hop) + 1, or 0.

    Raises
    ------
    ValueError
        An event that ends before it starts or is not below 1e12 s, a class out of range, a frame
        or hop that is not a positive number of milliseconds.

    Notes
    -----
    Hershey et al.: a frame is PRESENT iff some single event e has ``overlap > 0`` and
    ``2 overlap >= min(frame, length of e)``, that is, the event fills half of the frame or the frame holds
    half of the event.  Ties count ("at least 50 %").  Events are judged one by one: neither merged, nor
    summed, and their length is not cut at the end of the last frame.  The paper has "50% of the total label
    duration"; with the class's total only 256 of 372 (clip, class) rows of Google's own framed labels for six
    classes come out, with each event's all of them.

    An event of length zero gives nothing.  An event that ends within the frames gives at least one frame if
    ``hop <= frame``; one that starts in the dropped rest may give none.  The overlap as a function of the
    frame rises and falls once, so the frames of an event are consecutive: O(events), two divisions each.

    Examples
    --------
    >>> frame_events([[0.3, 1.5], [2.7, 2.8]], duration=4.0).astype(int)
    array([1, 1, 1, 0])
    >>> frame_events([[0.3, 1.5], [2.7, 2.8]], duration=4.0, classes=[1, 0], n_classes=2).astype(int).T
    array([[0, 0, 1, 0],
           [1, 1, 0, 0]])
    >>> frame_events([[0.48, 3.0]], duration=0.96)  # half of the frame, exactly
    array([ True])
    """
    onset, offset, column, n_columns = _events(events, classes, n_classes)
    first, last, n_frames = _spans(onset, offset, duration, frame, hop, start, share)
    some = first <= last
    steps = np.zeros((n_frames + 1, n_columns), dtype=np.int64)
    np.add.at(steps, (first[some], column[some]), 1)
    np.add.at(steps, (last[some] + 1, column[some]), -1)
    present = np.cumsum(steps[:n_frames], axis=0) > 0
    return present[:, 0] if classes is None else present


def without_frame(
    events: ArrayLike,
    duration: float = 10.0,
    frame: float = 0.96,
    hop: float | None = None,
    *,
    start: float = 0.0,
) -> NDArray[np.bool_]:
    """Which events of a clip make no frame PRESENT: :func:`frame_events` passes over them.

    Parameters
    ----------
    events, duration, frame, hop, start
        As in :func:`frame_events`.

    Returns
    -------
    ndarray of bool, shape (E,)

    Raises
    ------
    ValueError
        For what :func:`frame_events` refuses.

    Examples
    --------
    >>> without_frame([[0.3, 1.5], [2.0, 2.0], [9.7, 9.9], [12.0, 13.0]])
    array([False,  True,  True,  True])
    """
    onset, offset, _, _ = _events(events, None, None)
    first, last, _ = _spans(onset, offset, duration, frame, hop, start, 0.5)
    return first > last


def _spans(onset, offset, duration, frame, hop, start, share):
    """First and last frame of each event, the first behind the last for none; how many frames there are."""
    share = in_range(share, "share", 0, 1)
    frame = _milliseconds(frame, "frame")
    hop = frame if hop is None else _milliseconds(hop, "hop")
    if frame < 1 or hop < 1:
        raise ValueError("frame and hop must be positive")
    if not abs(duration) < _LONGEST:
        raise ValueError(f"duration = {duration:g} s is not below {_LONGEST:g} s")
    start, duration = _milliseconds(start, "start"), round(duration * 1000)
    n_frames = max((duration - start - frame) // hop + 1, 0)
    length = offset - onset
    needed = np.maximum(np.ceil(share * np.minimum(length, frame)).astype(np.int64), 1)
    # overlap >= needed  <=>  needed <= offset - frame's start  and  needed <= frame's end - onset
    first = -((start + frame - onset - needed) // hop)
    last = (offset - needed - start) // hop
    first, last = np.maximum(first, 0), np.minimum(last, n_frames - 1)
    return first, np.where(length > 0, last, -1), n_frames


def complementary_negatives(present: ArrayLike) -> NDArray[np.bool_]:
    """Frames that are NOT_PRESENT because the class was annotated elsewhere in the clip.

    Parameters
    ----------
    present : array_like of bool, shape (K,) or (K, C)
        PRESENT frames of one clip, from :func:`frame_events`.

    Returns
    -------
    ndarray of bool, of the same shape

    Raises
    ------
    ValueError
        If `present` is not boolean.

    Notes
    -----
    Hershey et al.: every other frame of a class that has a PRESENT frame, frames that an event touches
    without deciding them included.  A class without PRESENT frames has no complementary negatives.

    Examples
    --------
    >>> complementary_negatives([[True, False], [False, False], [True, False]]).astype(int).T
    array([[0, 1, 0],
           [0, 0, 0]])
    """
    present = _booleans(present, "present")
    return present.any(axis=0) & ~present


def frame_labels(
    events: ArrayLike,
    classes: ArrayLike,
    n_classes: int,
    absent: ArrayLike = (),
    duration: float = 10.0,
    frame: float = 0.96,
    hop: float | None = None,
    *,
    start: float = 0.0,
    guard: bool = False,
) -> NDArray[np.float64]:
    """Labels of a clip's frames: 1 PRESENT, 0 NOT_PRESENT, NaN not evaluated.

    Parameters
    ----------
    events, classes, n_classes, duration, frame, hop, start
        As in :func:`frame_events`.
    absent : array_like of int
        Classes that annotators marked absent from the clip (explicit negatives).
    guard : bool, default False
        Leave frames that an event touches without making them PRESENT unknown, instead of negative.

    Returns
    -------
    ndarray, shape (K, n_classes), float64
        1 for PRESENT frames; 0 for :func:`complementary_negatives` and for all frames of the `absent`
        classes; NaN elsewhere.  A class with events but no PRESENT frame is NaN throughout.

    Raises
    ------
    ValueError
        For what :func:`frame_events` refuses, or an absent class out of range.

    Warns
    -----
    UserWarning
        A class has events and is marked absent: its events win (our choice; the paper is silent).

    Notes
    -----
    Hershey et al.; in the paper a frame that holds less than half is a plain negative, so ``guard=False``.

    Examples
    --------
    >>> frame_labels([[0.0, 1.1]], [0], n_classes=3, absent=[2], duration=3.0)
    array([[ 1., nan,  0.],
           [ 0., nan,  0.],
           [ 0., nan,  0.]])
    >>> frame_labels([[0.0, 1.1]], [0], n_classes=3, absent=[2], duration=3.0, guard=True)[:, 0]
    array([ 1., nan,  0.])
    """
    grid: dict[str, Any] = {"duration": duration, "frame": frame, "hop": hop, "start": start}
    columns: dict[str, Any] = {"classes": classes, "n_classes": n_classes}
    present = frame_events(events, **grid, **columns)
    onset, offset, column, _ = _events(events, classes, n_classes)
    has_event = np.isin(np.arange(n_classes), column[offset > onset])
    is_absent = np.isin(np.arange(n_classes), _classes(absent, n_classes, "absent"))
    conflict = np.flatnonzero(is_absent & has_event)
    if len(conflict):
        warnings.warn(f"classes {conflict.tolist()} are marked absent but have events", stacklevel=2)

    labels = np.full(present.shape, np.nan)
    labels[complementary_negatives(present)] = 0.0
    if guard:
        labels[frame_events(events, **grid, **columns, share=0.0)] = np.nan
    labels[:, is_absent & ~has_event] = 0.0
    labels[present] = 1.0
    return labels


def diffuse(labels: ArrayLike, tagged: ArrayLike | None = None) -> NDArray[np.float64]:
    """Spread each class of a clip over all its frames: what a weak label would have said.

    Parameters
    ----------
    labels : array_like, shape (K, C)
        Frame labels 0, 1 or NaN of one clip.
    tagged : array_like of bool, shape (C,), optional
        Classes with an event anywhere in the clip.  By default those with a positive frame, which misses
        events that fall behind the last frame.

    Returns
    -------
    ndarray, shape (K, C), float64
        1 in every frame of those classes; other classes as they were.

    Raises
    ------
    ValueError
        If a label is none of 0, 1, NaN, or `tagged` is not boolean or does not fit the classes.

    Notes
    -----
    Hershey et al., the training set "Diffuse".  Never below the strong labels (in 0 < NaN < 1), equal to them
    iff their positive classes are positive in every frame: the complementary negatives are gone.

    Examples
    --------
    >>> diffuse([[1, 0, np.nan], [0, 0, np.nan]])
    array([[ 1.,  0., nan],
           [ 1.,  0., nan]])
    """
    labels = label_matrix(labels, "labels")
    anywhere = (labels == 1).any(axis=0)
    if tagged is not None:
        tagged = _booleans(tagged, "tagged")
        if tagged.shape != anywhere.shape:
            raise ValueError(f"tagged has the shape {tagged.shape}, expected {anywhere.shape}")
        anywhere |= tagged
    return np.where(anywhere, 1.0, labels)


def draw_strong(n: int, mu: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of `n` training examples are drawn from the strong (or diffuse) set instead of the weak one.

    Parameters
    ----------
    n : int
    mu : float in [0, 1]
        Probability of the strong set.  Hershey et al. use 0.8 (+Strong) and 0.7 (+Diffuse); 0 is all weak, 1
        all strong.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    ValueError
        If `mu` lies outside [0, 1].

    Notes
    -----
    Drawn for each example, not for each batch (our reading).

    Examples
    --------
    >>> draw_strong(6, 0.8, np.random.default_rng(0)).astype(int)
    array([1, 1, 1, 1, 0, 0])
    """
    return rng.random(n) < in_range(mu, "mu", 0, 1)


def _events(events, classes, n_classes):
    """Onsets, offsets (int64 milliseconds), columns, and their number."""
    events = np.asarray(events, dtype=np.float64)
    if events.size == 0:
        events = events.reshape(0, 2)
    if events.ndim != 2 or events.shape[1] != 2:
        raise ValueError(f"events has the shape {events.shape}, expected (E, 2): onset and offset of each")
    if not (abs(events) < _LONGEST).all():
        raise ValueError(f"events holds a time that is not below {_LONGEST:g} s")
    if classes is None:
        column, n_classes = np.zeros(len(events), dtype=np.int64), 1
    elif n_classes is None:
        raise ValueError("classes needs n_classes")
    else:
        column = _classes(classes, n_classes, "classes")
        if len(column) != len(events):
            raise ValueError(f"{len(events)} events have {len(column)} classes")
    onset, offset = np.rint(events.T * 1000).astype(np.int64)
    if (offset < onset).any():
        e = int(np.argmax(offset < onset))
        raise ValueError(f"event {e} ends ({events[e, 1]:g} s) before it starts ({events[e, 0]:g} s)")
    return onset, offset, column, n_classes


def _classes(classes, n_classes, name):
    classes = np.asarray(classes)
    if classes.size == 0:
        return np.zeros(0, dtype=np.int64)
    if classes.ndim != 1 or classes.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a list of integers")
    if classes.min() < 0 or classes.max() >= n_classes:
        raise ValueError(f"{name} must lie in [0, {n_classes})")
    return classes.astype(np.int64)


def _booleans(array, name):
    array = np.asarray(array)
    if array.dtype != bool:
        raise ValueError(f"{name} must be boolean, not {array.dtype}")
    return array


def _milliseconds(seconds, name):
    if not abs(seconds) < _LONGEST:
        raise ValueError(f"{name} = {seconds:g} s is not below {_LONGEST:g} s")
    milliseconds = round(seconds * 1000)
    if abs(seconds * 1000 - milliseconds) > 1e-6:
        raise ValueError(f"{name} = {seconds:g} s is not a whole number of milliseconds")
    return milliseconds
