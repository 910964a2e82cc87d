"""Processes that share a batch: what they cost on this machine, and what a model expects of many machines.

    python benchmarks/mpi.py [--rounds 8] [--seconds 120] [--clips 4] [--json FILE]

Measured: a training step of ACDnet (10 s clips, shipped weights, one AdamW step included) by one process with
one and two threads, and by 2, 3 and 4 processes with a thread each, all in turns, step by step; by two
processes that wait so many ms more at each exchange, as a slower network would have it; how often processes
tell each other something in a step, and how many bytes each receives.  What a process receives among 8 to 256
is counted by the same code, with nobody there.

The model: a step takes its clips' time, and for each exchange the latency and one message's overhead for each
other process, and the time that the bytes take:

    T = clips a process * clip + exchanges * (share * latency + (processes - 1) * message) + bytes / bandwidth

`clip` is the least time of a clip with two threads in `results/training.json`: each process has a machine of
two cores.  `share`, of a latency that a step really waits for, is fitted to the steps of two processes with
added latency.  Latency, bandwidth and `message` are assumptions about a network, and printed as such.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from machine import describe
from networks import shipped, waveforms
from report import RESULTS, Table

ROOT = Path(__file__).resolve().parents[1]
ADDED = (0.0, 3.0)  # ms at each exchange
NETWORKS = {"10 Gbit/s Ethernet": (30e-6, 1.25e9), "100 Gbit/s InfiniBand": (2e-6, 12.5e9)}
MESSAGE = 1e-6  # seconds to send or take one of many small messages
MANY, EACH = (8, 16, 32, 64, 128, 256), (1, 8)  # processes, and clips of each
OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


class Counted:
    """Processes of a job whose exchanges are counted, and come late."""

    def __init__(self, ranks, added=0.0):
        self._ranks, self.rank, self.size, self._added = ranks, ranks.rank, ranks.size, added
        self.exchanges = self.received = 0

    def gather(self, own, counts):
        return self._told(self._ranks.gather(own, counts), own)

    def swap(self, parts, counts):
        return self._told(self._ranks.swap(parts, counts), parts[self.rank])

    def _told(self, found, own):
        self.exchanges += 1
        self.received += found.nbytes - np.asarray(own).nbytes
        if self._added:
            time.sleep(self._added)
        return found


class Nobody:
    """Processes that are not there: what they say is zeros."""

    def __init__(self, size):
        self.rank, self.size = 0, size

    def gather(self, own, counts):
        return np.zeros((sum(counts), *own.shape[1:]), own.dtype)

    def swap(self, parts, counts):
        return np.zeros(sum(counts), parts[0].dtype)


def step_of(batch, clips, frames=624):
    """A function that takes a training step with this process's clips of a batch."""
    from acdref.features import features
    from acdref.losses import bce
    from acdref.ops.memory import keep_freed_memory
    from acdref.optim import AdamW

    keep_freed_memory()
    net, _ = shipped("numba")
    net.batch, own = batch, batch.own(clips)
    optimiser = AdamW(net.params, 1e-4)
    x = features(waveforms(min(clips, 16)))[np.arange(clips)[own] % 16, :frames]
    labels = (np.random.default_rng(2).random((clips, 11)) < 0.2).astype(np.float32)

    def step():
        logits, tape = net.forward(x, train=True)
        loss, dlogits = bce(labels, batch.gather(logits))
        optimiser.step(net.backward(tape, dlogits[own]))
        return loss

    return step


def work(clips, added):
    """One process of a contender: takes a step for each line on stdin, and the first says how it went."""
    from acdref.ops.batch import WHOLE
    from acdref.ranks import Share, launched

    ranks = launched()
    counted = None if ranks is None else Counted(ranks, added / 1e3)
    step = step_of(WHOLE if ranks is None else Share(counted, clips), clips)
    step()
    small = None if ranks is None else 1e6 * _small_exchange(ranks)
    if ranks is None or ranks.rank == 0:
        print("ready", flush=True)
    while _asked(ranks):
        before = (0, 0) if ranks is None else (counted.exchanges, counted.received)
        started, spent = time.perf_counter(), time.process_time()
        found = {"loss": step(), "ms": 1e3 * (time.perf_counter() - started), "small": small}
        cpu = np.array([time.process_time() - spent])
        if ranks is not None:
            found |= {"exchanges": counted.exchanges - before[0], "received": counted.received - before[1]}
            cpu = ranks.gather(cpu, [1] * ranks.size)
        if ranks is None or ranks.rank == 0:
            print(json.dumps(found | {"cpu": 1e3 * float(cpu.sum())}), flush=True)


def _asked(ranks):
    """Wait for a turn, without taking anything from whose turn it is; False after the last."""
    more = np.array([bool(sys.stdin.readline()) if ranks is None or ranks.rank == 0 else True])
    if ranks is None:
        return bool(more[0])
    waiting = ranks._comm.Ibarrier()
    while not waiting.Test():
        time.sleep(0.002)
    return bool(ranks.gather(more, [1] * ranks.size).all())


def _small_exchange(ranks):
    """Seconds of an exchange of a kilobyte, of many."""
    own = np.zeros(128)
    started = time.perf_counter()
    for _ in range(500):
        ranks.gather(own, [128] * ranks.size)
    return (time.perf_counter() - started) / 500


class Contender:
    """A job of some processes that takes a step when it is asked to."""

    def __init__(self, processes, threads, clips, added):
        command = [] if processes == 1 else ["mpiexec", "-n", str(processes)]
        command += [sys.executable, __file__, "--work", "--clips", str(clips), "--added", str(added)]
        more = OPEN_MPI | {"ACDREF_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._job, self.steps = subprocess.Popen(command, env=os.environ | more, **pipes), []
        self._job.stdout.readline()  # it is ready: start one after the other

    def step(self):
        print(file=self._job.stdin, flush=True)
        self.steps.append(json.loads(self._job.stdout.readline()))

    def close(self):
        self._job.stdin.close()
        self._job.wait()


def among(size, each):
    """Exchanges and received bytes of a step of the first of `size` processes with `each` clips."""
    from acdref.ranks import Share

    counted = Counted(Nobody(size))
    with np.errstate(all="ignore"):  # of zeros
        step_of(Share(counted, size * each), size * each, frames=130)()
    return counted.exchanges, counted.received


def measure(table, rounds, clips, seconds):
    """Let all contenders take a step in turns; medians by contender."""
    contenders = {
        "1 process, 2 threads": (1, 2, 0.0),
        "1 process, 1 thread": (1, 1, 0.0),
        **{f"{n} processes": (n, 1, 0.0) for n in (2, 3, 4)},
        **{f"2 processes, {added:g} ms later": (2, 1, added) for added in ADDED[1:]},
    }
    jobs = {name: Contender(n, threads, clips, added) for name, (n, threads, added) in contenders.items()}
    stop = time.monotonic() + seconds
    for turn in range(rounds + 1):
        if turn > 2 and time.monotonic() > stop:
            break
        for job in jobs.values() if turn % 2 else reversed(jobs.values()):
            job.step()
    found = {name: job.steps[1:] for name, job in jobs.items()}  # the first may have waited for others' start
    for job in jobs.values():
        job.close()
    losses = [[step["loss"] for step in steps] for steps in found.values()]
    assert all(each == losses[0] for each in losses), "processes or threads have changed the loss"
    base = [step["ms"] for step in found["1 process, 2 threads"]]
    for name, steps in found.items():
        ms = [step["ms"] for step in steps]
        table.add(
            contender=name, clips=clips, ms=statistics.median(ms),
            speed=statistics.median(b / own for b, own in zip(base, ms, strict=True)),
            cpu=statistics.median(step["cpu"] for step in steps),
            exchanges=steps[0].get("exchanges", 0), received=steps[0].get("received", 0) / 1e6,
            small=steps[0]["small"], times=ms,
        )  # fmt: skip
    return {name: statistics.median(step["ms"] for step in steps) for name, steps in found.items()}


def expect(table, medians):
    """Add what the model expects of many processes on two networks; returns the fitted share."""
    exchanges = among(2, 1)[0]
    later = [medians["2 processes"], *(medians[f"2 processes, {added:g} ms later"] for added in ADDED[1:])]
    share = np.polyfit(ADDED, later, 1)[0] / exchanges
    clip = _clip()
    for each in EACH:
        counts = [(size, *among(size, each)) for size in MANY]
        for network, (latency, bandwidth) in NETWORKS.items():
            for size, exchanges, received in counts:
                told = exchanges * (share * latency + (size - 1) * MESSAGE) + received / bandwidth
                step = each * clip + told
                table.add(
                    contender=f"expected: {size} processes, {network}", clips=each * size, ms=1e3 * step,
                    exchanges=exchanges, received=received / 1e6, efficiency=100 * each * clip / step,
                )  # fmt: skip
    return share


def _clip():
    """Seconds of a clip in a step with two threads, the least of `training.json`: other work adds to it."""
    rows = json.loads((RESULTS / "training.json").read_text())["rows"]
    (row,) = (row for row in rows if (row["contender"], row["threads"]) == ("acdref", 2))
    return row["least"] / 1e3


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120.0, help="no more rounds after so many")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--json", type=Path, default=RESULTS / "mpi.json")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--added", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.clips, options.added)
        return
    columns = {
        "contender": "{contender}", "clips a step": "{clips}", "ms a step": "{ms:.0f}",
        "speed, of two threads": "{speed:.2f}", "ms of processors": "{cpu:.0f}",
        "exchanges": "{exchanges:.0f}", "MB received": "{received:.2f}", "us for 1 kB": "{small:.0f}",
        "efficiency, %": "{efficiency:.0f}",
    }  # fmt: skip
    table = Table(columns, describe(), rounds=options.rounds)
    medians = measure(table, options.rounds, options.clips, options.seconds)
    table.head["share of the added latency"] = expect(table, medians)
    table.write(options.json)


if __name__ == "__main__":
    main()
