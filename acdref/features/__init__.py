"""Sound as networks see it: ACDnet's compressed spectrograms, and the front ends of the other papers."""

from acdref.features.compressed import (
    BINS,
    EXPONENT,
    FRAME,
    HOP,
    POWER_FLOOR,
    SAMPLE_RATE,
    compress,
    decompress,
    features,
    frames,
    stft,
)
from acdref.features.mel import log_mel
from acdref.features.papers import a_weighted_mel, decibel_mel, log_filterbank, log_mel_patches

__all__ = [
    "BINS",
    "EXPONENT",
    "FRAME",
    "HOP",
    "POWER_FLOOR",
    "SAMPLE_RATE",
    "a_weighted_mel",
    "compress",
    "decibel_mel",
    "decompress",
    "features",
    "frames",
    "log_filterbank",
    "log_mel",
    "log_mel_patches",
    "stft",
]
