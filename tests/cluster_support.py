"""Dask's processes on the loopback device, and jobs for them."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]),
    "ACDREF_NUM_THREADS": "1",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}
_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


def lengths(options, data):
    """A job: of each file the number of letters of its name times `options`; some names say what happens."""

    def do(files):
        for file in files:
            time.sleep(options.get("seconds", 0))
            if file.startswith("ends"):
                os.kill(os.getpid(), signal.SIGSEGV)
            if file.startswith("raises"):
                raise RuntimeError(f"of {file}\nand more")
            if options.get("log"):
                with open(options["log"], "a") as log:
                    print(file, os.getpid(), file=log)
            values = np.array([[len(file) * options["times"], len(data), np.nan]], np.float32)
            yield {"name": file, "process": os.getpid()}, values

    return do


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Processes:
    """A scheduler and workers, each a process; what is running is ended with the context."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler, self.workers = None, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in filter(None, [*self.workers, self.scheduler]):
            kill(process)

    def schedule(self, failures=1):
        """Start the scheduler."""
        settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(failures)}
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"]
        where += ["--idle-timeout", "120s"]  # if whoever started it was killed
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *where]
        self.scheduler = _begun(command, settings)
        return self

    def work(self, threads=1, **environment):
        """Start a worker, without a nanny: it is this process that dies."""
        where = [self.address, "--nthreads", str(threads), "--no-dashboard", "--no-nanny"]
        where += ["--death-timeout", "30", "--memory-limit", "0"]
        command = [sys.executable, "-m", "distributed.cli.dask_worker", *where]
        self.workers.append(_begun(command, environment))
        return self.workers[-1]

    def kill_scheduler(self):
        kill(self.scheduler)


def _begun(command, environment):
    return subprocess.Popen(command, env=ENVIRONMENT | environment, start_new_session=True, **_QUIET)


def kill(process):
    """End a process, and those that it has begun, at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
