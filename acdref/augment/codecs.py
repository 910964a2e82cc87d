"""Lossy coding there and back, by the encoders of the installed libsndfile, in memory.

===========  ========================  =====================================================
``vorbis``   Ogg Vorbis                variable rate; at 16 kHz about 25 to 55 kbit/s
``opus``     Ogg Opus                  rates of 8, 12, 16, 24 and 48 kHz; about 6 to 256 kbit/s
``mp3``      MPEG-2 layer III (LAME)   rates from 8 to 48 kHz; at 16 kHz about 18 to 62 kbit/s
===========  ========================  =====================================================

All three decoders take the encoder's delay away again by what the file says of it, so nothing moves in time
(the tests measure it).  Another version of libsndfile may give other samples, and one built without an
encoder none; :func:`available` tells.
"""

from contextlib import suppress
from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import ArrayLike

from acdref.augment.sound import Sound, as_sound

__all__ = ["recode"]

FORMATS = {"vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}
"""Format and subtype of each codec, in soundfile's words."""

_BLOCK = 4096  # samples; libsndfile's Vorbis encoder keeps a whole block on its stack
_PEAK = 0.5  # of what is coded: above it, decoders may clip
_COARSEST = 0.99  # the compression level that all encoders take, unlike 1


def recode(x: ArrayLike, codec: str, quality: float, sr: int = 16000) -> Sound:
    """Encode and decode.

    Parameters
    ----------
    x : ndarray, (n,), float32
    codec : {"vorbis", "opus", "mp3"}
    quality : float
        0 (smallest file) to 1 (best).
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray, (n,), float32
        Not delayed.  The level of the signal makes no difference: it is coded at a peak of 0.5.

    Raises
    ------
    ValueError
        If there is no such codec, the installed libsndfile lacks it, or it does not work at this rate.

    Examples
    --------
    >>> x = np.sin(np.arange(16000, dtype=np.float32) / 10)
    >>> np.abs(recode(x, "vorbis", 1.0) - x)[1000:-1000].max() < 0.05
    np.True_
    """
    if codec not in FORMATS:
        raise ValueError(f"codec = {codec!r}: choose one of {', '.join(map(repr, FORMATS))}")
    if not 0 <= quality <= 1:
        raise ValueError(f"the quality must be within [0, 1], not {quality}")
    x = as_sound(x)  # LAME ends the process where a sample is NaN
    peak = np.abs(x).max(initial=np.float32(0))
    if peak == 0:
        return x.copy()
    from soundfile import LibsndfileError

    try:
        y = _there_and_back(x / peak * np.float32(_PEAK), codec, quality, sr)
    except (LibsndfileError, ValueError) as error:
        raise ValueError(f"{codec} at {sr} Hz: {error}") from None
    return y * (peak / np.float32(_PEAK))


@cache
def available(sr: int = 16000) -> tuple[str, ...]:
    """Which codecs the installed libsndfile has, and at this rate.

    Parameters
    ----------
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> set(available(1234)) & {"opus", "mp3"}
    set()
    """
    x = np.linspace(-1, 1, 1000, dtype=np.float32)
    found = []
    for codec in FORMATS:
        with suppress(ValueError):
            recode(x, codec, 0.5, sr)
            found.append(codec)
    return tuple(found)


def _there_and_back(x, codec, quality, sr):
    from soundfile import SoundFile

    container, subtype = FORMATS[codec]
    file = BytesIO()
    level = min(1 - quality, _COARSEST)
    with SoundFile(file, "w", sr, 1, subtype, format=container, compression_level=level) as sound:
        for start in range(0, len(x), _BLOCK):
            sound.write(x[start : start + _BLOCK])
    file.seek(0)
    y = np.zeros(len(x), np.float32)
    with SoundFile(file) as sound:
        sound.read(out=y)
    return y
