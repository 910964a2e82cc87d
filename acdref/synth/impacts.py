"""Impulsive sounds: clapping and gunshots."""

import numpy as np

from acdref.synth.blocks import (
    add_at,
    coloured,
    decay,
    filtered,
    high_pass,
    log_uniform,
    low_pass,
    onsets,
    pick,
    resonance,
    room,
    wander,
    white,
)

# Clapping


def clapping(rng, n, sr):
    """One person in rhythm, a few people, or the applause of a crowd, in a room."""
    people = pick(rng, [(4, 1), (3, int(rng.integers(2, 10))), (3, int(rng.integers(20, 120)))])
    out = np.zeros(n, np.float32)
    if people < 20:
        jitter = 0.02 if people == 1 else 0.08
        for k in range(people):
            _person(rng, out, sr, rng.uniform(0, 0.5 if k else 0.02), jitter)
    else:
        _crowd(rng, out, sr, people)
    return room(rng, out, sr, rng.uniform(0.15, 1.2), rng.uniform(0.1, 0.6))


def _clap(rng, sr, centre):
    """A noise burst of a few milliseconds, coloured by the hollow of the hands."""
    n = int(sr * 0.06)
    width = centre * rng.uniform(0.5, 1.5)
    noise = filtered(white(rng, n), sr, lambda f: resonance(f, centre, width) + 0.1 * high_pass(f, 500))
    return noise * decay(n, sr, rng.uniform(0.02, 0.06), attack=0.0005)


def _person(rng, out, sr, position, jitter):
    """Claps from `position` (s) on, in a rhythm that varies by up to twice `jitter` of a period."""
    centre, period = log_uniform(rng, 700, 2600), 1 / rng.uniform(1.8, 5.0)
    level = log_uniform(rng, 0.4, 1.0)
    while position * sr < len(out):
        clap = _clap(rng, sr, centre * log_uniform(rng, 0.9, 1.1))
        add_at(out, int(position * sr), level * log_uniform(rng, 0.7, 1.0) * clap)
        position += period * (1 + jitter * rng.uniform(-2, 2))


def _crowd(rng, out, sr, people):
    """Claps at random times: from a bank of distinct claps, each at a random loudness."""
    bank = [_clap(rng, sr, log_uniform(rng, 700, 2600)) for _ in range(24)]
    count = max(8, int(people * rng.uniform(2.5, 4.5) * len(out) / sr))
    starts = rng.integers(len(out), size=count)
    starts[0] = 0
    which = rng.integers(len(bank), size=count)
    levels = log_uniform(rng, 0.1, 1.0, count).astype(np.float32)
    for start, k, level in zip(starts.tolist(), which.tolist(), levels, strict=True):
        add_at(out, start, level * bank[k])


# Gunshot


def gunshot(rng, n, sr):
    """Single shots, automatic fire, a volley of several weapons, or explosions."""
    return pick(rng, [(4, _single_shots), (3, _automatic), (2, _volley), (1, _explosions)])(rng, n, sr)


def _blast(rng, sr, weight):
    """Muzzle blast: a sharp crack, then noise that gets duller as it dies; `weight` is the calibre."""
    n = int(sr * 0.25 * weight)
    noise = white(rng, n)
    body = _dulled(noise, sr, log_uniform(rng, 300, 1200) / weight)
    body /= np.sqrt(np.mean(body**2))
    crack = noise * decay(n, sr, rng.uniform(0.01, 0.05) * weight, attack=0.0002)
    return crack * rng.uniform(0.8, 1.8) + body * decay(
        n, sr, rng.uniform(0.08, 0.25) * weight, attack=0.0005
    )


def _outdoors(rng, shots, sr):
    """Distance takes the high frequencies; the landscape answers with echoes and a long dull tail."""
    out = shots.copy()
    for _ in range(rng.integers(0, 4)):
        delay = int(sr * rng.uniform(0.04, 0.6))
        echo = _dulled(shots, sr, log_uniform(rng, 600, 3000))
        add_at(out, delay, log_uniform(rng, 0.04, 0.35) * echo)
    out = room(rng, out, sr, rng.uniform(0.4, 2.5), log_uniform(rng, 0.1, 0.7))
    return _dulled(out, sr, log_uniform(rng, 1800, 9000))


def _dulled(x, sr, cutoff):
    return filtered(x, sr, lambda f: low_pass(f, cutoff, 1))


def _single_shots(rng, n, sr):
    out = np.zeros(n, np.float32)
    weight = log_uniform(rng, 0.5, 1.8)
    for start in onsets(rng, n, sr, 0.5, 4.0):
        add_at(out, start, log_uniform(rng, 0.6, 1.0) * _blast(rng, sr, weight))
    return _outdoors(rng, out, sr)


def _automatic(rng, n, sr):
    out = np.zeros(n, np.float32)
    weight, period = log_uniform(rng, 0.4, 1.2), sr / rng.uniform(7, 16)
    for burst in onsets(rng, n, sr, 1.0, 3.5):
        for k in range(rng.integers(3, 18)):
            start = int(burst + period * (k + 0.03 * rng.standard_normal()))
            add_at(out, max(0, start), log_uniform(rng, 0.8, 1.0) * _blast(rng, sr, weight))
    return _outdoors(rng, out, sr)


def _volley(rng, n, sr):
    out = np.zeros(n, np.float32)
    weapons = log_uniform(rng, 0.4, 2.0, rng.integers(2, 6))
    for start in onsets(rng, n, sr, 0.06, 1.2):
        add_at(out, start, log_uniform(rng, 0.15, 1.0) * _blast(rng, sr, rng.choice(weapons)))
    return _outdoors(rng, out, sr)


def _explosions(rng, n, sr):
    out = np.zeros(n, np.float32)
    for start in onsets(rng, n, sr, 1.0, 5.0):
        size = int(sr * rng.uniform(0.8, 2.5))
        rumble = coloured(rng, size, sr, rng.uniform(1.2, 2.0), 50) * (1 + 0.3 * wander(rng, size, sr, 15))
        blast = rumble * decay(size, sr, rng.uniform(0.6, 2.0), attack=0.002)
        add_at(blast, 0, rng.uniform(0.5, 2.0) * _blast(rng, sr, 2.0))
        add_at(out, start, blast)
    return _outdoors(rng, out, sr)
