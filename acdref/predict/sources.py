"""Sound that comes as it is made: raw PCM or WAV through a pipe, or a microphone.

A stream is an iterator of pieces (n, channels) float32, with None wherever the next may have to be waited
for (see :func:`acdref.audio.decode.blocks_from`).  Samples are counted, not timed: what never arrived leaves
no gap, and the times of windows are those of the sound that came.
"""

import math
import queue
import re
import struct
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from acdref.audio import containers
from acdref.audio.decode import BEGINNING, MOST_CHANNELS, checked
from acdref.audio.notes import RAW
from acdref.audio.resampling import HIGHEST_RATE, LOWEST_RATE
from acdref.errors import AcdrefError, AudioError

FORMATS = {
    "u8": ("PCM_U8", "LITTLE"),
    "s8": ("PCM_S8", "LITTLE"),
    "mulaw": ("ULAW", "LITTLE"),
    "alaw": ("ALAW", "LITTLE"),
    **{
        f"{kind}{bits}{end}e": (f"{name}_{bits}" if kind == "s" else name, order)
        for kind, bits, name in (
            ("s", 16, "PCM"), ("s", 24, "PCM"), ("s", 32, "PCM"), ("f", 32, "FLOAT"), ("f", 64, "DOUBLE")
        )
        for end, order in (("l", "LITTLE"), ("b", "BIG"))
    },
}  # fmt: skip
"""Sample formats by ffmpeg's names; what libsndfile calls them, and the order of bytes."""

STDIN = "stdin"  # what rows and messages call it
_READ = 1 << 16  # bytes asked for at a time, as many as a pipe has room for
_ROOM = 1 << 20  # bytes that the pipe shall have room for, so that nobody waits while a window is scored
_HEADER = 1 << 20  # bytes in which the sound of a WAV has to begin
_PART = 0.1  # seconds of sound handed on at a time, at least
_WAITING = 600  # parts of a microphone's sound that are kept while a window is scored: a minute
_OTHERS = "`ffmpeg -i - -f wav -` makes one for --pcm wav"

Say = Callable[[str], object]
Pieces = Iterator[NDArray[np.float32] | None]

Pcm = namedtuple("Pcm", "subtype endian rate channels")
Pcm.__doc__ = """How raw samples are stored (libsndfile's names), their rate in Hz, and how many channels."""


def pcm(text: str) -> Pcm:
    """Read a description of raw samples.

    Parameters
    ----------
    text : str
        ``FORMAT:RATE[:CHANNELS]``; a format of :data:`FORMATS`, Hz, 1 channel if it does not say.

    Returns
    -------
    Pcm

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> pcm("s16le:48000:2")
    Pcm(subtype='PCM_16', endian='LITTLE', rate=48000, channels=2)
    """
    form, _, rest = text.partition(":")
    rate, colon, channels = rest.partition(":")
    if form not in FORMATS:
        raise ValueError(f"{form!r} is no sample format; there are {', '.join(FORMATS)}, and wav")
    if not (rate.isdecimal() and LOWEST_RATE <= int(rate) <= HIGHEST_RATE):
        raise ValueError(f"{text!r} does not say the rate in Hz, as {form}:48000:2 does")
    if colon and not (channels.isdecimal() and 1 <= int(channels) <= MOST_CHANNELS):
        raise ValueError(
            f"{text!r} does not say how many channels, 1 to {MOST_CHANNELS}, as {form}:48000:2 does"
        )
    return Pcm(*FORMATS[form], int(rate), int(channels or 1))


def from_pipe(stream: BinaryIO, form: Pcm | None, report: Say) -> tuple[int, Pieces]:
    """Read sound from a pipe.

    Parameters
    ----------
    stream : buffered binary file
    form : Pcm or None
        None: a WAV, whose header need not know its length.
    report : callable
        Called with one line of text if the sound ends within a frame, or elsewhere than the header says.

    Returns
    -------
    rate : int
        In Hz.
    pieces : iterator of (n, channels) float32 array, or None

    Raises
    ------
    AudioError
        If there is no WAV, or none of raw samples.
    """
    with suppress(ImportError, AttributeError, OSError, ValueError):  # not Linux, or no pipe
        import fcntl

        fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _ROOM)
    form, claimed = _wav(stream) if form is None else (form, math.inf)
    return form.rate, _pieces(stream, form, claimed, report)


def _pieces(stream, form, claimed, report):
    """Yield the samples of a stream, of which `claimed` bytes are sound."""
    size = form.channels * RAW[form.subtype]
    part = math.ceil(_PART * form.rate) * size
    held, came, waiting = b"", 0, 0  # bytes: of no piece yet, of all, since the last None
    while came < claimed and (data := stream.read1(int(min(_READ, claimed - came)))):
        if not came and claimed == math.inf and BEGINNING.match(data):
            raise AudioError(STDIN, "begins like a sound file, not like raw samples: --pcm wav reads a WAV")
        came, held, waiting = came + len(data), held + data, waiting + len(data)
        pause = len(data) < _READ and waiting >= part  # the pipe is empty
        whole = len(held) - len(held) % size
        if whole and (pause or whole >= part):
            yield _decoded(held[:whole], form)
            held = held[whole:]
        if pause:
            yield None
            waiting = 0
    left = len(held) % size
    if len(held) > left:
        yield _decoded(held[: len(held) - left], form)
    if left:
        report(f"ends within a frame: {left} of its {size} bytes came, and were left out")
    seconds = came / size / form.rate
    if came < claimed < math.inf:
        report(f"ends early: {seconds:.2f} s came of {claimed / size / form.rate:.2f} s")
    elif came == claimed and (tail := stream.read1(4)) and not _CHUNK.match(tail):
        report(f"more than the {seconds:.2f} s that its header claims came, and was left out")


_CHUNK = re.compile(rb"\0?[ -~]{3}")
"""The beginning of another chunk of a WAV file, perhaps after a byte of padding."""


def _decoded(data, form):
    """Whole frames as samples (n, channels), as libsndfile reads them in a file."""
    from soundfile import SoundFile

    subtype, endian, rate, channels = form
    about = {"format": "RAW", "subtype": subtype, "endian": endian}
    with SoundFile(BytesIO(data), samplerate=rate, channels=channels, **about) as sound:
        return sound.read(dtype="float32", always_2d=True)


def _wav(stream):
    """Read the header of a WAV; returns how the samples that follow are stored, and how many bytes."""
    from soundfile import LibsndfileError, SoundFile

    head = stream.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:] != b"WAVE":
        raise AudioError(STDIN, f"not a WAV: {_OTHERS}" if head else "no audio in it (zero frames)")
    order, endian = (">", "BIG") if head.startswith(b"RIFX") else ("<", "LITTLE")
    while True:
        chunk = stream.read(8)
        size = struct.unpack(f"{order}I", chunk[4:])[0] if len(chunk) == 8 else _HEADER
        head += chunk
        if chunk.startswith(b"data"):
            break
        if len(head) + size > _HEADER:
            raise AudioError(STDIN, "a WAV without sound within its first MiB")
        head += stream.read(size + size % 2)
    try:
        with SoundFile(BytesIO(head)) as sound:
            checked(STDIN, sound)
            form = Pcm(sound.subtype, endian, sound.samplerate, sound.channels)
    except LibsndfileError as error:
        raise AudioError(STDIN, f"a WAV that cannot be read ({error.error_string.strip()})") from None
    if form.subtype not in RAW:
        raise AudioError(STDIN, f"a WAV of {form.subtype}, not of raw samples: {_OTHERS}")
    return form, math.inf if size == 0 or containers.is_placeholder(size) else size


def from_microphone(device: str, report: Say) -> tuple[int, Pieces]:
    """Listen to a microphone, with the package sounddevice.

    Parameters
    ----------
    device : str
        Its number, or a part of its name; empty: the system's default.
    report : callable
        Called with one line of text when sound is lost.

    Returns
    -------
    rate : int
        In Hz, the device's own.
    pieces : iterator of (n, channels) float32 array, or None
        One channel, or two if there are more.  It ends when the device is gone.

    Raises
    ------
    AcdrefError
        If there is no sounddevice, no PortAudio, or no such device.
    """
    try:
        import sounddevice
    except ImportError:
        raise AcdrefError("a microphone needs the package sounddevice: pip install 'acdref[mic]'") from None
    except OSError as error:
        raise AcdrefError(f"sounddevice finds no PortAudio ({error}): install libportaudio2") from None
    chosen = int(device) if device.isdecimal() else device or None
    try:
        about = sounddevice.query_devices(chosen, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        raise AcdrefError(f"microphone {device or '(default)'}: {error}") from None
    rate, channels = round(about["default_samplerate"]), min(2, about["max_input_channels"])
    settings = {"device": chosen, "samplerate": rate, "channels": channels, "dtype": "float32"}
    return rate, _heard(sounddevice, settings, report)


def _heard(sounddevice, settings, report):
    """Yield what the microphone hears, in parts; what nobody has room for is counted as lost."""
    rate, heard = settings["samplerate"], queue.SimpleQueue()
    came = lost = 0  # frames

    def listen(samples, frames, time, status):
        room = heard.qsize() < _WAITING
        heard.put((samples.copy() if room else None, frames, status.input_overflow))

    how = {"blocksize": round(_PART * rate), "callback": listen}
    try:
        with sounddevice.InputStream(**settings, **how, finished_callback=partial(heard.put, None)):
            while (part := heard.get()) is not None:
                samples, frames, overflow = part
                if samples is None:
                    lost += frames
                    continue
                if lost or overflow:
                    much = f"{lost / rate:.1f} s of " if lost else ""
                    report(f"{much}sound lost after {came / rate:.1f} s: this machine does not keep up")
                came, lost = came + frames, 0
                yield samples
                if heard.empty():
                    yield None
            report("the device has stopped")
    except sounddevice.PortAudioError as error:
        raise AcdrefError(f"microphone: {error}") from None
