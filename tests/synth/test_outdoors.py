"""Nature, wind and the background have the spectra of what they are named after."""

import numpy as np
import pytest
from synth_support import SEEDS, SR, levels, play, share, sounds, tonality

from acdref.synth import outdoors


def test_birds_are_high_tones_and_rain_is_noise_and_thunder_low():
    for seed in SEEDS:
        assert share(play(outdoors._birds, seed), 1200, 8000) > 0.98
        assert tonality(play(outdoors._rain, seed)) < 0.3
        assert share(play(outdoors._thunder, seed), 0, 500) > 0.6


def test_windnoise_is_below_500_hz_and_gusty():
    for x in sounds("windnoise"):
        assert share(x, 0, 500) > 0.8
    assert np.median([np.std(levels(x, SR // 4)) for x in sounds("windnoise", 6.0)]) > 3


def test_background_has_unit_level_and_no_events():
    for seed in SEEDS:
        x = play(outdoors.background, seed)
        assert np.sqrt(np.mean(x**2)) == pytest.approx(1, abs=0.3)
        assert np.ptp(levels(x, SR // 4)) < 10
