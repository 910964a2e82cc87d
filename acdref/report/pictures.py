"""Spectrograms for the page: few columns and bands, since there are many recordings, and long ones."""

from functools import lru_cache
from os import PathLike

import numpy as np

from acdref.audio import decode as audio
from acdref.errors import AudioError
from acdref.features.mel import hz_to_mel, log_mel, mel_filterbank
from acdref.listen import palette, png

BANDS = 64
SHORT = 30.0
"""Seconds up to which a recording has a column for each 32 ms; a longer one for each 128 ms."""
TILE = 512
"""Columns of a picture of a part."""
WHOLE = 2048
"""Columns of the picture of a whole recording, at most."""

_RATE, _HOP, _N_FFT = 16000, 512, 1024
_BLOCK = 64 * _HOP  # samples decoded at a time
_POOL = 4
_RANGE = 70.0  # dB from the brightest colour to the darkest
_COLOURS = 32  # a file of half the size that 256 would make


def pictures(path: str | PathLike, seconds: float) -> tuple[float, float, list[bytes]]:
    """Draw a recording.

    Parameters
    ----------
    path : str or path-like
    seconds : float
        How long it is, or about.

    Returns
    -------
    rate : float
        Columns a second, of the pictures of parts.
    column : float
        Seconds of a column of the first picture, that of the whole.
    pictures : list of bytes
        PNG files: the whole; then, if that has not all columns, parts of :data:`TILE` columns.  Up is high:
        :data:`BANDS` mel bands from 0 to 8 kHz.  Empty if it cannot be decoded at all.

    Notes
    -----
    Log-mel spectrogram (64 ms windows, 32 ms apart, Slaney's scale), the highest of neighbours where there
    are fewer columns, 70 dB from the loudest down in 32 colours.  Memory: 64 bytes a column, 1.8 MB an hour.
    """
    pool = 1 if seconds <= SHORT else _POOL
    levels = _levels(path, pool)  # (BANDS, T)
    rate = _RATE / _HOP / pool
    width = levels.shape[1]
    if not width:
        return rate, 1 / rate, []
    wide = -(-width // WHOLE)
    whole = _highest(levels, wide)
    drawn = [whole] if wide == 1 else [whole, *(levels[:, i : i + TILE] for i in range(0, width, TILE))]
    colours, top = palette(_COLOURS), float(levels.max())
    return rate, wide / rate, [png(_pixels(each, top), colours) for each in drawn]


def hertz() -> list[tuple[int, float]]:
    """Frequencies to name beside a picture, and how high up they are, from 0 to 1."""
    top = float(hz_to_mel(_RATE / 2))
    return [(f, round(float(hz_to_mel(f)) / top, 4)) for f in (250, 500, 1000, 2000, 4000)]


def _levels(path, pool):
    """Decibels in steps of a half above -100, (BANDS, T) uint8, as far as the recording can be decoded."""
    bank, parts = _filterbank(), [np.zeros((BANDS, 0), np.uint8)]
    try:
        for block in audio.blocks(path, _RATE, _BLOCK / _RATE):
            x = np.pad(block.samples, (0, max(0, _N_FFT // 2 + 1 - len(block.samples))))
            columns = log_mel(x, bank, _HOP)[: -(-len(block.samples) // _HOP)].T  # (BANDS, T)
            parts.append(_highest(np.clip(np.rint((columns + 100) * 2), 0, 255).astype(np.uint8), pool))
    except AudioError:
        pass  # said where it was scored
    return np.concatenate(parts, axis=1)


@lru_cache(maxsize=1)
def _filterbank():
    return mel_filterbank(_RATE, _N_FFT, BANDS)


def _highest(levels, pool):
    """The highest of so many neighbours in time."""
    if pool == 1:
        return levels
    padded = np.pad(levels, ((0, 0), (0, -levels.shape[1] % pool)))
    return padded.reshape(len(levels), -1, pool).max(axis=2)


def _pixels(levels, top):
    decibels = (levels - top) / 2
    return np.rint(np.clip(1 + decibels / _RANGE, 0, 1) * (_COLOURS - 1)).astype(np.uint8)[::-1]
