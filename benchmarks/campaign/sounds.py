"""Mutated recordings through `acdref predict`: every format and subtype that libsndfile writes, and ffmpeg's.

Of a mutant it is known how long its sound is, where the mutation does not touch that: an end cut off, junk
around it, copies in a chain, sizes in the header, damage behind it.  Where `predict` gives less and has no
word for it, other readers are asked (libsndfile through a pipe, ffmpeg), unless the file promised more.
"""

import json
import math
import os
import shutil
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from mutating import draw, fewest, mutated, shrunk
from running import HANG, Finding, Program, wrong

BATCH = 100
SCHEMA = "acdref.predict/1"
TOLERANCE = 0.1, 0.02  # seconds, and share of the length: decoders disagree about padding and half a frame
SHAPES = ((8000, 1, 1.8), (44100, 2, 1.1), (16000, 1, 2.3))  # rate, channels, seconds
PROMISE_NOTHING = ("IRCAM", "PAF", "PVF", "RAW", "adts", "mp3-bare")
"""Formats whose header holds no length: of a cut one, nobody can know."""
FFMPEG = {
    "m4a": "-c:a aac", "m4a-alac": "-f ipod -c:a alac", "mp4": "-c:a aac", "adts": "-f adts -c:a aac",
    "webm": "-c:a libopus", "wma": "-c:a wmav2", "mka": "-c:a libvorbis", "flac-in-ogg": "-f ogg -c:a flac",
    "mp3-bare": "-f mp3 -write_xing 0 -id3v2_version 0 -q:a 4", "ac3": "-f ac3",
    "aiff-c": "-f aiff -c:a pcm_f32be",
    "wav-unclosed": "-f wav -c:a pcm_s16le", "tta": "-f tta", "spx": "-f ogg -c:a libspeex -ar 16000 -ac 1",
}  # fmt: skip
ENDING = {"m4a-alac": "m4a", "adts": "aac", "flac-in-ogg": "oga", "mp3-bare": "mp3", "aiff-c": "aif"}
ENDING |= {"wav-unclosed": "wav", "WAVEX": "wav", "MPC2K": "snd", "RAW": "raw", "IRCAM": "sf", "NIST": "wav"}


@dataclass
class Base:
    """A recording: its format, its bytes, its length in seconds (None where acdref does not read it)."""

    name: str
    ending: str
    data: bytes
    seconds: float | None


@dataclass
class Mutant:
    """A mutation of a base, the file's name, and the seconds that are known to be in it, or None."""

    base: Base
    mutations: list
    name: str
    seconds: float | None

    @property
    def promised(self):
        """Whether the file itself says how long it is."""
        return self.base.name.split()[0] not in PROMISE_NOTHING

    def data(self):
        """Its bytes."""
        return mutated(self.base.data, self.mutations)


def _sound(rate, channels, seconds):
    t = np.arange(round(rate * seconds)) / rate
    x = 0.3 * np.sin(2 * np.pi * 400 * t * (1 + t)) + 0.1 * np.random.default_rng(1).standard_normal(len(t))
    return np.repeat(x[:, None], channels, 1)


def bases(folder):
    """Recordings in all formats, and the names of those that nothing here writes."""
    made, missing = [], []
    for form in soundfile.available_formats():
        for subtype in soundfile.available_subtypes(form):
            before = len(made)
            for rate, channels, seconds in SHAPES:
                path = folder / f"x.{ENDING.get(form, form.lower())}"
                try:
                    soundfile.write(path, _sound(rate, channels, seconds), rate, subtype, format=form)
                except (soundfile.LibsndfileError, ValueError):
                    continue
                seconds *= rate / _rate(path, rate)  # a format without rate
                made.append(Base(f"{form} {subtype} {rate}", path.suffix[1:], path.read_bytes(), seconds))
            missing += [f"{form} {subtype}"] * (len(made) == before)
    return [*made, *_of_ffmpeg(folder, missing)], missing


def _rate(path, rate):
    try:
        return soundfile.info(str(path)).samplerate
    except (soundfile.LibsndfileError, TypeError):  # the last of one without a header
        return rate


def _of_ffmpeg(folder, missing):
    source = folder / "source.wav"
    for name, options in FFMPEG.items():
        rate, channels, seconds = SHAPES[1]
        soundfile.write(source, _sound(rate, channels, seconds), rate)
        ending = ENDING.get(name, name)
        words = f"ffmpeg -v error -y -i {source} {options}".split()
        if shutil.which("ffmpeg"):
            pipe = name == "wav-unclosed"  # whose sizes nobody goes back to fill in
            target = "-" if pipe else str(folder / f"y.{ending}")
            done = subprocess.run([*words, target], capture_output=True)
            if not done.returncode:
                data = done.stdout if pipe else Path(target).read_bytes()
                yield Base(name, ending, data, seconds)
                continue
        missing.append(name)


def mutant(all_bases, seed, number):
    """The mutant of that number, the same each time."""
    rng = np.random.default_rng((seed, 1, number))
    base = all_bases[number % len(all_bases)]
    name = f"{number}.{base.ending}"
    if rng.random() < 0.45:
        return _known(rng, base, name)
    mutations = [draw(rng, len(base.data)) for _ in range(int(rng.choice([1, 1, 1, 2, 3])))]
    return Mutant(base, mutations, name, _still(base, mutations))


def _known(rng, base, name):
    """A mutant whose length is known."""
    n, seed, seconds = int(2 ** rng.uniform(0, 16)), int(rng.integers(1, 1 << 30)), base.seconds
    kind = rng.choice(["cut", "cut", "before", "after", "pad", "chain", "name", "size", "size", "none"])
    mutations = {
        "cut": [("cut", int(rng.integers(1, len(base.data))))],
        "before": [("before", n, seed * int(rng.integers(2)))],
        "after": [("after", n, seed)],
        "pad": [("pad", n)],
        "chain": [("chain", int(rng.choice([2, 3])))],
        "size": _size(rng, base.data),
    }.get(str(kind), [])
    if kind == "chain" and seconds:
        seconds *= mutations[0][1]
    if kind == "name":
        name = name.split(".")[0] + str(
            rng.choice([".wav", ".mp3", ".ogg", ".flac", ".raw", ".txt", "", ".m4a"])
        )
    return Mutant(base, mutations, name, seconds)


def _size(rng, data):
    """An edit of the size of the sound in the header, where we know where that is."""
    for mark, shift, kind in ((b"data", 4, 4), (b"SSND", 4, 5), (b".snd", 8, 5), (b"COMM", 10, 5)):
        place = data.find(mark, 0, 200)
        if place >= 0 and data[:4] in (b"RIFF", b"FORM", b".snd"):
            old = struct.unpack("<>"[kind & 1] + "I", data[place + shift :][:4])[0]
            value = int(rng.choice([0, old // 2, old * 2, (1 << 31) - 1, (1 << 32) - 1]))
            return [("field", place + shift, kind, value)]
    return []


def _still(base, mutations):
    """The length, if nothing near the head was touched and nothing moved."""
    same = ("flip", "run", "noise")
    far = max(1024, len(base.data) // 4)
    untouched = all(name in same and place > far for name, place, *_ in mutations)
    return base.seconds if untouched else None


# What predict says


def rows(text):
    """Rows of stdout by path; ValueError if it is anything but our schema."""
    found = {}
    lines = text.decode().split("\n")
    if lines.pop():
        raise ValueError("no line end at the end")
    for line in lines:
        row = json.loads(line)
        if not isinstance(row, dict) or row.get("schema") != SCHEMA:
            raise ValueError(f"not of the schema: {line[:80]}")
        kinds = ({"schema", "path", "error"}, {"schema", "path", "start", "end", "scores"})
        if set(row) - {"note"} not in kinds:
            raise ValueError(f"keys {sorted(row)}")
        if not all(0 <= score <= 1 for score in row.get("scores", {}).values()):
            raise ValueError(f"scores {row['scores']}")
        found.setdefault(row["path"], []).append(row)
    return found


def verdict(path, of_path, expected=None):
    """Findings about one recording's rows, and how it fared: whole, noted, refused."""
    if not of_path:
        return [Finding("foreign bytes", "no row at all")], "none"
    end = 0.0
    for row in of_path:
        if "error" not in row and row["start"] != end:
            return [Finding("foreign bytes", f"a window begins at {row['start']} after {end}")], "none"
        end = row.get("end", end)
    if "error" in of_path[-1]:
        return [], "refused"
    if any("note" in row for row in of_path):
        return [], "noted"
    if expected is not None and end < expected - _slack(expected):
        return [Finding("silent loss", f"{end:.2f} s of {expected:.2f} s", {"seconds": end})], "whole"
    return [], "whole"


def _slack(seconds):
    return TOLERANCE[0] + TOLERANCE[1] * seconds


_PIPED = """
import soundfile, sys
sound = soundfile.SoundFile(sys.stdin.fileno(), closefd=False)
sound.seekable, frames = lambda: False, 0
while n := len(sound.read(9999, always_2d=True)):
    frames += n
    print(frames / sound.samplerate)
"""


def readers(path):
    """Seconds of sound that other readers find: libsndfile through a pipe, and ffmpeg."""
    found = {}
    for name, command in {
        "libsndfile": [sys.executable, "-c", _PIPED],
        "ffmpeg": ["ffmpeg", "-v", "error", "-i", "pipe:", "-f", "s16le", "-ac", "1", "-ar", "8000", "-"],
    }.items():
        if shutil.which(command[0]):
            feed = subprocess.Popen(["cat", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            try:
                done = subprocess.run(command, stdin=feed.stdout, capture_output=True, timeout=HANG)
            except subprocess.TimeoutExpired:
                continue
            finally:
                feed.stdout.close()
                feed.wait()
            words = done.stdout.split()
            counted = len(done.stdout) / 16000 if name == "ffmpeg" else float(words[-1]) if words else 0.0
            found[name] = counted
    return found


class Sounds:
    """The part of the campaign: units of a hundred mutants each."""

    name, size = "audio", BATCH

    def __init__(self, work, seed, shrink_seconds=20.0):
        self.work, self.seed, self.shrink_seconds = Path(work), seed, shrink_seconds
        self.program = Program(work)
        self.weights = tiny_weights(self.work / "tiny.npz")
        folder = self.work / "bases"
        folder.mkdir(exist_ok=True)
        self.bases, self.missing = bases(folder)
        self._learn(folder)

    def _learn(self, folder):
        """What acdref makes of the recordings as they are: what it refuses has no known length."""
        paths = []
        for i, base in enumerate(self.bases):
            paths.append(folder / f"base{i}.{base.ending}")
            paths[-1].write_bytes(base.data)
        found = rows(self.predict(paths).out)
        self.refused, self.wrong_bases = [], []
        for base, path in zip(self.bases, paths, strict=True):
            findings, fate = verdict(path, found.get(str(path)), base.seconds)
            if fate == "noted":
                note = next(row["note"] for row in found[str(path)] if "note" in row)
                findings.append(Finding("silent loss", f"a false note: {note}"))
            self.wrong_bases += [Finding(f.kind, f"{base.name}: {f.what}") for f in findings]
            if fate == "refused":
                self.refused.append(base.name)
                base.seconds = None

    def predict(self, paths):
        """The command line."""
        words = ["predict", "--format", "jsonl", "--backend", "numpy", "--weights", self.weights]
        return self.program.run([*words, *paths], timeout=3 * HANG + 0.5 * len(paths))

    def unit(self, number, size):
        """Do the mutants from `number` on: counts, and findings as (Finding, number, bytes, ending)."""
        folder = self.work / f"sounds{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        mutants = {}
        for i in range(number, number + size):
            one = mutant(self.bases, self.seed, i)
            path = folder / one.name
            path.write_bytes(one.data())
            mutants[str(path)] = (i, one)
        counts, findings = Counter(), []
        for path, finding in self._batch(list(mutants), mutants, counts):
            i, one = mutants[path]
            findings.append(self._written(finding, i, one, folder))
        shutil.rmtree(folder)
        if number == 0:
            findings += [(finding, 0, b"", "") for finding in self.wrong_bases]
        return counts, findings

    def _batch(self, paths, mutants, counts):
        """Findings of some mutants, (path, Finding) each: halves of a batch that went wrong as a whole."""
        outcome = self.predict(paths)
        whole = wrong(outcome, (0, 1, 3), rows)
        found = {} if whole else rows(outcome.out)
        failed = sum(any("error" in row for row in of) for of in found.values())
        code = 0 if not failed else 1 if all("error" in of[0] for of in found.values()) else 3
        if not whole and (len(found) != len(paths) or outcome.code != code):
            whole = [
                Finding(
                    "exit code", f"{outcome.code} where {code} is right, {len(found)} of {len(paths)} rows"
                )
            ]
        if whole and len(paths) > 1:
            half = len(paths) // 2
            return self._batch(paths[:half], mutants, counts) + self._batch(paths[half:], mutants, counts)
        if whole:
            counts["wrong"] += 1
            return [(paths[0], finding) for finding in whole]
        findings = []
        for path in paths:
            ours, fate = verdict(path, found[path], mutants[path][1].seconds)
            counts[fate] += 1
            findings += [(path, finding) for finding in ours if self._lost(path, mutants[path][1], finding)]
        return findings

    def _lost(self, path, one, finding):
        """Whether a silent loss is one: the file or another reader says that there is more."""
        if finding.kind != "silent loss":
            return True
        finding.facts["readers"] = others = readers(path)
        seconds = finding.facts["seconds"]
        return one.promised or max(others.values(), default=math.inf) > seconds + _slack(seconds)

    def _written(self, finding, number, one, folder):
        """The finding with its mutant, shrunk."""

        def fails_as(one, path):
            path.write_bytes(one.data())
            return any(
                other.kind == finding.kind
                for _, other in self._batch([str(path)], {str(path): (0, one)}, Counter())
            )

        path = folder / f"shrunk{Path(one.name).suffix}"
        if len(one.mutations) > 1 and finding.kind != "silent loss":
            one.mutations = fewest(
                one.mutations, lambda m: fails_as(Mutant(one.base, m, one.name, None), path)
            )
        data = one.data()
        if finding.kind in ("crash", "traceback", "foreign bytes") and self.shrink_seconds:

            def fails(data):
                return fails_as(Mutant(Base("", "", data, None), [], path.name, None), path)

            data = shrunk(data, fails, self.shrink_seconds)
        finding.facts |= {"base": one.base.name, "mutations": one.mutations}
        return finding, number, data, Path(one.name).suffix

    def facts(self):
        """What is the same for all units."""
        return {
            "formats": len(self.bases),
            "not written here": self.missing,
            "refused as they are": self.refused,
        }


def tiny_weights(path):
    """Weights of a network of a few hundred parameters; the path as text."""
    from acdref.checkpoint import save_weights
    from acdref.nets.mobilenet import InvertedStage, MobileNetConfig, MobileNetV2

    if not os.path.exists(path):
        stages = (InvertedStage(1, 4, 1, 2), InvertedStage(2, 4, 1, 2), InvertedStage(2, 6, 1, 2))
        config = MobileNetConfig(2, stem=4, stages=stages, last=8)
        save_weights(path, MobileNetV2(config, seed=1, backend="numpy"), ("noise", "tone"))
    return str(path)
