import numpy as np

from acdref.relabel.report import Report


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
