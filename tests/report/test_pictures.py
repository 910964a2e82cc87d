"""Pictures of recordings: their sizes, and what is where in them."""

import struct
import zlib

import numpy as np
import pytest
import soundfile

from acdref.report.pictures import BANDS, TILE, WHOLE, hertz, pictures


def pixels(png):
    """The numbers of colours of a PNG file, (height, width)."""
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT")
    size = struct.unpack(">I", png[start - 4 : start])[0]
    rows = np.frombuffer(zlib.decompress(png[start + 4 : start + 4 + size]), np.uint8).reshape(
        height, width + 1
    )
    return rows[:, 1:]


def tones(path, seconds, at=(), frequency=1000.0):
    """Silence with a tone of 0.2 s at some times."""
    x = np.zeros(round(seconds * 16000), np.float32)
    for second in at:
        start = round(second * 16000)
        x[start : start + 3200] = 0.5 * np.sin(2 * np.pi * frequency / 16000 * np.arange(3200))
    soundfile.write(path, x, 16000)
    return str(path)


@pytest.mark.parametrize(
    ("seconds", "rate", "width", "whole", "tiles"),
    [
        (0.01, 31.25, 1, 1, 0),
        (0.1, 31.25, 4, 4, 0),
        (10.0, 31.25, 313, 313, 0),
        (30.0, 31.25, 938, 938, 0),
        (31.0, 7.8125, 243, 243, 0),
        (300.0, 7.8125, 2344, 1172, 5),
    ],
)
def test_sizes(tmp_path, seconds, rate, width, whole, tiles):
    path = tones(tmp_path / "x.flac", seconds)
    found, column, drawn = pictures(path, seconds)
    sizes = [pixels(each).shape for each in drawn]
    assert (found, len(sizes) - 1) == (rate, tiles)
    assert sizes[0] == (BANDS, whole) and whole <= WHOLE
    assert sum(size[1] for size in sizes[1:]) == (width if tiles else 0)
    assert column * whole == pytest.approx(seconds, abs=2 * column)
    assert all(size == (BANDS, TILE) for size in sizes[1:-1])


@pytest.mark.parametrize("seconds", [10.0, 100.0, 400.0])
def test_a_tone_is_where_it_sounds(tmp_path, seconds):
    at = (0.73 * seconds, 0.2 * seconds)
    rate, column, drawn = pictures(tones(tmp_path / "x.flac", seconds, at), seconds)
    bright = pixels(drawn[0]) == 31
    times = np.flatnonzero(bright.any(axis=0)) * column
    for second in at:
        assert np.abs(times - second - 0.1).min() < 0.2 + column
    assert all(np.abs(np.subtract(at, time)).min() < 0.3 + column for time in times)
    height = dict(hertz())[1000]
    assert np.flatnonzero(bright.any(axis=1)).mean() == pytest.approx((1 - height) * BANDS, abs=2)
    if len(drawn) > 1:
        tile = int(at[0] * rate) // TILE
        bright = np.flatnonzero((pixels(drawn[1 + tile]) == 31).any(axis=0))
        assert abs(bright[0] / rate + tile * TILE / rate - at[0]) < 0.2


def test_silence_and_what_cannot_be_decoded(tmp_path):
    assert len(set(pixels(pictures(tones(tmp_path / "x.wav", 2), 2)[2][0]).ravel())) == 1
    assert pictures(str(tmp_path / "none.wav"), 2)[2] == []
    (tmp_path / "junk.wav").write_text("junk")
    assert pictures(str(tmp_path / "junk.wav"), 2)[2] == []
