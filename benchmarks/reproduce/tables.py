"""Tables of results in Markdown: every condition, and every claim with its verdict."""

import numpy as np

from acdref.metrics import paired


def conditions(effect, rows):
    """A line a condition: means over the seeds, and half of their 95 % intervals."""
    lines = head(["condition", *effect.measures, "seeds"])
    for condition in effect.conditions:
        own = [row for row in rows if row["condition"] == condition]
        cells = [with_interval([row[m] for row in own if m in row]) for m in effect.measures]
        lines.append(table_row([condition, *cells, str(len(own))]))
    return "\n".join(lines)


def claims(effect, rows):
    """A line a claim: the paper's figure, ours seed by seed, and the verdict."""
    lines = head(["claim", "measure", "paper", "difference here", "up", "verdict"])
    for claim in effect.claims:
        found = claim.found(rows)
        signs = f"{found.up} of {found.n}" if found else "–"
        measure = ", ".join(claim.over) or claim.measure
        word = verdict(effect, claim, rows)
        cells = [claim.text, measure, claim.paper, difference(found), signs, word]
        lines.append(table_row(cells))
    return "\n".join(lines)


def verdict(effect, claim, rows):
    """The verdict in words; beside "not shown", what would have been seen."""
    word = effect.verdict(claim, rows)
    if word == "not shown":
        seen = claim.found(rows).detectable
        return f"not shown (an effect of {seen:.4f} would have been, 4 times of 5)"
    return f"**{word}**" if word == "shown" else word


def difference(found):
    """A mean of paired differences: "+0.0064 ± 0.0044"."""
    if found is None:
        return "–"
    return f"{found.mean:+.4f}" + ("" if found.n < 2 else f" ± {found.half:.4f}")


def with_interval(values):
    """ "0.512 ± 0.020"; a dash of nothing."""
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return "–"
    found = paired(values)
    return f"{found.mean:.4f}" + ("" if found.n < 2 else f" ± {found.half:.4f}")


def head(titles):
    """The first two lines of a Markdown table."""
    return [table_row(titles), "|---" * len(titles) + "|"]


def table_row(cells):
    """One row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
