"""Faults of the system, and inputs as one must expect them: each with what must hold."""

import contextlib
import ctypes
import json
import os
import resource
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
from kills import JOBS, Kills, contents
from running import Finding, Program, program, wrong
from sounds import rows

FAULTS = []
WRITERS = [job for job in JOBS if job.name in (
    "train", "predict --scores", "predict --out", "teach", "relabel", "self-correct")]  # fmt: skip
OFFSETS = (-0.1, -0.03, -0.01, -0.003, 0.003, 0.01, 0.03, 0.1)
TAG = ("predict", "--backend", "numpy", "--format", "jsonl")


def fault(*variants):
    """Decorator: a method that tries something, with each of some arguments, and yields what is wrong."""

    def register(method):
        FAULTS.extend((method, variant) for variant in variants or (None,))
        return method

    return register


def _limit(kind, value):
    return lambda: resource.setrlimit(kind, (value, value))


def _without_privileges():
    """That permissions count for root too: two capabilities leave the bounding set."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)


def _must(holds, kind, what):
    if not holds:
        yield Finding(kind, what)


class Faults:
    """The part of the campaign: a unit is one fault."""

    name, size = "faults", 1

    def __init__(self, work, seed, only=None):
        self.work, self.seed = Path(work), seed
        self.program = Program(work)
        self.kills = Kills(work, seed, [job.name for job in WRITERS])
        self.good = self.kills.good
        self.faults = [pair for pair in FAULTS if not only or pair[0].__name__ in only]
        self.tagged = self._tags(*sorted((self.good / "many").glob("?.wav"))).out

    def __len__(self):
        return len(self.faults)

    def unit(self, number, size):
        """Try one; returns counts and findings, each a (Finding, number, bytes, ending)."""
        method, variant = self.faults[number]
        with self._place(number, variant) as folder:
            found = list(method(self, folder, *(() if variant is None else (variant,))))
            folder.chmod(0o755)
        for finding in found:
            finding.facts |= {"fault": method.__name__, "of": getattr(variant, "name", repr(variant))}
        return Counter({"right": not found}), [(finding, number, b"", "") for finding in found]

    def _place(self, number, variant):
        """The folder of a fault; of one of a job, that job's."""
        if variant in WRITERS:
            return self.kills.place(variant)
        folder = self.work / f"fault{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return contextlib.nullcontext(folder)

    def facts(self):
        """What is the same for all units."""
        return {"faults": sorted({method.__name__ for method, _ in self.faults})}

    def _tags(self, *paths, **options):
        return self.program.run([*TAG, "--weights", self.good / "tiny.npz", *paths], **options)

    def _run(self, job, out, **options):
        return self.program.run(self.kills.words(job, out), cwd=out, timeout=120, **options)

    def _refused(self, outcome, words=()):
        """Exit code 1, with a message that has one of the words."""
        yield from wrong(outcome, (1,))
        told = outcome.err.strip().splitlines()
        yield from _must(
            told and any(word in told[-1] for word in words or told), "exit code", f"it says {told[-2:]}"
        )

    def _ends_right(self, job, out, outcome):
        """The files of an undisturbed run."""
        yield from wrong(outcome, (0,))
        yield from self.kills._compared(job, out, outcome)

    # Outputs

    @fault(*WRITERS)
    def disk_full(self, folder, job):
        """A message; nothing half-written; and with room again the same command ends right."""
        outcome = self._run(job, folder, before=_limit(resource.RLIMIT_FSIZE, 3000))
        yield from self._refused(outcome, ("large", "space"))
        yield from _must(not list(folder.rglob("*.tmp")), "litter", str(contents(folder)))
        yield from self._ends_right(job, folder, self._run(job, folder))

    @fault(*WRITERS)
    def read_only_folder(self, folder, job):
        """A message that names the place."""
        folder.chmod(0o555)
        outcome = self._run(job, folder, before=_without_privileges)
        yield from self._refused(outcome, ("ermission denied", str(folder)))
        yield from _must(not contents(folder), "litter", str(contents(folder)))

    @fault()
    def stdout_full(self, folder):
        """A message."""
        running = self.program.start(program([*TAG, "--weights", self.good / "tiny.npz", self.good / "many"]))
        self.program.ended(running)
        with open("/dev/full", "w") as full:
            words = program([*TAG, "--weights", self.good / "tiny.npz", self.good / "many"])
            done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, env=os.environ, text=True)
        yield from _must(done.returncode == 1 and "No space" in done.stderr, "exit code", f"{done}")
        yield from _must("Traceback" not in done.stderr, "traceback", done.stderr)

    @fault(*WRITERS)
    def two_runs_at_once(self, folder, job):
        """One of them does it, or both; the files are right."""
        running = [self.program.start(program(self.kills.words(job, folder)), cwd=folder) for _ in range(2)]
        outcomes = [self.program.ended(one, 120) for one in running]
        codes = sorted(str(outcome.code) for outcome in outcomes)
        yield from _must(codes in (["0", "0"], ["0", "1"]), "exit code", f"{codes}: {outcomes}")
        for outcome in outcomes:
            yield from wrong(outcome, (0, 1))
        yield from self.kills._compared(job, folder, outcomes[0])

    @fault("{0} --out {0}", "{0} {1} --out {0}", "{0} --out ./link.wav", "m.csv --scores m.csv",
           "many --out many/0.wav", "m.csv --scores many/0.wav", "{0} --out {0}.xyz")  # fmt: skip
    def output_is_an_input(self, folder, words):
        """Refused, and nothing changed."""
        shutil.copytree(self.good / "many", folder / "many")
        shutil.copy(self.good / "many.csv", folder / "m.csv")
        os.symlink("many/0.wav", folder / "link.wav")
        before = contents(folder)
        given = words.format("many/0.wav", "many/1.wav").split()
        outcome = self.program.run(["predict", "--weights", self.good / "tiny.npz", *given], cwd=folder)
        yield from wrong(outcome, (1, 2))
        yield from _must(contents(folder) == before, "silent loss", f"{given} changed files")

    @fault(
        "long.csv --scores s.csv --correct --out s.csv", "long.csv --scores s.csv --correct --out long.csv"
    )
    def relabel_onto_an_input(self, folder, words):
        """Refused, and nothing changed."""
        shutil.copy(self.good / "long.csv", folder / "long.csv")
        shutil.copy(self.good / "long-scores.csv", folder / "s.csv")
        before = contents(folder)
        outcome = self.program.run(["relabel", *words.split()], cwd=folder)
        yield from wrong(outcome, (1, 2) if "--out s.csv" in words else (0, 1, 2))
        yield from _must(outcome.code == 0 or contents(folder) == before, "silent loss", "an input changed")

    # Streams

    @fault("0", "1", "2", "012")
    def closed_streams(self, folder, numbers):
        """As with open ones."""

        def close():
            for number in numbers:
                os.close(int(number))

        paths = sorted((self.good / "many").glob("?.wav"))
        out = folder / "t.jsonl"
        words = [*TAG, "--weights", self.good / "tiny.npz", "--out", out, *paths]
        yield from wrong(self.program.run(words, before=close), (0,))
        yield from _must(
            out.exists() and out.read_bytes() == self.tagged, "silent loss", "not what it should be"
        )

    @fault("stdout", "stderr")
    def dead_pipes(self, folder, stream):
        """Without a reader of results the work ends with 0; without one of messages it goes on."""
        (folder / "a.wav").write_text("no sound")
        paths = [*sorted((self.good / "many").glob("*.wav")), folder / "a.wav"]
        reader, writer = os.pipe()
        os.close(reader)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: writer}
        words = program([*TAG, "--weights", self.good / "tiny.npz", folder / "a.wav", *paths])
        done = subprocess.run(words, env=self._environment(), timeout=60, **streams)
        os.close(writer)
        code = 3 if stream == "stderr" else 0
        yield from _must(
            done.returncode == code, "exit code", f"{done.returncode}, not {code}: {done.stderr}"
        )
        if stream == "stderr":
            yield from _must(len(rows(done.stdout)) == len(paths), "silent loss", "rows are missing")
        else:
            yield from _must(b"Traceback" not in done.stderr, "traceback", done.stderr.decode())

    def _environment(self):
        from running import environment

        return environment(self.work)

    # Resources

    @fault(12, 20, 40)
    def few_descriptors(self, folder, number):
        """All of it, or a message."""
        outcome = self._tags(self.good / "many", before=_limit(resource.RLIMIT_NOFILE, number))
        yield from wrong(outcome, (0,) if number >= 20 else (0, 1, 3))

    @fault(400, 700, 1000)
    def little_memory(self, folder, megabytes):
        """All of it, or a message."""
        soundfile.write(folder / "long.wav", np.zeros(8000 * 2400, np.int16), 8000)
        outcome = self._tags("--window", "2400", folder / "long.wav", timeout=90,
                             before=_limit(resource.RLIMIT_AS, megabytes << 20))  # fmt: skip
        yield from wrong(outcome, (0, 1))

    @fault("empty", "cut", "flip", "gone")
    def damaged_cache(self, folder, how):
        """Made anew, with a line at most."""
        cache, rng = folder / "cache", np.random.default_rng(self.seed)
        words = ["predict", "--backend", "numba", "--format", "jsonl", "--weights", self.good / "tiny.npz"]
        words.append(self.good / "many/0.wav")
        warm = self.work / "warm"
        right = self.program.run(words, timeout=200, ACDREF_CACHE_DIR=str(warm))
        yield from wrong(right, (0,))
        shutil.copytree(warm, cache)
        for path in sorted(path for path in cache.rglob("*") if path.is_file()):
            data = path.read_bytes()
            if rng.random() < 0.7 or not data:
                continue
            place = int(rng.integers(len(data)))
            flipped = data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]
            path.write_bytes({"empty": b"", "cut": data[:place], "flip": flipped}.get(how, data))
            if how == "gone":
                path.unlink()
        outcome = self.program.run(words, timeout=200, ACDREF_CACHE_DIR=str(cache))
        yield from wrong(outcome, (0,))
        yield from _must(outcome.out == right.out, "silent loss", "other tags")
        yield from _must(outcome.err.count("\n") <= 1, "exit code", f"many lines: {outcome.err[:300]}")

    @fault("ACDREF_CACHE_DIR=/proc/none", "HOME=/nonexistent", "TMPDIR=/nonexistent",
           "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0", "PYTHONUNBUFFERED=1", "NUMBA_DISABLE_JIT=1",
           "HOME=")  # fmt: skip
    def odd_environment(self, folder, variables):
        """As in any other."""
        paths = sorted((self.good / "many").glob("?.wav"))
        given = dict(pair.split("=") for pair in variables.split())
        outcome = self._tags(*paths, **given)
        yield from wrong(outcome, (0,), rows)
        yield from _must(outcome.out == self.tagged, "silent loss", "other tags")

    @fault()
    def folder_deleted(self, folder):
        """As in any other."""
        gone = folder / "gone"
        gone.mkdir()
        outcome = self._tags(
            *sorted((self.good / "many").glob("?.wav")), cwd=gone, before=lambda: os.rmdir(gone)
        )
        yield from wrong(outcome, (0,), rows)
        yield from _must(outcome.out == self.tagged, "silent loss", "other tags")

    @fault(4e9, 1.0)
    def clock(self, folder, time):
        """A job that was stopped is continued, whatever the files' times are."""
        job = next(job for job in WRITERS if job.name == "predict --scores")
        with self.kills.place(job) as folder:
            moment = 0.7 * self.kills.right[job.name][2]
            self.kills._killed(job, folder, "kill", moment, np.random.default_rng(0))
            for path in folder.iterdir():
                os.utime(path, (time, time))
            yield from self._ends_right(job, folder, self._run(job, folder))

    # Inputs

    @fault("é.wav", "a\nb.wav", " .wav", "-x.wav", "\udcff.wav", "x" * 250 + ".wav", "\x1b[2J.wav")
    def odd_names(self, folder, name):
        """A row under that name."""
        shutil.copy(self.good / "0.wav", folder / name)
        for variables in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
            outcome = self._tags(folder, **variables)
            yield from wrong(outcome, (0,), lambda text: text.decode("utf-8", "surrogateescape"))
            lines = outcome.out.decode("utf-8", "surrogateescape").splitlines()
            found = [json.loads(line)["path"].encode("utf-8", "surrogateescape") for line in lines]
            yield from _must(found == [os.fsencode(folder / name)], "silent loss", f"{found}")

    @fault("loop", "fifo", "device", "broken link", "linked folder")
    def odd_files(self, folder, kind):
        """No hang; what is no recording is named; a linked folder is followed."""
        shutil.copy(self.good / "0.wav", folder / "0.wav")
        source, extra = folder / "x.wav", 0
        if kind == "loop":
            os.symlink(folder, folder / "again")
        elif kind == "fifo":
            os.mkfifo(source)
        elif kind == "linked folder":
            os.symlink(self.good / "many", folder / "more")
            extra = len(list((self.good / "many").iterdir()))
        else:
            os.symlink("/dev/zero" if kind == "device" else "nowhere", source)
        outcome = self._tags(folder)
        yield from wrong(outcome, (0, 3), rows)
        count = sum("scores" in row for of in rows(outcome.out).values() for row in of)
        yield from _must(count == 1 + extra, "silent loss", f"{count} of {1 + extra} rows")
        if source.is_symlink() or source.exists():
            yield from _must(outcome.code == 3, "exit code", f"{outcome.code}: {outcome.err}")

    @fault(b"\0\1\2\xff/\n\0", b"", b"\xef\xbb\xbfa.wav\n", b"a.wav\r\n", b"a.wav", b"a.wav\0b.wav\0")
    def list_on_stdin(self, folder, text):
        """The recordings that are named; binary data are refused."""
        for name in ("a.wav", "b.wav"):
            shutil.copy(self.good / "0.wav", folder / name)
        (folder / "list").write_bytes(text)
        nul = ["-0"] if text.endswith(b"wav\0") else []
        with open(folder / "list", "rb") as stdin:
            outcome = self._tags(*nul, "-", stdin=stdin, cwd=folder)
        if b"wav" not in text:
            yield from wrong(outcome, (1, 2))
            return
        yield from wrong(outcome, (0,), rows)
        found = sorted(rows(outcome.out))
        yield from _must(found == ["a.wav", "b.wav"][: 1 + len(nul)], "silent loss", f"{found}")

    @fault("relabel FIFO --check", "relabel manifest.csv --scores FIFO --correct --out o",
           "relabel audioset.csv --ontology FIFO --expand --out o", "predict --weights FIFO 0.wav",
           "predict --scores o.npz FIFO", "evaluate FIFO")  # fmt: skip
    def fifo_as_a_file(self, folder, words):
        """No hang."""
        for name in ("manifest.csv", "audioset.csv", "0.wav"):
            shutil.copy(self.good / name, folder / name)
        os.mkfifo(folder / "FIFO")
        yield from wrong(self.program.run(words.split(), cwd=folder), (1, 2, 3))

    @fault()
    def offsets(self, folder):
        """The tags of the shipped weights, whatever constant is added to the sound."""
        self.program.run(["synth", folder / "scenes", "--count", "12", "--seed", self.seed])
        clips = sorted((folder / "scenes").rglob("*.flac"))
        for clip in clips:
            x, rate = soundfile.read(clip, dtype="float32")
            for offset in OFFSETS:
                soundfile.write(folder / f"{clip.stem}_{offset}.wav", x + np.float32(offset), rate, "FLOAT")
        recordings = [*clips, *sorted(folder.glob("*.wav"))]
        outcome = self.program.run(["predict", "--format", "jsonl", *recordings], timeout=200)
        tags = {
            Path(path).stem: [
                sorted(name for name, score in row["scores"].items() if score >= 0.5) for row in of
            ]
            for path, of in rows(outcome.out).items()
        }
        for clip in clips:
            for offset in OFFSETS:
                found, right = tags[f"{clip.stem}_{offset}"], tags[clip.stem]
                yield from _must(
                    found == right, "silent loss", f"{clip.stem} {offset:+}: {found}, was {right}"
                )
