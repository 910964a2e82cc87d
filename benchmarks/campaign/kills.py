"""Jobs killed at any moment: by SIGKILL, SIGTERM, SIGHUP, and by a power cut.

The same command is then given again; its files must equal those of an undisturbed run in every bit, and
nothing else may be left.  After a power cut a job may begin anew, but not end otherwise.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import power
from files import RUN, Files
from running import Finding, Program, program, wrong

MANY = 24  # recordings
LONG = 20000  # rows of a table
NUMBER = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "hup": signal.SIGHUP, "power": signal.SIGKILL}
TIMEOUT = 300


@dataclass
class Job:
    """A command that writes into the working folder, and how often it is killed, beside others."""

    name: str
    words: str
    share: int = 1


_TINY = "--init tiny.npz --epochs 1 --threads 1"
_RUN = "--init tiny.npz " + " ".join(RUN)
JOBS = [
    Job("train", f"train many.csv --out run {_RUN} --epochs 4 --epoch-size 6", 4),
    Job("predict --scores", "predict --backend numpy --weights tiny.npz many.csv --scores made.npz", 4),
    Job("predict --out", "predict --backend numpy --weights tiny.npz --out made.jsonl many", 2),
    Job("teach", "teach clap many.csv --prompts prompts.txt --out made.npz --labels made.csv", 4),
    Job("relabel", "relabel long.csv --scores long-scores.csv --correct --out made.csv", 2),
    Job("evaluate", "evaluate many.csv --backend numpy --weights tiny.npz --json", 1),
    Job("self-correct", f"recipe self-correct many.csv --out r {_RUN}", 3),
    Job("unlabelled", f"recipe unlabelled clap many --prompts prompts.txt --out r {_RUN[:-13]}", 2),
    Job("self-verify", f"recipe self-verify many.csv --out r {_TINY} --rounds 1 --constant 0 "
        "--tune-epochs 1 --tune-constant 0 --excerpts 1 --folds 2", 2),
    Job("strong", f"recipe strong many.csv --out r {_TINY} --part-epochs 1 --tune-epochs 1 "
        "--batch 8", 2),
    Job("pseudo-strong", f"recipe pseudo-strong many.csv --out r {_TINY} --annotator-epochs 1 --batch 30 "
        "--windows 2", 2),
]  # fmt: skip


def contents(folder):
    """sha256 of every file below a folder, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Kills:
    """The part of the campaign: a unit is a job that is killed once or twice."""

    name, size = "kills", 1

    def __init__(self, work, seed, names=None):
        self.work, self.seed = Path(work), seed
        files = Files(work, 0)
        files.program.close()
        self.good = files.good
        self.program = Program(work)
        chosen = [job for job in JOBS if not names or job.name in names]
        turns = range(max(job.share for job in JOBS))
        self.jobs = [job for turn in turns for job in chosen if turn < job.share]
        self.locks = {job.name: threading.Lock() for job in JOBS}
        self.right = {}
        self._make()
        for job in JOBS:
            if job in self.jobs:
                self._measure(job)

    def _make(self):
        many = self.good / "many"
        many.mkdir(exist_ok=True)
        rows, events = ["path,classes,fold,split,verified\n"], ["recording\tonset\toffset\tclass\n"]
        for i in range(MANY):
            shutil.copy(self.good / f"{i % 4}.wav", many / f"{i}.wav")
            tone, val = ("noise", "tone")[i % 2], i // 2 % 2
            rows.append(f"many/{i}.wav,{tone},{val + 1},{('train', 'val')[val]},{i // 4 % 2}\n")
            events.append(f"many/{i}.wav\t0.2\t{1 + i % 3}.5\t{tone}\n")
        (self.good / "many.csv").write_text("".join(rows))
        (self.good / "events.tsv").write_text("".join(events))
        rng = np.random.default_rng(0)
        labels, scores = ["path,classes\n"], ["path,noise,tone\n"]
        for i in range(LONG):
            labels.append(f"{i}.wav,{'tone' if i % 2 else 'noise'}\n")
            scores.append(f"{i}.wav,{rng.random():.3f},{rng.random():.3f}\n")
        (self.good / "long.csv").write_text("".join(labels))
        (self.good / "long-scores.csv").write_text("".join(scores))

    def words(self, job, out):
        """The command line, for the working folder `out`; a run that has begun is continued.

        What it writes has no path: no file knows the folder.
        """
        if job.name == "train" and (out / "run/config.json").exists():
            return ["train", "--out", "run", "--resume", "--workers", "0"]
        first, *words = job.words.split()
        return [first, *(str(self.good / word) if (self.good / word).exists() else word for word in words)]

    @contextlib.contextmanager
    def place(self, job):
        """Context in which a job has its folder, empty, for itself: runs keep their own paths."""
        with self.locks[job.name]:
            out = self.work / job.name.replace(" ", "")
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            yield out

    def _measure(self, job):
        """The files of an undisturbed run, and its seconds."""
        for _ in range(2):  # once to warm up
            with self.place(job) as out:
                outcome = self.program.run(self.words(job, out), cwd=out, timeout=TIMEOUT)
                made = contents(out)
        if outcome.code:
            raise SystemExit(f"{job.name}: {outcome.err}")
        self.right[job.name] = made, outcome.out, outcome.seconds

    def unit(self, number, size):
        """Kill job `number`; returns counts and findings, each a (Finding, number, bytes, ending)."""
        rng = np.random.default_rng((self.seed, 3, number))
        job = self.jobs[number % len(self.jobs)]
        how = str(rng.choice(["kill", "kill", "term", "hup", "power", "power"]))
        seconds = self.right[job.name][2]
        moments = [float(rng.uniform(0.15, 1)) * seconds for _ in range(int(rng.choice([1, 1, 2])))]
        found, killed = [], 0
        with self.place(job) as out:
            for moment in moments:
                outcome = self._killed(job, out, how, moment, rng)
                killed += outcome.signal is not None or outcome.code == 130
                found += self._after(outcome, out, how)
            outcome = self.program.run(self.words(job, out), cwd=out, timeout=TIMEOUT)
            found += wrong(outcome, (0,))
            if not found:
                found += self._compared(job, out, outcome)
            if found:
                shutil.move(out, self.work / f"killed{number}")
        facts = {"job": job.name, "how": how, "moments": [round(moment / seconds, 3) for moment in moments]}
        for finding in found:
            finding.facts |= facts
        counts = Counter({job.name: 1, how: 1, "stopped": killed, "bit-equal": not found})
        return counts, [(finding, number, b"", "") for finding in found]

    def _killed(self, job, out, how, moment, rng):
        """Start the job, end it after so many seconds."""
        words = self.words(job, out)
        command, log = program(words), self.work / f"{out.name}-log"
        if how == "power":
            shutil.rmtree(log, ignore_errors=True)
            command = [sys.executable, str(Path(power.__file__)), str(log), *words]
        before = power.sizes_in(out)
        running = self.program.start(command, cwd=out)
        try:
            running[0].wait(moment)
        except Exception:  # it is still at work
            os.killpg(running[0].pid, NUMBER[how])
        started = time.monotonic()
        outcome = self.program.ended(running, TIMEOUT)
        outcome.seconds = time.monotonic() - started
        if how == "power":
            if outcome.code is None:
                power.fail(log, [out], rng, before)
            shutil.rmtree(log, ignore_errors=True)
        return outcome

    def _after(self, outcome, out, how):
        """What is wrong with how it ended: a signal that can be caught leaves no temporary file."""
        found = []
        if how in ("term", "hup"):
            number = NUMBER[how]
            if outcome.signal not in (None, number) or outcome.code not in (None, 0, 130, 128 + number):
                found.append(
                    Finding("exit code", f"{outcome.code}, signal {outcome.signal}: {outcome.err[-200:]}")
                )
            left = [name for name in contents(out) if name.endswith(".tmp")]
            if left:
                found.append(Finding("litter", " ".join(left)))
        if "Traceback" in outcome.err:
            found.append(Finding("traceback", outcome.err[-600:]))
        return found

    def _compared(self, job, out, outcome):
        right, printed, _ = self.right[job.name]
        now = contents(out)
        more = sorted(now.keys() - right.keys())
        other = sorted(name for name in right if now.get(name) != right[name])
        found = []
        if more:
            found.append(Finding("litter", " ".join(more)))
        if other:
            found.append(Finding("not bit-equal", f"{' '.join(other)}; {outcome.err.strip()[-200:]}"))
        elif not right and outcome.out != printed:
            found.append(Finding("not bit-equal", "stdout"))
        return found

    def facts(self):
        """What is the same for all units."""
        return {"seconds": {name: round(right[2], 1) for name, right in self.right.items()}}
