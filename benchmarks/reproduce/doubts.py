"""Where a teacher and the labels that recordings came with disagree most, and what is known of these.

    python benchmarks/reproduce/doubts.py CORPUS [--count 100]

The teacher is that of table2_own.py with the seed 0.  ``results/doubts.csv`` gets the labels that it misses
most, in the order of its scores.  Its last two columns are filled in by hand, from what the sources'
documentation says of each recording ("yes", "no" or "open", and why), and kept when this is run again;
table2_own.py counts them.
"""

import argparse
from pathlib import Path

import numpy as np
from corpus import heard, recordings, taught
from effect import RESULTS, Place, read_rows, start
from table2_own import DOUBTS, SETTING

from acdref.files import write_table

COLUMNS = ("path", "class", "labels", "score", "documented", "why")


def doubts(place, count):
    """Path, class, labels and score of the pairs with the highest scores that have no label."""
    training, _ = recordings(place)
    p = heard(taught(training.sounds, training.y, training.y, 0, SETTING), training.sounds)
    missed = np.where(training.y == 0, p, -1)
    for pair in np.argsort(-missed, axis=None, kind="stable")[:count]:
        i, c = np.unravel_index(pair, missed.shape)
        own = (name for name, there in zip(training.classes, training.y[i], strict=True) if there == 1)
        yield training.paths[i], training.classes[c], ";".join(own), f"{p[i, c]:.3f}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("corpus", type=Path, help="folder of a corpus with folds")
    parser.add_argument("--count", type=int, default=100, help="[%(default)s]")
    parser.add_argument("--work", type=Path, default=Path("reproduce"), help="[%(default)s]")
    given = parser.parse_args()
    path = RESULTS / DOUBTS
    known = {(row["path"], row["class"]): row for row in read_rows(path)}
    rows = []
    for row in doubts(Place(given.work, given.corpus), given.count):
        before = known.get(row[:2], {})
        rows.append([*row, before.get("documented", ""), before.get("why", "")])
    write_table(path, COLUMNS, rows)


if __name__ == "__main__":
    start(main)
