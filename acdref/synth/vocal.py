"""Sounds made by throats: voice, cat, dog.  A harmonic or noisy source through moving resonances."""

from itertools import pairwise

import numpy as np

from acdref.synth.blocks import (
    add_at,
    decay,
    filter_moving,
    filtered,
    glide,
    harmonics,
    high_pass,
    log_uniform,
    low_pass,
    onsets,
    pick,
    resonance,
    swell,
    wander,
    white,
)

# First three formants (Hz) of an adult male's vowels, after Peterson and Barney (1952), Table II.
VOWELS = np.array(
    [
        [270, 2290, 3010],
        [390, 1990, 2550],
        [530, 1840, 2480],
        [660, 1720, 2410],
        [730, 1090, 2440],
        [570, 840, 2410],
        [440, 1020, 2240],
        [300, 870, 2240],
        [640, 1190, 2390],
        [490, 1350, 1690],
    ],
    np.float32,
)


# Voice


def voice(rng, n, sr):
    """Speech: one speaker, a shout, a whisper, or a babble of several."""
    speakers = pick(rng, [(8, 1), (1, 2), (1, int(rng.integers(3, 6)))])
    out = np.zeros(n, np.float32)
    for _ in range(speakers):
        add_at(out, 0, log_uniform(rng, 0.4, 1.0) * _speaker(rng, n, sr))
    return out


def _speaker(rng, n, sr):
    tract = log_uniform(rng, 0.95, 1.4)  # formants of a shorter vocal tract are higher
    speaker = {
        "pitch": 105 * tract ** rng.uniform(1.5, 3.5) * rng.uniform(0.85, 1.2),
        "formants": VOWELS * tract,
        "rate": rng.uniform(2.8, 6.5),  # syllables per second
        "effort": log_uniform(rng, 700, 1900),  # brightness of the source
        "liveliness": rng.uniform(0.05, 0.35),
        "breath": 1.0 if rng.random() < 0.07 else log_uniform(rng, 0.01, 0.15),  # 1 = whisper
    }
    out = np.zeros(n, np.float32)
    start = 0
    while n - start > sr // 20:
        phrase = _phrase(rng, speaker, min(int(sr * rng.uniform(0.6, 3.0)), n - start), sr)
        add_at(out, start, phrase)
        start += len(phrase) + int(sr * log_uniform(rng, 0.1, 0.8))
    return out


def _phrase(rng, speaker, n, sr):
    """Syllables on one breath: the pitch falls, each vowel glides into the next, consonants in between."""
    count = max(1, round(n / sr * speaker["rate"]))
    edges = np.linspace(0, n, count + 1) + rng.uniform(-0.2, 0.2, count + 1) * n / count
    edges = np.clip(edges, 0, n).astype(int)
    accents = speaker["liveliness"] * rng.standard_normal(2 * count + 1)
    pitch = speaker["pitch"] * np.exp2(glide(accents, n) + glide([0.15, -0.2], n))
    pitch *= 1 + 0.01 * wander(rng, n, sr, 40)
    vowels = speaker["formants"][rng.integers(len(VOWELS), size=2 * count + 1)]
    breath = speaker["breath"]
    source = (1 - breath) * harmonics(pitch, speaker["effort"], n, sr) + 1.5 * breath * white(rng, n)

    out = _through_formants(source, sr, vowels)
    loudness = np.zeros(n, np.float32)
    consonants = np.zeros(n, np.float32)
    for start, end in pairwise(edges):
        onset, size = _consonant(rng, sr)
        if size:
            add_at(consonants, start, onset * log_uniform(rng, 0.1, 0.5))
        vowel = min(start + size, end - 1)
        stress = log_uniform(rng, 0.4, 1.0)
        add_at(loudness, vowel, stress * swell(end - vowel, sr, 0.03, rng.uniform(0.04, 0.12)))
    level = np.sqrt(np.mean(out**2)) + 1e-9
    return out / level * loudness + consonants


def _consonant(rng, sr):
    """A fricative, a plosive or none: its sound, and the samples by which it delays the vowel."""
    kind = rng.random()
    if kind < 0.45:
        return np.zeros(1, np.float32), 0
    if kind < 0.75:
        n = int(sr * rng.uniform(0.05, 0.13))
        centre, width = log_uniform(rng, 2200, 6500), rng.uniform(1500, 3500)
        noise = filtered(white(rng, n), sr, lambda f: resonance(f, centre, width) ** 2)
        return 1.3 * noise * swell(n, sr, 0.03, 0.03), n
    gap, n = int(sr * rng.uniform(0.02, 0.07)), int(sr * rng.uniform(0.015, 0.04))
    centre = log_uniform(rng, 800, 5000)
    burst = filtered(white(rng, n), sr, lambda f: resonance(f, centre, 2000)) * decay(n, sr, 0.04)
    return np.concatenate([np.zeros(gap, np.float32), 1.3 * burst]), gap + n


def _through_formants(source, sr, targets, widths=(80, 110, 170)):
    """Source through resonances that move through `targets` (points, formants), each weaker than the last."""
    grid = np.linspace(0, 1, len(targets), dtype=np.float32)

    def gain(u, f):
        total = 0.02 * np.ones(np.broadcast_shapes(u.shape, f.shape), np.float32)
        for k, width in enumerate(widths):
            centre = np.interp(u[:, 0], grid, targets[:, k]).astype(np.float32)[:, None]
            total += np.float32(0.75**k) * resonance(f, centre, np.float32(width))
        return total

    return filter_moving(source, sr, gain)


# Cat


def cat(rng, n, sr):
    """Meows of one cat, sometimes purring or a hiss."""
    return pick(rng, [(7, _meows), (2, _purr), (1, _hisses)])(rng, n, sr)


def _meows(rng, n, sr):
    out = np.zeros(n, np.float32)
    pitch, length = log_uniform(rng, 330, 900), log_uniform(rng, 0.35, 1.1)
    tract = log_uniform(rng, 0.8, 1.3)
    for start in onsets(rng, n, sr, length + 0.15, length + 2.0):
        size = int(sr * length * log_uniform(rng, 0.75, 1.3))
        add_at(out, start, log_uniform(rng, 0.4, 1.0) * _meow(rng, size, sr, pitch, tract))
    return out


def _meow(rng, n, sr, pitch, tract):
    """The mouth opens and closes: the first two formants rise and fall again, and the pitch with them."""
    rise, fall = rng.uniform(0.7, 0.95), rng.uniform(0.55, 0.9)
    base = pitch * log_uniform(rng, 0.85, 1.2)
    f0 = base * glide([rise, 1.0, rng.uniform(0.9, 1.05), fall], n)
    f0 *= 1 + 0.015 * wander(rng, n, sr, 25)
    brightness = base * glide([0.8, rng.uniform(2.0, 3.5), 2.0, 0.8], n)
    source = harmonics(f0, np.minimum(brightness, 1900), n, sr) + log_uniform(rng, 0.01, 0.2) * white(rng, n)
    targets = tract * np.array([[500, 1600, 3200], [1000, 1900, 3600], [1200, 2300, 3800], [700, 1300, 3300]])
    meow = _through_formants(source, sr, targets * rng.uniform(0.9, 1.1, targets.shape), (300, 400, 700))
    return meow * swell(n, sr, rng.uniform(0.04, 0.15), rng.uniform(0.1, 0.35))


def _purr(rng, n, sr):
    """About 25 pulses per second, breathing in and out at slightly different rates."""
    breath = _breath(rng, n, sr)
    rate = rng.uniform(21, 30) * (1 + 0.08 * breath)
    pulses = np.maximum(0, harmonics(rate, 150, n, sr)) + 0.1
    low, high = log_uniform(rng, 60, 150), log_uniform(rng, 250, 1200)
    purr = filtered(white(rng, n) * pulses, sr, lambda f: high_pass(f, low, 1) * low_pass(f, high, 1.5))
    return purr * (0.65 + 0.35 * breath)


def _breath(rng, n, sr):
    """Curve in [-1, 1] that swings about once in one to two seconds."""
    return np.tanh(2 * np.sin(np.linspace(0, 2 * np.pi * rng.uniform(0.5, 1) * n / sr, n, dtype=np.float32)))


def _hisses(rng, n, sr):
    out = np.zeros(n, np.float32)
    low, centre = log_uniform(rng, 800, 2000), log_uniform(rng, 2500, 5500)
    for start in onsets(rng, n, sr, 0.7, 2.0):
        size = int(sr * rng.uniform(0.3, 1.0))
        hiss = filtered(white(rng, size), sr, lambda f: high_pass(f, low) * resonance(f, centre, 3000))
        add_at(out, start, hiss * swell(size, sr, rng.uniform(0.02, 0.1), rng.uniform(0.15, 0.5)))
    return out


# Dog


def dog(rng, n, sr):
    """Barks in bouts, sometimes growls, or whines and howls."""
    return pick(rng, [(7, _barks), (1.5, _growls), (1.5, _howls)])(rng, n, sr)


def _barks(rng, n, sr):
    out = np.zeros(n, np.float32)
    size = log_uniform(rng, 0.7, 2.2)  # a small dog's pitch and formants are higher
    pitch, length = 330 * size, rng.uniform(0.09, 0.22)
    rough = rng.uniform(0.2, 0.9)
    for bout in onsets(rng, n, sr, 0.8, 3.0):
        start = bout
        for _ in range(rng.integers(1, 6)):
            samples = int(sr * length * rng.uniform(0.85, 1.2))
            add_at(out, start, log_uniform(rng, 0.5, 1.0) * _bark(rng, samples, sr, pitch, size, rough))
            start += samples + int(sr * rng.uniform(0.1, 0.35))
    return out


def _bark(rng, n, sr, pitch, size, rough):
    f0 = pitch * log_uniform(rng, 0.9, 1.1) * glide([rng.uniform(0.6, 0.8), 1.25, 1.0, 0.6], n)
    f0 *= 1 + 0.06 * rough * wander(rng, n, sr, 120)
    source = harmonics(f0, min(1900, 900 * size), n, sr) + rough * white(rng, n)
    targets = size * np.array([[450, 1100, 2300], [800, 1500, 2600], [500, 1100, 2400]])
    bark = _through_formants(source, sr, targets, (250, 400, 700))
    return bark * np.minimum(swell(n, sr, 0.012, 0.05), decay(n, sr, rng.uniform(0.35, 0.9), attack=0.01))


def _growls(rng, n, sr):
    out = np.zeros(n, np.float32)
    pitch, tract = log_uniform(rng, 55, 120), log_uniform(rng, 0.7, 1.5)
    for start in onsets(rng, n, sr, 1.2, 3.0):
        size = int(sr * rng.uniform(0.6, 2.2))
        f0 = pitch * (1 + 0.1 * wander(rng, size, sr, 30))
        source = harmonics(f0, 700, size, sr) * (1 + 0.5 * wander(rng, size, sr, 60)) + 0.3 * white(rng, size)
        targets = tract * rng.uniform(0.9, 1.1, (3, 3)) * np.array([400, 1000, 2300])
        add_at(
            out, start, _through_formants(source, sr, targets, (200, 400, 800)) * swell(size, sr, 0.2, 0.3)
        )
    return out


def _howls(rng, n, sr):
    out = np.zeros(n, np.float32)
    howl = rng.random() < 0.5  # otherwise whines: shorter, higher
    pitch = log_uniform(rng, 350, 650) if howl else log_uniform(rng, 700, 1800)
    for start in onsets(rng, n, sr, 0.6, 3.5):
        size = int(sr * (rng.uniform(1.0, 3.0) if howl else rng.uniform(0.2, 0.6)))
        f0 = pitch * glide([0.7, 1.0, rng.uniform(0.95, 1.1), rng.uniform(0.7, 1.0)], size)
        source = harmonics(f0 * (1 + 0.01 * wander(rng, size, sr, 12)), 0.6 * pitch, size, sr)
        source += log_uniform(rng, 0.005, 0.05) * white(rng, size)
        add_at(out, start, log_uniform(rng, 0.4, 1.0) * source * swell(size, sr, 0.08, 0.2))
    return out
