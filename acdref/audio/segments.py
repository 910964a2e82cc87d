"""Segments of recordings, decoded on demand within a stated amount of memory."""

import contextlib
import math
import os
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from acdref.audio import decode as audio
from acdref.errors import AudioError
from acdref.remote import here

WHOLE_SECONDS = 60
"""Recordings up to this length are decoded whole and kept; of longer ones only the segment is read."""

_SMALL = 1 << 20
"""Files up to this many bytes whose header does not say how long they are, are decoded whole."""


class Clips:
    """A reader of segments that keeps decoded recordings, least recently used ones leaving first.

    What it returns depends on the file and the arguments alone, never on what was read before: that is what
    makes training independent of the number of worker processes.

    Parameters
    ----------
    max_bytes : int
        Decoded sound to keep.  0 keeps nothing.
    sr : int
        Sampling rate of what is returned, in Hz.

    Notes
    -----
    A pickled reader starts empty on the other side: decoded sound is not sent to worker processes.
    """

    def __init__(self, max_bytes: int = 2**30, sr: int = 16000) -> None:
        self.max_bytes = max_bytes
        self.sr = sr
        self._whole: OrderedDict[str, NDArray] = OrderedDict()  # path -> recording, the last used last
        self._bytes = 0
        self._errors: dict[str, AudioError] = {}  # path -> why it is not tried again
        self._lengths: dict[str, int] = {}  # path -> samples by its header
        self._counts: dict[str, int] = {}  # path -> samples by decoding, where its header has proved wrong

    def __reduce__(self):
        return Clips, (self.max_bytes, self.sr)

    def segment(self, path: str, choose: Callable[[int], tuple[int, int]]) -> NDArray[np.float32]:
        """Read a segment whose place depends on the length of the recording.

        Parameters
        ----------
        path : str
        choose : callable
            From the length in samples to ``(start, n)`` within it; the same length gives the same answer.

        Returns
        -------
        ndarray, (n,), float32, possibly read-only

        Raises
        ------
        AudioError
            If the recording, or this part of a long one, cannot be decoded.
        """
        if self._length(path) <= WHOLE_SECONDS * self.sr:
            x = self._decoded(path)
            start, n = choose(len(x))
            return x[start : start + n]
        # The header is believed first, even by a reader that already knows better: the answer must not
        # depend on what was read before.
        start, n = choose(self._length(path))
        x = self._read(path, start, n)
        if len(x) < n:
            start, n = choose(self._measured(path))
            x = self._streamed(path, start, n)
        return x

    def _length(self, path):
        """Samples by the header; 0 if there is none (decoding will explain), measured if it does not say."""
        if path not in self._lengths:
            length = 0
            with contextlib.suppress(AudioError):
                header = audio.header(path)
                if header is not None:
                    frames, rate = header
                    length = frames * self.sr // rate
                    length -= length // 10_000  # which an approximate resampling ratio may cost
                elif os.path.getsize(here(path, math.inf)) > _SMALL:
                    length = self._measured(path)
            if length > WHOLE_SECONDS * self.sr:
                self._once(path, self._first_second)
            self._lengths[path] = length
        return self._lengths[path]

    def _measured(self, path):
        """Samples by decoding to the end."""
        if path not in self._counts:
            self._counts[path] = self._once(path, self._count)
        return self._counts[path]

    def _once(self, path, read):
        """``read(path)``, unless it has failed before."""
        if path in self._errors:
            raise self._errors[path]
        try:
            return read(path)
        except AudioError as error:
            self._errors[path] = AudioError(error.path, error.cause)  # without the frames of a traceback
            raise

    def _first_second(self, path):
        """Let :mod:`acdref.audio.decode` refuse what it refuses: rates, channels, damage at the start."""
        with contextlib.closing(audio.blocks(path, self.sr, 1.0)) as blocks:
            next(blocks)

    def _count(self, path):
        return sum(len(block.samples) for block in audio.blocks(path, self.sr, 1.0))

    def _decoded(self, path):
        """The whole recording, kept."""
        if path in self._whole:
            self._whole.move_to_end(path)
            return self._whole[path]
        x = self._once(path, lambda path: audio.load(path, self.sr))
        x.setflags(write=False)
        self._whole[path] = x
        self._bytes += x.nbytes
        while self._bytes > self.max_bytes:
            self._bytes -= self._whole.popitem(last=False)[1].nbytes
        return x

    def _read(self, path, start, n):
        """Up to ``n`` samples from ``start`` on; fewer where the recording ends or cannot be decoded."""
        from soundfile import LibsndfileError

        try:
            with _sound(path) as sound:
                rate = sound.samplerate
                # A little more than n, for the sake of rates whose ratio is resampled approximately.
                frames = (n + n // 10_000 + 2) * rate // self.sr + 1
                sound.seek(start * rate // self.sr)
                x = sound.read(frames, dtype="float32", always_2d=True)
        except LibsndfileError:  # no seeking, or a file that acdref.audio.decode reads in another way
            return np.zeros(0, dtype=np.float32)
        mono = audio.mean_of_channels(x)
        if not np.abs(mono).max(initial=0.0) <= audio.LOUDEST:  # NaN compares false
            raise AudioError(path, f"NaN or absurd samples after {start / self.sr:.1f} s")
        return audio.resample(mono, rate, self.sr, level=None)[:n]

    def _streamed(self, path, start, n):
        """``n`` samples from ``start`` on, by decoding all that comes before: where seeking fails."""
        parts, position = [], 0
        with contextlib.closing(audio.blocks(path, self.sr, 1.0)) as blocks:
            for block in blocks:
                if position + len(block.samples) > start:
                    parts.append(block.samples[max(0, start - position) : start + n - position])
                position += len(block.samples)
                if position >= start + n:
                    break
        return np.concatenate(parts)


@contextlib.contextmanager
def _sound(path):
    """Open by descriptor: from a name, libsndfile would guess the format."""
    from soundfile import SoundFile

    try:
        with (
            open(here(path, math.inf), "rb", buffering=0) as raw,
            SoundFile(raw.fileno(), closefd=False) as sound,
        ):
            yield sound
    except OSError as error:
        raise AudioError(path, error.strerror or str(error)) from error
