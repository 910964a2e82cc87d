"""Mutated tables, JSON files, npz files and bundles, through the commands that read them.

What a check sum covers (weights, checkpoints, scores, the rows of a journal) must, once damaged, be refused,
done again with a word, or give what the undamaged file gives: else numbers are wrong and nobody knows.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from mutating import ARCHIVES, TEXTS, draw_archive, draw_text, fewest, mutated, shrunk
from running import ROOT, Finding, Forked, environment, wrong
from sounds import rows, tiny_weights

NODES = [
    {"id": "/m/sound", "name": "Sound", "child_ids": ["/m/noise", "/m/tone"]},
    {"id": "/m/noise", "name": "noise", "child_ids": []},
    {"id": "/m/tone", "name": "tone", "child_ids": []},
]
TABLES = {
    "manifest.csv": "path,classes,unknown,fold\n0.wav,noise,,1\n1.wav,tone,noise,2\n2.wav,noise;tone,,1\n"
    "3.wav,,,2\n",
    "audioset.csv": '# Segments\n# YTID, start_seconds, end_seconds, positive_labels\n'
    '0, 0.000, 10.000, "/m/noise"\n1, 30.000, 40.000, "/m/tone,/m/noise"\n',
    "fsd50k.csv": 'fname,labels,mids,split\n0,"noise,tone","/m/noise,/m/tone",train\n1,tone,/m/tone,val\n',
    "strong.tsv": "filename\tonset\toffset\tevent_label\n0\t0.3\t1.5\tnoise\n0\t0.0\t9.785\ttone\n1\t\t\t\n",
    "absent.tsv": "filename\tevent_label\n0\tnoise\n1\ttone\n",
    "framed.tsv": "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tpresent\n"
    "0\t0.000\t0.960\tnoise\tPRESENT\n0\t0.960\t1.920\ttone\tNOT_PRESENT\n",
    "ontology.json": json.dumps(NODES, indent=1),
    "vocabulary.csv": 'index,mid,display_name\n0,/m/noise,"noise"\n1,/m/tone,"tone"\n',
    "super.csv": "mid,name,class\n/m/noise,noise,loud\n/m/tone,tone,soft\n",
    "scores.csv": "path,noise,tone\n0.wav,0.9,0.1\n1.wav,0.01,0.99\n2.wav,0.5,0.99\n3.wav,0.97,0.01\n",
    "prompts.txt": "noise = the noise of rain\ntone = a tone\ntone = a whistle\n",
}  # fmt: skip
RUN = [
    "--epochs",
    "2",
    "--epoch-size",
    "2",
    "--batch",
    "2",
    "--seconds",
    "2.2",
    "--workers",
    "0",
    "--lr",
    "1e-3",
    "--val-fold",
    "2",
]
BUNDLE = ("prompts.txt", "clap/clap_bundle.json", "clap/tokenizer.json", "clap/preprocessor_config.json")
BUNDLE += ("clap/onnx/model.onnx",)
RECORDINGS = [f"{i}.wav" for i in range(4)]


@dataclass
class Job:
    """A command, and the file that is mutated.

    Attributes
    ----------
    file : str
    words : list of str
    checked : bool
        Whether a check sum covers the file: damage changes no result without a word.
    reads : callable
        Of stdout; a ValueError says that it is none of ours.
    share : int
        How often, beside others.
    """

    file: str
    words: list
    checked: bool = False
    reads: object = bytes.decode
    share: int = 1

    @property
    def makes(self):
        """Outputs, which a failure must not leave."""
        before = ("--out", "--labels", "--onnx")
        made = [word for option, word in pairwise(self.words) if option in before]
        made += ["o.npz"] * ("o.npz" in self.words)  # of `predict --scores`
        return sorted({*made} - {"train", "recipe"})


def _read_json(text):
    if text:
        json.loads(text)


def trained(folder, command):
    """Words of a command that trains on the recordings of a folder, into one that is named as it is."""
    manifest, init = str(folder / "manifest.csv"), str(folder / "tiny.npz")
    return [*command.split(), manifest, "--out", command.split()[0], "--init", init, *RUN]


def jobs(good):
    """All jobs, with the folder of the undamaged files."""

    def job(file, words, *share, checked=False):
        reads = _read_json if "--json" in words else rows if "jsonl" in words.split() else bytes.decode
        return Job(file, words.split(), checked, reads, *share)

    correct = "relabel manifest.csv --correct --fp --threshold-t 0.1 --out o --json --scores"
    teach = f"teach clap {' '.join(RECORDINGS)} --prompts prompts.txt --out o.npz --labels l.csv"
    tiny = "--weights tiny.npz"
    score = f"predict --backend numpy {tiny} manifest.csv --scores o.npz"
    strong = "relabel strong.tsv --frame --absent absent.tsv --out o --json"
    zero_shot = (
        "relabel manifest.csv --scores clap.npz --zero-shot --rule cosine --threshold 0 --out o --json"
    )
    conform = "conform check conform answers --json"
    recipe = " ".join(trained(good, "recipe self-correct"))
    resume = "train --out train --resume --workers 0"
    ontology = "--ontology ontology.json --out o --json"
    vocabulary = "relabel audioset.csv --vocabulary vocabulary.csv --out o --json"
    return [
        job("manifest.csv", "relabel manifest.csv --check"),
        job("manifest.csv", score),
        job("manifest.csv", f"evaluate manifest.csv --backend numpy --json {tiny}"),
        job("manifest.csv", f"{correct} scores.csv"),
        job("audioset.csv", f"relabel audioset.csv --expand {ontology}"),
        job("fsd50k.csv", "relabel fsd50k.csv --vocabulary vocabulary.csv --to manifest --out o --json"),
        *(job(name, strong) for name in ("strong.tsv", "absent.tsv")),
        job("framed.tsv", "relabel framed.tsv --check"),
        job("ontology.json", f"relabel audioset.csv --mask-children --to manifest {ontology}"),
        job("vocabulary.csv", vocabulary),
        job("super.csv", "relabel fsd50k.csv --superclasses super.csv --out o --json"),
        job("scores.csv", f"{correct} scores.csv"),
        job("s.jsonl", f"{correct} s.jsonl"),
        job("s.npz", f"{correct} s.npz", 3, checked=True),
        job("clap.npz", zero_shot, 3, checked=True),
        *(job(name, teach) for name in BUNDLE),
        job("tiny.npz", f"predict --backend numpy --format jsonl {tiny} 0.wav", 5, checked=True),
        job("tiny.npz", f"info {tiny} --json", 2),
        job("tiny.npz", f"export {tiny} --onnx o.onnx"),
        job("o.npz.part", score, 3, checked=True),
        job("train/last.npz", resume, 2, checked=True),
        job("train/config.json", resume),
        *(job(f"recipe/{name}.json", recipe) for name in ("recipe", "1-given/finished")),
        *(job(name, conform) for name in ("conform/index.json", "answers/s/f/v/x.npy")),
    ]


_KEEPING = """
import os
remove = os.unlink
os.unlink = lambda path, **more: None if os.fspath(path).endswith(".part") else remove(path, **more)
from acdref.cli import main
main()
"""


class Files:
    """The part of the campaign: units of twenty mutants each."""

    name, size = "files", 20

    def __init__(self, work, seed):
        self.work, self.seed = Path(work), seed
        self.program = Forked(work)
        self.good = self.work / "good"
        self._make()
        self.jobs = [
            job for job in jobs(self.good) for _ in range(job.share) if (self.good / job.file).exists()
        ]
        self._right = {}

    def _make(self):
        """The files as they should be."""
        if (self.good / "made").exists():
            return
        shutil.rmtree(self.good, ignore_errors=True)
        self.good.mkdir()
        rng = np.random.default_rng(0)
        for i, name in enumerate(RECORDINGS):
            t = np.arange(8000 * 3) / 8000
            x = 0.3 * np.sin(2 * np.pi * 300 * (i + 1) * t) if i % 2 else 0.1 * rng.standard_normal(len(t))
            soundfile.write(self.good / name, x, 8000)
        for name, text in TABLES.items():
            (self.good / name).write_text(text)
        tiny_weights(self.good / "tiny.npz")
        scores = np.loadtxt(self.good / "scores.csv", delimiter=",", skiprows=1, usecols=(1, 2))
        np.savez(
            self.good / "s.npz", ids=np.array(RECORDINGS), classes=np.array(["noise", "tone"]), scores=scores
        )
        with open(self.good / "s.jsonl", "w") as file:
            for name, (noise, tone) in zip(RECORDINGS, scores.tolist(), strict=True):
                row = {"schema": "acdref.predict/1", "path": name, "start": 0.0, "end": 3.0}
                file.write(json.dumps(row | {"scores": {"noise": noise, "tone": tone}}) + "\n")
        shutil.copytree(
            ROOT / "fixtures/clap_hf", self.good / "clap", ignore=shutil.ignore_patterns("prompts.npz")
        )
        self._make_conform()
        for words in (
            ["teach", "clap", *RECORDINGS, "--prompts", "prompts.txt", "--out", "clap.npz"],
            trained(self.good, "train"),
            trained(self.good, "recipe self-correct"),
        ):
            outcome = self.program.run(words, cwd=self.good)
            if outcome.code:
                print(f"left out: {outcome.err.strip()[-300:]}", flush=True)
        self._stop_half_way()
        (self.good / "made").touch()

    def _make_conform(self):
        case = {"name": "s/f/v", "section": "s", "formula": "x", "paper": "", "inputs": {}, "mistakes": []}
        case |= {"outputs": {"x": "s/f/v/out/x.npy"}, "rtol": 1e-6, "atol": 1e-9}
        index = {"schema": "acdref.conformance/1", "acdref": "0.1.0", "cases": [case]}
        for place in ("conform/s/f/v/out", "answers/s/f/v"):
            (self.good / place).mkdir(parents=True)
            np.save(self.good / place / "x.npy", np.arange(5.0))
        (self.good / "conform/index.json").write_text(json.dumps(index))

    def _stop_half_way(self):
        """A journal of scores as a killed `predict` leaves it."""
        words = [
            "predict",
            "--backend",
            "numpy",
            "--weights",
            "tiny.npz",
            "manifest.csv",
            "--scores",
            "o.npz",
        ]
        command = [sys.executable, "-c", _KEEPING, *words]
        subprocess.run(command, cwd=self.good, env=environment(self.work), stdout=subprocess.DEVNULL)
        (self.good / "o.npz").unlink()

    def drawn(self, number):
        """Job, mutations and table of the mutant of that number."""
        rng = np.random.default_rng((self.seed, 2, number))
        job = self.jobs[number % len(self.jobs)]
        data = (self.good / job.file).read_bytes()
        binary = job.file.endswith((".npz", ".npy", ".onnx"))
        draw = (
            (lambda: draw_archive(rng, len(data)))
            if job.file.endswith(".npz")
            else lambda: draw_text(rng, data)
        )
        if job.file.endswith((".npy", ".onnx")):
            draw = lambda: draw_archive(np.random.default_rng(rng.integers(1 << 30)), len(data))  # noqa: E731
        return job, [draw() for _ in range(int(rng.choice([1, 1, 2])))], ARCHIVES if binary else TEXTS

    def _copied(self, job, folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        needs = [word for word in (*job.words, *RECORDINGS) if word[0] != "/" and (self.good / word).exists()]
        for name in {*needs, job.file}:
            source, target = self.good / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)

    def _results(self, job, outcome, folder):
        """What the job made: stdout, and its outputs."""
        made = [folder / name for name in job.makes]
        if job.file.startswith("train/"):
            made += sorted((folder / "train").iterdir())
        return [outcome.out] * (not made), [path.read_bytes() if path.exists() else None for path in made]

    def right(self, job):
        """The results of the undamaged file."""
        if id(job) not in self._right:
            folder = self.work / f"right{id(job)}"
            self._copied(job, folder)
            outcome = self.program.run(job.words, cwd=folder)
            if outcome.code != 0:
                raise SystemExit(f"{' '.join(job.words)}: {outcome.err}")
            self._right[id(job)] = self._results(job, outcome, folder)
        return self._right[id(job)]

    def check(self, job, data, damage, folder):
        """Run the job on these bytes; its outcome, and findings."""
        self._copied(job, folder)
        (folder / job.file).write_bytes(data)
        before = {str(path) for path in folder.rglob("*")}
        outcome = self.program.run(job.words, cwd=folder)
        found = wrong(outcome, (0, 1, 2, 3), job.reads)
        new = {str(path) for path in folder.rglob("*")} - before
        litter = [name for name in new if name.endswith(".tmp")]
        if outcome.code in (1, 2):
            litter += [name for name in new if Path(name).name in job.makes]
            if not any(Path(name).name in outcome.err for name in (job.file, *job.words)):
                found.append(Finding("exit code", f"no file named: {outcome.err.strip()[-300:]}"))
        if litter:
            found.append(Finding("litter", " ".join(litter)))
        unseen = damage and job.checked and outcome.code == 0
        if unseen and self._results(job, outcome, folder) != self.right(job):
            found.append(Finding("silent loss", "other results than of the undamaged file"))
        return outcome, found

    def unit(self, number, size):
        """Do the mutants from `number` on: counts, and findings as (Finding, number, bytes, ending)."""
        counts, findings = Counter(), []
        folder = self.work / f"files{number}"
        for i in range(number, number + size):
            job, mutations, table = self.drawn(i)
            original = (self.good / job.file).read_bytes()
            data = mutated(original, mutations, table)
            # Behind the sums of a zip file, only weights and checkpoints have one of their own.
            told = ("flip", "run", "noise", "cut", "remove")
            told += ("inner",) if job.file in ("tiny.npz", "train/last.npz") else ()
            damage = all(name in told for name, *_ in mutations)
            outcome, found = self.check(job, data, damage and data != original, folder)
            counts[
                {0: "taken", 3: "taken in part", 1: "refused", 2: "refused"}.get(outcome.code, "wrong")
            ] += 1
            for finding in found[:1]:
                findings.append(self._written(finding, i, job, mutations, table, folder))
        shutil.rmtree(folder, ignore_errors=True)
        return counts, findings

    def _written(self, finding, number, job, mutations, table, folder):
        """The finding with its mutant, shrunk."""
        original = (self.good / job.file).read_bytes()

        def fails(data, damage=finding.kind == "silent loss"):
            return any(other.kind == finding.kind for other in self.check(job, data, damage, folder)[1])

        mutations = fewest(mutations, lambda m: fails(mutated(original, m, table)))
        data = mutated(original, mutations, table)
        if finding.kind in ("crash", "traceback", "foreign bytes") and not job.file.endswith(".npz"):
            data = shrunk(data, fails)
        finding.facts |= {"command": " ".join(job.words), "mutated": job.file, "mutations": mutations}
        return finding, number, data, f"-{Path(job.file).name}"

    def facts(self):
        """What is the same for all units."""
        self.program.close()
        return {"commands": len({tuple(job.words) for job in self.jobs})}
