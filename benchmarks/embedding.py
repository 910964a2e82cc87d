"""Race the program in C (conformance/c) against acdref on a 10 s clip, with one thread.

    python benchmarks/embedding.py [--rounds 7] [--only NAME,...] [--json FILE]

The C sources are compiled with the flags of their Makefile, as a library that a process of Python calls; all
contenders have the shipped weights and must agree.  "features" goes from 16 kHz samples to the compressed
spectrogram, "network" from that to probabilities.  Each round gives every contender a turn in its own process
while the others wait; median, least and most are over the rounds, and so is how many times as long it took as
acdref with Numba in the same round.  Needs make and a C compiler.
"""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import turns
from machine import describe
from networks import shipped, waveforms
from report import Table

SOURCES = turns.ROOT / "conformance" / "c"
PARTS = ["features", "network"]
TOLERANCE = 1e-4  # relative to the largest


def acdref(backend):
    def make(case):
        if backend == "numba":
            turns.need("numba")
        from acdref.features.compressed import features
        from acdref.ops.threads import set_threads

        set_threads(case["threads"])
        net, _ = shipped(backend)
        audio = waveforms(1)
        x = features(audio)
        calls = {"features": lambda: features(audio), "network": lambda: net.predict_proba(x)}
        return _checked(calls[case["part"]])

    return make


def program(case):
    with tempfile.TemporaryDirectory() as temporary:
        library = ctypes.CDLL(str(_compiled(Path(temporary))))
        net = _loaded(library, Path(temporary))
    audio = np.ascontiguousarray(waveforms(1)[0])
    frames = library.acdnet_frames(ctypes.c_size_t(audio.size))
    x = np.empty((frames, 257, 2), np.float32)
    probabilities = np.empty(library.acdnet_classes(net), np.float32)
    error = ctypes.create_string_buffer(1024)

    def transform():
        library.acdnet_features(_pointer(audio), ctypes.c_size_t(audio.size), _pointer(x))
        return x

    def predict():
        library.acdnet_probabilities(
            net, _pointer(x), ctypes.c_size_t(frames), _pointer(probabilities), error
        )
        return probabilities

    transform()
    return _checked({"features": transform, "network": predict}[case["part"]])


def _pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def _compiled(folder):
    if not (shutil.which("make") and shutil.which("cc")):
        raise turns.Skipped("there is no make or no cc")
    path = folder / "acdnet.so"
    subprocess.run(["make", "-s", "-C", SOURCES, f"LIBRARY={path}", path], check=True)
    return path


def _loaded(library, folder):
    """The shipped weights, one file for each parameter, read by the library."""
    net, _ = shipped("numpy")
    for name, value in (net.params | net.state).items():
        np.save(folder / f"{name}.npy", np.asarray(value, np.float32))
    error = ctypes.create_string_buffer(1024)
    library.acdnet_load.restype = ctypes.c_void_p
    loaded = library.acdnet_load(str(folder).encode(), error)
    if not loaded:
        raise turns.Skipped(error.value.decode())
    return ctypes.c_void_p(loaded)


def _checked(call):
    return call, lambda: np.asarray(call()).ravel()[:: 101 if call().size > 1000 else 1].tolist()


CONTENDERS = {"acdref": acdref("numba"), "acdref NumPy": acdref("numpy"), "C": program}
COLUMNS = {
    "a 10 s clip": "{contender}",
    "part": "{part}",
    "threads": "{threads}",
    "median ms": "{median:.1f}",
    "least": "{least:.1f}",
    "most": "{most:.1f}",
    "times acdref": "{ratio:.2f}",
}


def main():
    parser = turns.parser(__doc__, CONTENDERS, "embedding.json")
    arguments = parser.parse_args()
    table = Table(
        COLUMNS,
        describe("acdref", "numpy", "numba"),
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        compiler=subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout.splitlines()[0],
    )
    workers = turns.start(__file__, arguments.only, 1)
    try:
        for part in PARTS:
            for row in turns.rows(workers, {"threads": 1, "part": part}, arguments, TOLERANCE):
                table.add(**row)
    finally:
        turns.close(workers)
    table.write(arguments.json)


if __name__ == "__main__":
    turns.main(CONTENDERS, main)
