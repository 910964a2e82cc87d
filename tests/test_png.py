import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref.png import png

GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def decoded(data):
    """A reader of what the writer writes: chunks with their sums checked, then pixels and palette."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (n,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + n]
        assert struct.unpack(">I", data[at + 8 + n : at + 12 + n]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + n
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [8, 3, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width)
    assert not rows[:, 0].any()
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


@given(PIXELS)
def test_there_and_back(pixels):
    found, palette = decoded(png(pixels, GREYS))
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(palette, GREYS)


@given(PIXELS)
def test_another_reader_agrees(pixels):
    image = pytest.importorskip("matplotlib.image")
    from io import BytesIO

    found = image.imread(BytesIO(png(pixels, GREYS)), format="png")
    np.testing.assert_array_equal(np.rint(found[..., 0] * 255), pixels)


@pytest.mark.parametrize(
    ("pixels", "palette", "words"),
    [
        (np.zeros((2, 2)), GREYS, "matrix of uint8, not float64"),
        (np.zeros(2, np.uint8), GREYS, "matrix"),
        (np.zeros((0, 2), np.uint8), GREYS, "matrix"),
        (np.full((2, 2), 3, np.uint8), GREYS[:3], "colour for every pixel"),
        (np.zeros((2, 2), np.uint8), GREYS[:, :2], "palette"),
        (np.zeros((2, 2), np.uint8), np.zeros((300, 3), np.uint8), "palette"),
    ],
)
def test_what_is_no_picture(pixels, palette, words):
    with pytest.raises(ValueError, match=words):
        png(pixels, palette)
