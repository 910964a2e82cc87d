"""The campaign of benchmarks/campaign/: a small sample of it, and that its checks can fail."""

import importlib
import json
import os
import signal
import sys
import zipfile

import numpy as np
import pytest
import soundfile
from predict_support import ROOT

NAMES = ("mutating", "running", "sounds", "files", "power", "kills", "faults", "run")
with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "path", [str(ROOT / "benchmarks/campaign"), str(ROOT / "benchmarks"), *sys.path])
    mutating, running, sounds, files, power, kills, faults, run = map(importlib.import_module, NAMES)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs signals, limits and /proc")


def told(findings):
    """What a failing sample says."""
    return "\n".join(f"{one.kind}: {one.what} {one.facts}" for one, *_ in findings)


# A sample of each part


def test_mutated_recordings(tmp_path):
    part = sounds.Sounds(tmp_path, seed=8, shrink_seconds=2)
    counts, findings = part.unit(0, 120)
    assert not findings, told(findings)
    assert counts["whole"] > 20 and counts["noted"] > 5 and counts["refused"] > 20


def test_mutated_files(tmp_path):
    pytest.importorskip("onnxruntime")
    part = files.Files(tmp_path, seed=2)
    assert len(part.jobs) == len(files.jobs(part.good)) + sum(job.share - 1 for job in files.jobs(part.good))
    counts, findings = part.unit(0, 100)
    part.facts()
    assert not findings, told(findings)
    assert counts["taken"] > 10 and counts["refused"] > 10


def test_kills(tmp_path):
    part = kills.Kills(tmp_path, 2, ["predict --scores", "relabel"])
    for number in range(6):
        counts, findings = part.unit(number, 1)
        assert not findings, told(findings)
        assert counts["bit-equal"] == 1


QUICK = ("output_is_an_input", "dead_pipes", "few_descriptors", "odd_names", "folder_deleted")


def test_faults(tmp_path, monkeypatch):
    monkeypatch.setattr(faults, "WRITERS", [job for job in faults.WRITERS if job.name == "predict --scores"])
    part = faults.Faults(tmp_path, 2, QUICK)
    for number in range(len(part)):
        _, findings = part.unit(number, 1)
        assert not findings, told(findings)


# That the checks can fail


def outcome(code=0, died=None, hung=False, out=b"", err=""):
    return running.Outcome(code, died, hung, out, err, 0.0)


@pytest.mark.parametrize(
    ("ended", "kind"),
    [
        (outcome(None, died=signal.SIGSEGV), "crash"),
        (outcome(None, hung=True), "hang"),
        (outcome(1, err="Traceback (most recent call last):\n  x\nValueError: y"), "traceback"),
        (outcome(0, err="Exception ignored in: <x>"), "traceback"),
        (outcome(9, err="?"), "exit code"),
        (outcome(1), "exit code"),
        (outcome(out=b"Error A : 41\n"), "foreign bytes"),
        (outcome(out=b'{"schema": "acdref.predict/1", "path": "a"}\n'), "foreign bytes"),
        (outcome(out=b'{"schema": "acdref.predict/1", "path": "a", "error": "b"}'), "foreign bytes"),
        (outcome(out=b'{"schema": "acdref.predict/1", "path": "a", "error": "b"}\n'), None),
    ],
)
def test_what_is_wrong_with_an_end(ended, kind):
    assert [finding.kind for finding in running.wrong(ended, reads=sounds.rows)] == [kind] * (
        kind is not None
    )


def window(start, end, **more):
    return {"start": start, "end": end, "scores": {}} | more


@pytest.mark.parametrize(
    ("rows", "kind", "fate"),
    [
        ([window(0, 2)], "silent loss", "whole"),
        ([window(0, 2, note="ends early")], None, "noted"),
        ([window(0, 2), {"error": "damaged"}], None, "refused"),
        ([window(0, 3.95)], None, "whole"),
        ([window(0, 2), window(3, 4)], "foreign bytes", "none"),
        ([], "foreign bytes", "none"),
    ],
)
def test_a_loss_without_a_word(rows, kind, fate):
    found, how = sounds.verdict("a.wav", rows, expected=4.0)
    assert ([finding.kind for finding in found], how) == ([kind] * (kind is not None), fate)


class Pretending:
    """A program that fails on what its name says, and else prints a window for each recording."""

    def __init__(self):
        self.calls = 0

    def __call__(self, paths):
        self.calls += 1
        row = {"schema": sounds.SCHEMA, "start": 0.0, "end": 1.0, "scores": {}}
        out = "".join(json.dumps({**row, "path": path}) + "\n" for path in paths).encode()
        if any("crash" in path for path in paths):
            return outcome(None, died=signal.SIGSEGV)
        if any("foreign" in path for path in paths):
            return outcome(out=b"psst\n" + out)
        return outcome(3 if any("code" in path for path in paths) else 0, out=out)


@pytest.mark.parametrize(
    ("name", "kind"), [("crash", "crash"), ("foreign", "foreign bytes"), ("code", "exit code")]
)
def test_a_batch_is_narrowed_to_the_file(name, kind):
    part = object.__new__(sounds.Sounds)
    part.predict = Pretending()
    paths = [f"{i}.wav" for i in range(100)]
    paths[37] = f"{name}.wav"
    base = sounds.Base("WAV", "wav", b"", None)
    mutants = {path: (i, sounds.Mutant(base, [], path, None)) for i, path in enumerate(paths)}
    found = part._batch(paths, mutants, sounds.Counter())
    assert [(path, finding.kind) for path, finding in found] == [(paths[37], kind)]
    assert part.predict.calls < 20


def test_a_loss_that_no_other_reader_can_mend_is_none_without_a_promise(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(16000), 8000)
    part = object.__new__(sounds.Sounds)
    for name, seconds, lost in (("WAV", 1.9, True), ("IRCAM", 1.9, False), ("IRCAM", 1.0, True)):
        one = sounds.Mutant(sounds.Base(f"{name} PCM_16", "wav", b"", 2.0), [], "a.wav", 2.0)
        finding = running.Finding("silent loss", "", {"seconds": seconds})
        assert part._lost(str(path), one, finding) == lost


def test_a_forked_call_has_bounds(tmp_path):
    program = running.Forked(tmp_path)
    assert program.run(["info", "--json"]).code == 0
    (tmp_path / "fifo").mkdir()
    os.mkfifo(tmp_path / "fifo/x.npz")
    assert program.run(["--version"]).out.startswith(b"acdref, version ")
    ended = program.run(["predict", "nowhere.wav"])
    assert ended.code == 1 and "no such file" in ended.err
    program.close()


def test_mutations_are_the_same_each_time():
    data = bytes(range(256)) * 20
    for seed in range(300):
        drawn = [mutating.draw(np.random.default_rng(seed), len(data)) for _ in range(2)]
        assert drawn[0] == drawn[1]
        assert mutating.mutated(data, drawn[:1]) == mutating.mutated(data, drawn[1:])
        mutating.mutated(b"", drawn[:1])


def test_mutations_of_texts_and_archives(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(5), meta=np.frombuffer(b'{"a": 1, "b": ["c"]}', np.uint8))
    archive = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(0)
    table, changed = b"path,classes\na.wav,x\n", 0
    for _ in range(300):
        mutation = mutating.draw_archive(rng, len(archive))
        if mutation[0] != "bomb":
            changed += mutating.mutated(archive, [mutation, mutation], mutating.ARCHIVES) != archive
        mutating.mutated(table, [mutating.draw_text(rng, table)], mutating.TEXTS)
    assert changed > 200
    bomb = mutating.mutated(archive, [("bomb", 0, 8)], mutating.ARCHIVES)
    (tmp_path / "b.npz").write_bytes(bomb)
    with zipfile.ZipFile(tmp_path / "b.npz") as file:
        assert file.getinfo("x.npy").file_size > 8 << 20 > 100 * len(bomb)


def test_shrinking():
    mutations = [("flip", 1, 0), ("cut", 5), ("pad", 3)]
    assert mutating.fewest(mutations, lambda some: ("cut", 5) in some) == [("cut", 5)]
    assert mutating.shrunk(b"aaaaXbbbbbY", lambda data: b"X" in data and b"Y" in data) == b"XY"


# Power cuts


def test_what_was_not_synced_is_lost(tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    out.mkdir()
    (out / "old").write_text("old")
    child = os.fork()
    if child == 0:
        power.record(log)
        with open(out / "half", "wb", buffering=0) as file:
            file.write(b"kept")
            os.fsync(file)
            file.write(b"lost")
        for name in ("old", "new"):
            with open(out / "tmp", "wb") as file:
                file.write(b"whole")
                file.flush()
                os.fsync(file.fileno())
            os.replace(out / "tmp", out / name)
        (out / "never").write_text("lost")
        os._exit(0)
    os.waitpid(child, 0)
    assert power.fail(log, [out], np.random.default_rng(0)) >= 2
    assert (out / "half").read_bytes() == b"kept" and (out / "never").read_bytes() == b""
    states = set()
    for seed in range(8):
        power.fail(log, [out], np.random.default_rng(seed))
        states.add(((out / "old").read_text(), (out / "new").exists()))
    assert ("old", False) in states


# The program


@pytest.fixture
def beside(monkeypatch):
    """The modules beside the campaign can be imported; afterwards nothing is left of them."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in ("report", "machine"):
        sys.modules.pop(name, None)


def test_a_stopped_campaign_continues(beside, tmp_path, monkeypatch, capsys):
    class Part:
        name, size, tried = "audio", 2, []

        def unit(self, number, size):
            self.tried.append(number)
            if number == 4 and len(self.tried) < 6:
                raise KeyboardInterrupt
            found = [(running.Finding("crash", "x"), number, b"bytes", ".wav")] if number == 2 else []
            return {"whole": size}, found

        def facts(self):
            return {}

    monkeypatch.setattr(run, "part", lambda *_: Part())
    monkeypatch.setattr(run, "COUNTS", {"audio": 10})
    words = ["run.py", "--work", str(tmp_path), "--scale", "0.9", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(KeyboardInterrupt):
        run.main()
    done = len(Part.tried)
    Part.tried.extend([99] * 6)
    with pytest.raises(SystemExit) as end:
        run.main()
    assert end.value.code == 1
    assert 0 in Part.tried[:done] and 0 not in Part.tried[done:] and 4 in Part.tried[done:]
    assert (tmp_path / "failures/audio-2-crash.wav").read_bytes() == b"bytes"
    printed = capsys.readouterr().out
    assert "--only audio --seed 0 --number 2" in printed
    row = printed.splitlines()[-1].split()
    assert row[:3] == ["audio", "9", "1"]


def test_the_document_has_the_table(beside, tmp_path):
    path = tmp_path / "d.md"
    path.write_text("a\n<!-- campaign -->\nold\n<!-- end -->\nb\n")
    result = {"columns": {"part": "{part}"}, "rows": [{"part": "audio"}], "seed": 7}
    result["machine"] = {"processor": "P", "cores": 2, "date": "2026-01-01T00"}
    for _ in range(2):
        run.document(result, path)
    assert path.read_text() == (
        "a\n<!-- campaign -->\nP, 2 cores, 2026-01-01, seed 7:\n\n"
        "| part |\n| --- |\n| audio |\n<!-- end -->\nb\n"
    )


def test_a_campaign_whose_journal_was_cut_continues(tmp_path):
    head = {"seed": 0, "scale": 1.0}
    journal = run.Journal(tmp_path / "j", head)
    for number in (0, 2):
        journal.add({"part": "audio", "number": number, "size": 2, "counts": {}, "findings": []})
    text = (tmp_path / "j").read_text()
    (tmp_path / "j").write_text(text[:-9])
    again = run.Journal(tmp_path / "j", head)
    assert list(again.units) == [("audio", 0)]
    again.add({"part": "audio", "number": 2, "size": 2, "counts": {}, "findings": []})
    assert (tmp_path / "j").read_text() == text
    with pytest.raises(SystemExit, match="of another seed or scale"):
        run.Journal(tmp_path / "j", head | {"seed": 1})
