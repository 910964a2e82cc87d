"""What there is to say of a recording that was decoded: sound that was lost, and sound that nobody meant."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.audio import containers
from acdref.audio.containers import FileView
from acdref.audio.ffmpeg import FFmpegSound

SHORT = 0.3  # seconds, below which a sound is too short to know it by

RAW = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4}
RAW |= {"FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1}  # bytes a sample
_SILENT, _CANCELLED, _UNSCALED = 1e-3, 1e-3, 100.0
"""What gets a note: half the range below (-60 dB), share of energy in the mean below, peak above."""
_HEADER = 4096  # bytes
_NOTHING = 1e-12  # mean square of rounding

UNCLOSED = ("WAV", "WAVEX", "RF64", "AU")
"""Formats whose header a recorder writes at the end, and that libsndfile then takes for empty."""
_PLAIN = (*UNCLOSED, "AIFF", "W64", "CAF")
"""Formats in which samples of a raw subtype stand as they are."""
_TAILS = ("OGG", "MP3", "FLAC", "WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "MAT4", "SDS")
"""Formats of which it is known what may follow the sound."""
UNKNOWN = 1 << 62  # libsndfile's frame count is about 2^63 when the header has none


@dataclass
class Tally:
    """What was decoded: frames, what ended it too early, frames beyond the header's, range and energies."""

    decoded: int = 0
    seconds: float = 0.0
    error: Exception | None = None
    beyond: int = 0
    low: float = math.inf  # the least and the largest sample
    high: float = -math.inf
    energy: float = 0.0  # of the mean of the channels
    of_channels: float = 0.0  # the mean of their energies
    integers: bool = True  # whether what lies beyond [-1, 1] does so in blocks of whole numbers

    def add(self, mono: NDArray, samples: NDArray, low: float, high: float) -> None:
        """Count frames: the mean of their channels (n,), themselves (n, channels), the range of the mean."""
        self.decoded += len(mono)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if samples.shape[1] > 1:
            self.energy += _swing(mono)
            self.of_channels += sum(map(_swing, samples.T)) / samples.shape[1]
        if max(-low, high) > 1 and self.integers:
            self.integers = np.array_equal(samples, np.rint(samples))

    def join(self, other: "Tally", rate: float) -> None:
        """Add what was decoded of a stream."""
        self.decoded += other.decoded
        self.seconds += other.decoded / rate
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.energy += other.energy
        self.of_channels += other.of_channels
        self.integers &= other.integers


def _swing(x):
    """Energy of some samples (n,) around their mean: an offset is no sound."""
    alone = x - x.mean()
    return float(np.vdot(alone, alone))


def is_mp3(sound: Any) -> bool:
    """Whether a sound is MPEG audio."""
    return sound.subtype.startswith("MPEG_LAYER")


def oddities(whole: Tally) -> Iterator[str]:
    """Notes of sound that nobody meant.  An offset is no sound: around it, silence is silence."""
    swing, peak = (whole.high - whole.low) / 2, max(-whole.low, whole.high)
    if whole.seconds < SHORT:
        yield f"{whole.seconds:.3f} s are too short to know a sound by"
    if whole.of_channels > _NOTHING * whole.decoded and whole.energy < _CANCELLED * whole.of_channels:
        yield "its channels cancel each other, and little is left in their mean"
    elif swing < _SILENT:
        yield "it is all but silent" if swing else "it is silent"
    if peak > _UNSCALED or (peak > 1 and whole.integers):
        yield f"samples up to {peak:.0f}: integers stored as floats without scaling?"


def losses(view: FileView, sound: Any, tally: Tally) -> Iterator[str]:
    """Notes of sound that was not decoded, or not as it was meant.

    Parameters
    ----------
    view : FileView
        What was read.
    sound : SoundFile or FFmpegSound
    tally : Tally
        Of all that was decoded.
    """
    seconds = f"{tally.decoded / sound.samplerate:.2f} s"
    if isinstance(sound, FFmpegSound):
        told = list(sound.losses(tally.decoded))
        if not told and containers.is_cut(view):
            told.append(f"ends early: {seconds} decoded")
        yield from told
        if containers.another(view):
            yield "another file follows in it, and was left out"
        return
    promised = _promised(view, sound, tally.decoded)
    left = containers.unknown_tail(view) if sound.format in _TAILS and not tally.beyond else 0
    unclosed = (tally.beyond and sound.frames == 0) or view.claimed == 0
    if left and sound.format in _PLAIN and sound.subtype in RAW:
        # What the header does not claim may have been decoded all the same.
        unread = view.length - tally.decoded * sound.channels * RAW[sound.subtype]
        left, unclosed = min(left, unread), unclosed or unread < min(left, _HEADER)
    if unclosed:
        yield "its header was never closed and claims no sound; all there is was decoded"
    elif view.head(4) == b"OggS" and (damaged := containers.damaged_pages(view)):
        yield f"damaged: {damaged} of its pages; what was in them may be lost"
    elif promised > tally.decoded + sound.samplerate / 100:  # less is untidy bookkeeping, not loss
        of = f" of {promised / sound.samplerate:.2f} s" if promised < math.inf else ""
        yield f"ends early: {seconds} decoded{of}"
    elif sound.format == "SDS" and (there := containers.sds_frames(view)) < tally.decoded:
        yield f"ends early: after {there / sound.samplerate:.2f} s, libsndfile made up the rest of {seconds}"
    elif left > 0:
        yield f"{left} bytes after {seconds} of sound were left: they are no sound that libsndfile knows"


def _promised(view, sound, decoded):
    """Frames that the file claims to hold; inf where it only says that there should be more."""
    if claimed := view.claimed:
        return decoded * claimed / view.sound
    if decoded < sound.frames < UNKNOWN:
        return 0 if is_mp3(sound) and not containers.has_length(view) else sound.frames
    if sound.format == "OGG":
        return 0 if containers.ogg_is_complete(view) else math.inf
    # Where libsndfile corrects the header's claim by the size of the file, only its log tells.
    log = sound.extra_info
    for pattern, of_frames in _CLAIMS.get(sound.format, _OTHER_CLAIMS):
        found = re.findall(pattern, log, re.M)
        if found and of_frames:
            return int(found[-1])
        if found:
            claimed, real = map(int, found[0])
            return 0 if containers.is_placeholder(claimed) else decoded * claimed / max(1, real)
    if sound.format == "NIST":
        return int((re.findall(rb"sample_count -i (\d+)", view.head(1024)) or [0])[0])
    return math.inf if "Seems to be a truncated file" in log else 0


# What libsndfile logs of a header, by format: bytes that it claims and bytes that there are, or frames.
_OTHER_CLAIMS = [
    (r"^ *(?:data|SSND|BODY|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", False),
    (r"^Data length (\d+) should be (\d+)", False),
]
_CLAIMS = {
    "AVR": [(r"^ *Frames *: (\d+)", True)],
    "MPC2K": [(r"^ *Frames *: (\d+)", True)],
    "MAT4": [(r"^ *Cols *: (\d+)", True)],
    "MAT5": [(r"Cols : (\d+)", True)],
}
