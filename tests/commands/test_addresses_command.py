"""Commands whose recordings, tables, outputs and runs lie in a store, with S3's real interface."""

import csv
import io
import os
import shutil
import subprocess

import numpy as np
import pytest
from clap_support import bundle
from click.testing import CliRunner
from predict_support import noise, write, write_tiny_weights
from store_support import BUCKET, s3_door, spooling
from train_support import OPTIONS, Recorder, numpy_networks, write_corpus

from acdref import Tagger, checkpoint
from acdref.commands import cut, embed, evaluate, predict, relabel, report, similar, summary, teach
from acdref.commands import train as train_command
from acdref.commands.recipe import self_correct
from acdref.ops.threads import set_threads
from acdref.options.training import TrainOptions
from acdref.tables.manifest import read_folder
from acdref.tables.scores import ScoreFile
from acdref.train import train

fsspec = pytest.importorskip("fsspec")
ROOT = f"s3://{BUCKET}"
TABLE = "path,classes\na.wav,dog\nsub/b.wav,rain\nsub/c.wav,hum\n"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A folder of recordings, with a manifest and weights."""
    folder = tmp_path_factory.mktemp("local")
    for seed, name in enumerate(("a.wav", "sub/b.wav", "sub/c.wav", ".hidden.wav")):
        write(folder / "sounds" / name, noise(3 + seed, seed=seed))
    (folder / "sounds" / "notes.txt").write_text("of the day")
    (folder / "sounds" / "m.csv").write_text(TABLE)
    write_tiny_weights(folder / "tiny.npz")
    return folder


@pytest.fixture(scope="module")
def store(local):
    """The same in a store; the door to it."""
    with s3_door() as door:
        s3 = fsspec.filesystem("s3", use_listings_cache=False)
        for path in filter(os.path.isfile, local.rglob("*")):
            s3.put_file(path, f"{ROOT}/{path.relative_to(local)}")
        door.s3 = s3
        yield door


@pytest.fixture(autouse=True)
def quick(store, tmp_path, monkeypatch):
    for name in ("_network", "teach"):
        monkeypatch.setattr(f"acdref.commands.{name}.one_blas_thread", lambda: None)
    store.faults.clear()
    store.seen.clear()
    with spooling(tmp_path), numpy_networks():
        yield
    set_threads(None)


def run(command, *arguments, stdin=b""):
    """Exit code, stdout and stderr, of a command with tiny weights from the store where it takes some."""
    names = {param.name for param in command.command.params}
    weights = ["--weights", f"{ROOT}/tiny.npz"] if "weights" in names else []
    weights += ["--backend", "numpy"] if "backend" in names else []
    done = CliRunner().invoke(command.command, [*weights, *map(str, arguments)], input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def content(store, name):
    return store.s3.cat_file(f"{ROOT}/{name}")


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


# predict


def test_a_folder_is_tagged_as_one_of_this_machine(store, local, tmp_path):
    code, there, err = run(predict, f"{ROOT}/sounds")
    assert code == 0 and "passed over 3 files (no recordings by their names): 1 .csv, 1 .txt, 1 hidden" in err
    _, here, _ = run(predict, local / "sounds")
    assert there.replace(f"{ROOT}/sounds", "X") == here.replace(f"{local}/sounds", "X")
    assert not [asked for asked in store.seen if "hidden" in asked or "notes" in asked]


def test_outputs_are_objects(store, tmp_path):
    pytest.importorskip("pyarrow")
    outs = ("t.csv", "e.jsonl", "parquet:{}/t.parquet", "audacity:{}/labels")
    given = [f"--out={out.format(f'{ROOT}/out') if '{}' in out else f'{ROOT}/out/{out}'}" for out in outs]
    code, out, _ = run(predict, *given, f"{ROOT}/sounds/a.wav", f"{ROOT}/sounds/sub/b.wav")
    assert (code, out) == (0, "")
    events = ("--window", 2, "--hop", 1)  # as labels need them
    _, expected, _ = run(predict, *events, f"{ROOT}/sounds/a.wav", f"{ROOT}/sounds/sub/b.wav")
    assert content(store, "out/t.csv").decode() == expected
    assert content(store, "out/t.parquet").startswith(b"PAR1")
    names = {name.rpartition("out/")[2] for name in store.s3.find(f"{ROOT}/out")}
    assert names == {"t.csv", "e.jsonl", "t.parquet", "labels/a.txt", "labels/b.txt"}
    assert not os.listdir(tmp_path / "cache" / "stores")


def test_paths_on_stdin_and_of_this_machine(local):
    paths = f"{ROOT}/sounds/a.wav\n{(local / 'sounds/a.wav').as_uri()}\n".encode()
    code, out, _ = run(predict, "-", stdin=paths)
    first, second = rows(out)
    assert code == 0 and second.pop("path") == str(local / "sounds/a.wav")
    assert first.pop("path") == f"{ROOT}/sounds/a.wav" and first == second


def test_a_missing_recording_costs_one_row(store):
    missing = f"{ROOT}/sounds/gone.wav"
    code, out, err = run(predict, missing, f"{ROOT}/sounds/a.wav")
    assert code == 3 and f"{missing}: no such object" in err
    assert [row["error"] for row in rows(out)] == ["no such object", ""]
    code, out, _ = run(predict, f"{ROOT}/nothing/")
    assert code == 1 and rows(out)[0]["error"] == "no such object"


def test_scores_continue_from_a_journal_of_this_machine(store, tmp_path):
    out = f"{ROOT}/out/scores.npz"
    given = ("--scores", out, f"{ROOT}/sounds/m.csv")
    store.faults[:] = [("busy", f"PUT /{BUCKET}/out/scores.npz")] * 9
    with pytest.raises(Exception, match="the store answers 503"):
        run(predict, *given)
    store.faults.clear()
    store.seen.clear()
    code, said, err = run(predict, *given)
    assert code == 0 and "continuing after 3 recordings" in err
    assert said == f"{out}: scores of 3 of 3 recordings\n"
    assert not [asked for asked in store.seen if asked.startswith("GET") and asked.endswith(".wav")]
    assert [id for _, id, _ in ScoreFile(out).rows()] == ["a.wav", "sub/b.wav", "sub/c.wav"]
    assert [name for name in os.listdir(tmp_path / "cache/stores") if name.endswith(".part")] == []


@pytest.mark.parametrize(
    ("out", "cause"),
    [
        (f"{ROOT}/sounds/a.wav", "is an input"),
        ("s3a://bucket/sounds/a.wav", "is an input"),
        (f"{ROOT}/new.wav", "is a recording"),
        (f"{ROOT}/sounds", "a folder of objects"),
        ("s3://nowhere/x.csv", "no such bucket: nowhere"),
        ("https://host/x.csv", "https:// is read only"),
    ],
)
def test_outputs_are_refused_before_any_work(store, out, cause):
    with pytest.raises(Exception, match=cause) as caught:
        run(predict, "--format", "csv", "--out", out, f"{ROOT}/sounds/a.wav")
    assert caught.value.path == out
    assert not [asked for asked in store.seen if asked.endswith((".wav", ".npz")) and "GET" in asked]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the PATH")
def test_ffmpeg_is_given_the_copy(store, local):
    as_video = local / "b.mkv"
    how = ["ffmpeg", "-v", "error", "-y", "-i", local / "sounds/a.wav", as_video]
    subprocess.run(how, check=True)
    store.s3.put_file(as_video, f"{ROOT}/b.mkv")
    code, out, _ = run(predict, f"{ROOT}/b.mkv")
    _, expected, _ = run(predict, as_video)
    assert code == 0 and out.replace(ROOT, str(local)) == expected


def test_the_tagger_reads_addresses(store, local):
    tagger = Tagger.load(f"{ROOT}/tiny.npz")
    there, here = (tagger.tag(f"{folder}/sounds/a.wav") for folder in (ROOT, local))
    assert np.array_equal(there.windows[0].scores, here.windows[0].scores)


# Tables


def test_relabel_evaluate_and_summary(store, local):
    run(predict, "--out", f"{ROOT}/tags.csv", f"{ROOT}/sounds/a.wav")
    code, out, _ = run(summary, f"{ROOT}/tags.csv", "--threshold", 0)
    assert code == 0 and rows(out)[0]["path"] == f"{ROOT}/sounds/a.wav"
    code, _, _ = run(relabel, f"{ROOT}/sounds/m.csv", "--out", f"{ROOT}/out/m.csv")
    assert code == 0 and rows(content(store, "out/m.csv").decode()) == rows(TABLE)
    out = f"{ROOT}/out/errors.csv"
    code, there, _ = run(evaluate, f"{ROOT}/sounds/m.csv", "--recordings-out", out)
    _, here, _ = run(evaluate, local / "sounds/m.csv")
    assert code == 0 and there == here
    assert [row["path"] for row in rows(content(store, "out/errors.csv").decode())] == [
        "a.wav",
        "sub/b.wav",
        "sub/c.wav",
    ]
    code, there, _ = run(evaluate, local / "sounds/m.csv", "--root", f"{ROOT}/sounds/")
    assert code == 0 and there == here


def test_relabel_refuses_to_replace_its_input(store):
    with pytest.raises(Exception, match="is an input"):
        run(relabel, f"{ROOT}/sounds/m.csv", "--out", "s3a://bucket/sounds/m.csv")
    assert content(store, "sounds/m.csv").decode() == TABLE


def test_embeddings(store):
    out = f"{ROOT}/out/all.npz"
    code, said, _ = run(embed, f"{ROOT}/sounds", "--out", out)
    assert code == 0 and said == f"{out}: embeddings of 3 of 3 recordings\n"
    code, said, _ = run(similar, f"{ROOT}/sounds/sub/c.wav", out)
    assert code == 0 and said.splitlines()[1].startswith(f"{ROOT}/sounds/")


def test_a_teacher_labels_a_store(store, tmp_path):
    pytest.importorskip("onnxruntime")
    bundle(tmp_path)
    out, labels = f"{ROOT}/out/clap.npz", f"{ROOT}/out/clap.csv"
    given = (f"{ROOT}/sounds", "--out", out, "--labels", labels, "--workers", 1)
    code, said, _ = run(teach, tmp_path / "hf", *given)
    assert code == 0 and said.startswith(f"{out}: cosines of 3 of 3 recordings with 11 classes\n{labels}: ")
    assert len(rows(content(store, "out/clap.csv").decode())) == 3
    code, _, err = run(teach, f"{ROOT}/hf", *given)
    assert code == 2 and f"{ROOT}/hf: a path of this machine is wanted" in err


def test_events_are_cut_out_of_a_store(store, tmp_path):
    events = f"{ROOT}/out/events.csv"
    run(predict, "--events", "--threshold", 0, "--out", events, f"{ROOT}/sounds/a.wav")
    code, _, err = run(cut, events, "--out", tmp_path / "clips")
    assert code == 0 and err == "" and len(list((tmp_path / "clips").rglob("*.flac"))) == 3


def test_a_page_holds_what_a_browser_could_not_fetch(store, tmp_path):
    code, _, err = run(report, f"{ROOT}/sounds/a.wav", "--out", tmp_path / "page.html")
    assert code == 0 and "no room" not in err
    code, _, err = run(report, f"{ROOT}/sounds/a.wav", "--out", tmp_path / "page.html", "--embed", 0)
    assert code == 0 and "1 of 1 recordings lie in a store and have no room in the page" in err


def test_a_folder_with_one_folder_a_class(store, local):
    for name in ("dog/1.wav", "none/2.wav"):
        store.s3.put_file(local / "sounds/a.wav", f"{ROOT}/classes/{name}")
    manifest = read_folder(f"{ROOT}/classes/")
    assert manifest.paths == ("dog/1.wav", "none/2.wav") and manifest.file(0) == f"{ROOT}/classes/dog/1.wav"
    assert manifest.labels[:, manifest.classes.index("dog")].tolist() == [1, 0]


# Training

SMALL = vars(OPTIONS) | {"seconds": (2.1,), "width": 0.25}


@pytest.fixture(scope="module")
def corpus(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    for path in folder.iterdir():
        store.s3.put_file(path, f"{ROOT}/corpus/{path.name}")
    return folder


def test_a_run_in_a_store_is_that_of_a_folder(store, corpus, tmp_path):
    """Stopped and continued, with workers: the same weights to the bit."""

    def options(folder, **more):
        return TrainOptions(**{**SMALL, "manifest": f"{folder}/manifest.csv", **more})

    there, here = f"{ROOT}/runs/1", tmp_path / "run"
    train(options(corpus), here)
    assert train(options(f"{ROOT}/corpus"), there, observer=Recorder(stop=1)) is None
    assert not store.s3.exists(f"{there}/best.npz")
    row = train(options(f"{ROOT}/corpus", workers=1), there, resume=True)
    names = {name.rpartition("/")[2] for name in store.s3.find(there)}
    assert (
        names == {"config.json", "metrics.csv", "curves.html", "best.npz", "last.npz"} and row["epoch"] == 2
    )
    assert content(store, "runs/1/metrics.csv") == (here / "metrics.csv").read_bytes()
    ours, theirs = (checkpoint.load(f"{run}/last.npz")[0] for run in (here, there))
    assert all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in ours)


def test_a_run_of_the_command(store, corpus, tmp_path):
    small = (
        "--epochs",
        1,
        "--epoch-size",
        2,
        "--batch",
        2,
        "--val-fold",
        2,
        "--workers",
        0,
        "--seconds",
        2.1,
    )
    out = f"{ROOT}/runs/2"
    code, said, _ = run(
        train_command, corpus / "manifest.csv", "--root", f"{ROOT}/corpus", "--out", out, *small
    )
    assert code == 0 and said.startswith(f"{out}: 1 epochs, loss 0.")
    code, _, err = run(train_command, "--out", out, "--resume", "--workers", 0)
    assert code == 0 and "this run is complete" in err
    with pytest.raises(Exception, match="holds a run already"):
        run(train_command, corpus / "manifest.csv", "--out", out, *small)
    with pytest.raises(Exception, match="https:// is read only"):
        run(train_command, corpus / "manifest.csv", "--out", "https://host/run", *small)


def test_a_checkpoint_that_cannot_be_sent_ends_the_run_and_leaves_the_one_before(store, corpus):
    out = f"{ROOT}/runs/3"
    options = TrainOptions(**{**SMALL, "manifest": f"{corpus}/manifest.csv"})
    train(options, out, observer=Recorder(stop=1))
    before = content(store, "runs/3/last.npz")
    store.faults[:] = [("busy", f"PUT /{BUCKET}/runs/3/last.npz")] * 9
    with pytest.raises(Exception, match=r"last\.npz: the store answers 503.*kept as"):
        train(options, out, resume=True)
    store.faults.clear()
    assert content(store, "runs/3/last.npz") == before
    assert train(options, out, resume=True)["epoch"] == 2


# What takes no address


def test_what_takes_no_address_says_so(store, tmp_path):
    code, _, err = run(report, f"{ROOT}/sounds", "--out", f"{ROOT}/page")
    assert code == 2 and f"{ROOT}/page: a path of this machine is wanted" in err
    code, _, err = run(self_correct, f"{ROOT}/sounds/m.csv", "--out", tmp_path / "recipe")
    assert code == 2 and "a path of this machine is wanted" in err
    manifest = tmp_path / "m.csv"
    manifest.write_text(TABLE)
    code, _, err = run(self_correct, manifest, "--root", f"{ROOT}/sounds", "--out", tmp_path / "recipe")
    assert code == 2 and f"{ROOT}/sounds: recipes read files of this machine" in err
    assert not (tmp_path / "recipe").exists()
    code, _, err = run(predict, (tmp_path / "x.wav").as_uri())
    assert code == 1 and f"{tmp_path / 'x.wav'}: no such file" in err
    shutil.rmtree(tmp_path / "spool", ignore_errors=True)
    code, _, _ = run(predict, f"{ROOT}/sounds/a.wav")  # somebody has tidied up
    assert code == 0
