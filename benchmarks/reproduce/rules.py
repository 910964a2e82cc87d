"""The eight rows of Braun & Gamper's Table 2, and a perfect repair."""

from acdref.labels.noise import repair_counts
from acdref.recipes.what_if import CONDITIONS, PERFECT, RAW, RULES

PROPOSED = "correct and mask FN"
__all__ = ["CONDITIONS", "PERFECT", "PROPOSED", "RAW", "RULES", "counted", "repairs"]


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
