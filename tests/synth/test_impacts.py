"""Claps and shots are short."""

import numpy as np
from synth_support import SR, crest, levels, share, sounds, synth, tonality

from acdref.synth import impacts


def test_claps_are_impulsive_and_broad():
    for x in sounds("clapping"):
        assert crest(x) > 5  # Gaussian noise: about 4.3
        assert share(x, 500, 8000) > 0.7
        assert tonality(x) < 0.5
    single = impacts._clap(synth(), 1500)
    assert np.sum(single[: SR // 50] ** 2) > 0.99 * np.sum(single**2)  # over after 20 ms


def test_gunshots_jump_up_and_die_slowly():
    for x in sounds("gunshot"):
        assert crest(x) > 8
        steps = np.diff(levels(x))
        assert steps.max() > 14 and steps.max() > -steps.min()
