"""How well scores rank and detect classes.

Conventions
-----------
* ``y`` is a label matrix ``(N, C)`` of 0, 1 and NaN, ``p`` a score matrix of the same shape.  A score may be
  any real number, infinities included; only ranks matter, except to the metrics that take a threshold.
* NaN in ``y`` means *unknown*: that row takes no part in that class, and its score may be NaN too.
  A NaN score beside a known label is an error.
* ``sample_weight`` is ``(N,)`` or ``(N, C)``, finite and not negative; weight 0 means unknown.
* A metric of a class that its labels leave undefined is NaN, and averages over classes pass over it.
* Bad input raises `ValueError`: shapes that do not fit, other labels, NaN scores, bad weights.

Per class: :func:`average_precision`, :func:`roc_auc`, :func:`accuracy`,
:func:`precision_recall`, :func:`f_score`.
Per clip: :func:`lwlrap`, :func:`map_at_k`.
Of decisions: :func:`best_thresholds`, :func:`platt_scaling`, :func:`reliability`.
Of certainty: :func:`bootstrap_interval`, by source, and of many measures :func:`bootstrap_intervals`;
:func:`paired`, of differences between runs.
"""

from acdref.metrics._classwise import mean_over_classes as mean_over_classes
from acdref.metrics.calibration import *
from acdref.metrics.clipwise import *
from acdref.metrics.detection import *
from acdref.metrics.intervals import *
from acdref.metrics.paired import *
from acdref.metrics.ranking import *
