"""`acdref predict --events` and its outputs, as their user meets them."""

import csv
import io
import json
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner
from predict_support import CLASSES, ROOT, noise, write, write_tiny_weights

from acdref.checkpoint import load_weights, save_weights
from acdref.commands.predict import command
from acdref.ops.threads import set_threads
from acdref.predict.event_files import EVENT_FILES
from acdref.predict.events import timelines
from acdref.predict.tagging import predict as tag


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.npz")


@pytest.fixture
def predict(weights, monkeypatch):
    monkeypatch.setattr("acdref.commands._network.one_blas_thread", lambda: None)

    def run(*arguments, stdin=b""):
        arguments = ["--weights", weights, "--backend", "numpy", *map(str, arguments)]
        return CliRunner().invoke(command, arguments, input=stdin)

    yield run
    set_threads(None)


@pytest.fixture
def folder(tmp_path):
    """Two recordings of one base name, and one that is none."""
    write(tmp_path / "in" / "a" / "x.wav", noise(5))
    write(tmp_path / "in" / "b" / "x.wav", noise(2.5, seed=1))
    (tmp_path / "in" / "bad.wav").write_text("not audio")
    return tmp_path / "in"


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def files(folder):
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def heard(weights, folder, threshold, window=2.0, hop=1.0, **rules):
    net, _ = load_weights(weights, "numpy")
    return list(timelines(tag(net, [str(folder)], window, hop, ends=True), threshold, **rules))


def text(form, found):
    return EVENT_FILES[form].head + "".join(EVENT_FILES[form].text(each, CLASSES) for each in found)


@pytest.mark.parametrize("form", ["csv", "jsonl", "table", "dcase"])
def test_stdout_is_the_events_of_the_functions(predict, folder, weights, form):
    wanted = heard(weights, folder, 0.45)
    assert sum(len(each.events) for each in wanted) > 2
    result = predict("--events", "--format", form, "--threshold", 0.45, folder)
    assert result.stdout == text(form, wanted)
    assert result.exit_code == 3 and "bad.wav: text, not audio" in result.stderr


def test_options_reach_the_functions(predict, folder, weights):
    rules = {"hold": 0.9, "median": 3.0, "gap": 1.0, "least": 2.0}
    options = [word for name, value in rules.items() for word in (f"--event-{name}", value)]
    grid = ("--window", 1, "--hop", 0.25, "--threshold", 0.5)
    result = predict("--events", "--format", "csv", *grid, *options, folder)
    assert result.stdout == text("csv", heard(weights, folder, 0.5, 1.0, 0.25, **rules))


def test_half_of_the_window_is_the_hop(predict, folder, weights):
    result = predict("--events", "--format", "csv", "--window", 3, "--threshold", 0.5, folder)
    assert result.stdout == text("csv", heard(weights, folder, 0.5, 3.0, 1.5))


def test_thresholds_of_classes(predict, folder, weights):
    options = ("--threshold", 0.9, "--class-threshold", "dog=0.2", "--class-threshold", "rain=1")
    result = predict("--events", "--format", "csv", *options, folder)
    assert result.stdout == text("csv", heard(weights, folder, [0.9, 0.2, 1.0]))
    assert {row["label"] for row in rows(result.stdout)} == {"dog", ""}


def test_thresholds_of_the_weights(folder, weights, tmp_path):
    """They count unless others are given, in a table of windows too."""
    net, meta = load_weights(weights, "numpy")
    own = tmp_path / "own.npz"
    save_weights(own, net, meta["classes"], thresholds=[0.9, 0.2, 1.0])

    def run(*arguments):
        arguments = ["--weights", own, "--backend", "numpy", *arguments, folder]
        return CliRunner().invoke(command, [*map(str, arguments)]).stdout

    wanted = heard(weights, folder, [0.9, 0.2, 1.0])
    assert run("--events", "--format", "csv") == text("csv", wanted)
    assert run("--events", "--format", "csv", "--classes", "rain,dog") == text("csv", wanted)
    assert run("--events", "--format", "csv", "--threshold", 0.45) == text(
        "csv", heard(weights, folder, 0.45)
    )
    assert "(scores from 0.2 to 1, by class)" in run("--format", "table")


def test_thresholds_of_classes_in_windows(predict, folder):
    found = predict("--class-threshold", "dog=1", folder / "a", "--format", "csv")
    assert [row["dog"] for row in rows(found.stdout)] == [""] and rows(found.stdout)[0]["rain"]
    found = predict("--class-threshold", "dog=0", "--threshold", 1, folder / "a", "--format", "csv")
    assert rows(found.stdout)[0]["dog"] and not rows(found.stdout)[0]["rain"]
    table = predict("--class-threshold", "dog=0.1", "--threshold", 0.7, folder / "a", "--format", "table")
    assert "(scores from 0.1 to 0.7, by class)" in table.stdout


def test_only_some_classes(predict, folder):
    (every,) = rows(predict(folder / "a", "--format", "csv").stdout)
    (some,) = rows(predict(folder / "a", "--format", "csv", "--classes", "rain,hum").stdout)
    assert list(some) == ["schema", "path", "start", "end", "rain", "hum", "note", "error"]
    assert (some["rain"], some["hum"]) == (every["rain"], every["hum"])
    found = predict("--events", "--threshold", 0, "--classes", "rain", folder / "a", "--format", "csv")
    assert [row["label"] for row in rows(found.stdout)] == ["rain"]


def test_everything_in_one_pass(predict, folder, weights, tmp_path):
    pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    out.mkdir()
    places = {
        "csv": out / "e.csv", "jsonl": out / "e.jsonl", "table": out / "e.txt", "dcase": out / "e.tsv",
        "parquet": out / "e.parquet", "audacity": out / "audacity", "raven": out / "raven",
        "textgrid": out / "textgrid", "scores": out / "scores",
    }  # fmt: skip
    outs = [word for form, place in places.items() for word in ("--out", f"{form}:{place}")]
    result = predict("--events", "--threshold", 0.45, folder, *outs)
    assert result.exit_code == 3 and result.stdout == ""
    found = heard(weights, folder, 0.45)
    for form in ("csv", "jsonl", "table", "dcase"):
        assert places[form].read_text() == text(form, found)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(places["parquet"]).to_pylist()
    assert [row["path"] for row in table] == [row["path"] for row in rows(text("csv", found))]
    good = [each for each in found if each.error is None]
    for form in ("audacity", "raven", "textgrid", "scores"):
        ending = EVENT_FILES[form].suffix
        wanted = {f"x{ending}": text(form, good[:1]), f"b_x{ending}": text(form, good[1:])}
        assert files(places[form]) == wanted
    assert not list(out.rglob(".*"))


def test_windows_and_labels_in_one_pass(predict, folder, tmp_path):
    grid = ("--window", 2, "--hop", 1)
    both = predict("--out", "csv:-", "--out", f"audacity:{tmp_path}/labels", *grid, folder)
    assert both.stdout == predict("--format", "csv", *grid, folder).stdout
    predict("--events", "--out", f"audacity:{tmp_path}/again", folder)
    assert files(tmp_path / "labels") == files(tmp_path / "again") and len(files(tmp_path / "again")) == 2


def test_again_into_the_same_folder(predict, folder, tmp_path):
    arguments = ("--events", "--out", f"textgrid:{tmp_path}/labels", folder)
    predict("--threshold", 0.1, *arguments)
    first = files(tmp_path / "labels")
    (tmp_path / "labels" / "mine.txt").write_text("of somebody else")
    predict(*arguments)
    second = files(tmp_path / "labels")
    assert second.pop("mine.txt") == "of somebody else"
    assert first.keys() == second.keys() and first != second


def test_labels_that_cannot_be_written(predict, tmp_path):
    """A recording that would be replaced by its own labels is said, the others are done."""
    sound = write(tmp_path / "in" / "a.wav", noise(2))
    other = write(tmp_path / "labels" / "x.txt", noise(2), format="WAV")
    before = (tmp_path / "labels" / "x.txt").read_bytes()
    result = predict("--out", f"audacity:{tmp_path}/labels", "-", stdin=f"{other}\n{sound}\n".encode())
    assert result.exit_code == 3 and "x.txt: is an input" in result.stderr
    assert (tmp_path / "labels" / "x.txt").read_bytes() == before
    assert (tmp_path / "labels" / "a.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--event-gap", "1"], "--event-gap goes with --events"),
        (["--events", "--top", "3"], "--top is for windows"),
        (["--events", "--window", "2", "--hop", "3"], "--hop 3 is longer than --window 2"),
        (["--events", "--event-hold", "2"], "--event-hold"),
        (["--events", "--scores", "s.npz"], "--events does not go with --scores"),
        (["--event-least", "1", "--scores", "s.npz"], "--event-least does not go with --scores"),
        (["--out", "a.csv", "--scores", "s.npz"], "--out does not go with --scores"),
    ],
)
def test_wrong_usage(predict, arguments, words):
    result = predict(*arguments, "x.wav")
    assert result.exit_code == 2 and words in result.output


def test_classes_that_there_are_not(predict, folder):
    for arguments, words in (
        (["--classes", "cat"], "has no class 'cat'"),
        (["--class-threshold", "dog=nan"], "the threshold of 'dog' must be a number from 0 to 1, not nan"),
        (["--class-threshold", "cat=0.2"], "there is a threshold for 'cat', which is none of hum, dog, rain"),
    ):
        result = predict(*arguments, "--events", folder)
        assert result.exit_code == 1 and words in str(result.exception)


def test_events_come_as_recordings_end(weights, folder):
    """Those of a recording are there while the list on stdin is still open."""
    clip = str(folder / "a" / "x.wav")
    arguments = [sys.executable, "-m", "acdref.cli", "predict", "--weights", weights, "--events"]
    arguments += ["--format", "jsonl", "-"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        watchdog = threading.Timer(60, process.kill)  # without a row, the line below would wait for ever
        watchdog.start()
        for _ in range(2):
            process.stdin.write(clip.encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["seconds"] == 5.0
        process.stdin.close()
        assert process.wait() == 0
        watchdog.cancel()
