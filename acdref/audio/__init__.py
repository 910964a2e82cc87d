"""Recordings in, mono float32 at the asked rate out: decoding, whole or in windows, and resampling."""

from acdref.audio.decode import LOUDEST, MOST_CHANNELS, blocks, load
from acdref.audio.resampling import HIGHEST_RATE, LOWEST_RATE, resample

__all__ = ["HIGHEST_RATE", "LOUDEST", "LOWEST_RATE", "MOST_CHANNELS", "blocks", "load", "resample"]
