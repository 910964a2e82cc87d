"""`acdref evaluate` as its user meets it."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from predict_support import CLASSES, noise, program, write, write_tiny_weights
from report_support import item, parts
from report_support import rows as rows_of

from acdref.checkpoint import load_weights
from acdref.commands.evaluate import command
from acdref.errors import FileError
from acdref.evaluate import evaluate
from acdref.tables.manifest import read_manifest

MANIFEST = """path,classes,fold,split
sonyc/0.wav,hum,1,train
sonyc/1.wav,hum;dog,1,val
2.wav,,2,train
3.wav,dog,2,val
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for i, name in enumerate(("sonyc/0.wav", "sonyc/1.wav", "2.wav", "3.wav")):
        write(folder / name, noise(1, 0.1 * (i + 1), seed=i))
    (folder / "manifest.csv").write_text(MANIFEST)
    write_tiny_weights(folder / "tiny.npz")
    return folder


@pytest.fixture
def run(corpus, monkeypatch):
    monkeypatch.setattr("acdref.commands._network.one_blas_thread", lambda: None)

    def run(*arguments, manifest="manifest.csv"):
        arguments = [corpus / manifest, "--weights", corpus / "tiny.npz", *arguments]
        return CliRunner().invoke(command, list(map(str, arguments)))

    return run


def test_json_is_the_evaluation(run, corpus):
    result = run("--json", "--backend", "numpy")
    assert (result.exit_code, result.stderr) == (0, "")
    net, meta = load_weights(corpus / "tiny.npz", backend="numpy")
    expected = evaluate(net, read_manifest(corpus / "manifest.csv", classes=meta["classes"])).as_dict()
    found = json.loads(result.stdout)
    assert found.pop("weights") == str(corpus / "tiny.npz")
    assert found.pop("manifest") == str(corpus / "manifest.csv")
    assert found == expected
    assert {"mAP", "ap", "accuracy", "prior"} <= set(found)
    assert list(found["ap"]) == list(CLASSES)


def test_table(run):
    found = json.loads(run("--json").stdout)
    lines = run().stdout.splitlines()
    head = ["class", "positives", "prior", "AP", "95", "%", "AUC", "d'", "precision", "recall", "F1"]
    assert lines[0].split() == head

    def of(values, keys=("auc", "d_prime", "precision", "recall", "f1")):
        return ["-" if values(key) is None else f"{values(key):.3f}" for key in keys]

    low, high = found["intervals"]["ap"]["hum"]
    expected = ["hum", "2", "0.500", f"{found['ap']['hum']:.3f}", f"{low:.3f}", "to", f"{high:.3f}"]
    assert lines[1].split()[:7] == expected
    assert lines[1].split()[7] == f"{found['auc']['hum']:.3f}"
    assert lines[3].split()[:7] == ["rain", "0", "0.000", "-", "-", "to", "-"]
    assert lines[4].split()[:3] == ["mean", "0.500", f"{found['mAP']:.3f}"]
    assert lines[4].split()[-3:] == of(found["means"].get, ("precision", "recall", "f1"))
    assert lines[5].split()[0] == "low" and lines[6].split()[0] == "high"
    assert f"accuracy at 0.5: {found['accuracy']:.3f} (finding nothing: 0.667)" in lines
    assert "intervals: 95 % of resamples of sources (each recording its own source)" in lines
    assert lines[-1] == "4 recordings"


def test_sources_that_the_manifest_names(run, corpus):
    rows = MANIFEST.splitlines()
    named = "\n".join([f"{rows[0]},source_id", *(f"{row},s{i // 2}" for i, row in enumerate(rows[1:]))])
    (corpus / "named.csv").write_text(named)
    text = run(manifest="named.csv").stdout
    assert "intervals: 95 % of resamples of sources (2 sources, by the column source_id)" in text


def test_recordings_out_is_a_manifest_with_scores(run, corpus, tmp_path):
    out = tmp_path / "r.csv"
    given = ("--recordings-out", out, "--threshold", "0", "--window", "0.5", "--json")
    found = json.loads(run(*given).stdout)
    assert found["window"] == 0.5 and found["thresholds"] == dict.fromkeys(CLASSES, 0.0)
    rows = list(csv.DictReader(out.open()))
    assert [row["path"] for row in rows] == ["sonyc/0.wav", "sonyc/1.wav", "2.wav", "3.wav"]
    assert [row["false"] for row in rows] == ["dog;rain", "rain", "hum;dog;rain", "hum;rain"]
    assert 0 < float(rows[0]["hum"]) < 1
    again = read_manifest(out, classes=CLASSES)
    labels = read_manifest(corpus / "manifest.csv", classes=CLASSES).labels
    np.testing.assert_array_equal(again.labels, labels)
    refused = program("evaluate", corpus / "manifest.csv", "--recordings-out", corpus / "manifest.csv")
    assert refused[0] == 1 and "is an input" in refused[2]


@pytest.mark.parametrize(
    ("options", "clips", "hum"),
    [
        (("--fold", "1"), 2, 2),
        (("--fold", "2"), 2, 0),
        (("--fold", "1,2"), 4, 2),
        (("--split", "val"), 2, 1),
        (("--fold", "1", "--split", "val"), 1, 1),
        (("--match", "*sonyc*"), 2, 2),
        (("--match", "*.wav", "--fold", "2"), 2, 0),
    ],
)
def test_parts_of_the_manifest(run, options, clips, hum):
    found = json.loads(run("--json", *options).stdout)
    assert (found["clips"], found["positives"]["hum"]) == (clips, hum)


def test_classes(run):
    found = json.loads(run("--json", "--classes", "rain, dog").stdout)
    assert list(found["ap"]) == ["rain", "dog"]
    assert run("--classes", "cow").exit_code != 0


def test_root(run, corpus, tmp_path):
    (tmp_path / "m.csv").write_text(MANIFEST)
    result = run("--root", str(corpus), "--json", manifest=tmp_path / "m.csv")
    assert json.loads(result.stdout)["clips"] == 4


def test_folder_per_class(run, tmp_path):
    for name in ("dog/a.wav", "hum/b.wav", "none/c.wav"):
        write(tmp_path / name, noise(0.5))
    found = json.loads(run("--json", manifest=tmp_path).stdout)
    assert found["positives"] == {"hum": 1, "dog": 1, "rain": 0}


def test_recordings_left_out(corpus):
    text = MANIFEST + "none.wav,hum,1,val\nbad\x1b.wav,,1,val\n"
    (corpus / "more.csv").write_text(text)
    code, out, err = program("evaluate", corpus / "more.csv", "--weights", corpus / "tiny.npz")
    assert code == 3
    assert out.endswith("4 recordings, 2 left out\n")
    assert err.splitlines() == [
        f"acdref: left out: {corpus}/none.wav: no such file",
        f"acdref: left out: {corpus}/bad\\x1b.wav: no such file",
    ]
    code, out, _ = program("evaluate", corpus / "more.csv", "--weights", corpus / "tiny.npz", "--json")
    assert (code, len(json.loads(out)["failures"])) == (3, 2)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (None, (), "No such file"),
        ("path,classes\nx.wav,cow\n", (), "line 2: the class 'cow' is not one of hum, dog, rain"),
        ("path,classes\nx.wav,\n", (), "none of its 1 recordings can be used"),
        ("path,classes\nx.wav,\n", ("--fold", "1"), "no column 'fold'"),
        ("path,classes,fold\nx.wav,,1\n", ("--fold", "7"), "fold '7'"),
        ("path,classes\nx.wav,\n", ("--match", "*y*"), "none of its 1 paths matches '*y*'"),
        ("path,classes\nx.wav,\n", ("--classes", "cow"), "the class 'cow' is not one of"),
        ("path,classes\nx.wav,\n", ("--weights", "missing.npz"), "missing.npz: No such file"),
    ],
)
def test_failure_is_one_line(corpus, tmp_path, text, options, words):
    if text is not None:
        (tmp_path / "m.csv").write_text(text)
    code, out, err = program("evaluate", tmp_path / "m.csv", "--weights", corpus / "tiny.npz", *options)
    assert (code, out) == (1, "")
    assert words in err.splitlines()[-1]
    assert len(err.splitlines()) == (2 if "can be used" in words else 1)  # beside the one that is left out


def test_scores_are_those_of_the_weights(run, corpus):
    """Other weights, other result: that --weights is used at all."""
    net, meta = load_weights(corpus / "tiny.npz", backend="numpy")
    found = json.loads(run("--json").stdout)["accuracies"]
    y = read_manifest(corpus / "manifest.csv", classes=meta["classes"]).labels
    net.params["dense.bias"] += np.float32(100)
    from acdref.checkpoint import save_weights

    save_weights(corpus / "sure.npz", net, CLASSES)
    sure = json.loads(run("--json", "--weights", corpus / "sure.npz").stdout)["accuracies"]
    assert list(sure.values()) == pytest.approx(y.mean(axis=0))
    assert found != sure


# FSD50K, of a made-up folder of its layout


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """Four clips to test on, of which one is short and one is missing, and one to validate on."""
    folder = tmp_path_factory.mktemp("fsd50k")
    clips = {"eval": [(5.0, "Bark"), (5.0, "Bark_and_yip,Hum"), (4.9, "Rain"), (None, "Rain")]}
    clips["dev"] = [(8.0, "Rain"), (5.0, "Hum")]
    (folder / "FSD50K.ground_truth").mkdir()
    for name, rows in clips.items():
        with open(folder / "FSD50K.ground_truth" / f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["fname", "labels", "mids"])
            for i, (seconds, labels) in enumerate(rows):
                writer.writerow([i, labels, labels.replace("Bark_and_yip", "/m/b").replace("Bark", "/m/a")])
                if seconds is not None:
                    path = folder / f"FSD50K.{name}_audio" / f"{i}.wav"
                    write(path, noise(seconds, 0.1 * (i + 1), seed=i, rate=8000), 8000)
    (folder / "map.csv").write_text('unused,rain,dog,hum,cat\nDrip,Rain,"Bark, yip",Hum,Meow\n,,Bark,,\n')
    return folder


def fsd50k(made_up, corpus, *arguments):
    arguments = ["--class-map", made_up / "map.csv", "--weights", corpus / "tiny.npz", "--json", *arguments]
    result = CliRunner().invoke(command, ["--fsd50k", str(made_up), *map(str, arguments)])
    return result.exit_code, result.stdout and json.loads(result.stdout), result.stderr


def test_fsd50k(run, made_up, corpus):
    code, found, told = fsd50k(made_up, corpus)
    assert code == 3
    assert told == f"acdref: left out: {made_up}/FSD50K.eval_audio/3.wav: no such file\n"
    assert found["positives"] == {"hum": 1, "dog": 2, "rain": 0}
    assert (found["clips"], len(found["failures"])) == (2, 1)
    assert (found["part"], found["seed"], found["threshold"]) == ("test", 0, 0.5)
    assert found["fsd50k"] == str(made_up) and "manifest" not in found


def test_what_fsd50k_gives_to_validate_on_is_a_manifest(run, made_up, corpus, tmp_path):
    out = tmp_path / "val.csv"
    code, found, _ = fsd50k(made_up, corpus, "--part", "val", "--manifest-out", out)
    assert (code, found["clips"], found["positives"]["rain"]) == (0, 1, 1)
    written = read_manifest(out, classes=("rain", "dog", "hum", "cat"))
    assert written.paths == (str(made_up / "FSD50K.dev_audio" / "0.wav"),)
    assert written.labels.tolist() == [[1, 0, 0, 0]]
    again = run("--json", "--classes", "hum,dog,rain", manifest=out)
    assert json.loads(again.stdout)["ap"] == found["ap"]


def test_a_class_that_the_map_lacks(made_up, corpus):
    (made_up / "other.csv").write_text("rain,dog\nRain,Bark\n")
    given = ("--fsd50k", made_up, "--class-map", made_up / "other.csv", "--weights", corpus / "tiny.npz")
    code, out, err = program("evaluate", *given)
    assert (code, out) == (1, "")
    assert err == f"acdref: {made_up}/other.csv: has no column 'hum', a class of the weights\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either MANIFEST or --fsd50k"),
        (("m.csv", "--fsd50k", "f"), "either MANIFEST or --fsd50k"),
        (("m.csv", "--part", "val"), "--part goes with --fsd50k"),
        (("m.csv", "--manifest-out", "o.csv"), "--manifest-out goes with --fsd50k"),
        (("--fsd50k", "f", "--class-map", "m.csv", "--fold", "1"), "--fold goes with MANIFEST"),
        (("--fsd50k", "f"), "needs --class-map"),
        (("m.csv", "--threshold", "nan"), "not a finite number"),
    ],
)
def test_wrong_usage(arguments, words):
    result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == 2
    assert words in result.stderr


def test_threshold(run):
    found = json.loads(run("--json", "--threshold", "0").stdout)
    assert found["threshold"] == 0
    assert list(found["accuracies"].values()) == pytest.approx([0.5, 0.5, 0])  # all is found
    assert "accuracy at 0.25: " in run("--threshold", "0.25").stdout


def test_help_has_examples_and_exit_codes():
    text = CliRunner().invoke(command, ["--help"]).output
    assert "Examples:" in text and "Exit codes:" in text and "--match" in text


@pytest.mark.parametrize("out", ["errors.html", "errors"])
def test_the_page_of_errors_agrees_with_the_measures(run, corpus, tmp_path, out):
    plain = run("--json", "--threshold", "0.499")
    result = run("--json", "--threshold", "0.499", "--classes", "dog,hum", "--report", tmp_path / out)
    page = tmp_path / out if out == "errors.html" else tmp_path / out / "index.html"
    assert (result.exit_code, result.stderr) == (0, f"acdref: report: {page}\n")
    accuracies = json.loads(plain.stdout)["accuracies"]
    meta, found = parts(page)["meta"], rows_of(page)
    assert (meta["classes"], meta["errors"], meta["thresholds"]) == (["dog", "hum"], True, [4990, 4990])
    assert [row["path"] for row in found] == ["sonyc/0.wav", "sonyc/1.wav", "2.wav", "3.wav"]
    assert [row["labels"] for row in found] == [[0, 1], [1, 1], [0, 0], [1, 0]]
    for c, name in enumerate(meta["classes"]):
        right = [(row["scores"][c] > meta["thresholds"][c]) == row["labels"][c] for row in found]
        assert np.mean(right) == pytest.approx(accuracies[name])
    assert all(item(page, row["sound"])[:4] == b"RIFF" for row in found)


def test_a_page_of_errors_lists_what_could_not_be_scored(run, corpus, tmp_path):
    (corpus / "broken.csv").write_text("path,classes,unknown\n3.wav,dog,hum\nnone.wav,hum,\n")
    result = run("--report", tmp_path / "errors.html", manifest="broken.csv")
    assert result.exit_code == 3
    first, second = rows_of(tmp_path / "errors.html")
    assert (first["labels"], first["error"]) == ([None, 1, 0], None)
    assert (second["path"], second["count"], second["error"]) == ("none.wav", 0, "no such file")


def test_a_page_that_cannot_be_written_costs_no_measures(run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise FileError(tmp_path / "errors.html", "No space left on device")

    monkeypatch.setattr("acdref.report.write_report", full)
    result = run("--json", "--report", tmp_path / "errors.html")
    assert isinstance(result.exception, FileError) and json.loads(result.stdout)["clips"] == 4


def test_a_page_of_errors_replaces_no_input(run, corpus):
    for out in ("manifest.csv", "tiny.npz", "sonyc/nowhere/p.html"):
        assert run("--report", corpus / out).exception is not None
    assert (corpus / "manifest.csv").read_text() == MANIFEST
