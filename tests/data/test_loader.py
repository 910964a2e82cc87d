import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from acdref.audio.segments import Clips
from acdref.data import loader as loading
from acdref.data.loader import Loader, _worker_environment
from acdref.data.sampling import Sequences
from acdref.errors import AcdrefError, AudioError
from acdref.features.compressed import features
from acdref.tables.manifest import Manifest

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


class Numbered:
    """Sequences that tell who they are; number `bad` cannot be made."""

    samples = 4

    def __init__(self, bad=-1, error=ValueError, delay=0.0):
        self.bad, self.error, self.delay = bad, error, delay
        self.clips = Clips()
        self.failures = {}

    def sample(self, epoch, index):
        time.sleep(self.delay * (index % 3))  # so that workers overtake each other
        if index == self.bad:
            raise self.error("file.wav", "is bad") if self.error is AudioError else self.error("is bad")
        return np.array([epoch, index, index % 2, 0], np.float32), np.array([index, np.nan], np.float32)


def process_facts(_):
    """Environment of the process that makes the sequences."""
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "ACDREF_NUM_THREADS")
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return np.array([os.getpid(), ignored, *(int(os.environ.get(name, -1)) for name in names)])


def cache_share(_):
    from acdref.data import loader

    return np.array([loader._worker[0].clips.max_bytes if loader._worker else -1])


def slow_in_workers(x):
    """Sequences that workers do not get done, but for the first."""
    from acdref.data import loader

    if loader._worker and x[1] > 0:
        time.sleep(0.5)
    return x


def priority(_):
    return np.array([os.sched_getscheduler(0)])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    for k, seconds in enumerate((0.3, 4, 8, 12)):  # resampled: workers have fewer threads
        soundfile.write(folder / f"{k}.wav", rng.uniform(-1, 1, int(seconds * 8000)) / 4, 8000)
    (folder / "4.wav").write_text("not audio")
    names = tuple(f"{k}.wav" for k in range(5))
    return Manifest("m.csv", str(folder), names, np.eye(5)[:, :3], ("a", "b", "c"))


@pytest.mark.parametrize("transform", [None, features])
def test_bit_equal_whatever_the_number_of_workers(manifest, transform):
    results = []
    for workers in (0, 1, 2):
        failures = []
        with Loader(Sequences(manifest, 7), 3, workers, transform, on_failure=failures.append) as loader:
            batches = [batch for epoch in (0, 1) for batch in loader.batches(epoch, 4)]
            batches += loader.batches(1, 4, start=3)
        assert [os.path.basename(error.path) for error in failures] == ["4.wav"]
        assert len(batches) == 9
        results.append(batches)
    assert results[0][0][0].shape == (3, *((160_000,) if transform is None else (624, 257, 2)))
    assert results[0][0][0].dtype == results[0][0][1].dtype == np.float32
    for batches in results:
        for (x, y), (x0, y0) in zip(batches, results[0], strict=True):
            np.testing.assert_array_equal(x, x0)
            np.testing.assert_array_equal(y, y0)
        np.testing.assert_array_equal(batches[8][0], batches[7][0])  # the last of an epoch, resumed


@pytest.mark.parametrize("workers", [0, 2])
class TestOrder:
    def test_indices_and_epochs(self, workers):
        with Loader(Numbered(delay=0.002), 4, workers) as loader:
            for epoch, steps, start in [(0, 9, 0), (1, 1, 0), (2, 3, 3), (5, 9, 7)]:
                x = [x for x, _ in loader.batches(epoch, steps, start)]
                assert len(x) == steps - start
                if x:
                    np.testing.assert_array_equal(np.concatenate(x)[:, 1], np.arange(4 * start, 4 * steps))
                    assert (np.concatenate(x)[:, 0] == epoch).all()

    def test_of_each_batch_only_some(self, workers):
        with Loader(Numbered(delay=0.002), 5, workers, own=slice(1, 3)) as loader:
            batches = [x for x, _ in loader.batches(0, 30, 2)]
        assert [x[:, 1].tolist() for x in batches] == [[5 * i + 1, 5 * i + 2] for i in range(2, 30)]

    def test_batches_stay_as_they_are(self, workers):
        with Loader(Numbered(), 2, workers) as loader:
            kept = [x for x, _ in loader.batches(0, 20)]
        np.testing.assert_array_equal(np.concatenate(kept)[:, 1], np.arange(40))

    def test_an_abandoned_epoch_does_not_disturb_the_next(self, workers):
        with Loader(Numbered(delay=0.005), 2, workers) as loader:
            abandoned = loader.batches(0, 50)
            next(abandoned)
            x = np.concatenate([x for x, _ in loader.batches(1, 6)])
            with pytest.raises(RuntimeError):
                next(abandoned)
        np.testing.assert_array_equal(x[:, :2], np.column_stack([np.ones(12), np.arange(12)]))

    def test_generator_closed_after_the_loader(self, workers):
        loader = Loader(Numbered(delay=0.005), 2, workers)
        batches = loader.batches(0, 50)
        next(batches)
        loader.close()
        batches.close()

    @pytest.mark.parametrize("error", [ValueError, AudioError])
    def test_error_keeps_its_type_and_the_loader_its_use(self, workers, error):
        with Loader(Numbered(bad=5, error=error), 2, workers) as loader:
            batches = loader.batches(0, 10)
            next(batches), next(batches)
            with pytest.raises(error, match="is bad"):
                next(batches)
            np.testing.assert_array_equal(next(loader.batches(3, 1))[0][:, 1], [0, 1])


class TestWorkers:
    def test_one_thread_each_and_deaf_to_ctrl_c(self):
        before = dict(os.environ)
        with Loader(Numbered(delay=0.01), 8, 2, process_facts) as loader:
            x = next(loader.batches(0, 1))[0]
            assert dict(os.environ) == before
        pids = set(x[:, 0])
        assert os.getpid() not in pids
        assert (x[:, 1:] == 1).all()

    def test_cache_is_shared_out(self):
        with Loader(Numbered(), 1, 2, cache_share) as loader:
            assert next(loader.batches(0, 1))[0] == Clips().max_bytes // 2

    @pytest.mark.parametrize("workers", [1, 2])
    def test_what_they_do_not_get_done_is_made_here(self, workers, monkeypatch):
        monkeypatch.setattr(loading, "PATIENCE", 0.05)
        started = time.monotonic()
        with Loader(Numbered(), 2, workers, slow_in_workers) as loader:
            epochs = [np.concatenate([x for x, _ in loader.batches(epoch, 20)]) for epoch in range(2)]
            passed = time.monotonic() - started
        for epoch, x in enumerate(epochs):
            np.testing.assert_array_equal(x[:, :2], np.column_stack([np.full(40, epoch), np.arange(40)]))
        assert passed < 10  # of 39 s of sleep

    @pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux's")
    def test_leave_the_cores_to_the_step(self):
        with Loader(Numbered(), 1, 1, priority) as loader:
            assert next(loader.batches(0, 1))[0] == os.SCHED_IDLE
        assert os.sched_getscheduler(0) != os.SCHED_IDLE

    def test_end_with_the_loader(self):
        with Loader(Numbered(), 8, 2, process_facts) as loader:
            x = next(loader.batches(0, 1))[0]
        for pid in set(x[:, 0]):
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid), 0)

    @posix
    def test_killed_worker_is_an_error_and_can_be_replaced(self):
        with Loader(Numbered(delay=0.05), 2, 1, process_facts) as loader:
            batches = loader.batches(0, 100)
            os.kill(int(next(batches)[0][0, 0]), signal.SIGKILL)
            with pytest.raises(AcdrefError, match="worker was killed"):
                list(batches)
            assert len(next(loader.batches(0, 1))[0]) == 2


SCRIPT = """
import sys
from acdref.data.loader import Loader, _worker_environment
from test_loader import Numbered, process_facts
if __name__ == "__main__":
    with Loader(Numbered(delay=0.01), 8, 2, process_facts) as loader:
        for x, _ in loader.batches(0, 10**6):
            print(*sorted({int(pid) for pid in x[:, 0]}), flush=True)
"""


def gone(pid):
    """No such process, or one that only waits to be collected."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@posix
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("how", ["kill -9", "Ctrl-C"])
def test_no_worker_outlives_training(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    here = os.path.dirname(__file__)
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([here, os.path.dirname(os.path.dirname(here))])},
        start_new_session=True,
        # A shell starts background jobs with SIGINT ignored, and children inherit that: undone here.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert workers
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everyone
    else:
        process.kill()
    errors = process.communicate(timeout=20)[1]
    deadline = time.monotonic() + 10
    while not all(map(gone, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(map(gone, workers))
    if how == "Ctrl-C":
        assert errors.count("Traceback") == 1
        assert errors.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": 1, "workers": -1}])
def test_parameters(wrong):
    with pytest.raises(ValueError, match="batch must be"):
        Loader(Numbered(), **wrong)


def test_workers_have_one_thread_and_their_parent_what_it_had(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with _worker_environment():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ
