"""Recordings of an evaluation, with labels and scores."""

import numpy as np

from acdref.errors import AudioError
from acdref.predict.scoring import Scores
from acdref.report.errors import evaluated
from acdref.tables.manifest import Manifest


def test_labels_scores_and_failures_in_the_order_of_the_manifest(tmp_path):
    labels = [[1, 0, np.nan], [0, 0, 1], [1, 1, 0]]
    manifest = Manifest("m.csv", str(tmp_path), ("a.wav", "b.wav", "c.wav"), labels, ("hum", "dog", "rain"))
    windows = {
        2: [Scores(0.0, 10.0, np.float32([0.25, 0.5, 0.75]))],
        0: [
            Scores(0.0, 10.0, np.float32([0.5, 0.25, 1.0])),
            Scores(10.0, 15.0, np.float32([0.125, 0.25, 0.25])),
        ],
    }
    failures = [AudioError(manifest.file(1), "an empty file")]
    a, b, c = evaluated(manifest, windows, failures, [2, 0])
    assert [r.file for r in (a, b, c)] == [manifest.file(i) for i in range(3)]
    assert [r.timeline.path for r in (a, b, c)] == ["a.wav", "b.wav", "c.wav"]
    assert (a.labels, b.labels, c.labels) == ([None, 1], None, [0, 1])
    np.testing.assert_array_equal(a.scores, [0.75, 0.375])  # weighted by duration
    np.testing.assert_array_equal(a.timeline.cells, [[1.0, 0.5], [0.25, 0.125]])
    assert (b.timeline.error, b.scores, a.timeline.error) == ("an empty file", None, None)
    assert a.timeline.seconds == 15.0


def test_no_cause_is_no_secret(tmp_path):
    manifest = Manifest("m.csv", str(tmp_path), ("a.wav",), [[1]], ("hum",))
    (found,) = evaluated(manifest, {}, [], [0])
    assert found.timeline.error == "was not scored"
