"""Label rules as pure functions: arrays in, arrays out, nothing modified, nothing drawn without a generator.

Conventions of every function here:

* A label matrix is ``(N, C)``, float, with the values 0, 1 and NaN.  NaN means *unknown*: the pair takes no
  part in the loss or in class statistics.  Anything else raises ``ValueError``; bool and int are accepted.
* Teacher scores are ``(N, C)`` in [0, 1]; NaN means *no opinion* and leaves the label as it was.  Scores are
  compared with thresholds in float64.
* In combination: (1) ontology relabelling, (2) projection to the working classes, (3) correction or masking
  by a teacher, each per source clip; then (4) :func:`or_join` of the clips that are mixed.
"""

from acdref.labels.algebra import apply_gains, draw_gains, draw_mixup_weights, mixup, mixup_batch, or_join
from acdref.labels.clap import clap_labels, clap_probabilities, robust_z_scores, threshold_labels
from acdref.labels.correction import (
    above_threshold,
    correct_labels,
    mean_threshold_correct,
    percentile_correct,
    percentile_mask,
    percentile_thresholds,
    positive_thresholds,
)
from acdref.labels.evaluation import evaluation_set
from acdref.labels.odds import OddsRatio, class_priors, contingency, odds_ratio
from acdref.labels.ontology import Ontology, RootSplit
from acdref.labels.pseudo import (
    LabelCounts,
    inference_windows,
    label_counts,
    pad_batch,
    soft_labels,
    window_samples,
    windows,
)
from acdref.labels.sparse import SparseLabels
from acdref.labels.strong import complementary_negatives, diffuse, draw_strong, frame_events, frame_labels
from acdref.labels.superclasses import SuperClasses
from acdref.labels.verification import (
    excerpt_starts,
    fix_length,
    mean_posterior,
    round_folds,
    stratified_folds,
    verify,
)
from acdref.labels.vocabulary import Vocabulary

__all__ = [
    "LabelCounts",
    "OddsRatio",
    "Ontology",
    "RootSplit",
    "SparseLabels",
    "SuperClasses",
    "Vocabulary",
    "above_threshold",
    "apply_gains",
    "clap_labels",
    "clap_probabilities",
    "class_priors",
    "complementary_negatives",
    "contingency",
    "correct_labels",
    "diffuse",
    "draw_gains",
    "draw_mixup_weights",
    "draw_strong",
    "evaluation_set",
    "excerpt_starts",
    "fix_length",
    "frame_events",
    "frame_labels",
    "inference_windows",
    "label_counts",
    "mean_posterior",
    "mean_threshold_correct",
    "mixup",
    "mixup_batch",
    "odds_ratio",
    "or_join",
    "pad_batch",
    "percentile_correct",
    "percentile_mask",
    "percentile_thresholds",
    "positive_thresholds",
    "robust_z_scores",
    "round_folds",
    "soft_labels",
    "stratified_folds",
    "threshold_labels",
    "verify",
    "window_samples",
    "windows",
]
