"""What libsndfile cannot find its own way through, as files that it can read.

libsndfile stops at the end of the first stream of a chained Ogg file, at an estimate of the length of an MP3
without a table of contents, and at the sizes in a WAV header that was never closed or has wrapped at 4 GiB;
it knows no FLAC in Ogg.  In each case the sound is there, and a view of the file shows it.
"""

import os
import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Any

_FAR = 1 << 40
"""Where an endless file ends, for those who ask."""

_TAG = 128  # bytes of an ID3v1 tag at the end of a file


class FileView:
    """A part of a file, as a file of its own: bytes `start` to `end` of the descriptor `fd`."""

    claimed: int | None = None
    """Bytes of sound by the header, where those that there are are read in their place; None elsewhere."""

    def __init__(self, fd: int, start: int = 0, end: int | None = None) -> None:
        self.fd, self.start = fd, start
        self.length = (os.fstat(fd).st_size if end is None else end) - start
        self.position = 0
        self.whole = start == 0 and end is None and type(self) is FileView

    @cached_property
    def pages(self) -> list[tuple[int, int, int, int]]:
        """The pages of an Ogg file that begin in this part, see :func:`ogg_pages`."""
        return [page for page in ogg_pages(self.fd) if 0 <= page[0] - self.start < self.length]

    def file(self) -> "int | FileView":
        """What libsndfile can open: of a whole file the descriptor, which is faster."""
        return self.fd if self.whole else self

    def left(self) -> int:
        """Bytes that nobody has read."""
        return max(0, self.length - (os.lseek(self.fd, 0, os.SEEK_CUR) if self.whole else self.position))

    def head(self, n: int) -> bytes:
        """The first bytes."""
        return os.pread(self.fd, min(n, self.length), self.start)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        self.position = offset + (0, self.position, self.length)[whence]
        return self.position

    def tell(self) -> int:
        """As of a file."""
        return self.position

    def read(self, n: int) -> bytes:
        """As of a file."""
        n = max(0, min(n, self.length - self.position))
        data = os.pread(self.fd, n, self.start + self.position) if n else b""
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """As of a file."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: object) -> int:
        """Nothing: soundfile asks for the method."""
        raise OSError("read only")


class Endless(FileView):
    """A file that seems to go on for ever, as a pipe does: its size says nothing of the sound's length."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            self.position = _FAR + offset
            return self.position
        return super().seek(offset, whence)

    def read(self, n: int) -> bytes:
        if self.position >= _FAR - _TAG:  # somebody looks for a tag at the end
            return bytes(n)
        return super().read(n)


class Restated(FileView):
    """A file in whose header the size of the sound is another: that of all there is."""

    def __init__(self, view: FileView, place: int, size: bytes, claimed: int | None) -> None:
        super().__init__(view.fd, view.start, view.start + view.length)
        self._place, self._size = place - view.start, size
        self.claimed = claimed
        self.sound = self.length - self._place - len(size)
        """Bytes that there are."""

    def read(self, n: int) -> bytes:
        start, data = self.position, bytearray(super().read(n))
        for i, byte in enumerate(self._size, self._place - start):
            if 0 <= i < len(data):
                data[i] = byte
        return bytes(data)


def restated(view: FileView) -> FileView:
    """The view itself, or a Restated one where libsndfile would find no sound: of a WAV whose size was never
    written, or a CAF whose size is open (-1), was never written or is too large."""
    if view.head(4) == b"RIFF" and unclaimed(view) is not None and (data := _wav_data(view))[1] == 0:
        there = view.start + view.length - data[0]
        if there < (1 << 32) - _CHUNKS:
            return Restated(view, data[0] - 4, struct.pack("<I", there), 0)
    place = view.start + 8
    while view.head(4) == b"caff" and len(chunk := os.pread(view.fd, 12, place)) == 12:
        name, size = struct.unpack(">4sq", chunk)
        there = view.start + view.length - place - 12
        if name == b"data":
            if 4 < size <= there:  # (four bytes are an edit count)
                break
            claimed = {-1: None, 4: 0}.get(size, size)
            return Restated(view, place + 4, struct.pack(">q", there), claimed)
        if not 0 <= size <= there:
            break
        place += 12 + size
    return view


class OggFlac(FileView):
    """The FLAC stream in an Ogg file: what its pages hold, without the mark before the first block."""

    _MARK = 9  # 0x7F "FLAC", version, number of headers

    def __init__(self, fd: int) -> None:
        super().__init__(fd)  # (its own length is set below)
        self._offsets, self._ends, end = [], [], -self._MARK
        for _, offset, size, _ in self.pages:
            end += size
            self._offsets.append(offset + size - end)  # of the stream's byte 0, were all of it in this page
            self._ends.append(end)
        self.length = max(end, 0)

    def read(self, n: int) -> bytes:
        parts = []
        n = max(0, min(n, self.length - self.position))
        while n > 0:
            page = bisect_right(self._ends, self.position)
            data = os.pread(
                self.fd, min(n, self._ends[page] - self.position), self._offsets[page] + self.position
            )
            parts.append(data)
            self.position += len(data)
            n = n - len(data) if data else 0
        return b"".join(parts)


def ogg_pages(fd: int) -> Iterator[tuple[int, int, int, int]]:
    """Pages of an Ogg file.

    Yields
    ------
    start : int
        Of the page.
    offset, size : int
        Of its contents.
    flags : int
        2: a logical stream begins with it; 4: one ends with it.
    """
    start = 0
    while len(head := os.pread(fd, 27 + 255, start)) >= 27 and head.startswith(b"OggS"):
        lacing = head[27 : 27 + head[26]]
        contents, size = start + 27 + len(lacing), sum(lacing)
        yield start, contents, size, head[5]
        start = contents + size
        after = os.pread(fd, 4, start)
        if after and after != b"OggS":  # a page cut short, or damage
            start = _found(fd, b"OggS", contents)


def _found(fd, mark, start):
    """Where a mark next stands in a file; the end of the file if nowhere."""
    while block := os.pread(fd, _SEARCHED, start):
        if (place := block.find(mark)) >= 0:
            return start + place
        start += max(1, len(block) - len(mark) + 1)
    return start


def chains(fd: int) -> list[FileView]:
    """The chains of an Ogg file, or joined WAV files, each a view of its own; of any other file, the whole.

    A chain begins with the first pages of all its streams; the first such page after others begins the next.
    """
    starts, begun = [0], False
    while (head := os.pread(fd, 12, starts[-1]))[:4] == b"RIFF" and head[8:] == b"WAVE":
        after = starts[-1] + 8 + struct.unpack("<I", head[4:8])[0]
        following = os.pread(fd, 12, after + after % 2)
        if following[:4] != b"RIFF" or following[8:] != b"WAVE":
            break
        starts.append(after + after % 2)
    whole = FileView(fd)
    for start, _, _, flags in whole.pages:
        if flags & 2 and begun:
            starts.append(start)
        begun = not flags & 2
    if len(starts) == 1:
        return [whole]
    return [FileView(fd, start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def ogg_is_complete(view: FileView) -> bool:
    """Whether the last page of an Ogg stream is there as a whole, and says that it is the last."""
    end, ends = _last_page(view)
    return ends and end <= view.length


def damaged_pages(view: FileView) -> int:
    """How many whole pages of an Ogg stream have another check sum than they say: their sound is lost."""
    damaged, end = 0, view.start + view.length
    if isinstance(view, OggFlac):  # whose own length is that of the stream within
        end = os.fstat(view.fd).st_size
    for start, contents, size, _ in view.pages:
        if contents + size <= end:
            page = os.pread(view.fd, contents + size - start, start)
            stated = struct.unpack_from("<I", page, 22)[0]
            damaged += _ogg_sum(page[:22] + bytes(4) + page[26:]) != stated
    return damaged


def _ogg_sum(page):
    """Ogg's CRC: zlib's, not inverted, with the bits of all bytes and of the result in the other order."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _last_page(view):
    """Where the last Ogg page of a view ends, and whether it says that it is the last."""
    if not view.pages:
        return 0, False
    _, contents, size, flags = view.pages[-1]
    return contents + size - view.start, bool(flags & 4)


def mp3_start(head: bytes) -> int | None:
    """Where the first of three frames of MPEG audio stands that follow each other; None if nowhere."""
    for match in re.finditer(rb"\xff[\xe2-\xff]", head):
        place = match.start()
        for _ in range(3):
            size = _mp3_frame(head[place : place + 4])
            if not size:
                break
            place += size
        else:
            return match.start()
    return None


def has_length(view: FileView) -> bool:
    """Whether the first frame of an MP3 says how many there are."""
    frames = _after_tag(view, view.start)
    start = mp3_start(frames) or 0
    return any(mark in frames[start : start + 256] for mark in (b"Xing", b"Info", b"VBRI"))


def mp3_rest(view: FileView) -> FileView | None:
    """What nobody has read of an MP3, from the next frames of MPEG audio on; None if there are none."""
    end = view.start + view.length
    place = end - view.left()
    limit = min(end, place + _SKIPPED)
    while place < limit:
        place = behind_tags(view, place)
        block = os.pread(view.fd, _SEARCHED, place)
        if (start := mp3_start(block)) is not None:
            return FileView(view.fd, place + start)
        place += max(1, len(block) - _OVERLAP)
    return None


def behind_tags(view: FileView, place: int) -> int:
    """What follows the ID3v2 tags that stand at a place of the file, if there are any."""
    while (head := os.pread(view.fd, 10, place)).startswith(b"ID3") and len(head) == 10:
        place += 10 + sum((byte & 127) << 7 * (3 - i) for i, byte in enumerate(head[6:]))
    return place


def _after_tag(view, place):
    """What stands at a place, behind the ID3v2 tags if there are any."""
    return os.pread(view.fd, _SEARCHED, behind_tags(view, place))


_JUNK = 1 << 20  # bytes in which the first frame is looked for where nothing else is recognised
_OVERLAP = 8192  # more than three frames
_SKIPPED = 1 << 26  # bytes of junk within an MP3 that are looked through for more of it

_SEARCHED = 65536  # bytes in which the first frame of an MP3 is looked for

_BIT_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s by version (1, or 2 and 2.5) and layer."""


def _mp3_frame(header):
    """Bytes of the frame of MPEG audio that begins with these four; 0 if they begin none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return 0
    version, layer = (2.5, 0, 2, 1)[header[1] >> 3 & 3], 4 - (header[1] >> 1 & 3)
    rate, kilobits = header[2] >> 2 & 3, header[2] >> 4
    if not version or layer == 4 or rate == 3 or kilobits in (0, 15):
        return 0
    sr = (44100, 48000, 32000)[rate] >> {1: 0, 2: 1, 2.5: 2}[version]
    bits = _BIT_RATES[1 if version == 1 else 2, layer][kilobits - 1] * 1000
    padding = header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // sr + padding) * 4
    samples = 576 if layer == 3 and version != 1 else 1152
    return samples // 8 * bits // sr + padding


def other_view(view: FileView) -> FileView | None:
    """A view of what libsndfile does not recognise, for it to try; None if there is none."""
    head = view.head(64)
    if type(view) is not FileView:
        return None
    if head.startswith(b"OggS") and b"\x7fFLAC" in head:
        return OggFlac(view.fd)
    place = behind_tags(view, view.start)
    start = mp3_start(os.pread(view.fd, _JUNK, place))
    return None if start is None or place + start == view.start else FileView(view.fd, place + start)


def is_placeholder(size: int) -> bool:
    """Whether a header's size says nothing: writers to a pipe, who cannot know it, put the largest."""
    return any(0 < limit - size <= 4096 for limit in (1 << 31, 1 << 32))


def unclaimed(view: FileView) -> int | None:
    """Where the samples of a WAV, RF64 or AU begin that its header does not claim; None if it claims all.

    Those are all samples where the header was never closed (it claims 0), and all after the first where the
    size of a WAV has wrapped at 4 GiB.  What else follows the samples is not taken for sound.
    """
    data = _wav_data(view) or _au_data(view)
    if data is None:
        return None
    begin, claimed = data
    more = view.start + view.length - begin - claimed
    never_closed = claimed == 0 and more > 0 and not _chunks(view.fd, begin, more)
    wrapped = view.head(4) == b"RIFF" and more >= (1 << 32) - _CHUNKS
    return begin + claimed if never_closed or wrapped else None


def _au_data(view):
    """As :func:`_wav_data`, of an AU file."""
    head = view.head(12)
    if len(head) < 12 or not head.startswith((b".snd", b"dns.")):
        return None
    begin, size = struct.unpack(">II" if head[:1] == b"." else "<II", head[4:])
    return view.start + begin, size


def unknown_tail(view: FileView) -> int:
    """How many of the bytes left at the end of a view are neither tags, chunks nor padding; 0 for a few."""
    end = _end(view)
    last = _before_tags(view.fd, view.start + view.length)
    start, few = (view.start + view.length - view.left(), 4096) if end is None else (view.start + end, 1024)
    left = last - start
    if left <= few or _chunks(view.fd, start, left):
        return 0
    tail = os.pread(view.fd, min(left, _CHUNKS), start)
    tagged = tail.startswith((b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN"))
    return 0 if tagged or not any(tail) else left


def _before_tags(fd, end):
    """Where the ID3v1, Lyrics3 and APE tags begin that end there."""
    while True:
        before = end
        if os.pread(fd, 3, max(0, end - _TAG)) == b"TAG":
            end -= _TAG
        foot = os.pread(fd, 32, max(0, end - 32))
        if foot.startswith(b"APETAGEX"):
            size, flags = struct.unpack_from("<I4xI", foot, 12)
            end -= size + 32 * (flags >> 31)  # the header is not counted
        elif foot.endswith(b"LYRICS200") and foot[-15:-9].isdigit():
            end -= int(foot[-15:-9]) + 15
        if end == before or end < 0:
            return before


_CHUNKS = 1 << 16


def _end(view):
    """Where a file ends by what its header says, whatever libsndfile has read; None if it does not say."""
    head = view.head(40)
    if data := _wav_data(view) or _au_data(view):
        return min(sum(data) + data[1] % 2 * (head[:1] == b"R") - view.start, view.length)
    if head.startswith(b"OggS"):
        return _last_page(view)[0]
    if packet := sds_packet(view):
        frames = head[10] | head[11] << 7 | head[12] << 14
        return min(_SDS_HEADER + -(-frames // packet) * _SDS_PACKET, view.length)
    chunked = next((rest for mark, *rest in _CHUNKED if head.startswith(mark)), None)
    return None if chunked is None else _last_chunk(view, *chunked)


def sds_packet(view: FileView) -> int:
    """How many frames a packet of a MIDI sample dump holds; 0 if the file is none."""
    head = view.head(_SDS_HEADER)
    is_one = len(head) == _SDS_HEADER and head.startswith(b"\xf0\x7e") and head[3] == 1
    return 120 // -(-head[6] // 7) if is_one and head[6] else 0


def sds_frames(view: FileView) -> int:
    """Frames for which a MIDI sample dump has packets."""
    return (view.length - _SDS_HEADER) // _SDS_PACKET * sds_packet(view)


_SDS_HEADER, _SDS_PACKET = 21, 127  # bytes


def is_cut(view: FileView) -> bool:
    """Whether an Ogg or ASF (WMA) file, which ffmpeg decodes, is shorter than it says."""
    head = view.head(4096)
    place = head.find(_ASF_FILE)
    if place >= 0 and head.startswith(_ASF):
        return struct.unpack_from("<Q", head.ljust(place + 48, b"\0"), place + 40)[0] > view.length
    return head.startswith(b"OggS") and not ogg_is_complete(view)


_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the object that has the size of the file


def another(view: FileView) -> bool:
    """Whether behind an MPEG-4 or TTA file there is another one, which ffmpeg does not see."""
    place, head = 0, view.head(8)
    if head.startswith(b"TTA1"):
        return _found(view.fd, b"TTA1", 4) < view.length
    while head[4:] == b"ftyp" and len(box := os.pread(view.fd, 16, place)) >= 8:
        size, kind = struct.unpack_from(">I4s", box)
        if kind == b"ftyp" and place:
            return True
        size = struct.unpack(">Q", box[8:])[0] if size == 1 and len(box) == 16 else size
        if size < 8:
            break
        place += size
    return False


_CHUNKED = [(b"FORM", 12, ">4sI", 0, 2), (b"caff", 8, ">4sq", 0, 1), (b"riff", 40, "<4s12xQ", 24, 8)]
"""Mark of a format, where its chunks begin, their heads, what their size has of the head, and their step."""


def _last_chunk(view, place, form, inclusive, step):
    """Where the last chunk ends before which there is nothing but chunks; one of sound, with the file."""
    head = struct.calcsize(form)
    while len(chunk := os.pread(view.fd, head, place)) == head:
        name, size = struct.unpack(form, chunk)
        after = place + head + size - inclusive
        if name in (b"SSND", b"data") and (size < 0 or after > view.length):  # of open size, or cut short
            return view.length
        another = name == view.head(4)  # file, behind this one, which looks like one chunk
        if another or not name.decode("latin-1").isprintable() or not place < after <= view.length:
            break
        place = after + -after % step
    return place


def _chunks(fd, place, size):
    """Whether that many bytes from a place on are RIFF chunks, to the last."""
    end = place + size
    while end - place >= 8:
        name, length = struct.unpack("<4sI", os.pread(fd, 8, place))
        if not name.decode("latin-1").isprintable() or not name.strip():
            return False
        place += 8 + length + length % 2
    return 0 <= place - end <= 1 or 0 <= end - place < 8


def _wav_data(view):
    """Where the samples of a WAV or RF64 file begin, and how many bytes it claims; None if there are none."""
    head, place = view.head(12), view.start + 12
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return None
    large = None
    while len(chunk := os.pread(view.fd, 8, place)) == 8:
        size = struct.unpack("<I", chunk[4:])[0]
        if chunk[:4] == b"ds64":
            large = struct.unpack("<Q", os.pread(view.fd, 8, place + 16))[0]
        if chunk[:4] == b"data":
            return place + 8, size if large is None or size != 0xFFFFFFFF else large
        place += 8 + size + size % 2
    return None
