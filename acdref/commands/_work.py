"""How far a job has come that goes through recordings, for whoever is watching."""

import os
import time
from collections.abc import Iterable

from acdref.commands._progress import Progress

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


def _counted(paths: Iterable[str]) -> tuple[int, int]:
    """How many recordings there are, and how many bytes; zeros if it takes long to know."""
    from acdref.predict.tagging import Failure, recordings

    count = total = 0
    until = time.monotonic() + _PATIENCE
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
