"""What a recipe's result depends on, and the recordings that its options name."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from recipes_support import tiny_mobilenet
from train_support import write_corpus

from acdref import checkpoint, train
from acdref.errors import ManifestError
from acdref.fit import Observer
from acdref.recipes.parts import Data, key_of, learn, probabilities, save_array
from acdref.tables.manifest import read_manifest


@dataclass(frozen=True)
class Options:
    manifest: str
    root: str | None = None
    classes: tuple[str, ...] | None = None
    fold: str | None = None
    val_fold: str | None = "2"
    val: str | None = None
    init: str | None = None
    events: str | None = None
    workers: int = 1
    lr: float = 0.1


@pytest.fixture
def options(tmp_path):
    return Options(str(write_corpus(tmp_path)))


def test_recordings_are_those_of_training(options):
    data = Data.named_by(options)
    theirs = train.datasets(train.Options(options.manifest, val_fold="2"))
    assert (data.train.paths, data.val.paths) == tuple(manifest.paths for manifest in theirs)
    assert data.options.val_fold == "2"


def key(options):
    data = Data.named_by(options)
    found = key_of(options, data.root, data.train, data.val, without=("workers",), files=("events",))
    return json.loads(json.dumps(found))


def test_files_count_by_content_and_recordings_by_what_they_are(options, tmp_path):
    events = tmp_path / "a.tsv", tmp_path / "b.tsv", tmp_path / "c.tsv"
    for path, text in zip(events, "xxy", strict=True):
        path.write_text(text)
    a, b, c = (key(dataclasses.replace(options, events=str(path))) for path in events)
    assert a == b != c
    moved = tmp_path / "other.csv"
    moved.write_bytes((tmp_path / "manifest.csv").read_bytes())
    assert key(dataclasses.replace(options, manifest=str(moved), workers=4)) == key(options)
    moved.write_text(moved.read_text().replace("0.wav,noise", "0.wav,tone"))
    assert key(dataclasses.replace(options, manifest=str(moved))) != key(options)


@pytest.mark.parametrize("changed", [{"lr": 0.2}, {"val_fold": "1"}, {"classes": ("tone", "noise")}])
def test_all_else_counts(options, changed):
    assert key(dataclasses.replace(options, **changed)) != key(options)


def test_arrays_are_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.npy"
    save_array(path, np.arange(3))
    with pytest.raises(TypeError):
        save_array(path, _Broken())
    np.testing.assert_array_equal(np.load(path), np.arange(3))
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


class _Broken:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("no array")


def test_recordings_to_validate_on_may_lie_elsewhere(options, tmp_path):
    """Both manifests are copied; what they name must be found from the one root."""
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    for folder in (there, elsewhere):
        folder.mkdir()
        write_corpus(folder)
    (elsewhere / "0.wav").write_bytes(b"other sound")
    training, _ = train.datasets(train.Options(str(there / "manifest.csv")))
    val, _ = train.datasets(train.Options(str(elsewhere / "manifest.csv")))
    out = tmp_path / "out"
    out.mkdir()
    data = Data(training, val, train.Options(str(there / "manifest.csv")))
    assert data.given().work(out, {}, Observer()) == {"recordings": 8, "validation": 8}
    copies = [read_manifest(out / name, data.root) for name in ("train.csv", "val.csv")]
    for manifest, folder in zip(copies, (there, elsewhere), strict=True):
        for i in range(8):
            assert Path(manifest.file(i)).resolve() == (folder / f"{i}.wav").resolve()
        np.testing.assert_array_equal(manifest.labels, training.labels)
    # In the same folder they stay as they are.
    same = Data(training, training, data.options)
    same.given().work(out, {}, Observer())
    assert (out / "val.csv").read_text() == (out / "train.csv").read_text()


def test_classes_that_look_wrong_are_said_with_the_recordings(tmp_path):
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,classes\n0.wav,dog\n")

    class Listener(Observer):
        def __init__(self):
            self.said = []

        def log(self, text):
            self.said.append(text)

    listener = Listener()
    options = train.Options(str(manifest))
    Data.of(options).given().work(tmp_path, {}, listener)
    (line,) = listener.said
    assert line.startswith("the 11 super-classes are learnt (see --classes); these have no recording: voice")
    Data.of_unlabelled(options, ("dog", "cat")).given().work(tmp_path, {}, listener)
    assert listener.said == [line]


def test_what_cannot_be_measured_is_refused_before_teaching(tmp_path):
    manifest = write_corpus(tmp_path)
    (tmp_path / "val.csv").write_text("path,classes\n0.wav,\n1.wav,\n")
    options = train.Options(str(manifest), val=str(tmp_path / "val.csv"))
    with pytest.raises(ManifestError, match="none is known to have a class"):
        Data.of_unlabelled(options, ("noise", "tone"))


def test_what_a_folder_holds_besides_recordings_is_said(tmp_path):
    write_corpus(tmp_path)
    said = []
    Data.of_unlabelled(train.Options(str(tmp_path)), ("noise", "tone"), said.append)
    assert len(said) == 1 and "passed over" in said[0] and ".csv" in said[0]


class _Lesson:
    """Two steps of noise with one label."""

    steps = 2

    def batch(self, epoch, step):
        x = np.random.default_rng([epoch, step]).standard_normal((3, 40, 64)).astype(np.float32)
        return x, np.array([[1.0, 0.0]] * 3)


def _net(tmp_path):
    return checkpoint.load_weights(tiny_mobilenet(tmp_path / "tiny.npz", ("noise", "tone")))[0]


@pytest.mark.parametrize(("keep", "kept"), [("last", 4), ("mAP", 2), ("loss", 3)])
def test_learning_says_which_epoch_counts_and_leaves_its_weights(tmp_path, keep, kept):
    measured = iter([(0.1, 0.9), (0.7, 0.8), (0.2, 0.1), (0.3, 0.4)])
    states = []

    def validate(net):
        states.append({name: a.copy() for name, a in checkpoint.network_arrays(net).items()})
        return dict(zip(("val_mAP", "val_loss"), next(measured), strict=True))

    net = _net(tmp_path)
    how = {"epochs": 4, "lr": 0.01, "seed": 1, "validate": validate, "keep": keep}
    row = learn(net, _Lesson(), tmp_path, Observer(), **how)
    assert row["epoch"] == kept
    for name, a in checkpoint.network_arrays(net).items():
        np.testing.assert_array_equal(a, states[kept - 1][name])


def test_learning_ends_when_nothing_becomes_better(tmp_path):
    values = iter([0.5, 0.4, 0.3, 0.6])
    how = {"keep": "mAP", "patience": 2, "validate": lambda net: {"val_mAP": next(values)}}
    assert (
        learn(_net(tmp_path), _Lesson(), tmp_path, Observer(), epochs=4, lr=0.1, seed=1, **how)["epoch"] == 1
    )
    assert checkpoint.load(tmp_path / "last.npz")[0]["progress"][0] == 3


@pytest.mark.parametrize("size", [1, 2, 9])
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_probabilities_are_those_of_one_at_a_time(tmp_path, size, output):
    net = _net(tmp_path)
    net.output = output
    x, _ = _Lesson().batch(0, 0)
    np.testing.assert_allclose(probabilities(net, x, size), net.predict_proba(x), rtol=1e-5)
