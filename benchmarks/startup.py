"""Time from the start of a process to the tags of one 10 s recording: `acdref`, onnxruntime and PyTorch.

    python benchmarks/startup.py [--rounds 7] [--json FILE]

The time is that of the last line of output.  The minimal environment (NumPy, soundfile, click and acdref,
nothing else) is made anew in a temporary folder.  The rivals run benchmarks/first_tag.py, which imports what
the tags need and nothing else: onnxruntime the exported network with its front end, PyTorch its twin with
saved weights.  Everybody has the threads that it takes by default.  Each round runs every case once, in
turns.  Medians over the rounds, and their range; seconds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
from machine import describe
from report import RESULTS, Table, spread

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
        **rivals(mono, folder),
    }


def rivals(mono, folder):
    """The same for the rivals that are installed."""
    program = [sys.executable, str(Path(__file__).parent / "first_tag.py")]
    commands = {}
    for name, needed, prepare in (
        ("onnxruntime", ("onnx", "onnxruntime"), _write_model),
        ("torch", ("torch",), _write_state),
    ):
        missing = [module for module in needed if find_spec(module) is None]
        if missing:
            print(f"{name} is left out: {missing[0]} is not installed", file=sys.stderr)
            continue
        prepare(folder / name)
        commands[name] = ([*program, name, str(folder / name), str(mono)], False)
    return commands


def _write_model(path):
    subprocess.run(
        [sys.executable, "-m", "acdref.cli", "export", "--front-end", "--onnx", str(path)],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    )


def _write_state(path):
    """In a process of its own, which is gone, with torch's threads, when something is timed."""
    code = """if True:
        import sys
        import networks
        twin, torch = networks.twin("torch eager")
        torch.save(twin.state_dict(), sys.argv[1])
    """
    places = [Path(__file__).parent, ROOT, ROOT / "conformance/pytorch"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment)


def run(command, cache, folder):
    """Seconds from the start of a process to its last line of output."""
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        env=os.environ | {"ACDREF_CACHE_DIR": str(cache)},
        cwd=folder,
    ) as process:
        for _ in process.stdout:
            last = time.perf_counter()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with code {process.returncode}")
    return last - started


COLUMNS = {
    "start to tags": "{case}",
    "median s": "{median:.2f}",
    "least": "{least:.2f}",
    "most": "{most:.2f}",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=RESULTS / "startup.json")
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
                cache = folder / f"fresh{i}-{j}" if fresh else warm
                times[name].append(run(command, cache, folder))
    packages = ("acdref", "numpy", "numba", "soundfile", "click", "onnxruntime", "torch")
    table = Table(COLUMNS, describe(*packages), rounds=arguments.rounds)
    for name, seconds in times.items():
        table.add(case=name, **spread(seconds), seconds=seconds)
    table.write(arguments.json)


if __name__ == "__main__":
    main()
