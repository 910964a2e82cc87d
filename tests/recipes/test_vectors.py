"""Vectors are what `acdref embed` writes, wherever the stage was killed; perceptrons learn from them."""

import numpy as np
import pytest
from predict_support import noise, write, write_tiny_weights
from recipes_support import Killed, dying_at
from train_support import Recorder

from acdref import checkpoint
from acdref.errors import AcdrefError
from acdref.fit import Observer, Stopped
from acdref.options.recipes import PerceptronOptions
from acdref.predict.embedding import Embedder, embed
from acdref.recipes import vectors
from acdref.tables.manifest import Manifest


@pytest.fixture
def manifests(tmp_path):
    for i, seconds in enumerate((0.5, 0.4, 11.0)):
        write(tmp_path / f"{i}.wav", noise(seconds, (0.3, 0.1, 0.2)[i], i))
    (tmp_path / "1.wav").write_bytes(b"")
    write_tiny_weights(tmp_path / "tiny.npz")
    names = (("0.wav", "1.wav"), ("2.wav",))
    return [Manifest("m.csv", str(tmp_path), some, np.zeros((len(some), 0)), ()) for some in names]


def work(manifests, folder, observer=None):
    folder.mkdir(exist_ok=True)
    stage = vectors.stage("vectors", manifests, f"{manifests[0].root}/tiny.npz")
    assert stage.files == ("0.npz", "1.npz")
    return stage.work(folder, {}, observer or Observer())


def test_they_are_those_of_embed(manifests, tmp_path):
    observer = Recorder()
    assert work(manifests, tmp_path / "v", observer) == {"recordings": 3, "used": 2}
    assert any("1.wav" in line for line in observer.lines)
    first, second = (vectors.read(tmp_path / "v", number) for number in (0, 1))
    np.testing.assert_array_equal(vectors.usable(first), [True, False])
    net, _ = checkpoint.load_weights(tmp_path / "tiny.npz")
    paths = [str(tmp_path / name) for name in ("0.wav", "2.wav")]
    expected = [found.vector for found in embed(Embedder(net), paths)]
    np.testing.assert_array_equal(np.stack([first[0], second[0]]), expected)


def test_killed_at_every_file_it_ends_the_same(manifests, tmp_path, monkeypatch):
    work(manifests, tmp_path / "whole")
    deaths = 0
    while deaths < 20:
        try:
            with dying_at(monkeypatch, 1, late=deaths % 2 == 0):
                work(manifests, tmp_path / "v")
            break
        except Killed:
            deaths += 1
    assert deaths >= 2
    for name in ("0.npz", "1.npz"):
        assert (tmp_path / "v" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_stopped_stage_hears_no_recording_again(manifests, tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        work(manifests, tmp_path / "v", Recorder(3))
    heard = []
    usual = vectors.score_set

    def score_set(net, manifest, *arguments, **more):
        heard.append(manifest)
        return usual(net, manifest, *arguments, **more)

    monkeypatch.setattr(vectors, "score_set", score_set)
    work(manifests, tmp_path / "v")
    assert heard == manifests[1:]


def test_nothing_that_can_be_used(manifests, tmp_path):
    for name in ("0.wav", "2.wav"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(AcdrefError, match="none of 3 recordings can be used"):
        work(manifests, tmp_path / "v")


class TestPerceptron:
    x = np.random.default_rng(0).standard_normal((120, 3)).astype(np.float32)
    y = (x[:, :2] > 0).astype(np.float64)
    options = PerceptronOptions(hidden=8, epochs=15, batch=16)

    def test_it_learns(self):
        new = np.random.default_rng(1).standard_normal((200, 3))
        p = vectors.probabilities(vectors.learn(self.x, self.y, self.options, 0), new)
        assert p.shape == (200, 2) and p.dtype == np.float64
        assert ((p > 0.5) == (new[:, :2] > 0)).mean() > 0.85

    def test_what_is_unknown_teaches_nothing(self):
        wrong = np.where(np.arange(120)[:, None] % 2, self.y, 1 - self.y)
        masked = np.where(wrong == self.y, self.y, np.nan)
        nets = [vectors.learn(self.x, y, self.options, 0) for y in (masked, wrong)]
        right = [((vectors.probabilities(net, self.x) > 0.5) == self.y).mean() for net in nets]
        assert right[0] > 0.8 > right[1]

    def test_the_seed_decides(self):
        nets = [vectors.learn(self.x, self.y, self.options, seed) for seed in (1, 1, 2)]
        first, again, other = (vectors.probabilities(net, self.x) for net in nets)
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_sizes_steps_and_rates_are_as_asked_for(self, monkeypatch):
        jobs = []
        monkeypatch.setattr(vectors, "fit", lambda net, job: jobs.append((net, job)))
        vectors.learn(self.x, self.y, PerceptronOptions(epochs=4, batch=50, lr=0.5), 5)
        ((net, job),) = jobs
        assert (net.config.inputs, net.config.hidden, net.config.classes) == (3, 128, 2)
        first = vectors.Perceptron(net.config, 5).params["hidden.weight"]
        np.testing.assert_array_equal(net.params["hidden.weight"], first)
        assert (job.epochs, job.steps, job.loss) == (4, 3, vectors.bce)
        assert job.rate(0, 0) == 0.5 and job.rate(2, 0) == pytest.approx(0.25)
        assert job.rate(1, 2) < job.rate(1, 1)
        seen = [x for epoch in (0, 1) for x, _ in job.batches(epoch, 0)]
        assert [len(x) for x in seen] == [40] * 6
        np.testing.assert_array_equal(np.sort(np.concatenate(seen[:3]), axis=0), np.sort(self.x, axis=0))
        assert (seen[0] != seen[3]).any()
