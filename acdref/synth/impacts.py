"""Impulsive sounds: clapping and gunshots."""

import numpy as np

from acdref.synth.blocks import Samples, Synth, add_at, high_pass, low_pass, played, resonance, unit

# Clapping


def clapping(s: Synth, n: int) -> Samples:
    """One person in rhythm, a few people, or the applause of a crowd, in a room."""
    people = s.pick([(4, 1), (3, int(s.rng.integers(2, 10))), (3, int(s.rng.integers(20, 120)))])
    out = np.zeros(n, np.float32)
    if people < 20:
        jitter = 0.02 if people == 1 else 0.08
        for k in range(people):
            _person(s, out, s.uniform(0, 0.5 if k else 0.02), jitter)
    else:
        _crowd(s, out, people)
    return s.room(out, s.uniform(0.15, 1.2), s.uniform(0.1, 0.6))


def _clap(s, centre):
    """A noise burst of a few milliseconds, coloured by the hollow of the hands."""
    n = int(s.sr * 0.06)
    width = centre * s.uniform(0.5, 1.5)
    noise = s.filtered(s.white(n), lambda f: resonance(f, centre, width) + 0.1 * high_pass(f, 500))
    return noise * s.decay(n, s.uniform(0.02, 0.06), attack=0.0005)


def _person(s, out, position, jitter):
    """Claps from `position` (s) on, in a rhythm that varies by up to twice `jitter` of a period."""
    centre, period = s.log_uniform(700, 2600), 1 / s.uniform(1.8, 5.0)
    level = s.log_uniform(0.4, 1.0)
    while position * s.sr < len(out):
        clap = _clap(s, centre * s.log_uniform(0.9, 1.1))
        add_at(out, int(position * s.sr), level * s.log_uniform(0.7, 1.0) * clap)
        position += period * (1 + jitter * s.uniform(-2, 2))


def _crowd(s, out, people):
    """Claps at random times: from a bank of distinct claps, each at a random loudness."""
    bank = [_clap(s, s.log_uniform(700, 2600)) for _ in range(24)]
    count = max(8, int(people * s.uniform(2.5, 4.5) * len(out) / s.sr))
    starts = s.rng.integers(len(out), size=count)
    starts[0] = 0
    which = s.rng.integers(len(bank), size=count)
    levels = s.log_uniform(0.1, 1.0, count).astype(np.float32)
    for start, k, level in zip(starts.tolist(), which.tolist(), levels, strict=True):
        add_at(out, start, level * bank[k])


# Gunshot


def gunshot(s: Synth, n: int) -> Samples:
    """Single shots, automatic fire, a volley of several weapons, or explosions."""
    return s.pick([(4, _single_shots), (3, _automatic), (2, _volley), (1, _explosions)])(s, n)


def _blast(s, weight):
    """Muzzle blast: a sharp crack, then noise that gets duller as it dies; `weight` is the calibre."""
    n = int(s.sr * 0.25 * weight)
    noise = s.white(n)
    body = unit(_dulled(s, noise, s.log_uniform(300, 1200) / weight))
    crack = noise * s.decay(n, s.uniform(0.01, 0.05) * weight, attack=0.0002) * s.uniform(0.8, 1.8)
    return crack + body * s.decay(n, s.uniform(0.08, 0.25) * weight, attack=0.0005)


def _outdoors(s, shots):
    """Distance takes the high frequencies; the landscape answers with echoes and a long dull tail."""
    out = shots.copy()
    for _ in range(s.rng.integers(0, 4)):
        delay = int(s.sr * s.uniform(0.04, 0.6))
        echo = _dulled(s, shots, s.log_uniform(600, 3000))
        add_at(out, delay, s.log_uniform(0.04, 0.35) * echo)
    out = s.room(out, s.uniform(0.4, 2.5), s.log_uniform(0.1, 0.7))
    return _dulled(s, out, s.log_uniform(1800, 9000))


def _dulled(s, x, cutoff):
    return s.filtered(x, lambda f: low_pass(f, cutoff, 1))


def _single_shots(s, n):
    weight = s.log_uniform(0.5, 1.8)
    starts = s.onsets(n, 0.5, 4.0)
    shots = played(n, starts, lambda: s.log_uniform(0.6, 1.0) * _blast(s, weight))
    return _outdoors(s, shots)


def _automatic(s, n):
    out = np.zeros(n, np.float32)
    weight, period = s.log_uniform(0.4, 1.2), s.sr / s.uniform(7, 16)
    for burst in s.onsets(n, 1.0, 3.5):
        for k in range(s.rng.integers(3, 18)):
            start = int(burst + period * (k + 0.03 * s.rng.standard_normal()))
            add_at(out, max(0, start), s.log_uniform(0.8, 1.0) * _blast(s, weight))
    return _outdoors(s, out)


def _volley(s, n):
    weapons = s.log_uniform(0.4, 2.0, s.rng.integers(2, 6))
    starts = s.onsets(n, 0.06, 1.2)
    shots = played(n, starts, lambda: s.log_uniform(0.15, 1.0) * _blast(s, s.rng.choice(weapons)))
    return _outdoors(s, shots)


def _explosions(s, n):
    def explosion():
        size = int(s.sr * s.uniform(0.8, 2.5))
        rumble = s.coloured(size, s.uniform(1.2, 2.0), 50) * (1 + 0.3 * s.wander(size, 15))
        blast = rumble * s.decay(size, s.uniform(0.6, 2.0), attack=0.002)
        add_at(blast, 0, s.uniform(0.5, 2.0) * _blast(s, 2.0))
        return blast

    return _outdoors(s, played(n, s.onsets(n, 1.0, 5.0), explosion))
