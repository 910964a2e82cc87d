"""Music is made of notes."""

import numpy as np
import pytest
from synth_support import SR, pitches, share, sounds, synth, tonality

from acdref.synth import music


def test_music_is_made_of_notes_of_its_scale():
    style = {"beat": 0.5, "key": 220.0, "scale": music.SCALES[0], "start": 0}
    assert music._pitch(style, 7) == 440.0 and music._pitch(style, -7) == 110.0
    assert music._pitch(style, 4) == pytest.approx(220 * 1.5, rel=2e-3)  # a fifth
    assert np.median([tonality(x) for x in sounds("music")]) > 0.8
    note = music._plucked(synth(), 440.0, SR)
    assert np.median(pitches(note)) == pytest.approx(440, abs=8)
    early, late = note[: SR // 4], note[SR // 2 : 3 * SR // 4]
    assert share(early, 1500, 8000) > 3 * share(late, 1500, 8000)  # high harmonics die first
