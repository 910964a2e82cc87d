"""Tables and plots of results: means over seeds with 95 % confidence intervals."""

import math

import numpy as np
from experiment import COMMON

from acdref.files import write_text

STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % quantiles of Student's distribution with 1, 2, ... degrees of freedom."""

COLUMNS = ("mAP", COMMON, "accuracy")
GAINS = ("mAP", COMMON)


def interval(values):
    """Mean, and half the width of its 95 % confidence interval by Student's distribution; NaN if unknown."""
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return (float(values.mean()) if len(values) else math.nan), math.nan
    t = STUDENT_T[min(len(values) - 2, len(STUDENT_T) - 1)]
    return float(values.mean()), float(t * values.std(ddof=1) / math.sqrt(len(values)))


def by_seed(rows, condition, column):
    """Seed -> value."""
    return {row["seed"]: row[column] for row in rows if row["condition"] == condition and column in row}


def differences(rows, condition, baseline, column):
    """Of a condition from the baseline, seed by seed: both saw the same weights and sequences."""
    ours, theirs = by_seed(rows, condition, column), by_seed(rows, baseline, column)
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def with_interval(values, sign=""):
    """Text such as "0.512 ± 0.020"; the bare mean of a single value, and a dash of none."""
    mean, half = interval(values)
    if math.isnan(mean):
        return "–"
    return f"{mean:{sign}.3f}" + ("" if math.isnan(half) else f" ± {half:.3f}")


def finish(experiment, conditions, baseline, title, more=None):
    """Print the table of an experiment, and write it and the plot beside the results."""
    text = table(experiment.rows, conditions, baseline, more)
    seconds = sum(row.get("seconds", 0) for row in experiment.rows)
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in experiment.rows}))
    print(f"\n{title}: {experiment.setting}; seeds {seeds}; {seconds / 60:.0f} minutes of one core\n\n{text}")
    write_text(experiment.results.with_suffix(".md"), text + "\n")
    plot(experiment.rows, conditions, title, experiment.results.with_suffix(".png"))


def table(rows, conditions, baseline, more=None):
    """Markdown: one line a condition.

    Parameters
    ----------
    rows : list of dict
        Of one experiment.
    conditions : sequence of str
    baseline : str
        What gains are over, seed by seed.
    more : dict of str to callable, optional
        Further columns: title -> function of the condition's rows that gives a text.

    Returns
    -------
    str
    """
    more = more or {}
    titles = ["", *COLUMNS, *(f"gain in {column}" for column in GAINS), "runs", *more]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for condition in conditions:
        own = [row for row in rows if row["condition"] == condition]

        def gain(column, condition=condition):
            return with_interval(differences(rows, condition, baseline, column), "+")

        cells = [
            condition,
            *(with_interval([row[column] for row in own]) for column in COLUMNS),
            *("" if condition == baseline else gain(column) for column in GAINS),
            str(len(own)),
            *(function(own) if own else "–" for function in more.values()),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(rows, conditions, title, path):
    """Write a plot of the measures: every run a dot, means with their intervals; needs matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print(f"no {path.name}: matplotlib is not installed (pip install acdref[plot])")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = (12, 1 + 0.42 * len(conditions))
    figure, axes = pyplot.subplots(1, len(COLUMNS), figsize=size, sharey=True)
    for axis, column in zip(axes, COLUMNS, strict=True):
        for place, condition in enumerate(conditions):
            values = list(by_seed(rows, condition, column).values())
            mean, half = interval(values)
            axis.plot(values, [place] * len(values), "o", color="0.7", markersize=4)
            axis.errorbar(
                mean, place, xerr=None if math.isnan(half) else half, fmt="D", color="C0", capsize=4
            )
        axis.set_xlabel(column)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(conditions)), conditions)
    axes[0].invert_yaxis()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
