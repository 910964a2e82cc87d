"""The eight rows of Braun & Gamper's Table 2, and a perfect repair."""

from effect import Claim

from acdref.labels.noise import repair_counts
from acdref.recipes.what_if import CONDITIONS, PERFECT, RAW, RULES

PROPOSED, BOTH = "correct and mask FN", "correct and mask FN and FP"
MASKED, CORRECTED = "percentile masking", "percentile correction"
CLAIMS = (
    Claim("to correct and mask FN beats raw labels", PROPOSED, RAW, "mAP", "0.767 - 0.741"),
    Claim("to correct and mask FN beats raw labels", PROPOSED, RAW, "accuracy", "0.899 - 0.899"),
    Claim("percentile masking beats raw labels", MASKED, RAW, "mAP", "0.750 - 0.741"),
    Claim("raw labels beat percentile correction", RAW, CORRECTED, "mAP", "0.741 - 0.720"),
    Claim("mean threshold beats raw labels", "mean threshold", RAW, "mAP", "0.754 - 0.741"),
    Claim("to correct FN beats raw labels", "correct FN", RAW, "mAP", "0.751 - 0.741"),
    Claim("to correct FN and FP beats raw labels", "correct FN and FP", RAW, "mAP", "0.756 - 0.741"),
    Claim("to correct and mask FN and FP beats raw labels", BOTH, RAW, "mAP", "0.762 - 0.741"),
    Claim("to correct and mask FN beats percentile masking", PROPOSED, MASKED, "mAP", "0.767 - 0.750"),
    Claim("to correct and mask FN beats percentile masking", PROPOSED, MASKED, "accuracy", "0.899 - 0.897"),
    Claim("to correct and mask FN beats mean threshold", PROPOSED, "mean threshold", "mAP", "0.767 - 0.754"),
    Claim("percentile masking beats percentile correction", MASKED, CORRECTED, "mAP", "0.750 - 0.720"),
    Claim("a perfect repair beats raw labels", PERFECT, RAW),
)
__all__ = ["CLAIMS", "CONDITIONS", "PERFECT", "PROPOSED", "RAW", "RULES", "counted", "repairs"]


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
