"""Sound that libsndfile does not find: chains, wrong lengths, junk in front, FLAC in Ogg."""

import os
import struct

import numpy as np
import pytest
from audio_support import RATE, encoded, loaded, quiet_then_loud, sound

from acdref.audio import containers
from acdref.audio import decode as audio
from acdref.audio.segments import Clips

# Ogg


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_all_chains_of_an_ogg_file(tmp_path, subtype):
    parts = [
        encoded(sound(s, h), 48000, format="OGG", subtype=subtype) for s, h in ((3, 440), (2, 660), (1, 880))
    ]
    alone = [loaded(tmp_path / f"{i}", part, 48000)[0] for i, part in enumerate(parts)]
    x, notes = loaded(tmp_path / "chained", b"".join(parts), 48000)
    assert np.array_equal(x, np.concatenate(alone))
    assert notes == []


def test_chains_of_other_rates_and_channels(tmp_path):
    first = encoded(sound(2, channels=2), 44100, format="OGG", subtype="VORBIS")
    second = encoded(sound(2, sr=22050), 22050, format="OGG", subtype="VORBIS")
    x, notes = loaded(tmp_path / "x", first + second, 16000)
    assert abs(len(x) - 4 * 16000) <= 2 and notes == []


def test_a_chain_cut_off(tmp_path):
    part = encoded(sound(9), format="OGG", subtype="VORBIS")
    x, notes = loaded(tmp_path / "x", part + part[: 3 * len(part) // 4])
    assert 12 * RATE < len(x) < 18 * RATE
    assert len(notes) == 1 and notes[0].startswith(f"in a stream that begins at byte {len(part)}: ends early")


def test_a_short_chain_is_no_short_recording(tmp_path):
    parts = [encoded(x, format="OGG", subtype="VORBIS") for x in (sound(2), sound(0.1), np.zeros(9000))]
    x, notes = loaded(tmp_path / "x", b"".join(parts))
    assert len(x) > 2.3 * RATE and notes == []


def test_a_loss_in_the_first_chain_is_told(tmp_path):
    part = encoded(sound(9), format="OGG", subtype="VORBIS")
    _, notes = loaded(tmp_path / "x", part[: len(part) // 2] + part)
    assert len(notes) == 1 and notes[0].startswith("in a stream that begins at byte 0: ends early")


def test_joined_wav_files(tmp_path):
    parts = [encoded(sound(1, sr=sr), sr, format="WAV", subtype="PCM_16") for sr in (16000, 8000)]
    x, notes = loaded(tmp_path / "x", b"".join(parts), 16000)
    assert len(x) == 32000 and notes == []


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_damaged_pages_are_counted(tmp_path, subtype):
    content = bytearray(encoded(quiet_then_loud(12, 16000), 16000, format="OGG", subtype=subtype))
    (tmp_path / "x").write_bytes(content)
    with open(tmp_path / "x", "rb") as file:
        pages = list(containers.ogg_pages(file.fileno()))
    assert len(pages) > 5
    for page in (pages[2], pages[4]):
        content[page[1] + page[2] // 2] ^= 1
    _, notes = loaded(tmp_path / "x", bytes(content))
    assert notes == ["damaged: 2 of its pages; what was in them may be lost"]


def test_a_chain_that_cannot_be_decoded(tmp_path):
    part = encoded(sound(3), format="OGG", subtype="VORBIS")
    x, notes = loaded(tmp_path / "x", part + part[:200] + part)
    assert len(x) == 6 * RATE
    assert len(notes) == 1 and notes[0].startswith(f"a stream that begins at byte {len(part)} was left out: ")


def ogg(packets):
    """Pages of one packet, at most 255 * 255 bytes, each."""
    for number, packet in enumerate(packets):
        lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
        flags = (number == 0) * 2 + (number == len(packets) - 1) * 4
        page = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, 7, number, 0, len(lacing)) + lacing + packet
        yield page[:22] + struct.pack("<I", containers._ogg_sum(page)) + page[26:]


def test_streams_that_run_side_by_side_are_one_chain(tmp_path):
    flags = [2, 2, 0, 0, 4, 4, 2, 0, 4]  # the first page of a stream, a later one, its last
    pages = [struct.pack("<4sBBqIIIB", b"OggS", 0, flag, 0, 7, 0, 0, 1) + b"\x03abc" for flag in flags]
    (tmp_path / "x").write_bytes(b"".join(pages))
    with open(tmp_path / "x", "rb") as file:
        views = containers.chains(file.fileno())
    size = len(pages[0])
    assert [(view.start, view.length) for view in views] == [(0, 6 * size), (6 * size, 3 * size)]


@pytest.mark.parametrize("size", [5, 254, 255, 4000])
def test_flac_in_ogg(tmp_path, size):
    flac = encoded(sound(2), format="FLAC", subtype="PCM_16")
    content = b"\x7fFLAC\x01\x00\x00\x01" + flac
    pages = ogg([content[:51], *(content[i : i + size] for i in range(51, len(content), size))])
    x, notes = loaded(tmp_path / "x.oga", b"".join(pages))
    assert np.array_equal(x, loaded(tmp_path / "x.flac", flac)[0]) and notes == []


# MP3


def mp3(x, without_table=False, **options):
    content = encoded(x, format="MP3", subtype="MPEG_LAYER_III", **options)
    if without_table:
        content = content[containers._mp3_frame(content[:4]) :]
        assert not any(mark in content[:256] for mark in (b"Xing", b"Info"))
    return content


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("seconds", [0.5, 1.1, 12])
def test_an_mp3_without_table_of_contents_is_read_to_its_end(tmp_path, seconds, order):
    x = quiet_then_loud(seconds)[::order]
    content = mp3(x, without_table=True, bitrate_mode="VARIABLE")
    y, notes = loaded(tmp_path / "x", content)
    assert abs(len(y) - len(x)) < 3 * 1152
    assert notes == []


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_of_an_mp3_that_is_cut_all_whole_frames_are_used(tmp_path, share):
    x = quiet_then_loud(12)[12 * RATE // 3 :]
    content = mp3(x, without_table=True, bitrate_mode="CONSTANT")
    y, _ = loaded(tmp_path / "x", content[: int(len(content) * share)])
    assert abs(len(y) - len(x) * share) < 4 * 1152


@pytest.mark.parametrize("seconds", [0.5, 6])
@pytest.mark.parametrize("tag", [b"", b"ID3\x03\x00\x00\x00\x01\x00\x00" + bytes(1 << 14)])
def test_mp3_files_that_were_joined(tmp_path, seconds, tag):
    """The length in the first frame is that of the first."""
    parts = [quiet_then_loud(seconds), sound(seconds), quiet_then_loud(seconds)]
    content = tag.join(mp3(x, bitrate_mode="VARIABLE") for x in parts)
    y, notes = loaded(tmp_path / "x", content)
    assert abs(len(y) - 3 * len(parts[0])) < 4 * 1152 and notes == []


def test_mp3_files_of_two_rates_that_were_joined(tmp_path):
    content = mp3(sound(2)) + mp3(sound(20, sr=22050), sr=22050)
    _, notes = loaded(tmp_path / "x", content)
    assert len(notes) == 1 and "were left" in notes[0]


@pytest.mark.parametrize("without_table", [True, False])
@pytest.mark.parametrize("junk", [3000, -200_000])
def test_junk_within_an_mp3_costs_no_more_than_a_few_frames(tmp_path, without_table, junk):
    content = mp3(quiet_then_loud(6), without_table)
    junk = np.random.default_rng(0).bytes(junk) if junk > 0 else bytes(-junk)
    x, notes = loaded(tmp_path / "x", content[: len(content) // 2] + junk + content[len(content) // 2 :])
    assert abs(len(x) - 6 * RATE) < 5 * 1152 and notes == []


def tagged(size):
    """An ID3v2 tag of so many bytes."""
    return b"ID3\4\0\0" + bytes(size >> 7 * i & 127 for i in (3, 2, 1, 0)) + bytes(size)


def ape_tag(size, number):
    size, item = size + 40, struct.pack("<II", size, 2) + bytes(size)
    about = struct.pack("<III", 2000, size, 1)
    marks = [b"APETAGEX" + about + struct.pack("<I8x", flags) for flags in (0xA0000000, 0x80000000)]
    return marks[0] + item[: size - 32] + marks[1] + number


@pytest.mark.parametrize("without_table", [True, False])
def test_large_tags_of_an_mp3_are_no_loss(tmp_path, without_table):
    content = mp3(sound(3), without_table)
    whole = loaded(tmp_path / "y", content)[0]
    old = b"TAG" + bytes(range(125))
    lyrics = b"LYRICSBEGIN" + b"la" * 9000 + b"018011LYRICS200"
    for before, after in (
        (tagged(300_000), old),
        (tagged(1000) + tagged(70_000), ape_tag(100_000, b"")),
        (b"", lyrics + old),
        (bytes(100_000), ape_tag(100_000, old)),
    ):
        x, notes = loaded(tmp_path / "x", before + content + after)
        assert len(x) == len(whole) and notes == []


def test_joined_mp3_files_with_tags_between(tmp_path):
    content = mp3(sound(3))
    x, notes = loaded(tmp_path / "x", content + b"TAG" + bytes(125) + tagged(2000) + content)
    assert len(x) == 6 * RATE and notes == []


def test_an_mp3_cut_short_says_so_where_its_table_tells(tmp_path):
    content = mp3(quiet_then_loud(6), bitrate_mode="VARIABLE")
    assert loaded(tmp_path / "whole", content)[1] == []
    _, notes = loaded(tmp_path / "cut", content[: len(content) // 2])
    assert len(notes) == 1 and notes[0].startswith("ends early")


@pytest.mark.parametrize(
    "junk", [bytes(3000), b"\xff\xfb\x90\x64 no frame" * 40, os.urandom(0) + b"x" * 20000]
)
def test_junk_before_the_first_frame(tmp_path, junk):
    content = mp3(sound(3))
    x, notes = loaded(tmp_path / "x", junk + content)
    assert abs(len(x) - len(loaded(tmp_path / "y", content)[0])) <= 2 * 1152 and notes == []


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"APETAGEX" + b"cover" * 20000, bytes(10000)])
def test_tags_and_padding_at_the_end_are_no_loss(tmp_path, tag):
    content = mp3(sound(3))
    x, notes = loaded(tmp_path / "x", content + tag)
    assert notes == [] and abs(len(x) - len(loaded(tmp_path / "y", content)[0])) <= 1152


def test_frames_of_every_kind_have_their_size():
    assert containers._mp3_frame(b"\xff\xfb\x90\x64") == 417  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz
    assert containers._mp3_frame(b"\xff\xfb\x92\x64") == 418  # padded
    assert containers._mp3_frame(b"\xff\xf3\x84\x64") == 192  # MPEG 2, layer III, 64 kbit/s, 24 kHz
    assert containers._mp3_frame(b"\xff\xe3\x88\x64") == 576  # MPEG 2.5, layer III, 64 kbit/s, 8 kHz
    assert containers._mp3_frame(b"\xff\xfd\xa4\x64") == 576  # MPEG 1, layer II, 192 kbit/s, 48 kHz
    assert containers._mp3_frame(b"\xff\xff\xc4\x64") == 384  # MPEG 1, layer I, 384 kbit/s, 48 kHz
    for header in (
        b"\xff\xfb\xf0\x64",
        b"\xff\xfb\x00\x64",
        b"\xff\xfb\x9c\x64",
        b"\xff\xeb\x90\x64",
        b"\xff\xf9",
        b"RIFF",
    ):
        assert containers._mp3_frame(header) == 0


# WAV


def wav(x, subtype="PCM_16", tail=b""):
    return encoded(x, format="WAV", subtype=subtype) + tail


def with_sizes(content, riff, data):
    place = content.index(b"data") + 4
    content = content[:4] + struct.pack("<I", riff) + content[8:]
    return content[:place] + struct.pack("<I", data) + content[place + 4 :]


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_header_that_was_never_closed(tmp_path, subtype, channels):
    content = wav(sound(1, channels=channels), subtype)
    x, notes = loaded(tmp_path / "x", with_sizes(content, 0, 0))
    whole = loaded(tmp_path / "y", content)[0]
    assert np.array_equal(x[: len(whole)], whole) and len(x) - len(whole) < 200  # what stood behind the data
    assert notes == ["its header was never closed and claims no sound; all there is was decoded"]


CLOSED_BY_NOBODY = ["its header was never closed and claims no sound; all there is was decoded"]


@pytest.mark.parametrize(
    "kind, mark, place, empty",
    [
        ("WAVEX PCM_24", b"data", 4, struct.pack("<I", 0)),
        ("WAV IMA_ADPCM", b"data", 4, struct.pack("<I", 0)),
        ("RF64 PCM_16", b"ds64", 8, bytes(24)),
        ("AU PCM_16", b".snd", 8, bytes(4)),
        ("AIFF PCM_16", b"SSND", 4, bytes(4)),
        ("CAF PCM_16", b"data", 4, bytes(8)),
        ("W64 PCM_16", b"data", 16, struct.pack("<Q", 24)),
        ("W64 PCM_16", b"data", 16, bytes(8)),
    ],
)
def test_other_headers_that_were_never_closed(tmp_path, kind, mark, place, empty):
    form, subtype = kind.split()
    content = encoded(sound(1, channels=2), format=form, subtype=subtype)
    at = content.index(mark) + place
    x, notes = loaded(tmp_path / "x", content[:at] + empty + content[at + len(empty) :])
    whole = loaded(tmp_path / "y", content)[0]
    assert np.array_equal(x[: len(whole)], whole) and len(x) - len(whole) < 4096
    assert notes == CLOSED_BY_NOBODY


def test_a_caf_of_open_size_is_whole_and_one_cut_short_is_used(tmp_path):
    content = encoded(sound(1), format="CAF", subtype="PCM_16")
    at = content.index(b"data") + 4
    x, notes = loaded(tmp_path / "x", content[:at] + b"\xff" * 8 + content[at + 8 :])
    assert np.array_equal(x, loaded(tmp_path / "y", content)[0]) and notes == []
    x, notes = loaded(tmp_path / "x", content[: at + 12 + RATE])
    assert len(x) == RATE // 2
    assert notes == ["ends early: 0.50 s decoded of 1.00 s"]


@pytest.mark.parametrize("form", ["AIFF", "W64", "CAF"])
def test_a_chunk_of_sound_cut_short_is_no_open_header(tmp_path, form):
    content = encoded(sound(1), format=form, subtype="PCM_16")
    _, notes = loaded(tmp_path / "x", content[: len(content) // 2])
    assert len(notes) == 1 and notes[0].startswith("ends early")


def test_an_empty_recording_with_chunks_behind_it_is_empty(tmp_path):
    content = (
        encoded(np.zeros((0, 1)), format="WAV", subtype="PCM_16") + b"LIST" + struct.pack("<I", 4) + b"INFO"
    )
    with pytest.raises(audio.AudioError, match="zero frames"):
        loaded(tmp_path / "x", content)


def test_a_size_that_has_wrapped_at_4_gib(tmp_path):
    path = tmp_path / "x.wav"
    content = with_sizes(wav(sound(1)), 0, 4000)
    path.write_bytes(content)
    begin = content.index(b"data") + 8
    with open(path, "r+b") as file:
        assert containers.unclaimed(containers.FileView(file.fileno())) is None
        file.truncate(begin + 4000 + (1 << 32))
        assert containers.unclaimed(containers.FileView(file.fileno())) == begin + 4000
        file.truncate(begin + 4000 + (1 << 31))
        assert containers.unclaimed(containers.FileView(file.fileno())) is None


@pytest.mark.parametrize(
    "tail", [b"LIST" + struct.pack("<I", 10000) + b"INFO" + bytes(9996), bytes(50000), b"id3 more"]
)
def test_chunks_padding_and_a_few_bytes_behind_the_data_are_no_loss(tmp_path, tail):
    x, notes = loaded(tmp_path / "x", wav(sound(1), tail=tail))
    assert len(x) == RATE and notes == []


def test_what_no_rule_foresaw_is_told(tmp_path):
    tail = np.random.default_rng(0).bytes(20000)
    x, notes = loaded(tmp_path / "x", wav(sound(1), tail=tail))
    assert len(x) == RATE
    assert notes == ["20000 bytes after 1.00 s of sound were left: they are no sound that libsndfile knows"]


# Training reads the same


@pytest.mark.parametrize("seconds", [4, 70])
def test_training_hears_all_of_it(tmp_path, seconds):
    rate = 8000
    part = encoded(sound(seconds / 2, sr=rate), rate, format="OGG", subtype="VORBIS")
    contents = {
        "open.wav": with_sizes(encoded(sound(seconds, sr=rate), rate, format="WAV", subtype="PCM_16"), 0, 0),
        "chained.ogg": part + part,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        x = Clips(sr=rate).segment(str(tmp_path / name), lambda length: (length - 8000, 8000))
        assert np.array_equal(x, audio.load(tmp_path / name, rate)[-8000:]), name


def test_another_mpeg4_or_tta_file_behind_the_first(tmp_path):
    def box(kind, content=bytes(8)):
        return struct.pack(">I", 8 + len(content)) + kind + content

    large = struct.pack(">I4sQ", 1, b"mdat", 16 + 100) + bytes(100)
    file = box(b"ftyp") + large + box(b"moov", bytes(500))
    for content, joined in (
        (file, False), (file + file, True), (file + box(b"free"), False), (file + bytes(99), False),
        (b"TTA1" + bytes(500), False), (b"TTA1" + bytes(500) + b"TTA1", True), (b"other" * 9, False),
    ):  # fmt: skip
        (tmp_path / "x").write_bytes(content)
        with open(tmp_path / "x", "rb") as opened:
            assert containers.another(containers.FileView(opened.fileno())) == joined


def test_a_wma_file_that_is_cut(tmp_path):
    head = containers._ASF + struct.pack("<QIBB", 134, 1, 1, 2)
    head += containers._ASF_FILE + struct.pack("<Q16sQ", 104, bytes(16), 1000) + bytes(56)
    for size, cut in ((1000, False), (999, True), (1001, False), (60, False)):
        (tmp_path / "x").write_bytes((head + bytes(1000))[:size])
        with open(tmp_path / "x", "rb") as opened:
            assert containers.is_cut(containers.FileView(opened.fileno())) == cut


def test_damaged_pages_of_flac_in_ogg(tmp_path):
    flac = encoded(sound(2), format="FLAC", subtype="PCM_16")
    content = b"\x7fFLAC\x01\x00\x00\x01" + flac
    pages = list(ogg([content[:51], *(content[i : i + 4000] for i in range(51, len(content), 4000))]))
    _, notes = loaded(tmp_path / "x.oga", b"".join(pages))
    assert notes == []
    middle = len(pages) // 2
    pages[middle] = pages[middle][:2000] + b"\0\1" + pages[middle][2002:]
    _, notes = loaded(tmp_path / "x.oga", b"".join(pages))
    assert notes == ["damaged: 1 of its pages; what was in them may be lost"]
