"""An effect of a paper, shown or not: runs that are done once, their rows, and what they say of each claim.

Each of the scripts beside this file is an :class:`Effect`: a setting, seeds and claims that were fixed before
the first run that counts, and a function from a seed to rows, one for each condition.  The rows of a finished
seed are in ``results/NAME.csv`` and are not done again, so that a script may be stopped at any time.
"""

import argparse
import csv
import functools
import importlib
import inspect
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

# One thread a process: two processes are twice as fast, and a run's bits do not depend on it.
os.environ.setdefault("ACDREF_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from acdref.errors import AcdrefError
from acdref.files import json_sha256, make_folder, write_table
from acdref.metrics import Paired, paired
from acdref.ops.memory import keep_freed_memory

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
COMMON = ("condition", "seed")
ABOUT_THE_RUN = ("seconds", "processor", "setting")


@dataclass(frozen=True)
class Claim:
    """That one condition beats another.

    Attributes
    ----------
    text : str
        What the paper says, in words.
    better, worse : str
        Conditions.
    measure : str
        A column, of which more is better.
    paper : str
        The paper's own figures, or "" where it prints none.
    over : tuple of str
        Columns, each of which gives a difference for each seed, in place of `measure`.
    """

    text: str
    better: str
    worse: str
    measure: str = "mAP"
    paper: str = ""
    over: tuple[str, ...] = ()

    def differences(self, rows: list[dict]) -> list[float]:
        """Better minus worse, seed by seed, of each column."""
        found = []
        for measure in self.over or (self.measure,):
            better, worse = (_by_seed(rows, name, measure) for name in (self.better, self.worse))
            found += [better[seed] - worse[seed] for seed in sorted(better.keys() & worse.keys())]
        return found

    def found(self, rows: list[dict]) -> Paired | None:
        """The mean difference with its interval; None if there is none."""
        differences = self.differences(rows)
        return paired(differences) if differences else None

    def verdict(self, rows: list[dict]) -> str:
        """ "shown", "the opposite", or "not shown"; "not run" without two seeds."""
        found = self.found(rows)
        if found is None or found.n < 2:
            return "not run"
        if not found.shown:
            return "not shown"
        return "shown" if found.mean > 0 else "the opposite"


def _by_seed(rows, condition, measure):
    return {row["seed"]: row[measure] for row in rows if row["condition"] == condition and measure in row}


@dataclass(frozen=True, eq=False)
class Effect:
    """What a script shows.

    Attributes
    ----------
    name : str
        Of the script and of its results.
    title : str
    paper : str
        Where the paper says it.
    about : str
        What ``--help`` says.
    setting : dict
        All sizes of a run.
    quick : dict
        What of the setting is smaller in a trial of a few seconds.
    seeds : range
        Of the runs that count.
    run : callable
        ``run(setting, seed, place)`` yields rows with at least ``condition`` and the measures; see
        :class:`Place`.
    claims : tuple of Claim
    conditions : tuple of str
        In the order of the table.
    measures : tuple of str
        Columns of the table.
    plotted : str
        The measure of the plot.
    part_of : str
        The name of the effect that this is another experiment on, if it is one.
    corpus : bool
        Whether it needs real recordings.
    after : callable, optional
        From rows to more Markdown, behind the table.
    given_up : Claim, optional
        What the rows of an earlier setting say, in ``results/given_up/NAME.csv``; its text says why it was
        given up.
    notes, reading : str
        On the page: setting and bounds before the table, and what it comes to behind it.  Markdown.
    """

    name: str
    title: str
    paper: str
    about: str
    setting: dict
    quick: dict
    seeds: range
    run: Callable
    claims: tuple[Claim, ...]
    conditions: tuple[str, ...]
    measures: tuple[str, ...] = ("mAP",)
    plotted: str = "mAP"
    part_of: str = ""
    corpus: bool = False
    after: Callable | None = None
    given_up: Claim | None = None
    notes: str = ""
    reading: str = ""

    def counted(self, rows: list[dict]) -> list[dict]:
        """The rows of the seeds that count."""
        return [row for row in rows if row["seed"] in self.seeds]

    def verdict(self, claim: Claim, rows: list[dict]) -> str:
        """What :meth:`Claim.verdict` says; "running" before all seeds are there."""
        there = {row["seed"] for row in rows}
        return "running" if there and there < set(self.seeds) else claim.verdict(rows)

    def size(self, quick: bool) -> dict:
        """The setting of the runs that count, or of a trial."""
        return self.setting | self.quick if quick else self.setting


@dataclass(frozen=True)
class Place:
    """Where a run finds what it needs: a folder of sounds that are made once, and the corpus, if any."""

    work: Path
    corpus: Path | None = None

    def kept(self, name: str, make: Callable, **what) -> dict:
        """Arrays that ``make(**what)`` gives by name: computed once, and read from the folder after that."""
        made_by = inspect.getsource(make), (HERE / "sounds.py").read_text(encoding="utf-8")
        digest = digest_of([name, made_by, {key: str(value) for key, value in what.items()}])
        path = self.work / f"{name}-{digest}.npz"
        if not path.exists():
            make_folder(self.work)
            temporary = path.with_suffix(f".{os.getpid()}")  # two processes may make the same
            with open(temporary, "wb") as file:
                np.savez(file, **make(**what))
            os.replace(temporary, path)
        with np.load(path) as arrays:
            return dict(arrays)


class Rows:
    """The rows of a results file, which are all of one setting."""

    def __init__(self, path: Path, setting: dict):
        self.path, self.setting = path, digest_of(setting)
        self.rows = read_rows(path)
        if any(row["setting"] != self.setting for row in self.rows):
            raise AcdrefError(
                f"{path}: has runs of another setting; move it away, or choose another --results"
            )

    def has(self, seed: int) -> bool:
        return any(row["seed"] == seed for row in self.rows)

    def add(self, rows: list[dict]) -> None:
        """Add the rows of one seed; the file is in the order of the seeds, whichever was first."""
        rounded = [{k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
        self.rows = sorted([*self.rows, *rounded], key=lambda row: row["seed"])
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        names = [*COMMON, *(n for n in names if n not in COMMON + ABOUT_THE_RUN), *ABOUT_THE_RUN]
        make_folder(self.path.parent)
        write_table(self.path, names, [[row.get(name, "") for name in names] for row in self.rows])


def read_rows(path: Path) -> list[dict]:
    """Rows of a results file, numbers as numbers; none if there is no such file."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [{k: _number(k, v) for k, v in row.items() if v != ""} for row in csv.DictReader(file)]


def _number(name, text):
    for kind in (int, float) if name not in ("processor", "setting") else ():
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def digest_of(value) -> str:
    """Twelve hexadecimal digits that belong to a value as JSON."""
    return json_sha256(value)[:12]


@functools.cache
def _processor():
    """The processor, and the widest vectors that decide about the last bits of a sum."""
    sys.path.insert(0, str(HERE.parent))
    from machine import processor

    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return processor() + (" with AVX-512" if "avx512f" in flags else "")


def one_seed(name: str, seed: int, quick: bool, place: Place) -> list[dict]:
    """The rows of a seed of an effect, by its name: what a process does."""
    keep_freed_memory()
    effect = effect_of(name)
    started = time.process_time()
    rows = [row | {"seed": seed} for row in effect.run(effect.size(quick), seed, place)]
    about = {"processor": _processor(), "setting": digest_of(effect.size(quick))}
    rows = [about | row for row in rows]
    rows[0]["seconds"] = round(time.process_time() - started, 1)  # of the seed, so once
    return rows


def effect_of(name: str) -> Effect:
    """The effect that a script beside this file defines."""
    sys.path[:0] = [] if str(HERE) in sys.path else [str(HERE)]
    return importlib.import_module(name).EFFECT


def run(effects: list[Effect], given: argparse.Namespace) -> dict[str, Rows]:
    """Do what is not done of some effects, in so many processes; rows are written as seeds are finished."""
    if any(effect.corpus for effect in effects) and given.corpus is None:
        raise AcdrefError("CORPUS is missing: the folder of a corpus with folds")
    if given.jobs < 1:
        raise AcdrefError(f"--jobs {given.jobs}: at least 1 is needed")
    others = {seed for seed in given.seeds or () for effect in effects if seed not in effect.seeds}
    if others and not given.quick and Path(given.results) == RESULTS:
        raise AcdrefError(f"--seeds {min(others)}: not of the page's; name another folder with --results")
    place = Place(Path(given.work) / ("quick" if given.quick else "."), given.corpus and Path(given.corpus))
    results = place.work / "results" if given.quick else Path(given.results)
    tables = {e.name: Rows(results / f"{e.name}.csv", e.size(given.quick)) for e in effects}
    tasks = [
        (effect.name, seed)
        for effect in effects
        for seed in (given.seeds or effect.seeds[: 1 if given.quick else None])
        if not tables[effect.name].has(seed)
    ]
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn")) as pool:
        futures = {
            pool.submit(one_seed, name, seed, given.quick, place): (name, seed) for name, seed in tasks
        }
        try:
            for future in as_completed(futures):
                name, seed = futures[future]
                tables[name].add(future.result())
                print(f"{name}: seed {seed} done", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tables


def parser(text: str) -> argparse.ArgumentParser:
    """The command line that all scripts have in common."""
    made = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument(
        "corpus", nargs="?", help="folder of a corpus with folds, where real recordings are needed"
    )
    made.add_argument("--quick", action="store_true", help="one seed of a few seconds, to see that it works")
    made.add_argument("--jobs", type=int, default=1, help="processes at the same time [%(default)s]")
    made.add_argument("--seeds", type=seeds, metavar="A,B,...", help="[those of the page]")
    made.add_argument("--work", default="reproduce", help="folder of sounds made once [%(default)s]")
    made.add_argument("--results", default=RESULTS, help="folder of the rows")
    return made


def seeds(text: str) -> tuple[int, ...]:
    """Of a command line, "0,1,2"; argparse names this function if it is none."""
    return tuple(int(number) for number in text.split(","))


def main(name: str) -> None:
    """The script of an effect; what it cannot use becomes one line on stderr, and the exit code 1."""
    effect = effect_of(name)
    start(lambda: tell(effect, run([effect], parser(effect.about).parse_args())[name].rows))


def start(work: Callable) -> None:
    """Run a script's work; what it cannot use becomes one line on stderr, and the exit code 1."""
    try:
        work()
    except AcdrefError as error:
        sys.exit(f"error: {error}")


def tell(effect: Effect, rows: list[dict]) -> None:
    """Print the table and the verdicts."""
    from tables import claims, conditions

    print(f"{effect.title}\n\n{conditions(effect, rows)}\n\n{claims(effect, rows)}")
