"""The eight rows of Braun & Gamper's Table 2, and a perfect repair."""

import functools

import numpy as np

from acdref.labels import correct_labels, mean_threshold_correct, percentile_correct, percentile_mask
from acdref.labels.noise import repair_counts

RAW, PERFECT = "raw labels", "a perfect repair"
BEST = "correct and mask FN"
RULES = {
    "percentile masking": percentile_mask,
    "percentile correction": percentile_correct,
    "mean threshold": mean_threshold_correct,
    "correct FN": functools.partial(correct_labels, mask=False),
    "correct FN and FP": functools.partial(correct_labels, fp=True, mask=False),
    BEST: correct_labels,
    "correct and mask FN and FP": functools.partial(correct_labels, fp=True),
}
CONDITIONS = (RAW, *RULES, PERFECT)


def repairs(truth, noisy, p):
    """Condition -> labels (N, C), and what became of the errors; `p` is of the network of the raw ones."""
    changed = {name: rule(noisy, p) for name, rule in RULES.items()} | {PERFECT: truth}
    return {name: (labels, counted(truth, noisy, labels)) for name, labels in changed.items()}


def counted(truth, noisy, labels):
    """Columns: precision and recall of a repair, and with masks; without what is not defined."""
    n = repair_counts(truth, noisy, labels)
    found = {"recall": n["repaired"] / max(n["errors"], 1)}
    found["recall with masks"] = (n["repaired"] + n["masked"]) / max(n["errors"], 1)
    if touched := n["repaired"] + n["harmed"]:
        found["precision"] = n["repaired"] / touched
    if reached := touched + n["masked"] + n["lost"]:
        found["precision with masks"] = (n["repaired"] + n["masked"]) / reached
    return {name: float(value) for name, value in found.items()}


def ceiling(truth, noisy, weights):
    """What a calibrated teacher gives a missing label at best, (C,): the share of labelled positives."""
    present = truth == 1
    return np.array(
        [
            (weights * (noisy[:, c] == 1))[present[:, c]].sum() / weights[present[:, c]].sum()
            for c in range(truth.shape[1])
        ]
    )
