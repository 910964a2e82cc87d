"""Each class has the spectrum and the rhythm of what it is named after."""

import numpy as np
import pytest

from acdref.synth import CLASSES, impacts, machines, music, outdoors, sound, vocal
from acdref.synth.blocks import Synth
from acdref.synth.scenes import GENERATORS

SR = 16000
SEEDS = range(12)


def sounds(name, seconds=3.0):
    return [sound(name, np.random.default_rng([7, seed]), seconds) for seed in SEEDS]


def synth(seed=0):
    return Synth(np.random.default_rng(seed), SR)


def play(recipe, seed, seconds=3.0):
    return recipe(synth(seed), int(seconds * SR))


def share(x, low, high):
    """Part of the energy between two frequencies."""
    power = np.abs(np.fft.rfft(x)) ** 2
    f = np.fft.rfftfreq(len(x), 1 / SR)
    return power[(f >= low) & (f < high)].sum() / power.sum()


def levels(x, frame=160):
    """dB of each 10 ms."""
    return 10 * np.log10(np.mean(x[: len(x) // frame * frame].reshape(-1, frame) ** 2, axis=1) + 1e-12)


def spectrogram(x, size=2048):
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[:: size // 4] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames)) ** 2
    return power[power.sum(axis=1) > 0.05 * power.sum(axis=1).max()]


def tonality(x):
    """Part of the energy in the 30 (of 1025) strongest bins: 1 for tones, about 0.14 for white noise."""
    power = spectrogram(x)
    return np.median(np.sort(power, axis=1)[:, -30:].sum(axis=1) / power.sum(axis=1))


def pitches(x):
    """Frequency of the strongest bin over time."""
    return spectrogram(x).argmax(axis=1) * SR / 2048


def crest(x):
    return np.abs(x).max() / np.sqrt(np.mean(x**2))


def active(x, below=30, frame=160):
    """Part of the frames within `below` dB of the loudest."""
    return np.mean(levels(x, frame) > levels(x, frame).max() - below)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("seconds", [0.1, 0.77, 4.0])
def test_sounds_are_finite_of_unit_peak_and_of_the_asked_length(name, seconds):
    for seed in SEEDS:
        x = sound(name, np.random.default_rng(seed), seconds)
        assert x.shape == (round(seconds * SR),) and x.dtype == np.float32
        assert np.isfinite(x).all()
        assert np.abs(x).max() == 1


@pytest.mark.parametrize("name", CLASSES)
def test_the_same_seed_gives_the_same_sound_and_another_gives_another(name):
    a, b, c = (sound(name, np.random.default_rng(seed), 1.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    correlation = np.fft.irfft(np.fft.rfft(a, 32000) * np.conj(np.fft.rfft(c, 32000)))
    assert np.abs(correlation).max() / np.sqrt(np.sum(a**2) * np.sum(c**2)) < 0.8


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("sr", [22050, 44100])
def test_other_sampling_rates(name, sr):
    x = sound(name, np.random.default_rng(3), 1.0, sr)
    assert x.shape == (sr,) and np.isfinite(x).all()


@pytest.mark.parametrize("name", CLASSES)
def test_generators_stay_in_float32(name):
    """One float64 scalar from NumPy doubles the cost of all that follows."""
    for seed in range(40):
        assert GENERATORS[name](synth(seed), 4000).dtype == np.float32


def test_bad_parameters():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"unknown class 'fish'.*voice"):
        sound("fish", rng, 1.0)
    for seconds in (0.05, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="seconds"):
            sound("cat", rng, seconds)
    with pytest.raises(ValueError, match="sr"):
        sound("cat", rng, 1.0, sr=8000)


def test_voice_has_harmonics_in_the_speech_band_and_syllables():
    for x in sounds("voice"):
        assert share(x, 80, 5000) > 0.95
        # Syllables: the envelope moves more between 2 and 8 Hz than between 15 and 45.
        spectrum = np.abs(np.fft.rfft(10 ** (levels(x) / 20)))
        rates = np.fft.rfftfreq(len(levels(x)), 0.01)
        slow, fast = (spectrum[(rates >= a) & (rates < b)].mean() for a, b in ((2, 8), (15, 45)))
        assert slow > 2 * fast


def test_music_is_made_of_notes_of_its_scale():
    style = {"beat": 0.5, "key": 220.0, "scale": music.SCALES[0], "start": 0}
    assert music._pitch(style, 7) == 440.0 and music._pitch(style, -7) == 110.0
    assert np.median([tonality(x) for x in sounds("music")]) > 0.8
    note = music._plucked(synth(), 440.0, SR)
    assert np.median(pitches(note)) == pytest.approx(440, abs=8)
    early, late = note[: SR // 4], note[SR // 2 : 3 * SR // 4]
    assert share(early, 1500, 8000) > 3 * share(late, 1500, 8000)  # high harmonics die first


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


def test_street_and_machines_go_on_and_street_is_low():
    assert np.median([share(x, 0, 1000) for x in sounds("urban")]) > 0.6
    for x in sounds("urban"):
        assert active(x, 45) > 0.99  # the bed of traffic never stops
    assert np.median([active(x, frame=SR // 4) for x in sounds("machinery")]) > 0.9


def test_passing_vehicle_swells_brightens_and_drops_in_pitch():
    x = machines._vehicle(synth(), 6 * SR, 3.0)
    loud, start, end = (x[a * SR : (a + 1) * SR] for a in (2, 0, 5))
    assert np.mean(loud**2) > 4 * np.mean(start**2) and np.mean(loud**2) > 4 * np.mean(end**2)
    assert share(loud, 2000, 8000) > share(start, 2000, 8000)


def test_birds_are_high_tones_and_rain_is_noise_and_thunder_low():
    for seed in SEEDS:
        assert share(play(outdoors._birds, seed), 1200, 8000) > 0.98
        assert tonality(play(outdoors._rain, seed)) < 0.3
        assert share(play(outdoors._thunder, seed), 0, 500) > 0.6


def test_windnoise_is_below_500_hz_and_gusty():
    for x in sounds("windnoise"):
        assert share(x, 0, 500) > 0.8
    assert np.median([np.std(levels(x, SR // 4)) for x in sounds("windnoise", 6.0)]) > 3


def test_alarms_are_tonal():
    for x in sounds("alarm"):
        assert tonality(x) > 0.5
    assert np.median([tonality(x) for x in sounds("alarm")]) > 0.9


def test_sirens_sweep():
    for seed in SEEDS:
        x = play(machines._siren, seed, 6.0)
        low, high = np.quantile(pitches(x), [0.02, 0.98])
        assert low > 300 and high < 2300 and high / low > 1.25


def test_background_has_unit_level_and_no_events():
    for seed in SEEDS:
        x = play(outdoors.background, seed)
        assert np.sqrt(np.mean(x**2)) == pytest.approx(1, abs=0.3)
        assert np.ptp(levels(x, SR // 4)) < 10


def test_classes_can_be_told_apart_on_unseen_sounds():
    ensemble = pytest.importorskip("sklearn.ensemble")

    def describe(name, seed):
        power = spectrogram(sound(name, np.random.default_rng([11, seed]), 2.0), 1024)
        bands = np.log(np.add.reduceat(power, np.geomspace(2, 480, 24).astype(int), axis=1) + 1e-9)
        return np.concatenate(
            [bands.mean(axis=0), bands.std(axis=0), np.abs(np.diff(bands, axis=0)).mean(axis=0)]
        )

    def collect(seeds):
        return np.array([describe(name, seed) for name in CLASSES for seed in seeds])

    train, test = range(30), range(100, 115)
    model = ensemble.RandomForestClassifier(200, random_state=0).fit(collect(train), np.repeat(CLASSES, 30))
    accuracy = model.score(collect(test), np.repeat(CLASSES, 15))
    assert accuracy > 0.75  # chance: 0.09
