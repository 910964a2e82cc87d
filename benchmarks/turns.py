"""Contenders that take turns: each in a process of its own, where it keeps what it has prepared.

Two thread pools in one process fight for the cores, and a machine is not as fast at every moment.  So every
contender lives in a process of its own, which waits on a pipe, without working, until it is asked; and a
round asks each of them once, one after the other.  What is compared are medians over the rounds, and ratios
of times from the same round.

A script that races its contenders says how each is made::

    def acdref(case):
        ...
        return call, check  # call() is timed; check() returns numbers that all contenders must agree on

    CONTENDERS = {"acdref": acdref, ...}
    if __name__ == "__main__":
        turns.main(CONTENDERS, main)

A contender whose library is not installed is skipped, with a line that says so.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

from report import RESULTS, spread

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.05  # s before each turn, in which the threads of the one before stop spinning
_WORKER = "--worker"


class Skipped(Exception):
    """A contender that cannot take part, and why."""


def need(module):
    """Import a module that a contender needs; where that fails the contender is skipped."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Skipped(f"{module} cannot be imported ({' '.join(str(error).split())})") from None


def main(contenders, race):
    """Race, or serve as the process of one contender: ``SCRIPT --worker NAME THREADS``."""
    if sys.argv[1:2] == [_WORKER]:
        name, threads = sys.argv[2:]
        _serve(contenders[name], int(threads))
    else:
        race()


class Worker:
    """The process of one contender.

    Parameters
    ----------
    script : str
        Path of the script whose `CONTENDERS` holds `name`.
    name : str
    threads : int
        For everything that computes in it.
    """

    def __init__(self, script, name, threads):
        self.name = name
        count = str(threads)
        variables = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ACDREF_NUM_THREADS"), count
        )
        path = os.pathsep.join(
            [str(ROOT), str(ROOT / "conformance/pytorch"), os.environ.get("PYTHONPATH", "")]
        )
        self._process = subprocess.Popen(
            [sys.executable, script, _WORKER, name, count],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | variables | {"PYTHONPATH": path.rstrip(os.pathsep)},
        )

    def prepare(self, case):
        """Make the contender ready for `case` (JSON-able); returns what its check gave, a list of numbers."""
        return self._ask("prepare", case)

    def turn(self, seconds):
        """Call it for about so many seconds (at least once): seconds of each call."""
        time.sleep(PAUSE)
        return self._ask("turn", seconds)

    def peak_memory(self):
        """Peak resident memory of the process so far, in bytes."""
        return self._ask("memory", None)

    def _ask(self, verb, argument):
        try:
            print(json.dumps([verb, argument]), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Skipped(f"its process ended with code {self._process.wait()}")
        state, answer = json.loads(line)
        if state == "skipped":
            raise Skipped(answer)
        return answer

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _serve(make, threads):
    """Answer requests on stdin, one JSON line each, until it is closed.

    Whatever libraries print goes to stderr, so that stdout holds answers only.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    call = None
    for line in sys.stdin:
        verb, argument = json.loads(line)
        try:
            if verb == "prepare":
                call = None  # what the case before kept can go
                call, check = make(argument | {"threads": threads})
                answer = check()
            elif verb == "turn":
                answer = _timed(call, argument)
            else:
                answer = peak_memory()
            state = "done"
        except Skipped as error:
            state, answer = "skipped", str(error)
        except Exception as error:
            traceback.print_exc()
            state, answer = "skipped", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        print(json.dumps([state, answer]), file=answers, flush=True)


def _timed(call, seconds):
    """Seconds of each of some calls, after one that brings caches and clock rate back."""
    call()
    times = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def peak_memory():
    """Peak resident memory of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss counts what the parent had when it forked
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def start(script, names, threads):
    """A worker for each contender, in a dict by name."""
    return {name: Worker(script, name, threads) for name in names}


def prepare(workers, case, tolerance):
    """Prepare every worker for `case`, one after the other; leave out those that cannot take part.

    Parameters
    ----------
    workers : dict of str to Worker
    case : dict
    tolerance : float
        How far the checks may be from the first contender's, relative to the largest of its numbers.

    Returns
    -------
    dict of str to Worker
        Those that take part.
    """
    ready, expected = {}, None
    for name, worker in workers.items():
        try:
            found = worker.prepare(case)
        except Skipped as error:
            print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
            continue
        if expected is None:
            expected = found
        error = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        if not error <= tolerance * max(map(abs, expected)):
            print(f"{name} is left out: its results differ by {error:.1e}", file=sys.stderr, flush=True)
            continue
        ready[name] = worker
    return ready


def race(workers, rounds, seconds, progress=""):
    """Median time of a call in each turn: dict of lists, by contender, one entry a round."""
    times = {name: [] for name in workers}
    for i in range(rounds if workers else 0):
        if sys.stderr.isatty():
            print(f"\r\033[K{progress} round {i + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        names = list(workers)
        for name in names[i % len(names) :] + names[: i % len(names)]:  # nobody always follows the same
            times[name].append(statistics.median(workers[name].turn(seconds)))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return times


def ratio(times, name, reference):
    """How many times as long `name` takes as `reference`: the median over the rounds; None without that."""
    if reference not in times:
        return None
    return statistics.median(a / b for a, b in zip(times[name], times[reference], strict=True))


def rows(workers, case, arguments, tolerance):
    """Race for a case, as :func:`parser`'s arguments say: a row of each contender that takes part."""
    times = race(prepare(workers, case, tolerance), arguments.rounds, arguments.seconds, str(case))
    for name in times:
        ms = [1000 * t for t in times[name]]
        yield {"contender": name, **case, **spread(ms), "ratio": ratio(times, name, "acdref"), "ms": ms}


def close(workers):
    """End all processes."""
    for worker in workers.values():
        worker.close()


def parser(description, contenders, result, seconds=0.3):
    """A command line with what races of contenders have in common; `result` is the name of the JSON file."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=seconds, help="length of a turn, at least one call")
    parser.add_argument("--only", type=among(contenders), default=list(contenders))
    parser.add_argument("--json", type=Path, default=RESULTS / result)
    return parser


def among(names):
    """Type of a command-line option: some of the names, separated by commas, in the order of `names`."""

    def parse(text):
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not among {', '.join(names)}")
        return [name for name in names if name in chosen]

    return parse


def integers(text):
    """Type of a command-line option: a list of integers, separated by commas."""
    return [int(word) for word in text.split(",")]
