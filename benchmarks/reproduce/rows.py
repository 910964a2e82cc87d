"""Experiments whose runs make several rows each: their command line, and the results as a CSV file."""

import argparse
import csv
import json
import time
from pathlib import Path

from acdref.errors import AcdrefError
from acdref.files import write_table, write_text


class Rows:
    """The rows of a results file.

    Parameters
    ----------
    path : Path
    setting : str
        What all rows must have in common; the column ``setting``.
    """

    def __init__(self, path, setting):
        self.path, self.setting = path, setting
        self.rows = _read(path)
        for row in self.rows:
            if row["setting"] != setting:
                cause = f"has runs with the setting {row['setting']!r}, not {setting!r}"
                raise AcdrefError(f"{path}: {cause}; choose another folder (--results, --work)")

    def has(self, **wanted):
        """Whether there is a row with these values."""
        return any(all(row.get(name) == value for name, value in wanted.items()) for row in self.rows)

    def add(self, rows, **more):
        """Append the rows of one run, with more columns; returns them as they stand in the file."""
        added = [row | more | {"setting": self.setting} for row in rows]
        added = [{k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} for row in added]
        self.rows += added
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_table(self.path, columns, [[row.get(name, "") for name in columns] for row in self.rows])
        return added


def _read(path):
    """Rows of a results file, numbers as numbers; none if there is no such file."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: _number(text) for name, text in row.items() if text != ""} for row in rows]


def _number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def seeds(text):
    """Of a command line, "0,1,2"; argparse names this function if it is none."""
    return tuple(int(number) for number in text.split(","))


def reproduce(text, name, setting, run, table, corpus=True):
    """Run an experiment as the command line says, and write its rows and table.

    Parameters
    ----------
    text : str
        What ``--help`` says.
    name : str
        Of the results' files.
    setting : dict
        What all rows must have in common.
    run : callable
        From the command line's arguments, a seed and a folder to the rows of that seed, all of which are
        added when the last is there.
    table : callable
        From rows to Markdown.
    corpus : bool
        Whether it needs recordings: a corpus with folds, one of which is measured on.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if corpus:
        parser.add_argument("corpus", help="manifest with folds, or its folder")
        parser.add_argument("--fold", default="4", help="whose recordings to measure on [%(default)s]")
    parser.add_argument("--work", default="reproduce", help="folder of sounds and runs [%(default)s]")
    parser.add_argument(
        "--results", default=Path(__file__).parent / "results", help="folder of CSV and table"
    )
    parser.add_argument("--seeds", type=seeds, default=(0, 1, 2), metavar="A,B,...", help="[0,1,2]")
    given = parser.parse_args()
    if corpus:
        setting = setting | {"fold": given.fold}
    rows = Rows(Path(given.results) / f"{name}.csv", json.dumps(setting))
    for seed in given.seeds:
        if not rows.has(seed=seed):
            worked = time.process_time()
            found = list(run(given, seed, Path(given.work) / name / str(seed)))
            for row in rows.add(found, processor_seconds=time.process_time() - worked):
                print(", ".join(f"{name} {value}" for name, value in list(row.items())[:9]), flush=True)
    print(f"\n{table(rows.rows)}")
    write_text(rows.path.with_suffix(".md"), table(rows.rows) + "\n")
