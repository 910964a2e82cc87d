"""Sounds made by throats: voice, cat, dog.  A harmonic or noisy source through moving resonances."""

from itertools import pairwise

import numpy as np

from acdref.synth.blocks import Samples, Synth, add_at, glide, high_pass, low_pass, played, resonance

# First three formants (Hz) of an adult male's vowels, after Peterson and Barney (1952), Table II.
FORMANTS = (
    [270, 390, 530, 660, 730, 570, 440, 300, 640, 490],
    [2290, 1990, 1840, 1720, 1090, 840, 1020, 870, 1190, 1350],
    [3010, 2550, 2480, 2410, 2440, 2410, 2240, 2240, 2390, 1690],
)
VOWELS = np.array(FORMANTS, np.float32).T  # (10, 3)


# Voice


def voice(s: Synth, n: int) -> Samples:
    """Speech: one speaker, a shout, a whisper, or a babble of several."""
    speakers = s.pick([(8, 1), (1, 2), (1, int(s.rng.integers(3, 6)))])
    return sum(s.log_uniform(0.4, 1.0) * _speaker(s, n) for _ in range(speakers))


def _speaker(s, n):
    """Phrases of one voice, with pauses between them."""
    tract = s.log_uniform(0.95, 1.4)  # formants of a shorter vocal tract are higher
    height = 105 * tract ** s.uniform(1.5, 3.5) * s.uniform(0.85, 1.2)  # of the voice, Hz
    rate = s.uniform(2.8, 6.5)  # syllables per second
    effort = s.log_uniform(700, 1900)  # brightness of the source
    liveliness = s.uniform(0.05, 0.35)
    breath = 1.0 if s.rng.random() < 0.07 else s.log_uniform(0.01, 0.15)  # 1 = whisper

    def phrase(size):
        """On one breath: the pitch falls, each vowel glides into the next, consonants in between."""
        count = max(1, round(size / s.sr * rate))
        edges = np.linspace(0, size, count + 1) + s.uniform(-0.2, 0.2, count + 1) * size / count
        accents = liveliness * s.rng.standard_normal(2 * count + 1)
        pitch = height * np.exp2(glide(accents, size) + glide([0.15, -0.2], size))
        pitch *= 1 + 0.01 * s.wander(size, 40)
        vowels = VOWELS[s.rng.integers(len(VOWELS), size=2 * count + 1)] * tract
        source = (1 - breath) * s.harmonics(pitch, effort, size) + 1.5 * breath * s.white(size)
        voiced = _through_formants(s, source, vowels)
        loudness, consonants = _syllables(s, size, np.clip(edges, 0, size).astype(int))
        return voiced / (np.sqrt(np.mean(voiced**2)) + 1e-9) * loudness + consonants

    out = np.zeros(n, np.float32)
    start = 0
    while n - start > s.sr // 20:
        size = min(int(s.sr * s.uniform(0.6, 3.0)), n - start)
        add_at(out, start, phrase(size))
        start += size + int(s.sr * s.log_uniform(0.1, 0.8))
    return out


def _syllables(s, n, edges):
    """The loudness of the vowels between the edges of syllables, and the consonants that begin them."""
    loudness, consonants = np.zeros((2, n), np.float32)
    for start, end in pairwise(edges):
        onset, size = _consonant(s)
        if size:
            add_at(consonants, start, onset * s.log_uniform(0.1, 0.5))
        vowel = min(start + size, end - 1)
        stress = s.log_uniform(0.4, 1.0)
        add_at(loudness, vowel, stress * s.swell(end - vowel, 0.03, s.uniform(0.04, 0.12)))
    return loudness, consonants


def _consonant(s):
    """A fricative, a plosive or none: its sound, and the samples by which it delays the vowel."""
    kind = s.rng.random()
    if kind < 0.45:
        return np.zeros(1, np.float32), 0
    if kind < 0.75:
        n = int(s.sr * s.uniform(0.05, 0.13))
        centre, width = s.log_uniform(2200, 6500), s.uniform(1500, 3500)
        noise = s.filtered(s.white(n), lambda f: resonance(f, centre, width) ** 2)
        return 1.3 * noise * s.swell(n, 0.03, 0.03), n
    gap, n = int(s.sr * s.uniform(0.02, 0.07)), int(s.sr * s.uniform(0.015, 0.04))
    centre = s.log_uniform(800, 5000)
    burst = s.filtered(s.white(n), lambda f: resonance(f, centre, 2000)) * s.decay(n, 0.04)
    return np.concatenate([np.zeros(gap, np.float32), 1.3 * burst]), gap + n


def _through_formants(s, source, targets, widths=(80, 110, 170)):
    """Source through resonances that move through `targets` (points, formants), each weaker than the last."""
    grid = np.linspace(0, 1, len(targets), dtype=np.float32)

    def gain(u, f):
        total = 0.02 * np.ones(np.broadcast_shapes(u.shape, f.shape), np.float32)
        for k, width in enumerate(widths):
            centre = np.interp(u[:, 0], grid, targets[:, k]).astype(np.float32)[:, None]
            total += np.float32(0.75**k) * resonance(f, centre, np.float32(width))
        return total

    return s.filter_moving(source, gain)


# Cat


def cat(s: Synth, n: int) -> Samples:
    """Meows of one cat, sometimes purring or a hiss."""
    return s.pick([(7, _meows), (2, _purr), (1, _hisses)])(s, n)


def _meows(s, n):
    pitch, length = s.log_uniform(330, 900), s.log_uniform(0.35, 1.1)
    tract = s.log_uniform(0.8, 1.3)

    def meow():
        size = int(s.sr * length * s.log_uniform(0.75, 1.3))
        return s.log_uniform(0.4, 1.0) * _meow(s, size, pitch, tract)

    return played(n, s.onsets(n, length + 0.15, length + 2.0), meow)


def _meow(s, n, pitch, tract):
    """The mouth opens and closes: the first two formants rise and fall again, and the pitch with them."""
    rise, fall = s.uniform(0.7, 0.95), s.uniform(0.55, 0.9)
    base = pitch * s.log_uniform(0.85, 1.2)
    f0 = base * glide([rise, 1.0, s.uniform(0.9, 1.05), fall], n)
    f0 *= 1 + 0.015 * s.wander(n, 25)
    brightness = base * glide([0.8, s.uniform(2.0, 3.5), 2.0, 0.8], n)
    source = s.harmonics(f0, np.minimum(brightness, 1900), n) + s.log_uniform(0.01, 0.2) * s.white(n)
    targets = tract * np.array([[500, 1600, 3200], [1000, 1900, 3600], [1200, 2300, 3800], [700, 1300, 3300]])
    meow = _through_formants(s, source, targets * s.uniform(0.9, 1.1, targets.shape), (300, 400, 700))
    return meow * s.swell(n, s.uniform(0.04, 0.15), s.uniform(0.1, 0.35))


def _purr(s, n):
    """About 25 pulses per second, breathing in and out at slightly different rates."""
    breath = _breath(s, n)
    rate = s.uniform(21, 30) * (1 + 0.08 * breath)
    pulses = np.maximum(0, s.harmonics(rate, 150, n)) + 0.1
    low, high = s.log_uniform(60, 150), s.log_uniform(250, 1200)
    purr = s.filtered(s.white(n) * pulses, lambda f: high_pass(f, low, 1) * low_pass(f, high, 1.5))
    return purr * (0.65 + 0.35 * breath)


def _breath(s, n):
    """Curve in [-1, 1] that swings about once in one to two seconds."""
    return np.tanh(2 * np.sin(np.linspace(0, 2 * np.pi * s.uniform(0.5, 1) * n / s.sr, n, dtype=np.float32)))


def _hisses(s, n):
    low, centre = s.log_uniform(800, 2000), s.log_uniform(2500, 5500)

    def hiss():
        size = int(s.sr * s.uniform(0.3, 1.0))
        noise = s.filtered(s.white(size), lambda f: high_pass(f, low) * resonance(f, centre, 3000))
        return noise * s.swell(size, s.uniform(0.02, 0.1), s.uniform(0.15, 0.5))

    return played(n, s.onsets(n, 0.7, 2.0), hiss)


# Dog


def dog(s: Synth, n: int) -> Samples:
    """Barks in bouts, sometimes growls, or whines and howls."""
    return s.pick([(7, _barks), (1.5, _growls), (1.5, _howls)])(s, n)


def _barks(s, n):
    out = np.zeros(n, np.float32)
    size = s.log_uniform(0.7, 2.2)  # a small dog's pitch and formants are higher
    pitch, length = 330 * size, s.uniform(0.09, 0.22)
    rough = s.uniform(0.2, 0.9)
    for bout in s.onsets(n, 0.8, 3.0):
        start = bout
        for _ in range(s.rng.integers(1, 6)):
            samples = int(s.sr * length * s.uniform(0.85, 1.2))
            add_at(out, start, s.log_uniform(0.5, 1.0) * _bark(s, samples, pitch, size, rough))
            start += samples + int(s.sr * s.uniform(0.1, 0.35))
    return out


def _bark(s, n, pitch, size, rough):
    f0 = pitch * s.log_uniform(0.9, 1.1) * glide([s.uniform(0.6, 0.8), 1.25, 1.0, 0.6], n)
    f0 *= 1 + 0.06 * rough * s.wander(n, 120)
    source = s.harmonics(f0, min(1900, 900 * size), n) + rough * s.white(n)
    targets = size * np.array([[450, 1100, 2300], [800, 1500, 2600], [500, 1100, 2400]])
    bark = _through_formants(s, source, targets, (250, 400, 700))
    return bark * np.minimum(s.swell(n, 0.012, 0.05), s.decay(n, s.uniform(0.35, 0.9), attack=0.01))


def _growls(s, n):
    pitch, tract = s.log_uniform(55, 120), s.log_uniform(0.7, 1.5)

    def growl():
        size = int(s.sr * s.uniform(0.6, 2.2))
        f0 = pitch * (1 + 0.1 * s.wander(size, 30))
        source = s.harmonics(f0, 700, size) * (1 + 0.5 * s.wander(size, 60)) + 0.3 * s.white(size)
        targets = tract * s.uniform(0.9, 1.1, (3, 3)) * np.array([400, 1000, 2300])
        return _through_formants(s, source, targets, (200, 400, 800)) * s.swell(size, 0.2, 0.3)

    return played(n, s.onsets(n, 1.2, 3.0), growl)


def _howls(s, n):
    low = s.rng.random() < 0.5  # otherwise whines: shorter, higher
    pitch = s.log_uniform(350, 650) if low else s.log_uniform(700, 1800)

    def howl():
        size = int(s.sr * (s.uniform(1.0, 3.0) if low else s.uniform(0.2, 0.6)))
        f0 = pitch * glide([0.7, 1.0, s.uniform(0.95, 1.1), s.uniform(0.7, 1.0)], size)
        source = s.harmonics(f0 * (1 + 0.01 * s.wander(size, 12)), 0.6 * pitch, size)
        source += s.log_uniform(0.005, 0.05) * s.white(size)
        return s.log_uniform(0.4, 1.0) * source * s.swell(size, 0.08, 0.2)

    return played(n, s.onsets(n, 0.6, 3.5), howl)
