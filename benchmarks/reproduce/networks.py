"""The networks of the reproductions, and what they see of the sound."""

from functools import cache

import numpy as np

from acdref.features.compressed import SAMPLE_RATE
from acdref.features.front_ends import FRONT_ENDS, FrontEnd
from acdref.features.mel import log_mel, mel_filterbank
from acdref.nets import ACDNET_2024, ACDNetConfig, Block


@cache
def _bank():
    return mel_filterbank(SAMPLE_RATE, 1024, 64, 50, 8000)


def mel_features(x):
    """64 mel bands in decibels, 32 ms apart, around 0: a sixteenth of the numbers that ACDnet sees."""
    return ((log_mel(x, _bank(), 512) + 40) / 20)[..., None].astype(np.float32)


SMALL = ACDNetConfig(
    stem=16,
    blocks=(Block(16, 1, (2, 4)), Block(32, 1, (2, 2), 16), Block(64, 1, (2, 2)), Block(64, 1, (1, 2))),
    bins=64,
    inputs=1,
)
"""Four of ACDnet's blocks, narrow, one with attention, none dilated, for mel bands: 13,099 parameters."""

NETWORKS = {
    "small": (SMALL, FrontEnd(mel_features, SAMPLE_RATE, 512, lambda n: 1 + n // 512)),
    "acdnet": (ACDNET_2024, FRONT_ENDS["compressed-stft"]),
}
"""Name -> (layer table, front end)."""
