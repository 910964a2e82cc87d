"""Which rule helps at which noise: `acdref recipe what-if` over a grid of errors, on real recordings.

    python benchmarks/which_rule.py DATA [--work FOLDER] [--seeds 10]
    python benchmarks/which_rule.py --check

DATA has corpus/ and extra/, each with manifest.csv and folds.  The labels of corpus are the truth; fold 4 is
measured on.  The shipped weights have learned from these very labels, so that their embeddings would repair
what is missing; a network is trained on extra, of other sources, for the vectors.  What is finished in
--work (a file for each noise and seed) is not done again.  In the end the table of docs/which-rule.md is
written; --check says whether the page has that of the results.
"""

import argparse
import itertools
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

# One thread: to take all cores of a machine for long should be by choice (ACDREF_NUM_THREADS=2).
os.environ.setdefault("ACDREF_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", os.environ["ACDREF_NUM_THREADS"])

from machine import describe
from report import RESULTS, Table, markdown

from acdref.files import json_sha256, make_folder, sha256, write_text
from acdref.fit import Observer
from acdref.options.recipes import WhatIfOptions
from acdref.options.training import TrainOptions
from acdref.recipes import vectors
from acdref.recipes.parts import Data
from acdref.recipes.what_if import PERFECT, RAW, RULES, Lesson, compare, errors_of
from acdref.train import train

PAGE = Path(__file__).resolve().parents[1] / "docs" / "which-rule.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
MISSING, FALSE, FOLD = (0.1, 0.3, 0.5), (0.0, 0.02, 0.1), "4"
VECTORS = {"epochs": 5, "epoch_size": 2000, "fold": "1,2,3,4", "workers": 0}
"""How the network is trained on extra: all of it, with the default preset."""

SHORT = dict(
    zip(
        RULES,
        ("mask %", "correct %", "mean threshold", "FN", "FN+FP", "FN, mask", "FN+FP, mask"),
        strict=True,
    )
)
COLUMNS = {
    "missing": "{missing:.0%}",
    "false": "{false:.0%}",
    "labels missing, false": "{errors}",
    "raw mAP": "{raw:.3f}",
}
COLUMNS |= {title: f"{{{title}}}" for title in (*SHORT.values(), "perfect")}


def rows_of(data, x, options, number, path):
    """What :func:`errors_of` counts in a seed, and its rows of :meth:`Lesson.runs`, done once."""
    if not path.exists():
        lesson = Lesson.of([data.train, data.val], x, options, number)
        seed = options.seed + number
        noisy = lesson.with_errors(options, seed)
        rows = list(lesson.runs(noisy, options, seed))
        write_text(path, json.dumps([errors_of(lesson.truth, noisy), rows]) + "\n")
    return json.loads(path.read_text())


def _digest(options, weights):
    """What belongs to these options, but for how many seeds there are, and to these weights."""
    return json_sha256([asdict(replace(options, seeds=1)), weights])[:12]


def cell(found):
    """A gain as text; bold where its interval excludes 0."""
    text = f"{found['mean']:+.3f} ± {found['half']:.3f}"
    return f"**{text}**" if abs(found["mean"]) > found["half"] else text


def line(missing, false, errors, rows):
    """The table's row of a noise: of the seeds' errors, and of all their rows."""
    found = compare(rows)["conditions"]
    titles = SHORT | {PERFECT: "perfect"}
    gains = {title: cell(found[name]["mAP_gain"]) for name, title in titles.items()}
    missed, wrong = (sum(seed[name] for seed in errors) / len(errors) for name in ("missing", "false"))
    about = {"missing": missing, "false": false, "errors": f"{missed:.0f}, {wrong:.0f}"}
    return about | {"raw": found[RAW]["mAP"], **gains}


def with_table(page, result):
    """The page with the table of a result between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{markdown(result)}\n\n{END}{rest.split(END)[1]}"


def measure(given):
    """Do what is not done yet; returns the table."""
    extra = given.work / "extra"
    train(TrainOptions(str(given.data / "extra" / "manifest.csv"), **VECTORS), extra, resume=True)
    weights = str(extra / "best.npz")
    usual = WhatIfOptions(
        str(given.data / "corpus" / "manifest.csv"), weights=weights, val_fold=FOLD, seeds=given.seeds
    )
    data, folder = Data.named_by(usual), given.work / "vectors"
    make_folder(folder)
    vectors.stage("vectors", [data.train, data.val], weights).work(folder, {}, Observer())
    x = [vectors.read(folder, number) for number in (0, 1)]
    sizes = {"recordings": len(data.train), "held_out": len(data.val), "seeds": given.seeds}
    table = Table(COLUMNS, describe("acdref", "numpy", "numba", "soundfile"), **sizes)
    for missing, false in itertools.product(MISSING, FALSE):
        options, errors, rows = replace(usual, missing=(missing,), false=false), [], []
        for number in range(given.seeds):
            path = given.work / f"{_digest(options, sha256(weights))}-{number}.json"
            counts, own = rows_of(data, x, options, number, path)
            errors, rows = [*errors, counts], rows + own
        table.add(**line(missing, false, errors, rows))
    return table


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--work", type=Path, default=Path("which-rule"), help="[%(default)s]")
    parser.add_argument("--seeds", type=int, default=10, help="[%(default)s]")
    parser.add_argument("--json", type=Path, default=RESULTS / "which_rule.json")
    parser.add_argument("--check", action="store_true", help="only compare the page with the results")
    given = parser.parse_args()
    if not given.check:
        if given.data is None:
            parser.error("DATA is needed")
        measure(given).write(given.json)
    page = PAGE.read_text(encoding="utf-8")
    wanted = with_table(page, json.loads(given.json.read_text()))
    if given.check and page != wanted:
        sys.exit(f"{PAGE.name} has not the table of {given.json.name}: run this again without --check")
    write_text(PAGE, wanted)


if __name__ == "__main__":
    main()
