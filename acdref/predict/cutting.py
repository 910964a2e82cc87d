"""Events as sound files of their own, cut out of recordings at their own rate, with all of their channels.

16-bit samples, and in WAV all others that float32 holds, are those of the recording, bit for bit; in FLAC
what is stored more finely gets 24 bits, and what lies beyond full scale is clipped.
"""

import contextlib
import itertools
import math
import os
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acdref.audio.decode import frames
from acdref.errors import AudioError, FileError
from acdref.files import replacing
from acdref.predict.outputs import Names

FORMATS = ("flac", "wav")
_COARSE = ("PCM_16", "PCM_S8", "PCM_U8")  # which 16 bits hold


class Piece(NamedTuple):
    """What becomes a file: from `onset` to `offset` in seconds, at `place`."""

    onset: float
    offset: float
    place: str


class ClipNames:
    """Names of clips in a folder, which differ in more than capitals, and hold what every file system takes.

    Parameters
    ----------
    folder : str or path-like
    form : {"flac", "wav"}
    inputs : iterable of str
        Files that no clip may replace, and whose names are settled in this order, whichever are cut.

    Examples
    --------
    >>> names = ClipNames("clips", "flac")
    >>> names.place("a/dog.wav", "bark", 3.5, 4.25), names.place("a/dog.wav", "and/or", 0, 1)
    ('clips/dog_3.500-4.250_bark.flac', 'clips/dog_0.000-1.000_and_or.flac')
    """

    def __init__(self, folder: str | PathLike, form: str, inputs: Iterable[str] = ()) -> None:
        self.folder, self.form = os.fspath(folder), form
        self._names, inputs = Names(), list(inputs)
        self._taken = {_file(path) for path in inputs}
        for path in inputs:
            self._names.of(path)

    def place(self, path: str, label: str, onset: float, offset: float) -> str:
        """Where the clip of an event goes; another place at each call."""
        stem = _bytes(_safe(self._names.of(path))[::-1], 140)[::-1]
        stem = f"{stem}_{onset:.3f}-{offset:.3f}_{_bytes(_safe(label), 40)}"
        for number in itertools.count(1):
            name = f"{stem}-{number}" if number > 1 else stem
            place = os.path.join(self.folder, f"{name}.{self.form}")
            if _file(place) not in self._taken:
                self._taken.add(_file(place))
                return place
        raise AssertionError


def _file(path):
    """The file that is meant, if capitals do not count."""
    return os.path.realpath(path).casefold()


def _safe(text):
    """A name without separators, control characters, what Windows forbids, and dots at its beginning."""
    return re.sub(r'[\0-\x1f\x7f<>:"/\\|?*\ud800-\udfff]|^\.+', "_", text)


def _bytes(text, most):
    """The beginning of a text, as many bytes of UTF-8 as that."""
    while len(text.encode()) > most:
        text = text[:-1]
    return text


def cut(path: str, clips: Iterable[Piece]) -> Iterator[Piece]:
    """Write clips of a recording, which is decoded once, in bounded memory.

    Parameters
    ----------
    path : str
    clips : iterable of Piece
        In any order; they may overlap.  What of one lies outside the recording is left out.

    Yields
    ------
    Piece
        Each, when its file is there.

    Raises
    ------
    FileError
        If one cannot be written.
    AudioError
        If the recording cannot be decoded, or ends before a clip begins.
    """
    waiting, writing = deque(sorted(clips)), list[_PieceFile]()
    at, how = 0, None  # frames so far; rate and channels
    try:
        for samples, rate, subtype in frames(path):
            how = how or (rate, samples.shape[1])
            if how != (rate, samples.shape[1]):
                raise AudioError(path, f"is not cut from {at / how[0]:.3f} s on: other rate or channels")
            while waiting and waiting[0].onset * rate + 0.5 < at + len(samples):
                writing.append(_PieceFile(waiting.popleft(), *how, subtype))
            for writer in writing:
                writer.write(samples[max(0, writer.first - at) : max(0, writer.last - at)])
            at += len(samples)
            yield from _done(writing, at)
            if not (waiting or writing):
                return
        yield from _done(writing, math.inf)
        if waiting and how:
            cause = f"ends at {at / how[0]:.3f} s, before an event at {waiting[0].onset:.3f} s"
            raise AudioError(path, cause)
    except BaseException:
        for writer in writing:
            writer.close(*sys.exc_info())
        raise


def _done(writing, at):
    """Those among clips that are complete, which are taken away."""
    for writer in [each for each in writing if each.last <= at]:
        writing.remove(writer)
        writer.close(None, None, None)
        yield writer.clip


class _PieceFile:
    """A clip that is being written."""

    def __init__(self, clip: Piece, rate: int, channels: int, subtype: str) -> None:
        from soundfile import LibsndfileError, SoundFile

        self.clip, self._refusal = clip, LibsndfileError
        self.first = math.floor(clip.onset * rate + 0.5)
        self.last = max(self.first + 1, math.floor(clip.offset * rate + 0.5))
        form = os.path.splitext(clip.place)[1][1:].upper()
        self._bits = 16 if subtype in _COARSE else 24 if form == "FLAC" else 0  # 0: floats
        kind = f"PCM_{self._bits}" if self._bits else "FLOAT"
        with contextlib.ExitStack() as stack, self._naming():
            temporary = stack.enter_context(replacing(clip.place, durable=False))
            self._sound = stack.enter_context(SoundFile(temporary, "w", rate, channels, kind, format=form))
            self.close = stack.pop_all().__exit__

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append samples (n, channels)."""
        if self._bits:  # libsndfile's own way from floats does not give back all integers
            full = 2.0 ** (self._bits - 1)
            samples = np.clip(np.rint(samples * full), -full, full - 1).astype(np.int32) << 32 - self._bits
        with self._naming():
            self._sound.write(samples)

    @contextlib.contextmanager
    def _naming(self):
        try:
            yield
        except self._refusal as error:
            cause = error.error_string.strip().rstrip(".")
            raise FileError(self.clip.place, f"cannot be written: {cause}") from None
