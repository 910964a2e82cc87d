"""`--scheduler`: the commands that score, with Dask's workers on the loopback device."""

import os
import signal
import subprocess
import sys
import time

import pytest
from predict_support import ROOT, noise, program, write, write_tiny_weights, write_truncated
from relabel_support import write as write_label_file

pytest.importorskip("distributed")

from cluster_support import Processes, free_port


@pytest.fixture(scope="module")
def address():
    with Processes() as dask:
        dask.schedule()
        dask.work(threads=2), dask.work()
        yield dask.address


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scheduler")
    sounds = folder / "sounds"
    for i in range(6):
        write(sounds / f"{i}.wav", noise(8 + 3 * i, seed=i))
    write_truncated(sounds / "truncated.wav")
    (sounds / "bad.wav").write_text("no sound")
    write_tiny_weights(folder / "tiny.npz")
    rows = "".join(f"{i}.wav,{('hum', 'dog', '')[i % 3]}\n" for i in range(6))
    (folder / "manifest.csv").write_text(f"path,classes\n{rows}bad.wav,rain\n")
    return folder


def both(address, folder, name, *arguments, out=None):
    """A command here and on the cluster: what came out must be the same; returns that, once."""
    found = []
    for where in ((), ("--scheduler", address)):
        place = folder / f"{len(where)}-{out}"
        to = () if out is None else ("--out", place)
        weights = () if name == "teach" else ("--weights", folder / "tiny.npz", "--backend", "numpy")
        done = program(name, *arguments, *to, *weights, "--quiet", *where)
        found.append((*done[::2], done[1].replace(str(place), "OUT"), out and place.read_bytes()))
    assert found[0] == found[1]
    return found[0]


def test_predict(address, folder):
    code, err, printed, _ = both(address, folder, "predict", "--format", "jsonl", folder / "sounds")
    assert code == 3 and len(printed.splitlines()) == 15 and printed.count('"error"') == 1
    assert f"{folder / 'sounds' / 'bad.wav'}: text, not audio" in err


def test_embed_and_evaluate(address, folder):
    code, _, printed, _ = both(address, folder, "embed", folder / "sounds", out="e.npz")
    assert code == 3 and printed == "OUT: embeddings of 7 of 8 recordings\n"
    code, err, printed, _ = both(
        address, folder, "evaluate", folder / "manifest.csv", "--root", folder / "sounds", "--json"
    )
    assert code == 3 and "bad.wav" in err and '"mAP"' in printed


def test_scores_are_continued_by_a_cluster(address, folder):
    """A journal of this machine is one of the cluster's."""
    arguments = ("predict", "--weights", folder / "tiny.npz", "--backend", "numpy")
    arguments += ("--root", folder / "sounds", folder / "manifest.csv", "--scores")
    assert program(*arguments, folder / "here.npz")[0] == 3
    # Another acdref with the same job, killed as soon as there is a row.
    command = [sys.executable, "-m", "acdref.cli", *map(str, arguments), str(folder / "there.npz")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        part = folder / "there.npz.part"
        while process.poll() is None and not (part.exists() and part.stat().st_size > 200):
            time.sleep(0.01)
        process.kill()
    begun = part.exists()
    code, _, err = program(*arguments, folder / "there.npz", "--scheduler", address)
    assert code == 3 and (not begun or "continuing after" in err)
    assert (folder / "there.npz").read_bytes() == (folder / "here.npz").read_bytes()
    assert not part.exists()


def test_teach(address, folder, tmp_path):
    pytest.importorskip("onnxruntime")
    from clap_support import bundle

    bundle(tmp_path)
    code, err, printed, _ = both(address, tmp_path, "teach", tmp_path / "hf", folder / "sounds", out="t.npz")
    assert code == 3 and printed == "OUT: cosines of 7 of 8 recordings with 11 classes\n"
    assert "bad.wav: text, not audio" in err


def test_relabel(address, tmp_path):
    sources = [tmp_path / f"{i}.csv" for i in range(5)]
    for i, source in enumerate(sources):
        rows = "".join(f"{k}.wav,class{i % 4 + k % 2}\n" for k in range(9))
        write_label_file(source, f"path,classes\n{rows}")
    found = []
    for where in ((), ("--scheduler", address)):
        out = tmp_path / f"out{len(where)}"
        arguments = ("--classes", "class0,class1,class2,class3", "--out", f"{out}/", *where)
        code, printed, err = program("relabel", *sources, *arguments)
        new = {path.name: path.read_bytes() for path in out.iterdir()}
        found.append((code, printed.replace(str(out), "OUT"), err, new))
    assert found[0] == found[1]
    code, _, err, new = found[0]
    assert code == 3 and len(new) == 4 and f"{sources[3]}: line 3: the label 'class4'" in err


def test_workers_keep_no_classes_of_before(address, tmp_path):
    write_label_file(tmp_path / "m.csv", "path,classes\na.wav,dog\n")
    for kind in ("animal", "other"):
        write_label_file(tmp_path / "sup.csv", f"{kind}\ndog\n")
        arguments = ("--superclasses", tmp_path / "sup.csv", "--out", f"{tmp_path}/new/")
        assert program("relabel", tmp_path / "m.csv", *arguments, "--scheduler", address)[0] == 0
        assert (tmp_path / "new/m.csv").read_text() == f"path,classes\na.wav,{kind}\n"


def test_relabel_interrupted(address, tmp_path):
    """A worker in the middle of a file stops, and leaves nothing."""
    rows = "".join(f"{k}.wav,class{k % 500}\n" for k in range(300_000))
    write_label_file(tmp_path / "m.csv", f"path,classes\n{rows}")
    (tmp_path / "new").mkdir()
    command = [sys.executable, "-m", "acdref.cli", "relabel", str(tmp_path / "m.csv"), "--scheduler", address]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "new")], cwd=ROOT, stderr=subprocess.PIPE
    ) as process:
        while not (tmp_path / "new/.m.csv.tmp").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == b"acdref: interrupted\n" and process.returncode == 130
    for _ in range(100):
        if not list((tmp_path / "new").iterdir()):
            break
        time.sleep(0.1)
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (["predict", "--scheduler", "host:8786", "x.wav"], 1, "host:8786: no address of a scheduler"),
        (["predict", "--scheduler", "local:1", "--threads", "2", "x.wav"], 2, "--threads does not go with"),
        (["predict", "--scheduler", "local:1", "--pcm", "wav"], 2, "--scheduler does not go with --pcm"),
        (
            ["teach", "hf", "x", "--out", "x.npz", "--scheduler", "local:1", "--workers", "2"],
            2,
            "--workers does",
        ),
    ],
)
def test_refused(arguments, code, cause):
    done = program(*arguments)
    assert done[0] == code and cause in done[2] and "Traceback" not in done[2]


def test_interrupted(folder):
    """Ctrl-C reaches all processes of a terminal; one answers."""
    many = [folder / "sounds" / "5.wav"] * 2000
    command = [sys.executable, "-m", "acdref.cli", "predict", "--scheduler", "local:1", "--out"]
    command += map(str, (folder / "never.csv", "--weights", folder / "tiny.npz", *many))
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    ) as process:
        while not (folder / ".never.csv.tmp").exists():
            time.sleep(0.1)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "acdref: interrupted\n")
    assert not (folder / "never.csv").exists()
    with pytest.raises(ProcessLookupError):  # nobody is left
        for _ in range(50):
            os.killpg(process.pid, 0)
            time.sleep(0.1)


def test_nobody_there():
    address = f"tcp://127.0.0.1:{free_port()}"
    code, out, err = program("predict", "--scheduler", address, "x.wav")
    assert (code, out) == (1, "") and err.startswith(f"acdref: {address}: no Dask scheduler answers (")
    assert err.count("\n") == 1
