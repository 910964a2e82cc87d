"""What :func:`acdref.relabel.relabel` shall do."""

from dataclasses import dataclass

from acdref import labels
from acdref.errors import AcdrefError


@dataclass(frozen=True, kw_only=True)
class Steps:
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
    frame: dict | None = None
    unknown: str = "raise"

    def __post_init__(self):
        needy = self.expand or self.mask_children or (self.mean_threshold or {}).get("psla")
        if needy and self.ontology is None:
            raise AcdrefError("expand, mask-children and PSLA's candidates need an ontology")
        if self.superclasses is not None and (self.mean_threshold or {}).get("psla"):
            raise AcdrefError(
                "super-classes have no hierarchy: PSLA's candidates need the ontology's classes"
            )

    @property
    def need_scores(self):
        return any(step is not None for step in (self.correct, self.percentile, self.mean_threshold))

    @property
    def make_unknown(self):
        """Whether a label may become unknown that was known."""
        corrects = self.correct is not None and self.correct.get("mask", True)
        return self.mask_children or corrects or (self.percentile or {}).get("mask", False)
