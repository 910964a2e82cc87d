"""Recordings that libsndfile cannot read, decoded by the program ffmpeg where it is on the PATH.

Only what is recognised by its first bytes is given to ffmpeg, and with the name of its format, so that ffmpeg
never guesses: it finds "sound" in texts and in noise.  It reads the one file by name (as ``file:/...``, with
no other protocol allowed), gets no input and no shell, and sends float32 samples at the recording's own rate
and channels through a pipe; so memory is bounded, and channels and rates become ours as those of any file.
"""

import contextlib
import io
import math
import os
import re
import select
import shutil
import signal
import threading
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from acdref.audio.containers import FileView, behind_tags
from acdref.errors import AudioError
from acdref.remote import here

PATIENCE = 30.0
"""Seconds without a byte or an end after which ffmpeg is stopped."""

_HEAD = 16384  # bytes in which a format is recognised
_SLACK = 0.5  # seconds by which a container's duration may exceed its sound: padding of the last frame

_MAGIC = (
    ("MPEG-4 (m4a, mp4, mov)", "mov", rb".{4}(ftyp|moov|mdat|wide|pnot)"),
    ("Matroska or WebM (mka, mkv, webm)", "matroska", rb"\x1a\x45\xdf\xa3"),
    ("Windows Media (wma, wmv, asf)", "asf", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("AMR", "amr", rb"#!AMR(-WB)?\n"),
    ("BW64", "wav", rb"BW64"),
    ("AVI", "avi", rb"RIFF.{4}AVI "),
    ("Flash video (flv)", "flv", rb"FLV\x01"),
    ("an MPEG program stream (mpg, vob)", "mpeg", rb"\x00\x00\x01\xba"),
    ("an MPEG transport stream (ts)", "mpegts", rb"(G.{187}){4}G"),
    ("an MPEG transport stream (m2ts)", "mpegts", rb".{4}(G.{191}){4}G"),
    ("WavPack (wv)", "wv", rb"wvpk"),
    ("Monkey's Audio (ape)", "ape", rb"MAC "),
    ("True Audio (tta)", "tta", rb"TTA1"),
    ("Musepack (mpc)", "mpc", rb"MP\+"),
    ("Musepack (mpc)", "mpc8", rb"MPCK"),
    ("TAK", "tak", rb"tBaK"),
    ("Shorten (shn)", "shn", rb"ajkg"),
    ("DSD (dsf)", "dsf", rb"DSD .{8}"),
    ("DSD (dff)", "iff", rb"FRM8.{8}DSD "),
    ("DTS", "dts", rb"\x7f\xfe\x80\x01|\xfe\x7f\x01\x80"),
    ("RealMedia (rm, ra)", "rm", rb"\.RMF|\.ra\xfd"),
    ("ATRAC (oma)", "oma", rb"(ea|EA)3[\x01\x03]"),
    ("MXF", "mxf", rb"\x06\x0e\x2b\x34\x02\x05\x01\x01"),
)
"""For people, for ffmpeg, and how a file begins."""

_SHARED = (("wav", rb"RIFF.{4}WAVE"), ("aiff", rb"FORM.{4}AIF"), ("caf", rb"caff"), ("ogg", rb"OggS"))
"""What both libsndfile and ffmpeg read, of which each knows codecs that the other does not."""

_AC3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)  # kbit/s

_Format = tuple[str, str]


def foreign(view: FileView) -> _Format | None:
    """The format of a file, for people and for ffmpeg, if it is one that libsndfile cannot read; or None.

    Parameters
    ----------
    view : FileView
    """
    head = view.head(_HEAD)
    if head.startswith((b"OggS", b"fLaC")) or (head[:4] == b"RIFF" and head[8:12] == b"WAVE"):
        return None
    if head.startswith(b"ID3"):
        head = os.pread(view.fd, _HEAD, behind_tags(view, view.start))
    for name, demuxer, pattern in _MAGIC:
        if re.match(pattern, head, re.S):
            return name, demuxer
    for name, demuxer, size in (("AAC", "aac", _adts), ("AAC", "loas", _loas), ("AC-3", "ac3", _ac3)):
        place = 0
        for _ in range(3):
            length = size(head[place : place + 6]) if len(head) >= place + 6 else 0
            if length < 6:
                break
            place += length
        else:
            return name, "eac3" if demuxer == "ac3" and head[5] >> 3 > 10 else demuxer
    return None


def shared(view: FileView) -> _Format | None:
    """As :func:`foreign`, of a format that libsndfile knows, but perhaps not the codec within; or None."""
    head = view.head(12)
    found = (demuxer for demuxer, pattern in _SHARED if re.match(pattern, head, re.S))
    return next((("a codec that libsndfile does not know", demuxer) for demuxer in found), None)


def _adts(header):
    if header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5


def _loas(header):
    return 3 + ((header[1] & 31) << 8 | header[2]) if header[0] == 0x56 and header[1] >> 5 == 7 else 0


def _ac3(header):
    """AC-3 (ATSC A/52, table 5.18), or E-AC-3, whose frames say their size."""
    if header[:2] != b"\x0bw":
        return 0
    if header[5] >> 3 > 10:
        return 2 * (1 + ((header[2] & 7) << 8 | header[3]))
    rate, code = header[4] >> 6, header[4] & 63
    if rate == 3 or code >= 2 * len(_AC3):
        return 0
    kilobits = _AC3[code // 2]
    return 2 * (2 * kilobits, 320 * kilobits // 147 + code % 2, 3 * kilobits)[rate]


class FFmpegSound:
    """A recording that ffmpeg decodes, with what :mod:`acdref.audio.decode` uses of a `SoundFile`.

    Parameters
    ----------
    path : str or path-like
    format : (str, str)
        As :func:`foreign` gives it.

    Raises
    ------
    AudioError
        If there is no ffmpeg, or it finds no sound.

    Attributes
    ----------
    samplerate, channels : int
    """

    format, subtype, extra_info = "FFMPEG", "", ""
    frames = 1 << 62  # unknown, as libsndfile says it

    def __init__(self, path: str | PathLike[str], format: _Format) -> None:
        self.path, (self.name, demuxer) = path, format
        self._log, self._any = _Log(), False
        self._process = self._start(demuxer)
        said = io.BufferedReader(self._process.stderr)
        self._reader = threading.Thread(target=self._log.read, args=(said,), daemon=True)
        self._reader.start()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _start(self, demuxer):
        import subprocess  # (few recordings need it)

        program = shutil.which("ffmpeg")
        if program is None:
            cause = f"{self.name}: ffmpeg is needed to decode it, and is not on the PATH"
            raise AudioError(self.path, f"{cause}; install it, or convert the recording to FLAC or WAV")
        # The colon after "file" keeps any name from being taken for an option or another protocol.
        name = b"file:" + os.fsencode(os.path.abspath(here(self.path, math.inf)))
        quiet = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info")
        given = ("-protocol_whitelist", "file", "-f", demuxer, "-i", name)
        wanted = ("-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1")
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # A session of its own: Ctrl-C is for us, who may want to finish what is under way.
        how = pipes | {"start_new_session": True, "env": os.environ | {"AV_LOG_FORCE_NOCOLOR": "1"}}
        try:
            return subprocess.Popen([program, *quiet, *given, *wanted], bufsize=0, **how)
        except OSError as error:
            raise AudioError(self.path, f"ffmpeg cannot be started: {error.strerror or error}") from None

    def _open(self):
        """Read the header of an AU stream: six numbers, perhaps with a comment after them."""
        head = self._bytes(24)
        if len(head) == 24 and head.startswith(b".snd"):
            start, _, _, self.samplerate, self.channels = np.frombuffer(head, ">u4")[1:].tolist()
            if 24 <= start <= 1 << 16 and self.channels and len(self._bytes(start - 24)) == start - 24:
                return
        if len(head) < 24:
            self._end()
        raise AudioError(self.path, self._log.refusal(self.name))

    def read(self, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next frames, as many as fit into `out` (n, channels), a part of which is returned.

        Raises
        ------
        AudioError
            If ffmpeg hangs, or ends with an error before it gave a single frame.
        """
        data = self._bytes(out.nbytes)
        n = len(data) // (4 * self.channels)
        out[:n] = np.frombuffer(data, ">f4", n * self.channels).reshape(n, self.channels)
        self._any |= n > 0
        if not n:
            self._end()
            if not self._any and (self._log.first or self._process.returncode):
                raise AudioError(self.path, self._log.refusal(self.name))
        return out[:n]

    def losses(self, decoded: int) -> list[str]:
        """What there is to say of so many frames, when all are read: ends early, damage, further tracks."""
        log, seconds = self._log, decoded / self.samplerate
        first = f" (ffmpeg: {log.first})" if log.first else ""
        notes = []
        if log.duration - seconds > _SLACK + log.duration / 1000 and not log.video:
            notes.append(f"ends early: {seconds:.2f} s decoded of {log.duration:.2f} s{first}")
        elif first or self._process.returncode:
            ended = "" if first else f" (ffmpeg ended with status {self._process.returncode})"
            notes.append(f"damaged or cut short: {seconds:.2f} s decoded{first}{ended}")
        if log.tracks > 1:
            notes.append(f"has {log.tracks} audio tracks, of which the first was used")
        return notes

    def _bytes(self, n):
        """So many bytes; fewer at the end."""
        data = bytearray()
        while len(data) < n:
            if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
                raise AudioError(self.path, f"ffmpeg gave nothing for {PATIENCE:g} s")
            part = self._process.stdout.read(n - len(data))
            if not part:
                break
            data += part
        return data

    def _end(self):
        """Wait for the end, which is near, of ffmpeg and of what it says."""
        from subprocess import TimeoutExpired

        with contextlib.suppress(TimeoutExpired):
            self._process.wait(PATIENCE)
        self.close()

    def close(self) -> None:
        """Stop ffmpeg, if it runs."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(1.0)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Log:
    """What matters of all that ffmpeg says, however much it is."""

    def __init__(self):
        self.duration = 0.0  # seconds by the header of the file; 0: unknown
        self.tracks = 0
        self.video = False
        self.first = ""  # complaint
        self._input = True  # what is said is about the input still
        self._estimated = False  # the duration, from the size of the file

    def read(self, pipe: Any) -> None:
        """Read a pipe to its end."""
        with pipe:
            for line in iter(lambda: pipe.readline(4096), b""):
                self._line(line.decode("utf-8", "replace").rstrip())

    def _line(self, line):
        about = re.match(r"(?:\[[^]]* @ 0x[0-9a-f]+\] )?\[(\w+)\] ?(.*)", line)
        level, text = about.groups() if about else ("", "")
        self._input &= not text.startswith("Output #")
        if level in ("error", "fatal", "panic") or (level == "warning" and "corrupt" in text):
            self.first = self.first or " ".join(re.sub(r"file:/.*: ", "", text).split())[:200]
        elif "Estimating duration" in text:
            self._estimated = True
        elif self._input and (time := re.match(r"  Duration: (\d+):(\d\d):(\d\d\.\d+)", text)):
            hours, minutes, seconds = map(float, time.groups())
            self.duration = 0.0 if self._estimated else 3600 * hours + 60 * minutes + seconds
        elif self._input and (stream := re.match(r"  Stream #0:\d+.*?: (Audio|Video): ", text)):
            self.tracks += stream[1] == "Audio"
            self.video |= stream[1] == "Video" and "(attached pic)" not in text

    def refusal(self, name):
        """Why nothing was decoded."""
        if "moov atom not found" in self.first:
            return f"{name} without its index (moov): cut off, or never finished by the recorder"
        if "matches no streams" in self.first:
            return f"{name} without any sound"
        return f"{name} that cannot be decoded (ffmpeg: {self.first or 'no sound, and no reason given'})"
