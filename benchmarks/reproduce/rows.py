"""Results of runs that make several rows each: a CSV file, to which a run adds all of its rows at once."""

import csv
import io

from experiment import read_rows

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
