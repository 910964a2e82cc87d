"""A batch shared by processes: every sum, every step and every file as of one process."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from further_support import SMALL
from hypothesis import given
from hypothesis import strategies as st
from ranks_support import Threads, mpiexec, python, shared, with_mpi

from acdref.errors import AcdrefError
from acdref.losses import bce
from acdref.nets.acdnet import ACDNet, ACDNetConfig, Block
from acdref.nets.vgg import VGGGap, VGGLayer
from acdref.ops.batch import WHOLE
from acdref.ops.kernel import available
from acdref.ranks import _SMALL, Share, launched

BACKENDS = ["numpy", pytest.param("numba", marks=pytest.mark.skipif(not available(), reason="needs numba"))]


def numbers(shape, seed=0):
    """Numbers whose sum depends on the order of adding."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class TestShare:
    @given(st.integers(1, 4), st.integers(4, 19), st.integers(1, 3), st.sampled_from([1, 5, _SMALL // 3]))
    def test_sums_and_gathering(self, size, clips, maps, numbers_of_each):
        """Whatever the number of processes, and of maps of a clip; few numbers and many."""
        parts, more = numbers((clips * maps, numbers_of_each)), numbers((clips * maps, 2, 2), 1)
        expected = WHOLE.total(parts.copy(), more.copy())

        def work(batch):
            own = batch.own(clips * maps)
            assert batch.clips(len(parts[own])) == clips * maps
            np.testing.assert_array_equal(batch.gather(parts[own]), parts)
            np.testing.assert_array_equal(batch.gather(parts[batch.own(clips)], clips), parts[:clips])
            return batch.total(parts[own].copy(), more[own].copy())

        for found in shared(work, size, clips):
            for ours, theirs in zip(found, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)

    def test_things_are_cut_evenly(self):
        owned = shared(lambda batch: [batch.own(count) for count in (7, 2, 14)], 3, 7)
        assert [own[0] for own in owned] == [slice(0, 2), slice(2, 4), slice(4, 7)]
        assert [own[1] for own in owned] == [slice(0, 0), slice(0, 1), slice(1, 2)]
        assert [own[2] for own in owned] == [slice(0, 4), slice(4, 8), slice(8, 14)]  # two maps a clip

    def test_any(self):
        assert shared(lambda batch: batch.any(batch.rank == 1), 3, 3) == [True] * 3
        assert shared(lambda batch: batch.any(False), 3, 3) == [False] * 3

    def test_more_processes_than_clips(self):
        with pytest.raises(AcdrefError, match="a batch of 2 cannot be shared by 3 processes: raise --batch"):
            Share(Threads(0, 3, ([], None)), 2)


ACDNET = ACDNetConfig(
    classes=3, stem=17, blocks=(Block(19, 2, (2, 2)), Block(33, 1, (2, 2), 18), Block(5, 1, (1, 2))), bins=25
)
NETWORKS = {
    "acdnet": (ACDNet, ACDNET, (70, 25, 2)),
    "acdnet-separable": (ACDNet, replace(ACDNET, attention="separable"), (40, 25, 2)),
    **SMALL,
    "vgg-gap-wide": (VGGGap, replace(SMALL["vgg-gap"][1], layers=(VGGLayer(17), VGGLayer(19))), (24, 18)),
    "mobilenetv2": (
        SMALL["mobilenetv2"][0],
        replace(SMALL["mobilenetv2"][1], dropout=0.3),
        SMALL["mobilenetv2"][2],
    ),
}


def steps(net, x, y, batch):
    """Everything that two steps compute, of a batch of which this process has some clips."""
    net.batch, found, own = batch, [], batch.own(len(x))
    for step in range(2):
        net.rng = np.random.default_rng([1, step])
        logits, tape = net.forward(x[own], train=True)
        logits = batch.gather(logits)
        loss, dlogits = bce(y, logits)
        grads = net.backward(tape, dlogits[own])
        for name, param in net.params.items():
            param -= np.float32(0.1) * grads[name]
        found += [loss, logits, *(g.copy() for g in grads.values()), *net.state.values()]
    return found


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_is_bit_equal_for_any_number_of_processes(name, backend):
    kind, config, shape = NETWORKS[name]
    clips, rng = 5, np.random.default_rng(2)
    x = rng.standard_normal((clips, *shape)).astype(np.float32)
    y = (rng.random((clips, 3)) < 0.4).astype(np.float32)
    expected = steps(kind(config, 1, backend=backend), x, y, WHOLE)
    assert all(np.isfinite(each).all() for each in expected)
    for size in (2, 3):
        for found in shared(lambda b: steps(kind(config, 1, backend=backend), x, y, b), size, clips):
            for ours, theirs in zip(found, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)


RANKS = """if True:
    import numpy as np
    from acdref.errors import AcdrefError
    from acdref.ranks import launched
    ranks = launched()
    rank, size = ranks.rank, ranks.size
    assert ranks.gather(np.full((rank, 2), rank), range(size)).tolist() == [[1, 1], [2, 2], [2, 2]]
    given = [np.full(to + 1, 10 * rank + to) for to in range(size)]
    swapped = ranks.swap(given, [rank + 1] * size)
    assert swapped.tolist() == [10 * of + rank for of in range(size) for _ in given[rank]]
    assert ranks.texts("é" * rank) == ["", "é", "éé"]
    ranks.agree({"ear": 1})
    for facts in ({"ear": 1, "nose": rank == 2}, {"ear": rank, "nose": rank}):
        try:
            ranks.agree(facts)
        except AcdrefError as error:
            print(error)
    assert ranks.share(7).any(rank == 1)
    assert 1 <= ranks.threads()
    alone = rank == 1 and ranks.ended(0.3)
    ranks.gather(np.arange(1), [1] * size)
    print("all ended:", alone if rank == 1 else ranks.ended(30))
"""


@with_mpi
def test_what_processes_tell_each_other():
    done = mpiexec((3, "-c", RANKS))
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        *["all ended: False", "all ended: True", "all ended: True"],
        *["process 1 has another ear and another nose than process 0: all 3 need the same"] * 3,
        *["process 2 has another nose than process 0: all 3 need the same"] * 3,
    ]


@with_mpi
def test_a_job_of_another_mpi():
    """Here, of a process that MPI has not started at all."""
    done = python("from acdref.ranks import launched; launched()", PMI_SIZE="2")
    assert "mpiexec has started 2 processes, and mpi4py finds 1: it is made for another MPI (" in done.stderr


def test_a_job_of_one_process_is_none(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "1")
    assert launched() is None


def test_without_mpi4py(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(AcdrefError, match=r"mpiexec starts need mpi4py .*: pip install 'acdref\[mpi\]'"):
        launched()
