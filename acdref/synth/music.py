"""Music: scales, chords and a beat, played on plucked strings, winds, organs, bells and drums."""

import numpy as np

from acdref.synth.blocks import (
    add_at,
    decay,
    filtered,
    glide,
    harmonics,
    high_pass,
    log_uniform,
    pick,
    room,
    swell,
    wave,
    white,
)

SCALES = (
    [0, 2, 4, 5, 7, 9, 11],
    [0, 2, 3, 5, 7, 8, 10],
    [0, 2, 4, 7, 9],
    [0, 3, 5, 7, 10],
    [0, 2, 3, 5, 7, 9, 10],
)


def music(rng, n, sr):
    """One to three parts (melody, chords, bass, drums) in one key and tempo."""
    style = {
        "beat": 60 / rng.uniform(65, 170),
        "key": log_uniform(rng, 110, 220),
        "scale": SCALES[rng.integers(len(SCALES))],
        "start": 0 if rng.random() < 0.7 else rng.uniform(0, 0.05),
    }
    parts = pick(
        rng,
        [
            (3, (_melody,)),
            (2, (_chords,)),
            (2, (_melody, _chords)),
            (1, (_drums,)),
            (1, (_drums, _bass)),
            (2, (_drums, _bass, _chords)),
            (2, (_drums, _bass, _melody)),
        ],
    )
    out = np.zeros(n, np.float32)
    for part in parts:
        played = part(rng, n, sr, style)
        out += log_uniform(rng, 0.4, 1.0) * played / (np.sqrt(np.mean(played**2)) + 1e-9)
    if rng.random() < 0.5:
        out = room(rng, out, sr, rng.uniform(0.3, 1.8), rng.uniform(0.1, 0.5))
    return out


def _pitch(style, degree):
    octave, step = divmod(degree, len(style["scale"]))
    return style["key"] * 2 ** (octave + style["scale"][step] / 12)


# Parts


def _melody(rng, n, sr, style):
    """A random walk on the scale in notes of a half to two beats, with some rests."""
    play = _instrument(rng)
    out = np.zeros(n, np.float32)
    octave = rng.integers(1, 4)
    degree = int(rng.integers(len(style["scale"])))
    start, first = style["start"] * sr, True
    while start < n:
        beats = rng.choice([0.5, 0.5, 1.0, 1.0, 1.5, 2.0])
        if first or rng.random() < 0.88:
            size = int(sr * style["beat"] * beats)
            note = play(rng, _pitch(style, degree) * 2.0 ** (octave - 1), size, sr)
            add_at(out, int(start), rng.uniform(0.5, 1.0) * note)
        start, first = start + sr * style["beat"] * beats, False
        degree = int(np.clip(degree + rng.integers(-3, 4), -3, 9))
    return out


def _chords(rng, n, sr, style):
    """Triads, repeated in a rhythm, that change every two or four beats."""
    play = _instrument(rng)
    beats = int(rng.choice([2, 4]))
    stroke = float(rng.choice([0.5, 1.0, beats]))
    strum = rng.uniform(0, 0.03)
    out = np.zeros(n, np.float32)
    size = int(sr * style["beat"] * stroke)
    bar = style["start"] * sr
    while bar < n:
        root = int(rng.choice([0, 1, 3, 4, 5]))
        chord = np.zeros(int(size * 1.6), np.float32)
        for k, third in enumerate((0, 2, 4)):
            add_at(chord, int(k * strum * sr), play(rng, _pitch(style, root + third), size, sr))
        for k in range(round(beats / stroke)):
            add_at(out, int(bar + k * stroke * style["beat"] * sr), rng.uniform(0.7, 1.0) * chord)
        bar += beats * style["beat"] * sr
    return out


def _bass(rng, n, sr, style):
    out = np.zeros(n, np.float32)
    size = int(sr * style["beat"])
    degree = 0
    for k, start in enumerate(np.arange(style["start"] * sr, n, size)):
        if k % 4 == 0:
            degree = int(rng.choice([0, 3, 4, 5]))
        add_at(out, int(start), rng.uniform(0.6, 1) * _plucked(rng, _pitch(style, degree) / 2, size, sr))
    return out


def _drums(rng, n, sr, style):
    """Kick, snare and hi-hat on a grid of eighths, in a pattern that repeats."""
    kit = (_kick(rng, sr), _snare(rng, sr), _hat(rng, sr))
    patterns = np.zeros((3, 8), bool)
    patterns[0, [0, 4]] = True
    patterns[1, [2, 6]] = True
    patterns[2, :: int(rng.choice([1, 2]))] = True
    patterns ^= rng.random(patterns.shape) < 0.12
    patterns[0, 0] = True
    out = np.zeros(n, np.float32)
    for k, start in enumerate(np.arange(style["start"] * sr, n, sr * style["beat"] / 2)):
        for drum, pattern in zip(kit, patterns, strict=True):
            if pattern[k % 8]:
                add_at(out, int(start), rng.uniform(0.6, 1.0) * drum)
    return out


# Instruments: (rng, pitch, samples, sr) -> note


def _instrument(rng):
    return pick(rng, [(3, _plucked), (2, _blown(rng)), (2, _organ(rng)), (1, _struck(rng))])


def _plucked(rng, pitch, n, sr):
    """A string: high harmonics die first, so the brightness falls while the note decays."""
    n = int(n * 1.4)
    bright = min(1900, pitch * rng.uniform(2.0, 6.0))
    shine = bright * np.exp(-np.linspace(0, 2.0, n, dtype=np.float32)) + 0.4 * pitch
    return (
        harmonics(pitch, np.minimum(shine, 1900), n, sr)
        * decay(n, sr, 2.5 * n / sr)
        * swell(n, sr, 0.002, 0.03)
    )


def _blown(rng):
    """A flute, reed or bowed string: vibrato, breath noise, a soft start."""
    depth, rate = rng.uniform(0, 0.012), rng.uniform(4, 7)
    bright, breath = rng.uniform(0.4, 4.0), log_uniform(rng, 0.003, 0.08)
    attack = rng.uniform(0.02, 0.1)

    def play(rng, pitch, n, sr):
        f0 = pitch * (1 + depth * wave(rate, n, sr) * glide([0, 1, 1], n))
        tone = harmonics(f0, min(1900, pitch * bright), n, sr) + breath * white(rng, n)
        return tone * swell(n, sr, attack, 0.05)

    return play


def _organ(rng):
    """A pad of detuned voices with a slow tremolo."""
    detune, bright = rng.uniform(0.001, 0.008), rng.uniform(0.5, 3.0)
    depth, rate = rng.uniform(0, 0.4), rng.uniform(2, 7)

    def play(rng, pitch, n, sr):
        brightness = min(1900, pitch * bright)
        tone = harmonics(pitch, brightness, n, sr) + harmonics(pitch * (1 + detune), brightness, n, sr)
        return tone * (1 + depth * wave(rate, n, sr)) * swell(n, sr, 0.03, 0.06)

    return play


def _struck(rng):
    """A mallet or electric piano: frequency modulation whose depth dies with the note."""
    ratio, depth = float(rng.choice([1.0, 2.0, 3.0, 3.5, 4.0])), rng.uniform(0.3, 2.0)

    def play(rng, pitch, n, sr):
        n = int(n * 1.4)
        fall = decay(n, sr, 2.0 * n / sr)
        return (
            wave(pitch, n, sr, depth * fall * wave(pitch * ratio, n, sr)) * fall * swell(n, sr, 0.002, 0.03)
        )

    return play


def _kick(rng, sr):
    n = int(sr * rng.uniform(0.15, 0.35))
    f = log_uniform(rng, 40, 65) * (1 + 3 * np.exp(-np.linspace(0, rng.uniform(8, 20), n, dtype=np.float32)))
    return 1.5 * wave(f, n, sr) * decay(n, sr, n / sr)


def _snare(rng, sr):
    n = int(sr * rng.uniform(0.12, 0.25))
    noise = filtered(white(rng, n), sr, lambda f: high_pass(f, 800, 1))
    return (0.5 * wave(log_uniform(rng, 150, 250), n, sr) + 0.4 * noise) * decay(n, sr, n / sr)


def _hat(rng, sr):
    n = int(sr * rng.uniform(0.04, 0.15))
    low = rng.uniform(4000, 6000)
    return 0.35 * filtered(white(rng, n), sr, lambda f: high_pass(f, low, 4)) * decay(n, sr, n / sr, 0.001)
