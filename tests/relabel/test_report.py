import numpy as np

from acdref.relabel.report import Frames, Report


def test_counts_every_change():
    values = [0.0, 1.0, np.nan]
    report = Report(("a", "b"), ("A", "B"))
    for before in values:
        for after in values:
            report.add(np.array([[0, before]]), np.array([[0, after]]))
    found = report.as_dict()
    assert found["clips"] == 9
    assert found["classes"] == {
        "b": {
            "name": "B",
            "before": 3,
            "after": 3,
            "unknown_before": 3,
            "unknown_after": 3,
            "added": 1,
            "removed": 1,
            "masked": 2,
            "settled": 2,
        }
    }
    assert found["per_clip"]["after"] == 3 / 9


def test_events_that_gave_no_frame_are_named():
    frames = Frames(10.0)
    frames.add("a", [(0.0, 1.0, "Dog"), (2.0, 2.0, "Cat")], np.array([False, True]))
    assert frames.note() == "1 of 2 events gave no frame, 1 of length zero (a 2-2 s Cat)"
    frames.add(
        "b", [(0.0, 1200.0, "Dog")] + [(1500.0, 2600.0, "Dog")] * 3, np.array([False, True, True, True])
    )
    assert frames.note() == (
        "4 of 6 events gave no frame, 1 of length zero "
        "(a 2-2 s Cat, b 1500-2600 s Dog, b 1500-2600 s Dog, ...); 4 end behind the clip's 10 s, at up to "
        "2600 s; times look like milliseconds, or --duration is too small"
    )


def test_events_that_all_gave_frames_need_no_word():
    frames = Frames(10.0)
    frames.add("a", [(0.0, 10.05, "Dog")], np.array([False]))
    assert frames.note() is None
