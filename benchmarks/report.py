"""Tables of results: printed while a benchmark runs, kept as JSON, and turned into Markdown for the README.

    python benchmarks/report.py [FILE...] [--where threads=2 ...]

prints the tables of benchmarks/results/*.json, or of the files given, as Markdown; --where keeps the rows
with that value.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


class Table:
    """Rows of a benchmark.

    Parameters
    ----------
    columns : dict of str to str
        Header -> how a row's value is formatted, such as ``"{contender}"`` or ``"{median:.1f}"``.  A row that
        lacks the value, or has None, leaves the cell empty.
    machine : dict
        From :func:`machine.describe`.
    **settings
        What else the JSON file says about the run.
    """

    def __init__(self, columns, machine, **settings):
        self.head = {"machine": machine, **settings, "columns": columns}
        self.columns = columns
        self.rows = []

    def add(self, **row):
        """Print a row and keep it."""
        if not self.rows:
            print(_line(self.columns, self.columns), flush=True)
        self.rows.append(row)
        print(_line(self.columns, _cells(self.columns, row)), flush=True)

    def write(self, path):
        """Write all of it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.head | {"rows": self.rows}, indent=1) + "\n")


def spread(values):
    """Median, least and most, as entries of a row."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def markdown(result, where=()):
    """A result, read from its JSON file, as a Markdown table."""
    columns, rows = result["columns"], result["rows"]
    rows = [row for row in rows if all(str(row.get(key)) == value for key, value in where)]
    lines = [list(columns), ["---"] * len(columns), *(_cells(columns, row) for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cells(columns, row):
    cells = []
    for form in columns.values():
        try:
            cells.append(form.format(**row))
        except (KeyError, TypeError):  # not there, or None
            cells.append("")
    return cells


def _line(columns, cells):
    """Cells one below the other: the first to the left, the others to the right."""
    first, *others = zip(columns, cells, strict=True)
    return f"{first[1]:<42}" + "".join(f"{cell:>{max(len(header), 7) + 2}}" for header, cell in others)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE")
    arguments = parser.parse_args()
    where = [tuple(condition.split("=", 1)) for condition in arguments.where]
    for path in arguments.files or sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        if "columns" not in result:
            print(f"{path} is left out: it holds no table", file=sys.stderr)
            continue
        machine = result["machine"]
        versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items() if v)
        system = f"{machine['processor']}, {machine['cores']} cores, {machine['date'][:10]}"
        print(f"{path.stem}: {system}; {versions}")
        print(f"\n{markdown(result, where)}\n")


if __name__ == "__main__":
    main()
