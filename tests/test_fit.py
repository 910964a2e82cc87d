"""The training loop: it learns, keeps what it is told to, and continues to the same weights."""

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from predict_support import CLASSES, write_tiny_weights
from recipes_support import Killed, dying_at
from train_support import Recorder

from acdref.checkpoint import load, network_arrays, network_meta, save
from acdref.errors import AcdrefError, CheckpointError
from acdref.fit import Job, Observer, Run, Stopped, by_steps, fit, initial, tell
from acdref.losses import softmax_cross_entropy
from acdref.nets.vgg import VGGConfig, VGGGap, VGGLayer
from acdref.ops.batch import Batch
from acdref.optim import Average, Plateau
from acdref.ranks import RankLost

STEPS = 3
GATHERED = 5  # times a step: for the statistics of three normalisations, labels and logits
LAYERS = (VGGLayer(4, pool=(2, 2), dropout=0.2), VGGLayer(4, size=1, padding=0))


def network():
    return VGGGap(VGGConfig(classes=2, layers=LAYERS, bins=8), seed=1, backend="numpy")


def batch(epoch, step):
    """Loud at the bottom, or at the top."""
    rng = np.random.default_rng([epoch, step])
    labels = rng.integers(0, 2, 6)
    x = rng.standard_normal((6, 10, 8)).astype(np.float32)
    x[labels == 1, :, :4] *= 4
    x[labels == 0, :, 4:] *= 4
    return x, np.eye(2)[labels]


def validate(net):
    x, y = batch(99, 0)
    return softmax_cross_entropy(y, net.forward(x)[0])[0]


def job(epochs=4, **options):
    options = {"rate": lambda epoch, step: 0.02 * 0.98**epoch} | options
    return Job(epochs, STEPS, by_steps(batch, STEPS), softmax_cross_entropy, **options)


def keeping(folder, keep, **options):
    """A job with a validation whose loss serves for the mAP too."""

    def measured(net):
        return {"val_loss": validate(net), "val_mAP": validate(net)}

    return job(validate=measured, keep=keep, best=folder / "best.npz", **options)


def same(ours, theirs):
    return all(np.array_equal(a, theirs[name]) for name, a in ours.items())


def test_it_learns_and_says_what_it_did(tmp_path):
    net = network()
    before = validate(net)
    rows = fit(net, job(60), tmp_path / "last.npz")
    assert validate(net) < before / 2
    assert [row["epoch"] for row in rows] == list(range(1, 61))
    np.testing.assert_allclose([row["lr"] for row in rows], 0.02 * 0.98 ** np.arange(60))
    assert list(rows[0]) == ["epoch", "loss", "lr"]


@pytest.mark.parametrize(
    ("keep", "values", "kept"),
    [
        ("loss", [0.5, 0.3, 0.4, 0.3], 1),  # the first of two equal ones
        ("mAP", [0.5, 0.6, 0.2, 0.6], 1),
        ("AUC", [0.5, 0.6, 0.2, 0.6], 1),
        ("last", [0.5, 0.6, 0.2, 0.1], 3),
        ("loss", [-np.inf, 1.0, 1.0, 1.0], 0),
    ],
)
def test_the_weights_that_count(tmp_path, keep, values, kept):
    states, values = [], iter(values)

    def recorded(net):
        states.append({name: a.copy() for name, a in network_arrays(net).items()})
        value = next(values)
        return {"val_mAP": 0.4, "val_AUC": 0.4, "val_loss": 0.4, f"val_{keep}": value}

    net, best = network(), tmp_path / "best.npz"
    rows = fit(net, job(validate=recorded, keep=keep, best=best), tmp_path / "last.npz")
    assert same(states[kept], network_arrays(net)) and not same(states[kept], states[kept - 1])
    arrays, meta = load(best)
    assert same(states[kept], arrays)
    assert (meta["epoch"], meta["val_loss"]) == (kept + 1, rows[kept]["val_loss"])


@pytest.mark.parametrize("stops", [(), (1, 4)])
@pytest.mark.parametrize(
    ("keep", "values", "epochs"),
    [
        ("mAP", [0.5, 0.6, 0.6, 0.4, 0.9, 0.9], 4),  # as good is not better
        ("mAP", [0.1, 0.2, 0.1, 0.3, 0.2, 0.4], 6),
        ("loss", [0.5, 0.6, 0.7, 0.1, 0.1, 0.1], 3),
    ],
)
def test_it_gives_up_when_nothing_becomes_better(tmp_path, keep, values, epochs, stops):
    """Two epochs behind the best one, also when it was stopped between."""
    last = tmp_path / "last.npz"

    def measured(net):
        epoch = len(load(last)[1]["rows"]) if last.exists() else 0
        return {"val_mAP": values[epoch], "val_loss": values[epoch]}

    patient = job(6, validate=measured, keep=keep, patience=2, best=tmp_path / "best.npz")
    for stop in stops:
        with pytest.raises(Stopped):
            fit(network(), patient, last, Recorder(stop))
    rows = fit(network(), patient, last)
    assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))
    assert fit(network(), patient, last) == rows


def test_without_a_file_of_the_best_the_last_count(tmp_path):
    net = network()
    losses = iter([0.1, 0.2, 0.3, 0.4])
    fit(net, job(validate=lambda net: {"val_loss": next(losses)}, keep="loss"), tmp_path / "last.npz")
    arrays, _ = load(tmp_path / "last.npz")
    assert same(network_arrays(net), arrays)


@pytest.mark.parametrize("name", ["val_mAP", "val_loss"])
def test_validation_that_is_no_number(tmp_path, name):
    bad = job(validate=lambda net: {"val_mAP": 0.5} | {name: float("nan")}, keep="mAP")
    with pytest.raises(AcdrefError, match=f"no validation {name[4:]} in epoch 1: no recording"):
        fit(network(), bad, tmp_path / "last.npz")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("average", [0.0, 0.6])
def test_killed_at_every_file_it_ends_the_same(tmp_path, monkeypatch, late, average):
    """Four files an epoch and one a step; the rates depend on all that is in the checkpoint."""
    monkeypatch.setattr("acdref.fit.CHECKPOINT_SECONDS", 0)

    def fitted(folder):
        folder.mkdir(exist_ok=True)
        plateau = Plateau(patience=0)

        def rate(epoch, step):
            return 0.02 * plateau.scale / (1 + epoch * STEPS + step)

        net = network()
        options = {"average": average, "plateau": plateau, "rate": rate, "metrics": folder / "metrics.csv"}
        rows = fit(net, keeping(folder, "loss", weight_decay=0.1, **options), folder / "last.npz")
        return network_arrays(net), rows

    whole, rows = fitted(tmp_path / "whole")
    assert rows[-1]["lr"] < 0.02 / (4 * STEPS)  # the plateau was left
    deaths = 0
    while deaths < 50:
        try:
            with dying_at(monkeypatch, 1 + deaths % 5, late):
                broken, found = fitted(tmp_path / "broken")
            break
        except Killed:
            deaths += 1
    assert deaths >= 4 and found == rows and same(broken, whole)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "broken" / path.name).read_bytes()


@pytest.mark.parametrize("steps", [1, 5])
def test_stopped_it_continues(tmp_path, steps):
    whole, stopped = network(), network()
    fit(whole, job(), tmp_path / "whole.npz")
    with pytest.raises(Stopped):
        fit(stopped, job(), tmp_path / "last.npz", Recorder(steps))
    again = network()
    fit(again, job(), tmp_path / "last.npz")
    assert same(network_arrays(again), network_arrays(whole))


class Losing(Batch):
    """A batch of which other processes are asked for so often before they are gone."""

    def __init__(self, left):
        self.left = left

    def gather(self, parts, count=None):
        self.left -= 1
        if self.left < 0:
            raise RankLost("gone")
        return parts


@pytest.mark.parametrize("left", [0, 1, 2, 14, 30])
def test_losing_another_process_costs_the_step_alone(tmp_path, left):
    whole, lost = network(), network()
    lost.batch = Losing(left)
    fit(whole, job(), tmp_path / "whole.npz")
    with pytest.raises(
        RankLost, match=r"gone; all up to epoch \d, step \d, is saved, continue with --resume"
    ):
        fit(lost, job(), tmp_path / "last.npz")
    run = Run(network(), job(), tmp_path / "last.npz", Observer())
    run.restore(tmp_path / "last.npz")
    assert STEPS * run.epoch + run.step == left // GATHERED
    run.work()
    assert same(network_arrays(run.net), network_arrays(whole))


def test_of_several_processes_none_leaves_in_silence(tmp_path):
    """Who has lost its data workers by a signal to all must not let the others wait."""

    def broken(epoch, step):
        raise AcdrefError("a data worker was killed")
        yield

    observer = Observer()
    observer.should_stop = lambda: True
    for size, error in ((1, Stopped), (2, RankLost)):
        net = network()
        net.batch = Losing(99)
        net.batch.size = size
        with pytest.raises(error):
            fit(net, replace(job(), batches=broken), tmp_path / f"{size}.npz", observer)


def test_of_several_processes_the_first_writes(tmp_path):
    net = network()
    net.batch = Batch()
    net.batch.rank = 1
    fit(net, keeping(tmp_path, "last", metrics=tmp_path / "metrics.csv"), tmp_path / "last.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("schedule", ["plateau", "steps"])
def test_every_file_is_the_same_wherever_it_was_stopped(tmp_path, schedule):
    """After each step, the last of an epoch and of all too; and a second time at the same place."""
    epochs = 3

    def fitted(folder, observer=None):
        folder.mkdir(exist_ok=True)
        plateau = Plateau(patience=0, factor=0.75)
        rates = {
            "plateau": lambda epoch, step: 0.002 * plateau.scale,
            "steps": lambda epoch, step: 0.002 / (1 + epoch * STEPS + step),
        }
        options = {"average": 0.6, "plateau": plateau, "rate": rates[schedule]}
        options |= {"metrics": folder / "metrics.csv", "epochs": epochs, "options": "these"}
        fit(network(), keeping(folder, "loss", **options), folder / "last.npz", observer)

    def contents(folder):
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    fitted(tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    assert sorted(whole) == ["best.npz", "last.npz", "metrics.csv"]
    if schedule == "plateau":
        assert b",0.0015," in whole["metrics.csv"]
    for steps in range(1, epochs * STEPS + 1):
        folder = tmp_path / str(steps)
        with pytest.raises(Stopped):
            fitted(folder, Recorder(steps))
        if steps < epochs * STEPS:
            with pytest.raises(Stopped):
                fitted(folder, Recorder(1))
        fitted(folder)
        assert contents(folder) == whole, steps
    (folder / "metrics.csv").unlink()
    fitted(folder)
    assert contents(folder) == whole


def test_workers_that_were_ended_with_the_run_cost_nothing(tmp_path):
    """A signal to all processes of a job ends those of the loader at once."""
    whole, net, observer = network(), network(), Recorder()
    fit(whole, job(2), tmp_path / "whole.npz")

    def ended(epoch, start):
        yield batch(epoch, start)
        observer.left = 1
        raise AcdrefError("a data worker was killed")

    job_at_its_end = replace(job(2), batches=ended)
    with pytest.raises(Stopped):
        fit(net, job_at_its_end, tmp_path / "last.npz", observer)
    again = network()
    fit(again, job(2), tmp_path / "last.npz")
    assert same(network_arrays(again), network_arrays(whole))
    observer.should_stop = lambda: False
    with pytest.raises(AcdrefError, match="a data worker was killed"):
        fit(network(), job_at_its_end, None, observer)


def test_other_options_and_another_backend_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "last.npz"
    fit(network(), job(1, options="these"), path)
    fit(network(), job(1, options="these"), path)
    with pytest.raises(CheckpointError, match=r"last\.npz: its run was begun with other options"):
        fit(network(), job(1, options="those"), path)
    for ours, theirs, advice in (
        ("numba", "numpy", "NUMBA_DISABLE_JIT=1"),
        ("numpy", "numba", "install Numba"),
    ):
        arrays, meta = load(path)
        save(path, arrays, meta | {"backend": theirs})
        net = network()
        net.backend = ours
        with pytest.raises(CheckpointError, match=f"computed with {theirs}, and this is {ours}.*{advice}"):
            fit(net, job(1, options="these"), path)
    del meta["backend"], meta["options"]  # as before they were kept
    save(path, arrays, meta)
    fit(network(), job(1, options="those"), path)


def test_damaged_weights_that_count_are_named(tmp_path):
    fit(network(), keeping(tmp_path, "last"), tmp_path / "last.npz")
    data = bytearray((tmp_path / "best.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "best.npz").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"best\.npz"):
        fit(network(), keeping(tmp_path, "last"), tmp_path / "last.npz")


def test_the_average_is_of_every_step_and_counts(tmp_path):
    plain = network()
    average = Average(network_arrays(plain), 0.7)

    class Steps(Observer):
        def step(self, *_):
            average.update(network_arrays(plain))

    fit(plain, job(), None, Steps())
    net, kept = network(), network()
    fit(net, job(average=0.7))
    fit(kept, job(average=0.7, best=tmp_path / "best.npz", meta=network_meta(net, "ab")))
    assert same(average.values, network_arrays(net)) and same(average.values, network_arrays(kept))
    assert same(average.values, load(tmp_path / "best.npz")[0])
    assert not same(average.values, network_arrays(plain))


def test_metrics_are_a_row_an_epoch(tmp_path):
    rows = fit(network(), keeping(tmp_path, "last", metrics=tmp_path / "metrics.csv"))
    found = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert list(found[0]) == ["epoch", "loss", "lr", "val_loss", "val_mAP"]
    assert [{name: float(value) for name, value in row.items()} for row in found] == rows


def test_what_measures_is_called_when_metrics_are_written(tmp_path):
    path, seen = tmp_path / "metrics.csv", []
    measured = {"metrics": path, "measured": lambda: seen.append(len(path.read_text().splitlines()))}
    rows = fit(network(), keeping(tmp_path, "last", **measured))
    assert seen == list(range(2, len(rows) + 2))


@pytest.mark.parametrize("changed", [{"epochs": 2}, {"fingerprint": "x"}])
def test_another_jobs_checkpoint_is_refused(tmp_path, changed):
    fit(network(), job(1), tmp_path / "last.npz")
    with pytest.raises(CheckpointError, match=r"last\.npz: of another run"):
        fit(network(), job(**{"epochs": 1} | changed), tmp_path / "last.npz")


def test_a_loss_that_is_no_number(tmp_path):
    def broken(y, logits):
        return float("nan"), np.zeros_like(logits)

    bad = Job(1, 1, by_steps(batch, 1), broken, rate=lambda epoch, step: 0.1)
    with pytest.raises(AcdrefError, match=f"{tmp_path}: the loss is nan in epoch 1, step 1; try"):
        fit(network(), bad, tmp_path / "last.npz")


def test_checkpoints_are_written_as_often_as_is_said(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(Run, "save", lambda run: saved.append((run.epoch, run.step)))
    fit(network(), job(2), tmp_path / "last.npz")
    assert saved == [(1, 0), (2, 0)]
    monkeypatch.setattr("acdref.fit.CHECKPOINT_SECONDS", 0)
    fit(network(), job(1), tmp_path / "last.npz")
    assert saved[2:] == [(0, 1), (0, 2), (0, 3), (1, 0)]


def test_what_is_told_of_progress():
    class Impatient(Observer):
        def __init__(self):
            self.heard = []

        def progress(self, done, count):
            self.heard.append((done, count))

        def should_stop(self):
            return len(self.heard) == 2

    observer = Impatient()
    tell(observer, 1, 3)
    with pytest.raises(Stopped):
        tell(observer, 2, 3)
    assert observer.heard == [(1, 3), (2, 3)]


class TestInitial:
    options = SimpleNamespace(net="vgg-gap", width=0.0625, init=None)

    def test_fresh(self):
        nets = [initial(self.options, ("a", "b"), seed) for seed in (1, 1, 2)]
        assert nets[0].config.classes == 2
        weights = [net.params["conv1.weight"] for net in nets]
        assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])

    def test_clips_of_several_classes_get_a_sigmoid_each(self):
        assert initial(self.options, ("a",), 0, several=False).output == "softmax"
        assert initial(self.options, ("a",), 0).output == "sigmoid"

    def test_of_a_file(self, tmp_path):
        path, said = write_tiny_weights(tmp_path / "tiny.npz"), []
        options = SimpleNamespace(net="vgg-gap", width=1, init=path)
        same = initial(options, CLASSES, 0, say=said.append)
        other = initial(options, ("a", "b"), 0, say=said.append)
        for name, a in same.params.items():
            assert np.array_equal(a, other.params[name]) == (not name.startswith("dense"))
        assert other.config.classes == 2
        assert said == [f"{path}: other classes, so the last layer starts anew"]

    def test_what_makes_none(self):
        with pytest.raises(AcdrefError, match="acdnet has no output"):
            initial(SimpleNamespace(net=None, width=1, init=None), ("a",), 0, output="softmax")


def test_other_classes_of_the_same_number_start_anew(tmp_path):
    options = SimpleNamespace(init=write_tiny_weights(tmp_path / "tiny.npz"), net=None, width=1.0)
    told = []
    same = initial(options, CLASSES, 0, say=told.append)
    assert not told
    other = initial(options, CLASSES[::-1], 0, say=told.append)
    assert len(told) == 1 and "the last layer starts anew" in told[0]
    assert not np.array_equal(other.params["dense.weight"], same.params["dense.weight"])
