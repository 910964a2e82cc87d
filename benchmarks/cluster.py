"""Work shared by Dask: what kills change, what sharing costs, and whether memory grows.

    python benchmarks/cluster.py kills [--kills 20] [--recordings 400]
    python benchmarks/cluster.py overhead [--rounds 3] [--recordings 600]
    python benchmarks/cluster.py stub [--recordings 1000000] [--bare]

`kills` tags noise with two worker processes, of which one is killed every other second and another one
started, and compares the rows with those of one process.  `overhead` tags it by `predict --threads 2` and by
two workers of one thread that are there already, in turns, from the start of the process to its end, with the
processor time of all processes, which tells more on a busy machine.  `stub` sends names of recordings that
are not there to workers that answer at once: the time is that of client, scheduler and workers for their
book-keeping, on the cores of one machine; memory is the client's, in whose process the scheduler is, too, and
which writes Parquet in parts, or with --bare counts answers.  Results are in
results/cluster_*.json.
"""

import argparse
import csv
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table, spread
from turns import ROOT, peak_memory

sys.path.insert(0, str(ROOT / "tests"))

_VERSIONS = ("acdref", "numpy", "numba", "dask", "distributed", "pyarrow")


def command(*arguments):
    """`acdref predict`, with one backend."""
    return [sys.executable, "-m", "acdref", "predict", "--quiet", "--backend", "numba", *map(str, arguments)]


def predict(*arguments):
    """Seconds of the process."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command(*arguments), check=True, cwd=ROOT, env=environment)
    return time.perf_counter() - start


def corpus(folder, count, seconds=10):
    """So many recordings of noise."""
    import soundfile

    for i in range(count):
        sound = np.random.default_rng(i).standard_normal(16000 * seconds) * 0.1
        soundfile.write(f"{folder}/{i:06}.wav", sound, 16000)
    return folder


def kills(arguments):
    """Kill workers while they work."""
    from cluster_support import Processes, kill

    columns = {
        "recordings": "{recordings}", "workers killed": "{killed}", "rows": "{rows}", "twice": "{twice}",
        "never": "{never}", "the same bytes": "{same}", "s": "{seconds:.0f}",
    }  # fmt: skip
    table = Table(columns, describe(*_VERSIONS))
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder, Processes() as dask:
        sounds = Path(folder, "sounds")
        sounds.mkdir()
        corpus(sounds, arguments.recordings)
        one, many = Path(folder, "one.csv"), Path(folder, "many.csv")
        predict("--out", one, sounds)
        dask.schedule(failures=3)
        workers = [dask.work(), dask.work()]
        killed, begun = 0, time.perf_counter()
        how = ("--scheduler", dask.address, "--out", many, sounds)
        with subprocess.Popen(command(*how), cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}) as client:
            time.sleep(5)
            while client.poll() is None:
                time.sleep(draw.uniform(0.5, 3.5))
                if killed < arguments.kills and client.poll() is None:
                    at = draw.randrange(len(workers))
                    kill(workers[at])
                    workers[at] = dask.work()
                    killed += 1
        seconds = time.perf_counter() - begun
        with open(many, newline="") as file:
            paths = [row["path"] for row in csv.DictReader(file)]
        same = client.returncode == 0 and one.read_bytes() == many.read_bytes()
        never, twice = arguments.recordings - len(set(paths)), len(paths) - len(set(paths))
        table.add(
            recordings=arguments.recordings, killed=killed, rows=len(paths), twice=twice, never=never,
            same=same, seconds=seconds,
        )  # fmt: skip
    return table


def overhead(arguments):
    """Two threads of one process, and two workers, in turns."""
    from cluster_support import Processes

    columns = {
        "predict": "{case}", "recordings": "{recordings}", "median s": "{median:.2f}", "least": "{least:.2f}",
        "most": "{most:.2f}", "ratio": "{ratio:.3f}", "processor s": "{own:.2f}", "its ratio": "{share:.3f}",
    }  # fmt: skip
    table = Table(columns, describe(*_VERSIONS))
    with tempfile.TemporaryDirectory() as folder, Processes() as dask:
        sounds = Path(folder, "sounds")
        sounds.mkdir()
        corpus(sounds, arguments.recordings)
        dask.schedule()
        dask.work(), dask.work()
        out = ("--out", Path(folder, "out.csv"), sounds)
        cases = {"--threads 2": ("--threads", 2), "two workers of Dask": ("--scheduler", dask.address)}
        times, own = {case: [] for case in cases}, {case: [] for case in cases}
        for case in cases.values():  # files in memory, kernels loaded
            predict(*case, *out[:2], *sorted(sounds.iterdir())[:20])
        for _ in range(arguments.rounds):
            for case, how in cases.items():
                before = processor(dask)
                times[case].append(predict(*how, *out))
                own[case].append(processor(dask) - before)
        for case, seconds in times.items():
            table.add(
                case=case, recordings=arguments.recordings, ratio=ratio(times, case), **spread(seconds),
                own=statistics.median(own[case]), share=ratio(own, case),
            )  # fmt: skip
    return table


def processor(dask):
    """Seconds of processor time of the scheduler, the workers and all processes that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime + ended.ru_stime
    for process in (dask.scheduler, *dask.workers):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def ratio(values, case):
    """The median over the rounds, to the first case."""
    first = next(iter(values.values()))
    return statistics.median(a / b for a, b in zip(values[case], first, strict=True))


class Names(Sequence):
    """Names of recordings, which are made when they are asked for."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        if i >= self.count:
            raise IndexError
        return f"/archive/{i // 10000:04}/recording-{i:09}.flac"


def stub(options, data):
    """A job of workers: scores of a window of each recording, out of nothing."""
    rows = np.full((1, options["classes"]), 0.125, np.float32)

    def do(files):
        for _ in files:
            yield {"spans": [(0.0, 10.0)], "notes": [(), ()], "error": None}, rows

    return do


def stub_run(arguments):
    """Book-keeping for recordings whose scores cost nothing."""
    from acdref.cluster import Cluster, Task
    from acdref.predict import remote
    from acdref.predict.outputs import passed, window_parquet
    from acdref.predict.tagging import predict as tag

    columns = {
        "recordings": "{recordings}", "rows": "{written}", "s": "{seconds:.0f}",
        "ms a recording": "{each:.4f}", "client's processor, ms": "{own:.4f}",
        "client MB after a tenth": "{early_mb:.0f}", "client MB at most": "{peak_mb:.0f}",
    }  # fmt: skip
    table = Table(columns, describe(*_VERSIONS))
    names = [f"class {i}" for i in range(11)]
    remote.task_of = lambda net, window, hop: Task("cluster:stub", {"classes": 11}, bytes(1 << 20))
    with Cluster("local:2") as cluster, tempfile.TemporaryDirectory() as folder:

        class Net:
            far = partial(remote.score_far, cluster)

        early, done = 0, 0
        begun, own = time.perf_counter(), time.process_time()
        with window_parquet(f"{folder}/", names) as write:
            sent = Names(arguments.recordings)
            if arguments.bare:
                results = cluster.in_order(remote.task_of(Net, 10, None), ((name, name) for name in sent))
            else:
                results = passed(tag(Net, sent), write)
            for _ in results:
                done += 1
                if done == arguments.recordings // 10:
                    early = peak_memory()
        seconds = time.perf_counter() - begun
        own = time.process_time() - own
        assert done == arguments.recordings
        table.add(
            recordings=done, written="counted" if arguments.bare else "Parquet", seconds=seconds,
            each=1e3 * seconds / done, own=1e3 * own / done, early_mb=early / 1e6,
            peak_mb=peak_memory() / 1e6,
        )  # fmt: skip
    return table


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = {"kills": (kills, 400), "overhead": (overhead, 600), "stub": (stub_run, 1_000_000)}
    parser.add_argument("what", choices=what)
    parser.add_argument("--recordings", type=int)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nobody is left behind
    run, usual = what[arguments.what]
    arguments.recordings = arguments.recordings or usual
    run(arguments).write(
        arguments.json or RESULTS / f"cluster_{arguments.what}{'_bare' * arguments.bare}.json"
    )


if __name__ == "__main__":
    main()
