"""Throats: voices, cats and dogs have the spectra and rhythms of what they are named after."""

import numpy as np
from synth_support import SEEDS, SR, active, crest, levels, play, share, sounds, synth

from acdref.synth import vocal


def test_voice_has_harmonics_in_the_speech_band_and_syllables():
    for x in sounds("voice"):
        assert share(x, 80, 5000) > 0.95
        # Syllables: the envelope moves more between 2 and 8 Hz than between 15 and 45.
        spectrum = np.abs(np.fft.rfft(10 ** (levels(x) / 20)))
        rates = np.fft.rfftfreq(len(levels(x)), 0.01)
        slow, fast = (spectrum[(rates >= a) & (rates < b)].mean() for a, b in ((2, 8), (15, 45)))
        assert slow > 2 * fast


def test_meow_rises_and_falls():
    for seed in SEEDS:
        x = vocal._meow(synth(seed), SR, 500, 1.0)
        start, middle, end = x[1600:2624], x[6400:7424], x[-2500:-1476]
        # The ranges end above half of what the pitch can be there: no octave errors.
        assert _fundamental(start, 290, 700) < _fundamental(middle, 400, 750) > _fundamental(end, 225, 650)


def _fundamental(x, low, high):
    x = x * np.hanning(len(x))
    correlation = np.fft.irfft(np.abs(np.fft.rfft(x, 2 * len(x))) ** 2)[: len(x)]
    shortest, longest = SR // high, SR // low
    return SR / (shortest + np.argmax(correlation[shortest:longest]))


def test_purr_pulses_about_25_times_per_second():
    for seed in SEEDS:
        x = play(vocal._purr, seed)
        envelope = np.sqrt(np.mean(x[: len(x) // 32 * 32].reshape(-1, 32) ** 2, axis=1))
        spectrum = np.abs(np.fft.rfft(envelope * np.hanning(len(envelope))))
        rates = np.fft.rfftfreq(len(envelope), 32 / SR)
        spectrum[rates < 8] = 0  # breathing
        assert 18 < rates[spectrum[rates < 40].argmax()] < 34
        assert share(x, 0, 2000) > 0.85


def test_barks_are_short_bursts_of_middle_frequencies():
    for seed in SEEDS:
        x = play(vocal._barks, seed, 6.0)
        assert share(x, 250, 5000) > 0.8
        assert active(x) < 0.7 and crest(x) > 5
