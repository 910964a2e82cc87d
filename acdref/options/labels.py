"""The options of what makes and changes labels: the teacher's words and decision, the rules, the frames."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acdref.errors import OptionError
from acdref.options import Checked, choice, option, option_of, path, positive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from acdref.clap.scores import TeacherScores

RULES = ("softmax", "cosine", "z")
PRECISIONS = ("fp32", "fp16", "int8")
FORMATS = ("audioset", "fsd50k", "manifest", "strong", "framed")
UNKNOWN = ("raise", "ignore", "isolate")
STATISTICS = ("mean", "median", "p25", "p10", "p5")
CORRECTIONS = ("correct", "percentile-mask", "percentile-correct", "mean-threshold")


@dataclass(frozen=True)
class PromptOptions(Checked):
    """The words that a teacher compares sounds with; see :class:`acdref.clap.prompts.Prompts`."""

    prompts: str | None = path(None, 'Classes: lines of the form "name = prompt".', metavar="FILE")
    template: str = option("This is a sound of {}", "What a prompt is put into.")
    background: tuple[str, ...] = option(
        (),
        "A prompt that takes part in the softmax but is no class; may be given several times.",
        several=True,
        metavar="PROMPT",
    )


@dataclass(frozen=True)
class Decision(Checked):
    """How a teacher's scores become labels.

    Attributes
    ----------
    rule : {"softmax", "cosine", "z"}
        What is compared with thresholds, see :meth:`acdref.clap.scores.TeacherScores.values`.
    threshold : float
        A label is 1 where the value is above it; Braun & Gamper's for the softmax is 0.2.
    by_class : dict of str to float
        Thresholds of classes that have their own.
    scale : float, optional
        ``exp(logit_scale)``; default: the one stored with the scores.

    Examples
    --------
    >>> import numpy as np
    >>> from acdref.clap.scores import TeacherScores
    >>> scores = TeacherScores(("a.wav",), ("dog", "cat"), np.array([[0.3, 0.28]]))
    >>> Decision(scale=10.0).labels(scores)
    array([[1., 1.]])
    >>> Decision("cosine", 0.25, {"cat": 0.29}).labels(scores)
    array([[1., 0.]])
    """

    rule: str = choice(
        RULES,
        "What a threshold is for: the softmax over the classes (Braun & Gamper), the cosine, or its "
        "robust z-score over all recordings. The last two can say that nothing is there.",
        of="zero-shot",
    )
    threshold: float = option(
        0.2, "A label is 1 above it  [default: 0.2 for the softmax; needed for the others]", of="zero-shot"
    )
    by_class: dict[str, float] = option(
        None,
        "The threshold of one class; may be given several times.",
        flag="--class-threshold",
        metavar="CLASS=NUMBER",
        of="zero-shot",
    )
    scale: float | None = positive(
        None,
        "The model's exp(logit_scale), where its files do not tell.",
        must="the logit scale must be a positive number",
        flag="--logit-scale",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "by_class", dict(self.by_class or ()))  # or pairs
        if not all(map(math.isfinite, self.by_class.values())):
            raise OptionError("thresholds must be finite numbers")

    def note(self, classes: Sequence[str], background: Sequence[str]) -> str | None:
        """One line, if some class must pass in every recording; else None.

        The highest of n probabilities is at least 1 / n.
        """
        if self.rule != "softmax" or not classes or background:
            return None
        highest = max(self.by_class.get(name, self.threshold) for name in classes)
        if not highest < 1 / len(classes):
            return None
        least = f"one of {len(classes)} probabilities is always {1 / len(classes):.2g} or more"
        cause = f"{least}, above the threshold {highest:g}"
        return f"every recording gets a label: {cause} (see --background, --threshold)"

    def labels(self, scores: "TeacherScores") -> "NDArray[np.float64]":
        """Labels (N, C), 0 or 1, NaN for recordings that could not be used; FileError for a strange class."""
        return scores.labels(self)


@dataclass(frozen=True)
class RuleOptions(Checked):
    """How scores change labels; see :func:`acdref.labels.correct_labels` and those beside it."""

    T: float = option_of(
        "correct",
        0.05,
        "the teacher is confident above 1 - T and below T.",
        at_least=0,
        at_most=0.5,
        flag="--threshold-t",
    )
    fp: bool = option_of("correct", False, "wrongly set labels too, not only missing ones.")
    no_mask: bool = option_of("correct", False, "leave doubtful labels instead of masking them.")
    boundary: str = option_of(
        "correct",
        "closed",
        "a score of exactly T or 1 - T masks, or does nothing as the equations are printed.",
        choices=("closed", "literal"),
    )
    q: float = option_of("percentile", 0.05, "the fraction of negatives.", at_least=0, below=1)
    statistic: str = option_of(
        "mean-threshold", "mean", "of the scores of a class's positives.", choices=STATISTICS
    )

    def step(self, correction: str) -> dict[str, dict]:
        """The argument of :class:`acdref.relabel.steps.Steps` that one of `CORRECTIONS` means."""
        if correction == "correct":
            mask = not self.no_mask
            return {"correct": {"T": self.T, "fp": self.fp, "mask": mask, "boundary": self.boundary}}
        if correction == "mean-threshold":
            return {"mean_threshold": {"statistic": self.statistic}}
        return {"percentile": {"q": self.q, "mask": correction == "percentile-mask"}}


@dataclass(frozen=True)
class FrameOptions(Checked):
    """Arguments of :func:`acdref.labels.strong.frame_labels`."""

    duration: float = option_of("frame", 10.0, "seconds of a clip.")
    frame: float = option_of("frame", 0.96, "seconds of a frame.", flag="--frame-length")
    hop: float | None = option_of("frame", None, "seconds between frames' starts  [default: --frame-length]")
    guard: bool = option(False, "frame: frames touched without being PRESENT are left out.", of="frame")


WINDOW = 10.0
"""Seconds that the network is trained on, and the default window of every command."""

EVENT_WINDOW = 2.0
"""Seconds of a window where events are wanted; windows come half as far apart."""


@dataclass(frozen=True)
class EventOptions(Checked):
    """How scores become events; see :func:`acdref.labels.events.detect_events`."""

    hold: float = option_of(
        "events",
        1.0,
        "one goes on while its score is at least this share of the threshold from which it begins: below 1 "
        "for hysteresis.",
        at_least=0,
        at_most=1,
        flag="--event-hold",
    )
    median: float = option_of(
        "events",
        0.0,
        "seconds that a median filter of the scores reaches over.",
        at_least=0,
        at_most=3600,
        flag="--event-median",
    )
    gap: float = option_of(
        "events",
        0.0,
        "seconds between two of one class up to which they are one.",
        at_least=0,
        flag="--event-gap",
    )
    least: float = option_of(
        "events",
        0.0,
        "seconds that one lasts at least, once gaps are closed.",
        at_least=0,
        flag="--event-least",
    )
