"""Recordings scored elsewhere: what comes back is what this process would have heard, bit for bit."""

import json
from functools import partial

import numpy as np
import pytest
from predict_support import noise, write, write_damaged, write_tiny_weights, write_truncated

from acdref.checkpoint import load_weights
from acdref.cluster import Lost
from acdref.errors import AcdrefError, AudioError
from acdref.predict import remote
from acdref.predict.backend import Adaptive
from acdref.predict.embedding import Embedder, embed
from acdref.predict.remote import score_far, scorer, task_of
from acdref.predict.scoring import score_recordings
from acdref.predict.tagging import Failure, predict


class Nearby:
    """In place of a cluster: the job is done here, as a worker does it."""

    def __init__(self, lost=()):
        self.lost, self.jobs = lost, []

    def in_order(self, job, files):
        self.jobs.append(job)
        json.dumps(job.options)  # what travels is plain
        do = remote.scorer(json.loads(json.dumps(job.options)), job.data)
        for key, file in filter(None, files):
            if file is None:
                yield key, None
            elif file in self.lost:
                yield key, Lost("ends whatever process works on it (SIGSEGV)")
            else:
                (answer,) = do([file])
                yield key, answer


@pytest.fixture
def net(tmp_path):
    net, meta = load_weights(write_tiny_weights(tmp_path / "tiny.npz"))
    return Adaptive(net, "numpy", thresholds=meta["thresholds"])


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    """Names of recordings, relative to the current folder, some of which are not as they should be."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.wav", noise(23, seed=1))
    write(tmp_path / "short.wav", noise(0.2, seed=2))
    write_damaged(tmp_path / "damaged.wav")
    write_truncated(tmp_path / "truncated.wav")
    (tmp_path / "text.wav").write_text("no sound")
    return ["a.wav", "damaged.wav", "missing.wav", "short.wav", "truncated.wav", "text.wav", "a.wav"]


def same(far, near):
    assert len(far) == len(near)
    for there, here in zip(far, near, strict=True):
        assert (there.recording, there.notes) == (here.recording, here.notes)
        assert (there.scores is None) == (here.scores is None)
        if here.scores is not None:
            assert there.scores[:2] == here.scores[:2]
            assert there.scores.probabilities.dtype == here.scores.probabilities.dtype
            np.testing.assert_array_equal(there.scores.probabilities, here.scores.probabilities)
        assert type(there.error) is type(here.error)
        if here.error is not None:
            assert (there.error.path, there.error.cause) == (here.error.path, here.error.cause)


@pytest.mark.parametrize("window, hop", [(10.0, None), (4.0, 2.5)])
@pytest.mark.parametrize("kind", [lambda net: net, Embedder])
def test_the_same_is_heard(net, sounds, kind, window, hop):
    net = kind(net)
    asked = [(name, name) for name in sounds]
    asked[3:3] = [None, ("nothing to score", None)]
    near = list(score_recordings(net, asked, window, hop))
    far = list(score_far(Nearby(), net, asked, window, hop))
    same(far, near)
    assert len({heard.number for heard in far}) == 8
    assert sum(heard.scores is not None for heard in far) > 6


def test_a_network_that_leaves_its_work_to_a_cluster(net, sounds):
    here = list(predict(net, sounds, ends=True))
    embedded = list(embed(Embedder(net), sounds))
    cluster = Nearby()
    net.far = partial(score_far, cluster)
    there = list(predict(net, sounds, ends=True))
    assert [type(each) for each in there] == [type(each) for each in here]
    for one, other in zip(here, there, strict=True):
        assert one[:3] == other[:3] and str(one) == str(other)
    again = list(embed(Embedder(net), sounds))
    assert [str(each) for each in again] == [str(each) for each in embedded]
    assert [job.options["embedding"] for job in cluster.jobs] == [False, True]


def test_recordings_that_end_their_workers_are_failures(net, sounds, tmp_path):
    net.far = partial(score_far, Nearby(lost=[str(tmp_path / "short.wav")]))
    found = {result.path: result for result in predict(net, sounds)}
    assert found["short.wav"] == Failure("short.wav", "ends whatever process works on it (SIGSEGV)")
    assert found["truncated.wav"].note


def test_too_long_for_a_workers_memory(net, sounds, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr("acdref.nets.network.Network.predict_proba", full)
    net.far = partial(score_far, Nearby())
    (found,) = predict(net, ["a.wav"])
    assert found == Failure("a.wav", "this machine has not enough memory for its windows")


def test_addresses_stay_and_paths_become_whole(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sent = []

    class Listed(Nearby):
        def in_order(self, job, files):
            sent.extend(files)
            return iter(())

    list(
        score_far(Listed(), net, [("x", "x.wav"), ("y", "s3://bucket/y.wav"), ("z", None), None], 10.0, None)
    )
    assert [each and each[1] for each in sent] == [str(tmp_path / "x.wav"), "s3://bucket/y.wav", None, None]
    assert [each and each[0] for each in sent][:2] == [("x", "x.wav"), ("y", "s3://bucket/y.wav")]


def test_a_worker_without_numba_says_so(net, monkeypatch):
    job = task_of(net, 10.0, None)
    monkeypatch.setattr("acdref.ops.kernel.problem", lambda: "no numba here")
    monkeypatch.setattr("acdref.ops.kernel.disabled", lambda: False)
    with pytest.raises(AcdrefError, match="the numba backend cannot be used: no numba here"):
        scorer(job.options | {"backend": "numba"}, job.data)
    monkeypatch.setattr("acdref.ops.kernel.disabled", lambda: True)
    with pytest.raises(AcdrefError, match="cannot use the backend numba"):
        scorer(job.options | {"backend": "numba"}, job.data)


def test_other_weights_than_were_sent(net):
    job = task_of(net, 10.0, None)
    next(iter(net.net.params.values()))[...] += 1
    with pytest.raises(AcdrefError, match="has other weights than were sent"):
        scorer(job.options, task_of(net, 10.0, None).data)


def test_errors_travel_as_text():
    assert remote._error("a.wav", None) is None
    assert isinstance(remote._error("a.wav", ""), MemoryError)
    error = remote._error("a.wav", "an empty file")
    assert isinstance(error, AudioError) and str(error) == "a.wav: an empty file"
