"""Work by the workers of a scheduler: an answer for each file, in their order, whoever dies."""

import io
import json
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

import acdref.cluster
from acdref.cluster import Cluster, Lost, Task, _done_apart, _made, _Run, apart
from acdref.errors import AcdrefError

pytest.importorskip("distributed")

from cluster_support import Processes, free_port, kill

TASK = Task("cluster_support:lengths", {"times": 2}, b"weights")


@pytest.fixture(scope="module")
def dask():
    """A scheduler with two workers."""
    with Processes() as processes:
        processes.schedule()
        processes.work(), processes.work()
        yield processes


@pytest.fixture(scope="module")
def cluster(dask):
    with Cluster(dask.address) as cluster:
        yield cluster


def files(count, *others):
    """Pairs of a number and a name."""
    names = [f"file {i}" for i in range(count)]
    for at, name in others:
        names[at] = name
    return list(enumerate(names))


def check(answered, asked):
    """There is one answer for each file, in their order; returns the processes that gave them."""
    assert [key for key, _ in answered] == [key for key, _ in asked]
    for (_, answer), (_, name) in zip(answered, asked, strict=True):
        about, rows = answer
        assert about["name"] == name and rows.dtype == np.float32
        np.testing.assert_array_equal(rows, [[2 * len(name), 7, np.nan]])
    return {answer[0]["process"] for _, answer in answered}


def test_answers_in_order_by_all_workers(cluster, dask):
    asked = files(300)
    slow = TASK._replace(options={"times": 2, "seconds": 0.003})
    assert check(list(cluster.in_order(slow, asked)), asked) == {each.pid for each in dask.workers}
    assert list(cluster.in_order(TASK, [])) == []


def test_what_needs_no_work_keeps_its_place(cluster):
    asked = [("known", None), ("a", "x"), ("known too", None), None, ("b", "yy"), ("last", None)]
    answered = list(cluster.in_order(TASK, asked))
    assert [key for key, _ in answered] == ["known", "a", "known too", "b", "last"]
    assert [answer and answer[0]["name"] for _, answer in answered] == [None, "x", None, "yy", None]


def test_all_before_is_answered_where_the_next_may_be_waited_for(cluster):
    answered = []

    def asked():
        yield from files(30)
        yield None
        assert len(answered) == 30
        yield 30, "more"

    for pair in cluster.in_order(TASK, asked()):
        answered.append(pair)
    assert len(answered) == 31


def test_only_so_much_is_under_way(cluster, monkeypatch):
    monkeypatch.setattr(acdref.cluster, "_MOST", 10)
    taken, ahead = [], []

    def asked():
        for pair in files(500):
            taken.append(pair)
            yield pair

    for done, _ in enumerate(cluster.in_order(TASK, asked())):
        ahead.append(len(taken) - done)
    assert max(ahead) <= acdref.cluster._AHEAD * 2 * 10 + 10


def test_killed_workers_change_nothing(tmp_path):
    log = tmp_path / "log"
    asked = files(200)
    task = TASK._replace(options={"times": 2, "seconds": 0.02, "log": str(log)})
    with Processes() as own:
        own.schedule(failures=3)
        own.work(), own.work()
        killed = 0
        with Cluster(own.address) as cluster:
            answered = []
            for pair in cluster.in_order(task, asked):
                answered.append(pair)
                if killed < 3 and len(answered) > 40 * (killed + 1):
                    kill(own.workers[killed])
                    own.work()
                    killed += 1
    assert killed == 3 and len(check(answered, asked)) > 2
    done = [line.split()[1] for line in log.read_text().splitlines()]
    assert len(done) >= len(asked)  # what the dead had not handed in was done again


def test_workers_that_die_while_the_data_are_on_their_way():
    """Nobody lets files pay for it."""
    with Processes() as own:
        own.schedule(failures=0)
        own.work()
        with Cluster(own.address) as cluster:
            while not cluster.threads:
                cluster._look()
            os.kill(own.workers[0].pid, signal.SIGSTOP)
            late = threading.Timer(1.5, lambda: (kill(own.workers[0]), own.work()))
            late.start()
            check(list(cluster.in_order(TASK, files(12))), files(12))
            late.join()


def test_a_file_that_kills_costs_itself_alone():
    asked = files(40, (11, "ends 1"), (30, "ends 2"))
    with Processes() as own:
        own.schedule(failures=0)
        own.work(), own.work()

        def replace():
            while not over.wait(0.2):
                if any(worker.poll() is not None for worker in own.workers):
                    own.workers = [worker for worker in own.workers if worker.poll() is None]
                    own.work()

        over = threading.Event()
        watch = threading.Thread(target=replace)
        watch.start()
        try:
            with Cluster(own.address) as cluster:
                answered = list(cluster.in_order(TASK, asked))
        finally:
            over.set()
            watch.join()
    lost = {key: answer for key, answer in answered if isinstance(answer, Lost)}
    assert lost == dict.fromkeys((11, 30), Lost("ends whatever process works on it (SIGSEGV)"))
    check([pair for pair in answered if pair[0] not in lost], [pair for pair in asked if pair[0] not in lost])


def test_a_scheduler_that_dies_and_workers_that_come_late(monkeypatch):
    told = []
    task = TASK._replace(options={"times": 2, "seconds": 0.01})
    asked = files(200)
    with Processes() as own:
        own.schedule()
        with Cluster(own.address, told.append) as cluster:
            monkeypatch.setattr(acdref.cluster, "_REACHED", 1)
            late = threading.Timer(3, own.work)
            late.start()
            answered = []
            for pair in cluster.in_order(task, asked):
                answered.append(pair)
                if len(answered) == 50:
                    assert told == [f"{own.address}: no workers; waiting for one (dask worker {own.address})"]
                    own.kill_scheduler()
                    own.schedule()
                    own.work()
            assert told[1] == f"{own.address}: the scheduler is gone; waiting for it"
    check(answered, asked)


def test_a_scheduler_that_does_not_come_back(monkeypatch):
    with Processes() as own:
        own.schedule()
        own.work()
        with Cluster(own.address) as cluster:
            monkeypatch.setattr(acdref.cluster, "_REACHED", 1)
            monkeypatch.setattr(acdref.cluster, "_PATIENCE", 1)
            answers = cluster.in_order(TASK._replace(options={"times": 2, "seconds": 0.01}), files(500))
            next(answers)
            own.kill_scheduler()
            with pytest.raises(AcdrefError, match=rf"{own.address}: no Dask scheduler answers \(.*\)$"):
                list(answers)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"function": "cluster_support:nothing"}, "a worker lacks acdref"),
        ({"function": "nowhere:nothing"}, "a worker lacks acdref"),
        ({"options": {"times": "x" * 10}}, "a worker failed: "),
    ],
)
def test_workers_that_cannot(cluster, change, cause):
    with pytest.raises(AcdrefError, match=cause) as caught:
        list(cluster.in_order(TASK._replace(**change), files(5)))
    assert "\n" not in str(caught.value)


def test_workers_of_another_version(cluster, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(AcdrefError) as caught:
        patch.setattr(acdref.cluster, "__version__", "0.0")
        list(cluster.in_order(TASK, files(5)))
    assert f"has acdref {acdref.__version__}, and here is 0.0" in str(caught.value)
    assert str(caught.value).startswith("worker tcp://127.0.0.1:")


def test_a_worker_without_all_of_acdref(tmp_path):
    (tmp_path / "acdref").mkdir()
    (tmp_path / "acdref" / "__init__.py").touch()
    with Processes() as own:
        own.schedule()
        own.work(PYTHONPATH=str(tmp_path), PYTHONSAFEPATH="1")
        with Cluster(own.address) as cluster, pytest.raises(AcdrefError) as caught:
            list(cluster.in_order(TASK, files(5)))
    cause = (
        f"a worker lacks acdref {acdref.__version__}, or what that needs (No module named 'acdref.cluster')"
    )
    assert str(caught.value) == f"{own.address}: {cause}"


def test_whoever_stops_leaves_no_work_behind(cluster, tmp_path):
    log = tmp_path / "log"
    task = TASK._replace(options={"times": 2, "seconds": 0.05, "log": str(log)})
    chunk = acdref.cluster._Chunk(files(200))
    run = _Run(cluster, task)
    run.send(chunk)
    while not log.exists():
        time.sleep(0.05)
    run.cancel()
    time.sleep(1)
    done = log.read_text()
    time.sleep(0.3)
    assert log.read_text() == done and len(done.splitlines()) < 100


@pytest.mark.parametrize("address", ["host:8786", "local:0", "local", "tcp://", "local:1000"])
def test_addresses_that_are_none(address):
    with pytest.raises(AcdrefError, match=rf"{address}: no address of a scheduler"):
        Cluster(address)


def test_nobody_there(monkeypatch):
    monkeypatch.setattr(acdref.cluster, "_REACHED", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(AcdrefError, match=rf"^{address}: no Dask scheduler answers \(Timed out .*\)$"):
        Cluster(address)


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(AcdrefError, match=r"needs the packages dask and distributed \(pip install"):
        Cluster("local:1")


def test_processes_of_this_machine():
    with Cluster("local:1") as cluster:
        assert cluster.threads == 1
        asked = files(20)
        check(list(cluster.in_order(TASK, asked)), asked)


# Without a scheduler ---------------------------------------------------------------------------------------


def request(*names, **options):
    return {"function": TASK.function, "options": {"times": 2, **options}, "files": names, "careful": True}


def test_a_process_apart_gives_the_same():
    names = ("a", "ends at once", "bb", "ends again")
    answers = _done_apart(request(*names), b"weights")
    assert [type(answer) for answer in answers] == [tuple, Lost, tuple, Lost]
    check([("a", answers[0]), ("bb", answers[2])], [("a", "a"), ("bb", "bb")])


def test_a_process_apart_that_fails():
    with pytest.raises(AcdrefError, match="a process of its own ended with code 1"):
        _done_apart(request("raises"), b"")


def refusing(options, data):
    """A job that nobody can do."""
    raise AcdrefError(f"nobody has {options['what']}")


def test_a_process_apart_that_refuses(monkeypatch, capfd):
    """What a worker lacks is said as it is, not as a fault of the file."""
    text = json.dumps({"function": f"{__name__}:refusing", "options": {"what": "wings"}, "files": ["a"]})
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode() + b"\nweights")))
    monkeypatch.setattr("os.dup2", lambda *_: None)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    apart()
    line = json.loads(capfd.readouterr().out)
    assert line == "nobody has wings"
    with pytest.raises(AcdrefError, match="nobody has wings"):
        acdref.cluster._unpacked(line)


def test_what_is_made_once():
    made = _made(TASK.function, json.dumps(TASK.options), b"1")
    assert _made(TASK.function, json.dumps(TASK.options), b"1") is made
    assert _made(TASK.function, json.dumps(TASK.options), b"2") is not made


class Still:
    """In place of a cluster."""

    threads = 2
    _client = None


def test_chunks_grow_to_a_share_of_the_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(acdref.cluster.time, "monotonic", lambda: now[0])
    run = _Run(Still(), TASK)
    sizes = []
    for _ in range(400):
        run._pace(run.size, 0.01 * run.size)  # each file takes 10 ms
        sizes.append(run.size)
        now[0] += 10
    assert sizes[:7] == [2, 4, 8, 16, 32, 64, 100]  # of a second after a minute
    assert sizes[-1] == acdref.cluster._MOST
    run = _Run(Still(), TASK)
    now[0] += 100_000
    for _ in range(12):
        run._pace(run.size, 1.0 * run.size)
    assert run.size == 60  # a minute
    for _ in range(12):
        run._pace(run.size, 100.0 * run.size)
    assert run.size == 1
