"""Files per second of `acdref predict` over a folder of recordings, decoding included.

    python benchmarks/predict_corpus.py FOLDER [--rounds 3] [--threads 1,2] [--json FILE]

Each round tags the whole folder with every backend and number of threads, in turns, from the start of the
process to its end.  The folder is tagged once before anything is timed, so that its files are in memory and
the kernels compiled.  Medians over the rounds, and their range; "x real time" is how many seconds of sound
are tagged in a second.
"""

import argparse
import csv
import io
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from machine import describe
from report import RESULTS, Table, spread
from turns import ROOT, among, integers

COLUMNS = {
    "predict": "{case}",
    "threads": "{threads}",
    "files": "{files}",
    "median s": "{median:.2f}",
    "least": "{least:.2f}",
    "most": "{most:.2f}",
    "files/s": "{files_per_second:.1f}",
    "x real time": "{real_time:.0f}",
}


def predict(folder, backend, threads):
    """Seconds of the process, and its rows."""
    command = [sys.executable, "-m", "acdref.cli", "predict", "--format", "csv"]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--backend", backend, "--threads", str(threads), str(folder.resolve())],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 3):  # 3: some recordings could not be used
        raise SystemExit(f"acdref predict ended with code {done.returncode}")
    return seconds, list(csv.DictReader(io.StringIO(done.stdout)))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=integers, default=[1, 2])
    backends = ["numba", "auto", "numpy"]
    parser.add_argument("--backend", type=among(backends), default=backends)
    parser.add_argument("--json", type=Path, default=RESULTS / "predict_corpus.json")
    arguments = parser.parse_args()
    todo = [(backend, threads) for backend in arguments.backend for threads in arguments.threads]
    if find_spec("numba") is None:
        print("numba is left out: it is not installed", file=sys.stderr)
        todo = [case for case in todo if case[0] != "numba"]
    _, rows = predict(arguments.folder, *todo[0])
    rows = [row for row in rows if not row["error"]]
    files = len({row["path"] for row in rows})
    sound = sum(float(row["end"]) - float(row["start"]) for row in rows)
    times = {case: [] for case in todo}
    for _ in range(arguments.rounds):
        for case in todo:
            times[case].append(predict(arguments.folder, *case)[0])
    table = Table(COLUMNS, describe("acdref", "numpy", "numba", "soundfile"), sound_seconds=sound)
    for (backend, threads), seconds in times.items():
        median = statistics.median(seconds)
        table.add(
            case=f"--backend {backend}",
            threads=threads,
            files=files,
            **spread(seconds),
            files_per_second=files / median,
            real_time=sound / median,
            seconds=seconds,
        )
    table.write(arguments.json)


if __name__ == "__main__":
    main()
