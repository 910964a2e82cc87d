"""`mpiexec acdref train` as its user meets it: one voice, one result, and an end that costs nothing."""

import os

import pytest
from ranks_support import mpiexec, with_mpi
from train_support import write_corpus

pytestmark = with_mpi

OPTIONS = ("--width", 0.1, "--epochs", 2, "--epoch-size", 18, "--batch", 6, "--seconds", 2.5, "--lr", 1e-3)
OPTIONS += ("--val-fold", 2, "--workers", 0)
CLI = "from acdref.cli import main; main()"

# What a process does before the second step of the second epoch.
DOING = """if True:
    import os, signal
    from acdref import cli, fit
    learn = fit.Run._learn
    def after(self, x, y):
        if (self.epoch, self.step, self.net.batch.rank) == (1, 1, {}):
            {}
        learn(self, x, y)
    fit.Run._learn = after
    cli.main()
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module", autouse=True)
def with_numpy():
    """Loading kernels takes longer than these networks do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        patch.setenv("ACDREF_NUM_THREADS", "1")
        yield


def trained(corpus, out, count, code=CLI, more=OPTIONS):
    return mpiexec((count, "-c", code, "train", corpus, "--out", out, *more))


def contents(out):
    """Its files; but for the page of curves, which has the folder's name on it."""
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != "curves.html"}


def said(done):
    """Lines on stderr that are ours, and say something else than what NumPy does."""
    return [line for line in done.stderr.splitlines() if line.startswith("acdref:") and "NumPy" not in line]


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """A run without MPI's other processes."""
    out = tmp_path_factory.mktemp("alone") / "run"
    done = trained(corpus, out, 1)
    assert done.returncode == 0, done.stderr
    return contents(out)


def test_files_are_those_of_one_process(corpus, alone, tmp_path):
    """Of four here; of three and two below."""
    done = trained(corpus, tmp_path / "run", 4)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "run") == alone
    assert done.stdout.startswith(f"{tmp_path / 'run'}: 2 epochs, loss 0.") and done.stdout.count("\n") == 1
    assert done.stderr.count("epoch 1  loss") == 1


@pytest.mark.parametrize(
    ("rank", "deed"),
    [
        (0, "os.kill(os.getpid(), signal.SIGTERM)"),
        (1, "os.kill(os.getpid(), signal.SIGTERM)"),
        (1, "os.kill(os.getpid(), signal.SIGKILL)"),
        (1, "raise fit.AcdrefError('no more')"),
    ],
)
def test_a_process_that_ends_costs_at_most_its_step(rank, deed, corpus, alone, tmp_path):
    """And any number continue: to the same files, bit for bit."""
    out, stopped = tmp_path / "run", "SIGTERM" in deed
    done = trained(corpus, out, 3, DOING.format(rank, deed))
    assert done.returncode == 130 if stopped else done.returncode != 0
    told = said(done)
    assert ("acdref: process 1: no more" in told) == ("raise" in deed)
    saved = f"acdref: {out}: stopped; all up to epoch 2, step 1, is saved, continue with --resume" in told
    again = mpiexec((2, "-c", CLI, "train", "--out", out, "--resume", "--workers", 0))
    assert again.returncode == 0, again.stderr
    if stopped and rank > 0:
        assert told == [f"acdref: stopped; continue with: acdref train --out {out} --resume"]
        assert "continuing at epoch 2, step 3 of 3" in again.stderr
    elif saved:
        assert "continuing at epoch 2, step 2 of 3" in again.stderr
    else:  # MPI may end the first before it has saved, but not if it was told alone
        assert rank > 0
    assert contents(out) == alone


def test_other_options_are_refused_by_all(corpus, tmp_path):
    command = ("-c", CLI, "train", corpus, "--out", tmp_path / "run", *OPTIONS)
    done = mpiexec((1, *command), (1, *command, "--seed", 5))
    assert done.returncode == 1
    cause = "process 1 has another set of options and another set of weights than process 0"
    assert said(done) == [f"acdref: {cause}: all 2 need the same"]
    assert not (tmp_path / "run").exists()


def test_what_ends_all_is_told_once(corpus, tmp_path):
    done = trained(corpus, tmp_path / "run", 3, more=(*OPTIONS, "--batch", 2))
    assert done.returncode == 1
    assert said(done) == ["acdref: a batch of 2 cannot be shared by 3 processes: raise --batch"]


def test_the_folder_of_another_run(corpus, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        done = trained(corpus, tmp_path, 2)
    finally:
        os.close(folder)
    assert done.returncode == 1
    (line,) = said(done)
    assert line.startswith(f"acdref: {tmp_path}: ")
