"""Raw samples and WAV through a pipe, and a microphone that is made up."""

import contextlib
import io
import math
import os
import struct
import sys
import types

import numpy as np
import pytest
import soundfile

from acdref.errors import AcdrefError, AudioError
from acdref.predict.sources import FORMATS, Pcm, from_microphone, from_pipe, pcm


class Trickle:
    """A pipe that gives so many bytes at a time, the sizes over and over."""

    def __init__(self, data, sizes=(1 << 16,)):
        self.file, self.sizes, self.reads = io.BytesIO(data), sizes, 0

    def read1(self, n):
        self.reads += 1
        return self.file.read(min(n, self.sizes[self.reads % len(self.sizes)]))

    def read(self, n):
        return self.file.read(n)

    def fileno(self):
        raise OSError("no descriptor")


def heard(data, form, sizes=(1 << 16,)):
    """Samples (n, channels), rate, notes, and the numbers of frames between two None."""
    notes = []
    rate, pieces = from_pipe(Trickle(data, sizes), form, notes.append)
    parts, runs = [], [0]
    for piece in pieces:
        if piece is None:
            runs.append(0)
        else:
            parts.append(piece)
            runs[-1] += len(piece)
    return np.concatenate(parts) if parts else None, rate, notes, runs


def samples(n=5000, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, channels)).astype(np.float32)


def wav(x, rate=16000, subtype="PCM_16", **how):
    file = io.BytesIO()
    soundfile.write(file, x, rate, subtype=subtype, format="WAV", **how)
    return file.getvalue()


@pytest.mark.parametrize("sizes", [(1 << 16,), (1,), (3, 1000, 7), (4097,)])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read_as_in_a_file(tmp_path, form, sizes):
    subtype, endian = FORMATS[form]
    about = {"samplerate": 16000, "channels": 2, "subtype": subtype, "endian": endian, "format": "RAW"}
    with soundfile.SoundFile(tmp_path / "x.raw", "w", **about) as file:
        file.write(samples())
    with soundfile.SoundFile(tmp_path / "x.raw", **about) as file:
        expected = file.read(dtype="float32")
    found, rate, notes, _ = heard((tmp_path / "x.raw").read_bytes(), pcm(f"{form}:16000:2"), sizes)
    assert (rate, notes) == (16000, [])
    assert found.dtype == np.float32 and np.array_equal(found, expected)
    # ... and those that ffmpeg and NumPy name alike, by NumPy
    kinds = {"s16le": "<i2", "s16be": ">i2", "s32le": "<i4", "f32be": ">f4", "f64le": "<f8", "s8": "i1"}
    if form in kinds:
        raw = np.fromfile(tmp_path / "x.raw", kinds[form]).reshape(-1, 2)
        scale = 1.0 if form[0] == "f" else 2.0 ** (8 * raw.itemsize - 1)
        assert np.array_equal(found, (raw / scale).astype(np.float32))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("s16:48000:2", "no sample format"),
        ("s16le", "rate"),
        ("s16le:fast", "rate"),
        ("s16le:100", "rate"),
        ("s16le:48000:0", "channels"),
        ("s16le:48000:65", "channels"),
        ("s16le:48000:", "channels"),
        ("s16le:48000:2:1", "channels"),
    ],
)
def test_what_is_no_description(text, cause):
    with pytest.raises(ValueError, match=cause):
        pcm(text)


def test_one_channel_unless_it_says_more():
    assert pcm("f32le:8000") == Pcm("FLOAT", "LITTLE", 8000, 1)


def test_an_end_within_a_frame_is_said():
    data = samples(100).tobytes()
    found, _, notes, _ = heard(data + b"abc", pcm("f32le:16000:2"), (5,))
    assert np.array_equal(found, samples(100))
    assert notes == ["ends within a frame: 3 of its 8 bytes came, and were left out"]


def test_what_came_is_handed_on_after_a_tenth_of_a_second():
    data = samples(16384, 1).tobytes()
    runs = heard(data, pcm("f32le:16000"), (400,))[3]  # 100 frames at a time, as they are played
    assert runs == [1600] * 10 + [384]
    assert heard(data, pcm("f32le:16000"))[3] == [16384]  # as much as was asked for: more waits


def test_a_sound_file_is_no_raw_sound():
    with pytest.raises(AudioError, match="stdin: begins like a sound file"):
        heard(wav(samples()), pcm("s16le:16000:2"))


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 0x7FFFFFFF - 36])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "FLOAT", "ULAW"])
def test_a_wav_may_not_know_its_length(size, subtype):
    data = bytearray(wav(samples(), subtype=subtype))
    if size is not None:
        place = data.index(b"data") + 4
        data[4:8] = data[place : place + 4] = struct.pack("<I", size)
    expected = soundfile.read(io.BytesIO(wav(samples(), subtype=subtype)), dtype="float32")[0]
    found, rate, notes, _ = heard(bytes(data), None, (11, 777))
    assert (rate, notes) == (16000, [])
    assert np.array_equal(found, expected)


def test_a_wav_of_the_other_order_of_bytes():
    data = wav(samples(), endian="BIG")
    assert data.startswith(b"RIFX")
    assert np.array_equal(heard(data, None)[0], soundfile.read(io.BytesIO(data), dtype="float32")[0])


def test_chunks_around_the_sound_are_none_of_it():
    data = wav(samples(999, 1))
    place = data.index(b"data")
    around = data[:place] + b"LIST\3\0\0\0abc\0" + data[place:]
    for tail in (b"", b"LIST\4\0\0\0abcd"):
        found, _, notes, _ = heard(around + tail, None, (50,))
        assert len(found) == 999 and notes == []
    assert "more than the 0.06 s that its header claims" in heard(data + b"\1\2\3\4\5", None)[2][0]


def test_a_wav_that_ends_early():
    found, _, notes, _ = heard(wav(samples(16000, 1))[: 44 + 2 * 8000 + 1], None)
    assert len(found) == 8000
    assert notes == [
        "ends within a frame: 1 of its 2 bytes came, and were left out",
        "ends early: 0.50 s came of 1.00 s",
    ]


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "no audio in it"),
        (b"hello, this is no sound", "not a WAV: `ffmpeg"),
        (wav(samples())[:30], "without sound"),
        (b"RIFF\0\0\0\0WAVEjunk\0\0\0\x7f" + bytes(100), "without sound"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "cannot be read"),
        (wav(samples(), subtype="IMA_ADPCM"), "a WAV of IMA_ADPCM"),
        (wav(samples(), rate=999), "sampling rate"),
    ],
)
def test_no_wav(data, cause):
    with pytest.raises(AudioError, match=cause):
        heard(data, None)


def test_a_pipe_gets_room():
    fcntl = pytest.importorskip("fcntl")
    if not hasattr(fcntl, "F_GETPIPE_SZ"):
        pytest.skip("not Linux")
    reader, writer = os.pipe()
    with open(reader, "rb") as stream:
        _, pieces = from_pipe(stream, pcm("u8:16000"), None)
        assert fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ) >= 1 << 20
        os.close(writer)
        assert list(pieces) == []


class Recorder:
    """What sounddevice has, as far as it is used: a device that gives `parts`, then stops."""

    class PortAudioError(Exception):
        pass

    def __init__(self, parts):
        self.parts, self.opened, self.stops = parts, None, True

    def query_devices(self, device, kind):
        if device == "none":
            raise ValueError("No input device matching 'none'")
        if device == 99:
            raise self.PortAudioError("Error querying device 99")
        return {"default_samplerate": 16000.0, "max_input_channels": 8}

    def InputStream(self, callback, finished_callback, **settings):
        if settings["device"] == 7:
            raise self.PortAudioError("Device unavailable")
        self.opened, self.callback, self.finished = settings, callback, finished_callback
        self.play()  # all of it before anything is asked for
        return contextlib.nullcontext()

    def play(self):
        for part, overflow in self.parts:
            self.callback(part, len(part), None, types.SimpleNamespace(input_overflow=overflow))
            part[:] = math.nan  # the memory is the device's own
        if self.stops:
            self.finished()


@pytest.fixture
def recorder(monkeypatch):
    parts = [(samples(1600, seed=i), i == 2) for i in range(5)]
    recorder = Recorder(parts)
    monkeypatch.setitem(sys.modules, "sounddevice", recorder)
    return recorder


def listen(device=""):
    notes = []
    rate, pieces = from_microphone(device, notes.append)
    return [piece for piece in pieces if piece is not None], rate, notes


def test_a_microphone(recorder):
    pieces, rate, notes = listen("3")
    assert rate == 16000
    settings = {"device": 3, "samplerate": 16000, "channels": 2, "dtype": "float32", "blocksize": 1600}
    assert recorder.opened == settings
    assert np.array_equal(np.concatenate(pieces), np.concatenate([samples(1600, seed=i) for i in range(5)]))
    assert notes == [
        "sound lost after 0.2 s: this machine does not keep up",
        "the device has stopped",
    ]


def test_a_microphone_that_nobody_has_time_for(recorder, monkeypatch):
    monkeypatch.setattr("acdref.predict.sources._WAITING", 2)
    recorder.parts, recorder.stops = [(samples(1600), False) for _ in range(5)], False
    notes = []
    _, pieces = from_microphone("", notes.append)
    assert len(next(pieces)) == 1600
    assert recorder.opened["device"] is None
    monkeypatch.setattr("acdref.predict.sources._WAITING", 9)
    recorder.parts, recorder.stops = [(samples(1600), False)], True
    recorder.play()
    assert len([piece for piece in pieces if piece is not None]) == 2
    assert notes == [
        "0.3 s of sound lost after 0.2 s: this machine does not keep up",
        "the device has stopped",
    ]


@pytest.mark.parametrize(
    ("device", "cause"),
    [("none", "microphone none: No input"), ("99", "querying device 99"), ("7", "Device unavailable")],
)
def test_no_such_microphone(recorder, device, cause):
    with pytest.raises(AcdrefError, match=cause):
        listen(device)


def test_without_sounddevice_or_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(AcdrefError, match=r"pip install 'acdref\[mic\]'"):
        listen()

    def missing(name, *rest, real=__import__):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *rest)

    monkeypatch.setattr("builtins.__import__", missing)
    with pytest.raises(AcdrefError, match="PortAudio library not found"):
        listen()
