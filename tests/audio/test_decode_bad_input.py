"""The table at the head of acdref.audio, row by row."""

import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acdref.audio import decode as audio
from acdref.errors import AudioError

rng = np.random.default_rng(11)
x = rng.uniform(-0.5, 0.5, 160000).astype(np.float32)


def refused(path, cause):
    """Both readers refuse `path`, in one line that names it and holds `cause`."""
    for read in (audio.load, lambda path: list(audio.blocks(path, 16000, 1))):
        with pytest.raises(AudioError) as caught:
            read(path)
        assert caught.value.path == str(path)
        assert cause in caught.value.cause
        assert "\n" not in str(caught.value)


second = x[:16000].tobytes()


def wav(path, data=second, rate=16000, channels=1, claimed=None):
    """A WAV of 32-bit floats whose header claims what it likes."""
    claimed = len(data) if claimed is None else claimed
    width = 4 * channels
    head = struct.pack("<4sI8s", b"RIFF", (36 + claimed) % 2**32, b"WAVEfmt ")
    head += struct.pack("<IHHIIHH", 16, 3, channels, rate, rate * width % 2**32, width % 2**16, 32)
    path.write_bytes(head + struct.pack("<4sI", b"data", claimed) + data)
    return path


# Not a file that could be opened


def test_missing(tmp_path):
    refused(tmp_path / "none.wav", "no such file")
    refused("", "no such file")
    refused(wav(tmp_path / "x.wav") / "y.wav", "not a directory")


def test_directory(tmp_path):
    refused(tmp_path, "a directory")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifo_and_device(tmp_path):
    os.mkfifo(tmp_path / "fifo.wav")
    refused(tmp_path / "fifo.wav", "not a regular file")  # and does not wait for a writer
    refused("/dev/zero", "not a regular file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    wav(tmp_path / "x.wav").chmod(0)
    refused(tmp_path / "x.wav", "permission denied")


def test_permission_error_of_the_system(tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    wav(tmp_path / "x.wav")
    monkeypatch.setattr("builtins.open", denied)
    refused(tmp_path / "x.wav", "permission denied")


def test_null_byte_in_the_path():
    refused("a\0b.wav", "null")


# Not audio


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "an empty file"),
        (b"hello, world\n", "text, not audio"),
        ("Straße, 東京\n".encode() * 100, "text, not audio"),
        (b"<!DOCTYPE html><html>404</html>" * 50, "text, not audio"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + bytes(500), "MPEG-4"),
        (bytes(5000), "no audio format"),
        (b"PK\x03\x04" + bytes(range(256)), "no audio format"),
    ],
)
@pytest.mark.parametrize("name", ["x.wav", "x.raw", "x"])
def test_other_content(tmp_path, content, cause, name):
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, cause)


containers = {
    "wav": {"subtype": "PCM_16"},
    "flac": {"subtype": "PCM_16"},
    "ogg": {"subtype": "VORBIS"},
    "mp3": {},
    "aiff": {"subtype": "PCM_16"},
    "au": {"subtype": "PCM_16"},
    "w64": {"subtype": "PCM_16"},
    "rf64": {"subtype": "PCM_16"},
}


@pytest.fixture(scope="module", params=containers)
def encoded(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoded") / f"x.{request.param}"
    soundfile.write(path, x, 16000, format=request.param.upper(), **containers[request.param])
    return path


@pytest.mark.parametrize("length", [4, 10, 20])
def test_cut_header(encoded, tmp_path, length):
    path = tmp_path / encoded.name
    path.write_bytes(encoded.read_bytes()[:length])
    refused(path, "")


def test_zero_frames(tmp_path):
    refused(wav(tmp_path / "x.wav", b""), "zero frames")
    soundfile.write(tmp_path / "x.aiff", x[:0], 16000)
    refused(tmp_path / "x.aiff", "zero frames")


# Headers that lie


@pytest.mark.parametrize("rate", [1, 999, 768001, 2**31 - 1])
def test_absurd_rates(tmp_path, rate):
    refused(wav(tmp_path / "x.wav", rate=rate), f"sampling rate of {rate} Hz")


@pytest.mark.parametrize("rate", [0, 4_000_000_000])
def test_rates_that_libsndfile_refuses(tmp_path, rate):
    refused(wav(tmp_path / "x.wav", rate=rate), "cannot be decoded")


def test_absurd_channel_counts(tmp_path):
    for channels in (65, 1024):
        refused(wav(tmp_path / "x.wav", channels=channels), f"{channels} channels")
    for channels in (0, 1025, 65535):
        refused(wav(tmp_path / "x.wav", channels=channels), "cannot be decoded")


@pytest.mark.parametrize("claimed", [2**32 - 1, 2**31 - 1, 0x7FFFF000])
def test_the_placeholder_sizes_of_streams_are_no_damage(tmp_path, claimed):
    notes = []
    path = wav(tmp_path / "x.wav", claimed=claimed)
    np.testing.assert_array_equal(audio.load(path, report=notes.append), x[:16000])
    assert notes == []


def test_a_header_that_claims_hours(tmp_path):
    path = wav(tmp_path / "x.wav", claimed=2**31 + 2**30)
    notes = []
    tracemalloc.start()
    assert audio.load(path, report=notes.append).shape == (16000,)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
    assert notes == ["ends early: 1.00 s decoded of 50331.65 s"]


# Damage


@pytest.mark.parametrize("part", [0.4, 0.6, 0.9])
def test_truncated_data_are_used_and_reported(encoded, tmp_path, part):
    path = tmp_path / encoded.name
    content = encoded.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    whole, notes = audio.load(encoded), []
    y = audio.load(path, report=notes.append)
    pages = 0.5 if encoded.suffix == ".ogg" else 0.1  # of what is compressed, only whole pages or frames
    assert (1 - pages) * part * len(whole) < len(y) < 1.1 * part * len(whole)
    inside = len(y) - 2000
    np.testing.assert_allclose(y[:inside], whole[:inside], rtol=0, atol=1e-6)
    assert len(notes) == 1
    assert notes[0].startswith(f"ends early: {len(y) / 16000:.2f} s decoded")
    if encoded.suffix != ".ogg":  # an Ogg file does not say how much should follow
        assert abs(float(notes[0].split()[-2]) - 10) < 0.02
    np.testing.assert_array_equal(audio.load(path), y)  # without anybody to tell


def test_whole_files_are_not_reported(encoded):
    audio.load(encoded, report=pytest.fail)


def test_the_report_precedes_the_last_window(encoded, tmp_path):
    path = tmp_path / encoded.name
    path.write_bytes(encoded.read_bytes()[: encoded.stat().st_size // 2])
    notes = []
    seen = [len(notes) for _ in audio.blocks(path, 16000, 0.25, report=notes.append)]
    assert seen[-1] == 1 and len(notes) == 1


def test_a_decoding_error_ends_the_recording_there(tmp_path):
    soundfile.write(tmp_path / "x.flac", x, 16000, subtype="PCM_24")
    content = bytearray((tmp_path / "x.flac").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    (tmp_path / "x.flac").write_bytes(content)
    notes = []
    y = audio.load(tmp_path / "x.flac", report=notes.append)
    assert 70000 < len(y) < 82000
    np.testing.assert_allclose(y, x[: len(y)], rtol=0, atol=1e-6)
    assert notes == [f"ends early: {len(y) / 16000:.2f} s decoded of 10.00 s"]


@pytest.mark.parametrize(
    ("value", "name"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (2e10, "2e+10")]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_no_audio_are_refused_with_their_time(tmp_path, value, name, channels):
    y = np.repeat(x[:, None], channels, axis=1)
    y[[20000, 30000], -1] = value * (channels if np.isfinite(value) else 1)
    path = tmp_path / "x.wav"
    soundfile.write(path, y, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"1\.250 s") as caught:
        audio.load(path)
    assert caught.value.cause == f"a sample of {name} at 1.250 s"
    windows = audio.blocks(path, 16000, 0.5)
    assert [next(windows).start, next(windows).start] == [0, 0.5]  # what precedes it is good
    with pytest.raises(AudioError, match=r"1\.250 s"):
        next(windows)


def test_unscaled_integers_are_loud_but_audio(tmp_path):
    loud = x * np.float32(2**31)
    soundfile.write(tmp_path / "x.wav", loud, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(audio.load(tmp_path / "x.wav"), loud)


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_samples_or_an_audio_error(encoded, data, tmp_path):
    content = bytearray(encoded.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 100))
        junk = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(junk)] = junk
    path = tmp_path / encoded.name
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        y = audio.load(path)
    except AudioError as error:
        assert error.path == str(path)
    else:
        assert y.ndim == 1 and y.dtype == np.float32 and len(y) > 0
        assert np.isfinite(y).all()


# Little files that become large


@pytest.mark.parametrize("container", ["FLAC", "OGG"])
def test_a_quarter_of_an_hour_of_silence_in_bounded_memory(tmp_path, container):
    path = tmp_path / "x"
    with soundfile.SoundFile(path, "w", 8000, 1, format=container) as file:
        minute = np.zeros(8000 * 60, np.float32)
        for _ in range(15):
            file.write(minute)
    assert path.stat().st_size < 125e3
    tracemalloc.start()
    n = 0
    for window in audio.blocks(path, 16000, 10):
        n += len(window.samples)
        assert not window.samples.any()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 900 * 16000
    assert peak < 6e6  # a window of 0.64 MB in a few copies, and the filter; the whole would be 58 MB


def square(n, channels, level):
    """A tone (n, channels) of no higher peak than its level."""
    return np.full((n, channels), level) * np.resize([[1], [1], [-1], [-1]], (n, 1))


@pytest.mark.parametrize(
    ("x", "note"),
    [
        (square(4799, 1, 0.1), "0.300 s are too short to know a sound by"),
        (
            square(9600, 2, 0.1) * [1, -1],
            "its channels cancel each other, and little is left in their mean",
        ),
        (
            square(9600, 2, 0.1) * [1, -1] + [0.3, 0.2],
            "its channels cancel each other, and little is left in their mean",
        ),
        (np.full((9600, 2), 0.1) * [1, -1], "it is silent"),
        (square(9600, 2, 20.0), "samples up to 20: integers stored as floats without scaling?"),
        (square(9600, 1, 0.0009), "it is all but silent"),
        (0.3 + square(9600, 1, 0.0009), "it is all but silent"),
        (np.zeros((9600, 2)), "it is silent"),
        (np.full((9600, 1), 0.3), "it is silent"),
        (square(9600, 1, 120.0), "samples up to 120: integers stored as floats without scaling?"),
    ],
)
def test_sound_that_nobody_meant_gets_a_note(tmp_path, x, note):
    soundfile.write(tmp_path / "x.wav", x, 16000, subtype="FLOAT")
    notes = []
    assert len(audio.load(tmp_path / "x.wav", report=notes.append)) == len(x)
    assert notes == [note]


@pytest.mark.parametrize(
    "x",
    [
        square(4800, 1, 0.1),
        square(9600, 2, 0.1) * [1, 0],
        square(9600, 2, 0.1) * [1, -0.9],
        square(9600, 1, 0.0011),
        0.3 + square(9600, 1, 0.0011),
        square(9600, 1, 98.5),
    ],
)
def test_sound_within_reason_gets_none(tmp_path, x):
    soundfile.write(tmp_path / "x.wav", x, 16000, subtype="FLOAT")
    notes = []
    audio.load(tmp_path / "x.wav", report=notes.append)
    assert notes == []
