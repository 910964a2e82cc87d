"""Music: scales, chords and a beat, played on plucked strings, winds, organs, bells and drums."""

import numpy as np

from acdref.synth.blocks import Samples, Synth, add_at, glide, high_pass

MAJOR, MINOR, DORIAN = [0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 9, 10]
SCALES = (MAJOR, MINOR, [0, 2, 4, 7, 9], [0, 3, 5, 7, 10], DORIAN)


def music(s: Synth, n: int) -> Samples:
    """One to three parts (melody, chords, bass, drums) in one key and tempo."""
    style = {
        "beat": 60 / s.uniform(65, 170),
        "key": s.log_uniform(110, 220),
        "scale": SCALES[s.rng.integers(len(SCALES))],
        "start": 0 if s.rng.random() < 0.7 else s.uniform(0, 0.05),
    }
    bands = [(3, [_melody]), (2, [_chords]), (2, [_melody, _chords]), (1, [_drums]), (1, [_drums, _bass])]
    bands += [(2, [_drums, _bass, _chords]), (2, [_drums, _bass, _melody])]
    out = np.zeros(n, np.float32)
    for part in s.pick(bands):
        played = part(s, n, style)
        out += s.log_uniform(0.4, 1.0) * played / (np.sqrt(np.mean(played**2)) + 1e-9)
    if s.rng.random() < 0.5:
        out = s.room(out, s.uniform(0.3, 1.8), s.uniform(0.1, 0.5))
    return out


def _pitch(style, degree):
    octave, step = divmod(degree, len(style["scale"]))
    return style["key"] * 2 ** (octave + style["scale"][step] / 12)


# Parts


def _melody(s, n, style):
    """A random walk on the scale in notes of a half to two beats, with some rests."""
    play = _instrument(s)
    out = np.zeros(n, np.float32)
    octave = s.rng.integers(1, 4)
    degree = int(s.rng.integers(len(style["scale"])))
    start, first = style["start"] * s.sr, True
    while start < n:
        beats = s.rng.choice([0.5, 0.5, 1.0, 1.0, 1.5, 2.0])
        if first or s.rng.random() < 0.88:
            size = int(s.sr * style["beat"] * beats)
            note = play(s, _pitch(style, degree) * 2.0 ** (octave - 1), size)
            add_at(out, int(start), s.uniform(0.5, 1.0) * note)
        start, first = start + s.sr * style["beat"] * beats, False
        degree = int(np.clip(degree + s.rng.integers(-3, 4), -3, 9))
    return out


def _chords(s, n, style):
    """Triads, repeated in a rhythm, that change every two or four beats."""
    play = _instrument(s)
    beats = int(s.rng.choice([2, 4]))
    stroke = float(s.rng.choice([0.5, 1.0, beats]))
    strum = s.uniform(0, 0.03)
    out = np.zeros(n, np.float32)
    size = int(s.sr * style["beat"] * stroke)
    bar = style["start"] * s.sr
    while bar < n:
        root = int(s.rng.choice([0, 1, 3, 4, 5]))
        chord = np.zeros(int(size * 1.6), np.float32)
        for k, third in enumerate((0, 2, 4)):
            add_at(chord, int(k * strum * s.sr), play(s, _pitch(style, root + third), size))
        for k in range(round(beats / stroke)):
            add_at(out, int(bar + k * stroke * style["beat"] * s.sr), s.uniform(0.7, 1.0) * chord)
        bar += beats * style["beat"] * s.sr
    return out


def _bass(s, n, style):
    out = np.zeros(n, np.float32)
    size = int(s.sr * style["beat"])
    degree = 0
    for k, start in enumerate(np.arange(style["start"] * s.sr, n, size)):
        if k % 4 == 0:
            degree = int(s.rng.choice([0, 3, 4, 5]))
        add_at(out, int(start), s.uniform(0.6, 1) * _plucked(s, _pitch(style, degree) / 2, size))
    return out


def _drums(s, n, style):
    """Kick, snare and hi-hat on a grid of eighths, in a pattern that repeats."""
    kit = (_kick(s), _snare(s), _hat(s))
    patterns = np.zeros((3, 8), bool)
    patterns[0, [0, 4]] = True
    patterns[1, [2, 6]] = True
    patterns[2, :: int(s.rng.choice([1, 2]))] = True
    patterns ^= s.rng.random(patterns.shape) < 0.12
    patterns[0, 0] = True
    out = np.zeros(n, np.float32)
    for k, start in enumerate(np.arange(style["start"] * s.sr, n, s.sr * style["beat"] / 2)):
        for drum, pattern in zip(kit, patterns, strict=True):
            if pattern[k % 8]:
                add_at(out, int(start), s.uniform(0.6, 1.0) * drum)
    return out


# Instruments: (rng, pitch, samples, sr) -> note


def _instrument(s):
    return s.pick([(3, _plucked), (2, _blown(s)), (2, _organ(s)), (1, _struck(s))])


def _plucked(s, pitch, n):
    """A string: high harmonics die first, so the brightness falls while the note decays."""
    n = int(n * 1.4)
    bright = min(1900, pitch * s.uniform(2.0, 6.0))
    shine = bright * np.exp(-np.linspace(0, 2.0, n, dtype=np.float32)) + 0.4 * pitch
    string = s.harmonics(pitch, np.minimum(shine, 1900), n)
    return string * s.decay(n, 2.5 * n / s.sr) * s.swell(n, 0.002, 0.03)


def _blown(s):
    """A flute, reed or bowed string: vibrato, breath noise, a soft start."""
    depth, rate = s.uniform(0, 0.012), s.uniform(4, 7)
    bright, breath = s.uniform(0.4, 4.0), s.log_uniform(0.003, 0.08)
    attack = s.uniform(0.02, 0.1)

    def play(s, pitch, n):
        f0 = pitch * (1 + depth * s.wave(rate, n) * glide([0, 1, 1], n))
        tone = s.harmonics(f0, min(1900, pitch * bright), n) + breath * s.white(n)
        return tone * s.swell(n, attack, 0.05)

    return play


def _organ(s):
    """A pad of detuned voices with a slow tremolo."""
    detune, bright = s.uniform(0.001, 0.008), s.uniform(0.5, 3.0)
    depth, rate = s.uniform(0, 0.4), s.uniform(2, 7)

    def play(s, pitch, n):
        brightness = min(1900, pitch * bright)
        tone = s.harmonics(pitch, brightness, n) + s.harmonics(pitch * (1 + detune), brightness, n)
        return tone * (1 + depth * s.wave(rate, n)) * s.swell(n, 0.03, 0.06)

    return play


def _struck(s):
    """A mallet or electric piano: frequency modulation whose depth dies with the note."""
    ratio, depth = float(s.rng.choice([1.0, 2.0, 3.0, 3.5, 4.0])), s.uniform(0.3, 2.0)

    def play(s, pitch, n):
        n = int(n * 1.4)
        fall = s.decay(n, 2.0 * n / s.sr)
        return s.wave(pitch, n, depth * fall * s.wave(pitch * ratio, n)) * fall * s.swell(n, 0.002, 0.03)

    return play


def _kick(s):
    n = int(s.sr * s.uniform(0.15, 0.35))
    f = s.log_uniform(40, 65) * (1 + 3 * np.exp(-np.linspace(0, s.uniform(8, 20), n, dtype=np.float32)))
    return 1.5 * s.wave(f, n) * s.decay(n, n / s.sr)


def _snare(s):
    n = int(s.sr * s.uniform(0.12, 0.25))
    noise = s.filtered(s.white(n), lambda f: high_pass(f, 800, 1))
    return (0.5 * s.wave(s.log_uniform(150, 250), n) + 0.4 * noise) * s.decay(n, n / s.sr)


def _hat(s):
    n = int(s.sr * s.uniform(0.04, 0.15))
    low = s.uniform(4000, 6000)
    return 0.35 * s.filtered(s.white(n), lambda f: high_pass(f, low, 4)) * s.decay(n, n / s.sr, 0.001)
