"""The options of what makes and changes labels."""

import dataclasses
import math

import numpy as np
import pytest

from acdref import labels
from acdref.clap import prompts, scores
from acdref.clap.bundle import PRECISIONS
from acdref.errors import OptionError
from acdref.labels import correction, strong
from acdref.options import labels as options
from acdref.options.labels import CORRECTIONS, Decision, EventOptions, FrameOptions, RuleOptions
from acdref.relabel import Steps
from acdref.tables import label_files


def test_choices_are_what_there_is():
    assert options.FORMATS == label_files.FORMATS
    assert tuple(PRECISIONS) == options.PRECISIONS
    assert tuple(correction._STATISTICS) == options.STATISTICS
    assert prompts.TEMPLATE == "This is a sound of {}"
    assert scores.Decision is Decision


def test_unset_rules_are_those_of_the_functions():
    y, p = np.array([[0.0, 1.0, 0.0, 0.0]]).T, np.array([[0.96, 0.04, 0.95, 0.3]]).T
    given = RuleOptions().step("correct")["correct"]
    np.testing.assert_array_equal(labels.correct_labels(y, p, **given), labels.correct_labels(y, p))
    assert RuleOptions().step("percentile-mask") == {"percentile": {"q": 0.05, "mask": True}}
    assert RuleOptions().step("mean-threshold") == {"mean_threshold": {"statistic": "mean"}}


@pytest.mark.parametrize("name", CORRECTIONS)
def test_every_correction_is_a_step(name):
    rules = RuleOptions(T=0.1, fp=True, no_mask=True, boundary="literal", q=0.2, statistic="p10")
    (step,) = rules.step(name)
    assert (
        getattr(Steps(**rules.step(name)), step)
        == {
            "correct": {"T": 0.1, "fp": True, "mask": False, "boundary": "literal"},
            "percentile-mask": {"q": 0.2, "mask": True},
            "percentile-correct": {"q": 0.2, "mask": False},
            "mean-threshold": {"statistic": "p10"},
        }[name]
    )


def test_frames_are_arguments_of_frame_labels():
    given = dataclasses.asdict(FrameOptions())
    y = strong.frame_labels([(0.0, 5.0)], [0], 1, **given)
    np.testing.assert_array_equal(y, strong.frame_labels([(0.0, 5.0)], [0], 1))


def test_events_are_arguments_of_detect_events():
    cells, borders = [[0.4], [0.6], [0.2], [0.7]], [0, 1, 2, 3, 4]
    found = labels.detect_events(cells, borders, 0.5, **dataclasses.asdict(EventOptions()))
    assert found == labels.detect_events(cells, borders, 0.5)
    with pytest.raises(OptionError, match="hold must be at most 1"):
        EventOptions(hold=1.5)


def test_a_decision_as_a_dictionary():
    assert dataclasses.asdict(Decision()) == {
        "rule": "softmax",
        "threshold": 0.2,
        "by_class": {},
        "scale": None,
    }
    assert Decision("z", 1.0, {"dog": 2.0}) == Decision("z", 1.0, (("dog", 2.0),))


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"rule": "argmax"}, "rule = 'argmax': choose one of 'softmax'"),
        ({"threshold": math.nan}, "threshold must be a finite number"),
        ({"by_class": {"dog": math.inf}}, "thresholds must be finite numbers"),
        ({"scale": 0.0}, "the logit scale must be a positive number"),
    ],
)
def test_decisions_that_cannot_be(given, cause):
    with pytest.raises(OptionError, match=cause):
        Decision(**given)


def test_labels_that_are_no_class_are_treated_in_a_known_way():
    with pytest.raises(OptionError, match="unknown = 'drop': choose one of 'raise'"):
        Steps(unknown="drop")


def test_doubt_reaches_at_most_to_the_middle():
    assert RuleOptions(T=0.5).T == 0.5
    for wrong in (-0.01, 0.51):
        with pytest.raises(OptionError, match=r"^T must be"):
            RuleOptions(T=wrong)


@pytest.mark.parametrize(
    ("decision", "classes", "background", "said"),
    [
        (Decision(), 4, 0, True),
        (Decision(), 5, 0, False),
        (Decision(), 3, 1, False),
        (Decision(threshold=0.5), 1, 0, True),
        (Decision(by_class={"0": 0.6}), 2, 0, False),
        (Decision("cosine"), 2, 0, False),
    ],
)
def test_a_threshold_that_every_recording_passes_is_said(decision, classes, background, said):
    names = tuple(map(str, range(classes)))
    note = decision.note(names, ("silence",) * background)
    assert (note is not None) == said
    if not background:  # the hardest recording: all cosines are equal, but that of the class that is to pass
        cosines = np.full((1, classes), 0.3) + np.eye(classes)[:1] * 1e-9
        found = Decision(decision.rule, decision.threshold, decision.by_class, 10.0).labels(
            scores.TeacherScores(("a",), names, cosines)
        )
        assert found.any() or not said
