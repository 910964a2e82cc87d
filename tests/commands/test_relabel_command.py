"""`acdref relabel` as its user meets it."""

import json
import re

import numpy as np
import pytest
from predict_support import program
from relabel_support import AUDIOSET, MANIFEST, STRONG, shared, write, write_ontology, write_scores

from acdref.clap.scores import TeacherScores


@pytest.fixture
def files(tmp_path):
    write(tmp_path / "segments.csv", AUDIOSET)
    write(tmp_path / "m.csv", MANIFEST)
    write(tmp_path / "strong.tsv", STRONG)
    write_ontology(tmp_path / "ontology.json")
    scores = np.array([[0.99, 0.7], [0.01, 0.2], [0.6, 0.97]])
    write_scores(tmp_path / "s.npz", ["a.wav", "b/c.wav", "d.wav"], ["Guitar", "Electric guitar"], scores)
    return tmp_path


def run(folder, source, *arguments):
    return program("relabel", folder / source, *arguments)


def test_table(files):
    code, out, err = run(
        files, "segments.csv", "--ontology", files / "ontology.json", "--expand", "--out", files / "o.csv"
    )
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["class", "before", "after", "0->1", "1->0", "->unknown", "unknown->", "unknown"]
    assert lines[1] == ["Music", "0", "2", "2", "0", "0", "0", "0"]
    assert lines[-2] == ["total", "4", "7", "3", "0", "0", "0", "0"]
    assert out.splitlines()[-1].startswith("3 clips; per clip 1.3333 labels before, 2.3333 after")


def test_json(files):
    arguments = ("--scores", files / "s.npz", "--correct", "--fp", "--out", files / "o.csv", "--json")
    code, out, _ = run(files, "m.csv", *arguments)
    found = json.loads(out)
    assert (code, found["schema"], found["clips"]) == (0, "acdref.relabel/1", 3)
    guitar = found["classes"]["Guitar"]
    assert [guitar[key] for key in ("added", "removed", "masked")] == [1, 1, 1]
    assert (files / "o.csv").read_text().splitlines()[1:] == [
        'a.wav,"x, y",Electric guitar;Dog;Guitar,,1',
        "b/c.wav,,,Dog,2",
        "d.wav,,Electric guitar,Guitar,2",
    ]


def test_order_of_options_does_not_matter(files):
    steps = [("--mask-children",), ("--ontology", files / "ontology.json"), ("--scores", files / "s.npz"),
             ("--correct",), ("--percentile", "mask"), ("--unknown", "isolate")]  # fmt: skip
    results = []
    for order in (steps, steps[::-1]):
        flat = [argument for step in order for argument in step]
        assert run(files, "m.csv", *flat, "--out", files / "o.csv")[0] == 0
        results.append((files / "o.csv").read_bytes())
    assert results[0] == results[1]


def test_frame(files):
    arguments = (
        "--frame",
        "--frame-length",
        "1",
        "--hop",
        "0.5",
        "--duration",
        "2",
        "--out",
        files / "f.tsv",
    )
    assert run(files, "strong.tsv", *arguments)[0] == 0
    rows = [line.split("\t") for line in (files / "f.tsv").read_text().splitlines()[1:]]
    assert {row[1] for row in rows} == {"0.000", "0.500", "1.000"}


def test_explicit_negatives(files):
    write(files / "absent.tsv", "clip\tlabel\none_0\t/m/dog\ntwo_5000\t/m/guitar\n")
    arguments = ("--frame", "--absent", files / "absent.tsv", "--out", files / "f.tsv")
    code, out, _ = run(files, "strong.tsv", *arguments)
    assert (code, out.splitlines()[-1]) == (0, "explicit negatives overruled by events: 1")
    assert "two_5000\t0.000\t0.960\t/m/guitar\tNOT_PRESENT\n" in (files / "f.tsv").read_text()


def test_events_without_frame_are_told(files):
    rows = "a.wav\t1500\t2600\tDog\nb.wav\t0\t1\tDog\n"
    write(files / "ms.tsv", f"filename\tonset\toffset\tevent_label\n{rows}")
    code, out, err = program("relabel", files / "ms.tsv", "--frame", "--out", files / "f.tsv")
    assert (code, out.splitlines()[-1]) == (0, "1 events gave no frame")
    assert err.startswith(f"acdref: {files}/ms.tsv: 1 of 2 events gave no frame (a.wav 1500-2600 s Dog)")
    assert err.count("\n") == 1 and "times look like milliseconds" in err


def test_classes_with_commas(files):
    write(files / "c.csv", 'path,classes\na.wav,"Bee, wasp, etc.;Dog"\n')
    arguments = ("relabel", files / "c.csv", "--check", "--classes")
    assert program(*arguments, '"Bee, wasp, etc.",Dog')[0] == 0
    assert "'Bee, wasp, etc.' is no known class" in program(*arguments, "Bee, wasp, etc.,Dog")[2]
    write(files / "names", "Bee, wasp, etc.\nDog\n")
    assert program(*arguments, f"@{files}/names")[0] == 0


class TestSeveral:
    ARGUMENTS = ("--ontology", "ontology.json", "--expand")

    @pytest.fixture
    def run(self, files):
        write(files / "bad.csv", "path,classes\na.wav,nothing\n")

        def run(*arguments):
            there = (
                f"{files}/{one}" if re.search(r"[./]", one) and ":" not in one else one for one in arguments
            )
            code, *told = program("relabel", *there)
            return code, *(text.replace(f"{files}/", "") for text in told)

        return run

    def test_each_is_done(self, files, run):
        code, out, err = run("bad.csv", "segments.csv", *self.ARGUMENTS, "--out", "new/")
        assert code == 3 and err.startswith("acdref: bad.csv: line 2: the label 'nothing' is no known class")
        assert out == "new/segments.csv: 3 clips; per clip 1.3333 labels before, 2.3333 after\n"
        run("segments.csv", *self.ARGUMENTS, "--out", "alone.csv")
        (only,) = (files / "new").iterdir()
        assert only.read_bytes() == (files / "alone.csv").read_bytes()
        assert run("bad.csv", *self.ARGUMENTS, "--out", "./new")[0] == 1  # a folder by now

    def test_what_has_no_place_stops_no_other(self, files, run):
        (files / "new" / "bad.csv").mkdir(parents=True)
        code, out, err = run("bad.csv", "segments.csv", *self.ARGUMENTS, "--out", "new/")
        assert (code, err) == (3, "acdref: bad.csv: new/bad.csv: a directory\n")
        assert out.startswith("new/segments.csv: 3 clips")

    def test_json_has_a_line_a_file(self, run):
        out = run("bad.csv", "segments.csv", *self.ARGUMENTS, "--out", "new/", "--json")[1]
        bad, good = map(json.loads, out.splitlines())
        assert (bad["schema"], bad["file"]) == ("acdref.relabel/1", "bad.csv") and "nothing" in bad["error"]
        assert (good["file"], good["out"], good["clips"]) == ("segments.csv", "new/segments.csv", 3)

    def test_check(self, files, run):
        write(files / "empty.csv", "")
        code, out, err = run("segments.csv", "empty.csv", "strong.tsv", "--check")
        assert err.startswith("acdref: empty.csv: ") and err.count("\n") == 1
        names = [line.partition(":")[0] for line in out.splitlines()]
        assert (code, names) == (3, ["segments.csv", "strong.tsv"])

    @pytest.mark.parametrize(
        ("arguments", "code", "cause"),
        [
            (("m.csv", "segments.csv", "--out", "x.csv"), 2, "several files need a folder as --out"),
            (("m.csv", "--out", "x.csv", "--scheduler", "local:1"), 2, "--scheduler goes with a folder"),
            (("m.csv", "--check", "--scheduler", "local:1"), 2, "--scheduler goes with a folder"),
            (("m.csv", "--out", "memory://x/", "--scheduler", "local:1"), 2, "does not go with memory://x/"),
            (("m.csv", "--out", "x/", "--unknown-out", "u.csv"), 2, "--unknown-out goes with one file"),
            (("m.csv", "segments.csv", "--out", "."), 1, "./m.csv: is an input, and would be replaced"),
            (
                ("m.csv", "s/m.csv", "--out", "x/"),
                1,
                "s/m.csv: has the name of m.csv, and both",
            ),
            (("s/m.csv", "segments.csv", "--out", "linked/"), 1, "linked/m.csv: is an input"),
        ],
    )
    def test_refused(self, files, run, arguments, code, cause):
        """Before anything is written; a link in the folder leads to another input."""
        (files / "s").mkdir()
        write(files / "s" / "m.csv", MANIFEST)
        (files / "linked").mkdir()
        (files / "linked" / "m.csv").symlink_to(files / "segments.csv")
        done = run(*arguments)
        assert done[:2] == (code, "") and cause in done[2]
        assert not (files / "x").exists() and (files / "segments.csv").read_text() == AUDIOSET


def test_a_step_given_as_a_word(files):
    code, out, err = program("relabel", "correct", files / "m.csv", "--scores", files / "s.npz")
    assert (code, out) == (2, "") and "steps are options: acdref relabel --correct" in err
    for name in ("map-classes", "mask-children", "percentile", "frame", "expand"):
        assert f"relabel --{name} ..." in program("relabel", name, files / "m.csv")[2]


def test_check(files):
    code, out, _ = run(files, "segments.csv", "--check")
    assert (code, out.startswith(f"{files}/segments.csv: audioset, 3 clips, 4 labels of 3 classes")) == (
        0,
        True,
    )
    code, out, _ = run(files, "segments.csv", "--check", "--json")
    assert (json.loads(out)["format"], json.loads(out)["clips"]) == ("audioset", 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either --out OUTPUT or --check"),
        (("--check", "--out", "x"), "either --out OUTPUT or --check"),
        (("--check", "--fp"), "--fp goes with --correct"),
        (("--check", "--q", "0.1"), "--q goes with --percentile"),
        (("--check", "--hop", "1"), "--hop goes with --frame"),
        (("--check", "--candidates", "psla"), "--candidates goes with --mean-threshold"),
        (("--check", "--correct", "--threshold-t", "0.6"), "0.6"),
        (("--check", "--percentile", "mask", "--q", "1"), "1"),
    ],
)
def test_wrong_usage(files, arguments, words):
    code, out, err = run(files, "m.csv", *arguments)
    assert (code, out) == (2, "") and words in err


@pytest.mark.parametrize(
    ("source", "arguments", "words"),
    [
        ("none.csv", (), "none.csv: No such file"),
        ("s.npz", (), "s.npz: line 1: is not UTF-8"),
        ("m.csv", ("--classes", "Dog"), "m.csv: line 2: the label 'Electric guitar' is no known class"),
        ("m.csv", ("--expand",), "need an ontology"),
        ("m.csv", ("--correct",), "--scores"),
        ("strong.tsv", ("--frame", "--frame-length", "0"), "frame and hop must be positive"),
        ("m.csv", ("--superclasses", "none.csv"), "none.csv: No such file"),
    ],
)
def test_failures_are_one_line(files, source, arguments, words):
    code, out, err = run(files, source, *arguments, "--out", files / "o.csv")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("acdref: ") and words in err
    assert not (files / "o.csv").exists()


def test_super_classes_of_real_clips(tmp_path):
    data = shared("data/audioset")
    arguments = ["--ontology", data / "ontology.json", "--superclasses", data / "audio_content_ontology.csv"]
    arguments += ["--expand", "--to", "manifest", "--out", tmp_path / "o.csv", "--json"]
    found = [
        json.loads(run(data, f"{name}_segments.csv", *arguments)[1]) for name in ("eval", "balanced_train")
    ]
    assert sum(each["classes"]["music"]["after"] for each in found) == 16684
    assert sum(each["classes"]["music"]["before"] for each in found) == 11962


SILENT = "classes of the labels that have no scores, and stay"


def test_corrections_by_cosines_need_the_scale(files):
    paths, classes = ("a.wav", "b/c.wav", "d.wav"), ("Guitar", "Electric guitar")
    TeacherScores(paths, classes, np.array([[0.5, 0.1], [0.3, 0.2], [0.1, 0.4]])).save(files / "cosines.npz")
    arguments = ("--scores", files / "cosines.npz", "--correct", "--out", files / "o.csv")
    code, _, err = run(files, "m.csv", *arguments)
    assert code == 1
    assert "--logit-scale" in err
    code, out, err = run(files, "m.csv", *arguments, "--logit-scale", 40)
    assert (code, err) == (0, f"acdref: {files}/cosines.npz: {SILENT}: Dog\n")
    assert out.splitlines()[2].split()[-7:] == ["1", "2", "1", "0", "0", "0", "0"]


@pytest.mark.parametrize("name", ["in.csv", "scores.csv", "ontology.json"])
def test_no_input_is_replaced(tmp_path, name):
    files = {
        "in.csv": "path,classes\na.wav,x\n",
        "scores.csv": "path,x\na.wav,0.99\n",
        "ontology.json": '[{"id": "x", "name": "x", "child_ids": []}]',
    }
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    options = {"--scores": "scores.csv", "--ontology": "ontology.json", "--out": name}
    words = [word for option, file in options.items() for word in (option, tmp_path / file)]
    code, stdout, err = run(tmp_path, "in.csv", "--correct", "--expand", *words)
    assert (code, stdout) == (1, "")
    assert err == f"acdref: {tmp_path / name}: is an input, and would be replaced; name another output\n"
    assert {file: (tmp_path / file).read_text() for file in files} == files


class TestFilePattern:
    def test_segments_find_their_files(self, files):
        (files / "Y-0BIyqJj9ZU_30.000.wav").touch()
        how = ("--to", "manifest", "--file-pattern", "Y{id}_{start:.3f}.wav", "--root", files)
        code, out, err = run(files, "segments.csv", *how, "--out", files / "o.csv", "--json")
        assert (code, json.loads(out)["files_missing"]) == (0, 2)
        lost = "2 of 3 clips have no file there and are left out, such as Y--4gqARaEJE_0.000.wav"
        assert err == f"acdref: {files}: {lost}\n"
        assert (files / "o.csv").read_text().splitlines()[1].startswith("Y-0BIyqJj9ZU_30.000.wav,")

    def test_check_counts_what_is_there(self, files):
        (files / "zCmRCAdMSWc.wav").touch()
        how = ("--check", "--file-pattern", "{id}.wav", "--root", files)
        code, out, err = run(files, "segments.csv", *how)
        assert (code, "audioset, 1 clips" in out, "2 of 3 clips have no file" in err) == (0, True, True)

    @pytest.mark.parametrize(
        ("how", "cause"),
        [
            (
                ("--to", "manifest", "--file-pattern", "{ytid}.wav"),
                "--file-pattern {ytid}.wav: {ytid} is unknown",
            ),
            (("--to", "manifest", "--file-pattern", "a.wav"), "must have {id}"),
            (("--file-pattern", "{id}.wav"), "--file-pattern goes with --to manifest"),
            (("--to", "manifest", "--root", "."), "--root goes with --file-pattern"),
        ],
    )
    def test_wrong_usage(self, files, how, cause):
        code, out, err = run(files, "segments.csv", *how, "--out", files / "o.csv")
        assert (code, out) == (2, "") and cause in err and not (files / "o.csv").exists()
