"""Work on many files by the workers of a Dask scheduler, on this machine or on others (extra ``cluster``).

A :class:`Task` turns files into answers.  :meth:`Cluster.in_order` cuts any number of files into chunks, has
each done by whichever worker is free, and gives the answers in the order of the files.  What the task needs
travels once: the scheduler keeps it, every worker asks for it once.  Whatever happens to workers, there is
one answer for each file:

* a chunk whose worker dies is done by another, as often as the scheduler allows (its ``allowed-failures``);
* then each of its files is done in a process apart, and one that ends this process is :class:`Lost`;
* a scheduler that is gone is waited for; what was under way is sent again.

The files are named as the workers shall open them: all must see the same ones.  Chunks grow with the job,
from one file to about a minute's work, so that little is lost with a worker, and little time at the end.
"""

import concurrent.futures
import functools
import importlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acdref import __version__
from acdref.errors import AcdrefError
from acdref.remote import spool

_REACHED = 10  # seconds in which a scheduler answers, and after which it is said that there are no workers
_PATIENCE = 300  # seconds in which a scheduler that was there has to come back
_LOOK, _POLL = 1.0, 0.02  # seconds from one look at the workers, or at a chunk, to the next
_AHEAD = 4  # chunks under way for each of their threads: while one is done again, the others go on
_SHARE, _SHORTEST, _LONGEST = 1 / 60, 0.5, 60.0  # of the time since the beginning, seconds: a chunk's work
_MOST = 1000  # files of a chunk

Answer = tuple[dict[str, Any], NDArray | None]
"""What is known of a file, JSON-able, and rows of numbers."""

Do = Callable[[Sequence[str]], Iterator[Answer]]
"""What a worker does with files: an answer for each, in their order."""


class Task(NamedTuple):
    """What is done with files.

    Attributes
    ----------
    function : str
        ``MODULE:NAME`` of a function of `options` and `data` that gives a :data:`Do`, called in the worker.
    options : dict
        JSON-able.
    data : bytes
        Such as weights.
    """

    function: str
    options: dict[str, Any]
    data: bytes = b""


class Lost(NamedTuple):
    """In place of an answer: the file ends whatever process works on it; `cause` says how."""

    cause: str


class _Chunk:
    """Some files, each with what the caller knows it by; those that are None need no work."""

    def __init__(self, entries, careful=False):
        self.entries, self.careful = entries, careful
        self.files = [file for _, file in entries if file is not None]
        self.future = None


class _GoneError(Exception):
    """The scheduler does not answer, or knows nothing of what it was asked to do."""


class UnwantedError(Exception):
    """A worker has stopped in the middle of a chunk that nobody waits for."""


class Cluster:
    """A Dask scheduler and its workers.

    Parameters
    ----------
    address : str
        Such as ``tcp://host:8786``; or ``local:4``, which starts a scheduler and so many workers, of one
        thread each, on this machine, and ends them in the end.
    say : callable, optional
        Called with one line of text while there are no workers, or no scheduler.

    Raises
    ------
    AcdrefError
        If Dask is not installed, the address makes no sense, or nobody answers there.
    """

    def __init__(self, address: str, say: Callable[[str], object] | None = None) -> None:
        self._dask = _dask()
        self.address, self._say = address, say or (lambda text: None)
        self._local, self._client = None, None
        self._looked = self._idle = 0.0
        self._told = False
        self.threads = 0
        local = re.fullmatch(r"local:([1-9]\d{0,2})", address)
        if not local and not re.fullmatch(r"\w+://.+", address):
            raise AcdrefError(f"{address}: no address of a scheduler, such as tcp://host:8786, or local:4")
        try:
            if local:
                self._local = _started(self._dask, int(local[1]))
            self._connect(_REACHED)
            self._look()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Let go of the scheduler, and of what it was asked to do."""
        self._disconnect()
        if self._local is not None:
            with suppress(Exception):
                self._local.close(timeout=5)
            self._local = None

    def in_order(
        self, task: Task, files: Iterable[tuple[Any, str | None] | None]
    ) -> Iterator[tuple[Any, Any]]:
        """Have a task done.

        Parameters
        ----------
        task : Task
        files : iterable of (key, str or None), or None
            `key` is whatever the caller knows the file by.  Without a file there is nothing to do.  None in
            place of a pair: what comes next may have to be waited for; everything before is answered first.

        Yields
        ------
        key, answer
            In the order of `files`; an :data:`Answer`, or Lost, or None where there was no file.

        Raises
        ------
        AcdrefError
            If a worker cannot do the task at all, or the scheduler does not come back.

        Notes
        -----
        What is in memory is bounded by the number of workers' threads, not by the number of files.
        """
        run = _Run(self, task)
        entries: list[tuple[Any, str | None]] = []
        count = 0
        try:
            for entry in itertools.chain(files, [None]):
                if entry is not None:
                    entries.append(entry)
                    count += entry[1] is not None
                    if count < run.size and len(entries) < _MOST:
                        continue
                if entries:
                    run.send(_Chunk(entries))
                    entries, count = [], 0
                while run.waiting and (entry is None or run.due):
                    yield from run.answers()
        finally:
            run.cancel()

    # The scheduler --------------------------------------------------------------------------------------

    def _connect(self, patience):
        until = time.monotonic() + patience
        while True:
            try:
                self._client = _within(2 * _REACHED, self._new_client)
                return
            except Exception as error:  # whatever a port that is no scheduler's answers
                if time.monotonic() > until:
                    cause = str(error).partition("\n")[0] or type(error).__name__
                    raise AcdrefError(f"{self.address}: no Dask scheduler answers ({cause})") from None
            time.sleep(_LOOK)

    def _new_client(self):
        from dask import config

        with config.set(_FORGETFUL), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: work() compares those that matter
            where = self.address if self._local is None else self._local
            return self._dask.Client(where, timeout=_REACHED, set_as_default=False)

    def _disconnect(self):
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # nobody may be there to hear it
                client.close(timeout=2)

    def _look(self):
        """Count the workers' threads, now and then; _GoneError if the scheduler is."""
        now = time.monotonic()
        if self._client is None or self._client.status != "running":
            raise _GoneError
        if now - self._looked < _LOOK:
            return
        try:
            self.threads = sum(self._client.nthreads(callback_timeout=_REACHED).values())
        except (OSError, RuntimeError):
            raise _GoneError from None
        self._looked = time.monotonic()
        if self.threads:
            self._idle, self._told = self._looked, False
        elif not self._told and self._looked - (self._idle or now) > _REACHED:
            self._told = True
            self._say(f"{self.address}: no workers; waiting for one (dask worker {self.address})")
        self._idle = self._idle or now


class _Run:
    """A task on its way: the chunks that were sent and not yet given out, in their order."""

    def __init__(self, cluster, task):
        self.cluster, self.task = cluster, task
        self.waiting: deque[_Chunk] = deque()
        self.size = 1  # files of the next chunk
        self._begun = time.monotonic()
        self._files = self._seconds = 0.0  # of the last chunks
        self._data = None

    @property
    def due(self):
        """Whether the first chunk is to be given out before another is sent."""
        first = self.waiting[0].future
        if first is None or first.done():
            return True
        return len(self.waiting) >= _AHEAD * max(1, self.cluster.threads)

    def send(self, chunk):
        """Send a chunk, if there is somebody to send it to: :meth:`answers` notices if not."""
        self.waiting.append(chunk)
        with suppress(_GoneError):
            self.cluster._look()
            self._submit(chunk)

    def _submit(self, chunk):
        client = self.cluster._client
        if not chunk.files or client.status != "running":
            return
        if self._data is None:
            self._data = client.submit(bytes, self.task.data, key=f"acdref-data-{uuid.uuid4().hex}")
        request = {"acdref": __version__, "function": self.task.function, "options": self.task.options}
        request |= {"files": chunk.files, "careful": chunk.careful}
        name = f"{self.task.function.partition(':')[2]}-{uuid.uuid4().hex}"
        chunk.future = client.submit(eval, _WORK, {"request": request, "data": self._data}, key=name)

    def answers(self):
        """Yield (key, answer) of the first chunk."""
        while True:
            chunk = self.waiting[0]
            try:
                found, seconds = self._result(chunk) if chunk.files else ([], 0.0)
                break
            except _GoneError:
                self._again()
            except UnwantedError:
                self._submit(chunk)
            except self.cluster._dask.KilledWorker:
                if self._data is not None and self._data.status == "error":
                    self._send_all()  # they died while the data were on their way: no file is to blame
                    continue
                if chunk.careful and len(chunk.files) == 1:
                    found, seconds = [Lost("workers die of it, or with it, again and again")], 0.0
                    break
                self._be_careful()
        self.waiting.popleft()
        if seconds:
            self._pace(len(chunk.files), seconds)
        answers = iter(found)
        for key, file in chunk.entries:
            yield key, None if file is None else next(answers)

    def _result(self, chunk):
        while True:
            self.cluster._look()
            if chunk.future is None:
                self._submit(chunk)
            if chunk.future is None:
                raise _GoneError
            if not chunk.future.done():
                time.sleep(_POLL)
                continue
            try:
                return chunk.future.result(timeout=_PATIENCE)
            except (TimeoutError, concurrent.futures.CancelledError):
                raise _GoneError from None
            except (AcdrefError, UnwantedError, self.cluster._dask.KilledWorker):
                raise
            except (ImportError, AttributeError) as error:
                cause = f"a worker lacks acdref {__version__}, or what that needs ({error})"
                raise AcdrefError(f"{self.cluster.address}: {cause}") from None
            except Exception as error:
                cause = f"a worker failed: {type(error).__name__}: {error}".partition("\n")[0]
                raise AcdrefError(f"{self.cluster.address}: {cause}") from error

    def _again(self):
        """Wait for a scheduler, and send it all that is under way."""
        cluster = self.cluster
        cluster._say(f"{cluster.address}: the scheduler is gone; waiting for it")
        cluster._disconnect()
        cluster._connect(_PATIENCE)
        cluster._looked = 0.0
        self._send_all()

    def _send_all(self):
        """Send all that is under way once more, and the data with it."""
        self._data = None
        for chunk in self.waiting:
            chunk.future = None
        for chunk in self.waiting:
            self._submit(chunk)

    def _be_careful(self):
        """Do the first chunk's files in processes apart; or, where workers died even so, fewer at a time."""
        chunk = self.waiting.popleft()
        half = len(chunk.entries) // 2 if chunk.careful else 0
        parts = [part for part in (chunk.entries[:half], chunk.entries[half:]) if part]
        for entries in reversed(parts):
            self.waiting.appendleft(_Chunk(entries, careful=True))
            self._submit(self.waiting[0])

    def _pace(self, files, seconds):
        """Choose the size of the next chunks, by what the last have taken."""
        self._files, self._seconds = 0.8 * self._files + files, 0.8 * self._seconds + seconds
        wanted = min(max((time.monotonic() - self._begun) * _SHARE, _SHORTEST), _LONGEST)
        size = wanted * self._files / max(self._seconds, 1e-6)
        self.size = round(min(max(size, 1), _MOST, 2 * self.size))

    def cancel(self):
        """Have nothing done any more."""
        client = self.cluster._client
        futures = [chunk.future for chunk in self.waiting if chunk.future is not None]
        if client is not None and client.status == "running" and futures:
            with suppress(Exception):
                client.cancel(futures, force=True)


def _dask():
    try:
        import distributed
    except ImportError:
        raise AcdrefError(
            "a scheduler needs the packages dask and distributed (pip install 'acdref[cluster]')"
        ) from None
    import logging

    for handler in logging.getLogger("distributed").handlers:  # what they say in pages, we say in a line
        handler.setLevel(logging.CRITICAL + 1)
    return distributed


def _within(seconds, call):
    """What a call returns; TimeoutError where it does not, as if a port is that of some other server."""
    answer: concurrent.futures.Future = concurrent.futures.Future()

    def answered():
        try:
            answer.set_result(call())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=answered, daemon=True).start()
    return answer.result(seconds)


_FORGETFUL = {"distributed.admin.low-level-log-length": 10}
"""Messages that Dask keeps of each connection: chunks, a hundred kilobytes each, of which 1000 are usual."""


def _started(dask, workers):
    """A scheduler of this machine, with so many workers."""
    from dask import config

    settings = {"distributed.scheduler.allowed-failures": 1, "distributed.worker.profile.enabled": False}
    settings |= _FORGETFUL
    spool()  # which all workers share
    # Ctrl-C, which a terminal sends to all of its processes, is for this one alone: the others inherit this.
    resource_tracker.ensure_running()  # which would let it through again
    masked = None
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with config.set(settings), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a port that is taken: the dashboard gets another
            return dask.LocalCluster(
                n_workers=workers, threads_per_worker=1, memory_limit=0, host="127.0.0.1", silence_logs=60
            )
    finally:
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)


# In the worker --------------------------------------------------------------------------------------------

_WORK = "__import__('acdref.cluster').cluster.work(request, data)"
"""What workers are asked to do, in words: one without acdref, or an old one, dies of the function itself."""


def work(request: dict[str, Any], data: bytes) -> tuple[list[Answer | Lost], float]:
    """Do a chunk: what the scheduler has its workers call.

    Parameters
    ----------
    request : dict
        ``acdref`` (version), ``function`` and ``options`` of the Task, ``files``, and ``careful``: whether
        they are done in a process apart.
    data : bytes

    Returns
    -------
    answers : list of (Answer or Lost)
        One for each file.
    seconds : float
        How long it took, but for what is done once.

    Raises
    ------
    AcdrefError
        If this worker cannot do the task: it has another acdref, or lacks what that needs.
    UnwantedError
        If nobody waits for it any more.
    """
    from distributed import get_worker

    from acdref.ops.threads import set_threads

    worker = get_worker()
    try:
        if request["acdref"] != __version__:
            raise AcdrefError(f"has acdref {__version__}, and here is {request['acdref']}")
        set_threads(1)  # a worker has as many chunks at a time as it has threads
        if request["careful"]:
            return _done_apart(request, data), 0.0
        do = _ready(request["function"], json.dumps(request["options"]), data)
        begun, answers = time.monotonic(), []
        for answer in do(request["files"]):
            answers.append(answer)
            refuse_unwanted()
        return answers, time.monotonic() - begun
    except AcdrefError as error:
        raise AcdrefError(f"worker {worker.address}: {error}") from None


def refuse_unwanted() -> None:
    """Raise UnwantedError in a worker's task that nobody waits for any more; elsewhere nothing."""
    from distributed import get_worker

    with suppress(ValueError):  # no worker: a process apart
        worker = get_worker()
        task = worker.state.tasks.get(worker.get_current_task())
        if getattr(task, "state", "cancelled") == "cancelled":
            raise UnwantedError


_making = threading.Lock()


def _ready(function, options, data):
    with _making:  # once, though several threads ask for it
        return _made(function, options, data)


@functools.lru_cache(2)
def _made(function, options, data):
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(json.loads(options), data)


_APART = "from acdref.cluster import apart; apart()"


def _done_apart(request, data):
    """Answers for a chunk, of a process that may end where the next would have come."""
    files, answers = request["files"], []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment |= {"ACDREF_NUM_THREADS": "1"}
    while len(answers) < len(files):
        head = {"function": request["function"], "options": request["options"]}
        text = json.dumps(head | {"files": files[len(answers) :]}).encode() + b"\n"
        command = [sys.executable, "-c", _APART]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env=environment, **pipes) as child:
            with suppress(BrokenPipeError), child.stdin:
                child.stdin.write(text + data)
            for line in child.stdout:
                if line.endswith(b"\n"):
                    answers.append(_unpacked(json.loads(line)))
        if child.returncode > 0:
            raise AcdrefError(f"a process of its own ended with code {child.returncode}")
        if child.returncode < 0:
            name = signal.Signals(-child.returncode).name
            answers.append(Lost(f"ends whatever process works on it ({name})"))
    return answers


def apart() -> None:
    """The process apart: a task and files on stdin, a line on stdout for each answer."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what C libraries print is no answer
    request = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    try:
        for about, rows in _made(request["function"], json.dumps(request["options"]), data)(request["files"]):
            values = None if rows is None else [str(rows.dtype), rows.shape, rows.ravel().tolist()]
            print(json.dumps([about, values]), file=lines, flush=True)
    except AcdrefError as error:
        print(json.dumps(str(error)), file=lines, flush=True)


def _unpacked(line):
    if isinstance(line, str):
        raise AcdrefError(line)
    about, values = line
    return about, None if values is None else np.array(values[2], values[0]).reshape(values[1])
