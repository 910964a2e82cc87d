"""Time `acdref` from the start of the process to its end: the help, and the tags of one recording.

    python benchmarks/startup.py [--rounds 7] [--json startup.json]

The minimal environment (NumPy, soundfile, click and acdref, nothing else) is made anew in a temporary folder.
Each round runs every case once, in turns.  Medians over the rounds, and their range; wall time in seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from machine import describe

ROOT = Path(__file__).parents[1]


def minimal_environment(folder):
    """Path of the Python of a fresh environment with acdref's core dependencies only."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    return python


def recordings(folder):
    """10 s of noise bursts, as 16 kHz mono and as 44.1 kHz stereo."""
    rng = np.random.default_rng(0)
    paths = []
    for sr, channels in ((16000, 1), (44100, 2)):
        x = 0.1 * rng.standard_normal((10 * sr, channels)) * (np.arange(10 * sr)[:, None] // sr % 2)
        paths.append(folder / f"{sr}.wav")
        soundfile.write(paths[-1], x, sr)
    return paths


def cases(minimal, mono, stereo, folder):
    """Name -> (command, whether the cache of compiled kernels is fresh)."""
    full = [sys.executable, "-m", "acdref.cli"]
    lean = [minimal, "-m", "acdref.cli"]
    compiled = [*full, "predict", "--backend", "numba", str(mono)]
    return {
        "acdref --help": ([*full, "--help"], False),
        "predict, NumPy, soundfile and click only": ([*lean, "predict", str(mono)], False),
        "the same, 44.1 kHz stereo": ([*lean, "predict", str(stereo)], False),
        "predict, all installed, first call ever": ([*full, "predict", str(mono)], True),
        "predict, all installed, kernels compiled": ([*full, "predict", str(mono)], False),
        "predict --backend numba, kernels compiled": (compiled, False),
        "predict --backend numba, compiling": (compiled, True),
    }


def run(command, cache, folder):
    """Wall time of a command."""
    environment = os.environ | {"ACDREF_CACHE_DIR": str(cache)}
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        mono, stereo = recordings(folder)
        minimal = minimal_environment(folder / "minimal")
        todo = cases(minimal, mono, stereo, folder)
        warm = folder / "warm"
        for command, _ in todo.values():  # bytecode and kernels are compiled before anything is timed
            run(command, warm, folder)
        times = {name: [] for name in todo}
        for i in range(arguments.rounds):
            for j, (name, (command, fresh)) in enumerate(todo.items()):
                times[name].append(run(command, folder / f"fresh{i}-{j}" if fresh else warm, folder))
    print(f"{'':<44} {'median':>8} {'least':>8} {'most':>8}  s")
    for name, seconds in times.items():
        print(f"{name:<44} {statistics.median(seconds):8.2f} {min(seconds):8.2f} {max(seconds):8.2f}")
    if arguments.json:
        result = {"machine": describe("numpy", "numba", "soundfile", "click"), "seconds": times}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
