"""Sound as it comes: what a file with it would give, and at once."""

import io
import tracemalloc
from functools import partial

import numpy as np
import pytest
from predict_support import Loudness, noise, write

from acdref.audio import decode as audio
from acdref.predict.sources import from_pipe, pcm
from acdref.predict.streams import predict_stream
from acdref.predict.tagging import Failure, predict


class Stream(io.BytesIO):
    """A pipe that gives so many bytes at a time, the sizes over and over."""

    def __init__(self, data, sizes):
        super().__init__(data)
        self.sizes, self.reads = sizes, 0

    def read1(self, n):
        self.reads += 1
        return self.read(min(n, self.sizes[self.reads % len(self.sizes)]))


@pytest.mark.parametrize("sizes", [(1 << 16,), (4099,), (1, 70001, 333), (9600,)])
@pytest.mark.parametrize(
    ("rate", "channels", "window", "hop"),
    [(48000, 2, 10, None), (44100, 1, 4, 1), (16000, 3, 0.5, 0.2), (22050, 8, 1, 3), (8000, 2, 2.5, None)],
)
def test_bit_equal_to_a_file(tmp_path, sizes, rate, channels, window, hop):
    x = np.stack([noise(13.7, seed=i, rate=rate) for i in range(channels)], axis=1)
    integers = np.rint(x * 32767).astype("<i2")
    path = write(tmp_path / "x.wav", integers, rate, subtype="PCM_16")
    net = Loudness()
    expected = list(predict(net, [path], window, hop))
    data = integers.tobytes()
    source = partial(from_pipe, Stream(data, sizes), pcm(f"s16le:{rate}:{channels}"))
    found = list(predict_stream(net, path, source, window, hop))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.path, ours.start, ours.end, ours.note) == (path, theirs.start, theirs.end, theirs.note)
        assert np.array_equal(ours.scores, theirs.scores)


@pytest.mark.parametrize(("rate", "level"), [(48000, 0.34), (44100, 0.37), (16000, 0.0), (8000, 2.05)])
def test_a_window_comes_with_its_end(rate, level):
    """0.2 s after it, of which 0.1 s is what is handed on at a time; but the level has to be known first."""
    x = noise(8, rate=rate)
    stream = Stream((x * 32767).astype("<i2").tobytes(), (rate // 50,))  # 10 ms at a time
    source = partial(from_pipe, stream, pcm(f"s16le:{rate}"))
    for window in predict_stream(Loudness(), "x", source, 1.0, 0.5):
        if window.end < 7.5:
            come = stream.tell() / 2 / rate
            assert come <= max(window.end, level) + 0.2


def test_times_are_counted_not_added_up():
    x = np.zeros((16000 * 60, 1), np.float32)
    blocks = list(audio.blocks_from(iter([x]), 16000, 16000, 0.1, 0.1))
    assert [block.start for block in blocks] == [i * 1600 / 16000 for i in range(600)]


def test_memory_is_bounded():
    minute = np.zeros((60 * 8000, 1), np.float32)

    def pieces():
        for _ in range(20):
            for i in range(0, len(minute), 800):
                yield minute[i : i + 800]
                yield None

    tracemalloc.start()
    try:
        windows = sum(1 for _ in audio.blocks_from(pieces(), 8000, 16000, 1.0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert windows == 20 * 60
    assert peak < 8e6  # all of it would be 77 MB


def test_losses_are_said_at_once_and_noted():
    told = []
    data = noise(1.5).tobytes() + b"\0"
    source = partial(from_pipe, Stream(data, (1 << 16,)), pcm("f32le:16000"))
    first, last = predict_stream(Loudness(), "x", source, 1.0, say=told.append)
    assert first.note is None and last.note == "ends within a frame: 1 of its 4 bytes came, and were left out"
    assert told == [f"x: {last.note}"]


def test_a_sample_that_is_no_number_ends_it():
    x = noise(3)
    x[40000] = np.nan
    source = partial(from_pipe, Stream(x.tobytes(), (1 << 12,)), pcm("f32le:16000"))
    *windows, failure = predict_stream(Loudness(), "x", source, 1.0)
    assert [window.end for window in windows] == [1.0, 2.0]
    assert failure == Failure("x", "a sample of nan at 2.500 s")


def test_nothing_comes():
    source = partial(from_pipe, Stream(b"", (1,)), pcm("u8:16000"))
    assert list(predict_stream(Loudness(), "x", source)) == [Failure("x", "no audio in it (zero frames)")]


def test_the_network_is_ready_before_anything_is_listened_to():
    net = Loudness()

    def source(report):
        assert net.frames
        return 16000, iter([np.ones((16000, 1), np.float32)])

    assert len(list(predict_stream(net, "x", source))) == 1
