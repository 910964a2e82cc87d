"""Peak resident memory of `acdref predict` on recordings of several lengths, and of training.

    python benchmarks/memory.py [--hours 0.01,1,10] [--threads 2] [--json FILE]

The recordings are faint noise, made for the purpose, in a temporary FLAC file.  Each case is a process of its
own; what counts is all of it, libraries and compiled code included.  Prediction is measured with NumPy and
with "auto", kernels compiled, and once with Numba as it compiles; training at batches of 1 and 8, which says
what a clip costs.
"""

import argparse
import os
import runpy
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import turns
from machine import describe
from report import RESULTS, Table

COLUMNS = {
    "peak memory": "{case}",
    "sound": "{sound}",
    "threads": "{threads}",
    "MB": "{peak_mb:.0f}",
    "seconds": "{seconds:.1f}",
}
_CHILD = "--child"


def child():
    """Run `acdref` with the arguments after --child; its peak memory is the last line of stderr."""
    sys.argv = ["acdref", *sys.argv[2:]]
    try:
        runpy.run_module("acdref.cli", run_name="__main__")
    finally:
        print(turns.peak_memory(), file=sys.stderr)


def predict(path, backend, threads, cache):
    """Peak bytes and seconds of `acdref predict`, with its compiled kernels in the folder `cache`."""
    command = ["predict", "--format", "csv", "--backend", backend, "--threads", str(threads), str(path)]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, _CHILD, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(turns.ROOT), "ACDREF_CACHE_DIR": str(cache)},
    )
    return int(done.stderr.splitlines()[-1]), time.perf_counter() - start


def write_recording(path, hours):
    """Faint noise at 16 kHz, written in a process of its own, so that this one stays small."""
    code = """if True:
        import sys
        import numpy as np
        import soundfile
        minutes = round(60 * float(sys.argv[2]))
        rng = np.random.default_rng(0)
        with soundfile.SoundFile(sys.argv[1], "w", 16_000, 1, "PCM_16", format="FLAC") as file:
            for _ in range(max(1, minutes)):
                file.write(rng.integers(-2, 3, 16_000 * 60).astype(np.int16))
    """
    subprocess.run([sys.executable, "-c", code, str(path), str(hours)], check=True)


def train(batch, threads):
    """Peak bytes, and seconds of a step: acdref's contender in benchmarks/training.py."""
    worker = turns.Worker(str(Path(__file__).with_name("training.py")), "acdref", threads)
    try:
        worker.prepare({"batch": batch, "threads": threads})
        seconds = min(worker.turn(1.0))
        return worker.peak_memory(), seconds
    finally:
        worker.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    hours = {"type": lambda text: [float(word) for word in text.split(",")], "default": [0.01, 1, 10]}
    parser.add_argument("--hours", **hours)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "memory.json")
    arguments = parser.parse_args()
    threads = arguments.threads
    table = Table(COLUMNS, describe("acdref", "numpy", "numba", "soundfile"))

    def add(case, sound, peak, seconds):
        table.add(case=case, sound=sound, threads=threads, peak_mb=peak / 1e6, seconds=seconds)

    with tempfile.TemporaryDirectory() as folder:
        for hours in arguments.hours:
            path = Path(folder) / "noise.flac"
            write_recording(path, hours)
            sound = f"{hours:g} h"
            if not (cache := Path(folder) / "kernels").exists() and find_spec("numba") is not None:
                add("predict --backend numba, compiling", sound, *predict(path, "numba", threads, cache))
            for backend in ("auto", "numpy"):
                add(f"predict --backend {backend}", sound, *predict(path, backend, threads, cache))
    peaks = {}
    for batch in (1, 8):
        try:
            peaks[batch], seconds = train(batch, threads)
        except turns.Skipped as error:
            print(f"training is left out: {error}", file=sys.stderr)
            break
        add(f"training, batch {batch}", f"{10 * batch} s", peaks[batch], seconds)
    if len(peaks) == 2:
        add("training, each further clip", "10 s", (peaks[8] - peaks[1]) / 7, None)
    table.write(arguments.json)


if __name__ == "__main__":
    child() if sys.argv[1:2] == [_CHILD] else main()
