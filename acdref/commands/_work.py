"""What commands that go through recordings share: how far they have come, which windows and classes."""

import os
import time
from collections.abc import Iterable, Sequence

import click

from acdref.commands._progress import Progress
from acdref.errors import AcdrefError, FileError
from acdref.options.labels import EVENT_WINDOW
from acdref.remote import is_address

_PATIENCE = 2.0  # seconds in which the recordings are counted beforehand
_LONG = 1 << 20  # bytes from which on it is worth to know how far a recording has been heard


class Work:
    """Recordings of a job, and how many of their bytes have been heard.

    Parameters
    ----------
    paths : iterable of str, or None
        Files and folders; None if nobody can know them beforehand.
    progress : Progress
        Told how much sound has been heard.
    """

    def __init__(self, paths: Iterable[str] | None, progress: Progress) -> None:
        self.count, self.bytes = (0, 0) if paths is None or not progress.live else _counted(paths)
        self.progress = progress
        self.begun = self.done = 0  # recordings, bytes
        self.path: str | None = None  # whose windows are coming
        self._size = self._seconds = self._end = 0.0

    def window(self, path, start, end):
        """A window of a recording, in their order."""
        if start == 0:
            self._next(path)
        self.progress.heard(max(0.0, end - self._end))
        self._end = end

    def failure(self, path):
        """A recording that cannot be used, or not from here on."""
        if path != self.path:
            self._next(path)
        self.path = None

    def _next(self, path):
        self.begun, self.done = self.begun + 1, self.done + self._size
        self.path, self._end, self._seconds, self._size = path, 0.0, 0.0, 0
        if self.bytes:
            self._size = _size(path)
            self._seconds = _seconds(path) if self._size >= _LONG else 0.0

    def show(self):
        """Say on the moving line where the work is."""
        from acdref.predict.formats import printable

        of = f" of {self.count}" if self.count else ""
        heard = self._size * min(1.0, self._end / self._seconds) if self._seconds else 0
        share = (self.done + heard) / self.bytes if self.bytes else None
        place = f"{printable(os.path.basename(self.path))}  {self._end:.0f} s"
        self.progress.at(f"recording {self.begun}{of}", share, place)


class Watcher:
    """Counts results on their way, shows where the work is, names failures on stderr."""

    def __init__(self, progress, rows_on_terminal, known):
        self.work = Work(known, progress)
        self.progress = progress
        self.rows_on_terminal = rows_on_terminal  # where the error rows are to be seen anyway
        self.windows = self.failed = 0

    def watch(self, results):
        from acdref.predict.tagging import Failure, Window

        for result in results:
            if isinstance(result, Failure):
                self.failed += 1
                self.work.failure(result.path)
                if not self.rows_on_terminal:
                    self.progress.error(f"{result.path}: {result.error}")
            elif isinstance(result, Window):
                self.windows += 1
                self.work.window(result.path, result.start, result.end)
                if result.note:
                    self.progress.detail(f"{result.path}: {result.note}")
                self.work.show()
            yield result

    def lost(self, error):
        """A recording's labels that could not be written."""
        self.failed += 1
        self.progress.error(error)

    def check(self):
        if not self.work.begun:
            raise AcdrefError("no recordings were given")
        if self.failed and self.work.begun > 1:
            self.progress.error(f"{self.failed} of {self.work.begun} failed")


def _counted(paths: Iterable[str]) -> tuple[int, int]:
    """How many recordings there are, and how many bytes; zeros if it takes long to know."""
    from acdref.predict.tagging import Failure, recordings

    count = total = 0
    paths, until = list(paths), time.monotonic() + _PATIENCE
    if any(map(is_address, paths)):  # to list a store takes longer
        return 0, 0
    for found in recordings(paths):
        if time.monotonic() > until:
            return 0, 0
        count += 1
        total += 0 if isinstance(found, Failure) else _size(found)
    return count, total


def _size(path):
    try:
        return os.path.getsize(path)
    except (OSError, ValueError):
        return 0


def _seconds(path):
    """Of a recording, by its header; 0 if that does not say."""
    from acdref.audio.decode import header
    from acdref.errors import AudioError

    try:
        frames, rate = header(path) or (0, 1)
    except AudioError:
        return 0.0
    return frames / rate


def event_grid(window: float | None, hop: float | None) -> tuple[float, float]:
    """Seconds of a window, and from one to the next, where no event may go unheard between them."""
    window = window or EVENT_WINDOW
    hop = hop or window / 2
    if hop > window:
        raise click.UsageError(f"--hop {hop:g} is longer than --window {window:g}: events between go unheard")
    return window, hop


def chosen_classes(
    classes: Sequence[str] | None, names: Sequence[str], weights: str | None
) -> tuple[tuple[str, ...], list[int]]:
    """The classes that are written, and which columns of the scores they are."""
    from acdref.files import weights_file

    chosen = tuple(dict.fromkeys(classes or names))
    for name in chosen:
        if name not in names:
            raise FileError(weights_file(weights), f"has no class {name!r} (it has {', '.join(names)})")
    return chosen, [names.index(name) for name in chosen]
