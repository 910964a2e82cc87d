import os
import pickle
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
import soundfile

from acdref.audio import decode as audio
from acdref.audio.segments import WHOLE_SECONDS, Clips
from acdref.errors import AudioError

SR = 1000  # the lowest rate there is: a minute is short
LONG = 90 * SR


def ramp(n):
    """Samples that tell their position, exact in float32."""
    return np.arange(1, n + 1, dtype=np.float32) / 2**23


def position(x):
    return (x * 2**23).astype(int) - 1


@pytest.fixture
def recording(tmp_path):
    def write(n, name="a.wav", rate=SR, x=None):
        path = str(tmp_path / name)
        subtype = "FLOAT" if name.endswith("wav") else None
        soundfile.write(path, ramp(n) if x is None else x, rate, subtype=subtype)
        return path

    return write


def lie(path, frames):
    """Have the header of a FLAC file promise another number of frames."""
    with open(path, "r+b") as file:
        file.seek(18)  # 20 bits rate, 3 channels, 5 bits per sample, 36 frames
        word = int.from_bytes(file.read(8), "big")
        file.seek(18)
        file.write((word >> 36 << 36 | frames).to_bytes(8, "big"))


def last_fifth(n):
    return n - n // 5, n // 5


class TestSegment:
    @pytest.mark.parametrize("n", [1, 5000, LONG])
    @pytest.mark.parametrize("part", [(0.0, 1.0), (0.3, 0.5), (0.99, 0.01)])
    def test_reads_what_was_chosen(self, recording, n, part):
        chosen = []

        def choose(length):
            chosen.append((int(part[0] * length), max(1, int(part[1] * length))))
            return chosen[-1]

        x = Clips(sr=SR).segment(recording(n), choose)
        assert x.dtype == np.float32
        start, count = chosen[-1]
        np.testing.assert_array_equal(position(x), np.arange(start, start + count))

    def test_short_recordings_offer_all_of_their_length(self, recording):
        seen = []
        Clips(sr=SR).segment(recording(4321), lambda n: seen.append(n) or (0, n))
        assert seen == [4321]

    @pytest.mark.parametrize("rate", [1000, 2003, 44100, 48001])
    def test_long_recordings_of_any_rate(self, recording, rate):
        t = np.arange(70 * rate) / rate
        path = recording(0, rate=rate, x=np.column_stack([np.sin(t), 3 * np.sin(t)]) / 4)
        # Down to the very end, where an approximate ratio has least to give.
        for choose in (lambda n: (31234, 5000), lambda n: (n - 7000, 7000)):
            start, n = choose(int(70 * SR * 0.9999))
            x = Clips(sr=SR).segment(path, lambda length, choose=choose: choose(length))
            assert len(x) == n
            expected = np.sin((start + np.arange(n)) / SR) / 2
            assert np.abs(x - expected)[100:-100].max() < 0.01

    def test_equal_whatever_was_read_before(self, recording):
        paths = [
            recording(LONG, "a.wav"),
            recording(3000, "b.wav"),
            recording(0, "c.flac", x=np.ones(LONG) / 2),
        ]
        lie(paths[2], 1000 * LONG)
        rng = np.random.default_rng(0)
        jobs = [(paths[k], u) for k, u in zip(rng.integers(0, 3, 30), rng.random(30), strict=True)]
        used = Clips(sr=SR)
        for path, u in jobs:

            def choose(n, u=u):
                return int(u * n), n // 50

            fresh = Clips(sr=SR).segment(path, choose)
            np.testing.assert_array_equal(used.segment(path, choose), fresh)


class TestMemory:
    def test_least_recently_used_leaves_first(self, recording, monkeypatch):
        decoded = []
        load = audio.load
        monkeypatch.setattr(audio, "load", lambda path, sr: decoded.append(path) or load(path, sr))
        a, b, c = (recording(1000, f"{name}.wav") for name in "abc")
        clips = Clips(max_bytes=8000, sr=SR)
        for path in (a, b, a, c, a, b):
            clips.segment(path, last_fifth)
        assert decoded == [a, b, c, b]

    def test_callers_cannot_change_what_is_kept(self, recording):
        clips, path = Clips(sr=SR), recording(5000)
        with suppress(ValueError):  # it may be read-only
            clips.segment(path, last_fifth)[:] = 1
        np.testing.assert_array_equal(clips.segment(path, last_fifth), ramp(5000)[4000:])

    def test_nothing_is_kept_beyond_the_limit(self, recording):
        path = recording(1000)
        clips = Clips(max_bytes=0, sr=SR)
        np.testing.assert_array_equal(position(clips.segment(path, last_fifth)), np.arange(800, 1000))
        assert not clips._whole
        assert clips._bytes == 0

    def test_pickles_empty(self, recording):
        clips = Clips(max_bytes=10**6, sr=SR)
        clips.segment(recording(100_000 // 2), last_fifth)
        assert len(pickle.dumps(clips)) < 200
        copy = pickle.loads(pickle.dumps(clips))
        assert (copy.max_bytes, copy.sr) == (10**6, SR)

    def test_long_recordings_are_never_held(self, recording):
        path = recording(0, "l.flac", rate=16000, x=np.zeros(16000 * 600))  # 38 MB decoded
        clips = Clips()
        clips.segment(path, lambda n: (n // 2, 160))
        lie(path, 16000 * 60_000)
        clips = Clips()
        tracemalloc.start()
        try:
            x = clips.segment(path, lambda n: (n - 160_000, 160_000))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(x) == 160_000
        assert peak < 5e6


class TestBadRecordings:
    def test_not_audio(self, tmp_path):
        path = tmp_path / "a.wav"
        path.write_text("not audio")
        clips = Clips()
        for _ in range(2):
            with pytest.raises(AudioError) as caught:
                clips.segment(str(path), last_fifth)
            assert caught.value.path == str(path)

    def test_is_tried_once(self, tmp_path, monkeypatch):
        calls = []
        load = audio.load
        monkeypatch.setattr(audio, "load", lambda path, sr: calls.append(path) or load(path, sr))
        clips = Clips()
        for _ in range(3):
            with pytest.raises(AudioError, match="no such file"):
                clips.segment(str(tmp_path / "absent.wav"), last_fifth)
        assert len(calls) == 1

    def test_header_promises_too_much(self, recording):
        noise = (np.random.default_rng(0).integers(-9999, 9999, 30 * SR) / 2**15).astype(np.float32)
        path = recording(0, "a.flac", x=noise)
        lie(path, 10 * 3600 * SR)
        chosen = []

        def last_three_seconds(n):
            chosen.append(n - 3000)
            return n - 3000, 3000

        x = Clips(sr=SR).segment(path, last_three_seconds)
        assert chosen[0] > WHOLE_SECONDS * SR
        assert chosen[1:] == [27 * SR]
        np.testing.assert_array_equal(x, noise[-3000:])

    @pytest.mark.parametrize("n", [3000, LONG])
    def test_header_without_a_length(self, recording, n):
        noise = (np.random.default_rng(0).integers(-9999, 9999, n) / 2**15).astype(np.float32)
        path = recording(0, "a.flac", x=noise)
        lie(path, 0)
        chosen = []
        for start in (0, 0.5, 0.99):
            x = Clips(sr=SR).segment(
                path, lambda n, start=start: chosen.append(n) or (int(start * n), n // 100)
            )
            np.testing.assert_array_equal(x, noise[int(start * n) :][: n // 100])
        assert set(chosen) == {n}

    def test_recording_that_vanishes(self, recording):
        path = recording(LONG)
        clips = Clips(sr=SR)
        clips.segment(path, last_fifth)
        os.remove(path)
        with pytest.raises(AudioError, match="No such file"):
            clips.segment(path, last_fifth)

    def test_nan_in_a_long_recording(self, recording):
        x = ramp(LONG)
        x[LONG // 2] = np.nan
        path = recording(0, x=x)
        clips = Clips(sr=SR)
        with pytest.raises(AudioError, match=r"NaN or absurd samples after 44\.9 s"):
            clips.segment(path, lambda n: (44_900, 5000))
        np.testing.assert_array_equal(position(clips.segment(path, lambda n: (0, 5000))), np.arange(5000))

    def test_long_and_of_an_impossible_form(self, recording):
        path = recording(0, x=np.zeros((LONG, 65), np.float32))
        with pytest.raises(AudioError, match="65 channels"):
            Clips(sr=SR).segment(path, last_fifth)
