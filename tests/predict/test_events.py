"""Recordings with their events: grouped as the windows come, thresholds as tags have them."""

import math

import numpy as np
import pytest

from acdref.labels.events import Detection, cell_scores, detect_events
from acdref.predict.events import timelines
from acdref.predict.scoring import USUAL, class_thresholds
from acdref.predict.tagging import End, Failure, Window


def windows(path, *scores, window=2.0, hop=1.0, notes=()):
    found = [
        Window(path, hop * i, hop * i + window, np.float32(score), None) for i, score in enumerate(scores)
    ]
    for i, note in notes:
        found[i] = found[i]._replace(note=note)
    return found


A = windows("a.wav", [0.9, 0.1], [0.7, 0.1], [0.1, 0.8])


def test_a_recording_is_what_the_pure_functions_make_of_its_windows():
    (found,) = timelines([*A, End("a.wav")], 0.5, gap=1.0)
    scores = [[0.9, 0.1], [0.7, 0.1], [0.1, 0.8]]
    cells, borders = cell_scores(scores, [(w.start, w.end) for w in A])
    assert (found.path, found.seconds, found.note, found.error) == ("a.wav", 4.0, None, None)
    np.testing.assert_array_equal(found.cells, cells)
    np.testing.assert_array_equal(found.borders, borders)
    assert found.events == tuple(detect_events(cells, borders, 0.5, gap=1.0))
    assert [event.label for event in found.events] == [0, 1]


def test_each_recording_comes_before_the_next_is_begun():
    taken = []

    def results():
        for result in (*A, End("a.wav"), *windows("b.wav", [0.2, 0.2]), End("b.wav"), Failure("c", "empty")):
            taken.append(result)
            yield result

    found = timelines(results(), 0.5)
    assert next(found).path == "a.wav" and len(taken) == 4
    assert next(found).path == "b.wav" and len(taken) == 6
    assert next(found).error == "empty"


def test_the_same_recording_twice_is_two():
    assert len(list(timelines([*A, End("a.wav"), *A, End("a.wav")], 0.5))) == 2


def test_what_was_heard_before_the_damage_stays():
    (found,) = timelines([*A, Failure("a.wav", "damaged")], 0.5)
    assert found.error == "damaged" and found.seconds == 4.0 and len(found.events) == 2


def test_nothing_heard_at_all():
    (found,) = timelines([Failure("a.wav", "no such file")], 0.5)
    assert (found.seconds, found.events, found.error) == (0.0, (), "no such file")


def test_notes_are_joined():
    (found,) = timelines([*windows("a", [0.1], [0.2], notes=[(0, "x"), (1, "y")]), End("a")], 0.5)
    assert found.note == "x; y"


def test_a_score_counts_as_it_is_shown():
    """float32(0.7) lies below 0.7."""
    (found,) = timelines([*windows("a", [0.7]), End("a")], 0.7)
    assert found.events == (Detection(0, 0.0, 2.0, 0.7, 0.7),)


def test_thresholds_by_class():
    (found,) = timelines(
        [*windows("a", [0.4, 0.4]), End("a")], class_thresholds(["dog", "alarm"], {"alarm": 0.3})
    )
    assert [event.label for event in found.events] == [1]


@pytest.mark.parametrize(
    ("score", "threshold", "count"),
    [
        (0.9, USUAL, 0),
        (0.995, USUAL, 1),
        (0.9, 0.5, 1),
    ],
)
def test_a_click_is_no_event_unless_asked_for(score, threshold, count):
    (found,) = timelines([Window("a", 0.0, 0.1, np.float32([score]), None), End("a")], threshold)
    assert len(found.events) == count


def test_a_short_rest_of_a_recording_does_not_count_unless_sure():
    rest = Window("a", 10.0, 10.1, np.float32([0.9]), None)
    results = [Window("a", 0.0, 10.0, np.float32([0.6]), None), rest, End("a")]
    (found,) = timelines(results)
    assert [event[1:3] for event in found.events] == [(0.0, 10.0)]
    (found,) = timelines([results[0], rest._replace(scores=np.float32([0.995])), results[-1]])
    assert [event[1:3] for event in found.events] == [(0.0, 10.1)]


def test_windows_with_gaps():
    with pytest.raises(ValueError, match="no gap"):
        list(timelines([*windows("a", [0.1], [0.1], window=1.0, hop=2.0), End("a")], 0.5))


def test_usual_threshold_is_that_of_long_windows():
    asked = []
    list(timelines([*A, End("a.wav")], lambda seconds: asked.append(seconds) or [0.5, 0.5]))
    assert set(asked) == {2.0, math.inf}
