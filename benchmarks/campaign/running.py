"""The program under test, as processes whose every word is kept, and what is wrong with how one ended.

`Program` starts it as its user does.  `Forked` has one process that has loaded everything and forks for each
call, thirty times as fast, with a bound on memory.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 2 << 30  # bytes that a forked call may have beyond what its parent has
HANG = 10.0  # seconds of processor time for one input; on the clock three times as many
KINDS = ("crash", "traceback", "hang", "foreign bytes", "exit code", "silent loss", "litter", "not bit-equal")


@dataclass
class Outcome:
    """How a call ended: exit code (None after a signal), signal, whether too late, what it printed."""

    code: int | None
    signal: int | None
    hung: bool
    out: bytes
    err: str
    seconds: float


@dataclass
class Finding:
    """Something that must not happen: one of KINDS, and what was seen."""

    kind: str
    what: str
    facts: dict = field(default_factory=dict)


def environment(work, **others):
    """Variables of all calls: this checkout, one cache, one thread of BLAS."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    own = {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    cache = os.environ.get("ACDREF_CACHE_DIR", str(Path(work) / "cache"))
    return os.environ | own | {"ACDREF_CACHE_DIR": cache} | others


def program(arguments):
    """The command line as a list of words."""
    return [sys.executable, "-m", "acdref.cli", *map(str, arguments)]


class Program:
    """Processes of their own.

    Parameters
    ----------
    work : path
        Where streams are kept meanwhile.
    """

    def __init__(self, work):
        self.work = Path(work)

    def start(self, command, cwd=None, stdin=subprocess.DEVNULL, before=None, **variables):
        """Start a process with its streams in files; returns what `ended` wants."""
        streams = [tempfile.TemporaryFile(dir=self.work) for _ in range(2)]  # noqa: SIM115 (`ended` closes)
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=streams[0],
            stderr=streams[1],
            cwd=cwd or self.work,
            env=environment(self.work, **variables),
            start_new_session=True,
            preexec_fn=before,
        )
        return process, streams, started

    def ended(self, running, timeout=3 * HANG):
        """Wait for the end, or bring it about after so many seconds."""
        process, streams, started = running
        hung = False
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            hung = True
        self.kill(running, signal.SIGKILL)
        process.wait()
        texts = []
        for stream in streams:
            stream.seek(0)
            texts.append(stream.read())
            stream.close()
        code = process.returncode
        died = -code if code < 0 else None
        err = texts[1].decode("utf-8", "replace")
        return Outcome(None if died else code, died, hung, texts[0], err, time.monotonic() - started)

    def kill(self, running, number):
        """Send a signal to the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running[0].pid, number)

    def run(self, arguments, timeout=3 * HANG, **options):
        """Run the command line to its end."""
        return self.ended(self.start(program(arguments), **options), timeout)


class Forked:
    """A process that answers calls of the command line, each in a fork; one for each thread that asks."""

    def __init__(self, work):
        self.work = Path(work)
        self._own = threading.local()
        self._all = []

    def run(self, arguments, cwd=None, timeout=3 * HANG):
        """Run the command line to its end."""
        server = getattr(self._own, "server", None)
        if server is None:
            server = self._own.server = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(self.work),
                text=True,
            )
            self._all.append(server)
        with (
            tempfile.NamedTemporaryFile(dir=self.work) as out,
            tempfile.NamedTemporaryFile(dir=self.work) as err,
        ):
            words = list(map(str, arguments))
            request = [words, str(cwd or self.work), timeout, out.name, err.name]
            print(json.dumps(request), file=server.stdin, flush=True)
            status, seconds = json.loads(server.stdout.readline())
            died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
            code = None if died else os.WEXITSTATUS(status)
            text = err.read().decode("utf-8", "replace")
            hung = died in (signal.SIGALRM, signal.SIGXCPU)
            return Outcome(code, None if hung else died, hung, out.read(), text, seconds)

    def close(self):
        """End all processes."""
        for server in self._all:
            server.stdin.close()
            server.wait()


def wrong(outcome, codes=(0, 1, 2, 3), reads=None):
    """What is wrong with how a call ended, as a list of findings.

    Parameters
    ----------
    outcome : Outcome
    codes : tuple of int
        Exit codes that are right.
    reads : callable, optional
        Reads stdout; a ValueError says why it is none of ours.  Without, stdout must be UTF-8.
    """
    found = []
    if outcome.hung:
        found.append(Finding("hang", f"over {HANG:g} s"))
    elif outcome.signal is not None:
        found.append(Finding("crash", f"signal {outcome.signal}"))
    for mark in ("Traceback (most recent call last)", "Exception ignored", "Fatal Python error"):
        if mark in outcome.err:
            found.append(Finding("traceback", outcome.err.strip()[-600:]))
            break
    if outcome.code is not None and outcome.code not in codes:
        found.append(Finding("exit code", f"{outcome.code}: {outcome.err.strip()[-200:]}"))
    elif outcome.code in (1, 2) and not outcome.err.strip():
        found.append(Finding("exit code", f"{outcome.code} without a word"))
    try:
        (reads or bytes.decode)(outcome.out)
    except ValueError as error:
        if outcome.signal is None and not outcome.hung:
            found.append(Finding("foreign bytes", f"{error}: {outcome.out[:200]!r}"))
    return found


def _serve():
    """Answer calls on stdin, one JSON line each."""
    import importlib

    from acdref import cli

    for name in cli.COMMANDS:
        importlib.import_module(f"acdref.commands.{name}")
    for name in ("evaluate", "fit", "train", "predict.tagging", "relabel.command", "clap.teacher", "conform"):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"acdref.{name}")
    sys.modules["numba"] = None  # what is tried here takes less time than loading kernels
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _call(*request)
        _, status = os.waitpid(child, 0)
        print(json.dumps([status, time.monotonic() - started]), flush=True)


def _call(words, cwd, timeout, out, err):
    """Be the command line, with bounds, and end."""
    import resource
    import traceback

    os.setsid()
    os.chdir(cwd)
    for path, number, how in ((os.devnull, 0, os.O_RDONLY), (out, 1, os.O_WRONLY), (err, 2, os.O_WRONLY)):
        os.dup2(os.open(path, how), number)
    sys.stdin, sys.stdout, sys.stderr = (open(i, "rw"[i > 0], closefd=False) for i in range(3))  # noqa: SIM115
    now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(HANG) + 1,) * 2)
    signal.alarm(int(timeout))
    sys.argv = ["acdref", *words]
    code = 1
    try:
        from acdref.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
