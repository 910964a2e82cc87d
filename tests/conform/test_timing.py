"""The cases of frames, windows and folds, beside plain loops and scikit-learn."""

import numpy as np
import pytest
from conform_support import assert_consistent, by_function

from acdref.conform import timing
from acdref.labels import frame_events

CASES = by_function(timing.cases())


def test_names_kinds_and_mistakes():
    assert_consistent(CASES)


def test_frames_one_by_one():
    for case in CASES["labels/frame_events"].values():
        given, present = case.inputs, case.outputs["present"]
        for k, row in enumerate(present):
            start = round(1000 * given["start"]) + k * round(1000 * given["hop"])
            end, marked = start + round(1000 * given["frame"]), set()
            for (onset, offset), c in zip(np.rint(1000 * given["events"]), given["classes"], strict=True):
                overlap, length = min(offset, end) - max(onset, start), offset - onset
                if overlap > 0 and length > 0 and overlap >= given["share"] * min(length, end - start):
                    marked.add(int(c))
            assert marked == set(np.flatnonzero(row).tolist())


def test_lost_events_are_those_that_frame_events_passes_over():
    for case in CASES["labels/without_frame"].values():
        given = dict(case.inputs)
        for event, lost in zip(np.array(given.pop("events"), float), case.outputs["lost"], strict=True):
            assert lost == (not frame_events([event], **given).any())


def test_folds_by_scikit_learn():
    selection = pytest.importorskip("sklearn.model_selection")
    case = CASES["labels/stratified_folds"]["balanced"]
    classes, verified = case.inputs["labels"], case.inputs["verified"]
    for part in (verified, ~verified):
        splits = selection.StratifiedKFold(4).split(np.zeros(part.sum()), classes[part])
        for fold, (_, held_out) in enumerate(splits):
            np.testing.assert_array_equal(np.flatnonzero(case.outputs["folds"][part] == fold), held_out)


@pytest.mark.parametrize("variant", sorted(CASES["labels/verify"]))
def test_verification_clip_by_clip(variant):
    case = CASES["labels/verify"][variant]
    p, classes, verified = (case.inputs[name] for name in ("probs", "labels", "verified"))
    threshold, cap = case.inputs["threshold"], case.inputs["cap"]
    expected = verified.copy()
    for c in range(p.shape[1]):
        ranked = sorted((-p[i, c], i) for i in np.flatnonzero((classes == c) & ~verified))
        ranked = [i for _, i in ranked if p[i].argmax() == c and not np.isnan(p[i]).any()]
        ranked = [i for i in ranked if np.isnan(threshold) or p[i, c] >= threshold]
        expected[ranked if cap < 0 else ranked[:cap]] = True
    np.testing.assert_array_equal(case.outputs["accepted"], expected)


def test_windows_by_hand():
    found = {name: case.outputs["windows"].tolist() for name, case in CASES["labels/windows"].items()}
    assert found["tail"] == [[0, 5], [5, 10], [10, 10.1]]
    assert found["rounded"][-1] == [8, 10]
    assert found["tiles"][-1] == [8, 9.6]
    assert found["none"] == []
    assert found["one"] == [[0, 3]]
    assert found["overlapping"] == [[0, 5], [2.5, 7.5], [5, 10], [7.5, 10]]
    assert len(found["thirds"]) == 3
