"""Weather and wildlife: nature, windnoise; and the background that is no class at all."""

import numpy as np

from acdref.synth.blocks import Samples, Synth, add_at, glide, high_pass, low_pass

# Nature


def nature(s: Synth, n: int) -> Samples:
    """Birds, rain, streams, thunder, insects; sometimes two of them."""
    recipes = [(4, _birds), (2.5, _rain), (2, _stream), (1.5, _thunder), (2, _insects)]
    out = np.zeros(n, np.float32)
    for _ in range(1 + (s.rng.random() < 0.25)):
        x = s.pick(recipes)(s, n)
        out += s.log_uniform(0.4, 1.0) * x / np.sqrt(np.mean(x**2))
    return out


def _birds(s, n):
    """One to three birds, each repeating its own phrase of notes."""
    out = np.zeros(n, np.float32)
    for _ in range(s.rng.integers(1, 4)):
        phrase = _bird_phrase(s)
        length = len(phrase) / s.sr
        level = s.log_uniform(0.2, 1.0)
        for start in s.onsets(n, length + 0.1, length + s.log_uniform(0.4, 3.0)):
            add_at(out, start, level * s.log_uniform(0.6, 1.0) * phrase)
    return out


def _bird_phrase(s):
    """Notes that sweep within 1.5 to 7.5 kHz: a trill of one note, or a few different ones."""
    centre = s.log_uniform(2000, 6000)
    trill = s.rng.random() < 0.4
    length = s.log_uniform(0.03, 0.25)
    gap = int(s.sr * length * s.uniform(0.2, 1.0))
    note, notes = None, []
    for _ in range(s.rng.integers(2, 15 if trill else 6)):
        if note is None or not trill:
            size = int(s.sr * length * s.log_uniform(0.6, 1.6))
            sweep = centre * np.exp2(0.35 * s.rng.standard_normal(s.rng.integers(2, 5)))
            f = np.clip(glide(sweep, size) * (1 + 0.02 * s.wave(s.uniform(20, 80), size)), 1500, 7500)
            note = s.wave(f, size) * s.swell(size, 0.3 * size / s.sr, 0.4 * size / s.sr)
        notes += [note, np.zeros(gap, np.float32)]
    return np.concatenate(notes)


def _rain(s, n):
    """Noise of countless distant drops, and near drops that can be told apart."""
    low, high = s.log_uniform(300, 1500), s.log_uniform(3500, 9000)
    x = s.filtered(s.white(n), lambda f: high_pass(f, low, 1) * low_pass(f, high, 1))
    x *= np.exp(0.15 * s.wander(n, 1.0))
    return x + _drops(s, n, s.log_uniform(10, 150), s.log_uniform(1, 6), (700, 5000), 0.012)


def _stream(s, n):
    """Water: a bed of noise and many bubbles, each a short tone that rises."""
    cutoff = s.log_uniform(800, 3000)
    bed = s.filtered(s.coloured(n, 0.7, 200), lambda f: high_pass(f, 200, 1) * low_pass(f, cutoff, 1))
    bed *= np.exp(0.3 * s.wander(n, 5.0))
    return s.log_uniform(0.2, 1.0) * bed + _drops(s, n, s.log_uniform(40, 160), 1.0, (350, 2200), 0.05)


def _drops(s, n, rate, level, pitches, seconds):
    """`rate` short rising tones per second, at random times, from a bank of 16."""
    size = int(s.sr * seconds)
    bank = []
    for pitch in s.log_uniform(*pitches, 16):
        rise = glide([1, s.uniform(1.0, 1.5)], size)
        bank.append(s.wave(pitch * rise, size) * s.decay(size, seconds * s.uniform(0.4, 1), 0.001))
    count = 1 + s.rng.poisson(rate * n / s.sr)
    out = np.zeros(n, np.float32)
    levels = level * s.log_uniform(0.05, 1.0, count)
    which, starts = s.rng.integers(16, size=count), s.rng.integers(n, size=count)
    for start, k, gain in zip(starts.tolist(), which.tolist(), levels.astype(np.float32), strict=True):
        add_at(out, start, gain * bank[k])
    return out


def _thunder(s, n):
    """A crack, if near, and seconds of rolling rumble; in light rain."""
    out = 0.02 * _rain(s, n)
    near = s.rng.random() < 0.5
    for start in s.onsets(n, 3.0, 8.0):
        size = int(s.sr * s.uniform(2.0, 6.0))
        roll = np.exp(0.8 * s.wander(size, s.uniform(3, 7)))
        boom = s.coloured(size, s.uniform(1.4, 2.2), 40) * roll * s.decay(size, 1.5 * size / s.sr, 0.1)
        if near:
            crackle = np.exp(1.2 * s.wander(size, 60)) * s.decay(size, s.uniform(0.3, 1.0), 0.01)
            boom += s.uniform(0.3, 1.0) * s.coloured(size, 0.7, 200) * crackle
        add_at(out, start, boom * s.swell(size, 0.02, 0.5))
    return out


def _insects(s, n):
    """Crickets and cicadas: a high carrier, pulsed fast, in chirps or without end."""
    out = 0.02 * s.white(n)
    for _ in range(s.rng.integers(1, 4)):
        carrier = s.log_uniform(2800, 7000) * (1 + 0.003 * s.wander(n, 3))
        pulse = np.maximum(0, s.wave(s.log_uniform(15, 90), n, s.uniform(0, 6.28)))
        song = s.wave(carrier, n) * pulse
        if s.rng.random() < 0.6:
            chirp = s.wave(s.log_uniform(0.7, 4), n, s.uniform(0, 1.5)) + s.uniform(-0.3, 0.5)
            song *= np.clip(4 * chirp, 0, 1)
        out += s.log_uniform(0.2, 1.0) * song
    return out


# Wind noise


def windnoise(s: Synth, n: int) -> Samples:
    """Wind on a microphone: low noise in gusts; the stronger the gust, the higher it reaches."""
    gust = np.exp(s.uniform(0.4, 1.0) * s.wander(n, s.log_uniform(0.5, 2.0)))
    gust *= np.exp(s.uniform(0.1, 0.4) * s.wander(n, s.uniform(5, 12)))
    cutoff = s.log_uniform(60, 200)
    rumble = s.filtered(s.white(n), lambda f: high_pass(f, 15) * low_pass(f, cutoff, 1.5))
    rush = s.filtered(s.white(n), lambda f: high_pass(f, 80) * low_pass(f, 2.5 * cutoff, 1.5))
    out = rumble / np.sqrt(np.mean(rumble**2)) * gust
    out += s.log_uniform(0.05, 0.3) * rush / np.sqrt(np.mean(rush**2)) * gust**2
    if s.rng.random() < 0.4:  # the membrane hits its stop
        limit = np.float32(np.quantile(np.abs(out), s.uniform(0.95, 0.995)))
        out = limit * np.tanh(out / limit)
    return out


# Background


def background(s: Synth, n: int) -> Samples:
    """What any recording contains: noise of a random colour, its level drifting, sometimes mains hum.

    Returns
    -------
    (n,) float32
        Of about unit RMS.
    """
    x = s.coloured(n, s.pick([(1, 0.0), (2, 1.0), (1, 2.0), (3, s.uniform(0, 2))]), 30)
    x *= np.exp(0.1 * s.wander(n, 0.5))
    if s.rng.random() < 0.3:
        mains = 50 if s.rng.random() < 0.5 else 60
        for k in range(1, 1 + s.rng.integers(1, 4)):
            x += s.log_uniform(0.02, 0.3) * s.wave(k * mains, n)
    return x
