"""Recordings that ffmpeg decodes: its own where it is installed, and what a false one says."""

import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

from acdref.audio import containers, ffmpeg
from acdref.audio import decode as audio
from acdref.audio.segments import Clips
from acdref.errors import AudioError

RATE = 22050
real = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


def sound(seconds=2.0, channels=1):
    t = np.arange(round(seconds * RATE))[:, None] / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * t * (1 + 0.1 * t)) * np.arange(1, channels + 1)).astype(np.float32)


def made(path, x, *options):
    """A recording that ffmpeg encodes."""
    soundfile.write(f"{path}.wav", x, RATE)
    command = ["ffmpeg", "-v", "error", "-i", f"{path}.wav", *options, f"file:{path}"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def loaded(path, sr=RATE):
    notes = []
    return audio.load(path, sr, notes.append), notes


def opened(path):
    with open(path, "rb") as file:
        return ffmpeg.foreign(containers.FileView(file.fileno()))


# What it recognises

MPEG4 = b"\0\0\0\x1cftypM4A " + bytes(500)
ADTS = b"\xff\xf1\x50\x40\x02\x1f\xfc" + bytes(9)  # a frame of 16 bytes


@pytest.mark.parametrize(
    ("content", "demuxer"),
    [
        (MPEG4, "mov"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "mov"),
        (b"\x1a\x45\xdf\xa3\x9f", "matroska"),
        (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "asf"),
        (b"#!AMR\n<", "amr"),
        (b"#!AMR-WB\n", "amr"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"FLV\x01\x05", "flv"),
        (b"\0\0\1\xba\x44", "mpeg"),
        ((b"G" + bytes(187)) * 5, "mpegts"),
        ((b"\n\n\n\nG" + bytes(187)) * 5, "mpegts"),
        (b"wvpk\0", "wv"),
        (ADTS * 3, "aac"),
        (b"ID3\4\0\0\0\0\1\0" + bytes(128) + ADTS * 3, "aac"),
        ((b"\x56\xe0\x04" + bytes(4)) * 3, "loas"),
        ((b"\x0bw\0\0\x00\x40" + bytes(122)) * 3, "ac3"),
        ((b"\x0bw\0\x07\x00\x80" + bytes(10)) * 3, "eac3"),
    ],
)
def test_formats_are_known_by_their_content(tmp_path, content, demuxer):
    (tmp_path / "x").write_bytes(content)
    assert opened(tmp_path / "x")[1] == demuxer


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"WEBVTT\n\n00:01.000 --> 00:04.000\nNever drink liquid nitrogen.\n",
        b"#EXTM3U\nfile:///etc/passwd\n",
        bytes(range(256)) * 64,
        np.random.default_rng(0).bytes(1 << 16),
        ADTS * 2,
        ADTS * 2 + b"\xff\xf9" + bytes(20),
        (b"\x0bw\0\0\xc0\x40" + bytes(122)) * 3,  # a reserved rate
        b"ID3",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\xff\xfb\x90\x44" + bytes(413),
    ],
)
def test_nothing_else_is_given_to_it(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert opened(tmp_path / "x") is None


# What it decodes


@real
@pytest.mark.parametrize(
    ("ending", "options", "within"),  # (None: an encoder that delays)
    [
        ("m4a", ("-c:a", "alac"), 0),
        ("caf", ("-c:a", "alac"), 0),
        ("mka", ("-c:a", "flac"), 0),
        ("wv", (), 0),
        ("tta", (), 0),
        ("mp4", ("-c:a", "aac"), 0.05),
        ("wma", ("-c:a", "wmav2"), None),
        ("avi", ("-c:a", "pcm_s16le"), 0),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_that_of_other_formats(tmp_path, ending, options, within, channels):
    x = sound(channels=channels)
    path = made(tmp_path / f"x.{ending}", x, *options)
    y, notes = loaded(path)
    assert notes == [] and abs(len(y) - len(x)) < 0.1 * RATE
    n = len(x) - 3000
    if within is None:
        assert 0.97 < np.square(y).sum() / np.square(x.mean(axis=1)).sum() < 1.03
        return
    np.testing.assert_allclose(y[:n], audio.load(f"{path}.wav", RATE)[:n], rtol=0, atol=within)


@real
def test_training_hears_what_predict_does(tmp_path, monkeypatch):
    monkeypatch.setattr("acdref.audio.segments.WHOLE_SECONDS", 1)
    path = made(tmp_path / "x.m4a", sound(3), "-c:a", "alac")
    x = audio.load(path, 16000)
    assert audio.header(path) is None
    assert audio.load_unresampled(path)[1] == RATE
    for size in (1 << 20, 1):  # decoded whole; as one that is large, a part of it
        monkeypatch.setattr("acdref.audio.segments._SMALL", size)
        y = Clips(0).segment(str(path), lambda n: (n - 32000, 24000))
        assert np.array_equal(y, x[-32000:-8000])


@real
@pytest.mark.parametrize("name", ["-i", "http:", "x%03d", "pipe:1", "a|b", "concat:a", "ä 'x' $(y)"])
def test_names_are_names(tmp_path, monkeypatch, name):
    made(tmp_path / "x.mka", sound(0.5), "-c:a", "flac").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(loaded(name)[0]) == RATE // 2


@real
def test_a_recording_cut_short(tmp_path):
    x = sound(10)
    path = made(tmp_path / "x.m4a", x, "-c:a", "alac", "-movflags", "faststart")
    os.truncate(path, path.stat().st_size // 2)
    y, notes = loaded(path)
    assert 4 * RATE < len(y) < 6 * RATE
    assert np.array_equal(y, audio.load(f"{path}.wav", RATE)[: len(y)])
    assert len(notes) == 1
    assert notes[0].startswith(f"ends early: {len(y) / RATE:.2f} s decoded of 10.00 s (ffmpeg: ")
    made(path.with_name("y.m4a"), x)
    os.truncate(tmp_path / "y.m4a", 20000)
    with pytest.raises(AudioError, match=r"without its index \(moov\)"):
        audio.load(tmp_path / "y.m4a")


@real
def test_an_aac_stream_cut_within_a_frame(tmp_path):
    path = made(tmp_path / "x.aac", sound(2))
    os.truncate(path, path.stat().st_size // 2)
    _, notes = loaded(path)
    assert len(notes) == 1 and notes[0].startswith("damaged or cut short: 1.")


@real
def test_videos(tmp_path):
    path = tmp_path / "x.mkv"
    lavfi = ("-f", "lavfi", "-i")
    inputs = (*lavfi, "testsrc=d=4:s=32x32:r=2", *lavfi, "sine=d=2:r=8000", *lavfi, "sine=d=2:r=8000")
    maps = ("-map", "0", "-map", "1", "-map", "2", "-c:a", "flac")
    subprocess.run(["ffmpeg", "-v", "error", *inputs, *maps, path], check=True)
    x, notes = loaded(path, 8000)
    assert len(x) == 16000  # as long as its sound, and no note that the pictures go on
    assert notes == ["has 2 audio tracks, of which the first was used"]
    silent = tmp_path / "y.mp4"
    subprocess.run(["ffmpeg", "-v", "error", *inputs[:4], silent], check=True)
    with pytest.raises(AudioError, match="without any sound"):
        audio.load(silent)


@real
def test_a_codec_that_libsndfile_does_not_know_in_a_container_that_it_does(tmp_path):
    x, notes = loaded(made(tmp_path / "x.wav", sound(), "-c:a", "adpcm_swf"))
    assert abs(len(x) - 2 * RATE) < 5000 and notes == []


# Errors, by programs that only call themselves ffmpeg

AU = b".snd" + np.array([24, 2**32 - 1, 6, 8000, 1], ">u4").tobytes()


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Make an ffmpeg of some Python code, the only one on the PATH."""

    def make(code):
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir(exist_ok=True)
        head = "import os, sys, time\nsay, out = sys.stderr.write, sys.stdout.buffer.write\n"
        program.write_text(f"#!{sys.executable}\n{head}{code}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(program.parent))
        (tmp_path / "x.m4a").write_bytes(MPEG4)
        return tmp_path / "x.m4a"

    return make


SECOND = f"out({AU!r} + bytes(4 * 8000))\nsys.stdout.flush()\n"


def test_without_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x.m4a").write_bytes(MPEG4)
    cause = r"x\.m4a: MPEG-4 \(m4a, mp4, mov\): ffmpeg is needed to decode it, and is not on the PATH; "
    with pytest.raises(AudioError, match=cause):
        audio.load(tmp_path / "x.m4a")
    assert audio.header(tmp_path / "x.m4a") is None


def test_its_arguments_and_surroundings(tmp_path, fake):
    path = fake(
        "open(os.path.dirname(__file__) + '/told', 'w').write('\\n'.join(sys.argv[1:]))\n"
        "assert sys.stdin.read() == '' and os.getsid(0) == os.getpid()\n"
        "say('[info]   Duration: 00:00:01.20, start: 0.0\\n')\n"
        "say('[info]   Stream #0:0[0x1](und): Audio: aac\\n[info] Output #0, au\\n')\n"
        "say('[info]   Stream #0:0: Audio: pcm\\n[info]   Duration: 09:00:00.00\\n')\n" + SECOND
    )
    x, notes = loaded(path, 8000)
    assert len(x) == 8000 and notes == ["it is silent"]
    told = (tmp_path / "bin" / "told").read_text().splitlines()
    at = told.index("-i")
    assert told[at - 4 : at + 2] == ["-protocol_whitelist", "file", "-f", "mov", "-i", f"file:{path}"]
    assert "-nostdin" in told


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("sys.exit(1)", "(ffmpeg: no sound, and no reason given)"),
        ("say('[aac @ 0x12] [error] bad thing\\n[error] worse\\n'); sys.exit(1)", "(ffmpeg: bad thing)"),
        ("say('[error] file:/a: b/x.m4a: Invalid data found\\n')", "(ffmpeg: Invalid data found)"),
        ("say('usage: ffmpeg\\n' * 100000); sys.exit(1)", "no reason given"),  # more than a pipe holds
        ("say('[error] ' + 'x' * 1000000)", "x" * 190 + ")"),
        ("out(b'garbage' * 100000)", "no reason given"),
        (f"out({AU!r}[:20])", "no reason given"),
        (f"out({AU!r})", "zero frames"),
        (f"out({AU[:20] + bytes(4)!r} + bytes(100))", "no reason given"),  # no channels
        (f"out({AU[:16] + bytes(4) + AU[20:]!r} + bytes(100))", "an impossible sampling rate of 0 Hz"),
        (f"out({AU[:23] + bytes([65])!r} + bytes(10**6))", "65 channels are more than 64"),
        (f"out({AU!r}); sys.stdout.flush(); say('[error] broken\\n'); sys.exit(1)", "(ffmpeg: broken)"),
        (f"out({AU!r} + b'\\x7f\\xc0\\0\\0' * 10)", "a sample of nan at 0.000 s"),
    ],
)
def test_nothing_decoded(fake, code, cause):
    path = fake(code)
    with pytest.raises(AudioError) as caught:
        audio.load(path)
    assert caught.value.path == str(path) and cause in caught.value.cause
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("sys.exit(1)", "damaged or cut short: 1.00 s decoded (ffmpeg ended with status 1)"),
        ("os.kill(os.getpid(), 9)", "damaged or cut short: 1.00 s decoded (ffmpeg ended with status -9)"),
        ("out(b'123')", "it is silent"),
        ("say('[error] lost\\n')", "damaged or cut short: 1.00 s decoded (ffmpeg: lost)"),
        ("say('[x @ 0x1] [warning] Packet corrupt.\\n')", "damaged or cut short: 1.00 s decoded (ffmpeg: P"),
        ("say('[warning] Guessed something\\n')", "it is silent"),
        ("say('[info]   Duration: 00:01:30.50\\n')", "ends early: 1.00 s decoded of 90.50 s"),
        (
            "say('[warning] Estimating duration from bitrate\\n[info]   Duration: 00:01:30.50\\n')",
            "it is silent",
        ),
        ("say('[info]     title   :   Duration: 00:01:30.50\\n')", "it is silent"),
    ],
)
def test_what_was_decoded_is_used_with_a_note(fake, code, note):
    x, notes = loaded(fake(SECOND + code), 8000)
    assert len(x) == 8000
    assert notes[0].startswith(note)


def gone(number):
    """Whether a process ends within a while."""
    for _ in range(100):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("before", ["", SECOND])
def test_one_that_hangs_is_stopped_with_its_children(tmp_path, fake, monkeypatch, before):
    monkeypatch.setattr(ffmpeg, "PATIENCE", 1.0)
    lock = f"import fcntl\nfile = open({str(tmp_path / 'lock')!r}, 'w')\nfcntl.flock(file, 2)\nos.fork()\n"
    with pytest.raises(AudioError, match="ffmpeg gave nothing for 1 s"):
        audio.load(fake(before + lock + "time.sleep(1000)"))
    with open(tmp_path / "lock") as file:
        for _ in range(100):  # until both have let it go
            with contextlib.suppress(BlockingIOError):
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(0.05)
    pytest.fail("a child lives on")


def test_it_ends_when_nobody_wants_more(tmp_path, fake):
    note = f"open({str(tmp_path / 'id')!r}, 'w').write(str(os.getpid()))\n"
    threads = threading.active_count()
    windows = audio.blocks(fake(f"{note}out({AU!r})\nwhile True: out(bytes(1 << 16))"), 8000, 1.0)
    assert next(windows).end == 1.0
    windows.close()
    assert gone(int((tmp_path / "id").read_text()))  # no zombie either: that would still be there
    assert threading.active_count() == threads


def test_one_that_is_no_program(tmp_path, fake):
    path = fake("")
    (tmp_path / "bin" / "ffmpeg").write_bytes(b"\0\1\2")
    with pytest.raises(AudioError, match="ffmpeg cannot be started: "):
        audio.load(path)


def test_memory_is_bounded(fake):
    import tracemalloc

    windows = audio.blocks(fake(f"out({AU!r})\nfor _ in range(500): out(bytes(64000))"), 8000, 1.0)
    tracemalloc.start()
    n = sum(len(window.samples) for window in windows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 8_000_000 and peak < 3e6


@real
def test_a_wav_of_more_than_4_gib_by_its_other_name(tmp_path):
    soundfile.write(tmp_path / "x.wav", sound(), RATE, format="RF64", subtype="PCM_16")
    whole, _ = loaded(tmp_path / "x.wav")
    (tmp_path / "x.bw64").write_bytes(b"BW64" + (tmp_path / "x.wav").read_bytes()[4:])
    x, notes = loaded(tmp_path / "x.bw64")
    assert np.allclose(x, whole, atol=1e-6) and notes == []
