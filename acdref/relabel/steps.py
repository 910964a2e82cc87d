"""What :func:`acdref.relabel.job.relabel` shall do."""

from dataclasses import dataclass
from typing import Any

from acdref import labels
from acdref.errors import AcdrefError
from acdref.options import Checked, option
from acdref.options.labels import UNKNOWN, Decision
from acdref.tables.columns import read_vocabulary


@dataclass(frozen=True, kw_only=True)
class Steps(Checked):
    """What to do; a step that is None or False is left out.

    Attributes
    ----------
    ontology : Ontology, optional
        Its nodes are the classes, until a mapping.
    expand, mask_children : bool
        :meth:`~acdref.labels.Ontology.parent_expand` and :meth:`~acdref.labels.Ontology.children_mask`
        (which expands too); these need the ontology.
    vocabulary : sequence of (id, display name), optional
        Without an ontology the classes; with one, what its nodes are projected to.
    superclasses : SuperClasses, optional
    correct : dict, optional
        Arguments of :func:`~acdref.labels.correct_labels`: ``T, fp, mask, boundary``.
    percentile : dict, optional
        ``q``, and ``mask``: whether to mask or to correct.
    mean_threshold : dict, optional
        ``statistic``, and ``psla``: whether only PSLA's candidates may change.
    zero_shot : Decision, optional
        Labels that the teacher's cosines make (:mod:`acdref.clap.scores`), in place of those that there are;
        a class that the teacher does not know stays, a clip that it could not use becomes unknown.
    logit_scale : float, optional
        For probabilities from cosines whose file does not tell it.
    frame : dict, optional
        Arguments of :func:`~acdref.labels.strong.frame_labels`: ``duration, frame, hop, guard``.
    unknown : {"raise", "ignore", "isolate"}
        What to do with a label that is no class: refuse the file, leave the label out, or make it a class
        of its own, without parents and children.
    """

    ontology: labels.Ontology | None = None
    expand: bool = False
    mask_children: bool = False
    vocabulary: tuple | None = None
    superclasses: labels.SuperClasses | None = None
    correct: dict | None = None
    percentile: dict | None = None
    mean_threshold: dict | None = None
    zero_shot: Decision | None = None
    logit_scale: float | None = None
    frame: dict | None = None
    unknown: str = option("raise", choices=UNKNOWN)

    def __post_init__(self):
        super().__post_init__()
        if self.frame is not None:
            _check_frames(**self.frame)
        needy = self.expand or self.mask_children or (self.mean_threshold or {}).get("psla")
        if needy and self.ontology is None:
            raise AcdrefError("expand, mask-children and PSLA's candidates need an ontology")
        corrections = (self.correct, self.percentile, self.mean_threshold)
        if self.zero_shot is not None and any(step is not None for step in corrections):
            cause = "it goes without correct, percentile, mean-threshold"
            raise AcdrefError(f"zero-shot makes all labels: {cause}")
        if self.superclasses is not None and (self.mean_threshold or {}).get("psla"):
            cause = "PSLA's candidates need the ontology's classes"
            raise AcdrefError(f"super-classes have no hierarchy: {cause}")

    @property
    def need_scores(self) -> bool:
        steps = (self.correct, self.percentile, self.mean_threshold, self.zero_shot)
        return any(step is not None for step in steps)

    @property
    def make_unknown(self) -> bool:
        """Whether a label may become unknown that was known."""
        masking = [step.get("mask", True) for step in (self.correct, self.percentile) if step is not None]
        return self.mask_children or self.zero_shot is not None or any(masking)


def read_steps(
    *,
    ontology: str | None = None,
    vocabulary: str | None = None,
    superclasses: str | None = None,
    zero_shot: dict[str, Any] | None = None,
    **steps: Any,
) -> Steps:
    """Steps of what can be written as JSON: files in place of what they hold.

    Parameters
    ----------
    ontology, vocabulary, superclasses : str, optional
        ``ontology.json``, ``class_labels_indices.csv``, and the CSV of super-classes.
    zero_shot : dict, optional
        Arguments of Decision.
    **steps
        Arguments of Steps.

    Raises
    ------
    AcdrefError
        If a file cannot be read, or the steps do not go together.
    """
    return Steps(
        ontology=None if ontology is None else labels.Ontology.from_json(ontology),
        vocabulary=None if vocabulary is None else read_vocabulary(vocabulary),
        superclasses=None if superclasses is None else labels.SuperClasses.from_csv(superclasses),
        zero_shot=None if zero_shot is None else Decision(**zero_shot),
        **steps,
    )


_MOST_FRAMES = 1_000_000  # of a clip: more would not fit into memory


def _check_frames(duration=10.0, frame=0.96, hop=None, **_):
    """AcdrefError for frames that no clip can have, or too many of them."""
    try:
        labels.without_frame([], duration, frame, hop)
    except ValueError as error:
        raise AcdrefError(str(error)) from None
    if frame > duration:
        cause = f"a frame of {frame:g} s is longer than the clip of {duration:g} s"
        raise AcdrefError(f"{cause} (--frame-length, --duration)")
    count = (duration - frame) / (hop or frame) + 1
    if count > _MOST_FRAMES:
        cause = f"a clip of {duration:g} s would have {count:.3g} frames, and can have {_MOST_FRAMES:,}"
        raise AcdrefError(f"{cause} (--duration, --hop)")
