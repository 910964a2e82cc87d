"""Pictures of numbers, as PNG files."""

import struct
import zlib

import numpy as np


def png(pixels, palette):
    """Encode a picture.

    Parameters
    ----------
    pixels : (height, width) array of uint8
        Numbers of colours; the first row is the top.
    palette : (K, 3) array of uint8
        Red, green and blue of each colour; K at most 256, and above every number in `pixels`.

    Returns
    -------
    bytes
        A PNG file with a palette (ISO/IEC 15948, colour type 3).

    Raises
    ------
    ValueError
        If a shape or type is another, or a pixel has no colour.

    Examples
    --------
    >>> png(np.array([[0, 1]], np.uint8), np.array([[0, 0, 0], [255, 0, 0]], np.uint8))[:4]
    b'\\x89PNG'
    """
    pixels, palette = np.asarray(pixels), np.asarray(palette)
    if pixels.ndim != 2 or pixels.size == 0 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be a matrix of uint8, not {pixels.dtype} of shape {pixels.shape}")
    if palette.shape[1:] != (3,) or palette.dtype != np.uint8 or not pixels.max() < len(palette) <= 256:
        raise ValueError("the palette must be (K, 3) uint8 with a colour for every pixel, K at most 256")
    height, width = pixels.shape
    rows = np.zeros((height, 1 + width), np.uint8)  # each begins with its filter: 0, none
    rows[:, 1:] = pixels
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            # 8 bits a pixel, colour type 3, the only compression and filters there are, not interlaced
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette.tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
