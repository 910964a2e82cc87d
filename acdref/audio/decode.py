"""Recordings in, mono float32 samples out: decode, average the channels, resample.

Audio in acdref is float32, mono, in [-1, 1], of shape (n,).  Everything that libsndfile reads is accepted
(WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, CAF, ... of any sample format), and where the program ffmpeg is on
the PATH what it reads besides (MPEG-4, Matroska, WebM, WMA, AAC, AC-3, AMR, WavPack, ..., and the sound of
videos: see :mod:`acdref.audio.ffmpeg`), recognised by its content and never by its name.  Files are decoded
block by block, so that memory is bounded by what the caller keeps.

What happens with bad input
---------------------------
Every refusal is an :class:`~acdref.errors.AudioError` with the path and the cause.

=========================================  ============================================================
missing, directory, FIFO or device,        refused
no permission, empty file
text, web page, Git LFS pointer, cut       refused, saying which
header, anything else undecodable
what needs ffmpeg, and there is none       refused, saying so
zero frames                                refused
data that end early, or that cannot be     used up to there, and reported (`report`); of an MP3, a loss
decoded from some point on                 below 1 % is not noticed
a frame count in the header that is wrong  ignored: what can be decoded counts, in an MP3 of any length, in
                                           files whose header was never closed (reported), a WAV that has
                                           wrapped at 4 GiB, all chains of an Ogg file, joined WAV and MP3
FLAC in Ogg, junk before or in an MP3      read
bytes after the sound that are neither     reported
tags, chunks nor padding
several audio tracks                       the first is used; reported
NaN, Inf, beyond 1e10 (200 dB over full    refused, naming the time of the first: the file is damaged
scale)                                     or no audio, and a guess in its place would hide it
samples beyond [-1, 1] in a float format   kept; reported from 100 on, and where all are whole numbers
shorter than 0.3 s; peak below -60 dB;     used, and reported
channels that cancel each other
rates outside 1 kHz to 768 kHz             refused
more than 64 channels                      refused
=========================================  ============================================================
"""

import math
import os
import re
import stat
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.audio import containers, ffmpeg
from acdref.audio.notes import RAW, UNCLOSED, UNKNOWN, Tally, is_mp3, losses, oddities
from acdref.audio.resampling import HIGHEST_RATE, LOWEST_RATE, checked_rate, resample, resampled
from acdref.errors import AudioError
from acdref.remote import RECENT, here, is_address

__all__ = ["AudioBlock", "blocks", "blocks_from", "blocks_of", "load", "load_unresampled", "resample"]

MOST_CHANNELS = 64
LOUDEST = 1e10  # leaves room for integers of 32 bits that were stored as floats without scaling

_BLOCK = 16384  # frames decoded at a time: a call for each costs more than the memory
BEGINNING = re.compile(
    rb"(RIFF|RIFX|RF64).{4}WAVE|riff\x2e\x91\xcf\x11|FORM.{4}(AIF|8SVX|16SV)|fLaC|OggS|caff\0|\.snd\0|dns\.|ID3[\2-\4]"
    rb"|Creative Voice File|NIST_1A|2BIT",
    re.S,
)
"""Of files that libsndfile reads; those that have no such mark are not known by their first bytes."""

_UNKNOWN_CODEC = (4, 18, 29, 64)  # libsndfile's errors: unsupported, unimplemented, internal, WAV format

Say = Callable[[str], object] | None

AudioBlock = namedtuple("AudioBlock", "start end samples")
AudioBlock.__doc__ = """A window of a recording: `start` and `end` in seconds, `samples` (n,) float32."""


def load(path: str | PathLike, sr: int = 16000, report: Say = None) -> NDArray[np.float32]:
    """Read a whole recording.

    Parameters
    ----------
    path : str or path-like
    sr : int, optional
        Rate of the result in Hz, 1000 to 768000.
    report : callable, optional
        Called with one line of text if the file ends early; without it, that goes unnoticed.

    Returns
    -------
    (n,) float32 array
        Mean of the channels, n >= 1.

    Raises
    ------
    AudioError
        If the file cannot be used: see the table at the head of this module.
    ValueError
        If `sr` is out of range.

    See Also
    --------
    blocks : the same in bounded memory.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/stereo.wav", np.zeros((44100, 2)), 44100)
    ...     x = load(f"{folder}/stereo.wav")
    >>> x.shape, x.dtype
    ((16000,), dtype('float32'))
    """
    return np.concatenate(list(_stream(path, checked_rate(sr), report)))


def load_unresampled(path: str | PathLike, report: Say = None) -> tuple[NDArray[np.float32], int]:
    """Read a whole recording at its own rate, for what comes before resampling.

    Parameters
    ----------
    path, report
        As of :func:`load`.

    Returns
    -------
    samples : (n,) float32 array
        Mean of the channels, n >= 1.
    sr : int
        In Hz; of a chain of streams, that of the first.

    Raises
    ------
    AudioError
        If the file cannot be used: see the table at the head of this module.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/stereo.wav", np.zeros((44100, 2)), 44100)
    ...     x, sr = load_unresampled(f"{folder}/stereo.wav")
    >>> x.shape, sr
    ((44100,), 44100)
    """
    with _opened(path) as raw:
        sound, _ = _sound(path, containers.chains(raw.fileno())[0])
        with sound:
            sr = checked(path, sound).samplerate
    return load(path, sr, report), sr


def blocks(
    path: str | PathLike, sr: int, seconds: float, hop_seconds: float | None = None, report: Say = None
) -> Iterator[AudioBlock]:
    """Read a recording window by window, in memory bounded by the window.

    Parameters
    ----------
    path : str or path-like
    sr : int
        Rate of the result in Hz, 1000 to 768000.
    seconds : float
        Length of a window, at least one sample.
    hop_seconds : float, optional
        From the start of a window to the start of the next, at least one sample.  Default: `seconds`.
    report : callable, optional
        Called with one line of text if the file ends early, before the last window is yielded.

    Yields
    ------
    AudioBlock
        ``start`` and ``end`` in seconds, ``samples`` of shape (n,) float32.

    Raises
    ------
    AudioError
        If the file cannot be used: see the table at the head of this module.  Damage in the middle of a
        file is met in the middle of the iteration.
    ValueError
        If `sr`, `seconds` or `hop_seconds` is out of range.

    Notes
    -----
    Windows start at 0, hop, 2 hop, ...  All are full but the last, which ends with the recording and is
    shorter where that does not fit; no window is empty, and none lies wholly in the part that windows
    before it cover.  Joined without overlap, the windows are bit-equal to :func:`load`.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/x.wav", np.zeros(40000), 16000)
    ...     for block in blocks(f"{folder}/x.wav", 16000, seconds=1):
    ...         print(block.start, block.end, block.samples.shape)
    0.0 1.0 (16000,)
    1.0 2.0 (16000,)
    2.0 2.5 (8000,)
    """
    sr = checked_rate(sr)
    size = _samples(seconds, sr, "a window")
    hop = size if hop_seconds is None else _samples(hop_seconds, sr, "a hop")
    return _windows(_stream(path, sr, report), sr, size, hop)


def frames(path: str | PathLike) -> Iterator[tuple[NDArray[np.float32], int, str]]:
    """Read a recording piece by piece as it is: at its own rate, all of its channels.

    Parameters
    ----------
    path : str or path-like

    Yields
    ------
    samples : (n, channels) float32 array
        Which the next piece takes the place of.
    rate : int
        In Hz.
    subtype : str
        How libsndfile calls the stored samples, such as ``PCM_16``; empty if another program decodes.

    Raises
    ------
    AudioError
        As of :func:`blocks`; what is lost is told by that, not here.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/stereo.wav", np.zeros((100, 2)), 44100)
    ...     [(samples.shape, rate, subtype) for samples, rate, subtype in frames(f"{folder}/stereo.wav")]
    [((100, 2), 44100, 'PCM_16')]
    """
    with _opened(path) as raw:
        for chain in containers.chains(raw.fileno()):
            sound, view = _sound(path, chain)
            with sound:
                checked(path, sound)
                for samples in _samples_of(path, view, sound, Tally(), mixed=False):
                    yield samples, sound.samplerate, sound.subtype


def blocks_of(
    samples: ArrayLike,
    rate: float,
    sr: int,
    seconds: float,
    hop_seconds: float | None = None,
    report: Say = None,
) -> Iterator[AudioBlock]:
    """Take samples that are in memory for a recording, and go through it as :func:`blocks` does.

    Parameters
    ----------
    samples : (n,) or (n, channels) array of floats or integers
        Integers are divided by their full scale, as libsndfile does; unsigned ones lie around its middle.
    rate : float
        Theirs, a whole number of Hz.
    sr, seconds, hop_seconds, report
        As of :func:`blocks`.

    Yields
    ------
    AudioBlock
        Bit-equal to those of a file with these samples.

    Raises
    ------
    AudioError
        If they cannot be a recording: other types and shapes, no samples, NaN or Inf, impossible rates.
    ValueError
        If `sr`, `seconds` or `hop_seconds` is out of range.

    Examples
    --------
    >>> [block.end for block in blocks_of(np.zeros((60000, 2), np.int16), 48000, 16000, seconds=1)]
    [1.0, 1.25]
    """
    samples, rate = _recording(samples, rate)
    pieces = (_full_scale(samples[i : i + _BLOCK]) for i in range(0, len(samples), _BLOCK))
    return blocks_from(pieces, rate, sr, seconds, hop_seconds, report)


def blocks_from(
    pieces: Iterable[NDArray[np.float32] | None],
    rate: int,
    sr: int,
    seconds: float,
    hop_seconds: float | None = None,
    report: Say = None,
    name: str = "samples",
) -> Iterator[AudioBlock]:
    """Go through sound that comes in pieces as :func:`blocks` does, in memory bounded by the window.

    Parameters
    ----------
    pieces : iterable of (n, channels) float32 array, n >= 1, or None
        None: the next may have to be waited for, and the windows that are whole by now are yielded at once.
    rate : int
        Of the pieces, in Hz, 1000 to 768000.
    sr, seconds, hop_seconds, report
        As of :func:`blocks`.
    name : str
        What messages call the sound.

    Yields
    ------
    AudioBlock
        Those of a file with these samples: bit-equal whatever the sizes of the pieces, up to 8 channels.
        `start` and `end` are exact however long the sound is, since samples are counted.

    Raises
    ------
    AudioError
        If there is no sample, or one is NaN, Inf or beyond 1e10.
    ValueError
        If `rate`, `sr`, `seconds` or `hop_seconds` is out of range.

    Examples
    --------
    >>> pieces = iter([np.zeros((16001, 1), np.float32), None, np.zeros((9, 1), np.float32)])
    >>> next(blocks_from(pieces, 16000, 16000, seconds=1)).end, len(list(pieces))
    (1.0, 2)
    """
    sr, rate = checked_rate(sr), checked_rate(rate)
    size = _samples(seconds, sr, "a window")
    hop = size if hop_seconds is None else _samples(hop_seconds, sr, "a hop")
    return _windows(_joined(pieces, rate, sr, report, name), sr, size, hop)


def header(path: str | PathLike) -> tuple[int, int] | None:
    """How long a recording is, as far as its header is to be believed.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    (frames, rate), or None if only decoding can tell.

    Raises
    ------
    AudioError
        If the file cannot be opened.
    """
    with _opened(path) as raw:
        chains = containers.chains(raw.fileno())
        if ffmpeg.foreign(chains[0]):
            return None
        sound, view = _sound(path, chains[0])
        with sound:
            unknown = len(chains) > 1 or sound.frames >= UNKNOWN or not sound.samplerate
            estimated = is_mp3(sound) and not containers.has_length(view)
            if unknown or estimated or containers.unclaimed(view) is not None:
                return None
            return sound.frames, sound.samplerate


def begins_like_audio(path: str | PathLike) -> bool:
    """Whether a file begins like a recording, whatever its name, and whatever follows.

    Parameters
    ----------
    path : str or path-like
        False for one that cannot be opened.
    """
    with suppress(AudioError), _opened(path) as raw:
        view = containers.FileView(raw.fileno())
        head = view.head(4096)
        return bool(BEGINNING.match(head) or containers.mp3_start(head) == 0 or ffmpeg.foreign(view))
    return False


def mean_of_channels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The one way in which recordings become mono.

    Parameters
    ----------
    samples : (n, channels) float32 array

    Returns
    -------
    (n,) float32 array

    Examples
    --------
    >>> mean_of_channels(np.array([[0.5, 0.25], [-1, 1]], np.float32))
    array([0.375, 0.   ], dtype=float32)
    """
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused where it is met
        # Faster than .mean(axis=1); of a product of matrices, the bits would depend on the row.
        share = np.float32(1 / samples.shape[1])
        mono = samples[:, 0] * share + np.float32(0)  # of -0.0 that makes 0.0
        for channel in range(1, samples.shape[1]):
            mono += samples[:, channel] * share
        return mono


# Windows


def _windows(stream, sr, size, hop):
    parts, held = [], 0  # samples that no window has left behind yet
    start, skip = 0, 0  # of the next window; samples between `parts` and it (hop > size)
    for part in stream:
        parts.append(part[skip:])
        held += len(parts[-1])
        skip = max(0, skip - len(part))
        # Strictly more than a window, so that the last one waits for the end and its `report`.
        if held > size:
            samples = np.concatenate(parts)
            while len(samples) > size:
                yield AudioBlock(start / sr, (start + size) / sr, samples[:size].copy())
                start, skip = start + hop, max(0, hop - len(samples))
                samples = samples[hop:]
            parts, held = [samples], len(samples)
    if held:
        yield AudioBlock(start / sr, (start + held) / sr, np.concatenate(parts))


def _samples(seconds, sr, what):
    if not (math.isfinite(seconds) and round(seconds * sr) >= 1):
        raise ValueError(f"{what} of {seconds} s holds no sample at {sr} Hz")
    return round(seconds * sr)


# Decoding


def _stream(path, sr, report):
    """Yield the recording in pieces, mono, at the rate `sr`."""
    with _opened(path) as raw:
        whole, report = Tally(), report or (lambda note: None)
        chains = containers.chains(raw.fileno())
        for chain in chains:
            stream = f"a stream that begins at byte {chain.start}"
            try:
                for loss in (yield from _chain(path, chain, sr, whole)):
                    report(f"in {stream}: {loss}" if len(chains) > 1 else loss)
            except AudioError as error:
                if not chain.start:
                    raise
                report(f"{stream} was left out: {error.cause}")
        for note in oddities(whole):
            report(note)


def _chain(path, chain, sr, whole):
    """Yield one stream of a recording; return what there is to say of losses."""
    sound, view = _sound(path, chain)
    with sound:
        checked(path, sound)
        tally = Tally()
        yield from resampled(_samples_of(path, view, sound, tally), sound.samplerate, sr)
        whole.join(tally, sound.samplerate)
        return list(losses(view, sound, tally))


def checked(path: str | PathLike, sound: Any) -> Any:
    """A sound, or what else has a `samplerate` and `channels`, if they are such as acdref works with.

    Raises
    ------
    AudioError
    """
    if not LOWEST_RATE <= sound.samplerate <= HIGHEST_RATE:
        raise AudioError(path, f"an impossible sampling rate of {sound.samplerate} Hz")
    if sound.channels > MOST_CHANNELS:
        raise AudioError(path, f"{sound.channels} channels are more than {MOST_CHANNELS}")
    return sound


def _opened(path):
    try:
        place = here(path, RECENT)
        status = os.stat(place)  # before opening: to open a FIFO is to wait for its writer
        if stat.S_ISDIR(status.st_mode):
            raise AudioError(path, "a directory")
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(path, "not a regular file")
        if status.st_size == 0:
            raise AudioError(path, "an empty file")
        return open(place, "rb", buffering=0)
    except FileNotFoundError:
        raise AudioError(path, "no such file") from None
    except OSError as error:
        cause = error.strerror or str(error)
        raise AudioError(path, cause if is_address(path) else cause.lower()) from None
    except ValueError as error:  # a null byte in the path
        raise AudioError(path, str(error)) from None


def _sound(path, view):
    """Open a file for reading from start to end; returns the sound, and the view that shows it."""
    from soundfile import LibsndfileError

    if form := ffmpeg.foreign(view):
        return ffmpeg.FFmpegSound(path, form), view
    try:
        return _to_its_end(containers.restated(view))
    except LibsndfileError as error:
        other = containers.other_view(view)
        form = ffmpeg.shared(view) if other is None and error.code in _UNKNOWN_CODEC else None
        if other is None and form is None:
            raise AudioError(path, _kind(view.head(512)) or _undecodable(error)) from None
    return _sound(path, other) if form is None else (ffmpeg.FFmpegSound(path, form), view)


def _to_its_end(view):
    """A sound and its view; where the length of an MP3 would be an estimate, one that seems endless."""
    sound = _forward(view)
    if is_mp3(sound) and not containers.has_length(view):
        view = containers.Endless(view.fd, view.start)
        sound = _forward(view)
    return sound, view


def _forward(view, **raw_format):
    from soundfile import SoundFile

    # By descriptor, not by name: a name makes libsndfile guess the format from its ending.
    sound = SoundFile(view.file(), closefd=False, **raw_format)
    # soundfile seeks after each read where it can: slow, and an error at the end of a FLAC of unknown length.
    sound.seekable = lambda: False
    return sound


def _kind(head):
    """What people mistake for a recording that libsndfile reads, by the first bytes of the file; or None."""
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the recording itself"
    if head.startswith((b"RIFF", b"FORM", b"fLaC", b"OggS")):
        return None
    text = head.decode("utf-8", "replace").rstrip("\ufffd")  # the last character may be cut
    printable = "\ufffd" not in text and "".join(text.split()).isprintable()
    return "text, not audio" if printable else None


def _undecodable(error):
    if error.code in (1, 7, 18):  # "unrecognised", "not a regular file" (wrongly), "unimplemented"
        return "no audio format that libsndfile knows, or a cut header"
    return f"cannot be decoded (libsndfile: {error.error_string.strip().rstrip('.')})"


def _samples_of(path, view, sound, tally, mixed=True):
    """Decode to the end, or as far as possible, and beyond; yield channels, or `mixed` their mean."""
    yield from _decoded(path, sound, tally, mixed)
    claimed = tally.decoded
    for rest in _beyond(view, sound, tally):
        with rest:
            yield from _decoded(path, rest, tally, mixed)
    tally.beyond = tally.decoded - claimed
    if tally.decoded == 0:
        error = tally.error
        raise AudioError(path, "no audio in it (zero frames)" if error is None else _undecodable(error))


def _decoded(path, sound, tally, mixed):
    """Decode to the end, or as far as possible; yield channels, or `mixed` their mean."""
    from soundfile import LibsndfileError

    block = np.empty((_BLOCK, sound.channels), np.float32)
    before, mpeg = 0, is_mp3(sound)
    while tally.error is None:
        if mpeg:
            block.fill(np.nan)
        try:
            n = len(sound.read(out=block))
        except LibsndfileError as caught:
            tally.error, n = caught, 0  # what was decoded before the error is in `block`
            with suppress(LibsndfileError):  # some formats cannot tell
                n = int(np.isfinite(block[:, 0]).sum()) if mpeg else max(0, sound.tell() - before)
        if n == 0:
            break
        before += n
        mean = _counted(path, block[:n], sound.samplerate, tally)
        yield mean if mixed else block[:n]


def _counted(path, samples, rate, tally):
    """The mean of the channels of some frames, which are looked at and counted."""
    mono = mean_of_channels(samples)
    low, high = float(mono.min()), float(mono.max())
    if not -LOUDEST <= low <= high <= LOUDEST:  # NaN, too
        i = int(np.argmin(np.abs(mono) <= LOUDEST))
        raise AudioError(path, f"a sample of {mono[i]:g} at {(tally.decoded + i) / rate:.3f} s")
    tally.add(mono, samples, low, high)
    return mono


# Samples in memory

_HERE = "samples"  # what messages call them


def _recording(samples, rate):
    """Samples (n, channels) of the given type, and their rate, if they can be a recording."""
    x = np.asarray(samples)
    x = x[:, None] if x.ndim == 1 else x  # (n, channels)
    if x.dtype.kind not in "fiu" or x.ndim != 2 or not 1 <= x.shape[1] <= MOST_CHANNELS:
        wanted = f"floats or integers (n,) or (n, channels), with up to {MOST_CHANNELS} channels"
        raise AudioError(_HERE, f"{np.asarray(samples).dtype} of shape {np.shape(samples)}, not {wanted}")
    if not len(x):
        raise AudioError(_HERE, "no audio in it (zero frames)")
    try:
        whole = int(rate)
        if whole != rate:
            raise ValueError
        return x, checked_rate(whole)
    except (TypeError, ValueError, OverflowError):
        cause = f"a sampling rate of {rate!r}, not a whole number from {LOWEST_RATE} to {HIGHEST_RATE} Hz"
        raise AudioError(_HERE, cause) from None


def _joined(pieces, rate, sr, report, name):
    """Yield samples that come in pieces (n, channels), mono, at the rate `sr`."""
    tally = Tally()
    mono = (piece if piece is None else _counted(name, piece, rate, tally) for piece in pieces)
    yield from resampled(mono, rate, sr)
    if not tally.decoded:
        raise AudioError(name, "no audio in it (zero frames)")
    tally.seconds = tally.decoded / rate
    for note in oddities(tally) if report else ():
        report(note)


def _full_scale(x):
    """Samples as float32, integers in [-1, 1)."""
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):  # to infinity, which is refused
            return np.ascontiguousarray(x, np.float32)
    half = 2.0 ** (8 * x.dtype.itemsize - 1)
    zero = half if x.dtype.kind == "u" else 0
    return np.ascontiguousarray((x.astype(np.float64) - zero) / half, np.float32)


# What libsndfile leaves


def _beyond(view, sound, tally):
    """Sounds after the end that libsndfile knows."""
    from soundfile import LibsndfileError

    # Several MP3 that were joined, of which the first says how long it is; junk within one.
    while is_mp3(sound) and (following := containers.mp3_rest(view)) and following.start > view.start:
        try:
            rest, view = _to_its_end(following)
        except LibsndfileError:
            break
        tally.error = None
        if rest.samplerate == sound.samplerate:
            yield rest
    begin = None
    if sound.format in UNCLOSED and sound.subtype in RAW and not isinstance(view, containers.Restated):
        begin = containers.unclaimed(view)
    if tally.error is None and begin is not None:
        about = {"subtype": sound.subtype, "samplerate": sound.samplerate, "channels": sound.channels}
        endian = "BIG" if view.head(4) == b".snd" else "LITTLE"
        rest = containers.FileView(view.fd, begin, view.start + view.length)
        yield _forward(rest, format="RAW", endian=endian, **about)
