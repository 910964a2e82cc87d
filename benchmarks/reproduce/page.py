"""docs/reproduction.md and its plots, from the result files.

python benchmarks/reproduce/page.py            # writes them; needs matplotlib (pip install acdref[plot])
python benchmarks/reproduce/page.py --check    # exit 1 if the page is not what the results say
"""

import argparse
import sys

from all import NAMES
from effect import HERE, RESULTS, digest_of, effect_of, read_rows, start
from tables import claims, conditions, difference, head, table_row

from acdref.errors import AcdrefError
from acdref.files import replacing, write_text
from acdref.metrics import paired

PAGE = HERE.parents[1] / "docs" / "reproduction.md"
PLOTS = "../benchmarks/reproduce/results"


def in_order():
    """The effects; further experiments on one stand behind it."""
    return sorted(map(effect_of, NAMES), key=lambda e: NAMES.index(e.part_of or e.name))


def page(results):
    """The page's text: an introduction, a row a claim, a section an effect."""
    parts = [(HERE / "introduction.md").read_text(encoding="utf-8").rstrip(), _summary(results)]
    parts += [_section(effect, rows) for effect, rows in results.items()]
    return "\n\n".join([*parts, _given_up(results)]) + "\n"


def _summary(results):
    lines = ["## Every claim", "", *head(["experiment", "claim", "paper", "here", "verdict"])]
    for effect, rows in results.items():
        for number, claim in enumerate(effect.claims):
            name = ""
            if not number:
                name = f"[{effect.title}](#{_anchor(effect.title)}), `{effect.name}.py`, {_minutes(rows)}"
            word = effect.verdict(claim, rows)
            here = difference(claim.found(rows))
            cells = [name, f"{claim.text} ({claim.measure})", claim.paper, here]
            lines.append(table_row([*cells, f"**{word}**" if word == "shown" else word]))
    first = [effect.verdict(effect.claims[0], rows) for effect, rows in results.items() if not effect.part_of]
    every = [effect.verdict(claim, rows) for effect, rows in results.items() for claim in effect.claims]
    text = f"Of the {len(first)} effects, by the first claim of each: {_counts(first)}. A first claim may"
    text += " hold while others about the same effect don't, which its section says. Of all"
    return "\n".join([*lines, "", f"{text} {len(every)} claims: {_counts(every)}."])


def _counts(words):
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _given_up(effects):
    """A row for each experiment that had another setting once."""
    lines = ["## Runs that were given up", ""]
    lines += ["Rows are in `benchmarks/reproduce/results/given_up`, settings in the history.", ""]
    lines += head(["experiment", "seeds", "difference", "what differs", "why it was given up"])
    for effect in effects:
        if effect.given_up:
            claim, rows = effect.given_up, read_rows(RESULTS / "given_up" / f"{effect.name}.csv")
            seeds = sorted({row["seed"] for row in rows})
            about = f"{claim.better} - {claim.worse}, {claim.measure}"
            here = difference(claim.found(rows))
            lines.append(table_row([effect.title, f"{seeds[0]} to {seeds[-1]}", here, about, claim.text]))
    return "\n".join(lines)


def _minutes(rows):
    """Processor time of all seeds."""
    return f"{sum(row.get('seconds', 0) for row in rows) / 60:.0f} min" if rows else "–"


def _anchor(title):
    kept = (c for c in title.lower() if c.isalnum() or c in " -")
    return "".join(kept).replace(" ", "-")


def _section(effect, rows):
    corpus = " CORPUS" if effect.corpus else ""
    seeds = len({row["seed"] for row in rows})
    processors = " and ".join(sorted({row["processor"] for row in rows}))
    wanted = len(effect.seeds)
    done = f"{seeds} of {wanted} seeds" if seeds < wanted else f"{seeds} seeds"
    ran = f"{done}, {_minutes(rows)} of processor time, {processors}" if rows else "not run yet"
    parts = [
        f"## {effect.title}",
        f"{effect.paper}. `python benchmarks/reproduce/{effect.name}.py{corpus}`: {ran}.",
        effect.notes,
        conditions(effect, rows),
        f"![{effect.plotted} by condition, each seed a dot]({PLOTS}/{effect.name}.png)" if rows else "",
        claims(effect, rows),
        effect.after(rows) if effect.after and rows else "",
        effect.reading,
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip())


def drawn(effect, rows):
    """Condition -> what a plot has of it, seed by seed."""
    found = {
        c: [r[effect.plotted] for r in rows if (r["condition"], effect.plotted in r) == (c, True)]
        for c in effect.conditions
    }
    return {condition: values for condition, values in found.items() if values}


def stamp(effect, rows):
    """What a plot of these rows, and of no others, is marked with."""
    return digest_of([effect.plotted, drawn(effect, rows)])


def plot(effect, rows, path):
    """Every seed a dot, means with their 95 % intervals, conditions from above in the order of the table."""
    try:
        import matplotlib
    except ImportError:
        raise AcdrefError("matplotlib is not installed: pip install acdref[plot]") from None

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = drawn(effect, rows)
    figure, axes = pyplot.subplots(figsize=(8, 0.8 + 0.34 * len(shown)))
    for place, values in enumerate(shown.values()):
        found = paired(values)
        axes.plot(values, [place] * len(values), "o", color="0.75", markersize=4, zorder=1)
        if found.n > 1:
            axes.errorbar(found.mean, place, xerr=found.half, fmt="D", color="C0", capsize=4, markersize=5)
    axes.set_yticks(range(len(shown)), list(shown))
    axes.invert_yaxis()
    axes.set_xlabel(f"{effect.plotted}: mean and 95 % interval; dots are seeds")
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.tight_layout()
    about = {"Software": None, "Source": stamp(effect, rows)}
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata=about)
    pyplot.close(figure)


def is_of(path, effect, rows):
    """Whether a plot is there, and of these rows."""
    return path.exists() and stamp(effect, rows).encode() in path.read_bytes()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page differs")
    given = parser.parse_args()
    results = {e: e.counted(read_rows(RESULTS / f"{e.name}.csv")) for e in in_order()}
    text = page(results)
    if given.check:
        current = all(is_of(RESULTS / f"{e.name}.png", e, rows) for e, rows in results.items() if rows)
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text or not current:
            sys.exit(f"{PAGE.name} is not what the results say: run {HERE.name}/page.py")
        return
    for effect, rows in results.items():
        if rows:
            plot(effect, rows, RESULTS / f"{effect.name}.png")
    write_text(PAGE, text)


if __name__ == "__main__":
    start(main)
