"""Runs: the same result however they are interrupted, and clear words when they cannot be."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from predict_support import TINY, write_tiny_weights
from train_support import OPTIONS, Recorder, numpy_networks, write_corpus

from acdref import checkpoint
from acdref.augment import AUGMENTATIONS, Augmentation
from acdref.errors import AcdrefError, CheckpointError, ManifestError
from acdref.features.compressed import frames
from acdref.files import BusyError
from acdref.fit import Run
from acdref.nets import NETWORKS, registry
from acdref.ops.threads import set_threads
from acdref.optim import cosine
from acdref.tables.manifest import Manifest
from acdref.train import (
    Options,
    _claim_folder,
    _job,
    _loader,
    _network,
    _stored_options,
    datasets,
    notes,
    train,
)

FILES = ("best.npz", "last.npz", "metrics.csv")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def options(manifest):
    """Of a network of a few hundred parameters."""
    init = write_tiny_weights(manifest.parent / "tiny.npz")
    return replace(OPTIONS, manifest=str(manifest), average=0.9, init=init, seconds=2.1)


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    row = train(options, out)
    return out, row


def contents(out):
    return {name: (out / name).read_bytes() for name in FILES}


def test_a_run_leaves_its_options_metrics_and_weights(finished, options):
    out, row = finished
    assert json.loads((out / "config.json").read_text())["lr"] == options.lr
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [r["epoch"] for r in rows] == ["1", "2"]
    assert float(rows[-1]["loss"]) == row["loss"] > 0
    assert set(rows[0]) >= {"val_mAP", "val_accuracy", "AP noise", "AP tone"}
    net, meta = checkpoint.load_weights(out / "best.npz")
    assert meta["classes"] == ["noise", "tone"]
    assert meta["val_mAP"] == max(float(r["val_mAP"]) for r in rows)
    assert not [p for p in out.iterdir() if p.name.endswith(".tmp")]
    assert net.config.classes == 2


def test_a_run_draws_its_curves(finished):
    page = (finished[0] / "curves.html").read_text(encoding="utf-8")
    (run,) = json.loads(re.search(r'id="meta">(.*?)</script>', page)[1])["runs"]
    assert [row[0] for row in run["rows"]] == [1, 2] and "AP tone" in run["columns"]


def test_a_page_that_fails_ends_no_training(finished, options, tmp_path, monkeypatch):
    monkeypatch.setattr("acdref.report.curves.write_curves", lambda *_, **__: 1 / 0)
    observer = Recorder()
    assert train(options, tmp_path / "run", observer=observer) == finished[1]
    assert [line for line in observer.lines if "curves" in line] == [
        "no curves are drawn, but training goes on: division by zero"
    ]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_stopped_run_continues_bit_equal(steps, finished, options, tmp_path):
    assert train(options, tmp_path / "run", observer=Recorder(steps)) is None
    observer = Recorder()
    train(options, tmp_path / "run", resume=True, observer=observer)
    assert "continuing at" in observer.lines[0]
    assert contents(tmp_path / "run") == contents(finished[0])


def test_a_killed_run_continues_bit_equal(finished, options, tmp_path):
    out = tmp_path / "run"
    script = (
        "from acdref.augment import Augmentation\n"
        "from acdref.train import Options, train, Observer\n"
        "class Slow(Observer):\n"
        "    def epoch(self, row): print('epoch', flush=True); import time; time.sleep(60)\n"
        f"train(Options(**{vars(options)!r}), {str(out)!r}, observer=Slow())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "epoch\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    train(options, out, resume=True)
    assert contents(out) == contents(finished[0])


def test_workers_and_threads_do_not_change_the_result(finished, options, tmp_path):
    set_threads(1)
    try:
        train(replace(options, workers=1), tmp_path / "run")
    finally:
        set_threads(None)
    assert contents(tmp_path / "run") == contents(finished[0])


def test_a_complete_run_is_left_alone(finished, options):
    before = contents(finished[0])
    observer = Recorder()
    assert train(options, finished[0], resume=True, observer=observer) is not None
    assert "complete" in observer.lines[-1]
    assert contents(finished[0]) == before


def test_a_resumed_run_keeps_its_own_options(finished, options):
    assert train(replace(options, lr=1.0, seed=9), finished[0], resume=True)["lr"] == options.lr


@pytest.fixture(scope="module")
def lengthened(options, tmp_path_factory):
    """A run of two epochs with a cosine, lengthened to five in one go; and what was told."""
    out, observer = tmp_path_factory.mktemp("runs") / "longer", Recorder()
    train(replace(options, schedule="cosine", keep="last"), out)
    before = (out / "metrics.csv").read_text()
    train(options, out, resume=True, observer=observer, lengthen=5)
    return out, before, observer.lines


def test_a_finished_run_is_lengthened_and_its_cosine_begins_again(lengthened, options):
    out, before, lines = lengthened
    after = (out / "metrics.csv").read_text()
    assert after.startswith(before) and len(after.splitlines()) == 6
    assert "lengthened from 2 to 5 epochs; the cosine of the rate begins again" in lines
    rates = [float(row["lr"]) for row in csv.DictReader((out / "metrics.csv").open())]
    # The last step of each epoch: of 2 * 2 steps, then of 3 * 2.
    expected = [cosine(step, 4) for step in (1, 3)] + [cosine(step, 6) for step in (1, 3, 5)]
    np.testing.assert_allclose(rates, options.lr * np.array(expected))
    stored = json.loads((out / "config.json").read_text())
    assert (stored["epochs"], stored["lengthened"]) == (2, [5])


def test_a_lengthened_run_continues_bit_equal(lengthened, options, tmp_path):
    out = tmp_path / "run"
    train(replace(options, schedule="cosine", keep="last"), out)
    assert train(options, out, resume=True, observer=Recorder(3), lengthen=5) is None
    train(options, out, resume=True)
    assert contents(out) == contents(lengthened[0])
    with pytest.raises(AcdrefError, match="goes to epoch 5 already; --epochs must be more"):
        train(options, out, resume=True, lengthen=5)


def test_only_a_finished_run_is_lengthened(options, tmp_path):
    with pytest.raises(AcdrefError, match="holds no run to continue"):
        train(options, tmp_path / "none", resume=True, lengthen=5)
    assert train(options, tmp_path / "run", observer=Recorder(1)) is None
    stored = (tmp_path / "run" / "config.json").read_text()
    with pytest.raises(AcdrefError, match="has done 0 of 2 epochs; continue it without other --epochs"):
        train(options, tmp_path / "run", resume=True, lengthen=5)
    assert (tmp_path / "run" / "config.json").read_text() == stored
    (tmp_path / "run" / "last.npz").unlink()
    with pytest.raises(AcdrefError, match="its run has not finished"):
        train(options, tmp_path / "run", resume=True, lengthen=5)


@pytest.mark.parametrize("ends", [5, [2], ["5"], [5, 4]])
def test_a_damaged_length_is_named(finished, options, tmp_path, ends):
    stored = json.loads((finished[0] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(stored | {"lengthened": ends}))
    with pytest.raises(CheckpointError, match="lengthened must be rising numbers"):
        train(options, tmp_path, resume=True)


def test_a_folder_with_a_run_is_not_overwritten(finished, options):
    with pytest.raises(AcdrefError, match="holds a run already"):
        train(options, finished[0])


@pytest.mark.parametrize(
    ("rejected", "cause"),
    [
        ({"manifest": "missing.csv"}, r"missing\.csv"),
        ({"init": "missing.npz"}, r"missing\.npz"),
        ({"width": 1e-9}, "width"),
        ({"net": "conv1d", "init": None, "seconds": 4.0}, "too short"),
        ({"seconds": 2.0}, "seconds must be at least 2.1, not 2.0"),
        ({"val_fold": "7"}, "fold"),
        ({"manifest": ""}, "no run to continue"),
    ],
)
def test_rejected_options_leave_no_run_behind(options, tmp_path, rejected, cause):
    out = tmp_path / "run"
    for resume in (False, True):
        with pytest.raises(AcdrefError, match=cause):
            train(replace(options, **rejected), out, resume=resume)
    assert not out.exists()
    assert train(options, out, observer=Recorder(1)) is None


def test_changed_labels_are_noticed(options, tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    changed = replace(options, manifest=str(write_corpus(corpus)))
    assert train(changed, tmp_path / "run", observer=Recorder(1)) is None
    path = corpus / "manifest.csv"
    path.write_text(path.read_text().replace("0.wav,noise", "0.wav,tone"))
    with pytest.raises(CheckpointError, match=r"last\.npz: .*labels have changed"):
        train(changed, tmp_path / "run", resume=True)


@pytest.mark.parametrize(("old", "new"), [('"lr": 0.001', '"lr": 0.002'), ('"seed": 3', '"seed": 4')])
def test_a_changed_configuration_is_noticed(options, tmp_path, old, new):
    """By one byte: nothing is continued with other options than it was begun with."""
    assert train(options, tmp_path / "run", observer=Recorder(1)) is None
    path = tmp_path / "run" / "config.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(CheckpointError, match=r"last\.npz: its run was begun with other options"):
        train(options, tmp_path / "run", resume=True)
    path.write_text(text.replace('"workers": 0', '"workers": 1'))
    assert train(replace(options, workers=0), tmp_path / "run", resume=True, observer=Recorder(1)) is None


def test_the_second_run_in_a_folder_is_refused(options, tmp_path):
    out = tmp_path / "run"

    class Second(Recorder):
        def start(self, *_):
            for resume in (False, True):
                with pytest.raises(BusyError, match="run: another run is writing it"):
                    train(options, out, resume)

    assert train(options, out, observer=Second(1)) is None
    assert train(options, out, resume=True, observer=Recorder(1)) is None


def test_a_damaged_configuration_is_named(tmp_path, options):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        train(options, tmp_path, resume=True)


def test_sequences_are_as_long_as_the_options_say(options, tmp_path, monkeypatch):
    heard = []
    learn = Run._learn
    monkeypatch.setattr(Run, "_learn", lambda run, x, y: heard.append(x.shape) or learn(run, x, y))
    train(replace(options, seconds=2.5), tmp_path / "run", observer=Recorder(1))
    assert heard == [(2, frames(40000), 257, 2)]


def test_soft_labels_of_mixup_reach_the_loss(options, tmp_path, monkeypatch):
    seen = []
    learn = Run._learn
    monkeypatch.setattr(Run, "_learn", lambda run, x, y: seen.append(y) or learn(run, x, y))
    row = train(replace(options, mixing="mixup", epoch_size=20, epochs=1), tmp_path / "run")
    y = np.concatenate(seen)
    assert ((y > 0) & (y < 1)).any()
    assert np.isfinite(row["loss"])


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_the_configuration_holds_every_option_as_resolved(options, tmp_path, name):
    """Whatever a later version takes a name or a default to be."""
    varied = replace(options, augment=name, classes=("tone", "noise"))
    assert varied.augment == AUGMENTATIONS[name]
    _claim_folder(varied, tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["augment"].keys() == {field.name for field in fields(Augmentation)}
    assert _stored_options(Options(""), tmp_path, resume=True) == (replace(varied, workers=1), stored)


def test_the_configuration_of_a_run_from_before_these_options(options, tmp_path):
    _claim_folder(options, tmp_path)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    del stored["seconds"], stored["augment"], stored["preset_name"]
    path.write_text(json.dumps(stored | {"low_pass": 0.3, "equaliser": 4.0, "speed": 0.15}))
    resumed, _ = _stored_options(Options(""), tmp_path, resume=True)
    assert (resumed.seconds, resumed.preset_name) == ((10,), None)
    assert resumed.augment == Augmentation(
        equaliser=4.0, low_pass=0.3, speed=0.15, level=AUGMENTATIONS["light"].level
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"val_fold": None}, True),
        ({"epochs": 1, "patience": 0}, True),
        ({"epochs": 3, "patience": 0}, False),
        ({"epochs": 1, "schedule": "cosine"}, False),
    ],
)
def test_a_rate_that_cannot_be_halved_is_told(options, tmp_path, given, told):
    observer = Recorder(1)
    train(replace(options, **given), tmp_path / "run", observer=observer)
    assert any("the rate stays" in line for line in observer.lines) == told


def test_an_unknown_augmentation():
    with pytest.raises(ValueError, match="augment = 'heavy': choose one of 'none', 'light'"):
        Options("", augment="heavy")


def test_broken_recordings_are_left_out_and_named(options, tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    manifest = write_corpus(corpus)
    for name in ("0.wav", "1.wav", "2.wav", "7.wav"):
        (corpus / name).write_bytes(b"")
    observer = Recorder()
    one_epoch = replace(options, manifest=str(manifest), epochs=1, epoch_size=8)
    row = train(one_epoch, tmp_path / "run", observer=observer)
    assert np.isfinite(row["loss"])
    assert any("7.wav: an empty file" in line for line in observer.lines)  # in validation
    assert any("0.wav: an empty file" in line for line in observer.lines)  # in training


def test_weights_of_other_classes_keep_all_but_the_last_layer(finished, options, tmp_path):
    observer = Recorder()
    other = replace(options, init=str(finished[0] / "best.npz"), classes=("tone", "noise", "hum"), epochs=1)
    train(other, tmp_path / "run", observer=observer)
    assert "the last layer starts anew" in observer.lines[0]
    net, _ = checkpoint.load_weights(tmp_path / "run" / "best.npz")
    assert net.params["dense.weight"].shape[1] == 3


def test_weights_of_a_network_of_another_size(options, tmp_path):
    init = write_tiny_weights(tmp_path / "tiny.npz", classes=("a", "b", "c"))
    row = train(replace(options, init=init, epochs=1), tmp_path / "run")
    assert np.isfinite(row["loss"])
    net, meta = checkpoint.load_weights(tmp_path / "run" / "best.npz")
    assert meta["classes"] == ["noise", "tone"]
    assert net.config == replace(TINY, classes=2)


def test_a_diverging_run_says_so(options, tmp_path):
    with pytest.raises(AcdrefError, match="try a lower --lr"):
        train(replace(options, lr=1e30, epochs=20), tmp_path / "run")


def test_validation_that_measures_nothing_ends_a_run(options, tmp_path):
    """Else it would end without weights."""
    manifest = write_corpus(tmp_path)
    for i in range(4, 8):
        (tmp_path / f"{i}.wav").write_bytes(b"")
    with pytest.raises(AcdrefError, match=r"no validation mAP in epoch 1: no recording .* could be read"):
        train(replace(options, manifest=str(manifest)), tmp_path / "run")


def test_without_validation_the_last_weights_are_the_best(manifest, options, tmp_path):
    row = train(replace(options, val_fold=None, average=0.0, epochs=1), tmp_path / "run")
    assert "val_mAP" not in row
    best, _ = checkpoint.load(tmp_path / "run" / "best.npz")
    last, _ = checkpoint.load(tmp_path / "run" / "last.npz")
    assert all(np.array_equal(best[name], last[name]) for name in best)


@pytest.mark.parametrize("keep", ["mAP", "loss", "last"])
def test_what_decides_which_weights_are_kept(options, tmp_path, monkeypatch, keep):
    """Of four epochs the second is the first with the highest mAP, and the third has the lowest loss."""
    scores = iter(
        [
            np.array([[0.1, 0.9], [0.9, 0.1]] * 2),
            np.array([[0.9, 0.8], [0.8, 0.9]] * 2),
            np.array([[0.7, 0.3], [0.3, 0.7]] * 2),
            np.full((4, 2), 0.5),
        ]
    )
    monkeypatch.setattr("acdref.train.score_manifest", lambda net, val, report: next(scores))
    row = train(replace(options, keep=keep, epochs=4, average=0.0), tmp_path / "run")
    rows = list(csv.DictReader((tmp_path / "run/metrics.csv").open()))
    _, meta = checkpoint.load(tmp_path / "run/best.npz")
    mean_aps = [float(each["val_mAP"]) for each in rows]
    assert meta["val_mAP"] == mean_aps[meta["epoch"] - 1]
    assert meta["epoch"] == {"mAP": 2, "loss": 3, "last": 4}[keep]
    if keep == "loss":
        losses = [float(each["val_loss"]) for each in rows]
        assert losses[2:] == pytest.approx([-np.log(0.7), np.log(2)]) and row["val_loss"] == losses[3]
        assert meta["val_loss"] == losses[2]
    else:
        assert "val_loss" not in rows[0] and "val_loss" not in meta


class TestDatasets:
    def test_validation_folds_are_not_trained_on(self, manifest):
        training, validation = datasets(Options(str(manifest), val_fold="2"))
        assert set(training.fold) == {"1"}
        assert set(validation.fold) == {"2"}

    def test_folds_to_train_on(self, manifest):
        training, validation = datasets(Options(str(manifest), fold="1"))
        assert set(training.fold) == {"1"}
        assert validation is None

    def test_the_split_column(self, manifest, tmp_path):
        text = (
            manifest.read_text()
            .replace("fold", "split")
            .replace(",1\n", ",train\n")
            .replace(",2\n", ",val\n")
        )
        path = tmp_path / "m.csv"
        path.write_text(text)
        training, validation = datasets(Options(str(path)))
        assert set(training.split) == {"train"}
        assert set(validation.split) == {"val"}

    def test_another_manifest(self, manifest):
        training, validation = datasets(Options(str(manifest), val=str(manifest)))
        assert len(training) == len(validation) == 8

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ("a.wav,,dog;cat,1\nb.wav,,dog;cat,1\nc.wav,cat,,2\n", "all labels are unknown"),
            (
                "a.wav,dog,,1\nb.wav,cat,,1\nc.wav,,dog,2\n",
                "of the 1 recordings to validate on, none is known",
            ),
        ],
    )
    def test_labels_that_teach_or_measure_nothing(self, tmp_path, rows, words):
        path = tmp_path / "m.csv"
        path.write_text("path,classes,unknown,fold\n" + rows)
        with pytest.raises(ManifestError, match=words):
            datasets(Options(str(path), classes=("dog", "cat"), val_fold="2"))

    def test_all_recordings_without_any_of_these(self, manifest):
        training, validation = datasets(Options(str(manifest)))
        assert len(training) == 8
        assert validation is None


@pytest.fixture(scope="module")
def dropping(manifest):
    """Of a small network that drops out, and works at another sampling rate."""
    return replace(OPTIONS, manifest=str(manifest), net="vgg-gap", width=1 / 16, epochs=1, seconds=2.1)


@pytest.fixture(scope="module")
def dropped(dropping, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "vgg"
    with numpy_networks():
        train(dropping, out)
    return out


@pytest.fixture
def on_numpy():
    with numpy_networks():
        yield


@pytest.mark.usefixtures("on_numpy")
def test_a_run_with_dropout_continues_bit_equal(dropping, dropped, tmp_path):
    assert train(dropping, tmp_path / "run", observer=Recorder(1)) is None
    train(dropping, tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == contents(dropped)


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("name", NETWORKS)
def test_any_network(name, manifest, tmp_path):
    """One step: what is learnt is in weights that name their network."""
    seconds = 10.0 if name == "conv1d" else 2.2
    options = replace(OPTIONS, manifest=str(manifest), net=name, width=1 / 16, seconds=seconds)
    options = replace(options, epochs=1, epoch_size=2, val_fold=None)
    row = train(options, tmp_path / "run")
    assert row["loss"] > 0
    net, meta = checkpoint.load_weights(tmp_path / "run" / "best.npz", backend="numpy")
    assert (meta["network"], registry.name_of(net)) == (name, name)
    fresh = registry.build(name, 2, 1 / 16, seed=options.seed)
    changed = [key for key, a in fresh.params.items() if (net.params[key] != a).any()]
    # Nearly all: behind a scale that starts at 0, the first step changes the scale alone.
    assert len(changed) > 0.75 * len(fresh.params)
    if name == "vgg-gap":
        assert net.output == "sigmoid"  # the loss is that of several classes


@pytest.mark.usefixtures("on_numpy")
def test_the_head_of_any_network_starts_anew(dropping, dropped, tmp_path):
    recordings = tmp_path / "m.csv"
    recordings.write_text(Path(dropping.manifest).read_text().replace("0.wav,noise", "0.wav,rain"))
    observer = Recorder(1)
    init = str(dropped / "best.npz")
    options = replace(dropping, manifest=str(recordings), root=os.path.dirname(dropping.manifest))
    options = replace(options, net=None, width=1.0, init=init, val_fold=None)
    net = _network(options, datasets(options)[0].classes, observer.log)
    assert "last layer starts anew" in observer.lines[0]
    source, _ = checkpoint.load_weights(init)
    for key, a in (net.params | net.state).items():
        same = a.shape == (source.params | source.state)[key].shape
        same = same and (a == (source.params | source.state)[key]).all()
        assert same == (not key.startswith("head")), key
    assert net.config.classes == len(net.params["head_norm.beta"]) == 3


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"net": "conv1d"}, "weights of vgg-gap, not of conv1d"),
        ({"net": None, "width": 0.5}, "these weights have a width already"),
    ],
)
def test_weights_of_another_network(change, cause, dropping, dropped, tmp_path):
    options = replace(dropping, init=str(dropped / "best.npz"), width=1.0)
    with pytest.raises(AcdrefError, match=cause):
        train(replace(options, **change), tmp_path / "run")


@pytest.mark.usefixtures("on_numpy")
def test_networks_and_lengths_that_cannot_be(dropping, tmp_path):
    with pytest.raises(AcdrefError, match="net = 'vgg': choose one of 'acdnet'"):
        train(replace(dropping, net="vgg"), tmp_path / "a")
    with pytest.raises(
        AcdrefError, match=r"sequences of 4 s are too short for conv1d: try a higher --seconds"
    ):
        train(replace(dropping, net="conv1d", seconds=4.0), tmp_path / "b")


def test_schedules(options, tmp_path):
    """Halved where the score has not risen for longer than the patience; or over all steps of all epochs."""
    given = replace(options, patience=0, epochs=10)
    train_set, val = datasets(given)
    net = _network(given, train_set.classes, None)
    with _loader(given, train_set, net, Recorder()) as loader:
        job = _job(given, tmp_path, loader, val, net)
        falls = _job(replace(given, schedule="cosine"), tmp_path, loader, val, net)
    assert job.rate(0, 0) == given.lr
    for score in (0.5, 0.5):
        job.plateau.update(score)
    assert job.rate(1, 0) == given.lr / 2
    rates = [falls.rate(epoch, step) for epoch in range(10) for step in range(given.steps)]
    assert (
        rates[0] == given.lr and rates[1:] == sorted(rates[1:], reverse=True) and rates[-1] < 0.02 * given.lr
    )


def labelled(names, *rows):
    return Manifest("m.csv", ".", tuple(map(str, range(len(rows)))), rows, names)


def test_classes_that_look_wrong_are_said():
    options = Options("m.csv")
    teaches, tests = labelled(("ant", "bee"), [1, 0]), labelled(("ant", "bee"), [1, 1])
    (line,) = notes(options, teaches, tests)
    assert line == "m.csv: classes that only validation has, which nothing teaches: bee"
    assert notes(options, tests, teaches) == notes(options, tests, None) == []
    (line,) = notes(options, teaches, None)
    assert line == "the 11 super-classes are learnt (see --classes); these have no recording: bee"
    assert notes(replace(options, classes=("ant", "bee")), teaches, None) == []


def test_classes_of_another_file_to_validate_on_are_learnt_too(tmp_path):
    for name, label in (("m", "ant"), ("v", "bee")):
        (tmp_path / name).write_text(f"path,classes\na.wav,{label}\n")
    manifest, val = datasets(Options(str(tmp_path / "m"), val=str(tmp_path / "v")))
    assert manifest.classes == val.classes == ("ant", "bee")
