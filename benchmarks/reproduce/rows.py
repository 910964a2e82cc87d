"""Experiments whose runs make several rows each: their command line, and the results as a CSV file."""

import argparse
import csv
import io
import json
import time
from pathlib import Path

from experiment import read_rows, seeds

from acdref.errors import AcdrefError
from acdref.files import write_text


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
        self.rows = read_rows(path)
        if any(row["setting"] != setting for row in self.rows):
            raise AcdrefError(f"{path}: has runs of another setting; choose another --results")

    def has(self, **wanted):
        """Whether there is a row with these values."""
        return any(all(row.get(name) == value for name, value in wanted.items()) for row in self.rows)

    def add(self, rows, **more):
        """Append the rows of one run, with more columns."""
        for row in rows:
            row = row | more | {"setting": self.setting}
            self.rows.append({name: round(v, 5) if isinstance(v, float) else v for name, v in row.items()})
            print(", ".join(f"{name} {value}" for name, value in list(self.rows[-1].items())[:9]), flush=True)
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, text.getvalue())


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
            rows.add(found, processor_seconds=time.process_time() - worked)
    print(f"\n{table(rows.rows)}")
    write_text(rows.path.with_suffix(".md"), table(rows.rows) + "\n")
