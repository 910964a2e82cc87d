"""How long `acdref demo` takes: the first time, when its kernels are compiled, again, and without Numba.

    python benchmarks/demo.py [--rounds 1] [--json FILE]

Of each, seconds from the start of the process to its end, seconds of processor time, and the mAP before and
after the training.  Each round runs every case once, in turns; medians over the rounds.  Without Numba it
does less, as it says.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe
from report import RESULTS, Table

ROOT = Path(__file__).parents[1]
CASES = {
    "first time, compiling": ("kernels", {}),
    "again": ("kernels", {}),
    "without Numba": ("none", {"NUMBA_DISABLE_JIT": "1"}),
}
"""Name -> folder of compiled kernels, which is new in each round, and variables of the environment."""

COLUMNS = {
    "acdref demo": "{case}",
    "seconds": "{seconds:.0f}",
    "processor": "{processor:.0f}",
    "mAP before": "{before:.3f}",
    "after": "{after:.3f}",
}


def run(cache, environment, folder):
    """What one run takes and finds."""
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    variables = {"ACDREF_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(
        [sys.executable, "-m", "acdref.cli", "demo"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
        cwd=folder,
    )
    if done.returncode:
        raise SystemExit(f"acdref demo ended with code {done.returncode}")
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    first, second = map(float, re.search(r"mAP +(\S+) +(\S+)", done.stdout).groups())
    return {"seconds": seconds, "processor": processor, "before": first, "after": second}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULTS / "demo.json")
    given = parser.parse_args()
    table = Table(COLUMNS, describe("acdref", "numpy", "numba", "soundfile"), rounds=given.rounds)
    found = {case: [] for case in CASES}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for case, (cache, environment) in CASES.items():
                found[case].append(run(Path(folder, cache), environment, folder))
    for case, rounds in found.items():
        table.add(case=case, **{name: statistics.median(row[name] for row in rounds) for name in rounds[0]})
    table.write(given.json)


if __name__ == "__main__":
    main()
