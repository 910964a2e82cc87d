"""Sound through a pipe to `acdref predict --pcm`: how late rows come, at what cost, in what memory.

    python benchmarks/stream.py [--seconds 60] [--hours 1] [--threads 2] [--json FILE]

Noise at 48 kHz, stereo, 16 bits.  In real time it is written 10 ms at a time, as a sound card does, by a
clock that waits for nobody; a row's delay is the time from the end of its window on that clock until the row
can be read.  The share of a core is that between the first row and the last.  Windows of 10 s are heard for
two minutes at most.  Then hours of sound are written as fast as they are taken: memory after the first tenth,
and at its most.
"""

import argparse
import csv
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table, spread

ROOT = Path(__file__).resolve().parents[1]
RATE, CHANNELS = 48000, 2
SECOND = RATE * CHANNELS * 2  # bytes
COLUMNS = {
    "sound through a pipe": "{case}",
    "threads": "{threads}",
    "rows": "{rows}",
    "delay, median (s)": "{median:.2f}",
    "most (s)": "{most:.2f}",
    "share of a core": "{share:.1%}",
    "x real time": "{times:.0f}",
    "MB after a tenth": "{early_mb:.0f}",
    "MB at most": "{peak_mb:.0f}",
}


def start(threads, *arguments):
    """`acdref predict --pcm`, which reads from a pipe."""
    command = [sys.executable, "-m", "acdref", "predict", "--threads", str(threads), "--pcm", "s16le:48000:2"]
    return subprocess.Popen(
        [*command, "--format", "csv", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def noise(seconds):
    """Bytes of sound."""
    return np.random.default_rng(0).integers(-3000, 3000, (round(seconds * RATE), 2)).astype("<i2").tobytes()


def processor(pid):
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid, what):
    """Bytes of a process: VmRSS now, VmHWM at most."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if what in line)
    return int(line.split()[1]) * 1024


def live(seconds, window, hop, threads):
    """A row of the table: sound in real time."""
    sound = noise(seconds)
    with start(threads, "--window", str(window), "--hop", str(hop)) as process:
        began = time.perf_counter()

        def play():
            for i in range(0, len(sound), SECOND // 100):
                wait = began + i / SECOND + 0.01 - time.perf_counter()
                time.sleep(max(0.0, wait))
                process.stdin.write(sound[i : i + SECOND // 100])
                process.stdin.flush()

        player = threading.Thread(target=play)
        player.start()
        lines, seen = iter(process.stdout.readline, b""), []
        for row in csv.DictReader(line.decode() for line in lines):
            now = time.perf_counter() - began
            seen.append((now, processor(process.pid), now - float(row["end"])))
            if float(row["end"]) + hop > seconds - 0.5:  # the last waits for the end of the sound
                break
        player.join()
        process.communicate()
    (first, before, _), (last, after, _) = seen[0], seen[-1]
    case = f"real time, --window {window:g} --hop {hop:g}"
    share = (after - before) / (last - first)
    return {"case": case, "rows": len(seen), "share": share, **spread([delay for *_, delay in seen])}


def fast(hours, threads):
    """A row of the table: sound as fast as it is taken."""
    sound, minutes, early = noise(60), round(60 * hours), 0
    with start(threads) as process:
        rows = []
        reader = threading.Thread(target=lambda: rows.extend(process.stdout))
        reader.start()
        began = time.perf_counter()
        for minute in range(minutes):
            process.stdin.write(sound)
            if minute == minutes // 10:
                early = memory(process.pid, "VmRSS")
        process.stdin.flush()
        peak = memory(process.pid, "VmHWM")
        process.stdin.close()
        reader.join()
        passed = time.perf_counter() - began
    case = f"{hours:g} h as fast as possible"
    times = 60 * minutes / passed
    return {
        "case": case,
        "rows": len(rows) - 1,
        "times": times,
        "early_mb": early / 1e6,
        "peak_mb": peak / 1e6,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "stream.json")
    arguments = parser.parse_args()
    table = Table(COLUMNS, describe("acdref", "numpy", "numba", "soundfile"), seconds=arguments.seconds)
    threads = arguments.threads
    with start(threads) as process:  # compiles, where that has not happened
        process.communicate(noise(1))
    table.add(threads=threads, **live(arguments.seconds, 4, 1, threads))
    table.add(threads=threads, **live(min(arguments.seconds, 120), 10, 10, threads))
    table.add(threads=threads, **fast(arguments.hours, threads))
    table.write(arguments.json)


if __name__ == "__main__":
    main()
